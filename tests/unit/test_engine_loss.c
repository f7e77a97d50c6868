/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine client when things break: the engine away, hung or replaced, answers that are late,
 * wrong, hostile or cut at any byte, and the end of the client at any time.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "engine_fixture.h"

/* --- losses --- */

static void no_engine_yet(void **state)
{
	struct fixture *fx = *state;

	fake_engine_listen(fx->fake, false);
	start(fx);
	WAIT(fx, fx->view.trouble && strstr(fx->view.trouble, "No such file"));
	run_for(fx, 1000);
	assert_int_equal(fx->view.state, ENGINE_LOST);
	assert_int_equal(logged, 1);
	assert_non_null(strstr(last_line, "the fence stands"));
	assert_non_null(strstr(last_line, fake_engine_socket(fx->fake)));
	fake_engine_listen(fx->fake, true);
	WAIT_IN_SYNC(fx);
	assert_int_equal(logged, 2);
}

static void a_socket_that_returns_is_seen_at_once(void **state)
{
	struct fixture *fx = *state;
	uint64_t before;

	start_with_a(fx);
	fx->engine->retry_ms = 10000;
	fake_engine_listen(fx->fake, false);
	WAIT(fx, fx->view.state == ENGINE_LOST);
	fake_engine_listen(fx->fake, true);
	before = clock_usec();
	WAIT_IN_SYNC(fx);
	assert_true(clock_usec() - before < 2000000);
}

/* It is there, but nobody may or can speak to it, until an administrator mends that. */
static void a_socket_that_is_permitted_is_seen_at_once(void **state)
{
	struct fixture *fx = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), accepted = -1;
	uint64_t before;

	fake_engine_listen(fx->fake, false);
	strcpy(addr.sun_path, fake_engine_socket(fx->fake));
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	start(fx);
	fx->engine->retry_ms = 10000;
	WAIT(fx, fx->view.trouble && strstr(fx->view.trouble, "refused"));
	run_for(fx, 100);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(chmod(addr.sun_path, 0660), 0);
	before = clock_usec();
	WAIT(fx, (accepted = accept(fd, NULL, NULL)) >= 0);
	assert_true(clock_usec() - before < 2000000);
	close(accepted);
	close(fd);
	unlink(addr.sun_path);
}

static void lose_and_return(struct fixture *fx, bool cleanly)
{
	has_listed(fx, ID_A, ID_B);
	has_container(fx, ID_A, "running", 2);
	has_container(fx, ID_B, "running", 3);
	has_network(fx, ID_B, 3);
	start(fx);
	WAIT_IN_SYNC(fx);
	/* while away: A dies, and B's answers are held back when the engine returns */
	has_listed(fx, ID_B, NULL);
	has_container(fx, ID_A, NULL, 0);
	fake_engine_hold(fx->fake, "/containers/" ID_B "/json", true);
	fake_engine_end_streams(fx->fake, cleanly);
	WAIT(fx, fx->view.state == ENGINE_LOST);
	assert_non_null(strstr(fx->view.trouble, "stream"));
	assert_int_equal(fx->view.containers_n, 2); /* kept */
	assert_true(fx->view.ever_in_sync);
	WAIT(fx, fx->view.state == ENGINE_SYNCING && !find(fx, ID_A));
	assert_true(find(fx, ID_B)->inspected); /* as known before */
	assert_int_equal(host_of(fx, ID_B), 3);
	fake_engine_hold(fx->fake, "/containers/" ID_B "/json", false);
	WAIT_IN_SYNC(fx);
	assert_int_equal(logged, 3);
	assert_int_equal(fake_engine_count(fx->fake, "/events"), 2);
}

static void a_stream_that_ends(void **state)
{
	lose_and_return(*state, true);
}

static void a_stream_that_breaks(void **state)
{
	lose_and_return(*state, false);
}

static void a_restart_of_the_engine(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	for (int i = 0; i < 3; i++) {
		fake_engine_listen(fx->fake, false);
		WAIT(fx, fx->view.state == ENGINE_LOST);
		assert_non_null(find(fx, ID_A));
		fake_engine_listen(fx->fake, true);
		WAIT_IN_SYNC(fx);
	}
	assert_int_equal(logged, 7);
}

static void a_hung_engine_is_lost(void **state)
{
	struct fixture *fx = *state;

	has_listed(fx, ID_A, NULL);
	has_container(fx, ID_A, "running", 2);
	start(fx);
	fx->engine->asks.timeout_max_ms = 300;
	WAIT_IN_SYNC(fx);
	engine_refresh(fx->engine);
	WAIT(fx, fake_engine_count(fx->fake, "GET /_ping") == 1);
	run_for(fx, 400);
	assert_int_equal(fx->view.state, ENGINE_IN_SYNC);
	fake_engine_hang(fx->fake, true);
	engine_refresh(fx->engine);
	WAIT(fx, fx->view.state == ENGINE_LOST);
	assert_non_null(strstr(fx->view.trouble, "_ping"));
	assert_non_null(strstr(fx->view.trouble, "in time"));
	assert_non_null(find(fx, ID_A));
	fake_engine_hang(fx->fake, false);
	WAIT_IN_SYNC(fx);
	assert_int_equal(logged, 3);
}

static void a_removed_socket_is_noticed(void **state)
{
	struct fixture *fx = *state;

	start(fx);
	WAIT_IN_SYNC(fx);
	assert_int_equal(unlink(fake_engine_socket(fx->fake)), 0); /* the stream lives on */
	WAIT(fx, fx->view.state == ENGINE_LOST);
}

/* What is asked then is a question of its own: the same engine behind it is no loss. */
static void a_socket_that_moves_is_asked(void **state)
{
	struct fixture *fx = *state;
	char aside[200];

	start(fx);
	WAIT_IN_SYNC(fx);
	run_for(fx, 50);
	assert_int_equal(fake_engine_count(fx->fake, "GET /_ping"), 0);
	snprintf(aside, sizeof(aside), "%s.aside", fake_engine_socket(fx->fake));
	assert_int_equal(link(fake_engine_socket(fx->fake), aside), 0);
	assert_int_equal(rename(aside, fake_engine_socket(fx->fake)), 0); /* one inode: nothing */
	assert_int_equal(chmod(fake_engine_socket(fx->fake), 0666), 0);
	WAIT(fx, fake_engine_count(fx->fake, "GET /_ping") == 1);
	run_for(fx, 50);
	assert_int_equal(fx->view.state, ENGINE_IN_SYNC);
	assert_int_equal(unlink(aside), 0);
}

/* What else goes on in the folder was more than the kernel keeps: the socket may be among it. */
static void a_lost_notification_is_asked_for(void **state)
{
	struct fixture *fx = *state;
	char other[200];

	start(fx);
	WAIT_IN_SYNC(fx);
	snprintf(other, sizeof(other), "%s.other", fake_engine_socket(fx->fake));
	for (int i = 0; i < 20000; i++) {
		int fd = open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		close(fd);
		assert_int_equal(unlink(other), 0);
	}
	assert_int_equal(fake_engine_count(fx->fake, "GET /_ping"), 0);
	WAIT(fx, fake_engine_count(fx->fake, "GET /_ping") == 1);
	assert_int_equal(fx->view.state, ENGINE_IN_SYNC);
}

/* The folder that is watched goes, and another one is at its place. */
static void a_folder_that_comes_again_is_watched(void **state)
{
	struct fixture *fx = *state;
	char folder[200], aside[220];

	start(fx);
	WAIT_IN_SYNC(fx);
	snprintf(folder, sizeof(folder), "%s", fake_engine_socket(fx->fake));
	*strrchr(folder, '/') = '\0';
	snprintf(aside, sizeof(aside), "%s.aside", folder);
	assert_int_equal(rename(folder, aside), 0);
	WAIT(fx, fx->view.state == ENGINE_LOST);
	assert_int_equal(rename(aside, folder), 0);
	WAIT_IN_SYNC(fx);
	assert_int_equal(unlink(fake_engine_socket(fx->fake)), 0);
	WAIT(fx, fx->view.state == ENGINE_LOST);
}

static void a_stream_that_never_begins(void **state)
{
	struct fixture *fx = *state;

	fake_engine_hold(fx->fake, "/events", true);
	start(fx);
	fx->engine->stream_head_us = 100000;
	WAIT(fx, fx->view.trouble && strstr(fx->view.trouble, "no event stream"));
	fake_engine_answer(fx->fake, "/events", 500, "{\"message\":\"busy\"}");
	fake_engine_hold(fx->fake, "/events", false);
	WAIT(fx, fx->view.trouble && strstr(fx->view.trouble, "HTTP 500"));
	assert_false(fx->view.ever_in_sync);
}

/* --- answers that nothing can be made of --- */

static void is_lost_and_returns(struct fixture *fx, const char *path, const char *trouble)
{
	unsigned before = logged;

	start(fx);
	WAIT(fx, fx->view.trouble && strstr(fx->view.trouble, trouble));
	assert_int_equal(fx->view.state, ENGINE_LOST);
	run_for(fx, 300); /* two or three more tries */
	assert_int_equal(logged, before + 1);
	for (const char *p = last_line; *p; p++)
		assert_true(*p >= ' ' && *p <= '~');
	fake_engine_healthy(fx->fake, "1.41", "1.12");
	WAIT_IN_SYNC(fx);
	fx->engine = engine_free(fx->engine);
	fx->view = (struct engine_view){ 0 };
}

static void answers_that_lose(void **state)
{
	static const struct {
		const char *path;
		int status;
		const char *body, *trouble;
	} cases[] = {
		{ "/version", 500, "{\"message\":\"b\x1b[31mad\"}", "HTTP 500" },
		{ "/version", 302, "", "HTTP 302" },
		{ "/version", 200, "<html>", "JSON" },
		{ "/version", 200, "", "empty" },
		{ "/info", 403, "no", "HTTP 403" },
		{ "/info", 200, "[]", "/info" },
		{ LISTS, 500, "{\"message\":\"x\"}", "HTTP 500" },
		{ LISTS, 200, "{}", "container list" },
		{ LISTS, 200, "[{\"Id\":\"x\",\"State\":\"running\"}]", "64 hex" },
		{ LISTS, 200, "[", "JSON" },
		{ "/networks", 200, "null", "network list" },
		{ "/networks", 404, "", "HTTP 404" },
	};
	struct fixture *fx = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_engine_healthy(fx->fake, "1.41", "1.12");
		fake_engine_answer(fx->fake, cases[i].path, cases[i].status, cases[i].body);
		is_lost_and_returns(fx, cases[i].path, cases[i].trouble);
	}
}

static void raw_answers_that_lose(void **state)
{
	static const struct {
		const char *text, *trouble;
	} cases[] = {
		{ "SSH-2.0-OpenSSH_9.2\r\n", "/version" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"ApiVersion\"", "/version" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "/version" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
		  "/version" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "/version" },
		{ "HTTP/1.1 301 X\r\nLocation: http://127.0.0.1:1/version\r\nContent-Length: 0"
		  "\r\n\r\n",
		  "HTTP 301" },
		{ "", "/version" },
		{ "\n\n\n\n", "/version" },
		{ "HTTP/1.1 200 OK\r\n\r\n", "empty" },
	};
	struct fixture *fx = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_engine_answer_as(fx->fake, "/version", FAKE_RAW, 0, cases[i].text,
				      strlen(cases[i].text));
		is_lost_and_returns(fx, "/version", cases[i].trouble);
	}
}

static void answers_that_are_too_large(void **state)
{
	struct fixture *fx = *state;
	size_t size = 65 * 1024 * 1024;
	char *text = malloc(size);

	assert_non_null(text);
	memset(text, ' ', size);
	fake_engine_answer_as(fx->fake, LISTS, FAKE_LENGTH, 200, text, size);
	is_lost_and_returns(fx, LISTS,
			    "/containers/json: the answer is larger than 65536 KiB. Labels of "
			    "images are the most of it: find the container by docker ps");
	/* a head without an end */
	strcpy(text, "HTTP/1.1 200 OK\r\n");
	for (size_t at = strlen(text); at < 17 * 1024 * 1024; at += 49)
		sprintf(text + at, "X-Head-%08zx: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", at);
	fake_engine_answer_as(fx->fake, "/version", FAKE_RAW, 0, text, strlen(text));
	is_lost_and_returns(fx, "/version", "the head of the answer is too large");
	free(text);
}

static void one_bad_container_is_only_one(void **state)
{
	static const struct {
		int status;
		const char *body;
	} cases[] = {
		{ 500, "{\"message\":\"driver failed\"}" },
		{ 200, "{}" },
		{ 200, "{\"Id\":\"" ID_B "\",\"State\":{\"Status\":\"exited\"},\"Config\":{},"
		       "\"HostConfig\":{},\"NetworkSettings\":{}}" },
		{ 200, "garbage\x01" },
	};
	struct fixture *fx = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		has_listed(fx, ID_A, ID_B);
		has_container(fx, ID_A, "running", 2);
		has_container(fx, ID_B, "running", 3);
		fake_engine_answer(fx->fake, "/containers/" ID_A "/json", cases[i].status,
				   cases[i].body);
		start(fx);
		logged = 0;
		WAIT_IN_SYNC(fx);
		assert_false(find(fx, ID_A)->inspected);
		assert_true(find(fx, ID_B)->inspected);
		assert_int_equal(find(fx, ID_B)->state, CONTAINER_RUNNING);
		assert_int_equal(logged, 2);
		has_container(fx, ID_A, "running", 2); /* asked again without any event */
		WAIT(fx, find(fx, ID_A)->inspected);
		fx->engine = engine_free(fx->engine);
		fx->view = (struct engine_view){ 0 };
	}
}

/* --- every way to cut the answers --- */

static void split_at_every_boundary(void **state)
{
	struct fixture *fx = *state;
	char one[700], text[800];

	listed_text(one, sizeof(one), ID_A, "running");
	snprintf(text, sizeof(text), "[%s]", one);
	has_container(fx, ID_A, "running", 2);
	has_network(fx, ID_A, 2);
	fake_engine_answer_as(fx->fake, LISTS, FAKE_CHUNKED, 200, text, strlen(text));
	for (size_t cut = 1; cut < 700; cut += cut < 300 ? 1 : 13) {
		fake_engine_split(fx->fake, cut);
		start(fx);
		WAIT_IN_SYNC(fx);
		assert_int_equal(host_of(fx, ID_A), 2);
		fx->engine = engine_free(fx->engine);
		fx->view = (struct engine_view){ 0 };
	}
	assert_int_equal(fake_engine_count(fx->fake, "/events"), 330);
}

static void events_split_at_every_boundary(void **state)
{
	struct fixture *fx = *state;
	char line[300];
	size_t len;

	start_with_a(fx);
	len = (size_t)sprintf(line,
			      "{\"Type\":\"container\",\"Action\":\"pause\",\"Actor\":"
			      "{\"ID\":\"%s\"}}\n",
			      ID_A);
	for (size_t cut = 1; cut < len; cut++) {
		bool pause = cut % 2;

		has_container(fx, ID_A, pause ? "paused" : "running", 2);
		fake_engine_stream(fx->fake, line, cut);
		run_once(fx, 5);
		fake_engine_stream(fx->fake, line + cut, len - cut);
		WAIT(fx, find(fx, ID_A)->state == (pause ? CONTAINER_PAUSED : CONTAINER_RUNNING));
	}
	assert_int_equal(logged, 1);
}

/* --- ending --- */

static void may_be_freed_at_any_time(void **state)
{
	struct fixture *fx = *state;

	has_listed(fx, ID_A, ID_B);
	has_container(fx, ID_A, "running", 2);
	has_container(fx, ID_B, "running", 3);
	has_network(fx, ID_A, 2);
	for (int loops = 0; loops < 60; loops++) {
		start(fx);
		for (int i = 0; i < loops; i++)
			run_once(fx, 1);
		fx->engine = engine_free(fx->engine);
	}
	assert_null(engine_free(NULL));
	run_for(fx, 20);
	fx->free_on_change = true; /* from within its own callback */
	start(fx);
	WAIT(fx, !fx->engine);
	run_for(fx, 20);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(no_engine_yet),
		TEST(a_socket_that_returns_is_seen_at_once),
		TEST(a_socket_that_is_permitted_is_seen_at_once),
		TEST(a_stream_that_ends),
		TEST(a_stream_that_breaks),
		TEST(a_restart_of_the_engine),
		TEST(a_hung_engine_is_lost),
		TEST(a_removed_socket_is_noticed),
		TEST(a_socket_that_moves_is_asked),
		TEST(a_lost_notification_is_asked_for),
		TEST(a_folder_that_comes_again_is_watched),
		TEST(a_stream_that_never_begins),
		TEST(answers_that_lose),
		TEST(raw_answers_that_lose),
		TEST(answers_that_are_too_large),
		TEST(one_bad_container_is_only_one),
		TEST(split_at_every_boundary),
		TEST(events_split_at_every_boundary),
		TEST(may_be_freed_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
