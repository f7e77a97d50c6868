/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts the sources together: engine, links, cgroups. Each tells when it changed; the picture is
 * made when it is asked for. Never writes to the ruleset and never judges.
 *
 * Ids of network namespaces are given again after a namespace died, so each picture looks at the
 * file that the engine named: where that file is gone there is no id, and nothing is opened; where
 * it is another one, its id is asked for.
 */
#include "host-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/log.h"
#include "jobfence/text.h"

struct host {
	const struct config *config; /* borrowed */
	struct host_options options;
	struct engine *engine;
	struct link_watch *links;
	struct cgroup_watch *cgroups;
	struct host_egress egress;
	struct releases *releases;
	struct sandbox_ids sandboxes;
	sd_event *event;                   /* borrowed; NULL without an engine */
	enum cgroup_driver driver_told;    /* what the engine said last, if it was another */
	char parent_told[CGROUP_PATH_MAX]; /* the same of the parent */
	host_changed_fn changed;
	void *data;
	int *nsid;                      /* per container of the last picture */
	uint64_t *cgroup_id;            /* per container of the last picture */
	struct foreign_cgroup *foreign; /* per container of the last picture */
	struct engine_cgroup engine_cgroup;
	char path[CGROUP_PATH_MAX + 160]; /* what host_cgroup_path() returned last */
	char cgroup_trouble[512];
};

static void something_changed(struct host *host)
{
	if (host->changed)
		host->changed(host, host->data);
}

static void on_engine(struct engine *engine, void *data);

static void on_engine_cgroup(void *data)
{
	something_changed(data);
}

static void on_links(struct link_watch *watch, void *data)
{
	something_changed(data);
}

static int ask_nsid(void *data, const char *key)
{
	struct host *host = data;

	return link_watch_nsid(host->links, key);
}

static void on_egress(void *data)
{
	something_changed(data);
}

static void on_releases(void *data)
{
	something_changed(data);
}

static void on_cgroups(struct cgroup_watch *watch, void *data)
{
	something_changed(data);
}

static int open_cgroups(struct host *host, sd_event *event, enum cgroup_driver driver)
{
	_cleanup_free_ struct config *config = malloc(sizeof(*config));
	struct cgroup_watch *watch = NULL;
	struct diag diag = { 0 };
	int r;

	if (!config)
		return -ENOMEM;
	*config = *host->config;
	config->cgroup_driver = driver;
	if (!config->cgroup_parent[0])
		strcpy(config->cgroup_parent, host->parent_told);
	r = cgroup_watch_new(event, config, host->options.read_only, on_cgroups, host, &watch,
			     &diag);
	if (r == -ENOMEM)
		return r;
	/* Bridge jobs are confined without cgroups: say what is missing and go on, with those of
	 * before where there were any. */
	if (r < 0) {
		snprintf(host->cgroup_trouble, sizeof(host->cgroup_trouble), "%s", diag.text);
		return 0;
	}
	cgroup_watch_free(host->cgroups);
	host->cgroups = watch;
	host->cgroup_trouble[0] = '\0';
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
	host->parent_told[0] = '\0';
	if (host->config->cgroup_driver != CGROUP_DRIVER_AUTO) {
		log_warn("[cgroup] driver is not the engine's, which is %s: jobs on the host "
			 "network may not be fenced; remove the key or mend it",
			 engine.info.cgroup_driver);
		return;
	}
	log_notice("the engine uses the %s cgroup driver: following it", engine.info.cgroup_driver);
	if (open_cgroups(host, host->event, driver) < 0)
		log_err("no memory to follow the engine's cgroup driver");
	else if (host->cgroup_trouble[0])
		log_err("%s", host->cgroup_trouble);
}

/* No file named it: containers are, or dockerd was told to put them, below another parent. */
static void follow_parent(struct host *host)
{
	char parent[CGROUP_PATH_MAX], safe[CGROUP_PATH_MAX];
	struct engine_view engine;
	struct cgroup_view view;

	if (!host->cgroups)
		return;
	engine_get_view(host->engine, &engine);
	cgroup_watch_get_view(host->cgroups, &view);
	if (engine.state != ENGINE_IN_SYNC ||
	    host_engine_parent(&view, &engine, host->engine_cgroup.path, parent, sizeof(parent)) <
		    0 ||
	    strcmp(parent, host->parent_told) == 0)
		return;
	strcpy(host->parent_told, parent);
	text_safe(parent, safe, sizeof(safe));
	if (host->config->cgroup_parent[0]) {
		log_warn("[cgroup] parent is not the engine's, which is %s: jobs on the host "
			 "network are quarantined; remove the key or mend it",
			 safe);
		return;
	}
	if (open_cgroups(host, host->event, view.driver) < 0) {
		log_err("no memory to follow the engine's cgroup parent");
		return;
	}
	if (host->cgroup_trouble[0]) {
		log_err("the engine's cgroup parent is %s, but: %s", safe, host->cgroup_trouble);
		return;
	}
	log_notice("the engine's cgroup parent is %s, following it; set [cgroup] parent to have it "
		   "fenced before the engine starts",
		   safe);
}

static void on_engine(struct engine *engine, void *data)
{
	follow_driver(data);
	follow_parent(data);
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
	host->engine_cgroup.changed = on_engine_cgroup;
	host->engine_cgroup.data = host;
	host->sandboxes.ask = ask_nsid;
	host->sandboxes.data = host;
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
	if (!options->read_only) /* in the daemon's first host: later the sandbox forbids it */
		(void)releases_make_folder();
	r = releases_new(host->event, on_releases, host, &host->releases);
	if (r < 0)
		return diag_set(diag, r, "no memory to watch the releases");
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
	releases_free(host->releases);
	sandbox_ids_done(&host->sandboxes);
	free(host->nsid);
	free(host->cgroup_id);
	free(host->foreign);
	engine_cgroup_done(&host->engine_cgroup);
	free(host);
	return NULL;
}

/* Where a host job is that is not below the parent of the others. */
static void find_foreign(const struct model *model, const struct container *c,
			 struct foreign_cgroup *foreign)
{
	struct cgroup_place place;

	*foreign = (struct foreign_cgroup){ 0 };
	if (c->pid == 0 || c->network_kind == NETWORK_KIND_BRIDGE ||
	    c->network_kind == NETWORK_KIND_USER || c->network_kind == NETWORK_KIND_NONE ||
	    cgroup_locate(model->cgroups.root, c->pid, c->id, &place) < 0)
		return;
	*foreign = (struct foreign_cgroup){ place.id, place.root, place.level };
}

static int fill_containers(struct host *host, struct model *model)
{
	size_t n = model->containers_n + 1;
	int *nsid = reallocarray(host->nsid, n, sizeof(*nsid));
	struct foreign_cgroup *foreign;
	uint64_t *cgroup_id;
	bool early = false;

	if (!nsid)
		return -ENOMEM;
	host->nsid = nsid;
	cgroup_id = reallocarray(host->cgroup_id, n, sizeof(*cgroup_id));
	if (!cgroup_id)
		return -ENOMEM;
	host->cgroup_id = cgroup_id;
	foreign = reallocarray(host->foreign, n, sizeof(*foreign));
	if (!foreign)
		return -ENOMEM;
	host->foreign = foreign;
	for (size_t i = 0; i < model->containers_n; i++) {
		const struct container *c = &model->containers[i];

		nsid[i] = -1;
		cgroup_id[i] = 0;
		foreign[i] = (struct foreign_cgroup){ 0 };
		if (!container_may_live(c))
			continue;
		if (model->has_cgroups)
			cgroup_id[i] = host_child_cgroup(&model->cgroups, c);
		if (model->has_cgroups && cgroup_id[i] == 0)
			find_foreign(model, c, &foreign[i]);
		if (c->sandbox_key && c->endpoints_n > 0 && c->network_kind != NETWORK_KIND_HOST)
			nsid[i] = sandbox_ids_get(&host->sandboxes, c->sandbox_key);
		early |= !c->sandbox_key && c->endpoints_n > 0 &&
			 mac_addr_is_set(&c->endpoints[0].mac);
	}
	sandbox_ids_turn(&host->sandboxes);
	/* between `network connect` and the start only the peer's MAC tells whose port it is */
	if (early)
		(void)link_watch_refresh_peers(host->links);
	model->nsid = nsid;
	model->cgroup_id = cgroup_id;
	model->foreign = foreign;
	return 0;
}

int host_get_model(struct host *host, struct model *ret_model)
{
	struct model model = {
		.bridge_meta = host->options.bridge_meta,
		.egress = host->options.egress,
		.records = host->options.records,
		.engine_level = 2,
	};
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
	engine_cgroup_fill(&host->engine_cgroup, host->event, host->config, engine.peer_pid,
			   &model);
	r = fill_containers(host, &model);
	if (r < 0)
		return r;
	model.links = link_watch_list(host->links, &model.links_n);
	model.releases = releases_list(host->releases, &model.releases_n);
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
	releases_refresh(host->releases);
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
		if (view.refused)
			return -ENOTSUP;
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
	if (cgroup_path_id(view.root, host->engine_cgroup.path, &engine_id) < 0 || engine_id != id)
		return NULL;
	snprintf(host->path, sizeof(host->path), "%s%s", prefix, host->engine_cgroup.path);
	return host->path;
}

const char *host_cgroup_trouble(const struct host *host)
{
	return host->cgroup_trouble[0] ? host->cgroup_trouble : NULL;
}

int host_prove(const struct host *host, struct diag *diag)
{
	int r = link_watch_prove(host->links);

	if (r < 0)
		return diag_set(diag, r, "nobody listens to the links' notifications: %s",
				strerror(-r));
	r = attached_watch_prove(host->egress.attached);
	if (r < 0)
		return diag_set(diag, r, "nobody listens to the networks' notifications: %s",
				strerror(-r));
	return 0;
}

void host_get_losses(const struct host *host, struct host_losses *ret_losses)
{
	struct engine_view engine;

	host_get_engine(host, &engine);
	*ret_losses = (struct host_losses){
		.streams = engine.streams_lost,
		.links = link_watch_losses(host->links),
		.networks = attached_watch_losses(host->egress.attached),
	};
}

const char *host_resolvers_origin(const struct host *host)
{
	return host_egress_origin(&host->egress, host->config);
}

bool host_is_local(const struct host *host, const struct ip_addr *addr)
{
	return host_egress_is_local(&host->egress, addr);
}
