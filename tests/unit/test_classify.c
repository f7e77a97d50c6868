/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every placement, size, mode, violation policy and role against a table written out by hand, then
 * the sentences, the names, the chains of joined containers and the hazards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "jobfence/classify.h"

#define SINGLE "train-0-0-0123abcd"
#define MULTI "train-3-0-0123abcd"
#define WHY_BASE_MAX 190 /* leaves room for the hazards in struct verdict's why */

enum where {
	BRIDGE,
	BRIDGE_AND_OTHER, /* the default bridge, and one more network */
	USER,
	HOST,
	NONE,
	ODD, /* a mode of a newer engine, or not told yet */
	JOINED_BRIDGE,
	JOINED_USER,
	JOINED_HOST,
	JOINED_NONE,
	JOINED_ODD,
	JOINED_MISSING,
	WHERE_N,
};

/* I isolated, F fenced, Q quarantined; V violation; S stale mirror. Columns: modes 1, 2, 3. */
static const struct row {
	enum where where;
	enum instance_size size;
	const char *quarantine[3]; /* on_violation = quarantine */
	const char *fence[3];      /* on_violation = fence */
} table[] = {
	{ BRIDGE, INSTANCE_UNKNOWN, { "I", "I", "I" }, { "I", "I", "I" } },
	{ BRIDGE, INSTANCE_WHOLE, { "I", "IS", "I" }, { "I", "IS", "I" } },
	{ BRIDGE, INSTANCE_PART, { "I", "I", "I" }, { "I", "I", "I" } },
	{ BRIDGE_AND_OTHER, INSTANCE_UNKNOWN, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ BRIDGE_AND_OTHER, INSTANCE_WHOLE, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ BRIDGE_AND_OTHER, INSTANCE_PART, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ USER, INSTANCE_UNKNOWN, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ USER, INSTANCE_WHOLE, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ USER, INSTANCE_PART, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ HOST, INSTANCE_UNKNOWN, { "F", "F", "QV" }, { "F", "F", "FV" } },
	{ HOST, INSTANCE_WHOLE, { "F", "F", "QV" }, { "F", "F", "FV" } },
	{ HOST, INSTANCE_PART, { "QV", "QV", "QV" }, { "FV", "FV", "FV" } },
	{ NONE, INSTANCE_UNKNOWN, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ NONE, INSTANCE_WHOLE, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ NONE, INSTANCE_PART, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ ODD, INSTANCE_UNKNOWN, { "Q", "Q", "Q" }, { "Q", "Q", "Q" } },
	{ ODD, INSTANCE_WHOLE, { "QV", "QV", "QV" }, { "QV", "QV", "QV" } },
	{ ODD, INSTANCE_PART, { "QV", "QV", "QV" }, { "QV", "QV", "QV" } },
	{ JOINED_BRIDGE, INSTANCE_UNKNOWN, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ JOINED_BRIDGE, INSTANCE_WHOLE, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ JOINED_BRIDGE, INSTANCE_PART, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ JOINED_USER, INSTANCE_UNKNOWN, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ JOINED_USER, INSTANCE_WHOLE, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ JOINED_USER, INSTANCE_PART, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ JOINED_HOST, INSTANCE_UNKNOWN, { "QV", "QV", "QV" }, { "FV", "FV", "FV" } },
	{ JOINED_HOST, INSTANCE_WHOLE, { "QV", "QV", "QV" }, { "FV", "FV", "FV" } },
	{ JOINED_HOST, INSTANCE_PART, { "QV", "QV", "QV" }, { "FV", "FV", "FV" } },
	{ JOINED_NONE, INSTANCE_UNKNOWN, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ JOINED_NONE, INSTANCE_WHOLE, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ JOINED_NONE, INSTANCE_PART, { "IV", "IV", "IV" }, { "IV", "IV", "IV" } },
	{ JOINED_ODD, INSTANCE_UNKNOWN, { "QV", "QV", "QV" }, { "QV", "QV", "QV" } },
	{ JOINED_ODD, INSTANCE_WHOLE, { "QV", "QV", "QV" }, { "QV", "QV", "QV" } },
	{ JOINED_ODD, INSTANCE_PART, { "QV", "QV", "QV" }, { "QV", "QV", "QV" } },
	{ JOINED_MISSING, INSTANCE_UNKNOWN, { "QV", "QV", "QV" }, { "QV", "QV", "QV" } },
	{ JOINED_MISSING, INSTANCE_WHOLE, { "QV", "QV", "QV" }, { "QV", "QV", "QV" } },
	{ JOINED_MISSING, INSTANCE_PART, { "QV", "QV", "QV" }, { "QV", "QV", "QV" } },
};

/* What a place is made of: the container's own kind, its owner's kind, the placement it gives. */
static const struct place {
	enum network_kind kind;
	enum network_kind owner_kind;
	enum placement placement;
} places[WHERE_N] = {
	[BRIDGE] = { NETWORK_KIND_BRIDGE, 0, PLACEMENT_BRIDGE },
	[BRIDGE_AND_OTHER] = { NETWORK_KIND_BRIDGE, 0, PLACEMENT_BRIDGE },
	[USER] = { NETWORK_KIND_USER, 0, PLACEMENT_BRIDGE },
	[HOST] = { NETWORK_KIND_HOST, 0, PLACEMENT_HOST },
	[NONE] = { NETWORK_KIND_NONE, 0, PLACEMENT_NONE },
	[ODD] = { NETWORK_KIND_UNKNOWN, 0, PLACEMENT_UNKNOWN },
	[JOINED_BRIDGE] = { NETWORK_KIND_CONTAINER, NETWORK_KIND_BRIDGE, PLACEMENT_BRIDGE },
	[JOINED_USER] = { NETWORK_KIND_CONTAINER, NETWORK_KIND_USER, PLACEMENT_BRIDGE },
	[JOINED_HOST] = { NETWORK_KIND_CONTAINER, NETWORK_KIND_HOST, PLACEMENT_HOST },
	[JOINED_NONE] = { NETWORK_KIND_CONTAINER, NETWORK_KIND_NONE, PLACEMENT_NONE },
	[JOINED_ODD] = { NETWORK_KIND_CONTAINER, NETWORK_KIND_UNKNOWN, PLACEMENT_UNKNOWN },
	[JOINED_MISSING] = { NETWORK_KIND_CONTAINER, 0, PLACEMENT_UNKNOWN },
};

static struct endpoint one_network[] = { { .network_name = "bridge" } };
static struct endpoint two_networks[] = {
	{ .network_name = "bridge" },
	{ .network_name = "lab" },
};

static struct container make(enum where where, enum instance_size size, bool is_task,
			     const char *name)
{
	struct container container = {
		.id = "c0",
		.name = (char *)name,
		.is_task = is_task,
		.inspected = size != INSTANCE_UNKNOWN,
		.state = CONTAINER_RUNNING,
		.network_kind = places[where].kind,
		.nano_cpus = size == INSTANCE_PART ? 4000000000 : 0,
		.memory = size == INSTANCE_PART ? 1 << 30 : 0,
		.endpoints = one_network,
		.endpoints_n = places[where].kind == NETWORK_KIND_BRIDGE,
	};

	if (where == BRIDGE_AND_OTHER) {
		container.endpoints = two_networks;
		container.endpoints_n = 2;
	}
	return container;
}

static void judge_as(const struct container *container, enum where where, enum network_mode mode,
		     enum violation_policy policy, struct verdict *ret_verdict)
{
	struct container owner = { .id = "c1", .network_kind = places[where].owner_kind };
	bool has_owner = places[where].kind == NETWORK_KIND_CONTAINER && where != JOINED_MISSING;
	struct config config;

	config_defaults(&config);
	memset(ret_verdict, 0xa5, sizeof(*ret_verdict));
	config.mode = mode;
	config.on_violation = policy;
	classify(container, has_owner ? &owner : NULL, &config, ret_verdict);
}

static void encode(const struct verdict *verdict, char code[static 8])
{
	snprintf(code, 8, "%c%s%s", "NIFQ"[verdict->confinement], verdict -> violation ? "V" : "",
		 verdict->stale_mirror ? "S" : "");
}

static void check_facts(const struct verdict *verdict, const struct row *row,
			enum network_mode mode)
{
	char mode_text[64];

	snprintf(mode_text, sizeof(mode_text), "mode %d (%s): ", (int)mode,
		 network_mode_name(mode));
	assert_int_equal(verdict->placement, places[row->where].placement);
	assert_int_equal(verdict->joined, places[row->where].kind == NETWORK_KIND_CONTAINER);
	assert_int_equal(verdict->size, row->size);
	assert_int_equal(verdict->class, mode);
	assert_in_range(strlen(verdict->why), 20, WHY_BASE_MAX);
	for (const char *c = verdict->why; *c; c++)
		assert_in_range(*c, ' ', '~');
	if (verdict->role == ROLE_BYSTANDER)
		return;
	assert_non_null(strstr(verdict->why, mode_text));
	assert_non_null(strstr(verdict->why, confinement_name(verdict->confinement)));
	if (verdict->violation)
		assert_non_null(strstr(verdict->why, "the server") ?: strstr(verdict->why, "mode"));
	if (verdict->stale_mirror)
		assert_non_null(strstr(verdict->why, "the mirrored mode may be stale"));
	if (row->size == INSTANCE_UNKNOWN)
		assert_non_null(strstr(verdict->why, "size not told yet"));
}

static void check_job(const struct row *row, enum network_mode mode, enum violation_policy policy,
		      bool multi)
{
	struct container container = make(row->where, row->size, true, multi ? MULTI : SINGLE);
	const char *expected =
		(policy == ON_VIOLATION_FENCE ? row->fence : row->quarantine)[mode - 1];
	struct verdict verdict;
	char code[8];

	/* The only cell that a job number above 0 changes: mode 1 would have used the host. */
	if (multi && row->where == BRIDGE && row->size == INSTANCE_WHOLE && mode == 1)
		expected = "IS";
	judge_as(&container, row->where, mode, policy, &verdict);
	encode(&verdict, code);
	if (strcmp(code, expected) != 0)
		fail_msg("place %d size %s mode %d policy %d multi %d: %s, expected %s (%s)",
			 row->where, instance_size_name(row->size), (int)mode, policy, multi, code,
			 expected, verdict.why);
	assert_int_equal(verdict.role, ROLE_JOB);
	assert_int_equal(verdict.multinode, multi);
	assert_false(verdict.unconfinable);
	check_facts(&verdict, row, mode);
}

static void check_bystander(const struct row *row, enum network_mode mode,
			    enum violation_policy policy)
{
	struct container container = make(row->where, row->size, false, MULTI);
	struct verdict verdict;
	char code[8];

	container.hazards = UINT32_MAX;
	container.task_id = "a-task-id-without-the-label";
	judge_as(&container, row->where, mode, policy, &verdict);
	encode(&verdict, code);
	assert_string_equal(code, "N");
	assert_int_equal(verdict.role, ROLE_BYSTANDER);
	assert_false(verdict.multinode);
	assert_false(verdict.unconfinable);
	assert_non_null(strstr(verdict.why, "bystander"));
	check_facts(&verdict, row, mode);
}

static void every_cell_is_as_written(void **state)
{
	bool seen[WHERE_N][3] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		assert_false(seen[table[i].where][table[i].size]);
		seen[table[i].where][table[i].size] = true;
		for (int cell = 0; cell < 12; cell++) {
			enum network_mode mode = 1 + cell % 3;
			enum violation_policy policy = (cell / 3) % 2;

			check_job(&table[i], mode, policy, cell >= 6);
			check_bystander(&table[i], mode, policy);
		}
	}
	assert_int_equal(ARRAY_SIZE(table), WHERE_N * 3);
}

/* Hazards change the remark, the state changes nothing; neither moves the confinement. */
static void hazards_and_state_never_move_a_cell(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		for (int cell = 0; cell < 6 * 8; cell++) {
			struct container container =
				make(table[i].where, table[i].size, true, SINGLE);
			enum network_mode mode = 1 + cell % 3;
			enum violation_policy policy = (cell / 3) % 2;
			struct verdict plain, verdict;
			char code[8], plain_code[8];

			judge_as(&container, table[i].where, mode, policy, &plain);
			container.state = cell / 6;
			judge_as(&container, table[i].where, mode, policy, &verdict);
			assert_string_equal(verdict.why, plain.why);
			container.hazards = UINT32_MAX;
			judge_as(&container, table[i].where, mode, policy, &verdict);
			encode(&plain, plain_code);
			encode(&verdict, code);
			assert_string_equal(code, plain_code);
			assert_true(verdict.unconfinable);
			assert_memory_equal(verdict.why, plain.why, strlen(plain.why));
			assert_non_null(strstr(verdict.why, "; privileged, "));
			assert_non_null(strstr(verdict.why, ", more: the fence cannot hold it"));
		}
}

static const struct {
	enum where where;
	enum instance_size size;
	enum network_mode mode;
	enum violation_policy policy;
	uint32_t hazards;
	const char *name, *why;
} sentences[] = {
	{ HOST, INSTANCE_WHOLE, 2, 0, 0, SINGLE,
	  "host network, whole instance, mode 2 (HOST_WHEN_POSSIBLE): fenced" },
	{ HOST, INSTANCE_WHOLE, 1, 0, 0, SINGLE,
	  "host network, whole instance, mode 1 (HOST_FOR_MULTINODE_ONLY): fenced, multi-node by "
	  "the server's rule" },
	{ HOST, INSTANCE_WHOLE, 3, 0, 0, SINGLE,
	  "host network, whole instance, mode 3 (FORCED_BRIDGE): quarantined, this mode never "
	  "gives the host network: the mirrored mode is stale, or something else placed it" },
	{ HOST, INSTANCE_WHOLE, 3, 1, 0, SINGLE,
	  "host network, whole instance, mode 3 (FORCED_BRIDGE): fenced as on_violation says, this "
	  "mode never gives the host network: the mirrored mode is stale, or something else placed "
	  "it" },
	{ HOST, INSTANCE_UNKNOWN, 1, 0, 0, SINGLE,
	  "host network, size not told yet, mode 1 (HOST_FOR_MULTINODE_ONLY): fenced, as the "
	  "strictest job that this mode places there" },
	{ HOST, INSTANCE_PART, 2, 0, HAZARD_PRIVILEGED, SINGLE,
	  "host network, part of an instance, mode 2 (HOST_WHEN_POSSIBLE): quarantined, no mode "
	  "gives part of an instance the host network: something else placed it; privileged: the "
	  "fence cannot hold it" },
	{ BRIDGE, INSTANCE_PART, 3, 0, HAZARD_RDMA | HAZARD_HOST_USERNS, SINGLE,
	  "bridge network, part of an instance, mode 3 (FORCED_BRIDGE): isolated" },
	{ BRIDGE, INSTANCE_WHOLE, 2, 0, 0, SINGLE,
	  "bridge network, whole instance, mode 2 (HOST_WHEN_POSSIBLE): isolated, this mode gives "
	  "it the host network: the mirrored mode may be stale" },
	{ BRIDGE, INSTANCE_WHOLE, 1, 0, 0, MULTI,
	  "bridge network, whole instance, mode 1 (HOST_FOR_MULTINODE_ONLY): isolated, this mode "
	  "gives a multi-node job the host network: the mirrored mode may be stale" },
	{ BRIDGE, INSTANCE_PART, 2, 0,
	  HAZARD_CAPABILITIES | HAZARD_HOST_IPC | HAZARD_SECCOMP | HAZARD_RDMA, SINGLE,
	  "bridge network, part of an instance, mode 2 (HOST_WHEN_POSSIBLE): isolated; added "
	  "capabilities, host ipc, seccomp unconfined: the fence cannot hold it" },
	{ BRIDGE_AND_OTHER, INSTANCE_PART, 2, 0, 0, SINGLE,
	  "bridge and another network, part of an instance, mode 2 (HOST_WHEN_POSSIBLE): isolated, "
	  "the server only uses the default bridge or the host network: something else placed it" },
	{ USER, INSTANCE_PART, 3, 0, 0, SINGLE,
	  "user-defined network, part of an instance, mode 3 (FORCED_BRIDGE): isolated, the server "
	  "only uses the default bridge or the host network: something else placed it" },
	{ NONE, INSTANCE_WHOLE, 2, 0, 0, SINGLE,
	  "no network, whole instance, mode 2 (HOST_WHEN_POSSIBLE): isolated, the server always "
	  "gives a network: something else placed it" },
	{ ODD, INSTANCE_UNKNOWN, 2, 0, 0, SINGLE,
	  "network not told yet, size not told yet, mode 2 (HOST_WHEN_POSSIBLE): quarantined, "
	  "isolated on any bridge, until the engine says where it is" },
	{ ODD, INSTANCE_WHOLE, 2, 1, 0, SINGLE,
	  "unknown kind of network, whole instance, mode 2 (HOST_WHEN_POSSIBLE): quarantined, "
	  "isolated on any bridge: the server never asks for such a network" },
	{ JOINED_HOST, INSTANCE_WHOLE, 2, 0, 0, SINGLE,
	  "host network of a joined container, whole instance, mode 2 (HOST_WHEN_POSSIBLE): "
	  "quarantined, the server never joins networks: something else placed it" },
	{ JOINED_MISSING, INSTANCE_WHOLE, 2, 1, 0, SINGLE,
	  "joined container that is not known, whole instance, mode 2 (HOST_WHEN_POSSIBLE): "
	  "quarantined, isolated on any bridge: the server never joins networks" },
	{ JOINED_NONE, INSTANCE_WHOLE, 3, 0, 0, SINGLE,
	  "joined container without a network, whole instance, mode 3 (FORCED_BRIDGE): isolated, "
	  "the server never joins networks: something else placed it" },
};

static void sentences_read_as_written(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(sentences); i++) {
		struct container container =
			make(sentences[i].where, sentences[i].size, true, sentences[i].name);
		struct verdict verdict;

		container.hazards = sentences[i].hazards;
		judge_as(&container, sentences[i].where, sentences[i].mode, sentences[i].policy,
			 &verdict);
		assert_string_equal(verdict.why, sentences[i].why);
		assert_int_equal(verdict.unconfinable, hazards_voiding(sentences[i].hazards) != 0);
	}
}

static void bystanders_read_as_written(void **state)
{
	struct container container = make(JOINED_HOST, INSTANCE_WHOLE, false, NULL);
	struct verdict verdict;

	judge_as(&container, JOINED_HOST, 2, 0, &verdict);
	assert_true(verdict.joined);
	assert_string_equal(verdict.why, "bystander (no is-task label), host network of a joined "
					 "container: free, keeps all that it had");
}

/* config refuses it; should one slip through, it is never freer than the strictest mode. */
static void mode_out_of_range_is_the_strictest(void **state)
{
	struct container container = make(HOST, INSTANCE_WHOLE, true, SINGLE);
	struct verdict verdict;

	judge_as(&container, HOST, (enum network_mode)0, 0, &verdict);
	assert_int_equal(verdict.confinement, CONFINEMENT_QUARANTINED);
}

/* dstack sets both on a part; either alone is no whole instance. */
static void size_is_whole_without_any_limit_only(void **state)
{
	static const struct {
		int64_t nano_cpus, memory;
		enum instance_size size;
	} cases[] = {
		{ 0, 0, INSTANCE_WHOLE }, { 1, 0, INSTANCE_PART },  { 0, 1, INSTANCE_PART },
		{ 1, 1, INSTANCE_PART },  { -1, 0, INSTANCE_PART },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct container container = make(HOST, INSTANCE_WHOLE, true, SINGLE);
		struct verdict verdict;

		container.nano_cpus = cases[i].nano_cpus;
		container.memory = cases[i].memory;
		judge_as(&container, HOST, 2, 0, &verdict);
		assert_int_equal(verdict.size, cases[i].size);
		container.inspected = false;
		judge_as(&container, HOST, 2, 0, &verdict);
		assert_int_equal(verdict.size, INSTANCE_UNKNOWN);
	}
}

static void other_network_is_seen_by_its_name(void **state)
{
	struct endpoint endpoints[] = { { .network_name = NULL }, { .network_name = "default" } };
	struct container container = make(BRIDGE, INSTANCE_PART, true, SINGLE);
	struct verdict verdict;

	container.endpoints = endpoints;
	container.endpoints_n = 2;
	judge_as(&container, BRIDGE, 2, 0, &verdict);
	assert_false(verdict.violation);
	endpoints[0].network_name = "lab"; /* moved from the bridge to another network */
	container.endpoints_n = 1;
	judge_as(&container, BRIDGE, 2, 0, &verdict);
	assert_true(verdict.violation);
	assert_int_equal(verdict.confinement, CONFINEMENT_ISOLATED);
}

static void owner_that_joined_is_no_owner(void **state)
{
	struct container container = make(JOINED_HOST, INSTANCE_WHOLE, true, SINGLE);
	struct container owner = { .id = "c1", .network_kind = NETWORK_KIND_CONTAINER };
	struct container host = { .id = "c2", .network_kind = NETWORK_KIND_HOST };
	struct container bridge = make(BRIDGE, INSTANCE_PART, true, SINGLE);
	struct config config;
	struct verdict verdict;

	config_defaults(&config);
	config.on_violation = ON_VIOLATION_FENCE;
	classify(&container, &owner, &config, &verdict);
	assert_int_equal(verdict.placement, PLACEMENT_UNKNOWN);
	assert_int_equal(verdict.confinement, CONFINEMENT_QUARANTINED);
	classify(&bridge, &host, &config, &verdict); /* joined nobody: no owner */
	assert_int_equal(verdict.placement, PLACEMENT_BRIDGE);
}

static void job_number_is_read_from_the_end(void **state)
{
	static const struct {
		const char *name;
		int number;
	} cases[] = {
		{ "train-0-0-0123abcd", 0 },
		{ "train-1-0-0123abcd", 1 },
		{ "train-0-1-0123abcd", 0 }, /* replica 1 of a service is not a second node */
		{ "train-12-7-deadbeef", 12 },
		{ "my-2nd-run-9-8-3-0-00000000", 3 },
		{ "a-1-0-0-0-0123abcd", 0 }, /* a run named a-1-0 */
		{ "1-2-3-0123abcd", 2 },
		{ "--4-0-0123abcd", 4 },
		{ "train-999999999-0-0123abcd", 999999999 },
		{ "train-1000000000-0-0123abcd", -1 },
		{ "train-99999999999999999999-0-0123abcd", -1 },
		{ "train-1-99999999999999999999-0123abcd", -1 },
		{ NULL, -1 },
		{ "", -1 },
		{ "-", -1 },
		{ "---", -1 },
		{ "train", -1 },
		{ "0123abcd", -1 },
		{ "train-0123abcd", -1 },
		{ "0-0123abcd", -1 },
		{ "1-0-0123abcd", -1 },  /* no run */
		{ "-1-0-0123abcd", -1 }, /* an empty run */
		{ "train-1-0", -1 },
		{ "train-1-0-", -1 },
		{ "train-1-0-0123abc", -1 },
		{ "train-1-0-0123abcde", -1 },
		{ "train-1-0-0123ABCD", -1 }, /* Go's %x is lower case */
		{ "train-1-0-0123abcg", -1 },
		{ "train-1--0123abcd", -1 },
		{ "train--0-0123abcd", -1 },
		{ "train-x-0-0123abcd", -1 },
		{ "train-1-x-0123abcd", -1 },
		{ "train-01-0-0123abcd", -1 }, /* Python prints no leading zero */
		{ "train-1-00-0123abcd", -1 },
		{ "train-+1-0-0123abcd", -1 },
		{ "train- 1-0-0123abcd", -1 },
		{ "train-1-0-0123abcd ", -1 },
		{ "train-\xd9\xa1-0-0123abcd", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (classify_job_number(cases[i].name) != cases[i].number)
			fail_msg("%s: %d, expected %d", cases[i].name ?: "(null)",
				 classify_job_number(cases[i].name), cases[i].number);
}

static struct container link_to(const char *id, const char *name, const char *ref)
{
	struct container container = {
		.id = id,
		.name = name,
		.network_ref = (char *)ref,
		.network_kind = ref ? NETWORK_KIND_CONTAINER : NETWORK_KIND_BRIDGE,
	};

	return container;
}

#define ID(c) c c c c c c c c c c c c c c c c
#define ID_A ID("aaaa")
#define ID_B ID("bbbb")
#define ID_C ID("cccc")
#define ID_D ID("dddd")

static void owner_is_found_as_the_engine_finds_it(void **state)
{
	static const struct {
		const char *ref;
		int owner; /* index, or -1 */
	} cases
		[] = {
			{ ID_C, 2 },      { "web", 2 }, { "/web", 2 },
			{ "bb", 1 },  /* a prefix of one id only */
			{ "ddd", 0 }, /* a name, though a prefix of another's id */
			{ "we", -1 }, /* names have no prefixes */
			{ "aaaa1", -1 },  { "", -1 },   { "/", -1 },
			{ ID_C "c", -1 }, { NULL, -1 },
		};
	struct container containers[] = {
		link_to(ID_A, "ddd", NULL),
		link_to(ID_B, "db", NULL),
		link_to(ID_C, "web", NULL),
		link_to(ID_D, NULL, NULL),
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct container joined = link_to("e", "e", cases[i].ref);
		const struct container *expected =
			cases[i].owner < 0 ? NULL : &containers[cases[i].owner];

		joined.network_kind = NETWORK_KIND_CONTAINER;
		assert_ptr_equal(classify_owner(&joined, containers, ARRAY_SIZE(containers)),
				 expected);
		assert_null(classify_owner(&joined, NULL, 0));
	}
}

static void prefix_of_two_ids_is_nobody(void **state)
{
	struct container containers[] = {
		link_to("aaaa", "x", NULL),
		link_to("aabb", "y", NULL),
	};
	struct container joined = link_to("e", "e", "aa");

	assert_null(classify_owner(&joined, containers, 2));
	joined.network_ref = "aab";
	assert_ptr_equal(classify_owner(&joined, containers, 2), &containers[1]);
}

static void empty_ref_is_nobody(void **state)
{
	struct container alone[] = { link_to("aaaa", "web", NULL) };
	struct container joined = link_to("e", "e", "");

	assert_null(classify_owner(&joined, alone, 1)); /* a prefix of everything */
	joined.network_ref = "/";
	assert_null(classify_owner(&joined, alone, 1));
}

static void network_named_like_a_container_is_no_owner(void **state)
{
	struct container containers[] = { link_to("aaaa", "web", NULL) };
	struct container user = { .network_kind = NETWORK_KIND_USER, .network_ref = "web" };

	assert_null(classify_owner(&user, containers, 1));
}

static void chains_end_at_whoever_joined_nobody(void **state)
{
	/* "1" → "2" → … → "9", which is on a bridge */
	struct container containers[] = {
		link_to("1", "n1", "2"),  link_to("2", "n2", "n3"), link_to("3", "n3", "4"),
		link_to("4", "n4", "n5"), link_to("5", "n5", "6"),  link_to("6", "n6", "7"),
		link_to("7", "n7", "8"),  link_to("8", "n8", "9"),  link_to("9", "n9", NULL),
	};
	struct container ninth = link_to("0", "n0", "1");

	assert_null(classify_owner(&containers[8], containers, 9)); /* joined nobody */
	assert_ptr_equal(classify_owner(&containers[7], containers, 9), &containers[8]);
	assert_ptr_equal(classify_owner(&containers[0], containers, 9), &containers[8]);
	assert_null(classify_owner(&ninth, containers, 9)); /* nine links */
	containers[8].network_kind = NETWORK_KIND_UNKNOWN;
	assert_ptr_equal(classify_owner(&containers[6], containers, 9), &containers[8]);
	containers[3].network_ref = "gone";
	assert_null(classify_owner(&containers[0], containers, 9));
}

static void circles_have_no_owner(void **state)
{
	struct container containers[] = {
		link_to("1", "n1", "2"),
		link_to("2", "n2", "1"),
		link_to("3", "n3", "3"),
		link_to("4", "n4", "1"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(containers); i++)
		assert_null(classify_owner(&containers[i], containers, ARRAY_SIZE(containers)));
}

static void hazards_void_all_but_the_remarks(void **state)
{
	static const uint32_t voiding[] = { HAZARD_PRIVILEGED,
					    HAZARD_CAPABILITIES,
					    HAZARD_DOCKER_SOCKET,
					    HAZARD_HOST_PATH,
					    HAZARD_HOST_PID,
					    HAZARD_HOST_IPC,
					    HAZARD_SECCOMP,
					    HAZARD_APPARMOR,
					    HAZARD_DEVICES,
					    HAZARD_NETWORK_DRIVER,
					    1u << 31 };

	for (size_t i = 0; i < ARRAY_SIZE(voiding); i++)
		assert_int_equal(hazards_voiding(voiding[i] | HAZARD_RDMA), voiding[i]);
	assert_int_equal(hazards_voiding(HAZARD_RDMA | HAZARD_HOST_USERNS | HAZARD_HOST_CGROUPNS),
			 0);
	assert_int_equal(hazards_voiding(0), 0);
}

static void hazards_are_words(void **state)
{
	char text[512];

	assert_ptr_equal(hazards_text(0, text, sizeof(text)), text);
	assert_string_equal(text, "");
	assert_string_equal(
		hazards_text(HAZARD_PRIVILEGED | HAZARD_DOCKER_SOCKET, text, sizeof(text)), "privil"
											    "eged, "
											    "docker"
											    " socke"
											    "t");
	assert_string_equal(hazards_text((1 << 13) - 1, text, sizeof(text)),
			    "privileged, added capabilities, docker socket, host path, host pid, "
			    "host ipc, seccomp unconfined, apparmor or paths unconfined, host "
			    "device, "
			    "network without a bridge, rdma, host cgroup namespace, "
			    "host user namespace");
	assert_string_equal(hazards_text(1u << 31, text, sizeof(text)), "unnamed hazard");
}

/* Exact buffers from the heap, so that a byte too many is seen by the sanitizer. */
static void short_lists_of_hazards_say_so(void **state)
{
	uint32_t hazards = HAZARD_PRIVILEGED | HAZARD_DOCKER_SOCKET | HAZARD_HOST_PID;
	static const char whole[] = "privileged, docker socket, host pid";

	for (size_t size = 1; size <= sizeof(whole); size++) {
		char *text = malloc(size);

		assert_non_null(text);
		memset(text, 'x', size);
		assert_ptr_equal(hazards_text(hazards, text, size), text);
		assert_true(strlen(text) < size);
		if (size >= sizeof("privileged, more") && size < sizeof(whole))
			assert_string_equal(strstr(text, ", more"), ", more");
		if (size == sizeof(whole))
			assert_string_equal(text, whole);
		free(text);
	}
	assert_null(hazards_text(hazards, NULL, 0));
}

static void names_are_stable(void **state)
{
	assert_string_equal(role_name(ROLE_JOB), "job");
	assert_string_equal(role_name(ROLE_BYSTANDER), "bystander");
	assert_string_equal(placement_name(PLACEMENT_BRIDGE), "bridge");
	assert_string_equal(placement_name(PLACEMENT_HOST), "host");
	assert_string_equal(placement_name(PLACEMENT_NONE), "none");
	assert_string_equal(placement_name(PLACEMENT_UNKNOWN), "unknown");
	assert_string_equal(confinement_name(CONFINEMENT_NONE), "free");
	assert_string_equal(confinement_name(CONFINEMENT_ISOLATED), "isolated");
	assert_string_equal(confinement_name(CONFINEMENT_FENCED), "fenced");
	assert_string_equal(confinement_name(CONFINEMENT_QUARANTINED), "quarantined");
	assert_string_equal(instance_size_name(INSTANCE_WHOLE), "whole");
	assert_string_equal(instance_size_name(INSTANCE_PART), "part");
	assert_string_equal(instance_size_name(INSTANCE_UNKNOWN), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_is_as_written),
		cmocka_unit_test(hazards_and_state_never_move_a_cell),
		cmocka_unit_test(sentences_read_as_written),
		cmocka_unit_test(bystanders_read_as_written),
		cmocka_unit_test(mode_out_of_range_is_the_strictest),
		cmocka_unit_test(size_is_whole_without_any_limit_only),
		cmocka_unit_test(other_network_is_seen_by_its_name),
		cmocka_unit_test(owner_that_joined_is_no_owner),
		cmocka_unit_test(job_number_is_read_from_the_end),
		cmocka_unit_test(owner_is_found_as_the_engine_finds_it),
		cmocka_unit_test(prefix_of_two_ids_is_nobody),
		cmocka_unit_test(empty_ref_is_nobody),
		cmocka_unit_test(network_named_like_a_container_is_no_owner),
		cmocka_unit_test(chains_end_at_whoever_joined_nobody),
		cmocka_unit_test(circles_have_no_owner),
		cmocka_unit_test(hazards_void_all_but_the_remarks),
		cmocka_unit_test(hazards_are_words),
		cmocka_unit_test(short_lists_of_hazards_say_so),
		cmocka_unit_test(names_are_stable),
	};

	return cmocka_run_group_tests_name("classify", tests, NULL, NULL);
}
