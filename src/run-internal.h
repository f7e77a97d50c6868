/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of the daemon. */
#pragma once

#include <systemd/sd-event.h>

#include "jobfence/diag.h"
#include "jobfence/host.h"
#include "jobfence/log.h"
#include "jobfence/monitor.h"
#include "jobfence/policy.h"
#include "jobfence/reconcile.h"
#include "jobfence/sandbox.h"
#include "jobfence/tally.h"

/* Its log of who came, went or changed: what was said is remembered, nothing else. */

struct report;

int report_new(struct report **ret_report);
struct report *report_free(struct report *report);

/* Logs containers that are new, changed or gone since the last call. @verdicts as of @model. */
void report_changes(struct report *report, const struct model *model,
		    const struct verdict *verdicts);

/* What it says of the rest (run_says.c). Zeroed: it has said nothing. */
struct says {
	struct log_limit foreign, lost, failed, left_out, healed;
	struct removals removals;
	enum ownership ownership; /* as it was said last */
};

/* What a step was for. */
enum after {
	AFTER_EVENT,
	AFTER_FOREIGN_HANDS,
	AFTER_PERIODIC_LOOK, /* what it finds is a lost event or a bug */
};

/* @change: NULL when notifications were lost. @now: CLOCK_MONOTONIC. */
void say_foreign(struct says *says, const struct foreign_change *change, uint64_t now);
void say_failed(struct says *says, int error, const struct diag *diag);
void say_result(struct says *says, const struct reconcile_result *result, enum after after);
void say_taken(const struct reconcile_result *result);
void say_ownership(struct says *says, enum ownership ownership);
/* As long as something is in audit mode. */
void say_audit(const struct config *config);
void say_features(bool bridge_meta, bool egress);
void say_sandbox(const struct sandbox *sandbox, const struct diag *diag);

/* systemd's watchdog. @prove returns 0 when all that matters is alive, else -errno with @diag. */
struct watchdog;
typedef int (*watchdog_prove_fn)(void *data, struct diag *diag);

int watchdog_new(sd_event *event, watchdog_prove_fn prove, void *data,
		 struct watchdog **ret_watchdog);
struct watchdog *watchdog_free(struct watchdog *watchdog);
DEFINE_CLEANUP(struct watchdog *, watchdog_free)

/* What a step was for. */
enum step_why {
	STEP_EVENT,
	STEP_HEAL,     /* foreign hands were seen */
	STEP_PERIODIC, /* the periodic look */
};

/* Counts a step and what came with it, and writes. @result: NULL where the step failed. */
void tally_step(struct tally *tally, const struct nft *nft, const struct host *host,
		const struct reconcile_result *result, enum step_why why);
