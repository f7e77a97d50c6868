/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The comparison of what should be with what is. Pure: the same two rulesets always give the same
 * steps, and equal rulesets give none. Absent is a value here: whatever is in our tables and not
 * in the desired ruleset goes, an attribute that is missing differs from one that is there.
 *
 * An interval set is never changed while rules look it up. The kernel shows the content of a new one
 * only some time after the rules of the same transaction: it would be empty for a moment. A copy
 * with the new content is committed first; then the rules turn to it and the set is made anew; then
 * they turn back.
 */
#include "jobfence/plan.h"

#include <errno.h>
#include <string.h>

#include "jobfence/policy.h"

struct planner {
	const struct skeleton *skeleton;
	const struct ruleset *desired;
	const struct live *live;
	struct ops *ops;
	bool all_rules;                /* a set is made anew: no rule may refer to the old one */
	bool remade[SET_MAX];          /* the set is there and is made anew */
	uint64_t early;                /* interval sets that are not there: made before the rules */
	uint64_t copied;               /* of these: interval sets, for which a copy stands in */
	bool chain_stale[CHAINS_MAX];  /* rules to be written */
	bool chain_remade[CHAINS_MAX]; /* to be deleted first: another hook or priority */
};

static int add(struct planner *p, struct op op)
{
	return ops_add(p->ops, &op);
}

static const struct live_chain *live_chain(const struct live *live, enum family family,
					   const char *name)
{
	for (size_t i = 0; i < live->chains_n; i++)
		if (live->chains[i].family == family && strcmp(live->chains[i].name, name) == 0)
			return &live->chains[i];
	return NULL;
}

static const struct chain *wanted_chain(const struct skeleton *skeleton,
					const struct live_chain *live)
{
	return skeleton_find_chain(skeleton, live->family, live->name);
}

static int rules_equal(const struct planner *p, const struct chain *chain,
		       const struct live_chain *live)
{
	if (chain->rules_n != live->rules_n)
		return 0;
	for (size_t i = 0; i < chain->rules_n; i++) {
		_cleanup_free_ char *text = NULL;
		int r = nft_rule_fingerprint(chain, &chain->rules[i], &p->skeleton->params, &text);

		if (r < 0)
			return r;
		if (strcmp(text, live->rules[i]) != 0)
			return 0;
	}
	return 1;
}

/* A copy that a killed step left: it may be looked up, so it cannot be the new one. */
static bool copy_is_left(const struct planner *p, const struct set_spec *spec)
{
	for (size_t i = 0; i < p->live->extra_n; i++)
		if (p->live->extra[i].kind == LIVE_SET &&
		    p->live->extra[i].family == spec->family &&
		    strcmp(p->live->extra[i].name, spec->next) == 0)
			return true;
	return false;
}

static void judge_sets(struct planner *p)
{
	for (size_t i = 0; i < SET_MAX; i++) {
		const struct set_spec *spec = set_spec((enum set_id)i);

		p->remade[i] = p->live->set_differs[i];
		if (spec->interval && !p->live->set_present[i] && p->live->table[spec->family])
			p->early |= SET_BIT_OF(i);
		if (spec->interval && p->live->set_present[i])
			p->remade[i] |=
				!elems_equal(&p->desired->sets[i], &p->live->elements->sets[i]);
		if (!p->remade[i])
			continue;
		if (spec->interval && !copy_is_left(p, spec))
			p->copied |= SET_BIT_OF(i);
		else
			p->all_rules = true;
	}
}

static bool looks_up(const struct chain *chain, uint64_t sets)
{
	for (size_t i = 0; i < chain->rules_n; i++)
		for (const struct stmt *s = chain->rules[i].stmts; s->kind != STMT_END; s++)
			if (s->kind == STMT_LOOKUP && sets & SET_BIT_OF(s->set))
				return true;
	return false;
}

static int judge_chains(struct planner *p)
{
	for (size_t i = 0; i < p->skeleton->chains_n; i++) {
		const struct chain *chain = &p->skeleton->chains[i];
		const struct live_chain *live = live_chain(p->live, chain->family, chain->name);
		int equal = live && !p->all_rules ? rules_equal(p, chain, live) : 0;

		if (equal < 0)
			return equal;
		p->chain_stale[i] = !equal || looks_up(chain, p->copied);
		if (!live)
			continue;
		p->chain_remade[i] = live->base != chain->base || !live->plain ||
				     (chain->base && (live->hook != chain->hook ||
						      live->priority != chain->priority));
		p->chain_stale[i] |= p->chain_remade[i];
	}
	return 0;
}

static int plan_flush(struct planner *p)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < p->live->chains_n; i++) {
		const struct live_chain *live = &p->live->chains[i];
		const struct chain *chain = wanted_chain(p->skeleton, live);
		size_t index = chain ? (size_t)(chain - p->skeleton->chains) : 0;

		if ((!chain || p->chain_stale[index]) && live->rules_n > 0)
			r = add(p, (struct op){ .kind = OP_FLUSH_CHAIN,
						.family = live->family,
						.name = live->name });
	}
	return r;
}

static enum op_kind delete_kind(enum live_kind kind)
{
	switch (kind) {
	case LIVE_CHAIN:
	case LIVE_GONE_PORT:
		return OP_DEL_CHAIN;
	case LIVE_SET:
		return OP_DEL_SET;
	case LIVE_COUNTER:
		return OP_DEL_COUNTER;
	case LIVE_FLOWTABLE:
		return OP_DEL_FLOWTABLE;
	}
	return OP_DEL_CHAIN;
}

static int plan_delete_sets(struct planner *p)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < SET_MAX; i++)
		if (p->remade[i])
			r = add(p, (struct op){ .kind = OP_DEL_SET,
						.set = (enum set_id)i,
						.family = set_spec((enum set_id)i)->family,
						.name = set_spec((enum set_id)i)->name });
	for (size_t i = 0; r >= 0 && i < p->live->extra_n; i++)
		if (p->live->extra[i].kind == LIVE_SET)
			r = add(p, (struct op){ .kind = OP_DEL_SET,
						.family = p->live->extra[i].family,
						.name = p->live->extra[i].name });
	return r;
}

/* Sets first: a map of another version may jump to a chain or name a counter. */
static int plan_delete(struct planner *p)
{
	int r = plan_delete_sets(p);

	for (size_t i = 0; r >= 0 && i < p->live->chains_n; i++) {
		const struct live_chain *live = &p->live->chains[i];
		const struct chain *chain = wanted_chain(p->skeleton, live);

		if (!chain || p->chain_remade[chain - p->skeleton->chains])
			r = add(p, (struct op){ .kind = OP_DEL_CHAIN,
						.family = live->family,
						.name = live->name });
	}
	for (size_t i = 0; r >= 0 && i < p->live->extra_n; i++)
		if (p->live->extra[i].kind != LIVE_GONE_PORT && p->live->extra[i].kind != LIVE_SET)
			r = add(p, (struct op){ .kind = delete_kind(p->live->extra[i].kind),
						.family = p->live->extra[i].family,
						.name = p->live->extra[i].name });
	return r;
}

static bool has_set(const struct planner *p, enum set_id set)
{
	return !set_spec(set)->chains && skeleton_has_family(p->skeleton, set_spec(set)->family);
}

static int plan_objects(struct planner *p)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < p->skeleton->counters_n; i++)
		if (skeleton_has_family(p->skeleton, p->skeleton->counters[i].family) &&
		    (i >= p->live->counters_n || !p->live->counters[i].present))
			r = add(p, (struct op){ .kind = OP_ADD_COUNTER,
						.family = p->skeleton->counters[i].family,
						.name = p->skeleton->counters[i].name });
	for (size_t i = 0; r >= 0 && i < SET_MAX; i++)
		if (has_set(p, (enum set_id)i) && !(p->early & SET_BIT_OF(i)) &&
		    (!p->live->set_present[i] || p->remade[i]))
			r = add(p, (struct op){ .kind = OP_ADD_SET,
						.set = (enum set_id)i,
						.family = set_spec((enum set_id)i)->family,
						.name = set_spec((enum set_id)i)->name });
	for (size_t i = 0; r >= 0 && i < p->skeleton->chains_n; i++) {
		const struct chain *chain = &p->skeleton->chains[i];
		const struct live_chain *live = live_chain(p->live, chain->family, chain->name);
		bool there = live && !p->chain_remade[i];

		if (!there || live->drops)
			r = add(p, (struct op){ .kind = OP_ADD_CHAIN,
						.family = chain->family,
						.name = chain->name,
						.chain = chain,
						.there = there });
	}
	return r;
}

/* One set: a walk over two sorted arrays. An element that changes is deleted and added. */
static int plan_set(enum set_id set, const struct elems *want, const struct elems *have,
		    bool deletes, struct ops *ops)
{
	struct op op = { .kind = deletes ? OP_DEL_ELEM : OP_ADD_ELEM,
			 .set = set,
			 .family = set_spec(set)->family,
			 .name = set_spec(set)->name };
	size_t w = 0, h = 0;
	int r = 0;

	while (r >= 0 && (w < want->n || h < have->n)) {
		int cmp = w == want->n ? 1
			  : h == have->n
				  ? -1
				  : memcmp(want->elem[w].key, have->elem[h].key, ELEM_KEY_MAX);
		bool changed = cmp == 0 && !elem_equal(&want->elem[w], &have->elem[h]);

		if (deletes ? cmp > 0 || changed : cmp < 0 || changed) {
			op.elem = deletes ? &have->elem[h] : &want->elem[w];
			r = ops_add(ops, &op);
		}
		w += cmp <= 0;
		h += cmp >= 0;
	}
	return r;
}

/* Where elements may stay, only those that changed are deleted. */
static int plan_set_keep(enum set_id set, const struct ruleset *desired, const struct elems *have,
			 struct ops *ops)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < have->n; i++) {
		const struct elem *want = ruleset_find(desired, set, have->elem[i].key);
		struct op op = { .kind = OP_DEL_ELEM,
				 .set = set,
				 .family = set_spec(set)->family,
				 .name = set_spec(set)->name,
				 .elem = &have->elem[i] };

		if (want ? !elem_equal(want, &have->elem[i])
			 : !ruleset_keeps(desired, &have->elem[i]))
			r = ops_add(ops, &op);
	}
	return r;
}

/* @done: sets (SET_BIT_OF) that need nothing any more */
static int plan_all_sets(const struct ruleset *desired, const struct ruleset *actual,
			 const bool *made_anew, uint64_t done, struct ops *ops)
{
	static const struct elems none;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < SET_MAX; i++) {
		const struct elems *have = made_anew && made_anew[i] ? &none : &actual->sets[i];
		enum set_id set = (enum set_id)i;

		if (done & SET_BIT_OF(i))
			continue;
		r = desired->keep[i] ? plan_set_keep(set, desired, have, ops)
				     : plan_set(set, &desired->sets[i], have, true, ops);
		if (r >= 0)
			r = plan_set(set, &desired->sets[i], have, false, ops);
	}
	return r;
}

/* @next: the sets whose copies these rules look up. */
static int plan_chain_rules(struct planner *p, const struct chain *chain, uint64_t next)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < chain->rules_n; i++)
		r = add(p, (struct op){ .kind = OP_ADD_RULE,
					.family = chain->family,
					.name = chain->name,
					.chain = chain,
					.rule = &chain->rules[i],
					.next = next });
	return r;
}

static int plan_rules(struct planner *p)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < p->skeleton->chains_n; i++)
		if (p->chain_stale[i])
			r = plan_chain_rules(p, &p->skeleton->chains[i], p->copied);
	return r;
}

/* The copies, and interval sets that are missing, before anything else: a transaction of its own. */
static int plan_copies(struct planner *p)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < SET_MAX; i++) {
		const struct elems *elems = &p->desired->sets[i];
		struct op op = { .kind = OP_ADD_SET,
				 .set = (enum set_id)i,
				 .family = set_spec((enum set_id)i)->family,
				 .name = set_spec((enum set_id)i)->next };

		if (!((p->copied | p->early) & SET_BIT_OF(i)))
			continue;
		if (p->early & SET_BIT_OF(i))
			op.name = set_spec((enum set_id)i)->name;
		r = add(p, op);
		op.kind = OP_ADD_ELEM;
		for (size_t j = 0; r >= 0 && j < elems->n; j++) {
			op.elem = &elems->elem[j];
			r = add(p, op);
		}
	}
	return r < 0 || !(p->copied | p->early) ? r : add(p, (struct op){ .kind = OP_COMMIT });
}

/* The rules back to the sets, after all else, and the copies away. */
static int plan_back(struct planner *p)
{
	int r = p->copied ? add(p, (struct op){ .kind = OP_COMMIT }) : 0;

	for (size_t i = 0; r >= 0 && i < p->skeleton->chains_n; i++) {
		const struct chain *chain = &p->skeleton->chains[i];

		if (!looks_up(chain, p->copied))
			continue;
		r = add(p, (struct op){ .kind = OP_FLUSH_CHAIN,
					.family = chain->family,
					.name = chain->name });
		if (r >= 0)
			r = plan_chain_rules(p, chain, 0);
	}
	for (size_t i = 0; r >= 0 && i < SET_MAX; i++)
		if (p->copied & SET_BIT_OF(i))
			r = add(p, (struct op){ .kind = OP_DEL_SET,
						.set = (enum set_id)i,
						.family = set_spec((enum set_id)i)->family,
						.name = set_spec((enum set_id)i)->next });
	return r;
}

int plan_make(const struct skeleton *skeleton, const struct ruleset *desired,
	      const struct live *live, struct ops *ret_ops)
{
	_cleanup_(ops_done) struct ops ops = { 0 };
	struct planner p = { .skeleton = skeleton, .desired = desired, .live = live, .ops = &ops };
	int r;

	judge_sets(&p);
	r = judge_chains(&p);
	if (r >= 0)
		r = plan_copies(&p);
	for (size_t family = 0; r >= 0 && family < FAMILY_MAX; family++)
		if (!live->table[family] && skeleton_has_family(skeleton, (enum family)family))
			r = add(&p,
				(struct op){ .kind = OP_ADD_TABLE, .family = (enum family)family });
	if (r >= 0)
		r = plan_flush(&p);
	if (r >= 0)
		r = plan_delete(&p);
	if (r >= 0)
		r = plan_objects(&p);
	if (r >= 0)
		r = plan_all_sets(desired, live->elements, p.remade, p.early, &ops);
	if (r >= 0)
		r = plan_rules(&p);
	if (r >= 0)
		r = plan_back(&p);
	if (r < 0)
		return r;
	*ret_ops = ops;
	ops = (struct ops){ 0 };
	return 0;
}

/* One that is not wanted any more: the kernel may have taken it out by itself. */
static bool has_ended(const struct ruleset *desired, const struct ruleset *actual, enum set_id set)
{
	for (size_t i = 0; set_spec(set)->timed && i < actual->sets[set].n; i++)
		if (elem_extra(&actual->sets[set].elem[i])->ends &&
		    !ruleset_find(desired, set, actual->sets[set].elem[i].key))
			return true;
	return false;
}

bool plan_elements_suffice(const struct ruleset *desired, const struct ruleset *actual,
			   uint64_t same)
{
	for (size_t i = 0; i < SET_MAX; i++) {
		if (same & SET_BIT_OF(i))
			continue;
		if (set_spec((enum set_id)i)->interval &&
		    !elems_equal(&desired->sets[i], &actual->sets[i]))
			return false;
		if (has_ended(desired, actual, (enum set_id)i))
			return false;
	}
	return true;
}

int plan_elements(const struct ruleset *desired, const struct ruleset *actual, uint64_t same,
		  struct ops *ret_ops)
{
	_cleanup_(ops_done) struct ops ops = { 0 };
	int r = plan_all_sets(desired, actual, NULL, same, &ops);

	if (r < 0)
		return r;
	*ret_ops = ops;
	ops = (struct ops){ 0 };
	return 0;
}

int plan_tables(const struct skeleton *skeleton, const struct live *live, bool own,
		struct ops *ret_ops)
{
	_cleanup_(ops_done) struct ops ops = { 0 };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < FAMILY_MAX; i++) {
		uint32_t have = live->table_flags[i], want = have & ~TABLE_DORMANT;
		bool asleep = want != have;

		if (!live->table[i] || !skeleton_has_family(skeleton, (enum family)i))
			continue;
		/* the kernel makes an owner of nobody but where the table outlives it */
		if (own && have & TABLE_PERSIST)
			want |= TABLE_OWNER;
		if (want != have)
			r = ops_add(&ops, &(struct op){ .kind = OP_SET_TABLE,
							.family = (enum family)i,
							.name = asleep ? "is dormant: its rules do "
									 "nothing"
								       : "has no owner: others can "
									 "change it",
							.flags = want });
	}
	if (r < 0)
		return r;
	*ret_ops = ops;
	ops = (struct ops){ 0 };
	return 0;
}

/* What its elements deny: one that is missing leaves something open. */
static const uint64_t closing_sets = SET_BIT_OF(SET_DENY4) | SET_BIT_OF(SET_DENY6) |
				     SET_BIT_OF(SET_DENY_PORTS4) | SET_BIT_OF(SET_DENY_PORTS6) |
				     SET_BIT_OF(SET_METADATA4) | SET_BIT_OF(SET_METADATA6) |
				     SET_BIT_OF(SET_INTERNAL4) | SET_BIT_OF(SET_INTERNAL6);

/* What its elements allow to jobs, by the configuration alone. */
static const uint64_t allowing_sets = SET_BIT_OF(SET_ALLOW4) | SET_BIT_OF(SET_ALLOW6) |
				      SET_BIT_OF(SET_ALLOW_PORTS4) | SET_BIT_OF(SET_ALLOW_PORTS6) |
				      SET_BIT_OF(SET_PEERS4) | SET_BIT_OF(SET_PEERS6);

/* A bridge that Docker named is guarded by its name too, until an event puts it into the set. */
static bool is_guarded_anyway(enum set_id set, const struct elem *elem)
{
	char name[IFNAMSIZ + 1];

	if (set != SET_GUARDED_BRIDGES && set != SET_BRIDGE_GUARDED)
		return false;
	snprintf(name, sizeof(name), "%.*s", IFNAMSIZ, (const char *)elem->key);
	return policy_is_docker_bridge(name);
}

/* Each element of @from is in @to as well. */
static bool has_all(enum set_id set, const struct ruleset *from, const struct ruleset *to)
{
	const struct elems *elems = &from->sets[set];

	for (size_t i = 0; i < elems->n; i++)
		if (!ruleset_find(to, set, elems->elem[i].key) &&
		    !is_guarded_anyway(set, &elems->elem[i]))
			return false;
	return true;
}

static bool set_stands(const struct planner *p, enum set_id set)
{
	if (!has_set(p, set))
		return true;
	if (!p->live->set_present[set] || p->live->set_differs[set])
		return false;
	if ((set_spec(set)->base || closing_sets & SET_BIT_OF(set)) &&
	    !has_all(set, p->desired, p->live->elements))
		return false;
	return !(allowing_sets & SET_BIT_OF(set)) || has_all(set, p->live->elements, p->desired);
}

int plan_fence_stands(const struct skeleton *skeleton, const struct ruleset *desired,
		      const struct live *live)
{
	struct planner p = { .skeleton = skeleton, .desired = desired, .live = live };
	int r;

	for (size_t i = 0; i < FAMILY_MAX; i++)
		if (skeleton_has_family(skeleton, (enum family)i) &&
		    (!live->table[i] || live->table_flags[i] & TABLE_DORMANT))
			return 0;
	for (size_t i = 0; i < SET_MAX; i++)
		if (!set_stands(&p, (enum set_id)i))
			return 0;
	r = judge_chains(&p);
	for (size_t i = 0; r >= 0 && i < skeleton->chains_n; i++)
		if (p.chain_stale[i])
			return 0;
	return r < 0 ? r : 1;
}

int plan_remove(const struct live *live, struct ops *ret_ops)
{
	_cleanup_(ops_done) struct ops ops = { 0 };
	int r = 0;

	for (size_t family = 0; r >= 0 && family < FAMILY_MAX; family++)
		if (live->table[family])
			r = ops_add(&ops, &(struct op){ .kind = OP_DEL_TABLE,
							.family = (enum family)family });
	if (r < 0)
		return r;
	*ret_ops = ops;
	ops = (struct ops){ 0 };
	return 0;
}
