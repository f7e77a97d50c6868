/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's log of who came and went, also while the engine has not told all. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/run-internal.h"
#include "journal_fixture.h"

static char text[8192];
static const char *reason = "a job"; /* of both */

/* What report_changes() logs, in @text. */
static void report(struct report *report, const struct model *model)
{
	struct verdict verdicts[2] = { { .role = ROLE_JOB }, { .role = ROLE_JOB } };
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	strcpy(verdicts[0].why, reason);
	strcpy(verdicts[1].why, reason);

	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	report_changes(report, model, verdicts);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	n = read(ends[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	close(ends[1]);
	close(saved);
}

static void who_went_while_the_engine_was_away_is_told(void **state)
{
	struct container containers[2] = {
		{ .name = "one", .state = CONTAINER_RUNNING, .inspected = true },
		{ .name = "two", .state = CONTAINER_RUNNING, .inspected = true },
	};
	struct model model = { .containers = containers, .containers_n = 2, .in_sync = true };
	struct report *r = NULL;

	containers[0].id = "1111111111111111";
	containers[1].id = "2222222222222222";
	assert_int_equal(report_new(&r), 0);
	report(r, &model);
	assert_non_null(strstr(text, "job one "));
	assert_non_null(strstr(text, "job two "));
	report(r, &model);
	assert_string_equal(text, "");
	reason = "a job for another reason";
	report(r, &model);
	assert_non_null(strstr(text, "job one "));
	assert_non_null(strstr(text, "job two "));
	model.in_sync = false;
	model.containers_n = 0;
	report(r, &model);
	assert_string_equal(text, "");
	model.in_sync = true;
	model.containers_n = 1;
	report(r, &model);
	assert_null(strstr(text, "job one"));
	assert_non_null(strstr(text, "job two (222222222222) is gone\n"));
	report_free(r);
}

/* The container is another one's memory by then, or its name another. */
static void who_is_gone_is_called_as_it_was(void **state)
{
	struct container container = { .state = CONTAINER_RUNNING, .inspected = true };
	struct model model = { .containers = &container, .containers_n = 1, .in_sync = true };
	struct report *r = NULL;

	assert_int_equal(container_identify(&container, "3333333333333333", "old", "task"), 0);
	assert_string_equal(container.task_id, "task");
	assert_int_equal(report_new(&r), 0);
	report(r, &model);
	assert_non_null(strstr(text, "job old "));
	/* shared, and not copied */
	assert_int_equal(container.identity->refs, 2);
	assert_int_equal(container_identify(&container, container.id, "new", NULL), 0);
	assert_string_equal(container.id, "3333333333333333");
	assert_null(container.task_id);
	container_done(&container);
	model.containers_n = 0;
	report(r, &model);
	assert_non_null(strstr(text, "job old (333333333333) is gone\n"));
	report_free(r);
}

/* As a record: what is worst about a job is what it is called for. */
static void each_judgement_has_its_message(void **state)
{
	static const struct {
		struct verdict verdict;
		enum message message;
	} rows[] = {
		{ { .role = ROLE_JOB, .confinement = CONFINEMENT_FENCED }, MESSAGE_JOB },
		{ { .role = ROLE_JOB, .stale_mirror = true }, MESSAGE_STALE_MIRROR },
		{ { .role = ROLE_JOB, .violation = true, .stale_mirror = true },
		  MESSAGE_VIOLATION },
		{ { .role = ROLE_JOB, .unconfinable = true, .violation = true },
		  MESSAGE_UNCONFINABLE },
	};
	struct container container = { .id = "1111111111111111",
				       .name = "one",
				       .task_id = "4f\nPRIORITY=0",
				       .state = CONTAINER_RUNNING,
				       .inspected = true };
	struct model model = { .containers = &container, .containers_n = 1, .in_sync = true };

	journal_open();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct report *r = NULL;

		assert_int_equal(report_new(&r), 0);
		report_changes(r, &model, &rows[i].verdict);
		assert_true(journal_is(rows[i].message));
		assert_string_equal(journal_field("JOBFENCE_CONTAINER"), "one");
		assert_string_equal(journal_field("JOBFENCE_CONTAINER_ID"), container.id);
		assert_null(strchr(journal_field("JOBFENCE_TASK"), '\n'));
		assert_string_equal(journal_field("JOBFENCE_CLASS"),
				    confinement_name(rows[i].verdict.confinement));
		model.containers_n = 0;
		report_changes(r, &model, NULL);
		assert_true(journal_is(MESSAGE_JOB_GONE));
		assert_string_equal(journal_field("JOBFENCE_CONTAINER"), "one");
		model.containers_n = 1;
		report_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_went_while_the_engine_was_away_is_told),
		cmocka_unit_test(who_is_gone_is_called_as_it_was),
		cmocka_unit_test(each_judgement_has_its_message),
	};

	unsetenv("JOURNAL_STREAM");
	log_open(LOG_INFO);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
