/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon says that a person may want to look up or to be called for: one MESSAGE_ID each, for
 * ever. contrib/jobfence.catalog is this table as `journalctl -x` shows it; a unit test compares the two.
 * A message that is in no table is a line of the log and nothing more.
 */
#pragma once

#include <stdio.h>

enum message {
	/* what was stopped */
	MESSAGE_ATTEMPT,
	MESSAGE_ATTEMPT_AUDITED,
	MESSAGE_ATTEMPTS_LOST,
	MESSAGE_ATTEMPTS_UNTOLD,
	/* who is on this host */
	MESSAGE_JOB,
	MESSAGE_JOB_GONE,
	MESSAGE_VIOLATION,
	MESSAGE_UNCONFINABLE,
	MESSAGE_STALE_MIRROR,
	/* the ruleset */
	MESSAGE_FOREIGN_CHANGE,
	MESSAGE_FOREIGN_REMOVALS,
	MESSAGE_HEALED,
	MESSAGE_DRIFT,
	MESSAGE_OWNER_LOST,
	MESSAGE_NOT_OWNED,
	MESSAGE_NOTIFICATIONS_LOST,
	MESSAGE_UPDATE_FAILED,
	MESSAGE_LEFT_OUT,
	MESSAGE_STUBBORN,
	MESSAGE_KERNEL_LACKS,
	/* the engine */
	MESSAGE_ENGINE_LOST,
	MESSAGE_ENGINE_BACK,
	/* the daemon */
	MESSAGE_STARTED,
	MESSAGE_STOPPED,
	MESSAGE_CANNOT_START,
	MESSAGE_RELOAD_REFUSED,
	MESSAGE_AUDIT,
	MESSAGE_HALF_FENCE,
	MESSAGE_SANDBOX_INCOMPLETE,
	MESSAGE_MAX,
};

struct message_spec {
	const char *id;      /* MESSAGE_ID: 32 hex digits */
	const char *name;    /* "attempt": for tests and people, not in the journal */
	int priority;        /* LOG_… */
	const char *subject; /* a few words */
	const char *text;    /* what it means; lines of at most 80 */
	const char *what_to_do;
};

const struct message_spec *message_spec(enum message message);

/* The catalog of systemd. Returns 0 or -EIO. */
int messages_catalog(FILE *out);
