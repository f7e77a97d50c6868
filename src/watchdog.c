/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * systemd's watchdog, fed by hand: only when somebody has just proved that more than the loop is
 * alive. What cannot be proved is logged once, and not fed: systemd then starts a daemon with new
 * sockets, and the ruleset stays in the kernel meanwhile. Without a watchdog there is no timer.
 */
#include <errno.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "jobfence/log.h"
#include "run-internal.h"

struct watchdog {
	sd_event_source *timer;
	uint64_t period_usec;
	watchdog_prove_fn prove;
	void *data;
	struct log_limit limit;
};

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	struct watchdog *watchdog = data;
	struct diag diag = { 0 };
	int r = watchdog->prove(watchdog->data, &diag);

	if (r >= 0)
		(void)sd_notify(0, "WATCHDOG=1");
	else
		log_limited(&watchdog->limit, LOG_ERR,
			    "not feeding systemd's watchdog, which will start the daemon anew: %s",
			    diag.text[0] ? diag.text : strerror(-r));
	if (r >= 0)
		log_limit_reset(&watchdog->limit);
	(void)sd_event_source_set_time_relative(source, watchdog->period_usec);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

int watchdog_new(sd_event *event, watchdog_prove_fn prove, void *data,
		 struct watchdog **ret_watchdog)
{
	_cleanup_(watchdog_freep) struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
	uint64_t usec = 0;
	int r;

	if (!watchdog)
		return -ENOMEM;
	watchdog->prove = prove;
	watchdog->data = data;
	if (sd_watchdog_enabled(0, &usec) > 0) {
		watchdog->period_usec = usec / 3;
		r = sd_event_add_time_relative(event, &watchdog->timer, CLOCK_MONOTONIC,
					       watchdog->period_usec, usec / 8, on_timer, watchdog);
		if (r < 0)
			return r;
		(void)sd_event_source_set_description(watchdog->timer, "watchdog");
	}
	*ret_watchdog = take_ptr(watchdog);
	return 0;
}

struct watchdog *watchdog_free(struct watchdog *watchdog)
{
	if (!watchdog)
		return NULL;
	sd_event_source_disable_unref(watchdog->timer);
	free(watchdog);
	return NULL;
}
