/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one container reaches, and who reaches it: its row and its columns of the matrix, in words.
 * Pure formatting: what is open is what reach.h says of the rules, and nothing is said beside it.
 */
#include "explain-internal.h"

#include <string.h>

#include "jobfence/term.h"
#include "matrix-internal.h"

#define PEERS_SHOWN 24 /* containers; of more only how many */

/* A source and a target, where one of them is the container. */
struct way {
	const struct reach_place *peer, *target;
	enum reach_state state;
	const char *counter;
};

static bool is_it(const struct reach_place *place, size_t i)
{
	return (place->kind == REACH_CONTAINER || place->kind == REACH_RUNNER) &&
	       place->container == i;
}

static bool is_container(const struct reach_place *place)
{
	return place->kind == REACH_CONTAINER || place->kind == REACH_RUNNER;
}

/* Both families as one: where they differ it is "partly". False: there is no such way. */
static bool get_way(const struct explanation *explanation, size_t row, size_t column, bool from,
		    struct way *ret_way)
{
	const struct reach *reach = explanation->reach;
	const struct reach_cell *four = reach_cell(reach, row, column, false);
	const struct reach_cell *six = reach_cell(reach, row, column, true);

	*ret_way = (struct way){
		.peer = from ? &reach->columns[column] : &reach->rows[row],
		.target = &reach->columns[column],
		.state = reach_merge(four->state, six->state),
		.counter = four->counter ?: six->counter,
	};
	if (is_it(&reach->rows[row], explanation->i) != from ||
	    (!from && !is_it(&reach->columns[column], explanation->i)))
		return false;
	return ret_way->state != REACH_NONE;
}

static const char *line_mark(enum reach_state state)
{
	return state == REACH_NOT_HELD ? TERM_BAD : "";
}

static void print_way(FILE *out, const struct matrix_view *names, const struct way *way, bool from)
{
	const char *why = matrix_counter_why(names, way->counter);
	const char *what = "";
	char peer[MATRIX_NAME_MAX];

	matrix_place_text(names, way->peer, peer, sizeof(peer));
	if (!from && way->target->kind == REACH_RUNNER)
		what = ", its runner";
	fprintf(out, "%s  %-9s " TERM_HANG "%s%s%s%s\n", line_mark(way->state),
		matrix_state_text(way->state), peer, what, why ? ": " : "", why ?: "");
}

static void print_side(FILE *out, const struct explanation *explanation, bool from)
{
	const struct reach *reach = explanation->reach;
	const struct matrix_view names = { .status = explanation->view, .reach = reach };
	size_t more[REACH_UNKNOWN + 1] = { 0 }, shown = 0;
	struct way way;

	fprintf(out, "\n" TERM_HEADING "%s\n", from ? "What it reaches" : "Who reaches it");
	for (size_t row = 0; row < reach->rows_n; row++)
		for (size_t column = 0; column < reach->columns_n; column++) {
			if (!get_way(explanation, row, column, from, &way))
				continue;
			if (is_container(way.peer) && shown++ >= PEERS_SHOWN)
				more[way.state]++;
			else
				print_way(out, &names, &way, from);
		}
	for (size_t state = 0; state <= REACH_UNKNOWN; state++)
		if (more[state] > 0)
			fprintf(out, "  %-9s " TERM_HANG "%zu more containers and runners\n",
				matrix_state_text((enum reach_state)state), more[state]);
}

void explain_print_reach(FILE *out, const struct explanation *explanation)
{
	if (!explanation->reach)
		return;
	print_side(out, explanation, true);
	print_side(out, explanation, false);
}

static json_t *way_json(const struct explanation *explanation, const struct way *way, bool from)
{
	const struct matrix_view names = { .status = explanation->view,
					   .reach = explanation->reach };
	char text[MATRIX_NAME_MAX];

	matrix_place_text(&names, way->peer, text, sizeof(text));
	return json_pack("{s:s, s:s, s:s, s:o, s:b, s:s, s:o}", "direction", from ? "from" : "to",
			 "kind", reach_kind_name(way->peer->kind), "peer", text, "id",
			 is_container(way->peer)
				 ? json_string(explanation->view->expected->model
						       .containers[way->peer->container]
						       .id)
				 : json_null(),
			 "runner", way->target->kind == REACH_RUNNER, "state",
			 reach_state_name(way->state), "counter",
			 way->counter ? json_string(way->counter) : json_null());
}

json_t *explain_reach_json(const struct explanation *explanation)
{
	const struct reach *reach = explanation->reach;
	json_t *json = json_array();
	struct way way;

	for (size_t side = 0; reach && side < 2; side++)
		for (size_t row = 0; row < reach->rows_n; row++)
			for (size_t column = 0; column < reach->columns_n; column++) {
				if (!json || !get_way(explanation, row, column, side == 0, &way) ||
				    json_array_append_new(json, way_json(explanation, &way,
									 side == 0)) == 0)
					continue;
				json_decref(json);
				json = NULL;
			}
	return json;
}
