/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names and paths of cgroups. Pure: text in, text out.
 *
 * A path here is relative to the root of the v2 hierarchy and has no leading slash. It never
 * contains "." or "..": a path that a file or an operator names must not lead out of the
 * hierarchy. A folder is a container only if its whole name has one of Docker's two forms.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cgroup-internal.h"

#define ID_LEN 64
#define SCOPE_PREFIX "docker-"
#define SCOPE_SUFFIX ".scope"
#define SLICE_SUFFIX ".slice"

static size_t skip_prefix(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? len : 0;
}

bool cgroup_container_id(const char *name, char ret_id[static 65])
{
	size_t prefix = skip_prefix(name, SCOPE_PREFIX);
	const char *id = name + prefix;

	/* Docker writes lower case; anything else was made by someone else. */
	if (strspn(id, "0123456789abcdef") != ID_LEN)
		return false;
	if (strcmp(id + ID_LEN, prefix ? SCOPE_SUFFIX : "") != 0)
		return false;
	memcpy(ret_id, id, ID_LEN);
	ret_id[ID_LEN] = '\0';
	return true;
}

uint32_t cgroup_path_level(const char *path)
{
	uint32_t level = 0;

	for (;;) {
		path += strspn(path, "/");
		if (*path == '\0')
			return level;
		level++;
		path += strcspn(path, "/");
	}
}

int cgroup_path_normalize(const char *path, char *ret_path, size_t size)
{
	char normal[CGROUP_PATH_MAX];
	size_t used = 0;

	for (path += strspn(path, "/"); *path; path += strspn(path, "/")) {
		size_t len = strcspn(path, "/");

		if ((len == 1 && path[0] == '.') || (len == 2 && strncmp(path, "..", 2) == 0))
			return -EINVAL;
		if (used + 1 + len >= sizeof(normal))
			return -ENAMETOOLONG;
		if (used > 0)
			normal[used++] = '/';
		memcpy(normal + used, path, len);
		used += len;
		path += len;
	}
	normal[used] = '\0';
	if (used >= size)
		return -ENAMETOOLONG;
	memcpy(ret_path, normal, used + 1);
	return 0;
}

static bool is_slice_name(const char *slice, size_t stem)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789:-_.\\";

	return stem > 0 && strspn(slice, allowed) == strlen(slice) && slice[0] != '-' &&
	       slice[0] != '.' && slice[stem - 1] != '-' && !strstr(slice, "--");
}

int cgroup_slice_path(const char *slice, char *ret_path, size_t size)
{
	size_t len = strlen(slice), suffix = strlen(SLICE_SUFFIX), used = 0, stem;
	char path[CGROUP_PATH_MAX];

	if (size == 0)
		return -ENAMETOOLONG;
	if (len <= suffix || strcmp(slice + len - suffix, SLICE_SUFFIX) != 0)
		return -EINVAL;
	stem = len - suffix;
	if (stem == 1 && slice[0] == '-') {
		ret_path[0] = '\0';
		return 0;
	}
	if (!is_slice_name(slice, stem))
		return -EINVAL;
	/* Each dash ends the name of a slice that holds the rest. */
	for (size_t i = 1; i <= stem; i++) {
		int n;

		if (i < stem && slice[i] != '-')
			continue;
		n = snprintf(path + used, sizeof(path) - used, "%s%.*s" SLICE_SUFFIX,
			     used ? "/" : "", (int)i, slice);
		if (n < 0 || (size_t)n >= sizeof(path) - used)
			return -ENAMETOOLONG;
		used += (size_t)n;
	}
	if (used >= size)
		return -ENAMETOOLONG;
	memcpy(ret_path, path, used + 1);
	return 0;
}

/* The kernel adds this to the path of a cgroup that was removed under a dying process. */
static bool is_deleted(const char *path, size_t len)
{
	static const char mark[] = " (deleted)";
	size_t mark_len = sizeof(mark) - 1;

	return len >= mark_len && memcmp(path + len - mark_len, mark, mark_len) == 0;
}

int cgroup_parse_proc(const char *text, char *ret_path, size_t size)
{
	const char *line, *end, *path;
	size_t len;

	for (line = text; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		path = line + skip_prefix(line, "0::/");
		if (path == line)
			continue;
		len = (size_t)(end - path);
		if (is_deleted(path, len))
			return -ESRCH;
		if (strncmp(path, "..", 2) == 0 && (len == 2 || path[2] == '/'))
			return -EXDEV;
		if (len >= size)
			return -ENAMETOOLONG;
		memcpy(ret_path, path, len);
		ret_path[len] = '\0';
		return 0;
	}
	return -EOPNOTSUPP;
}

void cgroup_child_name(const char *name, char ret_name[static CGROUP_CHILD_NAME_MAX + 1])
{
	const size_t size = CGROUP_CHILD_NAME_MAX + 1;
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a: tells apart, protects nothing */
	size_t len = strlen(name);

	if (len < size) {
		memcpy(ret_name, name, len + 1);
		return;
	}
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3;
	snprintf(ret_name, size, "%.110s~%016" PRIx64, name, hash);
}
