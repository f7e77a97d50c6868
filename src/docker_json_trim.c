/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Labels that nobody will look at, taken out of a list of containers before it is parsed: an image's
 * author chooses them, megabytes of them, and each costs the parser twenty times its text. Pure, in
 * place: what goes becomes blanks.
 *
 * It must never take a label of dstack's, however it is written: a job without is no job.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "docker_json-internal.h"
#include "jobfence/cleanup.h"
#include "jobfence/docker_json.h"

#define LABELS_DEPTH 3 /* of the members: in a list, an object, its labels */

struct trimmer {
	char *json;
	size_t len, at;
	size_t kept; /* bytes of members that stay, of the object under way */
	bool cut;    /* it has the member that stands for those that went */
};

/* Behind the string that begins at @at. */
static size_t string_end(const struct trimmer *trimmer, size_t at)
{
	for (at++; at < trimmer->len && trimmer->json[at] != '"'; at++)
		at += trimmer->json[at] == '\\';
	return at < trimmer->len ? at + 1 : trimmer->len;
}

static bool is_key(const struct trimmer *trimmer, size_t at, const char *begin)
{
	return trimmer->len - at > strlen(begin) &&
	       memcmp(trimmer->json + at, begin, strlen(begin)) == 0;
}

/* A letter as it is, or as \\u0061. */
static size_t letter_at(const struct trimmer *trimmer, size_t at, char letter)
{
	char escape[8];

	if (at < trimmer->len && trimmer->json[at] == letter)
		return 1;
	snprintf(escape, sizeof(escape), "\\u%04x", (unsigned char)letter);
	return trimmer->len - at > 6 && strncasecmp(trimmer->json + at, escape, 6) == 0 ? 6 : 0;
}

/* Only these two: as many others could begin like them as anybody likes. */
static bool is_of_dstack(const struct trimmer *trimmer, size_t begin)
{
	static const char *const labels[] = { LABEL_IS_TASK, LABEL_TASK_ID };

	for (size_t i = 0; i < ARRAY_SIZE(labels); i++) {
		size_t at = begin + 1, len = 1;

		for (const char *letter = labels[i]; *letter && len; letter++) {
			len = letter_at(trimmer, at, *letter);
			at += len;
		}
		if (len && at < trimmer->len && trimmer->json[at] == '"')
			return true;
	}
	return false;
}

/* The member from @begin, its key, to @end; @comma is the one before it, 0 for none. */
static void trim_member(struct trimmer *trimmer, size_t begin, size_t end, size_t comma)
{
	static const char marker[] = "\"" JSON_LABELS_CUT "\":\"\"";
	size_t size = end - begin;

	if (size <= JSON_LABELS_RAW_MAX - trimmer->kept) {
		trimmer->kept += size;
		return;
	}
	if (is_of_dstack(trimmer, begin))
		return;
	if (trimmer->cut && comma) {
		memset(trimmer->json + comma, ' ', end - comma);
	} else if (size >= strlen(marker)) {
		memset(trimmer->json + begin, ' ', size);
		memcpy(trimmer->json + begin, marker, strlen(marker));
		trimmer->cut = true;
	}
}

/* The members of one object of labels, up to its end; any value but a string ends it: not a list of
 * the engine's. */
static void trim_labels(struct trimmer *trimmer)
{
	size_t begin = 0, comma = 0;

	trimmer->kept = 0;
	trimmer->cut = false;
	while (trimmer->at < trimmer->len) {
		char c = trimmer->json[trimmer->at];

		if (c == '{' || c == '[')
			return;
		if (c == '"') {
			begin = begin ?: trimmer->at;
			trimmer->at = string_end(trimmer, trimmer->at);
			continue;
		}
		if (c == ',' || c == '}') {
			if (begin)
				trim_member(trimmer, begin, trimmer->at, comma);
			comma = trimmer->at;
			begin = 0;
		}
		if (c == '}')
			return;
		trimmer->at++;
	}
}

static size_t skip_blanks(const struct trimmer *trimmer, size_t at)
{
	while (at < trimmer->len && strchr(" \t\r\n:", trimmer->json[at]) && trimmer->json[at])
		at++;
	return at;
}

void docker_json_trim(char *json, size_t len)
{
	struct trimmer trimmer = { .json = json, .len = len };
	size_t depth = 0;

	while (trimmer.at < len) {
		char c = json[trimmer.at];
		size_t begin = trimmer.at;

		if (c != '"') {
			depth += c == '{' || c == '[';
			depth -= (c == '}' || c == ']') && depth;
			trimmer.at++;
			continue;
		}
		trimmer.at = string_end(&trimmer, begin);
		if (depth != LABELS_DEPTH - 1 || !is_key(&trimmer, begin, "\"Labels\""))
			continue;
		trimmer.at = skip_blanks(&trimmer, trimmer.at);
		if (trimmer.at < len && json[trimmer.at] == '{') {
			depth++;
			trimmer.at++;
			trim_labels(&trimmer);
		}
	}
}
