/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events as they should not be: lost, twice, in another order, late, of containers that are not
 * there, of kinds that nobody knows. Whatever comes, the picture ends as the engine's list has it.
 */
#include "engine_fixture.h"

#define CONTAINERS 12

static bool is_gone(struct fixture *fx, const char *id)
{
	return !find(fx, id);
}

/* Everything that was asked is answered. */
static bool is_quiet(const struct fixture *fx)
{
	return !asks_busy(&fx->engine->asks) && fx->engine->refresh.phase == REFRESH_NONE;
}

static void twice_is_once(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_container(fx, ID_B, "running", 3);
	for (int i = 0; i < 10; i++) {
		container_event(fx, "create", ID_B);
		network_event(fx, "connect", ID_B);
		container_event(fx, "start", ID_B);
	}
	WAIT(fx, find(fx, ID_B) && find(fx, ID_B)->inspected && is_quiet(fx));
	assert_int_equal(fx->view.containers_n, 2);
	has_container(fx, ID_B, NULL, 0);
	for (int i = 0; i < 10; i++)
		container_event(fx, "destroy", ID_B);
	WAIT(fx, is_gone(fx, ID_B));
	assert_int_equal(fx->view.containers_n, 1);
	assert_int_equal(logged, 1);
}

/* The end before the beginning: what is asked then is not there. */
static void backwards(void **state)
{
	static const char *const actions[] = { "destroy", "die", "start", "create" };
	struct fixture *fx = *state;

	start_with_a(fx);
	has_container(fx, ID_B, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		container_event(fx, actions[i], ID_B);
	network_event(fx, "disconnect", ID_B);
	network_event(fx, "connect", ID_B);
	run_for(fx, 50);
	WAIT(fx, is_quiet(fx));
	assert_true(is_gone(fx, ID_B));
	assert_int_equal(fx->view.containers_n, 1);
	/* and of one that lives: it stays */
	has_listed(fx, ID_A, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		container_event(fx, actions[i], ID_A);
	run_for(fx, 50);
	WAIT(fx, find(fx, ID_A) && find(fx, ID_A)->inspected && is_quiet(fx));
	assert_int_equal(find(fx, ID_A)->state, CONTAINER_RUNNING);
	assert_int_equal(host_of(fx, ID_A), 2);
	assert_int_equal(logged, 1);
}

/* It was there when the event left and is not when it is asked about. */
static void already_gone(void **state)
{
	static const char *const actions[] = { "create", "start", "die", "rename", "update" };
	struct fixture *fx = *state;

	start_with_a(fx);
	has_container(fx, ID_B, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		size_t before = fake_engine_count(fx->fake, ID_B);

		container_event(fx, actions[i], ID_B);
		WAIT(fx, fake_engine_count(fx->fake, ID_B) > before);
		WAIT(fx, is_quiet(fx));
		assert_true(is_gone(fx, ID_B));
	}
	network_event(fx, "connect", ID_B);
	run_for(fx, 50);
	WAIT(fx, is_quiet(fx));
	assert_true(is_gone(fx, ID_B));
	assert_int_equal(logged, 1); /* no trouble: it happens with every short-lived one */
}

static void die_without_start_and_start_without_create(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_container(fx, ID_B, "exited", 0);
	container_event(fx, "die", ID_B);
	WAIT(fx, find(fx, ID_B) && find(fx, ID_B)->inspected);
	assert_int_equal(find(fx, ID_B)->state, CONTAINER_EXITED);
	has_container(fx, ID_B, "running", 3);
	container_event(fx, "start", ID_B);
	WAIT(fx, find(fx, ID_B)->state == CONTAINER_RUNNING && host_of(fx, ID_B) == 3);
	assert_int_equal(logged, 1);
}

/* Docker's list says for a while of one that died that it runs, while its inspection waits for the end. */
static void a_list_that_is_behind(void **state)
{
	struct fixture *fx = *state;
	size_t lists;

	start_with_a(fx);
	has_container(fx, ID_A, "exited", 0);
	fake_engine_hold(fx->fake, "/containers/" ID_A "/json", true);
	container_event(fx, "die", ID_A);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_EXITED);
	has_listed(fx, ID_A, NULL); /* running */
	lists = fake_engine_count(fx->fake, "/networks");
	engine_refresh(fx->engine);
	WAIT(fx, fake_engine_count(fx->fake, "/networks") > lists);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_RUNNING);
	fake_engine_hold(fx->fake, "/containers/" ID_A "/json", false);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_EXITED);
	WAIT(fx, is_quiet(fx));
}

/* … or its answer comes behind that of the inspection. */
static void a_list_that_comes_last(void **state)
{
	static const char path[] = LISTS "&filters={\"id\":[\"" ID_A "\"]}";
	struct fixture *fx = *state;
	char one[700], text[800];

	start_with_a(fx);
	has_container(fx, ID_A, "exited", 0);
	listed_text(one, sizeof(one), ID_A, "running");
	snprintf(text, sizeof(text), "[%s]", one);
	fake_engine_answer(fx->fake, path, 200, text);
	fake_engine_hold(fx->fake, path, true);
	container_event(fx, "die", ID_A);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_EXITED);
	fake_engine_hold(fx->fake, path, false);
	WAIT(fx, is_quiet(fx) && find(fx, ID_A)->state == CONTAINER_EXITED);
}

/* Docker says "stop" of it, and no "die": it was dead. */
static void a_stop_between_two_restarts(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	assert_int_equal(fake_engine_count(fx->fake, "stop"), 1); /* of the events it asks for */
	has_container(fx, ID_A, "restarting", 0);
	container_event(fx, "die", ID_A);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_RESTARTING && is_quiet(fx));
	has_container(fx, ID_A, "exited", 0);
	container_event(fx, "stop", ID_A);
	WAIT(fx, find(fx, ID_A)->state == CONTAINER_EXITED);
}

/* Its address may be the next one's before an engine that is slow has answered. */
static void a_disconnection_needs_no_answer(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_container(fx, ID_B, "exited", 3);
	container_event(fx, "die", ID_B);
	WAIT(fx, find(fx, ID_B) && container_may_live(find(fx, ID_B)) && is_quiet(fx));
	fake_engine_hold(fx->fake, "/networks/" NET_A, true);
	fake_engine_hold(fx->fake, "/containers/" ID_B "/json", true);
	network_event(fx, "disconnect", ID_B);
	WAIT(fx, !container_may_live(find(fx, ID_B)));
	assert_int_equal(fx->view.state, ENGINE_IN_SYNC);
}

static void unknown_kinds_change_nothing(void **state)
{
	static const char *const lines[] = {
		"{\"Type\":\"container\",\"Action\":\"transmogrify\",\"Actor\":{\"ID\":\"" ID_B "\""
		"}"
		"}",
		"{\"Type\":\"teapot\",\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID_B "\"}}",
		"{\"Type\":\"volume\",\"Action\":\"destroy\",\"Actor\":{\"ID\":\"" ID_A "\"}}",
		"{\"Type\":\"image\",\"Action\":\"destroy\",\"Actor\":{\"ID\":\"" ID_A "\"}}",
		"{\"Type\":\"container\",\"Action\":\"exec_die\",\"Actor\":{\"ID\":\"" ID_A "\"}}",
	};
	struct fixture *fx = *state;

	start_with_a(fx);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		fake_engine_event(fx->fake, lines[i]);
	container_event(fx, "pause", ID_A);
	run_for(fx, 100);
	WAIT(fx, is_quiet(fx));
	assert_int_equal(fx->view.state, ENGINE_IN_SYNC);
	assert_int_equal(fx->view.containers_n, 1);
	assert_int_equal(find(fx, ID_A)->state, CONTAINER_RUNNING);
	assert_int_equal(logged, 1);
}

/* Docker copies a container's labels into the attributes: they name nobody but themselves. */
static void labels_named_like_attributes(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_container(fx, ID_B, "running", 3);
	has_listed(fx, ID_A, ID_B);
	container_event(fx, "start", ID_B);
	WAIT(fx, find(fx, ID_B) && find(fx, ID_B)->inspected);
	fake_engine_event(fx->fake, "{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{"
				    "\"ID\":\"" ID_B "\",\"Attributes\":{\"container\":\"" ID_A
				    "\",\"id\":\"" ID_A "\",\"ID\":\"" ID_A "\",\"name\":\"x\","
				    "\"exitCode\":\"137\","
				    "\"Action\":\"destroy\",\"Type\":\"network\"}}}");
	run_for(fx, 50);
	WAIT(fx, is_quiet(fx));
	assert_non_null(find(fx, ID_A));
	assert_true(find(fx, ID_B)->inspected);
	assert_int_equal(logged, 1);
	/* an end is that of the actor, whatever the attributes say */
	has_container(fx, ID_B, NULL, 0);
	fake_engine_event(fx->fake, "{\"Type\":\"container\",\"Action\":\"destroy\",\"Actor\":{"
				    "\"ID\":\"" ID_B "\",\"Attributes\":{\"container\":\"" ID_A
				    "\",\"id\":\"" ID_A "\"}}}");
	WAIT(fx, is_gone(fx, ID_B));
	assert_non_null(find(fx, ID_A));
}

/* --- a whole world, and events of which nothing can be relied on --- */

static char *ids[CONTAINERS];         /* owned */
static const char *truth[CONTAINERS]; /* its state; NULL: there is none */
static unsigned made;

static void rename_one(int i)
{
	free(ids[i]);
	assert_true(asprintf(&ids[i], "%064x", ++made) > 0);
}

static void write_truth(struct fixture *fx)
{
	char text[CONTAINERS * 700 + 10] = "[", *at = text + 1;

	for (int i = 0; i < CONTAINERS; i++) {
		has_container(fx, ids[i], truth[i], (unsigned)i + 2);
		if (!truth[i])
			continue;
		at += at > text + 1 ? sprintf(at, ",") : 0;
		listed_text(at, 700, ids[i], truth[i]);
		at += strlen(at);
	}
	strcpy(at, "]");
	fake_engine_answer(fx->fake, LISTS, 200, text);
}

static bool is_true(const struct fixture *fx)
{
	size_t n = 0;

	for (int i = 0; i < CONTAINERS; i++) {
		const struct container *c = find(fx, ids[i]);
		bool runs = truth[i] && strcmp(truth[i], "exited") != 0;

		n += truth[i] != NULL;
		if (!truth[i] != !c || (c && container_is_live(c) != runs))
			return false;
		if (runs && host_of(fx, ids[i]) != i + 2)
			return false;
	}
	return fx->view.containers_n == n;
}

static void tell(struct fixture *fx, const char *action, int i)
{
	char held[400];
	static char late[400];

	switch (rand() % 6) {
	case 0: /* lost */
		return;
	case 1: /* twice */
		container_event(fx, action, ids[i]);
		break;
	case 2: /* behind the next one that is late */
		snprintf(held, sizeof(held),
			 "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\"}}",
			 action, ids[i]);
		if (late[0])
			fake_engine_event(fx->fake, late);
		strcpy(late, held);
		return;
	case 3: /* of another, as well */
		if (strcmp(action, "destroy") != 0)
			container_event(fx, action, ids[rand() % CONTAINERS]);
		break;
	}
	container_event(fx, action, ids[i]);
}

static void change_one(struct fixture *fx)
{
	static const char *const states[] = { "running", "running", "exited", "paused", NULL };
	static const char *const actions[] = { "start", "create", "die", "pause", "destroy" };
	int i = rand() % CONTAINERS, to = rand() % 5;

	if (!truth[i]) { /* an id is never given again */
		has_container(fx, ids[i], NULL, 0);
		rename_one(i);
	}
	truth[i] = states[to];
	write_truth(fx);
	tell(fx, actions[to], i);
	if (rand() % 3 == 0)
		network_event(fx, rand() % 2 ? "connect" : "disconnect", ids[i]);
}

static void converges_to_the_list(void **state)
{
	struct fixture *fx = *state;
	unsigned seed = getenv("TEST_SEED") ? (unsigned)atoi(getenv("TEST_SEED")) : 1;

	srand(seed);
	for (int i = 0; i < CONTAINERS; i++)
		rename_one(i);
	write_truth(fx);
	start(fx);
	WAIT_IN_SYNC(fx);
	for (int round = 0; round < 40; round++) {
		for (int n = rand() % 20; n >= 0; n--) {
			change_one(fx);
			if (rand() % 4 == 0)
				run_once(fx, 1);
		}
		if (round % 7 == 6)
			fake_engine_end_streams(fx->fake, round % 2);
		else
			engine_refresh(fx->engine);
		WAIT(fx, is_true(fx) && is_quiet(fx) && fx->view.state == ENGINE_IN_SYNC);
	}
	for (int i = 0; i < CONTAINERS; i++)
		free(ids[i]);
}

/* --- an engine that is slow --- */

static void a_byte_now_and_then_is_a_hang(void **state)
{
	struct fixture *fx = *state;

	fake_engine_slow(fx->fake, 20);
	start(fx);
	fx->engine->asks.timeout_max_ms = 300;
	WAIT(fx, fx->view.trouble && strstr(fx->view.trouble, "in time"));
	run_for(fx, 700);
	assert_false(fx->view.ever_in_sync);
	assert_int_equal(logged, 1);
	fake_engine_slow(fx->fake, 0);
	WAIT_IN_SYNC(fx);
	/* while in sync: the same */
	fake_engine_slow(fx->fake, 200);
	engine_refresh(fx->engine);
	WAIT(fx, fx->view.state == ENGINE_LOST);
	fake_engine_slow(fx->fake, 0);
	WAIT_IN_SYNC(fx);
}

/* Slow, but in time: the picture is the same. */
static void slow_answers_are_read(void **state)
{
	struct fixture *fx = *state;

	has_listed(fx, ID_A, NULL);
	has_container(fx, ID_A, "running", 2);
	has_network(fx, ID_A, 2);
	fake_engine_slow(fx->fake, 1);
	start(fx);
	WAIT_IN_SYNC(fx);
	assert_int_equal(host_of(fx, ID_A), 2);
	assert_int_equal(logged, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(twice_is_once),
		TEST(backwards),
		TEST(already_gone),
		TEST(die_without_start_and_start_without_create),
		TEST(a_list_that_is_behind),
		TEST(a_list_that_comes_last),
		TEST(a_stop_between_two_restarts),
		TEST(a_disconnection_needs_no_answer),
		TEST(unknown_kinds_change_nothing),
		TEST(labels_named_like_attributes),
		TEST(converges_to_the_list),
		TEST(a_byte_now_and_then_is_a_hang),
		TEST(slow_answers_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
