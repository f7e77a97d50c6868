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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip_round_trip), cmocka_unit_test(test_ip_refused),
		cmocka_unit_test(test_ip_is),         cmocka_unit_test(test_order),
		cmocka_unit_test(test_mac),           cmocka_unit_test(test_link_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
