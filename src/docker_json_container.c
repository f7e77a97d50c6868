/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Containers from the answers of GET /containers/json and GET /containers/<id>/json, as Docker
 * 20.10 to 29 give them. The two differ in shape, not in meaning; what both tell is read by the
 * same functions. Counts are bounded here: what lies beyond the bound is passed over, since a
 * container with 300 ports is still a container to be fenced.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "docker_json-internal.h"
#include "jobfence/cleanup.h"
#include "jobfence/docker_json.h"

static int no_memory(struct diag *diag)
{
	return diag_set(diag, -ENOMEM, "container: out of memory");
}

static int keep_id(const char *id, struct container *container, struct diag *diag)
{
	if (!docker_json_is_container_id(id))
		return diag_set(diag, -EINVAL, "container: \"Id\" is not 64 hex digits: %.70s", id);
	container->id = id; /* the JSON's, until keep_identity() */
	return 0;
}

/* Without the leading slash. Always set, so that readers need no NULL check. */
static void keep_name(const char *name, struct container *container)
{
	container->name = name + (name[0] == '/');
}

/* Takes copies of the texts of which there were only pointers into the JSON. */
static int keep_identity(struct container *container, struct diag *diag)
{
	return container_identify(container, container->id, container->name, container->task_id)
		       ? no_memory(diag)
		       : 0;
}

static enum container_state state_value(const char *text)
{
	for (int state = CONTAINER_CREATED; state <= CONTAINER_DEAD; state++)
		if (!strcmp(text, container_state_name(state)))
			return state;
	return CONTAINER_UNKNOWN;
}

static int keep_network_mode(const char *mode, struct container *container, struct diag *diag)
{
	static const char joined[] = "container:";
	const char *ref = NULL;

	if (!strncmp(mode, joined, strlen(joined))) {
		ref = mode + strlen(joined);
		container->network_kind = NETWORK_KIND_CONTAINER;
	} else if (!strcmp(mode, "default") || !strcmp(mode, "bridge")) {
		container->network_kind = NETWORK_KIND_BRIDGE;
	} else if (!strcmp(mode, "host")) {
		container->network_kind = NETWORK_KIND_HOST;
	} else if (!strcmp(mode, "none")) {
		container->network_kind = NETWORK_KIND_NONE;
	} else if (*mode) {
		ref = mode;
		container->network_kind = NETWORK_KIND_USER;
	}
	if (ref && !*ref)
		container->network_kind = NETWORK_KIND_UNKNOWN;
	return docker_json_keep(ref, &container->network_ref) ? no_memory(diag) : 0;
}

/* Which of them count is the configuration's business, and changes without the engine. What does
 * not fit is left out whole, and remembered. */
static int keep_all_labels(json_t *labels, struct container *container, struct diag *diag)
{
	char buffer[JSON_LABELS_MAX + 2];
	const char *key;
	json_t *value;
	size_t used = 0;

	container->labels_cut = json_object_get(labels, JSON_LABELS_CUT);

	json_object_foreach(labels, key, value)
	{
		const char *text = json_string_value(value);
		size_t left = JSON_LABELS_MAX - used;
		int n = snprintf(buffer + used, left, "%s=%s", key, text ?: "");

		if (n < 0 || (size_t)n >= left)
			container->labels_cut = true;
		else
			used += (size_t)n + 1;
	}
	if (used == 0)
		return 0;
	buffer[used++] = '\0';
	container->labels = malloc(used);
	if (!container->labels)
		return no_memory(diag);
	memcpy(container->labels, buffer, used);
	return 0;
}

static int keep_labels(json_t *labels, struct container *container, struct diag *diag)
{
	const char *is_task = "", *task_id = "";
	const struct json_field fields[] = {
		STRING_FIELD(LABEL_IS_TASK, OPTIONAL, &is_task),
		STRING_FIELD(LABEL_TASK_ID, OPTIONAL, &task_id),
	};
	int r;

	if (!labels)
		return 0;
	r = docker_json_read(labels, "container labels", fields, ARRAY_SIZE(fields), diag);
	if (r)
		return r;
	container->is_task = !strcmp(is_task, "true");
	container->task_id = *task_id ? task_id : NULL;
	return container->is_task ? 0 : keep_all_labels(labels, container, diag);
}

static int read_endpoint(const char *name, const json_t *value, struct endpoint *endpoint,
			 struct diag *diag)
{
	const char *id = "", *mac = "", *ip4 = "", *ip6 = "";
	const struct json_field fields[] = {
		STRING_FIELD("NetworkID", OPTIONAL, &id),
		STRING_FIELD("MacAddress", OPTIONAL, &mac),
		STRING_FIELD("IPAddress", OPTIONAL, &ip4),
		STRING_FIELD("GlobalIPv6Address", OPTIONAL, &ip6),
	};
	static const char where[] = "container endpoint";
	int r;

	r = docker_json_read(value, where, fields, ARRAY_SIZE(fields), diag);
	if (!r && *id && !docker_json_is_network_id(id))
		r = diag_set(diag, -EINVAL, "%s: \"NetworkID\" is not an id: %.70s", where, id);
	if (!r)
		r = docker_json_mac(mac, where, &endpoint->mac, diag);
	if (!r)
		r = docker_json_address(ip4, where, &endpoint->ip4, diag);
	if (!r)
		r = docker_json_address(ip6, where, &endpoint->ip6, diag);
	if (r)
		return r;
	strcpy(endpoint->network_id, id);
	return docker_json_keep(name, &endpoint->network_name) ? no_memory(diag) : 0;
}

static int keep_endpoints(json_t *networks, struct container *container, struct diag *diag)
{
	size_t n = json_object_size(networks);
	const char *name;
	json_t *value;
	int r;

	if (!n)
		return 0;
	if (n > JSON_ENDPOINTS_MAX)
		n = JSON_ENDPOINTS_MAX;
	container->endpoints = calloc(n, sizeof(*container->endpoints));
	if (!container->endpoints)
		return no_memory(diag);
	json_object_foreach(networks, name, value)
	{
		if (container->endpoints_n == n)
			return 0;
		/* Counted first: container_done() then frees it, however far this one gets. */
		if (json_is_null(value))
			continue;
		r = read_endpoint(name, value, &container->endpoints[container->endpoints_n++],
				  diag);
		if (r)
			return r;
	}
	return 0;
}

static uint8_t protocol_number(const char *text)
{
	if (!strcmp(text, "tcp"))
		return IPPROTO_TCP;
	if (!strcmp(text, "udp"))
		return IPPROTO_UDP;
	if (!strcmp(text, "sctp"))
		return IPPROTO_SCTP;
	return 0;
}

static int add_port(const struct port_binding *port, struct container *container, struct diag *diag)
{
	struct port_binding *grown;

	if (container->ports_n == JSON_PORTS_MAX)
		return 0;
	grown = reallocarray(container->ports, container->ports_n + 1, sizeof(*grown));
	if (!grown)
		return no_memory(diag);
	container->ports = grown;
	container->ports[container->ports_n++] = *port;
	return 0;
}

/* "" and NULL mean every address. */
static int read_host_ip(const char *text, struct port_binding *port, struct diag *diag)
{
	return docker_json_address(text && *text ? text : "0.0.0.0", "container port",
				   &port->host_ip, diag);
}

/* Decimal, 0 to 65535. Returns -1 for anything else; a range of ports too ("8000-8010"). */
static int port_number(const char *text)
{
	char *end;
	long number;

	if (!*text || strspn(text, "0123456789") > 5)
		return -1;
	number = strtol(text, &end, 10);
	return *end || number < 0 || number > UINT16_MAX ? -1 : (int)number;
}

/* One entry of a list answer's Ports: {"IP": …, "PrivatePort": 80, "PublicPort": 8080, …} */
static int keep_listed_port(const json_t *value, struct container *container, struct diag *diag)
{
	int64_t container_port = 0, host_port = 0;
	const char *host_ip = "", *protocol = "";
	struct port_binding port = { 0 };
	const struct json_field fields[] = {
		STRING_FIELD("IP", OPTIONAL, &host_ip),
		STRING_FIELD("Type", OPTIONAL, &protocol),
		INTEGER_FIELD("PrivatePort", MANDATORY, &container_port),
		INTEGER_FIELD("PublicPort", OPTIONAL, &host_port),
	};
	int r;

	r = docker_json_read(value, "container port", fields, ARRAY_SIZE(fields), diag);
	if (r)
		return r;
	if (container_port < 0 || container_port > UINT16_MAX || host_port < 0 ||
	    host_port > UINT16_MAX)
		return diag_set(diag, -EINVAL, "container port: out of range");
	port.l4proto = protocol_number(protocol);
	if (!host_port || !port.l4proto)
		return 0; /* exposed, not published */
	port.container_port = (uint16_t)container_port;
	port.host_port = (uint16_t)host_port;
	r = read_host_ip(host_ip, &port, diag);
	return r ? r : add_port(&port, container, diag);
}

static int keep_binding(const json_t *value, const struct port_binding *key,
			struct container *container, struct diag *diag)
{
	const char *host_ip = "", *host_port = "";
	struct port_binding port = *key;
	const struct json_field fields[] = {
		STRING_FIELD("HostIp", OPTIONAL, &host_ip),
		STRING_FIELD("HostPort", OPTIONAL, &host_port),
	};
	int number, r;

	r = docker_json_read(value, "container port binding", fields, ARRAY_SIZE(fields), diag);
	if (r)
		return r;
	number = port_number(host_port);
	port.host_port = number < 0 ? 0 : (uint16_t)number;
	r = read_host_ip(host_ip, &port, diag);
	return r ? r : add_port(&port, container, diag);
}

/* {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": null} */
static int keep_bindings(json_t *ports, struct container *container, struct diag *diag)
{
	const json_t *binding;
	const char *key;
	json_t *list;
	size_t i;
	int r;

	json_object_foreach(ports, key, list)
	{
		const char *slash = strchr(key, '/');
		struct port_binding port = { .l4proto = protocol_number(slash ? slash + 1 : "") };
		char number[6] = "";

		if (json_is_null(list))
			continue;
		if (slash && slash - key < (ptrdiff_t)sizeof(number))
			memcpy(number, key, (size_t)(slash - key));
		if (!json_is_array(list) || port_number(number) < 0 || !port.l4proto)
			return diag_set(diag, -EINVAL, "container port: not a binding: %.32s", key);
		port.container_port = (uint16_t)port_number(number);
		json_array_foreach(list, i, binding)
		{
			r = keep_binding(binding, &port, container, diag);
			if (r)
				return r;
		}
	}
	return 0;
}

/* "/name", beside "/other/alias" for each legacy link to it. */
static int keep_listed_name(const json_t *names, struct container *container, struct diag *diag)
{
	const char *own_name = "";
	const json_t *item;
	size_t i;

	json_array_foreach(names, i, item)
	{
		const char *name = json_string_value(item);

		if (!name)
			return diag_set(diag, -EINVAL, "container: a name is not a string");
		if (strrchr(name, '/') <= name) /* no slash but the first */
			own_name = name;
	}
	keep_name(own_name, container);
	return 0;
}

static int keep_listed_ports(const json_t *ports, struct container *container, struct diag *diag)
{
	const json_t *port;
	size_t i;
	int r;

	json_array_foreach(ports, i, port)
	{
		r = keep_listed_port(port, container, diag);
		if (r)
			return r;
	}
	return 0;
}

/* Object @object (may be NULL) holds one field of interest. */
static int read_one(const json_t *object, const char *where, const struct json_field *field,
		    struct diag *diag)
{
	return object ? docker_json_read(object, where, field, 1, diag) : 0;
}

static int read_listed(const json_t *item, void *record, struct diag *diag)
{
	struct container *container = record;
	json_t *names = NULL, *labels = NULL, *host_config = NULL, *settings = NULL;
	json_t *networks = NULL, *ports = NULL;
	const char *id = NULL, *state = NULL, *mode = "";
	const struct json_field fields[] = {
		STRING_FIELD("Id", MANDATORY, &id),
		STRING_FIELD("State", MANDATORY, &state),
		ARRAY_FIELD("Names", OPTIONAL, &names),
		OBJECT_FIELD("Labels", OPTIONAL, &labels),
		OBJECT_FIELD("HostConfig", OPTIONAL, &host_config),
		OBJECT_FIELD("NetworkSettings", OPTIONAL, &settings),
		ARRAY_FIELD("Ports", OPTIONAL, &ports),
	};
	const struct json_field mode_field = STRING_FIELD("NetworkMode", OPTIONAL, &mode);
	const struct json_field networks_field = OBJECT_FIELD("Networks", OPTIONAL, &networks);
	int r;

	r = docker_json_read(item, "container", fields, ARRAY_SIZE(fields), diag);
	if (!r)
		r = keep_id(id, container, diag);
	if (!r)
		r = read_one(host_config, "container HostConfig", &mode_field, diag);
	if (!r)
		r = read_one(settings, "container NetworkSettings", &networks_field, diag);
	if (!r)
		r = keep_listed_name(names, container, diag);
	if (!r)
		r = keep_labels(labels, container, diag);
	if (!r)
		r = keep_network_mode(mode, container, diag);
	if (!r)
		r = keep_endpoints(networks, container, diag);
	if (!r)
		r = keep_listed_ports(ports, container, diag);
	if (!r)
		container->state = state_value(state);
	if (!r)
		r = keep_identity(container, diag);
	return r;
}

static void listed_done(void *record)
{
	container_done(record);
}

int docker_json_container_list(const char *json, size_t len, struct container **ret_containers,
			       size_t *ret_n, struct diag *diag)
{
	static const struct json_list list = { "container list", sizeof(struct container),
					       read_listed, listed_done };
	void *containers;
	int r = docker_json_list(json, len, &list, &containers, ret_n, diag);

	if (r == 0)
		*ret_containers = containers;
	return r;
}

/* Older engines take any text here: what is no address names no resolver. */
static int keep_dns(const json_t *dns, struct container *container, struct diag *diag)
{
	size_t n = json_array_size(dns) < JSON_DNS_MAX ? json_array_size(dns) : JSON_DNS_MAX;

	if (n == 0)
		return 0;
	container->dns = calloc(n, sizeof(*container->dns));
	if (!container->dns)
		return no_memory(diag);
	for (size_t i = 0; i < n; i++)
		if (ip_addr_parse(json_string_value(json_array_get(dns, i)),
				  &container->dns[container->dns_n]) == 0)
			container->dns_n++;
	return 0;
}

/* What an inspect answer tells under "State" and "HostConfig". */
static int keep_config(const json_t *state, const json_t *host_config, struct container *container,
		       struct diag *diag)
{
	const char *status = NULL, *mode = "", *cgroup_parent = "";
	json_t *dns = NULL;
	int64_t pid = 0;
	const struct json_field state_fields[] = {
		STRING_FIELD("Status", MANDATORY, &status),
		INTEGER_FIELD("Pid", OPTIONAL, &pid),
	};
	const struct json_field config_fields[] = {
		STRING_FIELD("NetworkMode", OPTIONAL, &mode),
		STRING_FIELD("CgroupParent", OPTIONAL, &cgroup_parent),
		INTEGER_FIELD("NanoCpus", OPTIONAL, &container->nano_cpus),
		INTEGER_FIELD("Memory", OPTIONAL, &container->memory),
		ARRAY_FIELD("Dns", OPTIONAL, &dns),
	};
	int r;

	r = docker_json_read(state, "container State", state_fields, ARRAY_SIZE(state_fields),
			     diag);
	if (!r)
		r = docker_json_read(host_config, "container HostConfig", config_fields,
				     ARRAY_SIZE(config_fields), diag);
	if (!r && (pid < 0 || pid > INT_MAX))
		r = diag_set(diag, -EINVAL, "container State: \"Pid\" is out of range");
	if (r)
		return r;
	container->state = state_value(status);
	container->pid = container_is_live(container) ? (pid_t)pid : 0;
	if (docker_json_keep(cgroup_parent, &container->cgroup_parent))
		return no_memory(diag);
	r = keep_dns(dns, container, diag);
	return r ? r : keep_network_mode(mode, container, diag);
}

/*
 * NetworkSettings.Ports tells the truth while the container runs. Before, only what was asked for
 * is known, and only where the container has ports of its own: dstack binds its ports for host
 * jobs too, which publishes nothing.
 */
static int keep_network_settings(const json_t *settings, const json_t *host_config,
				 struct container *container, struct diag *diag)
{
	json_t *networks = NULL, *ports = NULL, *asked = NULL;
	const char *sandbox_key = "";
	const struct json_field fields[] = {
		OBJECT_FIELD("Networks", OPTIONAL, &networks),
		OBJECT_FIELD("Ports", OPTIONAL, &ports),
		STRING_FIELD("SandboxKey", OPTIONAL, &sandbox_key),
	};
	const struct json_field asked_field = OBJECT_FIELD("PortBindings", OPTIONAL, &asked);
	bool own_ports = container->network_kind == NETWORK_KIND_BRIDGE ||
			 container->network_kind == NETWORK_KIND_USER;
	int r;

	r = docker_json_read(settings, "container NetworkSettings", fields, ARRAY_SIZE(fields),
			     diag);
	if (!r)
		r = read_one(host_config, "container HostConfig", &asked_field, diag);
	if (!r)
		r = keep_endpoints(networks, container, diag);
	/* One that stopped and was let go by its networks has the key of a namespace that is gone; until
	 * then it is its own, and a MAC alone would be the next one's. */
	if (!r && (container_is_live(container) || container_is_attached(container)) &&
	    docker_json_keep(sandbox_key, &container->sandbox_key))
		r = no_memory(diag);
	if (!r)
		r = keep_bindings(ports, container, diag);
	if (!r && !container->ports_n && own_ports && !container_is_live(container))
		r = keep_bindings(asked, container, diag);
	return r;
}

static int read_inspected(const json_t *root, struct container *container, struct diag *diag)
{
	json_t *state = NULL, *config = NULL, *host_config = NULL, *settings = NULL;
	json_t *labels = NULL, *mounts = NULL;
	const char *id = NULL, *name = "";
	const struct json_field fields[] = {
		STRING_FIELD("Id", MANDATORY, &id),
		STRING_FIELD("Name", OPTIONAL, &name),
		OBJECT_FIELD("State", MANDATORY, &state),
		OBJECT_FIELD("Config", MANDATORY, &config),
		OBJECT_FIELD("HostConfig", MANDATORY, &host_config),
		OBJECT_FIELD("NetworkSettings", MANDATORY, &settings),
		ARRAY_FIELD("Mounts", OPTIONAL, &mounts),
	};
	const struct json_field labels_field = OBJECT_FIELD("Labels", OPTIONAL, &labels);
	int r;

	r = docker_json_read(root, "container", fields, ARRAY_SIZE(fields), diag);
	if (!r)
		r = keep_id(id, container, diag);
	keep_name(name, container);
	if (!r)
		r = read_one(config, "container Config", &labels_field, diag);
	if (!r)
		r = keep_labels(labels, container, diag);
	if (!r)
		r = keep_config(state, host_config, container, diag);
	if (!r)
		r = keep_network_settings(settings, host_config, container, diag);
	if (!r)
		r = docker_json_hazards(mounts, host_config, container, diag);
	if (!r)
		r = keep_identity(container, diag);
	container->inspected = !r;
	return r;
}

int docker_json_container(const char *json, size_t len, struct container *ret_container,
			  struct diag *diag)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	struct container container = { 0 };
	int r;

	r = docker_json_load(json, len, JSON_OBJECT, "container", &root, diag);
	if (r)
		return r;
	r = read_inspected(root, &container, diag);
	if (r) {
		container_done(&container);
		return r;
	}
	*ret_container = container;
	return 0;
}
