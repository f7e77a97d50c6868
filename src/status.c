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
	return command_print_json(status_json(view), 2);
}

static int show(struct observer *observer, const struct config_origin *origin,
		const struct options *options)
{
	_cleanup_(status_look_done) struct status_look look = { 0 };
	int r;

	if (options->watch_s)
		return status_watch(observer, origin, options->watch_s);
	r = status_look(observer, origin, &look);
	if (r >= 0)
		r = status_look_at_sockets(&look);
	return r < 0 ? r : print(&look.view, options->json);
}

int command_status(const struct options *options)
{
	return command_look(options, "tell the status", show);
}
