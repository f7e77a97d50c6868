/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What cgroup.c, cgroup_path.c, cgroup_choice.c and cgroup_children.c share. */
#pragma once

#include "jobfence/cgroup.h"

/* cgroup_path.c: pure */
/* "/foo//bar/" → "foo/bar". Returns 0; -EINVAL for "." and ".."; -ENAMETOOLONG. */
int cgroup_path_normalize(const char *path, char *ret_path, size_t size);
/* The v2 path in what /proc/<pid>/cgroup says; errors as cgroup_of_pid(). */
int cgroup_parse_proc(const char *text, char *ret_path, size_t size);
/* The name as struct cgroup_child holds it: itself, or cut, with a hash of the whole. */
void cgroup_child_name(const char *name, char ret_name[static CGROUP_CHILD_NAME_MAX + 1]);

/* cgroup_choice.c: pure */
/* What daemon.json says: AUTO and "" where it is silent. */
struct cgroup_daemon_json {
	enum cgroup_driver driver;
	char parent[CGROUP_PATH_MAX]; /* as written there */
};

struct cgroup_choice {
	enum cgroup_driver driver;    /* never AUTO */
	char parent[CGROUP_PATH_MAX]; /* never "" */
	bool shared;
};

/* Returns 0 or -EINVAL with @diag; -ENOMEM. */
int cgroup_parse_daemon_json(const char *json, size_t len, struct cgroup_daemon_json *ret_file,
			     struct diag *diag);
/*
 * @systemd: systemd runs this host, and the hierarchy is unified (what the engine goes by).
 * Returns 0, then with a remark in @diag where something was passed over; -EINVAL with @diag for a
 * configured parent that cannot be.
 */
int cgroup_choose(const struct config *config, const struct cgroup_daemon_json *file, bool systemd,
		  struct cgroup_choice *ret_choice, struct diag *diag);

/* cgroup_children.c: pure. Zeroed is empty. */
struct cgroup_children {
	struct cgroup_child *items; /* owned, and their names; sorted by name */
	size_t n, size;
};

/* Adds or changes @name, whole as the folder is called. *@changed is set where that was news. */
int cgroup_children_set(struct cgroup_children *children, const char *name, uint64_t id,
			bool *changed);
void cgroup_children_remove(struct cgroup_children *children, const char *name, bool *changed);
bool cgroup_children_equal(const struct cgroup_children *a, const struct cgroup_children *b);
void cgroup_children_done(struct cgroup_children *children);

/* cgroup.c: where to look, so that tests need no host of their own. All borrowed for the call. */
struct cgroup_setup {
	const char *root;        /* "/sys/fs/cgroup" */
	const char *daemon_json; /* "/etc/docker/daemon.json" */
	const char *run_systemd; /* "/run/systemd/system" */
	const struct config *config;
	bool read_only;
	cgroup_changed_fn changed;
	void *data;
};

int cgroup_watch_new_in(sd_event *event, const struct cgroup_setup *setup,
			struct cgroup_watch **ret_watch, struct diag *diag);
