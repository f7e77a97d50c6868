/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text laid out for terminals of every width: no line is too long, and no word is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "jobfence/cleanup.h"
#include "jobfence/term.h"

static char *emitted(const char *text, unsigned width, bool colour)
{
	const struct term term = { .width = width, .colour = colour };
	_cleanup_free_ char *copy = strdup(text);
	char *buffer = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&buffer, &size);

	assert_non_null(out);
	term_emit(out, &term, copy);
	fclose(out);
	return buffer;
}

static void is_emitted(const char *text, unsigned width, bool colour, const char *wanted)
{
	_cleanup_free_ char *got = emitted(text, width, colour);

	assert_string_equal(got, wanted);
}

static void layouts(void **state)
{
	static const char text[] = "label         " TERM_HANG "one two three four five six\n";

	is_emitted(text, 0, false, "label         one two three four five six\n");
	is_emitted(text, 41, false, "label         one two three four five six\n");
	is_emitted(text, 40, false, "label         one two three four five\n              six\n");
	is_emitted(text, 28, false, "label         one two three\n              four five six\n");
	/* the place to hang below is too far to the right */
	is_emitted(text, 20, false, "label         one\n    two three four\n    five six\n");
	is_emitted("\n\nx\n", 20, false, "\n\nx\n");
	is_emitted("no end of line", 0, false, "no end of line\n");
	/* a word that is longer than a line */
	is_emitted("aaaaaaaaaaaaaaaaaaaaaaaaa b\n", 20, false, "aaaaaaaaaaaaaaaaaaaa\n  aaaaa b\n");
	/* characters, not bytes, and none is cut in two */
	is_emitted("→→→→→→→→→→→→→→→→→→→→\n", 20, false, "→→→→→→→→→→→→→→→→→→→→\n");
	is_emitted("→→→→→→→→→→→→→→→→→→→→→\n", 20, false, "→→→→→→→→→→→→→→→→→→→→\n  →\n");
	is_emitted("", 20, false, "");
}

static void colours(void **state)
{
	is_emitted(TERM_BAD "bad\nplain\n" TERM_GOOD "good\n", 0, true,
		   "\033[1;31mbad\033[0m\nplain\n\033[32mgood\033[0m\n");
	is_emitted(TERM_BAD "bad\n" TERM_HEADING "h\n" TERM_WARN "w\n" TERM_FAINT "f\n", 0, false,
		   "bad\nh\nw\nf\n");
	/* each line that it is broken into */
	is_emitted(TERM_WARN "aaaaaaaaaaaaaaa bbbbbbbbbbbbbbb\n", 20, true,
		   "\033[33maaaaaaaaaaaaaaa\033[0m\n  \033[33mbbbbbbbbbbbbbbb\033[0m\n");
}

/* Words of every length, at every width. */
static void no_line_is_too_long(void **state)
{
	char text[4000];
	size_t letters = 0;

	for (unsigned seed = 0; seed < 200; seed++) {
		unsigned random = seed * 2654435761U + 1;
		char *at = text;

		at += sprintf(at, "label%*s" TERM_HANG, (int)(random % 60), "");
		for (int word = 0; word < 40; word++) {
			random = random * 1664525U + 1013904223U;
			for (unsigned i = 0; i < (random >> 16) % 30; i++)
				at += sprintf(at, "%s", random & 0x100000 ? "x" : "…");
			*at++ = ' ';
		}
		strcpy(at, "\n");
		letters = 0;
		for (char *c = text; *c; c++)
			letters += *c == 'x';
		for (unsigned width = 20; width < 90; width += 1 + seed % 3) {
			_cleanup_free_ char *got = emitted(text, width, false);
			size_t there = 0;
			char *rest = got, *line;

			for (char *c = got; *c; c++)
				there += *c == 'x';
			assert_int_equal(there, letters);
			while ((line = strsep(&rest, "\n")))
				if (term_columns(line) > width)
					fail_msg("seed %u, width %u: %s", seed, width, line);
		}
	}
}

static void no_terminal(void **state)
{
	struct term term = { 1, 2, true };
	FILE *file = tmpfile();

	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	term_look(file, &term);
	fclose(file);
	assert_int_equal(term.width, 0);
	assert_false(term.colour);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts),
		cmocka_unit_test(colours),
		cmocka_unit_test(no_line_is_too_long),
		cmocka_unit_test(no_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
