/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `matrix` for a terminal: a line per source, a column per target, and below what the letters mean.
 * Pure formatting. A field that could not be told is a question mark, never a "no".
 */
#include "matrix-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/text.h"

#define RULES_MAX_SHOWN 64
#define EXAMPLES_MAX 4

/* The rules that the table names, by letter. */
struct legend {
	const char *counter[RULES_MAX_SHOWN];
	size_t n;
};

static const char *letter(struct legend *legend, const char *counter, char *buffer, size_t size)
{
	size_t i = 0;

	if (!counter)
		return "";
	while (i < legend->n && strcmp(legend->counter[i], counter) != 0)
		i++;
	if (i == RULES_MAX_SHOWN)
		return "";
	if (i == legend->n)
		legend->counter[legend->n++] = counter;
	if (i < 26)
		snprintf(buffer, size, " %c", (char)('a' + i));
	else
		snprintf(buffer, size, " %c%c", (char)('a' + i / 26 - 1), (char)('a' + i % 26));
	return buffer;
}

/* "yes", "no a", "yes/no a": IPv4 and IPv6, where they differ. The letters are dealt out on the way. */
static void cell_text(const struct matrix_view *view, size_t row, size_t column, void *data,
		      char text[static MATRIX_CELL_MAX])
{
	struct legend *legend = data;
	struct matrix_cell one_cell, *cell = &one_cell;
	char one[8], two[8];
	const char *rule;
	int first;

	matrix_cell(view, row, column, cell);
	first = cell->state[0] == REACH_NONE;
	rule = letter(legend, cell->counter[first], one, sizeof(one));
	if (matrix_cell_is_one(cell))
		snprintf(text, MATRIX_CELL_MAX, "%s%s", matrix_state_text(cell->state[first]),
			 rule);
	else
		snprintf(text, MATRIX_CELL_MAX, "%s%s/%s%s", matrix_state_text(cell->state[0]),
			 rule, matrix_state_text(cell->state[1]),
			 letter(legend, cell->counter[1], two, sizeof(two)));
}

static void title_text(const struct matrix_view *view, size_t column,
		       char text[static MATRIX_CELL_MAX])
{
	const struct matrix_line *line = &view->columns[column];
	char name[MATRIX_NAME_MAX];

	if (line->kind == REACH_CONTAINER || line->kind == REACH_RUNNER)
		snprintf(text, MATRIX_CELL_MAX, "%s%zu", line->kind == REACH_RUNNER ? "r" : "",
			 line->group + 1);
	else
		snprintf(text, MATRIX_CELL_MAX, "%.23s",
			 matrix_line_text(view, line, false, name, sizeof(name)));
}

static size_t row_text(const struct matrix_view *view, size_t row, char *text, size_t size)
{
	char name[MATRIX_NAME_MAX + 16];

	matrix_line_text(view, &view->rows[row], true, name, sizeof(name));
	if (view->rows[row].kind == REACH_CONTAINER)
		return (size_t)snprintf(text, size, "%zu %s", view->rows[row].group + 1, name);
	return (size_t)snprintf(text, size, "%s", name);
}

void matrix_print_head(FILE *out, const struct matrix_view *view)
{
	const struct status_view *status = view->status;
	char groups[128];

	fprintf(out, "mode %d %s, ruleset %s", (int)status->config->mode,
		network_mode_name(status->config->mode), ruleset_state_name(status->ruleset));
	if (status->ruleset == RULESET_PRESENT)
		fprintf(out, ", as it should be\n");
	else if (status->ruleset == RULESET_UNKNOWN)
		fprintf(out, ": %s\n", status->ruleset_trouble ?: "not read");
	else
		fprintf(out, ": the table says what it should do, not what it does; see "
			     "\"jobfence verify\"\n");
	if (status->engine->state != ENGINE_IN_SYNC)
		fprintf(out, "The engine has not told all: \"?\" is what only it knows.\n");
	if (status->config->audit)
		fprintf(out, "NOT ENFORCED, only counted: %s\n",
			rule_groups_text(status->config->audit, groups, sizeof(groups)));
}

struct table {
	char (*text)[MATRIX_CELL_MAX]; /* owned; the titles, then row by row */
	size_t *width;                 /* owned; per column */
	size_t name_width;
};

static void table_done(struct table *table)
{
	free(table->text);
	free(table->width);
}

static int table_fill(const struct matrix_view *view, matrix_cell_fn fill, void *data,
		      struct table *table)
{
	size_t n = view->columns_n;
	char name[MATRIX_NAME_MAX + 32];

	table->text = calloc((view->rows_n + 1) * n, sizeof(*table->text));
	table->width = calloc(n, sizeof(*table->width));
	if (!table->text || !table->width)
		return -ENOMEM;
	for (size_t j = 0; j < n; j++)
		title_text(view, j, table->text[j]);
	for (size_t i = 0; i < view->rows_n; i++) {
		size_t wide = row_text(view, i, name, sizeof(name));

		table->name_width = wide > table->name_width ? wide : table->name_width;
		for (size_t j = 0; j < n; j++)
			fill(view, i, j, data, table->text[(i + 1) * n + j]);
	}
	for (size_t i = 0; i <= view->rows_n; i++)
		for (size_t j = 0; j < n; j++)
			if (strlen(table->text[i * n + j]) > table->width[j])
				table->width[j] = strlen(table->text[i * n + j]);
	return 0;
}

/* Columns of a kind stand together, with a blank more before the first. */
static enum reach_kind section(const struct matrix_view *view, size_t column)
{
	enum reach_kind kind = view->columns[column].kind;

	if (kind == REACH_DCGM || kind == REACH_HOST)
		return REACH_SHIM;
	return kind == REACH_INTERNET || kind == REACH_METADATA ? REACH_LAN : kind;
}

static const char *section_name(enum reach_kind kind)
{
	switch (kind) {
	case REACH_CONTAINER:
		return "services of";
	case REACH_RUNNER:
		return "runner of";
	case REACH_SHIM:
	case REACH_DCGM:
	case REACH_HOST:
		return "on the host";
	case REACH_LAN:
	case REACH_INTERNET:
	case REACH_METADATA:
		break;
	}
	return "beyond it";
}

/* The names over the columns; a section is as wide as its name. */
static void print_sections(FILE *out, const struct matrix_view *view, struct table *table)
{
	size_t n = view->columns_n;

	fprintf(out, "%*s", (int)table->name_width, "");
	for (size_t j = 0, next; j < n; j = next) {
		enum reach_kind kind = section(view, j);
		size_t wide = 0;

		for (next = j; next < n && section(view, next) == kind; next++)
			wide += table->width[next] + 2;
		if (wide - 2 < strlen(section_name(kind)))
			table->width[next - 1] += strlen(section_name(kind)) + 2 - wide;
		if (wide < strlen(section_name(kind)) + 2)
			wide = strlen(section_name(kind)) + 2;
		if (next < n)
			fprintf(out, "   %-*s", (int)wide - 2 + 1, section_name(kind));
		else
			fprintf(out, "   %s", section_name(kind));
	}
	fprintf(out, "\n");
}

static void print_line(FILE *out, const struct matrix_view *view, const struct table *table,
		       const char *name, size_t line)
{
	size_t n = view->columns_n;

	fprintf(out, "%-*s", (int)table->name_width, name);
	for (size_t j = 0; j < n; j++) {
		bool first = j == 0 || section(view, j) != section(view, j - 1);

		if (j == 0)
			fprintf(out, "   ");
		else
			fprintf(out, "%s", first ? "    " : "  ");
		if (j + 1 < n)
			fprintf(out, "%-*s", (int)table->width[j], table->text[line * n + j]);
		else
			fprintf(out, "%s\n", table->text[line * n + j]);
	}
}

static void print_table(FILE *out, const struct matrix_view *view, struct table *table)
{
	char name[MATRIX_NAME_MAX + 32];

	fprintf(out, "\n");
	print_sections(out, view, table);
	print_line(out, view, table, "FROM", 0);
	for (size_t i = 0; i < view->rows_n; i++) {
		row_text(view, i, name, sizeof(name));
		print_line(out, view, table, name, i + 1);
	}
}

/* Who is who in a group of several. */
static void print_groups(FILE *out, const struct matrix_view *view)
{
	const struct expected *expected = view->status->expected;

	for (size_t i = 0; i < view->groups_n; i++) {
		const struct matrix_group *group = &view->groups[i];

		if (group->rows_n == 1)
			continue;
		fprintf(out, "\n%zu:", i + 1);
		for (size_t j = 0; j < group->rows_n; j++) {
			const struct container *c =
				&expected->model
					 .containers[view->reach->rows[group->rows[j]].container];
			char name[41];

			fprintf(out, " %s",
				text_safe(c->name && c->name[0] ? c->name : c->id, name,
					  sizeof(name)));
		}
		fprintf(out, "\n");
	}
}

static void print_flow(FILE *out, const struct reach_flow *flow, struct legend *legend)
{
	char addr[SOCK_ADDR_TEXT_MAX], rule[8];

	fprintf(out, " %s %s%s", sock_addr_text(&flow->to, addr), matrix_state_text(flow->state),
		letter(legend, flow->counter, rule, sizeof(rule)));
}

/* A field of one source and one target, of which there is more than one answer. */
static void print_partly(FILE *out, const struct matrix_view *view, struct legend *legend)
{
	const struct reach *reach = view->reach;
	size_t shown = 0;
	char from[MATRIX_NAME_MAX], to[MATRIX_NAME_MAX];

	for (size_t i = 0; i < reach->rows_n * reach->columns_n * 2; i++) {
		const struct reach_cell *cell = &reach->cells[i];
		size_t row = i / 2 / reach->columns_n, column = i / 2 % reach->columns_n;

		if (cell->state != REACH_PARTLY || shown++ >= 2 * EXAMPLES_MAX)
			continue;
		fprintf(out, "%spartly: %s -> %s:", shown == 1 ? "\n" : "",
			matrix_place_text(view, &reach->rows[row], from, sizeof(from)),
			matrix_place_text(view, &reach->columns[column], to, sizeof(to)));
		for (size_t j = 0; j < cell->flows_n && j < EXAMPLES_MAX; j++)
			print_flow(out, &reach->flows[cell->flow + j], legend);
		fprintf(out, "%s\n", cell->flows_n > EXAMPLES_MAX ? " ..." : "");
	}
	if (shown > 2 * EXAMPLES_MAX)
		fprintf(out, "partly: and %zu more, see --json\n", shown - 2 * EXAMPLES_MAX);
}

static void print_legend(FILE *out, const struct matrix_view *view, struct legend *legend)
{
	char text[8];
	int wide = 0;

	for (size_t i = 0; i < legend->n; i++)
		if ((int)strlen(legend->counter[i]) > wide)
			wide = (int)strlen(legend->counter[i]);
	fprintf(out, "\n");
	for (size_t i = 0; i < legend->n; i++)
		fprintf(out, "%-3s %-*s  %s\n",
			letter(legend, legend->counter[i], text, sizeof(text)) + 1, wide,
			legend->counter[i], matrix_counter_why(view, legend->counter[i]) ?: "");
}

static bool has_state(const struct matrix_view *view, enum reach_state state)
{
	const struct reach *reach = view->reach;

	for (size_t i = 0; i < reach->rows_n * reach->columns_n * 2; i++)
		if (reach->cells[i].state == state)
			return true;
	return false;
}

static void print_words(FILE *out, const struct matrix_view *view)
{
	fprintf(out, "\nyes: not stopped by jobfence; another rule of this host may. no: stopped, "
		     "by "
		     "the rule of the letter.\n");
	if (has_state(view, REACH_AUDITED))
		fprintf(out, "audit: counted by that rule, and let through.\n");
	if (has_state(view, REACH_NOT_HELD))
		fprintf(out, "NOT HELD: that rule would stop it, but the fence cannot hold this "
			     "container; see \"jobfence status\".\n");
	if (has_state(view, REACH_UNKNOWN))
		fprintf(out, "?: could not be told.\n");
	fprintf(out, "Two words, IPv4 / IPv6, where they differ. -: no such way.\n");
}

int matrix_print_table(FILE *out, const struct matrix_view *view, matrix_cell_fn fill, void *data)
{
	_cleanup_(table_done) struct table table = { 0 };
	int r = table_fill(view, fill, data, &table);

	if (r < 0)
		return r;
	print_table(out, view, &table);
	print_groups(out, view);
	return 0;
}

int matrix_print(FILE *out, const struct matrix_view *view)
{
	struct legend legend = { 0 };
	int r;

	matrix_print_head(out, view);
	r = matrix_print_table(out, view, cell_text, &legend);
	if (r < 0)
		return r;
	print_partly(out, view, &legend);
	print_legend(out, view, &legend);
	print_words(out, view);
	return 0;
}
