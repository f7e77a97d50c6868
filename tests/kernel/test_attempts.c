/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of an NFLOG group, in a network namespace: a stopped packet is a record within a second, lost
 * copies are said and survived, and a group has one reader.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <cmocka.h>

#include "../unit/journal_fixture.h"
#include "jobfence/attempts.h"
#include "jobfence/clock.h"

#define EXIT_SKIP 77
#define GROUP 5

static sd_event *event;
static uint64_t behind; /* the clock of the code under test */

/* In the place of clock.c's. */
uint64_t clock_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 - behind;
}

uint64_t clock_boot_usec(void)
{
	return clock_usec();
}

static void run_until(size_t records, uint64_t usec)
{
	uint64_t end = clock_usec() + usec;

	while (journal_records < records && clock_usec() < end)
		assert_true(sd_event_run(event, 10000) >= 0);
}

static void send_to(uint16_t port, unsigned int times)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while (times-- > 0)
		(void)sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
	close(fd);
}

static int set_up(void **state)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link set lo up && nft add table ip t && nft add chain ip t out "
				"'{ type filter hook output priority 0; }' && "
				"nft add rule ip t out udp dport 9 log prefix to_job group 5 "
				"snaplen 96 drop && "
				"nft add rule ip t out udp dport 10 log prefix '\"DROP \"' group 5 "
				"drop"),
			 0);
	assert_true(sd_event_new(&event) >= 0);
	return 0;
}

static int tear_down(void **state)
{
	event = sd_event_unref(event);
	return 0;
}

static void a_stopped_packet_is_a_record(void **state)
{
	_cleanup_(attempts_freep) struct attempts *attempts = NULL;
	struct diag diag = { 0 };
	size_t before;
	uint64_t start;

	assert_int_equal(attempts_new(event, GROUP, &attempts, &diag), 0);
	before = journal_records;
	start = clock_usec();
	send_to(9, 1);
	run_until(before + 1, 5000000);
	assert_true(clock_usec() - start < 1000000);
	assert_int_equal(journal_records, before + 1);
	assert_true(journal_is(MESSAGE_ATTEMPT));
	assert_string_equal(journal_field("JOBFENCE_RULE"), "to_job");
	assert_string_equal(journal_field("JOBFENCE_PROTOCOL"), "udp");
	assert_string_equal(journal_field("JOBFENCE_PORT"), "9");
	assert_string_equal(journal_field("JOBFENCE_DESTINATION"), "127.0.0.1");
	assert_string_equal(journal_field("JOBFENCE_COUNT"), "1");
	assert_string_equal(journal_field("JOBFENCE_CLASS"), "host");
	assert_string_equal(journal_field("JOBFENCE_CONTAINER"), "");
	/* again within the minute, and what another's rule sends: nothing */
	send_to(9, 100);
	send_to(10, 1);
	run_until(before + 2, 400000);
	assert_int_equal(journal_records, before + 1);
}

/* From and to these of 127.0.0.0/8. */
static void send_between(uint8_t from, uint8_t to)
{
	struct sockaddr_in source = { .sin_family = AF_INET };
	struct sockaddr_in target = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	source.sin_addr.s_addr = htonl(0x7f000000 + from);
	target.sin_addr.s_addr = htonl(0x7f000000 + to);
	assert_int_equal(bind(fd, (struct sockaddr *)&source, sizeof(source)), 0);
	(void)sendto(fd, "x", 1, 0, (struct sockaddr *)&target, sizeof(target));
	close(fd);
}

/* The minute's record of what went @from → @to, each twice. */
static void check_minute(const uint8_t from[2], const uint8_t to[2], const char *source,
			 const char *destination)
{
	_cleanup_(attempts_freep) struct attempts *attempts = NULL;
	struct diag diag = { 0 };
	size_t before = journal_records;

	assert_int_equal(attempts_new(event, GROUP, &attempts, &diag), 0);
	behind = ATTEMPT_EVERY_USEC - 1000000; /* the minute is over in a second */
	send_between(1, 1);
	run_until(before + 1, 500000);
	assert_int_equal(journal_records, before + 1);
	assert_string_equal(journal_field("JOBFENCE_SOURCE"), "127.0.0.1");
	for (int i = 0; i < 4; i++)
		send_between(from[i % 2], to[i % 2]);
	run_until(before + 2, 400000);
	assert_int_equal(journal_records, before + 1);
	behind = 0;
	run_until(before + 2, 5000000);
	assert_int_equal(journal_records, before + 2);
	assert_string_equal(journal_field("JOBFENCE_COUNT"), "4");
	assert_string_equal(journal_field("JOBFENCE_SOURCE"), source);
	assert_string_equal(journal_field("JOBFENCE_DESTINATION"), destination);
	assert_string_equal(journal_field("JOBFENCE_PORT"), "9");
}

static void several_have_no_address_in_common(void **state)
{
	const uint8_t one[] = { 1, 1 }, two[] = { 2, 3 };

	check_minute(one, two, "127.0.0.1", "");
	check_minute(two, one, "", "127.0.0.1");
}

static void lost_copies_are_survived(void **state)
{
	_cleanup_(attempts_freep) struct attempts *attempts = NULL;
	struct diag diag = { 0 };
	size_t before;

	assert_int_equal(attempts_new(event, GROUP, &attempts, &diag), 0);
	send_to(9, 50000); /* nobody reads meanwhile */
	run_until(SIZE_MAX, 1000000);
	assert_int_equal(journal_seen[MESSAGE_ATTEMPTS_LOST], 1);
	/* it goes on */
	before = journal_records;
	assert_int_equal(system("nft add rule ip t out udp dport 11 log prefix to_job group 5"), 0);
	send_to(11, 1);
	run_until(before + 1, 2000000);
	assert_true(journal_is(MESSAGE_ATTEMPT));
	assert_string_equal(journal_field("JOBFENCE_RULE"), "to_job");
}

static void a_group_has_one_reader(void **state)
{
	_cleanup_(attempts_freep) struct attempts *first = NULL, *second = NULL;
	struct diag diag = { 0 };

	assert_int_equal(attempts_new(event, GROUP, &first, &diag), 0);
	assert_true(attempts_new(event, GROUP, &second, &diag) < 0);
	assert_non_null(strstr(diag.text, "another program reads NFLOG group 5"));
	assert_null(second);
	first = attempts_free(first);
	assert_int_equal(attempts_new(event, GROUP, &second, &diag), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_stopped_packet_is_a_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(several_have_no_address_in_common, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(lost_copies_are_survived, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_group_has_one_reader, set_up, tear_down),
	};

	if (unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	journal_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
