/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cgroups that are found only by looking at who is in them: the engine's own, and the parent that
 * the engine gives its containers where no file names it. Sees, and never judges.
 */
#include "host-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

/* dockerd's cgroup where systemd listens on its socket, and before it was heard of. */
#define ENGINE_CGROUP_DEFAULT "system.slice/docker.service"

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

uint64_t host_child_cgroup(const struct cgroup_view *view, const struct container *c)
{
	char scope[CONTAINER_ID_LEN + 16];
	uint64_t id = child_id(view, c->id);

	if (id)
		return id;
	snprintf(scope, sizeof(scope), "docker-%s.scope", c->id);
	return child_id(view, scope);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int on_above(sd_event_source *source, const struct inotify_event *event, void *data)
{
	struct engine_cgroup *engine = data;

	if (event->mask & (IN_IGNORED | IN_UNMOUNT))
		engine->watched[0] = '\0';
	if (event->mask & IN_Q_OVERFLOW || event->len == 0 ||
	    strcmp(event->name, last_part(engine->path)) == 0)
		engine->changed(engine->data);
	return 0;
}

/* Without it the new number is known when the engine answers, which is after it started what has to
 * be running: a missing folder is no failure. */
static void watch_above(struct engine_cgroup *engine, sd_event *event, const char *root)
{
	char above[PATH_MAX];
	int n = snprintf(above, sizeof(above), "%s/%s", root, engine->path);

	if (n < 0 || (size_t)n >= sizeof(above))
		return;
	*strrchr(above, '/') = '\0';
	if (strcmp(above, engine->watched) == 0)
		return;
	engine->watch = sd_event_source_disable_unref(engine->watch);
	engine->watched[0] = '\0';
	if (sd_event_add_inotify(event, &engine->watch, above, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR,
				 on_above, engine) < 0)
		return;
	(void)sd_event_source_set_priority(engine->watch, SD_EVENT_PRIORITY_IMPORTANT);
	strcpy(engine->watched, above);
}

void engine_cgroup_fill(struct engine_cgroup *engine, sd_event *event, const struct config *config,
			pid_t peer_pid, struct model *model)
{
	char *path = engine->path, found[CGROUP_PATH_MAX];

	if (!model->has_cgroups)
		return;
	if (config->engine_cgroup[0])
		snprintf(path, sizeof(engine->path), "%s", config->engine_cgroup);
	else if (peer_pid > 1 && cgroup_of_pid(peer_pid, found, sizeof(found)) == 0 && found[0])
		strcpy(path, found);
	else if (!path[0])
		strcpy(path, ENGINE_CGROUP_DEFAULT);
	model->engine_level = cgroup_path_level(path);
	if (cgroup_path_id(model->cgroups.root, path, &model->engine_cgroup_id) < 0)
		model->engine_cgroup_id = 0;
	if (event)
		watch_above(engine, event, model->cgroups.root);
}

void engine_cgroup_done(struct engine_cgroup *engine)
{
	engine->watch = sd_event_source_disable_unref(engine->watch);
}

#define PARENT_TRIES 8

/* Runs, and has no parent of its own. */
static bool shows_parent(const struct container *c)
{
	return container_is_live(c) && c->inspected && c->pid != 0 &&
	       !(c->cgroup_parent && c->cgroup_parent[0]);
}

static int by_id(const void *id, const void *container)
{
	return strcmp(id, ((const struct container *)container)->id);
}

/* By the folders, of which there are few where the parent is another: at thousands of containers this is
 * asked for each that is told. */
static bool has_container_of(const struct cgroup_view *view, const struct engine_view *engine)
{
	for (size_t i = 0; engine->containers_n > 0 && i < view->children_n; i++) {
		char id[CONTAINER_ID_LEN + 1];
		const struct container *c;

		if (!cgroup_container_id(view->children[i].name, id))
			continue;
		c = bsearch(id, engine->containers, engine->containers_n, sizeof(*c), by_id);
		if (c && shows_parent(c))
			return true;
	}
	return false;
}

/* Where containers are that have no parent of their own; -ENOENT where one is where it should be,
 * or there is none. */
static int parent_of_containers(const struct cgroup_view *view, const struct engine_view *engine,
				char *ret_parent, size_t size)
{
	size_t tries = 0;

	if (has_container_of(view, engine))
		return -ENOENT;
	/* one is enough; where none is to be found it shall not cost a look at each */
	for (size_t i = 0; tries < PARENT_TRIES && i < engine->containers_n; i++) {
		const struct container *c = &engine->containers[i];
		struct cgroup_place place;

		if (!shows_parent(c))
			continue;
		tries++;
		if (cgroup_locate(view->root, c->pid, c->id, &place) < 0 || !place.parent[0] ||
		    strlen(place.parent) >= size)
			continue;
		strcpy(ret_parent, place.parent);
		return 0;
	}
	return -ENOENT;
}

int host_engine_parent(const struct cgroup_view *view, const struct engine_view *engine,
		       const char *engine_cgroup, char *ret_parent, size_t size)
{
	pid_t pid = engine->peer_pid > 1 ? engine->peer_pid
					 : cgroup_find_engine(view->root, engine_cgroup);
	bool systemd = view->driver == CGROUP_DRIVER_SYSTEMD;
	/* the systemd driver goes by the name of a slice, which says where it is */
	const char *now = systemd ? last_part(view->parent) : view->parent;
	char parent[CGROUP_PATH_MAX];
	int r = parent_of_containers(view, engine, parent, sizeof(parent));

	if (r >= 0 && systemd)
		memmove(parent, last_part(parent), strlen(last_part(parent)) + 1);
	if (r < 0 && pid > 0)
		r = cgroup_parent_of_engine(pid, parent, sizeof(parent));
	if (r < 0 || strlen(parent) >= size || strcmp(parent + strspn(parent, "/"), now) == 0)
		return -ENOENT;
	strcpy(ret_parent, parent);
	return 0;
}
