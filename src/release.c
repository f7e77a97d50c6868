/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Releases as text: the time on the command line, and the file that the daemon reads. Pure. A file
 * that is not just as it should be releases nobody, and so does one that would last too long.
 */
#include "jobfence/release.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "jobfence/text.h"

#define FIRST_LINE "jobfence-release 1\n"

static bool parse_digits(const char *text, size_t len, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (len == 0 || len > 18)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*ret_value = value;
	return true;
}

int release_parse_time(const char *text, uint64_t *ret_usec, struct diag *diag)
{
	size_t len = strlen(text);
	uint64_t value = 0, unit = 0;
	char safe[40];

	if (len > 1 && len < 8 && parse_digits(text, len - 1, &value))
		unit = text[len - 1] == 's'   ? 1
		       : text[len - 1] == 'm' ? 60
		       : text[len - 1] == 'h' ? 3600
					      : 0;
	if (unit == 0 || value == 0 || value * unit > RELEASE_MAX_USEC / 1000000)
		return diag_set(diag, -EINVAL,
				"--for \"%s\": must be a time from 1s to 24h, such as 90s, 30m or "
				"2h",
				text_safe(text, safe, sizeof(safe)));
	*ret_usec = value * unit * 1000000;
	return 0;
}

void release_format(const struct release *release, char *buffer, size_t size)
{
	snprintf(buffer, size,
		 FIRST_LINE "container %s\nends %" PRIu64 "\nwall %" PRId64 "\nwho %s\nreason %s\n",
		 release->id, release->ends, release->ends_wall, release->who, release->reason);
}

/* The rest of a line that begins with @word; *@text is behind it then. NULL: it is another. */
static const char *take_line(const char **text, const char *word, size_t *ret_len)
{
	size_t word_len = strlen(word);
	const char *value = *text + word_len, *end;

	if (strncmp(*text, word, word_len) != 0)
		return NULL;
	end = strchr(value, '\n');
	if (!end)
		return NULL;
	*text = end + 1;
	*ret_len = (size_t)(end - value);
	return value;
}

static bool take_number(const char **text, const char *word, uint64_t *ret_value)
{
	size_t len;
	const char *value = take_line(text, word, &len);

	return value && parse_digits(value, len, ret_value);
}

static bool take_text(const char **text, const char *word, char *ret_text, size_t size)
{
	char raw[RELEASE_FILE_MAX + 1];
	size_t len;
	const char *value = take_line(text, word, &len);

	if (!value || len >= sizeof(raw))
		return false;
	memcpy(raw, value, len);
	raw[len] = '\0';
	text_safe(raw, ret_text, size);
	return true;
}

static bool take_id(const char **text, const char *name)
{
	size_t len;
	const char *value = take_line(text, "container ", &len);

	return value && len == strlen(name) && strncmp(value, name, len) == 0;
}

static bool is_id(const char *id)
{
	return strlen(id) == CONTAINER_ID_LEN && strspn(id, "0123456789abcdef") == CONTAINER_ID_LEN;
}

int release_parse(const char *name, const char *text, uint64_t now, struct release *ret_release,
		  struct diag *diag)
{
	struct release release = { 0 };
	uint64_t wall = 0;
	bool first = is_id(name) && strlen(text) <= RELEASE_FILE_MAX &&
		     strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) == 0;

	text += first ? strlen(FIRST_LINE) : 0;
	if (first && take_id(&text, name) && take_number(&text, "ends ", &release.ends) &&
	    take_number(&text, "wall ", &wall) &&
	    take_text(&text, "who ", release.who, sizeof(release.who)) &&
	    take_text(&text, "reason ", release.reason, sizeof(release.reason)) && !*text) {
		memcpy(release.id, name, CONTAINER_ID_LEN);
		release.ends_wall = (int64_t)wall;
		if (release.ends <= now)
			return -ETIME;
		if (release.ends - now <= RELEASE_MAX_USEC) {
			*ret_release = release;
			return 0;
		}
	}
	return diag_set(diag, -EINVAL, "it is no release, or one of more than 24 hours");
}

const struct release *release_find(const struct release *releases, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(releases[i].id, id) == 0)
			return &releases[i];
	return NULL;
}

const char *release_rest_text(uint64_t usec, char buffer[static 32])
{
	uint64_t seconds = (usec + 999999) / 1000000;

	if (seconds < 120)
		snprintf(buffer, 32, "%" PRIu64 " s", seconds);
	else if (seconds < 7200)
		snprintf(buffer, 32, "%" PRIu64 " min", (seconds + 59) / 60);
	else
		snprintf(buffer, 32, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600,
			 seconds % 3600 / 60);
	return buffer;
}
