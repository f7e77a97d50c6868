/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plain data, made from the container's number. Nothing here asks anybody; a size that no real
 * host could start is as good as any.
 */
#include "model.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "bench.h"
#include "standin.h"

#define NETWORK_ID "b12d9e000000000000000000000000000000000000000000000000000000d0c0"
#define BRIDGE_IFINDEX 2

static struct ip_addr address4(size_t i)
{
	return (struct ip_addr){ AF_INET,
				 { 172, 17, (uint8_t)(16 + i / 250), (uint8_t)(2 + i % 250) } };
}

static struct ip_addr address6(size_t i)
{
	struct ip_addr addr = { AF_INET6, { 0xfd, 0, 0x0d, 0x0c, [13] = 1 } };

	addr.bytes[14] = (uint8_t)(i >> 8);
	addr.bytes[15] = (uint8_t)i;
	return addr;
}

static struct mac_addr mac_of(size_t i)
{
	return (struct mac_addr){ { 2, 0x42, 0xac, 0x11, (uint8_t)(16 + i / 250),
				    (uint8_t)(2 + i % 250) } };
}

static struct port_binding published(uint16_t host_port, uint16_t container_port)
{
	return (struct port_binding){ .l4proto = IPPROTO_TCP,
				      .host_ip = { AF_INET, { 127, 0, 0, 1 } },
				      .host_port = host_port,
				      .container_port = container_port };
}

static void make_container(struct bench_model *bench, size_t i)
{
	struct container *c = &bench->containers[i];
	bool job = i % 10 != 9;
	char id[CONTAINER_ID_LEN + 1], text[80], name[80], task[80];

	/* in the order of their ids, as the engine's client keeps them */
	standin_id(i, id);
	snprintf(text, sizeof(text), "%08zx", i);
	memcpy(id, text, 8);
	snprintf(name, sizeof(name), "bench-run-%zu-0-0-%08zx", i, i);
	snprintf(task, sizeof(task), "%08zx-5b1c-4d4e-9a7b-0123456789ab", i);
	if (container_identify(c, id, name, job ? task : NULL) < 0)
		die("out of memory");
	c->sandbox_key = must(strdup("/run/docker/netns/x"));
	c->is_task = job;
	c->inspected = true;
	c->state = CONTAINER_RUNNING;
	c->network_kind = NETWORK_KIND_BRIDGE;
	c->nano_cpus = 1000000000;
	c->memory = 1 << 30;
	c->pid = (pid_t)(4000000 + i);
	c->endpoints = must(calloc(1, sizeof(*c->endpoints)));
	c->endpoints_n = 1;
	c->endpoints[0] = (struct endpoint){ .network_id = NETWORK_ID,
					     .network_name = must(strdup("bridge")),
					     .mac = mac_of(i),
					     .ip4 = address4(i),
					     .ip6 = address6(i) };
	if (!job)
		return;
	c->ports = must(calloc(2, sizeof(*c->ports)));
	c->ports_n = 2;
	c->ports[0] = published((uint16_t)(PUBLISHED_FIRST + 2 * i), 10999);
	c->ports[1] = published((uint16_t)(PUBLISHED_FIRST + 1 + 2 * i), 10022);
}

static void make_link(struct link *link, size_t i)
{
	*link = (struct link){ .ifindex = (int)(BRIDGE_IFINDEX + 1 + i),
			       .kind = "veth",
			       .master = BRIDGE_IFINDEX,
			       .nsid = (int)i,
			       .peer_ifindex = 2,
			       .peer_mac = mac_of(i) };
	snprintf(link->name, sizeof(link->name), "veth%07zx", (i * 2654435761u) & 0xfffffff);
}

struct bench_model *bench_model_new(size_t n)
{
	struct bench_model *bench = must(calloc(1, sizeof(*bench)));

	bench->containers = must(calloc(n + 1, sizeof(*bench->containers)));
	bench->links = must(calloc(n + 2, sizeof(*bench->links)));
	bench->nsid = must(calloc(n + 1, sizeof(*bench->nsid)));
	bench->cgroup_id = must(calloc(n + 1, sizeof(*bench->cgroup_id)));
	bench->links[0] = (struct link){
		.ifindex = BRIDGE_IFINDEX, .name = "docker0", .kind = "bridge", .nsid = -1
	};
	for (size_t i = 0; i < n; i++) {
		make_container(bench, i);
		make_link(&bench->links[i + 1], i);
		bench->nsid[i] = (int)i;
	}
	strcpy(bench->network.id, NETWORK_ID);
	strcpy(bench->network.bridge, "docker0");
	bench->network.name = must(strdup("bridge"));
	bench->network.driver = must(strdup("bridge"));
	bench->model = (struct model){ .containers = bench->containers,
				       .containers_n = n,
				       .nsid = bench->nsid,
				       .cgroup_id = bench->cgroup_id,
				       .networks = &bench->network,
				       .networks_n = 1,
				       .links = bench->links,
				       .links_n = n + 1,
				       .engine_level = 2,
				       .in_sync = true };
	return bench;
}

struct bench_model *bench_model_free(struct bench_model *bench)
{
	for (size_t i = 0; bench && i < bench->model.containers_n; i++)
		container_done(&bench->containers[i]);
	if (!bench)
		return NULL;
	network_done(&bench->network);
	free(bench->containers);
	free(bench->links);
	free(bench->nsid);
	free(bench->cgroup_id);
	free(bench);
	return NULL;
}
