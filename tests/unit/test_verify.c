/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps that would repair the kernel, told as what is wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../src/commands-internal.h"

#define MAX_OPS 8
#define MAX_SENTENCES 8

static const struct chain output = { .family = FAMILY_INET, .name = "output", .rules_n = 2 };
static const struct elem docker0 = { .key = "docker0" };
static struct elem_extra tag_extra = { .data = 0x10000007 };
static const struct elem tag = { .key = { 7 }, .extra = &tag_extra, .comment = "a\x1b[2J\"b" };

#define CHAIN(kind_)                                                                        \
	{                                                                                   \
		.kind = (kind_), .family = FAMILY_INET, .name = "output", .chain = &output, \
	}
#define SET(kind_)                                                                   \
	{                                                                            \
		.kind = (kind_), .family = FAMILY_BRIDGE, .set = SET_BRIDGE_GUARDED, \
		.name = "guarded_bridges",                                           \
	}
#define ELEM(kind_)                                                                  \
	{                                                                            \
		.kind = (kind_), .family = FAMILY_BRIDGE, .set = SET_BRIDGE_GUARDED, \
		.name = "guarded_bridges", .elem = &docker0,                         \
	}

static const struct {
	struct op ops[MAX_OPS];
	size_t n;
	const char *sentences[MAX_SENTENCES];
} cases[] = {
	{ { { 0 } }, 0, { NULL } },
	{ { { .kind = OP_ADD_TABLE, .family = FAMILY_INET },
	    CHAIN(OP_ADD_CHAIN),
	    CHAIN(OP_ADD_RULE) },
	  3,
	  { "missing: table inet jobfence" } },
	/* the other table is told of on its own */
	{ { { .kind = OP_ADD_TABLE, .family = FAMILY_INET },
	    CHAIN(OP_ADD_CHAIN),
	    ELEM(OP_DEL_ELEM) },
	  3,
	  { "missing: table inet jobfence", "unexpected: element docker0 of set guarded_bridges of "
					    "table bridge jobfence" } },
	{ { CHAIN(OP_ADD_CHAIN), CHAIN(OP_ADD_RULE), CHAIN(OP_ADD_RULE) },
	  3,
	  { "missing: chain output of table inet jobfence" } },
	{ { CHAIN(OP_FLUSH_CHAIN), CHAIN(OP_DEL_CHAIN), CHAIN(OP_ADD_CHAIN), CHAIN(OP_ADD_RULE) },
	  4,
	  { "different: chain output of table inet jobfence" } },
	{ { CHAIN(OP_FLUSH_CHAIN), CHAIN(OP_DEL_CHAIN) },
	  2,
	  { "unexpected: chain output of table inet jobfence" } },
	{ { CHAIN(OP_FLUSH_CHAIN), CHAIN(OP_ADD_RULE), CHAIN(OP_ADD_RULE) },
	  3,
	  { "different: rules in chain output of table inet jobfence" } },
	{ { CHAIN(OP_ADD_RULE), CHAIN(OP_ADD_RULE) },
	  2,
	  { "missing: rules in chain output of table inet jobfence" } },
	/* every chain is written anew for a set: that is no difference of the chains */
	{ { CHAIN(OP_FLUSH_CHAIN), SET(OP_DEL_SET), SET(OP_ADD_SET), ELEM(OP_ADD_ELEM),
	    CHAIN(OP_ADD_RULE) },
	  5,
	  { "different: set guarded_bridges of table bridge jobfence; the rules cannot be compared "
	    "before it is made anew" } },
	/* but a set that should not be there hides nothing */
	{ { CHAIN(OP_FLUSH_CHAIN), SET(OP_DEL_SET), CHAIN(OP_ADD_RULE) },
	  3,
	  { "different: rules in chain output of table inet jobfence", "unexpected: set "
								       "guarded_bridges of table "
								       "bridge jobfence" } },
	{ { SET(OP_ADD_SET), ELEM(OP_ADD_ELEM) },
	  2,
	  { "missing: set guarded_bridges of table bridge jobfence" } },
	{ { SET(OP_DEL_SET) }, 1, { "unexpected: set guarded_bridges of table bridge jobfence" } },
	{ { ELEM(OP_ADD_ELEM) },
	  1,
	  { "missing: element docker0 of set guarded_bridges of table bridge jobfence" } },
	{ { { .kind = OP_DEL_COUNTER, .family = FAMILY_INET, .name = "x" },
	    { .kind = OP_ADD_COUNTER, .family = FAMILY_BRIDGE, .name = "job_spoofed" },
	    { .kind = OP_DEL_FLOWTABLE, .family = FAMILY_INET, .name = "f\x1b[2J" } },
	  3,
	  { "unexpected: counter x of table inet jobfence",
	    "missing: counter job_spoofed of table bridge jobfence",
	    "unexpected: flow table f?[2J of table inet jobfence" } },
	{ { { .kind = OP_DEL_ELEM,
	      .family = FAMILY_INET,
	      .set = SET_JOB_TAGS,
	      .name = "job_tags",
	      .elem = &tag } },
	  1,
	  { "unexpected: element docker/x : 0x10000007 of set job_tags of table inet jobfence "
	    "(a?[2J?b)" } },
};

static const char *path_of(uint64_t id, void *data)
{
	assert_ptr_equal(data, cases);
	return id == 7 ? "docker/x" : NULL;
}

static void steps_are_told(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(sentences_done) struct sentences sentences = { 0 };
		struct ops ops = { .op = (struct op *)cases[i].ops, .n = cases[i].n };
		size_t n = 0;

		assert_int_equal(differences_text(&ops, path_of, (void *)cases, &sentences), 0);
		for (; n < sentences.n && cases[i].sentences[n]; n++)
			assert_string_equal(sentences.text[n], cases[i].sentences[n]);
		if (n < sentences.n)
			fail_msg("case %zu: and %s", i, sentences.text[n]);
		assert_null(cases[i].sentences[n]);
	}
}

static void take(struct sentences *sentences, const char *names)
{
	struct op op[MAX_OPS];
	struct ops ops = { .op = op };
	char name[MAX_OPS][2] = { 0 };

	for (; names[ops.n]; ops.n++) {
		name[ops.n][0] = names[ops.n];
		op[ops.n] = (struct op){ .kind = OP_DEL_COUNTER, .name = name[ops.n] };
	}
	assert_int_equal(differences_text(&ops, NULL, NULL, sentences), 0);
}

static void only_what_both_looks_saw_stays(void **state)
{
	_cleanup_(sentences_done) struct sentences one = { 0 }, two = { 0 }, none = { 0 };

	take(&one, "abcb");
	take(&two, "cxb");
	assert_int_equal(one.n, 3);
	sentences_intersect(&one, &two);
	assert_int_equal(one.n, 2);
	assert_string_equal(one.text[0], "unexpected: counter b of table inet jobfence");
	assert_string_equal(one.text[1], "unexpected: counter c of table inet jobfence");
	sentences_intersect(&one, &none);
	assert_int_equal(one.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_are_told),
		cmocka_unit_test(only_what_both_looks_saw_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
