/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reactor: the floor for link changes. Reads rtnetlink and adds a port's name to a set when it gets
 * a master, deletes it when it loses it; nothing else. Compared with jobfence by changes.
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "bench.h"

static struct nlmsghdr *put_message(char *place, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(place);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nfg->nfgen_family = family;
	nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
	return nlh;
}

static void commit(struct mnl_socket *nl, bool add, const char *name)
{
	uint16_t type = add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM;
	char bytes[1024] = { 0 }, key_name[IFNAMSIZ] = { 0 };
	struct nlattr *list, *elem, *key;
	size_t len = put_message(bytes, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC)->nlmsg_len;
	struct nlmsghdr *nlh =
		put_message(bytes + len, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
			    NLM_F_ACK | (add ? NLM_F_CREATE : 0), NFPROTO_BRIDGE);

	memcpy(key_name, name, strnlen(name, IFNAMSIZ - 1));
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, "reactor");
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, "ports");
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	key = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, IFNAMSIZ, key_name);
	mnl_attr_nest_end(nlh, key);
	mnl_attr_nest_end(nlh, elem);
	mnl_attr_nest_end(nlh, list);
	len += nlh->nlmsg_len;
	len += put_message(bytes + len, NFNL_MSG_BATCH_END, 0, AF_UNSPEC)->nlmsg_len;
	if (mnl_socket_sendto(nl, bytes, len) < 0 ||
	    mnl_socket_recvfrom(nl, bytes, sizeof(bytes)) < 0)
		die("reactor: %m");
}

static int on_link(const struct nlmsghdr *nlh, void *data)
{
	static int present = -1; /* one port is watched */
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);
	const char *name = NULL;
	const struct nlattr *attr;
	int master = 0;

	if (nlh->nlmsg_type != RTM_NEWLINK || info->ifi_family == AF_BRIDGE)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == IFLA_IFNAME)
			name = mnl_attr_get_str(attr);
		if (mnl_attr_get_type(attr) == IFLA_MASTER)
			master = (int)mnl_attr_get_u32(attr);
	}
	if (!name || strncmp(name, "veth", 4) != 0 || present == !!master)
		return MNL_CB_OK;
	if (present >= 0 || master)
		commit(data, master, name);
	present = !!master;
	return MNL_CB_OK;
}

int main(void)
{
	struct mnl_socket *rt = mnl_socket_open(NETLINK_ROUTE),
			  *nl = mnl_socket_open(NETLINK_NETFILTER);
	char buffer[32768];
	ssize_t len;

	if (system("nft add table bridge reactor && nft 'add set bridge reactor ports "
		   "{ type ifname; }'") != 0)
		die("reactor: nft");
	if (!rt || !nl || mnl_socket_bind(rt, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		die("reactor: %m");
	while ((len = mnl_socket_recvfrom(rt, buffer, sizeof(buffer))) >= 0)
		mnl_cb_run(buffer, (size_t)len, 0, 0, on_link, nl);
	die("reactor: %m");
}
