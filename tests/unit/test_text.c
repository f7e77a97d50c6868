/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "jobfence/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "jobfence/cleanup.h"

static void test_safe_every_byte(void **state)
{
	for (int c = 1; c < 256; c++) {
		char text[] = { 'a', (char)c, 'b', '\0' }, buffer[8];
		bool kept = c >= 0x20 && c < 0x7f && !strchr("\"'\\`", c);

		assert_ptr_equal(text_safe(text, buffer, sizeof(buffer)), buffer);
		assert_int_equal(buffer[0], 'a');
		assert_int_equal((unsigned char)buffer[1], kept ? c : '?');
		assert_string_equal(buffer + 2, "b");
	}
}

static void test_safe_is_cut(void **state)
{
	char buffer[5] = "xxxx";

	assert_string_equal(text_safe("abcdef", buffer, 4), "abc");
	assert_int_equal(buffer[4], '\0');
	assert_string_equal(text_safe("abcd", buffer, 5), "abcd");
	assert_string_equal(text_safe("abc", buffer, 1), "");
	assert_string_equal(text_safe(NULL, buffer, 5), "");
	memcpy(buffer, "xxxx", 5);
	text_safe("abc", buffer, 0);
	assert_string_equal(buffer, "xxxx");
}

static void test_utf8_decode(void **state)
{
	static const struct {
		const char *text;
		int length; /* -EINVAL: refused */
		uint32_t code;
	} cases[] = {
		{ "", 1, 0 },
		{ "a", 1, 'a' },
		{ "\x7f", 1, 0x7f },
		{ "\xc2\x80", 2, 0x80 },
		{ "\xdf\xbf", 2, 0x7ff },
		{ "\xe0\xa0\x80", 3, 0x800 },
		{ "\xed\x9f\xbf", 3, 0xd7ff },
		{ "\xee\x80\x80", 3, 0xe000 },
		{ "\xef\xbf\xbf", 3, 0xffff },
		{ "\xf0\x90\x80\x80", 4, 0x10000 },
		{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
		{ "\x80", -EINVAL, 0 },
		{ "\xbf\x80", -EINVAL, 0 },
		{ "\xc0\x80", -EINVAL, 0 },
		{ "\xc1\xbf", -EINVAL, 0 },
		{ "\xe0\x9f\xbf", -EINVAL, 0 },
		{ "\xf0\x8f\xbf\xbf", -EINVAL, 0 },
		{ "\xed\xa0\x80", -EINVAL, 0 },
		{ "\xed\xbf\xbf", -EINVAL, 0 },
		{ "\xf4\x90\x80\x80", -EINVAL, 0 },
		{ "\xf5\x80\x80\x80", -EINVAL, 0 },
		{ "\xff", -EINVAL, 0 },
		{ "\xc2", -EINVAL, 0 },
		{ "\xc2z", -EINVAL, 0 },
		{ "\xe2\x82", -EINVAL, 0 },
		{ "\xf0\x9f\x98", -EINVAL, 0 },
		{ "\xf0\x9f\x98\xc0", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t code = 0xdead;

		assert_int_equal(text_utf8_decode(cases[i].text, &code), cases[i].length);
		assert_int_equal(code, cases[i].length > 0 ? cases[i].code : 0xdead);
	}
}

static void test_one_line(void **state)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{ "", "" },
		{ "plain \"text\" \\ stays", "plain \"text\" \\ stays" },
		{ "a\nb\r\tc\x1b[2J\x7f", "a?b??c?[2J?" },
		{ "\xc3\xa4 \xe2\x86\x92 \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x86\x92 "
							    "\xf0\x9f\x98\x80" },
		/* C1: CSI as a character and as a bare byte */
		{ "\xc2\x9b"
		  "2J\x9b"
		  "2J",
		  "??2J?2J" },
		{ "\xc2\xa0", "\xc2\xa0" },
		/* line and paragraph separator, right-to-left override and isolate, zero width */
		{ "a\xe2\x80\xa8"
		  "b\xe2\x80\xa9",
		  "a???b???" },
		{ "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8b.", "?????????." },
		{ "\xef\xbb\xbf\xf3\xa0\x81\x81.", "???????." },
		{ "cut \xe2\x86", "cut ??" },
		{ "\xff\xfe"
		  "a",
		  "??a" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[64];

		strcpy(text, cases[i].text);
		assert_ptr_equal(text_one_line(text), text);
		assert_string_equal(text, cases[i].line);
	}
}

/* Known values of FNV-1a. */
static void test_hash(void **state)
{
	assert_true(text_hash("") == 0xcbf29ce484222325ULL);
	assert_true(text_hash("a") == 0xaf63dc4c8601ec8cULL);
	assert_true(text_hash("foobar") == 0x85944171f73967e8ULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_safe_every_byte),
		cmocka_unit_test(test_safe_is_cut),
		cmocka_unit_test(test_utf8_decode),
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
