/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mirror of the dstack server's DSTACK_SERVER_JOB_NETWORK_MODE. The server reads it with
 * Python's int() (dstack src/dstack/_internal/server/settings.py: JobNetworkMode); what it accepts
 * is accepted here, what it refuses is refused here.
 */
#pragma once

#include "jobfence/diag.h"

#define NETWORK_MODE_VARIABLE "DSTACK_SERVER_JOB_NETWORK_MODE"

enum network_mode {
	NETWORK_MODE_HOST_FOR_MULTINODE_ONLY = 1,
	NETWORK_MODE_HOST_WHEN_POSSIBLE = 2, /* what the server takes when the variable is unset */
	NETWORK_MODE_FORCED_BRIDGE = 3,
};

/* "HOST_FOR_MULTINODE_ONLY" … as dstack spells it. */
const char *network_mode_name(enum network_mode mode);

/*
 * Parses @text as the server does: NULL (unset) is 2; else Python's int() rules (surrounding white
 * space, sign, leading zeros, single underscores between digits, any Unicode decimal digit).
 * Returns 0, or -EINVAL with @diag naming the variable, the value and the three choices.
 */
int network_mode_parse(const char *text, enum network_mode *ret_mode, struct diag *diag);
