/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `explain --json`: the same for programs. A key is always there; what is not known or does not apply
 * is null. Pure formatting; contrib/schema/explain.schema.json has every key.
 */
#include "explain-internal.h"

#include <netinet/in.h>
#include <string.h>

#include "jobfence/text.h"

/* json_pack() takes the values over, also where it fails, and fails where one is NULL. */

static json_t *safe_string(const char *text)
{
	char safe[512];

	return text && *text ? json_string(text_safe(text, safe, sizeof(safe))) : json_null();
}

/* Appends @value, which may be NULL for want of memory; where that fails *@array becomes NULL. */
static void append(json_t **array, json_t *value)
{
	if (json_array_append_new(*array, value) == 0)
		return;
	json_decref(*array);
	*array = NULL;
}

static json_t *addr_json(const struct ip_addr *addr)
{
	char text[IP_ADDR_TEXT_MAX];

	return ip_addr_is_set(addr) ? json_string(ip_addr_text(addr, text)) : json_null();
}

static json_t *endpoints_json(const struct explanation *explanation)
{
	const struct container *c = explanation->owner ?: explanation->row->container;
	json_t *json = json_array();

	for (size_t i = 0; json && i < c->endpoints_n; i++) {
		const struct endpoint *endpoint = &c->endpoints[i];
		char bridge[IFNAMSIZ], port[IFNAMSIZ], mac[MAC_ADDR_TEXT_MAX];

		explain_port(explanation->view->expected, endpoint, bridge, port);
		mac_addr_text(&endpoint->mac, mac);
		append(&json,
		       json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "network",
				 safe_string(endpoint->network_name), "bridge", safe_string(bridge),
				 "port", safe_string(port), "mac",
				 mac_addr_is_set(&endpoint->mac) ? json_string(mac) : json_null(),
				 "ip4", addr_json(&endpoint->ip4), "ip6",
				 addr_json(&endpoint->ip6)));
	}
	return json;
}

static json_t *published_json(const struct container *c)
{
	json_t *json = json_array();

	for (size_t i = 0; json && i < c->ports_n; i++) {
		const struct port_binding *port = &c->ports[i];

		append(&json,
		       json_pack("{s:s, s:o, s:i, s:i}", "protocol",
				 port->l4proto == IPPROTO_TCP   ? "tcp"
				 : port->l4proto == IPPROTO_UDP ? "udp"
								: "sctp",
				 "address", addr_json(&port->host_ip), "port", (int)port->host_port,
				 "container_port", (int)port->container_port));
	}
	return json;
}

static json_t *resolvers_json(const struct container *c)
{
	json_t *json = json_array();

	for (size_t i = 0; json && i < c->dns_n; i++)
		append(&json, addr_json(&c->dns[i]));
	return json;
}

static const char *network_name(enum network_kind kind)
{
	switch (kind) {
	case NETWORK_KIND_BRIDGE:
		return "bridge";
	case NETWORK_KIND_HOST:
		return "host";
	case NETWORK_KIND_NONE:
		return "none";
	case NETWORK_KIND_CONTAINER:
		return "container";
	case NETWORK_KIND_USER:
		return "user";
	case NETWORK_KIND_UNKNOWN:
		break;
	}
	return "unknown";
}

static json_t *facts_json(const struct explanation *explanation)
{
	const struct container *c = explanation->row->container;
	bool told = c->inspected;

	return json_pack("{s:b, s:b, s:i, s:s, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, "
			 "s:o}",
			 "is_task", c->is_task, "inspected", told, "pid", (int)c->pid,
			 "network_mode", network_name(c->network_kind), "network",
			 safe_string(c->network_ref), "nano_cpus",
			 told ? json_integer((json_int_t)c->nano_cpus) : json_null(), "memory",
			 told ? json_integer((json_int_t)c->memory) : json_null(), "net_raw",
			 told ? json_boolean(!c->no_net_raw) : json_null(), "multinode",
			 explanation->row->verdict->multinode, "endpoints",
			 endpoints_json(explanation), "published", published_json(c), "resolvers",
			 resolvers_json(c), "cgroup", safe_string(explanation->cgroup), "cgroup_id",
			 explanation->cgroup_id ? json_integer((json_int_t)explanation->cgroup_id)
						: json_null(),
			 "cgroup_parent", safe_string(c->cgroup_parent));
}

static json_t *elems_json(const struct explanation *explanation)
{
	json_t *json = json_array();
	char text[256];

	for (size_t i = 0; json && i < explanation->elems_n; i++) {
		const struct explained_elem *elem = &explanation->elems[i];
		const struct set_spec *spec = set_spec(elem->set);

		elem_text(elem->set, elem->elem, text, sizeof(text), NULL, NULL);
		append(&json,
		       json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "family",
				 family_name(spec->family), "set", spec->name, "element", text,
				 "meaning", spec->why, "in_kernel",
				 elem->known ? json_boolean(elem->there) : json_null(), "packets",
				 elem->there && elem->counts
					 ? json_integer((json_int_t)elem->packets)
					 : json_null()));
	}
	return json;
}

static json_t *rules_json(const struct explanation *explanation)
{
	json_t *json = json_array();

	for (size_t i = 0; json && i < explanation->rules.n; i++) {
		const struct explained_rule *rule = &explanation->rules.rule[i];
		uint64_t packets = 0;
		bool counted = explain_counted(explanation, rule, &packets);

		append(&json,
		       json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "direction",
				 rule->sends ? "from" : "to", "family", family_name(rule->family),
				 "chain", rule->chain, "counter", rule->counter, "meaning",
				 rule->why, "audited", rule->audited, "packets",
				 counted ? json_integer((json_int_t)packets) : json_null()));
	}
	return json;
}

json_t *explain_json(const struct explanation *explanation)
{
	const struct status_view *view = explanation->view;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "version", JOBFENCE_VERSION,
			 "ruleset", ruleset_state_name(view->ruleset), "ruleset_trouble",
			 safe_string(view->ruleset_trouble), "container",
			 status_row_json(view, explanation->row), "facts", facts_json(explanation),
			 "elements", elems_json(explanation), "rules", rules_json(explanation),
			 "reach", explain_reach_json(explanation));
}
