/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses and routes that come and go in a network namespace of the test's own. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/attached.h"

#define SKIP 77
#define IDLE_US (100 * 1000)

struct fixture {
	sd_event *event;
	struct attached_watch *watch;
	unsigned int calls;
};

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void on_changed(struct attached_watch *watch, void *data)
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

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct diag diag = { 0 };

	assert_non_null(fixture);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_true(sd_event_new(&fixture->event) >= 0);
	run("ip link set lo up && ip link add here type veth peer name there && "
	    "ip link set here addrgenmode none && ip link set there addrgenmode none && "
	    "ip link set here up && ip link set there up && "
	    "ip address add 10.77.0.1/16 dev here && ip address add 10.1.1.1/8 dev lo");
	if (attached_watch_new(fixture->event, on_changed, fixture, &fixture->watch, &diag) < 0)
		fail_msg("%s", diag.text);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	attached_watch_free(fixture->watch);
	sd_event_unref(fixture->event);
	free(fixture);
	return 0;
}

/* What is known, and that a fresh look knows the same: "local network;" for each. */
static void assert_attached(const struct fixture *fixture, const char *expected)
{
	_cleanup_(attached_watch_freep) struct attached_watch *fresh = NULL;
	const struct attached_watch *watches[2] = { fixture->watch };

	assert_int_equal(attached_watch_new(NULL, NULL, NULL, &fresh, NULL), 0);
	watches[1] = fresh;
	for (size_t w = 0; w < ARRAY_SIZE(watches); w++) {
		char text[1024] = "", local[IP_ADDR_TEXT_MAX], network[NET_RANGE_TEXT_MAX];
		const struct attached *list;
		size_t n, used = 0;

		list = attached_watch_list(watches[w], &n);
		for (size_t i = 0; i < n; i++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s %s;",
						 ip_addr_text(&list[i].local, local),
						 net_range_text(&list[i].network, network));
		assert_string_equal(text, expected);
	}
}

#define BASE "10.1.1.1 -;- 10.77.0.0/16;10.77.0.1 10.77.0.0/16;"

static void test_addresses_are_followed(void **state)
{
	struct fixture *fixture = *state;

	assert_attached(fixture, BASE);
	run("ip address add 192.168.5.1/24 dev here");
	pump(fixture);
	assert_int_equal(fixture->calls, 1);
	assert_attached(fixture, BASE "- 192.168.5.0/24;192.168.5.1 192.168.5.0/24;");
	run("ip address del 192.168.5.1/24 dev here");
	pump(fixture);
	assert_attached(fixture, BASE);
	run("ip address add 203.0.113.2 peer 203.0.113.1/32 dev here && "
	    "ip address add fd77::1/64 dev here nodad");
	pump(fixture);
	assert_attached(fixture, BASE "- 203.0.113.1;203.0.113.2 203.0.113.1;"
				      "- fd77::/64;fd77::1 fd77::/64;");
	run("ip address add fd99::1/128 dev lo");
	pump(fixture);
	assert_attached(fixture, "10.1.1.1 -;fd99::1 -;"
				 "- 10.77.0.0/16;10.77.0.1 10.77.0.0/16;"
				 "- 203.0.113.1;203.0.113.2 203.0.113.1;"
				 "- fd77::/64;fd77::1 fd77::/64;");
	run("ip address del fd99::1/128 dev lo && ip link del here");
	pump(fixture);
	assert_attached(fixture, "10.1.1.1 -;");
	assert_int_equal(attached_watch_losses(fixture->watch), 0);
}

/* An address of DHCPv6 and the network that the router told; a way to the internet is none. */
static void test_routes_are_followed(void **state)
{
	struct fixture *fixture = *state;

	run("ip address add 2001:db8:1::5/128 dev here nodad && "
	    "ip route add 2001:db8:1::/64 dev here proto ra && "
	    "ip route add default via 10.77.0.9 && ip route add 128.0.0.0/1 dev here && "
	    "ip route add 172.20.0.0/16 via 10.77.0.9 && ip route add blackhole 172.21.0.0/16 && "
	    "ip route add 172.22.0.0/16 dev here table 100");
	pump(fixture);
	assert_attached(fixture, BASE "- 2001:db8:1::/64;- 2001:db8:1::5;"
				      "2001:db8:1::5 2001:db8:1::5;");
	run("ip route del 2001:db8:1::/64 dev here");
	pump(fixture);
	assert_attached(fixture, BASE "- 2001:db8:1::5;2001:db8:1::5 2001:db8:1::5;");
}

/* What every start of a container does to a port costs nobody a step. */
static void test_of_no_interest(void **state)
{
	struct fixture *fixture = *state;

	run("ip address add fe80::1/64 dev here nodad && ip address del fe80::1/64 dev here && "
	    "ip link add port type veth peer name end && ip link set port up && ip link set end up "
	    "&& ip link del port && ip route add 172.20.0.0/16 via 10.77.0.9");
	pump(fixture);
	assert_int_equal(fixture->calls, 0);
	assert_attached(fixture, BASE);
}

static void test_lost_notifications(void **state)
{
	struct fixture *fixture = *state;

	run("for i in $(seq 10); do for j in $(seq 250); do "
	    "echo address add 10.77.$i.$j/32 dev here; done; done | ip -batch - && "
	    "ip address flush dev here && ip address add 192.168.7.1/24 dev here");
	pump(fixture);
	assert_true(attached_watch_losses(fixture->watch) > 0);
	assert_attached(fixture, "10.1.1.1 -;- 192.168.7.0/24;192.168.7.1 192.168.7.0/24;");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_addresses_are_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_routes_are_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_of_no_interest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_notifications, setup, teardown),
	};

	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "cannot make a network namespace: %s\n", strerror(errno));
		return SKIP;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
