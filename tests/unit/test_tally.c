/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's counters through their file: whole, half written, somebody else's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

#include "jobfence/cleanup.h"
#include "jobfence/lock.h"
#include "jobfence/tally.h"

static char directory[64], path[320];

static int setup(void **state)
{
	strcpy(directory, "/tmp/jobfence-tally-XXXXXX");
	if (!mkdtemp(directory) || setenv("RUNTIME_DIRECTORY", directory, 1) < 0)
		return -1;
	return lock_sibling("counters", path, sizeof(path));
}

static int teardown(void **state)
{
	unlink(path);
	rmdir(directory);
	return unsetenv("RUNTIME_DIRECTORY");
}

static struct tally *opened(void)
{
	struct tally *tally = NULL;
	struct diag diag = { 0 };

	assert_int_equal(tally_open(&tally, &diag), 0);
	return tally;
}

static void what_is_written_is_read(void **state)
{
	struct tally_counts counts = { 0 };
	struct tally *tally;

	assert_int_equal(tally_read(-1, &counts), -ENOENT); /* no file */
	tally = opened();
	assert_int_equal(tally_read(-1, &counts), -ENOENT); /* nothing in it */
	tally_add(tally, TALLY_HEALS, 2);
	tally_add(tally, TALLY_HEALS, 3);
	tally_set(tally, TALLY_RELOAD_GOOD, 0);
	assert_int_equal(tally_read(-1, &counts), -ENOENT);
	tally_write(tally);
	assert_int_equal(tally_read(getpid(), &counts), 0);
	assert_int_equal(counts.value[TALLY_HEALS], 5);
	assert_int_equal(counts.value[TALLY_RELOAD_GOOD], 0);
	assert_int_equal(counts.value[TALLY_PID], getpid());
	assert_in_range(counts.value[TALLY_START_TIME] / 1000000, (uint64_t)time(NULL) - 10,
			(uint64_t)time(NULL) + 10);
	assert_int_equal(counts.value[TALLY_SUCCESS_TIME], 0);
	tally_close(tally);
	/* the next daemon starts with an empty file */
	tally = opened();
	assert_int_equal(tally_read(-1, &counts), -ENOENT);
	tally_close(tally);
}

static void another_daemons_numbers_are_none(void **state)
{
	struct tally_counts counts = { 0 };
	struct tally *tally = opened();

	tally_write(tally);
	assert_int_equal(tally_read(getpid(), &counts), 0);
	assert_int_equal(tally_read(getpid() + 1, &counts), -ESTALE);
	assert_int_equal(tally_read(-1, &counts), 0); /* its pid is not known */
	tally_close(tally);
}

/* What was counted elsewhere, by somebody who is made anew meanwhile. */
static void followed_counts_never_go_back(void **state)
{
	static const uint64_t seen[] = { 0, 3, 3, 7, 2, 2, 4 };
	struct tally_counts counts;
	struct tally *tally = opened();

	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		tally_follow(tally, TALLY_LOST_LINKS, seen[i]);
	tally_write(tally);
	assert_int_equal(tally_read(-1, &counts), 0);
	assert_int_equal(counts.value[TALLY_LOST_LINKS], 7 + 4);
	tally_close(tally);
}

/* Changes one byte of the file, or cuts it at @offset. */
static int read_after(off_t offset, bool cut)
{
	struct tally_counts counts;
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 1;
	if (cut)
		assert_int_equal(ftruncate(fd, offset), 0);
	else
		assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	return tally_read(-1, &counts);
}

static void halves_are_no_numbers(void **state)
{
	struct tally *tally = opened();
	struct stat st;

	tally_write(tally);
	assert_int_equal(stat(path, &st), 0);
	for (off_t offset = 0; offset < st.st_size; offset += 7) {
		struct tally_counts counts;

		tally_add(tally, TALLY_CHANGED, 1);
		tally_write(tally);
		assert_int_equal(tally_read(-1, &counts), 0);
		assert_int_equal(read_after(offset, false), offset < 16 ? -ESTALE : -EAGAIN);
		if (offset >= 16 && offset % 35 == 0) {
			tally_add(tally, TALLY_CHANGED, 1);
			tally_write(tally);
			assert_int_equal(read_after(offset, true), -EAGAIN);
		}
	}
	tally_close(tally);
}

/* Two numbers that are always equal, by a writer that never pauses. */
static void a_reader_beside_the_writer(void **state)
{
	struct tally *tally = opened();
	size_t whole = 0;
	pid_t writer;

	tally_write(tally);
	writer = fork();
	assert_true(writer >= 0);
	for (uint64_t i = 0; writer == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0; i++) {
		tally_set(tally, TALLY_CHANGED, i);
		tally_set(tally, TALLY_RELOADS, i);
		tally_write(tally);
	}
	for (int i = 0; i < 20000; i++) {
		struct tally_counts counts = { 0 };
		int r = tally_read(-1, &counts);

		assert_true(r == 0 || r == -EAGAIN);
		if (r < 0)
			continue;
		whole++;
		assert_int_equal(counts.value[TALLY_CHANGED], counts.value[TALLY_RELOADS]);
	}
	assert_true(whole > 1000);
	kill(writer, SIGKILL);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	tally_close(tally);
}

static void no_file_costs_nothing(void **state)
{
	struct tally *tally = NULL;
	struct diag diag = { 0 };

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(tally_open(&tally, &diag), -EISDIR);
	assert_non_null(strstr(diag.text, path));
	assert_null(tally);
	tally_add(NULL, TALLY_HEALS, 1);
	tally_set(NULL, TALLY_HEALS, 1);
	tally_follow(NULL, TALLY_HEALS, 1);
	tally_write(NULL);
	assert_null(tally_close(NULL));
	assert_int_equal(rmdir(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(another_daemons_numbers_are_none, setup, teardown),
		cmocka_unit_test_setup_teardown(followed_counts_never_go_back, setup, teardown),
		cmocka_unit_test_setup_teardown(halves_are_no_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_beside_the_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(no_file_costs_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
