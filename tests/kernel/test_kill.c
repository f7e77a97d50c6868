/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SIGKILL in the middle of transactions, in a network namespace of this process's own: what is in the
 * kernel then is the old ruleset, whole, or the new one, whole.
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "jobfence/plan.h"

#define EXIT_SKIP 77
#define KILLS 25
#define ELEMENTS 2000

struct state {
	struct skeleton *skeleton;
	struct ruleset *ruleset;
};

static void make_state(struct state *state, uint32_t mode, uint32_t seed)
{
	const struct skeleton_params params = { .mode = mode,
						.parent_level = 1,
						.engine_level = 2,
						.runner_port = 10999,
						.mark_bystander = 0x08000000,
						.mark_container = 0x10000000,
						.mark_host = 0x20000000,
						.fenced = mode != 1 };

	state->skeleton = calloc(1, sizeof(*state->skeleton));
	assert_non_null(state->skeleton);
	skeleton_build(&params, state->skeleton);
	assert_int_equal(ruleset_new(&state->ruleset), 0);
	for (uint32_t i = 0; i < ELEMENTS; i++) {
		struct elem_key key;
		uint32_t addr = seed + i;

		elem_key_init(&key);
		elem_key_ifname(&key, "docker0");
		elem_key_add(&key, &addr, sizeof(addr));
		assert_int_equal(ruleset_add(state->ruleset, SET_JOBS4, &key, 0, NULL), 0);
	}
	ruleset_seal(state->ruleset);
}

static void state_done(struct state *state)
{
	ruleset_free(state->ruleset);
	free(state->skeleton);
}

/* How to get there from what is in the kernel; the steps borrow from @live. */
static void plan(const struct state *to, struct live **ret_live, struct ops *ret_ops)
{
	_cleanup_(nft_closep) struct nft *nft = NULL;
	struct diag diag = { 0 };

	if (nft_open(&nft, &diag) < 0 || nft_read(nft, to->skeleton, ret_live, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(plan_make(to->skeleton, to->ruleset, *ret_live, ret_ops), 0);
}

static int commit(const struct state *to, const struct ops *ops)
{
	_cleanup_(nft_closep) struct nft *nft = NULL;
	struct commit_stats stats;
	struct diag diag = { 0 };
	int r = nft_open(&nft, &diag);

	if (r >= 0)
		r = nft_commit(nft, to->skeleton, ops, &stats, &diag);
	if (r < 0)
		print_message("%s\n", diag.text);
	return r;
}

static size_t steps_to(const struct state *to)
{
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };

	plan(to, &live, &ops);
	return ops.n;
}

/* From @now on; nearly all of the time is the kernel's. */
static void change_for_ever(const struct state states[2], const struct ops way[2], int now)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;; now = !now)
		if (commit(&states[!now], &way[!now]) < 0)
			_exit(1);
}

static void killed_in_a_transaction(void **state)
{
	struct state states[2];
	struct live *live[3] = { 0 };
	struct ops way[3] = { 0 }; /* to the first, to the second; and how it began */
	unsigned int found[2] = { 0 };
	int now = 0;

	make_state(&states[0], 2, 0x0a000000);
	make_state(&states[1], 3, 0x0b000000);
	plan(&states[0], &live[2], &way[2]);
	assert_int_equal(commit(&states[0], &way[2]), 0);
	plan(&states[1], &live[1], &way[1]);
	assert_true(way[1].n > 2 * ELEMENTS);
	assert_int_equal(commit(&states[1], &way[1]), 0);
	plan(&states[0], &live[0], &way[0]);
	assert_int_equal(commit(&states[0], &way[0]), 0);
	srand(4711);
	for (int i = 0; i < KILLS; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0)
			change_for_ever(states, way, now);
		assert_true(pid > 0);
		usleep((useconds_t)(5000 + rand() % 150000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		now = steps_to(&states[0]) == 0 ? 0 : 1;
		if (steps_to(&states[now]) > 0)
			fail_msg("after kill %d: %zu steps to one, %zu to the other", i,
				 steps_to(&states[0]), steps_to(&states[1]));
		found[now]++;
	}
	print_message("after %d kills: %u times the one, %u times the other\n", KILLS, found[0],
		      found[1]);
	assert_true(found[0] > 0 && found[1] > 0);
	for (int i = 0; i < 3; i++) {
		ops_done(&way[i]);
		live_free(live[i]);
	}
	state_done(&states[0]);
	state_done(&states[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_in_a_transaction),
	};

	if (unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
