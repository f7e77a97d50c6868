/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets of the watches of rtnetlink: the one that listens; and, on another, questions: all
 * links, one link (here or in the namespace that an id names), the id of a namespace. The kernel
 * answers a request while it is sent, so nothing here waits for longer than the kernel's own lock.
 *
 * A socket on which an exchange broke off is thrown away, since the rest of the old answer would
 * be taken for the next one. Only questions are sent: nothing here may change a link.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "jobfence/cleanup.h"
#include "link-internal.h"

#ifndef RTEXT_FILTER_SKIP_STATS
#define RTEXT_FILTER_SKIP_STATS (1 << 3)
#endif

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free)
DEFINE_CLEANUP(struct nl_msg *, nlmsg_free)
DEFINE_CLEANUP(struct nl_cb *, nl_cb_put)

/* One exchange: what its callbacks found. */
struct exchange {
	struct link_table *table;  /* dump: where the links go */
	struct link_update update; /* one link: the answer */
	int nsid;
	bool answered;
	int kernel_error; /* what the kernel answered instead, negative */
	int own_error; /* what went wrong on this side, negative; the rest is read all the same */
};

int link_errno(int nl_error)
{
	switch (nl_error < 0 ? -nl_error : nl_error) {
	case NLE_SUCCESS:
		return 0;
	case NLE_AGAIN:
		return -EAGAIN;
	case NLE_INTR:
	case NLE_DUMP_INTR:
		return -EINTR;
	case NLE_NOMEM: /* ENOBUFS as well */
		return -ENOBUFS;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_OPNOTSUPP:
	case NLE_AF_NOSUPPORT:
	case NLE_PROTO_MISMATCH:
		return -EOPNOTSUPP;
	case NLE_NODEV:
		return -ENODEV;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_INVAL:
		return -EINVAL;
	default: /* libnl's codes, not ours */
		return -EIO;
	}
}

int link_subscribe(const int *groups, size_t groups_n, int buffer_bytes,
		   int (*on_message)(struct nl_msg *message, void *data), void *data,
		   struct nl_sock **ret_sock)
{
	_cleanup_(nl_socket_freep) struct nl_sock *sock = nl_socket_alloc();
	int r, fd;

	if (!sock)
		return -ENOMEM;
	nl_socket_disable_seq_check(sock);
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, data);
	r = nl_connect(sock, NETLINK_ROUTE);
	if (r < 0)
		return link_errno(r);
	/* before the first message; without privileges as much as there may be */
	fd = nl_socket_get_fd(sock);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(buffer_bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(buffer_bytes));
	for (size_t i = 0; r >= 0 && i < groups_n; i++)
		r = nl_socket_add_membership(sock, groups[i]);
	if (r >= 0)
		r = nl_socket_set_nonblocking(sock);
	if (r < 0)
		return link_errno(r);
	*ret_sock = take_ptr(sock);
	return 0;
}

int link_prove(struct nl_sock *sock, const int *groups, size_t groups_n)
{
	struct sockaddr_nl name = { 0 };
	socklen_t len = sizeof(name);

	if (getsockname(nl_socket_get_fd(sock), (struct sockaddr *)&name, &len) < 0)
		return -errno;
	for (size_t i = 0; i < groups_n; i++)
		if (!(name.nl_groups & 1U << (groups[i] - 1)))
			return -ENOTCONN;
	return 0;
}

/* libnl takes every end for a good one. */
int link_dump_error(struct nl_msg *message)
{
	const struct nlmsghdr *nlh = nlmsg_hdr(message);
	int error = 0;

	if (nlmsg_datalen(nlh) >= (int)sizeof(error))
		memcpy(&error, nlmsg_data(nlh), sizeof(error));
	return error < 0 ? error : 0;
}

void link_requester_done(struct link_requester *requester)
{
	nl_socket_free(take_ptr(requester->sock));
}

static int requester_open(struct link_requester *requester)
{
	_cleanup_(nl_socket_freep) struct nl_sock *sock = NULL;
	int r, on = 1;

	if (requester->sock)
		return 0;
	sock = nl_socket_alloc();
	if (!sock)
		return -ENOMEM;
	nl_socket_disable_auto_ack(sock);
	r = nl_connect(sock, NETLINK_ROUTE);
	if (r < 0)
		return link_errno(r);
	/* Without it a kernel ignores the namespace that a request names, and answers for ours. */
	if (setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on,
		       sizeof(on)) < 0)
		return -errno;
	requester->sock = take_ptr(sock);
	return 0;
}

static int on_finish(struct nl_msg *message, void *data)
{
	struct exchange *exchange = data;
	int error = link_dump_error(message);

	if (error < 0)
		exchange->own_error = error;
	return NL_OK;
}

/* Only the kernel answers. */
static int on_message_in(struct nl_msg *message, void *data)
{
	return nlmsg_get_src(message)->nl_pid == 0 ? NL_OK : NL_SKIP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *data)
{
	struct exchange *exchange = data;

	exchange->kernel_error = error->error;
	return NL_STOP;
}

static int exchange_run(struct link_requester *requester, struct nl_msg *message,
			nl_recvmsg_msg_cb_t on_answer, struct exchange *exchange)
{
	_cleanup_(nl_cb_putp) struct nl_cb *callbacks = nl_cb_alloc(NL_CB_DEFAULT);
	int r;

	if (!callbacks)
		return -ENOMEM;
	nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, on_answer, exchange);
	nl_cb_set(callbacks, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, exchange);
	nl_cb_set(callbacks, NL_CB_MSG_IN, NL_CB_CUSTOM, on_message_in, NULL);
	nl_cb_err(callbacks, NL_CB_CUSTOM, on_error, exchange);
	r = nl_send_auto(requester->sock, message);
	if (r >= 0)
		r = nl_recvmsgs(requester->sock, callbacks);
	if (exchange->kernel_error < 0)
		return exchange->kernel_error;
	if (r < 0 && r != -NLE_DUMP_INTR)
		link_requester_done(requester);
	if (exchange->own_error < 0)
		return exchange->own_error;
	return r < 0 ? link_errno(r) : 0;
}

static int message_new(int type, int flags, const void *header, size_t header_size,
		       struct nl_msg **ret_message)
{
	_cleanup_(nlmsg_freep) struct nl_msg *message = nlmsg_alloc_simple(type, flags);

	if (!message || nlmsg_append(message, (void *)header, header_size, NLMSG_ALIGNTO) < 0)
		return -ENOMEM;
	*ret_message = take_ptr(message);
	return 0;
}

static int link_message_new(int flags, int ifindex, struct nl_msg **ret_message)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = ifindex };
	_cleanup_(nlmsg_freep) struct nl_msg *message = NULL;
	int r;

	r = message_new(RTM_GETLINK, flags, &info, sizeof(info), &message);
	if (r < 0)
		return r;
	if (nla_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) < 0)
		return -ENOMEM;
	*ret_message = take_ptr(message);
	return 0;
}

static int on_dumped(struct nl_msg *message, void *data)
{
	struct exchange *exchange = data;
	struct link_update update;
	int r = link_parse(nlmsg_hdr(message), &update);

	if (r >= 0)
		r = link_table_apply(exchange->table, &update);
	if (r < 0)
		exchange->own_error = r;
	return NL_OK;
}

int link_request_dump(struct link_requester *requester, struct link_table *table)
{
	_cleanup_(nlmsg_freep) struct nl_msg *message = NULL;
	struct exchange exchange = { .table = table };
	int r;

	r = requester_open(requester);
	if (r >= 0)
		r = link_message_new(NLM_F_DUMP, 0, &message);
	if (r < 0)
		return r;
	return exchange_run(requester, message, on_dumped, &exchange);
}

static int on_link(struct nl_msg *message, void *data)
{
	struct exchange *exchange = data;
	int r = link_parse(nlmsg_hdr(message), &exchange->update);

	exchange->own_error = r;
	exchange->answered = r == 0;
	return NL_OK;
}

int link_request_one(struct link_requester *requester, int nsid, int ifindex,
		     struct link_update *ret_update)
{
	_cleanup_(nlmsg_freep) struct nl_msg *message = NULL;
	struct exchange exchange = { 0 };
	int r;

	r = requester_open(requester);
	if (r >= 0)
		r = link_message_new(0, ifindex, &message);
	if (r < 0)
		return r;
	if (nsid >= 0 && nla_put_s32(message, IFLA_TARGET_NETNSID, nsid) < 0)
		return -ENOMEM;
	r = exchange_run(requester, message, on_link, &exchange);
	if (r < 0)
		return r;
	if (!exchange.answered || exchange.update.message != LINK_MESSAGE_NEW ||
	    exchange.update.link.ifindex != ifindex)
		return -EBADMSG;
	*ret_update = exchange.update;
	return 0;
}

static int on_nsid(struct nl_msg *message, void *data)
{
	struct exchange *exchange = data;
	const struct nlattr *id =
		nlmsg_find_attr(nlmsg_hdr(message), sizeof(struct rtgenmsg), NETNSA_NSID);

	if (!id || nla_len(id) < (int)sizeof(int32_t))
		return NL_OK;
	exchange->nsid = nla_get_s32(id);
	exchange->answered = true;
	return NL_OK;
}

int link_request_nsid(struct link_requester *requester, int fd)
{
	struct rtgenmsg header = { .rtgen_family = AF_UNSPEC };
	_cleanup_(nlmsg_freep) struct nl_msg *message = NULL;
	struct exchange exchange = { .nsid = -1 };
	int r;

	r = requester_open(requester);
	if (r >= 0)
		r = message_new(RTM_GETNSID, 0, &header, sizeof(header), &message);
	if (r < 0)
		return r;
	if (nla_put_u32(message, NETNSA_FD, (uint32_t)fd) < 0)
		return -ENOMEM;
	r = exchange_run(requester, message, on_nsid, &exchange);
	if (r < 0)
		return r;
	if (!exchange.answered)
		return -EBADMSG;
	return exchange.nsid >= 0 ? exchange.nsid : -ENOENT;
}
