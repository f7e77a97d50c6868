/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * startdial: the first process of a container in the start-race tests. Static and without set-up, so
 * that the first system calls of the container's life are connect()s to the forbidden targets; then
 * again and again until --for is over. The exit code is the number of targets that ever accepted
 * (0: the fence stood), and one line says which.
 *
 * A route that is not there yet is tried again at once: that is the moment the test is about.
 */
#include <poll.h>
#include <sys/mman.h>

#include "../host/tools/tool.h"

#define TARGETS_MAX 32

static union endpoint targets[TARGETS_MAX];
static int fds[TARGETS_MAX];
static bool opened[TARGETS_MAX];
static int targets_n;

static void start(int i)
{
	fds[i] = socket(targets[i].sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fds[i] < 0)
		die(120, "socket: %m");
	if (!connect(fds[i], &targets[i].sa, endpoint_len(&targets[i])))
		opened[i] = true;
	else if (errno != EINPROGRESS) {
		close(fds[i]);
		fds[i] = -1;
	}
}

static void finish(int i, short revents)
{
	if (!(revents & (POLLERR | POLLHUP)) && !connect_error(fds[i]))
		opened[i] = true;
	close(fds[i]);
	fds[i] = -1;
}

/* One look at every connection under way; what failed is started anew. */
static void turn(void)
{
	struct pollfd pfds[TARGETS_MAX];

	for (int i = 0; i < targets_n; i++) {
		if (fds[i] < 0 && !opened[i])
			start(i);
		pfds[i] = (struct pollfd){ .fd = opened[i] ? -1 : fds[i], .events = POLLOUT };
	}
	poll(pfds, (nfds_t)targets_n, 2);
	for (int i = 0; i < targets_n; i++)
		if (pfds[i].fd >= 0 && pfds[i].revents)
			finish(i, pfds[i].revents);
}

int main(int argc, char **argv)
{
	int64_t end = now_ms() + 300;
	int at = 1, count = 0;

	if (argc > 2 && !strcmp(argv[1], "--for")) {
		end = now_ms() + parse_number(argv[2], 1, 60000);
		at = 3;
	}
	for (; at < argc && targets_n < TARGETS_MAX; at++, targets_n++) {
		endpoint_parse(argv[at], &targets[targets_n]);
		start(targets_n);
	}
	if (!targets_n || at < argc)
		die(121, "usage: startdial [--for MS] ADDR:PORT … (at most %d)", TARGETS_MAX);
	while (now_ms() < end)
		turn();
	for (int i = 0; i < targets_n; i++) {
		count += opened[i];
		printf("%s%s", i ? " " : "", opened[i] ? "open" : "no");
	}
	putchar('\n');
	return count;
}
