/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text for people, laid out for where it goes. Lines are broken between words and never cut, so that
 * nothing of a sentence is lost on a narrow terminal; what is no terminal gets every line as it was
 * written. Only the marks of term.h become escape sequences: text of others was made safe before.
 */
#include "jobfence/term.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_MIN 20 /* narrower ones are written as if they had this */
#define HANG_DEFAULT 2

void term_look(FILE *out, struct term *ret_term)
{
	const char *no_colour = getenv("NO_COLOR"), *kind = getenv("TERM");
	struct term term = { 0 };
	struct winsize size;
	int fd = fileno(out);

	if (fd >= 0 && isatty(fd)) {
		term.width = 80;
		if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
			term.width = size.ws_col;
			term.rows = size.ws_row;
		}
		if (term.width < WIDTH_MIN)
			term.width = WIDTH_MIN;
		term.colour =
			!(no_colour && *no_colour) && kind && *kind && strcmp(kind, "dumb") != 0;
	}
	*ret_term = term;
}

/* Bytes that do not continue a character of UTF-8. */
static bool starts_character(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

size_t term_columns(const char *text)
{
	size_t columns = 0;

	for (; *text; text++)
		columns += starts_character(*text);
	return columns;
}

static const char *style(char mark)
{
	switch (mark) {
	case '\001':
		return "\033[1m";
	case '\002':
		return "\033[32m";
	case '\003':
		return "\033[33m";
	case '\004':
		return "\033[1;31m";
	case '\005':
		return "\033[2m";
	}
	return NULL;
}

/* Writes @len bytes and the end of the line, in one style. */
static void put_line(FILE *out, const char *escape, size_t indent, const char *text, size_t len)
{
	fprintf(out, "%*s%s%.*s%s\n", (int)indent, "", escape ?: "", (int)len, text,
		escape ? "\033[0m" : "");
}

/*
 * How many bytes of @text go on a line of @columns: up to the last blank that fits, or, where a word
 * is longer than the line, as much of it as fits. Blanks at the break are passed over by the caller.
 */
static size_t fitting(const char *text, size_t columns)
{
	size_t used = 0, at = 0, blank = 0;

	while (text[at] && (!starts_character(text[at]) || used < columns)) {
		if (text[at] == ' ' && at > 0 && text[at - 1] != ' ')
			blank = at;
		used += starts_character(text[at]);
		at++;
	}
	if (!text[at] || text[at] == ' ' || blank == 0)
		return at;
	return blank;
}

/* @line is changed: its marks go. */
static void emit_line(FILE *out, const struct term *term, char *line)
{
	const char *escape = style(line[0]);
	size_t hang = HANG_DEFAULT, indent = 0;
	char *mark;

	line += escape != NULL;
	if (!term->colour)
		escape = NULL;
	mark = strchr(line, TERM_HANG[0]);
	if (mark) {
		*mark = '\0';
		hang = term_columns(line);
		memmove(mark, mark + 1, strlen(mark + 1) + 1);
	}
	if (term->width == 0) {
		put_line(out, escape, 0, line, strlen(line));
		return;
	}
	if (hang > term->width / 2)
		hang = HANG_DEFAULT + 2;
	do {
		size_t len = fitting(line, term->width - indent), end = len;

		while (end > 0 && line[end - 1] == ' ')
			end--;
		put_line(out, escape, end > 0 ? indent : 0, line, end);
		line += len;
		line += strspn(line, " ");
		indent = hang;
	} while (*line);
}

void term_emit(FILE *out, const struct term *term, char *text)
{
	while (text && *text)
		emit_line(out, term, strsep(&text, "\n"));
}

int term_close(FILE *stream, char *const *text)
{
	bool failed = ferror(stream) != 0;

	return fclose(stream) != 0 || failed || !*text ? -ENOMEM : 0;
}
