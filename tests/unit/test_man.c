/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The manual names every key of the configuration, every counter and every command. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "jobfence/cleanup.h"
#include "jobfence/config.h"
#include "../../src/skeleton-internal.h"
#include "read_file.h"

/* @word with nothing of a name around it. */
static bool names(const char *text, const char *word)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
	size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at++)
		if ((at == text || !strchr(letters, at[-1])) && !strchr(letters, at[len]))
			return true;
	return false;
}

/* A key of contrib/jobfence.conf is "#key = value" under "[section]"; in the manual it is an item
 * under its section's heading. */
static void test_every_key(void **state)
{
	_cleanup_free_ char *conf = read_all(SOURCE_DIR "/contrib/jobfence.conf");
	_cleanup_free_ char *page = read_all(SOURCE_DIR "/contrib/man/jobfence.conf.5");
	const char *part = NULL;
	size_t keys = 0;
	char *rest = conf;

	for (char *line; (line = strsep(&rest, "\n"));) {
		char heading[64], item[64], key[32], section[32];

		if (sscanf(line, "[%31[a-z]]", section) == 1) {
			snprintf(heading, sizeof(heading), ".Ss Section %s\n", section);
			part = strstr(page, heading);
			if (!part)
				fail_msg("jobfence.conf(5) has no section %s", section);
		}
		if (sscanf(line, "#%31[a-z_] =", key) != 1 || !strstr(line, " ="))
			continue;
		snprintf(item, sizeof(item), "\n.It Cm %s No =", key);
		assert_non_null(part);
		const char *end = strstr(part + 1, "\n.Ss ");
		const char *at = strstr(part, item);

		if (!at || (end && at > end))
			fail_msg("jobfence.conf(5) does not have %s in its section", key);
		keys++;
	}
	assert_true(keys > 20);
}

static void test_every_counter(void **state)
{
	_cleanup_free_ char *page = read_all(SOURCE_DIR "/contrib/man/jobfence-rulesets.7");
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));

	assert_non_null(skeleton);
	skeleton_build(&(struct skeleton_params){ .mode = NETWORK_MODE_FORCED_BRIDGE }, skeleton);
	for (size_t i = 0; i < skeleton->counters_n; i++)
		if (!names(page, skeleton->counters[i].name))
			fail_msg("jobfence-rulesets(7) lacks %s", skeleton->counters[i].name);
}

static void test_every_command(void **state)
{
	static const char *const words[] = { "run",    "status",  "verify",
					     "render", "metrics", "remove" };
	_cleanup_free_ char *page = read_all(SOURCE_DIR "/contrib/man/jobfence.8");

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char item[32];

		snprintf(item, sizeof(item), "\n.It Cm %s\n", words[i]);
		if (!strstr(page, item))
			fail_msg("jobfence(8) lacks %s", words[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_every_counter),
		cmocka_unit_test(test_every_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
