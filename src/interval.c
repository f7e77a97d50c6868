/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Overlapping, touching and repeated networks and ports as disjoint ranges. The addresses are cut
 * wherever an entry begins or ends; each piece has one list of ports, and neighbours with the same
 * list are one piece again. So the result depends on what is covered and on nothing else: neither
 * on the order of the entries nor on how they were written. Plain data in and out.
 */
#include "jobfence/interval.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "jobfence/cleanup.h"

#define PORT_MAX 65535

static const uint8_t protocols_with_ports[] = {
	IPPROTO_TCP, IPPROTO_UDP, IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_UDPLITE,
};

void intervals_done(struct intervals *intervals)
{
	free(intervals->entry);
	*intervals = (struct intervals){ 0 };
}

int intervals_add(struct intervals *intervals, const struct net_entry *entry)
{
	if (intervals->n == intervals->cap) {
		size_t cap = intervals->cap ? intervals->cap * 2 : 16;
		struct net_entry *grown = reallocarray(intervals->entry, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		intervals->entry = grown;
		intervals->cap = cap;
	}
	intervals->entry[intervals->n++] = *entry;
	return 0;
}

static size_t addr_len(const struct ip_addr *addr)
{
	return addr->family == AF_INET ? 4 : 16;
}

/* The next address; false behind the last. */
static bool addr_next(struct ip_addr *addr)
{
	for (size_t i = addr_len(addr); i > 0; i--)
		if (++addr->bytes[i - 1] != 0)
			return true;
	return false;
}

static void addr_previous(struct ip_addr *addr)
{
	for (size_t i = addr_len(addr); i > 0; i--)
		if (addr->bytes[i - 1]-- != 0)
			return;
}

/* @b begins right behind @a or before its end. */
static bool addr_touches(const struct ip_addr *a_last, const struct ip_addr *b_first)
{
	struct ip_addr behind = *a_last;

	return !addr_next(&behind) || ip_addr_cmp(b_first, &behind) <= 0;
}

static bool is_whole(const struct net_entry *entry)
{
	return entry->l4proto == 0 && entry->port_first == 0 && entry->port_last == PORT_MAX;
}

static int entry_qsort(const void *a, const void *b)
{
	const struct net_entry *one = a, *two = b;

	return ip_addr_cmp(&one->first, &two->first)
		       ?: one->l4proto - two->l4proto
		       ?: one->port_first - two->port_first;
}

static void sort(struct net_entry *entries, size_t n)
{
	if (n > 0)
		qsort(entries, n, sizeof(*entries), entry_qsort);
}

int intervals_networks(const struct net_entry *entries, size_t n, uint16_t family,
		       struct intervals *ret_intervals)
{
	_cleanup_(intervals_done) struct intervals all = { 0 };
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++)
		if (entries[i].first.family == family && is_whole(&entries[i]))
			r = intervals_add(&all, &entries[i]);
	if (r < 0)
		return r;
	sort(all.entry, all.n);
	for (size_t i = 1; i < all.n; i++) {
		struct net_entry *last = &all.entry[kept];

		if (!addr_touches(&last->last, &all.entry[i].first))
			all.entry[++kept] = all.entry[i];
		else if (ip_addr_cmp(&all.entry[i].last, &last->last) > 0)
			last->last = all.entry[i].last;
	}
	all.n = all.n ? kept + 1 : 0;
	*ret_intervals = all;
	all = (struct intervals){ 0 };
	return 0;
}

static int addr_qsort(const void *a, const void *b)
{
	return ip_addr_cmp(a, b);
}

/* Every address at which an entry begins, and every one behind the end of an entry; sorted, each
 * once. */
static int find_cuts(const struct net_entry *entries, size_t n, struct ip_addr **ret_cuts,
		     size_t *ret_n)
{
	struct ip_addr *cuts = reallocarray(NULL, 2 * n + 1, sizeof(*cuts));
	size_t cuts_n = 0, kept = 0;

	if (!cuts)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		cuts[cuts_n++] = entries[i].first;
		cuts[cuts_n] = entries[i].last;
		cuts_n += addr_next(&cuts[cuts_n]);
	}
	qsort(cuts, cuts_n, sizeof(*cuts), addr_qsort);
	for (size_t i = 1; i < cuts_n; i++)
		if (ip_addr_cmp(&cuts[kept], &cuts[i]) != 0)
			cuts[++kept] = cuts[i];
	*ret_cuts = cuts;
	*ret_n = kept + 1;
	return 0;
}

static int append_ports(struct intervals *piece, const struct net_entry *entry)
{
	struct net_entry one = *entry;
	int r = 0;

	if (entry->l4proto != 0)
		return intervals_add(piece, entry);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(protocols_with_ports); i++) {
		one.l4proto = protocols_with_ports[i];
		r = intervals_add(piece, &one);
	}
	return r;
}

/* The ports of the addresses from @first to @last, which no entry begins or ends between. */
static int make_piece(const struct net_entry *entries, size_t n, const struct ip_addr *first,
		      const struct ip_addr *last, struct intervals *piece)
{
	size_t kept = 0;
	int r = 0;

	piece->n = 0;
	for (size_t i = 0; r >= 0 && i < n; i++)
		if (ip_addr_cmp(&entries[i].first, first) <= 0 &&
		    ip_addr_cmp(&entries[i].last, first) >= 0)
			r = append_ports(piece, &entries[i]);
	if (r < 0 || piece->n == 0)
		return r;
	for (size_t i = 0; i < piece->n; i++) {
		piece->entry[i].first = *first;
		piece->entry[i].last = *last;
	}
	sort(piece->entry, piece->n);
	for (size_t i = 1; i < piece->n; i++) {
		struct net_entry *before = &piece->entry[kept];
		const struct net_entry *entry = &piece->entry[i];

		if (before->l4proto != entry->l4proto ||
		    entry->port_first > (uint32_t)before->port_last + 1)
			piece->entry[++kept] = *entry;
		else if (entry->port_last > before->port_last)
			before->port_last = entry->port_last;
	}
	piece->n = kept + 1;
	return 0;
}

/* Appends the piece, or makes the last one longer where the two touch and have the same ports. */
static int join(struct intervals *all, size_t *last_n, const struct intervals *piece)
{
	struct net_entry *last = all->n ? all->entry + all->n - *last_n : NULL;
	bool same = piece->n == *last_n && piece->n > 0 &&
		    addr_touches(&last->last, &piece->entry[0].first);
	int r = 0;

	for (size_t i = 0; same && i < piece->n; i++)
		same = last[i].l4proto == piece->entry[i].l4proto &&
		       last[i].port_first == piece->entry[i].port_first &&
		       last[i].port_last == piece->entry[i].port_last;
	for (size_t i = 0; r >= 0 && i < piece->n; i++) {
		if (same)
			last[i].last = piece->entry[i].last;
		else
			r = intervals_add(all, &piece->entry[i]);
	}
	*last_n = piece->n;
	return r;
}

int intervals_ports(const struct net_entry *entries, size_t n, uint16_t family,
		    struct intervals *ret_intervals)
{
	_cleanup_(intervals_done) struct intervals some = { 0 }, piece = { 0 }, all = { 0 };
	_cleanup_free_ struct ip_addr *cuts = NULL;
	size_t cuts_n = 0, last_n = 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++)
		if (entries[i].first.family == family && !is_whole(&entries[i]))
			r = intervals_add(&some, &entries[i]);
	if (r >= 0 && some.n > 0)
		r = find_cuts(some.entry, some.n, &cuts, &cuts_n);
	for (size_t i = 0; r >= 0 && i < cuts_n; i++) {
		struct ip_addr last = { .family = family };

		memset(last.bytes, 0xff, addr_len(&last));
		if (i + 1 < cuts_n) {
			last = cuts[i + 1];
			addr_previous(&last);
		}
		r = make_piece(some.entry, some.n, &cuts[i], &last, &piece);
		if (r >= 0)
			r = join(&all, &last_n, &piece);
	}
	if (r < 0)
		return r;
	*ret_intervals = all;
	all = (struct intervals){ 0 };
	return 0;
}
