/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Foreign hands: notices when another process changes our tables, by nf_tables notifications.
 * Only listens.
 */
#pragma once

#include <systemd/sd-event.h>

#include "jobfence/diag.h"

struct monitor;

/* @who: "nft (pid 123)", or NULL when notifications were lost and nobody can say. */
typedef void (*monitor_changed_fn)(const char *who, void *data);

/* Returns 0 or -errno, with @diag. */
int monitor_new(sd_event *event, monitor_changed_fn changed, void *data,
		struct monitor **ret_monitor, struct diag *diag);
struct monitor *monitor_free(struct monitor *monitor);
DEFINE_CLEANUP(struct monitor *, monitor_free)
