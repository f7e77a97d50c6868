/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages of rtnetlink, as the kernel writes them and as it never would, into networks. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "../../src/attached-internal.h"

static struct ip_addr ip(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

static void put_ip(struct nl_msg *message, int type, const char *text)
{
	struct ip_addr addr;

	if (!text)
		return;
	addr = ip(text);
	assert_int_equal(nla_put(message, type, addr.family == AF_INET ? 4 : 16, addr.bytes), 0);
}

static struct nl_msg *address(int type, int ifindex, const char *local, const char *remote,
			      unsigned int prefix)
{
	struct nl_msg *message = nlmsg_alloc_simple(type, 0);
	struct ip_addr addr = ip(local ?: remote);
	struct ifaddrmsg header = { .ifa_family = (uint8_t)addr.family,
				    .ifa_prefixlen = (uint8_t)prefix,
				    .ifa_index = (uint32_t)ifindex };

	assert_non_null(message);
	assert_int_equal(nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO), 0);
	put_ip(message, IFA_LOCAL, local);
	put_ip(message, IFA_ADDRESS, remote);
	return message;
}

static struct nl_msg *route(const char *network, unsigned int prefix, uint32_t table, int type)
{
	struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWROUTE, 0);
	struct ip_addr addr = ip(network);
	struct rtmsg header = { .rtm_family = (uint8_t)addr.family,
				.rtm_dst_len = (uint8_t)prefix,
				.rtm_table = (uint8_t)table,
				.rtm_type = (uint8_t)type };

	assert_non_null(message);
	assert_int_equal(nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO), 0);
	put_ip(message, RTA_DST, network);
	assert_int_equal(nla_put_u32(message, RTA_OIF, 2), 0);
	return message;
}

/* "ifindex local network", "" for what is of no interest. Frees @message. */
static void assert_parsed(struct nl_msg *message, const char *expected)
{
	char text[256] = "", local[IP_ADDR_TEXT_MAX], network[NET_RANGE_TEXT_MAX];
	struct attached entry;
	int r = attached_parse(nlmsg_hdr(message), &entry);

	assert_true(r >= 0);
	if (r > 0)
		snprintf(text, sizeof(text), "%d %s %s", entry.ifindex,
			 ip_addr_text(&entry.local, local),
			 net_range_text(&entry.network, network));
	assert_string_equal(text, expected);
	nlmsg_free(message);
}

static void test_addresses(void **state)
{
	assert_parsed(address(RTM_NEWADDR, 2, "10.77.0.1", "10.77.0.1", 16), "2 10.77.0.1 "
									     "10.77.0.0/16");
	assert_parsed(address(RTM_DELADDR, 2, "10.77.0.1", "10.77.0.1", 16), "2 10.77.0.1 "
									     "10.77.0.0/16");
	assert_parsed(address(RTM_NEWADDR, 3, NULL, "fd77::1", 64), "3 fd77::1 fd77::/64");
	assert_parsed(address(RTM_NEWADDR, 4, "203.0.113.2", "203.0.113.2", 32), "4 203.0.113.2 "
										 "203.0.113.2");
	/* point to point: the network is the peer's */
	assert_parsed(address(RTM_NEWADDR, 5, "10.9.0.1", "192.168.4.8", 30), "5 10.9.0.1 "
									      "192.168.4.8/30");
	assert_parsed(address(RTM_NEWADDR, 5, "fd09::1", "fd08::2", 127), "5 fd09::1 fd08::2/127");
	assert_parsed(address(RTM_NEWADDR, 2, "10.77.0.1", NULL, 16), "2 10.77.0.1 10.77.0.0/16");
}

/* The host's own address counts where its network does not. */
static void test_no_networks(void **state)
{
	assert_parsed(address(RTM_NEWADDR, 1, "10.1.1.1", "10.1.1.1", 8), "1 10.1.1.1 -");
	assert_parsed(address(RTM_NEWADDR, 1, "127.0.0.1", "127.0.0.1", 8), "");
	assert_parsed(address(RTM_NEWADDR, 1, NULL, "::1", 128), "");
	assert_parsed(address(RTM_NEWADDR, 2, "127.0.0.2", "127.0.0.2", 8), "");
	assert_parsed(address(RTM_NEWADDR, 2, NULL, "fe80::1", 64), "");
	assert_parsed(address(RTM_NEWADDR, 2, "169.254.3.4", "169.254.3.4", 16), "");
	assert_parsed(address(RTM_NEWADDR, 2, "10.0.0.1", "10.0.0.1", 0), "2 10.0.0.1 -");
	assert_parsed(address(RTM_NEWADDR, 2, "10.0.0.1", "10.0.0.1", 7), "2 10.0.0.1 -");
	assert_parsed(address(RTM_NEWADDR, 2, "10.0.0.1", "10.0.0.1", 8), "2 10.0.0.1 10.0.0.0/8");
	assert_parsed(address(RTM_NEWADDR, 2, NULL, "2001:db8::1", 15), "2 2001:db8::1 -");
	assert_parsed(address(RTM_NEWADDR, 2, NULL, "2001:db8::1", 16), "2 2001:db8::1 2001::/16");
}

static void test_routes(void **state)
{
	struct nl_msg *message;

	/* what a router said of the link, beside an address of 128 bits */
	assert_parsed(route("2600:1f14:1::", 64, RT_TABLE_MAIN, RTN_UNICAST), "2 - "
									      "2600:1f14:1::/64");
	assert_parsed(route("10.128.0.1", 32, RT_TABLE_MAIN, RTN_UNICAST), "2 - 10.128.0.1");
	assert_parsed(route("10.128.0.0", 16, RT_TABLE_LOCAL, RTN_UNICAST), "");
	assert_parsed(route("10.128.0.0", 16, 100, RTN_UNICAST), "");
	assert_parsed(route("10.128.0.0", 16, RT_TABLE_MAIN, RTN_BLACKHOLE), "");
	assert_parsed(route("10.128.0.0", 16, RT_TABLE_MAIN, RTN_LOCAL), "");
	assert_parsed(route("128.0.0.0", 1, RT_TABLE_MAIN, RTN_UNICAST), "");
	assert_parsed(route("2000::", 3, RT_TABLE_MAIN, RTN_UNICAST), "");
	assert_parsed(route("fe80::", 64, RT_TABLE_MAIN, RTN_UNICAST), "");
	assert_parsed(route("ff00::", 8, RT_TABLE_MAIN, RTN_UNICAST), "");
	assert_parsed(route("169.254.169.254", 32, RT_TABLE_MAIN, RTN_UNICAST), "");

	message = route("192.168.0.0", 16, RT_TABLE_MAIN, RTN_UNICAST);
	put_ip(message, RTA_GATEWAY, "10.128.0.1");
	assert_parsed(message, "");
	message = route("192.168.0.0", 16, RT_TABLE_MAIN, RTN_UNICAST);
	assert_int_equal(nla_put(message, RTA_VIA, 18, "\x0a\0aaaaaaaaaaaaaaaa"), 0);
	assert_parsed(message, "");
	message = route("192.168.0.0", 16, RT_TABLE_MAIN, RTN_UNICAST);
	assert_int_equal(nla_put(message, RTA_MULTIPATH, 8, "\x08\0\0\0\x02\0\0\0"), 0);
	assert_parsed(message, "");
	/* more tables than the header has room for */
	message = route("192.168.0.0", 16, RT_TABLE_COMPAT, RTN_UNICAST);
	assert_int_equal(nla_put_u32(message, RTA_TABLE, 51820), 0);
	assert_parsed(message, "");
	message = route("192.168.0.0", 16, RT_TABLE_COMPAT, RTN_UNICAST);
	assert_int_equal(nla_put_u32(message, RTA_TABLE, RT_TABLE_MAIN), 0);
	assert_parsed(message, "2 - 192.168.0.0/16");
}

static void test_what_is_no_such_message(void **state)
{
	struct nl_msg *message = address(RTM_NEWADDR, 2, "10.77.0.1", "10.77.0.1", 16);
	struct nlmsghdr *header = nlmsg_hdr(message);
	uint32_t whole = header->nlmsg_len;
	struct attached entry;

	header->nlmsg_type = RTM_NEWLINK;
	assert_int_equal(attached_parse(header, &entry), 0);
	header->nlmsg_type = RTM_NEWADDR;
	for (uint32_t length = NLMSG_HDRLEN; length < whole; length++) {
		header->nlmsg_len = length;
		(void)attached_parse(header, &entry); /* under ASan */
		if (length < NLMSG_HDRLEN + sizeof(struct ifaddrmsg))
			assert_int_equal(attached_parse(header, &entry), -EINVAL);
	}
	header->nlmsg_type = RTM_NEWROUTE;
	header->nlmsg_len = NLMSG_HDRLEN + sizeof(struct rtmsg) - 1;
	assert_int_equal(attached_parse(header, &entry), -EINVAL);
	nlmsg_free(message);

	/* an address of the wrong length, and none */
	message = nlmsg_alloc_simple(RTM_NEWADDR, 0);
	struct ifaddrmsg info = { .ifa_family = AF_INET6, .ifa_prefixlen = 64, .ifa_index = 2 };

	assert_int_equal(nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO), 0);
	assert_int_equal(attached_parse(nlmsg_hdr(message), &entry), -EINVAL);
	put_ip(message, IFA_ADDRESS, "10.0.0.1");
	assert_int_equal(attached_parse(nlmsg_hdr(message), &entry), -EINVAL);
	nlmsg_free(message);
	message = nlmsg_alloc_simple(RTM_NEWADDR, 0);
	info.ifa_family = AF_PACKET;
	assert_int_equal(nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO), 0);
	assert_int_equal(attached_parse(nlmsg_hdr(message), &entry), 0);
	nlmsg_free(message);
}

static void test_table(void **state)
{
	const struct attached a = { .ifindex = 2, .local = ip("10.0.0.1") };
	const struct attached b = { .ifindex = 2, .local = ip("10.0.0.2") };
	struct attached_table one = { 0 }, other = { 0 };

	for (int i = 0; i < 100; i++) {
		assert_int_equal(attached_table_add(&one, &b), 0);
		assert_int_equal(attached_table_add(&one, &a), 0);
	}
	attached_table_seal(&one);
	assert_int_equal(one.n, 2);
	assert_int_equal(attached_table_add(&other, &a), 0);
	attached_table_seal(&other);
	assert_false(attached_table_equal(&one, &other));
	assert_int_equal(attached_table_add(&other, &a), 0);
	assert_false(attached_table_equal(&one, &other));
	attached_table_seal(&other);
	assert_int_equal(attached_table_add(&other, &b), 0);
	attached_table_seal(&other);
	assert_true(attached_table_equal(&one, &other));
	attached_table_done(&one);
	attached_table_done(&other);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_no_networks),
		cmocka_unit_test(test_routes),    cmocka_unit_test(test_what_is_no_such_message),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
