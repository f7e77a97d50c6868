/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what is to what should be: pure. Chains are never deleted and made again (a new chain leaks
 * packets for a moment), rules are flushed and added in place, sets change element by element.
 */
#pragma once

#include "jobfence/nft.h"

/*
 * The steps, in an order that the kernel accepts in one transaction: flush, delete, add objects,
 * change elements, add rules. Where an interval set is made anew they are three transactions: its
 * copy, the rules to the copy, the rules back to the set. Nothing to do: ret_ops->n is 0.
 * Returns 0 or -ENOMEM.
 */
int plan_make(const struct skeleton *skeleton, const struct ruleset *desired,
	      const struct live *live, struct ops *ret_ops);

/*
 * What has to change in the tables themselves, before all else and in a transaction of its own (the
 * kernel takes no new base chain beside it): one that somebody put to sleep filters nothing, and with
 * @own one that its owner left is taken over, as it is. Returns 0 or -ENOMEM.
 */
int plan_tables(const struct skeleton *skeleton, const struct live *live, bool own,
		struct ops *ret_ops);

/*
 * Whether all that holds jobs is there and awake: every table, chain, rule and set, what stands in sets
 * before any container is known, what is denied; and nothing is allowed beyond what is wanted. Elements
 * that come and go with containers do not count here: who is in none has the rights of a job. Rules that
 * differ count whatever they do. Returns 1, 0 or -ENOMEM.
 */
int plan_fence_stands(const struct skeleton *skeleton, const struct ruleset *desired,
		      const struct live *live);

/* Nothing but elements of exact sets differs: plan_elements() will do. @same: sets (SET_BIT_OF) that do not
 * differ, whatever @actual has of them. */
bool plan_elements_suffice(const struct ruleset *desired, const struct ruleset *actual,
			   uint64_t same);

/* The elements only, against a ruleset that is known to be in the kernel: the fast path. */
int plan_elements(const struct ruleset *desired, const struct ruleset *actual, uint64_t same,
		  struct ops *ret_ops);

/* All tables away. */
int plan_remove(const struct live *live, struct ops *ret_ops);
