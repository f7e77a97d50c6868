/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys of [egress] and [metadata], from the text of a file. */
#include "jobfence/config.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "config_fixture.h"

/* One key of [egress]. */
static void assert_value_refused(const char *key, const char *value, const char *says)
{
	char text[400], where[64];

	snprintf(text, sizeof(text), "[egress]\n\n%s = %s\n", key, value);
	assert_refused(text, says);
	snprintf(where, sizeof(where), "conf:3: [egress] %s", key);
	assert_non_null(strstr(diag.text, where));
}

static void assert_entry(const struct net_entry *entry, const char *network, int l4proto,
			 int port_first, int port_last)
{
	struct net_range range = { entry->first, entry->last };
	char text[NET_RANGE_TEXT_MAX];

	assert_string_equal(net_range_text(&range, text), network);
	assert_int_equal(entry->l4proto, l4proto);
	assert_int_equal(entry->port_first, port_first);
	assert_int_equal(entry->port_last, port_last);
}

static void test_words(void **state)
{
	const struct config *config;

	config_draft_init(&draft);
	assert_int_equal(draft.config.egress_bridge, EGRESS_INTERNET);
	assert_int_equal(draft.config.egress_host, EGRESS_ANY);
	assert_false(draft.config.metadata_bridge);
	assert_true(draft.config.metadata_host);
	assert_int_equal(draft.config.resolvers.source, CONFIG_SOURCE_AUTO);
	assert_int_equal(draft.config.proxies.source, CONFIG_SOURCE_AUTO);

	config = read_good("[egress]\nbridge = none\nhost = internet\nresolvers = none\n"
			   "proxies = none\n[metadata]\nbridge = allow\nhost = deny\n");
	assert_int_equal(config->egress_bridge, EGRESS_NONE);
	assert_int_equal(config->egress_host, EGRESS_INTERNET);
	assert_true(config->metadata_bridge);
	assert_false(config->metadata_host);
	assert_int_equal(config->resolvers.source, CONFIG_SOURCE_NONE);
	assert_int_equal(config->proxies.source, CONFIG_SOURCE_NONE);
	config = read_good("[egress]\nbridge = any\nhost = any\n[metadata]\nbridge = deny\n");
	assert_int_equal(config->egress_bridge, EGRESS_ANY);
	assert_int_equal(config->egress_host, EGRESS_ANY);

	assert_value_refused("bridge", "Internet", "must be internet, any or none");
	assert_value_refused("bridge", "", "must be internet, any or none");
	assert_value_refused("host", "none", "must be any or internet");
	assert_value_refused("host", "deny", "must be any or internet");
	assert_refused("[metadata]\nbridge = yes\n", "conf:2: [metadata] bridge = \"yes\": must be "
						     "deny or allow");
	assert_refused("[metadata]\nhost = allow\nhost = allow\n", "already set on line 2");
	assert_refused("[egress]\nbridge = any\nbridge = any\n", "already set on line 2");
}

static void test_entries(void **state)
{
	const struct config *config = read_good("[egress]\n"
						"allow = 10.1.0.0/16 tcp 443,10.2.0.7 tcp "
						"5432-5433 ,\t192.168.0.0/24\n"
						"deny = 0.0.0.0/0, ::/0 any\n"
						"allow: fd12:3456::/32  udp\t1-65535\n"
						"allow = \n"
						"peers = 10.0.0.0/8, fd00::1\n"
						"allow = ::1/128 sctp, 10.1.0.0/16, 10.1.128.0/17 "
						"any\n");

	assert_int_equal(config->allow.n, 7);
	assert_entry(&config->allow.entry[0], "10.1.0.0/16", IPPROTO_TCP, 443, 443);
	assert_entry(&config->allow.entry[1], "10.2.0.7", IPPROTO_TCP, 5432, 5433);
	assert_entry(&config->allow.entry[2], "192.168.0.0/24", 0, 0, 65535);
	assert_entry(&config->allow.entry[3], "fd12:3456::/32", IPPROTO_UDP, 1, 65535);
	assert_entry(&config->allow.entry[4], "::1", IPPROTO_SCTP, 0, 65535);
	assert_entry(&config->allow.entry[5], "10.1.0.0/16", 0, 0, 65535);
	assert_entry(&config->allow.entry[6], "10.1.128.0/17", 0, 0, 65535);
	assert_int_equal(config->deny.n, 2);
	assert_entry(&config->deny.entry[0], "0.0.0.0/0", 0, 0, 65535);
	assert_entry(&config->deny.entry[1], "::/0", 0, 0, 65535);
	assert_int_equal(config->peers.n, 2);
	assert_entry(&config->peers.entry[0], "10.0.0.0/8", 0, 0, 65535);
	assert_entry(&config->peers.entry[1], "fd00::1", 0, 0, 65535);
}

static void test_bad_networks(void **state)
{
	static const struct {
		const char *entry, *says;
	} cases[] = {
		{ "10.0.0.1/8", "\"10.0.0.1/8\" has bits behind its prefix; that network is "
				"10.0.0.0/8" },
		{ "10.0.0.129/25", "that network is 10.0.0.128/25" },
		{ "128.0.0.0/0", "that network is 0.0.0.0/0" },
		{ "fd00::1/64", "that network is fd00::/64" },
		{ "fd00:0:0:ffff::/63", "that network is fd00:0:0:fffe::/63" },
		{ "10.0.0.0/33", "the prefix must be 0 to 32" },
		{ "fd00::/129", "the prefix must be 0 to 128" },
		{ "10.0.0.0/", "the prefix must be 0 to 32" },
		{ "10.0.0.0/08", "the prefix must be" },
		{ "10.0.0.0/-1", "the prefix must be" },
		{ "10.0.0.0/+8", "the prefix must be" },
		{ "10.0.0.0/4294967304", "the prefix must be" },
		{ "10.0.0.0/255.0.0.0", "the prefix must be" },
		{ "10.0.0.0/8/8", "the prefix must be" },
		{ "10/8", "is no network" },
		{ "10.0.0/24", "is no network" },
		{ "010.0.0.0/8", "is no network" },
		{ "0x0a.0.0.0/8", "is no network" },
		{ "/8", "is no network" },
		{ "example.com", "\"example.com\" is no network; write an IPv4 or IPv6 address" },
		{ "10.0.0.1-10.0.0.9", "is no network" },
		{ "10.0.0.1:80", "is no network" },
		{ "[fd00::1]", "is no network" },
		{ "fe80::1%eth0", "is no network" },
		{ "*", "is no network" },
		{ "\x1b[2J", "\"?[2J\" is no network" },
		{ "::ffff:10.0.0.1", "is IPv4 written as IPv6" },
		{ "::ffff:10.0.0.0/104", "is IPv4 written as IPv6" },
		{ "::ffff:0:0/96", "is IPv4 written as IPv6" },
		{ "auto", "is no network" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_value_refused("allow", cases[i].entry, cases[i].says);
		assert_value_refused("peers", cases[i].entry, cases[i].says);
	}
}

static void test_bad_entries(void **state)
{
	static const struct {
		const char *entry, *says;
	} cases[] = {
		{ "10.0.0.0/8 icmp", "stands tcp, udp, sctp or any" },
		{ "10.0.0.0/8 TCP", "stands tcp, udp, sctp or any" },
		{ "10.0.0.0/8 6", "stands tcp, udp, sctp or any" },
		{ "10.0.0.0/8 443", "stands tcp, udp, sctp or any" },
		{ "tcp 10.0.0.0/8", "is no network" },
		{ "10.0.0.0/8 any 53", "ports belong to tcp, udp or sctp, not to any" },
		{ "10.0.0.0/8 tcp 0", "ports are 1 to 65535" },
		{ "10.0.0.0/8 tcp 65536", "ports are 1 to 65535" },
		{ "10.0.0.0/8 tcp 443-80", "ports are 1 to 65535" },
		{ "10.0.0.0/8 tcp 80-", "ports are 1 to 65535" },
		{ "10.0.0.0/8 tcp -80", "ports are 1 to 65535" },
		{ "10.0.0.0/8 tcp 1-2-3", "ports are 1 to 65535" },
		{ "10.0.0.0/8 tcp https", "ports are 1 to 65535" },
		{ "10.0.0.0/8 tcp 080", "ports are 1 to 65535" },
		{ "10.0.0.0/8 tcp 80 81", "has too many words; separate entries by commas" },
		{ "10.0.0.0/8 10.1.0.0/16", "stands tcp, udp, sctp or any" },
		{ "10.0.0.0/8,", "nothing between two commas, or behind the last" },
		{ ",10.0.0.0/8", "nothing between two commas" },
		{ "10.0.0.0/8, ,10.0.0.0/8", "nothing between two commas" },
		{ ",", "nothing between two commas" },
		/* what is behind a good entry is read as well */
		{ "10.0.0.0/8 tcp 443, 10.0.0.1/8", "that network is 10.0.0.0/8" },
	};
	char longer[160];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_value_refused("allow", cases[i].entry, cases[i].says);
		assert_value_refused("deny", cases[i].entry, cases[i].says);
	}
	memset(longer, '1', 130);
	longer[130] = '\0';
	assert_value_refused("deny", longer, "an entry is longer than 127 bytes");
	assert_value_refused("peers", "10.0.0.0/8 tcp", "without protocol and port");
	assert_value_refused("peers", "10.0.0.0/8 10.1.0.0/16", "separated by commas");
}

static void test_limit_of_entries(void **state)
{
	char text[32 * (CONFIG_ENTRIES_MAX + 2)] = "[egress]\nallow = 10.0.0.1\n";
	size_t used = strlen(text);

	for (int i = 1; i < CONFIG_ENTRIES_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "deny = 10.0.0.%d\n", i);
	used += (size_t)snprintf(text + used, sizeof(text) - used, "deny = 10.0.1.0\n");
	assert_int_equal(read_good(text)->deny.n, CONFIG_ENTRIES_MAX);
	assert_int_equal(draft.config.allow.n, 1);
	snprintf(text + used, sizeof(text) - used, "deny = 10.0.1.1\n");
	assert_refused(text, "conf:259: [egress] deny: at most 256 entries");
}

static void test_resolvers(void **state)
{
	const struct config *config = read_good("[egress]\nresolvers = 10.0.0.2, "
						"169.254.169.254\nresolvers = fd00::53\n");
	char text[IP_ADDR_TEXT_MAX];

	assert_int_equal(config->resolvers.source, CONFIG_SOURCE_LIST);
	assert_int_equal(config->resolvers.n, 3);
	assert_string_equal(ip_addr_text(&config->resolvers.addr[1], text), "169.254.169.254");
	assert_string_equal(ip_addr_text(&config->resolvers.addr[2], text), "fd00::53");
	assert_int_equal(read_good("[egress]\nresolvers = auto\n")->resolvers.source,
			 CONFIG_SOURCE_AUTO);

	assert_value_refused("resolvers", "", "must be auto, none or addresses");
	assert_value_refused("resolvers", "Auto", "\"Auto\" is no address");
	assert_value_refused("resolvers", "10.0.0.2:53", "is no address");
	assert_value_refused("resolvers", "10.0.0.2 10.0.0.3", "separated by commas");
	assert_value_refused("resolvers", "10.0.0.0/8", "is no address");
	assert_value_refused("resolvers", "fe80::1%eth0", "is no address");
	assert_value_refused("resolvers", "127.0.0.53", "127.0.0.53 is a loopback address");
	assert_value_refused("resolvers", "::1", "::1 is a loopback address");
	assert_value_refused("resolvers", "0.0.0.0", "is no address of a host");
	assert_value_refused("resolvers", "::", "is no address of a host");
	assert_value_refused("resolvers", "224.0.0.251", "is a multicast address");
	assert_value_refused("resolvers", "ff02::fb", "is a multicast address");
	assert_value_refused("resolvers", "::ffff:10.0.0.2", "write it as IPv4");
	assert_value_refused("resolvers", "auto, 10.0.0.2", "\"auto\" is no address");
	assert_refused("[egress]\nresolvers = auto\nresolvers = 10.0.0.2\n", "conf:3: [egress] "
									     "resolvers: auto and "
									     "none");
	assert_refused("[egress]\nresolvers = 10.0.0.2\nresolvers = none\n", "stand alone");
	assert_refused("[egress]\nresolvers = 10.0.0.2\nresolvers = auto\n", "stand alone");
	assert_refused("[egress]\nresolvers = auto\nresolvers = auto\n", "stand alone");
}

static void test_proxies(void **state)
{
	const struct config *config = read_good("[egress]\nproxies = 10.0.0.2:3128, "
						"[fd00::1]:8080\n");
	char text[SOCK_ADDR_TEXT_MAX];

	assert_int_equal(config->proxies.source, CONFIG_SOURCE_LIST);
	assert_int_equal(config->proxies.n, 2);
	assert_string_equal(sock_addr_text(&config->proxies.addr[0], text), "10.0.0.2:3128");
	assert_string_equal(sock_addr_text(&config->proxies.addr[1], text), "[fd00::1]:8080");

	assert_value_refused("proxies", "", "must be auto, none or addresses");
	assert_value_refused("proxies", "10.0.0.2", "write ADDRESS:PORT");
	assert_value_refused("proxies", "10.0.0.2:", "write ADDRESS:PORT");
	assert_value_refused("proxies", "10.0.0.2:0", "write ADDRESS:PORT");
	assert_value_refused("proxies", "10.0.0.2:65536", "write ADDRESS:PORT");
	assert_value_refused("proxies", "10.0.0.2:80-81", "write ADDRESS:PORT");
	assert_value_refused("proxies", "[10.0.0.2]:80", "write ADDRESS:PORT");
	assert_value_refused("proxies", "fd00::1:8080", "write ADDRESS:PORT");
	assert_value_refused("proxies", "[fd00::1]", "write ADDRESS:PORT");
	assert_value_refused("proxies", "[fd00::1", "write ADDRESS:PORT");
	assert_value_refused("proxies", "[fd00::1]8080", "write ADDRESS:PORT");
	assert_value_refused("proxies", "[fe80::1%eth0]:8080", "write ADDRESS:PORT");
	assert_value_refused("proxies", "proxy.example.com:3128", "names are not looked up");
	assert_value_refused("proxies", "127.0.0.1:3128", "is a loopback address");
	assert_value_refused("proxies", "[::1]:3128", "is a loopback address");
	assert_value_refused("proxies", "0.0.0.0:3128", "is no address of a host");
	assert_value_refused("proxies", "http://10.0.0.2:3128", "without scheme, user");
}

/* What stands in the file may be a secret; the log is read by more people. */
static void test_no_password_is_told(void **state)
{
	static const char *const values[] = {
		"user:hunter2@10.0.0.2:3128",
		"10.0.0.2:3128, http://user:hunter2@10.0.0.2:3128",
		"http://user:hunter2@10.0.0.2:3128/",
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		assert_value_refused("proxies", values[i], "without scheme, user and password");
		assert_null(strstr(diag.text, "hunter2"));
	}
}

static void test_limit_of_addresses(void **state)
{
	char text[32 * (CONFIG_ADDRESSES_MAX + 2)] = "[egress]\n";
	size_t used = strlen(text), proxies;

	for (int i = 0; i < CONFIG_ADDRESSES_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "resolvers = 10.0.0.%d\n", i);
	assert_int_equal(read_good(text)->resolvers.n, CONFIG_ADDRESSES_MAX);
	snprintf(text + used, sizeof(text) - used, "resolvers = 10.0.1.0\n");
	assert_refused(text, "at most 32 resolvers");

	proxies = strlen("[egress]\n");
	for (int i = 0; i < CONFIG_ADDRESSES_MAX; i++)
		proxies += (size_t)snprintf(text + proxies, sizeof(text) - proxies,
					    "proxies = 10.0.0.%d:1\n", i);
	assert_int_equal(read_good(text)->proxies.n, CONFIG_ADDRESSES_MAX);
	snprintf(text + proxies, sizeof(text) - proxies, "proxies = 10.0.1.0:1\n");
	assert_refused(text, "at most 32 proxies");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_bad_networks),
		cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_limit_of_entries),
		cmocka_unit_test(test_resolvers),
		cmocka_unit_test(test_proxies),
		cmocka_unit_test(test_no_password_is_told),
		cmocka_unit_test(test_limit_of_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
