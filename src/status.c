/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `jobfence status`: looks at the host, the engine and the kernel afresh and prints what it saw. It
 * asks no daemon, so it also tells the truth about a fence whose daemon is gone. Whatever cannot be
 * seen is said to be so, and the rest is printed.
 */
#include "status-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/log.h"
#include "jobfence/term.h"

static int print(const struct status_view *view, bool as_json)
{
	struct term term;

	if (!as_json) {
		term_look(stdout, &term);
		return status_show(stdout, view, &term);
	}
	json_t *json = status_json(view);
	int r = json ? json_dumpf(json, stdout, JSON_INDENT(2)) : -1;

	json_decref(json);
	if (r < 0)
		return -ENOMEM;
	printf("\n");
	return 0;
}

static int show(struct observer *observer, const struct config_origin *origin, bool as_json)
{
	_cleanup_(status_look_done) struct status_look look = { 0 };
	int r = status_look(observer, origin, &look);

	if (r >= 0)
		r = status_look_at_sockets(&look);
	return r < 0 ? r : print(&look.view, as_json);
}

int command_status(const struct options *options)
{
	_cleanup_(observer_done) struct observer observer = { 0 };
	struct config config;
	struct config_origin origin;
	struct diag diag = { 0 };
	int r = command_load_config(options, &config, &origin);

	if (r != 0)
		return r;
	r = observer_init(&observer, &config, false, &diag);
	if (r < 0) {
		log_err("%s", diag.text[0] ? diag.text : strerror(-r));
		return EXIT_FAILURE;
	}
	r = options->watch_s ? status_watch(&observer, &origin, options->watch_s)
			     : show(&observer, &origin, options->json);
	if (r == -ENOTSUP)
		return EXIT_CONFIG;
	if (r < 0) {
		log_err("cannot tell the status: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	return command_flush(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
