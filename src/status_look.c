/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One look at the host, the engine and the kernel, for every command that shows what there is. It
 * asks no daemon and changes nothing. Whatever cannot be seen is said to be so in the view, and is
 * no failure.
 */
#include "status-internal.h"

#include <errno.h>

#include "jobfence/clock.h"
#include "jobfence/lock.h"

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

static uint32_t local_proxies(const struct host *host, const struct model *model)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < model->proxies_n && i < 32; i++)
		if (host_is_local(host, &model->proxies[i].ip))
			bits |= (uint32_t)1 << i;
	return bits;
}

/* It costs an aborted transaction: once for all looks. */
static bool owner_possible(struct observer *observer)
{
	if (observer->owner_possible == 0)
		observer->owner_possible = nft_probe_owner(observer->nft) > 0 ? 1 : -1;
	return observer->owner_possible > 0;
}

int status_look(struct observer *observer, const struct config_origin *origin,
		struct status_look *ret_look)
{
	struct status_look *look = ret_look;
	struct status_view *view = &look->view;
	int r;

	wait_for_engine(observer, &look->engine);
	if (observer_refused(observer))
		return -ENOTSUP;
	r = observer_expect(observer, &look->expected);
	if (r < 0)
		return r;
	r = observer_read(observer, look->expected.skeleton, &look->live, &look->trouble);
	if (r == -ENOMEM)
		return r;
	*view = (struct status_view){
		.config = observer->config,
		.origin = origin,
		.engine = &look->engine,
		.expected = &look->expected,
		.live = look->live,
		.cgroup_trouble = host_cgroup_trouble(observer->host),
		.ruleset_trouble = r < 0 ? look->trouble.text : NULL,
		.resolvers_origin = host_resolvers_origin(observer->host),
		.proxies_local = local_proxies(observer->host, &look->expected.model),
		.now = clock_boot_usec(),
		.daemon_pid = lock_holder(),
	};
	if (look->live)
		view->owner = owner_judge(look->live, view->daemon_pid, look->owner);
	view->owner_text = look->owner;
	if (view->owner == OWNER_NOBODY && observer->config->own_tables)
		view->owner_possible = owner_possible(observer);
	r = status_view_fill(view);
	if (r >= 0)
		status_ages(view);
	return r;
}

/* A process deeper than its container's own cgroup (an engine or a systemd inside) is the container's. */
static void find_nested(const struct model *model, struct listener *listener)
{
	char path[CGROUP_PATH_MAX * 4], cut[CGROUP_PATH_MAX * 4], parent[CGROUP_PATH_MAX * 4];

	if (listener->pid <= 0 || cgroup_of_pid(listener->pid, path, sizeof(path)) < 0)
		return;
	for (size_t i = 0; i < model->containers_n; i++) {
		uint64_t id = model->cgroup_id ? model->cgroup_id[i] : 0;

		if (!id || !container_is_live(&model->containers[i]) ||
		    cgroup_cut(path, model->containers[i].id, cut, parent, sizeof(cut)) < 0)
			continue;
		listener->cgroup_id = id;
		return;
	}
}

int status_look_at_sockets(struct status_look *look)
{
	int r = sockets_list(&look->sockets);

	if (r < 0)
		return r;
	sockets_find_owners(&look->sockets);
	for (size_t i = 0; i < look->sockets.n; i++)
		find_nested(&look->expected.model, &look->sockets.listeners[i]);
	r = posture_judge(look->view.config, &look->expected.model, look->expected.verdicts,
			  look->expected.ruleset, &look->sockets, &look->posture);
	if (r < 0)
		return r;
	look->view.sockets = &look->sockets;
	look->view.posture = &look->posture;
	return 0;
}

void status_look_done(struct status_look *look)
{
	status_view_done(&look->view);
	posture_done(&look->posture);
	sockets_done(&look->sockets);
	live_free(look->live);
	expected_done(&look->expected);
	*look = (struct status_look){ 0 };
}
