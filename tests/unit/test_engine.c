/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine client against a stand-in engine: what it asks, in which order, what it makes of the
 * answers, and the bounds it keeps.
 */
#include "engine_fixture.h"

/* --- in good order --- */

static void comes_in_sync(void **state)
{
	struct fixture *fx = *state;

	start(fx);
	engine_get_view(fx->engine, &fx->view);
	assert_int_equal(fx->view.state, ENGINE_LOST);
	assert_non_null(fx->view.trouble);
	assert_false(fx->view.ever_in_sync);
	engine_free(fx->engine);
	start_with_a(fx);
	assert_true(fx->view.ever_in_sync);
	assert_null(fx->view.trouble);
	assert_string_equal(fx->view.info.version, "20.10.24");
	assert_string_equal(fx->view.info.cgroup_driver, "systemd");
	assert_int_equal(fx->view.peer_pid, getpid());
	assert_int_equal(fx->view.containers_n, 1);
	assert_true(fx->view.containers[0].inspected);
	assert_int_equal(fx->view.containers[0].nano_cpus, 5);
	assert_int_equal(fx->view.containers[0].pid, 77);
	assert_int_equal(host_of(fx, ID_A), 2);
	assert_int_equal(fx->view.networks_n, 1);
	assert_string_equal(fx->view.networks[0].bridge, "docker0");
	assert_int_equal(fx->view.networks[0].endpoints_n, 1);
	assert_int_equal(logged, 1);
	assert_non_null(strstr(last_line, "in sync"));
}

static void asks_in_order(void **state)
{
	struct fixture *fx = *state;
	struct fake_engine *fake = fx->fake;

	start_with_a(fx);
	assert_int_equal(fake_engine_position(fake, "GET /version"), 0);
	assert_int_equal(fake_engine_position(fake, "GET /v1.41/info"), 1);
	assert_int_equal(fake_engine_position(fake, "GET /v1.41/events?since="), 2);
	assert_true(fake_engine_position(fake, "GET /v1.41" LISTS) > 2);
	assert_true(fake_engine_position(fake, "GET /v1.41/networks") > 2);
	assert_true(fake_engine_position(fake, "GET /v1.41/containers/" ID_A "/json") > 4);
	assert_int_equal(fake_engine_count(fake, "filters={\"type\":[\"container\",\"network\","
						 "\"daemon\"],\"event\":["),
			 1);
	assert_int_equal(fake_engine_count(fake, ""), 7);
}

static void agrees_on_a_version(void **state)
{
	static const struct {
		const char *api, *min_api, *asked;
	} cases[] = {
		{ "1.40", "1.12", "/v1.40/info" }, { "1.41", "1.12", "/v1.41/info" },
		{ "1.47", "1.24", "/v1.47/info" }, { "1.48", "1.24", "/v1.47/info" },
		{ "1.52", "1.44", "/v1.47/info" }, { "1.60", "1.50", "/v1.50/info" },
	};
	struct fixture *fx = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_engine_healthy(fx->fake, cases[i].api, cases[i].min_api);
		fake_engine_clear(fx->fake);
		start(fx);
		WAIT_IN_SYNC(fx);
		assert_int_equal(fake_engine_count(fx->fake, cases[i].asked), 1);
		fx->engine = engine_free(fx->engine);
		fx->view = (struct engine_view){ 0 };
	}
}

static void refuses_an_old_engine(void **state)
{
	struct fixture *fx = *state;

	fake_engine_healthy(fx->fake, "1.39", "1.12");
	start(fx);
	WAIT(fx, fx->view.trouble && strstr(fx->view.trouble, "1.39"));
	assert_int_equal(fx->view.state, ENGINE_LOST);
	assert_non_null(strstr(fx->view.trouble, "upgrade"));
	assert_int_equal(fake_engine_count(fx->fake, "info"), 0);
	assert_int_equal(logged, 1);
	fake_engine_healthy(fx->fake, "1.41", "1.12");
	WAIT_IN_SYNC(fx);
}

static void a_start_is_seen_before_inspect_answers(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_container(fx, ID_B, "created", 9);
	fake_engine_hold(fx->fake, "/containers/" ID_B "/json", true);
	container_event(fx, "create", ID_B);
	WAIT(fx, find(fx, ID_B));
	has_network(fx, ID_B, 3);
	network_event(fx, "connect", ID_B);
	WAIT(fx, host_of(fx, ID_B) == 3);
	assert_false(find(fx, ID_B)->inspected);
	assert_int_equal(find(fx, ID_B)->state, CONTAINER_CREATED);

	has_container(fx, ID_B, "running", 3);
	container_event(fx, "start", ID_B);
	WAIT(fx, find(fx, ID_B)->state == CONTAINER_RUNNING);
	assert_false(find(fx, ID_B)->inspected);
	/* one inspect at most is in flight for one container */
	assert_int_equal(fake_engine_count(fx->fake, ID_B "/json"), 1);
	fake_engine_hold(fx->fake, "/containers/" ID_B "/json", false);
	WAIT(fx, find(fx, ID_B)->inspected);
	/* it was asked for again meanwhile */
	WAIT(fx, fake_engine_count(fx->fake, ID_B "/json") == 2);
	assert_int_equal(fx->view.state, ENGINE_IN_SYNC);
}

static void follows_a_life(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_container(fx, ID_A, "paused", 2);
	container_event(fx, "pause", ID_A);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_PAUSED);
	has_container(fx, ID_A, "exited", 0);
	container_event(fx, "die", ID_A);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_EXITED);
	assert_int_equal(find(fx, ID_A)->pid, 0);
	has_container(fx, ID_A, NULL, 0);
	container_event(fx, "destroy", ID_A);
	WAIT(fx, !find(fx, ID_A));
	/* what is asked for and is not there is gone, too */
	has_container(fx, ID_B, "running", 4);
	container_event(fx, "start", ID_B);
	WAIT(fx, find(fx, ID_B) && find(fx, ID_B)->inspected);
	has_container(fx, ID_B, NULL, 0);
	container_event(fx, "die", ID_B);
	WAIT(fx, !find(fx, ID_B));
	assert_int_equal(logged, 1);
}

static void follows_networks(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_network(fx, ID_A, 5);
	has_container(fx, ID_A, "running", 5);
	network_event(fx, "connect", ID_A);
	WAIT(fx, host_of(fx, ID_A) == 5);
	has_network(fx, NULL, 0);
	has_container(fx, ID_A, "running", 0);
	fake_engine_hold(fx->fake, "/containers/" ID_A "/json", true);
	network_event(fx, "disconnect", ID_A);
	WAIT(fx, host_of(fx, ID_A) == 0); /* by the network alone */
	fake_engine_hold(fx->fake, "/containers/" ID_A "/json", false);
	fake_engine_forget(fx->fake, "/networks/" NET_A);
	network_event(fx, "destroy", "");
	WAIT(fx, fx->view.networks_n == 0);
}

static void a_reload_of_the_daemon_asks_all(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	fake_engine_answer(fx->fake, "/info", 200,
			   "{\"ServerVersion\":\"20.10.25\",\"LiveRestoreEnabled\":true}");
	has_listed(fx, ID_A, ID_B);
	has_container(fx, ID_B, "running", 3);
	fake_engine_event(fx->fake, "{\"Type\":\"daemon\",\"Action\":\"reload\",\"Actor\":{}}");
	WAIT(fx, fx->view.info.live_restore && find(fx, ID_B) && find(fx, ID_B)->inspected);
	assert_int_equal(fake_engine_count(fx->fake, "/events"), 1);
}

static void a_refresh_is_taken_as_a_whole(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_listed(fx, ID_B, NULL);
	has_container(fx, ID_B, "running", 3);
	fake_engine_hold(fx->fake, "/networks", true);
	engine_refresh(fx->engine);
	WAIT(fx, fake_engine_count(fx->fake, "/networks") == 3); /* two of them at the start */
	run_for(fx, 50);
	assert_non_null(find(fx, ID_A));
	assert_null(find(fx, ID_B));
	fake_engine_hold(fx->fake, "/networks", false);
	WAIT(fx, find(fx, ID_B) && find(fx, ID_B)->inspected);
	assert_null(find(fx, ID_A));
	assert_int_equal(fx->view.state, ENGINE_IN_SYNC);
	assert_int_equal(fake_engine_count(fx->fake, "/events"), 1); /* the stream stayed */
}

static void the_dead_stay_dead(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	/* The list was made before the end, and comes after it. */
	fake_engine_hold(fx->fake, LISTS, true);
	engine_refresh(fx->engine);
	WAIT(fx, fake_engine_count(fx->fake, "GET /v1.41" LISTS) == 2);
	fake_engine_hold(fx->fake, "/containers/" ID_A "/json", true);
	container_event(fx, "die", ID_A); /* its answers come late, too */
	WAIT(fx, fake_engine_count(fx->fake, ID_A "/json") == 2);
	container_event(fx, "destroy", ID_A);
	WAIT(fx, !find(fx, ID_A));
	fake_engine_hold(fx->fake, LISTS, false);
	WAIT(fx, fake_engine_count(fx->fake, "/networks/" NET_A) == 2);
	fake_engine_hold(fx->fake, "/containers/" ID_A "/json", false);
	run_for(fx, 100);
	assert_null(find(fx, ID_A));
}

static void changes_are_coalesced(void **state)
{
	struct fixture *fx = *state;

	has_listed(fx, ID_A, NULL);
	has_container(fx, ID_A, "running", 2);
	start(fx);
	WAIT_IN_SYNC(fx);
	assert_true(fx->changes <= fx->loops);
	fx->changes = 0;
	for (int i = 0; i < 200; i++)
		container_event(fx, "update", ID_A);
	run_for(fx, 300);
	assert_true(fx->changes >= 1);
	assert_true(fx->changes < 100);
	run_for(fx, 100);
	fx->changes = 0;
	for (int i = 0; i < 10; i++) {
		engine_ping(fx->engine); /* work that changes nothing */
		run_for(fx, 20);
	}
	assert_true(fake_engine_count(fx->fake, "GET /_ping") >= 5);
	assert_int_equal(fx->changes, 0); /* nothing happens: nothing is told */
}

/* --- bounds --- */

static char *many_listed(unsigned n, const char *state)
{
	char *text = malloc(n * 700 + 3), *at = text;

	assert_non_null(text);
	*at++ = '[';
	for (unsigned i = 0; i < n; i++) {
		char id[CONTAINER_ID_LEN + 1];

		if (i)
			*at++ = ',';
		snprintf(id, sizeof(id), "%064x", i);
		listed_text(at, 700, id, state);
		at += strlen(at);
	}
	strcpy(at, "]");
	return text;
}

/* The inspections of the first @held are held back. */
static void has_many_running(struct fixture *fx, unsigned n, unsigned held)
{
	char *text = many_listed(n, "running");
	char path[200], id[CONTAINER_ID_LEN + 1];

	fake_engine_answer(fx->fake, LISTS, 200, text);
	free(text);
	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "%064x", i);
		has_container(fx, id, "running", 2);
		snprintf(path, sizeof(path), "/containers/%s/json", id);
		fake_engine_hold(fx->fake, path, i < held);
	}
}

static void inspects_few_at_a_time(void **state)
{
	struct fixture *fx = *state;
	char path[200];

	has_many_running(fx, 100, 100);
	start(fx);
	fx->engine->inspecting_us = 10000; /* of many each one has its time beside it */
	WAIT(fx, fake_engine_count(fx->fake, "/containers/000") == ASKS_BULK_MAX);
	run_for(fx, 50);
	assert_int_equal(fake_engine_count(fx->fake, "/containers/000"), ASKS_BULK_MAX);
	assert_int_equal(fx->view.state, ENGINE_SYNCING);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "/containers/%064x/json", i);
		fake_engine_hold(fx->fake, path, false);
	}
	WAIT_IN_SYNC(fx);
	for (size_t i = 0; i < fx->view.containers_n; i++)
		assert_true(fx->view.containers[i].inspected);
	assert_int_equal(fake_engine_count(fx->fake, "/containers/000"), 100);
}

static void eight_that_hang_hold_up_nobody(void **state)
{
	struct fixture *fx = *state;

	has_many_running(fx, 20, ASKS_BULK_MAX);
	start(fx);
	fx->engine->inspecting_us = 200000;
	WAIT_IN_SYNC(fx);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(fx->view.containers[i].inspected, i >= ASKS_BULK_MAX);
}

static void a_start_that_hangs_holds_up_nothing(void **state)
{
	struct fixture *fx = *state;

	has_listed(fx, ID_A, ID_B);
	has_container(fx, ID_A, "running", 2);
	has_container(fx, ID_B, "running", 3);
	fake_engine_hold(fx->fake, "/containers/" ID_A "/json", true);
	start(fx);
	fx->engine->inspecting_us = 200000;
	WAIT_IN_SYNC(fx);
	assert_false(find(fx, ID_A)->inspected);
	assert_true(find(fx, ID_B)->inspected);
	assert_int_equal(logged, 2);
	fake_engine_hold(fx->fake, "/containers/" ID_A "/json", false);
	WAIT(fx, find(fx, ID_A)->inspected);
}

/* One after the other in few big chunks, far faster than they could be asked about. */
static void a_flood_of_events(void **state)
{
	struct fixture *fx = *state;
	char *text = malloc(6000 * 200), *at = text;
	uint64_t began = clock_usec();
	unsigned lists;

	assert_non_null(text);
	start_with_a(fx);
	lists = (unsigned)fake_engine_count(fx->fake, "GET /v1.41" LISTS);
	for (unsigned i = 0; i < 6000; i++)
		at += sprintf(at,
			      "{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":"
			      "\"%064x\"}}\n",
			      i);
	fake_engine_stream(fx->fake, text, (size_t)(at - text));
	free(text);
	WAIT(fx, fx->engine->asks.queue_n);
	while (fx->engine->asks.queue_n) {
		assert_true(fx->engine->asks.queue_n <= ASKS_QUEUED_MAX + 4);
		assert_true(fx->engine->asks.flying_n <= ASKS_FLYING_MAX);
		run_once(fx, 5);
	}
	/* what did not fit was made good by a refresh */
	WAIT(fx, fake_engine_position(fx->fake, "GET /v1.41" LISTS) >= 0 &&
			 fake_engine_count(fx->fake, "/networks") > lists + 1);
	container_event(fx, "start", ID_B);
	has_container(fx, ID_B, "running", 3);
	container_event(fx, "start", ID_B);
	WAIT(fx, find(fx, ID_B) && find(fx, ID_B)->inspected);
	assert_int_equal(fx->view.containers_n, 2);
	/* one line in five seconds, beside the one at the start */
	assert_true(logged <= 2 + (clock_usec() - began) / 5000000);
}

static void a_big_event_is_read(void **state)
{
	struct fixture *fx = *state;
	size_t len = 300000;
	char *text = malloc(len + 400);
	int head;

	assert_non_null(text);
	start_with_a(fx);
	has_container(fx, ID_A, "paused", 2);
	head = sprintf(text,
		       "{\"Type\":\"container\",\"Action\":\"pause\",\"Actor\":{\"ID\":\"%s\","
		       "\"Attributes\":{\"container\":\"%s\",\"label\":\"",
		       ID_A, ID_B);
	memset(text + head, 'x', len);
	strcpy(text + head + len, "\"}}}");
	fake_engine_event(fx->fake, text);
	free(text);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_PAUSED);
	assert_int_equal(logged, 1);
}

static void an_event_too_big_is_made_good(void **state)
{
	struct fixture *fx = *state;
	size_t len = 10 * 1024 * 1024;
	char *text = malloc(len + 1);

	assert_non_null(text);
	start_with_a(fx);
	has_container(fx, ID_A, "paused", 2);
	memset(text, 'x', len);
	text[len] = '\0';
	fake_engine_event(fx->fake, text);
	free(text);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_PAUSED); /* by a refresh */
	assert_int_equal(logged, 2);
	assert_non_null(strstr(last_line, "longer than"));
	assert_int_equal(fake_engine_count(fx->fake, "/events"), 1);
	has_container(fx, ID_A, "running", 2);
	container_event(fx, "unpause", ID_A); /* the stream is read on */
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_RUNNING);
}

static void garbage_events_are_made_good(void **state)
{
	static const char *const lines[] = { "garbage", "{}",
					     "[]",      "{\"Type\":7}",
					     "{{{{",    "{\"Type\":\"container\",\"Action\":\"x\"}",
					     "\x01\xff" };
	struct fixture *fx = *state;

	start_with_a(fx);
	has_container(fx, ID_A, "paused", 2);
	for (int i = 0; i < 200; i++)
		fake_engine_event(fx->fake, lines[i % 7]);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_PAUSED);
	assert_int_equal(logged, 2); /* one for all of them */
	assert_int_equal(fx->view.state, ENGINE_IN_SYNC);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(comes_in_sync),
		TEST(asks_in_order),
		TEST(agrees_on_a_version),
		TEST(refuses_an_old_engine),
		TEST(a_start_is_seen_before_inspect_answers),
		TEST(follows_a_life),
		TEST(follows_networks),
		TEST(a_reload_of_the_daemon_asks_all),
		TEST(a_refresh_is_taken_as_a_whole),
		TEST(the_dead_stay_dead),
		TEST(changes_are_coalesced),
		TEST(inspects_few_at_a_time),
		TEST(eight_that_hang_hold_up_nobody),
		TEST(a_start_that_hangs_holds_up_nothing),
		TEST(a_flood_of_events),
		TEST(a_big_event_is_read),
		TEST(an_event_too_big_is_made_good),
		TEST(garbage_events_are_made_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
