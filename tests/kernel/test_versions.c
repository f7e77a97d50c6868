/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Upgrade and downgrade: a ruleset of another version, made of this one's text and loaded by nft,
 * becomes this one's by steps that the kernel takes the first time, and what did not change keeps its
 * counters.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "read_command.h"
#include "jobfence/config.h"
#include "jobfence/plan.h"
#include "jobfence/policy.h"
#include "jobfence/render.h"

#define EXIT_SKIP 77

/* Ours, as it would be on this host, counted before. */
static const char counted[] = "sed -i '/^\tcounter job_to_host {/a packets 7 bytes 700' \"$F\"; "
			      "grep -q 'packets 7' \"$F\"";

/* Each is run with the text in $F before it is loaded. */
static const struct {
	const char *what, *edit;
	const char *early;
} versions[] = {
	{ "the same, by nft", ":", NULL },
	{ "a newer one with a chain, a map to it, a set, counters and rules of its own",
	  "sed -i '/^table inet/a counter fresh { }\\n"
	  "chain fresh { tcp dport 1 counter name fresh drop; }\\n"
	  "set fresh_set { type ipv4_addr; elements = { 10.1.1.1 }; }\\n"
	  "map fresh_map { type ifname : verdict; elements = { \"lo\" : jump fresh }; }\\n"
	  "map fresh_counters { type inet_service : counter; elements = { 5 : \"fresh\" }; }\\n"
	  "chain fresh_base { type filter hook input priority -11; iifname vmap @fresh_map; }' "
	  "\"$F\"; sed -i '0,/hook forward priority.*/s//&\\n iifname vmap @fresh_map/' \"$F\"",
	  NULL },
	{ "an older one without a chain and the rules that lead to it",
	  "sed -i '/^\tchain refuse_known {/,/^\t}/d; /goto refuse_known/d' \"$F\"", NULL },
	{ "an older one without a counter",
	  "sed -i '/^\tcounter job_to_metadata {/,/^\t}/d; "
	  "s/counter name \"job_to_metadata\"//' \"$F\"",
	  NULL },
	{ "an older one without an exact set",
	  "sed -i '/^\tset host_apis {/,/^\t}/d; /@host_apis/d' \"$F\"", NULL },
	{ "an older one without an interval set: it is filled before the rules ask it",
	  "sed -i '/^\tset internal4 {/,/^\t}/d; /@internal4/d' \"$F\"", "internal4" },
	{ "one with an interval set of another name",
	  "sed -i 's/\\<internal4\\>/private4/g' \"$F\"", "internal4" },
	{ "one with other priorities",
	  "sed -i 's/hook input priority -10/hook input priority -9/; "
	  "s/hook forward priority [^;]*/hook forward priority -5/; "
	  "s/hook prerouting priority [^;]*/hook prerouting priority -180/' \"$F\"",
	  NULL },
	{ "one with a base chain at another hook",
	  "sed -i '0,/hook postrouting priority/s//hook forward priority/' \"$F\"", NULL },
	{ "one with policies", "sed -i 's/policy accept/policy drop/' \"$F\"", NULL },
	{ "one that calls a chain otherwise", "sed -i 's/\\<from_bridge\\>/from_jobs/g' \"$F\"",
	  NULL },
	{ "one with an exact set of another key",
	  "sed -i '/^\tset host_apis {/,/^\t}/d; /@host_apis/d; "
	  "/^table inet/a set host_apis { type ipv4_addr; elements = { 10.0.0.1 }; }\\n"
	  "chain asks { ip saddr @host_apis drop; }' \"$F\"",
	  NULL },
	{ "one with an interval set of another key",
	  "sed -i '/^\tset internal4 {/,/^\t}/d; /@internal4/d; "
	  "/^table inet/a set internal4 { type ipv6_addr; elements = { ::1 }; }\\n"
	  "chain asks { ip6 saddr @internal4 drop; }' \"$F\"",
	  "internal4.next" },
	{ "one whose map was a set",
	  "sed -i '/^\tmap job_tags {/,/^\t}/d; /@job_tags/d; "
	  "/^table inet/a set job_tags { type ipv4_addr; }' \"$F\"",
	  NULL },
	{ "one whose elements never ended", "sed -i '/flags timeout/d' \"$F\"", NULL },
	{ "one without table bridge", "sed -i '/^table bridge/,/^}/d' \"$F\"", NULL },
};

struct fixture {
	struct config config;
	struct model model;
	struct skeleton *skeleton;
	struct ruleset *ruleset;
	struct nft *nft;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct skeleton_params params;
	struct diag diag = { 0 };

	assert_non_null(f);
	config_defaults(&f->config);
	f->model.in_sync = true;
	f->model.records = true;
	f->skeleton = calloc(1, sizeof(*f->skeleton));
	assert_non_null(f->skeleton);
	policy_skeleton_params(&f->config, &f->model, &params);
	skeleton_build(&params, f->skeleton);
	assert_int_equal(policy_build(&f->config, &f->model, &f->ruleset, NULL), 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(nft_open(&f->nft, &diag), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	nft_close(f->nft);
	free(f->skeleton);
	ruleset_free(f->ruleset);
	free(f);
	return 0;
}

static int shell(const char *command)
{
	return system(command);
}

static void load(struct fixture *f, const char *edit)
{
	char path[] = "/tmp/jobfence-version-XXXXXX";
	FILE *out = fdopen(mkstemp(path), "w");

	assert_non_null(out);
	assert_int_equal(render_ruleset(out, f->skeleton, f->ruleset, NULL, NULL), 0);
	fclose(out);
	assert_int_equal(setenv("F", path, 1), 0);
	assert_int_equal(shell(counted), 0);
	assert_int_equal(shell(edit), 0);
	assert_int_equal(shell("nft -f \"$F\""), 0);
	unlink(path);
}

/* An interval set shows its content some time after the rules of its own transaction. */
static bool comes_early(const struct ops *ops, const char *set)
{
	for (size_t i = 0; i < ops->n && ops->op[i].kind != OP_COMMIT; i++) {
		if (ops->op[i].kind == OP_ADD_RULE)
			return false;
		if (ops->op[i].kind == OP_ADD_SET && strcmp(ops->op[i].name, set) == 0)
			return true;
	}
	return false;
}

/* How many steps it took; @early is a set that has to be whole before its rules. */
static size_t converge(struct fixture *f, const char *early)
{
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	struct commit_stats stats;
	struct diag diag = { 0 };
	int r = nft_read(f->nft, f->skeleton, &live, &diag);

	if (r >= 0)
		r = plan_make(f->skeleton, f->ruleset, live, &ops);
	if (r >= 0)
		r = nft_commit(f->nft, f->skeleton, &ops, &stats, &diag);
	if (r < 0)
		fail_msg("%d: %s", r, diag.text);
	assert_true(!early || comes_early(&ops, early));
	return ops.n;
}

static char *listing(void)
{
	return read_command("nft list ruleset | sort");
}

static void other_versions_become_this_one(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *ours = NULL;

	load(f, ":");
	ours = listing();
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		_cleanup_free_ char *after = NULL;

		print_message("%s\n", versions[i].what);
		assert_int_equal(shell("nft flush ruleset"), 0);
		load(f, versions[i].edit);
		print_message("  %zu steps\n", converge(f, versions[i].early));
		assert_int_equal(converge(f, NULL), 0);
		after = listing();
		assert_string_equal(ours, after); /* the counter's 7 packets included */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(other_versions_become_this_one, set_up, tear_down),
	};

	if (unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
