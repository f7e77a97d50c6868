/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what is known of the host to what should be in the kernel. Pure: config and model in, sets
 * of elements and one verdict per container out; no history, no I/O.
 */
#pragma once

#include "jobfence/cgroup.h"
#include "jobfence/classify.h"
#include "jobfence/link.h"
#include "jobfence/release.h"
#include "jobfence/ruleset.h"

/* A container's cgroup where it is not below the parent that holds the others. */
struct foreign_cgroup {
	uint64_t id;   /* 0: none, or not known */
	uint64_t root; /* of its ancestor at level 1; itself where that is its level */
	uint32_t level;
};

/* What is known of the host at one moment. Borrowed from the sources that know it. */
struct model {
	const struct container *containers; /* sorted by id */
	size_t containers_n;
	const int *nsid;           /* per container: its namespace's id here, -1 unknown */
	const uint64_t *cgroup_id; /* per container: 0 unknown, or elsewhere: see foreign */
	const struct foreign_cgroup *foreign; /* per container; may be NULL */
	const struct network *networks;       /* sorted by id */
	size_t networks_n;
	const struct link *links; /* sorted by ifindex */
	size_t links_n;
	bool has_cgroups; /* false: no cgroup v2 hierarchy; cgroups below is empty */
	struct cgroup_view cgroups;
	uint64_t engine_cgroup_id; /* 0 unknown */
	uint32_t engine_level;     /* its level; 2 while unknown */
	/* Networks that the host is attached to, but those of guarded bridges and of loopback. */
	const struct net_range *attached;
	size_t attached_n;
	const struct ip_addr *gateways; /* what the host is called on guarded bridges */
	size_t gateways_n;
	const struct ip_addr *resolvers; /* what jobs may ask on port 53: configured or found */
	size_t resolvers_n;
	const struct sock_addr *proxies; /* configured or found */
	size_t proxies_n;
	const struct release *releases; /* sorted by id, none that is over */
	size_t releases_n;
	bool bridge_meta; /* the kernel has `meta ibrname` */
	bool egress;      /* the kernel has netdev egress and `meta rtclassid` */
	bool records; /* what is stopped can be told: the kernel has NFLOG, and the group is ours */
	bool in_sync; /* the engine has told all; else what is in the kernel stays */
};

/* The numbers that the fixed rules depend on. */
void policy_skeleton_params(const struct config *config, const struct model *model,
			    struct skeleton_params *ret_params);

/*
 * The elements of all sets (sealed), and one verdict per container of the model, in its order.
 * ret_verdicts may be NULL. Returns 0 or -ENOMEM.
 */
int policy_build(const struct config *config, const struct model *model,
		 struct ruleset **ret_ruleset, struct verdict **ret_verdicts);

/* A set of what unknown ports may not borrow. A daemon that ends takes its containers' claims back. */
bool policy_is_claim(enum set_id set);
/* "br-" and 12 hex digits: the name that Docker gives a bridge of its own. */
bool policy_is_docker_bridge(const char *name);
/* The device is guarded: configured, named by the engine, or of Docker's naming. */
bool policy_is_guarded(const struct config *config, const struct model *model, const char *name);
