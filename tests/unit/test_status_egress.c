/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `status` says of egress: the lines and the object, whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/status-internal.h"

static struct ip_addr ip(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

struct fixture {
	struct config config;
	struct config_origin origin;
	struct expected expected;
	struct ip_addr resolvers[2];
	struct sock_addr proxies[2];
	struct net_range attached[2];
	struct status_view view;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct ip_addr four = ip("10.77.0.1"), six = ip("fd77::1");

	assert_non_null(f);
	config_defaults(&f->config);
	f->resolvers[0] = ip("169.254.169.254");
	f->resolvers[1] = ip("fd00::53");
	f->proxies[0] = (struct sock_addr){ ip("10.0.0.2"), 3128 };
	f->proxies[1] = (struct sock_addr){ six, 8080 };
	f->attached[0] = ip_addr_network(&four, 16);
	f->attached[1] = ip_addr_network(&six, 64);
	f->expected.model = (struct model){
		.resolvers = f->resolvers,
		.resolvers_n = 2,
		.proxies = f->proxies,
		.proxies_n = 2,
		.attached = f->attached,
		.attached_n = 2,
	};
	f->view = (struct status_view){
		.config = &f->config,
		.origin = &f->origin,
		.expected = &f->expected,
		.resolvers_origin = "/etc/res\x1bolv.conf",
		.proxies_local = 1 << 1,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void assert_prints(const struct fixture *f, const char *expected)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	status_print_egress(out, &f->view);
	fclose(out);
	assert_string_equal(text, expected);
}

static void the_lines(void **state)
{
	struct fixture *f = *state;

	assert_prints(f, "egress        bridge jobs internet, host jobs any; metadata: bridge jobs "
			 "deny, host jobs allow\n"
			 "resolvers     169.254.169.254 fd00::53 (/etc/res?olv.conf)\n"
			 "proxies       10.0.0.2:3128 [fd77::1]:8080 (! on this host: can connect "
			 "jobs to the shim)\n"
			 "attached to   10.77.0.0/16 fd77::/64\n");
	f->config.egress_bridge = EGRESS_NONE;
	f->config.egress_host = EGRESS_INTERNET;
	f->config.metadata_bridge = true;
	f->config.metadata_host = false;
	f->expected.model = (struct model){ 0 };
	f->view.resolvers_origin = NULL;
	strcpy(f->origin.remarks[0], "first");
	strcpy(f->origin.remarks[1], "sec\nond");
	f->origin.remarks_n = 2;
	assert_prints(f, "egress        bridge jobs none, host jobs internet; metadata: bridge "
			 "jobs "
			 "allow, host jobs deny\n"
			 "resolvers     none\n"
			 "proxies       none\n"
			 "attached to   no network\n"
			 "remark        first\n"
			 "remark        sec?ond\n");
}

static void the_object(void **state)
{
	struct fixture *f = *state;
	json_t *json;
	char *text;

	f->config.egress_bridge = EGRESS_ANY;
	strcpy(f->origin.remarks[0], "first");
	f->origin.remarks_n = 1;
	json = status_egress_json(&f->view);
	assert_non_null(json);
	text = json_dumps(json, 0);
	assert_string_equal(text, "{\"bridge\": \"any\", \"host\": \"any\", \"metadata_bridge\": "
				  "\"deny\", "
				  "\"metadata_host\": \"allow\", \"resolvers\": "
				  "[\"169.254.169.254\", \"fd00::53\"], "
				  "\"resolvers_origin\": \"/etc/res?olv.conf\", \"proxies\": "
				  "[{\"address\": "
				  "\"10.0.0.2:3128\", \"on_this_host\": false}, {\"address\": "
				  "\"[fd77::1]:8080\", "
				  "\"on_this_host\": true}], \"attached\": [\"10.77.0.0/16\", "
				  "\"fd77::/64\"], "
				  "\"remarks\": [\"first\"]}");
	free(text);
	json_decref(json);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(the_object, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
