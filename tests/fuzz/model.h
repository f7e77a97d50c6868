/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host around containers that an input made: docker0, a bridge of a network "user", and for every
 * container a port, a namespace and a cgroup of its own, so that the policy could open for each.
 */
#pragma once

#include "jobfence/policy.h"

#define FUZZ_CONTAINERS_MAX 16
#define FUZZ_NET_DOCKER0 "1111111111111111111111111111111111111111111111111111111111111111"
#define FUZZ_NET_USER "2222222222222222222222222222222222222222222222222222222222222222"

struct fuzz_host {
	struct config config;
	struct network networks[2];
	struct link links[2 + FUZZ_CONTAINERS_MAX];
	int nsid[FUZZ_CONTAINERS_MAX];
	uint64_t cgroup_id[FUZZ_CONTAINERS_MAX];
	struct model model;
};

/* @containers are borrowed, sorted, and at most FUZZ_CONTAINERS_MAX. */
void fuzz_host_init(struct fuzz_host *host, const struct container *containers, size_t n);

/*
 * Builds the ruleset and checks that it opens for nobody but a bystander: no port, cgroup or address
 * of a job's, or of a container that cannot be told from one, is in a set that opens.
 */
void fuzz_check_policy(const struct fuzz_host *host);
