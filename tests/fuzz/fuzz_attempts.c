/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of packets as nfnetlink_log sends them: a row of messages, each in a block of its own size, with
 * whatever a job wrote in it. What comes of one has a counter's name, a sentence of one line, and the name
 * of nobody that this host does not have; few of many are told.
 */
#include "fuzz.h"
#include "jobfence/attempt.h"
#include "model.h"

#include <libmnl/libmnl.h>

static struct endpoint endpoints[3];
static struct container containers[] = {
	{ .id = "a", .name = (char *)"alpha", .task_id = (char *)"4f", .inspected = true },
	{ .id = "b", .name = (char *)"b\xff\n\"eta", .inspected = true },
	{ .id = "c", .name = (char *)"gamma", .inspected = true },
};
static const struct verdict verdicts[] = {
	{ .role = ROLE_JOB, .confinement = CONFINEMENT_ISOLATED },
	{ .role = ROLE_BYSTANDER },
	{ .role = ROLE_JOB, .confinement = CONFINEMENT_FENCED },
};

static struct directory *make_directory(void)
{
	static const struct job_tag tags[] = { { 1002, 0x10000007 } };
	struct directory *directory = NULL;
	struct fuzz_host host;

	for (size_t i = 0; i < ARRAY_SIZE(containers); i++) {
		char text[64];

		strcpy(endpoints[i].network_id, i % 2 ? FUZZ_NET_USER : FUZZ_NET_DOCKER0);
		snprintf(text, sizeof(text), "172.17.0.%zu", i + 2);
		CHECK(ip_addr_parse(text, &endpoints[i].ip4) == 0);
		snprintf(text, sizeof(text), "fd00::%zu", i + 2);
		CHECK(ip_addr_parse(text, &endpoints[i].ip6) == 0);
		snprintf(text, sizeof(text), "02:42:ac:11:00:0%zu", i + 2);
		CHECK(mac_addr_parse(text, &endpoints[i].mac) == 0);
		containers[i].endpoints = &endpoints[i];
		containers[i].endpoints_n = 1;
	}
	fuzz_host_init(&host, containers, ARRAY_SIZE(containers));
	CHECK(directory_new(&host.model, verdicts, tags, ARRAY_SIZE(tags), &directory) == 0);
	return directory;
}

static void check_party(const struct party *party)
{
	CHECK(fuzz_is_safe(party->name, sizeof(party->name)));
	CHECK(fuzz_is_safe(party->task, sizeof(party->task)));
	CHECK((party->kind == PARTY_CONTAINER) == (party->id[0] != '\0'));
	CHECK(!party->id[0] || (party->id[0] >= 'a' && party->id[0] <= 'c'));
}

static void check_record(const struct attempt_record *record)
{
	static const struct reserved_ports ports = { 10998, 10997, 10999, 10022 };
	char text[480], small[16], protocol[16];

	check_party(&record->who);
	check_party(&record->target);
	CHECK(attempt_rule(record->attempt.rule));
	attempt_text(record, &ports, text, sizeof(text));
	CHECK(strlen(text) > 20 && fuzz_is_line(text, sizeof(text)));
	attempt_text(record, &ports, small, sizeof(small));
	CHECK(strncmp(small, text, sizeof(small) - 1) == 0);
	CHECK(fuzz_is_safe(attempt_protocol(&record->attempt, protocol), sizeof(protocol)));
}

static size_t take(const struct nlmsghdr *nlh, const struct directory *directory,
		   struct attempt_sums *sums, uint64_t now)
{
	struct attempt attempt = { .in = -77 };
	struct attempt_record record;

	if (attempt_parse(nlh, &attempt) < 0) {
		CHECK(attempt.in == -77);
		return 0;
	}
	CHECK(strspn(attempt.rule, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
	      strlen(attempt.rule));
	CHECK(attempt.in >= 0 && attempt.out >= 0 && attempt.in_port >= 0 && attempt.out_port >= 0);
	if (!attempt_attribute(&attempt, directory, NULL, &record))
		return 0;
	check_record(&record);
	return attempt_sums_add(sums, &record, now);
}

static struct nlmsghdr *copy_message(const uint8_t *data, size_t size)
{
	struct nlmsghdr header, *nlh;
	size_t len;

	memcpy(&header, data, sizeof(header));
	len = header.nlmsg_len < sizeof(header) ? sizeof(header) : header.nlmsg_len;
	len = len > size ? size : len;
	nlh = malloc(len);
	CHECK(nlh);
	memcpy(nlh, data, len);
	nlh->nlmsg_len = (uint32_t)len; /* the socket sees to that */
	return nlh;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct directory *directory;
	struct attempt_sums *sums = NULL;
	struct attempt_record due;
	uint64_t now = 1000 * ATTEMPT_EVERY_USEC;
	size_t told = 0, said = 0;

	directory = directory ?: make_directory();
	CHECK(attempt_sums_new(&sums) == 0);
	while (size >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr *nlh = copy_message(data, size);
		size_t len = NLMSG_ALIGN(nlh->nlmsg_len);

		told += take(nlh, directory, sums, now++);
		free(nlh);
		data += len < size ? len : size;
		size -= len < size ? len : size;
	}
	CHECK(told <= ATTEMPT_KEYS_MAX + 1);
	while (attempt_sums_due(sums, now + ATTEMPT_EVERY_USEC, &due)) {
		check_record(&due);
		CHECK(said++ <= ATTEMPT_KEYS_MAX);
	}
	CHECK(attempt_sums_next(sums) == UINT64_MAX);
	attempt_sums_free(sums);
	return 0;
}
