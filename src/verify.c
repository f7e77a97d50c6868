/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `jobfence verify`: works out from the engine and the configuration what should be in the kernel,
 * reads what is, and tells the difference. Containers come and go while it looks, and a daemon may
 * be about to act on that: only what differs in two looks with a second between them counts. It
 * never repairs, and it never says "equal" of something that it could not see whole.
 */
#include "commands-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "jobfence/lock.h"
#include "jobfence/log.h"
#include "jobfence/owner.h"
#include "jobfence/plan.h"
#include "jobfence/text.h"

#define VERIFY_EQUAL 0
#define VERIFY_DIFFERENT 1
#define VERIFY_UNKNOWN 2

#define LOOKS_MAX 5
#define PAUSE_USEC (1000 * 1000ULL)

struct look {
	struct sentences differences;
	size_t rules, elements; /* that should be there */
};

static void look_done(struct look *look)
{
	sentences_done(&look->differences);
	*look = (struct look){ 0 };
}

static void count(const struct expected *expected, struct look *look)
{
	for (size_t i = 0; i < expected->skeleton->chains_n; i++)
		look->rules += expected->skeleton->chains[i].rules_n;
	for (size_t i = 0; i < SET_MAX; i++)
		look->elements += expected->ruleset->sets[i].n;
}

/* The tables themselves: awake, and the daemon's where one runs. */
static int compare_tables(const struct observer *observer, const struct expected *expected,
			  const struct live *live, struct sentences *sentences)
{
	_cleanup_(sentences_done) struct sentences more = { 0 };
	_cleanup_(ops_done) struct ops ops = { 0 };
	char owner[OWNER_TEXT_MAX], text[OWNER_TEXT_MAX + 64];
	pid_t daemon = lock_holder();
	int r = plan_tables(expected->skeleton, live, observer->config->own_tables && daemon != 0,
			    &ops);

	if (r >= 0)
		r = differences_text(&ops, NULL, NULL, &more);
	for (size_t i = 0; r >= 0 && i < more.n; i++)
		r = sentences_add(sentences, more.text[i]);
	if (r < 0 || owner_judge(live, daemon, owner) != OWNER_ANOTHER)
		return r;
	snprintf(text, sizeof(text), "different: tables " TABLE_NAME " are owned by %s", owner);
	return sentences_add(sentences, text);
}

/* Of one that the engine's inspection has not told, nobody knows what its elements should be. */
static int check_told(const struct model *model, struct diag *diag)
{
	char name[CONTAINER_ID_LEN + 1];

	for (size_t i = 0; i < model->containers_n; i++) {
		const struct container *c = &model->containers[i];

		if (container_is_live(c) && !c->inspected)
			return diag_set(diag, -EAGAIN,
					"the engine has not told the details of container %s: look "
					"at it "
					"with docker inspect",
					text_safe(c->name && c->name[0] ? c->name : c->id, name,
						  sizeof(name)));
	}
	return 0;
}

/* The engine's whole picture first, then the kernel's. */
static int take_look(struct observer *observer, struct look *look, struct diag *diag)
{
	_cleanup_(expected_done) struct expected expected = { 0 };
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	int r = host_wait(observer->host, observer->event, COMMAND_WAIT_USEC);

	if (r < 0) {
		struct engine_view engine;

		host_get_engine(observer->host, &engine);
		return diag_set(diag, r, "the engine has not told what runs: %s",
				engine.trouble ?: "it is still answering");
	}
	r = observer_expect(observer, &expected);
	if (r >= 0)
		r = check_told(&expected.model, diag);
	if (r >= 0)
		r = observer_read(observer, expected.skeleton, &live, diag);
	if (r >= 0)
		r = plan_make(expected.skeleton, expected.ruleset, live, &ops);
	if (r >= 0 && lock_holder() == 0)
		differences_forgive_claims(&ops);
	if (r >= 0)
		r = differences_text(&ops, host_cgroup_path, observer->host, &look->differences);
	if (r >= 0)
		r = compare_tables(observer, &expected, live, &look->differences);
	if (r < 0)
		return r;
	count(&expected, look);
	return 0;
}

/* Nobody waits for the engine to hear that root is needed. */
static int check_access(struct observer *observer, struct diag *diag)
{
	_cleanup_(expected_done) struct expected expected = { 0 };
	_cleanup_(live_freep) struct live *live = NULL;
	int r = observer_expect(observer, &expected);

	return r < 0 ? r : observer_read(observer, expected.skeleton, &live, diag);
}

/* Lets the sources see what happens meanwhile. */
static int pause_loop(struct observer *observer)
{
	uint64_t now, deadline;
	int r = sd_event_run(observer->event, 0);

	if (r >= 0)
		r = sd_event_now(observer->event, CLOCK_MONOTONIC, &now);
	if (r < 0)
		return r;
	deadline = now + PAUSE_USEC;
	while (now < deadline) {
		r = sd_event_run(observer->event, deadline - now);
		if (r >= 0)
			r = sd_event_now(observer->event, CLOCK_MONOTONIC, &now);
		if (r < 0)
			return r;
	}
	host_refresh(observer->host);
	return 0;
}

static int report(const struct look *look)
{
	for (size_t i = 0; i < look->differences.n; i++)
		printf("%s\n", look->differences.text[i]);
	if (look->differences.n > 0)
		return VERIFY_DIFFERENT;
	printf("equal: %zu rules, %zu elements\n", look->rules, look->elements);
	return VERIFY_EQUAL;
}

/* Returns what to exit with, or -errno. */
static int compare(struct observer *observer, struct diag *diag)
{
	_cleanup_(look_done) struct look before = { 0 };

	for (int i = 0; i < LOOKS_MAX; i++) {
		_cleanup_(look_done) struct look now = { 0 };
		int r = i > 0 ? pause_loop(observer) : 0;

		if (r >= 0)
			r = take_look(observer, &now, diag);
		if (r == -EAGAIN && i + 1 < LOOKS_MAX)
			continue; /* one that is just starting is told in a moment */
		if (r < 0)
			return r;
		if (now.differences.n == 0)
			return report(&now);
		sentences_intersect(&before.differences, &now.differences);
		if (before.differences.n > 0)
			return report(&before);
		look_done(&before);
		before = now;
		now = (struct look){ 0 };
	}
	return diag_set(diag, -EAGAIN,
			"in %d looks there always was a difference and never the same one twice: "
			"the host is still changing; try again",
			LOOKS_MAX);
}

int command_verify(const struct options *options)
{
	_cleanup_(observer_done) struct observer observer = { 0 };
	struct config config;
	struct config_origin origin;
	struct diag diag = { 0 };
	int r = command_load_config(options, &config, &origin);

	if (r != 0)
		return r == EXIT_CONFIG ? r : VERIFY_UNKNOWN;
	r = observer_init(&observer, &config, false, &diag);
	if (r >= 0)
		r = check_access(&observer, &diag);
	if (r >= 0)
		r = compare(&observer, &diag);
	if (r == -ENOTSUP && observer_refused(&observer))
		return EXIT_CONFIG;
	if (r < 0) {
		log_err("cannot tell whether the ruleset is as it should be: %s",
			diag.text[0] ? diag.text : strerror(-r));
		return VERIFY_UNKNOWN;
	}
	return command_flush(stdout) ? r : VERIFY_UNKNOWN;
}
