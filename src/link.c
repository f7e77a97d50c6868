/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches the links of this network namespace: subscribe first, then dump, then follow, so that
 * nothing happens unseen in between. Two sockets: notifications never mix with answers.
 *
 * A full queue loses messages without saying which. The queue is then emptied, since the kernel
 * adds nothing to it before, and everything is dumped again. What cannot be read now is tried
 * again by a timer; meanwhile the last picture stays.
 *
 * Notifications only change the table. The peers' MACs are asked for, and the owner is called,
 * from one deferred source: at most once per iteration of the loop, however many messages came.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "jobfence/log.h"
#include "jobfence/text.h"
#include "link-internal.h"

#define RECEIVE_BUFFER_BYTES (8 * 1024 * 1024)
#define MESSAGES_PER_ITERATION 512 /* others on the loop get their turn in a flood */
#define DUMP_TRIES 8
#define RETRY_US (200 * 1000)
#define SETTLE_ROUNDS 3

static const int groups[] = { RTNLGRP_LINK };

struct link_watch {
	struct link_table table;
	struct link_requester requester;
	struct nl_sock *notify;
	sd_event *event;
	sd_event_source *io, *report, *retry;
	link_changed_fn changed;
	void *data;
	bool lost; /* messages were lost: dump as soon as the queue is empty */
	uint64_t losses, dumped_us;
	bool dump_logged, peers_logged;
};

struct link_watch *link_watch_free(struct link_watch *watch)
{
	if (!watch)
		return NULL;
	sd_event_source_disable_unref(watch->io);
	sd_event_source_disable_unref(watch->report);
	sd_event_source_disable_unref(watch->retry);
	sd_event_unref(watch->event);
	nl_socket_free(watch->notify);
	link_requester_done(&watch->requester);
	link_table_done(&watch->table);
	free(watch);
	return NULL;
}

static void report_later(struct link_watch *watch)
{
	if (watch->report)
		sd_event_source_set_enabled(watch->report, SD_EVENT_ONESHOT);
}

static void retry_later(struct link_watch *watch)
{
	if (!watch->retry)
		return;
	sd_event_source_set_time_relative(watch->retry, RETRY_US);
	sd_event_source_set_enabled(watch->retry, SD_EVENT_ONESHOT);
}

/* Errors that say no more than that the peer, or its namespace, is on its way out. */
static bool is_gone(int error)
{
	return error == -ENODEV || error == -EINVAL || error == -ENOENT;
}

static int read_link(struct link_watch *watch, int ifindex)
{
	struct link_update update;
	int r = link_request_one(&watch->requester, -1, ifindex, &update);

	/* Gone: its DELLINK is on the way. */
	if (r < 0)
		return is_gone(r) ? 0 : r;
	return link_table_apply(&watch->table, &update);
}

static int read_peer(struct link_watch *watch, struct link *link)
{
	struct mac_addr mac = { 0 };
	struct link_update update;
	int r = 0;

	if (link_is_remote_veth(link)) {
		r = link_request_one(&watch->requester, link->nsid, link->peer_ifindex, &update);
		/* An id may have passed on to a new namespace: only a link that names us as its
		 * own peer is the peer. */
		if (r == 0 && update.link.peer_ifindex == link->ifindex &&
		    strcmp(update.link.kind, "veth") == 0)
			mac = update.link.mac;
	}
	if (mac_addr_cmp(&mac, &link->peer_mac) != 0) {
		link->peer_mac = mac;
		watch->table.changed = true;
	}
	if (r == 0 || is_gone(r))
		return 0;
	if (!watch->peers_logged) {
		char name[IFNAMSIZ];

		watch->peers_logged = true;
		log_warn("cannot ask for the MAC of the peer of %s: %s; it counts as unknown",
			 text_safe(link->name, name, sizeof(name)), strerror(-r));
	}
	return r;
}

/* Reads what the table says is to be read. Returns the first error; the rest is read all the same. */
static int settle_round(struct link_watch *watch, bool *again)
{
	struct link_table *table = &watch->table;
	int r, ret = 0;

	for (size_t i = 0; i < table->n; i++) {
		uint8_t todo = table->todo[i];

		table->todo[i] = 0;
		r = todo & LINK_TODO_READ ? read_link(watch, table->links[i].ifindex) : 0;
		if (r >= 0 && (todo | table->todo[i]) & LINK_TODO_PEER) {
			table->todo[i] &= (uint8_t)~LINK_TODO_PEER;
			r = read_peer(watch, &table->links[i]);
		}
		*again = *again || todo & LINK_TODO_READ;
		if (r < 0 && ret == 0)
			ret = r;
	}
	return ret;
}

static int settle(struct link_watch *watch)
{
	bool again = true;
	int ret = 0;

	/* A link that is read anew may cast doubt on another one. */
	for (int round = 0; again && round < SETTLE_ROUNDS; round++) {
		int r;

		again = false;
		r = settle_round(watch, &again);
		if (ret == 0)
			ret = r;
	}
	return ret;
}

/* The old table stays when this fails. -EINTR: the new one is in place, but may lack links. */
static int dump(struct link_watch *watch)
{
	int r = -EINTR;

	for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
		struct link_table next = { 0 };

		r = link_request_dump(&watch->requester, &next);
		if (r < 0 && (r != -EINTR || i < DUMP_TRIES - 1)) {
			link_table_done(&next);
			continue;
		}
		link_table_inherit(&next, &watch->table);
		link_table_done(&watch->table);
		watch->table = next;
	}
	return r;
}

static void dump_again(struct link_watch *watch)
{
	int r = dump(watch);

	(void)sd_event_now(watch->event, CLOCK_MONOTONIC, &watch->dumped_us);
	watch->lost = r < 0;
	if (r < 0)
		retry_later(watch);
	if (r < 0 && r != -EINTR && !watch->dump_logged)
		log_warn("cannot list the network links: %s; the last picture stays, trying again",
			 strerror(-r));
	watch->dump_logged = r < 0;
	report_later(watch);
}

static int on_report(sd_event_source *source, void *data)
{
	struct link_watch *watch = data;
	bool changed;

	if (settle(watch) < 0)
		log_debug("some links could not be read; asking again at their next change");
	changed = watch->table.changed;
	watch->table.changed = false;
	if (changed && watch->changed)
		watch->changed(watch, watch->data);
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t now_us, void *data)
{
	dump_again(data);
	return 0;
}

static void note_loss(struct link_watch *watch)
{
	watch->lost = true;
	if (watch->losses++ > 0)
		return;
	log_notice("notifications about network links were lost; listing all links again "
		   "(said once)");
}

static int on_message(struct nl_msg *message, void *data)
{
	struct link_watch *watch = data;
	struct link_update update;
	int r;

	if (nlmsg_get_src(message)->nl_pid != 0)
		return NL_OK; /* not from the kernel */
	r = link_parse(nlmsg_hdr(message), &update);
	if (r >= 0)
		r = link_table_apply(&watch->table, &update);
	if (r < 0)
		note_loss(watch);
	return NL_OK;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct link_watch *watch = data;
	uint64_t now = 0;
	int r = 0;

	report_later(watch);
	for (int i = 0; i < MESSAGES_PER_ITERATION; i++) {
		r = nl_recvmsgs_default(watch->notify);
		if (r == -NLE_AGAIN)
			break;
		if (r < 0)
			note_loss(watch);
	}
	if (!watch->lost || r != -NLE_AGAIN)
		return 0;
	/* while a storm lasts, the timer does it */
	(void)sd_event_now(watch->event, CLOCK_MONOTONIC, &now);
	if (now - watch->dumped_us >= RETRY_US)
		dump_again(watch);
	else if (sd_event_source_get_enabled(watch->retry, NULL) == 0)
		retry_later(watch);
	return 0;
}

static int add_sources(struct link_watch *watch)
{
	int r;

	r = sd_event_add_io(watch->event, &watch->io, nl_socket_get_fd(watch->notify), EPOLLIN,
			    on_readable, watch);
	if (r < 0)
		return r;
	sd_event_source_set_description(watch->io, "link-notify");
	r = sd_event_add_defer(watch->event, &watch->report, on_report, watch);
	if (r < 0)
		return r;
	sd_event_source_set_description(watch->report, "link-report");
	sd_event_source_set_enabled(watch->report, SD_EVENT_OFF);
	r = sd_event_add_time_relative(watch->event, &watch->retry, CLOCK_MONOTONIC, RETRY_US, 0,
				       on_retry, watch);
	if (r < 0)
		return r;
	sd_event_source_set_description(watch->retry, "link-retry");
	return sd_event_source_set_enabled(watch->retry, SD_EVENT_OFF);
}

/* Subscribes and dumps. */
static int start(struct link_watch *watch, struct diag *diag)
{
	int r = 0;

	if (watch->event)
		r = link_subscribe(groups, ARRAY_SIZE(groups), RECEIVE_BUFFER_BYTES, on_message,
				   watch, &watch->notify);
	if (r >= 0 && watch->event)
		r = add_sources(watch);
	if (r < 0)
		return diag_set(diag, r, "cannot follow the network links (rtnetlink): %s",
				strerror(-r));
	r = dump(watch);
	if (r == -EINTR && watch->event) {
		retry_later(watch);
		r = 0;
	}
	if (r < 0)
		return diag_set(diag, r, "cannot list the network links (rtnetlink): %s",
				r == -EINTR ? "they keep changing; try again" : strerror(-r));
	settle(watch); /* what fails here is unset, and logged */
	watch->table.changed = false;
	return 0;
}

int link_watch_new(sd_event *event, link_changed_fn changed, void *data,
		   struct link_watch **ret_watch, struct diag *diag)
{
	_cleanup_(link_watch_freep) struct link_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return diag_set(diag, -ENOMEM, "no memory to follow the network links");
	watch->event = sd_event_ref(event);
	watch->changed = changed;
	watch->data = data;
	r = start(watch, diag);
	if (r < 0)
		return r;
	*ret_watch = take_ptr(watch);
	return 0;
}

const struct link *link_watch_list(const struct link_watch *watch, size_t *ret_n)
{
	*ret_n = watch->table.n;
	return watch->table.links;
}

int link_watch_prove(const struct link_watch *watch)
{
	return watch->notify ? link_prove(watch->notify, groups, ARRAY_SIZE(groups)) : 0;
}

uint64_t link_watch_losses(const struct link_watch *watch)
{
	return watch->losses;
}

int link_watch_refresh_peers(struct link_watch *watch)
{
	struct link_table *table = &watch->table;
	int r;

	for (size_t i = 0; i < table->n; i++)
		if (link_is_remote_veth(&table->links[i]))
			table->todo[i] |= LINK_TODO_PEER;
	r = settle(watch);
	if (table->changed)
		report_later(watch);
	return r;
}

int link_watch_nsid(struct link_watch *watch, const char *sandbox_key)
{
	_cleanup_close_ int fd = -1;

	/* The path comes from the engine: whatever it names is not waited for, and the
	 * kernel refuses what is no network namespace. */
	fd = open(sandbox_key, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	return link_request_nsid(&watch->requester, fd);
}
