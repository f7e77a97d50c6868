/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's own confinement, for good, once all that needs more is done: CAP_NET_ADMIN,
 * CAP_DAC_OVERRIDE and no other capability, no new privileges, Landlock and a system-call filter where the kernel has them.
 * It reads files, speaks netlink and unix sockets, and makes folders below /sys/fs/cgroup; it writes
 * no file, runs no program, sends no signal, opens no network connection. Unlike the unit's settings
 * this holds wherever the daemon was started from.
 */
#pragma once

#include <stdbool.h>

#include "jobfence/diag.h"

#define SANDBOX_WRITABLE "/sys/fs/cgroup" /* where folders may be made, and nothing else */

/* What took hold. */
struct sandbox {
	bool capabilities; /* the effective set is those two, or less */
	bool system_calls; /* the filter is loaded */
	int landlock;      /* the kernel's version of Landlock; 0: it has none */
};

/* Never fails as a whole: each part stands for itself. @diag names the first that did not take hold
 * although the kernel has it; its text is empty where all did. */
void sandbox_enter(struct sandbox *ret_sandbox, struct diag *diag);
