/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches the addresses and the routes of this network namespace: subscribe first, then list, so
 * that nothing happens unseen in between. A notification only says that everything is to be listed
 * again, once for a burst: addresses of hosts change seldom, and there is no picture to patch that
 * could go wrong. What is of no interest (link-local addresses of containers' ports, routes by way
 * of gateways) costs no listing. Lost notifications (ENOBUFS) cost one as well.
 *
 * The last picture stays while a new one cannot be had; a timer tries again. Never sends anything
 * but questions.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "attached-internal.h"
#include "jobfence/log.h"
#include "link-internal.h"

#define RECEIVE_BUFFER_BYTES (1024 * 1024)
#define MESSAGES_PER_ITERATION 512 /* others on the loop get their turn in a flood */
#define LIST_TRIES 8
#define RETRY_US (200 * 1000)

static const int groups[] = { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
			      RTNLGRP_IPV6_ROUTE };

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free)

struct attached_watch {
	struct attached_table table;
	struct nl_sock *notify;
	sd_event *event;
	sd_event_source *io, *list, *retry;
	attached_changed_fn changed;
	void *data;
	uint64_t losses, lost_us;
	bool lost; /* list as soon as the queue is empty: the kernel adds nothing to it before */
	bool list_logged;
};

/* One listing: what its callback found. */
struct listing {
	struct attached_table *table;
	int error;
};

struct attached_watch *attached_watch_free(struct attached_watch *watch)
{
	if (!watch)
		return NULL;
	sd_event_source_disable_unref(watch->io);
	sd_event_source_disable_unref(watch->list);
	sd_event_source_disable_unref(watch->retry);
	sd_event_unref(watch->event);
	nl_socket_free(watch->notify);
	attached_table_done(&watch->table);
	free(watch);
	return NULL;
}

static int on_listed(struct nl_msg *message, void *data)
{
	struct listing *listing = data;
	struct attached entry;
	int r = 0;

	if (nlmsg_get_src(message)->nl_pid == 0) /* the kernel's */
		r = attached_parse(nlmsg_hdr(message), &entry);
	if (r > 0)
		r = attached_table_add(listing->table, &entry);
	if (r < 0)
		listing->error = r;
	return NL_OK;
}

static int on_finish(struct nl_msg *message, void *data)
{
	struct listing *listing = data;
	int error = link_dump_error(message);

	if (error < 0)
		listing->error = error;
	return NL_OK;
}

/* Appends the answer to @type. Returns 0; -EINTR (it changed meanwhile); another -errno. */
static int list_one(int type, struct attached_table *table)
{
	_cleanup_(nl_socket_freep) struct nl_sock *sock = nl_socket_alloc();
	struct rtgenmsg request = { .rtgen_family = AF_UNSPEC };
	struct listing listing = { .table = table };
	int r;

	if (!sock)
		return -ENOMEM;
	nl_socket_disable_auto_ack(sock);
	nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_listed, &listing);
	nl_socket_modify_cb(sock, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, &listing);
	r = nl_connect(sock, NETLINK_ROUTE);
	if (r >= 0)
		r = nl_send_simple(sock, type, NLM_F_DUMP, &request, sizeof(request));
	if (r >= 0)
		r = nl_recvmsgs_default(sock);
	if (r < 0)
		return link_errno(r);
	return listing.error;
}

static int list_all(struct attached_table *ret_table)
{
	int r = -EINTR;

	for (int i = 0; i < LIST_TRIES && r == -EINTR; i++) {
		struct attached_table table = { 0 };

		r = list_one(RTM_GETADDR, &table);
		if (r >= 0)
			r = list_one(RTM_GETROUTE, &table);
		if (r < 0) {
			attached_table_done(&table);
			continue;
		}
		attached_table_seal(&table);
		*ret_table = table;
	}
	return r;
}

static void list_later(struct attached_watch *watch)
{
	sd_event_source_set_enabled(watch->list, SD_EVENT_ONESHOT);
}

static int on_list(sd_event_source *source, void *data)
{
	struct attached_watch *watch = data;
	struct attached_table table;
	bool same;
	int r = list_all(&table);

	if (r < 0) {
		if (!watch->list_logged)
			log_warn("cannot list this host's networks: %s; the last picture stays, "
				 "trying again",
				 strerror(-r));
		watch->list_logged = true;
		sd_event_source_set_time_relative(watch->retry, RETRY_US);
		sd_event_source_set_enabled(watch->retry, SD_EVENT_ONESHOT);
		return 0;
	}
	watch->list_logged = false;
	same = attached_table_equal(&table, &watch->table);
	attached_table_done(&watch->table);
	watch->table = table;
	if (!same && watch->changed)
		watch->changed(watch, watch->data);
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t now_us, void *data)
{
	list_later(data);
	return 0;
}

static int on_message(struct nl_msg *message, void *data)
{
	struct attached entry;

	/* What cannot be read may have been of interest. */
	if (nlmsg_get_src(message)->nl_pid == 0 && attached_parse(nlmsg_hdr(message), &entry) != 0)
		list_later(data);
	return NL_OK;
}

/* At once, and while a storm lasts by the timer. */
static void list_after_loss(struct attached_watch *watch)
{
	uint64_t before = watch->lost_us;

	(void)sd_event_now(watch->event, CLOCK_MONOTONIC, &watch->lost_us);
	if (watch->lost_us - before > RETRY_US)
		list_later(watch);
	if (watch->lost_us - before > RETRY_US ||
	    sd_event_source_get_enabled(watch->retry, NULL) > 0)
		return;
	sd_event_source_set_time_relative(watch->retry, RETRY_US);
	sd_event_source_set_enabled(watch->retry, SD_EVENT_ONESHOT);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct attached_watch *watch = data;
	int r = 0;

	for (int i = 0; i < MESSAGES_PER_ITERATION && r != -NLE_AGAIN; i++) {
		r = nl_recvmsgs_default(watch->notify);
		if (r >= 0 || r == -NLE_AGAIN)
			continue;
		watch->losses++;
		watch->lost = true;
	}
	if (!watch->lost || r != -NLE_AGAIN)
		return 0;
	watch->lost = false;
	list_after_loss(watch);
	return 0;
}

static int add_sources(struct attached_watch *watch)
{
	int r;

	r = sd_event_add_io(watch->event, &watch->io, nl_socket_get_fd(watch->notify), EPOLLIN,
			    on_readable, watch);
	if (r < 0)
		return r;
	sd_event_source_set_description(watch->io, "attached-notify");
	r = sd_event_add_defer(watch->event, &watch->list, on_list, watch);
	if (r < 0)
		return r;
	sd_event_source_set_description(watch->list, "attached-list");
	sd_event_source_set_enabled(watch->list, SD_EVENT_OFF);
	r = sd_event_add_time_relative(watch->event, &watch->retry, CLOCK_MONOTONIC, RETRY_US, 0,
				       on_retry, watch);
	if (r < 0)
		return r;
	sd_event_source_set_description(watch->retry, "attached-retry");
	return sd_event_source_set_enabled(watch->retry, SD_EVENT_OFF);
}

int attached_watch_new(sd_event *event, attached_changed_fn changed, void *data,
		       struct attached_watch **ret_watch, struct diag *diag)
{
	_cleanup_(attached_watch_freep) struct attached_watch *watch = calloc(1, sizeof(*watch));
	int r = 0;

	if (!watch)
		return diag_set(diag, -ENOMEM, "no memory to follow this host's networks");
	watch->event = sd_event_ref(event);
	watch->changed = changed;
	watch->data = data;
	if (event)
		r = link_subscribe(groups, ARRAY_SIZE(groups), RECEIVE_BUFFER_BYTES, on_message,
				   watch, &watch->notify);
	if (r >= 0 && event)
		r = add_sources(watch);
	if (r >= 0)
		r = list_all(&watch->table);
	if (r < 0)
		return diag_set(diag, r, "cannot list this host's networks (rtnetlink): %s",
				r == -EINTR ? "they keep changing; try again" : strerror(-r));
	*ret_watch = take_ptr(watch);
	return 0;
}

void attached_watch_refresh(struct attached_watch *watch)
{
	if (watch->list)
		list_later(watch);
}

const struct attached *attached_watch_list(const struct attached_watch *watch, size_t *ret_n)
{
	*ret_n = watch->table.n;
	return watch->table.entries;
}

int attached_watch_prove(const struct attached_watch *watch)
{
	return watch->notify ? link_prove(watch->notify, groups, ARRAY_SIZE(groups)) : 0;
}

uint64_t attached_watch_losses(const struct attached_watch *watch)
{
	return watch->losses;
}
