/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who holds the lock, seen from this process and from another one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "jobfence/cleanup.h"
#include "jobfence/lock.h"

static char directory[64];

static int setup(void **state)
{
	strcpy(directory, "/tmp/jobfence-lock-XXXXXX");
	return mkdtemp(directory) ? setenv("RUNTIME_DIRECTORY", directory, 1) : -1;
}

/* The only file in the directory. */
static void lock_file(char path[static 400])
{
	DIR *dir = opendir(directory);
	int n = 0;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, 400, "%s/%s", directory, entry->d_name);
		n++;
	}
	closedir(dir);
	assert_int_equal(n, 1);
}

static int teardown(void **state)
{
	char path[400];
	DIR *dir = opendir(directory);

	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(directory);
	return unsetenv("RUNTIME_DIRECTORY");
}

static void nobody_holds_it_at_first(void **state)
{
	assert_int_equal(lock_holder(), 0);
	assert_int_equal(rmdir(directory), 0); /* it is empty: asking makes nothing */
	assert_int_equal(lock_holder(), 0);
}

static void the_holder_is_named_and_the_second_refused(void **state)
{
	struct diag diag = { 0 };
	char wanted[32];
	int fd = lock_take(&diag);

	assert_true(fd >= 0);
	assert_int_equal(lock_holder(), getpid());
	assert_int_equal(lock_take(&diag), -EWOULDBLOCK);
	snprintf(wanted, sizeof(wanted), "pid %d ", (int)getpid());
	assert_non_null(strstr(diag.text, wanted));
	close(fd);
	assert_int_equal(lock_holder(), 0);
	fd = lock_take(&diag);
	assert_true(fd >= 0);
	close(fd);
}

static void another_process_sees_it_and_death_frees_it(void **state)
{
	int ready[2], done[2], status;
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(done), 0);
	child = fork();
	if (child == 0) {
		struct diag diag;
		int fd = lock_take(&diag);

		close(done[1]);
		(void)!write(ready[1], fd >= 0 ? "y" : "n", 1);
		(void)!read(done[0], &byte, 1);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_int_equal(lock_holder(), child);
	assert_int_equal(lock_take(NULL), -EWOULDBLOCK);
	close(done[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(lock_holder(), 0);
	close(done[0]);
	close(ready[0]);
	close(ready[1]);
}

static void the_first_directory_counts_and_is_made(void **state)
{
	char value[200], path[400];
	struct stat st;
	int fd;

	assert_int_equal(rmdir(directory), 0);
	snprintf(value, sizeof(value), "%s:/nonexistent/second", directory);
	setenv("RUNTIME_DIRECTORY", value, 1);
	fd = lock_take(NULL);
	assert_true(fd >= 0);
	lock_file(path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	close(fd);
}

static void a_removed_file_is_no_lock(void **state)
{
	char path[400];
	int fd = lock_take(NULL), second;

	assert_true(fd >= 0);
	lock_file(path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(lock_holder(), 0);
	second = lock_take(NULL);
	assert_true(second >= 0);
	assert_int_equal(lock_holder(), getpid());
	close(second);
	close(fd);
}

static void a_holder_without_a_pid_is_still_one(void **state)
{
	char path[400];
	int fd = lock_take(NULL);

	assert_true(fd >= 0);
	lock_file(path);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(lock_holder(), -1);
	assert_int_equal(lock_take(NULL), -EWOULDBLOCK);
	close(fd);
}

static void a_link_in_its_place_is_refused(void **state)
{
	struct diag diag = { 0 };
	char path[400];
	int fd = lock_take(NULL);

	assert_true(fd >= 0);
	lock_file(path);
	close(fd);
	assert_int_equal(unlink(path), 0);
	unlink("/tmp/jobfence-lock-nowhere"); /* of a run that failed */
	assert_int_equal(symlink("/tmp/jobfence-lock-nowhere", path), 0);
	assert_int_equal(lock_take(&diag), -ELOOP);
	assert_non_null(strstr(diag.text, path));
	assert_int_equal(access("/tmp/jobfence-lock-nowhere", F_OK), -1);
}

static void a_name_that_is_too_long_is_refused(void **state)
{
	char value[400];

	memset(value, 'a', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	setenv("RUNTIME_DIRECTORY", value, 1);
	assert_int_equal(lock_take(NULL), -ENAMETOOLONG);
	assert_int_equal(lock_holder(), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_holds_it_at_first),
		TEST(the_holder_is_named_and_the_second_refused),
		TEST(another_process_sees_it_and_death_frees_it),
		TEST(the_first_directory_counts_and_is_made),
		TEST(a_removed_file_is_no_lock),
		TEST(a_holder_without_a_pid_is_still_one),
		TEST(a_link_in_its_place_is_refused),
		TEST(a_name_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
