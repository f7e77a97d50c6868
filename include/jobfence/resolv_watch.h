/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The resolvers that the engine gives to containers without --dns of their own, followed: dockerd's
 * command line and daemon.json, else this host's resolv.conf. Reads, never writes.
 */
#pragma once

#include <systemd/sd-event.h>

#include "jobfence/cleanup.h"
#include "jobfence/resolv.h"

struct resolv_watch;
typedef void (*resolv_changed_fn)(struct resolv_watch *watch, void *data);

/*
 * Reads now, and then calls @changed, from the loop, when other resolvers were read. @event NULL:
 * only now. What cannot be read gives no resolvers, and a line in the log; 0 or -ENOMEM.
 */
int resolv_watch_new(sd_event *event, resolv_changed_fn changed, void *data,
		     struct resolv_watch **ret_watch);
struct resolv_watch *resolv_watch_free(struct resolv_watch *watch);
DEFINE_CLEANUP(struct resolv_watch *, resolv_watch_free)

/* The process that serves the engine's socket (0 or 1: not known, or systemd). Reads again where it
 * is another one than before; does not call back. */
void resolv_watch_set_engine(struct resolv_watch *watch, pid_t pid);
/* Reads again, from the loop. */
void resolv_watch_refresh(struct resolv_watch *watch);

/* Borrowed until the loop runs again. */
const struct resolvers *resolv_watch_get(const struct resolv_watch *watch);
/* Where they come from: a path, "dockerd's command line"; for people. */
const char *resolv_watch_origin(const struct resolv_watch *watch);
