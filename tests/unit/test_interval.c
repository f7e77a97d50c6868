/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intervals against a plain picture: random entries painted into a small world of addresses, ports
 * and protocols must be the same picture as the ranges that come out, which never overlap and are
 * the same whatever order the entries came in.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/interval.h"

#define ADDRS 24
#define PORTS 10
#define PROTOS 6

static const uint8_t protos[PROTOS] = {
	1, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_UDPLITE
};

/* The world's addresses are the first, the last and some in the middle of all. */
static struct ip_addr world_addr(uint16_t family, unsigned int i)
{
	struct ip_addr addr = { .family = family };
	size_t len = family == AF_INET ? 4 : 16;

	if (i >= 16)
		memset(addr.bytes, 0xff, len);
	else if (i >= 8)
		memset(addr.bytes + len / 2, 0xff, len - len / 2);
	addr.bytes[len - 1] = (uint8_t)(i < 16 ? i % 8 + 252 : i - 16 + 248);
	if (i < 8)
		addr.bytes[len - 1] = (uint8_t)i;
	/* 252 to 259: over the end of a byte */
	if (i >= 8 && i < 16 && i % 8 >= 4) {
		addr.bytes[len - 1] = (uint8_t)(i % 8 - 4);
		memset(addr.bytes + len / 2, 0, len - len / 2 - 1);
		addr.bytes[len / 2 - 1] = 1;
	}
	return addr;
}

static const uint16_t world_ports[PORTS] = { 0, 1, 2, 52, 53, 54, 1000, 65533, 65534, 65535 };

static struct net_entry random_entry(uint16_t family, bool ports)
{
	unsigned int a = (unsigned int)rand() % ADDRS, b = (unsigned int)rand() % ADDRS;
	unsigned int p = (unsigned int)rand() % PORTS, q = (unsigned int)rand() % PORTS;
	static const uint8_t some[] = { 0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP };
	struct net_entry entry = {
		.first = world_addr(family, a < b ? a : b),
		.last = world_addr(family, a < b ? b : a),
		.port_last = 65535,
	};

	if (ports) {
		entry.l4proto = some[rand() % 4];
		entry.port_first = world_ports[p < q ? p : q];
		entry.port_last = world_ports[p < q ? q : p];
	}
	return entry;
}

static bool covers(const struct net_entry *entry, const struct ip_addr *addr, uint8_t proto,
		   uint16_t port)
{
	bool has_ports = proto != 1;

	if (ip_addr_cmp(&entry->first, addr) > 0 || ip_addr_cmp(&entry->last, addr) < 0)
		return false;
	if (entry->l4proto != 0 && entry->l4proto != proto)
		return false;
	if (entry->l4proto == 0 && entry->port_first == 0 && entry->port_last == 65535)
		return true;
	return has_ports && entry->port_first <= port && port <= entry->port_last;
}

static size_t covering(const struct net_entry *entries, size_t n, const struct ip_addr *addr,
		       uint8_t proto, uint16_t port)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += covers(&entries[i], addr, proto, port);
	return found;
}

static void same_picture(const struct net_entry *entries, size_t n, uint16_t family,
			 const struct intervals *nets, const struct intervals *ports)
{
	for (unsigned int a = 0; a < ADDRS; a++) {
		struct ip_addr addr = world_addr(family, a);

		for (size_t p = 0; p < PORTS; p++)
			for (size_t t = 0; t < PROTOS; t++) {
				size_t want =
					covering(entries, n, &addr, protos[t], world_ports[p]);
				size_t in_nets = covering(nets->entry, nets->n, &addr, protos[t],
							  world_ports[p]);
				size_t in_ports = covering(ports->entry, ports->n, &addr, protos[t],
							   world_ports[p]);

				assert_int_equal(want > 0, in_nets + in_ports > 0);
				assert_true(in_nets <= 1);
				assert_true(in_ports <= 1);
			}
	}
}

static void same_intervals(const struct intervals *a, const struct intervals *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert_int_equal(ip_addr_cmp(&a->entry[i].first, &b->entry[i].first), 0);
		assert_int_equal(ip_addr_cmp(&a->entry[i].last, &b->entry[i].last), 0);
		assert_int_equal(a->entry[i].l4proto, b->entry[i].l4proto);
		assert_int_equal(a->entry[i].port_first, b->entry[i].port_first);
		assert_int_equal(a->entry[i].port_last, b->entry[i].port_last);
	}
}

static void try_random(uint16_t family)
{
	struct net_entry entries[12];
	size_t n = (size_t)rand() % 12;
	struct intervals nets, ports, again;

	for (size_t i = 0; i < n; i++)
		entries[i] = random_entry(rand() % 8          ? family
					  : family == AF_INET ? AF_INET6
							      : AF_INET,
					  rand() % 3);
	assert_int_equal(intervals_networks(entries, n, family, &nets), 0);
	assert_int_equal(intervals_ports(entries, n, family, &ports), 0);
	same_picture(entries, n, family, &nets, &ports);
	for (size_t i = 0; i < ports.n; i++)
		assert_int_not_equal(ports.entry[i].l4proto, 0);

	/* another order, and one twice: the same */
	for (size_t i = 0; i + 1 < n; i++) {
		size_t j = i + (size_t)rand() % (n - i);
		struct net_entry swap = entries[i];

		entries[i] = entries[j];
		entries[j] = swap;
	}
	if (n > 0 && n < 12)
		entries[n++] = entries[0];
	assert_int_equal(intervals_networks(entries, n, family, &again), 0);
	same_intervals(&nets, &again);
	intervals_done(&again);
	assert_int_equal(intervals_ports(entries, n, family, &again), 0);
	same_intervals(&ports, &again);
	intervals_done(&again);
	/* what is canonical stays as it is */
	assert_int_equal(intervals_ports(ports.entry, ports.n, family, &again), 0);
	same_intervals(&ports, &again);
	intervals_done(&again);
	assert_int_equal(intervals_networks(nets.entry, nets.n, family, &again), 0);
	same_intervals(&nets, &again);
	intervals_done(&again);
	intervals_done(&nets);
	intervals_done(&ports);
}

static void random_entries_are_painted_alike(void **state)
{
	srand(1);
	for (int i = 0; i < 1500; i++)
		try_random(i % 2 ? AF_INET : AF_INET6);
}

static struct net_entry entry(const char *first, const char *last, uint8_t l4proto, uint16_t from,
			      uint16_t to)
{
	struct net_entry entry = { .l4proto = l4proto, .port_first = from, .port_last = to };

	assert_int_equal(ip_addr_parse(first, &entry.first), 0);
	assert_int_equal(ip_addr_parse(last, &entry.last), 0);
	return entry;
}

static void touching_networks_are_one(void **state)
{
	const struct net_entry entries[] = {
		entry("10.0.1.0", "10.0.1.255", 0, 0, 65535),
		entry("10.0.0.0", "10.0.0.255", 0, 0, 65535),
		entry("10.0.0.7", "10.0.0.9", 0, 0, 65535),
		entry("224.0.0.0", "239.255.255.255", 0, 0, 65535),
		entry("240.0.0.0", "255.255.255.255", 0, 0, 65535),
	};
	const struct net_entry want[] = {
		entry("10.0.0.0", "10.0.1.255", 0, 0, 65535),
		entry("224.0.0.0", "255.255.255.255", 0, 0, 65535),
	};
	struct intervals have;

	assert_int_equal(intervals_networks(entries, ARRAY_SIZE(entries), AF_INET, &have), 0);
	same_intervals(&have, &(struct intervals){ .entry = (struct net_entry *)want, .n = 2 });
	intervals_done(&have);
	assert_int_equal(intervals_networks(entries, ARRAY_SIZE(entries), AF_INET6, &have), 0);
	assert_int_equal(have.n, 0);
	assert_int_equal(intervals_ports(entries, ARRAY_SIZE(entries), AF_INET, &have), 0);
	assert_int_equal(have.n, 0);
}

static void overlapping_ports_are_cut_and_joined(void **state)
{
	const struct net_entry entries[] = {
		entry("10.0.0.0", "10.0.0.255", IPPROTO_TCP, 80, 90),
		entry("10.0.0.16", "10.0.0.31", IPPROTO_TCP, 85, 100),
		entry("10.0.0.32", "10.0.0.63", IPPROTO_TCP, 91, 100),
		entry("10.0.0.200", "10.0.1.10", IPPROTO_UDP, 53, 53),
	};
	const struct net_entry want[] = {
		entry("10.0.0.0", "10.0.0.15", IPPROTO_TCP, 80, 90),
		entry("10.0.0.16", "10.0.0.63", IPPROTO_TCP, 80, 100),
		entry("10.0.0.64", "10.0.0.199", IPPROTO_TCP, 80, 90),
		entry("10.0.0.200", "10.0.0.255", IPPROTO_TCP, 80, 90),
		entry("10.0.0.200", "10.0.0.255", IPPROTO_UDP, 53, 53),
		entry("10.0.1.0", "10.0.1.10", IPPROTO_UDP, 53, 53),
	};
	struct intervals have;

	assert_int_equal(intervals_ports(entries, ARRAY_SIZE(entries), AF_INET, &have), 0);
	same_intervals(&have, &(struct intervals){ .entry = (struct net_entry *)want,
						   .n = ARRAY_SIZE(want) });
	intervals_done(&have);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_entries_are_painted_alike),
		cmocka_unit_test(touching_networks_are_one),
		cmocka_unit_test(overlapping_ports_are_cut_and_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
