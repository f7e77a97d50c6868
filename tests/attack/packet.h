/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets made by hand for the attack tools: IPv4 or IPv6 with TCP or UDP, with a right or a
 * deliberately wrong checksum, sent past the kernel's own sockets.
 */
#pragma once

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include "../host/tools/tool.h"

#define PACKET_MAX 1514

struct segment {
	union endpoint from, to;
	uint32_t seq, ack;
	uint8_t flags; /* TH_SYN … */
	bool bad_checksum;
	const void *data;
	size_t data_n;
};

static inline uint32_t checksum_add(uint32_t sum, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	if (size & 1)
		sum += (uint32_t)bytes[size - 1] << 8;
	return sum;
}

static inline uint16_t checksum_end(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static inline uint32_t pseudo_header(const struct segment *segment, uint8_t protocol, size_t size)
{
	uint32_t sum = protocol + (uint32_t)size;

	if (segment->from.sa.sa_family == AF_INET) {
		sum = checksum_add(sum, &segment->from.in.sin_addr, 4);
		return checksum_add(sum, &segment->to.in.sin_addr, 4);
	}
	sum = checksum_add(sum, &segment->from.in6.sin6_addr, 16);
	return checksum_add(sum, &segment->to.in6.sin6_addr, 16);
}

/* Writes the IP header for @size bytes of payload. Returns its length. */
static inline size_t put_ip(uint8_t *packet, const struct segment *segment, uint8_t protocol,
			    size_t size)
{
	struct iphdr four = { .version = 4, .ihl = 5, .ttl = 64, .protocol = protocol };
	struct ip6_hdr six = { .ip6_nxt = protocol, .ip6_hops = 64 };

	if (segment->from.sa.sa_family == AF_INET) {
		four.tot_len = htons((uint16_t)(sizeof(four) + size));
		four.id = htons((uint16_t)rand());
		four.saddr = segment->from.in.sin_addr.s_addr;
		four.daddr = segment->to.in.sin_addr.s_addr;
		four.check = checksum_end(checksum_add(0, &four, sizeof(four)));
		memcpy(packet, &four, sizeof(four));
		return sizeof(four);
	}
	six.ip6_vfc = 6 << 4;
	six.ip6_plen = htons((uint16_t)size);
	six.ip6_src = segment->from.in6.sin6_addr;
	six.ip6_dst = segment->to.in6.sin6_addr;
	memcpy(packet, &six, sizeof(six));
	return sizeof(six);
}

/* Returns the packet's length. */
static inline size_t put_tcp(uint8_t *packet, const struct segment *segment)
{
	struct tcphdr tcp = { 0 };
	size_t size = sizeof(tcp) + segment->data_n, at;
	uint32_t sum;

	tcp.th_sport = htons(endpoint_port(&segment->from));
	tcp.th_dport = htons(endpoint_port(&segment->to));
	tcp.th_seq = htonl(segment->seq);
	tcp.th_ack = htonl(segment->ack);
	tcp.th_off = 5;
	tcp.th_flags = segment->flags;
	tcp.th_win = htons(64240);
	sum = checksum_add(pseudo_header(segment, IPPROTO_TCP, size), &tcp, sizeof(tcp));
	tcp.th_sum = checksum_end(checksum_add(sum, segment->data, segment->data_n));
	if (segment->bad_checksum)
		tcp.th_sum ^= 0x5555;
	at = put_ip(packet, segment, IPPROTO_TCP, size);
	memcpy(packet + at, &tcp, sizeof(tcp));
	if (segment->data_n)
		memcpy(packet + at + sizeof(tcp), segment->data, segment->data_n);
	return at + size;
}

static inline size_t put_udp(uint8_t *packet, const struct segment *segment)
{
	struct udphdr udp = { 0 };
	size_t size = sizeof(udp) + segment->data_n, at;
	uint32_t sum;

	udp.source = htons(endpoint_port(&segment->from));
	udp.dest = htons(endpoint_port(&segment->to));
	udp.len = htons((uint16_t)size);
	sum = checksum_add(pseudo_header(segment, IPPROTO_UDP, size), &udp, sizeof(udp));
	udp.check = checksum_end(checksum_add(sum, segment->data, segment->data_n));
	at = put_ip(packet, segment, IPPROTO_UDP, size);
	memcpy(packet + at, &udp, sizeof(udp));
	if (segment->data_n)
		memcpy(packet + at + sizeof(udp), segment->data, segment->data_n);
	return at + size;
}

/* A raw socket that takes whole packets of this family; the output hook sees what it sends. */
static inline int raw_socket(int family)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	if (fd < 0)
		die(EXIT_BROKEN, "raw socket: %m (CAP_NET_RAW?)");
	return fd;
}

/* Returns whether the output hook let it go. */
static inline bool raw_send(int fd, const struct segment *segment)
{
	uint8_t packet[PACKET_MAX];
	size_t size = put_tcp(packet, segment);
	union endpoint to = segment->to;

	endpoint_set_port(&to, 0);
	if (sendto(fd, packet, size, 0, &to.sa, endpoint_len(&to)) >= 0)
		return true;
	if (errno != EPERM) /* a firewall's drop: an answer, not a failure of the tool */
		die(EXIT_BROKEN, "raw send: %m");
	return false;
}

/* Puts a packet on lo by a packet socket that is bound to it: past every output hook. */
static inline void lo_send(int fd, const struct segment *segment)
{
	uint8_t frame[PACKET_MAX] = { 0 };
	bool four = segment->from.sa.sa_family == AF_INET;
	uint16_t type = htons(four ? ETH_P_IP : ETH_P_IPV6);
	size_t size = put_tcp(frame + ETH_HLEN, segment);

	memcpy(frame + 12, &type, sizeof(type));
	if (send(fd, frame, ETH_HLEN + size, 0) < 0)
		die(EXIT_BROKEN, "packet send: %m");
}

/* A raw socket whose IPv4 fragments leave as they are: conntrack does not put them together in
 * output, which takes no privilege beyond the socket's. */
static inline int fragment_socket(void)
{
	int fd = raw_socket(AF_INET), one = 1;

	if (setsockopt(fd, IPPROTO_IP, IP_NODEFRAG, &one, sizeof(one)))
		die(EXIT_BROKEN, "IP_NODEFRAG: %m");
	return fd;
}

/* Bytes @at to @end of an IPv4 packet's payload as a fragment. Returns its length. */
static inline size_t put_fragment(uint8_t *fragment, const uint8_t *packet, size_t at, size_t end)
{
	struct iphdr header;
	size_t size;

	memcpy(&header, packet, sizeof(header));
	size = ntohs(header.tot_len) - sizeof(header);
	header.frag_off = htons((uint16_t)(at / 8 | (end < size ? IP_MF : 0)));
	header.tot_len = htons((uint16_t)(sizeof(header) + end - at));
	header.check = 0;
	header.check = checksum_end(checksum_add(0, &header, sizeof(header)));
	memcpy(fragment, &header, sizeof(header));
	memcpy(fragment + sizeof(header), packet + sizeof(header) + at, end - at);
	return sizeof(header) + end - at;
}

/* A TCP packet (IPv4) in two fragments, the first with no more than ports and sequence number. The
 * first goes by the packet socket @lo (-1: by a raw socket too), the second by a raw socket, whose
 * route the whole packet has in the end. Returns whether the output hook let them go. */
static inline bool pieces_send(const struct segment *segment, int lo)
{
	uint8_t packet[PACKET_MAX], piece[PACKET_MAX], frame[PACKET_MAX] = { [12] = 8 };
	size_t size = put_tcp(packet, segment) - sizeof(struct iphdr), n;
	union endpoint to = segment->to;
	int fd = fragment_socket();

	endpoint_set_port(&to, 0);
	n = put_fragment(piece, packet, 0, 8);
	memcpy(frame + ETH_HLEN, piece, n);
	if (lo >= 0 ? send(lo, frame, ETH_HLEN + n, 0) < 0
		    : sendto(fd, piece, n, 0, &to.sa, endpoint_len(&to)) < 0)
		return false;
	n = put_fragment(piece, packet, 8, size);
	return sendto(fd, piece, n, 0, &to.sa, endpoint_len(&to)) >= 0;
}

/* A packet socket on @interface for all protocols. @type: SOCK_RAW, or SOCK_DGRAM (no Ethernet). */
static inline int packet_socket(const char *interface, int type)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, type | SOCK_CLOEXEC, htons(ETH_P_ALL));

	if (fd < 0)
		die(EXIT_BROKEN, "packet socket: %m (CAP_NET_RAW?)");
	addr.sll_ifindex = (int)if_nametoindex(interface);
	if (!addr.sll_ifindex)
		die(EXIT_USAGE, "no interface '%s'", interface);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(EXIT_BROKEN, "%s: %m", interface);
	return fd;
}

struct seen {
	union endpoint from, to;
	struct tcphdr tcp;
	size_t data_n;
	char data[64]; /* its beginning, terminated */
};

static inline bool same_end(const union endpoint *a, const union endpoint *b)
{
	if (a->sa.sa_family != b->sa.sa_family || endpoint_port(a) != endpoint_port(b))
		return false;
	return a->sa.sa_family == AF_INET ? a->in.sin_addr.s_addr == b->in.sin_addr.s_addr
					  : !memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16);
}

static inline void parse_data(const uint8_t *packet, size_t size, struct seen *seen)
{
	size_t at = (packet[0] >> 4 == 4 ? (packet[0] & 15) * 4u : 40) + seen->tcp.th_off * 4u;
	/* what the header says: short frames are padded */
	size_t end = packet[0] >> 4 == 4 ? (size_t)packet[2] << 8 | packet[3]
					 : 40 + ((size_t)packet[4] << 8 | packet[5]);

	if (end > size || at >= end)
		return;
	seen->data_n = end - at;
	snprintf(seen->data, sizeof(seen->data), "%.*s", (int)seen->data_n,
		 (const char *)packet + at);
}

/* Reads IP and TCP out of @packet. Returns whether that is what it is. */
static inline bool parse_tcp(const uint8_t *packet, size_t size, struct seen *seen)
{
	size_t at;

	memset(seen, 0, sizeof(*seen));
	if (size >= 20 && packet[0] >> 4 == 4 && packet[9] == IPPROTO_TCP) {
		at = (packet[0] & 15) * 4u;
		seen->from.sa.sa_family = seen->to.sa.sa_family = AF_INET;
		memcpy(&seen->from.in.sin_addr, packet + 12, 4);
		memcpy(&seen->to.in.sin_addr, packet + 16, 4);
	} else if (size >= 40 && packet[0] >> 4 == 6 && packet[6] == IPPROTO_TCP) {
		at = 40;
		seen->from.sa.sa_family = seen->to.sa.sa_family = AF_INET6;
		memcpy(&seen->from.in6.sin6_addr, packet + 8, 16);
		memcpy(&seen->to.in6.sin6_addr, packet + 24, 16);
	} else {
		return false;
	}
	if (size < at + sizeof(seen->tcp))
		return false;
	memcpy(&seen->tcp, packet + at, sizeof(seen->tcp));
	endpoint_set_port(&seen->from, ntohs(seen->tcp.th_sport));
	endpoint_set_port(&seen->to, ntohs(seen->tcp.th_dport));
	parse_data(packet, size, seen);
	return true;
}

/* Receives one TCP packet sent on the interface. Returns false at the deadline. */
static inline bool sniff_tcp(int fd, int64_t deadline, struct seen *ret_seen)
{
	uint8_t packet[65536];
	struct sockaddr_ll from;
	socklen_t len;
	ssize_t n;

	for (int64_t left = deadline - now_ms(); left > 0; left = deadline - now_ms()) {
		struct timeval wait = { .tv_sec = left / 1000, .tv_usec = left % 1000 * 1000 };

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		len = sizeof(from);
		n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &len);
		/* Each packet on lo is seen twice: count its way out only. */
		if (n > 0 && from.sll_pkttype == PACKET_OUTGOING &&
		    parse_tcp(packet, (size_t)n, ret_seen))
			return true;
	}
	return false;
}
