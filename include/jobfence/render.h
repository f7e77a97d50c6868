/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ruleset as nft text: what an operator audits, and what `nft -c -f` accepts. Pure. */
#pragma once

#include <stdio.h>

#include "jobfence/ruleset.h"

/*
 * Writes the tables to @out. @cgroup_path gives the path of a cgroup id as nft wants it (relative
 * to /sys/fs/cgroup); elements whose path it does not know are left out, with a remark.
 * Returns 0 or -EIO.
 */
int render_ruleset(FILE *out, const struct skeleton *skeleton, const struct ruleset *ruleset,
		   cgroup_path_fn cgroup_path, void *data);

/* One rule as nft text, without a newline. Returns 0 or -ENOSPC. */
int render_rule(const struct rule *rule, const struct skeleton_params *params, char *buffer,
		size_t size);
