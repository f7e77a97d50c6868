/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the commands leave what they tell: JSON on standard output, or a file that is replaced whole, so
 * that a reader sees the old or the new one, and the old one where something fails. Says nothing itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "commands-internal.h"

int command_print_json(json_t *json, size_t indent)
{
	int r = json ? json_dumpf(json, stdout, JSON_INDENT(indent)) : -1;

	json_decref(json);
	if (r < 0)
		return -ENOMEM;
	printf("\n");
	return 0;
}

/* The file beside @path whose name no collector reads: it does not end in ".prom". */
static int fill(const char *path, const char *temporary, int fd, command_fill_fn write,
		const void *data)
{
	_cleanup_fclose_ FILE *out = fdopen(fd, "w");

	if (!out) {
		int r = -errno;

		close(fd);
		return r;
	}
	write(out, data);
	if (fflush(out) != 0 || ferror(out) || fchmod(fd, 0644) < 0 || fsync(fd) < 0)
		return errno ? -errno : -EIO;
	return rename(temporary, path) < 0 ? -errno : 0;
}

int command_replace_file(const char *path, command_fill_fn write, const void *data)
{
	char temporary[4096];
	int fd, r, n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);

	if (n < 0 || (size_t)n >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fill(path, temporary, fd, write, data);
	if (r < 0)
		(void)unlink(temporary);
	return r;
}
