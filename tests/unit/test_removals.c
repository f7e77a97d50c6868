/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The early warning about who keeps taking the tables away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/monitor.h"

#define SECOND 1000000ULL

static const struct foreign_change nft = { .process = "nft", .pid = 7, .removed = true };
static const struct foreign_change other = { .process = "ufw", .pid = 8, .removed = true };
static const struct foreign_change harmless = { .process = "nft", .pid = 9 };

static void the_third_within_a_minute_is_told(void **state)
{
	struct removals removals = { 0 };
	struct diag diag = { 0 };

	assert_false(removals_count(&removals, &nft, 5 * SECOND, &diag));
	assert_false(removals_count(&removals, &harmless, 6 * SECOND, &diag));
	assert_false(removals_count(&removals, &nft, 30 * SECOND, &diag));
	assert_true(removals_count(&removals, &nft, 40 * SECOND, &diag));
	assert_non_null(strstr(diag.text, "nft keeps removing jobfence's tables: 3 times in 35 "
					  "s;"));
}

static void then_once_a_minute(void **state)
{
	struct removals removals = { 0 };
	struct diag diag = { 0 };
	unsigned int told = 0;

	for (uint64_t now = SECOND; now < 181 * SECOND; now += SECOND / 10)
		told += removals_count(&removals, &nft, now, &diag);
	assert_int_equal(told, 3);
	assert_non_null(strstr(diag.text, "times in 121 s;"));
}

static void seldom_is_not_often(void **state)
{
	struct removals removals = { 0 };
	struct diag diag = { 0 };

	for (uint64_t now = SECOND; now < 6000 * SECOND; now += 61 * SECOND)
		assert_false(removals_count(&removals, &nft, now, &diag));
	for (uint64_t now = SECOND; now < 100 * SECOND; now += SECOND) {
		assert_false(removals_count(&removals, &nft, now, &diag));
		assert_false(removals_count(&removals, &other, now, &diag));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_third_within_a_minute_is_told),
		cmocka_unit_test(then_once_a_minute),
		cmocka_unit_test(seldom_is_not_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
