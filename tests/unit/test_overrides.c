/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Overrides by name and label: they tighten, and never loosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/classify.h"
#include "jobfence/overrides.h"

static void patterns_match_whole_names(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{ "train", "train", true },
		{ "train", "train-0", false },
		{ "train", "atrain", false },
		{ "train-*", "train-", true },
		{ "train-*", "train-0-0", true },
		{ "train-*", "train", false },
		{ "*", "", true },
		{ "*", "anything", true },
		{ "*-x", "a-x-x", true },
		{ "*-x", "a-x-y", false },
		{ "a*b*c", "aXbYc", true },
		{ "a*b*c", "abbbc", true },
		{ "a*b*c", "acb", false },
		{ "?", "", false },
		{ "?", "ab", false },
		{ "a?c", "abc", true },
		{ "**", "x", true },
		{ "Train", "train", false },
		{ "*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (override_pattern_matches(cases[i].pattern, cases[i].text) != cases[i].matches)
			fail_msg("%s against %s", cases[i].pattern, cases[i].text);
}

static void add(struct config *config, const char *pattern, enum network_mode mode)
{
	struct config_override *override = &config->overrides[config->overrides_n++];

	strcpy(override->pattern, pattern);
	override->mode = mode;
}

static void assert_mode(const struct config *config, const char *name, enum network_mode mode,
			const char *by)
{
	const char *pattern;

	if (override_mode(config, name, &pattern) != mode)
		fail_msg("%s: mode %d", name, override_mode(config, name, &pattern));
	assert_string_equal(pattern ?: "", by);
}

static void the_strictest_counts(void **state)
{
	struct config config;

	config_defaults(&config);
	assert_mode(&config, "train-0-0-01234567", 2, "");
	add(&config, "train", 1);
	add(&config, "tr*", 3);
	add(&config, "*", 2);
	add(&config, "batch-?-?-*", 1);
	assert_mode(&config, "train-0-0-01234567", 3, "tr*");
	assert_mode(&config, "batch-0-0-01234567", 1, "batch-?-?-*"); /* the whole name */
	assert_mode(&config, "other-0-0-01234567", 2, "");
	assert_mode(&config, "train", 3, "tr*");
	assert_mode(&config, "rain", 2, "");
	assert_mode(&config, NULL, 2, "");
	config.mode = 1;
	assert_mode(&config, "other-0-0-01234567", 1, ""); /* 2 would be looser */
	assert_mode(&config, "batch-0-0-01234567", 1, ""); /* the mirror says it already */
	assert_mode(&config, "train-0-0-01234567", 3, "tr*");
	config.mode = 3;
	assert_mode(&config, "batch-0-0-01234567", 3, "");
	config.overrides_n = 1;
	config.mode = 2;
	assert_mode(&config, "train-0-0-01234567", 1, "train"); /* the run's name */
	assert_mode(&config, "train-a-0-01234567", 2, "");      /* that is no run "train" */
}

static struct container host_job(const char *name)
{
	return (struct container){
		.id = "c0",
		.name = (char *)name,
		.is_task = true,
		.inspected = true,
		.state = CONTAINER_RUNNING,
		.network_kind = NETWORK_KIND_HOST,
	};
}

static void an_override_is_explained(void **state)
{
	struct container job = host_job("train-0-0-01234567");
	struct verdict verdict;
	struct config config;

	config_defaults(&config);
	add(&config, "train*", 3);
	classify(&job, NULL, &config, &verdict);
	assert_int_equal(verdict.confinement, CONFINEMENT_QUARANTINED);
	assert_true(verdict.violation && verdict.overridden && !verdict.stale_mirror);
	assert_string_equal(verdict.why, "host network, whole instance, mode 3 (FORCED_BRIDGE) by "
					 "[job \"train*\"]: quarantined, the server knows nothing "
					 "of this override");
	config.on_violation = ON_VIOLATION_FENCE;
	classify(&job, NULL, &config, &verdict);
	assert_int_equal(verdict.confinement, CONFINEMENT_FENCED);
	job.network_kind = NETWORK_KIND_BRIDGE;
	classify(&job, NULL, &config, &verdict);
	assert_int_equal(verdict.confinement, CONFINEMENT_ISOLATED);
	assert_false(verdict.violation || verdict.stale_mirror);
	job = host_job("other-0-0-01234567");
	classify(&job, NULL, &config, &verdict);
	assert_int_equal(verdict.confinement, CONFINEMENT_FENCED);
	assert_false(verdict.overridden);
}

/* Every place and size: never freer with overrides than without. */
static void no_override_loosens(void **state)
{
	for (int mirror = 1; mirror <= 3; mirror++)
		for (int mode = 1; mode <= 3; mode++)
			for (int kind = NETWORK_KIND_UNKNOWN; kind <= NETWORK_KIND_USER; kind++)
				for (int size = 0; size < 3; size++) {
					struct container job = host_job("train-0-0-01234567");
					struct verdict without, with;
					struct config config;

					job.network_kind = (enum network_kind)kind;
					job.inspected = size > 0;
					job.nano_cpus = size == 2;
					config_defaults(&config);
					config.mode = (enum network_mode)mirror;
					classify(&job, NULL, &config, &without);
					add(&config, "*", (enum network_mode)mode);
					classify(&job, NULL, &config, &with);
					assert_true(with.confinement >= without.confinement);
					assert_true(strlen(with.why) < VERDICT_WHY_MAX - 60);
				}
}

static void containers_are_confined_by_name_and_label(void **state)
{
	static char labels[] = "a=b\0team=web\0";
	struct container web = {
		.id = "c1",
		.name = (char *)"web-1",
		.inspected = true,
		.state = CONTAINER_RUNNING,
		.network_kind = NETWORK_KIND_HOST,
		.memory = 1,
		.labels = labels,
	};
	struct verdict verdict;
	struct config config;

	config_defaults(&config);
	classify(&web, NULL, &config, &verdict);
	assert_int_equal(verdict.role, ROLE_BYSTANDER);
	strcpy(config.confine_labels[config.confine_labels_n++], "team=we");
	strcpy(config.confine_names[config.confine_names_n++], "web");
	classify(&web, NULL, &config, &verdict);
	assert_int_equal(verdict.role, ROLE_BYSTANDER);
	strcpy(config.confine_labels[0], "team=web");
	classify(&web, NULL, &config, &verdict);
	assert_int_equal(verdict.role, ROLE_JOB);
	assert_int_equal(verdict.confinement, CONFINEMENT_FENCED);
	assert_false(verdict.violation || verdict.stale_mirror);
	assert_true(verdict.confined);
	assert_string_equal(verdict.why, "host network, [confine] labels \"team=web\" confines it, "
					 "mode 2 "
					 "(HOST_WHEN_POSSIBLE): fenced");
	strcpy(config.confine_names[0], "web-?");
	web.network_kind = NETWORK_KIND_USER;
	classify(&web, NULL, &config, &verdict);
	assert_int_equal(verdict.confinement, CONFINEMENT_ISOLATED);
	assert_false(verdict.violation);
	assert_non_null(strstr(verdict.why, "names \"web-?\" confines it"));
	config.mode = NETWORK_MODE_FORCED_BRIDGE;
	web.network_kind = NETWORK_KIND_HOST;
	classify(&web, NULL, &config, &verdict);
	assert_int_equal(verdict.confinement, CONFINEMENT_QUARANTINED);
}

/* What was not read may be what the operator named. */
static void unread_labels_confine(void **state)
{
	struct container web = { .id = "c1", .name = (char *)"web", .labels_cut = true };
	struct verdict verdict;
	struct config config;

	config_defaults(&config);
	classify(&web, NULL, &config, &verdict);
	assert_int_equal(verdict.role, ROLE_BYSTANDER);
	strcpy(config.confine_labels[config.confine_labels_n++], "team=web");
	classify(&web, NULL, &config, &verdict);
	assert_int_equal(verdict.role, ROLE_JOB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match_whole_names),
		cmocka_unit_test(the_strictest_counts),
		cmocka_unit_test(an_override_is_explained),
		cmocka_unit_test(no_override_loosens),
		cmocka_unit_test(containers_are_confined_by_name_and_label),
		cmocka_unit_test(unread_labels_confine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
