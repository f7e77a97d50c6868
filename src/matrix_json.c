/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `matrix --json`: the whole table, every container by itself, with the connections that each field
 * stands for; contrib/schema/matrix.schema.json describes it. Pure formatting.
 */
#include "matrix-internal.h"

#include "jobfence/text.h"

/* json_pack() takes the values over, also where it fails, and fails where one is NULL. */

static json_t *safe_string(const char *text)
{
	char safe[512];

	return text ? json_string(text_safe(text, safe, sizeof(safe))) : json_null();
}

/* @add: makes the element with number i. */
static json_t *array_of(const struct matrix_view *view, size_t n,
			json_t *(*add)(const struct matrix_view *view, size_t i))
{
	json_t *json = json_array();

	for (size_t i = 0; json && i < n; i++) {
		if (json_array_append_new(json, add(view, i)) == 0)
			continue;
		json_decref(json);
		json = NULL;
	}
	return json;
}

static json_t *place_json(const struct matrix_view *view, const struct reach_place *place)
{
	const struct expected *expected = view->status->expected;
	bool container = place->kind == REACH_CONTAINER || place->kind == REACH_RUNNER;
	const struct container *c = &expected->model.containers[place->container];
	const struct verdict *verdict = &expected->verdicts[place->container];

	if (!container)
		return json_pack("{s:s, s:n, s:n, s:n, s:n, s:n, s:n}", "kind",
				 reach_kind_name(place->kind), "id", "name", "role", "placement",
				 "confinement", "unconfinable");
	return json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:b}", "kind",
			 reach_kind_name(place->kind), "id", safe_string(c->id), "name",
			 safe_string(c->name ?: ""), "role", role_name(verdict->role), "placement",
			 placement_name(verdict->placement), "confinement",
			 confinement_name(verdict->confinement), "unconfinable",
			 (int)verdict->unconfinable);
}

static json_t *row_json(const struct matrix_view *view, size_t i)
{
	return place_json(view, &view->reach->rows[i]);
}

static json_t *column_json(const struct matrix_view *view, size_t i)
{
	return place_json(view, &view->reach->columns[i]);
}

static json_t *flows_json(const struct reach *reach, const struct reach_cell *cell)
{
	json_t *json = json_array();

	for (size_t i = 0; json && i < cell->flows_n; i++) {
		const struct reach_flow *flow = &reach->flows[cell->flow + i];
		char to[SOCK_ADDR_TEXT_MAX];

		if (json_array_append_new(json, json_pack("{s:s, s:s, s:o}", "to",
							  sock_addr_text(&flow->to, to), "state",
							  reach_state_name(flow->state), "counter",
							  safe_string(flow->counter))) == 0)
			continue;
		json_decref(json);
		json = NULL;
	}
	return json;
}

static json_t *cell_json(const struct matrix_view *view, size_t i)
{
	const struct reach *reach = view->reach;
	const struct reach_cell *cell = &reach->cells[i];
	size_t row = i / 2 / reach->columns_n, column = i / 2 % reach->columns_n;

	return json_pack("{s:i, s:i, s:i, s:s, s:o, s:o}", "from", (int)row, "to", (int)column,
			 "family", i % 2 ? 6 : 4, "state", reach_state_name(cell->state), "counter",
			 safe_string(cell->counter), "flows", flows_json(reach, cell));
}

json_t *matrix_json(const struct matrix_view *view)
{
	const struct reach *reach = view->reach;
	const struct status_view *status = view->status;

	return json_pack("{s:s, s:{s:i, s:s}, s:s, s:s, s:b, s:o, s:o, s:o}", "version",
			 JOBFENCE_VERSION, "mode", "number", (int)status->config->mode, "name",
			 network_mode_name(status->config->mode), "ruleset",
			 ruleset_state_name(status->ruleset), "engine",
			 engine_state_name(status->engine->state), "enforced",
			 (int)(status->config->audit == 0), "sources",
			 array_of(view, reach->rows_n, row_json), "targets",
			 array_of(view, reach->columns_n, column_json), "cells",
			 array_of(view, reach->rows_n * reach->columns_n * 2, cell_json));
}
