/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IP and MAC addresses as plain values: parse, print, compare. The unused bytes of an address are
 * always zero, so that equal addresses are equal bytes and can be keys of sets. Parsing is strict:
 * an address that two programs could read in two ways (leading zeros, zones, prefixes, short forms)
 * is refused, never guessed.
 */
#include "jobfence/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

int ip_addr_parse(const char *text, struct ip_addr *ret_addr)
{
	struct ip_addr addr = { .family = AF_INET };

	if (!text)
		return -EINVAL;
	if (strchr(text, ':'))
		addr.family = AF_INET6;
	if (inet_pton(addr.family, text, addr.bytes) != 1)
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int mac_addr_parse(const char *text, struct mac_addr *ret_mac)
{
	struct mac_addr mac = { 0 };

	if (!text || strlen(text) != MAC_ADDR_TEXT_MAX - 1)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(mac.bytes); i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
		char end = i + 1 < sizeof(mac.bytes) ? ':' : '\0';

		if (high < 0 || low < 0 || text[3 * i + 2] != end)
			return -EINVAL;
		mac.bytes[i] = (uint8_t)(high << 4 | low);
	}
	*ret_mac = mac;
	return 0;
}

const char *ip_addr_text(const struct ip_addr *addr, char text[static IP_ADDR_TEXT_MAX])
{
	if (!ip_addr_is_set(addr) || !inet_ntop(addr->family, addr->bytes, text, IP_ADDR_TEXT_MAX))
		snprintf(text, IP_ADDR_TEXT_MAX, "-");
	return text;
}

const char *mac_addr_text(const struct mac_addr *mac, char text[static MAC_ADDR_TEXT_MAX])
{
	const uint8_t *b = mac->bytes;

	snprintf(text, MAC_ADDR_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
		 b[4], b[5]);
	return text;
}

bool ip_addr_is_set(const struct ip_addr *addr)
{
	return addr->family != AF_UNSPEC;
}

bool ip_addr_is_any(const struct ip_addr *addr)
{
	static const uint8_t zero[sizeof(addr->bytes)];

	return ip_addr_is_set(addr) && memcmp(addr->bytes, zero, sizeof(zero)) == 0;
}

bool ip_addr_is_loopback(const struct ip_addr *addr)
{
	if (addr->family == AF_INET)
		return addr->bytes[0] == 127;
	return addr->family == AF_INET6 &&
	       memcmp(addr->bytes, &in6addr_loopback, sizeof(addr->bytes)) == 0;
}

bool ip_addr_is_multicast(const struct ip_addr *addr)
{
	if (addr->family == AF_INET)
		return (addr->bytes[0] & 0xf0) == 0xe0;
	return addr->family == AF_INET6 && addr->bytes[0] == 0xff;
}

bool ip_addr_is_mapped(const struct ip_addr *addr)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return addr->family == AF_INET6 && memcmp(addr->bytes, prefix, sizeof(prefix)) == 0;
}

bool mac_addr_is_set(const struct mac_addr *mac)
{
	static const struct mac_addr unset;

	return mac_addr_cmp(mac, &unset) != 0;
}

int ip_addr_cmp(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

int mac_addr_cmp(const struct mac_addr *a, const struct mac_addr *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

struct ip_addr mac_addr_link_local(const struct mac_addr *mac)
{
	const uint8_t *b = mac->bytes;

	/* The bit that says "universally administered" is inverted (RFC 4291, appendix A). */
	return (struct ip_addr){
		.family = AF_INET6,
		.bytes = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, b[0] ^ 0x02, b[1], b[2], 0xff, 0xfe, b[3],
			   b[4], b[5] },
	};
}

int sock_addr_cmp(const struct sock_addr *a, const struct sock_addr *b)
{
	int cmp = ip_addr_cmp(&a->ip, &b->ip);

	return cmp ? cmp : (int)a->port - (int)b->port;
}

const char *sock_addr_text(const struct sock_addr *addr, char text[static SOCK_ADDR_TEXT_MAX])
{
	char ip[IP_ADDR_TEXT_MAX];
	bool brackets = addr->ip.family == AF_INET6;

	snprintf(text, SOCK_ADDR_TEXT_MAX, "%s%s%s:%u", brackets ? "[" : "",
		 ip_addr_text(&addr->ip, ip), brackets ? "]" : "", addr->port);
	return text;
}

static unsigned int family_bits(const struct ip_addr *addr)
{
	return addr->family == AF_INET ? 32 : addr->family == AF_INET6 ? 128 : 0;
}

struct net_range ip_addr_network(const struct ip_addr *addr, unsigned int prefix)
{
	struct net_range range = { *addr, *addr };

	for (unsigned int bit = prefix; bit < family_bits(addr); bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		range.first.bytes[bit / 8] &= (uint8_t)~mask;
		range.last.bytes[bit / 8] |= mask;
	}
	return range;
}

bool net_range_has(const struct net_range *range, const struct ip_addr *addr)
{
	return ip_addr_is_set(addr) && ip_addr_cmp(&range->first, addr) <= 0 &&
	       ip_addr_cmp(addr, &range->last) <= 0;
}

int net_range_cmp(const struct net_range *a, const struct net_range *b)
{
	int cmp = ip_addr_cmp(&a->first, &b->first);

	return cmp ? cmp : ip_addr_cmp(&a->last, &b->last);
}

const char *net_range_text(const struct net_range *range, char text[static NET_RANGE_TEXT_MAX])
{
	char first[IP_ADDR_TEXT_MAX], last[IP_ADDR_TEXT_MAX];

	ip_addr_text(&range->first, first);
	ip_addr_text(&range->last, last);
	for (unsigned int prefix = 0; prefix < family_bits(&range->first); prefix++) {
		struct net_range network = ip_addr_network(&range->first, prefix);

		if (net_range_cmp(&network, range) != 0)
			continue;
		snprintf(text, NET_RANGE_TEXT_MAX, "%s/%u", first, prefix);
		return text;
	}
	if (ip_addr_cmp(&range->first, &range->last) == 0)
		snprintf(text, NET_RANGE_TEXT_MAX, "%s", first);
	else
		snprintf(text, NET_RANGE_TEXT_MAX, "%s-%s", first, last);
	return text;
}
