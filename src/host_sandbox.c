/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which namespace id belongs to which file of the engine's, remembered: asking costs the kernel ten
 * times as much as looking at the file, and there is one for each container and picture. An id stays
 * with its namespace for as long as that lives, and the file holds it alive. What is not the same file
 * under the same name is asked for; a name without an id is asked for each time.
 */
#include "host-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "jobfence/text.h"

static int by_hash(const void *a, const void *b)
{
	const struct sandbox_id *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

static const struct sandbox_id *find(const struct sandbox_ids *ids, const struct sandbox_id *wanted)
{
	const struct sandbox_id *id =
		ids->known_n ? bsearch(wanted, ids->known, ids->known_n, sizeof(*id), by_hash)
			     : NULL;

	return id && id->device == wanted->device && id->inode == wanted->inode ? id : NULL;
}

/* Without memory it is asked for again. */
static void remember(struct sandbox_ids *ids, const struct sandbox_id *id)
{
	if (ids->seen_n == ids->seen_max) {
		size_t max = ids->seen_max ? ids->seen_max * 2 : ids->known_n + 16;
		struct sandbox_id *seen = reallocarray(ids->seen, max, sizeof(*seen));

		if (!seen)
			return;
		ids->seen = seen;
		ids->seen_max = max;
	}
	ids->seen[ids->seen_n++] = *id;
}

int sandbox_ids_get(struct sandbox_ids *ids, const char *key)
{
	struct sandbox_id id = { .key = text_hash(key) };
	const struct sandbox_id *known;
	struct stat st;

	if (stat(key, &st) < 0)
		return -errno;
	id.device = st.st_dev;
	id.inode = st.st_ino;
	known = find(ids, &id);
	id.nsid = known ? known->nsid : ids->ask(ids->data, key);
	if (id.nsid >= 0)
		remember(ids, &id);
	return id.nsid;
}

void sandbox_ids_turn(struct sandbox_ids *ids)
{
	free(ids->known);
	ids->known = take_ptr(ids->seen);
	ids->known_n = ids->seen_n;
	ids->seen_n = ids->seen_max = 0;
	if (ids->known_n)
		qsort(ids->known, ids->known_n, sizeof(*ids->known), by_hash);
}

void sandbox_ids_done(struct sandbox_ids *ids)
{
	free(ids->known);
	free(ids->seen);
}
