/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a field of the table stands for: the connections by which one place would be reached from
 * another, with the addresses and ports that matter. Which of them may be tried with real packets is
 * said here too: never a port that nobody reserved, never an address that nobody named. Pure.
 */
#include "reach-internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define SSH_PORT 22
#define HTTPS_PORT 443
#define HTTP_PORT 80
#define DNS_PORT 53
#define SOME_PORT 8100 /* of a service on the host's network, whose own nobody told */

/* What the functions below share. */
struct search {
	const struct reach_sides *sides;
	const struct reach_input *input;
	const struct reach_place *row;
	const struct side *from;
	bool six;
	struct reach_targets *targets;
};

static struct reach_target *add(struct search *search, const struct side *side, uint16_t port,
				bool may_try)
{
	struct reach_targets *targets = search->targets;

	if (targets->n == REACH_TARGETS_MAX) {
		targets->unknown = true;
		return &targets->target[REACH_TARGETS_MAX - 1];
	}
	targets->target[targets->n] =
		(struct reach_target){ .side = *side, .port = port, .may_try = may_try };
	return &targets->target[targets->n++];
}

/* --- containers --- */

static const struct container *container_of(const struct search *search, size_t i)
{
	return &search->input->model->containers[i];
}

static bool is_job(const struct search *search, size_t i)
{
	return search->input->verdicts[i].role == ROLE_JOB;
}

/* The port that stands for the services of a container: one that it published, else one that dstack
 * reserves on every host, so that nobody else is knocked at. */
static uint16_t service_port(const struct search *search, size_t i, bool runner)
{
	const struct reserved_ports *ports = &search->input->config->ports;
	const struct container *c = container_of(search, i);

	if (runner)
		return ports->runner;
	if (is_job(search, i))
		return ports->runner_ssh;
	for (size_t j = 0; j < c->ports_n; j++)
		if (c->ports[j].l4proto == IPPROTO_TCP && c->ports[j].container_port)
			return c->ports[j].container_port;
	return ports->runner;
}

static bool from_job(const struct search *search)
{
	return search->row->kind == REACH_CONTAINER &&
	       search->input->verdicts[search->row->container].confinement != CONFINEMENT_NONE;
}

static void direct(struct search *search, size_t i, bool runner)
{
	bool job = is_job(search, i), on_host;
	struct side all[SIDES_MAX];
	size_t n = reach_container_sides(search->sides, i, search->six, search->from, all);

	for (size_t j = 0; j < n; j++) {
		struct reach_target *target;

		on_host = all[j].kind == SIDE_HOST;
		if (on_host && !job) {
			add(search, &all[j], SOME_PORT, false);
			continue;
		}
		target = add(search, &all[j], service_port(search, i, runner), true);
		if (on_host && search->input->model->cgroup_id)
			target->listener = search->input->model->cgroup_id[i];
	}
}

/* The address of this host by which @from would dial a published port; false: by none. */
static bool published_at(const struct search *search, const struct port_binding *binding,
			 struct side *side)
{
	bool any = !ip_addr_is_set(&binding->host_ip) || ip_addr_is_any(&binding->host_ip);
	uint16_t family = search->six ? AF_INET6 : AF_INET;

	if (binding->host_ip.family != AF_UNSPEC && binding->host_ip.family != family)
		return false;
	if (!any && ip_addr_is_loopback(&binding->host_ip) && search->from->kind != SIDE_HOST)
		return false;
	reach_engine_side(search->input, search->six, search->from, side);
	if (!any)
		side->addr = binding->host_ip;
	return ip_addr_is_set(&side->addr);
}

static void published(struct search *search, size_t i, bool runner)
{
	const struct container *c = container_of(search, i);

	for (size_t j = 0; j < c->ports_n; j++) {
		const struct port_binding *binding = &c->ports[j];
		bool of_runner = is_job(search, i) &&
				 binding->container_port == search->input->config->ports.runner;
		struct reach_target *target;
		struct side side;

		if (binding->l4proto != IPPROTO_TCP || !binding->host_port || of_runner != runner ||
		    !published_at(search, binding, &side))
			continue;
		target = add(search, &side, binding->host_port,
			     is_job(search, i) || search->from->kind == SIDE_HOST);
		/* without docker-proxy it is sent on before anybody listens */
		if (search->from->kind == SIDE_OUTSIDE || search->from->kind == SIDE_PORT)
			target->also = "to_job";
	}
}

/* --- this host --- */

static void on_host(struct search *search, uint16_t port, bool may_try)
{
	struct side side;

	reach_host_side(search->input, search->six, search->from, &side);
	if (ip_addr_is_set(&side.addr))
		add(search, &side, port, may_try);
}

static void host_services(struct search *search)
{
	const struct port_ranges *fenced = &search->input->config->fenced;

	on_host(search, SSH_PORT, true);
	for (size_t i = 0; i < fenced->n; i++)
		if (fenced->range[i].l4proto == IPPROTO_TCP && fenced->range[i].first != SSH_PORT)
			on_host(search, fenced->range[i].first, false);
}

/* --- beyond it --- */

static bool in_set(const struct search *search, enum set_id set4, enum set_id set6,
		   const struct ip_addr *addr)
{
	const struct elems *elems = &search->input->ruleset->sets[search->six ? set6 : set4];
	const struct set_spec *spec = set_spec(search->six ? set6 : set4);
	uint32_t len = search->six ? 16 : 4;

	for (size_t i = 0; i < elems->n; i++) {
		const struct elem *elem = &elems->elem[i];
		const uint8_t *last = spec->interval ? elem_extra(elem)->last : elem->key;

		if (memcmp(addr->bytes, elem->key, len) >= 0 && memcmp(addr->bytes, last, len) <= 0)
			return true;
	}
	return false;
}

static bool is_gateway(const struct search *search, const struct ip_addr *addr)
{
	for (size_t i = 0; i < search->input->model->gateways_n; i++)
		if (ip_addr_cmp(&search->input->model->gateways[i], addr) == 0)
			return true;
	return false;
}

/* Which field of the table an address beyond this host belongs to. */
static enum reach_kind kind_of(const struct search *search, const struct ip_addr *addr)
{
	if (ip_addr_is_loopback(addr) || is_gateway(search, addr))
		return REACH_HOST;
	if (in_set(search, SET_METADATA4, SET_METADATA6, addr))
		return REACH_METADATA;
	return in_set(search, SET_INTERNAL4, SET_INTERNAL6, addr) ? REACH_LAN : REACH_INTERNET;
}

/* An address that no entry of the configuration makes an exception of. */
static bool is_plain(const struct search *search, const struct ip_addr *addr)
{
	static const enum set_id sets[][2] = {
		{ SET_DENY4, SET_DENY6 },   { SET_DENY_PORTS4, SET_DENY_PORTS6 },
		{ SET_ALLOW4, SET_ALLOW6 }, { SET_ALLOW_PORTS4, SET_ALLOW_PORTS6 },
		{ SET_PEERS4, SET_PEERS6 }, { SET_SERVICES4, SET_SERVICES6 },
		{ SET_BOUND4, SET_BOUND6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		if (in_set(search, sets[i][0], sets[i][1], addr))
			return false;
	return !is_gateway(search, addr);
}

static void outside(struct search *search, const struct ip_addr *addr, uint16_t port, bool may_try)
{
	struct side side;

	reach_outside_side(addr, &side);
	add(search, &side, port, may_try);
}

/* Where any address will do: the first of these that is one like the others. */
static void somewhere(struct search *search, enum reach_kind kind)
{
	static const char *const internet4[] = { "1.1.1.1", "8.8.8.8", "9.9.9.9" };
	static const char *const internet6[] = { "2606:4700:4700::1111", "2001:4860:4860::8888",
						 "2620:fe::fe" };
	static const char *const lan4[] = { "10.255.255.253", "192.168.255.253", "172.31.255.253" };
	static const char *const lan6[] = { "fdff:ffff:ffff:ffff::1", "fcff:ffff::1", "fd00:1::1" };
	const char *const *texts = kind == REACH_LAN ? (search->six ? lan6 : lan4)
						     : (search->six ? internet6 : internet4);

	for (size_t i = 0; i < ARRAY_SIZE(lan4); i++) {
		struct ip_addr addr;

		if (ip_addr_parse(texts[i], &addr) < 0 || !is_plain(search, &addr))
			continue;
		outside(search, &addr, kind == REACH_LAN ? SSH_PORT : HTTPS_PORT, false);
		return;
	}
	search->targets->unknown = true;
}

/* What the operator names, or the host was found to ask: it may be another than its network. */
static void exceptions(struct search *search, enum set_id set, bool ports, enum reach_kind kind)
{
	const struct elems *elems = &search->input->ruleset->sets[set];
	uint32_t len = search->six ? 16 : 4;

	for (size_t i = 0; i < elems->n; i++) {
		const uint8_t *key = elems->elem[i].key;
		struct ip_addr addr = { .family = search->six ? AF_INET6 : AF_INET };
		uint16_t port = htons(HTTPS_PORT);
		struct side side;

		memcpy(addr.bytes, key, len);
		if (ports && key[len] != IPPROTO_TCP)
			continue;
		if (ports)
			memcpy(&port, key + len + 4, sizeof(port));
		if (kind_of(search, &addr) != kind)
			continue;
		if (kind != REACH_HOST) {
			outside(search, &addr, ntohs(port) ?: HTTPS_PORT, false);
			continue;
		}
		reach_host_side(search->input, search->six, search->from, &side);
		side.addr = addr;
		add(search, &side, ntohs(port) ?: HTTPS_PORT, false);
	}
}

static void all_exceptions(struct search *search, enum reach_kind kind)
{
	bool six = search->six;

	exceptions(search, six ? SET_SERVICES6 : SET_SERVICES4, true, kind);
	if (kind == REACH_HOST)
		return;
	exceptions(search, six ? SET_ALLOW6 : SET_ALLOW4, false, kind);
	exceptions(search, six ? SET_ALLOW_PORTS6 : SET_ALLOW_PORTS4, true, kind);
	exceptions(search, six ? SET_PEERS6 : SET_PEERS4, false, kind);
	exceptions(search, six ? SET_DENY6 : SET_DENY4, false, kind);
	exceptions(search, six ? SET_DENY_PORTS6 : SET_DENY_PORTS4, true, kind);
}

static void beyond(struct search *search, enum reach_kind kind)
{
	const struct reach_input *input = search->input;
	const struct sock_addr *named =
		kind == REACH_LAN ? &input->lan[search->six] : &input->internet[search->six];

	if (ip_addr_is_set(&named->ip))
		outside(search, &named->ip, named->port, true);
	else
		somewhere(search, kind);
	all_exceptions(search, kind);
}

static void metadata(struct search *search)
{
	struct ip_addr addr;

	if (ip_addr_parse(search->six ? "fd00:ec2::254" : "169.254.169.254", &addr) < 0)
		return;
	/* from a job: it is stopped here, or something is wrong; else it is somebody's service */
	outside(search, &addr, HTTP_PORT, from_job(search));
	outside(search, &addr, DNS_PORT, false);
	all_exceptions(search, REACH_METADATA);
}

/* One process would ask itself, or its own network namespace. */
static bool is_itself(const struct search *search, const struct reach_place *column)
{
	size_t a = search->row->container, b = column->container;

	switch (search->row->kind) {
	case REACH_CONTAINER:
		if (column->kind != REACH_CONTAINER && column->kind != REACH_RUNNER)
			return false;
		if (search->from->kind == SIDE_PORT)
			return reach_owner(search->sides, a) == reach_owner(search->sides, b);
		return a == b && column->kind == REACH_CONTAINER;
	case REACH_HOST:
		return column->kind == REACH_HOST;
	case REACH_RUNNER:
	case REACH_SHIM:
	case REACH_DCGM:
	case REACH_LAN:
	case REACH_INTERNET:
	case REACH_METADATA:
		break;
	}
	return column->kind == REACH_LAN || column->kind == REACH_INTERNET ||
	       column->kind == REACH_METADATA;
}

void reach_targets(const struct reach_sides *sides, const struct reach_place *row,
		   const struct side *from, const struct reach_place *column, bool six,
		   struct reach_targets *ret_targets)
{
	const struct reserved_ports *ports = &sides->input->config->ports;
	struct search search = { .sides = sides,
				 .input = sides->input,
				 .row = row,
				 .from = from,
				 .six = six,
				 .targets = ret_targets };

	ret_targets->n = 0;
	ret_targets->unknown = false;
	if (is_itself(&search, column))
		return;
	switch (column->kind) {
	case REACH_CONTAINER:
	case REACH_RUNNER:
		direct(&search, column->container, column->kind == REACH_RUNNER);
		published(&search, column->container, column->kind == REACH_RUNNER);
		break;
	case REACH_SHIM:
		on_host(&search, ports->shim, true);
		break;
	case REACH_DCGM:
		on_host(&search, ports->dcgm, true);
		break;
	case REACH_HOST:
		host_services(&search);
		all_exceptions(&search, REACH_HOST);
		break;
	case REACH_LAN:
	case REACH_INTERNET:
		beyond(&search, column->kind);
		break;
	case REACH_METADATA:
		metadata(&search);
		break;
	}
}
