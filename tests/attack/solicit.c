/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * solicit: a neighbour solicitation, as sent on a link, to an address that is behind a router: the
 * kernel forwards it like anything else.
 *
 *   solicit ADDR6
 */
#include "packet.h"

#include <netinet/icmp6.h>

int main(int argc, char **argv)
{
	struct nd_neighbor_solicit ask = { .nd_ns_type = ND_NEIGHBOR_SOLICIT };
	union endpoint to;
	int fd, hops = 255;

	if (argc != 2)
		die(EXIT_USAGE, "usage: solicit ADDR6");
	endpoint_parse_addr(argv[1], &to);
	ask.nd_ns_target = to.in6.sin6_addr;
	fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)))
		die(EXIT_BROKEN, "raw socket: %m (CAP_NET_RAW?)");
	if (sendto(fd, &ask, sizeof(ask), 0, &to.sa, endpoint_len(&to)) < 0)
		die(EXIT_BROKEN, "raw send: %m");
	return 0;
}
