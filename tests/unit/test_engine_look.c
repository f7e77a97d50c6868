/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The periodic look at the engine: what no event told is named, what an event told is not, and all
 * of it is mended.
 */
#include "engine_fixture.h"

static void start_look(struct fixture *fx)
{
	fx->engine->look.settle_us = 100000;
	logged = 0;
	engine_refresh(fx->engine);
}

static void look(struct fixture *fx)
{
	start_look(fx);
	WAIT(fx, !fx->engine->look.on);
}

/* A runs; B started and A's address changed, and nobody said so. */
static void changed_unseen(struct fixture *fx)
{
	has_listed(fx, ID_A, ID_B);
	has_container(fx, ID_A, "running", 9);
	has_container(fx, ID_B, "running", 3);
	has_network(fx, ID_A, 9);
}

static void nothing_new_is_not_told(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	look(fx);
	assert_int_equal(logged, 0);
	assert_int_equal(fake_engine_count(fx->fake, "/events"), 1);
}

static void a_lost_start_is_told(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_listed(fx, ID_A, ID_B);
	has_container(fx, ID_B, "running", 3);
	look(fx);
	assert_true(find(fx, ID_B)->inspected);
	assert_int_equal(logged, 1);
	assert_non_null(strstr(last_line, "container bbbbbbbbbbbb otherwise"));
	assert_non_null(strstr(last_line, "a lost event or a bug"));
	look(fx); /* once */
	assert_int_equal(logged, 0);
}

/* The engine lists the newest first. */
static void the_order_of_a_list_is_no_news(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_listed(fx, ID_A, ID_B);
	has_container(fx, ID_B, "running", 3);
	look(fx);
	assert_int_equal(logged, 1);
	has_listed(fx, ID_B, ID_A);
	look(fx);
	assert_int_equal(logged, 0);
	assert_non_null(find(fx, ID_A));
	assert_non_null(find(fx, ID_B));
}

static void a_lost_end_is_told(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	has_listed(fx, NULL, NULL);
	has_container(fx, ID_A, NULL, 0);
	look(fx);
	assert_null(find(fx, ID_A));
	assert_int_equal(logged, 1);
	assert_non_null(strstr(last_line, "container aaaaaaaaaaaa otherwise"));
}

static void a_lost_death_is_told(void **state)
{
	struct fixture *fx = *state;
	char one[700], text[800];

	start_with_a(fx);
	listed_text(one, sizeof(one), ID_A, "exited");
	snprintf(text, sizeof(text), "[%s]", one);
	fake_engine_answer(fx->fake, LISTS, 200, text);
	look(fx);
	assert_int_equal(find(fx, ID_A)->state, CONTAINER_EXITED);
	assert_int_equal(logged, 1);
	assert_non_null(strstr(last_line, "container aaaaaaaaaaaa"));
}

static void several_are_counted(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	changed_unseen(fx);
	look(fx);
	assert_int_equal(host_of(fx, ID_A), 9);
	assert_int_equal(logged, 1);
	assert_non_null(strstr(last_line, "and 1 more"));
	has_network(fx, NULL, 0);
	fake_engine_answer(fx->fake, "/networks", 200, "[]");
	look(fx);
	assert_int_equal(fx->view.networks_n, 0);
	assert_non_null(strstr(last_line, "network 111111111111"));
}

/* An event may come before its change is listed, beside it, or a little later. */
static void a_late_event_is_waited_for(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	changed_unseen(fx);
	start_look(fx);
	container_event(fx, "start", ID_B);
	WAIT(fx, find(fx, ID_B) && host_of(fx, ID_A) == 9);
	network_event(fx, "connect", ID_A);
	WAIT(fx, !fx->engine->look.on);
	assert_int_equal(logged, 0);
}

/* What is being asked about was told of. */
static void while_asking_it_is_silent(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	changed_unseen(fx);
	fake_engine_hold(fx->fake, "/containers/" ID_B "/json", true);
	container_event(fx, "create", ID_B);
	WAIT(fx, find(fx, ID_B));
	start_look(fx);
	assert_false(fx->engine->look.on);
	fake_engine_hold(fx->fake, "/containers/" ID_B "/json", false);
	WAIT(fx, find(fx, ID_B)->inspected && host_of(fx, ID_A) == 9);
	assert_int_equal(logged, 0);
}

static void a_crowd_of_events_silences_it(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	changed_unseen(fx);
	start_look(fx);
	for (int i = 0; i < LOOK_TOLD_MAX + 1; i++)
		container_event(fx, "pause", ID_A);
	WAIT(fx, find(fx, ID_B) && find(fx, ID_B)->inspected);
	run_for(fx, 300);
	assert_int_equal(logged, 0);
	look(fx); /* and not the next one */
	assert_int_equal(logged, 0);
	has_listed(fx, ID_A, NULL);
	has_container(fx, ID_B, NULL, 0);
	look(fx);
	assert_int_equal(logged, 1);
}

static void a_loss_ends_it(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	changed_unseen(fx);
	start_look(fx);
	fake_engine_end_streams(fx->fake, false);
	WAIT(fx, fx->view.state == ENGINE_LOST);
	WAIT_IN_SYNC(fx);
	run_for(fx, 300);
	assert_int_equal(logged, 2); /* lost, in sync */
	assert_non_null(find(fx, ID_B));
}

static void more_than_fit_are_counted(void **state)
{
	struct fixture *fx = *state;
	char *text = malloc(40 * 800), *at = text, one[700];

	assert_non_null(text);
	start_with_a(fx);
	for (unsigned i = 0; i < 40; i++) {
		char id[CONTAINER_ID_LEN + 1];

		snprintf(id, sizeof(id), "%064x", i + 1);
		listed_text(one, sizeof(one), id, "exited");
		at += sprintf(at, "%c%s", i ? ',' : '[', one);
	}
	strcpy(at, "]");
	fake_engine_answer(fx->fake, LISTS, 200, text);
	free(text);
	look(fx); /* A is gone, and 40 others are there */
	assert_int_equal(fx->view.containers_n, 40);
	assert_non_null(strstr(last_line, "and 40 more"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(nothing_new_is_not_told),       TEST(the_order_of_a_list_is_no_news),
		TEST(a_lost_start_is_told),          TEST(a_lost_end_is_told),
		TEST(a_lost_death_is_told),          TEST(several_are_counted),
		TEST(a_late_event_is_waited_for),    TEST(while_asking_it_is_silent),
		TEST(a_crowd_of_events_silences_it), TEST(a_loss_ends_it),
		TEST(more_than_fit_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
