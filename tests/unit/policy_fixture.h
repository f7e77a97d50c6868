/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A model of a host with two bridges and three containers, for the tests of the policy. */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/policy.h"

#define ID(c) c c c c c c c c c c c c c c c c
#define ID_A ID("aaaa")
#define ID_B ID("bbbb")
#define ID_C ID("cccc")
#define NET_DOCKER0 ID("d0d0")
#define NET_USER ID("e1e1")

enum { DOCKER0 = 3, BR_USER = 4, VETH_A = 10, VETH_B = 11, VETH_C = 12 };

/* A host with two bridges and three containers, changed by each test to its purpose. */
struct fixture {
	struct config config;
	struct container containers[3];
	struct endpoint endpoints[3];
	struct port_binding ports[3][2];
	struct network networks[2];
	struct link links[8];
	int nsid[3];
	uint64_t cgroup_id[3];
	struct cgroup_child children[3];
	struct model model;
	struct ruleset *ruleset;
	struct verdict *verdicts;
};

static void set_link(struct link *link, int ifindex, const char *name, const char *kind, int master)
{
	*link = (struct link){ .ifindex = ifindex, .master = master, .nsid = -1 };
	strcpy(link->name, name);
	strcpy(link->kind, kind);
}

static void set_container(struct fixture *f, size_t i, const char *id, char *name, bool job)
{
	static char sandbox[3][32];
	char text[32];

	f->containers[i].id = id;
	f->containers[i].name = name;
	f->containers[i].is_task = job;
	f->containers[i].task_id = job ? "4711" : NULL;
	f->containers[i].inspected = true;
	f->containers[i].state = CONTAINER_RUNNING;
	f->containers[i].network_kind = NETWORK_KIND_BRIDGE;
	f->containers[i].nano_cpus = 1;
	f->containers[i].memory = 1;
	snprintf(sandbox[i], sizeof(sandbox[i]), "/run/netns/%zu", i);
	f->containers[i].sandbox_key = sandbox[i];
	f->containers[i].endpoints = &f->endpoints[i];
	f->containers[i].endpoints_n = 1;
	strcpy(f->endpoints[i].network_id, NET_DOCKER0);
	snprintf(text, sizeof(text), "172.17.0.%zu", i + 2);
	assert_int_equal(ip_addr_parse(text, &f->endpoints[i].ip4), 0);
	snprintf(text, sizeof(text), "fd00:d0c::%zu", i + 2);
	assert_int_equal(ip_addr_parse(text, &f->endpoints[i].ip6), 0);
	snprintf(text, sizeof(text), "02:42:ac:11:00:0%zu", i + 2);
	assert_int_equal(mac_addr_parse(text, &f->endpoints[i].mac), 0);
	f->links[4 + i].nsid = f->nsid[i] = (int)i;
	f->links[4 + i].peer_mac = f->endpoints[i].mac;
	f->cgroup_id[i] = 1000 + i;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	config_defaults(&f->config);
	strcpy(f->networks[0].id, NET_DOCKER0);
	strcpy(f->networks[0].bridge, "docker0");
	strcpy(f->networks[1].id, NET_USER);
	strcpy(f->networks[1].bridge, "br-0123456789ab");
	set_link(&f->links[0], 1, "lo", "", 0);
	set_link(&f->links[1], DOCKER0, "docker0", "bridge", 0);
	set_link(&f->links[2], BR_USER, "br-0123456789ab", "bridge", 0);
	set_link(&f->links[3], 5, "br-lan", "bridge", 0);
	set_link(&f->links[4], VETH_A, "vetha", "veth", DOCKER0);
	set_link(&f->links[5], VETH_B, "vethb", "veth", DOCKER0);
	set_link(&f->links[6], VETH_C, "vethc", "veth", DOCKER0);
	set_link(&f->links[7], 20, "eth0", "", 5);
	set_container(f, 0, ID_A, (char *)"train-0-0-1a2b3c4d", true);
	set_container(f, 1, ID_B, (char *)"web", false);
	set_container(f, 2, ID_C, (char *)"db", false);
	f->model = (struct model){
		.containers = f->containers,
		.containers_n = 3,
		.nsid = f->nsid,
		.cgroup_id = f->cgroup_id,
		.networks = f->networks,
		.networks_n = 2,
		.links = f->links,
		.links_n = 8,
		.has_cgroups = true,
		.engine_cgroup_id = 77,
		.engine_level = 2,
		.in_sync = true,
	};
	strcpy(f->model.cgroups.parent, "docker");
	f->model.cgroups.parent_id = 42;
	f->model.cgroups.parent_level = 1;
	*state = f;
	return 0;
}

static void clear(struct fixture *f)
{
	f->ruleset = ruleset_free(f->ruleset);
	free(f->verdicts);
	f->verdicts = NULL;
}

static int tear_down(void **state)
{
	clear(*state);
	free(*state);
	return 0;
}

static inline void build(struct fixture *f)
{
	clear(f);
	assert_int_equal(policy_build(&f->config, &f->model, &f->ruleset, &f->verdicts), 0);
}

/* The set as text: "key key …", each with its comment's last word in brackets where it has one. */
static inline const char *set_text(const struct fixture *f, enum set_id set)
{
	static char text[4096];
	const struct elems *elems = &f->ruleset->sets[set];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < elems->n; i++) {
		char key[256];

		assert_int_equal(elem_text(set, &elems->elem[i], key, sizeof(key), NULL, NULL), 0);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? ", " : "",
					 key);
	}
	return text;
}

#define assert_set(f, set, want) assert_string_equal(set_text((f), (set)), (want))

static void host(struct fixture *f, size_t i)
{
	f->containers[i].network_kind = NETWORK_KIND_HOST;
	f->containers[i].endpoints_n = 0;
	f->containers[i].nano_cpus = f->containers[i].memory = 0;
}
