/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rawsyn: a bare SYN with a wrong checksum, by a raw socket. No socket ever takes it, but connection
 * tracking has an entry from then on, and whatever DST:DPORT sends to SRC:SPORT is its "reply":
 *
 *   rawsyn 127.0.0.1:10998 127.0.0.1:40000
 *   dial --from 127.0.0.1:40000 127.0.0.1:10998
 */
#include "packet.h"

int main(int argc, char **argv)
{
	struct segment segment = { .flags = TH_SYN, .seq = 1000, .bad_checksum = true };

	if (argc > 1 && !strcmp(argv[1], "--good")) {
		segment.bad_checksum = false;
		argc--;
		argv++;
	}
	if (argc != 3)
		die(EXIT_USAGE, "usage: rawsyn [--good] SRC:SPORT DST:DPORT");
	endpoint_parse(argv[1], &segment.from);
	endpoint_parse(argv[2], &segment.to);
	if (segment.from.sa.sa_family != segment.to.sa.sa_family)
		die(EXIT_USAGE, "both ends must be of one family");
	raw_send(raw_socket(segment.from.sa.sa_family), &segment);
	return 0;
}
