/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first of a kind at once, then once a minute with their number; a flood and a scan stay few lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "jobfence/attempt.h"

#define SECOND 1000000ULL
#define MINUTE (60 * SECOND)
#define START (1000 * MINUTE)

static struct attempt_record record(const char *id, const char *rule, uint16_t port)
{
	struct attempt_record r = {
		.attempt = { .protocol = IPPROTO_TCP, .ethertype = 0x0800, .to_port = port },
		.who = { .kind = PARTY_CONTAINER },
	};

	snprintf(r.attempt.rule, sizeof(r.attempt.rule), "%s", rule);
	snprintf(r.who.id, sizeof(r.who.id), "%s", id);
	return r;
}

static bool add(struct attempt_sums *sums, const char *id, const char *rule, uint16_t port,
		uint64_t now)
{
	struct attempt_record r = record(id, rule, port);
	bool told = attempt_sums_add(sums, &r, now);

	assert_true(!told || (r.count == 1 && !r.at_least));
	return told;
}

static void once_then_every_minute(void **state)
{
	_cleanup_(attempt_sums_freep) struct attempt_sums *sums = NULL;
	struct attempt_record due;

	assert_int_equal(attempt_sums_new(&sums), 0);
	assert_int_equal(attempt_sums_next(sums), UINT64_MAX);
	assert_true(add(sums, "a", "to_job", 22, START));
	assert_int_equal(attempt_sums_next(sums), UINT64_MAX); /* nothing more to say of it */
	for (uint64_t i = 1; i <= 3; i++)
		assert_false(add(sums, "a", "to_job", 22, START + i * 10 * SECOND));
	/* another sender, rule, protocol or port is another */
	assert_true(add(sums, "b", "to_job", 22, START));
	assert_true(add(sums, "a", "job_to_host", 22, START));
	assert_true(add(sums, "a", "to_job", 23, START));
	assert_int_equal(attempt_sums_next(sums), START + MINUTE);
	assert_false(attempt_sums_due(sums, START + MINUTE - 1, &due));
	assert_true(attempt_sums_due(sums, START + MINUTE, &due));
	assert_int_equal(due.count, 3);
	assert_false(due.at_least);
	assert_string_equal(due.attempt.rule, "to_job");
	assert_false(attempt_sums_due(sums, START + MINUTE, &due));
	/* it goes on: a minute from then */
	assert_false(add(sums, "a", "to_job", 22, START + MINUTE + SECOND));
	assert_int_equal(attempt_sums_next(sums), START + 2 * MINUTE);
	assert_true(attempt_sums_due(sums, START + 2 * MINUTE, &due));
	assert_int_equal(due.count, 1);
	/* after a minute of silence the next is told at once */
	assert_true(add(sums, "a", "to_job", 22, START + 3 * MINUTE));
}

/* As much as a rule sends in a second means that there was more. */
static void floods(void **state)
{
	_cleanup_(attempt_sums_freep) struct attempt_sums *sums = NULL;
	struct attempt_record due;
	size_t told = 0;

	assert_int_equal(attempt_sums_new(&sums), 0);
	for (uint64_t i = 0; i < 1200; i++)
		told += add(sums, "a", "to_job", 22, START + i * SECOND / RECORD_RATE / 2);
	assert_int_equal(told, 1);
	assert_true(attempt_sums_due(sums, START + MINUTE, &due));
	assert_int_equal(due.count, 1199);
	assert_true(due.at_least);
	/* the next minute was none */
	assert_false(add(sums, "a", "to_job", 22, START + MINUTE + SECOND));
	assert_true(attempt_sums_due(sums, START + 2 * MINUTE, &due));
	assert_false(due.at_least);
	/* lost copies */
	assert_false(add(sums, "a", "to_job", 22, START + 2 * MINUTE + SECOND));
	attempt_sums_lost(sums);
	assert_true(attempt_sums_due(sums, START + 3 * MINUTE, &due));
	assert_true(due.at_least);
}

static void scans(void **state)
{
	_cleanup_(attempt_sums_freep) struct attempt_sums *sums = NULL;
	struct attempt_record due;
	size_t told = 0, lines = 0;
	uint64_t count = 0;

	assert_int_equal(attempt_sums_new(&sums), 0);
	for (uint32_t port = 1; port < 65536; port++)
		told += add(sums, "a", "job_to_host", (uint16_t)port, START);
	assert_int_equal(told, ATTEMPT_PORTS_MAX + 1);
	assert_true(add(sums, "b", "job_to_host", 22, START)); /* another's is told as ever */
	for (; attempt_sums_due(sums, START + MINUTE, &due); lines++) {
		assert_true(due.many);
		count += due.count;
	}
	assert_int_equal(lines, 1);
	assert_int_equal(count, 65535 - ATTEMPT_PORTS_MAX - 1);
}

/* More senders than there is room for: nobody is counted twice, nobody is lost. */
static void the_rest(void **state)
{
	_cleanup_(attempt_sums_freep) struct attempt_sums *sums = NULL;
	struct attempt_record due;
	size_t told = 0;
	uint64_t count = 0;
	char id[16];

	assert_int_equal(attempt_sums_new(&sums), 0);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 1000; i++) {
			snprintf(id, sizeof(id), "%d", i);
			told += add(sums, id, "to_job", 22, START);
		}
	assert_int_equal(told, ATTEMPT_KEYS_MAX + 1);
	while (attempt_sums_due(sums, START + MINUTE, &due)) {
		count += due.count;
		if (due.many)
			assert_int_equal(due.who.kind, PARTY_UNKNOWN);
	}
	assert_int_equal(count + told, 2000);
	/* room again when it is over */
	assert_true(add(sums, "new", "to_job", 22, START + 3 * MINUTE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_then_every_minute),
		cmocka_unit_test(floods),
		cmocka_unit_test(scans),
		cmocka_unit_test(the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
