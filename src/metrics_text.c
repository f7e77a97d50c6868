/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prometheus' text format: families, labels, samples. A name of ours is written as it is, a text of
 * anybody else's never: what a tenant calls his job is neither a line nor a label of its own.
 */
#include "metrics-internal.h"

#include <inttypes.h>
#include <string.h>

#include "jobfence/text.h"

#define LABEL_MAX 128

void metric_family(FILE *out, const char *name, enum metric_type type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
		type == METRIC_COUNTER ? "counter" : "gauge");
}

static void put(struct metric_labels *labels, const char *text, size_t len)
{
	if (labels->len + len >= sizeof(labels->text))
		return;
	memcpy(labels->text + labels->len, text, len);
	labels->len += len;
	labels->text[labels->len] = '\0';
}

void metric_label(struct metric_labels *labels, const char *name, const char *value)
{
	char safe[LABEL_MAX + 1];

	put(labels, ",", labels->len ? 1 : 0);
	put(labels, name, strlen(name));
	put(labels, "=\"", 2);
	text_safe(value, safe, sizeof(safe));
	for (const char *at = safe; *at; at++) {
		if (*at == '\\' || *at == '"') /* text_safe() leaves none: it is the format's */
			put(labels, "\\", 1);
		put(labels, at, 1);
	}
	put(labels, "\"", 1);
}

static void begin(FILE *out, const char *name, const struct metric_labels *labels)
{
	if (labels && labels->len)
		fprintf(out, "%s{%s} ", name, labels->text);
	else
		fprintf(out, "%s ", name);
}

void metric_sample(FILE *out, const char *name, const struct metric_labels *labels, uint64_t value)
{
	begin(out, name, labels);
	fprintf(out, "%" PRIu64 "\n", value);
}

void metric_seconds(FILE *out, const char *name, uint64_t usec)
{
	fprintf(out, "%s %" PRIu64 ".%06" PRIu64 "\n", name, usec / 1000000, usec % 1000000);
}

void metric_states(FILE *out, const char *name, const char *label, const char *const *names,
		   size_t names_n, const char *current)
{
	for (size_t i = 0; i < names_n; i++) {
		struct metric_labels labels = { 0 };

		metric_label(&labels, label, names[i]);
		metric_sample(out, name, &labels, strcmp(names[i], current) == 0);
	}
}
