/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks from the answers of GET /networks and GET /networks/<id>. Only the second one lists
 * endpoints; those of other hosts (swarm) and of load balancers have no container here and are
 * passed over. Names of bridge devices are taken only where the kernel would take them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "docker_json-internal.h"
#include "jobfence/cleanup.h"
#include "jobfence/docker_json.h"

#define NETWORK_CONTAINERS_MAX 65536 /* a /16 of them */

static int no_memory(struct diag *diag)
{
	return diag_set(diag, -ENOMEM, "network: out of memory");
}

static int read_member(const char *container_id, const json_t *value,
		       struct network_endpoint *endpoint, struct diag *diag)
{
	const char *mac = "", *ip4 = "", *ip6 = "";
	const struct json_field fields[] = {
		STRING_FIELD("MacAddress", OPTIONAL, &mac),
		STRING_FIELD("IPv4Address", OPTIONAL, &ip4),
		STRING_FIELD("IPv6Address", OPTIONAL, &ip6),
	};
	static const char where[] = "network endpoint";
	int r;

	r = docker_json_read(value, where, fields, ARRAY_SIZE(fields), diag);
	if (!r)
		r = docker_json_mac(mac, where, &endpoint->mac, diag);
	if (!r)
		r = docker_json_address(ip4, where, &endpoint->ip4, diag);
	if (!r)
		r = docker_json_address(ip6, where, &endpoint->ip6, diag);
	if (!r)
		container_id_bytes(container_id, endpoint->container);
	return r;
}

static int keep_members(json_t *containers, struct network *network, struct diag *diag)
{
	size_t n = json_object_size(containers);
	const char *id;
	json_t *value;
	int r;

	if (!n)
		return 0;
	if (n > NETWORK_CONTAINERS_MAX)
		return diag_set(diag, -EINVAL, "network: %zu endpoints, more than %d", n,
				NETWORK_CONTAINERS_MAX);
	network->endpoints = calloc(n, sizeof(*network->endpoints));
	if (!network->endpoints)
		return no_memory(diag);
	json_object_foreach(containers, id, value)
	{
		if (!docker_json_is_container_id(id))
			continue;
		r = read_member(id, value, &network->endpoints[network->endpoints_n], diag);
		if (r)
			return r;
		network->endpoints_n++;
	}
	return 0;
}

/* As the kernel's dev_valid_name() has it, and printable: this becomes part of the ruleset. */
static bool is_device_name(const char *name)
{
	if (!*name || strlen(name) >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name <= ' ' || *name > '~' || *name == '/' || *name == ':')
			return false;
	return true;
}

static int keep_bridge(const json_t *options, struct network *network, struct diag *diag)
{
	const char *name = "";
	const struct json_field field =
		STRING_FIELD("com.docker.network.bridge.name", OPTIONAL, &name);
	int r;

	if (strcmp(network->driver, "bridge") != 0)
		return 0;
	if (options) {
		r = docker_json_read(options, "network Options", &field, 1, diag);
		if (r)
			return r;
	}
	if (*name && !is_device_name(name))
		return diag_set(diag, -EINVAL, "network: not a device name: %.32s", name);
	if (*name)
		strcpy(network->bridge, name);
	else
		snprintf(network->bridge, sizeof(network->bridge), "br-%.12s", network->id);
	return 0;
}

static int read_network(const json_t *item, struct network *network, struct diag *diag)
{
	json_t *options = NULL, *containers = NULL;
	const char *id = NULL, *name = "", *driver = "";
	const struct json_field fields[] = {
		STRING_FIELD("Id", MANDATORY, &id),
		STRING_FIELD("Name", OPTIONAL, &name),
		STRING_FIELD("Driver", OPTIONAL, &driver),
		OBJECT_FIELD("Options", OPTIONAL, &options),
		OBJECT_FIELD("Containers", OPTIONAL, &containers),
	};
	int r;

	r = docker_json_read(item, "network", fields, ARRAY_SIZE(fields), diag);
	if (r)
		return r;
	if (!docker_json_is_network_id(id))
		return diag_set(diag, -EINVAL, "network: \"Id\" is not an id: %.70s", id);
	strcpy(network->id, id);
	network->name = strndup(name, JSON_TEXT_MAX);
	network->driver = strndup(driver, CONTAINER_NAME_MAX);
	if (!network->name || !network->driver)
		return no_memory(diag);
	r = keep_bridge(options, network, diag);
	return r ? r : keep_members(containers, network, diag);
}

int docker_json_network(const char *json, size_t len, struct network *ret_network,
			struct diag *diag)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	struct network network = { 0 };
	int r;

	r = docker_json_load(json, len, JSON_OBJECT, "network", &root, diag);
	if (r)
		return r;
	r = read_network(root, &network, diag);
	if (r) {
		network_done(&network);
		return r;
	}
	*ret_network = network;
	return 0;
}

static int read_listed(const json_t *item, void *record, struct diag *diag)
{
	return read_network(item, record, diag);
}

static void listed_done(void *record)
{
	network_done(record);
}

int docker_json_network_list(const char *json, size_t len, struct network **ret_networks,
			     size_t *ret_n, struct diag *diag)
{
	static const struct json_list list = { "network list", sizeof(struct network), read_listed,
					       listed_done };
	void *networks;
	int r = docker_json_list(json, len, &list, &networks, ret_n, diag);

	if (r == 0)
		*ret_networks = networks;
	return r;
}
