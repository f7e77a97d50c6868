/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `status` says of egress, as text and as JSON: what is open to bridge jobs by itself
 * (resolvers, proxies), which networks are closed because the host is on them, and what about the
 * configuration is worth a word. Pure formatting.
 */
#include "status-internal.h"

#include "jobfence/text.h"

static const char *egress_name(enum egress egress)
{
	switch (egress) {
	case EGRESS_INTERNET:
		return "internet";
	case EGRESS_ANY:
		return "any";
	case EGRESS_NONE:
		return "none";
	}
	return "?";
}

static void print_resolvers(FILE *out, const struct status_view *view)
{
	const struct model *model = &view->expected->model;
	char addr[IP_ADDR_TEXT_MAX], origin[512];

	fprintf(out, "resolvers     ");
	for (size_t i = 0; i < model->resolvers_n; i++)
		fprintf(out, "%s%s", i ? " " : "", ip_addr_text(&model->resolvers[i], addr));
	fprintf(out, "%s", model->resolvers_n ? "" : "none");
	if (view->resolvers_origin)
		fprintf(out, " (%s)", text_safe(view->resolvers_origin, origin, sizeof(origin)));
	fprintf(out, "\n");
}

static bool is_local(const struct status_view *view, size_t proxy)
{
	return proxy < 32 && view->proxies_local & (uint32_t)1 << proxy;
}

static void print_proxies(FILE *out, const struct status_view *view)
{
	const struct model *model = &view->expected->model;
	char addr[SOCK_ADDR_TEXT_MAX];

	fprintf(out, "proxies       ");
	for (size_t i = 0; i < model->proxies_n; i++)
		fprintf(out, "%s%s%s", i ? " " : "", sock_addr_text(&model->proxies[i], addr),
			is_local(view, i) ? " (! on this host: can connect jobs to the shim)" : "");
	fprintf(out, "%s\n", model->proxies_n ? "" : "none");
}

static void print_attached(FILE *out, const struct status_view *view)
{
	const struct model *model = &view->expected->model;
	char range[NET_RANGE_TEXT_MAX];

	fprintf(out, "attached to   ");
	for (size_t i = 0; i < model->attached_n; i++)
		fprintf(out, "%s%s", i ? " " : "", net_range_text(&model->attached[i], range));
	fprintf(out, "%s\n", model->attached_n ? "" : "no network");
}

void status_print_egress(FILE *out, const struct status_view *view)
{
	const struct config *config = view->config;
	char remark[sizeof(view->origin->remarks[0])];

	fprintf(out,
		"egress        bridge jobs %s, host jobs %s; metadata: bridge jobs %s, host "
		"jobs %s\n",
		egress_name(config->egress_bridge), egress_name(config->egress_host),
		config->metadata_bridge ? "allow" : "deny",
		config->metadata_host ? "allow" : "deny");
	print_resolvers(out, view);
	print_proxies(out, view);
	print_attached(out, view);
	for (size_t i = 0; i < view->origin->remarks_n; i++)
		fprintf(out, "remark        %s\n",
			text_safe(view->origin->remarks[i], remark, sizeof(remark)));
}

/* Appends @value, which may be NULL for want of memory; where that fails *@array becomes NULL. */
static void append(json_t **array, json_t *value)
{
	if (json_array_append_new(*array, value) == 0)
		return;
	json_decref(*array);
	*array = NULL;
}

static json_t *resolvers_json(const struct model *model)
{
	json_t *json = json_array();
	char text[IP_ADDR_TEXT_MAX];

	for (size_t i = 0; json && i < model->resolvers_n; i++)
		append(&json, json_string(ip_addr_text(&model->resolvers[i], text)));
	return json;
}

static json_t *proxies_json(const struct status_view *view)
{
	const struct model *model = &view->expected->model;
	json_t *json = json_array();
	char text[SOCK_ADDR_TEXT_MAX];

	for (size_t i = 0; json && i < model->proxies_n; i++)
		append(&json,
		       json_pack("{s:s, s:b}", "address", sock_addr_text(&model->proxies[i], text),
				 "on_this_host", is_local(view, i)));
	return json;
}

static json_t *attached_json(const struct model *model)
{
	json_t *json = json_array();
	char text[NET_RANGE_TEXT_MAX];

	for (size_t i = 0; json && i < model->attached_n; i++)
		append(&json, json_string(net_range_text(&model->attached[i], text)));
	return json;
}

static json_t *remarks_json(const struct config_origin *origin)
{
	json_t *json = json_array();
	char text[sizeof(origin->remarks[0])];

	for (size_t i = 0; json && i < origin->remarks_n; i++)
		append(&json, json_string(text_safe(origin->remarks[i], text, sizeof(text))));
	return json;
}

json_t *status_egress_json(const struct status_view *view)
{
	const struct config *config = view->config;
	const struct model *model = &view->expected->model;
	char origin[512];

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "bridge",
		egress_name(config->egress_bridge), "host", egress_name(config->egress_host),
		"metadata_bridge", config->metadata_bridge ? "allow" : "deny", "metadata_host",
		config->metadata_host ? "allow" : "deny", "resolvers", resolvers_json(model),
		"resolvers_origin",
		view->resolvers_origin
			? json_string(text_safe(view->resolvers_origin, origin, sizeof(origin)))
			: json_null(),
		"proxies", proxies_json(view), "attached", attached_json(model), "remarks",
		remarks_json(view->origin));
}
