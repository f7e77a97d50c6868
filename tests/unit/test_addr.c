/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "jobfence/addr.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/cleanup.h"

static struct ip_addr ip(const char *text)
{
	struct ip_addr addr = { 0 };

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

static struct mac_addr mac(const char *text)
{
	struct mac_addr addr = { 0 };

	assert_int_equal(mac_addr_parse(text, &addr), 0);
	return addr;
}

static void test_ip_round_trip(void **state)
{
	static const struct {
		const char *text, *printed;
		int family;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.1", AF_INET },
		{ "255.255.255.255", "255.255.255.255", AF_INET },
		{ "0.0.0.0", "0.0.0.0", AF_INET },
		{ "::", "::", AF_INET6 },
		{ "FD00:0::1", "fd00::1", AF_INET6 },
		{ "::ffff:1.2.3.4", "::ffff:1.2.3.4", AF_INET6 },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AF_INET6 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_addr addr;
		char text[IP_ADDR_TEXT_MAX];

		memset(&addr, 0xff, sizeof(addr));
		assert_int_equal(ip_addr_parse(cases[i].text, &addr), 0);
		assert_int_equal(addr.family, cases[i].family);
		assert_string_equal(ip_addr_text(&addr, text), cases[i].printed);
		for (size_t b = 4; addr.family == AF_INET && b < sizeof(addr.bytes); b++)
			assert_int_equal(addr.bytes[b], 0);
	}
}

static void test_ip_refused(void **state)
{
	static const char *const texts[] = {
		NULL,        "",       "10.0.0",     "10.0.0.1.2", "10.0.0.256", "010.0.0.1",
		"10.0.0.1 ", " ::1",   "10.0.0.1/8", "fe80::1%lo", "::1::",      "[::1]",
		"::g",       "::1/64", "localhost",  "0x7f.1",     "1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct ip_addr addr = ip("1.2.3.4"), before = addr;

		assert_int_equal(ip_addr_parse(texts[i], &addr), -EINVAL);
		assert_memory_equal(&addr, &before, sizeof(addr));
	}
}

static void test_ip_is(void **state)
{
	static const struct {
		const char *text;
		bool any, loopback;
	} cases[] = {
		{ "0.0.0.0", true, false },     { "::", true, false },
		{ "127.0.0.1", false, true },   { "127.255.0.9", false, true },
		{ "::1", false, true },         { "::2", false, false },
		{ "1::1", false, false },       { "128.0.0.1", false, false },
		{ "7f00::1", false, false },    { "0.0.0.1", false, false },
		{ "10.0.0.127", false, false },
	};
	struct ip_addr unset = { 0 };
	char text[IP_ADDR_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_addr addr = ip(cases[i].text);

		assert_true(ip_addr_is_set(&addr));
		assert_int_equal(ip_addr_is_any(&addr), cases[i].any);
		assert_int_equal(ip_addr_is_loopback(&addr), cases[i].loopback);
	}
	assert_false(ip_addr_is_set(&unset));
	assert_false(ip_addr_is_any(&unset));
	assert_false(ip_addr_is_loopback(&unset));
	assert_string_equal(ip_addr_text(&unset, text), "-");
}

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

static void test_order(void **state)
{
	struct ip_addr sorted[] = {
		{ 0 },    ip("0.0.0.0"), ip("10.0.0.1"), ip("10.0.0.2"), ip("200.0.0.0"),
		ip("::"), ip("::1"),     ip("::1:0"),    ip("fd00::"),   ip("fd00::1:2:3:4")
	};
	struct mac_addr macs[] = { mac("00:00:00:00:00:00"), mac("00:00:00:00:00:01"),
				   mac("02:00:00:00:00:00"), mac("ff:00:00:00:00:00") };

	for (int i = 0; i < (int)ARRAY_SIZE(sorted); i++)
		for (int j = 0; j < (int)ARRAY_SIZE(sorted); j++)
			assert_int_equal(sign(ip_addr_cmp(&sorted[i], &sorted[j])), sign(i - j));
	for (int i = 0; i < (int)ARRAY_SIZE(macs); i++)
		for (int j = 0; j < (int)ARRAY_SIZE(macs); j++)
			assert_int_equal(sign(mac_addr_cmp(&macs[i], &macs[j])), sign(i - j));
}

static void test_mac(void **state)
{
	static const char *const refused[] = {
		NULL,
		"",
		"02:42:ac:11:00",
		"02:42:ac:11:00:02:",
		"02:42:ac:11:00:0g",
		"02-42-ac-11-00-02",
		"2:42:ac:11:00:002",
		"02:42:ac:11:00:2",
		" 2:42:ac:11:00:02",
		"+2:42:ac:11:00:02",
		"0242ac110002",
		"02:42:ac:11:000:2",
		":2:42:ac:11:00:02",
		"02:42:ac:11:00@02",
	};
	struct mac_addr addr = mac("02:42:aC:11:00:Ff"), before = addr, unset = { 0 };
	char text[MAC_ADDR_TEXT_MAX];

	assert_string_equal(mac_addr_text(&addr, text), "02:42:ac:11:00:ff");
	assert_true(mac_addr_is_set(&addr));
	assert_false(mac_addr_is_set(&unset));
	assert_string_equal(mac_addr_text(&unset, text), "00:00:00:00:00:00");
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		assert_int_equal(mac_addr_parse(refused[i], &addr), -EINVAL);
		assert_memory_equal(&addr, &before, sizeof(addr));
	}
}

static void test_link_local(void **state)
{
	static const struct {
		const char *mac, *ip;
	} cases[] = {
		{ "02:42:ac:11:00:02", "fe80::42:acff:fe11:2" },
		{ "00:25:90:ab:cd:ef", "fe80::225:90ff:feab:cdef" },
		{ "fe:ff:ff:ff:ff:ff", "fe80::fcff:ffff:feff:ffff" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mac_addr from = mac(cases[i].mac);
		struct ip_addr expected = ip(cases[i].ip), addr = mac_addr_link_local(&from);

		assert_int_equal(ip_addr_cmp(&addr, &expected), 0);
	}
}

static void test_networks(void **state)
{
	static const struct {
		const char *addr;
		unsigned int prefix;
		const char *text, *inside, *outside;
	} cases[] = {
		{ "10.77.3.9", 16, "10.77.0.0/16", "10.77.255.255", "10.78.0.0" },
		{ "10.77.3.9", 23, "10.77.2.0/23", "10.77.2.0", "10.77.4.0" },
		{ "10.77.3.9", 31, "10.77.3.8/31", "10.77.3.9", "10.77.3.10" },
		{ "10.77.3.9", 32, "10.77.3.9", "10.77.3.9", "10.77.3.8" },
		{ "10.77.3.9", 99, "10.77.3.9", "10.77.3.9", "10.77.3.10" },
		{ "10.77.3.9", 0, "0.0.0.0/0", "255.255.255.255", "::" },
		{ "fd77::1:2", 64, "fd77::/64", "fd77::ffff:ffff:ffff:ffff", "fd77:0:0:1::" },
		{ "fd77::1:2", 128, "fd77::1:2", "fd77::1:2", "fd77::1:1" },
		{ "fd77::1", 0, "::/0", "::", "0.0.0.0" },
		{ "fd77:80::1", 9, "fd00::/9", "fd7f:ffff::", "fd80::" },
	};
	char text[NET_RANGE_TEXT_MAX];
	struct net_range range = { ip("10.0.0.1"), ip("10.0.0.9") };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_addr addr = ip(cases[i].addr), inside = ip(cases[i].inside),
			       outside = ip(cases[i].outside);
		struct net_range network = ip_addr_network(&addr, cases[i].prefix);

		assert_string_equal(net_range_text(&network, text), cases[i].text);
		assert_true(net_range_has(&network, &addr));
		assert_true(net_range_has(&network, &inside));
		assert_false(net_range_has(&network, &outside));
	}
	assert_string_equal(net_range_text(&range, text), "10.0.0.1-10.0.0.9");
}

static void test_multicast_and_mapped(void **state)
{
	struct ip_addr first = ip("224.0.0.0"), last = ip("239.255.255.255"), v6 = ip("ff02::1"),
		       below = ip("223.255.255.255"), above = ip("240.0.0.0"), ula = ip("fd00::1"),
		       mapped = ip("::ffff:1.2.3.4"), near = ip("::fffe:1.2.3.4"), unset = { 0 };

	assert_true(ip_addr_is_multicast(&first) && ip_addr_is_multicast(&last));
	assert_true(ip_addr_is_multicast(&v6));
	assert_false(ip_addr_is_multicast(&below) || ip_addr_is_multicast(&above));
	assert_false(ip_addr_is_multicast(&ula) || ip_addr_is_multicast(&unset));
	assert_true(ip_addr_is_mapped(&mapped));
	assert_false(ip_addr_is_mapped(&near) || ip_addr_is_mapped(&first));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip_round_trip), cmocka_unit_test(test_ip_refused),
		cmocka_unit_test(test_ip_is),         cmocka_unit_test(test_order),
		cmocka_unit_test(test_mac),           cmocka_unit_test(test_link_local),
		cmocka_unit_test(test_networks),      cmocka_unit_test(test_multicast_and_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
