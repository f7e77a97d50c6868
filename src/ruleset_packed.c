/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ruleset that is kept from one step to the next, in half of its size: keys as long as their set's,
 * and extras only where a set has any. Plain data; what is unpacked is equal to what was packed.
 */
#include "jobfence/ruleset.h"

#include <errno.h>
#include <string.h>

struct packed_set {
	uint8_t *bytes; /* owned: n times key, comment, extra */
	uint32_t n;
	bool extras;
};

struct packed {
	struct packed_set sets[SET_MAX];
	struct ruleset_block *blocks; /* owned: what comments and extras point into */
};

struct packed *packed_free(struct packed *packed)
{
	if (!packed)
		return NULL;
	for (size_t i = 0; i < SET_MAX; i++)
		free(packed->sets[i].bytes);
	ruleset_blocks_free(packed->blocks);
	free(packed);
	return NULL;
}

static size_t stride(enum set_id set, bool extras)
{
	return set_key_len(set_spec(set)) + sizeof(char *) +
	       (extras ? sizeof(struct elem_extra *) : 0);
}

static int pack_set(enum set_id set, const struct elems *elems, struct packed_set *packed)
{
	uint32_t len = set_key_len(set_spec(set));
	uint8_t *at;

	if (elems->n == 0)
		return 0;
	for (size_t i = 0; i < elems->n; i++)
		packed->extras |= elems->elem[i].extra != NULL;
	packed->bytes = at = reallocarray(NULL, elems->n, stride(set, packed->extras));
	if (!at)
		return -ENOMEM;
	packed->n = (uint32_t)elems->n;
	for (size_t i = 0; i < elems->n; i++) {
		const struct elem *elem = &elems->elem[i];

		at = mempcpy(at, elem->key, len);
		at = mempcpy(at, &elem->comment, sizeof(elem->comment));
		if (packed->extras)
			at = mempcpy(at, &elem->extra, sizeof(elem->extra));
	}
	return 0;
}

int ruleset_pack(struct ruleset *ruleset, struct packed **ret_packed)
{
	_cleanup_(packed_freep) struct packed *packed = calloc(1, sizeof(*packed));
	int r = packed ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < SET_MAX; i++)
		r = pack_set((enum set_id)i, &ruleset->sets[i], &packed->sets[i]);
	if (r < 0)
		return r;
	packed->blocks = take_ptr(ruleset->blocks);
	*ret_packed = take_ptr(packed);
	return 0;
}

/* The element at @at, but for its key. */
static struct elem read_elem(const struct packed_set *packed, const uint8_t *at, uint32_t len)
{
	struct elem elem;

	memcpy(&elem.comment, at + len, sizeof(elem.comment));
	elem.extra = NULL;
	if (packed->extras)
		memcpy(&elem.extra, at + len + sizeof(elem.comment), sizeof(elem.extra));
	return elem;
}

static bool is_same(enum set_id set, const struct packed_set *packed, const struct elems *elems)
{
	uint32_t len = set_key_len(set_spec(set));
	size_t step = stride(set, packed->extras);

	if (packed->n != elems->n)
		return false;
	for (size_t i = 0; i < elems->n; i++) {
		const struct elem *wanted = &elems->elem[i];
		const uint8_t *at = packed->bytes + i * step;
		struct elem elem;

		if (memcmp(at, wanted->key, len) != 0)
			return false;
		elem = read_elem(packed, at, len);
		if (strcmp(elem.comment ?: "", wanted->comment ?: "") != 0 ||
		    ((elem.extra || wanted->extra) &&
		     !elem_extra_equal(elem_extra(&elem), elem_extra(wanted))))
			return false;
	}
	return true;
}

static int unpack_set(enum set_id set, const struct packed_set *packed, struct elems *elems)
{
	uint32_t len = set_key_len(set_spec(set));
	size_t step = stride(set, packed->extras);

	if (packed->n == 0)
		return 0;
	elems->elem = calloc(packed->n, sizeof(*elems->elem));
	if (!elems->elem)
		return -ENOMEM;
	elems->n = elems->cap = packed->n;
	for (size_t i = 0; i < elems->n; i++) {
		const uint8_t *at = packed->bytes + i * step;
		struct elem *elem = &elems->elem[i];

		*elem = read_elem(packed, at, len);
		memset(elem->key, 0, sizeof(elem->key));
		memcpy(elem->key, at, len);
	}
	return 0;
}

int ruleset_unpack(const struct packed *packed, const struct ruleset *like,
		   struct ruleset **ret_ruleset, uint64_t *ret_same)
{
	_cleanup_(ruleset_freep) struct ruleset *ruleset = NULL;
	uint64_t same = 0;
	int r = ruleset_new(&ruleset);

	for (size_t i = 0; r >= 0 && i < SET_MAX; i++) {
		enum set_id set = (enum set_id)i;

		if (like && is_same(set, &packed->sets[i], &like->sets[i]))
			same |= SET_BIT_OF(i);
		else
			r = unpack_set(set, &packed->sets[i], &ruleset->sets[i]);
	}
	if (r < 0)
		return r;
	*ret_ruleset = take_ptr(ruleset);
	*ret_same = same;
	return 0;
}
