/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event stream cut into lines. Pure: bytes in, lines out. One line may be as long as a label
 * that an image's author chose; beyond LINE_MAX_BYTES it is passed over as a whole, and told as a
 * loss, never as a part. Memory is bounded by that one line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine-internal.h"

void lines_done(struct lines *lines)
{
	free(lines->buffer);
	memset(lines, 0, sizeof(*lines));
}

static int append(struct lines *lines, const char *bytes, size_t len)
{
	size_t needed = lines->len + len;

	if (needed > lines->size) {
		size_t size = lines->size ? lines->size : 4096;
		char *buffer;

		while (size < needed)
			size *= 2;
		buffer = realloc(lines->buffer, size);
		if (!buffer)
			return -ENOMEM;
		lines->buffer = buffer;
		lines->size = size;
	}
	memcpy(lines->buffer + lines->len, bytes, len);
	lines->len += len;
	return 0;
}

/* Some bytes of one line, none of them '\n'. */
static int take_part(struct lines *lines, const char *bytes, size_t len, line_fn fn, void *data)
{
	if (lines->skipping || len == 0)
		return 0;
	if (lines->len + len > LINE_MAX_BYTES) {
		lines_done(lines); /* a line this long is rare: do not keep its megabyte */
		lines->skipping = true;
		fn(NULL, 0, data);
		return 0;
	}
	return append(lines, bytes, len);
}

int lines_feed(struct lines *lines, const char *bytes, size_t len, line_fn fn, void *data)
{
	while (len) {
		const char *end = memchr(bytes, '\n', len);
		size_t part = end ? (size_t)(end - bytes) : len;
		int r = take_part(lines, bytes, part, fn, data);

		if (r)
			return r;
		if (!end)
			return 0;
		if (lines->len)
			fn(lines->buffer, lines->len, data);
		lines->len = 0;
		lines->skipping = false;
		bytes = end + 1;
		len -= part + 1;
	}
	return 0;
}
