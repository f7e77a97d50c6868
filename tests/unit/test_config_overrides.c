/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys of [enforce], from the text of a file. */
#include "jobfence/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/config-internal.h"

/* cmocka runs one test at a time. */
static struct config_draft draft;
static struct diag diag;

static int read_text(const char *text)
{
	config_draft_init(&draft);
	diag = (struct diag){ 0 };
	return config_read_keys("conf", text, &draft, &diag);
}

static const struct config *read_good(const char *text)
{
	if (read_text(text) != 0)
		fail_msg("refused: %s", diag.text);
	return &draft.config;
}

static void assert_refused(const char *text, const char *says)
{
	if (read_text(text) != -EINVAL)
		fail_msg("not refused: %s", text);
	if (!strstr(diag.text, says))
		fail_msg("\"%s\"\n   lacks \"%s\"", diag.text, says);
}

static void groups_are_audited_by_name(void **state)
{
	assert_int_equal(read_good("")->audit, 0);
	assert_int_equal(read_good("[enforce]\ndefault = enforce\n")->audit, 0);
	assert_int_equal(read_good("[enforce]\ndefault = audit\n")->audit, GROUPS_ALL);
	assert_int_equal(read_good("[enforce]\ndefault = audit\nspoofing = enforce\n")->audit,
			 GROUPS_ALL & ~GROUP_BIT(GROUP_SPOOFING));
	assert_int_equal(read_good("[enforce]\nspoofing = enforce\ndefault = audit\n")->audit,
			 GROUPS_ALL & ~GROUP_BIT(GROUP_SPOOFING));
	for (enum rule_group group = 0; group < GROUP_MAX; group++) {
		char text[80];

		snprintf(text, sizeof(text), "[enforce]\n%s = audit\n", rule_group_name(group));
		assert_int_equal(read_good(text)->audit, GROUP_BIT(group));
	}
}

static void only_the_word_audits(void **state)
{
	assert_refused("[enforce]\ndefault = no\n", "conf:2: [enforce] default = \"no\": must be "
						    "enforce or audit");
	assert_refused("[enforce]\negress = Audit\n", "must be enforce or audit");
	assert_refused("[enforce]\ndefault =\n", "must be enforce or audit");
	assert_refused("[enforce]\nsshd = audit\n", "[enforce] has no key \"sshd\"");
	assert_refused("[enforce]\nlog = maybe\n", "[enforce] log = \"maybe\": must be yes or no");
	assert_true(read_good("")->audit_log);
	assert_false(read_good("[enforce]\nlog = no\n")->audit_log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_audited_by_name),
		cmocka_unit_test(only_the_word_audits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
