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
			struct elem_extra extra = *elem_extra(elem);
			struct elem_key key = { 0 };
			const char *comment = NULL;

			memcpy(key.bytes, elem->key, sizeof(key.bytes));
			if (elem->comment)
				assert_int_equal(ruleset_comment(to, elem->comment, &comment), 0);
			if (set_spec((enum set_id)s)->counter) {
				extra.packets = packets;
				packets += more;
			}
			assert_int_equal(
				ruleset_add_extra(to, (enum set_id)s, &key, &extra, comment), 0);
		}
	}
	ruleset_seal(to);
}
