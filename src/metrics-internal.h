/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `jobfence metrics`: what status sees, and what the daemon counted, as Prometheus' text format. */
#pragma once

#include "jobfence/tally.h"
#include "status-internal.h"

/* Jobs with series of their own; the packets of those beyond it are summed under one label. */
#define METRICS_JOBS_MAX 64

struct metrics_view {
	const struct status_view *status;
	const struct tally_counts *tally; /* NULL: no daemon runs, or it has not told */
};

/* What is not known is left out: a number that nobody read is no 0. Pure. */
void metrics_print(FILE *out, const struct metrics_view *view);

/* --- the format (metrics_text.c) --- */

enum metric_type {
	METRIC_GAUGE,
	METRIC_COUNTER,
};

/* The head of a family; its samples follow. @help is one line. */
void metric_family(FILE *out, const char *name, enum metric_type type, const char *help);

/* Labels under construction. Zeroed is none. */
struct metric_labels {
	char text[640];
	size_t len;
};

/* @value is made printable and at most 128 bytes, then escaped. @name is ours. At most four. */
void metric_label(struct metric_labels *labels, const char *name, const char *value);
/* @labels may be NULL. */
void metric_sample(FILE *out, const char *name, const struct metric_labels *labels, uint64_t value);
/* @usec as seconds. */
void metric_seconds(FILE *out, const char *name, uint64_t usec);
/* One sample for each of @names, 1 for the one that is @current and 0 for the others. */
void metric_states(FILE *out, const char *name, const char *label, const char *const *names,
		   size_t names_n, const char *current);
