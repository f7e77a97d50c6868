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
#include <linux/netfilter.h>
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
	bool paused;
	bool known;          /* … how far it has got: */
	uint32_t generation; /* the last transaction that was seen */
	/* of the transaction being read */
	bool touched; /* it changes one of our tables */
	bool more;    /* than there is room for */
	bool removed[FAMILY_MAX];
	struct foreign_change change;
};

static const char *attr_text(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == type)
			return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0
				       ? mnl_attr_get_str(attr)
				       : NULL;
	}
	return NULL;
}

/* The first attribute of every nf_tables object is the name of its table. */
static bool is_ours(const struct nlmsghdr *nlh)
{
	const char *name = attr_text(nlh, NFTA_TABLE_NAME);

	return name && strcmp(name, TABLE_NAME) == 0;
}

static enum family message_family(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);

	return nfg->nfgen_family == NFPROTO_BRIDGE   ? FAMILY_BRIDGE
	       : nfg->nfgen_family == NFPROTO_NETDEV ? FAMILY_NETDEV
						     : FAMILY_INET;
}

/* What is told of each kind of message, and the attribute with its name. */
static const struct {
	uint16_t type, name;
	const char *text;
} kinds[] = {
	{ NFT_MSG_NEWTABLE, 0, "changed table" },
	{ NFT_MSG_NEWCHAIN, NFTA_CHAIN_NAME, "changed chain" },
	{ NFT_MSG_DELCHAIN, NFTA_CHAIN_NAME, "deleted chain" },
	{ NFT_MSG_NEWRULE, NFTA_RULE_CHAIN, "added to chain" },
	{ NFT_MSG_DELRULE, NFTA_RULE_CHAIN, "deleted from chain" },
	{ NFT_MSG_NEWSET, NFTA_SET_NAME, "added set" },
	{ NFT_MSG_DELSET, NFTA_SET_NAME, "deleted set" },
	{ NFT_MSG_NEWSETELEM, NFTA_SET_ELEM_LIST_SET, "added to set" },
	{ NFT_MSG_DELSETELEM, NFTA_SET_ELEM_LIST_SET, "deleted from set" },
	{ NFT_MSG_NEWOBJ, NFTA_OBJ_NAME, "added object" },
	{ NFT_MSG_DELOBJ, NFTA_OBJ_NAME, "deleted object" },
	{ NFT_MSG_NEWFLOWTABLE, NFTA_FLOWTABLE_NAME, "added flow table" },
	{ NFT_MSG_DELFLOWTABLE, NFTA_FLOWTABLE_NAME, "deleted flow table" },
};

static bool has_part(const char *what, const char *part)
{
	size_t len = strlen(part);

	for (; (what = strstr(what, part)) != NULL; what++)
		if (what[len] == '\0' || what[len] == ',')
			return true;
	return false;
}

/* One more part of the sentence, once, while there is room for it. */
static void add_part(struct monitor *monitor, const char *part)
{
	char *what = monitor->change.what;
	size_t used = strlen(what);

	if (has_part(what, part))
		return;
	if (used + strlen(", ") + strlen(part) + sizeof(", and more") >
	    sizeof(monitor->change.what)) {
		monitor->more = true;
		return;
	}
	snprintf(what + used, sizeof(monitor->change.what) - used, "%s%s", used ? ", " : "", part);
}

static void note(struct monitor *monitor, const struct nlmsghdr *nlh)
{
	enum family family = message_family(nlh);
	uint16_t type = NFNL_MSG_TYPE(nlh->nlmsg_type);
	char name[40], part[100];

	monitor->touched = true;
	if (type == NFT_MSG_DELTABLE)
		monitor->removed[family] = monitor->change.removed = true;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *text = kinds[i].name ? attr_text(nlh, kinds[i].name) : "";

		if (kinds[i].type != type)
			continue;
		snprintf(part, sizeof(part), "%s %s%s%s", kinds[i].text, family_name(family),
			 kinds[i].name ? " " : "",
			 text_safe(text ? text : "?", name, sizeof(name)));
		add_part(monitor, part);
	}
}

/* A table that went took all that was in it along: that needs no words. */
static void finish_text(struct monitor *monitor)
{
	char *what = monitor->change.what;

	if (monitor->change.removed) {
		snprintf(what, sizeof(monitor->change.what), "deleted");
		for (size_t i = 0; i < FAMILY_MAX; i++)
			if (monitor->removed[i])
				snprintf(what + strlen(what),
					 sizeof(monitor->change.what) - strlen(what), " table %s,",
					 family_name(i));
		what[strlen(what) - 1] = '\0';
	} else if (monitor->more) {
		strcat(what, ", and more"); /* add_part() keeps the room */
	}
}

static void forget(struct monitor *monitor)
{
	monitor->touched = monitor->more = false;
	memset(monitor->removed, 0, sizeof(monitor->removed));
	monitor->change = (struct foreign_change){ 0 };
}

static void end_of_transaction(struct monitor *monitor, const struct nlmsghdr *nlh)
{
	struct foreign_change *change = &monitor->change;
	const char *name = attr_text(nlh, NFTA_GEN_PROC_NAME);
	const struct nlattr *attr;

	text_safe(name ? name : "a process", change->process, sizeof(change->process));
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		uint16_t type = mnl_attr_get_type(attr);

		if (type == NFTA_GEN_ID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0) {
			monitor->generation = ntohl(mnl_attr_get_u32(attr));
			monitor->known = true;
		}
		if (type == NFTA_GEN_PROC_PID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			change->pid = ntohl(mnl_attr_get_u32(attr));
	}
	finish_text(monitor);
	if (monitor->touched && change->pid != (uint32_t)getpid())
		monitor->changed(change, monitor->data);
	forget(monitor);
}

static void read_message(struct monitor *monitor, const struct nlmsghdr *nlh)
{
	if (NFNL_SUBSYS_ID(nlh->nlmsg_type) != NFNL_SUBSYS_NFTABLES ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct nfgenmsg))
		return;
	if (NFNL_MSG_TYPE(nlh->nlmsg_type) == NFT_MSG_NEWGEN)
		end_of_transaction(monitor, nlh);
	else if (is_ours(nlh))
		note(monitor, nlh);
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
	forget(monitor);
	monitor->known = false;
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
