/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The link watch against a kernel, in network and mount namespaces of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "jobfence/link.h"

#define SKIP 77
#define IDLE_US (100 * 1000)

struct fixture {
	sd_event *event;
	struct link_watch *watch;
	unsigned int calls;
	pid_t guest; /* holds a second namespace */
	bool lossy;  /* the test makes notifications get lost; in others none may */
	bool any_loss;
};

static void run(const char *fmt, ...) _printf_(1, 2);
static void run(const char *fmt, ...)
{
	char command[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void on_changed(struct link_watch *watch, void *data)
{
	struct fixture *fixture = data;

	fixture->calls++;
}

static void pump(struct fixture *fixture)
{
	for (int i = 0; i < 100000; i++)
		if (sd_event_run(fixture->event, IDLE_US) == 0)
			return;
	fail_msg("the loop never became idle");
}

static const struct link *find(const struct link_watch *watch, const char *name)
{
	size_t n;
	const struct link *links = link_watch_list(watch, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(links[i].name, name) == 0)
			return &links[i];
	return NULL;
}

/* A process that sleeps in a network namespace of its own. */
static pid_t guest_new(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void guest_end(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

/* Each test starts in a fresh namespace. */
static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct diag diag = { 0 };

	assert_non_null(fixture);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fixture->guest = guest_new();
	assert_true(sd_event_new(&fixture->event) >= 0);
	if (link_watch_new(fixture->event, on_changed, fixture, &fixture->watch, &diag) < 0)
		fail_msg("%s", diag.text);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->lossy)
		assert_true(link_watch_losses(fixture->watch) > 0);
	else if (!fixture->any_loss)
		assert_int_equal(link_watch_losses(fixture->watch), 0);
	link_watch_free(fixture->watch);
	sd_event_unref(fixture->event);
	guest_end(&fixture->guest);
	free(fixture);
	return 0;
}

static void assert_same_as_fresh_dump(struct link_watch *watch)
{
	_cleanup_(link_watch_freep) struct link_watch *fresh = NULL;
	const struct link *have, *want;
	size_t have_n, want_n;

	assert_int_equal(link_watch_new(NULL, NULL, NULL, &fresh, NULL), 0);
	have = link_watch_list(watch, &have_n);
	want = link_watch_list(fresh, &want_n);
	assert_int_equal(have_n, want_n);
	for (size_t i = 0; i < want_n; i++) {
		assert_int_equal(have[i].ifindex, want[i].ifindex);
		assert_string_equal(have[i].name, want[i].name);
		assert_string_equal(have[i].kind, want[i].kind);
		assert_int_equal(have[i].master, want[i].master);
		assert_int_equal(have[i].nsid, want[i].nsid);
		assert_int_equal(have[i].peer_ifindex, want[i].peer_ifindex);
		assert_int_equal(mac_addr_cmp(&have[i].mac, &want[i].mac), 0);
		assert_int_equal(mac_addr_cmp(&have[i].peer_mac, &want[i].peer_mac), 0);
	}
}

static void test_follows_links(void **state)
{
	struct fixture *fixture = *state;
	int ifindex, bridge;

	assert_non_null(find(fixture->watch, "lo"));
	run("ip link add br0 type bridge && ip link add v0 type veth peer name v1");
	pump(fixture);
	bridge = find(fixture->watch, "br0")->ifindex;
	assert_string_equal(find(fixture->watch, "br0")->kind, "bridge");
	assert_string_equal(find(fixture->watch, "v0")->kind, "veth");
	assert_int_equal(find(fixture->watch, "v0")->nsid, -1);
	assert_int_equal(find(fixture->watch, "v0")->peer_ifindex,
			 find(fixture->watch, "v1")->ifindex);
	assert_int_equal(find(fixture->watch, "v1")->peer_ifindex,
			 find(fixture->watch, "v0")->ifindex);
	ifindex = find(fixture->watch, "v0")->ifindex;

	run("ip link set v0 master br0 up && bridge link set dev v0 isolated on");
	pump(fixture);
	assert_int_equal(find(fixture->watch, "v0")->master, bridge);
	assert_string_equal(find(fixture->watch, "v0")->kind, "veth");

	run("ip link set v0 down && ip link set v0 name renamed");
	pump(fixture);
	assert_null(find(fixture->watch, "v0"));
	assert_int_equal(find(fixture->watch, "renamed")->ifindex, ifindex);

	/* The bridge says DELLINK for the port that leaves: the link is still there. */
	run("ip link set renamed nomaster address 02:00:00:00:00:77");
	pump(fixture);
	assert_non_null(find(fixture->watch, "renamed"));
	assert_int_equal(find(fixture->watch, "renamed")->master, 0);
	assert_int_equal(find(fixture->watch, "renamed")->mac.bytes[5], 0x77);
	assert_same_as_fresh_dump(fixture->watch);

	run("ip link del renamed && ip link del br0");
	pump(fixture);
	assert_null(find(fixture->watch, "renamed"));
	assert_null(find(fixture->watch, "v1"));
	assert_null(find(fixture->watch, "br0"));
}

static void test_one_call_for_many_changes(void **state)
{
	struct fixture *fixture = *state;

	run("for i in $(seq 60); do echo link add d$i type bridge; done | ip -batch -");
	pump(fixture);
	assert_non_null(find(fixture->watch, "d60"));
	assert_in_range(fixture->calls, 1, 3);
	/* None for what no record shows. */
	fixture->calls = 0;
	run("ip link set d1 mtu 1400 && ip link set d1 alias none");
	pump(fixture);
	assert_int_equal(fixture->calls, 0);
}

/* As Docker 20.10 does it: both ends here, then one moves. Nothing announces the end that stays. */
static void test_peer_moves_away(void **state)
{
	struct fixture *fixture = *state;
	char key[64];
	int nsid;

	run("ip link add v0 type veth peer name v1 address 02:42:ac:11:00:02");
	pump(fixture);
	fixture->calls = 0;
	run("ip link set v1 netns %d", (int)fixture->guest);
	pump(fixture);
	assert_null(find(fixture->watch, "v1"));
	snprintf(key, sizeof(key), "/proc/%d/ns/net", (int)fixture->guest);
	nsid = link_watch_nsid(fixture->watch, key);
	assert_true(nsid >= 0);
	assert_int_equal(find(fixture->watch, "v0")->nsid, nsid);
	assert_memory_equal(&find(fixture->watch, "v0")->peer_mac, "\2\x42\xac\x11\0\2", 6);
	assert_true(fixture->calls > 0);

	/* And back, under another name. */
	run("nsenter --net=%s ip link set v1 netns %d name back", key, (int)getpid());
	pump(fixture);
	assert_non_null(find(fixture->watch, "back"));
	assert_int_equal(find(fixture->watch, "v0")->nsid, -1);
	assert_false(mac_addr_is_set(&find(fixture->watch, "v0")->peer_mac));
}

/* As Docker 28 does it: the peer is made in its namespace. */
static void test_peer_born_elsewhere(void **state)
{
	struct fixture *fixture = *state;
	int pid = (int)fixture->guest;

	run("ip link add v0 type veth peer name eth0 address 02:42:ac:11:00:03 netns %d", pid);
	pump(fixture);
	assert_true(find(fixture->watch, "v0")->nsid >= 0);
	assert_memory_equal(&find(fixture->watch, "v0")->peer_mac, "\2\x42\xac\x11\0\3", 6);

	/* A new MAC inside is not announced outside: asked for. */
	run("nsenter --net=/proc/%d/ns/net ip link set eth0 address 02:42:ac:11:00:99", pid);
	pump(fixture);
	fixture->calls = 0;
	assert_int_equal(link_watch_refresh_peers(fixture->watch), 0);
	pump(fixture);
	assert_int_equal(fixture->calls, 1);
	assert_memory_equal(&find(fixture->watch, "v0")->peer_mac, "\2\x42\xac\x11\0\x99", 6);
	assert_int_equal(link_watch_refresh_peers(fixture->watch), 0);
	pump(fixture);
	assert_int_equal(fixture->calls, 1);
	assert_same_as_fresh_dump(fixture->watch);

	guest_end(&fixture->guest);
	/* the kernel takes namespaces down when it has time for it */
	for (int i = 0; i < 1000 && find(fixture->watch, "v0"); i++)
		pump(fixture);
	assert_null(find(fixture->watch, "v0"));
}

/* Same index in two namespaces: the one that the id names must answer, not ours. */
static void test_peers_of_two_namespaces(void **state)
{
	struct fixture *fixture = *state;
	pid_t other = guest_new();
	char key[64];

	run("ip link add a0 type veth peer name eth0 address 02:00:00:00:0a:0a netns %d",
	    (int)fixture->guest);
	run("ip link add b0 type veth peer name eth0 address 02:00:00:00:0b:0b netns %d",
	    (int)other);
	pump(fixture);
	assert_int_equal(find(fixture->watch, "a0")->peer_mac.bytes[5], 0x0a);
	assert_int_equal(find(fixture->watch, "b0")->peer_mac.bytes[5], 0x0b);
	snprintf(key, sizeof(key), "/proc/%d/ns/net", (int)other);
	assert_int_equal(link_watch_nsid(fixture->watch, key), find(fixture->watch, "b0")->nsid);
	guest_end(&other);
}

static void test_nsid_of_file(void **state)
{
	struct fixture *fixture = *state;
	char folder[] = "/tmp/jobfence-test-XXXXXX", path[64], key[64];
	pid_t lonely = guest_new();

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file", folder);
	assert_int_equal(link_watch_nsid(fixture->watch, path), -ENOENT);
	run("touch %s", path);
	assert_int_equal(link_watch_nsid(fixture->watch, path), -EINVAL);

	/* What Docker does for NetworkSettings.SandboxKey. */
	run("ip link add v0 type veth peer name eth0 netns %d", (int)fixture->guest);
	snprintf(key, sizeof(key), "/proc/%d/ns/net", (int)fixture->guest);
	assert_int_equal(mount(key, path, "none", MS_BIND, NULL), 0);
	pump(fixture);
	assert_true(link_watch_nsid(fixture->watch, path) >= 0);
	assert_int_equal(link_watch_nsid(fixture->watch, path), find(fixture->watch, "v0")->nsid);
	assert_int_equal(umount(path), 0);

	/* A namespace to which nothing leads has no id; one of another type is an error. */
	snprintf(key, sizeof(key), "/proc/%d/ns/net", (int)lonely);
	assert_int_equal(link_watch_nsid(fixture->watch, key), -ENOENT);
	snprintf(key, sizeof(key), "/proc/%d/ns/mnt", (int)lonely);
	assert_int_equal(link_watch_nsid(fixture->watch, key), -EINVAL);
	/* The socket still answers. */
	snprintf(key, sizeof(key), "/proc/%d/ns/net", (int)fixture->guest);
	assert_int_equal(link_watch_nsid(fixture->watch, key), find(fixture->watch, "v0")->nsid);

	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(link_watch_nsid(fixture->watch, path), -EINVAL); /* and does not wait */
	unlink(path);
	rmdir(folder);
	guest_end(&lonely);
}

/* The watch's own socket is the one that is a member of RTNLGRP_LINK. */
static int find_notify_fd(void)
{
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_nl address = { 0 };
		socklen_t len = sizeof(address);

		if (getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
		    address.nl_family == AF_NETLINK && address.nl_groups & RTMGRP_LINK)
			return fd;
	}
	return -1;
}

static void test_lost_messages(void **state)
{
	struct fixture *fixture = *state;
	int bytes = 4096, fd = find_notify_fd();

	fixture->lossy = true;
	assert_true(fd >= 0);
	run("ip link add gone type bridge");
	run("ip link add v0 type veth peer name eth0 address 02:42:ac:11:00:05 netns %d",
	    (int)fixture->guest);
	pump(fixture);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
	/* Few additions, renames and deletions: each waits for a grace period of the kernel. */
	run("( for i in $(seq 40); do echo link add l$i type bridge; done; "
	    "for i in $(seq 40); do echo link set l$i name m$i; done; "
	    "for i in $(seq 2000); do "
	    "echo link set m$((i %% 40 + 1)) address 02:00:00:00:$((i %% 90 + 10)):01; done; "
	    "for i in $(seq 39); do echo link del m$i; done; echo link del gone ) | ip -batch -");
	pump(fixture);
	assert_non_null(find(fixture->watch, "m40"));
	assert_null(find(fixture->watch, "gone"));
	assert_int_equal(find(fixture->watch, "v0")->peer_mac.bytes[5], 5);
	assert_true(fixture->calls > 0);
	assert_same_as_fresh_dump(fixture->watch);

	/* And goes on following afterwards. */
	run("ip link add after type bridge");
	pump(fixture);
	assert_non_null(find(fixture->watch, "after"));
}

/* Links come and go while they are listed: the end is right all the same. */
static void test_churn_while_reading(void **state)
{
	struct fixture *fixture = *state;
	int bytes = 4096, status;
	pid_t pid = fork();

	fixture->any_loss = true;
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c",
		      "for r in $(seq 5); do ( for i in $(seq 15); do echo link add c$i type "
		      "bridge; "
		      "done; for i in $(seq 15); do echo link del c$i; done ) | ip -batch -; done; "
		      "ip link add last type bridge",
		      (char *)NULL);
		_exit(127);
	}
	assert_int_equal(setsockopt(find_notify_fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)),
			 0);
	while (waitpid(pid, &status, WNOHANG) == 0)
		sd_event_run(fixture->event, 1000);
	assert_int_equal(status, 0);
	for (int i = 0; i < 10 && !find(fixture->watch, "last"); i++)
		pump(fixture);
	assert_non_null(find(fixture->watch, "last"));
	assert_same_as_fresh_dump(fixture->watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_follows_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_call_for_many_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer_moves_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer_born_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peers_of_two_namespaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nsid_of_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_churn_while_reading, setup, teardown),
	};

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
		return SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
