/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The egress chains of ports: one base chain for each port of a guarded bridge, all with the same one
 * rule. To the policy and the plan they are elements of a set; here they become messages, and what
 * the kernel has becomes elements.
 *
 * The kernel takes a port's chain away with the port; newer ones (6.12 of Debian 13 too) keep it, with
 * or without its device: a chain whose port is gone is no difference.
 */
#include "nft-internal.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#ifndef NF_NETDEV_EGRESS
#define NF_NETDEV_EGRESS 1 /* kernel headers before 5.16 */
#endif

const struct chain nft_port_chain = { .family = FAMILY_NETDEV, .name = EGRESS_PORT_PREFIX };
/* jump injected */
const struct rule nft_port_rule = {
	.stmts =
		(const struct stmt[]){
			{ .kind = STMT_VERDICT, .verdict = VERDICT_JUMP, .name = EGRESS_CHAIN },
			{ .kind = STMT_END } },
};

static void port_chain_name(const struct op *op, char *name, size_t size)
{
	snprintf(name, size, EGRESS_PORT_PREFIX "%.*s", IFNAMSIZ - 1, (const char *)op->elem->key);
}

static int put_chain(struct batch *batch, const char *name, uint16_t type, bool hook)
{
	_cleanup_(nftnl_chain_freep) struct nftnl_chain *chain = nftnl_chain_alloc();
	struct nlmsghdr *nlh = batch_begin(batch, FAMILY_NETDEV, type,
					   type == NFT_MSG_NEWCHAIN ? NLM_F_CREATE : 0);

	if (!chain || !nlh || nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE_NAME) < 0 ||
	    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name) < 0)
		return -ENOMEM;
	if (hook) {
		const char *port = name + strlen(EGRESS_PORT_PREFIX);

		nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, NF_NETDEV_EGRESS);
		nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, 0);
		nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
		if (nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter") < 0 ||
		    nftnl_chain_set_str(chain, NFTNL_CHAIN_DEV, port) < 0)
			return -ENOMEM;
	}
	nftnl_chain_nlmsg_build_payload(nlh, chain);
	batch_end(batch, nlh);
	return 0;
}

/* Without @add all rules of the chain go. */
static int put_rule(struct batch *batch, const struct skeleton *skeleton, const char *name,
		    bool add)
{
	_cleanup_(nftnl_rule_freep) struct nftnl_rule *rule = NULL;
	struct nlmsghdr *nlh =
		batch_begin(batch, FAMILY_NETDEV, add ? NFT_MSG_NEWRULE : NFT_MSG_DELRULE,
			    add ? NLM_F_CREATE | NLM_F_APPEND : 0);

	if (!nlh)
		return -ENOMEM;
	if (add) {
		int r = nft_rule_build(&nft_port_chain, &nft_port_rule, &skeleton->params, 0,
				       &rule);

		if (r < 0)
			return r;
	} else {
		rule = nftnl_rule_alloc();
		if (!rule || nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE_NAME) < 0)
			return -ENOMEM;
	}
	if (nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, name) < 0)
		return -ENOMEM;
	nftnl_rule_nlmsg_build_payload(nlh, rule);
	batch_end(batch, nlh);
	return 0;
}

/* Whether the kernel took it with the port or kept it: it is gone afterwards, and no step fails. */
static int delete_port(struct batch *batch, const char *name)
{
	int r = put_chain(batch, name, NFT_MSG_NEWCHAIN, false);

	return r < 0 ? r : put_chain(batch, name, NFT_MSG_DELCHAIN, false);
}

int batch_add_port(struct batch *batch, const struct skeleton *skeleton, const struct op *op)
{
	char name[sizeof(EGRESS_PORT_PREFIX) + IFNAMSIZ];
	int r;

	port_chain_name(op, name, sizeof(name));
	if (op->kind == OP_DEL_ELEM)
		return delete_port(batch, name);
	r = put_chain(batch, name, NFT_MSG_NEWCHAIN, true);
	if (r >= 0) /* it may be there: one that was kept, for a new port with the name */
		r = put_rule(batch, skeleton, name, false);
	return r < 0 ? r : put_rule(batch, skeleton, name, true);
}

/* Its name says whose it is: some kernels keep one without its device. */
static const char *port_of_chain(const struct live_chain *chain)
{
	const char *port = chain->name + strlen(EGRESS_PORT_PREFIX);

	if (!chain->plain || chain->drops || chain->hook != NF_NETDEV_EGRESS ||
	    chain->priority != 0 ||
	    strncmp(chain->name, EGRESS_PORT_PREFIX, strlen(EGRESS_PORT_PREFIX)) != 0 ||
	    (chain->device && strcmp(port, chain->device) != 0))
		return NULL;
	return port;
}

static int take_port(struct live *live, const struct live_chain *chain, const char *rule)
{
	const char *port = port_of_chain(chain);
	struct elem_key key;

	if (!port)
		return live_add_extra(live, LIVE_CHAIN, FAMILY_NETDEV, chain->name);
	if (if_nametoindex(port) == 0)
		return live_add_extra(live, LIVE_GONE_PORT, FAMILY_NETDEV, chain->name);
	if (!chain->device || chain->rules_n != 1 || strcmp(chain->rules[0], rule) != 0)
		return live_add_extra(live, LIVE_CHAIN, FAMILY_NETDEV, chain->name);
	elem_key_init(&key);
	elem_key_ifname(&key, chain->device);
	return ruleset_add(live->elements, SET_EGRESS_PORTS, &key, 0, NULL);
}

int nft_read_ports(struct live *live, const struct skeleton *skeleton)
{
	_cleanup_free_ char *rule = NULL;
	size_t kept = 0;
	int r = nft_rule_fingerprint(&nft_port_chain, &nft_port_rule, &skeleton->params, &rule);

	for (size_t i = 0; r >= 0 && i < live->chains_n; i++) {
		struct live_chain *chain = &live->chains[i];

		if (chain->family == FAMILY_NETDEV && chain->base)
			r = take_port(live, chain, rule);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < live->chains_n; i++) {
		if (live->chains[i].family == FAMILY_NETDEV && live->chains[i].base)
			live_chain_done(&live->chains[i]);
		else
			live->chains[kept++] = live->chains[i];
	}
	live->chains_n = kept;
	return 0;
}
