/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mode must be read as the server reads it. The table was made with Python 3.11: each value is
 * what JobNetworkMode(int(value)) gives, 0 where that raises.
 */
#include "jobfence/mode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

/* clang-format off: one case a line */
static const struct {
	const char *text;
	int mode;
} cases[] = {
	{ "", 0 },
	{ "0", 0 },
	{ "1", 1 },
	{ "2", 2 },
	{ "3", 3 },
	{ "4", 0 },
	{ "5", 0 },
	{ "10", 0 },
	{ "11", 0 },
	{ "12", 0 },
	{ "20", 0 },
	{ "22", 0 },
	{ "23", 0 },
	{ "30", 0 },
	{ "33", 0 },
	{ "21", 0 },
	{ "02", 2 },
	{ "002", 2 },
	{ "0_2", 2 },
	{ "0_0_2", 2 },
	{ "00_02", 2 },
	{ "_2", 0 },
	{ "2_", 0 },
	{ "2__", 0 },
	{ "0__2", 0 },
	{ "_0_2", 0 },
	{ "0_2_", 0 },
	{ "1_", 0 },
	{ "+2", 2 },
	{ "-2", 0 },
	{ "+-2", 0 },
	{ "++2", 0 },
	{ "-+2", 0 },
	{ "- 2", 0 },
	{ "+ 2", 0 },
	{ "+_2", 0 },
	{ "-0", 0 },
	{ "+0", 0 },
	{ "-1", 0 },
	{ "-3", 0 },
	{ " 2", 2 },
	{ "2 ", 2 },
	{ " 2 ", 2 },
	{ "\x09"
	  "2\x0a",
	  2 },
	{ "\x0b"
	  "2\x0c",
	  2 },
	{ "2\x0a", 2 },
	{ "2\x0d\x0a", 2 },
	{ "\x0a"
	  "2",
	  2 },
	{ "\x1c"
	  "2",
	  0 },
	{ "2\x1f", 0 },
	{ "\x1d"
	  "2",
	  0 },
	{ "\x1e"
	  "2",
	  0 },
	{ "2\x7f", 0 },
	{ "2.0", 0 },
	{ "2.", 0 },
	{ ".2", 0 },
	{ "2e0", 0 },
	{ "0x2", 0 },
	{ "0b10", 0 },
	{ "0o2", 0 },
	{ "2L", 0 },
	{ "2j", 0 },
	{ "two", 0 },
	{ "host", 0 },
	{ "HOST_WHEN_POSSIBLE", 0 },
	{ "true", 0 },
	{ "None", 0 },
	{ "\"2\"", 0 },
	{ "'2'", 0 },
	{ "2#", 0 },
	{ "2;", 0 },
	{ "2 3", 0 },
	{ "1,2", 0 },
	{ "2 # x", 0 },
	{ "= 2", 0 },
	{ "\xd9\xa2", 2 },
	{ "\xdb\xb2", 2 },
	{ "\xe0\xa5\xa8", 2 },
	{ "\xef\xbc\x92", 2 },
	{ "\xef\xbc\x90\xef\xbc\x92", 2 },
	{ "\xef\xbc\x90_\xef\xbc\x92", 2 },
	{ "+\xef\xbc\x92", 2 },
	{ "\xf0\x9d\x9f\x90", 2 },
	{ "\xf0\x9d\x9f\x9a", 2 },
	{ "\xf0\x9d\x9f\xa4", 2 },
	{ "\xf0\x9d\x9f\xae", 2 },
	{ "\xf0\x9d\x9f\xb8", 2 },
	{ "\xf0\x9f\xaf\xb2", 2 },
	{ "\xc2\xb2", 0 },
	{ "\xe2\x82\x82", 0 },
	{ "\xe2\x91\xa1", 0 },
	{ "\xe2\x85\xa1", 0 },
	{ "\xe4\xba\x8c", 0 },
	{ "\xc2\xbd", 0 },
	{ "\xef\xbc\x92_", 0 },
	{ "\xf0\x9e\xa5\x92", 2 },
	{ "\xc2\xa0"
	  "2",
	  2 },
	{ "2\xc2\xa0", 2 },
	{ "\xe2\x80\x83"
	  "2\xe2\x80\x83",
	  2 },
	{ "\xe3\x80\x80"
	  "2",
	  2 },
	{ "\xe2\x80\x8b"
	  "2",
	  0 },
	{ "2\xe2\x80\x8b", 0 },
	{ "\xef\xbb\xbf"
	  "2",
	  0 },
	{ "\xe1\xa0\x8e"
	  "2",
	  0 },
	{ "\xe2\x81\xa0"
	  "2",
	  0 },
	{ "\xe2\x80\xa8"
	  "2\xe2\x80\xa9",
	  2 },
	{ "\xe2\x80\xaf"
	  "2",
	  2 },
	{ "\xe2\x81\x9f"
	  "2",
	  2 },
	{ "\xe1\x9a\x80"
	  "2",
	  2 },
	{ "\xc2\x85"
	  "2",
	  2 },
	{ "\xe2\x88\x92"
	  "2",
	  0 },
	{ "\xef\xbc\x8b"
	  "2",
	  0 },
	{ "\xe2\x80\x90"
	  "2",
	  0 },
	{ "\xef\xbc\xbf", 0 },
	{ "0\xef\xbc\xbf"
	  "2",
	  0 },
	{ "2\xcc\x81", 0 },
	{ "\xc2\xa0", 0 },
	{ "\xd9\xa0\xd9\xa0\xd9\xa2", 2 },
	{ "\xd9\xa0_\xd9\xa2", 2 },
	{ "1\xd9\xa0", 0 },
	{ "\xd9\xa2\xd9\xa2", 0 },
	{ "4294967298", 0 },
	{ "18446744073709551618", 0 },
	{ "-4294967294", 0 },
	{ "340282366920938463463374607431768211458", 0 },
	{ "65538", 0 },
	{ "258", 0 },
	{ "00000000000000000000000000000000000000003", 3 },
	{ "0000000000000000000000000000000000000000_1", 1 },
	{ "000000000000000000000000000000000000000030", 0 },
	{ "2222222222222222222222222222222222222222", 0 },
	{ "\xff"
	  "2",
	  0 },
	{ "2\xff", 0 },
	{ "\x80", 0 },
	{ "2\xc2", 0 },
	{ "\xc0\xb2", 0 },
	{ "\xe0\x80\xb2", 0 },
	{ "\xed\xa0\x80"
	  "2",
	  0 },
	{ "\xf4\x90\x80\x80"
	  "2",
	  0 },
	{ "\xd9", 0 },
	{ "\xef\xbc", 0 },
	{ "\xf0\x9d\x9f", 0 },
	{ "\xa0"
	  "2",
	  0 },
	{ "\x85"
	  "2",
	  0 },
	{ "2-\xef\xbc\x92", 0 },
	{ "1\x09", 1 },
	{ "-2\x09", 0 },
	{ "\x09\xef\xbc\x92"
	  "2",
	  0 },
	{ "1\xc2\xa0", 1 },
	{ "__", 0 },
	{ "\xd9\xa3\x09", 3 },
	{ "\x09+2", 2 },
	{ "3\x09", 3 },
	{ "x\xd9\xa3++", 0 },
	{ "0\xd9\xa3", 3 },
	{ " \xef\xbc\x92\xc2\xa0", 2 },
	{ "\x09"
	  "3 ",
	  3 },
	{ " \xd9\xa3+1_", 0 },
	{ "31_1 ", 0 },
	{ "01", 1 },
	{ "-20", 0 },
	{ "\xd9\xa3", 3 },
	{ "\xc2\xa0\xc2\xa0"
	  "2",
	  2 },
	{ " ", 0 },
	{ "3  ", 3 },
	{ "+\x09", 0 },
	{ "\xc2\xa0 01", 1 },
	{ "\x09  3", 3 },
	{ "2\x09", 2 },
	{ "1\x09x0", 0 },
	{ "3\xc2\xa0", 3 },
	{ "\xd9\xa3x11", 0 },
	{ "\x09"
	  "3",
	  3 },
	{ "003", 3 },
	{ "+\xef\xbc\x92-3", 0 },
	{ " 3", 3 },
	{ " \xd9\xa3+\xd9\xa3", 0 },
	{ "_", 0 },
	{ "x-1", 0 },
	{ "-", 0 },
	{ "\xc2\xa0"
	  "13",
	  0 },
	{ " +", 0 },
	{ "03", 3 },
	{ "2\xc2\xa0_", 0 },
	{ "x220", 0 },
	{ "\xd9\xa3"
	  "3",
	  0 },
	{ "x\xef\xbc\x92"
	  "0\xef\xbc\x92+",
	  0 },
	{ "2x -", 0 },
	{ "\x09\x09\xef\xbc\x92"
	  "0",
	  0 },
	{ "\xc2\xa0\x09"
	  "3",
	  3 },
	{ "+03", 3 },
	{ "1x\x09", 0 },
	{ "\xef\xbc\x92+\xd9\xa3"
	  "0\xd9\xa3",
	  0 },
	{ "\x09+02", 2 },
	{ "3\xc2\xa0\xef\xbc\x92"
	  "0",
	  0 },
	{ " 1", 1 },
	{ "00\xef\xbc\x92", 2 },
	{ "\xd9\xa3 320", 0 },
	{ "0-232", 0 },
	{ "\x09_", 0 },
	{ "00", 0 },
	{ "2+2\xd9\xa3"
	  "0",
	  0 },
	{ "x+3\x09\xef\xbc\x92", 0 },
	{ "1333", 0 },
	{ " 12", 0 },
	{ "xx0", 0 },
	{ "x1\xef\xbc\x92++", 0 },
	{ "\xd9\xa3"
	  "1-\xef\xbc\x92",
	  0 },
	{ "3- ", 0 },
	{ " 02", 2 },
	{ "\xc2\xa0\xd9\xa3-", 0 },
	{ "_\xef\xbc\x92\xd9\xa3", 0 },
	{ "\x09+", 0 },
	{ " \xef\xbc\x92", 2 },
	{ " -\xc2\xa0\xef\xbc\x92", 0 },
	{ "2_-", 0 },
	{ "\xc2\xa0\xd9\xa3", 3 },
	{ " \xd9\xa3\xc2\xa0", 3 },
	{ "\xef\xbc\x92\xef\xbc\x92"
	  "0",
	  0 },
	{ "_2-", 0 },
	{ "\xc2\xa0\xd9\xa3- ", 0 },
	{ "\xd9\xa3x", 0 },
	{ "2\xc2\xa0xx", 0 },
	{ "\xef\xbc\x92x +\x09", 0 },
	{ "_\xc2\xa0", 0 },
	{ "1\x09x+x", 0 },
	{ "\xc2\xa0"
	  "3333",
	  0 },
	{ "\xef\xbc\x92 x", 0 },
	{ "3_x_-", 0 },
	{ "+3", 3 },
	{ "\xef\xbc\x92 1", 0 },
	{ "0+\x09 \x09", 0 },
	{ " \x09"
	  "3\xd9\xa3 ",
	  0 },
	{ "\xc2\xa0\x09x_", 0 },
	{ "\xef\xbc\x92\xef\xbc\x92"
	  "0+",
	  0 },
	{ "\xef\xbc\x92"
	  "0x0",
	  0 },
	{ "\x09", 0 },
	{ "0_", 0 },
	{ "\xef\xbc\x92"
	  "21",
	  0 },
	{ " \xc2\xa0\xd9\xa3", 3 },
	{ "__3_", 0 },
	{ "1\xc2\xa0+ \xef\xbc\x92", 0 },
	{ " +\xd9\xa3x", 0 },
	{ "\xc2\xa0\xc2\xa0"
	  "1",
	  1 },
	{ "3+3-0", 0 },
	{ "\xef\xbc\x92+ 0\xef\xbc\x92", 0 },
	{ "0_-1\xc2\xa0", 0 },
	{ "\xef\xbc\x92\x09\x09", 2 },
	{ "\xc2\xa0"
	  "3",
	  3 },
	{ "\xc2\xa0x0 ", 0 },
	{ "+3-", 0 },
	{ "\xd9\xa3"
	  "2",
	  0 },
	{ "_\xd9\xa3xx-", 0 },
	{ "2_0-\xd9\xa3", 0 },
	{ "3-+\xef\xbc\x92", 0 },
	{ "-\xd9\xa3", 0 },
	{ "\xef\xbc\x92"
	  "1",
	  0 },
	{ "x2 x3", 0 },
	{ "\x09"
	  "1",
	  1 },
	{ "\xd9\xa3"
	  "0",
	  0 },
};
/* clang-format on */

/* The mode, or 0 where it is refused. */
static int parse(const char *text)
{
	struct diag diag = { 0 };
	enum network_mode mode = (enum network_mode)77;
	int r = network_mode_parse(text, &mode, &diag);

	if (r == 0) {
		assert_string_equal(diag.text, "");
		return mode;
	}
	assert_int_equal(r, -EINVAL);
	assert_int_equal(mode, 77);
	assert_non_null(strstr(diag.text, NETWORK_MODE_VARIABLE " is \""));
	return 0;
}

static void test_as_python(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (parse(cases[i].text) != cases[i].mode)
			fail_msg("case %zu, \"%s\": %d, python says %d", i, cases[i].text,
				 parse(cases[i].text), cases[i].mode);
}

static size_t encode(uint32_t code, char *out)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3f));
	out[0] = (char)(lead[n] | code);
	return n;
}

/* Every character of Unicode as the whole value, and as what surrounds a 2. */
static void test_every_character(void **state)
{
	unsigned long digits_n[4] = { 0 }, digits_sum[4] = { 0 }, spaces_n = 0, spaces_sum = 0;

	for (uint32_t code = 1; code <= 0x10ffff; code++) {
		char text[12] = { 0 };
		enum network_mode mode;
		size_t n;

		if (code >= 0xd800 && code <= 0xdfff)
			continue;
		n = encode(code, text);
		if (network_mode_parse(text, &mode, NULL) == 0) {
			digits_n[mode]++;
			digits_sum[mode] += code;
		}
		text[n] = '2';
		encode(code, text + n + 1);
		if (network_mode_parse(text, &mode, NULL) == 0) {
			spaces_n++;
			spaces_sum += code;
		}
	}
	for (int mode = 1; mode <= 3; mode++) {
		assert_int_equal(digits_n[mode], 66);
		assert_int_equal(digits_sum[mode], 3080426 + 66 * (mode - 1));
	}
	assert_int_equal(spaces_n, 25);
	assert_int_equal(spaces_sum, 141586);
}

static void test_limit_on_digits(void **state)
{
	char text[4400] = { 0 };

	memset(text, '0', 4299);
	strcpy(text + 4299, "2");
	assert_int_equal(parse(text), 2);
	text[4299] = '0';
	strcpy(text + 4300, "2");
	assert_int_equal(parse(text), 0);
	/* Underscores do not count. */
	memset(text, '0', 4300);
	text[4250] = '_';
	strcpy(text + 4300, "3");
	assert_int_equal(parse(text), 3);
	memset(text, '9', sizeof(text) - 1);
	assert_int_equal(parse(text), 0);
}

static void test_unset_is_two(void **state)
{
	assert_int_equal(parse(NULL), NETWORK_MODE_HOST_WHEN_POSSIBLE);
}

static void test_refusal_tells_all(void **state)
{
	struct diag diag = { 0 };
	enum network_mode mode;

	assert_int_equal(network_mode_parse("ho\"st\xff", &mode, &diag), -EINVAL);
	assert_string_equal(diag.text, "DSTACK_SERVER_JOB_NETWORK_MODE is \"ho?st?\"; it must be "
				       "1 "
				       "(HOST_FOR_MULTINODE_ONLY), 2 (HOST_WHEN_POSSIBLE) or 3 "
				       "(FORCED_BRIDGE), the same as on the dstack server; unset "
				       "means 2");
}

static void test_names(void **state)
{
	assert_string_equal(network_mode_name(NETWORK_MODE_HOST_FOR_MULTINODE_ONLY), "HOST_FOR_"
										     "MULTINODE_"
										     "ONLY");
	assert_string_equal(network_mode_name(NETWORK_MODE_HOST_WHEN_POSSIBLE), "HOST_WHEN_"
										"POSSIBLE");
	assert_string_equal(network_mode_name(NETWORK_MODE_FORCED_BRIDGE), "FORCED_BRIDGE");
	assert_string_equal(network_mode_name((enum network_mode)9), "unknown");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_python),         cmocka_unit_test(test_every_character),
		cmocka_unit_test(test_limit_on_digits),   cmocka_unit_test(test_unset_is_two),
		cmocka_unit_test(test_refusal_tells_all), cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
