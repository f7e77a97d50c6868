/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What host.c and host_egress.c share. */
#pragma once

#include "jobfence/attached.h"
#include "jobfence/host.h"

/* The facts of egress, beside the model that borrows them. Zeroed is empty. */
struct host_egress {
	struct attached_watch *attached; /* owned */
	struct net_range *networks;      /* owned; of the last picture */
};

/* @changed is called with @data. Returns 0 or -errno with @diag. */
int host_egress_open(struct host_egress *egress, sd_event *event, attached_changed_fn changed,
		     void *data, struct diag *diag);
/* To be called when containers, networks and links are in @model. Returns 0 or -ENOMEM. */
int host_egress_fill(struct host_egress *egress, const struct config *config, struct model *model);
void host_egress_refresh(struct host_egress *egress);
void host_egress_done(struct host_egress *egress);
