/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records as rules: every rule that stops is told under its counter's name and stops as it did before;
 * no rule that lets something through is touched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/mode.h"
#include "jobfence/render.h"

static struct skeleton *build(uint32_t mode, uint32_t audit, uint32_t group)
{
	struct skeleton_params params = {
		.mode = mode,
		.parent_level = 1,
		.engine_level = 2,
		.shared_parent = mode == 2,
		.bridge_meta = mode != 2,
		.egress = true,
		.runner_port = 10999,
		.mark_bystander = 0x08000000,
		.mark_container = 0x10000000,
		.mark_host = 0x20000000,
		.guarded = true,
		.fenced = true,
		.audit = audit,
		.audit_log = true,
		.log_group = group,
	};
	struct skeleton *skeleton = calloc(1, sizeof(*skeleton));

	assert_non_null(skeleton);
	skeleton_build(&params, skeleton);
	return skeleton;
}

static bool is_log_chain(const char *name)
{
	return name && strncmp(name, "log_", 4) == 0;
}

static const struct stmt *last_of(const struct rule *rule)
{
	const struct stmt *last = rule->stmts;

	for (const struct stmt *s = rule->stmts; s->kind != STMT_END; s++)
		last = s;
	return last;
}

static const char *counter_of(const struct rule *rule)
{
	for (const struct stmt *s = rule->stmts; s->kind != STMT_END; s++)
		if (s->kind == STMT_COUNTER)
			return s->name;
	return "";
}

static void copy_stmts(struct stmt copy[static RULE_STMTS_MAX + 1], const struct rule *rule,
		       bool but_verdict)
{
	size_t n = (size_t)(last_of(rule) - rule->stmts) + 1;

	assert_true(n <= RULE_STMTS_MAX);
	memcpy(copy, rule->stmts, (n + 1) * sizeof(*copy));
	if (but_verdict)
		copy[n - 1].kind = STMT_END;
}

static bool same_stmt(const struct skeleton *skeleton, const struct rule *a, const struct rule *b,
		      bool but_verdict)
{
	struct stmt stmts[2][RULE_STMTS_MAX + 1];
	const struct rule one = { .stmts = stmts[0] }, two = { .stmts = stmts[1] };
	char text[2][600];

	copy_stmts(stmts[0], a, but_verdict);
	copy_stmts(stmts[1], b, but_verdict);
	assert_int_equal(render_rule(&one, &skeleton->params, text[0], sizeof(text[0])), 0);
	assert_int_equal(render_rule(&two, &skeleton->params, text[1], sizeof(text[1])), 0);
	return strcmp(text[0], text[1]) == 0;
}

/* Where @chain ends, whatever the limit says: its last rule is the verdict that @plain had. */
static void ends_as(const struct skeleton *skeleton, const struct chain *chain,
		    const struct stmt *plain, const char *prefix)
{
	const struct rule *end = &chain->rules[chain->rules_n - 1];
	size_t logs = 0;

	assert_int_equal(end->stmts[1].kind, STMT_END);
	assert_int_equal(end->stmts[0].kind, STMT_VERDICT);
	if (plain->verdict == VERDICT_JUMP)
		assert_int_equal(end->stmts[0].verdict, VERDICT_GOTO);
	else
		assert_int_equal(end->stmts[0].verdict, plain->verdict);
	if (plain->name)
		assert_string_equal(end->stmts[0].name, plain->name);
	for (size_t i = 0; i + 1 < chain->rules_n; i++)
		for (const struct stmt *stmt = chain->rules[i].stmts; stmt->kind != STMT_END;
		     stmt++) {
			if (stmt->kind == STMT_LOG) {
				logs++;
				assert_string_equal(stmt->name, prefix);
				assert_int_equal(stmt->value, 10998);
			}
			/* only what is in audit may leave early, to the same end */
			if (stmt->kind == STMT_VERDICT) {
				assert_int_equal(plain->verdict, VERDICT_JUMP);
				assert_string_equal(stmt->name, plain->name);
			}
			assert_int_not_equal(stmt->kind, STMT_REJECT);
		}
	assert_true(logs > 0);
}

static void compare_rule(const struct skeleton *told, const struct chain *chain,
			 const struct rule *with, const struct rule *plain)
{
	const struct stmt *verdict = last_of(with);
	const char *counter = counter_of(plain);
	char audit[64];

	if (verdict->kind != STMT_VERDICT || !is_log_chain(verdict->name)) {
		bool stops = verdict->kind == STMT_VERDICT &&
			     (verdict->verdict == VERDICT_DROP ||
			      (verdict->verdict == VERDICT_GOTO &&
			       strncmp(verdict->name, "refuse", 6) == 0));

		assert_true(same_stmt(told, with, plain, false));
		if (stops && *counter && skeleton_is_told(counter))
			fail_msg("chain %s: %s is not told", chain->name, counter);
		return;
	}
	snprintf(audit, sizeof(audit), RECORD_AUDIT_PREFIX "%s", counter);
	assert_true(same_stmt(told, with, plain, true));
	assert_true(skeleton_is_told(counter));
	assert_int_equal(verdict->verdict == VERDICT_JUMP, last_of(plain)->verdict == VERDICT_JUMP);
	ends_as(told, skeleton_find_chain(told, chain->family, verdict->name), last_of(plain),
		verdict->verdict == VERDICT_JUMP ? audit : counter);
}

static void every_rule_does_what_it_did(void **state)
{
	static const uint32_t audits[] = { 0, GROUPS_ALL, GROUP_BIT(GROUP_HOST_APIS) };
	size_t rules = 0, stmts = 0;

	for (uint32_t i = 0; i < 9; i++) {
		_cleanup_free_ struct skeleton *plain = build(1 + i % 3, audits[i / 3], 0);
		_cleanup_free_ struct skeleton *told = build(1 + i % 3, audits[i / 3], 10998);

		for (size_t j = 0; j < plain->chains_n; j++) {
			const struct chain *a = &plain->chains[j], *b = &told->chains[j];

			assert_string_equal(a->name, b->name);
			assert_int_equal(a->rules_n, b->rules_n);
			for (size_t k = 0; k < a->rules_n; k++)
				compare_rule(told, b, &b->rules[k], &a->rules[k]);
		}
		for (size_t j = plain->chains_n; j < told->chains_n; j++)
			assert_true(is_log_chain(told->chains[j].name));
		assert_true(told->chains_n > plain->chains_n);
		rules = told->rules_n > rules ? told->rules_n : rules;
		stmts = told->stmts_n > stmts ? told->stmts_n : stmts;
		print_message("%zu chains, %zu rules, %zu statements\n", told->chains_n,
			      told->rules_n, told->stmts_n);
	}
	assert_true(rules < RULES_MAX);
	assert_true(stmts < STMTS_MAX);
}

static bool sets_mark(const struct rule *rule)
{
	for (const struct stmt *s = rule->stmts; s->kind != STMT_END; s++)
		if (s->kind == STMT_MARK_MAP || s->kind == STMT_MARK_COPY)
			return true;
	return false;
}

/* What is let through in audit has its mark back in the same rule, behind the limit. */
static void audit_leaves_no_mark(void **state)
{
	_cleanup_free_ struct skeleton *skeleton = build(2, GROUPS_ALL, 10998);
	size_t seen = 0;

	for (size_t i = 0; i < skeleton->chains_n; i++)
		for (size_t j = 0; j < skeleton->chains[i].rules_n; j++) {
			const struct rule *rule = &skeleton->chains[i].rules[j];
			char text[600];

			if (!is_log_chain(skeleton->chains[i].name) || !sets_mark(rule))
				continue;
			seen++;
			assert_int_equal(render_rule(rule, &skeleton->params, text, sizeof(text)),
					 0);
			assert_int_equal(strncmp(text, "meta mark 0 limit ", 18), 0);
			assert_non_null(strstr(text, " set meta mark & 0x00000000 goto audit_"));
		}
	assert_true(seen > 0);
}

static void which_counters_are_told(void **state)
{
	_cleanup_free_ struct skeleton *skeleton = build(2, 0, 0);

	for (size_t i = 0; i < skeleton->counters_n; i++) {
		const char *name = skeleton->counters[i].name;
		bool nobodys = strcmp(name, "unheard") == 0 || strcmp(name, "wrong_port") == 0 ||
			       strcmp(name, "stale_bystander") == 0;

		if (skeleton_is_told(name) == nobodys)
			fail_msg("%s is told: %d", name, !nobodys);
	}
	assert_false(skeleton_is_told("nobody's"));
}

/* As the daemon does when the mode changes. */
static void it_is_built_again_where_it_is(void **state)
{
	_cleanup_free_ struct skeleton *skeleton = build(2, GROUPS_ALL, 10998);
	const size_t chains_n = skeleton->chains_n, rules_n = skeleton->rules_n,
		     stmts_n = skeleton->stmts_n;
	const struct skeleton_params params = skeleton->params;

	for (size_t i = 0; i < 3; i++)
		skeleton_build(&params, skeleton);
	assert_int_equal(skeleton->chains_n, chains_n);
	assert_int_equal(skeleton->rules_n, rules_n);
	assert_int_equal(skeleton->stmts_n, stmts_n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_does_what_it_did),
		cmocka_unit_test(audit_leaves_no_mark),
		cmocka_unit_test(which_counters_are_told),
		cmocka_unit_test(it_is_built_again_where_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
