/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `jobfence status`: looks at the host, the engine and the kernel afresh and prints what it saw. It
 * asks no daemon, so it also tells the truth about a fence whose daemon is gone. Whatever cannot be
 * seen is said to be so, and the rest is printed.
 */
#include "status-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/lock.h"
#include "jobfence/log.h"

#define STEP_USEC (500 * 1000ULL)

/* An engine that answers is waited for; one that does not is not: that is what is to be shown. */
static void wait_for_engine(struct observer *observer, struct engine_view *ret_engine)
{
	uint64_t waited = 0;
	int r;

	do {
		r = host_wait(observer->host, observer->event, STEP_USEC);
		host_get_engine(observer->host, ret_engine);
		waited += STEP_USEC;
	} while (r == -ETIMEDOUT && waited < COMMAND_WAIT_USEC &&
		 (ret_engine->state != ENGINE_LOST || !ret_engine->trouble));
}

static int print(const struct status_view *view, bool as_json)
{
	if (!as_json) {
		status_print(stdout, view);
		return 0;
	}
	json_t *json = status_json(view);
	int r = json ? json_dumpf(json, stdout, JSON_INDENT(2)) : -1;

	json_decref(json);
	if (r < 0)
		return -ENOMEM;
	printf("\n");
	return 0;
}

static uint32_t local_proxies(const struct host *host, const struct model *model)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < model->proxies_n && i < 32; i++)
		if (host_is_local(host, &model->proxies[i].ip))
			bits |= (uint32_t)1 << i;
	return bits;
}

static int show(struct observer *observer, const struct config_origin *origin, bool as_json)
{
	_cleanup_(expected_done) struct expected expected = { 0 };
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(status_view_done) struct status_view view = { 0 };
	struct engine_view engine = { 0 };
	struct diag trouble = { 0 };
	char owner[OWNER_TEXT_MAX] = "";
	int r;

	wait_for_engine(observer, &engine);
	r = observer_expect(observer, &expected);
	if (r < 0)
		return r;
	r = observer_read(observer, expected.skeleton, &live, &trouble);
	if (r == -ENOMEM)
		return r;
	view = (struct status_view){
		.config = observer->config,
		.origin = origin,
		.engine = &engine,
		.expected = &expected,
		.live = live,
		.cgroup_trouble = host_cgroup_trouble(observer->host),
		.ruleset_trouble = r < 0 ? trouble.text : NULL,
		.resolvers_origin = host_resolvers_origin(observer->host),
		.proxies_local = local_proxies(observer->host, &expected.model),
		.daemon_pid = lock_holder(),
	};
	if (live)
		view.owner = owner_judge(live, view.daemon_pid, owner);
	view.owner_text = owner;
	if (view.owner == OWNER_NOBODY && observer->config->own_tables)
		view.owner_possible = nft_probe_owner(observer->nft) > 0;
	r = status_view_fill(&view);
	return r < 0 ? r : print(&view, as_json);
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
	r = show(&observer, &origin, options->json);
	if (r < 0) {
		log_err("cannot tell the status: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	return command_flush(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
