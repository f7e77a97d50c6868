/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Elements of the sets as sorted arrays. Plain data and nothing else: no kernel, no clock, no
 * policy. A sealed ruleset has every set in key order without a key twice, which is what makes the
 * comparison of two rulesets a walk over two arrays.
 */
#include "jobfence/ruleset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define BLOCK_SIZE 4096

struct ruleset_block {
	struct ruleset_block *next;
	size_t used;
	uint8_t bytes[BLOCK_SIZE - sizeof(struct ruleset_block *) - sizeof(size_t)];
};

int ruleset_new(struct ruleset **ret_ruleset)
{
	struct ruleset *ruleset = calloc(1, sizeof(*ruleset));

	if (!ruleset)
		return -ENOMEM;
	*ret_ruleset = ruleset;
	return 0;
}

void ruleset_blocks_free(struct ruleset_block *blocks)
{
	struct ruleset_block *next;

	for (struct ruleset_block *block = blocks; block; block = next) {
		next = block->next;
		free(block);
	}
}

struct ruleset *ruleset_free(struct ruleset *ruleset)
{
	if (!ruleset)
		return NULL;
	for (size_t i = 0; i < SET_MAX; i++)
		free(ruleset->sets[i].elem);
	ruleset_blocks_free(ruleset->blocks);
	free(ruleset->keep_ends);
	free(ruleset);
	return NULL;
}

/* @size bytes that live as long as the ruleset; at most a block, @align a power of two. NULL: no memory. */
static void *take(struct ruleset *ruleset, size_t size, size_t align)
{
	struct ruleset_block *block = ruleset->blocks;
	size_t at = block ? (block->used + align - 1) & ~(align - 1) : 0;

	if (!block || at + size > sizeof(block->bytes)) {
		block = malloc(sizeof(*block));
		if (!block)
			return NULL;
		block->next = ruleset->blocks;
		ruleset->blocks = block;
		at = 0;
	}
	block->used = at + size;
	return block->bytes + at;
}

int ruleset_comment(struct ruleset *ruleset, const char *text, const char **ret_comment)
{
	size_t len = strnlen(text, ELEM_COMMENT_MAX);
	char *copy = take(ruleset, len + 1, 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*ret_comment = copy;
	return 0;
}

static int add(struct ruleset *ruleset, enum set_id set, const struct elem_key *key,
	       struct elem_extra *extra, const char *comment)
{
	struct elems *elems = &ruleset->sets[set];

	if (elems->n == elems->cap) {
		size_t cap = elems->cap ? elems->cap * 2 : 4;
		struct elem *grown = reallocarray(elems->elem, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		elems->elem = grown;
		elems->cap = cap;
	}
	struct elem *elem = &elems->elem[elems->n++];

	*elem = (struct elem){ .comment = comment, .extra = extra };
	memcpy(elem->key, key->bytes, sizeof(elem->key));
	return 0;
}

int ruleset_add_extra(struct ruleset *ruleset, enum set_id set, const struct elem_key *key,
		      const struct elem_extra *extra, const char *comment)
{
	struct elem_extra *copy = take(ruleset, sizeof(*copy), _Alignof(struct elem_extra));

	if (!copy)
		return -ENOMEM;
	*copy = *extra;
	return add(ruleset, set, key, copy, comment);
}

int ruleset_add(struct ruleset *ruleset, enum set_id set, const struct elem_key *key, uint32_t data,
		const char *comment)
{
	if (data)
		return ruleset_add_extra(ruleset, set, key, &(struct elem_extra){ .data = data },
					 comment);
	return add(ruleset, set, key, NULL, comment);
}

int ruleset_add_timed(struct ruleset *ruleset, enum set_id set, const struct elem_key *key,
		      uint64_t ends, const char *comment)
{
	return ruleset_add_extra(ruleset, set, key, &(struct elem_extra){ .ends = ends }, comment);
}

int ruleset_add_range(struct ruleset *ruleset, enum set_id set, const struct elem_key *first,
		      const struct elem_key *last)
{
	struct elem_extra extra = { 0 };

	memcpy(extra.last, last->bytes, sizeof(extra.last));
	return ruleset_add_extra(ruleset, set, first, &extra, NULL);
}

static int elem_cmp(const void *a, const void *b)
{
	const struct elem *one = a, *two = b;

	return memcmp(one->key, two->key, sizeof(one->key));
}

/* Two containers may claim one key: which one is named must not depend on the order of arrival. */
static int elem_order(const void *a, const void *b)
{
	const struct elem *one = a, *two = b;
	const struct elem_extra *of_one = elem_extra(one), *of_two = elem_extra(two);
	int r = elem_cmp(a, b);

	if (r == 0) /* 0 is never: the last */
		r = (of_one->ends - 1 > of_two->ends - 1) - (of_one->ends - 1 < of_two->ends - 1);
	if (r == 0)
		r = (of_one->data > of_two->data) - (of_one->data < of_two->data);
	if (r == 0)
		r = strcmp(one->comment ?: "", two->comment ?: "");
	return r;
}

/* A sealed ruleset is kept: what growing left over is given back. */
static void shrink(struct elems *elems)
{
	struct elem *shrunk =
		elems->n < elems->cap ? reallocarray(elems->elem, elems->n, sizeof(*shrunk)) : NULL;

	if (!shrunk)
		return;
	elems->elem = shrunk;
	elems->cap = elems->n;
}

void ruleset_seal(struct ruleset *ruleset)
{
	for (size_t s = 0; s < SET_MAX; s++) {
		struct elems *elems = &ruleset->sets[s];
		size_t kept = 0;

		if (elems->n == 0)
			continue;
		qsort(elems->elem, elems->n, sizeof(*elems->elem), elem_order);
		for (size_t i = 1; i < elems->n; i++)
			if (elem_cmp(&elems->elem[kept], &elems->elem[i]) != 0)
				elems->elem[++kept] = elems->elem[i];
		elems->n = kept + 1;
		shrink(elems);
	}
}

const struct elem *ruleset_find(const struct ruleset *ruleset, enum set_id set,
				const uint8_t key[static ELEM_KEY_MAX])
{
	const struct elems *elems = &ruleset->sets[set];
	struct elem wanted;

	if (elems->n == 0)
		return NULL;
	memcpy(wanted.key, key, sizeof(wanted.key));
	return bsearch(&wanted, elems->elem, elems->n, sizeof(*elems->elem), elem_cmp);
}

static bool ends_equal(uint64_t a, uint64_t b)
{
	return !a == !b && (a > b ? a - b : b - a) < ELEM_ENDS_SLACK_USEC;
}

bool ruleset_keeps(const struct ruleset *ruleset, const struct elem *elem)
{
	const uint64_t ends = elem_extra(elem)->ends;

	for (size_t i = 0; ends && i < ruleset->keep_ends_n; i++)
		if (ends_equal(ruleset->keep_ends[i], ends))
			return true;
	return !ends;
}

bool elem_extra_equal(const struct elem_extra *a, const struct elem_extra *b)
{
	return memcmp(a->last, b->last, sizeof(a->last)) == 0 && a->data == b->data &&
	       ends_equal(a->ends, b->ends);
}

bool elem_equal(const struct elem *a, const struct elem *b)
{
	return elem_cmp(a, b) == 0 && elem_extra_equal(elem_extra(a), elem_extra(b)) &&
	       strcmp(a->comment ?: "", b->comment ?: "") == 0;
}

bool elems_equal(const struct elems *a, const struct elems *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!elem_equal(&a->elem[i], &b->elem[i]))
			return false;
	return true;
}

void elem_key_init(struct elem_key *key)
{
	*key = (struct elem_key){ 0 };
}

/* Fields of a concatenation start at multiples of 4; a lone field ends where it ends, and the
 * zeros behind it are never sent. */
void elem_key_add(struct elem_key *key, const void *field, uint32_t len)
{
	memcpy(key->bytes + key->len, field, len);
	key->len += (len + 3) & ~3u;
}

void elem_key_ifname(struct elem_key *key, const char *name)
{
	char padded[IFNAMSIZ] = { 0 };

	memcpy(padded, name, strnlen(name, IFNAMSIZ - 1));
	elem_key_add(key, padded, sizeof(padded));
}

void elem_key_u8(struct elem_key *key, uint8_t value)
{
	elem_key_add(key, &value, sizeof(value));
}

void elem_key_u16(struct elem_key *key, uint16_t host_order)
{
	uint16_t value = htons(host_order);

	elem_key_add(key, &value, sizeof(value));
}

void elem_key_u32(struct elem_key *key, uint32_t host_order)
{
	elem_key_add(key, &host_order, sizeof(host_order));
}

void elem_key_u64(struct elem_key *key, uint64_t host_order)
{
	elem_key_add(key, &host_order, sizeof(host_order));
}
