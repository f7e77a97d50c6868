/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What host.c and host_egress.c share. */
#pragma once

#include "jobfence/attached.h"
#include "jobfence/host.h"
#include "jobfence/resolv_watch.h"

/* The facts of egress, beside the model that borrows them. Zeroed is empty. */
struct host_egress {
	struct attached_watch *attached; /* owned */
	struct resolv_watch *resolv;     /* owned */
	struct net_range *networks;      /* owned; of the last picture */
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
