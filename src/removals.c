/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The early warning: who keeps taking our tables away. What is repaired each time looks harmless in a
 * log, and is not: between a removal and its repair nothing is denied. Pure.
 */
#include "jobfence/monitor.h"

#include <stdio.h>
#include <string.h>

#define WINDOW_USEC (60 * 1000 * 1000ULL)
#define OFTEN 3

bool removals_count(struct removals *removals, const struct foreign_change *change, uint64_t now,
		    struct diag *diag)
{
	if (!change->removed)
		return false;
	if (removals->n == 0 || now - removals->last_usec > WINDOW_USEC ||
	    strcmp(removals->process, change->process) != 0) {
		*removals = (struct removals){ .first_usec = now };
		snprintf(removals->process, sizeof(removals->process), "%s", change->process);
	}
	removals->last_usec = now;
	removals->n++;
	if (removals->n < OFTEN || (removals->said_usec && now - removals->said_usec < WINDOW_USEC))
		return false;
	removals->said_usec = now;
	diag_set(diag, 0,
		 "%s keeps removing jobfence's tables: %u times in %u s; each time jobs can reach "
		 "for a moment what is denied; find out what runs it (what loads a ruleset: "
		 "nftables.service, ufw, a cron job or script with \"nft flush ruleset\") and stop "
		 "that",
		 removals->process, removals->n,
		 (unsigned int)((now - removals->first_usec + 999999) / 1000000));
	return true;
}
