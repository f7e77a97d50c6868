/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What attached.c and attached_parse.c share. */
#pragma once

#include <linux/netlink.h>

#include "jobfence/attached.h"

/* Zeroed is empty. */
struct attached_table {
	struct attached *entries; /* owned */
	size_t n, size;
};

/* attached_parse.c: pure */

/*
 * An address or a route of rtnetlink, also one that is going. Returns 1 with an entry; 0 for what is
 * of no interest; -EINVAL for a message that is cut short.
 */
int attached_parse(const struct nlmsghdr *header, struct attached *ret_entry);
/* Returns 0 or -ENOMEM. */
int attached_table_add(struct attached_table *table, const struct attached *entry);
/* Sorts, and keeps one of equal entries. */
void attached_table_seal(struct attached_table *table);
bool attached_table_equal(const struct attached_table *a, const struct attached_table *b);
void attached_table_done(struct attached_table *table);
