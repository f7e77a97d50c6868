/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nf_tables notification group. A transaction's messages come first, then one that names the
 * process that made it: if it touched our tables and was not this process, the owner is told.
 * Lost notifications (ENOBUFS) count as a change by nobody knows whom: the queue is emptied, since the
 * kernel adds nothing to it before, the owner is told, and then nothing is listened to for a moment:
 * who makes a storm costs ten readings of the ruleset a second, and a flood that is not lost leaves
 * others on the loop their turn. Never writes, never reads the ruleset itself.
 */
#include "jobfence/monitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "jobfence/ruleset.h"
#include "jobfence/text.h"

#define RECEIVE_BUFFER (4 << 20)
#define MESSAGES_PER_TURN 256
#define PAUSE_USEC (100 * 1000ULL)

struct monitor {
	struct mnl_socket *socket;
	sd_event_source *source, *resume;
	monitor_changed_fn changed;
	void *data;
	bool touched; /* the transaction being read changes one of our tables */
	bool paused;
	bool known;          /* … how far it has got: */
	uint32_t generation; /* the last transaction that was seen */
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

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		uint16_t type = mnl_attr_get_type(attr);

		if (type == NFTA_GEN_ID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0) {
			monitor->generation = ntohl(mnl_attr_get_u32(attr));
			monitor->known = true;
		}
		if (type == NFTA_GEN_PROC_PID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			pid = ntohl(mnl_attr_get_u32(attr));
		if (type == NFTA_GEN_PROC_NAME && mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			text_safe(mnl_attr_get_str(attr), name, sizeof(name));
	}
	if (!monitor->touched)
		return;
	monitor->touched = false;
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

static int on_resume(sd_event_source *source, uint64_t usec, void *data)
{
	struct monitor *monitor = data;

	monitor->paused = false;
	(void)sd_event_source_set_enabled(monitor->source, SD_EVENT_ON);
	return 0;
}

static void pause_reading(struct monitor *monitor)
{
	if (sd_event_source_set_time_relative(monitor->resume, PAUSE_USEC) < 0 ||
	    sd_event_source_set_enabled(monitor->resume, SD_EVENT_ONESHOT) < 0)
		return;
	monitor->paused = true;
	(void)sd_event_source_set_enabled(monitor->source, SD_EVENT_OFF);
}

static void empty_queue(int fd)
{
	unsigned int errors = 0;
	char buffer[64];

	for (int i = 0; i < 100000 && errors < 8; i++)
		if (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) >= 0)
			errors = 0;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else
			errors++;
}

static void lost(struct monitor *monitor)
{
	empty_queue(mnl_socket_get_fd(monitor->socket));
	monitor->touched = monitor->known = false;
	pause_reading(monitor);
	monitor->changed(NULL, monitor->data);
}

/* One datagram. Returns 1, 0 when there is none, or -errno when some may be lost. */
static int read_datagram(struct monitor *monitor, int fd)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	char buffer[65536];
	ssize_t len = recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC,
			       (struct sockaddr *)&from, &from_len);
	int left = (int)len;

	if (len < 0 && errno == EINTR)
		return 1;
	if (len < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	if (from.nl_pid != 0)
		return 1; /* not from the kernel */
	if ((size_t)len > sizeof(buffer))
		return -EMSGSIZE;
	for (const struct nlmsghdr *nlh = (const void *)buffer; is_whole(nlh, left);
	     nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_type == NLMSG_OVERRUN)
			return -ENOBUFS;
		read_message(monitor, nlh);
	}
	return 1;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct monitor *monitor = data;
	int r = 1;

	for (int i = 0; i < MESSAGES_PER_TURN && r > 0; i++)
		r = read_datagram(monitor, fd);
	if (r < 0)
		lost(monitor);
	return 0;
}

int monitor_prove(struct monitor *monitor, uint32_t generation, struct diag *diag)
{
	struct sockaddr_nl name = { 0 };
	socklen_t len = sizeof(name);
	int fd = mnl_socket_get_fd(monitor->socket);

	if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
		return diag_set(diag, -errno, "the socket of the ruleset's notifications: %m");
	if (!(name.nl_groups & 1U << (NFNLGRP_NFTABLES - 1)))
		return diag_set(diag, -ENOTCONN, "nobody listens to the ruleset's notifications");
	if (monitor->paused)
		return 0;
	(void)on_readable(monitor->source, fd, EPOLLIN, monitor);
	if (!monitor->known) {
		monitor->generation = generation;
		monitor->known = true;
	}
	if ((int32_t)(monitor->generation - generation) < 0)
		return diag_set(diag, -ENODATA,
				"the ruleset changed, up to generation %u, and no notification "
				"came after that of generation %u",
				generation, monitor->generation);
	return 0;
}

static int add_sources(struct monitor *monitor, sd_event *event)
{
	int r = sd_event_add_io(event, &monitor->source, mnl_socket_get_fd(monitor->socket),
				EPOLLIN, on_readable, monitor);

	if (r < 0)
		return r;
	(void)sd_event_source_set_description(monitor->source, "nftables-monitor");
	r = sd_event_add_time_relative(event, &monitor->resume, CLOCK_MONOTONIC, PAUSE_USEC, 0,
				       on_resume, monitor);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(monitor->resume, "nftables-monitor-resume");
	return sd_event_source_set_enabled(monitor->resume, SD_EVENT_OFF);
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
	r = add_sources(monitor, event);
	if (r < 0)
		return diag_set(diag, r, "cannot watch the notification socket: %s", strerror(-r));
	*ret_monitor = take_ptr(monitor);
	return 0;
}

struct monitor *monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return NULL;
	sd_event_source_disable_unref(monitor->source);
	sd_event_source_disable_unref(monitor->resume);
	if (monitor->socket)
		mnl_socket_close(monitor->socket);
	free(monitor);
	return NULL;
}
