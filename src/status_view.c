/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `status` shows, put together from what was seen: one row per container in the order in
 * which a person should read them, and how many packets were stopped of each. Pure.
 *
 * The kernel counts by element, and the elements of a job are those whose comment has its task id
 * (policy_containers.c writes it). An element that still names another container
 * is never counted for this one.
 */
#include "status-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/plan.h"
#include "jobfence/text.h"

/* The sets whose elements count what was stopped of a job. */
static const enum set_id counting_sets[] = {
	SET_HOST_JOBS,
	SET_JOBS4,
	SET_JOBS6,
	SET_JOB_PORTS,
};

const char *ruleset_state_name(enum ruleset_state state)
{
	switch (state) {
	case RULESET_UNKNOWN:
		return "unknown";
	case RULESET_ABSENT:
		return "absent";
	case RULESET_DIFFERS:
		return "differs";
	case RULESET_PRESENT:
		return "present";
	}
	return "unknown";
}

const char *owner_name(enum owner owner)
{
	switch (owner) {
	case OWNER_UNTOLD:
		return NULL;
	case OWNER_DAEMON:
		return "daemon";
	case OWNER_ORPHAN:
	case OWNER_NOBODY:
		return "nobody";
	case OWNER_ANOTHER:
		return "other";
	}
	return NULL;
}

const char *engine_state_name(enum engine_state state)
{
	switch (state) {
	case ENGINE_LOST:
		return "lost";
	case ENGINE_SYNCING:
		return "syncing";
	case ENGINE_IN_SYNC:
		return "in_sync";
	}
	return "lost";
}

const char *cgroup_driver_name(enum cgroup_driver driver)
{
	switch (driver) {
	case CGROUP_DRIVER_AUTO:
		return "auto";
	case CGROUP_DRIVER_CGROUPFS:
		return "cgroupfs";
	case CGROUP_DRIVER_SYSTEMD:
		return "systemd";
	}
	return "auto";
}

const char *violation_policy_name(enum violation_policy policy)
{
	switch (policy) {
	case ON_VIOLATION_QUARANTINE:
		return "quarantine";
	case ON_VIOLATION_FENCE:
		return "fence";
	}
	return "quarantine";
}

/* What the comments of its elements hold: the task, since a name may change. No name has blanks. */
void status_comment_part(const struct status_row *row, char *text, size_t size)
{
	const struct container *c = row->container;
	char name[41], task[41];

	text_safe(c->name && c->name[0] ? c->name : c->id, name, sizeof(name));
	text_safe(c->task_id, task, sizeof(task));
	if (row->verdict->role == ROLE_JOB && task[0])
		snprintf(text, size, " task %s ", task);
	else if (row->verdict->role == ROLE_JOB)
		snprintf(text, size, "%s task  ", name);
	else
		snprintf(text, size, "%s bystander", name);
}

bool status_comment_is_of(const char *comment, const char *part)
{
	if (!comment)
		return false;
	/* the end of another's name is no name: only what begins with a blank may stand anywhere */
	if (part[0] == ' ')
		return strstr(comment, part);
	return strncmp(comment, part, strlen(part)) == 0;
}

static uint64_t count_stopped(const struct ruleset *elements, const struct status_row *row)
{
	char part[128];
	uint64_t packets = 0;

	status_comment_part(row, part, sizeof(part));
	for (size_t s = 0; s < ARRAY_SIZE(counting_sets); s++) {
		const struct elems *elems = &elements->sets[counting_sets[s]];

		for (size_t i = 0; i < elems->n; i++)
			if (status_comment_is_of(elems->elem[i].comment, part))
				packets += elem_extra(&elems->elem[i])->packets;
	}
	return packets;
}

/* 0: look at this first. */
static int row_rank(const struct status_row *row)
{
	if (row->released)
		return 0;
	if (row->verdict->violation || row->verdict->unconfinable)
		return 1;
	if (row->verdict->stale_mirror)
		return 2;
	return row->verdict->role == ROLE_JOB ? 3 : 4;
}

static int row_order(const void *a, const void *b)
{
	const struct status_row *one = a, *two = b;
	int r = row_rank(one) - row_rank(two);

	if (r == 0)
		r = strcmp(one->container->name ?: "", two->container->name ?: "");
	return r ?: strcmp(one->container->id, two->container->id);
}

static int judge_ruleset(struct status_view *view)
{
	_cleanup_(ops_done) struct ops ops = { 0 }, tables = { 0 };
	int r;

	view->ruleset = RULESET_UNKNOWN;
	view->differences = 0;
	view->broken = false;
	if (!view->live)
		return 0;
	view->ruleset = RULESET_ABSENT;
	if (!view->live->table[FAMILY_INET] && !view->live->table[FAMILY_BRIDGE])
		return 0;
	r = plan_make(view->expected->skeleton, view->expected->ruleset, view->live, &ops);
	if (r >= 0 && view->daemon_pid == 0)
		differences_forgive_claims(&ops);
	if (r >= 0)
		r = plan_tables(view->expected->skeleton, view->live,
				view->config->own_tables && view->daemon_pid != 0, &tables);
	if (r < 0)
		return r;

	_cleanup_(sentences_done) struct sentences sentences = { 0 };

	r = differences_text(&ops, NULL, NULL, &sentences);
	if (r < 0)
		return r;
	view->differences = ops.n > 0 && sentences.n == 0 ? 1 : sentences.n;
	view->differences += tables.n;
	view->ruleset = ops.n + tables.n > 0 ? RULESET_DIFFERS : RULESET_PRESENT;
	r = plan_fence_stands(view->expected->skeleton, view->expected->ruleset, view->live);
	view->broken = r == 0;
	return r < 0 ? r : 0;
}

/* What holds one container beyond what holds every job. */
static const enum set_id holding_sets[] = {
	SET_QUARANTINED_CGROUPS,
	SET_FOREIGN_CGROUPS,
	SET_QUARANTINED4,
	SET_QUARANTINED6,
};

/* Sets that name a container, and those in which the same key frees it. */
static const enum set_id freeing_sets[][2] = {
	{ SET_HOST_JOBS, SET_BYSTANDER_CGROUPS },
	{ SET_HOST_JOBS, SET_FENCED_CGROUPS },
	{ SET_JOB_PORTS, SET_BYSTANDER_PORTS },
};

static bool lacks_elem(const struct status_view *view, enum set_id set, const char *part)
{
	const struct elems *elems = &view->expected->ruleset->sets[set];

	for (size_t i = 0; i < elems->n; i++)
		if (status_comment_is_of(elems->elem[i].comment, part) &&
		    !ruleset_find(view->live->elements, set, elems->elem[i].key))
			return true;
	return false;
}

static bool is_freed(const struct status_view *view, const enum set_id sets[2], const char *part)
{
	const struct ruleset *wanted = view->expected->ruleset;
	const struct elems *elems = &wanted->sets[sets[0]];

	for (size_t i = 0; i < elems->n; i++)
		if (status_comment_is_of(elems->elem[i].comment, part) &&
		    ruleset_find(view->live->elements, sets[1], elems->elem[i].key) &&
		    !ruleset_find(wanted, sets[1], elems->elem[i].key))
			return true;
	return false;
}

static bool is_loose(const struct status_view *view, const struct status_row *row)
{
	char part[128];
	bool loose = false;

	status_comment_part(row, part, sizeof(part));
	for (size_t i = 0; i < ARRAY_SIZE(holding_sets); i++)
		loose |= lacks_elem(view, holding_sets[i], part);
	for (size_t i = 0; i < ARRAY_SIZE(freeing_sets); i++)
		loose |= is_freed(view, freeing_sets[i], part);
	return loose;
}

int status_view_fill(struct status_view *view)
{
	const struct model *model = &view->expected->model;
	int r = judge_ruleset(view);

	if (r < 0)
		return r;
	view->rows = calloc(model->containers_n + 1, sizeof(*view->rows));
	if (!view->rows)
		return -ENOMEM;
	view->rows_n = model->containers_n;
	for (size_t i = 0; i < view->rows_n; i++) {
		struct status_row *row = &view->rows[i];

		row->container = &model->containers[i];
		row->verdict = &view->expected->verdicts[i];
		row->running_s = -1;
		row->released = row->verdict->released;
		if (!view->live)
			continue;
		row->stopped = count_stopped(view->live->elements, row);
		row->loose = is_loose(view, row);
		if (!row->released && container_is_live(row->container))
			row->released = status_released_until(view->live->elements, row);
	}
	qsort(view->rows, view->rows_n, sizeof(*view->rows), row_order);
	return 0;
}

void status_view_done(struct status_view *view)
{
	free(view->rows);
	*view = (struct status_view){ 0 };
}

size_t status_net_raw_jobs(const struct status_view *view)
{
	size_t n = 0;

	for (size_t i = 0; i < view->rows_n; i++)
		n += container_is_live(view->rows[i].container) &&
		     view->rows[i].verdict->role == ROLE_JOB &&
		     view->rows[i].verdict->placement == PLACEMENT_HOST &&
		     !view->rows[i].container->no_net_raw;
	return n;
}

const char *status_confinement_text(const struct status_view *view, const struct status_row *row,
				    char buffer[static 48])
{
	const char *name = confinement_name(row->verdict->confinement);

	enum held held = status_row_held(view, row);

	snprintf(buffer, 48,
		 row->released          ? "RELEASED (%s)"
		 : held == HELD_NO      ? "NOT HELD (%s)"
		 : held == HELD_UNKNOWN ? "? (%s)"
					: "%s",
		 name);
	return buffer;
}

static enum held held_by_ruleset(const struct status_view *view, const struct status_row *row)
{
	switch (view->ruleset) {
	case RULESET_UNKNOWN:
		return HELD_UNKNOWN;
	case RULESET_ABSENT:
		return HELD_NO;
	case RULESET_DIFFERS:
		return view->broken || row->loose ? HELD_NO : HELD_YES;
	case RULESET_PRESENT:
		return HELD_YES;
	}
	return HELD_UNKNOWN;
}

enum held status_row_held(const struct status_view *view, const struct status_row *row)
{
	enum held held;

	if (row->verdict->confinement == CONFINEMENT_NONE)
		return HELD_YES;
	if (row->released || row->verdict->unconfinable || view->config->audit)
		return HELD_NO;
	if (row->verdict->placement == PLACEMENT_HOST && view->cgroup_trouble)
		return HELD_NO;
	held = held_by_ruleset(view, row);
	/* what nothing could hold may not have been told yet */
	return held == HELD_YES && !row->container->inspected ? HELD_UNKNOWN : held;
}
