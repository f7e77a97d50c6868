/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Elements of the sets as sorted arrays. Plain data and nothing else: no kernel, no clock, no
 * policy. A sealed ruleset has every set in key order without a key twice, which is what makes the
 * comparison of two rulesets a walk over two arrays.
 */
#include "jobfence/ruleset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "jobfence/addr.h"

int ruleset_new(struct ruleset **ret_ruleset)
{
	struct ruleset *ruleset = calloc(1, sizeof(*ruleset));

	if (!ruleset)
		return -ENOMEM;
	*ret_ruleset = ruleset;
	return 0;
}

struct ruleset *ruleset_free(struct ruleset *ruleset)
{
	if (!ruleset)
		return NULL;
	for (size_t i = 0; i < SET_MAX; i++)
		free(ruleset->sets[i].elem);
	for (size_t i = 0; i < ruleset->strings_n; i++)
		free(ruleset->strings[i]);
	free(ruleset->strings);
	free(ruleset);
	return NULL;
}

int ruleset_comment(struct ruleset *ruleset, const char *text, const char **ret_comment)
{
	if (ruleset->strings_n == ruleset->strings_cap) {
		size_t cap = ruleset->strings_cap ? ruleset->strings_cap * 2 : 16;
		char **grown = reallocarray(ruleset->strings, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		ruleset->strings = grown;
		ruleset->strings_cap = cap;
	}
	char *copy = strndup(text, ELEM_COMMENT_MAX);

	if (!copy)
		return -ENOMEM;
	ruleset->strings[ruleset->strings_n++] = copy;
	*ret_comment = copy;
	return 0;
}

int ruleset_add(struct ruleset *ruleset, enum set_id set, const struct elem_key *key, uint32_t data,
		const char *comment)
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

	*elem = (struct elem){ .data = data, .comment = comment };
	memcpy(elem->key, key->bytes, sizeof(elem->key));
	return 0;
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
	int r = elem_cmp(a, b);

	if (r == 0)
		r = (one->data > two->data) - (one->data < two->data);
	if (r == 0)
		r = strcmp(one->comment ?: "", two->comment ?: "");
	return r;
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

struct cgroup_names {
	cgroup_path_fn path;
	void *data;
};

static void field_text(enum key_type type, const uint8_t *field, char *text, size_t size,
		       const struct cgroup_names *names)
{
	char addr[IP_ADDR_TEXT_MAX];
	uint64_t id;
	uint32_t mark;
	const char *path;

	switch (type) {
	case KEY_NONE:
		break;
	case KEY_IFNAME:
		snprintf(text, size, "\"%.*s\"", IFNAMSIZ - 1, (const char *)field);
		break;
	case KEY_IPV4:
		snprintf(text, size, "%s", inet_ntop(AF_INET, field, addr, sizeof(addr)));
		break;
	case KEY_IPV6:
		snprintf(text, size, "%s", inet_ntop(AF_INET6, field, addr, sizeof(addr)));
		break;
	case KEY_ETHER:
		snprintf(text, size, "%02x:%02x:%02x:%02x:%02x:%02x", field[0], field[1], field[2],
			 field[3], field[4], field[5]);
		break;
	case KEY_INET_PROTO:
		snprintf(text, size, "%u", field[0]);
		break;
	case KEY_INET_SERVICE:
		snprintf(text, size, "%u", (unsigned)field[0] << 8 | field[1]);
		break;
	case KEY_MARK:
		memcpy(&mark, field, sizeof(mark));
		snprintf(text, size, "0x%08" PRIx32, mark);
		break;
	case KEY_CGROUP:
		memcpy(&id, field, sizeof(id));
		path = names->path ? names->path(id, names->data) : NULL;
		if (path)
			snprintf(text, size, "\"%s\"", path);
		else
			snprintf(text, size, "cgroup %" PRIu64, id);
		break;
	}
}

int elem_key_text(enum set_id set, const uint8_t key[static ELEM_KEY_MAX], char *buffer,
		  size_t size, cgroup_path_fn cgroup_path, void *data)
{
	const struct set_spec *spec = set_spec(set);
	struct cgroup_names names = { cgroup_path, data };
	size_t used = 0;
	uint32_t offset = 0;

	for (size_t i = 0; i < SET_FIELDS_MAX && spec->key[i] != KEY_NONE; i++) {
		char text[300];
		int n;

		field_text(spec->key[i], key + offset, text, sizeof(text), &names);
		n = snprintf(buffer + used, size - used, "%s%s", i ? " . " : "", text);
		if (n < 0 || (size_t)n >= size - used)
			return -ENOSPC;
		used += (size_t)n;
		offset += (key_type_len(spec->key[i]) + 3) & ~3u;
	}
	return 0;
}
