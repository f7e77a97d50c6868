/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For how long a container has been running: the age of its first process, which the kernel knows
 * without a wall clock that somebody sets. Reads /proc and nothing else.
 */
#include "status-internal.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define STAT_STARTTIME 22 /* proc(5), in ticks since the boot */

/* Returns the seconds, -1 where they cannot be told. The name in parentheses may hold anything. */
static int64_t age_of(pid_t pid)
{
	char path[64], text[1024], *at;
	struct timespec now;
	unsigned long long ticks;
	_cleanup_fclose_ FILE *in = NULL;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	in = fopen(path, "re");
	if (!in)
		return -1;
	len = fread(text, 1, sizeof(text) - 1, in);
	text[len] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at && field < STAT_STARTTIME; field++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, " %llu", &ticks) != 1 || clock_gettime(CLOCK_BOOTTIME, &now) < 0 ||
	    sysconf(_SC_CLK_TCK) <= 0)
		return -1;
	ticks /= (unsigned long long)sysconf(_SC_CLK_TCK);
	return (int64_t)now.tv_sec >= (int64_t)ticks ? (int64_t)now.tv_sec - (int64_t)ticks : -1;
}

void status_ages(struct status_view *view)
{
	for (size_t i = 0; i < view->rows_n; i++)
		if (view->rows[i].container->pid > 0)
			view->rows[i].running_s = age_of(view->rows[i].container->pid);
}

const char *status_age_text(int64_t seconds, char buffer[static 24])
{
	if (seconds < 0)
		snprintf(buffer, 24, "?");
	else if (seconds < 60)
		snprintf(buffer, 24, "%" PRId64 " s", seconds);
	else if (seconds < 3600)
		snprintf(buffer, 24, "%" PRId64 " min", seconds / 60);
	else if (seconds < 86400)
		snprintf(buffer, 24, "%" PRId64 " h %" PRId64 " min", seconds / 3600,
			 seconds / 60 % 60);
	else
		snprintf(buffer, 24, "%" PRId64 " d %" PRId64 " h", seconds / 86400,
			 seconds / 3600 % 24);
	return buffer;
}
