/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts like attempts together: the first of a sender by one rule on one port is told at once, further ones
 * once a minute with their number. Bounded: who tries many ports is told of some of them and then of all
 * together, and when the table is full there is one line for the rest. The clock is the caller's. Pure.
 */
#include <errno.h>
#include <string.h>

#include "jobfence/attempt.h"

#define SECOND_USEC 1000000ULL
#define RULES 64 /* rates kept: by the name's hash */

/* One that was told, and what has come since. The record is the last of it, and says in what others differ. */
struct sum {
	struct attempt_record record;
	uint64_t told;
	uint64_t since; /* not told yet */
	bool used, rest;
};

/* Copies of one rule in one second: more than the rule sends means that it stopped more. */
struct rate {
	uint64_t second;
	unsigned int n;
};

struct attempt_sums {
	struct sum sums[ATTEMPT_KEYS_MAX + 1]; /* the last: the rest */
	struct rate rates[RULES];
};

int attempt_sums_new(struct attempt_sums **ret_sums)
{
	struct attempt_sums *sums = calloc(1, sizeof(*sums));

	if (!sums)
		return -ENOMEM;
	*ret_sums = sums;
	return 0;
}

struct attempt_sums *attempt_sums_free(struct attempt_sums *sums)
{
	free(sums);
	return NULL;
}

static bool same_sender(const struct attempt_record *a, const struct attempt_record *b)
{
	return a->who.kind == b->who.kind && a->attempt.audit == b->attempt.audit &&
	       strcmp(a->attempt.rule, b->attempt.rule) == 0 && strcmp(a->who.id, b->who.id) == 0;
}

static bool same_key(const struct attempt_record *a, const struct attempt_record *b)
{
	return a->attempt.protocol == b->attempt.protocol &&
	       a->attempt.ethertype == b->attempt.ethertype &&
	       a->attempt.to_port == b->attempt.to_port && !a->many && !b->many;
}

/* A minute without another: the next is a first one again. */
static bool is_over(const struct sum *sum, uint64_t now)
{
	return sum->used && sum->since == 0 && now - sum->told >= ATTEMPT_EVERY_USEC;
}

/* Where @record belongs: its own, its sender's for many ports, a free one, or the rest's. */
static struct sum *find_sum(struct attempt_sums *sums, struct attempt_record *record, uint64_t now)
{
	struct sum *own = NULL, *many = NULL, *unused = NULL;
	size_t ports = 0;

	for (size_t i = 0; i < ATTEMPT_KEYS_MAX; i++) {
		struct sum *sum = &sums->sums[i];

		if (is_over(sum, now))
			sum->used = false;
		if (!sum->used) {
			unused = unused ?: sum;
			continue;
		}
		if (!same_sender(&sum->record, record))
			continue;
		ports++;
		if (sum->record.many)
			many = sum;
		else if (same_key(&sum->record, record))
			own = sum;
	}
	if (own)
		return own;
	if (ports >= ATTEMPT_PORTS_MAX)
		record->many = true;
	if (record->many && many)
		return many;
	return unused ?: &sums->sums[ATTEMPT_KEYS_MAX];
}

/* More of this rule than it sends in a second, or as much: it has more to tell. */
static bool is_flood(struct attempt_sums *sums, const char *rule, uint64_t now)
{
	uint32_t hash = 2166136261U;
	struct rate *rate;

	for (const char *c = rule; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 16777619U;
	rate = &sums->rates[hash % RULES];
	if (now - rate->second >= SECOND_USEC) {
		rate->second = now;
		rate->n = 0;
	}
	return ++rate->n >= RECORD_RATE;
}

/* The limit is the rule's: whose copies it held back nobody can tell. */
static void flooded(struct attempt_sums *sums, const char *rule)
{
	for (size_t i = 0; i < ARRAY_SIZE(sums->sums); i++) {
		struct sum *sum = &sums->sums[i];

		if (sum->used && (sum->rest || strcmp(sum->record.attempt.rule, rule) == 0))
			sum->record.at_least = true;
	}
}

/* One more of what is not told yet: what is said of the last has to be so of all. */
static void join(struct sum *sum, const struct attempt_record *record)
{
	const struct attempt_record last = sum->record;
	bool alone = sum->since == 0;

	sum->record = *record;
	sum->record.at_least = last.at_least;
	sum->since++;
	if (alone)
		return;
	sum->record.spread_from =
		last.spread_from || ip_addr_cmp(&last.attempt.from, &record->attempt.from) != 0;
	sum->record.spread_to = last.spread_to ||
				ip_addr_cmp(&last.attempt.to, &record->attempt.to) != 0 ||
				strcmp(last.target.id, record->target.id) != 0;
}

bool attempt_sums_add(struct attempt_sums *sums, struct attempt_record *record, uint64_t now)
{
	struct sum *sum = find_sum(sums, record, now);
	bool first = !sum->used;

	record->count = 1;
	record->at_least = record->spread_from = record->spread_to = false; /* told of itself */
	if (first) {
		sum->record = *record;
		sum->told = now;
		sum->since = 0;
		sum->used = true;
		sum->rest = sum == &sums->sums[ATTEMPT_KEYS_MAX];
	} else {
		join(sum, record);
	}
	if (is_flood(sums, record->attempt.rule, now))
		flooded(sums, record->attempt.rule);
	return first;
}

bool attempt_sums_due(struct attempt_sums *sums, uint64_t now, struct attempt_record *ret_record)
{
	for (size_t i = 0; i < ARRAY_SIZE(sums->sums); i++) {
		struct sum *sum = &sums->sums[i];

		if (!sum->used || sum->since == 0 || now - sum->told < ATTEMPT_EVERY_USEC)
			continue;
		*ret_record = sum->record;
		ret_record->count = sum->since;
		if (sum->rest) { /* of whoever they were */
			ret_record->who = (struct party){ 0 };
			ret_record->target = (struct party){ 0 };
			ret_record->many = true;
		}
		sum->record.at_least = false;
		sum->told = now;
		sum->since = 0;
		return true;
	}
	return false;
}

uint64_t attempt_sums_next(const struct attempt_sums *sums)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(sums->sums); i++) {
		const struct sum *sum = &sums->sums[i];

		if (sum->used && sum->since > 0 && sum->told + ATTEMPT_EVERY_USEC < next)
			next = sum->told + ATTEMPT_EVERY_USEC;
	}
	return next;
}

void attempt_sums_lost(struct attempt_sums *sums)
{
	for (size_t i = 0; i < ARRAY_SIZE(sums->sums); i++)
		if (sums->sums[i].used)
			sums->sums[i].record.at_least = true;
}
