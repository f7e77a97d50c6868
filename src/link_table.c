/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rtnetlink's link messages as plain records, sorted by ifindex. Pure: no socket, no log.
 *
 * Only a full message may take something away from a record. The kernel also sends link messages
 * that are about one aspect (a bridge's view of its port, wireless events); a master or kind that
 * they do not mention is still there. And a deletion that a bridge announces is a port leaving it,
 * not a link leaving the host.
 *
 * When a peer changes its namespace the kernel does not announce the end that stayed: the records
 * of both ends are then compared, and the one that may be old is marked to be read again.
 */
#include <errno.h>
#include <string.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "jobfence/cleanup.h"
#include "link-internal.h"

static void copy_text(char *to, size_t size, const struct nlattr *attr)
{
	size_t len = strnlen(nla_data(attr), (size_t)nla_len(attr));

	if (len > size - 1)
		len = size - 1;
	memset(to, 0, size);
	memcpy(to, nla_data(attr), len);
}

/* Integers of 4 bytes only: a shorter one counts as absent. */
static bool get_int(const struct nlattr *attr, int *ret_value)
{
	int32_t value;

	if (!attr || nla_len(attr) < (int)sizeof(value))
		return false;
	memcpy(&value, nla_data(attr), sizeof(value));
	*ret_value = value;
	return true;
}

static void parse_kind(const struct nlattr *info, struct link_update *update)
{
	const struct nlattr *kind = nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND);

	if (!kind)
		return;
	copy_text(update->link.kind, sizeof(update->link.kind), kind);
	update->fields |= LINK_FIELD_KIND;
}

static void parse_attributes(struct nlattr *const attrs[], struct link_update *update)
{
	struct link *link = &update->link;

	if (attrs[IFLA_IFNAME]) {
		copy_text(link->name, sizeof(link->name), attrs[IFLA_IFNAME]);
		update->fields |= LINK_FIELD_NAME;
	}
	if (attrs[IFLA_LINKINFO])
		parse_kind(attrs[IFLA_LINKINFO], update);
	if (get_int(attrs[IFLA_MASTER], &link->master))
		update->fields |= LINK_FIELD_MASTER;
	if (get_int(attrs[IFLA_LINK_NETNSID], &link->nsid))
		update->fields |= LINK_FIELD_NSID;
	if (get_int(attrs[IFLA_LINK], &link->peer_ifindex))
		update->fields |= LINK_FIELD_PEER;
	if (attrs[IFLA_ADDRESS] && nla_len(attrs[IFLA_ADDRESS]) == sizeof(link->mac)) {
		memcpy(&link->mac, nla_data(attrs[IFLA_ADDRESS]), sizeof(link->mac));
		update->fields |= LINK_FIELD_MAC;
	}
}

int link_parse(const struct nlmsghdr *header, struct link_update *ret_update)
{
	struct link_update update = { .link.nsid = -1 };
	struct nlattr *attrs[IFLA_MAX + 1];
	const struct ifinfomsg *info;

	if (header->nlmsg_type == RTM_NEWLINK)
		update.message = LINK_MESSAGE_NEW;
	else if (header->nlmsg_type == RTM_DELLINK)
		update.message = LINK_MESSAGE_GONE;
	else {
		*ret_update = update;
		return 0;
	}
	if (nlmsg_parse((struct nlmsghdr *)header, sizeof(*info), attrs, IFLA_MAX, NULL) < 0)
		return -EINVAL;
	info = nlmsg_data(header);
	if (info->ifi_index <= 0)
		return -EINVAL;
	if (info->ifi_family == AF_BRIDGE)
		update.message = LINK_MESSAGE_NONE;
	update.link.ifindex = info->ifi_index;
	/* Every message that describes the whole link has an MTU. */
	update.full = attrs[IFLA_IFNAME] && attrs[IFLA_MTU];
	update.moved = attrs[IFLA_NEW_NETNSID];
	parse_attributes(attrs, &update);
	*ret_update = update;
	return 0;
}

/* The place of @ifindex, or where it would have to be. */
static size_t find_place(const struct link_table *table, int ifindex)
{
	size_t low = 0, high = table->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->links[middle].ifindex < ifindex)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct link *link_table_find(const struct link_table *table, int ifindex)
{
	size_t i = find_place(table, ifindex);

	return i < table->n && table->links[i].ifindex == ifindex ? &table->links[i] : NULL;
}

void link_table_todo(struct link_table *table, int ifindex, enum link_todo todo)
{
	struct link *link = link_table_find(table, ifindex);

	if (link)
		table->todo[link - table->links] |= todo;
}

bool link_is_remote_veth(const struct link *link)
{
	return strcmp(link->kind, "veth") == 0 && link->nsid >= 0 && link->peer_ifindex > 0;
}

static bool link_equal(const struct link *a, const struct link *b)
{
	return a->ifindex == b->ifindex && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->kind, b->kind) == 0 && a->master == b->master && a->nsid == b->nsid &&
	       a->peer_ifindex == b->peer_ifindex && mac_addr_cmp(&a->mac, &b->mac) == 0 &&
	       mac_addr_cmp(&a->peer_mac, &b->peer_mac) == 0;
}

/* A peer's MAC belongs to that peer: another namespace or index makes it unknown. */
static bool same_peer(const struct link *a, const struct link *b)
{
	return link_is_remote_veth(a) && link_is_remote_veth(b) && a->nsid == b->nsid &&
	       a->peer_ifindex == b->peer_ifindex;
}

static int reserve_one(struct link_table *table)
{
	size_t size = table->size ? table->size * 2 : 32;
	struct link *links;
	uint8_t *todo;

	if (table->n < table->size)
		return 0;
	links = reallocarray(table->links, size, sizeof(*links));
	if (!links)
		return -ENOMEM;
	table->links = links;
	todo = reallocarray(table->todo, size, sizeof(*todo));
	if (!todo)
		return -ENOMEM;
	table->todo = todo;
	table->size = size;
	return 0;
}

static int table_insert(struct link_table *table, const struct link *link)
{
	size_t i = find_place(table, link->ifindex);
	int r = reserve_one(table);

	if (r < 0)
		return r;
	memmove(&table->links[i + 1], &table->links[i], (table->n - i) * sizeof(*table->links));
	memmove(&table->todo[i + 1], &table->todo[i], (table->n - i) * sizeof(*table->todo));
	table->links[i] = *link;
	table->todo[i] = 0;
	table->n++;
	table->changed = true;
	return 0;
}

static void table_remove(struct link_table *table, int ifindex)
{
	size_t i = find_place(table, ifindex);

	if (i == table->n || table->links[i].ifindex != ifindex)
		return;
	table->n--;
	memmove(&table->links[i], &table->links[i + 1], (table->n - i) * sizeof(*table->links));
	memmove(&table->todo[i], &table->todo[i + 1], (table->n - i) * sizeof(*table->todo));
	table->changed = true;
}

/* The record after @update: what a message that is not full left out stays as it was. */
static struct link merge(const struct link *old, const struct link_update *update)
{
	struct link link = update->link;

	if (update->full)
		return link;
	if (!(update->fields & LINK_FIELD_NAME))
		memcpy(link.name, old->name, sizeof(link.name));
	if (!(update->fields & LINK_FIELD_KIND))
		memcpy(link.kind, old->kind, sizeof(link.kind));
	if (!(update->fields & LINK_FIELD_MASTER))
		link.master = old->master;
	if (!(update->fields & LINK_FIELD_NSID))
		link.nsid = old->nsid;
	if (!(update->fields & LINK_FIELD_PEER))
		link.peer_ifindex = old->peer_ifindex;
	if (!(update->fields & LINK_FIELD_MAC))
		link.mac = old->mac;
	return link;
}

/* A veth whose peer is said to be here, while the peer's record does not point back. */
static void doubt_partner(struct link_table *table, const struct link *link)
{
	const struct link *partner;

	if (strcmp(link->kind, "veth") != 0 || link->nsid >= 0)
		return;
	partner = link_table_find(table, link->peer_ifindex);
	if (partner && (partner->nsid >= 0 || partner->peer_ifindex != link->ifindex))
		link_table_todo(table, partner->ifindex, LINK_TODO_READ);
}

static int apply_new(struct link_table *table, const struct link_update *update)
{
	struct link *old = link_table_find(table, update->link.ifindex);
	struct link link = update->link;
	int r;

	if (!old) {
		r = table_insert(table, &link);
		if (r < 0)
			return r;
		if (!update->full)
			link_table_todo(table, link.ifindex, LINK_TODO_READ);
	} else {
		link = merge(old, update);
		if (same_peer(old, &link))
			link.peer_mac = old->peer_mac;
		if (!link_equal(old, &link)) {
			*old = link;
			table->changed = true;
		}
	}
	if (link_is_remote_veth(&link))
		link_table_todo(table, link.ifindex, LINK_TODO_PEER);
	doubt_partner(table, &link);
	return 0;
}

int link_table_apply(struct link_table *table, const struct link_update *update)
{
	switch (update->message) {
	case LINK_MESSAGE_NONE:
		return 0;
	case LINK_MESSAGE_NEW:
		return apply_new(table, update);
	case LINK_MESSAGE_GONE:
		table_remove(table, update->link.ifindex);
		if (update->moved && update->link.nsid < 0)
			link_table_todo(table, update->link.peer_ifindex, LINK_TODO_READ);
		return 0;
	}
	return 0;
}

void link_table_inherit(struct link_table *table, const struct link_table *old)
{
	bool changed = table->n != old->n;

	for (size_t i = 0; i < table->n; i++) {
		const struct link *before = link_table_find(old, table->links[i].ifindex);

		if (before && same_peer(before, &table->links[i]))
			table->links[i].peer_mac = before->peer_mac;
		changed = changed || !before || !link_equal(before, &table->links[i]);
	}
	table->changed = changed || old->changed;
}

void link_table_done(struct link_table *table)
{
	free(table->links);
	free(table->todo);
	*table = (struct link_table){ 0 };
}
