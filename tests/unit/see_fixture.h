/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fixed host as status and explain see it: a bridge job, a host job and a bystander, all of it in the
 * kernel; and texts compared with files of tests/unit/golden. GOLDEN=write writes them anew: read the
 * difference before you commit it.
 */
#pragma once

#include "policy_fixture.h"

#include <sys/wait.h>

#include "../../src/explain-internal.h"
#include "live_fixture.h"

struct seen {
	struct fixture *f;
	struct config_origin origin;
	struct engine_view engine;
	struct expected expected;
	struct live *live;
	struct live_counter counters[64];
	struct status_view view;
};

static inline void see(struct seen *seen)
{
	struct fixture *f = seen->f;

	assert_int_equal(expected_build(&f->config, &f->model, &seen->expected), 0);
	assert_int_equal(live_new(&seen->live), 0);
	copy_elements(seen->expected.ruleset, seen->live->elements, 7, 0);
	for (size_t i = 0; i < seen->expected.skeleton->counters_n; i++)
		seen->counters[i] = (struct live_counter){ true, i, i * 60 };
	seen->live->counters = seen->counters;
	seen->live->counters_n = seen->expected.skeleton->counters_n;
	strcpy(seen->origin.mode, "/etc/default/jobfence");
	seen->engine = (struct engine_view){ .state = ENGINE_IN_SYNC, .ever_in_sync = true };
	strcpy(seen->engine.info.version, "28.5.2");
	seen->view = (struct status_view){
		.config = &f->config,
		.origin = &seen->origin,
		.engine = &seen->engine,
		.expected = &seen->expected,
		.live = seen->live,
		.daemon_pid = 1234,
	};
	assert_int_equal(status_view_fill(&seen->view), 0);
	seen->view.ruleset = RULESET_PRESENT;
	seen->view.differences = 0;
	for (size_t i = 0; i < seen->view.rows_n; i++)
		if (container_is_live(seen->view.rows[i].container))
			seen->view.rows[i].running_s = 11000;
}

static inline int see_set_up(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	static const struct port_binding port = {
		.l4proto = IPPROTO_TCP,
		.host_ip = { AF_INET, { 127, 0, 0, 1 } },
		.host_port = 32768,
		.container_port = 10999,
	};

	assert_non_null(seen);
	assert_int_equal(set_up((void **)&seen->f), 0);
	host(seen->f, 1);
	seen->f->containers[1].is_task = true;
	seen->f->containers[1].name = (char *)"gang-1-0-5e6f7a8b";
	seen->f->containers[1].task_id = (char *)"0f1e2d3c-0000-4000-8000-000000000001";
	seen->f->ports[0][0] = port;
	seen->f->containers[0].ports = seen->f->ports[0];
	seen->f->containers[0].ports_n = 1;
	seen->f->containers[0].nano_cpus = 1500000000;
	seen->f->containers[0].memory = 64 << 20;
	seen->f->model.bridge_meta = seen->f->model.egress = true;
	strcpy(seen->f->model.cgroups.root, "/sys/fs/cgroup");
	for (size_t i = 0; i < 3; i++)
		seen->f->containers[i].pid = 100 + (pid_t)i;
	*state = seen;
	return 0;
}

static inline int see_tear_down(void **state)
{
	struct seen *seen = *state;

	status_view_done(&seen->view);
	if (seen->live)
		seen->live->counters = NULL;
	live_free(seen->live);
	expected_done(&seen->expected);
	tear_down((void **)&seen->f);
	free(seen);
	return 0;
}

static inline char *read_golden(const char *path)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!in || getdelim(&text, &size, '\0', in) < 0)
		fail_msg("cannot read %s", path);
	return text;
}

static inline void is_golden(const char *name, const char *got)
{
	char path[300], beside[300];
	const char *how = getenv("GOLDEN");

	snprintf(path, sizeof(path), SOURCE_DIR "/tests/unit/golden/%s", name);
	snprintf(beside, sizeof(beside), BINARY_DIR "/%s", name);
	for (int i = 0; i < 2; i++) {
		_cleanup_fclose_ FILE *out = fopen(i ? beside : path, i || how ? "we" : "re");

		assert_non_null(out);
		if (i || how)
			assert_true(fputs(got, out) >= 0);
	}

	_cleanup_free_ char *wanted = read_golden(path);

	if (strcmp(got, wanted) != 0)
		fail_msg("not as before: diff %s %s", path, beside);
}

/* What is_golden() left beside the tests is as @schema says. Without jsonschema nothing is checked: the
 * end-to-end tests and test_matrix, which skips, say so. */
static inline void is_by_schema(const char *schema, const char *name)
{
	char command[800];
	int r;

	snprintf(command, sizeof(command),
		 "exec python3 " SOURCE_DIR "/tests/schema.py " SOURCE_DIR "/contrib/schema/"
		 "%s " BINARY_DIR "/%s",
		 schema, name);
	r = system(command);
	assert_true(WIFEXITED(r));
	if (WEXITSTATUS(r) != 77 && WEXITSTATUS(r) != 127)
		assert_int_equal(WEXITSTATUS(r), 0);
}
