/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What egress is decided by, for the model: the networks that the host is attached to, the resolvers
 * and the proxies. Sees, and never judges: a network whose link is not known counts.
 */
#include "host-internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jobfence/log.h"

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
	free(egress->gateways);
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

/* A job's, or of one that is confined like a job; before its first instruction as well, since it
 * asks at once. */
static bool counts(const struct container *c, const struct config *config)
{
	struct verdict verdict;

	if (c->dns_n == 0 || !container_may_live(c))
		return false;
	classify(c, NULL, config, &verdict);
	return verdict.role == ROLE_JOB;
}

/*
 * What a job was given with --dns, which only its own shim chooses, and what the engine gives to
 * those without. Never what stands in a container's resolv.conf: the job can write that.
 */
static void find_resolvers(struct host_egress *egress, const struct config *config,
			   const struct model *model)
{
	const struct resolvers *engine = resolv_watch_get(egress->resolv);

	for (size_t i = 0; i < engine->n; i++)
		resolvers_add(&egress->resolvers, &engine->addr[i]);
	for (size_t i = 0; i < model->containers_n; i++) {
		const struct container *c = &model->containers[i];

		if (!counts(c, config))
			continue;
		for (size_t d = 0; d < c->dns_n; d++)
			resolvers_add(&egress->resolvers, &c->dns[d]);
	}
}

static void fill_resolvers(struct host_egress *egress, const struct config *config,
			   struct model *model)
{
	egress->resolvers.n = 0;
	switch (config->resolvers.source) {
	case CONFIG_SOURCE_AUTO:
		find_resolvers(egress, config, model);
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

const char *host_egress_origin(const struct host_egress *egress, const struct config *config)
{
	switch (config->resolvers.source) {
	case CONFIG_SOURCE_AUTO:
		return resolv_watch_origin(egress->resolv);
	case CONFIG_SOURCE_NONE:
	case CONFIG_SOURCE_LIST:
		break;
	}
	return "jobfence's configuration";
}

bool host_egress_is_local(const struct host_egress *egress, const struct ip_addr *addr)
{
	size_t n;
	const struct attached *list = attached_watch_list(egress->attached, &n);

	for (size_t i = 0; i < n; i++)
		if (ip_addr_is_set(&list[i].local) && ip_addr_cmp(&list[i].local, addr) == 0)
			return true;
	return false;
}

/* Whoever may use a proxy may be connected by it to whatever it reaches. */
static void warn_of_local_proxies(struct host_egress *egress, const struct config *config)
{
	const struct config_proxies *proxies = &config->proxies;
	char text[SOCK_ADDR_TEXT_MAX];

	_Static_assert(CONFIG_ADDRESSES_MAX <= 32, "struct host_egress has a bit for each proxy");
	if (memcmp(&egress->warned_of, proxies, sizeof(*proxies)) != 0)
		egress->warned = 0;
	egress->warned_of = *proxies;
	for (size_t i = 0; i < proxies->n; i++) {
		uint32_t bit = (uint32_t)1 << i;

		if (egress->warned & bit || !host_egress_is_local(egress, &proxies->addr[i].ip))
			continue;
		egress->warned |= bit;
		log_warn("the proxy %s runs on this host: unless it refuses, a job can have it "
			 "CONNECT to 127.0.0.1:%u (the shim: root on this host) and to the cloud's "
			 "metadata; have it refuse this host's own and link-local addresses",
			 sock_addr_text(&proxies->addr[i], text), config->ports.shim);
	}
}

static int fill_gateways(struct host_egress *egress, const struct config *config,
			 struct model *model)
{
	size_t n;
	const struct attached *list = attached_watch_list(egress->attached, &n);
	struct ip_addr *gateways = reallocarray(egress->gateways, n + 1, sizeof(*gateways));

	if (!gateways)
		return -ENOMEM;
	egress->gateways = gateways;
	for (size_t i = 0; i < n; i++) {
		const char *name = link_name(model, list[i].ifindex);

		if (ip_addr_is_set(&list[i].local) && name &&
		    policy_is_guarded(config, model, name))
			gateways[model->gateways_n++] = list[i].local;
	}
	model->gateways = gateways;
	return 0;
}

int host_egress_fill(struct host_egress *egress, const struct config *config, struct model *model)
{
	int r;

	if (!egress->silent)
		warn_of_local_proxies(egress, config);
	fill_resolvers(egress, config, model);
	model->proxies = config->proxies.addr;
	model->proxies_n = config->proxies.n;
	r = fill_networks(egress, config, model);
	return r < 0 ? r : fill_gateways(egress, config, model);
}
