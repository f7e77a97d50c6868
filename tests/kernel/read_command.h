/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a command prints of the ruleset, whole: owned by the caller. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "jobfence/cleanup.h"

static inline char *read_command(const char *command)
{
	_cleanup_free_ char *text = calloc(1, 1 << 20);
	FILE *in = popen(command, "re");
	size_t n;

	assert_non_null(text);
	assert_non_null(in);
	n = fread(text, 1, (1 << 20) - 1, in);
	assert_int_equal(pclose(in), 0);
	assert_true(n > 1000);
	return take_ptr(text);
}
