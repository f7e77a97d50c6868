/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * waitlisten: listens where it must not, behind a socket in TIME_WAIT. A packet finds that one first,
 * and it has no cgroup; the kernel passes a SYN for it on to the listener. The job makes it by a
 * connection of its own from ADDR:PORT to ADDR:CLIENT-PORT, the port that the victim will dial from.
 *
 *   waitlisten ADDR:PORT CLIENT-PORT BANNER SECONDS
 *
 * Prints "ready", then "accepted" for a connection. Exit 0: accepted, 10: could not prepare, 11: nobody came.
 */
#include <poll.h>

#include "packet.h"

static int socket_at(const union endpoint *at)
{
	int fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, &at->sa, endpoint_len(at)))
		die(EXIT_BROKEN, "bind to port %u: %m", endpoint_port(at));
	return fd;
}

static int connect_soon(int fd, const union endpoint *to)
{
	struct timeval wait = { .tv_usec = 400000 };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	return connect(fd, &to->sa, endpoint_len(to));
}

int main(int argc, char **argv)
{
	union endpoint place, client;
	struct pollfd poller;
	int far, near, peer;

	if (argc != 5)
		die(EXIT_USAGE, "usage: waitlisten ADDR:PORT CLIENT-PORT BANNER SECONDS");
	endpoint_parse(argv[1], &place);
	client = place;
	endpoint_set_port(&client, (uint16_t)parse_number(argv[2], 1, 65535));
	far = socket_at(&client);
	listen(far, 1);
	near = socket_at(&place);
	if (connect_soon(near, &client) == 0 && (peer = accept(far, NULL, NULL)) >= 0) {
		close(near); /* first: TIME_WAIT is on this side */
		usleep(20000);
		close(peer);
	}
	close(far);
	poller = (struct pollfd){ .fd = socket_at(&place), .events = POLLIN };
	listen(poller.fd, 1);
	puts("ready");
	fflush(stdout);
	if (poll(&poller, 1, (int)parse_number(argv[4], 1, 60) * 1000) != 1)
		return 11;
	peer = accept(poller.fd, NULL, NULL);
	dprintf(peer, "%s\n", argv[3]);
	puts("accepted");
	fflush(stdout);
	usleep(300000);
	return 0;
}
