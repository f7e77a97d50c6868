/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One log line per container and judgement: who came, how it is confined and why; what is wrong
 * about it. Remembers only what it said, and forgets those that are gone. Decides nothing.
 */
#include <errno.h>
#include <string.h>

#include "jobfence/log.h"
#include "jobfence/text.h"
#include "run-internal.h"

struct said {
	struct identity *who; /* owned, one reference */
	enum role role : 8;
	enum confinement confinement : 8;
	/* text_hash() of the sentence: two that are taken for one are a line less in the log */
	uint64_t why;
};

struct report {
	struct said *said; /* sorted by id, as the model's containers are */
	size_t n;
};

int report_new(struct report **ret_report)
{
	struct report *report = calloc(1, sizeof(*report));

	if (!report)
		return -ENOMEM;
	*ret_report = report;
	return 0;
}

static void forget(struct report *report)
{
	for (size_t i = 0; i < report->n; i++)
		identity_unref(report->said[i].who);
	free(report->said);
	report->said = NULL;
	report->n = 0;
}

struct report *report_free(struct report *report)
{
	if (!report)
		return NULL;
	forget(report);
	free(report);
	return NULL;
}

/* What a person has to know of first. */
static enum message message_of(const struct verdict *v)
{
	return v->unconfinable   ? MESSAGE_UNCONFINABLE
	       : v->violation    ? MESSAGE_VIOLATION
	       : v->stale_mirror ? MESSAGE_STALE_MIRROR
				 : MESSAGE_JOB;
}

static void say(const struct container *c, const struct verdict *v)
{
	char name[64], task[64];
	const struct log_field fields[] = {
		{ "JOBFENCE_CONTAINER", text_safe(c->name, name, sizeof(name)) },
		{ "JOBFENCE_CONTAINER_ID", c->id },
		{ "JOBFENCE_TASK", c->task_id ? text_safe(c->task_id, task, sizeof(task)) : NULL },
		{ "JOBFENCE_CLASS", confinement_name(v->confinement) },
		{ "JOBFENCE_PLACEMENT", placement_name(v->placement) },
	};

	if (v->role == ROLE_BYSTANDER)
		log_info("bystander %s (%.12s): %s", name, c->id, v->why);
	else if (v->confined)
		log_record(message_of(v), fields, ARRAY_SIZE(fields),
			   "confined container %s (%.12s): %s", name, c->id, v->why);
	else
		log_record(message_of(v), fields, ARRAY_SIZE(fields),
			   "job %s (task %s, container %.12s): %s", name,
			   c->task_id ? task : "unknown", c->id, v->why);
}

static bool same(const struct said *a, const struct said *b)
{
	return a->role == b->role && a->confinement == b->confinement && a->why == b->why;
}

static void say_gone(const struct said *said)
{
	char name[64];
	const struct log_field fields[] = {
		{ "JOBFENCE_CONTAINER", text_safe(said->who->name, name, sizeof(name)) },
		{ "JOBFENCE_CONTAINER_ID", said->who->id },
		{ "JOBFENCE_CLASS", confinement_name(said->confinement) },
	};

	if (said->role == ROLE_JOB)
		log_record(MESSAGE_JOB_GONE, fields, ARRAY_SIZE(fields), "job %s (%.12s) is gone",
			   name, said->who->id);
	else
		log_info("%s %s (%.12s) is gone", role_name(said->role), name, said->who->id);
}

/* Both lists are sorted by id: a walk over the two finds the new, the changed and the gone. */
static void compare(const struct report *report, const struct said *now, size_t n,
		    const struct model *model, const struct verdict *verdicts, const size_t *index)
{
	size_t i = 0, j = 0;

	while (i < report->n || j < n) {
		int cmp = i == report->n ? 1
			  : j == n       ? -1
					 : strcmp(report->said[i].who->id, now[j].who->id);

		if (cmp < 0)
			say_gone(&report->said[i]);
		if (cmp > 0 || (cmp == 0 && !same(&report->said[i], &now[j])))
			say(&model->containers[index[j]], &verdicts[index[j]]);
		i += cmp <= 0;
		j += cmp >= 0;
	}
}

/* Who is judged, in the model's order; @index: where each is in it. */
static int collect(const struct model *model, const struct verdict *verdicts, struct report *now,
		   size_t *index)
{
	for (size_t i = 0; i < model->containers_n; i++) {
		const struct container *c = &model->containers[i];

		/* before it was inspected the judgement is not whole: say it once, then */
		if (!container_is_live(c) || !c->inspected)
			continue;
		now->said[now->n] = (struct said){ .who = container_identity(c),
						   .role = verdicts[i].role,
						   .confinement = verdicts[i].confinement,
						   .why = text_hash(verdicts[i].why) };
		if (!now->said[now->n].who)
			return -ENOMEM;
		index[now->n++] = i;
	}
	return 0;
}

void report_changes(struct report *report, const struct model *model,
		    const struct verdict *verdicts)
{
	_cleanup_free_ size_t *index = calloc(model->containers_n + 1, sizeof(*index));
	struct report now = { .said = calloc(model->containers_n + 1, sizeof(*now.said)) };

	/* who is gone would be forgotten without a word; without memory a line comes late */
	if (!model->in_sync || !now.said || !index || collect(model, verdicts, &now, index) < 0) {
		forget(&now);
		return;
	}
	compare(report, now.said, now.n, model, verdicts, index);
	forget(report);
	*report = now;
}
