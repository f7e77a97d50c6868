/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * l2spoof: frames with someone else's MAC or address, by a packet socket.
 *
 *   l2spoof IF udp  SMAC DMAC SRC:PORT DST:PORT   a datagram (8 zero bytes: sequence number 0)
 *   l2spoof IF syn  SMAC DMAC SRC:PORT DST:PORT   a bare SYN
 *   l2spoof IF arp  SMAC DMAC SRC DST             an ARP reply: SRC is at SMAC
 *   l2spoof IF na   SMAC DMAC SRC6 DST6           a neighbour advertisement: SRC6 is at SMAC
 *   l2spoof IF ra   SMAC DMAC SRC6 DST6           a router advertisement, lifetime 1800 s
 *   l2spoof IF raw  SMAC DMAC ETHERTYPE           32 bytes of no known protocol
 *   l2spoof IF listen ETHERTYPE SECONDS           prints how many such frames came in
 *
 * --tag TYPE before IF puts an empty tag of that type (0x8100, 0x88a8) before the frame's own type;
 * --snap makes it an 802.3 frame with LLC and SNAP. --by WAY before them: "bypass" leaves queueing
 * out (PACKET_QDISC_BYPASS), "xdp" sends by an XDP socket, a TYPE (0x8100) tells the kernel that the
 * frame is of another type than it says.
 */
#include <net/if_arp.h>
#include <netinet/icmp6.h>

#include "packet.h"
#include "xdp.h"

struct frame {
	uint8_t bytes[PACKET_MAX + 8];
	size_t size;
};

static void insert(struct frame *frame, const void *bytes, size_t n)
{
	memmove(frame->bytes + 12 + n, frame->bytes + 12, frame->size - 12);
	memcpy(frame->bytes + 12, bytes, n);
	frame->size += n;
}

/* @wrap: 0 for none, an ethertype, or 1 for LLC and SNAP, whose head is a length. */
static void wrap_frame(struct frame *frame, uint16_t wrap)
{
	uint16_t tag[2] = { htons(wrap) };
	uint8_t snap[8] = { 0, 0, 0xaa, 0xaa, 3 };
	size_t size = frame->size - 12 + 6;

	if (wrap == 1) {
		snap[0] = (uint8_t)(size >> 8);
		snap[1] = (uint8_t)size;
		insert(frame, snap, sizeof(snap));
	} else if (wrap) {
		insert(frame, tag, sizeof(tag));
	}
}

static void parse_mac(const char *text, uint8_t *mac)
{
	int end = 0;

	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%n", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5], &end) != 6 ||
	    text[end])
		die(EXIT_USAGE, "'%s' is not a MAC", text);
}

static void put_ethernet(struct frame *frame, char **macs, uint16_t type)
{
	parse_mac(macs[0], frame->bytes + 6);
	parse_mac(macs[1], frame->bytes);
	type = htons(type);
	memcpy(frame->bytes + 12, &type, sizeof(type));
	frame->size = ETH_HLEN;
}

static void make_segment(struct frame *frame, char **args, bool udp)
{
	static const uint8_t zero[8];
	struct segment segment = { .flags = TH_SYN, .seq = 99, .data = zero };

	endpoint_parse(args[2], &segment.from);
	endpoint_parse(args[3], &segment.to);
	segment.data_n = udp ? sizeof(zero) : 0;
	put_ethernet(frame, args, segment.from.sa.sa_family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
	frame->size += (udp ? put_udp : put_tcp)(frame->bytes + ETH_HLEN, &segment);
}

static void make_arp(struct frame *frame, char **args)
{
	struct arphdr header = {
		.ar_hrd = htons(ARPHRD_ETHER),
		.ar_pro = htons(ETH_P_IP),
		.ar_hln = 6,
		.ar_pln = 4,
		.ar_op = htons(ARPOP_REPLY),
	};
	uint8_t *at = frame->bytes + ETH_HLEN + sizeof(header);
	union endpoint from, to;

	put_ethernet(frame, args, ETH_P_ARP);
	endpoint_parse_addr(args[2], &from);
	endpoint_parse_addr(args[3], &to);
	memcpy(frame->bytes + ETH_HLEN, &header, sizeof(header));
	memcpy(at, frame->bytes + 6, 6);
	memcpy(at + 6, &from.in.sin_addr, 4);
	memcpy(at + 10, frame->bytes, 6);
	memcpy(at + 16, &to.in.sin_addr, 4);
	frame->size += sizeof(header) + 20;
}

/* Advertisement with a link-layer address option; @type ND_NEIGHBOR_ADVERT or ND_ROUTER_ADVERT. */
static void make_advertisement(struct frame *frame, char **args, uint8_t type)
{
	struct segment segment = { 0 };
	uint8_t body[32] = { type };
	size_t size = type == ND_NEIGHBOR_ADVERT ? 32 : 24, at;
	uint16_t sum;

	put_ethernet(frame, args, ETH_P_IPV6);
	endpoint_parse_addr(args[2], &segment.from);
	endpoint_parse_addr(args[3], &segment.to);
	if (type == ND_NEIGHBOR_ADVERT) {
		body[4] = 0x60; /* solicited, override */
		memcpy(body + 8, &segment.from.in6.sin6_addr, 16);
		body[24] = ND_OPT_TARGET_LINKADDR;
	} else {
		body[4] = 64;
		body[6] = 1800 >> 8;
		body[7] = 1800 & 255;
		body[16] = ND_OPT_SOURCE_LINKADDR;
	}
	body[size - 7] = 1;
	memcpy(body + size - 6, frame->bytes + 6, 6);
	sum = checksum_end(checksum_add(pseudo_header(&segment, IPPROTO_ICMPV6, size), body, size));
	memcpy(body + 2, &sum, sizeof(sum));
	at = put_ip(frame->bytes + ETH_HLEN, &segment, IPPROTO_ICMPV6, size);
	frame->bytes[ETH_HLEN + 7] = 255; /* hop limit: a neighbour's, else it is not heard */
	memcpy(frame->bytes + ETH_HLEN + at, body, size);
	frame->size += at + size;
}

static int listen_for(const char *interface, uint16_t type, long seconds)
{
	int fd = packet_socket(interface, SOCK_RAW);
	int64_t end = now_ms() + seconds * 1000;
	struct timeval wait = { .tv_usec = 50000 };
	uint8_t frame[2048];
	unsigned int count = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	while (now_ms() < end) {
		struct sockaddr_ll from;
		socklen_t len = sizeof(from);

		if (recvfrom(fd, frame, sizeof(frame), 0, (struct sockaddr *)&from, &len) < 0)
			continue;
		count += from.sll_pkttype != PACKET_OUTGOING && ntohs(from.sll_protocol) == type;
	}
	printf("frames=%u\n", count);
	return 0;
}

static void make(struct frame *frame, const char *kind, char **args, int args_n)
{
	if (args_n == 4 && (!strcmp(kind, "udp") || !strcmp(kind, "syn")))
		make_segment(frame, args, !strcmp(kind, "udp"));
	else if (args_n == 4 && !strcmp(kind, "arp"))
		make_arp(frame, args);
	else if (args_n == 4 && !strcmp(kind, "na"))
		make_advertisement(frame, args, ND_NEIGHBOR_ADVERT);
	else if (args_n == 4 && !strcmp(kind, "ra"))
		make_advertisement(frame, args, ND_ROUTER_ADVERT);
	else if (args_n == 3 && !strcmp(kind, "raw")) {
		put_ethernet(frame, args, (uint16_t)parse_number(args[2], 0x600, 0xffff));
		frame->size += 46;
	} else {
		die(EXIT_USAGE, "%s: see the head of l2spoof.c for the arguments", kind);
	}
}

static void send_by(const char *way, const char *interface, const struct frame *frame)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)if_nametoindex(interface),
		.sll_halen = 6,
	};
	int fd, one = 1;

	if (way && !strcmp(way, "xdp")) {
		xdp_send(interface, frame->bytes, frame->size);
		return;
	}
	fd = packet_socket(interface, SOCK_RAW);
	if (way && !strcmp(way, "bypass")) {
		if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
			die(EXIT_BROKEN, "PACKET_QDISC_BYPASS: %m");
		way = NULL;
	}
	if (way)
		to.sll_protocol = htons((uint16_t)parse_number(way, 0, 0xffff));
	if (sendto(fd, frame->bytes, frame->size, 0, way ? (struct sockaddr *)&to : NULL,
		   way ? sizeof(to) : 0) < 0 &&
	    errno != ENOBUFS) /* the egress hook's drop */
		die(EXIT_BROKEN, "packet send: %m");
}

int main(int argc, char **argv)
{
	struct frame frame = { 0 };
	const char *way = NULL;
	uint16_t wrap = 0;

	if (argc > 2 && !strcmp(argv[1], "--by")) {
		way = argv[2];
		argc -= 2;
		argv += 2;
	}
	if (argc > 1 && !strcmp(argv[1], "--snap")) {
		wrap = 1;
		argc--;
		argv++;
	} else if (argc > 2 && !strcmp(argv[1], "--tag")) {
		wrap = (uint16_t)parse_number(argv[2], 0x600, 0xffff);
		argc -= 2;
		argv += 2;
	}
	if (argc < 5)
		die(EXIT_USAGE, "usage: l2spoof IF udp|syn|arp|na|ra|raw|listen …");
	if (!strcmp(argv[2], "listen"))
		return listen_for(argv[1], (uint16_t)parse_number(argv[3], 0, 0xffff),
				  parse_number(argv[4], 1, 600));
	make(&frame, argv[2], argv + 3, argc - 3);
	wrap_frame(&frame, wrap);
	send_by(way, argv[1], &frame);
	return 0;
}
