/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which connections of a table are tried where not all are: pure. Every container stays in it. */
#include "probe-internal.h"

bool probe_is_on_bridge(const struct matrix_view *view, const struct reach_place *place)
{
	return (place->kind == REACH_CONTAINER || place->kind == REACH_RUNNER) &&
	       view->status->expected->verdicts[place->container].placement != PLACEMENT_HOST;
}

static bool is_bridge_job(const struct matrix_view *view, const struct reach_place *place)
{
	const struct verdict *verdict = &view->status->expected->verdicts[place->container];

	return (place->kind == REACH_CONTAINER || place->kind == REACH_RUNNER) &&
	       verdict->role == ROLE_JOB && verdict->placement == PLACEMENT_BRIDGE;
}

static bool is_host_job(const struct matrix_view *view, const struct reach_place *place)
{
	const struct verdict *verdict = &view->status->expected->verdicts[place->container];

	return place->kind == REACH_CONTAINER && verdict->role == ROLE_JOB &&
	       verdict->placement == PLACEMENT_HOST;
}

static size_t first_bridge_job(const struct matrix_view *view)
{
	for (size_t i = 0; i < view->reach->rows_n; i++)
		if (is_bridge_job(view, &view->reach->rows[i]))
			return i;
	return SIZE_MAX;
}

/* --quick: host jobs and the host → shim, one bridge job → the host, and → one other bridge job. */
bool probe_is_quick(const struct matrix_view *view, const struct reach_flow *flow)
{
	const struct reach *reach = view->reach;
	const struct reach_place *from = &reach->rows[flow->row],
				 *to = &reach->columns[flow->column];
	size_t first = first_bridge_job(view);

	if (to->kind == REACH_SHIM)
		return from->kind == REACH_HOST || is_host_job(view, from) || flow->row == first;
	if (flow->row != first || to->kind != REACH_RUNNER || !is_bridge_job(view, to))
		return false;
	for (size_t j = 0; j < flow->column; j++)
		if (reach->columns[j].kind == REACH_RUNNER &&
		    is_bridge_job(view, &reach->columns[j]) &&
		    reach->columns[j].container != from->container)
			return false;
	return true;
}

/* Where many are on bridges, each tries some of the others in a ring: every one is tried from, and to. */
bool probe_is_spared(const struct matrix_view *view, const struct reach_flow *flow, size_t max,
		     size_t ring)
{
	const struct reach *reach = view->reach;
	const struct reach_place *to = &reach->columns[flow->column];
	size_t n = reach->rows_n - 2, at = 0; /* the host and what is beyond are rows too */

	if (n <= max || reach->rows[flow->row].kind != REACH_CONTAINER ||
	    !probe_is_on_bridge(view, &reach->rows[flow->row]) || !probe_is_on_bridge(view, to))
		return false;
	while (at < n && reach->rows[at].container != to->container)
		at++;
	return (at + n - flow->row) % n > ring;
}
