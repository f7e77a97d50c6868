/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A desired ruleset as the kernel would give it back. After cmocka.h. */
#pragma once

#include <string.h>

#include "jobfence/ruleset.h"

/* The elements of @from, those that count with @packets, each further one with @more on top. */
static inline void copy_elements(const struct ruleset *from, struct ruleset *to, uint64_t packets,
				 uint64_t more)
{
	for (size_t s = 0; s < SET_MAX; s++) {
		for (size_t i = 0; i < from->sets[s].n; i++) {
			const struct elem *elem = &from->sets[s].elem[i];
			struct elem_key key = { 0 };
			const char *comment = NULL;

			memcpy(key.bytes, elem->key, sizeof(key.bytes));
			if (elem->comment)
				assert_int_equal(ruleset_comment(to, elem->comment, &comment), 0);
			assert_int_equal(ruleset_add(to, (enum set_id)s, &key, elem->data, comment),
					 0);
			if (!set_spec((enum set_id)s)->counter)
				continue;
			to->sets[s].elem[to->sets[s].n - 1].packets = packets;
			packets += more;
		}
	}
	ruleset_seal(to);
}
