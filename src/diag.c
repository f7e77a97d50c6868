/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sentence beside an errno. The caller owns the memory, so writing it cannot fail, also when
 * memory is what ran out. Whatever went into it, it comes out as one line without control
 * characters: it is printed as it is. It never logs; whoever holds the diag decides that.
 */
#include "jobfence/diag.h"

#include <stdarg.h>
#include <stdio.h>

#include "jobfence/text.h"

int diag_set(struct diag *diag, int error, const char *fmt, ...)
{
	va_list args;

	if (!diag)
		return error;
	va_start(args, fmt);
	if (vsnprintf(diag->text, sizeof(diag->text), fmt, args) < 0)
		diag->text[0] = '\0';
	va_end(args);
	text_one_line(diag->text);
	return error;
}
