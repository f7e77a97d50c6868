/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One event, one line, one write. Where systemd connected stderr to the journal, lines go there with
 * their priority; else they go to stderr, for a person. A message is cut rather than split, and it
 * has no control characters when it leaves here, whatever a caller put in: a container's name can
 * never forge a line. Logging never fails, never changes errno and never stops the daemon.
 */
#include "jobfence/clock.h"
#include "jobfence/log.h"

/* The place would be this file for every line. */
#define SD_JOURNAL_SUPPRESS_LOCATION

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include "jobfence/text.h"

#define LINE_MAX_BYTES 1024
#define FIELD_MAX_BYTES 320
#define SAME_AGAIN_USEC (600 * 1000000ULL)
#define MINUTE_USEC (60 * 1000000ULL)
#define LINES_IN_MINUTE 10

/* What is said beside the sentence. */
struct line {
	int level;
	const char *id;
	const struct log_field *fields;
	size_t fields_n;
};

static int log_max_level = LOG_INFO;
static bool log_to_journal;

/* A service that redirects stderr to a file keeps $JOURNAL_STREAM: the file must match too. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uint64_t device, inode;
	struct stat st;
	int end = 0;

	if (!stream || sscanf(stream, "%" SCNu64 ":%" SCNu64 "%n", &device, &inode, &end) != 2)
		return false;
	if (stream[end] != '\0' || fstat(STDERR_FILENO, &st) < 0)
		return false;
	return st.st_dev == device && st.st_ino == inode;
}

void log_open(int max_level)
{
	log_max_level = max_level;
	log_to_journal = stderr_is_journal();
}

static const char *level_prefix(int level)
{
	if (level <= LOG_ERR)
		return "error: ";
	if (level == LOG_WARNING)
		return "warning: ";
	if (level >= LOG_DEBUG)
		return "debug: ";
	return "";
}

/* One field as the journal takes it. */
struct entry {
	char text[FIELD_MAX_BYTES];
};

static void _printf_(2, 3) set_entry(struct entry *entry, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (vsnprintf(entry->text, sizeof(entry->text), fmt, args) < 0)
		entry->text[0] = '\0';
	va_end(args);
	text_one_line(entry->text);
}

static bool send_to_journal(const struct line *line, const char *message)
{
	char text[LINE_MAX_BYTES + sizeof("MESSAGE=")];
	struct entry entries[LOG_FIELDS_MAX + 2];
	struct iovec iov[LOG_FIELDS_MAX + 4];
	size_t n = 0;

	snprintf(text, sizeof(text), "MESSAGE=%s", message);
	set_entry(&entries[n++], "PRIORITY=%i", line->level);
	if (line->id)
		set_entry(&entries[n++], "MESSAGE_ID=%s", line->id);
	for (size_t i = 0; i < line->fields_n && i < LOG_FIELDS_MAX; i++)
		if (line->fields[i].value)
			set_entry(&entries[n++], "%s=%s", line->fields[i].name,
				  line->fields[i].value);
	for (size_t i = 0; i < n; i++)
		iov[i] = (struct iovec){ entries[i].text, strlen(entries[i].text) };
	iov[n++] = (struct iovec){ (char *)"SYSLOG_IDENTIFIER=jobfence", strlen("SYSLOG_IDENTIFIER="
										"jobfence") };
	iov[n++] = (struct iovec){ text, strlen(text) };
	return sd_journal_sendv(iov, (int)n) >= 0;
}

static void write_to_stderr(int level, const char *message)
{
	char line[LINE_MAX_BYTES + 32];
	int n = snprintf(line, sizeof(line), "jobfence: %s%s\n", level_prefix(level), message);
	ssize_t written;

	do
		written = write(STDERR_FILENO, line, (size_t)n);
	while (written < 0 && errno == EINTR);
}

static void _printf_(2, 0) say(const struct line *line, const char *fmt, va_list args)
{
	char message[LINE_MAX_BYTES];
	int saved_errno = errno;

	if (line->level > log_max_level)
		return;
	if (vsnprintf(message, sizeof(message), fmt, args) < 0)
		message[0] = '\0';
	text_one_line(message);
	if (!log_to_journal || !send_to_journal(line, message))
		write_to_stderr(line->level, message);
	errno = saved_errno;
}

void log_msg(int level, const char *fmt, ...)
{
	const struct line line = { .level = level };
	va_list args;

	va_start(args, fmt);
	say(&line, fmt, args);
	va_end(args);
}

static struct line line_of(enum message message)
{
	return (struct line){ message_spec(message)->priority, message_spec(message)->id, NULL, 0 };
}

void log_event(enum message message, const char *fmt, ...)
{
	const struct line line = line_of(message);
	va_list args;

	va_start(args, fmt);
	say(&line, fmt, args);
	va_end(args);
}

void log_record(enum message message, const struct log_field *fields, size_t n, const char *fmt,
		...)
{
	struct line line = line_of(message);
	va_list args;

	line.fields = fields;
	line.fields_n = n;
	va_start(args, fmt);
	say(&line, fmt, args);
	va_end(args);
}

static bool may_say(struct log_limit *limit, const char *message)
{
	uint64_t now = clock_usec();

	if (limit->said_usec && now - limit->said_usec < SAME_AGAIN_USEC &&
	    strncmp(limit->said, message, sizeof(limit->said) - 1) == 0)
		return false;
	if (now - limit->minute_usec >= MINUTE_USEC) {
		limit->minute_usec = now;
		limit->in_minute = 0;
	}
	if (limit->in_minute >= LINES_IN_MINUTE)
		return false;
	limit->in_minute++;
	limit->said_usec = now;
	snprintf(limit->said, sizeof(limit->said), "%s", message);
	return true;
}

static void _printf_(2, 3) say_this(const struct line *line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(line, fmt, args);
	va_end(args);
}

static void _printf_(3, 0)
	say_limited(struct log_limit *limit, const struct line *line, const char *fmt, va_list args)
{
	char message[LINE_MAX_BYTES];

	if (vsnprintf(message, sizeof(message), fmt, args) < 0)
		message[0] = '\0';
	if (!may_say(limit, message)) {
		limit->left_out++;
		log_debug("%s", message);
	} else if (limit->left_out > 0) {
		say_this(line, "%s (%u lines like it were left out)", message, limit->left_out);
		limit->left_out = 0;
	} else {
		say_this(line, "%s", message);
	}
}

void log_limited(struct log_limit *limit, int level, const char *fmt, ...)
{
	const struct line line = { .level = level };
	va_list args;

	va_start(args, fmt);
	say_limited(limit, &line, fmt, args);
	va_end(args);
}

void log_event_limited(struct log_limit *limit, enum message message, const char *fmt, ...)
{
	const struct line line = line_of(message);
	va_list args;

	va_start(args, fmt);
	say_limited(limit, &line, fmt, args);
	va_end(args);
}

void log_limit_reset(struct log_limit *limit)
{
	limit->said_usec = 0;
}
