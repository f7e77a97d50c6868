/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nf_tables notification group. A transaction's messages come first, then one that names the
 * process that made it: if it touched our tables and was not this process, the owner is told.
 * Lost notifications (ENOBUFS) count as a change by nobody knows whom. Never writes, never reads
 * the ruleset itself.
 */
#include "jobfence/monitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "jobfence/ruleset.h"
#include "jobfence/text.h"

#define RECEIVE_BUFFER (4 << 20)

struct monitor {
	struct mnl_socket *socket;
	sd_event_source *source;
	monitor_changed_fn changed;
	void *data;
	bool touched; /* the transaction being read changes one of our tables */
};

/* The first attribute of every nf_tables object is the name of its table. */
static bool is_ours(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) if (
		mnl_attr_get_type(attr) ==
		NFTA_TABLE_NAME) return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
		strcmp(mnl_attr_get_str(attr), TABLE_NAME) == 0;
	return false;
}

static void end_of_transaction(struct monitor *monitor, const struct nlmsghdr *nlh)
{
	char name[32] = "a process", who[64];
	const struct nlattr *attr;
	uint32_t pid = 0;

	if (!monitor->touched)
		return;
	monitor->touched = false;
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == NFTA_GEN_PROC_PID &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			pid = ntohl(mnl_attr_get_u32(attr));
		if (mnl_attr_get_type(attr) == NFTA_GEN_PROC_NAME &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			text_safe(mnl_attr_get_str(attr), name, sizeof(name));
	}
	if (pid == (uint32_t)getpid())
		return;
	snprintf(who, sizeof(who), "%s (pid %u)", name, pid);
	monitor->changed(who, monitor->data);
}

static void read_message(struct monitor *monitor, const struct nlmsghdr *nlh)
{
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return;
	if (NFNL_MSG_TYPE(nlh->nlmsg_type) == NFT_MSG_NEWGEN)
		end_of_transaction(monitor, nlh);
	else if (!monitor->touched)
		monitor->touched = is_ours(nlh);
}

/* libmnl takes a length above 2 GiB for a negative one, and believes it. */
static bool is_whole(const struct nlmsghdr *nlh, int left)
{
	return mnl_nlmsg_ok(nlh, left) && nlh->nlmsg_len <= (uint32_t)left;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct monitor *monitor = data;
	char buffer[65536];

	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT,
				       (struct sockaddr *)&from, &from_len);
		int left = (int)len;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == ENOBUFS) {
			monitor->touched = false;
			monitor->changed(NULL, monitor->data);
			continue;
		}
		if (len <= 0)
			return 0;
		if (from.nl_pid != 0)
			continue; /* not from the kernel */
		for (const struct nlmsghdr *nlh = (const void *)buffer; is_whole(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left))
			read_message(monitor, nlh);
	}
}

int monitor_new(sd_event *event, monitor_changed_fn changed, void *data,
		struct monitor **ret_monitor, struct diag *diag)
{
	_cleanup_(monitor_freep) struct monitor *monitor = calloc(1, sizeof(*monitor));
	int size = RECEIVE_BUFFER, group = NFNLGRP_NFTABLES, r;

	if (!monitor)
		return -ENOMEM;
	monitor->changed = changed;
	monitor->data = data;
	monitor->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!monitor->socket || mnl_socket_bind(monitor->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(monitor->socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) <
		    0)
		return diag_set(diag, -errno, "cannot listen for changes of the ruleset: %m");
	/* 140 unread transactions overflow the default */
	(void)setsockopt(mnl_socket_get_fd(monitor->socket), SOL_SOCKET, SO_RCVBUFFORCE, &size,
			 sizeof(size));
	r = sd_event_add_io(event, &monitor->source, mnl_socket_get_fd(monitor->socket), EPOLLIN,
			    on_readable, monitor);
	if (r < 0)
		return diag_set(diag, r, "cannot watch the notification socket: %s", strerror(-r));
	(void)sd_event_source_set_description(monitor->source, "nftables-monitor");
	*ret_monitor = take_ptr(monitor);
	return 0;
}

struct monitor *monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return NULL;
	sd_event_source_disable_unref(monitor->source);
	if (monitor->socket)
		mnl_socket_close(monitor->socket);
	free(monitor);
	return NULL;
}
