/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of messages is the catalog that is installed, and each message has a test that brings it
 * about (tests/messages.table). With --catalog: prints the catalog.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <cmocka.h>

#include "jobfence/cleanup.h"
#include "jobfence/messages.h"
#include "read_file.h"

static void the_catalog_is_the_table(void **state)
{
	_cleanup_free_ char *have = read_all(SOURCE_DIR "/contrib/jobfence.catalog");
	char *want = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&want, &size);

	assert_non_null(out);
	assert_int_equal(messages_catalog(out), 0);
	assert_int_equal(fclose(out), 0);
	if (strcmp(have, want) != 0)
		fail_msg("contrib/jobfence.catalog is not src/messages.c: make it anew by "
			 "unit_test_messages --catalog");
	free(want);
}

static void check_lines(const char *text)
{
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");

		if (n == 0 || n > 90 || line[0] == '-' || line[0] == '#')
			fail_msg("not a line of a catalog: %.*s", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

static void each_has_all_that_it_needs(void **state)
{
	for (size_t i = 0; i < MESSAGE_MAX; i++) {
		const struct message_spec *spec = message_spec((enum message)i);

		assert_non_null(spec->id);
		assert_int_equal(strlen(spec->id), 32);
		assert_int_equal(strspn(spec->id, "0123456789abcdef"), 32);
		assert_in_range(spec->priority, LOG_ERR, LOG_NOTICE);
		check_lines(spec->subject);
		check_lines(spec->text);
		check_lines(spec->what_to_do);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(spec->id, message_spec((enum message)j)->id);
			assert_string_not_equal(spec->name, message_spec((enum message)j)->name);
		}
	}
}

/* One row: "NAME | FILE: WORDS". The file has to have the words. */
static void check_row(char *line, bool *seen)
{
	char *file = strstr(line, " | "), *words = file ? strstr(file, ": ") : NULL;
	char path[300];
	size_t i = 0;

	if (!words)
		fail_msg("not a row of messages.table: %s", line);
	*file = *words = '\0';
	while (i < MESSAGE_MAX && strcmp(message_spec((enum message)i)->name, line) != 0)
		i++;
	if (i == MESSAGE_MAX)
		fail_msg("messages.table: there is no message %s", line);
	seen[i] = true;
	snprintf(path, sizeof(path), SOURCE_DIR "/%s", file + 3);
	_cleanup_free_ char *test = read_all(path);

	if (!strstr(test, words + 2))
		fail_msg("message %s: %s does not have \"%s\"", line, file + 3, words + 2);
}

static void each_is_brought_about_by_a_test(void **state)
{
	_cleanup_free_ char *table = read_all(SOURCE_DIR "/tests/messages.table");
	bool seen[MESSAGE_MAX] = { 0 };
	char *rest = table;

	for (char *line; (line = strsep(&rest, "\n"));)
		if (line[0] && line[0] != '#')
			check_row(line, seen);
	for (size_t i = 0; i < MESSAGE_MAX; i++)
		if (!seen[i])
			fail_msg("no test brings about message %s: put one into messages.table",
				 message_spec((enum message)i)->name);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_catalog_is_the_table),
		cmocka_unit_test(each_has_all_that_it_needs),
		cmocka_unit_test(each_is_brought_about_by_a_test),
	};

	if (argc == 2 && strcmp(argv[1], "--catalog") == 0)
		return messages_catalog(stdout) < 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
