/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A journal for unit tests: what is sent to it is kept, field by field. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "jobfence/log.h"
#include "jobfence/messages.h"

static char journal_fields[32][1100]; /* of the last record */
static size_t journal_fields_n, journal_records;
static size_t journal_seen[MESSAGE_MAX]; /* how many of each */

/* In the place of libsystemd's. */
int sd_journal_sendv(const struct iovec *iov, int n);
int sd_journal_sendv(const struct iovec *iov, int n)
{
	journal_records++;
	journal_fields_n = 0;
	for (int i = 0; i < n && i < 32; i++)
		snprintf(journal_fields[journal_fields_n++], sizeof(journal_fields[0]), "%.*s",
			 (int)iov[i].iov_len, (const char *)iov[i].iov_base);
	for (size_t i = 0; i < journal_fields_n; i++)
		for (size_t j = 0; j < MESSAGE_MAX; j++)
			journal_seen[j] += strncmp(journal_fields[i], "MESSAGE_ID=", 11) == 0 &&
					   strcmp(journal_fields[i] + 11,
						  message_spec((enum message)j)->id) == 0;
	return 0;
}

/* stderr becomes the journal's. */
static void journal_open(void)
{
	struct stat st;
	char stream[64];

	if (fstat(STDERR_FILENO, &st) < 0)
		abort();
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open(LOG_INFO);
}

/* The value in the last record; "" where it has none. */
static const char *journal_field(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < journal_fields_n; i++)
		if (strncmp(journal_fields[i], name, length) == 0 &&
		    journal_fields[i][length] == '=')
			return journal_fields[i] + length + 1;
	return "";
}

/* The last record is this one. */
static bool journal_is(enum message message)
{
	return strcmp(journal_field("MESSAGE_ID"), message_spec(message)->id) == 0;
}
