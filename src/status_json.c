/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `status --json`: the same view for programs. Names and kinds of values are stable: a key is
 * always there, what is not known is null, what does not apply is null as well. Pure formatting.
 */
#include "status-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/text.h"

/* json_pack() takes the values over, also where it fails, and fails where one is NULL. */

static json_t *safe_string(const char *text)
{
	char safe[512];

	return text ? json_string(text_safe(text, safe, sizeof(safe))) : json_null();
}

static json_t *mode_json(enum network_mode mode, const char *origin)
{
	json_t *json =
		json_pack("{s:i, s:s}", "number", (int)mode, "name", network_mode_name(mode));

	if (origin && json && json_object_set_new(json, "origin", safe_string(origin)) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

static json_t *engine_json(const struct status_view *view)
{
	const struct engine_view *engine = view->engine;
	bool known = engine->info.version[0];

	return json_pack("{s:o, s:s, s:o, s:o}", "socket", safe_string(view->config->docker),
			 "state", engine_state_name(engine->state), "version",
			 safe_string(known ? engine->info.version : NULL), "trouble",
			 safe_string(engine->trouble));
}

static json_t *cgroups_json(const struct status_view *view)
{
	const struct model *model = &view->expected->model;
	bool there = model->has_cgroups;

	return json_pack("{s:b, s:o, s:o, s:o, s:b, s:o}", "usable", there, "root",
			 safe_string(there ? model->cgroups.root : NULL), "driver",
			 safe_string(there ? cgroup_driver_name(model->cgroups.driver) : NULL),
			 "parent", safe_string(there ? model->cgroups.parent : NULL), "shared",
			 there && model->cgroups.shared, "trouble",
			 safe_string(view->cgroup_trouble));
}

static json_t *bridges_json(const struct status_view *view)
{
	const struct elems *elems = &view->expected->ruleset->sets[SET_GUARDED_BRIDGES];
	json_t *json = json_array();
	char name[IFNAMSIZ + 1];

	for (size_t i = 0; json && i < elems->n; i++) {
		snprintf(name, sizeof(name), "%.*s", IFNAMSIZ, (const char *)elems->elem[i].key);
		if (json_array_append_new(json, safe_string(name)) == 0)
			continue;
		json_decref(json);
		json = NULL;
	}
	return json;
}

static json_t *ruleset_json(const struct status_view *view)
{
	bool read = view->live;

	return json_pack("{s:s, s:o, s:o, s:o}", "state", ruleset_state_name(view->ruleset),
			 "differences",
			 read ? json_integer((json_int_t)view->differences) : json_null(),
			 "trouble", safe_string(view->ruleset_trouble), "owner",
			 safe_string(owner_name(view->owner)));
}

static json_t *daemon_json(const struct status_view *view)
{
	return json_pack("{s:b, s:o}", "running", view->daemon_pid != 0, "pid",
			 view->daemon_pid > 0 ? json_integer(view->daemon_pid) : json_null());
}

static json_t *counter_json(const struct live *live, size_t i)
{
	if (!live || i >= live->counters_n || !live->counters[i].present)
		return json_null();
	return json_pack("{s:I, s:I}", "packets", (json_int_t)live->counters[i].packets, "bytes",
			 (json_int_t)live->counters[i].bytes);
}

static json_t *counters_json(const struct status_view *view)
{
	const struct skeleton *skeleton = view->expected->skeleton;
	json_t *json = json_object();

	for (size_t i = 0; json && i < skeleton->counters_n; i++) {
		if (json_object_set_new(json, skeleton->counters[i].name,
					counter_json(view->live, i)) == 0)
			continue;
		json_decref(json);
		json = NULL;
	}
	return json;
}

static json_t *hazards_json(uint32_t hazards)
{
	json_t *json = json_array();
	char word[64];

	for (uint32_t bit = 1; json && bit; bit <<= 1) {
		if (!(hazards & bit) ||
		    json_array_append_new(json,
					  json_string(hazards_text(bit, word, sizeof(word)))) == 0)
			continue;
		json_decref(json);
		json = NULL;
	}
	return json;
}

/* How long it is released yet. */
static json_t *released_json(const struct status_view *view, const struct status_row *row)
{
	if (!row->released)
		return json_null();
	return json_integer((
		json_int_t)(row->released > view->now ? (row->released - view->now) / 1000000 : 0));
}

static json_t *held_json(enum held held)
{
	return held == HELD_UNKNOWN ? json_null() : json_boolean(held == HELD_YES);
}

json_t *status_row_json(const struct status_view *view, const struct status_row *row)
{
	const struct container *c = row->container;
	const struct verdict *verdict = row->verdict;
	bool job = verdict->role == ROLE_JOB;
	json_t *judged = json_pack(
		"{s:s, s:b, s:o, s:o, s:s, s:o, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o}",
		"placement", placement_name(verdict->placement), "joined", verdict->joined, "size",
		job ? json_string(instance_size_name(verdict->size)) : json_null(), "class",
		job ? mode_json(verdict->class, NULL) : json_null(), "confinement",
		confinement_name(verdict->confinement), "held",
		held_json(status_row_held(view, row)), "violation", verdict->violation,
		"stale_mirror", verdict->stale_mirror, "unconfinable", verdict->unconfinable,
		"hazards",
		c->inspected || verdict->hazards ? hazards_json(verdict->hazards) : json_null(),
		"hazard_text", safe_string(c->hazard_text), "why", safe_string(verdict->why),
		"stopped_packets",
		view->live ? json_integer((json_int_t)row->stopped) : json_null(),
		"released_seconds", released_json(view, row), "running_seconds",
		row->running_s >= 0 ? json_integer((json_int_t)row->running_s) : json_null());
	json_t *json =
		json_pack("{s:o, s:o, s:s, s:o, s:s}", "id", safe_string(c->id), "name",
			  safe_string(c->name ?: ""), "role", role_name(verdict->role), "task_id",
			  safe_string(c->task_id), "state", container_state_name(c->state));

	if (!judged || !json || json_object_update(json, judged) < 0) {
		json_decref(json);
		json = NULL;
	}
	json_decref(judged);
	return json;
}

static json_t *rows_json(const struct status_view *view)
{
	json_t *json = json_array();

	for (size_t i = 0; json && i < view->rows_n; i++) {
		if (json_array_append_new(json, status_row_json(view, &view->rows[i])) == 0)
			continue;
		json_decref(json);
		json = NULL;
	}
	return json;
}

static json_t *enforce_json(uint32_t audit)
{
	json_t *groups = json_object();

	for (size_t group = 0; groups && group < GROUP_MAX; group++) {
		if (json_object_set_new(groups, rule_group_name((enum rule_group)group),
					json_string(audit & GROUP_BIT(group) ? "audit"
									     : "enforce")) == 0)
			continue;
		json_decref(groups);
		groups = NULL;
	}
	return json_pack("{s:b, s:b, s:o}", "everything", audit == 0, "nothing",
			 audit == GROUPS_ALL, "groups", groups);
}

json_t *status_json(const struct status_view *view)
{
	return json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:i, "
			 "s:o}",
			 "version", JOBFENCE_VERSION, "enforced", enforce_json(view->config->audit),
			 "mode", mode_json(view->config->mode, view->origin->mode), "on_violation",
			 violation_policy_name(view->config->on_violation), "engine",
			 engine_json(view), "cgroups", cgroups_json(view), "guarded_bridges",
			 bridges_json(view), "egress", status_egress_json(view), "ruleset",
			 ruleset_json(view), "daemon", daemon_json(view), "counters",
			 counters_json(view), "containers", rows_json(view), "egress_hook",
			 view->expected->model.egress, "host_jobs_with_net_raw",
			 (int)status_net_raw_jobs(view), "posture", status_posture_json(view));
}
