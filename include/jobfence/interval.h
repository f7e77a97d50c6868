/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any list of networks and ports as disjoint ranges: what an interval set takes. Pure. */
#pragma once

#include "jobfence/config.h"

/* A list; zeroed is empty. */
struct intervals {
	struct net_entry *entry; /* owned */
	size_t n, cap;
};

void intervals_done(struct intervals *intervals);
/* Puts @entry behind the last, as it is. Returns 0 or -ENOMEM. */
int intervals_add(struct intervals *intervals, const struct net_entry *entry);

/* What the following two return is sorted by first address, protocol and first port, and no two
 * entries overlap. */

/*
 * The addresses of @family of the entries that are for every protocol and port, whole: two ranges
 * that touch are one. Returns 0 or -ENOMEM.
 */
int intervals_networks(const struct net_entry *entries, size_t n, uint16_t family,
		       struct intervals *ret_intervals);

/*
 * Addresses × protocol × ports of @family of all other entries. "Every protocol" with ports means
 * the protocols that have ports. Returns 0 or -ENOMEM.
 */
int intervals_ports(const struct net_entry *entries, size_t n, uint16_t family,
		    struct intervals *ret_intervals);
