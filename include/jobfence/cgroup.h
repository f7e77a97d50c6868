/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the sockets of containers live: the cgroup v2 hierarchy (unified or hybrid), the parents
 * under which every child is a container, and the ids (inode numbers) that nf_tables compares.
 * Watches with inotify. Creates only the parent folder and one empty child that keeps it alive,
 * so that its id exists before the first container does.
 */
#pragma once

#include <systemd/sd-event.h>

#include "jobfence/config.h"

#define CGROUP_PATH_MAX 256
#define CGROUP_KEEP_CHILD "jobfence-keep"

#define CGROUP_CHILD_NAME_MAX 127

/* Levels count from the root of the hierarchy: "/docker" is level 1, its children level 2. */
struct cgroup_child {
	/* Folder name: a container id, "docker-<id>.scope", "ssh.service"; one that is longer than
	 * CGROUP_CHILD_NAME_MAX ends in "~" and a hash of the whole. Borrowed as the list is. */
	const char *name;
	uint64_t id; /* inode number = cgroup id */
};

struct cgroup_view {
	char root[64]; /* "/sys/fs/cgroup" or "/sys/fs/cgroup/unified" */
	bool hybrid;
	enum cgroup_driver driver; /* never AUTO; to be compared with what the engine says */
	/* cgroupfs driver, or a custom slice: every child of this parent is a container. */
	char parent[CGROUP_PATH_MAX]; /* relative to root, no leading slash: "docker" */
	uint64_t parent_id;           /* 0 while there is no such cgroup (only if shared, read only,
				       * or it cannot be made: it is tried again) */
	uint32_t parent_level;        /* 1 for "docker" */
	/* systemd driver: containers are children of a parent that services share, named
	 * "docker-<id>.scope"; every other child is a host service. */
	bool shared;                         /* parent is shared in that sense ("system.slice") */
	const struct cgroup_child *children; /* all children of the parent, sorted by name;
					      * CGROUP_KEEP_CHILD is one of them */
	size_t children_n;
};

struct cgroup_watch;
typedef void (*cgroup_changed_fn)(struct cgroup_watch *watch, void *data);

/*
 * Finds the hierarchy and the parent that @config and the host's daemon.json name, makes the
 * parent (unless @read_only), reads its children, watches it (unless @event is NULL).
 * Returns 0; -EOPNOTSUPP where there is no cgroup v2 hierarchy; another -errno. @diag says what is
 * not fenced then and what to change.
 */
int cgroup_watch_new(sd_event *event, const struct config *config, bool read_only,
		     cgroup_changed_fn changed, void *data, struct cgroup_watch **ret_watch,
		     struct diag *diag);
struct cgroup_watch *cgroup_watch_free(struct cgroup_watch *watch);
DEFINE_CLEANUP(struct cgroup_watch *, cgroup_watch_free)

/* Borrowed until the loop runs again. */
void cgroup_watch_get_view(const struct cgroup_watch *watch, struct cgroup_view *ret_view);

/* Reads the children again (also what an overflown inotify queue leads to), and makes the parent
 * again where it is gone. Returns 0 or -errno; what was known before is kept on failure. */
int cgroup_watch_rescan(struct cgroup_watch *watch);

/*
 * Folder names: true and the id for "<64 hex>" and "docker-<64 hex>.scope". Pure.
 */
bool cgroup_container_id(const char *name, char ret_id[static 65]);

/* Level of a path: "a" is 1, "a/b" 2; slashes at the ends do not count; "" is 0. Pure. */
uint32_t cgroup_path_level(const char *path);

/* The path that systemd gives a slice: "a-b.slice" → "a.slice/a-b.slice"; "-.slice" → "". Pure.
 * Returns 0, -EINVAL, -ENAMETOOLONG. */
int cgroup_slice_path(const char *slice, char *ret_path, size_t size);

/*
 * The cgroup v2 path of process @pid, relative to the root, no leading slash ("" is the root).
 * Returns 0 or -errno (-ESRCH: gone; -EOPNOTSUPP: no v2 hierarchy; -EXDEV: outside of our cgroup
 * namespace; -ENAMETOOLONG).
 */
int cgroup_of_pid(pid_t pid, char *ret_path, size_t size);

/* The id of @path below @root. Returns 0 or -errno (-ENOENT: no such cgroup). */
int cgroup_path_id(const char *root, const char *path, uint64_t *ret_id);

/* Where a container is, whatever its parent. */
struct cgroup_place {
	char parent[1024]; /* of the container's own folder, relative to the root; "" is the root */
	uint64_t id, root; /* of its folder, and of that folder's ancestor at level 1 */
	uint32_t level;
};

/*
 * Finds the folder of container @id by what /proc says of its process @pid: the part of the path
 * that has the container's name, so that a number that another process has by now finds nothing.
 * Returns 0 or -errno (-ENOENT: no part of the path has that name).
 */
int cgroup_locate(const char *root, pid_t pid, const char *id, struct cgroup_place *ret_place);

/* Cuts @path behind the part that names container @id, and gives what is before it. Pure.
 * Returns 0, -ENOENT, -ENAMETOOLONG. */
int cgroup_cut(const char *path, const char *id, char *ret_path, char *ret_parent, size_t size);

/* The value of --cgroup-parent in the arguments of dockerd (NUL after each); the last one counts.
 * Pure. Returns 0, -ENOENT, -ENAMETOOLONG. */
int cgroup_parent_argument(const char *args, size_t len, char *ret_parent, size_t size);
/* The same of a running process that is called dockerd. Returns 0 or -errno. */
int cgroup_parent_of_engine(pid_t pid, char *ret_parent, size_t size);
/* The process called dockerd in the cgroup @path below @root; 0 for none. */
pid_t cgroup_find_engine(const char *root, const char *path);
