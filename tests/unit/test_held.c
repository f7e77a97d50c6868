/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which jobs are called held: none where the fence is not whole, or where nobody looked. */
#include "see_fixture.h"

static const struct status_row *row_of(const struct seen *seen, const char *id)
{
	for (size_t i = 0; i < seen->view.rows_n; i++)
		if (strcmp(seen->view.rows[i].container->id, id) == 0)
			return &seen->view.rows[i];
	fail_msg("no row %s", id);
	return NULL;
}

static void look_again(struct seen *seen)
{
	struct status_view view = seen->view;

	view.rows = NULL;
	status_view_done(&seen->view);
	seen->view = view;
	assert_int_equal(status_view_fill(&seen->view), 0);
}

/* The bridge job, the host job and the bystander. */
static void held(const struct seen *seen, enum held a, enum held b, enum held c)
{
	assert_int_equal(status_row_held(&seen->view, row_of(seen, ID_A)), a);
	assert_int_equal(status_row_held(&seen->view, row_of(seen, ID_B)), b);
	assert_int_equal(status_row_held(&seen->view, row_of(seen, ID_C)), c);
}

static void shows(const struct seen *seen, const char *wanted)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	status_print(out, &seen->view);
	fclose(out);
	if (!strstr(text, wanted))
		fail_msg("no \"%s\" in: %s", wanted, text);
}

/* One table is there, and nothing in it. */
static void not_where_a_table_is_missing(void **state)
{
	struct seen *seen = *state;

	see(seen);
	held(seen, HELD_YES, HELD_YES, HELD_YES);
	seen->live->table[FAMILY_BRIDGE] = true;
	look_again(seen);
	assert_int_equal(seen->view.ruleset, RULESET_DIFFERS);
	assert_true(seen->view.broken);
	held(seen, HELD_NO, HELD_NO, HELD_YES);
	shows(seen, ", NO JOB IS HELD: see jobfence verify\n");
	shows(seen, "NOT HELD (isolated)");
	seen->view.broken = false;
	held(seen, HELD_YES, HELD_YES, HELD_YES);
}

static void not_known_where_nobody_looked(void **state)
{
	struct seen *seen = *state;

	see(seen);
	seen->view.live = NULL;
	look_again(seen);
	held(seen, HELD_UNKNOWN, HELD_UNKNOWN, HELD_YES);
	shows(seen, "? (isolated)");

	json_t *json = status_row_json(&seen->view, row_of(seen, ID_A));

	assert_true(json_is_null(json_object_get(json, "held")));
	json_decref(json);
}

/* An inspection that hangs: it may be a privileged one. */
static void not_known_before_the_engine_told(void **state)
{
	struct seen *seen = *state;

	seen->f->containers[0].inspected = false;
	see(seen);
	held(seen, HELD_UNKNOWN, HELD_YES, HELD_YES);
	shows(seen, "? (isolated)");

	json_t *json = status_row_json(&seen->view, row_of(seen, ID_A));

	assert_true(json_is_null(json_object_get(json, "held")));
	assert_true(json_is_null(json_object_get(json, "hazards")));
	json_decref(json);
	seen->view.ruleset = RULESET_ABSENT;
	held(seen, HELD_NO, HELD_NO, HELD_YES);
}

static void add_cgroup(struct ruleset *ruleset, enum set_id set, uint64_t id)
{
	struct elem_key key;

	elem_key_init(&key);
	elem_key_u64(&key, id);
	assert_int_equal(ruleset_add(ruleset, set, &key, 0, NULL), 0);
	ruleset_seal(ruleset);
}

/* An element that lets one job out is no matter of the others. */
static void not_who_is_freed(void **state)
{
	struct seen *seen = *state;

	see(seen);
	seen->view.ruleset = RULESET_DIFFERS;
	add_cgroup(seen->live->elements, SET_BYSTANDER_CGROUPS, 4711);
	look_again(seen);
	seen->view.ruleset = RULESET_DIFFERS;
	held(seen, HELD_YES, HELD_YES, HELD_YES);
	add_cgroup(seen->live->elements, SET_BYSTANDER_CGROUPS, 1001);
	look_again(seen);
	seen->view.ruleset = RULESET_DIFFERS;
	held(seen, HELD_YES, HELD_NO, HELD_YES);
}

/* Without its element a job that should be quarantined is only fenced. */
static void not_without_quarantine(void **state)
{
	struct seen *seen = *state;
	struct elems *elems;

	seen->f->containers[1].nano_cpus = 1;
	see(seen);
	elems = &seen->live->elements->sets[SET_QUARANTINED_CGROUPS];
	assert_int_equal(elems->n, 1);
	elems->n = 0;
	look_again(seen);
	seen->view.ruleset = RULESET_DIFFERS;
	held(seen, HELD_YES, HELD_NO, HELD_YES);
}

#define SEE(fn) cmocka_unit_test_setup_teardown(fn, see_set_up, see_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SEE(not_where_a_table_is_missing),     SEE(not_known_where_nobody_looked),
		SEE(not_known_before_the_engine_told), SEE(not_who_is_freed),
		SEE(not_without_quarantine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
