/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text that others chose, made harmless before anyone sees it.
 *
 * A tenant names runs, and so containers; those names end up in terminals, in the journal and in
 * comments of nft sets. None of them may move a cursor, forge a second log line or end a quoted
 * string early. What is not plainly harmless becomes '?': nothing here escapes, since an escape
 * that one reader undoes is text again for the next. Nothing here allocates, so nothing can fail.
 */
#include "jobfence/text.h"

#include <errno.h>
#include <string.h>

static bool is_safe(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\'' && c != '\\' && c != '`';
}

const char *text_safe(const char *text, char *buffer, size_t size)
{
	size_t n = 0;

	if (size == 0)
		return buffer;
	for (; text && text[n] && n + 1 < size; n++)
		buffer[n] = is_safe((unsigned char)text[n]) ? text[n] : '?';
	buffer[n] = '\0';
	return buffer;
}

/* The number of bytes that a leading byte announces, 0 for a byte that cannot lead. */
static int utf8_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef)
		return 3;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 4;
	return 0;
}

int text_utf8_decode(const char *text, uint32_t *ret_code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *bytes = (const unsigned char *)text;
	int length = utf8_length(bytes[0]);
	uint32_t code;

	if (length == 0)
		return -EINVAL;
	code = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
	for (int i = 1; i < length; i++) {
		/* The NUL is no continuation byte: this never reads past it. */
		if ((bytes[i] & 0xc0) != 0x80)
			return -EINVAL;
		code = code << 6 | (bytes[i] & 0x3f);
	}
	if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return -EINVAL;
	*ret_code = code;
	return length;
}

bool text_is_shown(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{ 0, 0x1f },        { 0x7f, 0x9f },     { 0x61c, 0x61c },
		{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x2069 },
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, { 0xe0000, 0xe007f },
	};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (code >= hidden[i].first && code <= hidden[i].last)
			return false;
	return true;
}

char *text_one_line(char *text)
{
	for (char *p = text; *p;) {
		uint32_t code = 0;
		int length = text_utf8_decode(p, &code);

		if (length < 0) {
			*p++ = '?';
		} else if (text_is_shown(code)) {
			p += length;
		} else {
			memset(p, '?', (size_t)length);
			p += length;
		}
	}
	return text;
}

uint64_t text_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3ULL;
	return hash;
}
