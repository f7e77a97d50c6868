/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one thing that an attempt would leave behind in a container's network: a neighbour that was asked
 * for and not found. The kernel would go on asking for three seconds, which the fence would count for
 * the container. Only such an entry, and only that of the address that was tried, is taken away.
 */
#include "probe-internal.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

DEFINE_CLEANUP(struct mnl_socket *, mnl_socket_close)

struct lookup {
	const struct ip_addr *addr;
	int ifindex; /* 0: no such entry */
};

static int on_neighbour(const struct nlmsghdr *nlh, void *data)
{
	const struct ndmsg *msg = mnl_nlmsg_get_payload(nlh);
	struct lookup *lookup = data;
	size_t len = lookup->addr->family == AF_INET ? 4 : 16;
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*msg) ||
	    !(msg->ndm_state & (NUD_INCOMPLETE | NUD_FAILED)))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*msg))
	{
		if (mnl_attr_get_type(attr) == NDA_DST && mnl_attr_get_payload_len(attr) == len &&
		    memcmp(mnl_attr_get_payload(attr), lookup->addr->bytes, len) == 0)
			lookup->ifindex = msg->ndm_ifindex;
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *put_request(char *buffer, uint16_t type, uint16_t flags,
				    const struct ip_addr *addr, int ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct ndmsg *msg;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = type;
	msg = mnl_nlmsg_put_extra_header(nlh, sizeof(*msg));
	msg->ndm_family = (uint8_t)addr->family;
	msg->ndm_ifindex = ifindex;
	if (ifindex)
		mnl_attr_put(nlh, NDA_DST, addr->family == AF_INET ? 4 : 16, addr->bytes);
	return nlh;
}

static int exchange(struct mnl_socket *socket, const struct nlmsghdr *request, mnl_cb_t fn,
		    void *data)
{
	char buffer[32768];
	int r;

	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t len = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));

		if (len < 0)
			return -errno;
		r = mnl_cb_run(buffer, (size_t)len, request->nlmsg_seq,
			       mnl_socket_get_portid(socket), fn, data);
	} while (r > 0);
	return r < 0 ? -errno : 0;
}

void forget_neighbour(const struct ip_addr *addr)
{
	_cleanup_(mnl_socket_closep) struct mnl_socket *socket =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct lookup lookup = { .addr = addr };
	char buffer[256];

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return;
	if (exchange(socket, put_request(buffer, RTM_GETNEIGH, NLM_F_DUMP, addr, 0), on_neighbour,
		     &lookup) < 0 ||
	    lookup.ifindex == 0)
		return;
	(void)exchange(socket, put_request(buffer, RTM_DELNEIGH, NLM_F_ACK, addr, lookup.ifindex),
		       NULL, NULL);
}
