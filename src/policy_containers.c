/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The elements of one container. A job's elements name it (counters, comments, bindings) and pair
 * it with its own runner; a bystander's open. A bystander opens only with a port that is known to
 * be its own, never by an address alone, and never while a job shares its namespace or address.
 */
#include "policy-internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "jobfence/text.h"

static int addr_qsort(const void *a, const void *b)
{
	return ip_addr_cmp(a, b);
}

static bool is_job_side(const struct policy *policy, size_t i)
{
	size_t owner = (size_t)(policy->owners[i] - policy->model->containers);

	return policy->verdicts[i].role == ROLE_JOB || policy->shared_with_job[owner];
}

int policy_collect_job_addrs(struct policy *policy)
{
	const struct model *model = policy->model;
	size_t n = 0;

	for (size_t i = 0; i < model->containers_n; i++)
		n += 2 * model->containers[i].endpoints_n;
	policy->job_addrs = calloc(n + 1, sizeof(*policy->job_addrs));
	if (!policy->job_addrs)
		return -ENOMEM;
	for (size_t i = 0; i < model->containers_n; i++) {
		const struct container *c = &model->containers[i];

		if (!container_may_live(c) || !is_job_side(policy, i))
			continue;
		for (size_t j = 0; j < c->endpoints_n; j++) {
			policy->job_addrs[policy->job_addrs_n++] = c->endpoints[j].ip4;
			policy->job_addrs[policy->job_addrs_n++] = c->endpoints[j].ip6;
		}
	}
	qsort(policy->job_addrs, policy->job_addrs_n, sizeof(*policy->job_addrs), addr_qsort);
	return 0;
}

static bool is_job_addr(const struct policy *policy, const struct ip_addr *addr)
{
	return policy->job_addrs_n && bsearch(addr, policy->job_addrs, policy->job_addrs_n,
					      sizeof(*policy->job_addrs), addr_qsort);
}

/* An address behind what @key already holds; nothing for an address of the other family. */
static int add_addr(struct policy *policy, enum set_id set4, enum set_id set6,
		    const struct elem_key *prefix, const struct ip_addr *addr, const char *comment)
{
	struct elem_key key = *prefix;

	if (addr->family == AF_UNSPEC)
		return 0;
	elem_key_add(&key, addr->bytes, addr->family == AF_INET ? 4 : 16);
	return ruleset_add(policy->ruleset, addr->family == AF_INET ? set4 : set6, &key, 0,
			   comment);
}

/* What a port sends with is its owner's: nobody may borrow it while nobody knows who he is. */
static int add_claims(struct policy *policy, const struct link *port,
		      const struct endpoint *endpoint, const char *comment)
{
	const struct ip_addr link_local = mac_addr_link_local(&endpoint->mac);
	const struct mac_addr *mac = &endpoint->mac;
	struct elem_key key;
	int r;

	elem_key_init(&key);
	r = add_addr(policy, SET_BOUND4, SET_BOUND6, &key, &endpoint->ip4, comment);
	if (r >= 0)
		r = add_addr(policy, SET_BOUND4, SET_BOUND6, &key, &endpoint->ip6, comment);
	if (r < 0 || !mac_addr_is_set(mac))
		return r;
	r = add_addr(policy, SET_BOUND4, SET_BOUND6, &key, &link_local, comment);
	elem_key_add(&key, mac->bytes, sizeof(mac->bytes));
	if (r >= 0)
		r = ruleset_add(policy->ruleset, SET_BOUND_MACS, &key, 0, comment);
	elem_key_init(&key);
	elem_key_ifname(&key, port->name);
	elem_key_add(&key, mac->bytes, sizeof(mac->bytes));
	return r < 0 ? r : ruleset_add(policy->ruleset, SET_PORT_MACS, &key, 0, comment);
}

static int add_bindings(struct policy *policy, const struct link *port,
			const struct endpoint *endpoint, const char *comment)
{
	struct ip_addr link_local = mac_addr_link_local(&endpoint->mac);
	struct elem_key prefix;
	int r = policy_add_ifname(policy->ruleset, SET_JOB_PORTS, port->name, comment);

	elem_key_init(&prefix);
	elem_key_ifname(&prefix, port->name);
	elem_key_add(&prefix, endpoint->mac.bytes, sizeof(endpoint->mac.bytes));
	if (r >= 0)
		r = add_addr(policy, SET_JOB_BINDINGS4, SET_JOB_BINDINGS6, &prefix, &endpoint->ip4,
			     comment);
	if (r >= 0)
		r = add_addr(policy, SET_JOB_BINDINGS4, SET_JOB_BINDINGS6, &prefix, &endpoint->ip6,
			     comment);
	if (r >= 0)
		r = add_addr(policy, SET_JOB_BINDINGS4, SET_JOB_BINDINGS6, &prefix, &link_local,
			     comment);
	return r;
}

static int add_job_endpoint(struct policy *policy, size_t i, const struct endpoint *endpoint,
			    const char *bridge, const struct link *port, const char *comment)
{
	bool quarantined = policy->quarantined[policy->owners[i] - policy->model->containers];
	struct elem_key prefix;
	int r;

	elem_key_init(&prefix);
	elem_key_ifname(&prefix, bridge);
	r = add_addr(policy, SET_JOBS4, SET_JOBS6, &prefix, &endpoint->ip4, comment);
	if (r >= 0)
		r = add_addr(policy, SET_JOBS4, SET_JOBS6, &prefix, &endpoint->ip6, comment);
	if (r >= 0 && quarantined)
		r = add_addr(policy, SET_QUARANTINED4, SET_QUARANTINED6, &prefix, &endpoint->ip4,
			     comment);
	if (r >= 0 && quarantined)
		r = add_addr(policy, SET_QUARANTINED4, SET_QUARANTINED6, &prefix, &endpoint->ip6,
			     comment);
	if (r >= 0 && port && mac_addr_is_set(&endpoint->mac))
		r = add_bindings(policy, port, endpoint, comment);
	return r;
}

static int add_bystander_endpoint(struct policy *policy, const struct endpoint *endpoint,
				  const struct link *port, const char *comment)
{
	const struct ip_addr link_local = mac_addr_link_local(&endpoint->mac);
	const struct ip_addr *const addrs[] = { &endpoint->ip4, &endpoint->ip6, &link_local };
	struct elem_key none;
	int r;

	if (!port)
		return 0;
	elem_key_init(&none);
	r = policy_add_ifname(policy->ruleset, SET_BYSTANDER_PORTS, port->name, comment);
	if (r >= 0 && policy->model->egress)
		r = policy_add_ifname(policy->ruleset, SET_EGRESS_BYSTANDERS, port->name, comment);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(addrs); i++) {
		if (i == 2 && !mac_addr_is_set(&endpoint->mac))
			continue;
		if (!is_job_addr(policy, addrs[i]))
			r = add_addr(policy, SET_BYSTANDERS4, SET_BYSTANDERS6, &none, addrs[i],
				     comment);
	}
	return r;
}

/* A job that is released: the same, until the kernel ends it. What names and binds it stays, for then. */
static int add_released_endpoint(struct policy *policy, size_t i, const struct endpoint *endpoint,
				 const struct link *port, const char *comment)
{
	const struct ip_addr link_local = mac_addr_link_local(&endpoint->mac);
	const struct ip_addr *const addrs[] = { &endpoint->ip4, &endpoint->ip6, &link_local };
	uint64_t ends = policy->verdicts[i].released;
	struct elem_key key;
	int r;

	if (!port || !mac_addr_is_set(&endpoint->mac))
		return 0;
	elem_key_init(&key);
	elem_key_ifname(&key, port->name);
	r = ruleset_add_timed(policy->ruleset, SET_BYSTANDER_PORTS, &key, ends, comment);
	if (r >= 0 && policy->model->egress)
		r = ruleset_add_timed(policy->ruleset, SET_EGRESS_BYSTANDERS, &key, ends, comment);
	for (size_t j = 0; r >= 0 && j < ARRAY_SIZE(addrs); j++) {
		bool four = addrs[j]->family == AF_INET;

		if (addrs[j]->family == AF_UNSPEC)
			continue;
		elem_key_init(&key);
		elem_key_add(&key, addrs[j]->bytes, four ? 4 : 16);
		r = ruleset_add_timed(policy->ruleset, four ? SET_BYSTANDERS4 : SET_BYSTANDERS6,
				      &key, ends, comment);
	}
	return r;
}

static int add_endpoints(struct policy *policy, size_t i, const char *comment)
{
	const struct container *c = &policy->model->containers[i];
	int r = 0;

	for (size_t j = 0; r >= 0 && j < c->endpoints_n; j++) {
		const struct endpoint *endpoint = &c->endpoints[j];
		const struct network *network = policy_network(policy->model, endpoint->network_id);
		const struct link *bridge =
			network && network->bridge[0]
				? port_index_named(&policy->ports, network->bridge)
				: NULL;
		const struct link *port;

		if (!bridge)
			continue;
		port = port_index_find(policy, i, endpoint, bridge->ifindex);
		r = is_job_side(policy, i)
			    ? add_job_endpoint(policy, i, endpoint, bridge->name, port, comment)
			    : add_bystander_endpoint(policy, endpoint, port, comment);
		if (r >= 0 && policy->verdicts[i].released)
			r = add_released_endpoint(policy, i, endpoint, port, comment);
		if (r >= 0 && port)
			r = add_claims(policy, port, endpoint, comment);
	}
	return r;
}

static int add_published(struct policy *policy, uint8_t l4proto, const struct ip_addr *ip,
			 uint16_t port, const char *comment)
{
	enum set_id set = ip->family == AF_INET6 ? SET_PUBLISHED6 : SET_PUBLISHED4;
	struct elem_key key;

	elem_key_init(&key);
	elem_key_u8(&key, l4proto);
	if (ip_addr_is_any(ip) || !ip_addr_is_set(ip))
		set = SET_PUBLISHED_ANY;
	else
		elem_key_add(&key, ip->bytes, ip->family == AF_INET6 ? 16 : 4);
	elem_key_u16(&key, port);
	return ruleset_add(policy->ruleset, set, &key, 0, comment);
}

/* Clients dial "localhost": what is published on one loopback address is reserved on the other. */
static int add_job_port(struct policy *policy, const struct port_binding *binding,
			const char *comment)
{
	static const struct ip_addr one = { AF_INET, { 127, 0, 0, 1 } };
	static const struct ip_addr two = { AF_INET6, { [15] = 1 } };
	int r = add_published(policy, binding->l4proto, &binding->host_ip, binding->host_port,
			      comment);

	if (r >= 0 && ip_addr_is_loopback(&binding->host_ip))
		r = add_published(policy, binding->l4proto,
				  binding->host_ip.family == AF_INET ? &two : &one,
				  binding->host_port, comment);
	return r;
}

static int add_ports(struct policy *policy, size_t i, const char *comment)
{
	const struct container *c = &policy->model->containers[i];
	int r = 0;

	for (size_t j = 0; r >= 0 && j < c->ports_n; j++) {
		const struct port_binding *binding = &c->ports[j];
		struct elem_key key;

		if (binding->host_port == 0)
			continue;
		if (is_job_side(policy, i)) {
			r = add_job_port(policy, binding, comment);
			continue;
		}
		elem_key_init(&key);
		elem_key_u8(&key, binding->l4proto);
		elem_key_u16(&key, binding->host_port);
		r = ruleset_add(policy->ruleset, SET_BYSTANDER_PUBLISHED, &key, 0, comment);
	}
	return r;
}

/* A tag follows from the cgroup's id, so that a restart finds the same; a clash takes the next. */
static uint32_t take_tag(struct policy *policy, uint64_t cgroup_id)
{
	uint32_t tag = 1 + (uint32_t)(cgroup_id % POLICY_TAG_MAX);

	for (uint32_t tries = 0; tries < POLICY_TAG_MAX; tries++) {
		if (!(policy->tags[tag / 8] & 1u << tag % 8)) {
			policy->tags[tag / 8] |= (uint8_t)(1u << tag % 8);
			return tag;
		}
		tag = tag % POLICY_TAG_MAX + 1;
	}
	return 0;
}

static int add_own_runner(struct policy *policy, uint64_t cgroup_id, const char *comment)
{
	uint32_t tag = take_tag(policy, cgroup_id);
	uint32_t mark = policy->config->mark_container | tag;
	struct elem_key key;
	int r;

	if (tag == 0)
		return 0; /* 65535 host jobs on one host: this one goes without its own runner */
	elem_key_init(&key);
	elem_key_u64(&key, cgroup_id);
	r = ruleset_add(policy->ruleset, SET_JOB_TAGS, &key, mark, comment);
	elem_key_init(&key);
	elem_key_u32(&key, mark);
	elem_key_u64(&key, cgroup_id);
	return r < 0 ? r : ruleset_add(policy->ruleset, SET_OWN, &key, 0, comment);
}

/* What is not below the parent of the others: held by its own id, at any level. */
static int add_foreign(struct policy *policy, size_t i, const char *comment)
{
	const struct foreign_cgroup *foreign = policy_foreign(policy, i);
	int r;

	if (!foreign || policy->verdicts[i].confinement == CONFINEMENT_NONE)
		return 0;
	r = policy_add_cgroup(policy->ruleset, SET_FOREIGN_ROOTS, foreign->root, NULL);
	if (r >= 0)
		r = policy_add_cgroup(policy->ruleset, SET_FOREIGN_CGROUPS, foreign->id, comment);
	return r < 0 ? r : policy_add_cgroup(policy->ruleset, SET_HOST_JOBS, foreign->id, comment);
}

static int add_released_cgroup(struct policy *policy, uint64_t id, uint64_t ends,
			       const char *comment)
{
	struct elem_key key;

	elem_key_init(&key);
	elem_key_u64(&key, id);
	return ruleset_add_timed(policy->ruleset, SET_BYSTANDER_CGROUPS, &key, ends, comment);
}

static int add_host_placement(struct policy *policy, size_t i, const char *comment)
{
	const struct verdict *verdict = &policy->verdicts[i];
	uint64_t id = policy->model->cgroup_id ? policy->model->cgroup_id[i] : 0;
	bool forced = policy->config->mode == NETWORK_MODE_FORCED_BRIDGE;
	int r;

	if (id == 0)
		return add_foreign(policy, i, comment);
	if (verdict->role == ROLE_BYSTANDER)
		return verdict->placement == PLACEMENT_HOST
			       ? policy_add_cgroup(policy->ruleset, SET_BYSTANDER_CGROUPS, id,
						   comment)
			       : 0;
	r = policy_add_cgroup(policy->ruleset, SET_HOST_JOBS, id, comment);
	if (r >= 0 && verdict->confinement == CONFINEMENT_QUARANTINED && !forced)
		r = policy_add_cgroup(policy->ruleset, SET_QUARANTINED_CGROUPS, id, comment);
	if (r >= 0 && verdict->confinement == CONFINEMENT_FENCED && forced)
		r = policy_add_cgroup(policy->ruleset, SET_FENCED_CGROUPS, id, comment);
	/* a quarantine that is only audited leaves a job that is fenced */
	if (r >= 0 && (verdict->confinement == CONFINEMENT_FENCED ||
		       policy->config->audit & GROUP_BIT(GROUP_QUARANTINE)))
		r = add_own_runner(policy, id, comment);
	if (r >= 0 && verdict->released)
		r = add_released_cgroup(policy, id, verdict->released, comment);
	return r;
}

/* "<name> task <task-id> <MODE> <confinement>"; "<name> bystander" */
static int container_comment(struct policy *policy, size_t i, const char **ret_comment)
{
	const struct container *c = &policy->model->containers[i];
	const struct verdict *verdict = &policy->verdicts[i];
	char name[41], task[41], text[ELEM_COMMENT_MAX + 1];

	text_safe(c->name && c->name[0] ? c->name : c->id, name, sizeof(name));
	text_safe(c->task_id, task, sizeof(task));
	if (verdict->role == ROLE_BYSTANDER)
		snprintf(text, sizeof(text), "%s bystander", name);
	else
		snprintf(text, sizeof(text), "%s task %s %s %s", name, task,
			 network_mode_name(verdict->class), confinement_name(verdict->confinement));
	return ruleset_comment(policy->ruleset, text, ret_comment);
}

int policy_add_container(struct policy *policy, size_t i)
{
	const struct verdict *verdict = &policy->verdicts[i];
	const char *comment;
	int r = container_comment(policy, i, &comment);

	if (r >= 0)
		r = add_endpoints(policy, i, comment);
	/* a created container publishes nothing yet, and may never */
	if (r >= 0 && container_is_live(&policy->model->containers[i]))
		r = add_ports(policy, i, comment);
	if (r >= 0 &&
	    (verdict->placement == PLACEMENT_HOST || verdict->placement == PLACEMENT_UNKNOWN))
		r = add_host_placement(policy, i, comment);
	return r;
}
