/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lo_dial: a whole TCP dialogue by frames on lo, in the name of an address that nobody has: the
 * answers leave by IF, where they are read.
 *
 *   lo_dial IF plain|hole|closed SRC:SPORT DST:DPORT
 *
 *   plain   just that
 *   hole    after a raw SYN from DST to SRC: the dialogue is a "reply" to conntrack
 *   closed  after that and a SYN-ACK from SRC, which DST resets: the dialogue is "invalid"
 *
 * Prints "open:BANNER", "mute" (a connection, and no word), "rst" or "silent". Exit 0, 0, 10, 11.
 */
#include "packet.h"

#define ISN 100

struct dialogue {
	struct segment segment; /* from us to the server */
	int lo, sniffer;
};

/* The next packet of the server's. */
static bool answer(const struct dialogue *dialogue, int64_t deadline, struct seen *ret_seen)
{
	while (sniff_tcp(dialogue->sniffer, deadline, ret_seen))
		if (same_end(&ret_seen->from, &dialogue->segment.to) &&
		    same_end(&ret_seen->to, &dialogue->segment.from) &&
		    ntohl(ret_seen->tcp.th_ack) > ISN)
			return true;
	return false;
}

static void make_hole(struct dialogue *dialogue, bool close_it)
{
	struct segment lie = {
		.from = dialogue->segment.to,
		.to = dialogue->segment.from,
		.flags = TH_SYN,
		.seq = 1,
		.bad_checksum = true,
	};

	raw_send(raw_socket(lie.from.sa.sa_family), &lie);
	if (!close_it)
		return;
	lie.from = dialogue->segment.from;
	lie.to = dialogue->segment.to;
	lie.flags = TH_SYN | TH_ACK;
	lie.seq = 50;
	lie.ack = 2;
	lie.bad_checksum = false;
	lo_send(dialogue->lo, &lie);
	usleep(50000); /* for the reset */
}

static int talk(struct dialogue *dialogue)
{
	struct segment *segment = &dialogue->segment;
	int64_t deadline = now_ms() + 600;
	struct seen seen;

	segment->flags = TH_SYN;
	segment->seq = ISN;
	lo_send(dialogue->lo, segment);
	if (!answer(dialogue, deadline, &seen)) {
		puts("silent");
		return 11;
	}
	if (!(seen.tcp.th_flags & TH_SYN)) {
		puts("rst");
		return 10;
	}
	segment->flags = TH_ACK;
	segment->seq = ISN + 1;
	segment->ack = ntohl(seen.tcp.th_seq) + 1;
	lo_send(dialogue->lo, segment);
	while (answer(dialogue, deadline, &seen))
		if (seen.data_n) {
			printf("open:%.*s\n", (int)strcspn(seen.data, "\n"), seen.data);
			return 0;
		}
	puts("mute");
	return 0;
}

int main(int argc, char **argv)
{
	struct dialogue dialogue = { 0 };

	if (argc != 5)
		die(EXIT_USAGE, "usage: lo_dial IF plain|hole|closed SRC:SPORT DST:DPORT");
	endpoint_parse(argv[3], &dialogue.segment.from);
	endpoint_parse(argv[4], &dialogue.segment.to);
	dialogue.lo = packet_socket("lo", SOCK_RAW);
	dialogue.sniffer = packet_socket(argv[1], SOCK_DGRAM);
	if (!strcmp(argv[2], "hole") || !strcmp(argv[2], "closed"))
		make_hole(&dialogue, !strcmp(argv[2], "closed"));
	return talk(&dialogue);
}
