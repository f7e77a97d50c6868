/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each test writes its files into a folder of its own; nothing of the host's is read. */
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

static char folder[64];
static char conf_path[96], env_path[96], shim_path[96];

static int make_folder(void **state)
{
	strcpy(folder, "/tmp/jobfence-config-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(conf_path, sizeof(conf_path), "%s/conf", folder);
	snprintf(env_path, sizeof(env_path), "%s/env", folder);
	snprintf(shim_path, sizeof(shim_path), "%s/shim", folder);
	return 0;
}

static int remove_folder(void **state)
{
	unlink(conf_path);
	unlink(env_path);
	unlink(shim_path);
	return rmdir(folder);
}

static void write_bytes(const char *path, const char *bytes, size_t n)
{
	_cleanup_fclose_ FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
}

/* NULL: no such file. */
static void write_file(const char *path, const char *text)
{
	if (text)
		write_bytes(path, text, strlen(text));
	else
		unlink(path);
}

/* Line 1 and 2 and 3 name the files of the test; @text starts on line 4. */
static void write_conf(const char *text)
{
	char all[4096];

	snprintf(all, sizeof(all), "[environment]\nenvironment_file = %s\nshim_env = %s\n%s",
		 env_path, shim_path, text);
	write_file(conf_path, all);
}

struct loaded {
	int r;
	struct config config;
	struct config_origin origin;
	struct diag diag;
};

/* What load() must leave alone on failure. */
static void fill(struct loaded *loaded)
{
	memset(loaded, 0, sizeof(*loaded));
	memset(&loaded->config, 0xa5, sizeof(loaded->config));
	memset(&loaded->origin, 0x5a, sizeof(loaded->origin));
}

static struct loaded load(struct config_sources sources)
{
	struct loaded loaded, before;

	fill(&loaded);
	fill(&before);
	if (!sources.path)
		sources.path = conf_path;
	loaded.r = config_load(&sources, &loaded.config, &loaded.origin, &loaded.diag);
	if (loaded.r < 0) {
		assert_memory_equal(&loaded.config, &before.config, sizeof(before.config));
		assert_memory_equal(&loaded.origin, &before.origin, sizeof(before.origin));
		assert_string_not_equal(loaded.diag.text, "");
	} else {
		assert_string_equal(loaded.diag.text, "");
	}
	return loaded;
}

static struct loaded load_good(struct config_sources sources)
{
	struct loaded loaded = load(sources);

	if (loaded.r != 0)
		fail_msg("refused: %s", loaded.diag.text);
	return loaded;
}

/* In what the diag says, @expected has "@" for the folder. */
static void assert_says(const struct loaded *loaded, const char *expected)
{
	char said[600] = "";
	size_t n = 0;

	for (const char *p = loaded->diag.text; *p; n++) {
		bool is_folder = strncmp(p, folder, strlen(folder)) == 0;

		said[n] = is_folder ? '@' : *p;
		p += is_folder ? strlen(folder) : 1;
	}
	if (!strstr(said, expected))
		fail_msg("\"%s\"\n   lacks \"%s\"", said, expected);
}

static void assert_refused(const char *conf, const char *expected)
{
	struct loaded loaded;

	write_conf(conf);
	loaded = load((struct config_sources){ 0 });
	if (loaded.r != -EINVAL)
		fail_msg("%d instead of -EINVAL for: %s", loaded.r, conf);
	assert_says(&loaded, expected);
}

static void assert_equals_defaults(const struct config *config)
{
	struct config defaults;

	config_defaults(&defaults);
	assert_int_equal(config->mode, defaults.mode);
	assert_int_equal(config->on_violation, defaults.on_violation);
	assert_int_equal(config->unconfinable, defaults.unconfinable);
	assert_int_equal(config->cgroup_required, defaults.cgroup_required);
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

	assert_int_equal(keys_n, 40);
	write_file(conf_path, text);
	loaded = load_good((struct config_sources){ 0 });
	assert_equals_defaults(&loaded.config);
}

/* What the messages list is all that exists; each of it stands in the example, in its section. */
static void test_example_has_every_key(void **state)
{
	static const char *const sections[] = { "jobs",    "environment", "ports",  "docker",
						"cgroup",  "marks",       "egress", "metadata",
						"enforce", "confine" };
	size_t listed_n = 0;
	char text[16384];

	uncomment_example(text, sizeof(text));
	assert_refused("[x]\nx = 1\n", "sections are jobs, environment, ports, docker, cgroup, "
				       "marks, egress, metadata, job \"PATTERN\", confine, "
				       "enforce");
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
	assert_int_equal(listed_n, 40);
}

static void test_every_key_counts(void **state)
{
	struct loaded loaded;

	write_conf("  [jobs]\n  on_violation=fence ; remark\nunconfinable = quarantine\n"
		   "[ports]\nshim = 1\ndcgm = 65535\nrunner: 3\nrunner_ssh = 4\n"
		   "[docker]\nsocket = unix:///run/other.sock\nbridges = br-a, docker0\tbr.1@x\n"
		   "[cgroup]\ndriver = systemd\nrequired = no\nparent = jobs.slice\n"
		   "engine = /system.slice/docker.service/\n"
		   "[marks]\nbystander = 1\ncontainer = 65536\nhost = 0X80000000\n");
	loaded = load_good((struct config_sources){ 0 });
	assert_int_equal(loaded.config.on_violation, ON_VIOLATION_FENCE);
	assert_int_equal(loaded.config.unconfinable, UNCONFINABLE_QUARANTINE);
	assert_false(loaded.config.cgroup_required);
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
	write_conf("[cgroup]\ndriver = cgroupfs\nparent = /a/b\n");
	loaded = load_good((struct config_sources){ 0 });
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
		{ "ports", "dcgm", "+1", "must be a TCP port" },
		{ "ports", "dcgm", "", "must be a TCP port" },
		{ "ports", "runner", "010999", "must be a TCP port" },
		{ "ports", "runner", "0x2af7", "must be a TCP port" },
		{ "ports", "runner", "2af7", "must be a TCP port" },
		{ "ports", "runner_ssh", "22 # ssh", "must be a TCP port" },
		{ "ports", "runner_ssh", "\"22\"", "must be a TCP port" },
		{ "docker", "socket", "/var/run/docker.sock", "write unix:// and" },
		{ "docker", "socket", "tcp://127.0.0.1:2375", "over its unix socket only" },
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

static void test_ports_precedence(void **state)
{
	/* 0: not set there */
	static const struct {
		int conf, shim, result;
		const char *origin;
	} cases[] = {
		{ 0, 0, 10999, "dstack's defaults" },
		{ 0, 2000, 2000, "dstack's defaults, @/shim" },
		{ 3000, 0, 3000, "dstack's defaults, @/conf" },
		{ 3000, 2000, 3000, "dstack's defaults, @/conf" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char conf[64] = "", shim[96] = "", expected[160] = "";
		struct loaded loaded;

		if (cases[i].conf)
			snprintf(conf, sizeof(conf), "[ports]\nrunner = %d\n", cases[i].conf);
		if (cases[i].shim)
			snprintf(shim, sizeof(shim), "A=\"b\"\nDSTACK_RUNNER_HTTP_PORT=\"%d\"",
				 cases[i].shim);
		write_conf(conf);
		write_file(shim_path, shim);
		loaded = load_good((struct config_sources){ 0 });
		assert_int_equal(loaded.config.ports.runner, cases[i].result);
		assert_int_equal(loaded.config.ports.shim, 10998);
		for (const char *p = cases[i].origin; *p; p++)
			snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
				 *p == '@' ? "%s" : "%.1s", *p == '@' ? folder : p);
		assert_string_equal(loaded.origin.ports, expected);
	}
}

static void test_shim_env(void **state)
{
	struct loaded loaded;

	write_conf("");
	write_file(shim_path, "DSTACK_SHIM_HOME=\"/root/.dstack\"\n"
			      "DSTACK_SHIM_HTTP_PORT=\"1\"\n"
			      "DSTACK_DCGM_EXPORTER_HTTP_PORT=2\n"
			      "export DSTACK_RUNNER_HTTP_PORT=99\n"
			      "a line that systemd skips\n"
			      "DSTACK_SHIM_HTTP_PORT\n"
			      "DSTACK_RUNNER_HTTP_PORT='3'\n"
			      "DSTACK_RUNNER_SSH_PORT=4\n"
			      "DSTACK_RUNNER_SSH_PORT=5\n"
			      "DSTACK_SERVER_JOB_NETWORK_MODE=3\n");
	loaded = load_good((struct config_sources){ 0 });
	assert_int_equal(loaded.config.ports.shim, 1);
	assert_int_equal(loaded.config.ports.dcgm, 2);
	assert_int_equal(loaded.config.ports.runner, 3);
	assert_int_equal(loaded.config.ports.runner_ssh, 5);
	/* It is the shim's environment, not the server's. */
	assert_int_equal(loaded.config.mode, 2);

	/* Empty is unset to the shim. */
	write_file(shim_path, "DSTACK_SHIM_HTTP_PORT=\"1\"\nDSTACK_SHIM_HTTP_PORT=\"\"\n");
	loaded = load_good((struct config_sources){ 0 });
	assert_int_equal(loaded.config.ports.shim, 10998);
	assert_string_equal(loaded.origin.ports, "dstack's defaults");

	write_file(shim_path, "\n# x\nDSTACK_SHIM_HTTP_PORT=\"http\"\n");
	loaded = load((struct config_sources){ 0 });
	assert_int_equal(loaded.r, -EINVAL);
	assert_says(&loaded, "@/shim:3: DSTACK_SHIM_HTTP_PORT = \"http\": must be a TCP port, 1 to "
			     "65535, in plain decimal; correct it there, or set [ports] shim");
	/* As it says. */
	write_conf("[ports]\nshim = 7\n");
	loaded = load_good((struct config_sources){ 0 });
	assert_int_equal(loaded.config.ports.shim, 7);
}

static void test_ports_must_differ(void **state)
{
	static const char *const names[] = { "shim", "dcgm", "runner", "runner_ssh" };

	for (size_t a = 0; a < ARRAY_SIZE(names); a++) {
		for (size_t b = a + 1; b < ARRAY_SIZE(names); b++) {
			char conf[96], says[160];

			snprintf(conf, sizeof(conf), "[ports]\n%s = 9\n%s = 9\n", names[b],
				 names[a]);
			snprintf(says, sizeof(says),
				 "%s and %s have the same port 9 (@/conf:6; @/conf:5); give each",
				 names[a], names[b]);
			assert_refused(conf, says);
		}
	}
	assert_refused("[ports]\nshim = 10999\n", "shim and runner have the same port 10999 "
						  "(@/conf:5; dstack's default)");
	write_file(shim_path, "\nDSTACK_RUNNER_SSH_PORT=10997\n");
	assert_refused("", "dcgm and runner_ssh have the same port 10997 (dstack's default; "
			   "@/shim:2)");
}

static void test_mode_precedence(void **state)
{
	static const struct {
		const char *variable, *file;
		int mode; /* 0: refused */
		bool wins;
		const char *origin; /* or what is said */
	} cases[] = {
		{ NULL, NULL, 2, false, "default" },
		{ NULL, "", 2, false, "default" },
		{ NULL, "OTHER=3\n", 2, false, "default" },
		{ NULL, "# x\nDSTACK_SERVER_JOB_NETWORK_MODE=3\n", 3, false, "/env:2" },
		{ "1", NULL, 1, true, "environment" },
		{ "1", "", 1, true, "environment" },
		{ "1", "DSTACK_SERVER_JOB_NETWORK_MODE=3\n", 1, true, "environment" },
		{ "3", "DSTACK_SERVER_JOB_NETWORK_MODE=3\n", 3, false, "environment" },
		{ " +0_3", "DSTACK_SERVER_JOB_NETWORK_MODE=\"3 \"\n", 3, false, "environment" },
		/* Unset is not "said 2". */
		{ "2", "", 2, true, "environment" },
		/* What does not decide is not judged. */
		{ "1", "DSTACK_SERVER_JOB_NETWORK_MODE=host\n", 1, true, "environment" },
		{ "1", "rubbish\n", 1, true, "environment" },
		{ "", "DSTACK_SERVER_JOB_NETWORK_MODE=3\n", 0, false,
		  "DSTACK_SERVER_JOB_NETWORK_MODE is \"\"; it must be 1" },
		{ "4", NULL, 0, false, "DSTACK_SERVER_JOB_NETWORK_MODE is \"4\"; it must be 1" },
		{ NULL, "A=1\nDSTACK_SERVER_JOB_NETWORK_MODE=\n", 0, false,
		  "@/env:2: DSTACK_SERVER_JOB_NETWORK_MODE is \"\"; it must be 1" },
		{ NULL, "DSTACK_SERVER_JOB_NETWORK_MODE=host\n", 0, false,
		  "@/env:1: DSTACK_SERVER_JOB_NETWORK_MODE is \"host\"; it must be 1" },
		{ NULL, "\nexport DSTACK_SERVER_JOB_NETWORK_MODE=3\n", 0, false,
		  "@/env:2: \"export DSTACK_SERVER_JOB_NETWORK_MODE\" is no variable" },
		{ NULL, "DSTACK_SERVER_JOB_NETWORK_MODE: 3\n", 0, false,
		  "@/env:1: \"DSTACK_SERVER_JOB_NETWORK_MODE: 3\" is no variable; write "
		  "NAME=value" },
	};

	write_conf("");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct loaded loaded;

		write_file(env_path, cases[i].file);
		loaded = load((struct config_sources){ .mode_variable = cases[i].variable });
		assert_int_equal(loaded.r, cases[i].mode ? 0 : -EINVAL);
		if (!cases[i].mode) {
			assert_says(&loaded, cases[i].origin);
			continue;
		}
		assert_int_equal(loaded.config.mode, cases[i].mode);
		assert_int_equal(loaded.origin.environment_wins, cases[i].wins);
		assert_non_null(strstr(loaded.origin.mode, cases[i].origin));
	}
}

/* Start with one file, change it, reload; the process's variable is what it was. */
static void test_mode_on_reload(void **state)
{
	static const struct {
		const char *variable, *before, *after;
		int mode; /* 0: refused */
	} cases[] = {
		{ NULL, NULL, "3", 3 },
		{ NULL, "3", "1", 1 },
		{ NULL, "3", NULL, 2 },
		{ NULL, "3", "9", 0 },
		/* systemd gave it what the file said: the file counts on. */
		{ "3", "3", "1", 1 },
		{ "3", "3", NULL, 2 },
		{ "3", " +3 ", "1", 1 },
		{ "3", "3", "", 0 },
		/* Somebody overruled the file, and still does. */
		{ "1", "3", "2", 1 },
		{ "1", "3", "host", 1 },
		{ "1", "3", "1", 1 },
		{ "1", NULL, "3", 1 },
		{ "1", "host", "3", 1 },
	};

	write_conf("");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct config_sources sources = { .mode_variable = cases[i].variable };
		struct loaded first, second, third;
		char text[128] = "";

		if (cases[i].before)
			snprintf(text, sizeof(text), NETWORK_MODE_VARIABLE "=\"%s\"\n",
				 cases[i].before);
		write_file(env_path, text);
		first = load_good(sources);

		text[0] = '\0';
		if (cases[i].after)
			snprintf(text, sizeof(text), NETWORK_MODE_VARIABLE "=\"%s\"\n",
				 cases[i].after);
		write_file(env_path, text);
		sources.reload = true;
		sources.previous = &first.origin;
		second = load(sources);
		assert_int_equal(second.r, cases[i].mode ? 0 : -EINVAL);
		if (!cases[i].mode)
			continue;
		assert_int_equal(second.config.mode, cases[i].mode);
		assert_int_equal(second.origin.environment_wins, first.origin.environment_wins);
		/* And the next reload is judged alike. */
		sources.previous = &second.origin;
		third = load_good(sources);
		assert_int_equal(third.config.mode, cases[i].mode);
	}
}

/* What systemd.exec(5) says of EnvironmentFile=, told by the mode or the refused value. */
static void test_environment_file_syntax(void **state)
{
#define M "DSTACK_SERVER_JOB_NETWORK_MODE"
	static const struct {
		const char *text, *value;
	} cases[] = {
		{ M "=x y", "x y" },
		{ "\t " M " = x y \t\r\n", "x y" },
		{ M "=x\r\nB=2\r\n", "x" },
		{ M "='x y'\n", "x y" },
		{ M "=\" x y \"  \n", " x y " },
		{ M "=\"a\"'b'c\n", "abc" },
		{ M "=a'b'\n", "a?b?" },
		{ M "=a\\ \n", "a " },
		{ M "=a\\nb\n", "anb" },
		{ M "=a\\\nb\n", "ab" },
		{ M "=\"a\\\nb\"\n", "ab" },
		{ M "='a\nb'\n", "a?b" },
		{ M "='a\\'b\n", "a?b" },
		{ M "=\"a\\\"\\$\\`\\\\\\n\"\n", "a?$???n" },
		{ M "=a # b\n", "a # b" },
		{ M "=\"a\n", "a?" },
		{ M "=\"a\\", "a?" },
		{ M "=a\\", "a" },
		{ "#" M "=b\n ; x\n" M "=a\n;" M "=c\n", "a" },
		{ M "=a\n" M "=b\n", "b" },
		{ "# x \\\n" M "=a\n", "a" },
		{ "A='\n" M "=b\n'\n" M "=a\n", "a" },
		{ "A=x\\\n" M "=b\n" M "=a\n", "a" },
		{ M "_X=b\nX" M "=b\n" M "=a\n", "a" },
		{ M "==a\n", "=a" },
		{ M "=\n", "" },
		{ M "=", "" },
	};

	write_conf("");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct loaded loaded;
		char says[64];

		write_file(env_path, cases[i].text);
		loaded = load((struct config_sources){ 0 });
		if (loaded.r != -EINVAL)
			fail_msg("case %zu: %d", i, loaded.r);
		snprintf(says, sizeof(says), M " is \"%s\";", cases[i].value);
		assert_says(&loaded, says);
	}
	write_file(env_path, "A='\n\n'\nB=x\\\ny\n\n" M "=9\n");
	struct loaded loaded = load((struct config_sources){ 0 });
	assert_says(&loaded, "@/env:7: " M " is \"9\"");
#undef M
}

static void test_docker_precedence(void **state)
{
	static const struct {
		const char *conf, *host, *option, *path;
	} cases[] = {
		{ NULL, NULL, NULL, "/var/run/docker.sock" },
		{ "unix:///c", NULL, NULL, "/c" },
		{ "unix:///c", "unix:///h", NULL, "/h" },
		{ "unix:///c", "", NULL, "/c" },
		{ NULL, "", NULL, "/var/run/docker.sock" },
		{ NULL, " \n", NULL, "/var/run/docker.sock" },
		{ NULL, " unix:///h\n", NULL, "/h" },
		{ "unix:///c", "unix:///h", "unix:///o", "/o" },
		{ NULL, "tcp://h", "unix:///o", "/o" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct loaded loaded;
		char conf[64] = "";

		if (cases[i].conf)
			snprintf(conf, sizeof(conf), "[docker]\nsocket = %s\n", cases[i].conf);
		write_conf(conf);
		loaded = load_good((struct config_sources){ .docker_host = cases[i].host,
							    .docker_option = cases[i].option });
		assert_string_equal(loaded.config.docker, cases[i].path);
	}
}

static void test_docker_refused(void **state)
{
	static const char *const values[] = {
		"tcp://127.0.0.1:2375",
		"ssh://root@host",
		"npipe:////./pipe/docker_engine",
		"fd://",
		"http://x",
		"https://x",
		"/run/docker.sock",
		"docker.sock",
		"unix:/run/docker.sock",
		"UNIX:///run/x",
		"",
		"127.0.0.1:2375",
	};
	struct loaded loaded;

	write_conf("");
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		loaded = load((struct config_sources){ .docker_option = values[i] });
		assert_int_equal(loaded.r, -EINVAL);
		assert_says(&loaded, "--docker = \"");
		assert_says(&loaded, values[i]);
		assert_says(&loaded, "over its unix socket only");
		assert_says(&loaded, "such as unix:///var/run/docker.sock");
	}
	loaded = load((struct config_sources){ .docker_host = "tcp://127.0.0.1:2375" });
	assert_int_equal(loaded.r, -EINVAL);
	assert_says(&loaded, "DOCKER_HOST = \"tcp://127.0.0.1:2375\": jobfence speaks");
	loaded = load((struct config_sources){ .docker_option = "unix://run/docker.sock" });
	assert_says(&loaded, "must be absolute; write three slashes");
	loaded = load((struct config_sources){ .docker_option = "unix://" });
	assert_says(&loaded, "must be absolute; write three slashes");
}

static void test_parse_docker_respects_size(void **state)
{
	char path[8] = "before";
	struct diag diag = { 0 };

	assert_int_equal(config_parse_docker("x", "unix:///234567", path, sizeof(path), &diag), 0);
	assert_string_equal(path, "/234567");
	assert_int_equal(config_parse_docker("x", "unix:///2345678", path, sizeof(path), &diag),
			 -EINVAL);
	assert_string_equal(path, "/234567");
	assert_non_null(strstr(diag.text, "x = \"unix:///2345678\": the path is longer"));
}

/* root reads everything, so this can only be seen without privileges. */
static struct loaded load_unprivileged(struct config_sources sources)
{
	struct loaded loaded;
	uid_t uid = geteuid();

	if (uid == 0)
		assert_int_equal(seteuid(65534), 0);
	loaded = load(sources);
	if (uid == 0)
		assert_int_equal(seteuid(0), 0);
	/* Changing users cleared it, and the leak sanitizer needs it. */
	prctl(PR_SET_DUMPABLE, 1);
	return loaded;
}

static void test_unreadable_files(void **state)
{
	struct loaded loaded;

	write_conf("");
	write_file(env_path, "");
	write_file(shim_path, "DSTACK_SHIM_HTTP_PORT=1\n");
	assert_int_equal(chmod(folder, 0711), 0);
	assert_int_equal(chmod(conf_path, 0644), 0);
	assert_int_equal(chmod(env_path, 0), 0);
	assert_int_equal(chmod(shim_path, 0), 0);

	loaded = load_unprivileged((struct config_sources){ 0 });
	assert_int_equal(loaded.r, -EACCES);
	assert_says(&loaded, "@/env cannot be opened: Permission denied");

	loaded = load_unprivileged((struct config_sources){ .mode_variable = "3" });
	assert_int_equal(loaded.r, 0);
	assert_int_equal(loaded.config.mode, 3);
	assert_true(loaded.origin.environment_wins);
	assert_int_equal(loaded.config.ports.shim, 10998);
	assert_string_equal(loaded.origin.ports, "dstack's defaults (the shim's environment file "
						 "is not readable)");
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
		TEST(test_ports_precedence),
		TEST(test_shim_env),
		TEST(test_ports_must_differ),
		TEST(test_mode_precedence),
		TEST(test_mode_on_reload),
		TEST(test_environment_file_syntax),
		TEST(test_docker_precedence),
		TEST(test_docker_refused),
		cmocka_unit_test(test_parse_docker_respects_size),
		TEST(test_unreadable_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
