/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where containers and the host are for a packet: behind which port of which bridge, under which
 * address, in which cgroup. From the model, by the same lookups as the policy's. Pure.
 */
#include "reach-internal.h"

#include <errno.h>
#include <string.h>

/* A cgroup that is in no set. */
#define NOBODYS_CGROUP UINT64_MAX

int reach_sides_init(struct reach_sides *sides, const struct reach_input *input)
{
	const struct model *model = input->model;
	int r;

	*sides = (struct reach_sides){ .input = input,
				       .policy = { .config = input->config, .model = model } };
	sides->policy.owners = calloc(model->containers_n + 1, sizeof(*sides->policy.owners));
	if (!sides->policy.owners)
		return -ENOMEM;
	for (size_t i = 0; i < model->containers_n; i++)
		sides->policy.owners[i] = classify_owner(&model->containers[i], model->containers,
							 model->containers_n)
						  ?: &model->containers[i];
	r = port_index_make(model, &sides->policy.ports);
	if (r < 0)
		reach_sides_done(sides);
	return r;
}

void reach_sides_done(struct reach_sides *sides)
{
	port_index_done(&sides->policy.ports);
	free(sides->policy.owners);
	*sides = (struct reach_sides){ 0 };
}

size_t reach_owner(const struct reach_sides *sides, size_t container)
{
	return (size_t)(sides->policy.owners[container] - sides->policy.model->containers);
}

static struct ip_addr loopback(bool six)
{
	static const struct ip_addr four = { AF_INET, { 127, 0, 0, 1 } };
	static const struct ip_addr one = { AF_INET6, { [15] = 1 } };

	return six ? one : four;
}

static size_t common_bits(const struct ip_addr *a, const struct ip_addr *b)
{
	size_t bits = 0;

	while (bits < 128 && ((a->bytes[bits / 8] ^ b->bytes[bits / 8]) & (0x80 >> bits % 8)) == 0)
		bits++;
	return bits;
}

/* The host's address that is nearest to @from's: on a bridge, its gateway. */
static struct ip_addr host_address(const struct reach_input *input, bool six,
				   const struct side *from)
{
	/* one that is in no set, for a host whose own nobody told: 192.0.2.1, 2001:db8::1 */
	static const struct ip_addr documentation4 = { AF_INET, { 192, 0, 2, 1 } };
	static const struct ip_addr documentation6 = { AF_INET6,
						       { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
	const struct ip_addr *best = NULL;

	if (from && from->kind == SIDE_HOST)
		return loopback(six);
	for (size_t i = 0; i < input->model->gateways_n; i++) {
		const struct ip_addr *addr = &input->model->gateways[i];
		bool link_local = six && addr->bytes[0] == 0xfe && addr->bytes[1] == 0x80;

		if (addr->family != (six ? AF_INET6 : AF_INET) || link_local)
			continue;
		if (!best ||
		    (from && common_bits(addr, &from->addr) > common_bits(best, &from->addr)))
			best = addr;
	}
	if (!best && from && from->kind == SIDE_OUTSIDE)
		return six ? documentation6 : documentation4;
	return best ? *best : (struct ip_addr){ 0 };
}

/* A login's, or with the systemd driver that of a service beside the containers. */
void reach_host_side(const struct reach_input *input, bool six, const struct side *from,
		     struct side *ret_side)
{
	const struct elems *services = &input->ruleset->sets[SET_HOST_SERVICES];
	uint32_t level = input->skeleton->params.parent_level;

	*ret_side = (struct side){ .kind = SIDE_HOST, .addr = host_address(input, six, from) };
	ret_side->cgroup[1] = NOBODYS_CGROUP;
	if (!input->skeleton->params.shared_parent || services->n == 0 ||
	    level + 1 > PACKET_LEVELS_MAX)
		return;
	ret_side->cgroup[level] = input->model->cgroups.parent_id;
	memcpy(&ret_side->cgroup[level + 1], services->elem[0].key, 8);
}

void reach_engine_side(const struct reach_input *input, bool six, const struct side *from,
		       struct side *ret_side)
{
	uint32_t level = input->skeleton->params.engine_level;

	reach_host_side(input, six, from, ret_side);
	if (input->model->engine_cgroup_id && level <= PACKET_LEVELS_MAX)
		ret_side->cgroup[level] = input->model->engine_cgroup_id;
}

void reach_outside_side(const struct ip_addr *addr, struct side *ret_side)
{
	*ret_side = (struct side){ .kind = SIDE_OUTSIDE, .addr = *addr };
}

/* A container on the host's network: whose socket it is says its cgroup. */
static bool host_container_side(const struct reach_sides *sides, size_t i, bool six,
				const struct side *other, struct side *ret_side)
{
	const struct reach_input *input = sides->input;
	const struct model *model = input->model;
	const struct foreign_cgroup *foreign = policy_foreign(&sides->policy, i);
	uint32_t level = input->skeleton->params.parent_level;

	*ret_side = (struct side){ .kind = SIDE_HOST, .addr = host_address(input, six, other) };
	if (!other)
		ret_side->addr = loopback(six);
	ret_side->cgroup[1] = NOBODYS_CGROUP;
	if (model->cgroup_id && model->cgroup_id[i] && level + 1 <= PACKET_LEVELS_MAX) {
		ret_side->cgroup[level] = model->cgroups.parent_id;
		ret_side->cgroup[level + 1] = model->cgroup_id[i];
	} else if (foreign && foreign->level <= PACKET_LEVELS_MAX) {
		ret_side->cgroup[1] = foreign->root;
		ret_side->cgroup[foreign->level] = foreign->id;
	}
	return ip_addr_is_set(&ret_side->addr);
}

static bool endpoint_side(const struct reach_sides *sides, size_t owner,
			  const struct endpoint *endpoint, bool six, struct side *ret_side)
{
	const struct network *network = policy_network(sides->policy.model, endpoint->network_id);
	const struct ip_addr *addr = six ? &endpoint->ip6 : &endpoint->ip4;
	const struct link *bridge, *port;

	if (!network || !network->bridge[0] || !ip_addr_is_set(addr))
		return false;
	bridge = port_index_named(&sides->policy.ports, network->bridge);
	if (!bridge)
		return false;
	port = port_index_find(&sides->policy, owner, endpoint, bridge->ifindex);
	*ret_side = (struct side){ .kind = SIDE_PORT,
				   .addr = *addr,
				   .bridge_index = bridge->ifindex,
				   .mac = endpoint->mac };
	snprintf(ret_side->bridge, sizeof(ret_side->bridge), "%s", bridge->name);
	snprintf(ret_side->port, sizeof(ret_side->port), "%s", port ? port->name : "?");
	return true;
}

size_t reach_container_sides(const struct reach_sides *sides, size_t i, bool six,
			     const struct side *other, struct side ret_sides[static SIDES_MAX])
{
	size_t owner = reach_owner(sides, i), n = 0;
	const struct container *c = &sides->policy.model->containers[owner];

	if (sides->input->verdicts[i].placement == PLACEMENT_HOST)
		return host_container_side(sides, i, six, other, &ret_sides[0]) ? 1 : 0;
	for (size_t j = 0; j < c->endpoints_n && n < SIDES_MAX; j++)
		if (endpoint_side(sides, owner, &c->endpoints[j], six, &ret_sides[n]))
			n++;
	return n;
}

bool reach_container_side(const struct reach_sides *sides, size_t i, bool six,
			  const struct side *other, struct side *ret_side)
{
	struct side all[SIDES_MAX];
	size_t n = reach_container_sides(sides, i, six, other, all), best = 0;

	for (size_t j = 0; j < n && other && other->kind == SIDE_PORT; j++)
		if (all[j].kind == SIDE_PORT && all[j].bridge_index == other->bridge_index)
			best = j;
	if (n > 0)
		*ret_side = all[best];
	return n > 0;
}
