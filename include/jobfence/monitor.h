/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Foreign hands: notices when another process changes our tables, by nf_tables notifications.
 * Only listens.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "jobfence/diag.h"

struct monitor;

/* One transaction of another process. All text is safe to print. */
struct foreign_change {
	char process[40]; /* "nft" */
	uint32_t pid;     /* 0: not told */
	char what[320];   /* "deleted table inet, table bridge"; "added to chain inet output" */
	bool removed;     /* one of our tables is gone */
};

/* @change: NULL when notifications were lost and nobody can say. */
typedef void (*monitor_changed_fn)(const struct foreign_change *change, void *data);

/* Returns 0 or -errno, with @diag. */
int monitor_new(sd_event *event, monitor_changed_fn changed, void *data,
		struct monitor **ret_monitor, struct diag *diag);

/*
 * Whether it still listens: the socket is in its group, and what was done up to @generation, some
 * seconds ago, has been told. Reads what waits, and may call the owner. Returns 0 or -errno.
 */
int monitor_prove(struct monitor *monitor, uint32_t generation, struct diag *diag);
struct monitor *monitor_free(struct monitor *monitor);
DEFINE_CLEANUP(struct monitor *, monitor_free)

/* Who takes our tables away, and how often. Zeroed is nobody. Pure. */
struct removals {
	char process[40];
	uint64_t first_usec, last_usec, said_usec;
	unsigned int n;
};

/* Counts @change, at @now (CLOCK_MONOTONIC). True: it is time to warn, with @diag's sentence: at the
 * third time within a minute, then once a minute as long as it goes on. */
bool removals_count(struct removals *removals, const struct foreign_change *change, uint64_t now,
		    struct diag *diag);
