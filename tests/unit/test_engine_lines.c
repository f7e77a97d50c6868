/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event stream cut into lines: every cut of the bytes gives the same lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/engine-internal.h"

struct told {
	char text[256]; /* "line|line|" */
	unsigned lines, lost;
	size_t longest;
};

static void on_line(const char *line, size_t len, void *data)
{
	struct told *told = data;
	size_t used = strlen(told->text);

	if (!line) {
		told->lost++;
		return;
	}
	told->lines++;
	told->longest = len > told->longest ? len : told->longest;
	if (used + len + 2 < sizeof(told->text)) {
		memcpy(told->text + used, line, len);
		strcpy(told->text + used + len, "|");
	}
}

/* From a buffer of the exact size, so that a sanitizer sees a byte read too far. */
static void feed(struct lines *lines, const char *bytes, size_t len, struct told *told)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	assert_int_equal(lines_feed(lines, copy, len, on_line, told), 0);
	free(copy);
}

static void every_cut_gives_the_same(void **state)
{
	static const char bytes[] = "{\"a\":1}\n\n{}\nlast\nunfinished";
	size_t len = sizeof(bytes) - 1;

	for (size_t a = 0; a <= len; a++) {
		for (size_t b = a; b <= len; b++) {
			struct lines lines = { 0 };
			struct told told = { 0 };

			feed(&lines, bytes, a, &told);
			feed(&lines, bytes + a, b - a, &told);
			feed(&lines, bytes + b, len - b, &told);
			assert_string_equal(told.text, "{\"a\":1}|{}|last|");
			assert_int_equal(told.lost, 0);
			lines_done(&lines);
		}
	}
}

static void feed_long(size_t long_len, size_t part, struct told *told)
{
	struct lines lines = { 0 };
	char *bytes = malloc(long_len);

	assert_non_null(bytes);
	memset(bytes, 'x', long_len);
	feed(&lines, "before\n", 7, told);
	for (size_t at = 0; at < long_len; at += part)
		feed(&lines, bytes + at, long_len - at < part ? long_len - at : part, told);
	assert_true(lines.size <= LINE_MAX_BYTES);
	feed(&lines, "\nafter\n", 7, told);
	lines_done(&lines);
	free(bytes);
}

static void a_line_at_the_bound_is_told(void **state)
{
	struct told told = { 0 };

	feed_long(LINE_MAX_BYTES, 16384, &told);
	assert_int_equal(told.lines, 3);
	assert_int_equal(told.lost, 0);
	assert_int_equal(told.longest, LINE_MAX_BYTES);
}

static void a_longer_line_is_lost_as_a_whole(void **state)
{
	static const size_t parts[] = { 1000, 16384, 5 * LINE_MAX_BYTES };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		struct told told = { 0 };

		feed_long(LINE_MAX_BYTES + 1, parts[i], &told);
		feed_long(5 * LINE_MAX_BYTES, parts[i], &told);
		assert_string_equal(told.text, "before|after|before|after|");
		assert_int_equal(told.lost, 2);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_gives_the_same),
		cmocka_unit_test(a_line_at_the_bound_is_told),
		cmocka_unit_test(a_longer_line_is_lost_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
