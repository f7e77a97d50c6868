/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps of a plan as netlink messages. Only puts bytes together; nft_commit.c sends them.
 * Every step becomes one message (a port's chain three), elements of one set share messages.
 */
#include "nft-internal.h"

#include <errno.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "jobfence/clock.h"

/* Of the 64 KiB that an attribute may have. An element takes at most 350 bytes, the end of an interval
 * is another one. */
#define ELEMS_PER_MESSAGE 128
#define ELEM_ROOM 448
#define ELEMS_HEAD_ROOM 512

static int add_table(struct batch *batch, const struct op *op)
{
	_cleanup_(nftnl_table_freep) struct nftnl_table *table = nftnl_table_alloc();
	bool add = op->kind != OP_DEL_TABLE;
	struct nlmsghdr *nlh =
		batch_begin(batch, op->family, add ? NFT_MSG_NEWTABLE : NFT_MSG_DELTABLE,
			    op->kind == OP_ADD_TABLE ? NLM_F_CREATE : 0);

	if (!table || !nlh || nftnl_table_set_str(table, NFTNL_TABLE_NAME, TABLE_NAME) < 0)
		return -ENOMEM;
	/* without the attribute one that is there stays as it is */
	if (op->kind == OP_SET_TABLE || op->flags)
		nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, op->flags);
	nftnl_table_nlmsg_build_payload(nlh, table);
	batch_end(batch, nlh);
	return 0;
}

static int add_chain(struct batch *batch, const struct op *op)
{
	_cleanup_(nftnl_chain_freep) struct nftnl_chain *chain = nftnl_chain_alloc();
	bool add = op->kind == OP_ADD_CHAIN;
	struct nlmsghdr *nlh =
		batch_begin(batch, op->family, add ? NFT_MSG_NEWCHAIN : NFT_MSG_DELCHAIN,
			    add ? NLM_F_CREATE : 0);

	if (!chain || !nlh || nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE_NAME) < 0 ||
	    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, op->name) < 0)
		return -ENOMEM;
	if (add && op->chain->base) {
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, op->chain->hook);
		nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, op->chain->priority);
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		if (nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter") < 0)
			return -ENOMEM;
	}
	nftnl_chain_nlmsg_build_payload(nlh, chain);
	batch_end(batch, nlh);
	return 0;
}

/* All rules of one chain: a delete without a handle. */
static int flush_chain(struct batch *batch, const struct op *op)
{
	_cleanup_(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
	struct nlmsghdr *nlh = batch_begin(batch, op->family, NFT_MSG_DELRULE, 0);

	if (!rule || !nlh || nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE_NAME) < 0 ||
	    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, op->name) < 0)
		return -ENOMEM;
	nftnl_rule_nlmsg_build_payload(nlh, rule);
	batch_end(batch, nlh);
	return 0;
}

static int add_rule(struct batch *batch, const struct skeleton *skeleton, const struct op *op)
{
	_cleanup_(nftnl_rule_freep) struct nftnl_rule *rule = NULL;
	struct nlmsghdr *nlh =
		batch_begin(batch, op->family, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);

	if (!nlh || nft_rule_build(op->chain, op->rule, &skeleton->params, op->next, &rule) < 0)
		return -ENOMEM;
	nftnl_rule_nlmsg_build_payload(nlh, rule);
	batch_end(batch, nlh);
	return 0;
}

static int add_set(struct batch *batch, const struct op *op)
{
	_cleanup_(nftnl_set_freep) struct nftnl_set *set = NULL;
	bool add = op->kind == OP_ADD_SET;
	struct nlmsghdr *nlh = batch_begin(batch, op->family, add ? NFT_MSG_NEWSET : NFT_MSG_DELSET,
					   add ? NLM_F_CREATE : 0);

	if (!nlh)
		return -ENOMEM;
	if (add) {
		if (nft_set_build(op->set, op->name, &set) < 0)
			return -ENOMEM;
	} else {
		set = nftnl_set_alloc();
		if (!set || nftnl_set_set_str(set, NFTNL_SET_TABLE, TABLE_NAME) < 0 ||
		    nftnl_set_set_str(set, NFTNL_SET_NAME, op->name) < 0)
			return -ENOMEM;
	}
	nftnl_set_nlmsg_build_payload(nlh, set);
	batch_end(batch, nlh);
	return 0;
}

static int add_counter(struct batch *batch, const struct op *op)
{
	_cleanup_(nftnl_obj_freep) struct nftnl_obj *obj = nftnl_obj_alloc();
	bool add = op->kind == OP_ADD_COUNTER;
	struct nlmsghdr *nlh = batch_begin(batch, op->family, add ? NFT_MSG_NEWOBJ : NFT_MSG_DELOBJ,
					   add ? NLM_F_CREATE : 0);

	if (!obj || !nlh)
		return -ENOMEM;
	nftnl_obj_set_u32(obj, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
	nftnl_obj_set_str(obj, NFTNL_OBJ_TABLE, TABLE_NAME);
	nftnl_obj_set_str(obj, NFTNL_OBJ_NAME, op->name);
	/* setting tells no failure, and building would read what is not there */
	if (!nftnl_obj_get_str(obj, NFTNL_OBJ_TABLE) || !nftnl_obj_get_str(obj, NFTNL_OBJ_NAME))
		return -ENOMEM;
	nftnl_obj_nlmsg_build_payload(nlh, obj);
	batch_end(batch, nlh);
	return 0;
}

/* A flow table of ours: nobody but a stranger made it; libnftnl would want its hooks to build a
 * whole object, the name is enough to delete it. */
static int del_flowtable(struct batch *batch, const struct op *op)
{
	struct nlmsghdr *nlh = batch_begin(batch, op->family, NFT_MSG_DELFLOWTABLE, 0);

	if (!nlh)
		return -ENOMEM;
	mnl_attr_put_strz(nlh, NFTA_FLOWTABLE_TABLE, TABLE_NAME);
	mnl_attr_put_strz(nlh, NFTA_FLOWTABLE_NAME, op->name);
	batch_end(batch, nlh);
	return 0;
}

static int elem_comment(struct nftnl_set_elem *elem, const char *comment)
{
	uint8_t udata[2 + ELEM_COMMENT_MAX + 1];
	size_t len = strnlen(comment, ELEM_COMMENT_MAX);

	/* one TLV: type comment, length with the NUL, text */
	udata[0] = NFTNL_UDATA_SET_ELEM_COMMENT;
	udata[1] = (uint8_t)(len + 1);
	memcpy(udata + 2, comment, len);
	udata[2 + len] = '\0';
	return nftnl_set_elem_set(elem, NFTNL_SET_ELEM_USERDATA, udata, (uint32_t)len + 3);
}

/* The end of an interval in one field is an element of its own: the first value behind it. An
 * interval that ends with the last value of all has none, and nft wants to be told so. */
static int append_end(struct nftnl_set *set, const struct set_spec *spec, const struct op *op,
		      struct nftnl_set_elem *start)
{
	static const uint32_t open_end = NFTNL_SET_ELEM_F_INTERVAL_OPEN;
	uint8_t end[ELEM_LAST_MAX], udata[6] = { NFTNL_UDATA_SET_ELEM_FLAGS, sizeof(open_end) };
	uint32_t len = set_key_len(spec), i = len;
	_cleanup_(nftnl_set_elem_freep) struct nftnl_set_elem *elem = NULL;

	memcpy(end, elem_extra(op->elem)->last, len);
	while (i > 0 && ++end[i - 1] == 0)
		i--;
	if (i == 0) {
		memcpy(udata + 2, &open_end, sizeof(open_end));
		return nftnl_set_elem_set(start, NFTNL_SET_ELEM_USERDATA, udata, sizeof(udata));
	}
	elem = nftnl_set_elem_alloc();
	if (!elem || nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, end, len) < 0)
		return -ENOMEM;
	nftnl_set_elem_set_u32(elem, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	nftnl_set_elem_add(set, take_ptr(elem));
	return 0;
}

/* Until @ends: the kernel wants to be told how long. What is over already ends at once. */
static uint64_t rest_msec(uint64_t ends)
{
	uint64_t now = clock_boot_usec();

	return ends > now + 1000 ? (ends - now) / 1000 : 1;
}

static int append_elem(struct nftnl_set *set, const struct set_spec *spec, const struct op *op)
{
	_cleanup_(nftnl_set_elem_freep) struct nftnl_set_elem *elem = nftnl_set_elem_alloc();

	if (!elem ||
	    nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, op->elem->key, set_key_len(spec)) < 0)
		return -ENOMEM;
	if (op->kind == OP_ADD_ELEM) {
		if (op->elem->comment && elem_comment(elem, op->elem->comment) < 0)
			return -ENOMEM;
		if (elem_extra(op->elem)->ends)
			nftnl_set_elem_set_u64(elem, NFTNL_SET_ELEM_TIMEOUT,
					       rest_msec(elem_extra(op->elem)->ends));
		if (spec->data != KEY_NONE &&
		    nftnl_set_elem_set(elem, NFTNL_SET_ELEM_DATA, &elem_extra(op->elem)->data,
				       sizeof(elem_extra(op->elem)->data)) < 0)
			return -ENOMEM;
	}
	struct nftnl_set_elem *added = elem;

	if (nft_set_flags(spec) & NFT_SET_CONCAT &&
	    nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY_END, elem_extra(op->elem)->last,
			       set_key_len(spec)) < 0)
		return -ENOMEM;
	nftnl_set_elem_add(set, take_ptr(elem));
	return spec->interval && spec->key[1] == KEY_NONE ? append_end(set, spec, op, added) : 0;
}

static ssize_t add_elems(struct batch *batch, const struct op *ops, size_t n)
{
	const struct set_spec *spec = set_spec(ops[0].set);
	_cleanup_(nftnl_set_freep) struct nftnl_set *set = nftnl_set_alloc();
	bool add = ops[0].kind == OP_ADD_ELEM;
	size_t most = n < ELEMS_PER_MESSAGE ? n : ELEMS_PER_MESSAGE, taken = 0;
	struct nlmsghdr *nlh =
		batch_begin_long(batch, spec->family, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
				 add ? NLM_F_CREATE : 0, ELEMS_HEAD_ROOM + most * ELEM_ROOM);

	if (!set || !nlh || nftnl_set_set_str(set, NFTNL_SET_TABLE, TABLE_NAME) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, ops[0].name) < 0)
		return -ENOMEM;
	nftnl_set_set_u32(set, NFTNL_SET_ID, (uint32_t)ops[0].set + 1);
	while (taken < most && ops[taken].kind == ops[0].kind && ops[taken].set == ops[0].set &&
	       strcmp(ops[taken].name, ops[0].name) == 0) {
		if (append_elem(set, spec, &ops[taken]) < 0)
			return -ENOMEM;
		taken++;
	}
	nftnl_set_elems_nlmsg_build_payload(nlh, set);
	batch_end(batch, nlh);
	return (ssize_t)taken;
}

ssize_t batch_add_ops(struct batch *batch, const struct skeleton *skeleton, const struct op *ops,
		      size_t n)
{
	int r = 0;

	switch (ops->kind) {
	case OP_SET_TABLE:
	case OP_ADD_TABLE:
	case OP_DEL_TABLE:
		r = add_table(batch, ops);
		break;
	case OP_FLUSH_CHAIN:
		r = flush_chain(batch, ops);
		break;
	case OP_ADD_CHAIN:
	case OP_DEL_CHAIN:
		r = add_chain(batch, ops);
		break;
	case OP_ADD_SET:
	case OP_DEL_SET:
		r = add_set(batch, ops);
		break;
	case OP_ADD_COUNTER:
	case OP_DEL_COUNTER:
		r = add_counter(batch, ops);
		break;
	case OP_DEL_FLOWTABLE:
		r = del_flowtable(batch, ops);
		break;
	case OP_ADD_RULE:
		r = add_rule(batch, skeleton, ops);
		break;
	case OP_ADD_ELEM:
	case OP_DEL_ELEM:
		if (!set_spec(ops->set)->chains)
			return add_elems(batch, ops, n);
		r = batch_add_port(batch, skeleton, ops);
		break;
	case OP_COMMIT:
		break;
	}
	return r < 0 ? r : 1;
}
