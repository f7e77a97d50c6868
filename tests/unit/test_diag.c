/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two ways in which a sentence reaches a person: a diag and the log. */
#include "jobfence/diag.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "jobfence/log.h"

static void test_diag_set(void **state)
{
	struct diag diag = { 0 };

	assert_int_equal(diag_set(&diag, -EBUSY, "%s is %d", "x", 5), -EBUSY);
	assert_string_equal(diag.text, "x is 5");
	assert_int_equal(diag_set(&diag, -EINVAL, "%s", "a\n\x1b[2J \xc3\xa4\xff"), -EINVAL);
	assert_string_equal(diag.text, "a??[2J \xc3\xa4?");
	assert_int_equal(diag_set(NULL, -ENOMEM, "x"), -ENOMEM);
}

/* Cut to fit, also in the middle of a character. */
static void test_diag_is_cut(void **state)
{
	struct diag diag;
	char longer[600];

	memset(longer, 'x', sizeof(longer));
	memcpy(longer + 510, "\xc3\xa4", 3);
	memset(&diag, 0x55, sizeof(diag));
	diag_set(&diag, 0, "%s", longer);
	assert_int_equal(strlen(diag.text), 511);
	assert_int_equal(diag.text[509], 'x');
	assert_int_equal(diag.text[510], '?');
}

/* stderr is a pipe meanwhile; what was written comes back in static memory. */
struct capture {
	int saved, reader;
};

static struct capture capture_start(void)
{
	struct capture capture;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	capture.saved = dup(STDERR_FILENO);
	capture.reader = fds[0];
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	return capture;
}

static const char *capture_end(struct capture *capture)
{
	static char text[8192];
	ssize_t n;

	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	n = read(capture->reader, text, sizeof(text) - 1);
	close(capture->reader);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void test_log_to_stderr(void **state)
{
	struct capture capture = capture_start();

	unsetenv("JOURNAL_STREAM");
	log_open(LOG_INFO);
	errno = EXDEV;
	log_err("%s", "e");
	log_warn("w");
	log_notice("n");
	log_info("i\nerror: forged \x1b[2J");
	log_debug("d");
	log_msg(LOG_CRIT, "c");
	assert_int_equal(errno, EXDEV);
	log_open(LOG_DEBUG);
	log_debug("d");
	log_open(LOG_WARNING);
	log_notice("n");
	assert_string_equal(capture_end(&capture), "jobfence: error: e\n"
						   "jobfence: warning: w\n"
						   "jobfence: n\n"
						   "jobfence: i?error: forged ?[2J\n"
						   "jobfence: error: c\n"
						   "jobfence: debug: d\n");
}

static void test_log_is_cut(void **state)
{
	struct capture capture = capture_start();
	char longer[4000];
	const char *line;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	unsetenv("JOURNAL_STREAM");
	log_open(LOG_INFO);
	log_warn("%s", longer);
	line = capture_end(&capture);
	assert_int_equal(strlen(line), strlen("jobfence: warning: ") + 1023 + 1);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

/* Whether a line comes out at stderr when $JOURNAL_STREAM is stderr's numbers and these. */
static bool comes_to_stderr(unsigned int add_device, unsigned int add_inode, const char *end)
{
	struct capture capture = capture_start();
	char stream[64];
	struct stat st;
	bool came;

	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%ju:%ju%s", (uintmax_t)st.st_dev + add_device,
		 (uintmax_t)st.st_ino + add_inode, end);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open(LOG_INFO);
	unsetenv("JOURNAL_STREAM");
	log_info("a test of jobfence");
	came = *capture_end(&capture) != '\0';
	log_open(LOG_INFO);
	return came;
}

/* Without a journal on this machine the library drops what it is given, without an error. */
static void test_log_to_journal(void **state)
{
	assert_false(comes_to_stderr(0, 0, ""));
	assert_true(comes_to_stderr(0, 1, ""));
	assert_true(comes_to_stderr(1, 0, ""));
	assert_true(comes_to_stderr(0, 0, "x"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diag_set),       cmocka_unit_test(test_diag_is_cut),
		cmocka_unit_test(test_log_to_stderr),  cmocka_unit_test(test_log_is_cut),
		cmocka_unit_test(test_log_to_journal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
