/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See model.h. */
#include "model.h"

#include "fuzz.h"

#define CGROUP_OF(i) (1000 + (i))

static void set_link(struct link *link, int ifindex, const char *name, const char *kind, int master)
{
	*link = (struct link){ .ifindex = ifindex, .master = master, .nsid = -1 };
	snprintf(link->name, sizeof(link->name), "%s", name);
	snprintf(link->kind, sizeof(link->kind), "%s", kind);
}

void fuzz_host_init(struct fuzz_host *host, const struct container *containers, size_t n)
{
	*host = (struct fuzz_host){ 0 };
	config_defaults(&host->config);
	strcpy(host->networks[0].id, FUZZ_NET_DOCKER0);
	strcpy(host->networks[0].bridge, "docker0");
	strcpy(host->networks[1].id, FUZZ_NET_USER);
	strcpy(host->networks[1].bridge, "br-222222222222");
	set_link(&host->links[0], 2, "docker0", "bridge", 0);
	set_link(&host->links[1], 3, "br-222222222222", "bridge", 0);
	for (size_t i = 0; i < n; i++) {
		struct link *link = &host->links[2 + i];
		char name[IFNAMSIZ];

		snprintf(name, sizeof(name), "veth%u", (unsigned)(i % FUZZ_CONTAINERS_MAX));
		set_link(link, (int)(10 + i), name, "veth", i % 2 ? 3 : 2);
		link->nsid = host->nsid[i] = (int)i;
		link->peer_ifindex = 2;
		host->cgroup_id[i] = CGROUP_OF(i);
	}
	host->model = (struct model){
		.containers = containers,
		.containers_n = n,
		.nsid = host->nsid,
		.cgroup_id = host->cgroup_id,
		.networks = host->networks,
		.networks_n = 2,
		.links = host->links,
		.links_n = 2 + n,
		.has_cgroups = true,
		.engine_cgroup_id = 77,
		.engine_level = 2,
		.bridge_meta = true,
		.egress = true,
		.in_sync = true,
	};
	strcpy(host->model.cgroups.root, "/sys/fs/cgroup");
	strcpy(host->model.cgroups.parent, "docker");
	host->model.cgroups.parent_id = 42;
	host->model.cgroups.parent_level = 1;
}

static bool has_key(const struct ruleset *ruleset, enum set_id set, const struct elem_key *key)
{
	return ruleset_find(ruleset, set, key->bytes);
}

static bool has_name(const struct ruleset *ruleset, enum set_id set, const char *name)
{
	struct elem_key key;

	elem_key_init(&key);
	elem_key_ifname(&key, name);
	return has_key(ruleset, set, &key);
}

static bool has_addr(const struct ruleset *ruleset, const struct ip_addr *addr)
{
	struct elem_key key;

	elem_key_init(&key);
	elem_key_add(&key, addr->bytes, addr->family == AF_INET ? 4 : 16);
	return has_key(ruleset, addr->family == AF_INET ? SET_BYSTANDERS4 : SET_BYSTANDERS6, &key);
}

/* @i is a job, alive: nothing opens for it. */
static void check_job(const struct fuzz_host *host, size_t i, const struct ruleset *ruleset,
		      const struct verdict *verdict)
{
	const struct container *c = &host->model.containers[i];
	struct elem_key cgroup;

	CHECK(verdict->role == ROLE_JOB && verdict->confinement != CONFINEMENT_NONE);
	elem_key_init(&cgroup);
	elem_key_u64(&cgroup, CGROUP_OF(i));
	CHECK(!has_key(ruleset, SET_BYSTANDER_CGROUPS, &cgroup));
	if (verdict->placement == PLACEMENT_HOST || verdict->placement == PLACEMENT_UNKNOWN)
		CHECK(has_key(ruleset, SET_HOST_JOBS, &cgroup));
	if (verdict->placement == PLACEMENT_UNKNOWN || verdict->violation)
		CHECK(verdict->confinement == CONFINEMENT_QUARANTINED ||
		      verdict->placement != PLACEMENT_UNKNOWN);
	/* the port that is in its namespace */
	if (c->network_kind != NETWORK_KIND_CONTAINER)
		CHECK(!has_name(ruleset, SET_BYSTANDER_PORTS, host->links[2 + i].name) &&
		      !has_name(ruleset, SET_EGRESS_BYSTANDERS, host->links[2 + i].name));
	for (size_t j = 0; j < c->endpoints_n; j++) {
		CHECK(!ip_addr_is_set(&c->endpoints[j].ip4) ||
		      !has_addr(ruleset, &c->endpoints[j].ip4));
		CHECK(!ip_addr_is_set(&c->endpoints[j].ip6) ||
		      !has_addr(ruleset, &c->endpoints[j].ip6));
	}
}

/* Every element that opens is somebody's who is no job. */
static void check_openings(const struct ruleset *ruleset, bool bystanders)
{
	static const enum set_id sets[] = { SET_BYSTANDER_CGROUPS,   SET_BYSTANDERS4,
					    SET_BYSTANDERS6,         SET_BYSTANDER_PORTS,
					    SET_BYSTANDER_PUBLISHED, SET_EGRESS_BYSTANDERS };
	static const char role[] = " bystander";

	for (size_t s = 0; s < ARRAY_SIZE(sets); s++) {
		const struct elems *elems = &ruleset->sets[sets[s]];

		CHECK(bystanders || elems->n == 0);
		for (size_t i = 0; i < elems->n; i++) {
			const char *comment = elems->elem[i].comment;

			CHECK(comment && strlen(comment) > strlen(role));
			CHECK(!strcmp(comment + strlen(comment) - strlen(role), role));
		}
	}
}

static void check_comments(const struct ruleset *ruleset)
{
	for (size_t s = 0; s < SET_MAX; s++)
		for (size_t i = 0; i < ruleset->sets[s].n; i++)
			if (ruleset->sets[s].elem[i].comment)
				CHECK(fuzz_is_safe(ruleset->sets[s].elem[i].comment,
						   ELEM_COMMENT_MAX));
}

void fuzz_check_policy(const struct fuzz_host *host)
{
	_cleanup_(ruleset_freep) struct ruleset *ruleset = NULL;
	_cleanup_free_ struct verdict *verdicts = NULL;
	bool bystanders = false;

	CHECK(policy_build(&host->config, &host->model, &ruleset, &verdicts) == 0);
	for (size_t i = 0; i < host->model.containers_n; i++) {
		const struct container *c = &host->model.containers[i];

		CHECK(strnlen(verdicts[i].why, sizeof(verdicts[i].why)) < sizeof(verdicts[i].why));
		CHECK(fuzz_is_line(verdicts[i].why, sizeof(verdicts[i].why)));
		bystanders |= verdicts[i].role == ROLE_BYSTANDER;
		CHECK(!c->is_task || verdicts[i].role == ROLE_JOB);
		if (c->is_task && container_is_live(c))
			check_job(host, i, ruleset, &verdicts[i]);
	}
	check_openings(ruleset, bystanders);
	check_comments(ruleset);
}
