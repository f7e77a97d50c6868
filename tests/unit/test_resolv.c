/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The texts that the engine takes its resolvers from, in order and out of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/cleanup.h"
#include "jobfence/resolv.h"

/* "10.0.0.2 fd00::53", as they were found */
static const char *text_of(const struct resolvers *resolvers)
{
	static char text[RESOLVERS_MAX * IP_ADDR_TEXT_MAX];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < resolvers->n; i++) {
		char addr[IP_ADDR_TEXT_MAX];

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "",
					 ip_addr_text(&resolvers->addr[i], addr));
	}
	return text;
}

static void test_resolv_conf(void **state)
{
	static const struct {
		const char *text, *found;
		bool stub;
	} cases[] = {
		{ "", "", false },
		{ "nameserver 10.0.0.2\n", "10.0.0.2", false },
		{ "nameserver 10.0.0.2", "10.0.0.2", false },
		{ "# nameserver 10.0.0.1\n;nameserver 10.0.0.3\nsearch a b\nnameserver\t10.0.0.2\n"
		  "nameserver fd00::53\noptions edns0\nnameserver 10.0.0.2\n",
		  "10.0.0.2 fd00::53", false },
		{ "  nameserver \t 10.0.0.2 # remark\r\n", "10.0.0.2", false },
		{ "nameserver 169.254.169.254\n", "169.254.169.254", false },
		/* one word is one address */
		{ "nameserver 10.0.0.2 10.0.0.3\n", "10.0.0.2", false },
		{ "nameserver\n10.0.0.2\n", "", false },
		{ "nameserver\nnameserver 10.0.0.2\n", "10.0.0.2", false },
		{ "nameserver10.0.0.2\n", "", false },
		{ "Nameserver 10.0.0.2\n", "", false },
		{ "nameservers 10.0.0.2\n", "", false },
		{ "x nameserver 10.0.0.2\n", "", false },
		/* strict addresses */
		{ "nameserver 010.0.0.2\n", "", false },
		{ "nameserver 10.0.0.2:53\n", "", false },
		{ "nameserver 10.0.0.0/8\n", "", false },
		{ "nameserver [fd00::53]\n", "", false },
		{ "nameserver 10.2\n", "", false },
		{ "nameserver dns.example\n", "", false },
		{ "nameserver ::ffff:10.0.0.2\n", "", false },
		{ "nameserver 0.0.0.0\nnameserver ::\n", "", false },
		{ "nameserver 224.0.0.251\n", "", false },
		/* a zone is a link of the host */
		{ "nameserver fe80::1%eth0\n", "", false },
		{ "nameserver fe80::1%\n", "", false },
		{ "nameserver fe80::1\n", "fe80::1", false },
		/* loopback is never opened; only the stub, and alone, means another file */
		{ "nameserver 127.0.0.53\n", "", true },
		{ "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n", "", true },
		{ "nameserver 127.0.0.1\n", "", false },
		{ "nameserver ::1\nnameserver 127.0.0.53\n", "", false },
		{ "nameserver 127.0.0.53\nnameserver 10.0.0.2\n", "10.0.0.2", false },
		{ "nameserver 127.0.0.53\nnameserver 127.0.0.53\n", "", false },
		{ "nameserver 127.0.0.53%lo\n", "", true },
		{ "nameserver 10.0.0.2\x01\n", "", false },
		{ "\n\n\r\n \n", "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct resolvers found = { 0 };

		assert_int_equal(resolv_conf_read(cases[i].text, &found), cases[i].stub);
		if (strcmp(text_of(&found), cases[i].found) != 0)
			fail_msg("\"%s\" for: %s", text_of(&found), cases[i].text);
	}
}

static void test_resolv_conf_is_bounded(void **state)
{
	static char text[64 * 1024];
	struct resolvers found = { 0 };
	size_t used = 0;

	for (int i = 0; i < 1000; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "nameserver 10.0.%d.%d\n", i / 256, i % 256);
	resolv_conf_read(text, &found);
	assert_int_equal(found.n, RESOLVERS_MAX);

	memset(text, 'n', sizeof(text) - 1);
	memcpy(text + 1000, " 10.0.0.2 ", 10);
	found = (struct resolvers){ 0 };
	assert_false(resolv_conf_read(text, &found));
	assert_int_equal(found.n, 0);
	memset(text, '1', sizeof(text) - 1);
	memcpy(text, "nameserver ", 11);
	resolv_conf_read(text, &found);
	assert_int_equal(found.n, 0);
}

static void assert_json(const char *text, int r, const char *found, bool named)
{
	struct resolvers resolvers = { 0 };
	bool is_named = !named;
	struct diag diag = { 0 };

	assert_int_equal(resolv_daemon_json(text, strlen(text), &resolvers, &is_named, &diag), r);
	assert_string_equal(text_of(&resolvers), found);
	if (r == 0)
		assert_int_equal(is_named, named);
	else
		assert_string_not_equal(diag.text, "");
}

static void test_daemon_json(void **state)
{
	assert_json("{\"dns\": [\"10.0.0.2\", \"fd00::53\"], \"mtu\": 1400}", 0,
		    "10.0.0.2 fd00::53", true);
	assert_json("{\"mtu\": 1400}", 0, "", false);
	assert_json("{\"dns\": []}", 0, "", false);
	assert_json("{\"dns\": null}", 0, "", false);
	/* named, so that the host's file is not what counts */
	assert_json("{\"dns\": [\"127.0.0.1\"]}", 0, "", true);
	assert_json("{\"dns\": [\"dns.example\", 5, null, \"10.0.0.3\", [\"10.0.0.4\"]]}", 0,
		    "10.0.0.3", true);
	assert_json("{\"x\": {\"dns\": [\"10.0.0.2\"]}}", 0, "", false);
	assert_json("{\"dns\": \"10.0.0.2\"}", -EINVAL, "", false);
	assert_json("{\"dns\": {\"a\": \"10.0.0.2\"}}", -EINVAL, "", false);
	assert_json("[\"10.0.0.2\"]", -EINVAL, "", false);
	assert_json("{\"dns\": [\"10.0.0.2\"]", -EINVAL, "", false);
	assert_json("{\"dns\": [\"10.0.0.2\"]} x", -EINVAL, "", false);
	assert_json("dns: 10.0.0.2", -EINVAL, "", false);
}

#define ARGS(text) text, sizeof(text) /* with the NUL at the end */

static void test_dockerd_args(void **state)
{
	struct dockerd_args args;

	resolv_dockerd_args(ARGS("/usr/bin/dockerd\0-H\0fd://\0--dns\0"
				 "10.0.0.2\0--dns=fd00::53\0--config-file=/a/b.json"),
			    &args);
	assert_true(args.is_dockerd && args.dns_named);
	assert_string_equal(text_of(&args.dns), "10.0.0.2 fd00::53");
	assert_string_equal(args.config_file, "/a/b.json");
	resolv_dockerd_args(ARGS("dockerd\0--config-file\0/c.json"), &args);
	assert_true(args.is_dockerd && !args.dns_named);
	assert_string_equal(args.config_file, "/c.json");
	/* other options that begin alike, and what is no address */
	resolv_dockerd_args(ARGS("dockerd\0--dns-search\0"
				 "10.0.0.2\0--dns-opt=10.0.0.2"),
			    &args);
	assert_false(args.dns_named);
	resolv_dockerd_args(ARGS("dockerd\0--dns=dns.example\0--config-file=rel.json"), &args);
	assert_true(args.dns_named);
	assert_int_equal(args.dns.n, 0);
	assert_string_equal(args.config_file, "");
	/* another program's words are nothing to us */
	resolv_dockerd_args(ARGS("/usr/bin/podman\0--dns\0"
				 "10.0.0.2"),
			    &args);
	assert_false(args.is_dockerd || args.dns_named);
	resolv_dockerd_args(ARGS("/dockerd/x\0--dns\0"
				 "10.0.0.2"),
			    &args);
	assert_false(args.is_dockerd || args.dns_named);
	/* cut off, and empty */
	resolv_dockerd_args("dockerd\0--dns\0"
			    "10.0.0.2",
			    22, &args);
	assert_true(args.is_dockerd);
	assert_false(args.dns_named);
	resolv_dockerd_args("dockerd\0--dns", 14, &args);
	assert_false(args.dns_named);
	resolv_dockerd_args("dockerd", 7, &args);
	assert_false(args.is_dockerd);
	resolv_dockerd_args("", 0, &args);
	assert_false(args.is_dockerd);
	resolv_dockerd_args(ARGS(""), &args);
	assert_false(args.is_dockerd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolv_conf),
		cmocka_unit_test(test_resolv_conf_is_bounded),
		cmocka_unit_test(test_daemon_json),
		cmocka_unit_test(test_dockerd_args),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
