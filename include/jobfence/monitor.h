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

/*
 * Whether it still listens: the socket is in its group, and what was done up to @generation, some
 * seconds ago, has been told. Reads what waits, and may call the owner. Returns 0 or -errno.
 */
int monitor_prove(struct monitor *monitor, uint32_t generation, struct diag *diag);
struct monitor *monitor_free(struct monitor *monitor);
DEFINE_CLEANUP(struct monitor *, monitor_free)
