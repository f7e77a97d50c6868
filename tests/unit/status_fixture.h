/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host written out by hand, for the tests of `status`. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../src/status-internal.h"
#include "live_fixture.h"

#define WEB "box"
#define TASK "0f1e2d3c-0000-4000-8000-000000000001"
#define DOCKER0 "1111111111111111111111111111111111111111111111111111111111111111"

/* Sorted by id, as the engine's client has them. */
static struct container containers[] = {
	{ .id = "a1",
	  .name = (char *)"train-0-0-0123abcd",
	  .task_id = (char *)TASK,
	  .is_task = true,
	  .inspected = true,
	  .state = CONTAINER_RUNNING,
	  .network_kind = NETWORK_KIND_HOST },
	{ .id = "b2",
	  .name = (char *)WEB,
	  .inspected = true,
	  .state = CONTAINER_PAUSED,
	  .network_kind = NETWORK_KIND_BRIDGE },
	{ .id = "c3",
	  .name = (char *)"small-0-0-00000000",
	  .task_id = (char *)"t\x1b[2J2",
	  .is_task = true,
	  .inspected = true,
	  .state = CONTAINER_RUNNING,
	  .network_kind = NETWORK_KIND_BRIDGE,
	  .nano_cpus = 1,
	  .memory = 1,
	  .hazards = HAZARD_PRIVILEGED | HAZARD_RDMA,
	  .hazard_text = (char *)"/data" },
	{ .id = "d4",
	  .name = (char *)"gone-0-0-00000000",
	  .task_id = (char *)"t4",
	  .is_task = true,
	  .inspected = true,
	  .state = CONTAINER_EXITED,
	  .network_kind = NETWORK_KIND_HOST,
	  .nano_cpus = 1 },
	{ .id = "e5",
	  .name = (char *)"alone-0-0-00000000",
	  .task_id = (char *)"t5",
	  .is_task = true,
	  .inspected = true,
	  .state = CONTAINER_RUNNING,
	  .network_kind = NETWORK_KIND_BRIDGE },
};

#define N ARRAY_SIZE(containers)

struct fixture {
	struct config config;
	struct config_origin origin;
	struct engine_view engine;
	struct expected expected;
	struct live *live;
	struct status_view view;
	uint64_t cgroup_id[N];
	int nsid[N];
	struct network network;
	struct link link;
	struct endpoint endpoint;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);

	const struct model model = {
		.containers = containers,
		.containers_n = N,
		.cgroup_id = f->cgroup_id,
		.nsid = f->nsid,
		.networks = &f->network,
		.networks_n = 1,
		.links = &f->link,
		.links_n = 1,
		.has_cgroups = true,
		.bridge_meta = true,
		.in_sync = true,
		.cgroups = { .root = "/sys/fs/cgroup",
			     .driver = CGROUP_DRIVER_CGROUPFS,
			     .parent = "docker",
			     .parent_id = 5,
			     .parent_level = 1 },
	};

	config_defaults(&f->config);
	strcpy(f->origin.mode, "environment");
	f->cgroup_id[0] = 77;
	f->network = (struct network){ .id = DOCKER0, .bridge = "docker0" };
	f->link = (struct link){ .ifindex = 3, .name = "docker0", .kind = "bridge" };
	f->endpoint =
		(struct endpoint){ .network_id = DOCKER0, .ip4 = { AF_INET, { 172, 17, 0, 2 } } };
	containers[2].endpoints = &f->endpoint;
	containers[2].endpoints_n = 1;
	f->engine = (struct engine_view){ .state = ENGINE_IN_SYNC, .ever_in_sync = true };
	strcpy(f->engine.info.version, "28.5.2");
	assert_int_equal(expected_build(&f->config, &model, &f->expected), 0);
	assert_int_equal(live_new(&f->live), 0);
	f->view = (struct status_view){
		.config = &f->config,
		.origin = &f->origin,
		.engine = &f->engine,
		.expected = &f->expected,
		.live = f->live,
		.daemon_pid = 1234,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	status_view_done(&f->view);
	live_free(f->live);
	expected_done(&f->expected);
	free(f);
	return 0;
}

/* The elements that policy made, as the kernel would give them back, each with @packets. */
static inline void put_elements(struct fixture *f, uint64_t packets)
{
	copy_elements(f->expected.ruleset, f->live->elements, packets, 0);
}

static inline char *printed(const struct status_view *view)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	status_print(out, view);
	fclose(out);
	return text;
}

static inline const struct status_row *row_of(const struct status_view *view, const char *id)
{
	for (size_t i = 0; i < view->rows_n; i++)
		if (strcmp(view->rows[i].container->id, id) == 0)
			return &view->rows[i];
	fail_msg("no row %s", id);
	return NULL;
}
