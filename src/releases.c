/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The folder of releases, /run/jobfence/releases: a file for each, by the container's id, written by
 * `jobfence release` and read by whoever makes a picture of the host. Root's only: a folder or a file
 * that somebody else could have written releases nobody. The daemon reads it, watches it, and wakes
 * when the next one is over; it never writes there (its sandbox would not let it).
 */
#include "jobfence/release.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "jobfence/clock.h"
#include "jobfence/lock.h"
#include "jobfence/log.h"

#define WATCHED (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR)

DEFINE_CLEANUP(DIR *, closedir)

struct releases {
	sd_event *event;
	sd_event_source *watch, *timer;
	releases_changed_fn changed;
	void *data;
	struct release *list; /* owned; sorted by id */
	size_t n, size;
	struct log_limit refused;
};

static int folder_path(char *path, size_t size)
{
	return lock_folder("releases", path, size);
}

static bool only_roots(const struct stat *st)
{
	return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int open_folder(DIR **ret_dir)
{
	char path[320];
	_cleanup_(closedirp) DIR *dir = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r = folder_path(path, sizeof(path));

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!only_roots(&st))
		return -EPERM;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	take_fd(&fd);
	*ret_dir = take_ptr(dir);
	return 0;
}

/* Returns 0, -ETIME (it is over), -EINVAL with @diag, or another -errno. */
static int read_release(int folder, const char *name, struct release *ret_release,
			struct diag *diag)
{
	_cleanup_close_ int fd =
		openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[RELEASE_FILE_MAX + 2];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !only_roots(&st))
		return diag_set(diag, -EINVAL, "it is not root's alone");
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return release_parse(name, text, clock_boot_usec(), ret_release, diag);
}

static int release_order(const void *a, const void *b)
{
	const struct release *one = a, *two = b;

	return strcmp(one->id, two->id);
}

/* Without memory there are fewer: who is not released is confined. */
static bool has_room(struct releases *releases)
{
	size_t size = releases->size ? releases->size * 2 : 4;
	struct release *grown;

	if (releases->n < releases->size || releases->n == RELEASES_MAX)
		return releases->n < RELEASES_MAX;
	grown = reallocarray(releases->list, size, sizeof(*grown));
	if (!grown)
		return false;
	releases->list = grown;
	releases->size = size;
	return true;
}

static void read_all(struct releases *releases)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	const struct dirent *entry;
	struct diag diag;

	releases->n = 0;
	if (open_folder(&dir) < 0)
		return;
	while (has_room(releases) && (entry = readdir(dir))) {
		int r;

		if (entry->d_name[0] == '.')
			continue;
		r = read_release(dirfd(dir), entry->d_name, &releases->list[releases->n], &diag);
		if (r == -EINVAL)
			log_limited(&releases->refused, LOG_WARNING,
				    "the release %.64s counts for nothing: %s", entry->d_name,
				    diag.text);
		releases->n += r >= 0;
	}
	if (releases->n)
		qsort(releases->list, releases->n, sizeof(*releases->list), release_order);
}

/* Wakes when the first one is over. */
static void arm(struct releases *releases)
{
	uint64_t first = UINT64_MAX;

	if (!releases->timer)
		return;
	for (size_t i = 0; i < releases->n; i++)
		first = releases->list[i].ends < first ? releases->list[i].ends : first;
	(void)sd_event_source_set_time(releases->timer, first);
	(void)sd_event_source_set_enabled(releases->timer,
					  releases->n ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void tell(struct releases *releases)
{
	read_all(releases);
	arm(releases);
	if (releases->changed)
		releases->changed(releases->data);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	tell(data);
	return 0;
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *data)
{
	struct releases *releases = data;

	/* the folder is gone: what was in it as well */
	if (event->mask & IN_IGNORED)
		releases->watch = sd_event_source_disable_unref(releases->watch);
	tell(releases);
	return 0;
}

static void watch(struct releases *releases)
{
	char path[320];

	if (!releases->event || releases->watch || folder_path(path, sizeof(path)) < 0)
		return;
	(void)sd_event_add_inotify(releases->event, &releases->watch, path, WATCHED, on_inotify,
				   releases);
}

void releases_refresh(struct releases *releases)
{
	watch(releases);
	read_all(releases);
	arm(releases);
}

int releases_new(sd_event *event, releases_changed_fn changed, void *data,
		 struct releases **ret_releases)
{
	struct releases *releases = calloc(1, sizeof(*releases));
	int r = 0;

	if (!releases)
		return -ENOMEM;
	releases->changed = changed;
	releases->data = data;
	releases->event = event;
	if (event)
		r = sd_event_add_time(event, &releases->timer, CLOCK_BOOTTIME, UINT64_MAX, 1,
				      on_timer, releases);
	if (r < 0) {
		releases_free(releases);
		return r;
	}
	releases_refresh(releases);
	*ret_releases = releases;
	return 0;
}

struct releases *releases_free(struct releases *releases)
{
	if (!releases)
		return NULL;
	sd_event_source_disable_unref(releases->watch);
	sd_event_source_disable_unref(releases->timer);
	free(releases->list);
	free(releases);
	return NULL;
}

const struct release *releases_list(struct releases *releases, size_t *ret_n)
{
	uint64_t now = clock_boot_usec();
	size_t kept = 0;

	for (size_t i = 0; i < releases->n; i++)
		if (releases->list[i].ends > now)
			releases->list[kept++] = releases->list[i];
	*ret_n = releases->n = kept;
	return releases->list;
}

int releases_make_folder(void)
{
	char path[320], parent[256];
	int r = lock_folder("", parent, sizeof(parent));

	if (r >= 0)
		r = folder_path(path, sizeof(path));
	if (r < 0)
		return r;
	if ((mkdir(parent, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(path, 0700) < 0 && errno != EEXIST))
		return -errno;
	return 0;
}

static int write_text(int fd, const struct release *release)
{
	char text[RELEASE_FILE_MAX + 1];
	size_t len;

	release_format(release, text, sizeof(text));
	len = strlen(text);
	if (write(fd, text, len) != (ssize_t)len)
		return -EIO;
	return fsync(fd) < 0 ? -errno : 0;
}

int releases_write(const struct release *release, struct diag *diag)
{
	char path[320], temporary[352];
	_cleanup_close_ int fd = -1;
	int r = releases_make_folder();

	if (r >= 0)
		r = folder_path(path, sizeof(path));
	if (r < 0)
		return diag_set(diag, r, "cannot make the folder of releases: %s", strerror(-r));
	snprintf(temporary, sizeof(temporary), "%s/.new-XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return diag_set(diag, -errno, "cannot write into %s: %s", path, strerror(errno));
	r = write_text(fd, release);
	if (r >= 0) {
		char name[sizeof(path) + CONTAINER_ID_LEN + 2];

		snprintf(name, sizeof(name), "%s/%s", path, release->id);
		r = rename(temporary, name) < 0 ? -errno : 0;
	}
	if (r < 0) {
		unlink(temporary);
		return diag_set(diag, r, "cannot write into %s: %s", path, strerror(-r));
	}
	return 0;
}

int releases_remove(const char *id, struct diag *diag)
{
	char path[320], name[sizeof(path) + CONTAINER_ID_LEN + 2];
	int r = folder_path(path, sizeof(path));

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%s/%s", path, id);
	if (unlink(name) == 0)
		return 0;
	if (errno == ENOENT)
		return -ENOENT;
	return diag_set(diag, -errno, "cannot remove %s: %s", name, strerror(errno));
}

void releases_sweep(void)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	const struct dirent *entry;
	struct release release;
	struct diag diag;

	if (open_folder(&dir) < 0)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    read_release(dirfd(dir), entry->d_name, &release, &diag) == -ETIME)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
}
