/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rawreply: answers in a server's place. It watches lo for a SYN to PORT, sends the SYN-ACK by a raw
 * socket as if the server had, and after the handshake a banner. It wins where the SYN itself gets
 * no answer (the server is away and a firewall drops rather than rejects). --fin adds a FIN to the
 * SYN-ACK: clients take it, conntrack calls it invalid.
 *
 * Prints "answered" at the SYN and "believed" when the client's third packet came. Exit 0: believed,
 * 10: a SYN was answered but not believed, 11: no SYN seen.
 */
#include "packet.h"

#define ISN 7000

static bool handshake(int sniffer, const struct segment *answer, int64_t deadline,
		      struct seen *ret_ack)
{
	while (sniff_tcp(sniffer, deadline, ret_ack))
		if (endpoint_port(&ret_ack->to) == endpoint_port(&answer->from) &&
		    endpoint_port(&ret_ack->from) == endpoint_port(&answer->to) &&
		    ret_ack->tcp.th_flags == TH_ACK && ntohl(ret_ack->tcp.th_ack) == ISN + 1)
			return true;
	return false;
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
	struct segment segment = { .flags = TH_SYN | TH_ACK, .seq = ISN };
	struct seen seen;
	char banner[64];
	int64_t deadline;
	int sniffer, raw;

	if (argc > 1 && !strcmp(argv[1], "--fin")) {
		segment.flags |= TH_FIN;
		argc--;
		argv++;
	}
	if (argc != 4)
		die(EXIT_USAGE, "usage: rawreply [--fin] PORT BANNER SECONDS");
	sniffer = packet_socket("lo", SOCK_DGRAM);
	deadline = now_ms() + parse_number(argv[3], 1, 600) * 1000;
	if (!wait_syn(sniffer, (uint16_t)parse_number(argv[1], 1, 65535), deadline, &seen))
		return 11;
	raw = raw_socket(seen.from.sa.sa_family);
	segment.from = seen.to;
	segment.to = seen.from;
	segment.ack = ntohl(seen.tcp.th_seq) + 1;
	raw_send(raw, &segment);
	puts("answered");
	fflush(stdout);
	if (!handshake(sniffer, &segment, deadline, &seen))
		return 10;
	segment.seq = ISN + 1;
	segment.flags = TH_ACK | TH_PUSH;
	segment.data_n = (size_t)snprintf(banner, sizeof(banner), "%.60s\n", argv[2]);
	segment.data = banner;
	raw_send(raw, &segment);
	puts("believed");
	return 0;
}
