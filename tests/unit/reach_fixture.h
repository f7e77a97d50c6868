/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A model of a host with everybody that tests/e2e/flows.table has, for reach and matrix. */
#pragma once

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/matrix-internal.h"

#define ID(c) c c c c c c c c c c c c c c c c
#define NET1 ID("d0d0")
#define NET2 ID("e1e1")

enum { ALPHA, BETA, ZETA, GAMMA, EPSILON, KAPPA, DELTA, LAMBDA, OMEGA, CONTAINERS };
enum { LO_LINK = 1, DOCKER0 = 3, SECOND = 4, PORTS = 10 };

struct fixture {
	struct config config;
	struct config_origin origin;
	struct engine_view engine;
	struct container containers[CONTAINERS];
	struct endpoint endpoints[CONTAINERS];
	struct port_binding ports[CONTAINERS][2];
	struct network networks[2];
	struct link links[3 + CONTAINERS];
	int nsid[CONTAINERS];
	uint64_t cgroup_id[CONTAINERS];
	struct ip_addr gateways[4];
	struct net_range attached[2];
	struct model model;
	struct expected expected;
	struct reach_input input;
	struct reach reach;
	struct status_view status;
};

static const struct {
	const char *name;
	bool job, on_host, part, second;
} people[CONTAINERS] = {
	[ALPHA] = { "alpha-0-0-00000001", true, false, true, false },
	[BETA] = { "beta-0-0-00000002", true, false, true, false },
	[ZETA] = { "zeta-0-0-00000003", true, false, true, true },
	[GAMMA] = { "gamma-0-0-00000004", true, true, false, false },
	[EPSILON] = { "epsilon-0-0-00000005", true, true, false, false },
	[KAPPA] = { "kappa-0-0-00000006", true, true, true, false },
	[DELTA] = { "delta", false, false, false, false },
	[LAMBDA] = { "lambda", false, false, false, false },
	[OMEGA] = { "omega", false, true, false, false },
};

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

static void publish(struct fixture *f, size_t i, const char *host_ip, uint16_t host_port,
		    uint16_t port)
{
	struct container *c = &f->containers[i];

	c->ports = f->ports[i];
	c->ports[c->ports_n++] = (struct port_binding){
		IPPROTO_TCP, host_ip ? addr_of(host_ip) : (struct ip_addr){ 0 }, host_port, port
	};
}

static void set_container(struct fixture *f, size_t i)
{
	static char sandbox[CONTAINERS][32], ids[CONTAINERS][CONTAINER_ID_LEN + 1];
	struct container *c = &f->containers[i];
	struct link *link = &f->links[3 + i];
	char text[48];

	memset(ids[i], (int)('a' + i), CONTAINER_ID_LEN);
	c->id = ids[i];
	c->name = people[i].name;
	c->is_task = people[i].job;
	c->task_id = people[i].job ? "4711" : NULL;
	c->inspected = true;
	c->state = CONTAINER_RUNNING;
	c->network_kind = people[i].on_host ? NETWORK_KIND_HOST : NETWORK_KIND_BRIDGE;
	c->nano_cpus = c->memory = people[i].part;
	f->nsid[i] = -1;
	f->cgroup_id[i] = people[i].on_host ? 1000 + i : 0;
	*link = (struct link){ .ifindex = PORTS + (int)i, .nsid = -1 };
	snprintf(link->name, sizeof(link->name), "veth%zu", i);
	if (people[i].on_host)
		return;
	snprintf(sandbox[i], sizeof(sandbox[i]), "/run/netns/%zu", i);
	c->sandbox_key = sandbox[i];
	c->endpoints = &f->endpoints[i];
	c->endpoints_n = 1;
	strcpy(f->endpoints[i].network_id, people[i].second ? NET2 : NET1);
	snprintf(text, sizeof(text), people[i].second ? "172.30.0.%zu" : "172.17.0.%zu", i + 2);
	f->endpoints[i].ip4 = addr_of(text);
	snprintf(text, sizeof(text), people[i].second ? "fd00:5ec::%zu" : "fd00:d0c::%zu", i + 2);
	f->endpoints[i].ip6 = addr_of(text);
	f->endpoints[i].mac = (struct mac_addr){ { 2, 0x42, 0xac, 0x11, 0, (uint8_t)(i + 2) } };
	strcpy(link->kind, "veth");
	link->master = people[i].second ? SECOND : DOCKER0;
	link->nsid = f->nsid[i] = (int)i;
	link->peer_mac = f->endpoints[i].mac;
}

static void set_host(struct fixture *f)
{
	strcpy(f->networks[0].id, NET1);
	strcpy(f->networks[0].bridge, "docker0");
	strcpy(f->networks[1].id, NET2);
	strcpy(f->networks[1].bridge, "br-0123456789ab");
	f->links[0] = (struct link){ .ifindex = LO_LINK, .name = "lo", .nsid = -1 };
	f->links[1] = (struct link){
		.ifindex = DOCKER0, .name = "docker0", .kind = "bridge", .nsid = -1
	};
	f->links[2] = (struct link){
		.ifindex = SECOND, .name = "br-0123456789ab", .kind = "bridge", .nsid = -1
	};
	f->gateways[0] = addr_of("172.17.0.1");
	f->gateways[1] = addr_of("172.30.0.1");
	f->gateways[2] = addr_of("fd00:d0c::1");
	f->gateways[3] = addr_of("fd00:5ec::1");
	f->attached[0] = (struct net_range){ addr_of("10.77.0.0"), addr_of("10.77.0.255") };
	f->attached[1] = (struct net_range){ addr_of("203.0.113.0"), addr_of("203.0.113.255") };
	f->model = (struct model){
		.containers = f->containers,
		.containers_n = CONTAINERS,
		.nsid = f->nsid,
		.cgroup_id = f->cgroup_id,
		.networks = f->networks,
		.networks_n = 2,
		.links = f->links,
		.links_n = ARRAY_SIZE(f->links),
		.has_cgroups = true,
		.engine_cgroup_id = 77,
		.engine_level = 2,
		.attached = f->attached,
		.attached_n = 2,
		.gateways = f->gateways,
		.gateways_n = 4,
		.bridge_meta = true,
		.egress = true,
		.in_sync = true,
	};
	strcpy(f->model.cgroups.parent, "docker");
	f->model.cgroups.parent_id = 42;
	f->model.cgroups.parent_level = 1;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	config_defaults(&f->config);
	set_host(f);
	for (size_t i = 0; i < CONTAINERS; i++)
		set_container(f, i);
	publish(f, BETA, "127.0.0.1", 32768, 10999);
	publish(f, DELTA, NULL, 18001, 8000);
	f->engine = (struct engine_view){ .state = ENGINE_IN_SYNC, .ever_in_sync = true };
	f->status = (struct status_view){ .config = &f->config,
					  .origin = &f->origin,
					  .engine = &f->engine,
					  .expected = &f->expected,
					  .ruleset = RULESET_PRESENT };
	*state = f;
	return 0;
}

static void clear(struct fixture *f)
{
	reach_done(&f->reach);
	expected_done(&f->expected);
}

static void build(struct fixture *f)
{
	clear(f);
	assert_int_equal(expected_build(&f->config, &f->model, &f->expected), 0);
	f->input =
		(struct reach_input){ .config = &f->config,
				      .model = &f->expected.model,
				      .skeleton = f->expected.skeleton,
				      .ruleset = f->expected.ruleset,
				      .verdicts = f->expected.verdicts,
				      .bridge_calls = { f->input.bridge_calls[0],
							f->input.bridge_calls[1] },
				      .lan = { f->input.lan[0], f->input.lan[1] },
				      .internet = { f->input.internet[0], f->input.internet[1] } };
	assert_int_equal(reach_build(&f->input, &f->reach), 0);
}

static int tear_down(void **state)
{
	clear(*state);
	free(*state);
	return 0;
}
