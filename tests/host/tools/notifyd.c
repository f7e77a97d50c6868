/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notifyd: the receiving end of sd_notify for a daemon under test. Each assignment becomes one line
 * of the log, behind the milliseconds since notifyd started:
 *
 *   12 READY=1
 *
 * Messages may come at any time, so it lives as long as the private host does.
 */
#include <fcntl.h>

#include "tool.h"

static void log_lines(FILE *log, int64_t at_ms, char *message)
{
	char *save = NULL;

	for (char *line = strtok_r(message, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		fprintf(log, "%lld %s\n", (long long)at_ms, line);
	fflush(log);
}

int main(int argc, char **argv)
{
	char message[8192];
	int64_t start = now_ms();
	pid_t pid;
	FILE *log;
	ssize_t n;
	int fd;

	if (argc != 3)
		die(EXIT_USAGE, "usage: notifyd SOCKET LOG (goes to the background when bound)");
	fd = bind_datagram(argv[1]);
	log = fopen(argv[2], "ae");
	if (!log)
		die(EXIT_BROKEN, "%s: %m", argv[2]);
	pid = fork();
	if (pid < 0)
		die(EXIT_BROKEN, "fork: %m");
	if (pid > 0)
		return 0;
	setsid();
	for (int i = 0; i < 3; i++)
		close(i);
	for (;;) {
		n = recv(fd, message, sizeof(message) - 1, 0);
		if (n < 0)
			continue;
		message[n] = '\0';
		log_lines(log, now_ms() - start, message);
	}
}
