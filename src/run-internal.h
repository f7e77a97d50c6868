/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of the daemon. */
#pragma once

#include <systemd/sd-event.h>

#include "jobfence/diag.h"
#include "jobfence/policy.h"

/* Its log of who came, went or changed: what was said is remembered, nothing else. */

struct report;

int report_new(struct report **ret_report);
struct report *report_free(struct report *report);

/* Logs containers that are new, changed or gone since the last call. @verdicts as of @model. */
void report_changes(struct report *report, const struct model *model,
		    const struct verdict *verdicts);

/* systemd's watchdog. @prove returns 0 when all that matters is alive, else -errno with @diag. */
struct watchdog;
typedef int (*watchdog_prove_fn)(void *data, struct diag *diag);

int watchdog_new(sd_event *event, watchdog_prove_fn prove, void *data,
		 struct watchdog **ret_watchdog);
struct watchdog *watchdog_free(struct watchdog *watchdog);
DEFINE_CLEANUP(struct watchdog *, watchdog_free)
