/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plain data of the kernel side: what was read, and the steps of a transaction with their
 * sentences. No netlink here.
 */
#include "nft-internal.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <string.h>

uint32_t family_number(enum family family)
{
	return family == FAMILY_INET     ? NFPROTO_INET
	       : family == FAMILY_BRIDGE ? NFPROTO_BRIDGE
					 : NFPROTO_NETDEV;
}

int live_new(struct live **ret_live)
{
	_cleanup_(live_freep) struct live *live = calloc(1, sizeof(*live));
	int r;

	if (!live)
		return -ENOMEM;
	r = ruleset_new(&live->elements);
	if (r < 0)
		return r;
	*ret_live = take_ptr(live);
	return 0;
}

void live_chain_done(struct live_chain *chain)
{
	for (size_t i = 0; i < chain->rules_n; i++)
		free(chain->rules[i]);
	free(chain->rules);
	free(chain->name);
	free(chain->device);
}

int live_add_extra(struct live *live, enum live_kind kind, enum family family, const char *name)
{
	struct live_object *grown =
		reallocarray(live->extra, live->extra_n + 1, sizeof(*live->extra));

	if (!grown)
		return -ENOMEM;
	live->extra = grown;
	grown[live->extra_n] = (struct live_object){ kind, family, strdup(name) };
	return grown[live->extra_n++].name ? 0 : -ENOMEM;
}

struct live *live_free(struct live *live)
{
	if (!live)
		return NULL;
	for (size_t i = 0; i < live->chains_n; i++)
		live_chain_done(&live->chains[i]);
	free(live->chains);
	for (size_t i = 0; i < live->extra_n; i++)
		free(live->extra[i].name);
	free(live->extra);
	free(live->counters);
	ruleset_free(live->elements);
	free(live);
	return NULL;
}

void ops_done(struct ops *ops)
{
	free(ops->op);
	*ops = (struct ops){ 0 };
}

int ops_add(struct ops *ops, const struct op *op)
{
	if (ops->n == ops->cap) {
		size_t cap = ops->cap ? ops->cap * 2 : 16;
		struct op *grown = reallocarray(ops->op, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		ops->op = grown;
		ops->cap = cap;
	}
	ops->op[ops->n++] = *op;
	return 0;
}

static void elem_op_text(const struct op *op, const char *verb, char *buffer, size_t size)
{
	char key[400];

	if (set_spec(op->set)->chains) {
		snprintf(buffer, size, "%s chain %s " EGRESS_PORT_PREFIX "%.*s", verb,
			 family_name(op->family), IFNAMSIZ, (const char *)op->elem->key);
		return;
	}
	if (elem_text(op->set, op->elem, key, sizeof(key), NULL, NULL) < 0)
		snprintf(key, sizeof(key), "?");
	snprintf(buffer, size, "%s element %s of set %s %s%s%s%s", verb, key,
		 family_name(op->family), op->name, op->elem->comment ? " (" : "",
		 op->elem->comment ?: "", op->elem->comment ? ")" : "");
}

void op_text(const struct op *op, char *buffer, size_t size)
{
	const char *family = family_name(op->family);

	switch (op->kind) {
	case OP_SET_TABLE:
		snprintf(buffer, size, "set the flags of table %s %s", family, TABLE_NAME);
		break;
	case OP_ADD_TABLE:
		snprintf(buffer, size, "add table %s %s", family, TABLE_NAME);
		break;
	case OP_DEL_TABLE:
		snprintf(buffer, size, "delete table %s %s", family, TABLE_NAME);
		break;
	case OP_FLUSH_CHAIN:
		snprintf(buffer, size, "flush chain %s %s", family, op->name);
		break;
	case OP_DEL_CHAIN:
		snprintf(buffer, size, "delete chain %s %s", family, op->name);
		break;
	case OP_ADD_CHAIN:
		snprintf(buffer, size, "add chain %s %s", family, op->name);
		break;
	case OP_ADD_RULE:
		snprintf(buffer, size, "add a rule to chain %s %s", family, op->chain->name);
		break;
	case OP_DEL_SET:
		snprintf(buffer, size, "delete set %s %s", family, op->name);
		break;
	case OP_ADD_SET:
		snprintf(buffer, size, "add set %s %s", family, op->name);
		break;
	case OP_DEL_COUNTER:
		snprintf(buffer, size, "delete counter %s %s", family, op->name);
		break;
	case OP_ADD_COUNTER:
		snprintf(buffer, size, "add counter %s %s", family, op->name);
		break;
	case OP_DEL_FLOWTABLE:
		snprintf(buffer, size, "delete flow table %s %s", family, op->name);
		break;
	case OP_DEL_ELEM:
		elem_op_text(op, "delete", buffer, size);
		break;
	case OP_ADD_ELEM:
		elem_op_text(op, "add", buffer, size);
		break;
	case OP_COMMIT:
		snprintf(buffer, size, "commit");
		break;
	}
}
