/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * l2say: one frame with everything in it as told, by a packet socket.
 *
 *   l2say [--hbh|--fragment|--offset N] IF SMAC DMAC ip SRC DST PROTOCOL HOPS BODY…
 *   l2say IF SMAC DMAC raw ETHERTYPE [BODY…]
 *
 * BODY: words put behind each other, each an IPv4 or IPv6 address, a MAC, or hexadecimal digits. ICMP,
 * IGMP, PIM and ICMPv6 get their checksum at its place (bytes 2 and 3). --hbh puts a hop-by-hop header
 * with a router alert before the body, --fragment a fragment header of a whole packet (both IPv6);
 * --offset makes it an IPv4 fragment that begins there, in units of 8 bytes.
 */
#include "packet.h"

#define PIM 103

struct say {
	uint8_t frame[PACKET_MAX];
	size_t size;
	bool hbh, fragment;
	uint16_t offset;
};

static void put(struct say *say, const void *bytes, size_t n)
{
	if (say->size + n > sizeof(say->frame))
		die(EXIT_USAGE, "too long for a frame");
	memcpy(say->frame + say->size, bytes, n);
	say->size += n;
}

static bool put_mac(struct say *say, const char *word)
{
	uint8_t mac[6];
	int end = 0;

	if (sscanf(word, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &end) != 6 ||
	    word[end])
		return false;
	put(say, mac, sizeof(mac));
	return true;
}

static void put_word(struct say *say, const char *word)
{
	struct in6_addr six;
	struct in_addr four;
	uint8_t byte;

	if (put_mac(say, word))
		return;
	if (inet_pton(AF_INET6, word, &six) == 1) {
		put(say, &six, sizeof(six));
	} else if (inet_pton(AF_INET, word, &four) == 1) {
		put(say, &four, sizeof(four));
	} else {
		for (size_t i = 0; i < strlen(word); i += 2) {
			if (sscanf(word + i, "%2hhx", &byte) != 1)
				die(EXIT_USAGE, "'%s' is not hexadecimal", word);
			put(say, &byte, 1);
		}
	}
}

static void put_body(struct say *say, char **words)
{
	for (; *words; words++)
		put_word(say, *words);
}

static void mend_checksum(struct say *say, size_t at, const struct segment *segment,
			  uint8_t protocol)
{
	size_t size = say->size - at;
	uint32_t sum = 0;
	uint16_t end;

	if (size < 4 || (protocol != IPPROTO_ICMP && protocol != IPPROTO_IGMP && protocol != PIM &&
			 protocol != IPPROTO_ICMPV6))
		return;
	if (segment->from.sa.sa_family == AF_INET6)
		sum = pseudo_header(segment, protocol, size);
	end = checksum_end(checksum_add(sum, say->frame + at, size));
	memcpy(say->frame + at + 2, &end, sizeof(end));
}

/* The IP header is written last, over the room left for it: it says how long the rest is. */
static void put_packet(struct say *say, char **args)
{
	uint8_t protocol = (uint8_t)parse_number(args[2], 0, 255), first = protocol;
	uint8_t hops = (uint8_t)parse_number(args[3], 1, 255);
	struct segment segment = { 0 };
	size_t at = say->size, header, body;
	struct iphdr four;

	endpoint_parse_addr(args[0], &segment.from);
	endpoint_parse_addr(args[1], &segment.to);
	header = segment.from.sa.sa_family == AF_INET ? 20 : 40;
	say->size += header;
	if (say->hbh)
		put(say, (uint8_t[8]){ protocol, 0, 5, 2, 0, 0, 1, 0 }, 8);
	if (say->fragment)
		put(say, (uint8_t[8]){ protocol, 0, 0, 0, 0, 0, 0, 7 }, 8);
	first = say->hbh ? 0 : say->fragment ? 44 : protocol;
	body = say->size;
	put_body(say, args + 4);
	mend_checksum(say, body, &segment, protocol);
	put_ip(say->frame + at, &segment, first, say->size - at - header);
	if (header == 40) {
		say->frame[at + 7] = hops;
		return;
	}
	memcpy(&four, say->frame + at, sizeof(four));
	four.ttl = hops;
	four.frag_off = htons(say->offset);
	four.check = 0;
	four.check = checksum_end(checksum_add(0, &four, sizeof(four)));
	memcpy(say->frame + at, &four, sizeof(four));
}

static int options(int argc, char **argv, struct say *say)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--hbh"))
			say->hbh = true;
		else if (!strcmp(argv[i], "--fragment"))
			say->fragment = true;
		else if (!strcmp(argv[i], "--offset") && i + 1 < argc)
			say->offset = (uint16_t)parse_number(argv[++i], 1, 8191);
		else
			die(EXIT_USAGE, "no option '%s'", argv[i]);
	}
	return i;
}

int main(int argc, char **argv)
{
	struct say say = { 0 };
	int i = options(argc, argv, &say), fd;
	uint16_t type;

	if (argc - i < 5)
		die(EXIT_USAGE, "usage: l2say [--hbh|--fragment|--offset N] IF SMAC DMAC ip|raw …");
	if (!put_mac(&say, argv[i + 2]) || !put_mac(&say, argv[i + 1]))
		die(EXIT_USAGE, "'%s', '%s': two MACs", argv[i + 1], argv[i + 2]);
	if (!strcmp(argv[i + 3], "ip") && argc - i >= 9) {
		type = htons(strchr(argv[i + 4], ':') ? ETH_P_IPV6 : ETH_P_IP);
		put(&say, &type, sizeof(type));
		put_packet(&say, argv + i + 4);
	} else if (!strcmp(argv[i + 3], "raw")) {
		type = htons((uint16_t)parse_number(argv[i + 4], 0, 0xffff));
		put(&say, &type, sizeof(type));
		put_body(&say, argv + i + 5);
	} else {
		die(EXIT_USAGE, "'%s': see the head of l2say.c for the arguments", argv[i + 3]);
	}
	fd = packet_socket(argv[i], SOCK_RAW);
	if (send(fd, say.frame, say.size, 0) < 0)
		die(EXIT_BROKEN, "packet send: %m");
	return 0;
}
