/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Link messages to records: what a message may and may not take away. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "../../src/link-internal.h"
#include "jobfence/cleanup.h"

static struct nl_msg *message_new(int type, int family, int ifindex)
{
	struct ifinfomsg info = { .ifi_family = (unsigned char)family, .ifi_index = ifindex };
	struct nl_msg *message = nlmsg_alloc_simple(type, 0);

	assert_non_null(message);
	assert_int_equal(nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO), 0);
	return message;
}

static void put_kind(struct nl_msg *message, const char *kind)
{
	struct nlattr *nest = nla_nest_start(message, IFLA_LINKINFO);

	nla_put_string(message, IFLA_INFO_KIND, kind);
	nla_nest_end(message, nest);
}

/* Applies and frees. */
static void apply(struct link_table *table, struct nl_msg *message)
{
	struct link_update update;

	assert_int_equal(link_parse(nlmsg_hdr(message), &update), 0);
	assert_int_equal(link_table_apply(table, &update), 0);
	nlmsg_free(message);
}

static struct nl_msg *full_link(int ifindex, const char *name, const char *kind, int master)
{
	struct nl_msg *message = message_new(RTM_NEWLINK, AF_UNSPEC, ifindex);

	nla_put_string(message, IFLA_IFNAME, name);
	nla_put_u32(message, IFLA_MTU, 1500);
	nla_put(message, IFLA_ADDRESS, 6, "\2\0\0\0\0\1");
	if (kind)
		put_kind(message, kind);
	if (master)
		nla_put_u32(message, IFLA_MASTER, (uint32_t)master);
	return message;
}

static struct nl_msg *full_veth(int ifindex, const char *name, int peer, int nsid)
{
	struct nl_msg *message = full_link(ifindex, name, "veth", 0);

	nla_put_u32(message, IFLA_LINK, (uint32_t)peer);
	if (nsid >= 0)
		nla_put_s32(message, IFLA_LINK_NETNSID, nsid);
	return message;
}

static uint8_t todo_of(const struct link_table *table, int ifindex)
{
	const struct link *link = link_table_find(table, ifindex);

	assert_non_null(link);
	return table->todo[link - table->links];
}

static void test_full_message_is_the_whole_truth(void **state)
{
	struct link_table table = { 0 };
	struct link *link;

	apply(&table, full_link(5, "veth5", "veth", 3));
	link = link_table_find(&table, 5);
	assert_non_null(link);
	assert_string_equal(link->name, "veth5");
	assert_string_equal(link->kind, "veth");
	assert_int_equal(link->master, 3);
	assert_int_equal(link->nsid, -1);
	assert_int_equal(link->peer_ifindex, 0);
	assert_memory_equal(&link->mac, "\2\0\0\0\0\1", 6);
	assert_true(table.changed);

	table.changed = false;
	apply(&table, full_link(5, "veth5", "veth", 3));
	assert_false(table.changed);

	apply(&table, full_link(5, "veth5", "veth", 0));
	assert_true(table.changed);
	assert_int_equal(link_table_find(&table, 5)->master, 0);
	link_table_done(&table);
}

static void test_bridge_family_changes_nothing(void **state)
{
	struct link_table table = { 0 };
	struct nl_msg *message;

	apply(&table, full_link(5, "veth5", "veth", 3));
	table.changed = false;
	message = message_new(RTM_NEWLINK, AF_BRIDGE, 5);
	nla_put_string(message, IFLA_IFNAME, "veth5");
	nla_put_u32(message, IFLA_MTU, 1500);
	apply(&table, message);
	message = message_new(RTM_DELLINK, AF_BRIDGE, 5);
	nla_put_string(message, IFLA_IFNAME, "veth5");
	apply(&table, message);
	assert_false(table.changed);
	assert_string_equal(link_table_find(&table, 5)->kind, "veth");
	assert_int_equal(link_table_find(&table, 5)->master, 3);
	link_table_done(&table);
}

static void test_partial_message_takes_nothing_away(void **state)
{
	struct link_table table = { 0 };
	struct nl_msg *message;

	apply(&table, full_veth(5, "veth5", 9, 4));
	link_table_find(&table, 5)->peer_mac.bytes[0] = 2;
	table.changed = false;
	message = message_new(RTM_NEWLINK, AF_UNSPEC, 5);
	nla_put_string(message, IFLA_IFNAME, "veth5");
	nla_put(message, IFLA_WIRELESS, 4, "abcd");
	apply(&table, message);
	assert_false(table.changed);
	assert_string_equal(link_table_find(&table, 5)->kind, "veth");
	assert_int_equal(link_table_find(&table, 5)->nsid, 4);
	assert_int_equal(link_table_find(&table, 5)->peer_ifindex, 9);
	assert_int_equal(link_table_find(&table, 5)->peer_mac.bytes[0], 2);

	message = message_new(RTM_NEWLINK, AF_UNSPEC, 5);
	nla_put_u32(message, IFLA_MASTER, 7);
	apply(&table, message);
	assert_true(table.changed);
	assert_int_equal(link_table_find(&table, 5)->master, 7);
	assert_string_equal(link_table_find(&table, 5)->name, "veth5");

	/* Of a link not known yet: read it. */
	message = message_new(RTM_NEWLINK, AF_UNSPEC, 6);
	nla_put_string(message, IFLA_IFNAME, "wlan0");
	apply(&table, message);
	assert_true(todo_of(&table, 6) & LINK_TODO_READ);
	link_table_done(&table);
}

static void test_peer_mac_belongs_to_its_peer(void **state)
{
	struct link_table table = { 0 }, next = { 0 };

	apply(&table, full_veth(5, "veth5", 9, 4));
	assert_true(todo_of(&table, 5) & LINK_TODO_PEER);
	link_table_find(&table, 5)->peer_mac.bytes[0] = 2;
	apply(&table, full_veth(5, "renamed", 9, 4));
	assert_int_equal(link_table_find(&table, 5)->peer_mac.bytes[0], 2);

	apply(&next, full_veth(5, "renamed", 9, 4));
	link_table_inherit(&next, &table);
	assert_int_equal(link_table_find(&next, 5)->peer_mac.bytes[0], 2);
	link_table_done(&next);
	apply(&next, full_veth(5, "renamed", 9, 6));
	link_table_inherit(&next, &table);
	assert_false(mac_addr_is_set(&link_table_find(&next, 5)->peer_mac));
	assert_true(next.changed);

	apply(&table, full_veth(5, "renamed", 9, 5));
	assert_false(mac_addr_is_set(&link_table_find(&table, 5)->peer_mac));
	link_table_done(&table);
	link_table_done(&next);
}

static void test_inherit_says_what_differs(void **state)
{
	struct link_table table = { 0 }, same = { 0 }, fewer = { 0 };

	apply(&table, full_link(5, "a", "bridge", 0));
	apply(&table, full_link(6, "b", "bridge", 0));
	table.changed = false;
	apply(&same, full_link(5, "a", "bridge", 0));
	apply(&same, full_link(6, "b", "bridge", 0));
	link_table_inherit(&same, &table);
	assert_false(same.changed);
	apply(&fewer, full_link(5, "a", "bridge", 0));
	link_table_inherit(&fewer, &table);
	assert_true(fewer.changed);
	link_table_done(&table);
	link_table_done(&same);
	link_table_done(&fewer);
}

static void test_moved_peer_casts_doubt(void **state)
{
	struct link_table table = { 0 };
	struct nl_msg *message;

	apply(&table, full_veth(5, "host", 6, -1));
	apply(&table, full_veth(6, "guest", 5, -1));
	table.todo[0] = table.todo[1] = 0;
	message = message_new(RTM_DELLINK, AF_UNSPEC, 6);
	nla_put_string(message, IFLA_IFNAME, "guest");
	nla_put_u32(message, IFLA_LINK, 5);
	nla_put_s32(message, IFLA_NEW_NETNSID, 3);
	apply(&table, message);
	assert_null(link_table_find(&table, 6));
	assert_true(todo_of(&table, 5) & LINK_TODO_READ);

	/* And back: the host's end still says that its peer is elsewhere. */
	apply(&table, full_veth(5, "host", 6, 3));
	table.todo[0] = 0;
	apply(&table, full_veth(6, "guest", 5, -1));
	assert_true(todo_of(&table, 5) & LINK_TODO_READ);
	link_table_done(&table);
}

static void test_sorted_whatever_the_order(void **state)
{
	struct link_table table = { 0 };
	int ifindex = 1;

	for (int i = 0; i < 500; i++) {
		ifindex = ifindex * 75 % 65537;
		apply(&table, full_link(ifindex, "x", NULL, 0));
	}
	assert_int_equal(table.n, 500);
	for (size_t i = 1; i < table.n; i++)
		assert_true(table.links[i - 1].ifindex < table.links[i].ifindex);
	while (table.n > 0) {
		struct link_update gone = { .message = LINK_MESSAGE_GONE,
					    .link = table.links[table.n / 2] };
		size_t before = table.n;

		assert_int_equal(link_table_apply(&table, &gone), 0);
		assert_int_equal(table.n, before - 1);
	}
	link_table_done(&table);
}

static void test_hostile_messages(void **state)
{
	struct nl_msg *message = message_new(RTM_NEWLINK, AF_UNSPEC, 5);
	struct link_update update = { .link.ifindex = 77 };
	char name[64];

	memset(name, 'n', sizeof(name)); /* longer than any name, without an end */
	nla_put(message, IFLA_IFNAME, sizeof(name), name);
	nla_put(message, IFLA_MASTER, 2, "ab");
	nla_put(message, IFLA_ADDRESS, 4, "abcd");
	put_kind(message, "a kind that is longer than the buffer");
	assert_int_equal(link_parse(nlmsg_hdr(message), &update), 0);
	assert_int_equal(strlen(update.link.name), IFNAMSIZ - 1);
	assert_int_equal(strlen(update.link.kind), sizeof(update.link.kind) - 1);
	assert_int_equal(update.link.master, 0);
	assert_false(mac_addr_is_set(&update.link.mac));

	update.link.ifindex = 77;
	nlmsg_hdr(message)->nlmsg_len = NLMSG_HDRLEN + 4; /* cut short */
	assert_int_equal(link_parse(nlmsg_hdr(message), &update), -EINVAL);
	assert_int_equal(update.link.ifindex, 77);
	nlmsg_free(message);

	message = message_new(RTM_NEWLINK, AF_UNSPEC, 0);
	assert_int_equal(link_parse(nlmsg_hdr(message), &update), -EINVAL);
	nlmsg_free(message);
	message = message_new(RTM_NEWADDR, AF_UNSPEC, 5);
	assert_int_equal(link_parse(nlmsg_hdr(message), &update), 0);
	assert_int_equal(update.message, LINK_MESSAGE_NONE);
	nlmsg_free(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_message_is_the_whole_truth),
		cmocka_unit_test(test_bridge_family_changes_nothing),
		cmocka_unit_test(test_partial_message_takes_nothing_away),
		cmocka_unit_test(test_peer_mac_belongs_to_its_peer),
		cmocka_unit_test(test_inherit_says_what_differs),
		cmocka_unit_test(test_moved_peer_casts_doubt),
		cmocka_unit_test(test_sorted_whatever_the_order),
		cmocka_unit_test(test_hostile_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
