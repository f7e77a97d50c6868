/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process that connects, in a network namespace of its own: what it sees of a listener, of a closed
 * port and of nobody, that it stands nowhere else than it was told, and that it leaves nothing behind.
 */
#include <arpa/inet.h>
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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "../../src/probe-internal.h"

#define SKIP 77

static struct sock_addr target(const char *addr, uint16_t port)
{
	struct sock_addr to = { .port = port };

	assert_int_equal(ip_addr_parse(addr, &to.ip), 0);
	return to;
}

/* A listener on a port that the kernel chooses. */
static int listen_on(const char *addr, uint16_t *ret_port)
{
	struct sockaddr_storage local = { 0 };
	struct sockaddr_in *four = (struct sockaddr_in *)&local;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&local;
	bool is_six = strchr(addr, ':');
	socklen_t len = is_six ? sizeof(*six) : sizeof(*four);
	int fd = socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	local.ss_family = is_six ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(local.ss_family, addr,
				   is_six ? (void *)&six->sin6_addr : (void *)&four->sin_addr),
			 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&local, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&local, &len), 0);
	*ret_port = ntohs(is_six ? six->sin6_port : four->sin_port);
	return fd;
}

static enum attempt ask(struct prober *prober, const char *addr, uint16_t port)
{
	const struct sock_addr to = target(addr, port);
	enum attempt attempt = ATTEMPT_NONE;
	int error;

	assert_int_equal(prober_ask(prober, &to, 500), 0);
	assert_int_equal(prober_answer(prober, 5000, &attempt, &error), 1);
	return attempt;
}

static void connects_and_says_nothing(void **state)
{
	struct prober prober = { 0 };
	struct diag diag;
	uint16_t port, port6;
	_cleanup_close_ int fd = listen_on("127.0.0.1", &port);
	_cleanup_close_ _unused_ int fd6 = listen_on("::1", &port6);
	char byte;

	assert_int_equal(prober_start(NULL, true, NULL, &prober, &diag), 0);
	assert_int_equal(ask(&prober, "127.0.0.1", port), ATTEMPT_CONNECTED);
	assert_int_equal(ask(&prober, "::1", port6), ATTEMPT_CONNECTED);
	/* it was reset before a byte came */
	int peer = accept(fd, NULL, NULL);

	assert_true(peer >= 0);
	assert_int_equal(recv(peer, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(peer);
	close(fd);
	fd = -1;
	assert_int_equal(ask(&prober, "127.0.0.1", port), ATTEMPT_REFUSED);
	/* no route leads there: nothing was sent */
	assert_int_equal(ask(&prober, "198.51.100.1", 80), ATTEMPT_NONE);
	assert_int_equal(ask(&prober, "2001:db8::1", 80), ATTEMPT_NONE);
	prober_stop(&prober);
	assert_int_equal(prober.pid, 0);
}

static size_t neighbours(void)
{
	FILE *file = popen("ip neigh show dev probe0 | wc -l", "r");
	size_t n = 99;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%zu", &n), 1);
	pclose(file);
	return n;
}

/* Nobody answers: it is given up when the parent says so, and the question is taken back. */
static void gives_up(void **state)
{
	const struct sock_addr four = target("192.0.2.9", 80), six = target("2001:db8:9::9", 80);
	const struct sock_addr *const both[] = { &four, &six };
	struct prober prober = { 0 };
	struct diag diag;

	assert_int_equal(system("ip link add probe0 type veth peer name probe1 && "
				"ip link set probe0 up && ip link set probe1 up && "
				"ip addr add 192.0.2.1/24 dev probe0 && "
				"ip addr add 2001:db8:9::1/64 dev probe0 nodad"),
			 0);
	assert_int_equal(prober_start(NULL, true, NULL, &prober, &diag), 0);
	for (size_t i = 0; i < 2; i++) {
		enum attempt attempt = ATTEMPT_NONE;
		int error;

		assert_int_equal(prober_ask(&prober, both[i], 5000), 0);
		assert_int_equal(prober_answer(&prober, 50, &attempt, &error), 0);
		assert_int_equal(neighbours(), 1);
		assert_int_equal(prober_cancel(&prober), 0);
		assert_int_equal(prober_answer(&prober, 1000, &attempt, &error), 1);
		assert_int_equal(attempt, ATTEMPT_SILENT);
		assert_int_equal(neighbours(), 0);
	}
	/* a cancel that came too late is none for the next one */
	assert_int_equal(prober_cancel(&prober), 0);
	assert_int_equal(ask(&prober, "127.0.0.1", 1), ATTEMPT_REFUSED);
	prober_stop(&prober);
	assert_int_equal(system("ip link del probe0"), 0);
}

/* A number is not enough: it has to be the container's process, where the engine has it. */
static void stands_nowhere_else(void **state)
{
	char id[CONTAINER_ID_LEN + 1] = "";
	struct container container = { .id = id, .pid = getpid() };
	struct prober prober = { 0 };
	struct diag diag;
	pid_t pid;

	memset(id, 'a', CONTAINER_ID_LEN);
	assert_int_equal(prober_start(&container, true, NULL, &prober, &diag), -ESRCH);
	assert_false(prober_is_there(&container));
	container.pid = 0;
	assert_int_equal(prober_start(&container, false, NULL, &prober, &diag), -ESRCH);
	pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	container.pid = pid;
	assert_int_equal(prober_start(&container, false, NULL, &prober, &diag), -ESRCH);
	assert_int_equal(prober.pid, 0);
}

/* Whatever becomes of the parent. */
static void ends_with_its_parent(void **state)
{
	int pair[2];
	pid_t parent, child = 0;
	char path[64];

	assert_int_equal(pipe(pair), 0);
	parent = fork();
	if (parent == 0) {
		struct prober prober = { 0 };
		struct diag diag;

		if (prober_start(NULL, true, NULL, &prober, &diag) < 0 ||
		    write(pair[1], &prober.pid, sizeof(prober.pid)) < 0)
			_exit(1);
		pause();
	}
	assert_int_equal(read(pair[0], &child, sizeof(child)), sizeof(child));
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
	for (int i = 0; i < 200; i++) {
		char text[256] = "";
		FILE *file = fopen(path, "re");

		if (file) {
			(void)!fread(text, 1, sizeof(text) - 1, file);
			fclose(file);
		}
		/* gone, or waiting for a parent of all to reap it */
		if (!file || strstr(text, ") Z "))
			return;
		usleep(10000);
	}
	fail_msg("%d is still there", (int)child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connects_and_says_nothing),
		cmocka_unit_test(gives_up),
		cmocka_unit_test(stands_nowhere_else),
		cmocka_unit_test(ends_with_its_parent),
	};

	if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0) {
		fprintf(stderr, "needs root\n");
		return SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
