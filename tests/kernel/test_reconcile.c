/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steps from a model to a kernel that does not take all of it, in network namespaces of this
 * process's own: one element keeps nothing else out, and what never compares equal is not repaired
 * for ever.
 */
#include <sched.h>

#include "jobfence/reconcile.h"
#include "unit/policy_fixture.h"

#define EXIT_SKIP 77

struct kernel {
	struct fixture *f;
	struct nft *nft;
	struct reconcile *reconcile;
};

static void open_kernel(struct kernel *k, void **state)
{
	struct diag diag = { 0 };

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	k->f = *state;
	assert_int_equal(nft_open(&k->nft, &diag), 0);
	assert_int_equal(reconcile_new(k->nft, &k->reconcile), 0);
}

static void close_kernel(struct kernel *k)
{
	reconcile_free(k->reconcile);
	nft_close(k->nft);
}

static struct reconcile_result run(struct kernel *k)
{
	struct reconcile_result result = { 0 };
	struct diag diag = { 0 };

	if (reconcile_run(k->reconcile, &k->f->config, &k->f->model, &result, &diag) < 0)
		fail_msg("%s", diag.text);
	return result;
}

/* Somebody else, with one step. */
static void stranger(enum op_kind kind, enum set_id set, const struct elem *elem)
{
	_cleanup_(nft_closep) struct nft *nft = NULL;
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	struct op op = { .kind = kind,
			 .family = set_spec(set)->family,
			 .set = set,
			 .name = set_spec(set)->name,
			 .elem = elem };
	struct commit_stats stats;
	struct diag diag = { 0 };

	assert_int_equal(nft_open(&nft, &diag), 0);
	if (nft_commit(nft, skeleton, &(struct ops){ .op = &op, .n = 1 }, &stats, &diag) < 0)
		fail_msg("%s", diag.text);
}

static void refused_element_is_left_out(void **state)
{
	struct kernel k = { 0 };
	struct reconcile_result result;
	struct elem_extra extra;
	struct elem tag;

	open_kernel(&k, state);
	host(k.f, 0);
	build(k.f);
	assert_non_null(strstr(set_text(k.f, SET_BYSTANDER_PORTS), "vethb"));
	tag = k.f->ruleset->sets[SET_JOB_TAGS].elem[0];
	extra = *elem_extra(&tag);
	extra.data ^= 0x00010000;
	tag.extra = &extra;
	k.f->model.containers_n = 0;
	run(&k);
	stranger(OP_ADD_ELEM, SET_JOB_TAGS, &tag); /* and no notification came yet */
	k.f->model.containers_n = 3;
	result = run(&k);
	print_message("left out: %s\n", result.remark.text);
	assert_false(result.read);
	assert_int_equal(result.left_out, 1);
	assert_true(result.unsure);
	assert_non_null(strstr(result.remark.text, "add element cgroup 1000 of set inet job_tags"));
	assert_int_equal(system("nft list set bridge jobfence bystander_ports | grep -q vethb"), 0);
	result = run(&k);
	assert_true(result.read);
	assert_int_equal(result.left_out, 0);
	assert_int_equal(result.steps, 2);
	assert_int_equal(run(&k).steps, 0);
	close_kernel(&k);
}

static void element_that_is_gone_is_no_trouble(void **state)
{
	struct kernel k = { 0 };
	struct reconcile_result result;

	open_kernel(&k, state);
	build(k.f);
	assert_int_equal(k.f->ruleset->sets[SET_BYSTANDER_PORTS].n, 2);
	run(&k);
	stranger(OP_DEL_ELEM, SET_BYSTANDER_PORTS, k.f->ruleset->sets[SET_BYSTANDER_PORTS].elem);
	k.f->model.containers_n = 0;
	result = run(&k);
	assert_false(result.read);
	assert_int_equal(result.left_out, 0);
	assert_true(result.unsure);
	assert_int_equal(system("nft list set bridge jobfence bystander_ports | grep -q veth"),
			 0x100);
	assert_int_equal(run(&k).steps, 0);
	close_kernel(&k);
}

/* To the daemon a kernel that reads back otherwise is like somebody who undoes it without a trace. */
static int undo(void)
{
	return system("nft flush chain inet jobfence output");
}

static bool is_undone(void)
{
	return system("nft list chain inet jobfence output | grep -q published") != 0;
}

static void what_never_compares_equal_is_repaired_seldom(void **state)
{
	struct kernel k = { 0 };
	struct reconcile_result result;
	unsigned int repaired = 0, found = 0;

	open_kernel(&k, state);
	run(&k);
	for (int i = 1; i <= 16; i++) {
		assert_int_equal(undo(), 0);
		reconcile_forget(k.reconcile);
		result = run(&k);
		assert_true(result.steps > 0);
		repaired += !is_undone();
		found += result.stubborn == STUBBORN_FIRST;
		assert_true(i > 3 || !is_undone());
	}
	print_message("repaired %u times: %s\n", repaired, result.remark.text);
	assert_int_equal(repaired, 6); /* 1, 2, 3, 4, 8, 16 */
	assert_int_equal(found, 1);
	/* somebody who was seen */
	for (int i = 0; i < 8; i++) {
		assert_int_equal(undo(), 0);
		reconcile_touched(k.reconcile);
		assert_int_equal(run(&k).stubborn, 0);
		assert_false(is_undone());
	}
	/* and other changes in between */
	for (int i = 0; i < 8; i++) {
		assert_int_equal(undo(), 0);
		reconcile_forget(k.reconcile);
		assert_int_equal(run(&k).stubborn, 0);
		assert_false(is_undone());
		k.f->model.containers_n = 3 - k.f->model.containers_n;
		run(&k);
	}
	close_kernel(&k);
}

/* Steps that differ in nothing but the key are others. */
static void repairs_of_others_are_no_riddle(void **state)
{
	static const char *const undos[] = {
		"nft delete element inet jobfence metadata4 { 169.254.42.42 }",
		"nft delete element inet jobfence metadata4 { 169.254.0.23 }",
	};
	struct kernel k = { 0 };
	struct reconcile_result result;

	open_kernel(&k, state);
	run(&k);
	for (size_t i = 0; i < 4 * STUBBORN_FIRST; i++) {
		assert_int_equal(system(undos[i % 2]), 0);
		reconcile_forget(k.reconcile);
		result = run(&k);
		assert_int_equal(result.steps, 1);
		assert_int_equal(result.stubborn, 0);
	}
	close_kernel(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refused_element_is_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(element_that_is_gone_is_no_trouble, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_never_compares_equal_is_repaired_seldom,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(repairs_of_others_are_no_riddle, set_up, tear_down),
	};

	if (unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
