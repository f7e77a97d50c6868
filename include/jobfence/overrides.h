/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the operator says of single containers: a stricter class for jobs by name, and containers
 * that are no jobs and are confined like one. Names and labels are chosen by whoever starts a
 * container, so both only tighten. Pure.
 */
#pragma once

#include "jobfence/config.h"
#include "jobfence/container.h"

/* '*' is any run of bytes, '?' any one; all of @text has to match. */
bool override_pattern_matches(const char *pattern, const char *text);

/*
 * The mode that governs a job of this name: the strictest of the mirrored one and of all overrides
 * whose pattern matches the container's name or the run's. @ret_pattern: the override that decides,
 * NULL where the mirror does; borrowed from @config.
 */
enum network_mode override_mode(const struct config *config, const char *name,
				const char **ret_pattern);

/* How strict a mode is to jobs on the host network; higher is stricter. */
int network_mode_strictness(enum network_mode mode);

/* Which entry of [confine] names this container, such as "names \"exporter-*\""; false: none. */
bool override_confines(const struct config *config, const struct container *container, char *ret_by,
		       size_t size);
