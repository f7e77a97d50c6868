/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the policy files share: the work in progress of one policy_build(). */
#pragma once

#include "jobfence/policy.h"

#define POLICY_TAG_MAX 0xffff /* a tag is the low 16 bits of the conntrack mark */

/* Links sorted for the two ways in which an endpoint finds its port, and for a bridge's name. */
struct port_index {
	const struct link **by_nsid; /* (master, nsid), only links with both; owned */
	const struct link **by_mac;  /* (master, peer_mac), only links with both; owned */
	const struct link **by_name; /* all; owned */
	size_t by_nsid_n, by_mac_n, by_name_n;
};

struct policy {
	const struct config *config;
	const struct model *model;
	struct ruleset *ruleset;
	struct verdict *verdicts;        /* per container; owned */
	const struct container **owners; /* per container: whose namespace it is in; owned */
	bool *shared_with_job;           /* per container: a live job is in its namespace; owned */
	bool *quarantined;               /* same: a bridge job there sends nothing; owned */
	struct port_index ports;
	struct ip_addr *job_addrs; /* of live jobs, sorted; owned */
	size_t job_addrs_n;
	uint8_t *tags; /* bitmap of tags that are taken; owned */
};

int port_index_make(const struct model *model, struct port_index *ret_index);
void port_index_done(struct port_index *index);
/* The port of @endpoint of container @i on the bridge with @bridge_ifindex; NULL: not known. */
const struct link *port_index_find(const struct policy *policy, size_t i,
				   const struct endpoint *endpoint, int bridge_ifindex);
const struct link *port_index_named(const struct port_index *index, const char *name);

const struct network *policy_network(const struct model *model, const char *id);
const struct link *policy_link(const struct model *model, int ifindex);

int policy_add_ifname(struct ruleset *ruleset, enum set_id set, const char *name,
		      const char *comment);
/* An element of one field, with @text as its comment. */
int policy_add_bytes(struct ruleset *ruleset, enum set_id set, const void *field, uint32_t len,
		     const char *text);
int policy_add_cgroup(struct ruleset *ruleset, enum set_id set, uint64_t id, const char *comment);

/* The foreign cgroup of container @i where the fence can hold it by that, else NULL. */
const struct foreign_cgroup *policy_foreign(const struct policy *policy, size_t i);
/* The verdicts, and whose namespace is whose. */
void policy_judge(struct policy *policy);
/* The sets that do not depend on containers. */
int policy_add_base(struct policy *policy);
/* The sets that decide what is reached beyond the host. */
int policy_add_egress(struct policy *policy);
/* Everything about container @i, which is live. */
int policy_add_container(struct policy *policy, size_t i);
/* Addresses of live jobs: no bystander may claim one. */
int policy_collect_job_addrs(struct policy *policy);
