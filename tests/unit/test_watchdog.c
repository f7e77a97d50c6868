/* SPDX-License-Identifier: GPL-2.0-or-later */
/* systemd's watchdog is fed while somebody proves that all is alive, and not a moment longer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/run-internal.h"

#define NAME "jobfence-test-watchdog"

static int proof;
static unsigned int proofs;

static int prove(void *data, struct diag *diag)
{
	proofs++;
	return proof < 0 ? diag_set(diag, proof, "the socket is dead") : 0;
}

static int listen_to_notifications(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int len = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, NAME "-%d", getpid());
	char value[128];

	assert_int_equal(
		bind(fd, (struct sockaddr *)&addr,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)),
		0);
	snprintf(value, sizeof(value), "@%s", addr.sun_path + 1);
	setenv("NOTIFY_SOCKET", value, 1);
	return fd;
}

static unsigned int fed(int fd)
{
	char text[256];
	unsigned int n = 0;
	ssize_t len;

	while ((len = recv(fd, text, sizeof(text) - 1, 0)) > 0) {
		text[len] = '\0';
		n += strcmp(text, "WATCHDOG=1") == 0;
	}
	return n;
}

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void run_for(sd_event *event, uint64_t usec)
{
	uint64_t end = now_usec() + usec;

	while (now_usec() < end)
		assert_true(sd_event_run(event, 10000) >= 0);
}

static void fed_only_with_a_proof(void **state)
{
	_cleanup_(watchdog_freep) struct watchdog *watchdog = NULL;
	sd_event *event = NULL;
	int fd = listen_to_notifications();

	setenv("WATCHDOG_USEC", "300000", 1);
	unsetenv("WATCHDOG_PID");
	assert_int_equal(sd_event_new(&event), 0);
	assert_int_equal(watchdog_new(event, prove, NULL, &watchdog), 0);
	proof = 0;
	run_for(event, 500000);
	assert_in_range(fed(fd), 3, 6);
	proof = -ENODATA;
	proofs = 0;
	run_for(event, 500000);
	assert_true(proofs >= 3);
	assert_int_equal(fed(fd), 0);
	proof = 0;
	run_for(event, 300000);
	assert_true(fed(fd) > 0);
	watchdog = watchdog_free(watchdog);
	sd_event_unref(event);
	close(fd);
}

static void no_watchdog_costs_nothing(void **state)
{
	_cleanup_(watchdog_freep) struct watchdog *watchdog = NULL;
	sd_event *event = NULL;

	unsetenv("WATCHDOG_USEC");
	assert_int_equal(sd_event_new(&event), 0);
	assert_int_equal(watchdog_new(event, prove, NULL, &watchdog), 0);
	proofs = 0;
	run_for(event, 100000);
	assert_int_equal(proofs, 0);
	watchdog = watchdog_free(watchdog);
	sd_event_unref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fed_only_with_a_proof),
		cmocka_unit_test(no_watchdog_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
