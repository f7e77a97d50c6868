/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine client against a stand-in engine: what it asks, in which order, and what it makes of
 * good, late, broken and hostile answers. After each test every request must have been a GET.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../src/engine-internal.h"
#include "jobfence/log.h"
#include "support/fake_engine.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define NET_A "1111111111111111111111111111111111111111111111111111111111111111"
#define LISTS "/containers/json?all=1"

struct fixture {
	sd_event *event;
	struct fake_engine *fake;
	struct engine *engine;
	struct engine_view view; /* of now */
	unsigned changes, loops;
	bool free_on_change;
};

/* --- the log, counted instead of written --- */

static unsigned logged; /* lines of LOG_INFO and worse */
static char last_line[1024];

void log_open(int max_level)
{
}

void log_msg(int level, const char *fmt, ...)
{
	va_list args;

	if (level > LOG_INFO)
		return;
	va_start(args, fmt);
	vsnprintf(last_line, sizeof(last_line), fmt, args);
	va_end(args);
	logged++;
	if (getenv("TEST_LOG"))
		fprintf(stderr, "log: %s\n", last_line);
}

/* --- the fixture --- */

static void on_change(struct engine *engine, void *data)
{
	struct fixture *fx = data;

	fx->changes++;
	if (fx->free_on_change)
		fx->engine = engine_free(fx->engine);
}

static void start(struct fixture *fx)
{
	assert_int_equal(
		engine_new(fx->event, fake_engine_socket(fx->fake), on_change, fx, &fx->engine), 0);
	fx->engine->refresh_retry_ms = 20;
}

static int setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));

	assert_non_null(fx);
	assert_true(sd_event_new(&fx->event) >= 0);
	fx->fake = fake_engine_new();
	fake_engine_healthy(fx->fake, "1.41", "1.12");
	logged = 0;
	last_line[0] = '\0';
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;
	bool only_get = fake_engine_only_get(fx->fake);

	engine_free(fx->engine);
	fake_engine_free(fx->fake);
	sd_event_unref(fx->event);
	free(fx);
	assert_true(only_get);
	return 0;
}

static void run_once(struct fixture *fx, unsigned ms)
{
	assert_true(sd_event_run(fx->event, (uint64_t)ms * 1000) >= 0);
	fx->loops++;
	if (fx->engine)
		engine_get_view(fx->engine, &fx->view);
}

static void run_for(struct fixture *fx, unsigned ms)
{
	uint64_t end = engine_now_us() + (uint64_t)ms * 1000;

	while (engine_now_us() < end)
		run_once(fx, 5);
}

/* Runs the loop until it holds; fails after 20 s. */
#define WAIT(fx, condition)                                                                \
	do {                                                                               \
		uint64_t _end = engine_now_us() + 20000000;                                \
		while (!(condition)) {                                                     \
			if (engine_now_us() > _end)                                        \
				fail_msg("waited in vain for %s; trouble: %s", #condition, \
					 (fx)->view.trouble ?: "none");                    \
			run_once((fx), 5);                                                 \
		}                                                                          \
	} while (0)

#define WAIT_IN_SYNC(fx) WAIT(fx, (fx)->view.state == ENGINE_IN_SYNC)

static const struct container *find(const struct fixture *fx, const char *id)
{
	for (size_t i = 0; i < fx->view.containers_n; i++)
		if (!strcmp(fx->view.containers[i].id, id))
			return &fx->view.containers[i];
	return NULL;
}

static uint8_t host_of(const struct fixture *fx, const char *id)
{
	const struct container *c = find(fx, id);

	return c && c->endpoints_n ? c->endpoints[0].ip4.bytes[3] : 0;
}

/* --- what the engine has --- */

static void listed_text(char *text, size_t size, const char *id, const char *state)
{
	snprintf(text, size,
		 "{\"Id\":\"%s\",\"Names\":[\"/job\"],\"State\":\"%s\",\"Labels\":{},"
		 "\"HostConfig\":{\"NetworkMode\":\"default\"},\"NetworkSettings\":{\"Networks\":"
		 "{\"bridge\":{\"NetworkID\":\"\",\"IPAddress\":\"\"}}}}",
		 id, state);
}

/* GET /containers/json?all=1 lists @a and @b, where they are given. */
static void has_listed(struct fixture *fx, const char *a, const char *b)
{
	char one[700] = "", two[700] = "", text[1500];

	if (a)
		listed_text(one, sizeof(one), a, "running");
	if (b)
		listed_text(two, sizeof(two), b, "running");
	snprintf(text, sizeof(text), "[%s%s%s]", one, a && b ? "," : "", two);
	fake_engine_answer(fx->fake, LISTS, 200, text);
}

/* What the two questions about one container give; a NULL @state: nothing. */
static void has_container(struct fixture *fx, const char *id, const char *state, unsigned host)
{
	char path[200], one[700], text[1500];

	snprintf(path, sizeof(path), LISTS "&filters={\"id\":[\"%s\"]}", id);
	listed_text(one, sizeof(one), id, state ?: "");
	snprintf(text, sizeof(text), state ? "[%s]" : "[]", one);
	fake_engine_answer(fx->fake, path, 200, text);
	snprintf(path, sizeof(path), "/containers/%s/json", id);
	if (!state) {
		fake_engine_forget(fx->fake, path);
		return;
	}
	snprintf(text, sizeof(text),
		 "{\"Id\":\"%s\",\"Name\":\"/job\",\"State\":{\"Status\":\"%s\",\"Pid\":77},"
		 "\"Config\":{\"Labels\":{}},\"HostConfig\":{\"NetworkMode\":\"default\","
		 "\"NanoCpus\":5},\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"NetworkID\":"
		 "\"%s\",\"IPAddress\":\"10.0.0.%u\",\"MacAddress\":\"02:00:00:00:00:01\"}}}}",
		 id, state, NET_A, host);
	fake_engine_answer(fx->fake, path, 200, text);
}

/* The network NET_A, where @id (NULL: nobody) has 10.0.0.@host. */
static void has_network(struct fixture *fx, const char *id, unsigned host)
{
	char member[200] = "", text[600], list[600];

	if (id)
		snprintf(member, sizeof(member),
			 "\"%s\":{\"MacAddress\":\"02:00:00:00:00:01\",\"IPv4Address\":"
			 "\"10.0.0.%u/24\"}",
			 id, host);
	snprintf(text, sizeof(text),
		 "{\"Id\":\"%s\",\"Name\":\"bridge\",\"Driver\":\"bridge\",\"Containers\":{%s},"
		 "\"Options\":{\"com.docker.network.bridge.name\":\"docker0\"}}",
		 NET_A, member);
	fake_engine_answer(fx->fake, "/networks/" NET_A, 200, text);
	snprintf(list, sizeof(list), "[{\"Id\":\"%s\",\"Name\":\"bridge\",\"Driver\":\"bridge\"}]",
		 NET_A);
	fake_engine_answer(fx->fake, "/networks", 200, list);
}

static void container_event(struct fixture *fx, const char *action, const char *id)
{
	char text[400];

	snprintf(text, sizeof(text),
		 "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\"}}", action,
		 id);
	fake_engine_event(fx->fake, text);
}

static void network_event(struct fixture *fx, const char *action, const char *id)
{
	char text[400];

	snprintf(text, sizeof(text),
		 "{\"Type\":\"network\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\","
		 "\"Attributes\":{\"container\":\"%s\"}}}",
		 action, NET_A, id);
	fake_engine_event(fx->fake, text);
}

/* One running container A in one network, in sync. */
static void start_with_a(struct fixture *fx)
{
	has_listed(fx, ID_A, NULL);
	has_container(fx, ID_A, "running", 2);
	has_network(fx, ID_A, 2);
	start(fx);
	WAIT_IN_SYNC(fx);
}

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
	fx->engine->ping_us = 20000; /* work that changes nothing */
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
	run_for(fx, 200);
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

static void inspects_few_at_a_time(void **state)
{
	struct fixture *fx = *state;
	char *text = many_listed(100, "running");
	char path[200], id[CONTAINER_ID_LEN + 1];

	fake_engine_answer(fx->fake, LISTS, 200, text);
	free(text);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "%064x", i);
		has_container(fx, id, "running", 2);
		snprintf(path, sizeof(path), "/containers/%s/json", id);
		fake_engine_hold(fx->fake, path, true);
	}
	start(fx);
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
	uint64_t began = engine_now_us();
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
	assert_true(logged <= 2 + (engine_now_us() - began) / 5000000);
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
	before = engine_now_us();
	WAIT_IN_SYNC(fx);
	assert_true(engine_now_us() - before < 2000000);
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
	fx->engine->ping_us = 100000;
	fx->engine->asks.timeout_max_ms = 300;
	WAIT_IN_SYNC(fx);
	WAIT(fx, fake_engine_count(fx->fake, "GET /_ping") >= 2);
	assert_int_equal(fx->view.state, ENGINE_IN_SYNC);
	fake_engine_hang(fx->fake, true);
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
	fx->engine->ping_us = 100000;
	WAIT_IN_SYNC(fx);
	assert_int_equal(unlink(fake_engine_socket(fx->fake)), 0); /* the stream lives on */
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
	size_t size = 17 * 1024 * 1024;
	char *text = malloc(size);

	assert_non_null(text);
	memset(text, ' ', size);
	fake_engine_answer_as(fx->fake, LISTS, FAKE_LENGTH, 200, text, size);
	is_lost_and_returns(fx, LISTS, "too large");
	/* a head without an end */
	strcpy(text, "HTTP/1.1 200 OK\r\n");
	for (size_t at = strlen(text); at < size - 100; at += 49)
		sprintf(text + at, "X-Head-%08zx: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", at);
	fake_engine_answer_as(fx->fake, "/version", FAKE_RAW, 0, text, strlen(text));
	is_lost_and_returns(fx, "/version", "too large");
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		TEST(a_start_that_hangs_holds_up_nothing),
		TEST(a_flood_of_events),
		TEST(a_big_event_is_read),
		TEST(an_event_too_big_is_made_good),
		TEST(garbage_events_are_made_good),
		TEST(no_engine_yet),
		TEST(a_socket_that_returns_is_seen_at_once),
		TEST(a_stream_that_ends),
		TEST(a_stream_that_breaks),
		TEST(a_restart_of_the_engine),
		TEST(a_hung_engine_is_lost),
		TEST(a_removed_socket_is_noticed),
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
