/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Audit mode as rules: what is audited is never stopped, what is not is stopped as before, and no
 * counter is without a group.
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

#define VARIANTS 12 /* mode, shared parent, bridge_meta */

static struct skeleton *build(size_t variant, uint32_t audit)
{
	struct skeleton_params params = {
		.mode = 1 + (uint32_t)variant % 3,
		.parent_level = 1,
		.engine_level = 2,
		.shared_parent = variant / 3 % 2,
		.bridge_meta = variant / 6 % 2,
		.runner_port = 10999,
		.mark_bystander = 0x08000000,
		.mark_container = 0x10000000,
		.mark_host = 0x20000000,
		.guarded = true,
		.fenced = true,
		.audit = audit,
		.audit_log = true,
	};
	struct skeleton *skeleton = calloc(1, sizeof(*skeleton));

	assert_non_null(skeleton);
	skeleton_build(&params, skeleton);
	return skeleton;
}

static const struct chain *find_chain(const struct skeleton *skeleton, enum family family,
				      const char *name)
{
	const struct chain *chain = skeleton_find_chain(skeleton, family, name);

	if (!chain)
		fail_msg("no chain %s", name);
	return chain;
}

static const char *counter_of(const struct rule *rule)
{
	for (const struct stmt *s = rule->stmts; s->kind != STMT_END; s++)
		if (s->kind == STMT_COUNTER)
			return s->name;
	return NULL;
}

static bool is_deny(const struct stmt *stmt)
{
	return stmt->kind == STMT_REJECT ||
	       (stmt->kind == STMT_VERDICT && stmt->verdict == VERDICT_DROP);
}

/* Follows every jump and goto; -1 where a deny is met. The depth of the kernel is 16. */
static int walk(const struct skeleton *skeleton, const struct chain *chain, int depth)
{
	assert_true(depth < 16);
	for (size_t i = 0; i < chain->rules_n; i++)
		for (const struct stmt *stmt = chain->rules[i].stmts; stmt->kind != STMT_END;
		     stmt++) {
			if (is_deny(stmt))
				return -1;
			if (stmt->kind == STMT_VERDICT && stmt->name &&
			    walk(skeleton, find_chain(skeleton, chain->family, stmt->name),
				 depth + 1) < 0)
				return -1;
		}
	return 0;
}

static void every_counter_has_a_group(void **state)
{
	_cleanup_free_ struct skeleton *skeleton = build(0, 0);

	for (size_t i = 0; i < skeleton->counters_n; i++)
		if (rule_group_of(skeleton->counters[i].name) == GROUP_MAX)
			fail_msg("counter %s is in no group: put it into src/groups.c, so that "
				 "audit mode knows it",
				 skeleton->counters[i].name);
	assert_int_equal(rule_group_of("nobody's"), GROUP_MAX);
}

/* Else the pass could not see it. The ends of the deny paths are reached from counted rules only. */
static void every_deny_counts(void **state)
{
	for (size_t variant = 0; variant < VARIANTS; variant++) {
		_cleanup_free_ struct skeleton *skeleton = build(variant, 0);

		for (size_t i = 0; i < skeleton->chains_n; i++) {
			const struct chain *chain = &skeleton->chains[i];

			if (strncmp(chain->name, "refuse", 6) == 0)
				continue;
			for (size_t j = 0; j < chain->rules_n; j++)
				for (const struct stmt *stmt = chain->rules[j].stmts;
				     stmt->kind != STMT_END; stmt++) {
					bool deny = is_deny(stmt) ||
						    (stmt->kind == STMT_VERDICT && stmt->name &&
						     strncmp(stmt->name, "refuse", 6) == 0);

					if (deny && !counter_of(&chain->rules[j]))
						fail_msg("chain %s, rule %zu denies and does not "
							 "count",
							 chain->name, j);
				}
		}
	}
}

static void nothing_is_stopped_in_audit(void **state)
{
	for (size_t variant = 0; variant < VARIANTS; variant++) {
		_cleanup_free_ struct skeleton *skeleton = build(variant, GROUPS_ALL);
		_cleanup_free_ struct skeleton *enforced = build(variant, 0);

		for (size_t i = 0; i < skeleton->chains_n; i++)
			if (skeleton->chains[i].base && walk(skeleton, &skeleton->chains[i], 0) < 0)
				fail_msg("variant %zu: chain %s reaches a deny", variant,
					 skeleton->chains[i].name);
		/* the walk sees denies */
		assert_int_equal(walk(enforced, find_chain(enforced, FAMILY_INET, "input"), 0), -1);
	}
}

static size_t count_rule(const struct skeleton *skeleton, const char *chain, enum family family,
			 const char *text)
{
	size_t n = 0;

	for (size_t i = 0; i < skeleton->chains_n; i++) {
		const struct chain *c = &skeleton->chains[i];

		for (size_t j = 0;
		     c->family == family && strcmp(c->name, chain) == 0 && j < c->rules_n; j++) {
			char other[600];

			assert_int_equal(render_rule(&c->rules[j], &skeleton->params, other,
						     sizeof(other)),
					 0);
			n += strcmp(text, other) == 0;
		}
	}
	return n;
}

static bool ends_in_audit(const struct rule *rule)
{
	const struct stmt *last = rule->stmts;

	for (const struct stmt *s = rule->stmts; s->kind != STMT_END; s++)
		last = s;
	return last->kind == STMT_VERDICT && last->verdict == VERDICT_JUMP &&
	       strncmp(last->name, "audit_", 6) == 0;
}

/* Every rule of the enforced skeleton is there unchanged, or it is one of the audited group. An
 * answer in the shim's place is as a listener there: that one changes its counter. */
static void only_one_group_is_let_through(void **state)
{
	for (size_t variant = 0; variant < VARIANTS; variant++)
		for (enum rule_group group = 0; group < GROUP_MAX; group++) {
			_cleanup_free_ struct skeleton *enforced = build(variant, 0);
			_cleanup_free_ struct skeleton *one = build(variant, GROUP_BIT(group));
			size_t audited_n = 0, rules_n = 0;

			for (size_t i = 0; i < enforced->chains_n; i++)
				for (size_t j = 0; j < enforced->chains[i].rules_n; j++) {
					const struct chain *c = &enforced->chains[i];
					const char *counter = counter_of(&c->rules[j]);
					char text[600];

					if (!counter)
						continue;
					assert_int_equal(render_rule(&c->rules[j],
								     &enforced->params, text,
								     sizeof(text)),
							 0);
					if (group == GROUP_HOST_APIS && strstr(text, "sport @") &&
					    strcmp(c->name, "from_container") == 0)
						continue;
					rules_n += rule_group_of(counter) == group;
					if (count_rule(one, c->name, c->family, text) !=
					    (rule_group_of(counter) == group
						     ? 0
						     : count_rule(enforced, c->name, c->family,
								  text)))
						fail_msg("variant %zu, %s in audit: %s: %s",
							 variant, rule_group_name(group), c->name,
							 text);
				}
			for (size_t i = 0; i < one->chains_n; i++)
				for (size_t j = 0; j < one->chains[i].rules_n; j++) {
					const struct rule *rule = &one->chains[i].rules[j];

					if (!ends_in_audit(rule))
						continue;
					audited_n++;
					assert_non_null(counter_of(rule));
					assert_int_equal(rule_group_of(counter_of(rule)), group);
				}
			assert_true(audited_n >= rules_n);
			assert_true(audited_n > 0 || group == GROUP_EGRESS);
		}
}

/* They log, count and return: no accept, which would pass the other groups by. */
static void audit_chains_decide_nothing(void **state)
{
	_cleanup_free_ struct skeleton *skeleton = build(0, GROUPS_ALL);
	size_t chains_n = 0, logs_n = 0;

	for (size_t i = 0; i < skeleton->chains_n; i++) {
		const struct chain *chain = &skeleton->chains[i];

		if (strncmp(chain->name, "audit_", 6) != 0)
			continue;
		chains_n++;
		for (size_t j = 0; j < chain->rules_n; j++)
			for (const struct stmt *stmt = chain->rules[j].stmts;
			     stmt->kind != STMT_END; stmt++) {
				logs_n += stmt->kind == STMT_LOG;
				assert_false(is_deny(stmt));
				assert_false(stmt->kind == STMT_VERDICT &&
					     stmt->verdict == VERDICT_ACCEPT);
			}
	}
	assert_true(chains_n > GROUP_MAX);
	assert_int_equal(logs_n, chains_n - 1); /* audit_job only counts */
}

static void groups_are_named(void **state)
{
	char text[128];

	assert_string_equal(rule_groups_text(GROUPS_ALL, text, sizeof(text)), "egress, neighbours, "
									      "host, spoofing, "
									      "host_apis, "
									      "published, runners, "
									      "quarantine");
	assert_string_equal(rule_groups_text(GROUP_BIT(GROUP_RUNNERS), text, sizeof(text)), "runner"
											    "s");
	assert_string_equal(rule_groups_text(0, text, sizeof(text)), "");
	assert_string_equal(rule_groups_text(GROUPS_ALL, text, 10), "egress, n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counter_has_a_group),
		cmocka_unit_test(every_deny_counts),
		cmocka_unit_test(nothing_is_stopped_in_audit),
		cmocka_unit_test(only_one_group_is_let_through),
		cmocka_unit_test(audit_chains_decide_nothing),
		cmocka_unit_test(groups_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
