/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What egress is decided by, for the model: the networks that the host is attached to, the resolvers
 * and the proxies. Sees, and never judges: a network whose link is not known counts.
 */
#include "host-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void on_attached(struct attached_watch *watch, void *data)
{
	struct host_egress *egress = data;

	egress->changed(egress->data);
}

static void on_resolv(struct resolv_watch *watch, void *data)
{
	struct host_egress *egress = data;

	egress->changed(egress->data);
}

int host_egress_open(struct host_egress *egress, sd_event *event, void (*changed)(void *data),
		     void *data, struct diag *diag)
{
	int r;

	egress->changed = changed;
	egress->data = data;
	r = attached_watch_new(event, on_attached, egress, &egress->attached, diag);
	if (r < 0)
		return r;
	r = resolv_watch_new(event, on_resolv, egress, &egress->resolv);
	return r < 0 ? diag_set(diag, r, "cannot follow the resolvers: %s", strerror(-r)) : 0;
}

void host_egress_done(struct host_egress *egress)
{
	attached_watch_free(egress->attached);
	resolv_watch_free(egress->resolv);
	free(egress->networks);
	*egress = (struct host_egress){ 0 };
}

void host_egress_set_engine(struct host_egress *egress, pid_t pid)
{
	resolv_watch_set_engine(egress->resolv, pid);
}

void host_egress_refresh(struct host_egress *egress)
{
	attached_watch_refresh(egress->attached);
	resolv_watch_refresh(egress->resolv);
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

/* Before its first instruction as well: it asks at once. */
static bool counts(const struct container *c)
{
	return c->is_task && (container_is_live(c) || c->state == CONTAINER_CREATED);
}

/*
 * What a job was given with --dns, which only its own shim chooses, and what the engine gives to
 * those without. Never what stands in a container's resolv.conf: the job can write that.
 */
static void find_resolvers(struct host_egress *egress, const struct model *model)
{
	const struct resolvers *engine = resolv_watch_get(egress->resolv);

	for (size_t i = 0; i < engine->n; i++)
		resolvers_add(&egress->resolvers, &engine->addr[i]);
	for (size_t i = 0; i < model->containers_n; i++) {
		const struct container *c = &model->containers[i];

		for (size_t d = 0; counts(c) && d < c->dns_n; d++)
			resolvers_add(&egress->resolvers, &c->dns[d]);
	}
}

static void fill_resolvers(struct host_egress *egress, const struct config *config,
			   struct model *model)
{
	egress->resolvers.n = 0;
	switch (config->resolvers.source) {
	case CONFIG_SOURCE_AUTO:
		find_resolvers(egress, model);
		break;
	case CONFIG_SOURCE_NONE:
		break;
	case CONFIG_SOURCE_LIST:
		for (size_t i = 0; i < config->resolvers.n; i++)
			resolvers_add(&egress->resolvers, &config->resolvers.addr[i]);
		break;
	}
	model->resolvers = egress->resolvers.addr;
	model->resolvers_n = egress->resolvers.n;
}

int host_egress_fill(struct host_egress *egress, const struct config *config, struct model *model)
{
	fill_resolvers(egress, config, model);
	model->proxies = config->proxies.addr;
	model->proxies_n = config->proxies.n;
	return fill_networks(egress, config, model);
}
