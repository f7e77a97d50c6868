/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host with N containers as plain data: what the sources would have told. */
#pragma once

#include "jobfence/policy.h"

struct bench_model {
	struct model model; /* of n containers, links and all */
	struct container *containers;
	struct link *links;
	int *nsid;
	uint64_t *cgroup_id;
	struct network network;
};

/* Nine of ten are bridge jobs with two published ports, the tenth is a bystander. Each has a port
 * of its own on docker0, IPv4 and IPv6. */
struct bench_model *bench_model_new(size_t n);
struct bench_model *bench_model_free(struct bench_model *bench);
