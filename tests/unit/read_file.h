/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A whole file of the sources, for tests that compare two of them. After cmocka.h. */
#pragma once

#include <errno.h>
#include <string.h>

#include "jobfence/cleanup.h"

/* The caller frees it. An empty file, or none, fails the test. */
static inline char *read_all(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	assert_true(getdelim(&text, &size, '\0', file) > 0);
	return text;
}
