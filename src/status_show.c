/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `status` on a terminal: the same head and the same warnings as everywhere, with what is wrong in
 * colour, and the containers by what they need: those that want attention, jobs, bystanders. Pure
 * formatting. Where there is no terminal, scripts get what they always got (status_text.c).
 */
#include "status-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "jobfence/term.h"
#include "jobfence/text.h"

#define LABEL_WIDTH 14   /* of the head's lines */
#define WHY_WIDTH_MIN 36 /* less room than that: below the row */
#define TASK_WIDTH_MIN 150
#define NAME_WIDTH_MIN 16
#define CELLS_N 6
#define CELL_MAX 264

enum part { PART_ATTENTION, PART_JOBS, PART_BYSTANDERS, PARTS_N };

struct table_row {
	const struct status_row *row;
	enum part part;
	char cell[CELLS_N][CELL_MAX];
};

struct table {
	struct table_row *rows; /* owned */
	size_t rows_n;
	size_t widths[CELLS_N]; /* 0: not shown */
	bool why_below;
};

static const char *const titles[CELLS_N] = {
	"NAME", "TASK", "PLACEMENT", "CONFINEMENT", "RUNNING", "STOPPED",
};

/* --- the head ---------------------------------------------------------------------------------- */

static const char *ruleset_mark(const struct status_view *view)
{
	switch (view->ruleset) {
	case RULESET_UNKNOWN:
		return TERM_WARN;
	case RULESET_DIFFERS:
		return view->broken ? TERM_BAD : TERM_WARN;
	case RULESET_ABSENT:
		return TERM_BAD;
	case RULESET_PRESENT:
		return TERM_GOOD;
	}
	return "";
}

static const char *engine_mark(const struct status_view *view)
{
	switch (view->engine->state) {
	case ENGINE_LOST:
		return TERM_BAD;
	case ENGINE_SYNCING:
		return TERM_WARN;
	case ENGINE_IN_SYNC:
		return "";
	}
	return "";
}

static bool labelled(const char *line, const char *label)
{
	return strncmp(line, label, strlen(label)) == 0;
}

/* What a line of the head is, by what it is about; never by what it says. */
static const char *head_mark(const struct status_view *view, const char *line)
{
	if (labelled(line, "AUDIT "))
		return TERM_BAD;
	if (labelled(line, "engine "))
		return engine_mark(view);
	if (labelled(line, "cgroups "))
		return view->expected->model.has_cgroups ? "" : TERM_BAD;
	if (labelled(line, "ruleset "))
		return ruleset_mark(view);
	if (labelled(line, "tables "))
		return view->owner == OWNER_ANOTHER ? TERM_BAD : "";
	if (labelled(line, "daemon "))
		return view->daemon_pid == 0 ? TERM_WARN : "";
	if (labelled(line, "remark "))
		return TERM_WARN;
	return "";
}

static void mark_head(FILE *out, const struct status_view *view, char *head)
{
	bool blank = true; /* one empty line is enough */

	for (char *line; (line = strsep(&head, "\n"));) {
		if (!*line && blank)
			continue;
		blank = !*line;
		if (labelled(line, "! "))
			fprintf(out, TERM_BAD "%s\n", line);
		else if (labelled(line, "~ "))
			fprintf(out, TERM_WARN "%s\n", line);
		else if (strlen(line) > LABEL_WIDTH)
			fprintf(out, "%s%.*s" TERM_HANG "%s\n", head_mark(view, line), LABEL_WIDTH,
				line, line + LABEL_WIDTH);
		else if (head) /* not what is behind the last end of a line */
			fprintf(out, "%s\n", line);
	}
}

/* --- the table --------------------------------------------------------------------------------- */

static enum part part_of(const struct status_row *row)
{
	const struct verdict *verdict = row->verdict;

	if (verdict->violation || verdict->unconfinable || verdict->stale_mirror || row->released)
		return PART_ATTENTION;
	return verdict->role == ROLE_JOB ? PART_JOBS : PART_BYSTANDERS;
}

static void fill_row(const struct status_view *view, const struct status_row *row, size_t name_max,
		     struct table_row *ret_row)
{
	const struct container *c = row->container;
	const struct verdict *verdict = row->verdict;
	char name[CELL_MAX - 4], age[24], confinement[48];

	*ret_row = (struct table_row){ .row = row, .part = part_of(row) };
	text_safe(c->name && c->name[0] ? c->name : c->id, name, sizeof(name));
	if (strlen(name) > name_max)
		snprintf(ret_row->cell[0], CELL_MAX, "%.*s…", (int)name_max - 1, name);
	else
		snprintf(ret_row->cell[0], CELL_MAX, "%s", name);
	text_safe(verdict->role == ROLE_JOB && c->task_id && c->task_id[0] ? c->task_id : "-",
		  ret_row->cell[1], 40);
	snprintf(ret_row->cell[2], CELL_MAX, "%s%s", placement_name(verdict->placement),
		 verdict->joined ? " (joined)" : "");
	snprintf(ret_row->cell[3], CELL_MAX, "%s", status_confinement_text(view, row, confinement));
	snprintf(ret_row->cell[4], CELL_MAX, "%s", status_age_text(row->running_s, age));
	if (view->live)
		snprintf(ret_row->cell[5], CELL_MAX, "%" PRIu64, row->stopped);
	else
		snprintf(ret_row->cell[5], CELL_MAX, "?");
}

static int fill_table(const struct status_view *view, const struct term *term, struct table *table)
{
	static const size_t spared[] = { 4,
					 2 }; /* where there is no room; the reason has the place */
	size_t name_max = term->width / 3, sum = 2;

	if (name_max < NAME_WIDTH_MIN)
		name_max = NAME_WIDTH_MIN;
	table->rows = calloc(view->rows_n + 1, sizeof(*table->rows));
	if (!table->rows)
		return -ENOMEM;
	for (size_t i = 0; i < CELLS_N; i++)
		table->widths[i] = strlen(titles[i]);
	for (size_t i = 0; i < view->rows_n; i++) {
		struct table_row *row = &table->rows[table->rows_n];

		if (!container_is_live(view->rows[i].container))
			continue;
		fill_row(view, &view->rows[i], name_max, row);
		for (size_t cell = 0; cell < CELLS_N; cell++) {
			size_t width = term_columns(row->cell[cell]);

			if (width > table->widths[cell])
				table->widths[cell] = width;
		}
		table->rows_n++;
	}
	if (term->width < TASK_WIDTH_MIN)
		table->widths[1] = 0;
	for (size_t i = 0; i < CELLS_N; i++)
		sum += table->widths[i] ? table->widths[i] + 2 : 0;
	for (size_t i = 0; i < ARRAY_SIZE(spared) && sum > term->width + 2; i++) {
		sum -= table->widths[spared[i]] + 2;
		table->widths[spared[i]] = 0;
	}
	table->why_below = sum + WHY_WIDTH_MIN > term->width;
	return 0;
}

static void print_cells(FILE *out, const struct table *table, const char *mark, char marker,
			const char *const *cells, const char *why)
{
	fprintf(out, "%s%c ", mark, marker);
	for (size_t i = 0; i < CELLS_N; i++)
		if (table->widths[i])
			fprintf(out, "%s%*s  ", cells[i],
				(int)(table->widths[i] - term_columns(cells[i])), "");
	if (table->why_below)
		fprintf(out, "\n%s", *why ? "    " : "");
	if (*why || !table->why_below)
		fprintf(out, TERM_HANG "%s\n", why);
}

static void print_row(FILE *out, const struct status_view *view, const struct table *table,
		      const struct table_row *row)
{
	const struct verdict *verdict = row->row->verdict;
	const char *cells[CELLS_N], *mark = "";
	char marker = ' ';

	for (size_t i = 0; i < CELLS_N; i++)
		cells[i] = row->cell[i];
	if (verdict->violation || verdict->unconfinable || row->row->released)
		marker = '!';
	else if (verdict->stale_mirror)
		marker = '~';
	if (marker == '!' || status_row_held(view, row->row) == HELD_NO)
		mark = TERM_BAD;
	else if (marker == '~')
		mark = TERM_WARN;
	print_cells(out, table, mark, marker, cells, verdict->why);
}

static void print_part(FILE *out, const struct status_view *view, const struct table *table,
		       enum part part)
{
	static const char *const headings[PARTS_N] = { "Needs attention", "Jobs", "Bystanders" };
	size_t n = 0;

	for (size_t i = 0; i < table->rows_n; i++)
		n += table->rows[i].part == part;
	if (n == 0)
		return;
	fprintf(out, "\n" TERM_HEADING "%s (%zu)\n", headings[part], n);
	print_cells(out, table, TERM_FAINT, ' ', titles, table->why_below ? "" : "WHY");
	for (size_t i = 0; i < table->rows_n; i++)
		if (table->rows[i].part == part)
			print_row(out, view, table, &table->rows[i]);
}

static void print_rest(FILE *out, const struct status_view *view, const struct table *table)
{
	size_t stopped = view->rows_n - table->rows_n;

	if (table->rows_n == 0)
		fprintf(out, "\nno running containers%s\n",
			view->engine->ever_in_sync ? "" : " known");
	if (stopped > 0)
		fprintf(out, "\n" TERM_FAINT "%zu stopped container%s not shown\n", stopped,
			stopped == 1 ? "" : "s");
	if (!view->live && table->rows_n > 0)
		fprintf(out, "\n" TERM_WARN "packets stopped: ? (%s)\n",
			view->ruleset_trouble ?: "not read");
}

/* What needs attention comes first here, and a lost engine with it. */
static int print_top(FILE *out, const struct status_view *view)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *plain = open_memstream(&text, &size);

	if (!plain)
		return -ENOMEM;
	if (view->config->audit) /* nobody shall take what follows for a fence */
		status_print_head(plain, view);
	status_print_attention(plain, view);
	if (view->engine->state == ENGINE_LOST)
		fprintf(plain, "! the engine is not reachable: what runs now is not known\n");
	if (!view->config->audit) {
		fprintf(plain, "\n");
		status_print_head(plain, view);
	}
	if (term_close(plain, &text) < 0)
		return -ENOMEM;
	mark_head(out, view, text + strspn(text, "\n"));
	return 0;
}

static int print_posture(FILE *out, const struct status_view *view)
{
	_cleanup_free_ char *text = NULL;
	char *rest;
	size_t size = 0;
	FILE *plain = open_memstream(&text, &size);

	if (!plain)
		return -ENOMEM;
	status_print_posture(plain, view);
	if (term_close(plain, &text) < 0)
		return -ENOMEM;
	rest = text;
	for (char *line; rest && *rest && (line = strsep(&rest, "\n"));)
		if (labelled(line, "posture "))
			fprintf(out, TERM_HEADING "Posture: %s\n", line + LABEL_WIDTH);
		else
			fprintf(out, "%s\n", line);
	return 0;
}

static int lay_out(FILE *out, const struct status_view *view, const struct term *term)
{
	struct table table = { 0 };
	int r = print_top(out, view);

	if (r >= 0)
		r = fill_table(view, term, &table);
	for (size_t part = 0; r >= 0 && part < PARTS_N; part++)
		print_part(out, view, &table, (enum part)part);
	if (r >= 0)
		print_rest(out, view, &table);
	if (r >= 0)
		r = print_posture(out, view);
	free(table.rows);
	return r;
}

int status_show(FILE *out, const struct status_view *view, const struct term *term)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	FILE *marked;
	int r;

	if (term->width == 0) {
		status_print(out, view);
		return 0;
	}
	marked = open_memstream(&text, &size);
	if (!marked)
		return -ENOMEM;
	r = lay_out(marked, view, term);
	if (term_close(marked, &text) < 0 || r < 0)
		return -ENOMEM;
	term_emit(out, term, text);
	return 0;
}
