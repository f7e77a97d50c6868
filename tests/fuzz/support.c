/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See fuzz.h. */
#include "fuzz.h"

#include "jobfence/text.h"

char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text;

	CHECK(size < PTRDIFF_MAX);
	text = malloc(size + 1);
	CHECK(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

char *fuzz_part(const uint8_t **data, size_t *size)
{
	static const char mark[] = "%%\n";
	const uint8_t *from = *data;
	size_t left = *size;
	const uint8_t *end = left ? memmem(from, left, mark, strlen(mark)) : NULL;
	size_t len = end ? (size_t)(end - from) : left;
	size_t taken = end ? len + strlen(mark) : len;

	if (taken)
		*data += taken;
	*size -= taken;
	return fuzz_text(from, len);
}

bool fuzz_is_line(const char *text, size_t size)
{
	if (strnlen(text, size) == size)
		return false;
	while (*text) {
		uint32_t code = 0;
		int length = text_utf8_decode(text, &code);

		if (length < 0 || code < 0x20 || (code >= 0x7f && code <= 0x9f) ||
		    (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069))
			return false;
		text += length;
	}
	return true;
}

bool fuzz_is_safe(const char *text, size_t max)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if (text[i] < 0x20 || text[i] > 0x7e || strchr("\"'\\`", text[i]))
			return false;
	return length <= max;
}

void fuzz_check_refusal(int error, const struct diag *diag)
{
	CHECK(error < 0);
	CHECK(diag->text[0]);
	CHECK(fuzz_is_line(diag->text, sizeof(diag->text)));
}
