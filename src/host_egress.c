/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What egress is decided by, for the model: the networks that the host is attached to. Sees, and
 * never judges: a network whose link is not known counts.
 */
#include "host-internal.h"

#include <errno.h>
#include <stdlib.h>

int host_egress_open(struct host_egress *egress, sd_event *event, attached_changed_fn changed,
		     void *data, struct diag *diag)
{
	return attached_watch_new(event, changed, data, &egress->attached, diag);
}

void host_egress_done(struct host_egress *egress)
{
	attached_watch_free(egress->attached);
	free(egress->networks);
	*egress = (struct host_egress){ 0 };
}

void host_egress_refresh(struct host_egress *egress)
{
	attached_watch_refresh(egress->attached);
}

static const char *link_name(const struct model *model, int ifindex)
{
	for (size_t i = 0; i < model->links_n; i++)
		if (model->links[i].ifindex == ifindex)
			return model->links[i].name;
	return NULL;
}

static int compare_ranges(const void *a, const void *b)
{
	return net_range_cmp(a, b);
}

static int fill_networks(struct host_egress *egress, const struct config *config,
			 struct model *model)
{
	size_t n, kept = 0;
	const struct attached *list = attached_watch_list(egress->attached, &n);
	struct net_range *networks = reallocarray(egress->networks, n + 1, sizeof(*networks));

	if (!networks)
		return -ENOMEM;
	egress->networks = networks;
	for (size_t i = 0; i < n; i++) {
		const char *name = link_name(model, list[i].ifindex);

		if (!ip_addr_is_set(&list[i].network.first) ||
		    (name && policy_is_guarded(config, model, name)))
			continue;
		networks[kept++] = list[i].network;
	}
	qsort(networks, kept, sizeof(*networks), compare_ranges);
	model->attached = networks;
	for (size_t i = 0; i < kept; i++)
		if (model->attached_n == 0 ||
		    net_range_cmp(&networks[model->attached_n - 1], &networks[i]) != 0)
			networks[model->attached_n++] = networks[i];
	return 0;
}

int host_egress_fill(struct host_egress *egress, const struct config *config, struct model *model)
{
	return fill_networks(egress, config, model);
}
