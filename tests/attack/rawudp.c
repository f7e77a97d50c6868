/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rawudp: a datagram (8 zero bytes) by a raw socket, with any source, and routed to another address
 * than its header names, or out of the interface IF whatever the routes say:
 *
 *   rawudp [--on IF] [--via ADDR] SRC:SPORT DST:DPORT
 *
 * Exit 0: sent, 10: output did not let it go.
 */
#include "packet.h"

int main(int argc, char **argv)
{
	static const uint8_t zero[8];
	struct segment segment = { .data = zero, .data_n = sizeof(zero) };
	uint8_t packet[PACKET_MAX];
	union endpoint via = { 0 };
	const char *on = NULL;
	size_t size;
	int fd, one = 1;

	if (argc > 2 && !strcmp(argv[1], "--on")) {
		on = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc > 2 && !strcmp(argv[1], "--via")) {
		endpoint_parse_addr(argv[2], &via);
		argc -= 2;
		argv += 2;
	}
	if (argc != 3)
		die(EXIT_USAGE, "usage: rawudp [--on IF] [--via ADDR] SRC:SPORT DST:DPORT");
	endpoint_parse(argv[1], &segment.from);
	endpoint_parse(argv[2], &segment.to);
	size = put_udp(packet, &segment);
	if (!via.sa.sa_family)
		via = segment.to;
	endpoint_set_port(&via, 0);
	fd = raw_socket(via.sa.sa_family);
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	if (on && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, on, (socklen_t)strlen(on)))
		die(EXIT_BROKEN, "SO_BINDTODEVICE %s: %m", on);
	if (sendto(fd, packet, size, 0, &via.sa, endpoint_len(&via)) >= 0)
		return 0;
	if (errno != EPERM)
		die(EXIT_BROKEN, "raw send: %m");
	return 10;
}
