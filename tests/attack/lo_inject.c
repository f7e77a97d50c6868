/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lo_inject: a SYN put on lo by a packet socket, which passes no output hook. Says what came back:
 * "synack" (a listener took it), "rst" (nobody listens, or a reject), "silent". Exit 0, 10, 11.
 * The kernel takes such a packet for ::1 and drops it as martian for 127.0.0.0/8.
 */
#include "packet.h"

int main(int argc, char **argv)
{
	struct segment segment = { .flags = TH_SYN, .seq = 4242 };
	struct seen seen;
	int sniffer, injector;
	int64_t deadline;

	if (argc != 3)
		die(EXIT_USAGE, "usage: lo_inject SRC:SPORT DST:DPORT");
	endpoint_parse(argv[1], &segment.from);
	endpoint_parse(argv[2], &segment.to);
	sniffer = packet_socket("lo", SOCK_DGRAM);
	injector = packet_socket("lo", SOCK_RAW);
	lo_send(injector, &segment);
	deadline = now_ms() + 1000;
	while (sniff_tcp(sniffer, deadline, &seen)) {
		if (endpoint_port(&seen.from) != endpoint_port(&segment.to) ||
		    endpoint_port(&seen.to) != endpoint_port(&segment.from))
			continue;
		if (ntohl(seen.tcp.th_ack) != segment.seq + 1)
			continue;
		puts(seen.tcp.th_flags & TH_RST ? "rst" : "synack");
		return seen.tcp.th_flags & TH_RST ? 10 : 0;
	}
	puts("silent");
	return 11;
}
