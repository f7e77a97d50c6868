/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reaper: what init is to a daemon. Runs a program, writes its pid to PIDFILE and its exit code (128
 * and the signal) to PIDFILE.code, and takes in and reaps whatever its family leaves behind
 * (containerd of a killed dockerd, containers' shims), until none is left. A machine whose init is
 * slow to reap would otherwise show a new dockerd the pid of a dead containerd as alive.
 */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tool.h"

/* Whole or not at all: whoever waits for the file reads it at once. */
static void write_number(const char *path, int number)
{
	char temporary[512];
	FILE *file;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		die(EXIT_USAGE, "%s: too long", path);
	file = fopen(temporary, "we");
	if (!file)
		die(EXIT_BROKEN, "%s: %m", temporary);
	fprintf(file, "%d\n", number);
	if (fclose(file) || rename(temporary, path))
		die(EXIT_BROKEN, "%s: %m", path);
}

int main(int argc, char **argv)
{
	char code_file[512];
	pid_t pid, child;
	int status;

	if (argc < 3)
		die(EXIT_USAGE, "usage: reaper PIDFILE PROGRAM [ARGUMENT…]");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		die(EXIT_BROKEN, "prctl: %m");
	snprintf(code_file, sizeof(code_file), "%s.code", argv[1]);
	unlink(code_file);
	pid = fork();
	if (pid < 0)
		die(EXIT_BROKEN, "fork: %m");
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		die(127, "%s: %m", argv[2]);
	}
	write_number(argv[1], pid);
	while ((child = wait(&status)) > 0 || errno == EINTR)
		if (child == pid)
			write_number(code_file, WIFSIGNALED(status) ? 128 + WTERMSIG(status)
								    : WEXITSTATUS(status));
	return 0;
}
