/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `status` on terminals of every width, and for what is none: golden outputs of a fixed host. */
#include "see_fixture.h"

#include "jobfence/term.h"

static char *shown(const struct seen *seen, unsigned width, bool colour)
{
	const struct term term = { .width = width, .colour = colour };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(status_show(out, &seen->view, &term), 0);
	fclose(out);
	return text;
}

static void golden(const struct seen *seen, unsigned width, bool colour, const char *name)
{
	_cleanup_free_ char *text = shown(seen, width, colour);

	is_golden(name, text);
}

static void the_whole(void **state)
{
	struct seen *seen = *state;
	_cleanup_free_ char *text = NULL;
	json_t *json;

	see(seen);
	golden(seen, 0, false, "status.txt");
	golden(seen, 80, false, "status-80.txt");
	golden(seen, 132, false, "status-132.txt");
	golden(seen, 200, true, "status-200-colour.txt");
	json = status_json(&seen->view);
	text = json_dumps(json, JSON_INDENT(2));
	json_decref(json);
	is_golden("status.json", text);
	is_by_schema("status.schema.json", "status.json");
}

/* Everything that wants attention at once. */
static void make_trouble(struct seen *seen)
{
	seen->f->config.mode = NETWORK_MODE_FORCED_BRIDGE;
	seen->f->containers[0].hazards = HAZARD_PRIVILEGED;
	seen->f->containers[2].name = (char *)"a-very-long-name\033[31m-that-no-terminal-has-room-"
					      "for-0-0-0123abcd";
	see(seen);
	seen->view.ruleset = RULESET_DIFFERS;
	seen->view.differences = 2;
	seen->view.daemon_pid = 0;
	seen->engine.state = ENGINE_LOST;
	seen->engine.trouble = "connection refused";
	seen->view.cgroup_trouble = "no cgroup v2 hierarchy";
	strcpy(seen->origin.remarks[seen->origin.remarks_n++], "a remark about the configuration");
}

static void trouble(void **state)
{
	struct seen *seen = *state;

	make_trouble(seen);
	golden(seen, 80, true, "status-trouble-80-colour.txt");
}

/* The marks of term.h and what a name brings never reach a terminal. */
static bool is_clean(const char *text, bool colour)
{
	for (; *text; text++) {
		if (*text == '\033' && colour) {
			text += strcspn(text, "m");
			continue;
		}
		if ((unsigned char)*text < ' ' && *text != '\n')
			return false;
	}
	return true;
}

static size_t columns_of(char *line)
{
	char *to = line;

	for (char *from = line; *from; from++) {
		if (*from == '\033')
			from += strcspn(from, "m");
		else
			*to++ = *from;
	}
	*to = '\0';
	return term_columns(line);
}

static void no_line_is_too_long(void **state)
{
	struct seen *seen = *state;

	make_trouble(seen);
	for (unsigned width = 20; width < 260; width++) {
		_cleanup_free_ char *text = shown(seen, width, width % 2);
		char *rest = text, *line;
		size_t whys = 0;

		assert_true(is_clean(text, width % 2));
		while ((line = strsep(&rest, "\n"))) {
			if (columns_of(line) > width)
				fail_msg("width %u: %s", width, line);
			whys += strstr(line, "HOST_WHEN_POSSIBLE") || strstr(line, "FORCED_BRIDGE");
		}
		assert_true(whys >= 1);
	}
}

/* What needs attention is first, under its heading, and nothing is in two of them. */
static void parts(void **state)
{
	struct seen *seen = *state;
	_cleanup_free_ char *quiet = NULL, *loud = NULL;

	see(seen);
	quiet = shown(seen, 120, false);
	assert_null(strstr(quiet, "Needs attention"));
	assert_non_null(strstr(quiet, "\nJobs (2)\n"));
	assert_non_null(strstr(quiet, "\nBystanders (1)\n"));
	seen->expected.verdicts[1].stale_mirror = true;
	loud = shown(seen, 120, false);
	assert_non_null(strstr(loud, "\nNeeds attention (1)\n"));
	assert_true(strstr(loud, "\n~ gang-1-0") < strstr(loud, "\nJobs (1)\n"));
	assert_true(strstr(loud, "\n  train-0-0") > strstr(loud, "\nJobs (1)\n"));
	assert_true(strstr(loud, "\n  db ") > strstr(loud, "\nBystanders (1)\n"));
	assert_null(strstr(strstr(loud, "\n~ gang-1-0") + 4, "gang-1-0"));
}

/* Nobody takes what follows for a fence. */
static void audit_is_the_first_line(void **state)
{
	struct seen *seen = *state;
	_cleanup_free_ char *text = NULL;

	seen->f->config.audit = GROUPS_ALL;
	see(seen);
	text = shown(seen, 200, false);
	assert_ptr_equal(strstr(text, "AUDIT         NOTHING IS ENFORCED"), text);
	assert_non_null(strstr(text, "\n~ 1 job on the host's network"));
	assert_non_null(strstr(text, "NOT HELD (isolated)"));
}

static void nothing_runs(void **state)
{
	struct seen *seen = *state;
	_cleanup_free_ char *text = NULL;

	for (size_t i = 0; i < 3; i++)
		seen->f->containers[i].state = CONTAINER_EXITED;
	see(seen);
	text = shown(seen, 80, false);
	assert_non_null(strstr(text, "\nno running containers\n\n3 stopped containers not "
				     "shown\n"));
}

static void ages(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{ -1, "?" },
		{ 0, "0 s" },
		{ 59, "59 s" },
		{ 60, "1 min" },
		{ 3599, "59 min" },
		{ 3600, "1 h 0 min" },
		{ 86399, "23 h 59 min" },
		{ 86400, "1 d 0 h" },
		{ INT64_MAX, "106751991167300 d 15 h" },
	};
	char buffer[24];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(status_age_text(cases[i].seconds, buffer), cases[i].text);
}

/* This process is as old as it is; one that is not there has no age. */
static void age_of_a_process(void **state)
{
	struct container containers[] = { { .pid = getpid() },
					  { .pid = 0x3fffffff },
					  { .pid = 0 } };
	struct status_row rows[3];
	struct status_view view = { .rows = rows, .rows_n = 3 };

	for (size_t i = 0; i < 3; i++)
		rows[i] = (struct status_row){ .container = &containers[i], .running_s = -1 };
	status_ages(&view);
	assert_in_range(rows[0].running_s, 0, 300);
	assert_int_equal(rows[1].running_s, -1);
	assert_int_equal(rows[2].running_s, -1);
}

#define SEE(fn) cmocka_unit_test_setup_teardown(fn, see_set_up, see_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SEE(the_whole),
		SEE(trouble),
		SEE(no_line_is_too_long),
		SEE(parts),
		SEE(audit_is_the_first_line),
		SEE(nothing_runs),
		cmocka_unit_test(ages),
		cmocka_unit_test(age_of_a_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
