/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the ruleset in the kernel tells of what it stops. A daemon leaves that out where it cannot be
 * told (another program reads the group), and a command that compares has to know: both forms stop the
 * same. Asks for one chain and never changes anything.
 */
#include "nft-internal.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>

static int on_answer(const struct nlmsghdr *nlh, void *data)
{
	bool *there = data;

	*there = true;
	return MNL_CB_OK;
}

static int ask(struct nft *nft, const char *name, bool *ret_there)
{
	char buffer[512] = { 0 };
	_cleanup_(nftnl_chain_freep) struct nftnl_chain *chain = nftnl_chain_alloc();
	struct nlmsghdr *nlh =
		nftnl_nlmsg_build_hdr(buffer, name ? NFT_MSG_GETCHAIN : NFT_MSG_GETTABLE,
				      (uint16_t)family_number(FAMILY_INET), NLM_F_ACK, nft->seq++);

	if (!chain || nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE_NAME) < 0)
		return -ENOMEM;
	/* the table's name is the first attribute of both, of the same type */
	if (name && nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name) < 0)
		return -ENOMEM;
	nftnl_chain_nlmsg_build_payload(nlh, chain);
	*ret_there = false;
	return nft_request(nft, nlh, on_answer, ret_there);
}

int nft_tells(struct nft *nft)
{
	bool there = false;
	int r = ask(nft, NULL, &there);

	if (r < 0 || !there)
		return r < 0 ? r : -ENOENT;
	r = ask(nft, RECORD_CHAIN, &there);
	if (r >= 0 && !there)
		r = ask(nft, RECORD_AUDIT_CHAIN, &there);
	return r < 0 ? r : there;
}
