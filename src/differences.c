/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps that would repair the kernel, told as what is wrong with it: a step that adds is
 * something missing, a step that deletes is something that should not be there. Rules are compared
 * and repaired chain by chain, so they are told chain by chain.
 *
 * Pure. What was read from the kernel may be anyone's text; it is made safe before it is shown.
 */
#include "commands-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/text.h"

struct teller {
	const struct ops *ops;
	cgroup_path_fn cgroup_path;
	void *data;
	char text[700];
};

void sentences_done(struct sentences *sentences)
{
	for (size_t i = 0; i < sentences->n; i++)
		free(sentences->text[i]);
	free(sentences->text);
	*sentences = (struct sentences){ 0 };
}

static bool sentences_have(const struct sentences *sentences, const char *text)
{
	for (size_t i = 0; i < sentences->n; i++)
		if (strcmp(sentences->text[i], text) == 0)
			return true;
	return false;
}

int sentences_add(struct sentences *sentences, const char *text)
{
	if (sentences->n == sentences->cap) {
		size_t cap = sentences->cap ? sentences->cap * 2 : 16;
		char **grown = reallocarray(sentences->text, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		sentences->text = grown;
		sentences->cap = cap;
	}
	sentences->text[sentences->n] = strdup(text);
	return sentences->text[sentences->n++] ? 0 : -ENOMEM;
}

void sentences_intersect(struct sentences *sentences, const struct sentences *other)
{
	size_t kept = 0;

	for (size_t i = 0; i < sentences->n; i++) {
		if (sentences_have(other, sentences->text[i]))
			sentences->text[kept++] = sentences->text[i];
		else
			free(sentences->text[i]);
	}
	sentences->n = kept;
}

static bool has_op(const struct ops *ops, enum op_kind kind, const struct op *like)
{
	for (size_t i = 0; i < ops->n; i++)
		if (ops->op[i].kind == kind && ops->op[i].family == like->family &&
		    strcmp(ops->op[i].name, like->name) == 0)
			return true;
	return false;
}

/* A set is there, but not as it should be: the plan then writes all rules anew, since none may refer
 * to the old one, and so tells nothing about the rules. */
static bool has_remade_set(const struct ops *ops)
{
	for (size_t i = 0; i < ops->n; i++)
		if (ops->op[i].kind == OP_DEL_SET && has_op(ops, OP_ADD_SET, &ops->op[i]))
			return true;
	return false;
}

static void tell_object(struct teller *teller, const char *how, const char *what,
			const struct op *op)
{
	char name[128];

	snprintf(teller->text, sizeof(teller->text), "%s: %s %s of table %s " TABLE_NAME "%s", how,
		 what, text_safe(op->name, name, sizeof(name)), family_name(op->family),
		 op->kind == OP_ADD_SET && has_op(teller->ops, OP_DEL_SET, op) ? "; the rules "
										 "cannot be "
										 "compared before "
										 "it is made anew"
									       : "");
}

/* A chain or set that is deleted and added in one go is there, but not as it should be. */
static void tell_pair(struct teller *teller, const char *what, const struct op *op,
		      enum op_kind opposite)
{
	bool adds = op->kind == OP_ADD_CHAIN || op->kind == OP_ADD_SET;

	if (!has_op(teller->ops, opposite, op))
		tell_object(teller, adds ? "missing" : "unexpected", what, op);
	else if (adds)
		tell_object(teller, "different", what, op);
}

/*
 * Rules of a chain that exists and stays. The chain's own sentence says enough where it is missing,
 * unexpected or different.
 */
static void tell_rules(struct teller *teller, const struct op *op)
{
	const struct ops *ops = teller->ops;

	if (has_remade_set(ops) || has_op(ops, OP_ADD_CHAIN, op) || has_op(ops, OP_DEL_CHAIN, op))
		return;
	if (op->kind == OP_FLUSH_CHAIN)
		tell_object(teller, "different", "rules in chain", op);
	else if (!has_op(ops, OP_FLUSH_CHAIN, op))
		tell_object(teller, "missing", "rules in chain", op);
}

static void tell_elem(struct teller *teller, const char *how, const struct op *op)
{
	char key[400], safe[400], comment[ELEM_COMMENT_MAX + 1], mark[24] = "";

	if (set_spec(op->set)->chains) {
		snprintf(key, sizeof(key), "%.*s", IFNAMSIZ, (const char *)op->elem->key);
		snprintf(teller->text, sizeof(teller->text),
			 "%s: chain " EGRESS_PORT_PREFIX "%s of table %s " TABLE_NAME, how,
			 text_safe(key, safe, sizeof(safe)), family_name(op->family));
		return;
	}
	if (elem_text(op->set, op->elem, key, sizeof(key), teller->cgroup_path, teller->data) < 0)
		snprintf(key, sizeof(key), "?");
	/* the quotes of names go as well: this is a sentence, not nft text */
	snprintf(safe, sizeof(safe), "%s", key);
	for (char *c = safe, *from = key; (*c = *from); from++)
		c += *from != '"';
	text_safe(safe, key, sizeof(key));
	if (set_spec(op->set)->data == KEY_MARK)
		snprintf(mark, sizeof(mark), " : 0x%08x", (unsigned int)elem_extra(op->elem)->data);
	text_safe(op->elem->comment, comment, sizeof(comment));
	snprintf(teller->text, sizeof(teller->text),
		 "%s: element %s%s of set %s of table %s " TABLE_NAME "%s%s%s", how, key, mark,
		 set_spec(op->set)->name, family_name(op->family), *comment ? " (" : "", comment,
		 *comment ? ")" : "");
}

static void tell(struct teller *teller, const struct op *op)
{
	teller->text[0] = '\0';
	switch (op->kind) {
	case OP_SET_TABLE:
		snprintf(teller->text, sizeof(teller->text),
			 "different: table %s " TABLE_NAME " %s", family_name(op->family),
			 op->name);
		break;
	case OP_ADD_TABLE:
	case OP_DEL_TABLE:
		snprintf(teller->text, sizeof(teller->text), "%s: table %s " TABLE_NAME,
			 op->kind == OP_ADD_TABLE ? "missing" : "unexpected",
			 family_name(op->family));
		break;
	case OP_FLUSH_CHAIN:
	case OP_ADD_RULE:
		tell_rules(teller, op);
		break;
	case OP_DEL_CHAIN:
		tell_pair(teller, "chain", op, OP_ADD_CHAIN);
		break;
	case OP_ADD_CHAIN:
		if (op->there)
			tell_object(teller, "different", "policy of chain", op);
		else
			tell_pair(teller, "chain", op, OP_DEL_CHAIN);
		break;
	case OP_DEL_SET:
		tell_pair(teller, "set", op, OP_ADD_SET);
		break;
	case OP_ADD_SET:
		tell_pair(teller, "set", op, OP_DEL_SET);
		break;
	case OP_DEL_COUNTER:
		tell_object(teller, "unexpected", "counter", op);
		break;
	case OP_ADD_COUNTER:
		tell_object(teller, "missing", "counter", op);
		break;
	case OP_DEL_FLOWTABLE:
		tell_object(teller, "unexpected", "flow table", op);
		break;
	case OP_DEL_ELEM:
		tell_elem(teller, "unexpected", op);
		break;
	case OP_ADD_ELEM:
		tell_elem(teller, "missing", op);
		break;
	case OP_COMMIT:
		break;
	}
}

/* What is in a table, chain or set that is missing as a whole needs no sentence of its own. */
static bool is_implied(const struct ops *ops, const struct op *op)
{
	const struct set_spec *spec = set_spec(op->set);

	if (op->kind == OP_COMMIT)
		return true;
	if (op->kind == OP_ADD_TABLE || op->kind == OP_DEL_TABLE || op->kind == OP_SET_TABLE)
		return false;
	/* what stands in for a set that is made anew */
	if (spec->next && strcmp(op->name, spec->next) == 0)
		return true;
	for (size_t i = 0; i < ops->n; i++)
		if (ops->op[i].kind == OP_ADD_TABLE && ops->op[i].family == op->family)
			return true;
	return op->kind == OP_ADD_ELEM && has_op(ops, OP_ADD_SET, op);
}

int differences_text(const struct ops *ops, cgroup_path_fn cgroup_path, void *data,
		     struct sentences *ret_sentences)
{
	_cleanup_(sentences_done) struct sentences sentences = { 0 };
	struct teller teller = { .ops = ops, .cgroup_path = cgroup_path, .data = data };

	for (size_t i = 0; i < ops->n; i++) {
		if (is_implied(ops, &ops->op[i]))
			continue;
		tell(&teller, &ops->op[i]);
		if (!teller.text[0] || sentences_have(&sentences, teller.text))
			continue;
		if (sentences_add(&sentences, teller.text) < 0)
			return -ENOMEM;
	}
	*ret_sentences = sentences;
	sentences = (struct sentences){ 0 };
	return 0;
}

void differences_forgive_claims(struct ops *ops)
{
	size_t kept = 0;

	for (size_t i = 0; i < ops->n; i++)
		if (ops->op[i].kind != OP_ADD_ELEM || !policy_is_claim(ops->op[i].set))
			ops->op[kept++] = ops->op[i];
	ops->n = kept;
}
