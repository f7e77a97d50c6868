/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One question is one GET, whatever its path is made of and whatever is answered: the engine's socket is
 * root's, so nothing else may ever go there. (tests/e2e/confined.sh reads what a real daemon asks.)
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/engine-internal.h"
#include "support/fake_engine.h"

struct asked {
	int error;
	long status;
	bool done;
};

static void on_done(const struct http_answer *answer, void *data)
{
	struct asked *asked = data;

	*asked = (struct asked){ answer->error, answer->status, true };
}

/* How many requests arrived for one question. */
static size_t ask(struct fake_engine *fake, const char *path, struct asked *ret_asked)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	struct asked asked = { 0 };
	struct http_ask question = {
		.path = path,
		.timeout_ms = 5000,
		.body_max = 4096,
		.fresh = true,
		.done = on_done,
		.data = &asked,
	};
	struct http_call *call;
	struct http *http;
	int r;

	fake_engine_clear(fake);
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(http_new(event, fake_engine_socket(fake), &http), 0);
	r = http_get(http, &question, &call);
	if (r < 0)
		asked = (struct asked){ .error = r, .done = true };
	while (!asked.done)
		assert_true(sd_event_run(event, 6000000) > 0);
	/* what would come behind the answer */
	(void)sd_event_run(event, 20000);
	http_free(http);
	*ret_asked = asked;
	return fake_engine_count(fake, "");
}

static int setup(void **state)
{
	*state = fake_engine_new();
	return 0;
}

static int teardown(void **state)
{
	assert_true(fake_engine_only_get(*state));
	fake_engine_free(*state);
	return 0;
}

static void test_paths(void **state)
{
	static const char *const paths[] = {
		"/_ping HTTP/1.1\r\nHost: x\r\n\r\nPOST /containers/create HTTP/1.1\r\n\r\n",
		"/_ping\nPOST /containers/create HTTP/1.1\n\n",
		"/_ping HTTP/1.1",
		"/_ping\r",
		"/_ping\t",
		"/_ping\x7f\x01",
		"/_ping#POST",
		"/../../_ping",
		"@/containers/create",
		":2375/containers/create",
		".example.org/",
		"\\containers",
		"",
		"/\xff\xfe",
	};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct asked asked;
		size_t n = ask(*state, paths[i], &asked);

		/* refused before it left, or one GET, with no second line in it */
		if (n > 1 || fake_engine_count(*state, "POST") > 0)
			fail_msg("path %zu: %zu requests", i, n);
		assert_true(fake_engine_only_get(*state));
	}
}

static void test_answers(void **state)
{
	static const int codes[] = { 200, 204, 300, 301, 302, 303, 307, 308,
				     401, 407, 408, 417, 426, 429, 500, 503 };

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		struct asked asked;
		char answer[512];
		int len = snprintf(answer, sizeof(answer),
				   "HTTP/1.1 %d X\r\nLocation: /containers/prune\r\n"
				   "WWW-Authenticate: Basic realm=x\r\nRetry-After: 0\r\n"
				   "Refresh: 0; url=/containers/prune\r\nUpgrade: h2c\r\n"
				   "Content-Length: 0\r\nConnection: close\r\n\r\n",
				   codes[i]);

		fake_engine_answer_as(*state, "/answer", FAKE_RAW, 0, answer, (size_t)len);
		assert_int_equal(ask(*state, "/answer", &asked), 1);
		assert_int_equal(asked.error, 0);
		assert_int_equal(asked.status, codes[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
