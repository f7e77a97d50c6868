/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ruleset in a real kernel, in network namespaces of this process's own: what jobfence sends is
 * what nft makes of the printed text, and what is read back is what was sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "read_command.h"
#include "jobfence/config.h"
#include "jobfence/mode.h"
#include "jobfence/plan.h"
#include "jobfence/render.h"

#define EXIT_SKIP 77

static struct skeleton_params params(uint32_t mode)
{
	return (struct skeleton_params){
		.mode = mode,
		.parent_level = 1,
		.engine_level = 2,
		.runner_port = 10999,
		.mark_bystander = 0x08000000,
		.mark_container = 0x10000000,
		.mark_host = 0x20000000,
		.guarded = true,
		.fenced = mode != 1,
		.egress = true,
		.log_group = mode == 1 ? 0 : 10996 + mode,
	};
}

static void add(struct ruleset *ruleset, enum set_id set, uint8_t seed, uint32_t data,
		const char *text)
{
	struct elem_key key;
	const char *comment = NULL;

	elem_key_init(&key);
	for (size_t i = 0; i < SET_FIELDS_MAX && set_spec(set)->key[i] != KEY_NONE; i++) {
		uint8_t field[16];

		memset(field, seed, sizeof(field));
		if (set_spec(set)->key[i] == KEY_IFNAME)
			elem_key_ifname(&key, seed % 2 ? "veth1234567" : "docker0");
		else
			elem_key_add(&key, field, key_type_len(set_spec(set)->key[i]));
	}
	if (text)
		assert_int_equal(ruleset_comment(ruleset, text, &comment), 0);
	assert_int_equal(ruleset_add(ruleset, set, &key, data, comment), 0);
}

/* A range in every field but the protocol; with seed 34 up to the last value that there is. */
static void add_interval(struct ruleset *ruleset, enum set_id set, uint8_t seed)
{
	struct elem_key first, last;

	elem_key_init(&first);
	elem_key_init(&last);
	for (size_t i = 0; i < SET_FIELDS_MAX && set_spec(set)->key[i] != KEY_NONE; i++) {
		enum key_type type = set_spec(set)->key[i];
		uint8_t field[16];

		memset(field, seed, sizeof(field));
		elem_key_add(&first, field, key_type_len(type));
		if (type != KEY_INET_PROTO)
			memset(field + 1, seed == 34 ? 0xff : seed + 1, sizeof(field) - 1);
		if (type != KEY_INET_PROTO && seed == 34)
			field[0] = 0xff;
		elem_key_add(&last, field, key_type_len(type));
	}
	assert_int_equal(ruleset_add_range(ruleset, set, &first, &last), 0);
	/* and one value */
	first.bytes[0] = last.bytes[0] = seed - 1;
	assert_int_equal(ruleset_add_range(ruleset, set, &first, &first), 0);
}

/* Two elements in every set but those of cgroups, which nft's text can only name by path. */
static struct ruleset *sample(void)
{
	struct ruleset *ruleset = NULL;

	assert_int_equal(ruleset_new(&ruleset), 0);
	for (size_t i = 0; i < SET_MAX; i++) {
		const struct set_spec *spec = set_spec((enum set_id)i);

		assert_int_equal(spec->id, i);
		if (spec->key[0] == KEY_CGROUP || spec->key[1] == KEY_CGROUP)
			continue;
		if (spec->interval) {
			add_interval(ruleset, (enum set_id)i, 17);
			add_interval(ruleset, (enum set_id)i, 34);
			continue;
		}
		add(ruleset, (enum set_id)i, 17, 0,
		    spec->chains ? NULL : "train-0-0-1a2b3c4d task 42 isolated");
		add(ruleset, (enum set_id)i, 34, 0, NULL);
	}
	ruleset_seal(ruleset);
	return ruleset;
}

/* Prints the first lines that differ: the listings are too long to print whole. */
static void show_difference(const char *want, const char *have)
{
	size_t line_start = 0, i = 0;

	for (; want[i] && want[i] == have[i]; i++)
		if (want[i] == '\n')
			line_start = i + 1;
	print_message("nft: %.300s\n--\njobfence: %.300s\n", want + line_start, have + line_start);
}

static void install(const struct skeleton *skeleton, const struct ruleset *ruleset)
{
	_cleanup_(nft_closep) struct nft *nft = NULL;
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	struct commit_stats stats;
	struct diag diag = { 0 };
	int r;

	assert_int_equal(nft_open(&nft, &diag), 0);
	assert_int_equal(nft_read(nft, skeleton, &live, &diag), 0);
	assert_int_equal(plan_make(skeleton, ruleset, live, &ops), 0);
	r = nft_commit(nft, skeleton, &ops, &stats, &diag);
	if (r < 0)
		fail_msg("commit: %d %s", r, diag.text);
}

static size_t steps_left(const struct skeleton *skeleton, const struct ruleset *ruleset)
{
	_cleanup_(nft_closep) struct nft *nft = NULL;
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	struct diag diag = { 0 };

	assert_int_equal(nft_open(&nft, &diag), 0);
	assert_int_equal(nft_read(nft, skeleton, &live, &diag), 0);
	assert_int_equal(plan_make(skeleton, ruleset, live, &ops), 0);
	for (size_t i = 0; i < ops.n && i < 20; i++) {
		char text[600];

		op_text(&ops.op[i], text, sizeof(text));
		print_message("left: %s\n", text);
	}
	return ops.n;
}

/* With the ports that sample() names. */
static void new_netns(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link add docker0 type veth peer name veth1234567"), 0);
}

static void test_twin_of(const struct skeleton_params *params_of)
{
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	_cleanup_(ruleset_freep) struct ruleset *ruleset = sample();
	_cleanup_free_ char *ours = NULL, *theirs = NULL;
	struct skeleton_params p = *params_of;
	char path[] = "/tmp/jobfence-twin-XXXXXX";
	FILE *out = fdopen(mkstemp(path), "w");

	assert_non_null(skeleton);
	assert_non_null(out);
	skeleton_build(&p, skeleton);
	assert_int_equal(render_ruleset(out, skeleton, ruleset, NULL, NULL), 0);
	fclose(out);

	new_netns();
	_cleanup_free_ char *command = NULL;

	assert_true(asprintf(&command, "nft -f %s && nft list ruleset", path) > 0);
	theirs = read_command(command);
	new_netns();
	install(skeleton, ruleset);
	ours = read_command("nft list ruleset");
	unlink(path);
	if (strcmp(ours, theirs) != 0)
		show_difference(theirs, ours);
	assert_true(strcmp(ours, theirs) == 0);
	assert_int_equal(steps_left(skeleton, ruleset), 0);
}

static void test_twin(uint32_t mode, bool shared)
{
	struct skeleton_params p = params(mode);

	p.shared_parent = shared;
	test_twin_of(&p);
}

static void audit_equals_its_text(void **state)
{
	for (uint32_t mode = 1; mode <= 3; mode++) {
		struct skeleton_params p = params(mode);

		p.audit = GROUPS_ALL;
		p.audit_log = mode != 1;
		test_twin_of(&p);
		p.audit = GROUP_BIT(GROUP_NEIGHBOURS) | GROUP_BIT(GROUP_QUARANTINE);
		test_twin_of(&p);
	}
}

/* Neither way deletes and makes anew what stays, and nothing of audit is left. */
static void audit_and_back(void **state)
{
	_cleanup_free_ struct skeleton *audit = calloc(1, sizeof(*audit));
	_cleanup_free_ struct skeleton *enforce = calloc(1, sizeof(*enforce));
	_cleanup_(ruleset_freep) struct ruleset *ruleset = sample();
	_cleanup_free_ char *before = NULL, *during = NULL, *after = NULL;
	struct skeleton_params p = params(2);

	skeleton_build(&p, enforce);
	p.audit = GROUPS_ALL;
	p.audit_log = true;
	skeleton_build(&p, audit);
	new_netns();
	install(enforce, ruleset);
	before = read_command("nft list ruleset | sort");
	install(audit, ruleset);
	assert_int_equal(steps_left(audit, ruleset), 0);
	assert_true(steps_left(enforce, ruleset) > 0); /* what verify would say */
	during = read_command("nft list ruleset | sort");
	assert_non_null(strstr(during, "jump audit_neighbours"));
	assert_null(strstr(before, "audit"));
	install(enforce, ruleset);
	after = read_command("nft list ruleset | sort");
	assert_string_equal(before, after);
}

static void mode_1_equals_its_text(void **state)
{
	test_twin(NETWORK_MODE_HOST_FOR_MULTINODE_ONLY, false);
}

static void mode_2_equals_its_text(void **state)
{
	test_twin(NETWORK_MODE_HOST_WHEN_POSSIBLE, false);
}

static void mode_3_equals_its_text(void **state)
{
	test_twin(NETWORK_MODE_FORCED_BRIDGE, false);
}

/* Every choice of egress and metadata, for bridge and for host jobs. */
static void egress_equals_its_text(void **state)
{
	for (uint32_t i = 0; i < 24; i++) {
		struct skeleton_params p = params(NETWORK_MODE_HOST_WHEN_POSSIBLE);

		p.egress_bridge = i % 3;
		p.egress_host = i / 3 % 2 ? EGRESS_ANY : EGRESS_INTERNET;
		p.metadata_bridge = i / 6 % 2;
		p.metadata_host = i / 12 % 2;
		test_twin_of(&p);
	}
}

static void shared_parent_equals_its_text(void **state)
{
	test_twin(NETWORK_MODE_HOST_WHEN_POSSIBLE, true);
}

static void foreign_changes_are_seen_and_undone(void **state)
{
	static const char *const changes[] = {
		"nft flush ruleset",
		"nft delete table bridge jobfence",
		"nft delete table netdev jobfence",
		"nft flush chain netdev jobfence to_docker0",
		"nft add rule netdev jobfence to_docker0 accept",
		"nft flush chain netdev jobfence injected",
		"nft flush chain netdev jobfence to_docker0; "
		"nft delete chain netdev jobfence to_docker0",
		"nft add chain netdev jobfence stranger '{ type filter hook egress device docker0 "
		"priority 0; }'",
		"nft add chain netdev jobfence to_lo "
		"'{ type filter hook egress device lo priority 0; }'",
		"nft flush chain inet jobfence from_bridge",
		"nft insert rule inet jobfence from_bridge accept",
		"nft add rule inet jobfence input accept",
		"nft add chain inet jobfence stranger",
		"nft add set inet jobfence stranger '{ type ipv4_addr; }'",
		"nft add counter inet jobfence stranger",
		"nft add element inet jobfence bystanders4 '{ 10.9.9.9 }'",
		"nft flush set inet jobfence host_apis",
		"nft add element inet jobfence deny4 '{ 8.8.8.0/24 }'",
		"nft delete element inet jobfence deny6 '{ 1111:1111:1111:1111:1111:1111:1111:1111-"
		"1112:1212:1212:1212:1212:1212:1212:1212 }'",
		"nft flush set inet jobfence allow_ports6",
		"nft add set inet jobfence deny4.next '{ type ipv4_addr; flags interval; }'",
		"nft 'flush set inet jobfence deny4; "
		"add set inet jobfence deny4.next { type ipv4_addr; flags interval; }'",
		"nft delete element inet jobfence guarded_bridges '{ \"docker0\" }'",
	};
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	_cleanup_(ruleset_freep) struct ruleset *ruleset = sample();
	struct skeleton_params p = params(2);
	_cleanup_free_ char *before = NULL;

	skeleton_build(&p, skeleton);
	new_netns();
	install(skeleton, ruleset);
	/* sorted: a set that is made anew is listed last */
	before = read_command("nft list ruleset | sort");
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		_cleanup_free_ char *after = NULL;

		assert_int_equal(system(changes[i]), 0);
		print_message("%s\n", changes[i]);
		assert_true(steps_left(skeleton, ruleset) > 0);
		install(skeleton, ruleset);
		after = read_command("nft list ruleset | sort");
		assert_string_equal(before, after);
	}
}

static void mode_change_keeps_elements(void **state)
{
	_cleanup_free_ struct skeleton *two = calloc(1, sizeof(*two));
	_cleanup_free_ struct skeleton *three = calloc(1, sizeof(*three));
	_cleanup_(ruleset_freep) struct ruleset *ruleset = sample();
	_cleanup_(nft_closep) struct nft *nft = NULL;
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	struct skeleton_params p = params(2);
	struct diag diag = { 0 };

	skeleton_build(&p, two);
	p.mode = 3;
	skeleton_build(&p, three);
	new_netns();
	install(two, ruleset);
	assert_int_equal(nft_open(&nft, &diag), 0);
	assert_int_equal(nft_read(nft, three, &live, &diag), 0);
	assert_int_equal(plan_make(three, ruleset, live, &ops), 0);
	assert_true(ops.n > 0);
	for (size_t i = 0; i < ops.n; i++) {
		assert_int_not_equal(ops.op[i].kind, OP_ADD_ELEM);
		assert_int_not_equal(ops.op[i].kind, OP_DEL_ELEM);
		assert_int_not_equal(ops.op[i].kind, OP_DEL_SET);
		if (ops.op[i].kind == OP_DEL_CHAIN)
			assert_string_not_equal(ops.op[i].name, "input");
	}
	install(three, ruleset);
	assert_int_equal(steps_left(three, ruleset), 0);
	install(two, ruleset);
	assert_int_equal(steps_left(two, ruleset), 0);
}

static void refused_step_is_named(void **state)
{
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	_cleanup_(nft_closep) struct nft *nft = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	struct commit_stats stats;
	struct diag diag = { 0 };
	struct skeleton_params p = params(2);

	skeleton_build(&p, skeleton);
	new_netns();
	assert_int_equal(nft_open(&nft, &diag), 0);
	assert_int_equal(ops_add(&ops, &(struct op){ .kind = OP_ADD_TABLE }), 0);
	assert_int_equal(ops_add(&ops, &(struct op){ .kind = OP_FLUSH_CHAIN, .name = "nowhere" }),
			 0);
	assert_int_equal(nft_commit(nft, skeleton, &ops, &stats, &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "flush chain inet nowhere"));
	/* and nothing of it is there */
	assert_int_not_equal(system("nft list table inet jobfence >/dev/null 2>&1"), 0);
}

static void large_transaction_fits(void **state)
{
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	_cleanup_(ruleset_freep) struct ruleset *ruleset = sample();
	struct skeleton_params p = params(2);

	skeleton_build(&p, skeleton);
	for (uint32_t i = 0; i < 30000; i++) {
		struct elem_key key;
		const char *comment;

		elem_key_init(&key);
		elem_key_ifname(&key, "docker0");
		elem_key_add(&key, &i, sizeof(i));
		assert_int_equal(ruleset_comment(ruleset, "a job's name and its task", &comment),
				 0);
		assert_int_equal(ruleset_add(ruleset, SET_JOBS4, &key, 0, comment), 0);
	}
	ruleset_seal(ruleset);
	new_netns();
	install(skeleton, ruleset);
	assert_int_equal(steps_left(skeleton, ruleset), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mode_1_equals_its_text),
		cmocka_unit_test(mode_2_equals_its_text),
		cmocka_unit_test(mode_3_equals_its_text),
		cmocka_unit_test(egress_equals_its_text),
		cmocka_unit_test(shared_parent_equals_its_text),
		cmocka_unit_test(audit_equals_its_text),
		cmocka_unit_test(audit_and_back),
		cmocka_unit_test(foreign_changes_are_seen_and_undone),
		cmocka_unit_test(mode_change_keeps_elements),
		cmocka_unit_test(refused_step_is_named),
		cmocka_unit_test(large_transaction_fits),
	};

	if (unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
