/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses and intervals. What is parsed prints as what parses to the same; and a list of entries,
 * however they overlap, becomes ranges that are disjoint and cover the same addresses and ports.
 * The first byte chooses: 'a' a text, anything else entries of 12 bytes.
 */
#include "fuzz.h"

#include <netinet/in.h>

#include "jobfence/addr.h"
#include "jobfence/interval.h"

#define ENTRY_BYTES 12
#define ENTRIES_MAX 24

static void check_text(const char *text)
{
	struct ip_addr addr, again;
	struct mac_addr mac, mac_again;
	struct net_range range;
	char plain[IP_ADDR_TEXT_MAX], mac_text[MAC_ADDR_TEXT_MAX], range_text[NET_RANGE_TEXT_MAX];
	char sock_text[SOCK_ADDR_TEXT_MAX];

	if (ip_addr_parse(text, &addr) == 0) {
		struct sock_addr sock = { addr, 65535 };

		CHECK(ip_addr_is_set(&addr));
		CHECK(ip_addr_parse(ip_addr_text(&addr, plain), &again) == 0);
		CHECK(ip_addr_cmp(&addr, &again) == 0 && memcmp(&addr, &again, sizeof(addr)) == 0);
		CHECK(strlen(sock_addr_text(&sock, sock_text)) < sizeof(sock_text));
		for (unsigned int prefix = 0; prefix <= 129; prefix += 3) {
			range = ip_addr_network(&addr, prefix);
			CHECK(net_range_has(&range, &addr));
			CHECK(ip_addr_cmp(&range.first, &range.last) <= 0);
			CHECK(strlen(net_range_text(&range, range_text)) < sizeof(range_text));
		}
	}
	if (mac_addr_parse(text, &mac) == 0) {
		CHECK(mac_addr_parse(mac_addr_text(&mac, mac_text), &mac_again) == 0);
		CHECK(mac_addr_cmp(&mac, &mac_again) == 0);
	}
}

/* Few addresses and ports, so that entries meet. */
static struct net_entry read_entry(const uint8_t *bytes)
{
	static const uint8_t protocols[] = { 0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	struct net_entry entry = { .l4proto = protocols[bytes[1] % 4] };
	size_t len = bytes[0] & 1 ? 16 : 4;
	uint8_t low = bytes[2] < bytes[3] ? bytes[2] : bytes[3];
	uint8_t high = bytes[2] < bytes[3] ? bytes[3] : bytes[2];
	uint16_t a = (uint16_t)(bytes[4] << 8 | bytes[5]), b = (uint16_t)(bytes[6] << 8 | bytes[7]);

	entry.first.family = entry.last.family = bytes[0] & 1 ? AF_INET6 : AF_INET;
	memset(entry.first.bytes, bytes[0] & 2 ? 0xff : 0, len);
	memset(entry.last.bytes, bytes[0] & 2 ? 0xff : 0, len);
	entry.first.bytes[len - 1 - (bytes[0] >> 2 & 1)] = low;
	entry.last.bytes[len - 1 - (bytes[0] >> 2 & 1)] = high;
	entry.port_first = bytes[0] & 8 ? 0 : a < b ? a : b;
	entry.port_last = bytes[0] & 8 ? UINT16_MAX : a < b ? b : a;
	return entry;
}

static bool is_whole(const struct net_entry *entry)
{
	return !entry->l4proto && !entry->port_first && entry->port_last == UINT16_MAX;
}

static bool covers(const struct net_entry *entry, const struct ip_addr *addr, uint8_t l4proto,
		   uint16_t port)
{
	return entry->first.family == addr->family && ip_addr_cmp(&entry->first, addr) <= 0 &&
	       ip_addr_cmp(&entry->last, addr) >= 0 &&
	       (!entry->l4proto || entry->l4proto == l4proto) && entry->port_first <= port &&
	       port <= entry->port_last;
}

/* How many of @entries that are @whole, or are not, have it. */
static size_t count(const struct net_entry *entries, size_t n, bool whole,
		    const struct ip_addr *addr, uint8_t l4proto, uint16_t port)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += is_whole(&entries[i]) == whole && covers(&entries[i], addr, l4proto, port);
	return found;
}

static struct ip_addr neighbour(struct ip_addr addr, int step)
{
	size_t last = addr.family == AF_INET ? 3 : 15;

	addr.bytes[last] = (uint8_t)(addr.bytes[last] + step);
	return addr;
}

/* Every corner of every entry, and what is beside it. */
static void check_member(const struct net_entry *entries, size_t n,
			 const struct intervals *networks, const struct intervals *ports,
			 const struct net_entry *corner)
{
	const uint16_t at[] = { corner->port_first, corner->port_last,
				(uint16_t)(corner->port_first - 1),
				(uint16_t)(corner->port_last + 1) };
	const uint8_t l4proto = corner->l4proto ? corner->l4proto : IPPROTO_UDP;

	for (int step = -1; step <= 1; step++) {
		const struct ip_addr addrs[] = { neighbour(corner->first, step),
						 neighbour(corner->last, step) };

		for (size_t a = 0; a < 2; a++) {
			for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
				size_t given = count(entries, n, false, &addrs[a], l4proto, at[i]);
				size_t made = count(ports->entry, ports->n, false, &addrs[a],
						    l4proto, at[i]);

				CHECK(made == (given > 0)); /* never twice: disjoint */
			}
			size_t given = count(entries, n, true, &addrs[a], 0, 0);
			size_t made = count(networks->entry, networks->n, true, &addrs[a], 0, 0);

			CHECK(made == (given > 0));
		}
	}
}

static void check_order(const struct intervals *intervals)
{
	for (size_t i = 0; i < intervals->n; i++) {
		const struct net_entry *entry = &intervals->entry[i];

		CHECK(ip_addr_cmp(&entry->first, &entry->last) <= 0);
		CHECK(entry->port_first <= entry->port_last);
		CHECK(i == 0 || ip_addr_cmp(&entry[-1].first, &entry->first) <= 0);
	}
}

static void check_entries(const uint8_t *data, size_t size)
{
	struct net_entry entries[ENTRIES_MAX], before[ENTRIES_MAX];
	size_t n = 0;

	memset(entries, 0, sizeof(entries));
	for (; size >= ENTRY_BYTES && n < ENTRIES_MAX; data += ENTRY_BYTES, size -= ENTRY_BYTES)
		entries[n++] = read_entry(data);
	memcpy(before, entries, sizeof(entries));
	for (int six = 0; six <= 1; six++) {
		struct intervals networks = { 0 }, ports = { 0 };
		uint16_t family = six ? AF_INET6 : AF_INET;

		CHECK(intervals_networks(entries, n, family, &networks) == 0);
		CHECK(intervals_ports(entries, n, family, &ports) == 0);
		check_order(&networks);
		check_order(&ports);
		for (size_t i = 0; i < n; i++)
			if (entries[i].first.family == family)
				check_member(entries, n, &networks, &ports, &entries[i]);
		intervals_done(&networks);
		intervals_done(&ports);
	}
	CHECK(memcmp(before, entries, sizeof(entries)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	if (data[0] != 'a') {
		check_entries(data + 1, size - 1);
		return 0;
	}
	text = fuzz_text(data + 1, size - 1);
	check_text(text);
	free(text);
	return 0;
}
