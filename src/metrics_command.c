/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `jobfence metrics`: looks as `status` does, reads what the daemon counted, and prints both for
 * Prometheus, or puts them into a file that node_exporter's textfile collector reads. That one is
 * replaced whole: a reader sees the old or the new one, and where something fails the old one stays.
 */
#include "metrics-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/log.h"

static void print(FILE *out, const void *data)
{
	const struct status_view *status = data;
	struct tally_counts counts;
	/* the numbers of a daemon that is gone are nobody's */
	bool told = status->daemon_pid != 0 && tally_read(status->daemon_pid, &counts) == 0;
	const struct metrics_view view = { .status = status, .tally = told ? &counts : NULL };

	metrics_print(out, &view);
}

static int write_file(const char *path, const struct status_view *status)
{
	int r = command_replace_file(path, print, status);

	if (r < 0)
		log_err("cannot write the metrics to %s, which stays as it was: %s", path,
			strerror(-r));
	return r;
}

static int show(struct observer *observer, const struct config_origin *origin,
		const struct options *options)
{
	_cleanup_(status_look_done) struct status_look look = { 0 };
	int r = status_look(observer, origin, &look);

	if (r < 0)
		return r;
	if (options->output) /* what went wrong was said */
		return write_file(options->output, &look.view) < 0 ? -EINVAL : 0;
	print(stdout, &look.view);
	return 0;
}

int command_metrics(const struct options *options)
{
	return command_look(options, "print the metrics", show);
}
