/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon says of its steps is a record with its MESSAGE_ID, once. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/run-internal.h"
#include "journal_fixture.h"

static void foreign_hands(void **state)
{
	const struct foreign_change change = {
		.process = "nft", .pid = 42, .what = "deleted table inet", .removed = true
	};
	struct says says = { 0 };

	say_foreign(&says, &change, 1000000);
	assert_true(journal_is(MESSAGE_FOREIGN_CHANGE));
	assert_string_equal(journal_field("PRIORITY"), "4");
	assert_string_equal(journal_field("SYSLOG_IDENTIFIER"), "jobfence");
	assert_non_null(strstr(journal_field("MESSAGE"), "nft (pid 42) changed"));
	say_foreign(&says, &change, 2000000);
	say_foreign(&says, &change, 3000000);
	assert_true(journal_is(MESSAGE_FOREIGN_REMOVALS));
	say_foreign(&says, NULL, 4000000);
	assert_true(journal_is(MESSAGE_NOTIFICATIONS_LOST));
}

static void steps(void **state)
{
	struct reconcile_result result = { .steps = 3 };
	struct says says = { 0 };
	struct diag diag = { .text = "no memory" };
	size_t before = journal_records;

	say_result(&says, &result, AFTER_EVENT);
	assert_int_equal(journal_records, before);
	say_result(&says, &result, AFTER_FOREIGN_HANDS);
	assert_true(journal_is(MESSAGE_HEALED));
	say_result(&says, &result, AFTER_PERIODIC_LOOK);
	assert_true(journal_is(MESSAGE_DRIFT));
	result.stubborn = STUBBORN_FIRST;
	say_result(&says, &result, AFTER_PERIODIC_LOOK);
	assert_true(journal_is(MESSAGE_STUBBORN));
	result = (struct reconcile_result){ .left_out = 2 };
	say_result(&says, &result, AFTER_EVENT);
	assert_true(journal_is(MESSAGE_LEFT_OUT));
	say_failed(&says, -ENOMEM, &diag);
	assert_true(journal_is(MESSAGE_UPDATE_FAILED));
	assert_string_equal(journal_field("PRIORITY"), "3");
	before = journal_records;
	say_failed(&says, -ENOMEM, &diag);
	assert_int_equal(journal_records, before); /* the same again */
}

static void owners(void **state)
{
	const struct reconcile_result result = { .taken = 3, .lost = 2 };
	struct says says = { 0 };

	say_taken(&result);
	assert_true(journal_is(MESSAGE_OWNER_LOST));
	say_ownership(&says, OWNERSHIP_OLD_TABLE);
	assert_true(journal_is(MESSAGE_NOT_OWNED));
	say_ownership(&says, OWNERSHIP_OURS);
	assert_string_equal(journal_field("MESSAGE_ID"), "");
}

static void itself(void **state)
{
	struct sandbox sandbox = { .landlock = 4 };
	struct diag diag = { .text = "no filter" };
	struct config config = { .audit = GROUPS_ALL };

	say_audit(&config);
	assert_true(journal_is(MESSAGE_AUDIT));
	say_features(true, false);
	assert_true(journal_is(MESSAGE_KERNEL_LACKS));
	say_sandbox(&sandbox, &diag);
	assert_true(journal_is(MESSAGE_SANDBOX_INCOMPLETE));
}

/* Whatever a value has in it, it is one line of bounded length, and no field of its own. */
static void fields_are_lines(void **state)
{
	char long_one[2000];
	const struct log_field fields[] = {
		{ "JOBFENCE_CONTAINER", "evil\nPRIORITY=0\nMESSAGE=all is well" },
		{ "JOBFENCE_TASK", NULL },
		{ "JOBFENCE_RULE", long_one },
	};

	memset(long_one, 'x', sizeof(long_one));
	long_one[sizeof(long_one) - 1] = '\0';
	log_record(MESSAGE_JOB, fields, ARRAY_SIZE(fields), "a job");
	assert_true(journal_is(MESSAGE_JOB));
	assert_string_equal(journal_field("MESSAGE"), "a job");
	assert_string_equal(journal_field("PRIORITY"), "5");
	assert_null(strchr(journal_field("JOBFENCE_CONTAINER"), '\n'));
	assert_string_equal(journal_field("JOBFENCE_TASK"), "");
	assert_in_range(strlen(journal_field("JOBFENCE_RULE")), 200, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(foreign_hands),    cmocka_unit_test(steps),
		cmocka_unit_test(owners),           cmocka_unit_test(itself),
		cmocka_unit_test(fields_are_lines),
	};

	journal_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
