/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * simopen: answers in a server's place without one raw packet. It watches lo for a SYN to PORT and
 * connects, from that port, to the very socket that sent it: TCP's simultaneous open. Like rawreply
 * it wins where the SYN itself gets no answer; its own SYN is in direction reply.
 *
 * Prints "answered" at the SYN and "believed" when the connection stood. Exit 0: believed, 10: not,
 * 11: no SYN seen.
 */
#include <poll.h>

#include "packet.h"

/* The connection from @from to @to, or -1 where there is none before the deadline. */
static int connect_from(const union endpoint *from, const union endpoint *to, int64_t deadline)
{
	int fd = socket(from->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int one = 1;

	if (fd < 0)
		die(EXIT_BROKEN, "socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &from->sa, endpoint_len(from)))
		die(EXIT_BROKEN, "bind: %m");
	if (!connect(fd, &to->sa, endpoint_len(to)))
		return fd;
	if (errno != EINPROGRESS || poll(&pfd, 1, (int)(deadline - now_ms())) <= 0)
		return -1;
	return connect_error(fd) ? -1 : fd;
}

static bool wait_syn(int sniffer, uint16_t port, int64_t deadline, struct seen *ret_syn)
{
	while (sniff_tcp(sniffer, deadline, ret_syn))
		if (endpoint_port(&ret_syn->to) == port && ret_syn->tcp.th_flags & TH_SYN &&
		    !(ret_syn->tcp.th_flags & TH_ACK))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct seen syn;
	int64_t deadline;
	int fd;

	if (argc != 4)
		die(EXIT_USAGE, "usage: simopen PORT BANNER SECONDS");
	deadline = now_ms() + parse_number(argv[3], 1, 600) * 1000;
	fd = packet_socket("lo", SOCK_DGRAM);
	if (!wait_syn(fd, (uint16_t)parse_number(argv[1], 1, 65535), deadline, &syn))
		return 11;
	puts("answered");
	fflush(stdout);
	fd = connect_from(&syn.to, &syn.from, deadline);
	if (fd < 0)
		return 10;
	puts("believed");
	fflush(stdout);
	dprintf(fd, "%s\n", argv[2]);
	usleep(200000);
	return 0;
}
