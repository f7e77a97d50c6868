/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of what the rules stop: an NFLOG group of this network namespace, on the event loop. Tells the
 * log; decides nothing, and the fence does not depend on it.
 */
#pragma once

#include <systemd/sd-event.h>

#include "jobfence/attempt.h"
#include "jobfence/diag.h"

struct attempts;

/* Becomes the reader of @group. Returns 0 or -errno with @diag: another program may read it. */
int attempts_new(sd_event *event, uint16_t group, struct attempts **ret_attempts,
		 struct diag *diag);
struct attempts *attempts_free(struct attempts *attempts);
DEFINE_CLEANUP(struct attempts *, attempts_free)

/* Who is who from now on, and which ports are dstack's. */
void attempts_learn(struct attempts *attempts, const struct model *model,
		    const struct verdict *verdicts, const struct job_tag *tags, size_t tags_n,
		    const struct reserved_ports *ports);
