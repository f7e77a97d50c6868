/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `probe --json`: every connection with what was intended and what was seen;
 * contrib/schema/probe.schema.json describes it. Pure formatting.
 */
#include "probe-internal.h"

#include "jobfence/text.h"

/* json_pack() takes the values over, also where it fails, and fails where one is NULL. */

static json_t *safe_string(const char *text)
{
	char safe[512];

	return text ? json_string(text_safe(text, safe, sizeof(safe))) : json_null();
}

static json_t *place_json(const struct probe *probe, const struct reach_place *place)
{
	const struct model *model = &probe->view->status->expected->model;
	bool container = place->kind == REACH_CONTAINER || place->kind == REACH_RUNNER;
	const struct container *c = &model->containers[place->container];

	return json_pack("{s:s, s:o, s:o}", "kind", reach_kind_name(place->kind), "id",
			 safe_string(container ? c->id : NULL), "name",
			 safe_string(container ? c->name ?: "" : NULL));
}

static json_t *flow_json(const struct probe *probe, size_t i)
{
	const struct reach_flow *flow = &probe->reach->flows[i];
	const struct probed *probed = &probe->probed[i];
	const struct sighting *last = probed->seen_n ? &probed->seen[probed->seen_n - 1] : NULL;
	char to[SOCK_ADDR_TEXT_MAX];

	return json_pack("{s:o, s:o, s:i, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:i, s:o, s:o}",
			 "from", place_json(probe, &probe->reach->rows[flow->row]), "to",
			 place_json(probe, &probe->reach->columns[flow->column]), "family",
			 flow->six ? 6 : 4, "address", sock_addr_text(&flow->to, to), "intended",
			 reach_state_name(flow->state), "counter", safe_string(flow->counter),
			 "finding", finding_name(probed->finding), "seen",
			 last ? json_string(attempt_name(last->attempt)) : json_null(), "counted",
			 last ? json_integer((json_int_t)last->moved) : json_null(),
			 "other_counter", safe_string(last ? last->other : NULL), "attempts",
			 (int)probed->seen_n, "why", safe_string(probed->why), "detail",
			 safe_string(probed->detail[0] ? probed->detail : NULL));
}

static json_t *flows_json(const struct probe *probe)
{
	json_t *json = json_array();

	for (size_t i = 0; json && i < probe->reach->flows_n; i++) {
		if (json_array_append_new(json, flow_json(probe, i)) == 0)
			continue;
		json_decref(json);
		json = NULL;
	}
	return json;
}

json_t *probe_json(const struct probe *probe)
{
	static const char *const results[] = { "as_intended", "different", "unknown" };
	const struct status_view *status = probe->view->status;
	json_t *count = json_object();

	for (size_t i = 0; count && i <= FINDING_GONE; i++)
		if (json_object_set_new(count, finding_name((enum probe_finding)i),
					json_integer((json_int_t)probe->count[i])) < 0) {
			json_decref(count);
			count = NULL;
		}
	return json_pack("{s:s, s:i, s:s, s:s, s:b, s:b, s:o, s:o}", "version", JOBFENCE_VERSION,
			 "mode", (int)status->config->mode, "ruleset",
			 ruleset_state_name(status->ruleset), "result",
			 results[probe_exit_code(probe)], "interrupted", (int)probe->interrupted,
			 "out_of_time", (int)probe->late, "count", count, "flows",
			 flows_json(probe));
}
