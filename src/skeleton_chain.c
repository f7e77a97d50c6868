/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chains under construction: the functions by which the skeleton's files write and find them.
 * Sizes are fixed; a skeleton that does not fit is a mistake in this source, found at first start.
 */
#include "skeleton-internal.h"

#include <string.h>

const struct chain *skeleton_find_chain(const struct skeleton *skeleton, enum family family,
					const char *name)
{
	for (size_t i = 0; i < skeleton->chains_n; i++)
		if (skeleton->chains[i].family == family &&
		    strcmp(skeleton->chains[i].name, name) == 0)
			return &skeleton->chains[i];
	return NULL;
}

struct chain *skeleton_chain(struct skeleton *skeleton, enum family family, const char *name,
			     const char *why)
{
	assert(skeleton->chains_n < CHAINS_MAX);
	struct chain *chain = &skeleton->chains[skeleton->chains_n++];

	*chain = (struct chain){ .family = family, .name = name, .why = why, .skeleton = skeleton };
	return chain;
}

struct chain *skeleton_base_chain(struct skeleton *skeleton, enum family family, const char *name,
				  uint32_t hook, int32_t priority)
{
	struct chain *chain = skeleton_chain(skeleton, family, name, NULL);

	chain->base = true;
	chain->hook = hook;
	chain->priority = priority;
	return chain;
}

/* A chain's rules lie behind one another. Where another chain has rules behind them already, they move
 * to the end first, and leave a hole. */
void chain_rule(struct chain *chain, const char *why, const struct stmt *stmts, size_t n)
{
	struct skeleton *skeleton = chain->skeleton;
	struct rule *rule;

	if (!chain->rules || chain->rules + chain->rules_n != skeleton->rules + skeleton->rules_n) {
		rule = skeleton->rules + skeleton->rules_n;
		assert(skeleton->rules_n + chain->rules_n < RULES_MAX);
		if (chain->rules_n)
			memcpy(rule, chain->rules, chain->rules_n * sizeof(*rule));
		chain->rules = rule;
		skeleton->rules_n += chain->rules_n;
	}
	assert(skeleton->rules_n < RULES_MAX);
	rule = &skeleton->rules[skeleton->rules_n++];
	chain->rules_n++;
	assert(skeleton->stmts_n + n < STMTS_MAX);
	*rule = (struct rule){ .stmts = &skeleton->stmts[skeleton->stmts_n], .why = why };
	memcpy(&skeleton->stmts[skeleton->stmts_n], stmts, n * sizeof(*stmts));
	skeleton->stmts_n += n;
	skeleton->stmts[skeleton->stmts_n++] = (struct stmt){ .kind = STMT_END };
}
