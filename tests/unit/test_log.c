/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What can go on and on is said once, and how often it was left out. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "jobfence/log.h"

static char text[8192];
static int saved = -1, ends[2];

static void capture(void)
{
	unsetenv("JOURNAL_STREAM");
	log_open(LOG_INFO);
	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	saved = dup(STDERR_FILENO);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
}

/* How many lines there are since capture(); they are in @text. */
static size_t lines(void)
{
	ssize_t n;
	size_t count = 0;

	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	n = read(ends[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	close(ends[1]);
	close(saved);
	for (const char *c = text; *c; c++)
		count += *c == '\n';
	return count;
}

static void same_sentence_is_said_once(void **state)
{
	struct log_limit limit = { 0 };

	capture();
	for (int i = 0; i < 1000; i++)
		log_limited(&limit, LOG_ERR, "the engine is %s", "away");
	assert_int_equal(lines(), 1);
	assert_string_equal(text, "jobfence: error: the engine is away\n");
	/* what is new is said, with what was left out */
	capture();
	log_limited(&limit, LOG_ERR, "the engine is %s", "mad");
	assert_int_equal(lines(), 1);
	assert_non_null(strstr(text, "mad (999 lines like it were left out)"));
}

static void it_is_said_again_when_it_comes_back(void **state)
{
	struct log_limit limit = { 0 };

	capture();
	log_limited(&limit, LOG_ERR, "the engine is away");
	log_limit_reset(&limit);
	log_limited(&limit, LOG_ERR, "the engine is away");
	assert_int_equal(lines(), 2);
}

static void many_sentences_are_bounded(void **state)
{
	struct log_limit limit = { 0 };

	capture();
	for (int i = 0; i < 600; i++)
		log_limited(&limit, LOG_WARNING, "nft (pid %d) changed the tables", i);
	assert_int_equal(lines(), 10);
	/* a minute later */
	limit.minute_usec -= 60 * 1000000ULL;
	capture();
	log_limited(&limit, LOG_WARNING, "nft (pid 600) changed the tables");
	assert_int_equal(lines(), 1);
	assert_non_null(strstr(text, "(590 lines like it were left out)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_sentence_is_said_once),
		cmocka_unit_test(it_is_said_again_when_it_comes_back),
		cmocka_unit_test(many_sentences_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
