/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is reached beyond the host: which elements follow from the configuration and the host. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/policy.h"

struct fixture {
	struct config config;
	struct model model;
	struct link links[3];
	struct ruleset *ruleset;
};

static struct ip_addr addr(const char *text)
{
	struct ip_addr addr = { 0 };

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

static void set_link(struct link *link, int ifindex, const char *name)
{
	*link = (struct link){ .ifindex = ifindex, .nsid = -1 };
	strcpy(link->name, name);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	config_defaults(&f->config);
	set_link(&f->links[0], 3, "docker0");
	set_link(&f->links[1], 4, "br-0123456789ab");
	set_link(&f->links[2], 5, "br-lan");
	f->model = (struct model){ .links = f->links, .links_n = 3, .in_sync = true };
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	ruleset_free(f->ruleset);
	free(f);
	return 0;
}

static void build(struct fixture *f)
{
	f->ruleset = ruleset_free(f->ruleset);
	assert_int_equal(policy_build(&f->config, &f->model, &f->ruleset, NULL), 0);
}

static void assert_set(const struct fixture *f, enum set_id set, const char *want)
{
	const struct elems *elems = &f->ruleset->sets[set];
	char have[4000] = "";

	for (size_t i = 0; i < elems->n; i++) {
		char text[200];

		assert_int_equal(elem_text(set, &elems->elem[i], text, sizeof(text), NULL, NULL),
				 0);
		snprintf(have + strlen(have), sizeof(have) - strlen(have), "%s%s", i ? ", " : "",
			 text);
	}
	assert_string_equal(have, want);
}

/* Whether an address is in one of the ranges (or, of exact sets, is one of the elements). */
static bool has(const struct fixture *f, enum set_id set, const char *text)
{
	const struct elems *elems = &f->ruleset->sets[set];
	struct ip_addr wanted = addr(text);
	size_t len = wanted.family == AF_INET ? 4 : 16;

	for (size_t i = 0; i < elems->n; i++) {
		const uint8_t *last = set_spec(set)->interval ? elem_extra(&elems->elem[i])->last
							      : elems->elem[i].key;

		if (memcmp(elems->elem[i].key, wanted.bytes, len) <= 0 &&
		    memcmp(last, wanted.bytes, len) >= 0)
			return true;
	}
	return false;
}

static void what_is_not_the_internet_is_internal(void **state)
{
	static const char *const inside[] = {
		"0.1.2.3",         "10.0.0.0",        "10.255.255.255", "100.64.0.1",
		"100.127.255.255", "169.254.0.1",     "172.16.0.0",     "172.31.255.255",
		"192.0.0.192",     "192.168.255.255", "198.19.255.255", "224.0.0.251",
		"240.0.0.1",       "255.255.255.255", "168.63.129.16",
	};
	static const char *const outside[] = {
		"1.1.1.1",     "9.255.255.255",  "11.0.0.0",        "100.63.255.255",
		"100.128.0.0", "172.15.255.255", "172.32.0.0",      "192.0.1.0",
		"192.169.0.0", "198.20.0.0",     "223.255.255.255", "168.63.129.17",
	};
	static const char *const inside6[] = {
		"::1",
		"::ffff:10.0.0.1",
		"::10.0.0.1",
		"64:ff9b::10.0.0.1",
		"64:ff9b::169.254.169.254",
		"64:ff9b:1::1",
		"2001:0:1::1",
		"2002:a00:1::1",
		"fc00::1",
		"fd12:3456::1",
		"fe80::1",
		"fec0::1",
		"ff02::1",
	};
	static const char *const outside6[] = {
		"64:ff9b::1.1.1.1", "2001:1::1",       "2001:db8::1",
		"2003::1",          "2606:4700::1111", "fbff::1",
	};
	struct fixture *f = *state;

	build(f);
	for (size_t i = 0; i < ARRAY_SIZE(inside); i++)
		if (!has(f, SET_INTERNAL4, inside[i]))
			fail_msg("%s is not internal", inside[i]);
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		if (has(f, SET_INTERNAL4, outside[i]))
			fail_msg("%s is internal", outside[i]);
	for (size_t i = 0; i < ARRAY_SIZE(inside6); i++)
		if (!has(f, SET_INTERNAL6, inside6[i]))
			fail_msg("%s is not internal", inside6[i]);
	for (size_t i = 0; i < ARRAY_SIZE(outside6); i++)
		if (has(f, SET_INTERNAL6, outside6[i]))
			fail_msg("%s is internal", outside6[i]);
}

static void metadata_is_internal_and_has_its_own_set(void **state)
{
	static const char *const all[] = {
		"169.254.169.254", "168.63.129.16", "100.100.100.200",
		"192.0.0.192",     "169.254.170.2", "169.254.170.23",
		"fd00:ec2::254",   "fd20:ce::254",  "64:ff9b::168.63.129.16",
	};
	struct fixture *f = *state;

	build(f);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		bool six = strchr(all[i], ':');

		if (!has(f, six ? SET_METADATA6 : SET_METADATA4, all[i]) ||
		    !has(f, six ? SET_INTERNAL6 : SET_INTERNAL4, all[i]))
			fail_msg("%s", all[i]);
	}
	/* it answers DNS and nothing else */
	assert_false(has(f, SET_METADATA4, "169.254.169.253"));
}

static void attached_networks_are_internal(void **state)
{
	const struct net_range attached[] = {
		{ addr("203.0.113.0"), addr("203.0.113.255") },
		{ addr("10.1.0.0"), addr("10.1.255.255") },
		{ addr("2001:db8:113::"), addr("2001:db8:113::ffff:ffff:ffff:ffff") },
	};
	struct fixture *f = *state;
	size_t before4, before6;

	build(f);
	before4 = f->ruleset->sets[SET_INTERNAL4].n;
	before6 = f->ruleset->sets[SET_INTERNAL6].n;
	assert_false(has(f, SET_INTERNAL4, "203.0.113.1"));
	f->model.attached = attached;
	f->model.attached_n = ARRAY_SIZE(attached);
	build(f);
	assert_true(has(f, SET_INTERNAL4, "203.0.113.1"));
	assert_true(has(f, SET_INTERNAL6, "64:ff9b::203.0.113.1"));
	assert_true(has(f, SET_INTERNAL6, "2001:db8:113::5"));
	assert_false(has(f, SET_INTERNAL6, "2001:db8:114::5"));
	/* 10.1.0.0/16 is in 10.0.0.0/8 */
	assert_int_equal(f->ruleset->sets[SET_INTERNAL4].n, before4 + 1);
	assert_int_equal(f->ruleset->sets[SET_INTERNAL6].n, before6 + 2);
}

static struct net_entry entry(const char *first, const char *last, uint8_t l4proto, uint16_t from,
			      uint16_t to)
{
	return (struct net_entry){ addr(first), addr(last), l4proto, from, to };
}

static void entries_go_to_the_sets_of_their_kind(void **state)
{
	struct fixture *f = *state;

	f->config.allow.entry[0] = entry("10.1.0.0", "10.1.255.255", 0, 0, 65535);
	f->config.allow.entry[1] = entry("10.2.0.0", "10.2.0.255", IPPROTO_TCP, 443, 445);
	f->config.allow.entry[2] = entry("fd77::", "fd77::ff", IPPROTO_UDP, 0, 65535);
	f->config.allow.n = 3;
	f->config.deny.entry[0] = entry("8.8.8.0", "8.8.8.255", 0, 0, 65535);
	f->config.deny.entry[1] = entry("8.8.4.4", "8.8.4.4", 0, 25, 25);
	f->config.deny.n = 2;
	f->config.peers.entry[0] = entry("10.9.0.0", "10.9.0.255", 0, 0, 65535);
	f->config.peers.n = 1;
	build(f);
	assert_set(f, SET_ALLOW4, "10.1.0.0/16");
	assert_set(f, SET_ALLOW6, "");
	assert_set(f, SET_ALLOW_PORTS4, "10.2.0.0/24 . 6 . 443-445");
	assert_set(f, SET_ALLOW_PORTS6, "fd77::/120 . 17 . 0-65535");
	/* NAT64 is no way around a deny */
	assert_set(f, SET_DENY4, "8.8.8.0/24");
	assert_set(f, SET_DENY6, "64:ff9b::808:800/120");
	assert_set(f, SET_DENY_PORTS4,
		   "8.8.4.4 . 6 . 25, 8.8.4.4 . 17 . 25, 8.8.4.4 . 33 . 25, 8.8.4.4 . 132 . 25, "
		   "8.8.4.4 . 136 . 25");
	assert_int_equal(f->ruleset->sets[SET_DENY_PORTS6].n, 5);
	assert_set(f, SET_PEERS4, "10.9.0.0/24");
}

static void services_are_exact_and_never_loopback(void **state)
{
	const struct ip_addr resolvers[] = {
		addr("10.0.0.2"), addr("127.0.0.53"), addr("fd77::2"),
		addr("::1"),      addr("0.0.0.0"),    addr("10.0.0.2")
	};
	const struct sock_addr proxies[] = { { addr("10.0.0.9"), 3128 },
					     { addr("127.0.0.1"), 3128 },
					     { addr("224.0.0.1"), 1 },
					     { addr("172.17.0.1"), 10998 } };
	struct fixture *f = *state;

	f->model.resolvers = resolvers;
	f->model.resolvers_n = ARRAY_SIZE(resolvers);
	f->model.proxies = proxies;
	f->model.proxies_n = ARRAY_SIZE(proxies);
	build(f);
	assert_set(f, SET_SERVICES4, "10.0.0.2 . 6 . 53, 10.0.0.2 . 17 . 53, 10.0.0.9 . 6 . 3128");
	assert_set(f, SET_SERVICES6, "fd77::2 . 6 . 53, fd77::2 . 17 . 53");
	assert_string_equal(f->ruleset->sets[SET_SERVICES4].elem[0].comment, "resolver");
	assert_string_equal(f->ruleset->sets[SET_SERVICES4].elem[2].comment, "proxy");
}

static void guarded_links_are_those_of_guarded_bridges(void **state)
{
	struct fixture *f = *state;

	build(f);
	assert_set(f, SET_GUARDED_LINKS, "3, 4");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_not_the_internet_is_internal),
		TEST(metadata_is_internal_and_has_its_own_set),
		TEST(attached_networks_are_internal),
		TEST(entries_go_to_the_sets_of_their_kind),
		TEST(services_are_exact_and_never_loopback),
		TEST(guarded_links_are_those_of_guarded_bridges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
