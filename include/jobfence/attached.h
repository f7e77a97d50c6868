/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The networks that this host is directly attached to, and its own addresses, by rtnetlink: one
 * listing, then another after each notification that concerns them. Sees, never changes.
 */
#pragma once

#include <systemd/sd-event.h>

#include "jobfence/addr.h"
#include "jobfence/cleanup.h"
#include "jobfence/diag.h"

struct attached {
	int ifindex;
	struct ip_addr local;     /* an address of the host; unset for a network of a route */
	struct net_range network; /* unset (family 0) where the address makes none */
};

struct attached_watch;
typedef void (*attached_changed_fn)(struct attached_watch *watch, void *data);

/*
 * Lists now, and then calls @changed, from the loop, after every change. @event NULL: only now.
 * Returns 0 or -errno, with @diag.
 */
int attached_watch_new(sd_event *event, attached_changed_fn changed, void *data,
		       struct attached_watch **ret_watch, struct diag *diag);
struct attached_watch *attached_watch_free(struct attached_watch *watch);
DEFINE_CLEANUP(struct attached_watch *, attached_watch_free)

/* Sorted, each once; borrowed until the loop runs again. */
const struct attached *attached_watch_list(const struct attached_watch *watch, size_t *ret_n);

/* Lists again, from the loop: routes of a link that went down are gone without a notification. */
void attached_watch_refresh(struct attached_watch *watch);

/* Whether it still hears of changes. Returns 0 or -errno. */
int attached_watch_prove(const struct attached_watch *watch);
/* How often notifications were lost, and everything listed again for it. */
uint64_t attached_watch_losses(const struct attached_watch *watch);
