/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `jobfence explain CONTAINER`: one look, as status takes it, and all that it says of one container.
 * It asks no daemon and changes nothing. Of several that may be meant it picks none.
 */
#include "explain-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/log.h"
#include "jobfence/term.h"
#include "jobfence/text.h"
#include "matrix-internal.h"

#define NAME_MAX_SHOWN 80

/* "name (id, task …)", a line each on stderr, below a sentence. */
static void list(const struct model *model, const size_t *which, size_t n)
{
	char name[NAME_MAX_SHOWN], task[NAME_MAX_SHOWN];

	for (size_t i = 0; i < n; i++) {
		const struct container *c = &model->containers[which[i]];

		text_safe(c->name ?: "", name, sizeof(name));
		text_safe(c->task_id ?: "-", task, sizeof(task));
		fprintf(stderr, "  %-40s  %.12s  task %s\n", name, c->id, task);
	}
}

void explain_say_unknown(const struct status_view *view, const struct found *found,
			 const char *text)
{
	const struct model *model = &view->expected->model;
	char safe[NAME_MAX_SHOWN];

	text_safe(text, safe, sizeof(safe));
	if (found->matches_n > 1) {
		log_err("%zu containers are called \"%s\": name one of them by more",
			found->matches_n, safe);
		list(model, found->match,
		     found->matches_n < FOUND_MAX ? found->matches_n : FOUND_MAX);
	} else if (view->engine->state != ENGINE_IN_SYNC) {
		log_err("no container \"%s\" is known, and the engine has not told what there is: "
			"%s",
			safe, view->engine->trouble ?: "it is still answering");
	} else {
		log_err("there is no container \"%s\"%s", safe,
			found->near_n > 0 ? "; near to it are:" : "; see jobfence status");
		list(model, found->near, found->near_n);
	}
}

static int print(const struct explanation *explanation, bool as_json)
{
	_cleanup_free_ char *text = NULL;
	struct term term;
	size_t size = 0;
	FILE *out;

	if (as_json)
		return command_print_json(explain_json(explanation), 2);
	out = open_memstream(&text, &size);
	if (!out)
		return -ENOMEM;
	explain_print(out, explanation);
	if (term_close(out, &text) < 0)
		return -ENOMEM;
	term_look(stdout, &term);
	term_emit(stdout, &term, text);
	return 0;
}

/* Returns 0, -ENOENT (said), or another -errno. */
static int explain(struct observer *observer, const struct config_origin *origin,
		   const struct options *options)
{
	_cleanup_(status_look_done) struct status_look look = { 0 };
	_cleanup_(explanation_done) struct explanation explanation = { 0 };
	_cleanup_(reach_done) struct reach reach = { 0 };
	const struct model *model = &look.expected.model;
	struct reach_input input;
	struct found found;
	int r = status_look(observer, origin, &look);

	if (r < 0)
		return r;
	explain_find(model->containers, model->containers_n, options->operand, &found);
	if (found.matches_n != 1) {
		explain_say_unknown(&look.view, &found, options->operand);
		return -ENOENT;
	}
	r = explain_make(&look.view, found.match[0], host_cgroup_path, observer->host,
			 &explanation);
	matrix_input(&look.view, &input);
	if (r >= 0)
		r = reach_build(&input, &reach);
	explanation.reach = &reach;
	return r < 0 ? r : print(&explanation, options->json);
}

int command_explain(const struct options *options)
{
	return command_look(options, "explain it", explain);
}
