/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An engine client beside a stand-in engine, and the log, counted instead of written. After each
 * test every request must have been a GET. One file per executable includes this.
 */
#pragma once

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

void log_event(enum message message, const char *fmt, ...)
{
	char text[sizeof(last_line)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_msg(message_spec(message)->priority, "%s", text);
}

/* --- the fixture --- */

static inline void on_change(struct engine *engine, void *data)
{
	struct fixture *fx = data;

	fx->changes++;
	if (fx->free_on_change)
		fx->engine = engine_free(fx->engine);
}

static inline void start(struct fixture *fx)
{
	assert_int_equal(
		engine_new(fx->event, fake_engine_socket(fx->fake), on_change, fx, &fx->engine), 0);
	fx->engine->refresh_retry_ms = 20;
}

static inline int setup(void **state)
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

static inline int teardown(void **state)
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

static inline void run_once(struct fixture *fx, unsigned ms)
{
	assert_true(sd_event_run(fx->event, (uint64_t)ms * 1000) >= 0);
	fx->loops++;
	if (fx->engine)
		engine_get_view(fx->engine, &fx->view);
}

static inline void run_for(struct fixture *fx, unsigned ms)
{
	uint64_t end = clock_usec() + (uint64_t)ms * 1000;

	while (clock_usec() < end)
		run_once(fx, 5);
}

/* Runs the loop until it holds; fails after 20 s. */
#define WAIT(fx, condition)                                                                \
	do {                                                                               \
		uint64_t _end = clock_usec() + 20000000;                                   \
		while (!(condition)) {                                                     \
			if (clock_usec() > _end)                                           \
				fail_msg("waited in vain for %s; trouble: %s", #condition, \
					 (fx)->view.trouble ?: "none");                    \
			run_once((fx), 5);                                                 \
		}                                                                          \
	} while (0)

#define WAIT_IN_SYNC(fx) WAIT(fx, (fx)->view.state == ENGINE_IN_SYNC)

static inline const struct container *find(const struct fixture *fx, const char *id)
{
	for (size_t i = 0; i < fx->view.containers_n; i++)
		if (!strcmp(fx->view.containers[i].id, id))
			return &fx->view.containers[i];
	return NULL;
}

static inline uint8_t host_of(const struct fixture *fx, const char *id)
{
	const struct container *c = find(fx, id);

	return c && c->endpoints_n ? c->endpoints[0].ip4.bytes[3] : 0;
}

/* --- what the engine has --- */

static inline void listed_text(char *text, size_t size, const char *id, const char *state)
{
	snprintf(text, size,
		 "{\"Id\":\"%.64s\",\"Names\":[\"/job\"],\"State\":\"%s\",\"Labels\":{},"
		 "\"HostConfig\":{\"NetworkMode\":\"default\"},\"NetworkSettings\":{\"Networks\":"
		 "{\"bridge\":{\"NetworkID\":\"\",\"IPAddress\":\"\"}}}}",
		 id, state);
}

/* GET /containers/json?all=1 lists @a and @b, where they are given. */
static inline void has_listed(struct fixture *fx, const char *a, const char *b)
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
static inline void has_container(struct fixture *fx, const char *id, const char *state,
				 unsigned host)
{
	char path[200], one[700], text[1500];

	snprintf(path, sizeof(path), LISTS "&filters={\"id\":[\"%.64s\"]}", id);
	listed_text(one, sizeof(one), id, state ?: "");
	snprintf(text, sizeof(text), state ? "[%s]" : "[]", one);
	fake_engine_answer(fx->fake, path, 200, text);
	snprintf(path, sizeof(path), "/containers/%.64s/json", id);
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
static inline void has_network(struct fixture *fx, const char *id, unsigned host)
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

static inline void container_event(struct fixture *fx, const char *action, const char *id)
{
	char text[400];

	snprintf(text, sizeof(text),
		 "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\"}}", action,
		 id);
	fake_engine_event(fx->fake, text);
}

static inline void network_event(struct fixture *fx, const char *action, const char *id)
{
	char text[400];

	snprintf(text, sizeof(text),
		 "{\"Type\":\"network\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\","
		 "\"Attributes\":{\"container\":\"%s\"}}}",
		 action, NET_A, id);
	fake_engine_event(fx->fake, text);
}

/* One running container A in one network, in sync. */
static inline void start_with_a(struct fixture *fx)
{
	has_listed(fx, ID_A, NULL);
	has_container(fx, ID_A, "running", 2);
	has_network(fx, ID_A, 2);
	start(fx);
	WAIT_IN_SYNC(fx);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
