/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pieces: a datagram in IP fragments that hide what it is from who looks at one of them.
 *
 *   pieces tiny     SRC:SPORT DST:DPORT    the first holds the ports and nothing else
 *   pieces backward SRC:SPORT DST:DPORT    the same, the last one first
 *   pieces overlap  SRC:SPORT DST:DPORT    the first says port 53; another writes DPORT over it
 *
 * By a raw socket that leaves its fragments alone.
 */
#include "packet.h"

struct piece {
	size_t at, end; /* bytes of the payload, from a multiple of 8 */
	bool more;
};

static size_t put_piece4(uint8_t *out, const uint8_t *packet, const struct piece *piece)
{
	size_t size = put_fragment(out, packet, piece->at, piece->end);
	struct iphdr header;

	memcpy(&header, out, sizeof(header));
	header.frag_off = htons((uint16_t)(piece->at / 8 | (piece->more ? IP_MF : 0)));
	header.check = 0;
	header.check = checksum_end(checksum_add(0, &header, sizeof(header)));
	memcpy(out, &header, sizeof(header));
	return size;
}

static size_t put_piece6(uint8_t *out, const uint8_t *packet, const struct piece *piece)
{
	struct ip6_hdr header;
	struct ip6_frag fragment = { .ip6f_ident = htonl(4711) };
	size_t n = piece->end - piece->at;

	memcpy(&header, packet, sizeof(header));
	fragment.ip6f_nxt = header.ip6_nxt;
	fragment.ip6f_offlg = htons((uint16_t)(piece->at | piece->more));
	header.ip6_nxt = IPPROTO_FRAGMENT;
	header.ip6_plen = htons((uint16_t)(sizeof(fragment) + n));
	memcpy(out, &header, sizeof(header));
	memcpy(out + sizeof(header), &fragment, sizeof(fragment));
	memcpy(out + sizeof(header) + sizeof(fragment), packet + sizeof(header) + piece->at, n);
	return sizeof(header) + sizeof(fragment) + n;
}

static void send_piece(const struct segment *segment, const uint8_t *packet,
		       const struct piece *piece)
{
	bool four = segment->from.sa.sa_family == AF_INET;
	int fd = four ? fragment_socket() : raw_socket(AF_INET6);
	union endpoint to = segment->to;
	uint8_t out[PACKET_MAX];
	size_t n = (four ? put_piece4 : put_piece6)(out, packet, piece);

	endpoint_set_port(&to, 0);
	if (sendto(fd, out, n, 0, &to.sa, endpoint_len(&to)) < 0)
		die(EXIT_BROKEN, "send: %m");
	close(fd);
}

int main(int argc, char **argv)
{
	static const uint8_t zero[24];
	static const struct piece tiny[] = { { 0, 8, true }, { 8, 32, false } };
	static const struct piece overlap[] = { { 0, 16, true },
						{ 0, 8, true },
						{ 16, 32, false } };
	struct segment segment = { .data = zero, .data_n = sizeof(zero) };
	uint8_t packet[PACKET_MAX], lie[PACKET_MAX];

	if (argc != 4)
		die(EXIT_USAGE, "usage: pieces tiny|backward|overlap SRC:SPORT DST:DPORT");
	endpoint_parse(argv[2], &segment.from);
	endpoint_parse(argv[3], &segment.to);
	srand(1);
	put_udp(packet, &segment);
	endpoint_set_port(&segment.to, 53);
	srand(1); /* the same identification */
	put_udp(lie, &segment);
	if (!strcmp(argv[1], "overlap")) {
		send_piece(&segment, lie, &overlap[0]);
		send_piece(&segment, packet, &overlap[1]);
		send_piece(&segment, packet, &overlap[2]);
		return 0;
	}
	send_piece(&segment, packet, &tiny[!strcmp(argv[1], "backward")]);
	send_piece(&segment, packet, &tiny[strcmp(argv[1], "backward") != 0]);
	return 0;
}
