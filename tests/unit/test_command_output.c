/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that a command replaces: the new one or the old one, and nothing beside it. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/commands-internal.h"
#include "read_file.h"

static char folder[] = "/tmp/jobfence-output-XXXXXX";
static char path[64];

static size_t entries(void)
{
	DIR *dir = opendir(folder);
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2; /* itself and the one above */
}

static void write_word(FILE *out, const void *data)
{
	fputs(data, out);
}

/* What a full disk does. */
static void write_in_vain(FILE *out, const void *data)
{
	fputs(data, out);
	assert_non_null(freopen("/dev/full", "w", out));
	fputs(data, out);
}

static int set_up(void **state)
{
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file.prom", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)unlink(path);
	(void)rmdir(path);
	return rmdir(folder); /* fails where anything is left */
}

static void the_new_one_takes_its_place(void **state)
{
	struct stat st;

	assert_int_equal(command_replace_file(path, write_word, "old"), 0);
	assert_int_equal(command_replace_file(path, write_word, "new"), 0);
	_cleanup_free_ char *text = read_all(path);

	assert_string_equal(text, "new");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(entries(), 1);
}

static void the_old_one_stays_where_it_fails(void **state)
{
	assert_int_equal(command_replace_file(path, write_word, "old"), 0);
	assert_int_equal(command_replace_file(path, write_in_vain, "new"), -ENOSPC);
	_cleanup_free_ char *text = read_all(path);

	assert_string_equal(text, "old");
	assert_int_equal(entries(), 1);
}

static void nothing_is_left_beside_it(void **state)
{
	assert_int_equal(mkdir(path, 0755), 0); /* no file can take its place */
	assert_int_equal(command_replace_file(path, write_word, "new"), -EISDIR);
	assert_int_equal(entries(), 1);
	assert_int_equal(command_replace_file("/proc/nowhere/file", write_word, "new"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_new_one_takes_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_old_one_stays_where_it_fails, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_left_beside_it, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
