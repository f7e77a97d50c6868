/* SPDX-License-Identifier: GPL-2.0-or-later */
/* No memory, at every place, in what status and explain show: all of it is shown, or it is said. */
#include "see_fixture.h"

#include "jobfence/term.h"
#include "support/alloc_fail.h"

struct run {
	struct seen *seen;
	struct sockets sockets;
	struct posture posture;
	struct explanation explanation;
	struct term term;
	FILE *out;
	char *wanted; /* the text when nothing fails */
};

static enum alloc_outcome outcome_of(int r)
{
	return r == 0 ? ALLOC_DONE : r == -ENOMEM ? ALLOC_REPORTED : ALLOC_WRONG;
}

static enum alloc_outcome run_posture(void *data)
{
	struct run *run = data;
	struct seen *seen = run->seen;
	struct posture posture = { .cap = 77 };
	int r = posture_judge(&seen->f->config, &seen->f->model, seen->expected.verdicts,
			      seen->expected.ruleset, &run->sockets, &posture);

	if (r < 0)
		return posture.cap == 77 ? outcome_of(r) : ALLOC_WRONG;
	r = posture.n == run->sockets.n ? 0 : -EINVAL;
	posture_done(&posture);
	return outcome_of(r);
}

static enum alloc_outcome run_explain(void *data)
{
	struct run *run = data;
	struct explanation explanation = { 0 };
	int r = explain_make(&run->seen->view, 0, NULL, NULL, &explanation);

	if (r == 0 && (explanation.rules.n < 10 || explanation.elems_n < 10))
		r = -EINVAL;
	explanation_done(&explanation);
	return outcome_of(r);
}

static enum alloc_outcome take_json(json_t *json)
{
	json_decref(json);
	return json ? ALLOC_DONE : ALLOC_REPORTED;
}

static enum alloc_outcome run_explain_json(void *data)
{
	struct run *run = data;

	return take_json(explain_json(&run->explanation));
}

static enum alloc_outcome run_status_json(void *data)
{
	struct run *run = data;

	return take_json(status_json(&run->seen->view));
}

/* What is shown is the whole, or it is said that it is not. */
static enum alloc_outcome run_show(void *data)
{
	static char text[65536];
	struct run *run = data;
	int r;

	memset(text, 0, sizeof(text));
	rewind(run->out);
	r = status_show(run->out, &run->seen->view, &run->term);
	alloc_fail_disarm();
	fflush(run->out);
	rewind(run->out);
	assert_true(fread(text, 1, sizeof(text) - 1, run->out) < sizeof(text) - 1);
	assert_int_equal(ftruncate(fileno(run->out), 0), 0);
	if (r < 0)
		return outcome_of(r);
	if (!run->wanted)
		run->wanted = strdup(text);
	return strcmp(text, run->wanted) == 0 ? ALLOC_DONE : ALLOC_WRONG;
}

static void make(struct run *run, struct seen *seen)
{
	static struct listener listeners[100];

	see(seen);
	*run = (struct run){ .seen = seen, .sockets = { .listeners = listeners, .n = 100 } };
	for (size_t i = 0; i < 100; i++)
		listeners[i] = (struct listener){ .addr = { AF_INET, { 127, 0, 0, 1 } },
						  .port = 2000 + (uint32_t)i };
}

static void nothing_is_lost(void **state)
{
	struct run run;

	make(&run, *state);
	alloc_fail_loop("posture_judge", run_posture, &run, false);
	alloc_fail_loop("explain_make", run_explain, &run, false);
	assert_int_equal(explain_make(&run.seen->view, 0, NULL, NULL, &run.explanation), 0);
	assert_int_equal(posture_judge(&run.seen->f->config, &run.seen->f->model,
				       run.seen->expected.verdicts, run.seen->expected.ruleset,
				       &run.sockets, &run.posture),
			 0);
	run.seen->view.sockets = &run.sockets;
	run.seen->view.posture = &run.posture;
	alloc_fail_loop("explain_json", run_explain_json, &run, false);
	alloc_fail_loop("status_json", run_status_json, &run, false);
	explanation_done(&run.explanation);
	run.out = tmpfile();
	assert_non_null(run.out);
	run.term.width = 80;
	(void)run_show(&run);
	alloc_fail_loop("status_show", run_show, &run, false);
	fclose(run.out);
	free(run.wanted);
	posture_done(&run.posture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_lost, see_set_up, see_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
