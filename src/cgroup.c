/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows the cgroup under which containers live. The rules of the kernel name it by number, and
 * the number is another one whenever the folder is made anew: so the folder must exist before the
 * first container does, must not vanish while it is empty (hence the child that keeps it), and is
 * made again, and its new number told, where someone removed it all the same.
 *
 * cgroup folders do not announce their own removal, so the folder above is watched as well. An
 * event only says where to look: the folder itself is asked, never the event believed.
 *
 * Nothing here moves a process, writes a control file or removes a cgroup.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "cgroup-internal.h"
#include "jobfence/log.h"

#define RETRY_US (1000 * 1000)
#define ATTACH_TRIES 4
#define DAEMON_JSON_MAX (1024 * 1024)
#define CHILD_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define SELF_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF)
#define LOST_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT | IN_Q_OVERFLOW)

struct cgroup_watch {
	char root[sizeof(((struct cgroup_view *)NULL)->root)];
	bool hybrid, read_only;
	struct cgroup_choice choice;
	int fd; /* the parent; -1 while there is none */
	uint64_t parent_id;
	struct cgroup_children children;
	sd_event *event;
	sd_event_source *above, *parent, *report, *retry;
	cgroup_changed_fn changed;
	void *data;
	bool stale;  /* to be looked at again: the parent may be another one, or events were lost */
	bool news;   /* something changed since the owner was called */
	bool logged; /* that the parent cannot be had */
};

DEFINE_CLEANUP(DIR *, closedir)

static void detach(struct cgroup_watch *watch)
{
	watch->above = sd_event_source_disable_unref(watch->above);
	watch->parent = sd_event_source_disable_unref(watch->parent);
	closep(&watch->fd);
	watch->fd = -1;
}

struct cgroup_watch *cgroup_watch_free(struct cgroup_watch *watch)
{
	if (!watch)
		return NULL;
	detach(watch);
	sd_event_source_disable_unref(watch->report);
	sd_event_source_disable_unref(watch->retry);
	sd_event_unref(watch->event);
	cgroup_children_done(&watch->children);
	free(watch);
	return NULL;
}

static void report_later(struct cgroup_watch *watch)
{
	if (watch->report)
		sd_event_source_set_enabled(watch->report, SD_EVENT_ONESHOT);
}

static void look_later(struct cgroup_watch *watch)
{
	watch->stale = true;
	report_later(watch);
}

static void retry_later(struct cgroup_watch *watch)
{
	if (!watch->retry)
		return;
	sd_event_source_set_time_relative(watch->retry, RETRY_US);
	sd_event_source_set_enabled(watch->retry, SD_EVENT_ONESHOT);
}

/* Where the parent is ours alone: systemd's own slices are systemd's to make. */
static bool may_create(const struct cgroup_watch *watch)
{
	return !watch->read_only && !watch->choice.shared;
}

/* Asks the folder about one child: what an event said of it may be old by now. */
static int update_child(struct cgroup_watch *watch, const char *name)
{
	struct stat st;

	if (fstatat(watch->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return -errno;
		cgroup_children_remove(&watch->children, name, &watch->news);
		return 0;
	}
	if (!S_ISDIR(st.st_mode))
		return 0;
	return cgroup_children_set(&watch->children, name, st.st_ino, &watch->news);
}

static int on_parent(sd_event_source *source, const struct inotify_event *event, void *data)
{
	struct cgroup_watch *watch = data;
	bool keep_gone;

	report_later(watch);
	if (event->mask & LOST_EVENTS || event->len == 0) {
		watch->stale = true;
		return 0;
	}
	keep_gone = event->mask & IN_DELETE && strcmp(event->name, CGROUP_KEEP_CHILD) == 0;
	if (update_child(watch, event->name) < 0 || keep_gone)
		watch->stale = true;
	return 0;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int on_above(sd_event_source *source, const struct inotify_event *event, void *data)
{
	struct cgroup_watch *watch = data;

	if (event->mask & LOST_EVENTS || event->len == 0 ||
	    strcmp(event->name, last_part(watch->choice.parent)) == 0)
		look_later(watch);
	return 0;
}

/* By descriptor, so that exactly this folder is watched, whatever its path leads to by now. */
static int add_inotify(struct cgroup_watch *watch, int fd, sd_event_inotify_handler_t handler,
		       const char *description, sd_event_source **ret_source)
{
	char path[64];
	int r;

	if (!watch->event)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = sd_event_add_inotify(watch->event, ret_source, path,
				 CHILD_EVENTS | SELF_EVENTS | IN_ONLYDIR, handler, watch);
	if (r < 0)
		return r;
	sd_event_source_set_description(*ret_source, description);
	return sd_event_source_set_priority(*ret_source, SD_EVENT_PRIORITY_IMPORTANT);
}

static int scan(struct cgroup_watch *watch)
{
	struct cgroup_children next = { 0 };
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *entry;
	bool ignored = false;
	int fd, r = 0;

	fd = openat(watch->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r >= 0 && (errno = 0, entry = readdir(dir))) {
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
			continue;
		if (fstatat(watch->fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = errno == ENOENT ? 0 : -errno;
		else if (S_ISDIR(st.st_mode))
			r = cgroup_children_set(&next, entry->d_name, st.st_ino, &ignored);
	}
	if (r >= 0 && errno != 0)
		r = -errno;
	if (r < 0) {
		cgroup_children_done(&next);
		return r;
	}
	watch->news = watch->news || !cgroup_children_equal(&watch->children, &next);
	cgroup_children_done(&watch->children);
	watch->children = next;
	return 0;
}

static int open_folder(int at, const char *path, int *ret_fd)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

/* Opens the folder that holds the parent, making what is missing on the way. */
static int open_above(struct cgroup_watch *watch, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	const char *part = watch->choice.parent;
	int r = open_folder(AT_FDCWD, watch->root, &fd);

	while (r >= 0 && strchr(part, '/')) {
		char name[CGROUP_PATH_MAX];
		int next = -1;

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(part, "/"), part);
		if (may_create(watch) && mkdirat(fd, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		r = open_folder(fd, name, &next);
		closep(&fd);
		fd = next;
		part += strlen(name) + 1;
	}
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Makes where allowed, opens and watches the parent. On failure it is for the caller to let go. */
static int attach_once(struct cgroup_watch *watch)
{
	const char *name = last_part(watch->choice.parent);
	_cleanup_close_ int above = -1;
	struct stat st;
	int r;

	detach(watch);
	r = open_above(watch, &above);
	if (r < 0)
		return r;
	/* Before the parent is opened: whatever happens to it from here on is announced. */
	r = add_inotify(watch, above, on_above, "cgroup-above", &watch->above);
	if (r < 0)
		return r;
	if (may_create(watch) && mkdirat(above, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	r = open_folder(above, name, &watch->fd);
	if (r < 0)
		return r;
	if (may_create(watch) && mkdirat(watch->fd, CGROUP_KEEP_CHILD, 0755) < 0 && errno != EEXIST)
		return -errno;
	r = add_inotify(watch, watch->fd, on_parent, "cgroup-parent", &watch->parent);
	if (r < 0)
		return r;
	if (fstat(watch->fd, &st) < 0)
		return -errno;
	r = scan(watch);
	if (r < 0)
		return r;
	watch->news = watch->news || watch->parent_id != st.st_ino;
	watch->parent_id = st.st_ino;
	return 0;
}

static void forget(struct cgroup_watch *watch)
{
	watch->news = watch->news || watch->parent_id != 0 || watch->children.n > 0;
	watch->parent_id = 0;
	cgroup_children_done(&watch->children);
}

/* A parent that may not be made here and is not there is no error: it is looked for again. */
static int attach(struct cgroup_watch *watch)
{
	int r = -ENOENT;

	/* Someone may remove it again between two steps. */
	for (int i = 0; i < ATTACH_TRIES && (r == -ENOENT || r == -ENODEV); i++)
		r = attach_once(watch);
	if (r >= 0) {
		watch->logged = false;
		return 0;
	}
	/* What is watched above stays: the parent may be made there. */
	watch->parent = sd_event_source_disable_unref(watch->parent);
	closep(&watch->fd);
	watch->fd = -1;
	retry_later(watch);
	if (r != -ENOENT || may_create(watch))
		return r;
	forget(watch);
	return 0;
}

int cgroup_path_id(const char *root, const char *path, uint64_t *ret_id)
{
	char whole[PATH_MAX];
	struct stat st;
	int n = snprintf(whole, sizeof(whole), "%s/%s", root, path);

	if (n < 0 || (size_t)n >= sizeof(whole))
		return -ENAMETOOLONG;
	if (stat(whole, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	*ret_id = st.st_ino;
	return 0;
}

static bool is_attached(const struct cgroup_watch *watch)
{
	uint64_t id;

	return watch->fd >= 0 && cgroup_path_id(watch->root, watch->choice.parent, &id) == 0 &&
	       id == watch->parent_id &&
	       (!may_create(watch) || faccessat(watch->fd, CGROUP_KEEP_CHILD, F_OK, 0) == 0);
}

static int look(struct cgroup_watch *watch)
{
	int r = -ENOENT;

	watch->stale = false;
	if (is_attached(watch))
		r = scan(watch);
	if (r < 0)
		r = attach(watch);
	if (r < 0 && watch->parent_id != 0) {
		uint64_t id;

		/* The old number may live on; if not, nobody may be told so. */
		if (cgroup_path_id(watch->root, watch->choice.parent, &id) < 0 ||
		    id != watch->parent_id)
			forget(watch);
	}
	return r;
}

static int on_report(sd_event_source *source, void *data)
{
	struct cgroup_watch *watch = data;
	uint64_t before = watch->parent_id;
	int r = watch->stale ? look(watch) : 0;
	bool news = watch->news;

	if (r < 0 && !watch->logged) {
		watch->logged = true;
		log_err("cannot have cgroup %s/%s: %s; host jobs that start in it now are not told "
			"from the host; trying again",
			watch->root, watch->choice.parent, strerror(-r));
	} else if (before != watch->parent_id && before != 0 && watch->parent_id != 0) {
		log_notice("cgroup %s/%s was removed and is there again, with id %llu", watch->root,
			   watch->choice.parent, (unsigned long long)watch->parent_id);
	}
	watch->news = false;
	if (news && watch->changed)
		watch->changed(watch, watch->data);
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t now_us, void *data)
{
	look_later(data);
	return 0;
}

int cgroup_watch_rescan(struct cgroup_watch *watch)
{
	int r = look(watch);

	if (watch->news)
		report_later(watch);
	return r;
}

void cgroup_watch_get_view(const struct cgroup_watch *watch, struct cgroup_view *ret_view)
{
	struct cgroup_view view = {
		.hybrid = watch->hybrid,
		.driver = watch->choice.driver,
		.parent_id = watch->parent_id,
		.parent_level = cgroup_path_level(watch->choice.parent),
		.shared = watch->choice.shared,
		.children = watch->children.items,
		.children_n = watch->children.n,
	};

	memcpy(view.root, watch->root, sizeof(view.root));
	memcpy(view.parent, watch->choice.parent, sizeof(view.parent));
	*ret_view = view;
}

static bool is_cgroup2(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static int find_root(struct cgroup_watch *watch, const char *root, struct diag *diag)
{
	static const char *const folders[] = { "", "/unified" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		int n = snprintf(watch->root, sizeof(watch->root), "%s%s", root, folders[i]);

		if (n < 0 || (size_t)n >= sizeof(watch->root))
			return diag_set(diag, -ENAMETOOLONG, "cgroup root %s: too long", root);
		watch->hybrid = i > 0;
		if (is_cgroup2(watch->root))
			return 0;
	}
	return diag_set(diag, -EOPNOTSUPP,
			"no cgroup v2 hierarchy at %s or %s/unified: sockets of containers on the "
			"host network cannot be told from the host's own, so host jobs are not "
			"fenced; boot with systemd.unified_cgroup_hierarchy=1",
			root, root);
}

static int read_file(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_free_ char *text = NULL;
	size_t len;

	if (!file)
		return -errno;
	text = malloc(max + 1);
	if (!text)
		return -ENOMEM;
	len = fread(text, 1, max + 1, file);
	if (ferror(file))
		return errno > 0 ? -errno : -EIO;
	if (len > max)
		return -EFBIG;
	text[len] = '\0';
	*ret_text = take_ptr(text);
	*ret_len = len;
	return 0;
}

/* The engine's file, as far as it can be used. */
static void read_daemon_json(const char *path, struct cgroup_daemon_json *file)
{
	_cleanup_free_ char *text = NULL;
	struct diag diag = { 0 };
	size_t len;
	int r = read_file(path, DAEMON_JSON_MAX, &text, &len);

	if (r == -ENOENT || r == -ENOTDIR)
		return;
	if (r < 0)
		diag_set(&diag, r, "%s", strerror(-r));
	else
		r = cgroup_parse_daemon_json(text, len, file, &diag);
	if (r < 0)
		log_warn("%s is passed over: %s; set driver and parent in [cgroup] of "
			 "jobfence.conf if the engine does not use its defaults",
			 path, diag.text);
}

static int choose(struct cgroup_watch *watch, const struct cgroup_setup *setup, struct diag *diag)
{
	struct cgroup_daemon_json file = { .driver = CGROUP_DRIVER_AUTO };
	bool systemd = !watch->hybrid && access(setup->run_systemd, F_OK) == 0;
	struct diag remark = { 0 };
	int r;

	read_daemon_json(setup->daemon_json, &file);
	r = cgroup_choose(setup->config, &file, systemd, &watch->choice, &remark);
	if (r < 0)
		return diag_set(diag, r, "%s", remark.text);
	if (remark.text[0])
		log_warn("%s", remark.text);
	return 0;
}

static int add_sources(struct cgroup_watch *watch)
{
	int r = sd_event_add_defer(watch->event, &watch->report, on_report, watch);

	if (r < 0)
		return r;
	sd_event_source_set_description(watch->report, "cgroup-report");
	/* After all events that are there already. */
	sd_event_source_set_priority(watch->report, SD_EVENT_PRIORITY_IMPORTANT + 1);
	sd_event_source_set_enabled(watch->report, SD_EVENT_OFF);
	r = sd_event_add_time_relative(watch->event, &watch->retry, CLOCK_MONOTONIC, RETRY_US, 0,
				       on_retry, watch);
	if (r < 0)
		return r;
	sd_event_source_set_description(watch->retry, "cgroup-retry");
	return sd_event_source_set_enabled(watch->retry, SD_EVENT_OFF);
}

static const char *advice(int error)
{
	if (error == -ENOSPC || error == -EMFILE)
		return "; raise fs.inotify.max_user_watches and fs.inotify.max_user_instances";
	if (error == -EACCES || error == -EPERM || error == -EROFS)
		return "; jobfence needs to be root, with the cgroup hierarchy writable";
	return "";
}

int cgroup_watch_new_in(sd_event *event, const struct cgroup_setup *setup,
			struct cgroup_watch **ret_watch, struct diag *diag)
{
	_cleanup_(cgroup_watch_freep) struct cgroup_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return diag_set(diag, -ENOMEM, "no memory to follow the cgroups");
	watch->fd = -1;
	watch->event = sd_event_ref(event);
	watch->read_only = setup->read_only;
	watch->changed = setup->changed;
	watch->data = setup->data;
	r = find_root(watch, setup->root, diag);
	if (r >= 0)
		r = choose(watch, setup, diag);
	if (r < 0)
		return r;
	r = event ? add_sources(watch) : 0;
	if (r >= 0)
		r = attach(watch);
	if (r < 0)
		return diag_set(diag, r,
				"cannot make and watch cgroup %s/%s: %s%s; without it host jobs "
				"are not fenced",
				watch->root, watch->choice.parent, strerror(-r), advice(r));
	watch->news = false;
	*ret_watch = take_ptr(watch);
	return 0;
}

int cgroup_watch_new(sd_event *event, const struct config *config, bool read_only,
		     cgroup_changed_fn changed, void *data, struct cgroup_watch **ret_watch,
		     struct diag *diag)
{
	const struct cgroup_setup setup = {
		.root = "/sys/fs/cgroup",
		.daemon_json = "/etc/docker/daemon.json",
		.run_systemd = "/run/systemd/system",
		.config = config,
		.read_only = read_only,
		.changed = changed,
		.data = data,
	};

	return cgroup_watch_new_in(event, &setup, ret_watch, diag);
}

int cgroup_of_pid(pid_t pid, char *ret_path, size_t size)
{
	_cleanup_free_ char *text = NULL;
	char path[64];
	size_t len;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	r = read_file(path, 64 * 1024, &text, &len);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	return cgroup_parse_proc(text, ret_path, size);
}
