/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reaper: what init is to an engine. Runs a program, writes its pid to a file, and takes in and reaps
 * whatever its family leaves behind (containerd of a killed dockerd, containers' shims), until none
 * is left. A machine whose init is slow to reap would otherwise show a new dockerd the pid of a
 * dead containerd as alive.
 */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tool.h"

int main(int argc, char **argv)
{
	FILE *file;
	pid_t pid;

	if (argc < 3)
		die(EXIT_USAGE, "usage: reaper PIDFILE PROGRAM [ARGUMENT…]");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		die(EXIT_BROKEN, "prctl: %m");
	file = fopen(argv[1], "we");
	if (!file)
		die(EXIT_BROKEN, "%s: %m", argv[1]);
	pid = fork();
	if (pid < 0)
		die(EXIT_BROKEN, "fork: %m");
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		die(127, "%s: %m", argv[2]);
	}
	fprintf(file, "%d\n", pid);
	fclose(file);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return 0;
}
