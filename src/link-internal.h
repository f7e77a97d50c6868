/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What link.c, link_table.c and link_request.c share. */
#pragma once

#include <linux/netlink.h>

#include "jobfence/link.h"

struct nl_sock;
struct nl_msg;

enum link_message {
	LINK_MESSAGE_NONE, /* of no interest: a bridge's view of a port, another type */
	LINK_MESSAGE_NEW,
	LINK_MESSAGE_GONE, /* deleted, or moved to another namespace */
};

/* Which members of link_update.link the message really carried. */
enum link_field {
	LINK_FIELD_NAME = 1 << 0,
	LINK_FIELD_KIND = 1 << 1,
	LINK_FIELD_MASTER = 1 << 2,
	LINK_FIELD_NSID = 1 << 3,
	LINK_FIELD_PEER = 1 << 4,
	LINK_FIELD_MAC = 1 << 5,
};

struct link_update {
	enum link_message message;
	bool full;        /* what is absent is not so; false: what is absent was not said */
	bool moved;       /* gone to another namespace, not deleted */
	uint32_t fields;  /* enum link_field */
	struct link link; /* peer_mac is never set here */
};

/* What is to be asked about a link before its record is whole. */
enum link_todo {
	LINK_TODO_READ = 1 << 0, /* the link itself: its record may be older than its peer's */
	LINK_TODO_PEER = 1 << 1, /* the MAC of its peer */
};

/* Zeroed is empty. */
struct link_table {
	struct link *links; /* owned, sorted by ifindex */
	uint8_t *todo;      /* owned, enum link_todo, parallel to links */
	size_t n, size;
	bool changed; /* set by link_table_apply(), cleared by whoever reads it */
};

/* link_table.c: pure */
/* Returns 0 or -EINVAL for a message that is cut short. */
int link_parse(const struct nlmsghdr *header, struct link_update *ret_update);
/* Returns 0 or -ENOMEM. */
int link_table_apply(struct link_table *table, const struct link_update *update);
struct link *link_table_find(const struct link_table *table, int ifindex);
void link_table_todo(struct link_table *table, int ifindex, enum link_todo todo);
/* Takes over the peers' MACs of @old where they still hold, and says in changed what differs. */
void link_table_inherit(struct link_table *table, const struct link_table *old);
void link_table_done(struct link_table *table);
bool link_is_remote_veth(const struct link *link);

/* link_request.c: questions to the kernel, answered before the function returns */
struct link_requester {
	struct nl_sock *sock; /* opened when first needed, reopened after a failure */
};

void link_requester_done(struct link_requester *requester);
/* Appends to @table. Returns 0; -EINTR (links changed meanwhile: @table may lack some); -errno. */
int link_request_dump(struct link_requester *requester, struct link_table *table);
/* One link, in the namespace @nsid or here (-1). Returns 0, -ENODEV, another -errno. */
int link_request_one(struct link_requester *requester, int nsid, int ifindex,
		     struct link_update *ret_update);
/* Returns the id of the namespace behind @fd, -ENOENT where it has none, another -errno. */
int link_request_nsid(struct link_requester *requester, int fd);
/*
 * A non-blocking socket that hears of what happens to @groups (RTNLGRP_…) and hands every message to
 * @on_message. Returns 0 with *ret_sock, which is the caller's to free; -errno.
 */
int link_subscribe(const int *groups, size_t groups_n, int buffer_bytes,
		   int (*on_message)(struct nl_msg *message, void *data), void *data,
		   struct nl_sock **ret_sock);
/* Whether a socket still is in @groups. Returns 0 or -errno. */
int link_prove(struct nl_sock *sock, const int *groups, size_t groups_n);
/* For NL_CB_FINISH: the errno with which a dump ended; 0: it is whole. */
int link_dump_error(struct nl_msg *message);
/* The errno that a code of libnl stands for, negative. */
int link_errno(int nl_error);
