/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The proxies in the shim's environment file, and what is said of those that cannot be used. */
#include "jobfence/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/config-internal.h"

static void test_values(void **state)
{
	static const struct {
		const char *value, *address; /* NULL: bad; "name" for a name */
	} cases[] = {
		{ "http://10.0.0.2:3128", "10.0.0.2:3128" },
		{ "http://10.0.0.2:3128/", "10.0.0.2:3128" },
		{ "HTTP://10.0.0.2", "10.0.0.2:80" },
		{ "https://10.0.0.2/x?y#z", "10.0.0.2:443" },
		{ "socks5h://10.0.0.2", "10.0.0.2:1080" },
		{ "10.0.0.2", "10.0.0.2:80" },
		{ "10.0.0.2:3128", "10.0.0.2:3128" },
		{ "http://[fd00::1]", "[fd00::1]:80" },
		{ "http://[fd00::1]:3128/", "[fd00::1]:3128" },
		{ "http://user:pass@10.0.0.2:3128", "10.0.0.2:3128" },
		{ "http://user@[fd00::1]:3128", "[fd00::1]:3128" },
		{ "user:p@ss@10.0.0.2:3128", "10.0.0.2:3128" },
		{ "http://proxy.example:3128", "name" },
		{ "proxy_1", "name" },
		/* an address that two programs could read in two ways is a name */
		{ "http://010.0.0.2:3128", "name" },
		{ "", NULL },
		{ "http://", NULL },
		{ "http:///", NULL },
		{ "http://@", NULL },
		{ "http://user:pass@", NULL },
		{ "http://:3128", NULL },
		{ "gopher://10.0.0.2:3128", NULL },
		{ "://10.0.0.2:3128", NULL },
		{ "http://10.0.0.2:", NULL },
		{ "http://10.0.0.2:0", NULL },
		{ "http://10.0.0.2:65536", NULL },
		{ "http://10.0.0.2:31x", NULL },
		{ "http://10.0.0.2:1:2", NULL },
		{ "http://fd00::1", NULL },
		{ "http://fd00::1:8080", NULL },
		{ "http://[fd00::1", NULL },
		{ "http://[fd00::1]3128", NULL },
		{ "http://[fe80::1%eth0]:3128", NULL },
		{ "http://user:pa/ss@10.0.0.2:3128", NULL },
		{ "http://user:pa#ss@10.0.0.2:3128", NULL },
		{ "http://user:pa?ss@10.0.0.2:3128", NULL },
		{ "http://10.0.0.2:3128/@10.0.0.3:3128", NULL },
		{ "http://pro xy:3128", NULL },
		{ "http://pro\x1bxy:3128", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[SOCK_ADDR_TEXT_MAX] = "", host[CONFIG_HOST_MAX] = "";
		struct sock_addr addr;

		switch (config_parse_proxy(cases[i].value, &addr, host)) {
		case CONFIG_PROXY_ADDRESS:
			sock_addr_text(&addr, text);
			break;
		case CONFIG_PROXY_NAME:
			strcpy(text, "name");
			break;
		case CONFIG_PROXY_BAD:
			break;
		}
		if (strcmp(text, cases[i].address ?: "") != 0)
			fail_msg("\"%s\" for: %s", text, cases[i].value);
	}
}

static void test_long_values(void **state)
{
	char value[5000] = "http://", host[CONFIG_HOST_MAX];
	struct sock_addr addr;

	memset(value + 7, 'a', sizeof(value) - 8);
	assert_int_equal(config_parse_proxy(value, &addr, host), CONFIG_PROXY_BAD);
	value[7 + CONFIG_HOST_MAX] = '\0';
	assert_int_equal(config_parse_proxy(value, &addr, host), CONFIG_PROXY_BAD);
	value[7 + CONFIG_HOST_MAX - 1] = '\0';
	assert_int_equal(config_parse_proxy(value, &addr, host), CONFIG_PROXY_NAME);
	assert_int_equal(strlen(host), CONFIG_HOST_MAX - 1);
	/* a password may be as long as it likes */
	memset(value + 7, 'a', sizeof(value) - 8);
	strcpy(value + sizeof(value) - 20, "@10.0.0.2:1");
	assert_int_equal(config_parse_proxy(value, &addr, host), CONFIG_PROXY_ADDRESS);
}

static struct config_proxies proxies;
static struct config_origin origin;

static void read_text(const char *text)
{
	char buffer[8192];

	proxies = (struct config_proxies){ 0 };
	origin = (struct config_origin){ 0 };
	assert_true(strlen(text) < sizeof(buffer));
	strcpy(buffer, text);
	config_read_proxies("shim.env", buffer, &proxies, &origin);
}

static void test_file(void **state)
{
	char text[SOCK_ADDR_TEXT_MAX];

	read_text("DSTACK_SHIM_HTTP_PORT=1\nhttp_proxy=http://10.0.0.9:1\n"
		  "HTTPS_PROXY=\"http://u:p@10.0.0.2:3128\"\n"
		  "http_proxy='http://10.0.0.2:3128'\nall_proxy=socks5://[fd00::1]\n"
		  "no_proxy=10.0.0.3\nhttps_proxy=\nmy_http_proxy=http://10.0.0.4:1\n"
		  "#ftp_proxy=http://10.0.0.5:1\n");
	assert_int_equal(proxies.n, 2);
	assert_string_equal(sock_addr_text(&proxies.addr[0], text), "10.0.0.2:3128");
	assert_string_equal(sock_addr_text(&proxies.addr[1], text), "[fd00::1]:1080");
	assert_int_equal(origin.remarks_n, 0);
	read_text("");
	assert_int_equal(proxies.n + origin.remarks_n, 0);
}

static void assert_remark(const char *text, const char *says)
{
	read_text(text);
	assert_int_equal(proxies.n, 0);
	assert_int_equal(origin.remarks_n, 1);
	if (!strstr(origin.remarks[0], says))
		fail_msg("\"%s\"\n   lacks \"%s\"", origin.remarks[0], says);
	assert_null(strstr(origin.remarks[0], "hunter2"));
	assert_null(strstr(origin.remarks[0], "someone"));
}

static void test_remarks(void **state)
{
	assert_remark("\nhttp_proxy=http://someone:hunter2@proxy.example:3128/\n",
		      "shim.env:2: http_proxy names proxy.example, and jobfence looks up no names");
	assert_remark("HTTP_PROXY=http://someone:hunter2@127.0.0.1:3128/\n", "shim.env:1: "
									     "HTTP_PROXY: "
									     "127.0.0.1:3128 is a "
									     "loopback address");
	assert_remark("HTTP_PROXY=[::1]:3128\n", "[::1]:3128 is a loopback address");
	assert_remark("HTTP_PROXY=0.0.0.0:3128\n", "is no address of a host");
	assert_remark("HTTP_PROXY=[::ffff:10.0.0.2]:3128\n", "write it as IPv4");
	assert_remark("HTTP_PROXY=http://someone:hunter2\n", "is not understood");
	assert_remark("HTTP_PROXY=http://someone:hun/hunter2@10.0.0.2:80\n", "is not understood");
	assert_remark("HTTP_PROXY=http://hunter2#x@10.0.0.2:80\n", "is not understood");
	assert_remark("HTTP_PROXY=hunter2://10.0.0.2:80\n", "is not understood");
}

static void write_file(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

/* As a whole: which file, and that a list leaves the shim's alone. */
static void test_load(void **state)
{
	char folder[] = "/tmp/jobfence-proxies-XXXXXX", conf[64], shim[64], text[512];
	struct config_sources sources = { .path = conf };
	struct config_origin loaded = { 0 };
	struct config config;

	assert_non_null(mkdtemp(folder));
	snprintf(conf, sizeof(conf), "%s/conf", folder);
	snprintf(shim, sizeof(shim), "%s/shim", folder);
	snprintf(text, sizeof(text),
		 "[environment]\nenvironment_file = %s/none\nshim_env = %s\n"
		 "[egress]\nallow = 10.0.0.0/8, ::/0 tcp, 0.0.0.0/0, ::/0\n",
		 folder, shim);
	write_file(conf, text);
	write_file(shim, "http_proxy=http://10.0.0.2:3128\nhttps_proxy=http://name:1\n");
	assert_int_equal(config_load(&sources, &config, &loaded, NULL), 0);
	assert_int_equal(config.proxies.source, CONFIG_SOURCE_AUTO);
	assert_int_equal(config.proxies.n, 1);
	assert_int_equal(config.proxies.addr[0].port, 3128);
	assert_int_equal(loaded.remarks_n, 3);
	assert_non_null(strstr(loaded.remarks[0], "[egress] allow has 0.0.0.0/0"));
	assert_non_null(strstr(loaded.remarks[1], "[egress] allow has ::/0"));
	assert_non_null(strstr(loaded.remarks[2], "https_proxy names name"));

	strcat(text, "proxies = none\n");
	write_file(conf, text);
	assert_int_equal(config_load(&sources, &config, &loaded, NULL), 0);
	assert_int_equal(config.proxies.n, 0);
	assert_int_equal(loaded.remarks_n, 2);
	unlink(conf);
	unlink(shim);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values), cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_file),   cmocka_unit_test(test_remarks),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
