/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `matrix` shows: containers one by one, or where there are many, those of a kind as one line.
 * A field of several is what all of them have in common, and "partly" where they differ. Pure.
 */
#include "matrix-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/text.h"

static const struct container *container_of(const struct matrix_view *view, size_t row)
{
	return &view->status->expected->model.containers[view->reach->rows[row].container];
}

static const struct verdict *verdict_of(const struct matrix_view *view, size_t row)
{
	return &view->status->expected->verdicts[view->reach->rows[row].container];
}

static const char *bridge_of(const struct matrix_view *view, size_t row)
{
	const struct model *model = &view->status->expected->model;
	const struct container *c = container_of(view, row);

	for (size_t i = 0; i < c->endpoints_n; i++)
		for (size_t j = 0; j < model->networks_n; j++)
			if (strcmp(model->networks[j].id, c->endpoints[i].network_id) == 0)
				return model->networks[j].bridge;
	return "";
}

static bool alike(const struct matrix_view *view, size_t a, size_t b)
{
	const struct verdict *one = verdict_of(view, a), *two = verdict_of(view, b);

	return one->role == two->role && one->placement == two->placement &&
	       one->confinement == two->confinement && one->unconfinable == two->unconfinable &&
	       !one->released == !two->released &&
	       strcmp(bridge_of(view, a), bridge_of(view, b)) == 0;
}

static const char *role_text(const struct matrix_view *view, size_t row)
{
	return role_name(verdict_of(view, row)->role);
}

static void where_text(const struct matrix_view *view, size_t row, char *buffer, size_t size)
{
	const struct verdict *verdict = verdict_of(view, row);
	const char *bridge = bridge_of(view, row);

	switch (verdict->placement) {
	case PLACEMENT_HOST:
		snprintf(buffer, size, "host network");
		break;
	case PLACEMENT_BRIDGE:
		snprintf(buffer, size, "%s", bridge[0] ? bridge : "joined or no bridge");
		break;
	case PLACEMENT_NONE:
		snprintf(buffer, size, "no network");
		break;
	case PLACEMENT_UNKNOWN:
		snprintf(buffer, size, "network unknown");
		break;
	}
}

static void name_group(const struct matrix_view *view, struct matrix_group *group)
{
	const struct container *c = container_of(view, group->rows[0]);
	const struct verdict *verdict = verdict_of(view, group->rows[0]);
	char where[48], name[41];

	where_text(view, group->rows[0], where, sizeof(where));
	text_safe(c->name && c->name[0] ? c->name : c->id, name, sizeof(name));
	if (group->rows_n == 1)
		snprintf(group->name, sizeof(group->name), "%s %s", role_text(view, group->rows[0]),
			 name);
	else
		snprintf(group->name, sizeof(group->name), "%zu %ss, %s, %s%s", group->rows_n,
			 role_text(view, group->rows[0]), where,
			 confinement_name(verdict->confinement),
			 verdict->released       ? ", released"
			 : verdict->unconfinable ? ", not held"
						 : "");
}

static int add_to_group(struct matrix_view *view, size_t row, bool single)
{
	struct matrix_group *group = NULL;

	for (size_t i = 0; !single && i < view->groups_n && !group; i++)
		if (alike(view, view->groups[i].rows[0], row))
			group = &view->groups[i];
	if (!group) {
		group = &view->groups[view->groups_n];
		group->rows = calloc(single ? 1 : view->reach->rows_n, sizeof(*group->rows));
		if (!group->rows)
			return -ENOMEM;
		view->groups_n++;
	}
	group->rows[group->rows_n++] = row;
	return 0;
}

static void add_lines(struct matrix_view *view)
{
	static const enum reach_kind targets[] = { REACH_SHIM, REACH_DCGM,     REACH_HOST,
						   REACH_LAN,  REACH_INTERNET, REACH_METADATA };

	for (size_t i = 0; i < view->groups_n; i++) {
		const struct matrix_line line = { REACH_CONTAINER, i };

		name_group(view, &view->groups[i]);
		view->rows[view->rows_n++] = line;
		view->columns[view->columns_n++] = line;
	}
	view->rows[view->rows_n++].kind = REACH_HOST;
	view->rows[view->rows_n++].kind = REACH_LAN;
	for (size_t i = 0; i < view->groups_n; i++)
		if (verdict_of(view, view->groups[i].rows[0])->role == ROLE_JOB)
			view->columns[view->columns_n++] = (struct matrix_line){ REACH_RUNNER, i };
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		view->columns[view->columns_n++].kind = targets[i];
}

int matrix_view_fill(struct matrix_view *view, size_t single_max)
{
	size_t n = view->reach->rows_n;
	size_t live = n - 2; /* the host and what is beyond are rows too */
	int r = 0;

	view->groups = calloc(n, sizeof(*view->groups));
	view->rows = calloc(n, sizeof(*view->rows));
	view->columns = calloc(2 * n + 6, sizeof(*view->columns));
	if (!view->groups || !view->rows || !view->columns)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < live; i++)
		r = add_to_group(view, i, live <= single_max);
	if (r >= 0)
		add_lines(view);
	return r;
}

void matrix_view_done(struct matrix_view *view)
{
	for (size_t i = 0; i < view->groups_n; i++)
		free(view->groups[i].rows);
	free(view->groups);
	free(view->rows);
	free(view->columns);
	*view = (struct matrix_view){ 0 };
}

bool matrix_is_of(const struct matrix_view *view, const struct reach_place *place,
		  const struct matrix_line *line)
{
	const struct matrix_group *group = &view->groups[line->group];

	if (place->kind != line->kind)
		return false;
	if (place->kind != REACH_CONTAINER && place->kind != REACH_RUNNER)
		return true;
	for (size_t i = 0; i < group->rows_n; i++)
		if (view->reach->rows[group->rows[i]].container == place->container)
			return true;
	return false;
}

void matrix_cell(const struct matrix_view *view, size_t row, size_t column,
		 struct matrix_cell *ret_cell)
{
	const struct reach *reach = view->reach;

	*ret_cell = (struct matrix_cell){ 0 };
	for (size_t i = 0; i < reach->rows_n; i++) {
		if (!matrix_is_of(view, &reach->rows[i], &view->rows[row]))
			continue;
		for (size_t j = 0; j < reach->columns_n; j++) {
			if (!matrix_is_of(view, &reach->columns[j], &view->columns[column]))
				continue;
			for (int six = 0; six < 2; six++) {
				const struct reach_cell *cell = reach_cell(reach, i, j, six);

				ret_cell->state[six] =
					reach_merge(ret_cell->state[six], cell->state);
				if (!ret_cell->counter[six])
					ret_cell->counter[six] = cell->counter;
			}
		}
	}
}

bool matrix_cell_is_one(const struct matrix_cell *cell)
{
	if (cell->state[0] == REACH_NONE || cell->state[1] == REACH_NONE)
		return true;
	return cell->state[0] == cell->state[1] && cell->counter[0] == cell->counter[1];
}

static const char *kind_text(enum reach_kind kind, bool source)
{
	switch (kind) {
	case REACH_CONTAINER:
		return "container";
	case REACH_RUNNER:
		return "runner";
	case REACH_SHIM:
		return "shim";
	case REACH_DCGM:
		return "DCGM";
	case REACH_HOST:
		return source ? "the host" : "host";
	case REACH_LAN:
		return source ? "LAN and beyond" : "LAN";
	case REACH_INTERNET:
		return "internet";
	case REACH_METADATA:
		return "metadata";
	}
	return "";
}

const char *matrix_place_text(const struct matrix_view *view, const struct reach_place *place,
			      char *buffer, size_t size)
{
	const struct expected *expected = view->status->expected;
	const struct container *c;
	char name[41];

	if (place->kind != REACH_CONTAINER && place->kind != REACH_RUNNER) {
		snprintf(buffer, size, "%s", kind_text(place->kind, false));
		return buffer;
	}
	c = &expected->model.containers[place->container];
	text_safe(c->name && c->name[0] ? c->name : c->id, name, sizeof(name));
	snprintf(buffer, size, "%s%s %s", place->kind == REACH_RUNNER ? "runner of " : "",
		 role_name(expected->verdicts[place->container].role), name);
	return buffer;
}

const char *matrix_line_text(const struct matrix_view *view, const struct matrix_line *line,
			     bool source, char *buffer, size_t size)
{
	bool container = line->kind == REACH_CONTAINER || line->kind == REACH_RUNNER;

	snprintf(buffer, size, "%s%s", line->kind == REACH_RUNNER ? "runner of " : "",
		 container ? view->groups[line->group].name : kind_text(line->kind, source));
	return buffer;
}

const char *matrix_state_text(enum reach_state state)
{
	switch (state) {
	case REACH_NONE:
		return "-";
	case REACH_ALLOWED:
		return "yes";
	case REACH_DENIED:
		return "no";
	case REACH_PARTLY:
		return "partly";
	case REACH_AUDITED:
		return "audit";
	case REACH_NOT_HELD:
		return "NOT HELD";
	case REACH_UNKNOWN:
		return "?";
	}
	return "?";
}

const char *matrix_counter_why(const struct matrix_view *view, const char *counter)
{
	const struct skeleton *skeleton = view->status->expected->skeleton;

	for (size_t i = 0; counter && i < skeleton->counters_n; i++)
		if (strcmp(skeleton->counters[i].name, counter) == 0)
			return skeleton->counters[i].why;
	return NULL;
}
