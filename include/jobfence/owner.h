/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who owns our tables. The kernel knows an owner by the port of its netlink socket; here that becomes
 * a process, so far as /proc shows it. Only looks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "jobfence/nft.h"

#define OWNER_TEXT_MAX 96

/* The process with the netfilter socket of this port, 0 where it cannot be found. */
pid_t owner_pid(uint32_t port);

/* "firewalld (pid 712)", or "a process with netlink port 712". Returns @buffer. */
const char *owner_text(uint32_t port, char buffer[static OWNER_TEXT_MAX]);

/* Whose our tables are: the worst of all that are there, later is worse. */
enum owner {
	OWNER_UNTOLD, /* there is no table */
	OWNER_DAEMON,
	OWNER_ORPHAN,  /* nobody's until a daemon takes it: its own died */
	OWNER_NOBODY,  /* nobody's, and cannot be owned */
	OWNER_ANOTHER, /* another process's */
};

/* With the daemon's pid (0: none runs; -1: not known). @text names OWNER_ANOTHER, else it is empty. */
enum owner owner_judge(const struct live *live, pid_t daemon, char text[static OWNER_TEXT_MAX]);

/* Returns 0, or -EBUSY where a table of ours is owned by another than @port (0: by anyone); @diag says
 * by whom and what to do. */
int owner_check(const struct live *live, uint32_t port, struct diag *diag);
