/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The egress chains of ports through reconcile_run(), in a network namespace: a port that is gone
 * before its chain can be made takes nothing else with it (kernels since 6.16 make the chain all the
 * same), and one that goes later is no difference.
 */
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/config.h"
#include "jobfence/plan.h"
#include "jobfence/reconcile.h"

#define EXIT_SKIP 77
#define LINKS_N 5

struct fixture {
	struct config config;
	struct link links[LINKS_N]; /* docker0, a, gone, b, elsewhere */
	struct model model;
	struct nft *nft;
	struct reconcile *reconcile;
	struct reconcile_result result;
};

static void set_link(struct link *link, int ifindex, const char *name, int master)
{
	*link = (struct link){ .ifindex = ifindex, .master = master, .nsid = -1 };
	strcpy(link->name, name);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct diag diag = { 0 };

	assert_non_null(f);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link add docker0 type bridge && "
				"ip link add jfa type veth peer name jfb && "
				"ip link set jfa master docker0 && ip link set jfb master docker0"),
			 0);
	config_defaults(&f->config);
	set_link(&f->links[0], 1, "docker0", 0);
	set_link(&f->links[1], 2, "jfa", 1);
	set_link(&f->links[2], 3, "jfgone", 1);
	set_link(&f->links[3], 4, "jfb", 1);
	set_link(&f->links[4], 5, "lo", 0);
	f->links[0].mac = (struct mac_addr){ .bytes = { 2, 0x42, 0, 0, 0, 1 } };
	f->model = (struct model){ .links = f->links, .links_n = LINKS_N, .in_sync = true };
	assert_int_equal(nft_open(&f->nft, &diag), 0);
	assert_int_equal(reconcile_new(f->nft, &f->reconcile), 0);
	f->model.egress = nft_probe_egress(f->nft) > 0;
	*state = f;
	if (!f->model.egress)
		skip();
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	reconcile_free(f->reconcile);
	nft_close(f->nft);
	free(f);
	return 0;
}

static void run(struct fixture *f)
{
	struct diag diag = { 0 };
	int r = reconcile_run(f->reconcile, &f->config, &f->model, &f->result, &diag);

	if (r < 0)
		fail_msg("%d: %s", r, diag.text);
}

static bool guarded(const char *port)
{
	char command[120];

	snprintf(command, sizeof(command),
		 "nft list chain netdev jobfence to_%s 2>/dev/null | grep -q jump", port);
	return system(command) == 0;
}

static size_t differences(struct fixture *f)
{
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ruleset_freep) struct ruleset *ruleset = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	struct skeleton_params params;
	struct diag diag = { 0 };

	policy_skeleton_params(&f->config, &f->model, &params);
	skeleton_build(&params, skeleton);
	assert_int_equal(policy_build(&f->config, &f->model, &ruleset, NULL), 0);
	assert_int_equal(nft_read(f->nft, skeleton, &live, &diag), 0);
	assert_int_equal(plan_make(skeleton, ruleset, live, &ops), 0);
	return ops.n;
}

static void a_port_that_is_gone_takes_nothing_with_it(void **state)
{
	struct fixture *f = *state;

	run(f);
	assert_true(guarded("jfa"));
	assert_true(guarded("jfb"));
	assert_int_equal(system("nft list set inet jobfence guarded_bridges | grep -q docker0"), 0);
	assert_int_equal(system("nft list set netdev jobfence bridge_macs | grep -q "
				"02:42:00:00:00:01"),
			 0);
}

static void a_new_port_by_the_fast_path(void **state)
{
	struct fixture *f = *state;

	f->model.links_n = 2;
	run(f);
	assert_true(guarded("jfa"));
	assert_false(guarded("jfb"));
	f->model.links_n = LINKS_N;
	run(f);
	assert_false(f->result.read);
	assert_true(guarded("jfb"));
	assert_true(guarded("jfa"));
}

static void a_port_that_goes_is_no_difference(void **state)
{
	struct fixture *f = *state;

	f->links[2] = f->links[3];
	f->links[2].ifindex = 3;
	f->links[3] = f->links[4];
	f->model.links_n = 4;
	run(f);
	assert_int_equal(differences(f), 0);
	assert_int_equal(system("ip link del jfa"), 0);
	f->model.links_n = 1;
	assert_int_equal(differences(f), 0);
	run(f); /* whether the kernel kept them or not */
	assert_false(f->result.read);
	assert_false(guarded("jfa"));
	assert_false(guarded("jfb"));
	assert_int_equal(differences(f), 0);
}

static void what_the_kernel_kept_is_found(void **state)
{
	struct fixture *f = *state;

	f->model.links_n = 2;
	run(f);
	assert_int_equal(system("ip link del jfa"), 0);
	assert_int_equal(differences(f), 1); /* jfa is missing, or kept and no good */
	f->model.links_n = 1;
	assert_int_equal(differences(f), 0);
	reconcile_forget(f->reconcile);
	run(f);
	assert_false(guarded("jfa"));
}

static bool has_device(const char *port)
{
	char command[120];

	snprintf(command, sizeof(command),
		 "nft list chain netdev jobfence to_%s 2>/dev/null | grep -q 'hook.*%s'", port,
		 port);
	return system(command) == 0;
}

static void make_port_again(void)
{
	assert_int_equal(system("ip link del jfa; ip link add jfa type veth peer name jfb && "
				"ip link set jfa master docker0 && ip link set jfb master docker0"),
			 0);
}

/* Whatever the kernel left of the first one's chain. */
static void a_port_that_comes_again_is_guarded(void **state)
{
	struct fixture *f = *state;

	run(f);
	make_port_again();
	reconcile_forget(f->reconcile);
	run(f);
	assert_int_equal(differences(f), 1); /* jfgone */
	assert_true(guarded("jfa") && has_device("jfa"));
	f->model.links_n = 1;
	assert_int_equal(system("ip link del jfa"), 0);
	run(f);
	make_port_again();
	f->model.links_n = 2;
	run(f);
	assert_true(guarded("jfa") && has_device("jfa"));
	assert_int_equal(differences(f), 0);
}

/* As somebody may do it: a chain of that name which sees nothing. */
static void a_chain_without_its_device_is_mended(void **state)
{
	struct fixture *f = *state;

	f->model.links_n = 2;
	run(f);
	if (system("nft 'delete chain netdev jobfence to_jfa { devices = { jfa }; }' 2>/dev/null"))
		skip(); /* before 6.4 */
	assert_false(has_device("jfa"));
	assert_true(differences(f) > 0);
	reconcile_forget(f->reconcile);
	run(f);
	assert_true(guarded("jfa") && has_device("jfa"));
	assert_int_equal(differences(f), 0);
}

static void a_port_that_leaves_its_bridge_is_let_go(void **state)
{
	struct fixture *f = *state;

	run(f);
	f->links[1].master = 0;
	run(f);
	assert_false(f->result.read);
	assert_false(guarded("jfa"));
	assert_true(guarded("jfb"));
}

static void without_the_hook_nothing_is_touched(void **state)
{
	struct fixture *f = *state;

	run(f);
	f->model.egress = false;
	run(f);
	assert_int_equal(differences(f), 0);
	assert_true(guarded("jfa"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_port_that_is_gone_takes_nothing_with_it),
		TEST(a_new_port_by_the_fast_path),
		TEST(a_port_that_goes_is_no_difference),
		TEST(what_the_kernel_kept_is_found),
		TEST(a_port_that_comes_again_is_guarded),
		TEST(a_chain_without_its_device_is_mended),
		TEST(a_port_that_leaves_its_bridge_is_let_go),
		TEST(without_the_hook_nothing_is_touched),
	};

	if (unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
