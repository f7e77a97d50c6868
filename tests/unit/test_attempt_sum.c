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

/* The kernel's limit is the rule's: another sender's copies were held back too. */
static void floods_of_others(void **state)
{
	_cleanup_(attempt_sums_freep) struct attempt_sums *sums = NULL;
	struct attempt_record due;
	size_t lines = 0;

	assert_int_equal(attempt_sums_new(&sums), 0);
	for (uint64_t i = 0; i < 3; i++)
		add(sums, "b", "to_job", 22, START + i);
	for (uint64_t i = 0; i < 3; i++)
		add(sums, "b", "job_to_host", 22, START + i);
	for (uint64_t i = 0; i < 30; i++)
		add(sums, "a", "to_job", 22, START + SECOND / 2 + i);
	for (; attempt_sums_due(sums, START + 2 * MINUTE, &due); lines++)
		assert_int_equal(due.at_least, strcmp(due.attempt.rule, "to_job") == 0);
	assert_int_equal(lines, 3);
}

static struct ip_addr ip4(uint8_t last)
{
	return (struct ip_addr){ .family = AF_INET, .bytes = { 10, 0, 0, last } };
}

/* From outside, to a container: all of them are one sum. */
static void add_flow(struct attempt_sums *sums, uint8_t from, uint8_t to, const char *target,
		     uint64_t now)
{
	struct attempt_record r = record("", "to_job", 22);

	r.who.kind = PARTY_OUTSIDE;
	r.attempt.from = ip4(from);
	r.attempt.to = ip4(to);
	snprintf(r.target.id, sizeof(r.target.id), "%s", target);
	r.spread_from = r.spread_to = true; /* whatever was there */
	if (attempt_sums_add(sums, &r, now))
		assert_false(r.spread_from || r.spread_to);
}

static void check_spread(struct attempt_sums *sums, uint64_t now, uint64_t count, bool from,
			 bool to)
{
	struct attempt_record due;

	assert_true(attempt_sums_due(sums, now, &due));
	assert_int_equal(due.count, count);
	assert_int_equal(due.spread_from, from);
	assert_int_equal(due.spread_to, to);
	assert_false(attempt_sums_due(sums, now, &due));
}

/* What is said of the last is so of all that are counted with it. */
static void several_ends(void **state)
{
	_cleanup_(attempt_sums_freep) struct attempt_sums *sums = NULL;
	uint64_t now = START;

	assert_int_equal(attempt_sums_new(&sums), 0);
	/* the first is told by itself, and the one behind it too */
	add_flow(sums, 1, 1, "y", now);
	add_flow(sums, 2, 2, "z", now);
	check_spread(sums, now += MINUTE, 1, false, false);
	/* of those that are told together each counts, not only the last two */
	add_flow(sums, 3, 2, "z", now);
	add_flow(sums, 2, 2, "z", now);
	add_flow(sums, 2, 2, "z", now);
	check_spread(sums, now += MINUTE, 3, true, false);
	add_flow(sums, 2, 3, "z", now);
	add_flow(sums, 2, 2, "z", now);
	add_flow(sums, 2, 2, "z", now);
	check_spread(sums, now += MINUTE, 3, false, true);
	add_flow(sums, 2, 2, "y", now);
	add_flow(sums, 2, 2, "z", now);
	check_spread(sums, now += MINUTE, 2, false, true);
	/* told: it begins anew */
	add_flow(sums, 2, 2, "z", now);
	add_flow(sums, 2, 2, "z", now);
	check_spread(sums, now += MINUTE, 2, false, false);
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
		cmocka_unit_test(floods_of_others),
		cmocka_unit_test(several_ends),
		cmocka_unit_test(scans),
		cmocka_unit_test(the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
