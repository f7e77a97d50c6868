/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of who reaches whom: its rows and columns from the model, each field from what the rules
 * say of the connections that it stands for. Pure. It must never have an answer of its own.
 */
#include "reach-internal.h"

#include <errno.h>
#include <string.h>

const char *reach_kind_name(enum reach_kind kind)
{
	switch (kind) {
	case REACH_CONTAINER:
		return "container";
	case REACH_RUNNER:
		return "runner";
	case REACH_SHIM:
		return "shim";
	case REACH_DCGM:
		return "dcgm";
	case REACH_HOST:
		return "host";
	case REACH_LAN:
		return "lan";
	case REACH_INTERNET:
		return "internet";
	case REACH_METADATA:
		return "metadata";
	}
	return "";
}

const char *reach_state_name(enum reach_state state)
{
	switch (state) {
	case REACH_NONE:
		return "none";
	case REACH_ALLOWED:
		return "allowed";
	case REACH_DENIED:
		return "denied";
	case REACH_PARTLY:
		return "partly";
	case REACH_AUDITED:
		return "audited";
	case REACH_NOT_HELD:
		return "not_held";
	case REACH_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

enum reach_state reach_merge(enum reach_state a, enum reach_state b)
{
	if (a == b || b == REACH_NONE)
		return a;
	if (a == REACH_NONE)
		return b;
	return a == REACH_UNKNOWN || b == REACH_UNKNOWN ? REACH_UNKNOWN : REACH_PARTLY;
}

void reach_done(struct reach *reach)
{
	free(reach->rows);
	free(reach->columns);
	free(reach->flows);
	free(reach->cells);
	*reach = (struct reach){ 0 };
}

static size_t cell_index(const struct reach *reach, size_t row, size_t column, bool six)
{
	return (row * reach->columns_n + column) * 2 + six;
}

const struct reach_cell *reach_cell(const struct reach *reach, size_t row, size_t column, bool six)
{
	return &reach->cells[cell_index(reach, row, column, six)];
}

/* --- rows and columns --- */

/* Jobs before others, on the host's network behind those on bridges, by name. */
static int order(const struct reach_input *input, size_t a, size_t b)
{
	const struct verdict *one = &input->verdicts[a], *two = &input->verdicts[b];
	const struct container *c = input->model->containers;

	if (one->role != two->role)
		return one->role < two->role ? -1 : 1;
	if (one->placement != two->placement)
		return one->placement < two->placement ? -1 : 1;
	return strcmp(c[a].name ?: "", c[b].name ?: "") ?: (a > b) - (a < b);
}

static void insert(const struct reach_input *input, struct reach_place *places, size_t n, size_t i)
{
	for (; n > 0 && order(input, i, places[n - 1].container) < 0; n--)
		places[n] = places[n - 1];
	places[n] = (struct reach_place){ .kind = REACH_CONTAINER, .container = i };
}

static int add_places(const struct reach_input *input, struct reach *reach)
{
	static const enum reach_kind others[] = { REACH_SHIM, REACH_DCGM,     REACH_HOST,
						  REACH_LAN,  REACH_INTERNET, REACH_METADATA };
	const struct model *model = input->model;
	size_t live;

	reach->rows = calloc(model->containers_n + 2, sizeof(*reach->rows));
	reach->columns =
		calloc(2 * model->containers_n + ARRAY_SIZE(others), sizeof(*reach->columns));
	if (!reach->rows || !reach->columns)
		return -ENOMEM;
	for (size_t i = 0; i < model->containers_n; i++)
		if (container_is_live(&model->containers[i]))
			insert(input, reach->rows, reach->rows_n++, i);
	live = reach->rows_n;
	memcpy(reach->columns, reach->rows, live * sizeof(*reach->rows));
	reach->columns_n = live;
	for (size_t i = 0; i < live; i++)
		if (input->verdicts[reach->rows[i].container].role == ROLE_JOB)
			reach->columns[reach->columns_n++] =
				(struct reach_place){ .kind = REACH_RUNNER,
						      .container = reach->rows[i].container };
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		reach->columns[reach->columns_n++].kind = others[i];
	reach->rows[reach->rows_n++].kind = REACH_HOST;
	reach->rows[reach->rows_n++].kind = REACH_LAN;
	reach->cells = calloc(reach->rows_n * reach->columns_n * 2, sizeof(*reach->cells));
	return reach->cells ? 0 : -ENOMEM;
}

/* --- fields --- */

static int add_flow(struct reach *reach, const struct reach_flow *flow)
{
	if (reach->flows_n == reach->flows_cap) {
		size_t cap = reach->flows_cap ? reach->flows_cap * 2 : 256;
		struct reach_flow *grown = reallocarray(reach->flows, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		reach->flows = grown;
		reach->flows_cap = cap;
	}
	reach->flows[reach->flows_n++] = *flow;
	return 0;
}

static enum reach_state state_of(const struct reach_input *input, const struct reach_place *row,
				 const struct judged *judged)
{
	switch (judged->ruling) {
	case RULING_PASS:
		return judged->audited ? REACH_AUDITED : REACH_ALLOWED;
	case RULING_DENY:
		return row->kind == REACH_CONTAINER && input->verdicts[row->container].unconfinable
			       ? REACH_NOT_HELD
			       : REACH_DENIED;
	case RULING_UNKNOWN:
		break;
	}
	return REACH_UNKNOWN;
}

/* The row as it is for this target: of several networks the one that both are on. */
static bool row_side(const struct reach_sides *sides, const struct reach_place *row, bool six,
		     const struct side *other, struct side *ret_side)
{
	/* somebody, somewhere: no address that is in any set (RFC 5737, RFC 3849) */
	static const struct ip_addr four = { AF_INET, { 198, 51, 100, 1 } };
	static const struct ip_addr six_ = { AF_INET6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 2 } };
	static const struct side itself = { .kind = SIDE_HOST };

	if (row->kind == REACH_CONTAINER)
		return reach_container_side(sides, row->container, six, other, ret_side);
	if (row->kind == REACH_LAN)
		reach_outside_side(six ? &six_ : &four, ret_side);
	else
		reach_host_side(sides->input, six, &itself, ret_side);
	return true;
}

/* Between two networks Docker's own rules stand: what they stop is no news of the fence's. */
static bool is_docker_s(const struct side *from, const struct side *to, enum reach_state state)
{
	return (state == REACH_ALLOWED || state == REACH_AUDITED) && from->kind == SIDE_PORT &&
	       to->kind == SIDE_PORT && from->bridge_index != to->bridge_index;
}

static int judge_target(const struct reach_sides *sides, struct reach *reach, size_t row,
			size_t column, bool six, const struct reach_target *target)
{
	struct reach_flow flow = { .row = row,
				   .column = column,
				   .six = six,
				   .to = { target->side.addr, target->port },
				   .also = target->also,
				   .listener = target->listener,
				   .may_try =
					   target->may_try && reach->rows[row].kind != REACH_LAN };
	struct side from;
	struct judged judged;

	if (!row_side(sides, &reach->rows[row], six, &target->side, &from))
		return 0;
	reach_walk(sides->input, &from, &target->side, target->port, &judged, &flow.by_listener);
	flow.state = state_of(sides->input, &reach->rows[row], &judged);
	flow.may_try = flow.may_try && !is_docker_s(&from, &target->side, flow.state);
	flow.counter = judged.ruling == RULING_DENY ? judged.counter : judged.audited;
	/* where neighbours are, and are bridged, finding them is stopped as well */
	if (!flow.also && from.kind == SIDE_PORT && target->side.kind == SIDE_PORT &&
	    from.bridge_index == target->side.bridge_index && flow.counter)
		flow.also = strcmp(flow.counter, "job_to_neighbour") == 0 ? "job_to_bystander"
									  : "job_to_neighbour";
	return add_flow(reach, &flow);
}

/* A container that is somewhere of which nothing is known here: no network of a bridge. */
static bool is_nowhere(const struct reach_sides *sides, const struct reach_place *place)
{
	const struct verdict *verdict = &sides->input->verdicts[place->container];
	struct side side;

	if (place->kind != REACH_CONTAINER && place->kind != REACH_RUNNER)
		return false;
	return verdict->placement == PLACEMENT_UNKNOWN ||
	       (verdict->placement == PLACEMENT_BRIDGE &&
		!reach_container_side(sides, place->container, false, NULL, &side) &&
		!reach_container_side(sides, place->container, true, NULL, &side));
}

static int fill_cell(const struct reach_sides *sides, struct reach *reach, size_t row,
		     size_t column, bool six)
{
	struct reach_cell *cell = &reach->cells[cell_index(reach, row, column, six)];
	_cleanup_free_ struct reach_targets *targets = calloc(1, sizeof(*targets));
	struct side from;
	int r = 0;

	if (!targets)
		return -ENOMEM;
	cell->flow = reach->flows_n;
	if (is_nowhere(sides, &reach->rows[row]) || is_nowhere(sides, &reach->columns[column])) {
		cell->state = REACH_UNKNOWN;
		return 0;
	}
	if (!row_side(sides, &reach->rows[row], six, NULL, &from))
		return 0;
	reach_targets(sides, &reach->rows[row], &from, &reach->columns[column], six, targets);
	for (size_t i = 0; r >= 0 && i < targets->n; i++)
		r = judge_target(sides, reach, row, column, six, &targets->target[i]);
	cell->flows_n = reach->flows_n - cell->flow;
	for (size_t i = 0; i < cell->flows_n; i++) {
		const struct reach_flow *flow = &reach->flows[cell->flow + i];

		cell->state = reach_merge(cell->state, flow->state);
		if (!cell->counter)
			cell->counter = flow->counter;
	}
	if (targets->unknown)
		cell->state = REACH_UNKNOWN;
	return r;
}

int reach_build(const struct reach_input *input, struct reach *ret_reach)
{
	_cleanup_(reach_sides_done) struct reach_sides sides = { 0 };
	_cleanup_(reach_done) struct reach reach = { 0 };
	int r = reach_sides_init(&sides, input);

	if (r >= 0)
		r = add_places(input, &reach);
	for (size_t i = 0; r >= 0 && i < reach.rows_n; i++)
		for (size_t j = 0; r >= 0 && j < reach.columns_n; j++) {
			r = fill_cell(&sides, &reach, i, j, false);
			if (r >= 0)
				r = fill_cell(&sides, &reach, i, j, true);
		}
	if (r < 0)
		return r;
	*ret_reach = reach;
	reach = (struct reach){ 0 };
	return 0;
}
