/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The links of the host's network namespace by rtnetlink (libnl-3): one dump, then notifications.
 * On ENOBUFS it dumps again. Sees, never changes.
 */
#pragma once

#include <net/if.h>
#include <systemd/sd-event.h>

#include "jobfence/addr.h"
#include "jobfence/diag.h"

struct link {
	int ifindex;
	char name[IFNAMSIZ];
	char kind[16];       /* IFLA_INFO_KIND: "bridge", "veth", …; empty for hardware */
	int master;          /* ifindex of the bridge it is a port of; 0 */
	int nsid;            /* IFLA_LINK_NETNSID: where the peer is; -1 here or unknown */
	int peer_ifindex;    /* IFLA_LINK, in the peer's namespace; 0 */
	struct mac_addr mac; /* of this end */
	struct mac_addr
		peer_mac; /* of the other end of a veth in another namespace; unset unknown */
};

struct link_watch;
typedef void (*link_changed_fn)(struct link_watch *watch, void *data);

/*
 * Dumps the links now (so that link_watch_list() is whole when this returns) and then calls
 * @changed, coalesced, after every change. @event NULL: the dump only, no notifications.
 * Returns 0 or -errno, with @diag.
 */
int link_watch_new(sd_event *event, link_changed_fn changed, void *data,
		   struct link_watch **ret_watch, struct diag *diag);
struct link_watch *link_watch_free(struct link_watch *watch);
DEFINE_CLEANUP(struct link_watch *, link_watch_free)

/*
 * Asks again for the MAC of every veth's peer in another namespace: a peer's MAC may be set after
 * its port was announced, and no notification says so. @changed is called, from the loop, if one
 * differs. Costs some 15 us per veth. Returns 0 or -errno.
 */
int link_watch_refresh_peers(struct link_watch *watch);

/* Whether it still hears of changes. Returns 0 or -errno. */
int link_watch_prove(const struct link_watch *watch);

/* How often notifications were lost, and all links listed again for it. */
uint64_t link_watch_losses(const struct link_watch *watch);

/* Sorted by ifindex; borrowed until the loop runs again. */
const struct link *link_watch_list(const struct link_watch *watch, size_t *ret_n);

/*
 * The nsid that this namespace gave to the one at @sandbox_key (a file such as
 * /var/run/docker/netns/<id>), by RTM_GETNSID on an open file, without entering it.
 * Returns >= 0, -ENOENT (no such file, or no id yet), or another -errno.
 */
int link_watch_nsid(struct link_watch *watch, const char *sandbox_key);
