/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `explain`: which container is meant, which rules see its packets, and the whole of it in both forms. */
#include "see_fixture.h"

#include "jobfence/term.h"

/* --- which container --------------------------------------------------------------------------- */

static struct container named[] = {
	{ .id = "aa11", .name = (char *)"train-0-0-0123abcd", .task_id = (char *)"5c3d" },
	{ .id = "aa22", .name = (char *)"train-1-0-0123abcd", .task_id = (char *)"5c3e" },
	{ .id = "bb33", .name = (char *)"web", .task_id = NULL },
	{ .id = "cc44", .name = (char *)"web2", .task_id = NULL },
	{ .id = "dd55", .name = NULL, .task_id = NULL },
};

static void finds(void **state)
{
	static const struct {
		const char *text;
		size_t n, first;
	} cases[] = {
		{ "aa11", 1, 0 },  { "aa1", 1, 0 },     { "aa", 2, 0 },
		{ "train", 2, 0 }, { "train-1", 1, 1 }, { "train-0-0-0123abcd", 1, 0 },
		{ "web", 1, 2 }, /* whole wins over the start of another */
		{ "we", 2, 2 },    { "web2", 1, 3 },    { "5c3e", 1, 1 },
		{ "5c", 2, 0 },    { "dd", 1, 4 },      { "/web", 1, 2 },
		{ "", 0, 0 },      { "rain", 0, 0 },    { "aa112", 0, 0 },
		{ "/", 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct found found;

		explain_find(named, ARRAY_SIZE(named), cases[i].text, &found);
		if (found.matches_n != cases[i].n ||
		    (cases[i].n > 0 && found.match[0] != cases[i].first))
			fail_msg("%s: %zu, first %zu", cases[i].text, found.matches_n,
				 found.match[0]);
	}
}

static void near_names(void **state)
{
	struct found found;

	explain_find(named, ARRAY_SIZE(named), "wep", &found);
	assert_int_equal(found.near_n, 1);
	assert_int_equal(found.near[0], 2);
	explain_find(named, ARRAY_SIZE(named), "tarin", &found);
	assert_int_equal(found.near_n, 2); /* the run's name, without its numbers */
	explain_find(named, ARRAY_SIZE(named), "atirn", &found);
	assert_int_equal(found.near_n, 0);
	explain_find(named, ARRAY_SIZE(named), "trai-n", &found);
	assert_int_equal(found.near_n, 2);
	explain_find(named, ARRAY_SIZE(named), "rain-1", &found);
	assert_int_equal(found.near_n, 1);
	assert_int_equal(found.near[0], 1);
	explain_find(named, ARRAY_SIZE(named), "x", &found);
	assert_int_equal(found.near_n, 0);
}

/* More of them than are listed are counted all the same, and long names are no trouble. */
static void many(void **state)
{
	static struct container lots[40];
	static char names[40][200], ids[40][CONTAINER_ID_LEN + 1];
	struct found found;

	for (size_t i = 0; i < 40; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%064zu", i);
		lots[i].id = ids[i];
		memset(names[i], 'x', 180);
		lots[i].name = names[i];
	}
	explain_find(lots, 40, "xxx", &found);
	assert_int_equal(found.matches_n, 40);
	memset(names[0], 'y', 180);
	explain_find(lots, 40,
		     "zxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		     &found);
	assert_int_equal(found.matches_n, 0);
	assert_true(found.near_n <= FOUND_MAX);
}

/* --- which rules ------------------------------------------------------------------------------- */

static bool has_rule(const struct explanation *explanation, bool sends, const char *counter)
{
	for (size_t i = 0; i < explanation->rules.n; i++)
		if (explanation->rules.rule[i].sends == sends &&
		    strcmp(explanation->rules.rule[i].counter, counter) == 0)
			return true;
	return false;
}

static void explained(struct seen *seen, size_t i, struct explanation *ret_explanation)
{
	assert_int_equal(explain_make(&seen->view, i, NULL, NULL, ret_explanation), 0);
}

static void rules_of_a_bridge_job(void **state)
{
	struct seen *seen = *state;
	_cleanup_(explanation_done) struct explanation e = { 0 };

	see(seen);
	explained(seen, 0, &e);
	assert_string_equal(e.ports[0], "vetha");
	assert_true(has_rule(&e, true, "job_to_host"));
	assert_true(has_rule(&e, true, "job_to_internal"));
	assert_true(has_rule(&e, true, "job_to_metadata"));
	assert_true(has_rule(&e, true, "job_spoofed"));
	assert_true(has_rule(&e, true, "job_to_neighbour"));
	assert_true(has_rule(&e, false, "to_job"));
	assert_true(has_rule(&e, false, "host_job_to_bridge"));
	assert_true(has_rule(&e, false, "injected"));
	/* sets that do not name it, lists that are empty */
	assert_false(has_rule(&e, true, "bridge_job_quarantined"));
	assert_false(has_rule(&e, true, "unknown_spoofed"));
	assert_false(has_rule(&e, true, "job_to_denied"));
	assert_false(has_rule(&e, true, "host_job_to_host_api"));
}

static void rules_of_a_host_job(void **state)
{
	struct seen *seen = *state;
	_cleanup_(explanation_done) struct explanation e = { 0 };

	see(seen);
	explained(seen, 1, &e);
	assert_true(has_rule(&e, true, "host_job_to_host_api"));
	assert_true(has_rule(&e, true, "host_job_to_runner"));
	assert_true(has_rule(&e, true, "host_job_to_bridge"));
	assert_true(has_rule(&e, false, "shadow_listener"));
	assert_false(has_rule(&e, true, "host_job_quarantined"));
	assert_false(has_rule(&e, true, "host_job_to_fenced"));
	assert_false(has_rule(&e, true, "job_to_host"));
	assert_false(has_rule(&e, false, "to_quarantined"));
}

/* The mode forbids it there: one chain more, and the fence no more. */
static void rules_of_a_quarantined_job(void **state)
{
	struct seen *seen = *state;
	_cleanup_(explanation_done) struct explanation e = { 0 };

	seen->f->config.mode = NETWORK_MODE_FORCED_BRIDGE;
	see(seen);
	explained(seen, 1, &e);
	assert_true(has_rule(&e, true, "host_job_quarantined"));
	assert_true(has_rule(&e, true, "host_job_to_host_api"));
	assert_false(has_rule(&e, true, "host_job_to_published"));
	assert_true(has_rule(&e, false, "to_quarantined"));
}

static void rules_of_bystanders(void **state)
{
	struct seen *seen = *state;
	_cleanup_(explanation_done) struct explanation bridge = { 0 }, host_one = { 0 };

	seen->f->containers[1].is_task = false;
	see(seen);
	explained(seen, 2, &bridge);
	assert_false(has_rule(&bridge, true, "job_to_host"));
	assert_false(has_rule(&bridge, true, "job_to_internal"));
	assert_false(has_rule(&bridge, true, "job_spoofed"));
	assert_false(has_rule(&bridge, true, "unknown_spoofed"));
	/* a job does not reach it, nor it a job */
	assert_true(has_rule(&bridge, true, "job_to_neighbour"));
	assert_false(has_rule(&bridge, false, "injected"));
	explained(seen, 1, &host_one);
	for (size_t i = 0; i < host_one.rules.n; i++)
		assert_false(host_one.rules.rule[i].sends);
}

/* A port that nobody named yet: what is denied to the unknown. */
static void rules_of_an_unknown_port(void **state)
{
	struct seen *seen = *state;
	_cleanup_(explanation_done) struct explanation e = { 0 };

	seen->f->nsid[2] = -1;
	memset(&seen->f->links[6].peer_mac, 0, sizeof(seen->f->links[6].peer_mac));
	seen->f->links[6].nsid = -1;
	see(seen);
	explained(seen, 2, &e);
	assert_string_equal(e.ports[0], "");
	assert_true(has_rule(&e, true, "job_to_host"));
	assert_true(has_rule(&e, true, "unknown_spoofed"));
}

static void audited_rules(void **state)
{
	struct seen *seen = *state;
	_cleanup_(explanation_done) struct explanation e = { 0 };

	seen->f->config.audit = GROUP_BIT(GROUP_HOST);
	see(seen);
	explained(seen, 0, &e);
	for (size_t i = 0; i < e.rules.n; i++)
		assert_int_equal(e.rules.rule[i].audited,
				 rule_group_of(e.rules.rule[i].counter) == GROUP_HOST);
	assert_true(has_rule(&e, true, "job_to_host"));
	/* what is let through goes on to the rules behind */
	assert_true(has_rule(&e, true, "to_job"));
}

/* Every rule that is told of counts somewhere, in words. */
static void every_rule_has_words(void **state)
{
	struct seen *seen = *state;

	see(seen);
	for (size_t i = 0; i < 3; i++) {
		_cleanup_(explanation_done) struct explanation e = { 0 };
		uint64_t packets;

		explained(seen, i, &e);
		for (size_t r = 0; r < e.rules.n; r++) {
			assert_true(explain_counted(&e, &e.rules.rule[r], &packets));
			assert_true(strchr(e.rules.rule[r].why, ' ') != NULL);
		}
	}
}

/* Without a task id an element is told by the name, and another's may end with it. */
static void elements_are_its_own(void **state)
{
	struct seen *seen = *state;
	_cleanup_(explanation_done) struct explanation e = { 0 };

	seen->f->containers[1].is_task = false;
	seen->f->containers[1].name = (char *)"web";
	seen->f->containers[2].name = (char *)"my-web";
	see(seen);
	explained(seen, 1, &e);
	assert_true(e.elems_n > 0);
	for (size_t i = 0; i < e.elems_n; i++)
		assert_string_equal(e.elems[i].elem->comment, "web bystander");
}

/* --- both forms -------------------------------------------------------------------------------- */

static const char *path_of(uint64_t id, void *data)
{
	static char text[64];

	snprintf(text, sizeof(text), "docker/%llu", (unsigned long long)id);
	return text;
}

static void is_explained(struct seen *seen, size_t i, const char *name)
{
	_cleanup_(explanation_done) struct explanation e = { 0 };
	_cleanup_(reach_done) struct reach reach = { 0 };
	const struct reach_input input = {
		.config = &seen->f->config,
		.model = &seen->f->model,
		.skeleton = seen->expected.skeleton,
		.ruleset = seen->expected.ruleset,
		.kept = seen->live ? seen->live->elements : NULL,
		.verdicts = seen->expected.verdicts,
	};
	const struct term plain = { 0 }, narrow = { .width = 60 };
	_cleanup_free_ char *marked = NULL, *text = NULL, *small = NULL, *json_text = NULL,
			    *copy = NULL;
	size_t size;
	char file[64], *rest, *line;
	FILE *out = open_memstream(&marked, &size);

	assert_int_equal(explain_make(&seen->view, i, path_of, NULL, &e), 0);
	assert_int_equal(reach_build(&input, &reach), 0);
	e.reach = &reach;
	explain_print(out, &e);
	fclose(out);
	copy = strdup(marked);
	out = open_memstream(&text, &size);
	term_emit(out, &plain, copy);
	fclose(out);
	snprintf(file, sizeof(file), "explain-%s.txt", name);
	is_golden(file, text);
	out = open_memstream(&small, &size);
	term_emit(out, &narrow, marked);
	fclose(out);
	rest = small;
	while ((line = strsep(&rest, "\n")))
		assert_true(term_columns(line) <= 60);

	json_t *json = explain_json(&e);

	json_text = json_dumps(json, JSON_INDENT(2));
	json_decref(json);
	snprintf(file, sizeof(file), "explain-%s.json", name);
	is_golden(file, json_text);
	is_by_schema("explain.schema.json", file);
}

static void the_whole(void **state)
{
	struct seen *seen = *state;

	see(seen);
	is_explained(seen, 0, "bridge-job");
	is_explained(seen, 1, "host-job");
	is_explained(seen, 2, "bystander");
}

/* Nothing of the kernel, nothing of the details; a name that would paint the screen. */
static void the_unknown(void **state)
{
	struct seen *seen = *state;

	seen->f->containers[0].name = (char *)"x\033[2J\001y\n";
	seen->f->containers[0].inspected = false;
	seen->f->containers[0].hazards = HAZARD_PRIVILEGED;
	seen->f->containers[0].hazard_text = (char *)"/data\036";
	see(seen);
	seen->view.live = NULL;
	seen->view.ruleset = RULESET_UNKNOWN;
	seen->view.ruleset_trouble = "needs root";
	is_explained(seen, 0, "unknown");
}

static void one_that_stopped(void **state)
{
	struct seen *seen = *state;

	seen->f->containers[1].state = CONTAINER_EXITED;
	seen->f->containers[1].pid = 0;
	see(seen);
	is_explained(seen, 1, "stopped");
}

#define SEE(fn) cmocka_unit_test_setup_teardown(fn, see_set_up, see_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds),   cmocka_unit_test(near_names),
		cmocka_unit_test(many),    SEE(rules_of_a_bridge_job),
		SEE(rules_of_a_host_job),  SEE(rules_of_a_quarantined_job),
		SEE(rules_of_bystanders),  SEE(rules_of_an_unknown_port),
		SEE(audited_rules),        SEE(every_rule_has_words),
		SEE(elements_are_its_own), SEE(the_whole),
		SEE(the_unknown),          SEE(one_that_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
