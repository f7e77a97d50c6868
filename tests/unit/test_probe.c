/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an attempt proves, and what it does not. */
#include "reach_fixture.h"

#include "../../src/probe-internal.h"

#define SEEN(...) \
	.seen = { __VA_ARGS__ }, .n = ARRAY_SIZE(((const struct sighting[]){ __VA_ARGS__ }))
#define MOVED(n) .moved = (n), .named = true

static const struct {
	enum reach_state state;
	struct sighting seen[SIGHTINGS_MAX];
	size_t n;
	enum probe_finding finding;
	const char *why; /* part of it */
} table[] = {
	/* what should be stopped */
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_REFUSED, MOVED(1) }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "counted" },
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_SILENT, MOVED(3) }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "counted" },
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_STOPPED, MOVED(1) }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "counted" },
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_CONNECTED }),
	  .finding = FINDING_DIFFERENT,
	  .why = "connected" },
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_CONNECTED, MOVED(1) }),
	  .finding = FINDING_DIFFERENT,
	  .why = "connected" },
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_REFUSED }),
	  .finding = FINDING_UNPROVEN,
	  .why = "a closed port refuses too" },
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_SILENT }),
	  .finding = FINDING_UNPROVEN,
	  .why = "no rule counted it" },
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_REFUSED, .other = "to_job" }),
	  .finding = FINDING_UNPROVEN,
	  .why = "another" },
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_REFUSED, .moved = 5 }, { .attempt = ATTEMPT_REFUSED },
	       { .attempt = ATTEMPT_REFUSED }),
	  .finding = FINDING_UNPROVEN,
	  .why = "a closed port" },
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_REFUSED, .moved = 1 },
	       { .attempt = ATTEMPT_REFUSED, .moved = 2 },
	       { .attempt = ATTEMPT_REFUSED, .moved = 1 }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "counted" },
	{ .state = REACH_DENIED,
	  SEEN({ .attempt = ATTEMPT_FAILED, .error = 1 }),
	  .finding = FINDING_UNPROVEN,
	  .why = "not be tried" },
	{ .state = REACH_NOT_HELD,
	  SEEN({ .attempt = ATTEMPT_REFUSED, MOVED(1) }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "counted" },
	{ .state = REACH_NOT_HELD,
	  SEEN({ .attempt = ATTEMPT_CONNECTED }),
	  .finding = FINDING_DIFFERENT,
	  .why = "connected" },
	/* what should be open */
	{ .state = REACH_ALLOWED,
	  SEEN({ .attempt = ATTEMPT_CONNECTED }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "connected" },
	{ .state = REACH_ALLOWED,
	  SEEN({ .attempt = ATTEMPT_REFUSED }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "nobody listens" },
	{ .state = REACH_ALLOWED,
	  SEEN({ .attempt = ATTEMPT_SILENT }),
	  .finding = FINDING_UNPROVEN,
	  .why = "not answered" },
	{ .state = REACH_ALLOWED,
	  SEEN({ .attempt = ATTEMPT_STOPPED }),
	  .finding = FINDING_UNPROVEN,
	  .why = "not answered" },
	{ .state = REACH_ALLOWED,
	  SEEN({ .attempt = ATTEMPT_REFUSED, .other = "to_job" }, { .attempt = ATTEMPT_REFUSED }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "nobody listens" },
	{ .state = REACH_ALLOWED,
	  SEEN({ .attempt = ATTEMPT_SILENT, .other = "to_job" }, { .attempt = ATTEMPT_CONNECTED }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "connected" },
	{ .state = REACH_ALLOWED,
	  SEEN({ .attempt = ATTEMPT_REFUSED, .other = "to_job" },
	       { .attempt = ATTEMPT_SILENT, .other = "to_job", .named = true },
	       { .attempt = ATTEMPT_REFUSED, .other = "spoofed" }),
	  .finding = FINDING_DIFFERENT,
	  .why = "the fence stopped it" },
	{ .state = REACH_ALLOWED, /* a flood of somebody else, beside a closed port */
	  SEEN({ .attempt = ATTEMPT_REFUSED, .other = "to_job", .named = true },
	       { .attempt = ATTEMPT_REFUSED, .other = "to_job", .named = true, .noise = true },
	       { .attempt = ATTEMPT_REFUSED, .other = "to_job", .named = true }),
	  .finding = FINDING_UNPROVEN,
	  .why = "what others try" },
	{ .state = REACH_ALLOWED, /* … and once without it */
	  SEEN({ .attempt = ATTEMPT_REFUSED, .other = "to_job", .noise = true },
	       { .attempt = ATTEMPT_REFUSED }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "nobody listens" },
	{ .state = REACH_ALLOWED, /* somebody else's packets, while nobody answers this one */
	  SEEN({ .attempt = ATTEMPT_SILENT, .other = "to_job" },
	       { .attempt = ATTEMPT_SILENT, .other = "to_job" },
	       { .attempt = ATTEMPT_SILENT, .other = "to_job" }),
	  .finding = FINDING_UNPROVEN,
	  .why = "not answered" },
	{ .state = REACH_ALLOWED,
	  SEEN({ .attempt = ATTEMPT_FAILED }),
	  .finding = FINDING_UNPROVEN,
	  .why = "not be tried" },
	/* what is counted and let through */
	{ .state = REACH_AUDITED,
	  SEEN({ .attempt = ATTEMPT_CONNECTED, MOVED(1) }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "let through" },
	{ .state = REACH_AUDITED,
	  SEEN({ .attempt = ATTEMPT_REFUSED, MOVED(1) }),
	  .finding = FINDING_AS_INTENDED,
	  .why = "let through" },
	{ .state = REACH_AUDITED,
	  SEEN({ .attempt = ATTEMPT_CONNECTED }),
	  .finding = FINDING_UNPROVEN,
	  .why = "did not count" },
	{ .state = REACH_AUDITED,
	  SEEN({ .attempt = ATTEMPT_SILENT, MOVED(1) }),
	  .finding = FINDING_UNPROVEN,
	  .why = "not answered" },
	{ .state = REACH_UNKNOWN,
	  SEEN({ .attempt = ATTEMPT_CONNECTED }),
	  .finding = FINDING_UNPROVEN,
	  .why = "is not known" },
};

static void judged(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct reach_flow flow = { .state = table[i].state };
		const char *why = NULL;
		enum probe_finding finding = probe_judge(&flow, table[i].seen, table[i].n, &why);

		if (finding != table[i].finding || !why || !strstr(why, table[i].why))
			fail_msg("row %zu: %s (%s), not %s (%s)", i, finding_name(finding),
				 why ?: "-", finding_name(table[i].finding), table[i].why);
	}
	assert_int_equal(probe_judge(&(struct reach_flow){ .state = REACH_DENIED }, NULL, 0,
				     &(const char *){ NULL }),
			 FINDING_UNTRIED);
}

static bool again(enum reach_state state, struct sighting seen, size_t n)
{
	struct sighting all[SIGHTINGS_MAX] = { seen, seen, seen };

	return probe_again(&(struct reach_flow){ .state = state }, all, n);
}

static void tried_again(void **state)
{
	assert_true(again(REACH_DENIED, (struct sighting){ 0 }, 0));
	/* nothing more to learn */
	assert_false(
		again(REACH_DENIED, (struct sighting){ .attempt = ATTEMPT_REFUSED, MOVED(7) }, 1));
	assert_false(again(REACH_DENIED, (struct sighting){ .attempt = ATTEMPT_CONNECTED }, 1));
	assert_false(again(REACH_ALLOWED, (struct sighting){ .attempt = ATTEMPT_SILENT }, 1));
	assert_false(again(REACH_DENIED, (struct sighting){ .attempt = ATTEMPT_FAILED }, 1));
	/* whose packet it was nobody can tell */
	assert_true(again(REACH_DENIED, (struct sighting){ .attempt = ATTEMPT_REFUSED, .moved = 1 },
			  1));
	assert_true(again(REACH_DENIED, (struct sighting){ .attempt = ATTEMPT_REFUSED }, 1));
	assert_false(again(REACH_DENIED, (struct sighting){ .attempt = ATTEMPT_REFUSED }, 2));
	assert_true(again(REACH_DENIED, (struct sighting){ .attempt = ATTEMPT_REFUSED, .moved = 1 },
			  2));
	assert_true(again(REACH_ALLOWED,
			  (struct sighting){ .attempt = ATTEMPT_REFUSED, .other = "x" }, 2));
	assert_false(again(REACH_DENIED, (struct sighting){ .attempt = ATTEMPT_REFUSED }, 3));
}

/* A table of a host, of which some flows were tried. */
struct shown {
	struct matrix_view view;
	struct probe probe;
};

static void show(struct fixture *f, struct shown *shown)
{
	build(f);
	shown->view = (struct matrix_view){ .status = &f->status, .reach = &f->reach };
	assert_int_equal(matrix_view_fill(&shown->view, CONTAINERS), 0);
	shown->probe = (struct probe){ .view = &shown->view, .reach = &f->reach };
	shown->probe.probed = calloc(f->reach.flows_n, sizeof(*shown->probe.probed));
	assert_non_null(shown->probe.probed);
	for (size_t i = 0; i < f->reach.flows_n; i++)
		shown->probe.probed[i].why = "not tried";
}

static void hide(struct shown *shown)
{
	matrix_view_done(&shown->view);
	probe_done(&shown->probe);
}

/* Every flow of a row to a kind of target. */
static void find(struct fixture *f, struct shown *shown, size_t container, enum reach_kind to,
		 struct sighting seen)
{
	for (size_t i = 0; i < f->reach.flows_n; i++) {
		const struct reach_flow *flow = &f->reach.flows[i];
		struct probed *probed = &shown->probe.probed[i];

		if (f->reach.rows[flow->row].kind != REACH_CONTAINER ||
		    f->reach.rows[flow->row].container != container ||
		    f->reach.columns[flow->column].kind != to)
			continue;
		probed->seen[0] = seen;
		probed->seen_n = 1;
		probed->finding = probe_judge(flow, probed->seen, 1, &probed->why);
		shown->probe.count[probed->finding]++;
	}
}

static char *printed(const struct probe *probe)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(probe_print(out, probe), 0);
	fclose(out);
	return text;
}

static void shown_to_a_person(void **state)
{
	struct fixture *f = *state;
	struct shown shown;
	_cleanup_free_ char *text = NULL;

	show(f, &shown);
	assert_int_equal(probe_exit_code(&shown.probe), 2); /* nothing was tried */
	find(f, &shown, GAMMA, REACH_HOST, (struct sighting){ .attempt = ATTEMPT_CONNECTED });
	assert_int_equal(probe_exit_code(&shown.probe), 0);
	find(f, &shown, GAMMA, REACH_INTERNET,
	     (struct sighting){ .attempt = ATTEMPT_REFUSED, .other = "host_job_to_internal" });
	assert_int_equal(probe_exit_code(&shown.probe), 1);
	find(f, &shown, GAMMA, REACH_SHIM, (struct sighting){ .attempt = ATTEMPT_CONNECTED });
	find(f, &shown, GAMMA, REACH_DCGM, (struct sighting){ .attempt = ATTEMPT_REFUSED });
	text = printed(&shown.probe);
	assert_non_null(strstr(text, "no>YES  no?   yes     .    yes>NO"));
	assert_non_null(strstr(text, "\nDIFFERENT  job gamma-0-0-00000004 -> shim, "
				     "127.0.0.1:10998: should be stopped by "
				     "host_job_to_host_api; it connected\n"));
	assert_non_null(strstr(text, "unproven  job gamma-0-0-00000004 -> DCGM, [::1]:10997: "
				     "should be stopped by host_job_to_host_api; refused, and no "
				     "rule counted it"));
	assert_non_null(strstr(text, "(refused, host_job_to_internal)\n"));
	hide(&shown);
}

static void exit_codes(void **state)
{
	struct probe probe = { .count = { [FINDING_AS_INTENDED] = 3 } };

	assert_int_equal(probe_exit_code(&probe), 0);
	probe.count[FINDING_GONE] = 1;
	assert_int_equal(probe_exit_code(&probe), 0);
	probe.interrupted = true;
	assert_int_equal(probe_exit_code(&probe), 2);
	probe.interrupted = false;
	probe.late = true;
	assert_int_equal(probe_exit_code(&probe), 2);
	probe.late = false;
	probe.count[FINDING_UNPROVEN] = 1;
	assert_int_equal(probe_exit_code(&probe), 2);
	probe.count[FINDING_DIFFERENT] = 1;
	assert_int_equal(probe_exit_code(&probe), 1);
}

static void who_listens(void **state)
{
	struct listener all[] = {
		{ .addr = addr_of("0.0.0.0"), .port = 22, .cgroup_id = 1 },
		{ .addr = addr_of("127.0.0.1"), .port = 22, .cgroup_id = 2 },
		{ .addr = addr_of("::"), .port = 10999, .cgroup_id = 3 },
		{ .addr = addr_of("127.0.0.1"), .port = 53, .kind = LISTENER_UDP },
	};
	const struct sockets sockets = { .listeners = all, .n = ARRAY_SIZE(all) };
	const struct {
		const char *addr;
		uint16_t port;
		uint64_t cgroup; /* 0: nobody */
	} asked[] = {
		{ "127.0.0.1", 22, 2 },    { "10.0.0.1", 22, 1 }, { "::1", 22, 0 },
		{ "127.0.0.1", 10999, 3 }, { "::1", 10999, 3 },   { "127.0.0.1", 53, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		const struct sock_addr to = { addr_of(asked[i].addr), asked[i].port };
		const struct listener *found = probe_listener(&sockets, &to);

		assert_int_equal(found ? found->cgroup_id : 0, asked[i].cgroup);
	}
}

/* Of a few others each, and in the end of every one. */
static void a_ring_of_many(void **state)
{
	struct fixture *f = *state;
	struct shown shown;
	bool from[CONTAINERS] = { 0 }, to[CONTAINERS] = { 0 };
	size_t tried = 0, spared = 0;

	show(f, &shown);
	for (size_t i = 0; i < f->reach.flows_n; i++) {
		const struct reach_flow *flow = &f->reach.flows[i];
		const struct reach_place *row = &f->reach.rows[flow->row];
		const struct reach_place *column = &f->reach.columns[flow->column];

		assert_false(probe_is_spared(&shown.view, flow, CONTAINERS, 1));
		if (probe_is_spared(&shown.view, flow, CONTAINERS - 1, 2)) {
			assert_true(row->kind == REACH_CONTAINER);
			assert_false(people[row->container].on_host);
			assert_true(column->kind == REACH_CONTAINER ||
				    column->kind == REACH_RUNNER);
			spared++;
		} else if (row->kind == REACH_CONTAINER && column->kind == REACH_CONTAINER) {
			from[row->container] = to[column->container] = true;
			tried++;
		}
	}
	assert_true(spared > 0 && tried > 0);
	for (size_t i = 0; i < CONTAINERS; i++)
		assert_true(from[i] && to[i]);
	hide(&shown);
}

static void the_quick_ones(void **state)
{
	struct fixture *f = *state;
	struct shown shown;
	size_t n = 0, shim = 0, runner = 0;

	show(f, &shown);
	for (size_t i = 0; i < f->reach.flows_n; i++) {
		const struct reach_flow *flow = &f->reach.flows[i];

		if (!probe_is_quick(&shown.view, flow))
			continue;
		n++;
		shim += f->reach.columns[flow->column].kind == REACH_SHIM;
		runner += f->reach.columns[flow->column].kind == REACH_RUNNER;
	}
	/* three host jobs, the host, one bridge job, both families; its neighbour's runner, which is
	 * published on no address that it could dial */
	assert_int_equal(shim, 10);
	assert_int_equal(runner, 2);
	assert_int_equal(n, 12);
	hide(&shown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judged),
		cmocka_unit_test(tried_again),
		cmocka_unit_test_setup_teardown(shown_to_a_person, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_ring_of_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_quick_ones, set_up, tear_down),
		cmocka_unit_test(exit_codes),
		cmocka_unit_test(who_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
