/* SPDX-License-Identifier: GPL-2.0-or-later */
/* jobfence.conf: its defaults, its keys, and what is refused. */
#include "jobfence/config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "config_files_fixture.h"

static void assert_equals_defaults(const struct config *config)
{
	struct config defaults;

	config_defaults(&defaults);
	assert_int_equal(config->mode, defaults.mode);
	assert_int_equal(config->on_violation, defaults.on_violation);
	assert_int_equal(config->unconfinable, defaults.unconfinable);
	assert_int_equal(config->cgroup_required, defaults.cgroup_required);
	assert_int_equal(config->own_tables, defaults.own_tables);
	assert_int_equal(config->log_group, defaults.log_group);
	assert_memory_equal(&config->ports, &defaults.ports, sizeof(defaults.ports));
	assert_string_equal(config->docker, defaults.docker);
	assert_int_equal(config->bridges_n, defaults.bridges_n);
	assert_memory_equal(config->bridges, defaults.bridges, sizeof(defaults.bridges));
	assert_int_equal(config->cgroup_driver, defaults.cgroup_driver);
	assert_string_equal(config->cgroup_parent, defaults.cgroup_parent);
	assert_string_equal(config->engine_cgroup, defaults.engine_cgroup);
	assert_int_equal(config->mark_bystander, defaults.mark_bystander);
	assert_int_equal(config->mark_container, defaults.mark_container);
	assert_int_equal(config->mark_host, defaults.mark_host);
	assert_int_equal(config->egress_bridge, defaults.egress_bridge);
	assert_int_equal(config->egress_host, defaults.egress_host);
	assert_int_equal(config->allow.n + config->deny.n + config->peers.n, 0);
	assert_int_equal(config->metadata_bridge, defaults.metadata_bridge);
	assert_int_equal(config->metadata_host, defaults.metadata_host);
	assert_int_equal(config->resolvers.source, defaults.resolvers.source);
	assert_int_equal(config->proxies.source, defaults.proxies.source);
	assert_int_equal(config->audit, 0);
	assert_memory_equal(&config->guarded, &defaults.guarded, sizeof(defaults.guarded));
	assert_int_equal(config->fenced.n + config->overrides_n + config->confine_names_n +
				 config->confine_labels_n,
			 0);
	assert_int_equal(config->audit_log, defaults.audit_log);
}

static void test_defaults(void **state)
{
	struct config config;

	config_defaults(&config);
	assert_int_equal(config.mode, 2);
	assert_int_equal(config.on_violation, ON_VIOLATION_QUARANTINE);
	assert_int_equal(config.unconfinable, UNCONFINABLE_REPORT);
	assert_true(config.cgroup_required);
	assert_true(config.own_tables);
	assert_int_equal(config.log_group, 10998);
	assert_int_equal(config.ports.shim, 10998);
	assert_int_equal(config.ports.dcgm, 10997);
	assert_int_equal(config.ports.runner, 10999);
	assert_int_equal(config.ports.runner_ssh, 10022);
	assert_string_equal(config.docker, "/var/run/docker.sock");
	assert_int_equal(config.bridges_n, 1);
	assert_string_equal(config.bridges[0], "docker0");
	assert_int_equal(config.cgroup_driver, CGROUP_DRIVER_AUTO);
	assert_string_equal(config.cgroup_parent, "");
	assert_string_equal(config.engine_cgroup, "");
	assert_int_equal(config.mark_bystander, 0x08000000);
	assert_int_equal(config.mark_container, 0x10000000);
	assert_int_equal(config.mark_host, 0x20000000);
}

static void test_no_files(void **state)
{
	struct loaded loaded;

	write_conf("");
	loaded = load_good((struct config_sources){ 0 });
	assert_equals_defaults(&loaded.config);
	assert_string_equal(loaded.origin.mode, "default");
	assert_string_equal(loaded.origin.ports, "dstack's defaults");
	assert_false(loaded.origin.environment_wins);
}

static void test_named_file_must_exist(void **state)
{
	struct loaded loaded = load((struct config_sources){ .path = "/nonexistent/x.conf" });

	assert_int_equal(loaded.r, -ENOENT);
	assert_says(&loaded, "/nonexistent/x.conf cannot be opened: No such file");
	loaded = load((struct config_sources){ .path = folder });
	assert_int_equal(loaded.r, -EISDIR);
	assert_says(&loaded, "@ cannot be read: Is a directory");
}

static void test_files_that_are_no_text(void **state)
{
	char *large = malloc(65537);
	struct loaded loaded;

	assert_non_null(large);
	memset(large, '\n', 65537);
	write_bytes(conf_path, large, 65537);
	loaded = load((struct config_sources){ 0 });
	assert_int_equal(loaded.r, -EINVAL);
	assert_says(&loaded, "@/conf is larger than 64 KiB");
	free(large);

	write_bytes(conf_path, "[jobs]\n\0#", 9);
	loaded = load((struct config_sources){ 0 });
	assert_int_equal(loaded.r, -EINVAL);
	assert_says(&loaded, "@/conf contains a NUL byte");

	/* A pipe that nobody writes to must not hold up a reload. */
	write_conf("");
	assert_int_equal(mkfifo(shim_path, 0600), 0);
	load_good((struct config_sources){ 0 });
}

/* The keys of contrib/jobfence.conf: "#key = value" under "[section]". */
static size_t uncomment_example(char *out, size_t size)
{
	_cleanup_fclose_ FILE *file = fopen(SOURCE_DIR "/contrib/jobfence.conf", "r");
	char line[256];
	size_t used = 0, keys_n = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		bool key = line[0] == '#' && line[1] >= 'a' && line[1] <= 'z';

		if (key && strncmp(line, "#environment_file = ", 20) == 0) {
			assert_string_equal(line + 20, CONFIG_ENVIRONMENT_FILE_DEFAULT "\n");
			snprintf(line, sizeof(line), "#environment_file = %s\n", env_path);
		} else if (key && strncmp(line, "#shim_env = ", 12) == 0) {
			assert_string_equal(line + 12, CONFIG_SHIM_ENV_DEFAULT "\n");
			snprintf(line, sizeof(line), "#shim_env = %s\n", shim_path);
		}
		keys_n += key;
		used += (size_t)snprintf(out + used, size - used, "%s", line + key);
		assert_true(used < size);
	}
	return keys_n;
}

static void test_example_is_the_defaults(void **state)
{
	struct loaded loaded;
	char text[16384];
	size_t keys_n = uncomment_example(text, sizeof(text));

	assert_int_equal(keys_n, 42);
	write_file(conf_path, text);
	loaded = load_good((struct config_sources){ 0 });
	assert_equals_defaults(&loaded.config);
}

/* What the messages list is all that exists; each of it stands in the example, in its section. */
static void test_example_has_every_key(void **state)
{
	static const char *const sections[] = { "jobs",     "environment", "ports",   "docker",
						"cgroup",   "nftables",    "marks",   "egress",
						"metadata", "enforce",     "confine", "log" };
	size_t listed_n = 0;
	char text[16384];

	uncomment_example(text, sizeof(text));
	assert_refused("[x]\nx = 1\n", "sections are jobs, environment, ports, docker, cgroup, "
				       "nftables, "
				       "marks, egress, metadata, job \"PATTERN\", confine, "
				       "enforce, log");
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		char conf[64], names[128], *start, *end, *rest;
		struct loaded loaded;

		snprintf(conf, sizeof(conf), "[%s]\nnone = 1\n", sections[i]);
		write_conf(conf);
		loaded = load((struct config_sources){ 0 });
		assert_int_equal(loaded.r, -EINVAL);
		rest = strstr(loaded.diag.text, "its keys are ");
		assert_non_null(rest);
		snprintf(names, sizeof(names), "%s", rest + strlen("its keys are "));

		snprintf(conf, sizeof(conf), "\n[%s]\n", sections[i]);
		start = strstr(text, conf);
		assert_non_null(start);
		end = strstr(start + 2, "\n[") ?: start + strlen(start);
		for (char *name = strtok_r(names, ", ", &rest); name;
		     name = strtok_r(NULL, ", ", &rest)) {
			char *found;

			snprintf(conf, sizeof(conf), "\n%s =", name);
			found = strstr(start, conf);
			if (!found || found > end)
				fail_msg("[%s] %s is not in the example", sections[i], name);
			listed_n++;
		}
	}
	assert_int_equal(listed_n, 42);
}

static void test_every_key_counts(void **state)
{
	struct loaded loaded;

	write_conf("  [jobs]\n  on_violation=fence ; remark\nunconfinable = quarantine\n"
		   "[ports]\nshim = 1\ndcgm = 65535\nrunner: 3\nrunner_ssh = 4\n"
		   "[docker]\nsocket = unix:///run/other.sock\nbridges = br-a, docker0\tbr.1@x\n"
		   "[cgroup]\ndriver = systemd\nrequired = no\nparent = jobs.slice\n"
		   "engine = /system.slice/docker.service/\n"
		   "[nftables]\nowner = no\n[log]\ngroup = 65535\n"
		   "[marks]\nbystander = 1\ncontainer = 65536\nhost = 0X80000000\n");
	loaded = load_good((struct config_sources){ 0 });
	assert_int_equal(loaded.config.on_violation, ON_VIOLATION_FENCE);
	assert_int_equal(loaded.config.unconfinable, UNCONFINABLE_QUARANTINE);
	assert_false(loaded.config.cgroup_required);
	assert_false(loaded.config.own_tables);
	assert_int_equal(loaded.config.log_group, 65535);
	assert_int_equal(loaded.config.ports.shim, 1);
	assert_int_equal(loaded.config.ports.dcgm, 65535);
	assert_int_equal(loaded.config.ports.runner, 3);
	assert_int_equal(loaded.config.ports.runner_ssh, 4);
	assert_string_equal(loaded.config.docker, "/run/other.sock");
	assert_int_equal(loaded.config.bridges_n, 3);
	assert_string_equal(loaded.config.bridges[0], "br-a");
	assert_string_equal(loaded.config.bridges[1], "docker0");
	assert_string_equal(loaded.config.bridges[2], "br.1@x");
	assert_int_equal(loaded.config.cgroup_driver, CGROUP_DRIVER_SYSTEMD);
	assert_string_equal(loaded.config.cgroup_parent, "jobs.slice");
	assert_string_equal(loaded.config.engine_cgroup, "system.slice/docker.service");
	assert_int_equal(loaded.config.mark_bystander, 1);
	assert_int_equal(loaded.config.mark_container, 0x10000);
	assert_int_equal(loaded.config.mark_host, 0x80000000);
	write_conf("[cgroup]\ndriver = cgroupfs\nparent = /a/b\n[log]\ngroup = 0\n");
	loaded = load_good((struct config_sources){ 0 });
	assert_int_equal(loaded.config.log_group, 0);
	assert_int_equal(loaded.config.cgroup_driver, CGROUP_DRIVER_CGROUPFS);
	assert_string_equal(loaded.config.cgroup_parent, "a/b");
}

static void test_what_is_unknown(void **state)
{
	assert_refused("[ports]\nshim = 1\nshin = 2\n", "@/conf:6: [ports] has no key \"shin\"; "
							"its keys are shim, dcgm, runner, "
							"runner_ssh, guarded, fenced");
	assert_refused("[port]\n\n# remark\nshim = 1\n", "@/conf:7: there is no section [port] "
							 "(key \"shim\"); sections are ");
	assert_refused("[Ports]\nshim = 1\n", "@/conf:5: there is no section [Ports]");
	assert_refused("[ports]\nSHIM = 1\n", "@/conf:5: [ports] has no key \"SHIM\"");
	assert_refused("[jobs]\nnetwork_mode = 3\n", "@/conf:5: [jobs] has no key "
						     "\"network_mode\"; its keys are on_violation, "
						     "unconfinable");
	assert_refused("[ports]\nsh\x1b[2Jim\" = 1\n", "no key \"sh?[2Jim?\"");
	write_file(conf_path, "shim = 1\n");
	struct loaded loaded = load((struct config_sources){ 0 });
	assert_int_equal(loaded.r, -EINVAL);
	assert_says(&loaded, "@/conf:1: the key \"shim\" stands before any section");
}

static void test_what_is_no_ini(void **state)
{
	char line[512] = "[ports]\n";

	assert_refused("[ports]\nshim\n", "@/conf:5: the line is neither");
	assert_refused("[ports\nshim = 1\n", "@/conf:4: the line is neither");
	/* The first error is the one that is told. */
	assert_refused("rubbish\n[ports]\nshim = 0\n", "@/conf:4: the line is neither");
	assert_refused("[ports]\nshim = 0\nrubbish\n", "@/conf:5: [ports] shim = \"0\"");
	assert_refused("[ports]\nshim = 1\nshim = 1\n", "@/conf:6: [ports] shim is already set on "
							"line 5; keep one of them");
	/* Indented lines are lines, no second value of the one above. */
	assert_refused("[ports]\nshim = 1\n  dcgm = x\n", "@/conf:6: [ports] dcgm = \"x\"");

	memset(line + 8, ' ', 300);
	line[9] = '#';
	assert_int_equal(strlen(line), 308);
	memset(line + 10, 'x', 297);
	assert_refused(line, "@/conf:5: the line is longer than 199 bytes");
	line[8 + 199] = '\0';
	line[8] = '#';
	write_conf(line);
	load_good((struct config_sources){ 0 });
}

static void test_bad_values(void **state)
{
	static const struct {
		const char *section, *key, *value, *says;
	} cases[] = {
		{ "jobs", "on_violation", "Quarantine", "must be quarantine or fence" },
		{ "jobs", "unconfinable", "no", "must be report or quarantine" },
		{ "cgroup", "required", "true", "must be yes or no" },
		{ "jobs", "on_violation", "", "must be quarantine or fence" },
		{ "ports", "shim", "0", "must be a TCP port, 1 to 65535" },
		{ "ports", "shim", "65536", "must be a TCP port" },
		{ "ports", "shim", "4294977294", "must be a TCP port" },
		{ "ports", "shim", "18446744073709562614", "must be a TCP port" },
		{ "ports", "dcgm", "-1", "must be a TCP port" },
		{ "log", "group", "65536", "must be an NFLOG group, 1 to 65535, or 0" },
		{ "log", "group", "-1", "must be an NFLOG group" },
		{ "log", "group", "", "must be an NFLOG group" },
		{ "log", "group", "no", "must be an NFLOG group" },
		{ "ports", "dcgm", "+1", "must be a TCP port" },
		{ "ports", "dcgm", "", "must be a TCP port" },
		{ "ports", "runner", "010999", "must be a TCP port" },
		{ "ports", "runner", "0x2af7", "must be a TCP port" },
		{ "ports", "runner", "2af7", "must be a TCP port" },
		{ "ports", "runner_ssh", "22 # ssh", "must be a TCP port" },
		{ "ports", "runner_ssh", "\"22\"", "must be a TCP port" },
		{ "docker", "socket", "/var/run/docker.sock", "write unix:// and" },
		{ "docker", "socket", "tcp://127.0.0.1:2375", "over its unix socket only" },
		{ "docker", "socket", "unix:///run/\x1b[2J", "has control characters" },
		{ "docker", "socket", "unix:///run/\xff", "has control characters" },
		{ "docker", "bridges", "", "must be names of interfaces" },
		{ "docker", "bridges", ", ,", "must be names of interfaces" },
		{ "docker", "bridges", "a234567890123456", "must be names of interfaces" },
		{ "docker", "bridges", "docker0 a/b", "must be names of interfaces" },
		{ "docker", "bridges", "docker0 br*", "must be names of interfaces" },
		{ "docker", "bridges", "a:1", "must be names of interfaces" },
		{ "docker", "bridges", ".", "must be names of interfaces" },
		{ "docker", "bridges", "..", "must be names of interfaces" },
		{ "docker", "bridges", "br\xc3\xa4", "must be names of interfaces" },
		{ "docker", "bridges", "br0 docker0,br0", "one name stands there twice" },
		{ "docker", "bridges",
		  "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6",
		  "at most 32 bridges" },
		{ "cgroup", "driver", "cgroup", "must be auto, cgroupfs or systemd" },
		{ "cgroup", "driver", "", "must be auto, cgroupfs or systemd" },
		{ "cgroup", "parent", "/", "the root of the hierarchy" },
		{ "cgroup", "parent", "//", "the root of the hierarchy" },
		{ "cgroup", "parent", "a/../b", "must be a path below the cgroup root" },
		{ "cgroup", "parent", "a//b", "must be a path below the cgroup root" },
		{ "cgroup", "parent", "./a", "must be a path below the cgroup root" },
		{ "cgroup", "engine", "a b", "must be a path below the cgroup root" },
		{ "cgroup", "engine", "a\\b", "such as system.slice/docker.service" },
		{ "marks", "bystander", "0", "must be a number with exactly one bit set" },
		{ "marks", "bystander", "0x", "must be a number with exactly one bit set" },
		{ "marks", "bystander", "3", "must be a number with exactly one bit set" },
		{ "marks", "bystander", "0x100000000", "must be a number with exactly one bit" },
		{ "marks", "container", "0x30000000", "must be a number with exactly one bit" },
		{ "marks", "container", "0x8000", "low 16 bits of the conntrack mark" },
		{ "marks", "host", "1", "low 16 bits of the conntrack mark" },
		{ "marks", "host", "0x10000000g", "must be a number with exactly one bit" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char conf[256], says[128];
		const char *key = cases[i].key, *value = cases[i].value;

		snprintf(conf, sizeof(conf), "[%s]\n%s = %s\n", cases[i].section, key, value);
		assert_refused(conf, cases[i].says);
		snprintf(says, sizeof(says), "@/conf:5: [%s] %s = \"", cases[i].section, key);
		assert_refused(conf, says);
	}
}

static void test_bad_paths(void **state)
{
	char conf[400], path[200] = "";
	struct loaded loaded;

	write_file(conf_path, "[environment]\nshim_env = etc/x\n");
	loaded = load((struct config_sources){ 0 });
	assert_int_equal(loaded.r, -EINVAL);
	assert_says(&loaded, "@/conf:2: [environment] shim_env = \"etc/x\": must be an absolute");
	write_file(conf_path, "[environment]\nenvironment_file =\n");
	loaded = load((struct config_sources){ 0 });
	assert_int_equal(loaded.r, -EINVAL);
	assert_says(&loaded, "@/conf:2: [environment] environment_file = \"\": must be an "
			     "absolute");

	/* it is shown in the log: a line that goes back, a direction that turns */
	write_file(conf_path, "[environment]\nshim_env = /run/\x1b[2K\n");
	loaded = load((struct config_sources){ 0 });
	assert_says(&loaded, "absolute path shorter than 256 bytes, without control characters");
	write_file(conf_path, "[environment]\nenvironment_file = /run/\xe2\x80\xae\n");
	loaded = load((struct config_sources){ 0 });
	assert_says(&loaded, "without control characters");

	memset(path, 'x', 107);
	path[0] = '/';
	snprintf(conf, sizeof(conf), "[docker]\nsocket = unix://%s\n", path);
	write_conf(conf);
	loaded = load_good((struct config_sources){ 0 });
	assert_string_equal(loaded.config.docker, path);
	path[107] = 'x';
	snprintf(conf, sizeof(conf), "[docker]\nsocket = unix://%s\n", path);
	assert_refused(conf, "longer than the 107 bytes");
}

static void test_marks_must_differ(void **state)
{
	assert_refused("[marks]\ncontainer = 0x40000000\n\nhost = 0x40000000\n", "@/conf:7: "
										 "[marks] "
										 "container and "
										 "host are both "
										 "0x40000000");
	assert_refused("[marks]\nhost = 0x10000000\n", "@/conf:5: [marks] container and host are "
						       "both 0x10000000");
	assert_refused("[marks]\ncontainer = 0x20000000\n", "@/conf:5: [marks] container and host "
							    "are both 0x20000000");
	/* The packet mark is another number. */
	write_conf("[marks]\nbystander = 0x20000000\n");
	load_good((struct config_sources){ 0 });
}

static void test_slice_for_systemd(void **state)
{
	assert_refused("[cgroup]\nparent = docker\ndriver = systemd\n", "@/conf:5: [cgroup] parent "
									"= \"docker\": with driver "
									"= systemd it must be");
	assert_refused("[cgroup]\nparent = a.slice/b.slice\ndriver = systemd\n", "with driver = "
										 "systemd");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		TEST(test_no_files),
		TEST(test_named_file_must_exist),
		TEST(test_files_that_are_no_text),
		TEST(test_example_is_the_defaults),
		TEST(test_example_has_every_key),
		TEST(test_every_key_counts),
		TEST(test_what_is_unknown),
		TEST(test_what_is_no_ini),
		TEST(test_bad_values),
		TEST(test_bad_paths),
		TEST(test_marks_must_differ),
		TEST(test_slice_for_systemd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
