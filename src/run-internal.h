/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's log of who came, went or changed: what was said is remembered, nothing else. */
#pragma once

#include "jobfence/policy.h"

struct report;

int report_new(struct report **ret_report);
struct report *report_free(struct report *report);

/* Logs containers that are new, changed or gone since the last call. @verdicts as of @model. */
void report_changes(struct report *report, const struct model *model,
		    const struct verdict *verdicts);
