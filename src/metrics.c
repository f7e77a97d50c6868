/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The metrics: one look at the host (as `status` takes it) and the daemon's counters, as Prometheus'
 * text. A family whose number was not read is left out, and so are all that only a running daemon
 * can tell: an alert on what is missing is worth more than a 0 that means nothing. Pure.
 */
#include "metrics-internal.h"

#include <string.h>

#include "jobfence/groups.h"
#include "jobfence/text.h"

static const char *const placements[] = { "bridge", "host", "none", "unknown" };
static const char *const confinements[] = { "isolated", "fenced", "quarantined" };
static const char *const engine_states[] = { "in_sync", "syncing", "lost" };
static const char *const ruleset_states[] = { "present", "differs", "absent", "unknown" };
static const char *const owners[] = { "daemon", "nobody", "other" };

static void gauge(FILE *out, const char *name, uint64_t value, const char *help)
{
	metric_family(out, name, METRIC_GAUGE, help);
	metric_sample(out, name, NULL, value);
}

static bool is_live_job(const struct status_row *row)
{
	return container_is_live(row->container) && row->verdict->role == ROLE_JOB;
}

/* --- what is configured, and what stands --- */

static void print_info(FILE *out, const struct status_view *status)
{
	struct metric_labels build = { 0 }, mode = { 0 }, engine = { 0 };
	char number[2] = { (char)('0' + status->config->mode), '\0' };

	metric_label(&build, "version", JOBFENCE_VERSION);
	metric_family(out, "jobfence_build_info", METRIC_GAUGE, "The version that looked.");
	metric_sample(out, "jobfence_build_info", &build, 1);
	metric_label(&mode, "mode", number);
	metric_label(&mode, "name", network_mode_name(status->config->mode));
	metric_family(out, "jobfence_mode_info", METRIC_GAUGE,
		      "The network mode that is mirrored from the dstack server.");
	metric_sample(out, "jobfence_mode_info", &mode, 1);
	if (!status->engine->info.version[0])
		return;
	metric_label(&engine, "version", status->engine->info.version);
	metric_family(out, "jobfence_engine_info", METRIC_GAUGE, "The Docker engine's version.");
	metric_sample(out, "jobfence_engine_info", &engine, 1);
}

static void print_enforced(FILE *out, uint32_t audit)
{
	static const char name[] = "jobfence_rule_group_enforced";

	gauge(out, "jobfence_enforced", audit == 0,
	      "1 where all groups of rules are enforced, 0 where any is only audited.");
	metric_family(out, name, METRIC_GAUGE,
		      "1 where the group of rules is enforced, 0 where it counts and lets "
		      "through.");
	for (size_t group = 0; group < GROUP_MAX; group++) {
		struct metric_labels labels = { 0 };

		metric_label(&labels, "group", rule_group_name((enum rule_group)group));
		metric_sample(out, name, &labels, !(audit & GROUP_BIT(group)));
	}
}

static void print_states(FILE *out, const struct status_view *status)
{
	const char *owner = owner_name(status->owner);

	gauge(out, "jobfence_daemon_running", status->daemon_pid != 0,
	      "1 while a daemon holds the lock of this network namespace.");
	metric_family(out, "jobfence_engine_state", METRIC_GAUGE,
		      "1 for the state of the connection to the Docker engine.");
	metric_states(out, "jobfence_engine_state", "state", engine_states,
		      ARRAY_SIZE(engine_states), engine_state_name(status->engine->state));
	metric_family(out, "jobfence_ruleset_state", METRIC_GAUGE,
		      "1 for the state of the ruleset in the kernel, compared with what should be "
		      "there.");
	metric_states(out, "jobfence_ruleset_state", "state", ruleset_states,
		      ARRAY_SIZE(ruleset_states), ruleset_state_name(status->ruleset));
	if (status->ruleset == RULESET_PRESENT || status->ruleset == RULESET_DIFFERS)
		gauge(out, "jobfence_ruleset_differences", status->differences,
		      "What differs between the kernel and what should be there.");
	if (owner) {
		metric_family(out, "jobfence_tables_owner", METRIC_GAUGE,
			      "1 for whoever alone can change the tables.");
		metric_states(out, "jobfence_tables_owner", "owner", owners, ARRAY_SIZE(owners),
			      owner);
	}
	gauge(out, "jobfence_host_jobs_fenceable", !status->cgroup_trouble,
	      "1 where jobs on the host network can be told from the host (cgroup v2).");
}

/* --- what was stopped --- */

static void print_rule_counter(FILE *out, const struct status_view *status, bool bytes)
{
	const struct skeleton *skeleton = status->expected->skeleton;
	const char *name =
		bytes ? "jobfence_stopped_bytes_total" : "jobfence_stopped_packets_total";

	metric_family(out, name, METRIC_COUNTER,
		      bytes ? "Bytes of what a rule stopped, or would have where its group is "
			      "audited."
			    : "Packets that a rule stopped, or would have where its group is "
			      "audited.");
	for (size_t i = 0; i < skeleton->counters_n && i < status->live->counters_n; i++) {
		const struct counter_spec *spec = &skeleton->counters[i];
		const struct live_counter *counter = &status->live->counters[i];
		struct metric_labels labels = { 0 };

		if (!counter->present)
			continue;
		metric_label(&labels, "family", family_name(spec->family));
		metric_label(&labels, "rule", spec->name);
		metric_label(&labels, "group", rule_group_name(rule_group_of(spec->name)));
		metric_sample(out, name, &labels, bytes ? counter->bytes : counter->packets);
	}
}

static void print_sets(FILE *out, const struct live *live)
{
	static const char name[] = "jobfence_set_elements";

	metric_family(out, name, METRIC_GAUGE, "Elements of a set in the kernel.");
	for (size_t i = 0; i < SET_MAX; i++) {
		const struct set_spec *spec = set_spec((enum set_id)i);
		struct metric_labels labels = { 0 };

		if (spec->chains || !live->set_present[i])
			continue;
		metric_label(&labels, "family", family_name(spec->family));
		metric_label(&labels, "set", spec->name);
		metric_sample(out, name, &labels, live->elements->sets[i].n);
	}
}

/* --- containers --- */

/* Every combination, so that no series comes and goes. */
static void print_jobs(FILE *out, const struct status_view *status)
{
	static const enum network_mode modes[] = { NETWORK_MODE_HOST_FOR_MULTINODE_ONLY,
						   NETWORK_MODE_HOST_WHEN_POSSIBLE,
						   NETWORK_MODE_FORCED_BRIDGE };
	size_t n[ARRAY_SIZE(modes)][ARRAY_SIZE(placements)][ARRAY_SIZE(confinements)] = { 0 };

	for (size_t i = 0; i < status->rows_n; i++) {
		const struct verdict *verdict = status->rows[i].verdict;

		if (is_live_job(&status->rows[i]) && verdict->confinement != CONFINEMENT_NONE)
			n[verdict->class - 1][verdict->placement][verdict->confinement - 1]++;
	}
	metric_family(out, "jobfence_jobs", METRIC_GAUGE,
		      "Running jobs by the mode that governs them, their network and what is done "
		      "to them.");
	for (size_t m = 0; m < ARRAY_SIZE(modes); m++)
		for (size_t p = 0; p < ARRAY_SIZE(placements); p++)
			for (size_t c = 0; c < ARRAY_SIZE(confinements); c++) {
				struct metric_labels labels = { 0 };

				metric_label(&labels, "class", network_mode_name(modes[m]));
				metric_label(&labels, "placement", placements[p]);
				metric_label(&labels, "confinement", confinements[c]);
				metric_sample(out, "jobfence_jobs", &labels, n[m][p][c]);
			}
}

static void print_bystanders(FILE *out, const struct status_view *status)
{
	size_t n[ARRAY_SIZE(placements)] = { 0 };

	for (size_t i = 0; i < status->rows_n; i++)
		if (container_is_live(status->rows[i].container) && !is_live_job(&status->rows[i]))
			n[status->rows[i].verdict->placement]++;
	metric_family(out, "jobfence_bystanders", METRIC_GAUGE,
		      "Running containers that are no jobs, by their network.");
	for (size_t p = 0; p < ARRAY_SIZE(placements); p++) {
		struct metric_labels labels = { 0 };

		metric_label(&labels, "placement", placements[p]);
		metric_sample(out, "jobfence_bystanders", &labels, n[p]);
	}
}

static void print_remarks(FILE *out, const struct status_view *status)
{
	size_t violations = 0, unconfinable = 0, stale = 0, unheld = 0, released = 0;

	for (size_t i = 0; i < status->rows_n; i++) {
		const struct status_row *row = &status->rows[i];

		if (!is_live_job(row))
			continue;
		violations += row->verdict->violation;
		unconfinable += row->verdict->unconfinable;
		stale += row->verdict->stale_mirror;
		unheld += status_row_held(status, row) == HELD_NO && !row->released;
		released += row->released > 0;
	}
	gauge(out, "jobfence_jobs_released", released,
	      "Running jobs that somebody released from the fence for a time.");
	gauge(out, "jobfence_jobs_in_violation", violations,
	      "Running jobs where the mode, or an override, forbids them to be.");
	gauge(out, "jobfence_jobs_unconfinable", unconfinable,
	      "Running jobs that no ruleset can hold (privileged, docker.sock, and the like).");
	gauge(out, "jobfence_jobs_stale_mirror", stale,
	      "Running jobs that the mirrored mode would have placed elsewhere.");
	if (status->ruleset != RULESET_UNKNOWN)
		gauge(out, "jobfence_jobs_not_held", unheld,
		      "Running jobs to which the kernel does not do what their verdict says.");
	gauge(out, "jobfence_jobs_with_packet_sockets", status_net_raw_jobs(status),
	      "Running jobs on the host network with CAP_NET_RAW.");
}

static void job_labels(struct metric_labels *labels, const struct status_row *row)
{
	char id[13];

	text_safe(row->container->id, id, sizeof(id));
	metric_label(labels, "id", id); /* names may look alike, and no series may be there twice */
	metric_label(labels, "container", row->container->name);
	metric_label(labels, "task", row->container->task_id);
}

static void print_held(FILE *out, const struct status_view *status)
{
	static const char name[] = "jobfence_job_held";
	size_t n = 0;

	metric_family(out, name, METRIC_GAUGE,
		      "1 where the kernel does to the job what its verdict says. The first 64 "
		      "jobs.");
	for (size_t i = 0; i < status->rows_n && n < METRICS_JOBS_MAX; i++) {
		const struct status_row *row = &status->rows[i];
		enum held held = status_row_held(status, row);
		struct metric_labels labels = { 0 };

		if (!is_live_job(row))
			continue;
		n++;
		if (held == HELD_UNKNOWN)
			continue;
		job_labels(&labels, row);
		metric_sample(out, name, &labels, held == HELD_YES || row->released);
	}
}

static void print_stopped(FILE *out, const struct status_view *status)
{
	static const char name[] = "jobfence_job_stopped_packets_total";
	uint64_t others = 0;
	size_t n = 0;

	metric_family(out, name, METRIC_COUNTER,
		      "Packets of a job that were stopped; of all beyond 64 jobs in one sum.");
	for (size_t i = 0; i < status->rows_n; i++) {
		struct metric_labels labels = { 0 };

		if (!is_live_job(&status->rows[i]))
			continue;
		if (n++ >= METRICS_JOBS_MAX) {
			others += status->rows[i].stopped;
			continue;
		}
		job_labels(&labels, &status->rows[i]);
		metric_sample(out, name, &labels, status->rows[i].stopped);
	}
	if (n > METRICS_JOBS_MAX) {
		struct metric_labels labels = { 0 };

		metric_label(&labels, "container", "(others)");
		metric_sample(out, name, &labels, others);
	}
}

/* --- the daemon's own --- */

struct tally_metric {
	enum tally_id id;
	const char *name, *label, *value; /* the last two: NULL for none */
	const char *help;                 /* NULL: one more sample of the family above */
};

static const struct tally_metric tallies[] = {
	{ TALLY_CHANGED, "jobfence_reconciles_total", "result", "changed",
	  "Steps of the daemon, by what came of them." },
	{ TALLY_UNCHANGED, "jobfence_reconciles_total", "result", "unchanged", NULL },
	{ TALLY_FAILED, "jobfence_reconciles_total", "result", "failed", NULL },
	{ TALLY_COMMITTED, "jobfence_transactions_total", "result", "committed",
	  "Transactions that the daemon sent to the kernel, by its answer." },
	{ TALLY_REFUSED, "jobfence_transactions_total", "result", "refused", NULL },
	{ TALLY_LEFT_OUT, "jobfence_elements_left_out_total", NULL, NULL,
	  "Elements that the kernel refused, left out so that the rest went in." },
	{ TALLY_FOREIGN, "jobfence_foreign_changes_total", NULL, NULL,
	  "Transactions of other processes that changed the tables." },
	{ TALLY_HEALS, "jobfence_heals_total", NULL, NULL,
	  "Steps that put back what others had changed." },
	{ TALLY_FOUND, "jobfence_unexpected_differences_total", NULL, NULL,
	  "Differences that the periodic look found: lost events, or bugs." },
	{ TALLY_LOST_STREAMS, "jobfence_event_streams_lost_total", NULL, NULL,
	  "Event streams of the engine that broke." },
	{ TALLY_LOST_RULESET, "jobfence_notifications_lost_total", "source", "ruleset",
	  "Times that the kernel could not keep its notifications (ENOBUFS), and all was read "
	  "again." },
	{ TALLY_LOST_LINKS, "jobfence_notifications_lost_total", "source", "links", NULL },
	{ TALLY_LOST_NETWORKS, "jobfence_notifications_lost_total", "source", "networks", NULL },
	{ TALLY_RELOADS, "jobfence_reloads_total", "result", "applied",
	  "Reloads of the configuration, by what came of them." },
	{ TALLY_RELOADS_REFUSED, "jobfence_reloads_total", "result", "refused", NULL },
};

static void print_tally(FILE *out, const struct tally_counts *tally)
{
	for (size_t i = 0; i < ARRAY_SIZE(tallies); i++) {
		const struct tally_metric *metric = &tallies[i];
		struct metric_labels labels = { 0 };

		if (metric->help)
			metric_family(out, metric->name, METRIC_COUNTER, metric->help);
		if (metric->label)
			metric_label(&labels, metric->label, metric->value);
		metric_sample(out, metric->name, &labels, tally->value[metric->id]);
	}
	gauge(out, "jobfence_last_reload_successful", tally->value[TALLY_RELOAD_GOOD],
	      "1 where the last reload was applied, or none was asked for.");
	metric_family(out, "jobfence_daemon_start_time_seconds", METRIC_GAUGE,
		      "When the daemon started, since the epoch.");
	metric_seconds(out, "jobfence_daemon_start_time_seconds", tally->value[TALLY_START_TIME]);
	if (!tally->value[TALLY_SUCCESS_TIME])
		return;
	metric_family(out, "jobfence_last_success_time_seconds", METRIC_GAUGE,
		      "When a step last left the kernel as it should be, since the epoch.");
	metric_seconds(out, "jobfence_last_success_time_seconds", tally->value[TALLY_SUCCESS_TIME]);
}

void metrics_print(FILE *out, const struct metrics_view *view)
{
	const struct status_view *status = view->status;

	print_info(out, status);
	print_states(out, status);
	print_enforced(out, status->config->audit);
	if (status->live) {
		print_rule_counter(out, status, false);
		print_rule_counter(out, status, true);
		print_sets(out, status->live);
	}
	if (status->engine->ever_in_sync) {
		print_jobs(out, status);
		print_bystanders(out, status);
		print_remarks(out, status);
		if (status->ruleset != RULESET_UNKNOWN)
			print_held(out, status);
		if (status->live)
			print_stopped(out, status);
	}
	if (view->tally)
		print_tally(out, view->tally);
}
