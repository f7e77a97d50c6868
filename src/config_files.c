/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files that configuration is read from: reading one whole, and the environment file syntax.
 *
 * An environment file is read as systemd reads it (systemd.exec(5), EnvironmentFile=), because
 * systemd is the other reader: it gives the same file to jobfence's own environment and to the
 * shim's. Where the two readings differed, jobfence would guard a port that nobody uses. A file is
 * never waited for: on SIGHUP this runs in the loop.
 */
#include "config-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define FILE_BYTES_MAX (64 * 1024)

int config_read_file(const char *path, char **ret_text, struct diag *diag)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return diag_set(diag, -errno, "%s cannot be opened: %s", path, strerror(errno));
	text = malloc(FILE_BYTES_MAX + 1);
	if (!text)
		return diag_set(diag, -ENOMEM, "%s cannot be read: out of memory", path);
	do {
		n = read(fd, text + used, FILE_BYTES_MAX + 1 - used);
		if (n < 0 && errno != EINTR)
			return diag_set(diag, -errno, "%s cannot be read: %s", path,
					strerror(errno));
		used += n > 0 ? (size_t)n : 0;
		if (used > FILE_BYTES_MAX)
			return diag_set(diag, -EINVAL, "%s is larger than %d KiB: name a text file",
					path, FILE_BYTES_MAX / 1024);
	} while (n != 0);
	text[used] = '\0';
	if (strlen(text) != used)
		return diag_set(diag, -EINVAL, "%s contains a NUL byte: name a text file", path);
	*ret_text = take_ptr(text);
	return 0;
}

static bool is_newline(char c)
{
	return c == '\n' || c == '\r';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || is_newline(c);
}

/* The next character, consumed. Not to be called at the end. */
static char take(struct env_cursor *cursor)
{
	if (*cursor->next == '\n')
		cursor->line++;
	return *cursor->next++;
}

static void skip_line(struct env_cursor *cursor)
{
	while (*cursor->next && !is_newline(*cursor->next))
		cursor->next++;
}

/* Up to the closing quote, over newlines. Writes at @out, behind what is read. Returns its end. */
static char *read_quoted(struct env_cursor *cursor, char quote, char *out)
{
	while (*cursor->next) {
		char c = take(cursor);

		if (c == quote)
			break;
		if (quote == '"' && c == '\\' && *cursor->next) {
			c = take(cursor);
			if (c == '\n')
				continue;
			if (!strchr("\"\\`$", c))
				*out++ = '\\';
		}
		*out++ = c;
	}
	return out;
}

/*
 * Up to the end of the line. A quote only opens at the start or after another quoted part; a
 * backslash takes the next character as it is, and a newline away; unescaped blanks at the end go.
 */
static char *read_value(struct env_cursor *cursor)
{
	char *value = cursor->next, *out = value, *end = value;
	bool plain = false;

	while (*cursor->next && !is_newline(*cursor->next)) {
		char c = take(cursor);

		if (!plain && is_blank(c))
			continue;
		if (!plain && (c == '"' || c == '\'')) {
			end = out = read_quoted(cursor, c, out);
			continue;
		}
		plain = true;
		if (c != '\\') {
			*out++ = c;
			end = is_blank(c) ? end : out;
		} else if (*cursor->next) {
			c = take(cursor);
			if (!is_newline(c))
				*out++ = c;
			end = out;
		}
	}
	/* The terminator may take the newline's place, so that goes first. */
	if (*cursor->next)
		take(cursor);
	*end = '\0';
	return value;
}

static bool is_variable_name(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_";

	return *name && name[strspn(name, allowed)] == '\0';
}

/* Ends @key, of which @end is the '=' or the end of the line, at its last character. */
static void end_key(char *key, char *end)
{
	while (end > key && is_blank(end[-1]))
		end--;
	*end = '\0';
}

bool env_next(struct env_cursor *cursor, struct env_entry *ret_entry)
{
	char *key, *end, *value = NULL;
	int line;

	for (;;) {
		while (is_blank(*cursor->next))
			take(cursor);
		if (*cursor->next != '#' && *cursor->next != ';')
			break;
		skip_line(cursor);
	}
	if (!*cursor->next)
		return false;

	line = cursor->line;
	key = cursor->next;
	end = key + strcspn(key, "=\n\r");
	cursor->next = end;
	if (*end == '=') {
		take(cursor);
		value = read_value(cursor);
	} else if (*end) {
		take(cursor);
	}
	end_key(key, end);
	*ret_entry = (struct env_entry){
		.key = key,
		.value = is_variable_name(key) ? value : NULL,
		.line = line,
	};
	return true;
}
