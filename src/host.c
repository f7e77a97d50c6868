/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts the sources together: engine, links, cgroups. Each tells when it changed; the picture is
 * made when it is asked for. Never writes to the ruleset and never judges.
 *
 * Ids of network namespaces are given again after a namespace died, so they are asked for anew
 * with every picture in which a link changed, by the file that the engine named: where that file
 * is gone there is no id, and nothing is opened.
 */
#include "host-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/log.h"

/* dockerd's cgroup where systemd listens on its socket, and before it was heard of. */
#define ENGINE_CGROUP_DEFAULT "system.slice/docker.service"

struct host {
	const struct config *config; /* borrowed */
	struct host_options options;
	struct engine *engine;
	struct link_watch *links;
	struct cgroup_watch *cgroups;
	struct host_egress egress;
	sd_event *event;                /* borrowed; NULL without an engine */
	enum cgroup_driver driver_told; /* what the engine said last, if it was another */
	host_changed_fn changed;
	void *data;
	int *nsid;           /* per container of the last picture */
	uint64_t *cgroup_id; /* per container of the last picture */
	char engine_cgroup[CGROUP_PATH_MAX];
	char path[CGROUP_PATH_MAX + 160]; /* what host_cgroup_path() returned last */
	char cgroup_trouble[512];
};

static void something_changed(struct host *host)
{
	if (host->changed)
		host->changed(host, host->data);
}

static void on_engine(struct engine *engine, void *data);

static void on_links(struct link_watch *watch, void *data)
{
	something_changed(data);
}

static void on_egress(void *data)
{
	something_changed(data);
}

static void on_cgroups(struct cgroup_watch *watch, void *data)
{
	something_changed(data);
}

static int open_cgroups(struct host *host, sd_event *event, enum cgroup_driver driver)
{
	struct cgroup_watch *watch = NULL;
	struct config config = *host->config;
	struct diag diag = { 0 };
	int r;

	config.cgroup_driver = driver;
	r = cgroup_watch_new(event, &config, host->options.read_only, on_cgroups, host, &watch,
			     &diag);
	if (r == -ENOMEM)
		return r;
	cgroup_watch_free(host->cgroups);
	host->cgroups = watch;
	host->cgroup_trouble[0] = '\0';
	/* Bridge jobs are confined without cgroups: say what is missing and go on. */
	if (r < 0)
		snprintf(host->cgroup_trouble, sizeof(host->cgroup_trouble), "%s", diag.text);
	return 0;
}

/* What the host looks like was a guess: the engine says which driver it uses. A guess that was
 * wrong fenced the wrong folder. */
static void follow_driver(struct host *host)
{
	struct engine_view engine;
	struct cgroup_view view;
	enum cgroup_driver driver = CGROUP_DRIVER_AUTO;

	engine_get_view(host->engine, &engine);
	if (strcmp(engine.info.cgroup_driver, "systemd") == 0)
		driver = CGROUP_DRIVER_SYSTEMD;
	else if (strcmp(engine.info.cgroup_driver, "cgroupfs") == 0)
		driver = CGROUP_DRIVER_CGROUPFS;
	if (driver == CGROUP_DRIVER_AUTO || !host->cgroups)
		return;
	cgroup_watch_get_view(host->cgroups, &view);
	if (view.driver == driver || host->driver_told == driver)
		return;
	host->driver_told = driver;
	if (host->config->cgroup_driver != CGROUP_DRIVER_AUTO) {
		log_warn("[cgroup] driver is not the engine's, which is %s: jobs on the host "
			 "network may not be fenced; remove the key or mend it",
			 engine.info.cgroup_driver);
		return;
	}
	log_notice("the engine uses the %s cgroup driver: following it", engine.info.cgroup_driver);
	if (open_cgroups(host, host->event, driver) < 0)
		log_err("no memory to follow the engine's cgroup driver");
}

static void on_engine(struct engine *engine, void *data)
{
	follow_driver(data);
	something_changed(data);
}

int host_new(sd_event *event, const struct config *config, const struct host_options *options,
	     host_changed_fn changed, void *data, struct host **ret_host, struct diag *diag)
{
	_cleanup_(host_freep) struct host *host = calloc(1, sizeof(*host));
	int r;

	if (!host)
		return -ENOMEM;
	host->config = config;
	host->options = *options;
	host->changed = changed;
	host->data = data;
	host->event = options->no_engine ? NULL : event;
	r = link_watch_new(options->no_engine ? NULL : event, on_links, host, &host->links, diag);
	if (r < 0)
		return r;
	host->egress.silent = options->read_only;
	r = host_egress_open(&host->egress, host->event, on_egress, host, diag);
	if (r < 0)
		return r;
	r = open_cgroups(host, host->event, config->cgroup_driver);
	if (r < 0)
		return diag_set(diag, r, "no memory to watch the cgroups");
	if (!options->no_engine) {
		r = engine_new(event, config->docker, on_engine, host, &host->engine);
		if (r < 0)
			return diag_set(diag, r, "cannot set up the engine's client: %s",
					strerror(-r));
	}
	*ret_host = take_ptr(host);
	return 0;
}

struct host *host_free(struct host *host)
{
	if (!host)
		return NULL;
	engine_free(host->engine);
	link_watch_free(host->links);
	cgroup_watch_free(host->cgroups);
	host_egress_done(&host->egress);
	free(host->nsid);
	free(host->cgroup_id);
	free(host);
	return NULL;
}

static uint64_t child_id(const struct cgroup_view *view, const char *name)
{
	size_t low = 0, high = view->children_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int cmp = strcmp(view->children[mid].name, name);

		if (cmp == 0)
			return view->children[mid].id;
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return 0;
}

static uint64_t container_cgroup(const struct cgroup_view *view, const struct container *c)
{
	char scope[CONTAINER_ID_LEN + 16];
	uint64_t id = child_id(view, c->id);

	if (id)
		return id;
	snprintf(scope, sizeof(scope), "docker-%s.scope", c->id);
	return child_id(view, scope);
}

/* The engine's own cgroup: configured, else that of the process behind its socket. */
static void find_engine_cgroup(struct host *host, const struct engine_view *engine,
			       struct model *model)
{
	char *path = host->engine_cgroup;
	size_t size = sizeof(host->engine_cgroup);

	if (!model->has_cgroups)
		return;
	if (host->config->engine_cgroup[0])
		snprintf(path, size, "%s", host->config->engine_cgroup);
	else if (engine->peer_pid <= 1 || cgroup_of_pid(engine->peer_pid, path, size) < 0 ||
		 path[0] == '\0')
		snprintf(path, size, ENGINE_CGROUP_DEFAULT);
	model->engine_level = cgroup_path_level(path);
	if (cgroup_path_id(model->cgroups.root, path, &model->engine_cgroup_id) < 0)
		model->engine_cgroup_id = 0;
}

static int fill_containers(struct host *host, struct model *model)
{
	size_t n = model->containers_n + 1;
	int *nsid = reallocarray(host->nsid, n, sizeof(*nsid));
	uint64_t *cgroup_id;
	bool early = false;

	if (!nsid)
		return -ENOMEM;
	host->nsid = nsid;
	cgroup_id = reallocarray(host->cgroup_id, n, sizeof(*cgroup_id));
	if (!cgroup_id)
		return -ENOMEM;
	host->cgroup_id = cgroup_id;
	for (size_t i = 0; i < model->containers_n; i++) {
		const struct container *c = &model->containers[i];

		nsid[i] = -1;
		cgroup_id[i] = 0;
		if (!container_is_live(c) && c->state != CONTAINER_CREATED)
			continue;
		if (model->has_cgroups)
			cgroup_id[i] = container_cgroup(&model->cgroups, c);
		if (c->sandbox_key && c->endpoints_n > 0 && c->network_kind != NETWORK_KIND_HOST)
			nsid[i] = link_watch_nsid(host->links, c->sandbox_key);
		early |= !c->sandbox_key && c->endpoints_n > 0 &&
			 mac_addr_is_set(&c->endpoints[0].mac);
	}
	/* between `network connect` and the start only the peer's MAC tells whose port it is */
	if (early)
		(void)link_watch_refresh_peers(host->links);
	model->nsid = nsid;
	model->cgroup_id = cgroup_id;
	return 0;
}

int host_get_model(struct host *host, struct model *ret_model)
{
	struct model model = { .bridge_meta = host->options.bridge_meta, .engine_level = 2 };
	struct engine_view engine = { 0 };
	int r;

	if (host->engine) {
		engine_get_view(host->engine, &engine);
		host_egress_set_engine(&host->egress, engine.peer_pid);
	}
	model.containers = engine.containers;
	model.containers_n = engine.containers_n;
	model.networks = engine.networks;
	model.networks_n = engine.networks_n;
	model.in_sync = engine.state == ENGINE_IN_SYNC;
	if (host->cgroups) {
		model.has_cgroups = true;
		cgroup_watch_get_view(host->cgroups, &model.cgroups);
	}
	find_engine_cgroup(host, &engine, &model);
	r = fill_containers(host, &model);
	if (r < 0)
		return r;
	model.links = link_watch_list(host->links, &model.links_n);
	r = host_egress_fill(&host->egress, host->config, &model);
	if (r < 0)
		return r;
	*ret_model = model;
	return 0;
}

void host_get_engine(const struct host *host, struct engine_view *ret_view)
{
	*ret_view = (struct engine_view){ 0 };
	if (host->engine)
		engine_get_view(host->engine, ret_view);
}

void host_refresh(struct host *host)
{
	if (host->engine)
		engine_refresh(host->engine);
	if (host->cgroups)
		(void)cgroup_watch_rescan(host->cgroups);
	host_egress_refresh(&host->egress);
}

int host_wait(struct host *host, sd_event *event, uint64_t timeout_usec)
{
	uint64_t now, deadline;
	int r = sd_event_now(event, CLOCK_MONOTONIC, &now);

	if (r < 0)
		return r;
	deadline = now + timeout_usec;
	for (;;) {
		struct engine_view view;

		engine_get_view(host->engine, &view);
		if (view.state == ENGINE_IN_SYNC)
			return 0;
		r = sd_event_now(event, CLOCK_MONOTONIC, &now);
		if (r < 0)
			return r;
		if (now >= deadline)
			return -ETIMEDOUT;
		r = sd_event_run(event, deadline - now);
		if (r < 0)
			return r;
	}
}

const char *host_cgroup_path(uint64_t id, void *data)
{
	struct host *host = data;
	struct cgroup_view view;
	const char *prefix;
	uint64_t engine_id;

	if (!host->cgroups)
		return NULL;
	cgroup_watch_get_view(host->cgroups, &view);
	prefix = view.hybrid ? "unified/" : "";
	if (id == view.parent_id) {
		snprintf(host->path, sizeof(host->path), "%s%s", prefix, view.parent);
		return host->path;
	}
	for (size_t i = 0; i < view.children_n; i++)
		if (view.children[i].id == id) {
			snprintf(host->path, sizeof(host->path), "%s%s/%s", prefix, view.parent,
				 view.children[i].name);
			return host->path;
		}
	if (cgroup_path_id(view.root, host->engine_cgroup, &engine_id) < 0 || engine_id != id)
		return NULL;
	snprintf(host->path, sizeof(host->path), "%s%s", prefix, host->engine_cgroup);
	return host->path;
}

const char *host_cgroup_trouble(const struct host *host)
{
	return host->cgroup_trouble[0] ? host->cgroup_trouble : NULL;
}

const char *host_resolvers_origin(const struct host *host)
{
	return host_egress_origin(&host->egress, host->config);
}

bool host_is_local(const struct host *host, const struct ip_addr *addr)
{
	return host_egress_is_local(&host->egress, addr);
}
