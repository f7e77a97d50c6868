/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table as a picture: SVG by itself, no script, no font, nothing from elsewhere, readable on light
 * and on dark; and as a graph for Graphviz. Pure formatting. Names are text_safe() and then escaped as
 * the format wants it: whoever names a container must not write markup.
 */
#include "matrix-internal.h"

#include <string.h>

#define FIELD 30      /* pixels, a side */
#define LETTER 8      /* wide; no font of the 13 pixels is wider */
#define HEAD 70       /* of the picture's title */
#define KEY_WIDTH 960 /* of the words below */

/* Where the fields begin, and what the slanted titles need to their right. */
struct canvas {
	size_t left, top, right;
};

static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else
			fputc(*text, out);
	}
}

static const char style[] =
	"<style>\n"
	"svg{background:#fff;font:13px ui-monospace,monospace}\n"
	"text{fill:#222}.note{fill:#666}.field{stroke:#fff;stroke-width:2}\n"
	".none{fill:#eee}.allowed{fill:#4caf6d}.denied{fill:#c9ced6}.partly{fill:#e8b23a}\n"
	".audited{fill:#e07b39}.not_held{fill:#d64545}.unknown{fill:#9b7fd1}\n"
	"@media(prefers-color-scheme:dark){svg{background:#16181d}text{fill:#e4e6ea}\n"
	".note{fill:#9aa0aa}.field{stroke:#16181d}.none{fill:#22252c}.allowed{fill:#3c9a5b}\n"
	".denied{fill:#444a55}}\n"
	"</style>\n";

static void print_word(FILE *out, size_t x, size_t y, const char *class, const char *text)
{
	fprintf(out, "<text x=\"%zu\" y=\"%zu\"%s%s%s>", x, y, class[0] ? " class=\"" : "", class,
		class[0] ? "\"" : "");
	print_escaped(out, text);
	fprintf(out, "</text>\n");
}

/* Titles lean by 55 degrees: of their length they need four fifths up and three to the side. */
static struct canvas measure(const struct matrix_view *view)
{
	size_t row = 0, column = 0;
	char name[MATRIX_NAME_MAX + 16];

	for (size_t i = 0; i < view->rows_n; i++) {
		size_t n = strlen(matrix_line_text(view, &view->rows[i], true, name, sizeof(name)));

		row = n > row ? n : row;
	}
	for (size_t j = 0; j < view->columns_n; j++) {
		size_t n = strlen(
			matrix_line_text(view, &view->columns[j], false, name, sizeof(name)));

		column = n > column ? n : column;
	}
	return (struct canvas){ .left = 30 + row * LETTER,
				.top = HEAD + column * LETTER * 5 / 6,
				.right = column * LETTER * 3 / 5 };
}

static void print_titles(FILE *out, const struct matrix_view *view, const struct canvas *at)
{
	char name[MATRIX_NAME_MAX + 16];

	for (size_t j = 0; j < view->columns_n; j++) {
		size_t x = at->left + j * FIELD + FIELD / 2 + 4;

		fprintf(out, "<text transform=\"translate(%zu %zu) rotate(-55)\">", x, at->top - 8);
		matrix_line_text(view, &view->columns[j], false, name, sizeof(name));
		print_escaped(out, name);
		fprintf(out, "</text>\n");
	}
	for (size_t i = 0; i < view->rows_n; i++) {
		matrix_line_text(view, &view->rows[i], true, name, sizeof(name));
		fprintf(out, "<text x=\"%zu\" y=\"%zu\" text-anchor=\"end\">", at->left - 10,
			at->top + i * FIELD + FIELD / 2 + 4);
		print_escaped(out, name);
		fprintf(out, "</text>\n");
	}
}

static enum reach_state both(const struct matrix_cell *cell)
{
	return reach_merge(cell->state[0], cell->state[1]);
}

/* What a pointer that rests on a field shows, and a reader for the blind says. */
static void print_tip(FILE *out, const struct matrix_view *view, size_t row, size_t column,
		      const struct matrix_cell *cell)
{
	char name[MATRIX_NAME_MAX + 16];

	fprintf(out, "<title>");
	print_escaped(out, matrix_line_text(view, &view->rows[row], true, name, sizeof(name)));
	fprintf(out, " to ");
	print_escaped(out,
		      matrix_line_text(view, &view->columns[column], false, name, sizeof(name)));
	fprintf(out, ": IPv4 %s%s%s, IPv6 %s%s%s</title>", matrix_state_text(cell->state[0]),
		cell->counter[0] ? " " : "", cell->counter[0] ?: "",
		matrix_state_text(cell->state[1]), cell->counter[1] ? " " : "",
		cell->counter[1] ?: "");
}

static void print_fields(FILE *out, const struct matrix_view *view, const struct canvas *at)
{
	for (size_t i = 0; i < view->rows_n; i++)
		for (size_t j = 0; j < view->columns_n; j++) {
			struct matrix_cell cell;

			matrix_cell(view, i, j, &cell);
			fprintf(out,
				"<rect class=\"field %s\" x=\"%zu\" y=\"%zu\" width=\"%d\" "
				"height=\"%d\" rx=\"5\">",
				reach_state_name(both(&cell)), at->left + j * FIELD,
				at->top + i * FIELD, FIELD, FIELD);
			print_tip(out, view, i, j, &cell);
			fprintf(out, "</rect>\n");
		}
}

static void print_key(FILE *out, const struct matrix_view *view, size_t y)
{
	static const struct {
		enum reach_state state;
		const char *text;
	} keys[] = {
		{ REACH_ALLOWED, "reaches it" }, { REACH_DENIED, "stopped" },
		{ REACH_PARTLY, "partly" },      { REACH_AUDITED, "audit: let through" },
		{ REACH_NOT_HELD, "not held" },  { REACH_UNKNOWN, "could not be told" },
		{ REACH_NONE, "no such way" },
	};
	size_t x = 20;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		fprintf(out,
			"<rect class=\"%s\" x=\"%zu\" y=\"%zu\" width=\"14\" height=\"14\" "
			"rx=\"3\"/>\n",
			reach_state_name(keys[i].state), x, y - 12);
		print_word(out, x + 20, y, "", keys[i].text);
		x += 40 + strlen(keys[i].text) * 8;
	}
}

void matrix_svg(FILE *out, const struct matrix_view *view)
{
	const struct status_view *status = view->status;
	const struct canvas at = measure(view);
	size_t width = at.left + view->columns_n * FIELD + at.right;
	size_t height = at.top + view->rows_n * FIELD + 60;
	char text[160];

	width = width < KEY_WIDTH ? KEY_WIDTH : width;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" height=\"%zu\" "
		"viewBox=\"0 0 %zu %zu\" role=\"img\">\n<title>Who reaches whom on this "
		"host</title>\n%s",
		width, height, width, height, style);
	print_word(out, 20, 30, "", "Who reaches whom on this host, by jobfence's rules");
	snprintf(text, sizeof(text), "mode %d %s; ruleset %s%s", (int)status->config->mode,
		 network_mode_name(status->config->mode), ruleset_state_name(status->ruleset),
		 status->config->audit ? "; NOT ENFORCED: audit" : "");
	print_word(out, 20, 50, "note", text);
	print_titles(out, view, &at);
	print_fields(out, view, &at);
	print_key(out, view, height - 20);
	fprintf(out, "</svg>\n");
}

/* --- Graphviz --- */

static void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void print_node(FILE *out, const struct matrix_view *view, const struct matrix_line *line)
{
	char name[MATRIX_NAME_MAX + 16];

	matrix_line_text(view, line, false, name, sizeof(name));
	fprintf(out, "\t%s%zu [label=", reach_kind_name(line->kind), line->group);
	print_quoted(out, name);
	fprintf(out, "];\n");
}

static const char *edge_style(enum reach_state state)
{
	switch (state) {
	case REACH_ALLOWED:
		return "color=\"#3c9a5b\"";
	case REACH_PARTLY:
		return "color=\"#c98f14\", style=dashed, label=partly";
	case REACH_AUDITED:
		return "color=\"#e07b39\", label=audit";
	case REACH_NOT_HELD:
		return "color=\"#d64545\", label=\"not held\"";
	case REACH_UNKNOWN:
		return "color=\"#9b7fd1\", style=dotted, label=\"?\"";
	case REACH_NONE:
	case REACH_DENIED:
		break;
	}
	return NULL;
}

void matrix_dot(FILE *out, const struct matrix_view *view)
{
	fprintf(out, "digraph jobfence {\n\trankdir=LR;\n\tnode [shape=box, style=rounded, "
		     "fontname=monospace];\n");
	for (size_t j = 0; j < view->columns_n; j++)
		print_node(out, view, &view->columns[j]);
	for (size_t i = 0; i < view->rows_n; i++)
		for (size_t j = 0; j < view->columns_n; j++) {
			const struct matrix_line *from = &view->rows[i], *to = &view->columns[j];
			struct matrix_cell cell;
			const char *how;

			matrix_cell(view, i, j, &cell);
			how = edge_style(both(&cell));
			if (how)
				fprintf(out, "\t%s%zu -> %s%zu [%s];\n",
					reach_kind_name(from->kind), from->group,
					reach_kind_name(to->kind), to->group, how);
		}
	fprintf(out, "}\n");
}
