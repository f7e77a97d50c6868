/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `status` for a person: what the fence stands on, then what needs attention, then a row per live
 * container. Pure formatting: it asks nobody and decides nothing.
 *
 * A job that the fence cannot hold is never shown as confined, and a number that could not be read
 * is a question mark, never a zero.
 */
#include "status-internal.h"

#include <inttypes.h>
#include <string.h>

#include "jobfence/text.h"

#define COLUMNS_N 9
#define CELL_MAX 64 /* bytes, with the NUL; the last column is as long as it is */

struct cells {
	char cell[COLUMNS_N - 1][CELL_MAX];
	const char *why;
	char marker;
};

static const char *const titles[COLUMNS_N] = {
	"NAME", "ROLE", "TASK", "PLACEMENT", "SIZE", "CLASS", "CONFINEMENT", "STOPPED", "WHY",
};

static size_t count_untold(const struct model *model)
{
	size_t n = 0;

	for (size_t i = 0; i < model->containers_n; i++)
		n += container_is_live(&model->containers[i]) && !model->containers[i].inspected;
	return n;
}

static void print_engine(FILE *out, const struct status_view *view)
{
	const struct engine_view *engine = view->engine;
	size_t untold = count_untold(&view->expected->model);
	char text[512];

	fprintf(out, "engine        unix://%s, ", view->config->docker);
	if (engine->info.version[0])
		fprintf(out, "version %s, ", text_safe(engine->info.version, text, sizeof(text)));
	switch (engine->state) {
	case ENGINE_LOST:
		fprintf(out, "not reachable: %s\n",
			text_safe(engine->trouble ?: "it has not answered yet", text,
				  sizeof(text)));
		break;
	case ENGINE_SYNCING:
		fprintf(out, "still answering; what is below is not all\n");
		break;
	case ENGINE_IN_SYNC:
		if (untold == 0)
			fprintf(out, "in sync\n");
		else
			fprintf(out,
				"in sync, but it has not told the details of %zu "
				"container%s: "
				"what they may do is not known\n",
				untold, untold == 1 ? "" : "s");
		break;
	}
}

static void print_cgroups(FILE *out, const struct status_view *view)
{
	const struct cgroup_view *cgroups = &view->expected->model.cgroups;
	char text[CGROUP_PATH_MAX];

	if (!view->expected->model.has_cgroups)
		fprintf(out, "cgroups       none usable: %s\n",
			view->cgroup_trouble ?: "host jobs are not fenced");
	else
		fprintf(out, "cgroups       %s driver, %s/%s%s%s\n",
			cgroup_driver_name(cgroups->driver), cgroups->root,
			text_safe(cgroups->parent, text, sizeof(text)),
			cgroups->shared ? ", shared with services" : "",
			cgroups->parent_id ? "" : " (not there yet)");
}

static void print_bridges(FILE *out, const struct status_view *view)
{
	const struct elems *elems = &view->expected->ruleset->sets[SET_GUARDED_BRIDGES];
	char name[IFNAMSIZ + 1];

	fprintf(out, "bridges       ");
	for (size_t i = 0; i < elems->n; i++) {
		snprintf(name, sizeof(name), "%.*s", IFNAMSIZ, (const char *)elems->elem[i].key);
		fprintf(out, "%s%s", i ? " " : "", name);
	}
	fprintf(out, "%s\n", elems->n ? "" : "none named");
}

static void print_ruleset(FILE *out, const struct status_view *view)
{
	fprintf(out, "ruleset       ");
	switch (view->ruleset) {
	case RULESET_UNKNOWN:
		fprintf(out, "? (%s)\n", view->ruleset_trouble ?: "not read");
		break;
	case RULESET_ABSENT:
		fprintf(out, "absent: nothing is fenced; start it with jobfence run\n");
		break;
	case RULESET_DIFFERS:
		fprintf(out, "differs: %zu difference%s, %ssee jobfence verify\n",
			view->differences, view->differences == 1 ? "" : "s",
			view->broken ? "NO JOB IS HELD: " : "");
		break;
	case RULESET_PRESENT:
		fprintf(out, "present, %s\n",
			view->expected->model.in_sync ? "as it should be"
						      : "its elements not compared: the engine has "
							"not told what runs");
		break;
	}
}

static void print_owner(FILE *out, const struct status_view *view)
{
	char text[OWNER_TEXT_MAX];

	switch (view->owner) {
	case OWNER_UNTOLD:
		break;
	case OWNER_DAEMON:
		fprintf(out, "tables        the daemon's: no other process can change them\n");
		break;
	case OWNER_ORPHAN:
		fprintf(out, "tables        nobody's%s: other processes can change them\n",
			!view->config->own_tables ? ", as [nftables] owner = no says"
			: view->daemon_pid        ? "; the daemon's next look takes them back"
						  : " until a daemon runs");
		break;
	case OWNER_NOBODY:
		fprintf(out,
			"tables        nobody's%s: other processes can change them, a running "
			"daemon puts that back%s\n",
			!view->config->own_tables ? ", as [nftables] owner = no says"
			: view->owner_possible    ? ", made by another version or by nft"
						  : ", since this kernel has no flag persist (6.9)",
			view->config->own_tables && view->owner_possible ? "; the next boot makes "
									   "them the daemon's"
									 : "");
		break;
	case OWNER_ANOTHER:
		fprintf(out,
			"tables        NOT JOBFENCE'S: owned by %s, which alone can change "
			"them; stop it\n",
			text_safe(view->owner_text, text, sizeof(text)));
		break;
	}
}

static void print_daemon(FILE *out, const struct status_view *view)
{
	fprintf(out, "daemon        ");
	if (view->daemon_pid > 0)
		fprintf(out, "running, pid %d\n", (int)view->daemon_pid);
	else if (view->daemon_pid < 0)
		fprintf(out, "running\n");
	else if (view->ruleset == RULESET_ABSENT)
		fprintf(out, "stopped\n");
	else if (view->ruleset == RULESET_DIFFERS)
		fprintf(out, "stopped: nobody mends the ruleset, nothing new is opened\n");
	else if (view->ruleset == RULESET_UNKNOWN)
		fprintf(out, "stopped: a fence that was there still stands, nothing new is "
			     "opened\n");
	else
		fprintf(out, "stopped: the fence stands, nothing new is opened\n");
}

/* The first line, so that nobody takes what follows for a fence. */
static void print_audit(FILE *out, uint32_t audit)
{
	char groups[128];

	if (audit == GROUPS_ALL)
		fprintf(out, "AUDIT         NOTHING IS ENFORCED: all rules count and log, and let "
			     "everything through\n");
	else if (audit)
		fprintf(out, "AUDIT         NOT ENFORCED, only counted and logged: %s\n",
			rule_groups_text(audit, groups, sizeof(groups)));
}

void status_print_head(FILE *out, const struct status_view *view)
{
	const struct config *config = view->config;
	char text[sizeof(view->origin->mode)];

	print_audit(out, config->audit);

	fprintf(out, "mode          %d %s (%s)\n", (int)config->mode,
		network_mode_name(config->mode), text_safe(view->origin->mode, text, sizeof(text)));
	fprintf(out, "on violation  %s\n", violation_policy_name(config->on_violation));
	print_engine(out, view);
	print_cgroups(out, view);
	print_bridges(out, view);
	status_print_egress(out, view);
	print_ruleset(out, view);
	print_owner(out, view);
	print_daemon(out, view);
}

/* What a job on the host's network can do to one on a bridge that no rule sees. */
static void print_net_raw(FILE *out, const struct status_view *view)
{
	size_t n = status_net_raw_jobs(view);

	if (n == 0)
		return;
	if (view->expected->model.egress)
		fprintf(out,
			"~ %zu job%s on the host's network with CAP_NET_RAW: can sniff there, lo "
			"included, and send to bridge jobs by XDP sockets; other frames are "
			"stopped\n",
			n, n == 1 ? "" : "s");
	else
		fprintf(out,
			"! %zu job%s on the host's network with CAP_NET_RAW: bridge jobs are NOT "
			"ISOLATED from its packet sockets (this kernel lacks netdev egress or "
			"CONFIG_IP_ROUTE_CLASSID)\n",
			n, n == 1 ? "" : "s");
}

/* Only live containers are told of here: a stopped one sends nothing. */
static void print_released(FILE *out, const struct status_view *view)
{
	for (size_t i = 0; i < view->rows_n; i++) {
		const struct container *c = view->rows[i].container;
		uint64_t ends = view->rows[i].released;
		char name[CELL_MAX], rest[32];

		if (!ends || !container_is_live(c))
			continue;
		text_safe(c->name && c->name[0] ? c->name : c->id, name, sizeof(name));
		fprintf(out, "! job %s is %s: %s left\n", name,
			view->rows[i].verdict->released ? "RELEASED from the fence"
							: "still RELEASED in the kernel, though no "
							  "release says so",
			release_rest_text(ends > view->now ? ends - view->now : 0, rest));
	}
}

void status_print_attention(FILE *out, const struct status_view *view)
{
	size_t violations = 0, overridden = 0, unheld = 0, stale = 0, held = 0, released = 0;

	for (size_t i = 0; i < view->rows_n; i++) {
		if (!container_is_live(view->rows[i].container))
			continue;
		overridden += view->rows[i].verdict->violation && view->rows[i].verdict->overridden;
		violations +=
			view->rows[i].verdict->violation && !view->rows[i].verdict->overridden;
		unheld += view->rows[i].verdict->unconfinable;
		stale += view->rows[i].verdict->stale_mirror;
		released += view->rows[i].released > 0;
	}
	for (size_t i = 0; view->posture && i < view->posture->n; i++)
		held += view->posture->findings[i].kind == POSTURE_HELD;
	if (released + violations + overridden + unheld + stale + held + status_net_raw_jobs(view) >
		    0 ||
	    view->cgroup_trouble)
		fprintf(out, "\n");
	print_released(out, view);
	if (view->cgroup_trouble)
		fprintf(out, "! jobs on the host's network are NOT FENCED: %s\n",
			view->cgroup_trouble);
	if (violations > 0)
		fprintf(out, "! %zu job%s where the server's mode cannot have placed %s\n",
			violations, violations == 1 ? "" : "s", violations == 1 ? "it" : "them");
	if (overridden > 0)
		fprintf(out, "! %zu job%s where an override forbids %s to be\n", overridden,
			overridden == 1 ? "" : "s", overridden == 1 ? "it" : "them");
	if (unheld > 0)
		fprintf(out, "! %zu job%s that the fence cannot hold\n", unheld,
			unheld == 1 ? "" : "s");
	if (stale > 0)
		fprintf(out,
			"~ %zu job%s not where the mirrored mode would have placed %s: compare "
			"mode with the server's\n",
			stale, stale == 1 ? "" : "s", stale == 1 ? "it" : "them");
	status_print_held_ports(out, view);
	print_net_raw(out, view);
}

static char marker(const struct status_row *row)
{
	if (row->verdict->violation || row->verdict->unconfinable || row->released)
		return '!';
	return row->verdict->stale_mirror ? '~' : ' ';
}

static void fill_cells(const struct status_view *view, const struct status_row *row,
		       struct cells *cells)
{
	const struct container *c = row->container;
	const struct verdict *verdict = row->verdict;
	bool job = verdict->role == ROLE_JOB;
	char confinement[48];

	*cells = (struct cells){ .why = verdict->why, .marker = marker(row) };
	text_safe(c->name && c->name[0] ? c->name : c->id, cells->cell[0], CELL_MAX);
	snprintf(cells->cell[1], CELL_MAX, "%s", role_name(verdict->role));
	text_safe(job && c->task_id && c->task_id[0] ? c->task_id : "-", cells->cell[2], CELL_MAX);
	snprintf(cells->cell[3], CELL_MAX, "%s%s", placement_name(verdict->placement),
		 verdict->joined ? " (joined)" : "");
	snprintf(cells->cell[4], CELL_MAX, "%s", job ? instance_size_name(verdict->size) : "-");
	snprintf(cells->cell[5], CELL_MAX, "-");
	if (job)
		snprintf(cells->cell[5], CELL_MAX, "mode %d", (int)verdict->class);
	snprintf(cells->cell[6], CELL_MAX, "%s", status_confinement_text(view, row, confinement));
	if (!view->live)
		snprintf(cells->cell[7], CELL_MAX, "?");
	else
		snprintf(cells->cell[7], CELL_MAX, "%" PRIu64, row->stopped);
}

static void print_line(FILE *out, char mark, const char *const *texts, const size_t *widths)
{
	fprintf(out, "%c ", mark);
	for (size_t i = 0; i + 1 < COLUMNS_N; i++)
		fprintf(out, "%-*s  ", (int)widths[i], texts[i]);
	fprintf(out, "%s\n", texts[COLUMNS_N - 1]);
}

static void print_cells(FILE *out, const struct cells *cells, const size_t *widths)
{
	const char *texts[COLUMNS_N];

	for (size_t i = 0; i + 1 < COLUMNS_N; i++)
		texts[i] = cells->cell[i];
	texts[COLUMNS_N - 1] = cells->why;
	print_line(out, cells->marker, texts, widths);
}

static void widen(const struct cells *cells, size_t *widths)
{
	for (size_t i = 0; i + 1 < COLUMNS_N; i++) {
		size_t len = strlen(cells->cell[i]);

		widths[i] = len > widths[i] ? len : widths[i];
	}
}

static void print_rows(FILE *out, const struct status_view *view)
{
	size_t widths[COLUMNS_N] = { 0 }, live = 0;
	struct cells cells;

	for (size_t i = 0; i < COLUMNS_N; i++)
		widths[i] = strlen(titles[i]);
	for (size_t i = 0; i < view->rows_n; i++) {
		if (!container_is_live(view->rows[i].container))
			continue;
		fill_cells(view, &view->rows[i], &cells);
		widen(&cells, widths);
		live++;
	}
	fprintf(out, "\n");
	if (live > 0)
		print_line(out, ' ', titles, widths);
	for (size_t i = 0; i < view->rows_n; i++) {
		if (!container_is_live(view->rows[i].container))
			continue;
		fill_cells(view, &view->rows[i], &cells);
		print_cells(out, &cells, widths);
	}
	if (live == 0)
		fprintf(out, "no running containers%s\n",
			view->engine->ever_in_sync ? "" : " known");
	if (live < view->rows_n)
		fprintf(out, "%s%zu stopped container%s not shown\n", live ? "\n" : "",
			view->rows_n - live, view->rows_n - live == 1 ? "" : "s");
	if (!view->live && live > 0)
		fprintf(out, "\npackets stopped: ? (%s)\n", view->ruleset_trouble ?: "not read");
}

void status_print(FILE *out, const struct status_view *view)
{
	status_print_head(out, view);
	status_print_attention(out, view);
	print_rows(out, view);
	status_print_posture(out, view);
}
