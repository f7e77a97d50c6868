/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts the desired ruleset together: one verdict per container, then the elements that name, pair
 * and open. It never makes a rule, and nothing here depends on what was before: the same model
 * gives the same ruleset, also after a restart. What is not known opens nothing.
 */
#include "policy-internal.h"

#include <errno.h>
#include <string.h>

void policy_skeleton_params(const struct config *config, const struct model *model,
			    struct skeleton_params *ret_params)
{
	*ret_params = (struct skeleton_params){
		.mode = config->mode,
		.parent_level = model->has_cgroups ? model->cgroups.parent_level : 1,
		.engine_level = model->engine_level ?: 2,
		.shared_parent = model->has_cgroups && model->cgroups.shared,
		.bridge_meta = model->bridge_meta,
		.egress = model->egress,
		.runner_port = config->ports.runner,
		.mark_bystander = config->mark_bystander,
		.mark_container = config->mark_container,
		.mark_host = config->mark_host,
		.egress_bridge = config->egress_bridge,
		.egress_host = config->egress_host,
		.metadata_bridge = config->metadata_bridge,
		.metadata_host = config->metadata_host,
		.audit = config->audit,
		.log_group = model->records ? config->log_group : 0,
		.audit_log = config->audit && config->audit_log,
		.guarded = config->guarded.n > 0,
		.fenced = config->fenced.n > 0,
	};
}

static int add_port(struct ruleset *ruleset, enum set_id set, uint16_t port, const char *name)
{
	struct elem_key key;
	const char *comment;
	int r = ruleset_comment(ruleset, name, &comment);

	elem_key_init(&key);
	elem_key_u16(&key, port);
	return r < 0 ? r : ruleset_add(ruleset, set, &key, 0, comment);
}

static int add_reserved_ports(struct policy *policy)
{
	const struct reserved_ports *ports = &policy->config->ports;
	const struct {
		enum set_id set;
		uint16_t port;
		const char *name;
	} all[] = {
		{ SET_HOST_APIS, ports->shim, "shim" },
		{ SET_HOST_APIS, ports->dcgm, "DCGM exporter" },
		{ SET_OWN_APIS, ports->runner, "runner" },
		{ SET_OWN_APIS, ports->runner_ssh, "sshd of the job" },
		{ SET_RESERVED_APIS, ports->shim, "shim" },
		{ SET_RESERVED_APIS, ports->dcgm, "DCGM exporter" },
		{ SET_RESERVED_APIS, ports->runner, "runner" },
		{ SET_RESERVED_APIS, ports->runner_ssh, "sshd of the job" },
	};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(all); i++)
		r = add_port(policy->ruleset, all[i].set, all[i].port, all[i].name);
	return r;
}

static int add_port_ranges(struct policy *policy, enum set_id set, const struct port_ranges *ranges)
{
	int r = 0;

	for (size_t i = 0; i < ranges->n; i++)
		for (uint32_t port = ranges->range[i].first;
		     r >= 0 && port <= ranges->range[i].last; port++) {
			struct elem_key key;

			elem_key_init(&key);
			elem_key_u8(&key, ranges->range[i].l4proto);
			elem_key_u16(&key, (uint16_t)port);
			r = ruleset_add(policy->ruleset, set, &key, 0, NULL);
		}
	return r;
}

static int add_guarded(struct policy *policy, const char *name)
{
	int r = policy_add_ifname(policy->ruleset, SET_GUARDED_BRIDGES, name, NULL);

	return r < 0 ? r : policy_add_ifname(policy->ruleset, SET_BRIDGE_GUARDED, name, NULL);
}

static int add_spared(struct policy *policy, const char *name)
{
	int r = policy_add_ifname(policy->ruleset, SET_SPARED_BRIDGES, name, NULL);

	return r < 0 ? r : policy_add_ifname(policy->ruleset, SET_BRIDGE_SPARED, name, NULL);
}

/* The ports of guarded bridges, whoever is behind them, and what the host's ARP answers say. */
static int add_egress(struct policy *policy)
{
	const struct model *model = policy->model;
	int r = 0;

	for (size_t i = 0; r >= 0 && model->egress && i < model->links_n; i++) {
		const struct link *link = &model->links[i];
		const struct link *master = policy_link(model, link->master);
		struct elem_key key;

		if (master && policy_is_guarded(policy->config, model, master->name))
			r = policy_add_ifname(policy->ruleset, SET_EGRESS_PORTS, link->name, NULL);
		if (r < 0 || !mac_addr_is_set(&link->mac) ||
		    !policy_is_guarded(policy->config, model, link->name))
			continue;
		elem_key_init(&key);
		elem_key_add(&key, link->mac.bytes, sizeof(link->mac.bytes));
		r = ruleset_add(policy->ruleset, SET_BRIDGE_MACS, &key, 0, NULL);
	}
	return r;
}

/* What is somebody else's: bridges that only look like Docker's, and, where the kernel cannot name
 * the bridge of a frame, the ports of all bridges that are not guarded. */
static int add_foreign(struct policy *policy)
{
	const struct model *model = policy->model;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < model->links_n; i++) {
		const struct link *link = &model->links[i], *master;

		if (strncmp(link->name, "br-", 3) == 0 &&
		    !policy_is_guarded(policy->config, model, link->name))
			r = add_spared(policy, link->name);
		master = model->bridge_meta ? NULL : policy_link(model, link->master);
		if (r >= 0 && master && !policy_is_guarded(policy->config, model, master->name))
			r = policy_add_ifname(policy->ruleset, SET_FOREIGN_PORTS, link->name, NULL);
	}
	return r;
}

/* A bridge's port, or the end of a pair that is about to be one: Docker makes the pair here, puts one
 * end on the bridge, and only then gives the other away. */
static bool is_port_of_guarded(const struct policy *policy, const struct link *link)
{
	const struct model *model = policy->model;
	const struct link *master = policy_link(model, link->master);

	if (!master && link->nsid < 0) {
		const struct link *peer = policy_link(model, link->peer_ifindex);

		master = peer ? policy_link(model, peer->master) : NULL;
		return !master || policy_is_guarded(policy->config, model, master->name);
	}
	return master && policy_is_guarded(policy->config, model, master->name);
}

/* Until the engine has told all, a bridge that is not known as its own may be: what is on none, with
 * its other end elsewhere, is spared from the start, since it may be how this host is connected. */
static int add_spared_veths(struct policy *policy)
{
	const struct model *model = policy->model;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < model->links_n; i++) {
		const struct link *link = &model->links[i];
		bool known = model->in_sync || (link->master == 0 && link->nsid >= 0);

		if (known && strcmp(link->kind, "veth") == 0 && !is_port_of_guarded(policy, link))
			r = policy_add_ifname(policy->ruleset, SET_SPARED_VETHS, link->name, NULL);
	}
	return r;
}

/* The host on its bridges: their MACs, what the kernel and Docker make of them, their addresses. */
static int add_bridge_claims(struct policy *policy)
{
	static const struct ip_addr docker = { AF_INET6, { 0xfe, 0x80, [15] = 1 } };
	const struct model *model = policy->model;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < model->links_n; i++) {
		const struct link *link = &model->links[i];
		struct ip_addr link_local = mac_addr_link_local(&link->mac);

		if (!mac_addr_is_set(&link->mac) || strcmp(link->kind, "bridge") != 0 ||
		    !policy_is_guarded(policy->config, model, link->name))
			continue;
		r = policy_add_bytes(policy->ruleset, SET_BOUND_MACS, link->mac.bytes,
				     sizeof(link->mac.bytes), link->name);
		if (r >= 0)
			r = policy_add_bytes(policy->ruleset, SET_BOUND6, link_local.bytes,
					     sizeof(link_local.bytes), link->name);
		if (r >= 0)
			r = policy_add_bytes(policy->ruleset, SET_BOUND6, docker.bytes,
					     sizeof(docker.bytes), "every bridge of Docker's");
	}
	for (size_t i = 0; r >= 0 && i < model->gateways_n; i++) {
		const struct ip_addr *addr = &model->gateways[i];
		bool four = addr->family == AF_INET;

		r = policy_add_bytes(policy->ruleset, four ? SET_BOUND4 : SET_BOUND6, addr->bytes,
				     four ? 4 : 16, "gateway");
	}
	return r;
}

static int add_cgroup_base(struct policy *policy)
{
	const struct model *model = policy->model;
	const struct cgroup_view *view = &model->cgroups;
	char id[65];
	int r = 0;

	if (model->engine_cgroup_id)
		r = policy_add_cgroup(policy->ruleset, SET_ENGINE_CGROUPS, model->engine_cgroup_id,
				      NULL);
	if (r < 0 || !model->has_cgroups)
		return r;
	if (view->parent_id)
		r = policy_add_cgroup(policy->ruleset, SET_CONTAINER_SLICES, view->parent_id, NULL);
	for (size_t i = 0; r >= 0 && view->shared && i < view->children_n; i++)
		if (!cgroup_container_id(view->children[i].name, id))
			r = policy_add_cgroup(policy->ruleset, SET_HOST_SERVICES,
					      view->children[i].id, NULL);
	return r;
}

int policy_add_base(struct policy *policy)
{
	int r = add_reserved_ports(policy);

	if (r >= 0)
		r = add_port_ranges(policy, SET_GUARDED_LISTENERS, &policy->config->guarded);
	if (r >= 0)
		r = add_port_ranges(policy, SET_FENCED_PORTS, &policy->config->fenced);
	for (size_t i = 0; r >= 0 && i < policy->config->bridges_n; i++)
		r = add_guarded(policy, policy->config->bridges[i]);
	for (size_t i = 0; r >= 0 && i < policy->model->networks_n; i++)
		if (policy->model->networks[i].bridge[0])
			r = add_guarded(policy, policy->model->networks[i].bridge);
	if (r >= 0)
		r = add_foreign(policy);
	if (r >= 0)
		r = add_spared_veths(policy);
	if (r >= 0)
		r = add_egress(policy);
	if (r >= 0)
		r = add_bridge_claims(policy);
	return r < 0 ? r : add_cgroup_base(policy);
}

/* Until the engine has told all, what it once told stays: its owners may still be alive. What a
 * port stood for is checked all the same: a port that is gone opens nothing. */
static int keep_unknown(struct policy *policy)
{
	static const enum set_id sets[] = {
		SET_GUARDED_BRIDGES,
		SET_SPARED_VETHS,
		SET_GUARDED_LINKS,
		SET_BRIDGE_GUARDED,
		SET_ENGINE_CGROUPS,
		SET_BYSTANDER_CGROUPS,
		SET_QUARANTINED_CGROUPS,
		SET_FOREIGN_ROOTS,
		SET_FOREIGN_CGROUPS,
		SET_HOST_JOBS,
		SET_JOB_TAGS,
		SET_OWN,
		SET_BYSTANDERS4,
		SET_BYSTANDERS6,
		SET_JOBS4,
		SET_JOBS6,
		SET_QUARANTINED4,
		SET_QUARANTINED6,
		SET_PUBLISHED4,
		SET_PUBLISHED6,
		SET_PUBLISHED_ANY,
		SET_BYSTANDER_PUBLISHED,
		SET_BYSTANDER_PORTS,
		SET_JOB_PORTS,
		SET_JOB_BINDINGS4,
		SET_JOB_BINDINGS6,
		SET_PORT_MACS,
		SET_BOUND_MACS,
		SET_BOUND4,
		SET_BOUND6,
		SET_EGRESS_BYSTANDERS,
		SET_BRIDGE_MACS,
		SET_EGRESS_PORTS,
	};

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		policy->ruleset->keep[sets[i]] = true;
	policy->ruleset->keep[SET_FENCED_CGROUPS] =
		policy->config->on_violation == ON_VIOLATION_FENCE;
	/* Among them what a job was given with --dns, where that counts. */
	policy->ruleset->keep[SET_SERVICES4] = policy->ruleset->keep[SET_SERVICES6] =
		policy->config->resolvers.source == CONFIG_SOURCE_AUTO;
	/* A job that is released yet; who it is will be told. */
	policy->ruleset->keep_ends =
		calloc(policy->model->releases_n + 1, sizeof(*policy->ruleset->keep_ends));
	if (!policy->ruleset->keep_ends)
		return -ENOMEM;
	for (size_t i = 0; i < policy->model->releases_n; i++)
		policy->ruleset->keep_ends[i] = policy->model->releases[i].ends;
	policy->ruleset->keep_ends_n = policy->model->releases_n;
	return 0;
}

static void policy_done(struct policy *policy)
{
	ruleset_free(policy->ruleset);
	free(policy->verdicts);
	free(policy->owners);
	free(policy->shared_with_job);
	free(policy->quarantined);
	free(policy->job_addrs);
	free(policy->tags);
	port_index_done(&policy->ports);
}

static int prepare(struct policy *policy)
{
	size_t n = policy->model->containers_n + 1; /* never an empty allocation */
	int r = ruleset_new(&policy->ruleset);

	if (r < 0)
		return r;
	policy->verdicts = calloc(n, sizeof(*policy->verdicts));
	policy->owners = calloc(n, sizeof(*policy->owners));
	policy->shared_with_job = calloc(n, sizeof(*policy->shared_with_job));
	policy->quarantined = calloc(n, sizeof(*policy->quarantined));
	policy->tags = calloc((POLICY_TAG_MAX + 1) / 8, 1);
	if (!policy->verdicts || !policy->owners || !policy->shared_with_job ||
	    !policy->quarantined || !policy->tags)
		return -ENOMEM;
	return port_index_make(policy->model, &policy->ports);
}

int policy_build(const struct config *config, const struct model *model,
		 struct ruleset **ret_ruleset, struct verdict **ret_verdicts)
{
	_cleanup_(policy_done) struct policy policy = { .config = config, .model = model };
	int r = prepare(&policy);

	if (r >= 0) {
		policy_judge(&policy);
		r = policy_add_base(&policy);
	}
	if (r >= 0)
		r = policy_add_egress(&policy);
	if (r >= 0)
		r = policy_collect_job_addrs(&policy);
	for (size_t i = 0; r >= 0 && i < model->containers_n; i++)
		/* between `network connect` and the first instruction it has its port */
		if (container_may_live(&model->containers[i]))
			r = policy_add_container(&policy, i);
	if (r >= 0 && !model->in_sync)
		r = keep_unknown(&policy);
	if (r < 0)
		return r;
	ruleset_seal(policy.ruleset);
	*ret_ruleset = take_ptr(policy.ruleset);
	if (ret_verdicts)
		*ret_verdicts = take_ptr(policy.verdicts);
	return 0;
}
