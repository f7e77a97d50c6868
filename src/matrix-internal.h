/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `matrix` shows, as plain data, and its forms. */
#pragma once

#include <jansson.h>

#include "jobfence/reach.h"
#include "status-internal.h"

#define MATRIX_NAME_MAX 96
#define MATRIX_CELL_MAX 24

/* Containers that are shown as one: those of a kind and a confinement, where there are many. */
struct matrix_group {
	char name[MATRIX_NAME_MAX]; /* safe to print */
	size_t *rows;               /* owned: of the table */
	size_t rows_n;
};

/* A row or a column of what is printed. */
struct matrix_line {
	enum reach_kind kind;
	size_t group; /* where the kind is about containers */
};

struct matrix_view {
	const struct status_view *status; /* borrowed */
	const struct reach *reach;        /* borrowed */
	struct matrix_group *groups;      /* owned */
	size_t groups_n;
	struct matrix_line *rows, *columns; /* owned */
	size_t rows_n, columns_n;
};

/* Fills groups, rows and columns from the rest; containers are told apart one by one up to
 * @single_max of them. Returns 0 or -ENOMEM. */
int matrix_view_fill(struct matrix_view *view, size_t single_max);
void matrix_view_done(struct matrix_view *view);

struct matrix_cell {
	enum reach_state state[2]; /* IPv4, IPv6 */
	const char *counter[2];
};

void matrix_cell(const struct matrix_view *view, size_t row, size_t column,
		 struct matrix_cell *ret_cell);
/* Whether a row or column of the whole table is part of this line. */
bool matrix_is_of(const struct matrix_view *view, const struct reach_place *place,
		  const struct matrix_line *line);
/* How many containers are shown one by one: fewer for a terminal that is too narrow. */
size_t matrix_single_max(const struct reach *reach, bool picture);
/* Both families say the same, or there is only one. */
bool matrix_cell_is_one(const struct matrix_cell *cell);
/* "job NAME", "the host", … Returns @buffer. */
const char *matrix_place_text(const struct matrix_view *view, const struct reach_place *place,
			      char *buffer, size_t size);
/* The same of a line; as a source it has words that a target needs not. */
const char *matrix_line_text(const struct matrix_view *view, const struct matrix_line *line,
			     bool source, char *buffer, size_t size);
const char *matrix_state_text(enum reach_state state); /* "yes", "no", … */
/* What a counter counts, in words; NULL: it is none of the skeleton's. */
const char *matrix_counter_why(const struct matrix_view *view, const char *counter);
/* What stands before any table: mode, ruleset, engine; audit and what could not be told. */
void matrix_print_head(FILE *out, const struct matrix_view *view);

/* A table with a column for each target, whose fields @fill writes, and who is in its groups. Returns 0 or
 * -ENOMEM. */
typedef void (*matrix_cell_fn)(const struct matrix_view *view, size_t row, size_t column,
			       void *data, char text[static MATRIX_CELL_MAX]);
int matrix_print_table(FILE *out, const struct matrix_view *view, matrix_cell_fn fill, void *data);

int matrix_print(FILE *out, const struct matrix_view *view); /* 0 or -ENOMEM */
json_t *matrix_json(const struct matrix_view *view); /* NULL: no memory. The caller owns it. */
void matrix_svg(FILE *out, const struct matrix_view *view);
void matrix_dot(FILE *out, const struct matrix_view *view);

/* br_netfilter's switches, as the kernel has them now, and the rest of what reach wants. */
void matrix_input(const struct status_view *status, struct reach_input *ret_input);
