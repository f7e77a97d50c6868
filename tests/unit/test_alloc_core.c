/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No memory, at every place at which there could be none, in the pure middle: policy, rulesets, plan,
 * sentences, status, text, messages for the kernel. What fails is told, leaks nothing, leaves what it
 * was given as it was, and hands out nothing that is half made.
 */
#include "policy_fixture.h"

#include <jansson.h>

#include "../../src/nft-internal.h"
#include "../../src/status-internal.h"
#include "jobfence/interval.h"
#include "jobfence/plan.h"
#include "jobfence/render.h"
#include "support/alloc_fail.h"

static enum alloc_outcome outcome_of(int r)
{
	return r == 0 ? ALLOC_DONE : r == -ENOMEM ? ALLOC_REPORTED : ALLOC_WRONG;
}

static int add_range(struct net_entries *entries, uint8_t net, uint8_t l4proto)
{
	struct net_entry *entry = &entries->entry[entries->n++];

	*entry = (struct net_entry){ .first = { AF_INET, { 10, net } },
				     .last = { AF_INET, { 10, net, 255, 255 } },
				     .l4proto = l4proto,
				     .port_last = UINT16_MAX };
	return 0;
}

/* Everything that makes elements. */
static void furnish(struct fixture *f)
{
	static struct net_range attached = { { AF_INET, { 192, 168, 0, 0 } },
					     { AF_INET, { 192, 168, 0, 255 } } };
	static struct ip_addr gateway = { AF_INET, { 172, 17, 0, 1 } };
	static struct sock_addr proxy = { { AF_INET, { 10, 0, 0, 9 } }, 3128 };

	f->ports[0][0] = (struct port_binding){ IPPROTO_TCP, { AF_INET, { 127, 0, 0, 1 } }, 80, 1 };
	f->ports[1][0] = (struct port_binding){ IPPROTO_UDP, { AF_INET, { 0 } }, 81, 1 };
	f->containers[0].ports = f->ports[0];
	f->containers[1].ports = f->ports[1];
	f->containers[0].ports_n = f->containers[1].ports_n = 1;
	host(f, 2);
	f->containers[2].is_task = true;
	add_range(&f->config.allow, 1, 0);
	add_range(&f->config.allow, 2, IPPROTO_TCP);
	add_range(&f->config.deny, 3, 0);
	add_range(&f->config.peers, 4, 0);
	f->config.egress_host = EGRESS_INTERNET;
	f->model.attached = &attached;
	f->model.gateways = &gateway;
	f->model.resolvers = &gateway;
	f->model.proxies = &proxy;
	f->model.attached_n = f->model.gateways_n = f->model.resolvers_n = f->model.proxies_n = 1;
	f->model.egress = true;
}

static bool same_elements(const struct ruleset *a, const struct ruleset *b)
{
	for (size_t set = 0; set < SET_MAX; set++)
		if (!elems_equal(&a->sets[set], &b->sets[set]))
			return false;
	return true;
}

static enum alloc_outcome run_policy(void *data)
{
	struct fixture *f = data;
	struct ruleset *ruleset = (void *)f; /* untouched on failure */
	struct verdict *verdicts = (void *)f;
	struct fixture before;
	int r;

	memcpy(&before, f, sizeof(before));
	r = policy_build(&f->config, &f->model, &ruleset, &verdicts);
	if (memcmp(&before, f, sizeof(before)) != 0)
		return ALLOC_WRONG;
	if (r < 0)
		return (void *)ruleset == f && (void *)verdicts == f ? outcome_of(r) : ALLOC_WRONG;
	/* the whole ruleset or none */
	if (!same_elements(ruleset, f->ruleset))
		r = -EINVAL;
	ruleset_free(ruleset);
	free(verdicts);
	return outcome_of(r);
}

static void test_policy(void **state)
{
	struct fixture *f = *state;

	furnish(f);
	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethb\"");
	assert_true(f->ruleset->sets[SET_ALLOW4].n > 0 && f->ruleset->sets[SET_PEERS4].n > 0);
	alloc_fail_loop("policy_build", run_policy, f, false);
}

/* What is packed is what comes out, also of what was packed before. */
static enum alloc_outcome run_pack(void *data)
{
	struct fixture *f = data;
	_cleanup_(ruleset_freep) struct ruleset *ruleset = NULL, *out = NULL, *again = NULL;
	_cleanup_(packed_freep) struct packed *packed = NULL, *twice = NULL;
	uint64_t same = 0;
	int r = policy_build(&f->config, &f->model, &ruleset, NULL);

	if (r >= 0) {
		r = ruleset_pack(ruleset, &packed);
		if (r < 0) /* it is as it was */
			return !packed && same_elements(ruleset, f->ruleset) ? outcome_of(r)
									     : ALLOC_WRONG;
	}
	if (r >= 0)
		r = ruleset_unpack(packed, NULL, &out, &same);
	if (r >= 0)
		r = ruleset_pack(out, &twice);
	if (r >= 0)
		r = ruleset_unpack(twice, NULL, &again, &same);
	if (r >= 0 &&
	    (same || !same_elements(out, f->ruleset) || !same_elements(again, f->ruleset)))
		return ALLOC_WRONG;
	return outcome_of(r);
}

/* Each of what an element has, in a set of those that have it. */
static void change(struct ruleset *ruleset, enum set_id set, unsigned int what)
{
	struct elems *elems = &ruleset->sets[set];
	struct elem *last = &elems->elem[elems->n - 1];
	struct elem_extra *extra;

	assert_true(elems->n > 0);
	while (what >= 3 && !last->extra && last > elems->elem)
		last--;
	extra = last->extra;
	assert_true(what < 3 || extra);
	switch (what) {
	case 0:
		elems->n--;
		return;
	case 1:
		last->key[0] ^= 1;
		return;
	case 2:
		last->comment = "another";
		return;
	case 3:
		extra->data ^= 1;
		return;
	case 4:
		extra->ends += 2 * ELEM_ENDS_SLACK_USEC;
		return;
	case 5:
		extra->last[0] ^= 1;
		return;
	default:
		last->extra = NULL;
	}
}

/* Only the set that differs is unpacked, and each difference is one. */
static void what_is_the_same_stays_packed(struct fixture *f)
{
	static const struct {
		enum set_id set;
		unsigned int what;
	} changes[] = {
		{ SET_JOBS4, 0 },       { SET_JOBS4, 1 },    { SET_JOBS4, 2 },
		{ SET_JOB_TAGS, 3 },    { SET_JOB_TAGS, 6 }, { SET_BYSTANDER_PORTS, 0 },
		{ SET_BYSTANDERS4, 4 }, { SET_ALLOW4, 5 },   { SET_ALLOW4, 6 },
	};

	for (size_t i = 0; i <= ARRAY_SIZE(changes); i++) {
		_cleanup_(ruleset_freep) struct ruleset *ruleset = NULL, *other = NULL, *out = NULL;
		_cleanup_(packed_freep) struct packed *packed = NULL;
		uint64_t same = 0, all = 0;

		for (size_t set = 0; set < SET_MAX; set++)
			all |= SET_BIT_OF(set);
		assert_int_equal(policy_build(&f->config, &f->model, &ruleset, NULL), 0);
		assert_int_equal(policy_build(&f->config, &f->model, &other, NULL), 0);
		assert_int_equal(ruleset_pack(ruleset, &packed), 0);
		if (i < ARRAY_SIZE(changes))
			change(other, changes[i].set, changes[i].what);
		assert_int_equal(ruleset_unpack(packed, other, &out, &same), 0);
		if (i == ARRAY_SIZE(changes)) {
			assert_int_equal(same, all);
			continue;
		}
		assert_int_equal(same, all & ~SET_BIT_OF(changes[i].set));
		assert_true(
			elems_equal(&out->sets[changes[i].set], &f->ruleset->sets[changes[i].set]));
		assert_int_equal(out->sets[SET_GUARDED_BRIDGES].n, 0);
		assert_false(elems_equal(&out->sets[changes[i].set], &other->sets[changes[i].set]));
	}
}

static void test_pack(void **state)
{
	static struct release release = { .ends = 5000000000, .ends_wall = 1 };
	struct fixture *f = *state;
	size_t timed = 0;

	furnish(f);
	strcpy(release.id, f->containers[0].id);
	f->model.releases = &release;
	f->model.releases_n = 1;
	build(f);
	for (size_t i = 0; i < f->ruleset->sets[SET_BYSTANDER_PORTS].n; i++)
		timed += elem_extra(&f->ruleset->sets[SET_BYSTANDER_PORTS].elem[i])->ends != 0;
	/* all that an element may have is there: beside one without, a moment, a mark, a range */
	assert_int_equal(timed, 1);
	assert_int_equal(f->ruleset->sets[SET_BYSTANDER_PORTS].n, 2);
	assert_int_equal(f->ruleset->sets[SET_JOB_TAGS].n, 1);
	assert_true(f->ruleset->sets[SET_ALLOW4].n > 0);
	alloc_fail_loop("ruleset_pack", run_pack, f, false);
	what_is_the_same_stays_packed(f);
}

static enum alloc_outcome run_networks(void *data)
{
	const struct net_entries *entries = data;
	struct intervals intervals = { .cap = 77 };
	int r = intervals_networks(entries->entry, entries->n, AF_INET, &intervals);

	if (r < 0)
		return intervals.cap == 77 && !intervals.entry ? outcome_of(r) : ALLOC_WRONG;
	r = intervals.n == 3 ? 0 : -EINVAL;
	intervals_done(&intervals);
	return outcome_of(r);
}

static enum alloc_outcome run_ports(void *data)
{
	const struct net_entries *entries = data;
	struct intervals intervals = { .cap = 77 };
	int r = intervals_ports(entries->entry, entries->n, AF_INET, &intervals);

	if (r < 0)
		return intervals.cap == 77 && !intervals.entry ? outcome_of(r) : ALLOC_WRONG;
	r = intervals.n == 20 ? 0 : -EINVAL;
	intervals_done(&intervals);
	return outcome_of(r);
}

static void test_intervals(void **state)
{
	static struct net_entries entries;

	for (uint8_t i = 0; i < 20; i++)
		add_range(&entries, (uint8_t)(2 * i), IPPROTO_TCP);
	for (uint8_t i = 0; i < 3; i++)
		add_range(&entries, (uint8_t)(100 + 2 * i), 0);
	alloc_fail_loop("intervals_networks", run_networks, &entries, false);
	alloc_fail_loop("intervals_ports", run_ports, &entries, false);
}

/* --- the plan, and what is made of it --- */

struct planned {
	struct fixture *f;
	struct skeleton *skeleton;
	struct live *live; /* an empty kernel */
	struct ops all;    /* everything, as for an empty kernel */
};

static void plan_set_up(struct fixture *f, struct planned *planned)
{
	struct skeleton_params params;

	furnish(f);
	build(f);
	planned->f = f;
	planned->skeleton = calloc(1, sizeof(*planned->skeleton));
	assert_non_null(planned->skeleton);
	policy_skeleton_params(&f->config, &f->model, &params);
	skeleton_build(&params, planned->skeleton);
	assert_int_equal(live_new(&planned->live), 0);
	for (size_t family = 0; family < FAMILY_MAX; family++)
		planned->live->table[family] = true;
	planned->live->counters =
		calloc(planned->skeleton->counters_n, sizeof(*planned->live->counters));
	assert_non_null(planned->live->counters);
	planned->live->counters_n = planned->skeleton->counters_n;
	assert_int_equal(plan_make(planned->skeleton, f->ruleset, planned->live, &planned->all), 0);
	assert_true(planned->all.n > 100);
}

static void plan_tear_down(struct planned *planned)
{
	ops_done(&planned->all);
	live_free(planned->live);
	free(planned->skeleton);
}

static enum alloc_outcome run_plan(void *data)
{
	struct planned *planned = data;
	struct ops ops = { 0 };
	int r = plan_make(planned->skeleton, planned->f->ruleset, planned->live, &ops);

	if (r == 0 && ops.n != planned->all.n)
		r = -EINVAL;
	if (r < 0 && ops.n)
		r = -EINVAL; /* a part of a plan opens without closing */
	ops_done(&ops);
	return outcome_of(r);
}

static enum alloc_outcome run_elements(void *data)
{
	struct planned *planned = data;
	struct ops ops = { 0 };
	int r = plan_elements(planned->f->ruleset, planned->live->elements, 0, &ops);

	if (r < 0 && ops.n)
		r = -EINVAL;
	ops_done(&ops);
	return outcome_of(r);
}

static enum alloc_outcome run_differences(void *data)
{
	struct planned *planned = data;
	struct sentences sentences = { 0 };
	int r = differences_text(&planned->all, NULL, NULL, &sentences);

	if (r < 0 && sentences.n)
		r = -EINVAL;
	sentences_done(&sentences);
	return outcome_of(r);
}

static enum alloc_outcome run_render(void *data)
{
	struct planned *planned = data;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return ALLOC_REPORTED;
	r = render_ruleset(out, planned->skeleton, planned->f->ruleset, NULL, NULL);
	if (fclose(out) != 0)
		r = -EIO;
	free(text);
	return r == 0 ? ALLOC_DONE : r == -EIO ? ALLOC_REPORTED : ALLOC_WRONG;
}

static void test_plan(void **state)
{
	struct planned planned = { 0 };

	plan_set_up(*state, &planned);
	alloc_fail_loop("plan_make", run_plan, &planned, false);
	alloc_fail_loop("plan_elements", run_elements, &planned, false);
	alloc_fail_loop("differences_text", run_differences, &planned, false);
	alloc_fail_loop("render_ruleset", run_render, &planned, false);
	plan_tear_down(&planned);
}

/* Messages: all of them, and the same ones, or none. */
static int make_batch(const struct planned *planned, const struct op *ops, size_t n,
		      size_t *ret_len)
{
	struct batch batch = { .seq = 1 };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n;) {
		ssize_t taken = batch_add_ops(&batch, planned->skeleton, ops + i, n - i);

		if (taken <= 0)
			r = taken < 0 ? (int)taken : -EINVAL;
		else
			i += (size_t)taken;
	}
	*ret_len = batch.len;
	batch_done(&batch);
	return r;
}

struct messages {
	const struct planned *planned;
	const struct op *ops;
	size_t n, len;
};

static enum alloc_outcome run_batch(void *data)
{
	const struct messages *messages = data;
	size_t len = 0;
	int r = make_batch(messages->planned, messages->ops, messages->n, &len);

	return r == 0 && len != messages->len ? ALLOC_WRONG : outcome_of(r);
}

/* One op of each kind but rules, and the rules that have each kind of statement: every allocation of
 * the rest is one of these. */
static size_t pick(const struct ops *all, struct op *picked, size_t max)
{
	uint32_t kinds = 0, stmts = 0;
	uint64_t sets = 0;
	size_t n = 0;

	for (size_t i = 0; i < all->n && n < max; i++) {
		const struct op *op = &all->op[i];
		uint32_t has = 0;

		for (const struct stmt *s = op->kind == OP_ADD_RULE ? op->rule->stmts : NULL;
		     s && s->kind != STMT_END; s++)
			has |= 1u << s->kind;
		if (!(has & ~stmts) && kinds & 1u << op->kind &&
		    (op->kind != OP_ADD_ELEM || sets & SET_BIT_OF(op->set)))
			continue;
		kinds |= 1u << op->kind;
		stmts |= has;
		if (op->kind == OP_ADD_ELEM)
			sets |= SET_BIT_OF(op->set);
		picked[n++] = *op;
	}
	return n;
}

static void test_batch(void **state)
{
	struct op picked[128];
	struct planned planned = { 0 };
	struct messages messages = { .planned = &planned, .ops = picked };

	plan_set_up(*state, &planned);
	messages.n = pick(&planned.all, picked, ARRAY_SIZE(picked));
	assert_true(messages.n > 20);
	assert_int_equal(make_batch(&planned, picked, messages.n, &messages.len), 0);
	alloc_fail_loop("batch_add_ops", run_batch, &messages, false);
	plan_tear_down(&planned);
}

/* --- status --- */

static enum alloc_outcome run_status(void *data)
{
	struct status_view view = *(struct status_view *)data;
	enum alloc_outcome outcome;
	int r = status_view_fill(&view);
	json_t *json = NULL;

	if (r == 0)
		json = status_json(&view);
	outcome = r < 0 ? outcome_of(r) : json ? ALLOC_DONE : ALLOC_REPORTED;
	json_decref(json);
	status_view_done(&view);
	return outcome;
}

static void test_status(void **state)
{
	struct planned planned = { 0 };
	struct fixture *f = *state;
	struct config_origin origin = { .mode = "default" };
	struct engine_view engine = { .state = ENGINE_IN_SYNC, .ever_in_sync = true };
	struct expected expected = { 0 };
	struct status_view view = { .config = &f->config,
				    .origin = &origin,
				    .engine = &engine,
				    .expected = &expected,
				    .cgroup_trouble = "none",
				    .ruleset_trouble = "not read" };

	plan_set_up(f, &planned);
	expected = (struct expected){ .model = f->model,
				      .skeleton = planned.skeleton,
				      .ruleset = f->ruleset,
				      .verdicts = f->verdicts };
	alloc_fail_loop("status_json", run_status, &view, false);
	plan_tear_down(&planned);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_policy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pack, set_up, tear_down),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test_setup_teardown(test_plan, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_batch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
