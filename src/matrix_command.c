/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `jobfence matrix`: who reaches whom on this host, from the rules with the elements that belong there
 * now. It looks at the host, the engine and the kernel afresh, asks no daemon, and sends no packet.
 */
#include "matrix-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "jobfence/log.h"
#include "jobfence/text.h"

#define SINGLE_MAX 9 /* containers, before those of a kind become one line of the table */
#define SINGLE_PICTURE_MAX 24
#define NAME_WIDTH 40 /* characters, about */
#define CELL_WIDTH 6

/* Not there: br_netfilter is not loaded, and hands nothing to anybody. */
static bool is_on(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");

	return file && fgetc(file) == '1';
}

void matrix_input(const struct status_view *status, struct reach_input *ret_input)
{
	const struct expected *expected = status->expected;

	*ret_input = (struct reach_input){
		.config = status->config,
		.model = &expected->model,
		.skeleton = expected->skeleton,
		.ruleset = expected->ruleset,
		.kept = status->live ? status->live->elements : NULL,
		.verdicts = expected->verdicts,
		.bridge_calls = { is_on("/proc/sys/net/bridge/bridge-nf-call-iptables"),
				  is_on("/proc/sys/net/bridge/bridge-nf-call-ip6tables") },
	};
}

struct picture {
	const struct matrix_view *view;
	void (*draw)(FILE *out, const struct matrix_view *view);
};

static void draw_picture(FILE *out, const void *data)
{
	const struct picture *picture = data;

	picture->draw(out, picture->view);
}

/* Returns 0 or -EINVAL: what went wrong was said. */
static int write_picture(const struct matrix_view *view, const char *path,
			 void (*draw)(FILE *out, const struct matrix_view *view))
{
	const struct picture picture = { view, draw };
	int r = command_replace_file(path, draw_picture, &picture);
	char safe[256];

	if (r < 0)
		log_err("cannot write %s: %s", text_safe(path, safe, sizeof(safe)), strerror(-r));
	return r < 0 ? -EINVAL : 0;
}

size_t matrix_single_max(const struct reach *reach, bool picture)
{
	struct winsize size;

	if (picture)
		return SINGLE_PICTURE_MAX;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 &&
	    NAME_WIDTH + reach->columns_n * CELL_WIDTH > size.ws_col)
		return 0;
	return SINGLE_MAX;
}

static int draw(const struct options *options, const struct status_view *status,
		const struct reach *reach)
{
	_cleanup_(matrix_view_done) struct matrix_view view = { .status = status, .reach = reach };
	bool picture = options->svg || options->dot;
	int r = matrix_view_fill(&view, matrix_single_max(reach, picture));

	if (r >= 0 && options->svg)
		r = write_picture(&view, options->svg, matrix_svg);
	if (r >= 0 && options->dot && strcmp(options->dot, "-") == 0)
		matrix_dot(stdout, &view);
	else if (r >= 0 && options->dot)
		r = write_picture(&view, options->dot, matrix_dot);
	if (r < 0 || (picture && !options->json))
		return r;
	return options->json ? command_print_json(matrix_json(&view), 1)
			     : matrix_print(stdout, &view);
}

static int show(struct observer *observer, const struct config_origin *origin,
		const struct options *options)
{
	_cleanup_(status_look_done) struct status_look look = { 0 };
	_cleanup_(reach_done) struct reach reach = { 0 };
	struct reach_input input;
	int r = status_look(observer, origin, &look);

	if (r < 0)
		return r;
	matrix_input(&look.view, &input);
	r = reach_build(&input, &reach);
	return r < 0 ? r : draw(options, &look.view, &reach);
}

int command_matrix(const struct options *options)
{
	return command_look(options, "tell who reaches whom", show);
}
