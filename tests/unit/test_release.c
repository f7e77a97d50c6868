/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Releases: the time that is asked for, the file, and the folder, in which only root's files count. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "jobfence/cleanup.h"
#include "jobfence/clock.h"
#include "jobfence/lock.h"
#include "jobfence/release.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SECOND 1000000ULL

static void times(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds; /* 0: refused */
	} cases[] = {
		{ "1s", 1 },
		{ "90s", 90 },
		{ "30m", 1800 },
		{ "24h", 86400 },
		{ "1440m", 86400 },
		{ "86400s", 86400 },
		{ "007m", 420 },
		{ "", 0 },
		{ "s", 0 },
		{ "0s", 0 },
		{ "30", 0 },
		{ "25h", 0 },
		{ "1441m", 0 },
		{ "86401s", 0 },
		{ "-1s", 0 },
		{ "+1s", 0 },
		{ " 1s", 0 },
		{ "1 s", 0 },
		{ "1d", 0 },
		{ "1.5h", 0 },
		{ "1s ", 0 },
		{ "0x10s", 0 },
		{ "99999999999999999999h", 0 },
		{ "1h30m", 0 },
		{ "\xc2\xb2s", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct diag diag = { 0 };
		uint64_t usec = 7;
		int r = release_parse_time(cases[i].text, &usec, &diag);

		if (r != (cases[i].seconds ? 0 : -EINVAL))
			fail_msg("%s: %d", cases[i].text, r);
		assert_int_equal(usec, cases[i].seconds ? cases[i].seconds * SECOND : 7);
		assert_int_equal(!diag.text[0], r == 0);
	}
}

static void a_file_there_and_back(void **state)
{
	const struct release wanted = { .id = ID,
					.ends = 5000 * SECOND,
					.ends_wall = 1764100000,
					.who = "alice",
					.reason = "a user is locked out" };
	char text[RELEASE_FILE_MAX + 1];
	struct release release = { 0 };
	struct diag diag;

	release_format(&wanted, text, sizeof(text));
	assert_int_equal(release_parse(ID, text, 4999 * SECOND, &release, &diag), 0);
	assert_string_equal(release.id, ID);
	assert_int_equal(release.ends, wanted.ends);
	assert_int_equal(release.ends_wall, wanted.ends_wall);
	assert_string_equal(release.who, "alice");
	assert_string_equal(release.reason, "a user is locked out");
	assert_int_equal(release_parse(ID, text, 5000 * SECOND, &release, &diag), -ETIME);
	/* 24 hours at most from now, whatever it says */
	assert_int_equal(release_parse(ID, text, 0, &release, &diag), 0);
	release_format(&(struct release){ .id = ID, .ends = RELEASE_MAX_USEC + SECOND }, text,
		       sizeof(text));
	assert_int_equal(release_parse(ID, text, SECOND, &release, &diag), 0);
	assert_int_equal(release_parse(ID, text, SECOND - 1, &release, &diag), -EINVAL);
}

static void what_is_not_just_so_is_refused(void **state)
{
#define HEAD "jobfence-release 1\n"
#define LINES "container " ID "\nends 9000000\nwall 1\n"
	static const char *const texts[] = {
		"",
		"\n",
		LINES "who a\nreason b\n",
		"jobfence-release 2\n" LINES "who a\nreason b\n",
		HEAD "container " OTHER "\nends 9000000\nwall 1\nwho a\nreason b\n",
		HEAD "container 0123\nends 9000000\nwall 1\nwho a\nreason b\n",
		HEAD "container " ID "0\nends 9000000\nwall 1\nwho a\nreason b\n",
		HEAD "container " ID "\nends -1\nwall 1\nwho a\nreason b\n",
		HEAD "container " ID "\nends \nwall 1\nwho a\nreason b\n",
		HEAD "container " ID "\nends 9000000x\nwall 1\nwho a\nreason b\n",
		HEAD "container " ID "\nends 99999999999999999999\nwall 1\nwho a\nreason b\n",
		HEAD "container " ID "\nwall 1\nends 9000000\nwho a\nreason b\n",
		HEAD LINES "who a\n",
		HEAD LINES "who a\nreason b",
		HEAD LINES "who a\nreason b\nmore\n",
	};
	static const char *const names[] = { "", "..", ID "0", "x", "0123456789ABCDEF" };
	struct release release = { .ends = 7 };
	char longer[RELEASE_FILE_MAX + 200];
	struct diag diag;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (release_parse(ID, texts[i], 1, &release, &diag) != -EINVAL)
			fail_msg("taken: %s", texts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(release_parse(names[i], HEAD LINES "who a\nreason b\n", 1,
					       &release, &diag),
				 -EINVAL);
	snprintf(longer, sizeof(longer), HEAD LINES "who a\nreason %*s\n", RELEASE_FILE_MAX, "b");
	assert_int_equal(release_parse(ID, longer, 1, &release, &diag), -EINVAL);
	assert_int_equal(release.ends, 7);
	/* the control; what people wrote is made safe */
	assert_int_equal(release_parse(ID, HEAD LINES "who a\x1b[2J\nreason \"b\"\n", 1, &release,
				       &diag),
			 0);
	assert_string_equal(release.who, "a?[2J");
	assert_string_equal(release.reason, "?b?");
}

static void rests(void **state)
{
	char text[32];

	assert_string_equal(release_rest_text(1, text), "1 s");
	assert_string_equal(release_rest_text(119 * SECOND, text), "119 s");
	assert_string_equal(release_rest_text(121 * SECOND, text), "3 min");
	assert_string_equal(release_rest_text(1800 * SECOND, text), "30 min");
	assert_string_equal(release_rest_text(7500 * SECOND, text), "2 h 5 min");
}

static char directory[64], folder[320];

static int setup(void **state)
{
	strcpy(directory, "/tmp/jobfence-release-XXXXXX");
	if (!mkdtemp(directory) || setenv("RUNTIME_DIRECTORY", directory, 1) < 0)
		return -1;
	return lock_folder("releases", folder, sizeof(folder));
}

static int teardown(void **state)
{
	struct diag diag;

	(void)releases_remove(ID, &diag);
	(void)releases_remove(OTHER, &diag);
	chmod(folder, 0700);
	rmdir(folder);
	rmdir(directory);
	return unsetenv("RUNTIME_DIRECTORY");
}

static size_t released(struct releases *releases)
{
	size_t n;

	releases_refresh(releases);
	(void)releases_list(releases, &n);
	return n;
}

static void the_folder(void **state)
{
	struct release one = { .id = ID, .ends = clock_boot_usec() + 3600 * SECOND };
	struct releases *releases = NULL;
	const struct release *list;
	char path[400], other[400];
	struct diag diag = { 0 };
	size_t n;

	if (getuid() != 0)
		skip(); /* whose files count is root's */
	assert_int_equal(releases_new(NULL, NULL, NULL, &releases), 0);
	assert_int_equal(released(releases), 0); /* no folder */
	assert_int_equal(releases_remove(ID, &diag), -ENOENT);
	assert_int_equal(releases_write(&one, &diag), 0);
	assert_int_equal(released(releases), 1);
	list = releases_list(releases, &n);
	assert_non_null(release_find(list, n, ID));
	assert_null(release_find(list, n, OTHER));
	snprintf(path, sizeof(path), "%s/%s", folder, ID);
	snprintf(other, sizeof(other), "%s/%s", folder, OTHER);
	/* who else could have written it? */
	assert_int_equal(chmod(path, 0620), 0);
	assert_int_equal(released(releases), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(released(releases), 1);
	assert_int_equal(chown(path, 1, 0), 0);
	assert_int_equal(released(releases), 0);
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(chmod(folder, 0777), 0);
	assert_int_equal(released(releases), 0);
	assert_int_equal(chmod(folder, 0700), 0);
	/* another name for it, a link to it */
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(released(releases), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(released(releases), 0);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(released(releases), 1);
	/* what is over is not listed, and swept */
	one.ends = clock_boot_usec() + 20000;
	assert_int_equal(releases_write(&one, &diag), 0);
	assert_int_equal(released(releases), 1);
	usleep(30000);
	(void)releases_list(releases, &n);
	assert_int_equal(n, 0);
	assert_int_equal(access(path, F_OK), 0);
	releases_sweep();
	assert_int_equal(access(path, F_OK), -1);
	releases_free(releases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(a_file_there_and_back),
		cmocka_unit_test(what_is_not_just_so_is_refused),
		cmocka_unit_test(rests),
		cmocka_unit_test_setup_teardown(the_folder, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
