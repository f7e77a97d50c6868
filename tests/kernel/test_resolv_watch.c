/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files that the resolvers come from, in a mount namespace with an /etc and a /run of its own. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "jobfence/resolv_watch.h"

#define SKIP 77
#define IDLE_US (50 * 1000)

struct fixture {
	sd_event *event;
	struct resolv_watch *watch;
	unsigned int calls;
};

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void on_changed(struct resolv_watch *watch, void *data)
{
	struct fixture *fixture = data;

	fixture->calls++;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	assert_int_equal(mount("none", "/etc", "tmpfs", 0, NULL), 0);
	assert_int_equal(mount("none", "/run", "tmpfs", 0, NULL), 0);
	assert_true(sd_event_new(&fixture->event) >= 0);
	run("echo nameserver 10.0.0.1 >/etc/resolv.conf");
	assert_int_equal(resolv_watch_new(fixture->event, on_changed, fixture, &fixture->watch), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	resolv_watch_free(fixture->watch);
	sd_event_unref(fixture->event);
	free(fixture);
	umount2("/run", MNT_DETACH);
	umount2("/etc", MNT_DETACH);
	return 0;
}

static void assert_found(struct fixture *fixture, const char *expected, const char *origin)
{
	const struct resolvers *found = resolv_watch_get(fixture->watch);
	char text[256] = "", addr[IP_ADDR_TEXT_MAX];
	size_t used = 0;

	for (size_t i = 0; i < found->n && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "",
					 ip_addr_text(&found->addr[i], addr));
	assert_string_equal(text, expected);
	assert_string_equal(resolv_watch_origin(fixture->watch), origin);
}

/* Runs @command; then the loop has to bring what is @expected. */
static void assert_follows(struct fixture *fixture, const char *command, const char *expected,
			   const char *origin)
{
	run(command);
	for (int i = 0; i < 1000; i++)
		if (sd_event_run(fixture->event, IDLE_US) == 0)
			break;
	assert_found(fixture, expected, origin);
}

static int on_other(sd_event_source *source, const struct inotify_event *event, void *data)
{
	return 0;
}

/* Another source of the same loop watches the same folder, as the engine's client does /run. */
static void test_shared_folder(void **state)
{
	struct fixture *f = *state;
	sd_event_source *other = NULL;
	int turns = 0;

	assert_true(sd_event_add_inotify(f->event, &other, "/run", IN_CREATE | IN_MOVED_TO,
					 on_other, NULL) >= 0);
	run("echo 1 >/run/docker.pid; rm /run/docker.pid; echo 2 >/run/docker.pid");
	while (turns < 1000 && sd_event_run(f->event, IDLE_US) > 0)
		turns++;
	assert_in_range(turns, 1, 100);
	sd_event_source_unref(other);
}

#define HOST "/etc/resolv.conf"
#define RESOLVED "/run/systemd/resolve/resolv.conf"
#define DAEMON "/etc/docker/daemon.json"

static void test_host_file(void **state)
{
	struct fixture *f = *state;

	assert_found(f, "10.0.0.1", HOST);
	assert_follows(f, "echo nameserver 10.0.0.2 >/etc/resolv.conf", "10.0.0.2", HOST);
	assert_int_equal(f->calls, 1);
	assert_follows(f, "echo x >/etc/another", "10.0.0.2", HOST);
	assert_int_equal(f->calls, 1);
	assert_follows(f, "echo nameserver 10.0.0.3 >/etc/new; mv /etc/new /etc/resolv.conf",
		       "10.0.0.3", HOST);
	assert_follows(f, "rm /etc/resolv.conf", "", HOST);
	assert_follows(f, "mkfifo /etc/resolv.conf", "", HOST);
	assert_follows(f, "rm /etc/resolv.conf; echo nameserver 10.0.0.4 >/etc/resolv.conf",
		       "10.0.0.4", HOST);
}

/* Relative links, over a folder that is not there at first. */
static void test_symbolic_links(void **state)
{
	struct fixture *f = *state;

	assert_follows(f, "ln -sf ../run/made/later/a /etc/resolv.conf", "", HOST);
	assert_follows(f, "mkdir -p /run/made/later", "", HOST);
	assert_follows(f, "ln -s b /run/made/later/a", "", HOST);
	assert_follows(f, "echo nameserver 10.0.0.5 >/run/made/later/b", "10.0.0.5", HOST);
	assert_follows(f, "echo nameserver 10.0.0.6 >/run/made/later/b", "10.0.0.6", HOST);
	assert_follows(f, "ln -sf /etc/resolv.conf /etc/loop; ln -sf loop /etc/resolv.conf", "",
		       HOST);
	assert_follows(f, "rm /etc/resolv.conf; echo nameserver 10.0.0.7 >/etc/resolv.conf",
		       "10.0.0.7", HOST);
}

static void test_stub(void **state)
{
	struct fixture *f = *state;

	assert_follows(f, "echo nameserver 127.0.0.53 >/etc/resolv.conf", "", RESOLVED);
	assert_follows(f, "mkdir -p /run/systemd/resolve; echo nameserver 10.0.0.8 >" RESOLVED,
		       "10.0.0.8", RESOLVED);
	assert_follows(f, "echo nameserver 169.254.169.254 >" RESOLVED, "169.254.169.254",
		       RESOLVED);
	assert_follows(f, "rm -r /run/systemd", "", RESOLVED);
	assert_follows(f, "echo nameserver 127.0.0.1 >/etc/resolv.conf", "", HOST);
}

static void test_daemon_json(void **state)
{
	struct fixture *f = *state;

	assert_follows(f, "mkdir /etc/docker; echo '{\"dns\": [\"10.0.0.9\"]}' >" DAEMON,
		       "10.0.0.9", DAEMON);
	assert_follows(f, "echo '{\"dns\": [\"127.0.0.1\"]}' >" DAEMON, "", DAEMON);
	/* half written, or wrong: the host's file is no answer to what could not be read */
	assert_follows(f, "echo '{\"dns\": [' >" DAEMON, "", DAEMON);
	assert_follows(f, "echo '{\"mtu\": 1400}' >" DAEMON, "10.0.0.1", HOST);
	assert_follows(f, ": >" DAEMON, "10.0.0.1", HOST);
	assert_follows(f, "echo '{\"dns\": [\"10.0.0.9\"]}' >" DAEMON, "10.0.0.9", DAEMON);
	assert_follows(f, "rm -r /etc/docker", "10.0.0.1", HOST);
}

/* A process that is called dockerd, with these words. */
static pid_t dockerd(const char *word, const char *other)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sh", "dockerd", "-c", "echo >/run/runs; while :; do sleep 9; done",
		      word, other, NULL);
		_exit(1);
	}
	for (int i = 0; i < 1000 && access("/run/runs", F_OK) < 0; i++)
		usleep(10000);
	assert_int_equal(unlink("/run/runs"), 0);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_dockerd(void **state)
{
	struct fixture *f = *state;
	char command[64];
	pid_t pid;

	pid = dockerd("--dns", "10.0.0.10");
	resolv_watch_set_engine(f->watch, pid);
	assert_found(f, "10.0.0.10", "dockerd's command line");
	end(pid);

	/* systemd listens: its pid file tells */
	pid = dockerd("--config-file", "/etc/other/daemon.json");
	resolv_watch_set_engine(f->watch, 1);
	assert_found(f, "10.0.0.1", HOST);
	snprintf(command, sizeof(command), "echo %d >/run/docker.pid", (int)pid);
	assert_follows(f, command, "10.0.0.1", HOST);
	assert_follows(f,
		       "mkdir /etc/other; echo '{\"dns\": [\"10.0.0.11\"]}' "
		       ">/etc/other/daemon.json",
		       "10.0.0.11", "/etc/other/daemon.json");
	end(pid);
	assert_follows(f, "rm /run/docker.pid", "10.0.0.1", HOST);
	assert_follows(f, "echo -5 >/run/docker.pid", "10.0.0.1", HOST);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_host_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_symbolic_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stub, setup, teardown),
		cmocka_unit_test_setup_teardown(test_daemon_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dockerd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared_folder, setup, teardown),
	};

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		fprintf(stderr, "cannot make a mount namespace: %s\n", strerror(errno));
		return SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
