/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The keys of [enforce], [job] and [confine] and the lists of [ports], from the text of a file. */
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

static void groups_are_audited_by_name(void **state)
{
	assert_int_equal(read_good("")->audit, 0);
	assert_int_equal(read_good("[enforce]\ndefault = enforce\n")->audit, 0);
	assert_int_equal(read_good("[enforce]\ndefault = audit\n")->audit, GROUPS_ALL);
	assert_int_equal(read_good("[enforce]\ndefault = audit\nspoofing = enforce\n")->audit,
			 GROUPS_ALL & ~GROUP_BIT(GROUP_SPOOFING));
	assert_int_equal(read_good("[enforce]\nspoofing = enforce\ndefault = audit\n")->audit,
			 GROUPS_ALL & ~GROUP_BIT(GROUP_SPOOFING));
	for (enum rule_group group = 0; group < GROUP_MAX; group++) {
		char text[80];

		snprintf(text, sizeof(text), "[enforce]\n%s = audit\n", rule_group_name(group));
		assert_int_equal(read_good(text)->audit, GROUP_BIT(group));
	}
}

static void only_the_word_audits(void **state)
{
	assert_refused("[enforce]\ndefault = no\n", "conf:2: [enforce] default = \"no\": must be "
						    "enforce or audit");
	assert_refused("[enforce]\negress = Audit\n", "must be enforce or audit");
	assert_refused("[enforce]\ndefault =\n", "must be enforce or audit");
	assert_refused("[enforce]\nsshd = audit\n", "[enforce] has no key \"sshd\"");
	assert_refused("[enforce]\nlog = maybe\n", "[enforce] log = \"maybe\": must be yes or no");
	assert_true(read_good("")->audit_log);
	assert_false(read_good("[enforce]\nlog = no\n")->audit_log);
}

static void assert_range(const struct port_ranges *ranges, size_t i, int l4proto, int first,
			 int last)
{
	assert_true(i < ranges->n);
	assert_int_equal(ranges->range[i].l4proto, l4proto);
	assert_int_equal(ranges->range[i].first, first);
	assert_int_equal(ranges->range[i].last, last);
}

static void ports_are_read(void **state)
{
	const struct config *config = read_good("");

	assert_int_equal(config->guarded.n, 1);
	assert_range(&config->guarded, 0, IPPROTO_TCP, 22, 22);
	assert_int_equal(config->fenced.n, 0);
	config = read_good("[ports]\nguarded = udp 53 ,tcp 6000-6010\nguarded = sctp 1\n"
			   "fenced = tcp 2375\n");
	assert_int_equal(config->guarded.n, 3); /* the default is gone */
	assert_range(&config->guarded, 0, IPPROTO_UDP, 53, 53);
	assert_range(&config->guarded, 1, IPPROTO_TCP, 6000, 6010);
	assert_range(&config->guarded, 2, IPPROTO_SCTP, 1, 1);
	assert_int_equal(config->fenced.n, 1);
	assert_int_equal(read_good("[ports]\nguarded = none\nfenced = none\n")->guarded.n, 0);
}

static void bad_ports_are_refused(void **state)
{
	static const char *const bad[] = {
		"22",     "tcp",    "tcp 0",   "tcp 65536", "icmp 1", "tcp 22 23",   "tcp 9-8",
		"tcp 1-", "tcp -1", "tcp 022", "tcp 22-x",  "TCP 22", "none, tcp 1", "tcp 22, none",
	};
	char text[1200];
	size_t used;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "[ports]\nguarded = %s\n", bad[i]);
		assert_refused(text, "conf:2: [ports] guarded: ");
		assert_non_null(strstr(diag.text, "is no port; write the protocol"));
	}
	assert_refused("[ports]\nfenced = tcp 1000-2023, udp 1\n", "these are more than 1024 "
								   "ports");
	assert_int_equal(read_good("[ports]\nfenced = tcp 1000-2023\n")->fenced.n, 1);
	assert_refused("[ports]\nfenced = tcp 1,\n", "there is nothing between two commas");
	used = (size_t)snprintf(text, sizeof(text), "[ports]\n");
	for (int i = 0; i < 33; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "fenced = tcp 1\n");
	assert_refused(text, "conf:34: [ports] fenced: at most 32 entries");
}

static void reserved_ports_are_not_listed(void **state)
{
	read_good("[ports]\n\nfenced = tcp 1, tcp 10000-10022\n");
	assert_int_equal(config_check_port_lists("conf", &draft, &diag), -EINVAL);
	assert_string_equal(diag.text, "conf:3: [ports] fenced has tcp 10022, which is the port of "
				       "runner_ssh and has rules of its own; leave it out");
	read_good("[ports]\nguarded = tcp 10998\n");
	assert_int_equal(config_check_port_lists("conf", &draft, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "conf:2: [ports] guarded has tcp 10998"));
	/* another protocol is another port, and nobody asked for the default */
	read_good("[ports]\nguarded = udp 10998\n");
	assert_int_equal(config_check_port_lists("conf", &draft, &diag), 0);
	read_good("");
	draft.config.ports.runner_ssh = 22;
	assert_int_equal(config_check_port_lists("conf", &draft, &diag), 0);
	assert_int_equal(draft.config.guarded.n, 0);
}

static void overrides_are_read(void **state)
{
	const struct config *config = read_good("[job \"train-*\"]\nnetwork_mode = FORCED_BRIDGE\n"
						"[job   \"a?c\"] \nnetwork_mode = 1\n"
						"[job \"1234567890123456789012345678901234567890\"]"
						"\nnetwork_mode = HOST_WHEN_POSSIBLE\n");

	assert_int_equal(config->overrides_n, 3);
	assert_string_equal(config->overrides[0].pattern, "train-*");
	assert_int_equal(config->overrides[0].mode, 3);
	assert_string_equal(config->overrides[1].pattern, "a?c");
	assert_int_equal(config->overrides[1].mode, 1);
	assert_int_equal(strlen(config->overrides[2].pattern), CONFIG_PATTERN_MAX);
	assert_int_equal(config->overrides[2].mode, 2);
}

static void bad_overrides_are_refused(void **state)
{
	static const struct {
		const char *section, *says;
	} bad[] = {
		{ "job", "conf:2: [job] is about jobs of a name; write [job \"train-*\"]" },
		{ "job \"\"", "in quotes must be 1 to 40 bytes" },
		{ "job \"x", "in quotes must be 1 to 40 bytes" },
		{ "job \"x\" y", "in quotes must be 1 to 40 bytes" },
		{ "job \"a b\"", "\"a b\" is no pattern for names" },
		{ "job \"[ab\"", "is no pattern for names" },
		{ "job \"12345678901234567890123456789012345678901\"", "is no pattern for names" },
		{ "job \"1234567890123456789012345678901234567890123456789\"", "1 to 40 bytes" },
		{ "ports \"x\"", "[ports] has no key" },
		{ "jobs \"x\"", "[jobs] has no key" },
	};
	char text[200];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "[%s]\nnetwork_mode = 3\n", bad[i].section);
		assert_refused(text, bad[i].says);
	}
	assert_refused("[marks \"x\"]\nhost = 1\n", "[marks] takes no name in quotes");
	assert_refused("[job \"x\"]\nnetwork_mode = 4\n", "conf:2: [job] network_mode: \"4\" is no "
							  "mode; it must be 1 (HOST_FOR_MULTI");
	assert_refused("[job \"x\"]\nnetwork_mode = forced_bridge\n", "is no mode");
	assert_refused("[job \"x\"]\nnetwork_mode =\n", "is no mode");
	assert_refused("[job \"x\"]\nnetwork_mode = 3\n[job \"x\"]\nnetwork_mode = 1\n",
		       "conf:4: [job] network_mode: there is another section for \"x\" above");
	assert_refused("[job \"x\"]\n\n[marks]\n", "conf:1: this section has no network_mode");
	assert_refused("[job \"x\"]\n# network_mode = 3\n", "conf:1: this section has no "
							    "network_m");
}

static void confined_are_read(void **state)
{
	const struct config *config = read_good("[confine]\nnames = exporter-*, web\nnames = x?\n"
						"labels = team=a, com.example/x=\n");

	assert_int_equal(config->confine_names_n, 3);
	assert_string_equal(config->confine_names[0], "exporter-*");
	assert_string_equal(config->confine_names[2], "x?");
	assert_int_equal(config->confine_labels_n, 2);
	assert_string_equal(config->confine_labels[0], "team=a");
	assert_string_equal(config->confine_labels[1], "com.example/x=");
	assert_refused("[confine]\nlabels = team\n", "\"team\" is no label; write key=value");
	assert_refused("[confine]\nlabels = =a\n", "is no label");
	assert_refused("[confine]\nnames = a b\n", "\"a b\" is no pattern for names");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_are_audited_by_name),
		cmocka_unit_test(only_the_word_audits),
		cmocka_unit_test(ports_are_read),
		cmocka_unit_test(bad_ports_are_refused),
		cmocka_unit_test(reserved_ports_are_not_listed),
		cmocka_unit_test(overrides_are_read),
		cmocka_unit_test(bad_overrides_are_refused),
		cmocka_unit_test(confined_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
