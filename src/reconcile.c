/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Desired against actual, then one transaction (three where an interval set is made anew). Table
 * netdev has one of its own behind it: a port that is gone in between fails it, and nothing else may
 * fail with it. The fast path trusts what was committed last; it is left whenever something other
 * than elements may differ (first step, other rules, intervals, a failure, foreign hands, an engine
 * that has not told all, an element that was refused and left out). A step that fails at the kernel leaves
 * the fence whole and forgets the picture, so that the next one reads the kernel.
 */
#include "jobfence/reconcile.h"

#include <errno.h>
#include <string.h>

#include "jobfence/owner.h"
#include "jobfence/plan.h"

#define LEFT_OUT_MAX 8 /* elements of one transaction that may be refused */

struct reconcile {
	struct nft *nft; /* borrowed */
	struct skeleton *skeleton;
	struct packed *actual; /* what the kernel has, as far as is known; NULL: not known */
	struct verdict *verdicts;
	uint64_t mended;       /* the plan that was carried out after the last reading; 0: none */
	unsigned int mended_n; /* before that, in a row */
	bool unsure;           /* of the step under way: something was passed over */
	size_t left_out;
	struct diag left_why;
	bool own;        /* the tables shall be ours */
	bool no_persist; /* the kernel cannot: it was tried */
	bool asked;      /* and this is known */
	enum ownership ownership;
	bool held[FAMILY_MAX]; /* was seen to be ours */
	struct job_tag *tags;
	size_t tags_n;
};

int reconcile_new(struct nft *nft, struct reconcile **ret_reconcile)
{
	_cleanup_(reconcile_freep) struct reconcile *reconcile = calloc(1, sizeof(*reconcile));

	if (!reconcile)
		return -ENOMEM;
	reconcile->nft = nft;
	reconcile->skeleton = calloc(1, sizeof(*reconcile->skeleton));
	if (!reconcile->skeleton)
		return -ENOMEM;
	*ret_reconcile = take_ptr(reconcile);
	return 0;
}

struct reconcile *reconcile_free(struct reconcile *reconcile)
{
	if (!reconcile)
		return NULL;
	packed_free(reconcile->actual);
	free(reconcile->verdicts);
	free(reconcile->tags);
	free(reconcile->skeleton);
	free(reconcile);
	return NULL;
}

void reconcile_forget(struct reconcile *reconcile)
{
	reconcile->actual = packed_free(reconcile->actual);
}

void reconcile_touched(struct reconcile *reconcile)
{
	reconcile->mended = 0;
	reconcile_forget(reconcile);
}

void reconcile_own(struct reconcile *reconcile, bool own)
{
	reconcile->own = own;
	if (!own) /* then it is no loss */
		memset(reconcile->held, 0, sizeof(reconcile->held));
}

enum ownership reconcile_ownership(struct reconcile *reconcile)
{
	/* only an old kernel's own table, or an old table: asking costs an aborted transaction */
	if (reconcile->ownership == OWNERSHIP_OLD_TABLE && !reconcile->asked) {
		reconcile->asked = true;
		reconcile->no_persist = nft_probe_owner(reconcile->nft) == 0;
		if (reconcile->no_persist)
			reconcile->ownership = OWNERSHIP_NO_KERNEL;
	}
	return reconcile->ownership;
}

struct verdict *reconcile_take_verdicts(struct reconcile *reconcile)
{
	return take_ptr(reconcile->verdicts);
}

const struct job_tag *reconcile_tags(const struct reconcile *reconcile, size_t *ret_n)
{
	*ret_n = reconcile->tags_n;
	return reconcile->tags;
}

/* Without memory for them there are none. */
static void keep_tags(struct reconcile *reconcile, const struct ruleset *desired)
{
	const struct elems *elems = &desired->sets[SET_JOB_TAGS];

	free(reconcile->tags);
	reconcile->tags = calloc(elems->n + 1, sizeof(*reconcile->tags));
	reconcile->tags_n = reconcile->tags ? elems->n : 0;
	for (size_t i = 0; i < reconcile->tags_n; i++) {
		memcpy(&reconcile->tags[i].cgroup, elems->elem[i].key,
		       sizeof(reconcile->tags[i].cgroup));
		reconcile->tags[i].mark = elem_extra(&elems->elem[i])->data;
	}
}

static bool keeps_nothing(const struct ruleset *ruleset)
{
	for (size_t i = 0; i < SET_MAX; i++)
		if (ruleset->keep[i])
			return false;
	return true;
}

/* Ports that are gone open nothing, also while the engine is silent. */
static int drop_gone_ports(const struct model *model, enum set_id set, const struct live *live,
			   const struct ruleset *desired, struct ops *ops)
{
	const struct elems *ports = &live->elements->sets[set];
	_cleanup_free_ bool *there = calloc(ports->n + 1, sizeof(*there));
	int r = 0;

	if (!there)
		return -ENOMEM;
	for (size_t i = 0; i < model->links_n; i++) {
		const struct elem *port;
		struct elem_key key;

		elem_key_init(&key);
		elem_key_ifname(&key, model->links[i].name);
		port = ruleset_find(live->elements, set, key.bytes);
		if (port)
			there[port - ports->elem] = true;
	}
	for (size_t i = 0; r >= 0 && desired->keep[set] && i < ports->n; i++)
		if (!there[i])
			r = ops_add(ops, &(struct op){ .kind = OP_DEL_ELEM,
						       .family = set_spec(set)->family,
						       .set = set,
						       .name = set_spec(set)->name,
						       .elem = &ports->elem[i] });
	return r;
}

/* Chains that the kernel kept for ports that are gone. */
static int drop_gone_chains(const struct live *live, struct ops *ops)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < live->extra_n; i++)
		if (live->extra[i].kind == LIVE_GONE_PORT)
			r = ops_add(ops, &(struct op){ .kind = OP_DEL_CHAIN,
						       .family = live->extra[i].family,
						       .name = live->extra[i].name });
	return r;
}

static bool is_port_op(const struct op *op)
{
	return (op->kind == OP_ADD_ELEM || op->kind == OP_DEL_ELEM) && set_spec(op->set)->chains;
}

/* An element that the kernel does not take is a container whose event is late: the rest need not wait.
 * What stands before any container is known is whole or not at all, and intervals belong together. One that was to be deleted and is gone needs no more. */
static bool can_be_left_out(const struct op *op, int error)
{
	if (!op || set_spec(op->set)->chains || set_spec(op->set)->interval)
		return false;
	if (op->kind == OP_DEL_ELEM)
		return error == -ENOENT;
	return op->kind == OP_ADD_ELEM && error != -EPERM && !set_spec(op->set)->base;
}

/* Without @refused; and one that was to be changed stays as it is. */
static int without(const struct ops *ops, const struct op *refused, struct ops *ret_ops)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ops->n; i++) {
		const struct op *op = &ops->op[i];
		bool same = op->kind == OP_DEL_ELEM && op->set == refused->set &&
			    memcmp(op->elem->key, refused->elem->key, ELEM_KEY_MAX) == 0;

		if (op != refused && !same)
			r = ops_add(ret_ops, op);
	}
	return r;
}

static int commit_some(struct reconcile *reconcile, const struct ops *ops,
		       struct commit_stats *stats, struct diag *diag)
{
	_cleanup_(ops_done) struct ops rest = { 0 };
	struct commit_stats more;
	int r = nft_commit(reconcile->nft, reconcile->skeleton, ops, &more, diag);

	for (int i = 0; r < 0 && i < LEFT_OUT_MAX && can_be_left_out(more.refused, r); i++) {
		struct ops next = { 0 };
		int error = without(i ? &rest : ops, more.refused, &next);

		if (more.refused->kind == OP_ADD_ELEM && reconcile->left_out++ == 0)
			reconcile->left_why = *diag;
		reconcile->unsure = true;
		ops_done(&rest);
		rest = next;
		if (error < 0)
			return error;
		r = nft_commit(reconcile->nft, reconcile->skeleton, &rest, &more, diag);
	}
	stats->messages += more.messages;
	stats->bytes += more.bytes;
	return r;
}

static bool set_new_tables(struct ops *ops, uint32_t flags)
{
	bool any = false;

	for (size_t i = 0; i < ops->n; i++)
		if (ops->op[i].kind == OP_ADD_TABLE) {
			ops->op[i].flags = flags;
			any = true;
		}
	return any;
}

/* New tables are made as they shall be, since that cannot be had later. Whether the kernel can is
 * learnt by trying: where it can, as new ones do, that costs nothing. */
static int commit_owned(struct reconcile *reconcile, struct ops *ops, struct commit_stats *stats,
			struct diag *diag)
{
	bool owned = reconcile->own && !reconcile->no_persist && set_new_tables(ops, TABLE_OWNED);
	int r = commit_some(reconcile, ops, stats, diag);

	for (size_t i = 0; r >= 0 && owned && i < ops->n; i++)
		if (ops->op[i].kind == OP_ADD_TABLE)
			reconcile->held[ops->op[i].family] = true;
	if (r != -EOPNOTSUPP || !owned)
		return r;
	set_new_tables(ops, 0);
	r = commit_some(reconcile, ops, stats, diag);
	reconcile->no_persist = r >= 0;
	return r;
}

/* One port after the other, behind all else: who is gone is passed over. */
static int commit_each_port(struct reconcile *reconcile, const struct ops *ops,
			    struct commit_stats *stats, struct diag *diag)
{
	_cleanup_(ops_done) struct ops others = { 0 };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ops->n; i++)
		if (!is_port_op(&ops->op[i]))
			r = ops_add(&others, &ops->op[i]);
	if (r >= 0)
		r = commit_owned(reconcile, &others, stats, diag);
	for (size_t i = 0; r >= 0 && i < ops->n; i++) {
		const struct ops one = { .op = &ops->op[i], .n = 1 };

		if (!is_port_op(&ops->op[i]))
			continue;
		r = commit_some(reconcile, &one, stats, diag);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

static int commit(struct reconcile *reconcile, const struct ops *ops, struct commit_stats *stats,
		  struct diag *diag)
{
	_cleanup_(ops_done) struct ops first = { 0 }, netdev = { 0 };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ops->n; i++)
		r = ops_add(ops->op[i].family == FAMILY_NETDEV ? &netdev : &first, &ops->op[i]);
	if (r >= 0)
		r = commit_owned(reconcile, &first, stats, diag);
	if (r >= 0)
		r = commit_owned(reconcile, &netdev, stats, diag);
	else
		return r;
	return r == -ENOENT ? commit_each_port(reconcile, &netdev, stats, diag) : r;
}

static void mix(uint64_t *hash, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, (const char *)bytes + i, n - i < sizeof(word) ? n - i : sizeof(word));
		*hash = (*hash ^ word) * 0x9e3779b97f4a7c15ULL; /* Fibonacci hashing */
		*hash ^= *hash >> 32;
	}
}

static void mix_text(uint64_t *hash, const char *text)
{
	if (text)
		mix(hash, text, strlen(text) + 1);
}

static void mix_op(uint64_t *hash, const struct op *op)
{
	const uint64_t what[] = {
		op->kind, op->family,          op->set, op->flags,
		op->next, (uintptr_t)op->rule, /* stays where it is while the rules are the same */
	};

	mix(hash, what, sizeof(what));
	mix_text(hash, op->name);
	if (!op->elem)
		return;
	mix(hash, op->elem->key, sizeof(op->elem->key));
	mix(hash, elem_extra(op->elem)->last, ELEM_LAST_MAX);
	mix(hash, &elem_extra(op->elem)->data, sizeof(elem_extra(op->elem)->data));
	mix_text(hash, op->elem->comment);
}

/* Which steps these are; 0 for none, and where they follow ports, which the kernel takes away. */
static uint64_t steps_hash(const struct ops *ops)
{
	uint64_t hash = ops->n;

	for (size_t i = 0; i < ops->n; i++) {
		if (is_port_op(&ops->op[i]))
			return 0;
		mix_op(&hash, &ops->op[i]);
	}
	return ops->n ? hash ?: 1 : 0;
}

/* The same repair again and again, and nobody was seen to undo it: the kernel, or the library, shows
 * something otherwise than it was sent. Then it is repaired ever more seldom (the 4th, 8th, 16th …
 * time that it is seen). */
static bool is_stubborn(struct reconcile *reconcile, const struct ops *ops,
			struct reconcile_result *result)
{
	uint64_t hash = result->torn ? 0 : steps_hash(ops);
	char first[700];

	reconcile->mended_n = hash && hash == reconcile->mended ? reconcile->mended_n + 1 : 0;
	reconcile->mended = hash;
	if (reconcile->mended_n < STUBBORN_FIRST)
		return false;
	result->stubborn = reconcile->mended_n;
	op_text(&ops->op[0], first, sizeof(first));
	diag_set(&result->remark, 0, "%s%s", first, ops->n > 1 ? ", …" : "");
	return reconcile->mended_n & (reconcile->mended_n + 1);
}

/* Tables that are there: awake and, where they outlive their owner, ours. Nothing in them changes. */
static int commit_tables(struct reconcile *reconcile, const struct live *live,
			 struct reconcile_result *result, struct diag *diag)
{
	_cleanup_(ops_done) struct ops ops = { 0 };
	int r = plan_tables(reconcile->skeleton, live, reconcile->own, &ops);

	if (r >= 0)
		r = commit_some(reconcile, &ops, &result->stats, diag);
	if (r < 0)
		return r;
	for (size_t i = 0; i < FAMILY_MAX; i++)
		if (live->table[i] && live->table_owner[i] == nft_port(reconcile->nft))
			reconcile->held[i] = true;
	for (size_t i = 0; i < ops.n; i++) {
		enum family family = ops.op[i].family;

		if (!(ops.op[i].flags & ~live->table_flags[family] & TABLE_OWNER))
			continue;
		result->taken++;
		result->lost += reconcile->held[family];
		reconcile->held[family] = true;
	}
	result->steps += ops.n;
	return 0;
}

static enum ownership judge_ownership(const struct reconcile *reconcile, const struct live *live)
{
	enum ownership ownership = OWNERSHIP_OURS;

	if (!reconcile->own)
		return OWNERSHIP_NOT_WANTED;
	for (size_t i = 0; i < FAMILY_MAX; i++) {
		if (!skeleton_has_family(reconcile->skeleton, (enum family)i))
			continue;
		if (live->table[i] && !(live->table_flags[i] & TABLE_PERSIST))
			ownership = OWNERSHIP_OLD_TABLE;
	}
	return reconcile->no_persist ? OWNERSHIP_NO_KERNEL : ownership;
}

static int run_full(struct reconcile *reconcile, const struct model *model,
		    const struct ruleset *desired, struct reconcile_result *result,
		    struct diag *diag)
{
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	int r = nft_read_torn(reconcile->nft, reconcile->skeleton, &live, diag);

	result->read = true;
	result->torn = r >= 0 && live->torn;
	if (r >= 0)
		r = owner_check(live, nft_port(reconcile->nft), diag);
	if (r >= 0)
		r = commit_tables(reconcile, live, result, diag);
	if (r >= 0)
		r = plan_make(reconcile->skeleton, desired, live, &ops);
	if (r >= 0)
		r = drop_gone_ports(model, SET_BYSTANDER_PORTS, live, desired, &ops);
	if (r >= 0)
		r = drop_gone_ports(model, SET_EGRESS_BYSTANDERS, live, desired, &ops);
	if (r >= 0)
		r = drop_gone_chains(live, &ops);
	if (r >= 0 && !is_stubborn(reconcile, &ops, result))
		r = commit(reconcile, &ops, &result->stats, diag);
	if (r < 0 || reconcile->unsure) /* then it is no riddle that it will differ again */
		reconcile->mended = 0;
	result->steps += ops.n;
	if (r >= 0)
		reconcile->ownership = judge_ownership(reconcile, live);
	return r;
}

static int run_elements(struct reconcile *reconcile, const struct ruleset *desired,
			const struct ruleset *actual, uint64_t same,
			struct reconcile_result *result, struct diag *diag)
{
	_cleanup_(ops_done) struct ops ops = { 0 };
	int r = plan_elements(desired, actual, same, &ops);

	if (ops.n > 0)
		reconcile->mended = 0;
	if (r >= 0)
		r = commit(reconcile, &ops, &result->stats, diag);
	result->steps = ops.n;
	return r;
}

int reconcile_run(struct reconcile *reconcile, const struct config *config,
		  const struct model *model, struct reconcile_result *ret_result, struct diag *diag)
{
	_cleanup_(ruleset_freep) struct ruleset *desired = NULL, *actual = NULL;
	_cleanup_free_ struct verdict *verdicts = NULL;
	struct skeleton_params params;
	uint64_t same = 0;
	int r = policy_build(config, model, &desired, &verdicts);

	*ret_result = (struct reconcile_result){ 0 };
	reconcile->unsure = false;
	reconcile->left_out = 0;
	if (r < 0)
		return diag_set(diag, r, "no memory to build the ruleset");
	policy_skeleton_params(config, model, &params);
	if (!skeleton_params_equal(&params, &reconcile->skeleton->params)) {
		skeleton_build(&params, reconcile->skeleton);
		reconcile_touched(reconcile);
	}
	if (reconcile->actual && keeps_nothing(desired) &&
	    ruleset_unpack(reconcile->actual, desired, &actual, &same) < 0)
		return diag_set(diag, -ENOMEM, "no memory for what the kernel has");
	if (actual && plan_elements_suffice(desired, actual, same))
		r = run_elements(reconcile, desired, actual, same, ret_result, diag);
	else
		r = run_full(reconcile, model, desired, ret_result, diag);
	reconcile_forget(reconcile);
	if (r < 0)
		return r;
	ret_result->unsure = reconcile->unsure || ret_result->torn;
	ret_result->left_out = reconcile->left_out;
	if (reconcile->left_out > 0)
		ret_result->remark = reconcile->left_why;
	keep_tags(reconcile, desired);
	/* without memory for it the next step reads the kernel */
	if (keeps_nothing(desired) && !ret_result->unsure)
		(void)ruleset_pack(desired, &reconcile->actual);
	free(reconcile->verdicts);
	reconcile->verdicts = take_ptr(verdicts);
	return 0;
}

/* A claim follows its owner's life, which nobody will watch: the next container may be given a dead
 * one's address and would be shut out. The bridges' own claims stay, and so does all the rest. */
int reconcile_leave(struct reconcile *reconcile, const struct config *config,
		    const struct model *model, struct diag *diag)
{
	_cleanup_(ruleset_freep) struct ruleset *desired = NULL;
	struct reconcile_result result = { 0 };
	struct model host = *model;
	int r;

	host.containers_n = 0;
	host.in_sync = false;
	r = policy_build(config, &host, &desired, NULL);
	if (r < 0)
		return diag_set(diag, r, "no memory to build the ruleset");
	for (size_t set = 0; set < SET_MAX; set++)
		if (policy_is_claim((enum set_id)set))
			desired->keep[set] = false;
	r = run_full(reconcile, &host, desired, &result, diag);
	reconcile_forget(reconcile);
	return r;
}
