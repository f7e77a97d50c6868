/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which source decides the ports, the mode and the engine, at start and on reload. */
#include "jobfence/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "config_files_fixture.h"

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
