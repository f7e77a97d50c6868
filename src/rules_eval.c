/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Walks the rules of a skeleton with the elements of a ruleset, for one described packet, as
 * nf_tables does: a field that is not there ends its rule, a lookup in a set that may hold more than
 * is known here is unknown where it misses. Pure. A packet is never called denied on a guess.
 */
#include "jobfence/packet.h"

#include <string.h>

#include "jobfence/cleanup.h"

#define DEPTH_MAX 16 /* of jumps, as in the kernel */

enum matched { MATCH_NO, MATCH_YES, MATCH_UNKNOWN };

/* What a chain came to. */
enum walked { WALK_ON, WALK_ACCEPT, WALK_DENY, WALK_UNKNOWN };

struct walk {
	const struct rules *rules;
	struct packet *packet;
	enum family family;
	const char *counter; /* that the last rule with one counted */
	const char *audited;
	int depth;
};

static enum matched matched(bool yes)
{
	return yes ? MATCH_YES : MATCH_NO;
}

static enum matched from_readable(enum readable readable)
{
	return readable == READ_ABSENT ? MATCH_NO : MATCH_UNKNOWN;
}

/* An element of an interval set holds every field from its key to its last. */
static const struct elem *find_range(const struct set_spec *spec, const struct elems *elems,
				     const uint8_t *key)
{
	for (size_t i = 0; i < elems->n; i++) {
		const struct elem *elem = &elems->elem[i];
		bool inside = true;

		for (uint32_t f = 0, at = 0; f < SET_FIELDS_MAX && spec->key[f] != KEY_NONE; f++) {
			uint32_t len = key_type_len(spec->key[f]);

			inside = inside && memcmp(key + at, elem->key + at, len) >= 0 &&
				 memcmp(key + at, elem_extra(elem)->last + at, len) <= 0;
			at += (len + 3) & ~3u;
		}
		if (inside)
			return elem;
	}
	return NULL;
}

static const struct elem *find_elem(const struct ruleset *ruleset, enum set_id set,
				    const struct elem_key *key)
{
	const struct set_spec *spec = set_spec(set);

	return spec->interval ? find_range(spec, &ruleset->sets[set], key->bytes)
			      : ruleset_find(ruleset, set, key->bytes);
}

/* MATCH_UNKNOWN: a field is, or what the kernel has kept is not known here. */
static enum matched look_up(const struct walk *walk, const struct stmt *stmt,
			    const struct elem **ret_elem)
{
	struct elem_key key;

	*ret_elem = NULL;
	elem_key_init(&key);
	for (uint32_t i = 0; i < stmt->fields_n; i++) {
		uint8_t bytes[16];
		uint32_t len;
		enum readable readable = packet_bytes(walk->packet, &walk->rules->skeleton->params,
						      stmt->fields[i], bytes, &len);

		if (readable != READ_YES)
			return from_readable(readable);
		elem_key_add(&key, bytes, len);
	}
	*ret_elem = find_elem(walk->rules->ruleset, stmt->set, &key);
	if (!*ret_elem && walk->rules->ruleset->keep[stmt->set]) {
		if (!walk->rules->kept)
			return MATCH_UNKNOWN;
		*ret_elem = find_elem(walk->rules->kept, stmt->set, &key);
	}
	return matched((*ret_elem != NULL) != stmt->negate);
}

/* An interface's name or kind; "br-*" is a prefix. */
static enum matched compare_name(const struct walk *walk, const struct stmt *stmt)
{
	size_t len = strlen(stmt->name);
	uint8_t bytes[16];
	uint32_t bytes_len;
	enum readable readable = packet_bytes(walk->packet, &walk->rules->skeleton->params,
					      stmt->fields[0], bytes, &bytes_len);
	bool equal;

	if (readable != READ_YES)
		return from_readable(readable);
	bytes[15] = '\0';
	if (len > 0 && stmt->name[len - 1] == '*')
		equal = strncmp((const char *)bytes, stmt->name, len - 1) == 0;
	else
		equal = strcmp((const char *)bytes, stmt->name) == 0;
	return matched(equal != stmt->negate);
}

static enum matched compare(const struct walk *walk, const struct stmt *stmt)
{
	uint32_t number;
	enum readable readable = packet_number(walk->packet, &walk->rules->skeleton->params,
					       stmt->fields[0], &number);

	if (readable != READ_YES)
		return from_readable(readable);
	if (stmt->kind == STMT_BITS)
		number &= stmt->mask;
	return matched((number == stmt->value) != stmt->negate);
}

static enum matched set_mark(const struct walk *walk, const struct stmt *stmt)
{
	const struct elem *elem;
	enum matched found = MATCH_YES;

	if (stmt->kind == STMT_CT_MARK_MAP) {
		found = look_up(walk, stmt, &elem);
		if (found == MATCH_YES && elem)
			walk->packet->ct_mark = elem_extra(elem)->data;
	} else if (stmt->fields[0] == F_MARK) {
		walk->packet->mark = (walk->packet->mark & stmt->mask) | stmt->value;
	} else {
		walk->packet->ct_mark = (walk->packet->ct_mark & stmt->mask) | stmt->value;
	}
	return found;
}

/* Whether the rule goes on behind this statement. Verdicts are not for here. */
static enum matched try_stmt(struct walk *walk, const struct stmt *stmt)
{
	const struct elem *elem;

	switch (stmt->kind) {
	case STMT_LOOKUP:
		return look_up(walk, stmt, &elem);
	case STMT_CMP:
	case STMT_BITS:
		return compare(walk, stmt);
	case STMT_CMP_NAME:
		return compare_name(walk, stmt);
	case STMT_MARK_SET:
	case STMT_CT_MARK_MAP:
		return set_mark(walk, stmt);
	case STMT_COUNTER:
		walk->counter = stmt->name;
		return MATCH_YES;
	case STMT_COPY: /* of neighbour discovery only */
		return MATCH_UNKNOWN;
	case STMT_MARK_MAP: /* for who is told (skeleton_records.c): the rules behind it end the same */
	case STMT_MARK_COPY:
		return MATCH_NO;
	case STMT_LIMIT:
	case STMT_LOG:
	case STMT_END:
	case STMT_VERDICT:
	case STMT_REJECT:
		return MATCH_YES;
	}
	return MATCH_UNKNOWN;
}

static enum walked walk_chain(struct walk *walk, const struct chain *chain);

/* @ret_left: the chain is over, and with WALK_ON its caller goes on. */
static enum walked follow(struct walk *walk, const struct stmt *stmt, bool *ret_left)
{
	enum walked walked = WALK_UNKNOWN;
	const struct chain *target;

	*ret_left = true;
	if (stmt->kind == STMT_REJECT)
		return WALK_DENY;
	switch (stmt->verdict) {
	case VERDICT_ACCEPT:
		return WALK_ACCEPT;
	case VERDICT_DROP:
		return WALK_DENY;
	case VERDICT_RETURN:
		return WALK_ON;
	case VERDICT_JUMP:
	case VERDICT_GOTO:
		*ret_left = stmt->verdict == VERDICT_GOTO;
		target = skeleton_find_chain(walk->rules->skeleton, walk->family, stmt->name);
		if (target && walk->depth < DEPTH_MAX) {
			walk->depth++;
			walked = walk_chain(walk, target);
			walk->depth--;
		}
		break;
	}
	return walked;
}

/* A rule that counts as a deny does and goes on: its group is audited (skeleton_audit.c). */
static void note_audit(struct walk *walk, const struct rule *rule, const struct stmt *stmt)
{
	bool counts = false;

	for (const struct stmt *s = rule->stmts; s->kind != STMT_END; s++)
		counts = counts || s->kind == STMT_COUNTER;
	if (counts && !walk->audited && stmt->verdict != VERDICT_DROP &&
	    stmt->verdict != VERDICT_GOTO)
		walk->audited = walk->counter;
}

static enum walked walk_rule(struct walk *walk, const struct rule *rule, bool *ret_left)
{
	*ret_left = false;
	for (const struct stmt *stmt = rule->stmts; stmt->kind != STMT_END; stmt++) {
		enum matched result = try_stmt(walk, stmt);

		if (result == MATCH_UNKNOWN)
			return WALK_UNKNOWN;
		if (result == MATCH_NO)
			return WALK_ON;
		if (stmt->kind == STMT_VERDICT)
			note_audit(walk, rule, stmt);
		if (stmt->kind == STMT_VERDICT || stmt->kind == STMT_REJECT)
			return follow(walk, stmt, ret_left);
	}
	return WALK_ON;
}

static enum walked walk_chain(struct walk *walk, const struct chain *chain)
{
	for (size_t i = 0; i < chain->rules_n; i++) {
		bool left;
		enum walked walked = walk_rule(walk, &chain->rules[i], &left);

		if (walked != WALK_ON)
			return walked;
		if (left)
			break;
	}
	return WALK_ON;
}

static void run(struct walk *walk, const struct chain *chain, struct judged *judged)
{
	enum walked walked = walk_chain(walk, chain);

	if (walked == WALK_DENY)
		*judged = (struct judged){ RULING_DENY, walk->counter, judged->audited };
	else if (walked == WALK_UNKNOWN)
		judged->ruling = RULING_UNKNOWN;
	if (!judged->audited)
		judged->audited = walk->audited;
}

/* The base chain of this hook that comes next after @after; NULL: none. */
static const struct chain *next_chain(const struct skeleton *skeleton, enum family family,
				      uint32_t hook, const struct chain *after)
{
	const struct chain *next = NULL;

	for (size_t i = 0; i < skeleton->chains_n; i++) {
		const struct chain *chain = &skeleton->chains[i];

		if (!chain->base || chain->family != family || chain->hook != hook)
			continue;
		if (after && chain->priority <= after->priority)
			continue;
		if (!next || chain->priority < next->priority)
			next = chain;
	}
	return next;
}

void rules_hook(const struct rules *rules, enum family family, uint32_t hook, struct packet *packet,
		struct judged *judged)
{
	const struct chain *chain = NULL;

	while (judged->ruling == RULING_PASS &&
	       (chain = next_chain(rules->skeleton, family, hook, chain))) {
		struct walk walk = { .rules = rules, .packet = packet, .family = family };

		run(&walk, chain, judged);
	}
}

void rules_egress(const struct rules *rules, struct packet *packet, struct judged *judged)
{
	struct walk walk = { .rules = rules, .packet = packet, .family = FAMILY_NETDEV };
	struct elem_key key;
	const struct chain *chain;

	if (!rules->skeleton->params.egress || judged->ruling != RULING_PASS)
		return;
	elem_key_init(&key);
	elem_key_ifname(&key, packet->oif);
	if (!ruleset_find(rules->ruleset, SET_EGRESS_PORTS, key.bytes))
		return;
	chain = skeleton_find_chain(walk.rules->skeleton, walk.family, EGRESS_CHAIN);
	if (chain)
		run(&walk, chain, judged);
}
