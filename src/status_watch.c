/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `status --watch`: one picture after the other at the same place of the terminal. What the engine
 * and the links tell meanwhile is read as it comes, by the sources that the first look opened; the
 * kernel's ruleset is read once for each picture. Nothing is cleared before it is drawn over, so
 * nothing flickers, and the cursor is given back whatever ends it.
 */
#include "status-internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "jobfence/clock.h"
#include "jobfence/term.h"

#define HIDE_CURSOR "\033[?25l"
#define SHOW_CURSOR "\033[?25h"
#define TO_THE_TOP "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_BELOW "\033[J"
#define CLEAR_ALL "\033[2J"

struct watch {
	struct observer *observer;
	const struct config_origin *origin;
	unsigned seconds;
	bool ended, resized, began;
};

static int on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct watch *watch = data;

	watch->ended = true;
	/* also of the loop that waits for an engine which is slow to answer */
	return sd_event_exit(watch->observer->event, 0);
}

static int on_resize(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct watch *watch = data;

	watch->resized = true;
	return 0;
}

static int add_signals(struct watch *watch)
{
	sd_event *event = watch->observer->event;
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(event, NULL, SIGINT, on_end, watch);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM, on_end, watch);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGHUP, on_end, watch);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGWINCH, on_resize, watch);
	return r;
}

/* The lines that there is room for, over those of the picture before. */
static void draw(const struct watch *watch, const struct term *term, char *text)
{
	size_t left = term->rows > 2 ? term->rows - 2 : SIZE_MAX, more = 0;

	printf("%s" TO_THE_TOP, watch->began && !watch->resized ? "" : HIDE_CURSOR CLEAR_ALL);
	for (char *line; text && *text && (line = strsep(&text, "\n"));) {
		if (left == 0) {
			more++;
			continue;
		}
		printf("%s" CLEAR_LINE "\n", line);
		left--;
	}
	if (more > 0)
		printf("… %zu more lines; every %u s, Ctrl-C ends it" CLEAR_LINE CLEAR_BELOW, more,
		       watch->seconds);
	else
		printf("every %u s, Ctrl-C ends it" CLEAR_LINE CLEAR_BELOW, watch->seconds);
}

static int turn(struct watch *watch)
{
	_cleanup_(status_look_done) struct status_look look = { 0 };
	_cleanup_free_ char *text = NULL;
	struct term term;
	size_t size = 0;
	FILE *out;
	int r = status_look(watch->observer, watch->origin, &look);

	if (r >= 0 && !watch->ended)
		r = status_look_at_sockets(&look);
	if (r < 0 || watch->ended)
		return r;
	term_look(stdout, &term);
	out = open_memstream(&text, &size);
	if (!out)
		return -ENOMEM;
	r = status_show(out, &look.view, &term);
	if (term_close(out, &text) < 0 || r < 0)
		return -ENOMEM;
	if (term.width > 0)
		draw(watch, &term, text);
	else
		printf("%s%s", watch->began ? "\n" : "", text);
	watch->began = true;
	watch->resized = false;
	return command_flush(stdout) ? 0 : -EIO;
}

static int wait_for_turn(struct watch *watch)
{
	uint64_t now = clock_usec(), deadline = now + watch->seconds * 1000000ULL;
	int r = 0;

	while (r >= 0 && !watch->ended && !watch->resized && now < deadline) {
		r = sd_event_run(watch->observer->event, deadline - now);
		now = clock_usec();
	}
	return r;
}

int status_watch(struct observer *observer, const struct config_origin *origin, unsigned seconds)
{
	struct watch watch = { .observer = observer, .origin = origin, .seconds = seconds };
	int r = add_signals(&watch);

	while (r >= 0 && !watch.ended) {
		r = turn(&watch);
		if (r >= 0)
			r = wait_for_turn(&watch);
	}
	if (watch.began && isatty(STDOUT_FILENO)) {
		printf("\n" SHOW_CURSOR);
		(void)fflush(stdout);
	}
	return r;
}
