/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plan against plain data: what is missing is added, what is not ours goes, in an order that
 * the kernel accepts; what is equal is left alone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/plan.h"

struct fixture {
	struct skeleton skeleton;
	struct ruleset *desired;
	struct live *live;
	struct ops ops;
};

static void add(struct ruleset *ruleset, enum set_id set, const char *name, const char *comment)
{
	struct elem_key key;
	const char *copy = NULL;

	elem_key_init(&key);
	elem_key_ifname(&key, name);
	if (comment)
		assert_int_equal(ruleset_comment(ruleset, comment, &copy), 0);
	assert_int_equal(ruleset_add(ruleset, set, &key, 0, copy), 0);
}

/* The kernel as it is right after @skeleton and nothing else was committed. */
static void make_live(struct fixture *f)
{
	struct live *live;

	assert_int_equal(live_new(&live), 0);
	live->table[FAMILY_INET] = live->table[FAMILY_BRIDGE] = true;
	live->counters_n = f->skeleton.counters_n;
	live->counters = calloc(live->counters_n, sizeof(*live->counters));
	assert_non_null(live->counters);
	for (size_t i = 0; i < live->counters_n; i++)
		live->counters[i].present = true;
	for (size_t i = 0; i < SET_MAX; i++)
		live->set_present[i] = true;
	live->chains = calloc(f->skeleton.chains_n + 1, sizeof(*live->chains));
	assert_non_null(live->chains);
	for (size_t i = 0; i < f->skeleton.chains_n; i++) {
		const struct chain *chain = &f->skeleton.chains[i];
		struct live_chain *to = &live->chains[live->chains_n++];

		*to = (struct live_chain){ .family = chain->family,
					   .name = strdup(chain->name),
					   .base = chain->base,
					   .hook = chain->hook,
					   .priority = chain->priority,
					   .plain = true };
		to->rules = calloc(chain->rules_n, sizeof(*to->rules));
		assert_non_null(to->rules);
		for (size_t j = 0; j < chain->rules_n; j++)
			assert_int_equal(nft_rule_fingerprint(chain, &chain->rules[j],
							      &f->skeleton.params,
							      &to->rules[to->rules_n++]),
					 0);
	}
	f->live = live;
}

static int set_up(void **state)
{
	struct skeleton_params params = { .mode = 2,
					  .parent_level = 1,
					  .engine_level = 2,
					  .runner_port = 10999,
					  .mark_bystander = 1 << 27,
					  .mark_container = 1 << 28,
					  .mark_host = 1 << 29 };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	skeleton_build(&params, &f->skeleton);
	assert_int_equal(ruleset_new(&f->desired), 0);
	make_live(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	ruleset_free(f->desired);
	live_free(f->live);
	ops_done(&f->ops);
	free(f);
	return 0;
}

static size_t plan(struct fixture *f)
{
	ruleset_seal(f->desired);
	ruleset_seal(f->live->elements);
	ops_done(&f->ops);
	assert_int_equal(plan_make(&f->skeleton, f->desired, f->live, &f->ops), 0);
	return f->ops.n;
}

static void assert_steps(struct fixture *f, const char *const *want, size_t n)
{
	assert_int_equal(plan(f), n);
	for (size_t i = 0; i < n; i++) {
		char text[600];

		op_text(&f->ops.op[i], text, sizeof(text));
		assert_string_equal(text, want[i]);
	}
}

#define ASSERT_STEPS(f, ...)                                    \
	assert_steps((f), (const char *const[]){ __VA_ARGS__ }, \
		     ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))

static void equal_gives_no_step(void **state)
{
	struct fixture *f = *state;

	add(f->desired, SET_GUARDED_BRIDGES, "docker0", NULL);
	add(f->live->elements, SET_GUARDED_BRIDGES, "docker0", NULL);
	assert_int_equal(plan(f), 0);
}

static void empty_kernel_gets_everything_in_order(void **state)
{
	struct fixture *f = *state;
	enum op_kind last = OP_ADD_TABLE;

	live_free(f->live);
	assert_int_equal(live_new(&f->live), 0);
	add(f->desired, SET_GUARDED_BRIDGES, "docker0", NULL);
	assert_true(plan(f) > 100);
	for (size_t i = 0; i < f->ops.n; i++) {
		assert_true(f->ops.op[i].kind >= last);
		last = f->ops.op[i].kind;
	}
	assert_int_equal(last, OP_ADD_RULE);
}

static void elements_change_one_by_one(void **state)
{
	struct fixture *f = *state;

	add(f->desired, SET_BYSTANDER_PORTS, "a", "web bystander");
	add(f->desired, SET_BYSTANDER_PORTS, "b", "db bystander");
	add(f->live->elements, SET_BYSTANDER_PORTS, "b", "old name");
	add(f->live->elements, SET_BYSTANDER_PORTS, "c", NULL);
	ASSERT_STEPS(f, "delete element \"b\" of set bridge bystander_ports (old name)",
		     "delete element \"c\" of set bridge bystander_ports",
		     "add element \"a\" of set bridge bystander_ports (web bystander)",
		     "add element \"b\" of set bridge bystander_ports (db bystander)");
}

static void a_missing_comment_is_a_difference(void **state)
{
	struct fixture *f = *state;

	add(f->desired, SET_BYSTANDER_PORTS, "a", "web bystander");
	add(f->live->elements, SET_BYSTANDER_PORTS, "a", NULL);
	ASSERT_STEPS(f, "delete element \"a\" of set bridge bystander_ports",
		     "add element \"a\" of set bridge bystander_ports (web bystander)");
}

static void kept_elements_stay(void **state)
{
	struct fixture *f = *state;

	f->desired->keep[SET_BYSTANDER_PORTS] = true;
	add(f->desired, SET_BYSTANDER_PORTS, "b", "new");
	add(f->live->elements, SET_BYSTANDER_PORTS, "a", NULL);
	add(f->live->elements, SET_BYSTANDER_PORTS, "b", "old");
	ASSERT_STEPS(f, "delete element \"b\" of set bridge bystander_ports (old)",
		     "add element \"b\" of set bridge bystander_ports (new)");
}

#define SECOND 1000000ULL

static void add_timed(struct ruleset *ruleset, const char *name, uint64_t ends)
{
	struct elem_key key;

	elem_key_init(&key);
	elem_key_ifname(&key, name);
	assert_int_equal(ruleset_add_timed(ruleset, SET_BYSTANDER_PORTS, &key, ends, NULL), 0);
}

/* The kernel's end is not to the moment what was asked for; what would end later, earlier or never is
 * another element. */
static void ends_are_compared(void **state)
{
	static const struct {
		uint64_t want, have;
		bool equal;
	} cases[] = {
		{ 100 * SECOND, 100 * SECOND + 1999999, true },
		{ 100 * SECOND, 98 * SECOND + 1, true },
		{ 100 * SECOND, 102 * SECOND, false },
		{ 100 * SECOND, 98 * SECOND, false },
		{ 100 * SECOND, 0, false },
		{ 0, 100 * SECOND, false },
		{ 1, 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct elem_extra wanted = { .ends = cases[i].want },
				  had = { .ends = cases[i].have };
		const struct elem want = { .extra = &wanted }, have = { .extra = &had };

		assert_int_equal(elem_equal(&want, &have), cases[i].equal);
		assert_int_equal(elem_equal(&have, &want), cases[i].equal);
	}
}

/* While the engine is silent all is kept; of what opens for a time only what is released yet. */
static void timed_elements_are_not_kept(void **state)
{
	struct fixture *f = *state;

	f->desired->keep[SET_BYSTANDER_PORTS] = true;
	add(f->live->elements, SET_BYSTANDER_PORTS, "a", NULL);
	add_timed(f->live->elements, "b", 100 * SECOND);
	add_timed(f->live->elements, "c", 100 * SECOND);
	add_timed(f->desired, "c", 101 * SECOND);
	ASSERT_STEPS(f, "delete element \"b\" of set bridge bystander_ports");
	f->desired->keep_ends = calloc(2, sizeof(*f->desired->keep_ends));
	assert_non_null(f->desired->keep_ends);
	f->desired->keep_ends[0] = 50 * SECOND;
	f->desired->keep_ends_n = 1;
	ASSERT_STEPS(f, "delete element \"b\" of set bridge bystander_ports");
	f->desired->keep_ends[1] = 99 * SECOND;
	f->desired->keep_ends_n = 2;
	assert_int_equal(plan(f), 0);
}

/* The kernel may have taken it out by itself: it has to be read. */
static void what_has_ended_is_read_anew(void **state)
{
	struct fixture *f = *state;

	add(f->live->elements, SET_BYSTANDER_PORTS, "a", NULL);
	add_timed(f->live->elements, "b", 100 * SECOND);
	ruleset_seal(f->live->elements);
	assert_false(plan_elements_suffice(f->desired, f->live->elements, 0));
	add_timed(f->desired, "b", 200 * SECOND);
	ruleset_seal(f->desired);
	assert_true(plan_elements_suffice(f->desired, f->live->elements, 0));
}

/* Of a bystander and a released job with one key the shorter counts. */
static void the_first_end_counts(void **state)
{
	struct fixture *f = *state;

	add(f->desired, SET_BYSTANDER_PORTS, "a", "aaa");
	add_timed(f->desired, "a", 100 * SECOND);
	add_timed(f->desired, "a", 50 * SECOND);
	ruleset_seal(f->desired);
	assert_int_equal(f->desired->sets[SET_BYSTANDER_PORTS].n, 1);
	assert_int_equal(elem_extra(&f->desired->sets[SET_BYSTANDER_PORTS].elem[0])->ends,
			 50 * SECOND);
}

static void a_changed_rule_rewrites_its_chain_only(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->live->chains_n; i++)
		if (strcmp(f->live->chains[i].name, "between_ports") == 0)
			f->live->chains[i].rules[0][0] = '?';
	ASSERT_STEPS(f, "flush chain bridge between_ports",
		     "add a rule to chain bridge between_ports",
		     "add a rule to chain bridge between_ports",
		     "add a rule to chain bridge between_ports");
}

static void a_stranger_goes(void **state)
{
	struct fixture *f = *state;
	struct live_chain *chain = &f->live->chains[f->live->chains_n++];

	*chain = (struct live_chain){ .family = FAMILY_INET,
				      .name = strdup("stranger"),
				      .plain = true };
	f->live->extra = calloc(1, sizeof(*f->live->extra));
	f->live->extra[f->live->extra_n++] =
		(struct live_object){ LIVE_SET, FAMILY_INET, strdup("strange_set") };
	ASSERT_STEPS(f, "delete set inet strange_set", "delete chain inet stranger");
}

static void another_priority_remakes_the_chain(void **state)
{
	struct fixture *f = *state;
	size_t rules = 0;

	for (size_t i = 0; i < f->live->chains_n; i++)
		if (strcmp(f->live->chains[i].name, "postrouting") == 0) {
			f->live->chains[i].priority++;
			rules = f->live->chains[i].rules_n;
		}
	assert_int_equal(plan(f), 3 + rules);
	assert_int_equal(f->ops.op[0].kind, OP_FLUSH_CHAIN);
	assert_int_equal(f->ops.op[1].kind, OP_DEL_CHAIN);
	assert_int_equal(f->ops.op[2].kind, OP_ADD_CHAIN);
}

static void a_set_of_another_shape_is_made_anew(void **state)
{
	struct fixture *f = *state;
	size_t flushes = 0, rules = 0;

	f->live->set_differs[SET_JOBS4] = true;
	add(f->live->elements, SET_JOBS4, "stale", NULL);
	add(f->desired, SET_JOBS4, "docker0", NULL);
	plan(f);
	for (size_t i = 0; i < f->ops.n; i++) {
		flushes += f->ops.op[i].kind == OP_FLUSH_CHAIN;
		rules += f->ops.op[i].kind == OP_ADD_RULE;
		assert_int_not_equal(f->ops.op[i].kind, OP_DEL_ELEM);
		assert_int_not_equal(f->ops.op[i].kind, OP_DEL_CHAIN);
	}
	assert_int_equal(flushes, f->skeleton.chains_n);
	assert_true(rules > 60);
}

static void a_missing_set_and_another_policy_are_mended(void **state)
{
	struct fixture *f = *state;

	f->live->set_present[SET_OWN] = false;
	ASSERT_STEPS(f, "add set inet own");
	f->live->set_present[SET_OWN] = true;
	for (size_t i = 0; i < f->live->chains_n; i++)
		if (strcmp(f->live->chains[i].name, "postrouting") == 0)
			f->live->chains[i].plain = false;
	plan(f);
	assert_int_equal(f->ops.op[1].kind, OP_DEL_CHAIN);
}

static void add_network(struct ruleset *ruleset, uint8_t first, uint8_t last)
{
	struct elem_key from, to;

	elem_key_init(&from);
	elem_key_init(&to);
	elem_key_add(&from, (uint8_t[]){ first, 0, 0, 0 }, 4);
	elem_key_add(&to, (uint8_t[]){ last, 255, 255, 255 }, 4);
	assert_int_equal(ruleset_add_range(ruleset, SET_DENY4, &from, &to), 0);
}

/* One chain with one rule that looks an interval set up. */
static const struct chain *only_look_up(struct fixture *f)
{
	static const struct stmt stmts[] = {
		{ .kind = STMT_LOOKUP, .set = SET_DENY4, .fields = { F_IP_DADDR }, .fields_n = 1 },
		{ .kind = STMT_VERDICT, .verdict = VERDICT_DROP },
		{ .kind = STMT_END },
	};
	struct chain *chain = &f->skeleton.chains[0];

	for (size_t i = 0; i < f->skeleton.stmts_n; i++)
		if (f->skeleton.stmts[i].kind == STMT_LOOKUP)
			f->skeleton.stmts[i].set = SET_OWN_APIS;
	chain->rules[0] = (struct rule){ .stmts = stmts };
	chain->rules_n = 1;
	live_free(f->live);
	make_live(f);
	return chain;
}

static void an_interval_set_is_made_anew_behind_a_copy(void **state)
{
	struct fixture *f = *state;
	const struct chain *chain = only_look_up(f);
	char flush[80], add_rule[80];

	snprintf(flush, sizeof(flush), "flush chain inet %s", chain->name);
	snprintf(add_rule, sizeof(add_rule), "add a rule to chain inet %s", chain->name);
	add_network(f->live->elements, 10, 10);
	add_network(f->desired, 10, 11);
	ASSERT_STEPS(f, "add set inet deny4.next", "add element 10.0.0.0/7 of set inet deny4.next",
		     "commit", flush, "delete set inet deny4", "add set inet deny4",
		     "add element 10.0.0.0/7 of set inet deny4", add_rule, "commit", flush,
		     add_rule, "delete set inet deny4.next");
	/* the rules of the second transaction look the copy up, those of the third the set */
	assert_int_equal(f->ops.op[7].next, SET_BIT_OF(SET_DENY4));
	assert_int_equal(f->ops.op[10].next, 0);
	assert_false(plan_elements_suffice(f->desired, f->live->elements, 0));
}

static void equal_intervals_are_left_alone(void **state)
{
	struct fixture *f = *state;

	add_network(f->live->elements, 10, 11);
	add_network(f->desired, 10, 11);
	assert_int_equal(plan(f), 0);
	assert_true(plan_elements_suffice(f->desired, f->live->elements, 0));
	add(f->desired, SET_JOBS4, "docker0", NULL);
	ruleset_seal(f->desired);
	assert_true(plan_elements_suffice(f->desired, f->live->elements, 0));
}

/* A step that was killed half way: rules may look the copy up. */
static void a_left_copy_goes_and_is_not_taken(void **state)
{
	struct fixture *f = *state;
	bool deleted = false;

	add_network(f->live->elements, 10, 10);
	add_network(f->desired, 10, 11);
	f->live->extra = calloc(1, sizeof(*f->live->extra));
	assert_non_null(f->live->extra);
	f->live->extra[f->live->extra_n++] =
		(struct live_object){ LIVE_SET, FAMILY_INET, strdup("deny4.next") };
	plan(f);
	for (size_t i = 0; i < f->ops.n; i++) {
		assert_int_not_equal(f->ops.op[i].kind, OP_COMMIT);
		assert_false(f->ops.op[i].kind == OP_ADD_SET &&
			     strcmp(f->ops.op[i].name, "deny4") != 0);
		deleted |= f->ops.op[i].kind == OP_DEL_SET &&
			   strcmp(f->ops.op[i].name, "deny4.next") == 0;
	}
	assert_true(deleted);
}

static void stands(struct fixture *f, int wanted)
{
	assert_int_equal(plan_fence_stands(&f->skeleton, f->desired, f->live), wanted);
}

/* What comes and goes with containers may differ; what stands before them may not. */
static void a_fence_stands_only_whole(void **state)
{
	struct fixture *f = *state;
	struct live_chain *chain;

	stands(f, 1);
	add(f->desired, SET_BYSTANDER_PORTS, "vethx", NULL);
	add(f->desired, SET_GUARDED_BRIDGES, "br-0123456789ab", NULL);
	add(f->live->elements, SET_JOB_PORTS, "vethy", NULL);
	ruleset_seal(f->desired);
	ruleset_seal(f->live->elements);
	stands(f, 1);
	f->live->table_flags[FAMILY_INET] = TABLE_DORMANT;
	stands(f, 0);
	f->live->table_flags[FAMILY_INET] = 0;
	f->live->table[FAMILY_BRIDGE] = false;
	stands(f, 0);
	f->live->table[FAMILY_BRIDGE] = true;
	f->live->set_present[SET_JOBS4] = false;
	stands(f, 0);
	f->live->set_present[SET_JOBS4] = true;
	f->live->set_differs[SET_JOBS4] = true;
	stands(f, 0);
	f->live->set_differs[SET_JOBS4] = false;
	stands(f, 1);
	for (chain = f->live->chains; chain->rules_n == 0; chain++)
		;
	chain->rules_n--;
	stands(f, 0);
	chain->rules_n++;
	for (chain = f->live->chains; !chain->base; chain++)
		;
	chain->priority++;
	stands(f, 0);
	chain->priority--;
	stands(f, 1);
	f->live->chains_n--;
	stands(f, 0);
	f->live->chains_n++;
	add(f->desired, SET_GUARDED_BRIDGES, "docker9", NULL);
	ruleset_seal(f->desired);
	stands(f, 0);
	add(f->live->elements, SET_GUARDED_BRIDGES, "docker9", NULL);
	ruleset_seal(f->live->elements);
	stands(f, 1);
	add_network(f->desired, 10, 11);
	ruleset_seal(f->desired);
	stands(f, 0);
}

static void nothing_is_allowed_beyond(void **state)
{
	struct fixture *f = *state;
	struct elem_key key;

	elem_key_init(&key);
	elem_key_add(&key, (uint8_t[]){ 10, 0, 0, 7 }, 4);
	assert_int_equal(ruleset_add_range(f->desired, SET_ALLOW4, &key, &key), 0);
	ruleset_seal(f->desired);
	stands(f, 1);
	assert_int_equal(ruleset_add_range(f->live->elements, SET_ALLOW4, &key, &key), 0);
	ruleset_seal(f->live->elements);
	stands(f, 1);
	key.bytes[3] = 8;
	assert_int_equal(ruleset_add_range(f->live->elements, SET_ALLOW4, &key, &key), 0);
	ruleset_seal(f->live->elements);
	stands(f, 0);
}

static void remove_takes_what_is_there(void **state)
{
	struct fixture *f = *state;

	f->live->table[FAMILY_INET] = false;
	assert_int_equal(plan_remove(f->live, &f->ops), 0);
	assert_int_equal(f->ops.n, 1);
	assert_int_equal(f->ops.op[0].kind, OP_DEL_TABLE);
	assert_int_equal(f->ops.op[0].family, FAMILY_BRIDGE);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(equal_gives_no_step),
		TEST(empty_kernel_gets_everything_in_order),
		TEST(elements_change_one_by_one),
		TEST(a_missing_comment_is_a_difference),
		TEST(kept_elements_stay),
		TEST(ends_are_compared),
		TEST(timed_elements_are_not_kept),
		TEST(what_has_ended_is_read_anew),
		TEST(the_first_end_counts),
		TEST(a_changed_rule_rewrites_its_chain_only),
		TEST(a_stranger_goes),
		TEST(another_priority_remakes_the_chain),
		TEST(a_set_of_another_shape_is_made_anew),
		TEST(a_missing_set_and_another_policy_are_mended),
		TEST(an_interval_set_is_made_anew_behind_a_copy),
		TEST(equal_intervals_are_left_alone),
		TEST(a_left_copy_goes_and_is_not_taken),
		TEST(a_fence_stands_only_whole),
		TEST(nothing_is_allowed_beyond),
		TEST(remove_takes_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
