/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `probe` saw, for a person: the table with a word for each field, what is not as intended in
 * sentences, and the sum. Pure formatting. What was not tried is never shown as if it had been.
 */
#include "probe-internal.h"

#include <string.h>

#define SENTENCES_MAX 20

/* What the flows of a field came to, both families together. */
struct tally {
	size_t count[FINDING_GONE + 1];
	enum reach_state intended; /* of those that were tried */
};

static void collect(const struct probe *probe, size_t row, size_t column, struct tally *tally)
{
	const struct matrix_view *view = probe->view;
	const struct reach *reach = probe->reach;

	*tally = (struct tally){ 0 };
	for (size_t i = 0; i < reach->flows_n; i++) {
		const struct reach_flow *flow = &reach->flows[i];
		enum probe_finding finding = probe->probed[i].finding;

		if (!matrix_is_of(view, &reach->rows[flow->row], &view->rows[row]) ||
		    !matrix_is_of(view, &reach->columns[flow->column], &view->columns[column]))
			continue;
		tally->count[finding]++;
		if (finding != FINDING_UNTRIED)
			tally->intended = reach_merge(tally->intended, flow->state);
	}
}

static void field_text(const struct matrix_view *view, size_t row, size_t column, void *data,
		       char text[static MATRIX_CELL_MAX])
{
	struct tally tally;
	const char *intended;

	collect(data, row, column, &tally);
	intended = tally.intended == REACH_NOT_HELD ? "no" : matrix_state_text(tally.intended);
	if (tally.count[FINDING_DIFFERENT] > 0)
		snprintf(text, MATRIX_CELL_MAX, "%s>%s", intended,
			 tally.intended == REACH_ALLOWED ? "NO" : "YES");
	else if (tally.count[FINDING_UNPROVEN] > 0)
		snprintf(text, MATRIX_CELL_MAX, "%s?", intended);
	else if (tally.count[FINDING_GONE] > 0)
		snprintf(text, MATRIX_CELL_MAX, "gone");
	else
		snprintf(text, MATRIX_CELL_MAX, "%s",
			 tally.count[FINDING_AS_INTENDED] > 0 ? intended : ".");
}

static void print_flow(FILE *out, const struct probe *probe, size_t i)
{
	const struct reach_flow *flow = &probe->reach->flows[i];
	const struct probed *probed = &probe->probed[i];
	const struct sighting *last = probed->seen_n ? &probed->seen[probed->seen_n - 1] : NULL;
	char from[MATRIX_NAME_MAX], to[MATRIX_NAME_MAX], addr[SOCK_ADDR_TEXT_MAX];

	fprintf(out, "%s -> %s, %s: ",
		matrix_place_text(probe->view, &probe->reach->rows[flow->row], from, sizeof(from)),
		matrix_place_text(probe->view, &probe->reach->columns[flow->column], to,
				  sizeof(to)),
		sock_addr_text(&flow->to, addr));
	if (flow->state == REACH_ALLOWED)
		fprintf(out, "should be open");
	else
		fprintf(out, "should be %s by %s",
			flow->state == REACH_AUDITED ? "counted" : "stopped",
			flow->counter ?: "a rule");
	fprintf(out, "; %s", probed->why);
	if (last && last->attempt != ATTEMPT_CONNECTED)
		fprintf(out, " (%s%s%s)", attempt_name(last->attempt), last->other ? ", " : "",
			last->other ?: "");
	fprintf(out, "%s%s\n", probed->detail[0] ? ": " : "", probed->detail);
}

static void print_all(FILE *out, const struct probe *probe, enum probe_finding finding,
		      const char *title)
{
	size_t shown = 0;

	for (size_t i = 0; i < probe->reach->flows_n; i++) {
		if (probe->probed[i].finding != finding || shown++ >= SENTENCES_MAX)
			continue;
		fprintf(out, "%s%s  ", shown == 1 ? "\n" : "", title);
		print_flow(out, probe, i);
	}
	if (shown > SENTENCES_MAX)
		fprintf(out, "%s  and %zu more, see --json\n", title, shown - SENTENCES_MAX);
}

static void print_sum(FILE *out, const struct probe *probe)
{
	const size_t *count = probe->count;

	fprintf(out,
		"\n%zu connections tried: %zu as intended, %zu different, %zu unproven, %zu gone; "
		"%zu not tried\n",
		count[FINDING_AS_INTENDED] + count[FINDING_DIFFERENT] + count[FINDING_UNPROVEN] +
			count[FINDING_GONE],
		count[FINDING_AS_INTENDED], count[FINDING_DIFFERENT], count[FINDING_UNPROVEN],
		count[FINDING_GONE], count[FINDING_UNTRIED]);
	if (probe->interrupted)
		fprintf(out, "Interrupted: what was not tried is not known.\n");
	if (probe->late)
		fprintf(out, "Out of time: what was not tried is not known.\n");
}

int probe_print(FILE *out, const struct probe *probe)
{
	int r;

	if (!probe->quick) {
		matrix_print_head(out, probe->view);
		r = matrix_print_table(out, probe->view, field_text, (void *)probe);
		if (r < 0)
			return r;
		fprintf(out, "\nyes, no: seen, and as intended. no>YES: should be stopped, and is "
			     "open. yes>NO: the fence stops what it should not.\n"
			     "no?, yes?: could not be proven. A dot: not tried.\n");
	}
	print_all(out, probe, FINDING_DIFFERENT, "DIFFERENT");
	print_all(out, probe, FINDING_UNPROVEN, "unproven");
	print_all(out, probe, FINDING_GONE, "gone");
	print_sum(out, probe);
	return 0;
}
