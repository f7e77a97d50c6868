/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What host.c, host_egress.c and host_cgroup.c share. */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "jobfence/attached.h"
#include "jobfence/host.h"
#include "jobfence/resolv_watch.h"

/* The facts of egress, beside the model that borrows them. Zeroed is empty. */
struct host_egress {
	struct attached_watch *attached; /* owned */
	struct resolv_watch *resolv;     /* owned */
	struct net_range *networks;      /* owned; of the last picture */
	struct ip_addr *gateways;        /* the same */
	struct resolvers resolvers;      /* of the last picture */
	void (*changed)(void *data);
	void *data;
	bool silent;     /* a command that looks once says it in its own way */
	uint32_t warned; /* per proxy: it was said that it is this host's */
	struct config_proxies warned_of;
};

/* @changed is called with @data. @egress must stay where it is. Returns 0 or -errno with @diag. */
int host_egress_open(struct host_egress *egress, sd_event *event, void (*changed)(void *data),
		     void *data, struct diag *diag);
/* The process behind the engine's socket. */
void host_egress_set_engine(struct host_egress *egress, pid_t pid);
/* To be called when containers, networks and links are in @model. Returns 0 or -ENOMEM. */
int host_egress_fill(struct host_egress *egress, const struct config *config, struct model *model);
const char *host_egress_origin(const struct host_egress *egress, const struct config *config);
bool host_egress_is_local(const struct host_egress *egress, const struct ip_addr *addr);
void host_egress_refresh(struct host_egress *egress);
void host_egress_done(struct host_egress *egress);

/* The engine's own cgroup, followed by inotify: a restarted engine has a new one before it runs. */
struct engine_cgroup {
	char path[CGROUP_PATH_MAX]; /* the last that was known */
	char watched[PATH_MAX];     /* the folder above it; "" for none */
	sd_event_source *watch;     /* owned */
	void (*changed)(void *data);
	void *data;
};

/* Fills the model's engine_cgroup_id and engine_level; @event NULL: watches nothing. */
void engine_cgroup_fill(struct engine_cgroup *engine, sd_event *event, const struct config *config,
			pid_t peer_pid, struct model *model);
void engine_cgroup_done(struct engine_cgroup *engine);

/* The id of @c's folder below the parent of @view; 0 where it is not there. */
uint64_t host_child_cgroup(const struct cgroup_view *view, const struct container *c);

/*
 * The parent that the engine really uses, as [cgroup] parent would name it: where containers
 * without a parent of their own are, else what dockerd's arguments say. Returns 0, or -ENOENT where
 * nothing speaks against the one in @view.
 */
int host_engine_parent(const struct cgroup_view *view, const struct engine_view *engine,
		       const char *engine_cgroup, char *ret_parent, size_t size);

/* A namespace that was asked for: the hash of its file's name, which file it is, its id. */
struct sandbox_id {
	uint64_t key;
	dev_t device;
	ino_t inode;
	int nsid;
};

struct sandbox_ids {
	struct sandbox_id *known; /* of the last picture, by key */
	size_t known_n;
	struct sandbox_id *seen; /* of this one */
	size_t seen_n, seen_max;
	int (*ask)(void *data, const char *key); /* as link_watch_nsid() */
	void *data;
};

/* The id of the namespace at @key, asked for where it is not known. Returns >= 0 or -errno. */
int sandbox_ids_get(struct sandbox_ids *ids, const char *key);
/* A picture is whole: what was not got since the last call is forgotten. */
void sandbox_ids_turn(struct sandbox_ids *ids);
void sandbox_ids_done(struct sandbox_ids *ids);
