/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's network mode, read as the server reads it: Python's int() of the variable.
 *
 * Two readers of one value must agree on every value, so this follows int() where it is generous
 * (white space and digits of any script, underscores) and where it is strict (the limit on digits,
 * which counts leading zeros). A value that is merely close, such as "2.0" or "host", is refused:
 * a guess here would confine jobs by a mode that the server does not use.
 */
#include "jobfence/mode.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "jobfence/text.h"

/* int() refuses longer numbers (CPython since 3.10.7: sys.int_info.default_max_str_digits). */
#define PYTHON_DIGITS_MAX 4300

/*
 * The zero of every run of ten decimal digits (general category Nd), sorted. This is Unicode 14, that
 * of Python 3.11, on which the server's own image is built.
 */
static const uint32_t digit_zeros[] = {
	0x30,    0x660,   0x6f0,   0x7c0,   0x966,   0x9e6,   0xa66,   0xae6,   0xb66,   0xbe6,
	0xc66,   0xce6,   0xd66,   0xde6,   0xe50,   0xed0,   0xf20,   0x1040,  0x1090,  0x17e0,
	0x1810,  0x1946,  0x19d0,  0x1a80,  0x1a90,  0x1b50,  0x1bb0,  0x1c40,  0x1c50,  0xa620,
	0xa8d0,  0xa900,  0xa9d0,  0xa9f0,  0xaa50,  0xabf0,  0xff10,  0x104a0, 0x10d30, 0x11066,
	0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0,
	0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2,
	0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
};

const char *network_mode_name(enum network_mode mode)
{
	switch (mode) {
	case NETWORK_MODE_HOST_FOR_MULTINODE_ONLY:
		return "HOST_FOR_MULTINODE_ONLY";
	case NETWORK_MODE_HOST_WHEN_POSSIBLE:
		return "HOST_WHEN_POSSIBLE";
	case NETWORK_MODE_FORCED_BRIDGE:
		return "FORCED_BRIDGE";
	}
	return "unknown";
}

/* What int() strips. U+001C to U+001F are white space to str.isspace(), and not to int(). */
static bool is_space(uint32_t code)
{
	return (code >= 0x09 && code <= 0x0d) || code == 0x20 || code == 0x85 || code == 0xa0 ||
	       code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
	       code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

static const char *skip_spaces(const char *text)
{
	uint32_t code;
	int length;

	while ((length = text_utf8_decode(text, &code)) > 0 && is_space(code))
		text += length;
	return text;
}

static int digit_value(uint32_t code)
{
	for (size_t i = 0; i < ARRAY_SIZE(digit_zeros) && digit_zeros[i] <= code; i++)
		if (code - digit_zeros[i] < 10)
			return (int)(code - digit_zeros[i]);
	return -1;
}

/* A run of digits with single underscores between them. Returns its end, or NULL. */
static const char *parse_digits(const char *text, unsigned int *ret_value)
{
	unsigned int value = 0, digits_n = 0;
	bool after_digit = false;

	for (;;) {
		uint32_t code;
		int length, digit;

		if (*text == '_' && after_digit) {
			after_digit = false;
			text++;
		}
		length = text_utf8_decode(text, &code);
		digit = length > 0 ? digit_value(code) : -1;
		if (digit < 0)
			break;
		if (++digits_n > PYTHON_DIGITS_MAX)
			return NULL;
		/* Past any mode it only has to stay there. */
		if (value < 100)
			value = value * 10 + (unsigned int)digit;
		after_digit = true;
		text += length;
	}
	if (!after_digit)
		return NULL;
	*ret_value = value;
	return text;
}

/* No mode is negative, so a minus sign is refused like any other character. */
static bool parse_int(const char *text, unsigned int *ret_value)
{
	text = skip_spaces(text);
	if (*text == '+')
		text++;
	text = parse_digits(text, ret_value);
	return text && *skip_spaces(text) == '\0';
}

int network_mode_parse(const char *text, enum network_mode *ret_mode, struct diag *diag)
{
	unsigned int value = NETWORK_MODE_HOST_WHEN_POSSIBLE;
	char safe[64];

	if (text && !parse_int(text, &value))
		value = 0;
	if (value < NETWORK_MODE_HOST_FOR_MULTINODE_ONLY || value > NETWORK_MODE_FORCED_BRIDGE)
		return diag_set(diag, -EINVAL,
				NETWORK_MODE_VARIABLE " is \"%s\"; it must be 1 "
						      "(HOST_FOR_MULTINODE_ONLY), "
						      "2 (HOST_WHEN_POSSIBLE) or 3 "
						      "(FORCED_BRIDGE), the same as on the "
						      "dstack server; unset means 2",
				text_safe(text, safe, sizeof(safe)));
	*ret_mode = (enum network_mode)value;
	return 0;
}
