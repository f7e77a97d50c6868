/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where text for people goes: how wide it is, whether it has colours. Text is written whole and
 * laid out line by line: whoever writes it says with a mark what a line is, never how it looks.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

struct term {
	unsigned width; /* columns; 0: no terminal, lines are as long as they are */
	unsigned rows;  /* 0: not known */
	bool colour;
};

/* What is behind @out: colours only on a terminal that can, and never where NO_COLOR is set. */
void term_look(FILE *out, struct term *ret_term);

/* First byte of a line, for all of it. No untrusted text holds such a byte (text.h). */
#define TERM_HEADING "\001"
#define TERM_GOOD "\002"
#define TERM_WARN "\003"
#define TERM_BAD "\004"
#define TERM_FAINT "\005"
/* Inside a line, once: lines that it is continued on begin below this place. */
#define TERM_HANG "\036"

/*
 * Writes @text to @out without its marks; on a terminal broken between words, so that no line is
 * longer than it is wide, and in colour where it has colours. @text is used up. Pure but for writing.
 */
void term_emit(FILE *out, const struct term *term, char *text);

/* Closes a stream of open_memstream(). Returns 0 or -ENOMEM: then the text is not whole, or none. */
int term_close(FILE *stream, char *const *text);

/* The columns that @text takes: characters, of whatever number of bytes. */
size_t term_columns(const char *text);
