/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * icmperror: "port unreachable" about a datagram that somebody else sent, which ends the exchange for
 * whoever asked: conntrack calls it related. With --to it goes to another address than the
 * datagram's sender, and conntrack calls it invalid; the kernel believes it all the same.
 *
 *   icmperror [--to ADDR] SENDER:PORT RECEIVER:PORT
 *
 * Exit 0: sent, 10: output did not let it go.
 */
#include "packet.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

/* The kernel puts ICMPv6's checksum in. */
static size_t put_error(uint8_t *error, const struct segment *about)
{
	struct icmphdr four = { .type = ICMP_DEST_UNREACH, .code = ICMP_PORT_UNREACH };
	struct icmp6_hdr six = { .icmp6_type = ICMP6_DST_UNREACH,
				 .icmp6_code = ICMP6_DST_UNREACH_NOPORT };
	size_t size = sizeof(four) + put_udp(error + sizeof(four), about);

	if (about->from.sa.sa_family == AF_INET6) {
		memcpy(error, &six, sizeof(six));
		return size;
	}
	memcpy(error, &four, sizeof(four));
	four.checksum = checksum_end(checksum_add(0, error, size));
	memcpy(error, &four, sizeof(four));
	return size;
}

int main(int argc, char **argv)
{
	static const uint8_t zero[8];
	struct segment about = { .data = zero, .data_n = sizeof(zero) };
	uint8_t error[PACKET_MAX];
	union endpoint to = { 0 };
	size_t size;
	int fd;

	if (argc > 2 && !strcmp(argv[1], "--to")) {
		endpoint_parse_addr(argv[2], &to);
		argc -= 2;
		argv += 2;
	}
	if (argc != 3)
		die(EXIT_USAGE, "usage: icmperror [--to ADDR] SENDER:PORT RECEIVER:PORT");
	endpoint_parse(argv[1], &about.from);
	endpoint_parse(argv[2], &about.to);
	size = put_error(error, &about);
	if (!to.sa.sa_family)
		to = about.from;
	endpoint_set_port(&to, 0);
	fd = socket(to.sa.sa_family, SOCK_RAW | SOCK_CLOEXEC,
		    to.sa.sa_family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (fd < 0)
		die(EXIT_BROKEN, "raw socket: %m (CAP_NET_RAW?)");
	if (sendto(fd, error, size, 0, &to.sa, endpoint_len(&to)) >= 0)
		return 0;
	if (errno != EPERM)
		die(EXIT_BROKEN, "raw send: %m");
	return 10;
}
