/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where one container or the engine really is, asked of /proc: for what is not where the
 * configuration of the engine would have it. Reads; a process number is never believed without the
 * name that belongs to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup-internal.h"

#define ARGS_MAX (64 * 1024)

int cgroup_cut(const char *path, const char *id, char *ret_path, char *ret_parent, size_t size)
{
	for (const char *part = path; *part; part += strspn(part, "/")) {
		size_t len = strcspn(part, "/");
		char name[128], found[65];

		snprintf(name, sizeof(name), "%.*s", (int)len, part);
		if (len < sizeof(name) && cgroup_container_id(name, found) &&
		    strcmp(found, id) == 0) {
			size_t whole = (size_t)(part - path) + len;
			size_t before = part > path ? (size_t)(part - path) - 1 : 0;

			if (whole >= size)
				return -ENAMETOOLONG;
			snprintf(ret_path, size, "%.*s", (int)whole, path);
			snprintf(ret_parent, size, "%.*s", (int)before, path);
			return 0;
		}
		part += len;
	}
	return -ENOENT;
}

int cgroup_locate(const char *root, pid_t pid, const char *id, struct cgroup_place *ret_place)
{
	struct cgroup_place place = { 0 };
	char path[sizeof(place.parent)], own[sizeof(place.parent)];
	int r = cgroup_of_pid(pid, path, sizeof(path));

	if (r >= 0)
		r = cgroup_cut(path, id, own, place.parent, sizeof(own));
	if (r >= 0)
		r = cgroup_path_id(root, own, &place.id);
	if (r < 0)
		return r;
	place.level = cgroup_path_level(own);
	own[strcspn(own, "/")] = '\0';
	r = cgroup_path_id(root, own, &place.root);
	if (r < 0)
		return r;
	*ret_place = place;
	return 0;
}

int cgroup_parent_argument(const char *args, size_t len, char *ret_parent, size_t size)
{
	static const char option[] = "--cgroup-parent";
	const char *value = NULL, *end = args + len;

	for (const char *arg = args; arg < end; arg += strnlen(arg, (size_t)(end - arg)) + 1) {
		size_t arg_len = strnlen(arg, (size_t)(end - arg));

		if (arg_len < strlen(option) || memcmp(arg, option, strlen(option)) != 0)
			continue;
		if (arg_len > strlen(option) && arg[strlen(option)] == '=')
			value = arg + strlen(option) + 1;
		else if (arg_len == strlen(option) && arg + arg_len + 1 < end)
			value = arg + arg_len + 1;
	}
	if (!value)
		return -ENOENT;
	if (strnlen(value, (size_t)(end - value)) >= size)
		return -ENAMETOOLONG;
	snprintf(ret_parent, size, "%.*s", (int)strnlen(value, (size_t)(end - value)), value);
	return 0;
}

/* At most @size - 1 bytes of a file of a process. Returns how many, or -errno. */
static ssize_t read_proc(pid_t pid, const char *file, char *text, size_t size)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	size_t used = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (used < size - 1 && (n = read(fd, text + used, size - 1 - used)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		used += (size_t)n;
	}
	text[used] = '\0';
	return (ssize_t)used;
}

static bool is_dockerd(pid_t pid)
{
	char comm[32];

	return read_proc(pid, "comm", comm, sizeof(comm)) > 0 && strcmp(comm, "dockerd\n") == 0;
}

int cgroup_parent_of_engine(pid_t pid, char *ret_parent, size_t size)
{
	_cleanup_free_ char *args = malloc(ARGS_MAX);
	ssize_t n;

	if (!args)
		return -ENOMEM;
	if (!is_dockerd(pid))
		return -ESRCH;
	n = read_proc(pid, "cmdline", args, ARGS_MAX);
	return n < 0 ? (int)n : cgroup_parent_argument(args, (size_t)n, ret_parent, size);
}

pid_t cgroup_find_engine(const char *root, const char *path)
{
	_cleanup_fclose_ FILE *file = NULL;
	char name[PATH_MAX];
	int pid;

	snprintf(name, sizeof(name), "%s/%s/cgroup.procs", root, path);
	file = fopen(name, "re");
	while (file && fscanf(file, "%d", &pid) == 1)
		if (is_dockerd(pid))
			return pid;
	return 0;
}
