/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `metrics` of a host written out by hand: tests/unit/metrics.prom is what it prints, to the byte. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../src/metrics-internal.h"
#include "live_fixture.h"

#define GOLDEN SOURCE_DIR "/tests/unit/metrics.prom"
#define PRINTED BINARY_DIR "/metrics.prom"
#define BRIDGE "1111111111111111111111111111111111111111111111111111111111111111"

/* Sorted by id, as the engine's client has them. */
static const struct container some[] = {
	{ .id = "a1a1a1a1a1a1a1a1",
	  .name = (char *)"train-0-0-0123abcd",
	  .task_id = (char *)"0f1e2d3c-0000-4000-8000-000000000001",
	  .is_task = true,
	  .inspected = true,
	  .state = CONTAINER_RUNNING,
	  .network_kind = NETWORK_KIND_HOST },
	{ .id = "b2",
	  .name = (char *)"box",
	  .inspected = true,
	  .state = CONTAINER_PAUSED,
	  .network_kind = NETWORK_KIND_BRIDGE },
	{ .id = "c3",
	  .name = (char *)"small-0-0-00000000",
	  .task_id = (char *)"t\n\"} 1\\2",
	  .is_task = true,
	  .inspected = true,
	  .state = CONTAINER_RUNNING,
	  .network_kind = NETWORK_KIND_BRIDGE,
	  .nano_cpus = 1,
	  .memory = 1,
	  .hazards = HAZARD_PRIVILEGED },
	{ .id = "d4",
	  .name = (char *)"gone-0-0-00000000",
	  .task_id = (char *)"t4",
	  .is_task = true,
	  .inspected = true,
	  .state = CONTAINER_EXITED,
	  .network_kind = NETWORK_KIND_HOST },
	{ .id = "e5",
	  .name = (char *)"alone-0-0-00000000",
	  .task_id = (char *)"t5",
	  .is_task = true,
	  .inspected = true,
	  .state = CONTAINER_RUNNING,
	  .network_kind = NETWORK_KIND_BRIDGE },
	{ .id = "f6",
	  .name = (char *)"part-0-0-00000000",
	  .task_id = (char *)"t6",
	  .is_task = true,
	  .inspected = true,
	  .state = CONTAINER_RUNNING,
	  .network_kind = NETWORK_KIND_HOST,
	  .nano_cpus = 1 },
};

#define SOME ARRAY_SIZE(some)
#define MANY (METRICS_JOBS_MAX + 3)

struct fixture {
	struct config config;
	struct config_origin origin;
	struct engine_view engine;
	struct expected expected;
	struct live *live;
	struct status_view status;
	struct tally_counts tally;
	struct metrics_view view;
	struct container containers[MANY];
	char names[MANY][16], ids[MANY][16];
	uint64_t cgroup_id[MANY];
	int nsid[MANY];
	struct network network;
	struct link link;
	struct endpoint endpoint;
	struct release release;
};

static void make_containers(struct fixture *f, bool many, struct model *model)
{
	if (!many) {
		memcpy(f->containers, some, sizeof(some));
		f->containers[2].endpoints = &f->endpoint;
		f->containers[2].endpoints_n = 1;
		f->cgroup_id[0] = 77;
		f->cgroup_id[5] = 78;
		model->containers_n = SOME;
		return;
	}
	for (size_t i = 0; i < MANY; i++) {
		f->containers[i] = some[0];
		f->containers[i].name = f->containers[i].task_id = f->names[i];
		f->containers[i].id = f->ids[i];
		snprintf(f->names[i], sizeof(f->names[i]), "j%03zu", i);
		strcpy(f->ids[i], f->names[i]);
		f->cgroup_id[i] = 100 + i;
	}
	model->containers_n = MANY;
}

/* What policy made, as the kernel would give it back: elements and named counters that counted. */
static void fill_live(struct fixture *f)
{
	copy_elements(f->expected.ruleset, f->live->elements, 1, 1);
	for (size_t s = 0; s < SET_MAX; s++)
		f->live->set_present[s] = true;
	f->live->counters_n = f->expected.skeleton->counters_n;
	f->live->counters = calloc(f->live->counters_n, sizeof(*f->live->counters));
	assert_non_null(f->live->counters);
	for (size_t i = 0; i < f->live->counters_n; i++)
		f->live->counters[i] = (struct live_counter){ true, 10 * i, 1000 * i };
}

static struct fixture *make(bool many)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct model model;

	assert_non_null(f);
	model = (struct model){
		.containers = f->containers,
		.cgroup_id = f->cgroup_id,
		.nsid = f->nsid,
		.networks = &f->network,
		.networks_n = 1,
		.links = &f->link,
		.links_n = 1,
		.has_cgroups = true,
		.bridge_meta = true,
		.in_sync = true,
		.cgroups = { .root = "/sys/fs/cgroup", .parent = "docker", .parent_level = 1 },
	};
	config_defaults(&f->config);
	f->network = (struct network){ .id = BRIDGE, .bridge = "docker0" };
	f->link = (struct link){ .ifindex = 3, .name = "docker0", .kind = "bridge" };
	f->endpoint =
		(struct endpoint){ .network_id = BRIDGE, .ip4 = { AF_INET, { 172, 17, 0, 2 } } };
	make_containers(f, many, &model);
	strcpy(f->release.id, "f6");
	f->release.ends = 1000;
	model.releases = &f->release;
	model.releases_n = 1;
	f->engine = (struct engine_view){ .state = ENGINE_IN_SYNC, .ever_in_sync = true };
	strcpy(f->engine.info.version, "28.5.2");
	assert_int_equal(expected_build(&f->config, &model, &f->expected), 0);
	assert_int_equal(live_new(&f->live), 0);
	fill_live(f);
	for (size_t i = 0; i < TALLY_MAX; i++)
		f->tally.value[i] = 100 + i;
	f->tally.value[TALLY_RELOAD_GOOD] = 1;
	f->tally.value[TALLY_START_TIME] = 1764100000000001;
	f->tally.value[TALLY_SUCCESS_TIME] = 1764138000250000;
	f->status = (struct status_view){
		.config = &f->config,
		.origin = &f->origin,
		.engine = &f->engine,
		.expected = &f->expected,
		.live = f->live,
		.owner = OWNER_DAEMON,
		.daemon_pid = 1234,
	};
	f->view = (struct metrics_view){ .status = &f->status, .tally = &f->tally };
	assert_int_equal(status_view_fill(&f->status), 0);
	f->status.ruleset = RULESET_DIFFERS;
	f->status.differences = 2;
	return f;
}

static int setup(void **state)
{
	*state = make(false);
	return 0;
}

static int setup_many(void **state)
{
	*state = make(true);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	status_view_done(&f->status);
	live_free(f->live);
	expected_done(&f->expected);
	free(f);
	return 0;
}

static char *printed(const struct metrics_view *view)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	metrics_print(out, view);
	fclose(out);
	return text;
}

static char *golden(void)
{
	_cleanup_fclose_ FILE *file = fopen(GOLDEN, "re");
	char *text = NULL;
	size_t size = 0;

	if (!file)
		fail_msg("%s: %s", GOLDEN, strerror(errno));
	assert_true(getdelim(&text, &size, '\0', file) > 0);
	return text;
}

static void keep(const char *text)
{
	_cleanup_fclose_ FILE *file = fopen(PRINTED, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

/* The golden text is for every version. */
static void __attribute__((noinline)) unname_version(char *text)
{
	static const char version[] = "{version=\"" JOBFENCE_VERSION "\"}", any[] = "{version="
										    "\"0\"}";
	char *at = strstr(text, version);

	assert_non_null(at);
	memcpy(at, any, strlen(any));
	memmove(at + strlen(any), at + strlen(version), strlen(at + strlen(version)) + 1);
}

static void all_of_it(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = printed(&f->view), *wanted = NULL;

	unname_version(text);
	keep(text);
	wanted = golden();
	if (strcmp(text, wanted) != 0)
		fail_msg("what is printed differs: diff " GOLDEN " " PRINTED);
}

static bool has(const char *text, const char *family)
{
	char head[96];

	snprintf(head, sizeof(head), "# TYPE %s ", family);
	return strstr(text, head);
}

static void without_a_daemon(void **state)
{
	static const char *const its[] = { "jobfence_reconciles_total", "jobfence_heals_total",
					   "jobfence_daemon_start_time_seconds",
					   "jobfence_last_success_time_seconds" };
	struct fixture *f = *state;

	f->view.tally = NULL;
	f->status.daemon_pid = 0;

	_cleanup_free_ char *text = printed(&f->view);

	assert_non_null(strstr(text, "\njobfence_daemon_running 0\n"));
	for (size_t i = 0; i < ARRAY_SIZE(its); i++)
		assert_false(has(text, its[i]));
	assert_true(has(text, "jobfence_stopped_packets_total"));
}

static void what_was_not_read_is_no_zero(void **state)
{
	static const char *const unread[] = { "jobfence_stopped_packets_total",
					      "jobfence_set_elements",
					      "jobfence_job_stopped_packets_total",
					      "jobfence_jobs_not_held",
					      "jobfence_job_held",
					      "jobfence_ruleset_differences",
					      "jobfence_tables_owner" };
	static const char *const unheard[] = { "jobfence_jobs", "jobfence_bystanders",
					       "jobfence_jobs_in_violation",
					       "jobfence_engine_info" };
	struct fixture *f = *state;

	f->status.live = NULL;
	f->status.ruleset = RULESET_UNKNOWN;
	f->status.owner = OWNER_UNTOLD;

	_cleanup_free_ char *text = printed(&f->view);

	for (size_t i = 0; i < ARRAY_SIZE(unread); i++)
		if (has(text, unread[i]))
			fail_msg("%s was not read", unread[i]);
	assert_true(has(text, "jobfence_jobs"));
	f->engine = (struct engine_view){ .state = ENGINE_LOST };

	_cleanup_free_ char *silent = printed(&f->view);

	for (size_t i = 0; i < ARRAY_SIZE(unheard); i++)
		if (has(silent, unheard[i]))
			fail_msg("%s: the engine has not told", unheard[i]);
	assert_non_null(strstr(silent, "\njobfence_engine_state{state=\"lost\"} 1\n"));
}

static void before_the_first_success(void **state)
{
	struct fixture *f = *state;

	f->tally.value[TALLY_SUCCESS_TIME] = 0;

	_cleanup_free_ char *text = printed(&f->view);

	assert_false(has(text, "jobfence_last_success_time_seconds"));
	assert_true(has(text, "jobfence_daemon_start_time_seconds"));
}

static size_t lines_with(const char *text, const char *begin)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, begin)); at++)
		n += at == text || at[-1] == '\n';
	return n;
}

/* As many series as a job has, and no more, however many jobs there are. */
static void the_number_of_series_is_bounded(void **state)
{
	struct fixture *f = *state;
	uint64_t others = 0;
	char line[96];

	for (size_t i = METRICS_JOBS_MAX; i < MANY; i++)
		others += f->status.rows[i].stopped;
	assert_true(others > 0);

	_cleanup_free_ char *text = printed(&f->view);

	assert_int_equal(lines_with(text, "jobfence_job_stopped_packets_total{"),
			 METRICS_JOBS_MAX + 1);
	assert_int_equal(lines_with(text, "jobfence_job_held{"), METRICS_JOBS_MAX);
	snprintf(line, sizeof(line),
		 "\njobfence_job_stopped_packets_total{container=\"(others)\"} %llu\n",
		 (unsigned long long)others);
	assert_non_null(strstr(text, line));
}

/* One line for each sample: a name and labels that are closed, a blank, a number. */
static void every_line_is_one_sample(void **state)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
	struct fixture *f = *state;
	_cleanup_free_ char *text = printed(&f->view);
	char *rest = text;

	for (char *line; (line = strsep(&rest, "\n")) && *line;) {
		char *at = line + strspn(line, letters);

		if (*line == '#')
			continue;
		assert_true(strncmp(line, "jobfence_", 9) == 0);
		for (bool quoted = false; *at == '{' || quoted || *at == ','; quoted = true) {
			at += 1 + strspn(at + 1, letters);
			assert_memory_equal(at, "=\"", 2);
			for (at += 2; *at != '"'; at++)
				at += *at == '\\';
			at++;
			if (*at == '}') {
				at++;
				break;
			}
		}
		assert_int_equal(*at, ' ');
		assert_int_equal(strspn(at + 1, "0123456789."), strlen(at + 1));
	}
}

static int text_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A collector refuses the whole file for one series that is there twice: two jobs whose names look
 * alike once they are printable must not be one. */
static void no_series_is_there_twice(void **state)
{
	struct fixture *f = *state;
	char *series[2048], *rest;
	size_t n = 0;

	for (size_t i = 0; i < MANY; i++)
		snprintf(f->names[i], sizeof(f->names[i]), "%c", (char)(1 + i % 30));

	_cleanup_free_ char *text = printed(&f->view);

	rest = text;
	for (char *line; (line = strsep(&rest, "\n")) && *line;)
		if (*line != '#') {
			*strrchr(line, ' ') = '\0';
			assert_true(n < ARRAY_SIZE(series));
			series[n++] = line;
		}
	qsort(series, n, sizeof(*series), text_order);
	assert_true(n > 200);
	for (size_t i = 1; i < n; i++)
		if (strcmp(series[i - 1], series[i]) == 0)
			fail_msg("twice: %s", series[i]);
}

static void labels_are_escaped(void **state)
{
	struct metric_labels labels = { 0 };
	char longer[400];

	metric_label(&labels, "a", "x\"y\\z\n{}=,");
	assert_string_equal(labels.text, "a=\"x?y?z?{}=,\"");
	metric_label(&labels, "b", NULL);
	assert_string_equal(labels.text, "a=\"x?y?z?{}=,\",b=\"\"");
	memset(longer, 'l', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	metric_label(&labels, "c", longer);
	assert_int_equal(strlen(labels.text), strlen("a=\"x?y?z?{}=,\",b=\"\",c=\"\"") + 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_of_it, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_not_read_is_no_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(before_the_first_success, setup, teardown),
		cmocka_unit_test_setup_teardown(the_number_of_series_is_bounded, setup_many,
						teardown),
		cmocka_unit_test_setup_teardown(every_line_is_one_sample, setup, teardown),
		cmocka_unit_test_setup_teardown(no_series_is_there_twice, setup_many, teardown),
		cmocka_unit_test(labels_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
