/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sources put together: engine, links, cgroups → one model. Used by the daemon (for ever) and
 * by status, verify and render (until the picture is whole). Sees; changes nothing in the kernel's
 * ruleset.
 */
#pragma once

#include "jobfence/engine.h"
#include "jobfence/policy.h"

struct host;
typedef void (*host_changed_fn)(struct host *host, void *data);

struct host_options {
	bool read_only;   /* make no cgroup folder */
	bool no_engine;   /* links and cgroups only (render) */
	bool bridge_meta; /* what nft_probe_bridge_meta() said */
	bool egress;      /* what nft_probe_egress() said */
	bool records;     /* what nft_probe_log() said */
};

/*
 * Starts all sources. Links and cgroups are read when this returns; the engine comes with the loop.
 * @config is borrowed for the life of the host. @changed may be NULL.
 * Returns 0 or -errno with @diag.
 */
int host_new(sd_event *event, const struct config *config, const struct host_options *options,
	     host_changed_fn changed, void *data, struct host **ret_host, struct diag *diag);
struct host *host_free(struct host *host);
DEFINE_CLEANUP(struct host *, host_free)

/* The picture of now, borrowed until the loop runs again. Asks the kernel for namespace ids that
 * are not known yet. Returns 0 or -ENOMEM. */
int host_get_model(struct host *host, struct model *ret_model);
void host_get_engine(const struct host *host, struct engine_view *ret_view);
/* Asks the engine and the cgroups for everything again. */
void host_refresh(struct host *host);

/* Whether the sockets of the kernel's notifications (links, networks) still listen. Returns 0 or
 * -errno. */
int host_prove(const struct host *host, struct diag *diag);

/* How often what somebody had to tell was lost, and everything read again for it. */
struct host_losses {
	uint64_t streams;         /* of the engine's events */
	uint64_t links, networks; /* the kernel's notifications */
};

void host_get_losses(const struct host *host, struct host_losses *ret_losses);

/* Where the model's resolvers come from, beside jobs' own --dns: a path, or a few words. */
const char *host_resolvers_origin(const struct host *host);
/* One of this host's own addresses. */
bool host_is_local(const struct host *host, const struct ip_addr *addr);

/* Runs @event until the engine is in sync. Returns 0; -ETIMEDOUT; -ENOTSUP for an engine
 * that cannot be fenced (view.refused); another -errno. The reason is
 * in host_get_engine().trouble. */
int host_wait(struct host *host, sd_event *event, uint64_t timeout_usec);

/* Path of a cgroup id, relative to /sys/fs/cgroup, as nft wants it; NULL unknown. A
 * cgroup_path_fn: @data is the host. Valid until the next call. */
const char *host_cgroup_path(uint64_t id, void *data);

/* One sentence on why host jobs cannot be fenced on this host; NULL when they can. */
const char *host_cgroup_trouble(const struct host *host);
