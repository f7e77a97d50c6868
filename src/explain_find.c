/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which container a person means: by its id, name or task, whole or the first part of it; and which
 * names are near where none fits. Pure. It never picks one of several.
 */
#include "explain-internal.h"

#include <string.h>

#define DISTANCE_NAME_MAX 64 /* bytes of a name that are compared */

enum fit { FIT_NOT, FIT_PREFIX, FIT_WHOLE };

static enum fit fit_one(const char *candidate, const char *text)
{
	size_t len = strlen(text);

	if (!candidate || len == 0 || strncmp(candidate, text, len) != 0)
		return FIT_NOT;
	return candidate[len] ? FIT_PREFIX : FIT_WHOLE;
}

static enum fit fit(const struct container *c, const char *text)
{
	enum fit id = fit_one(c->id, text), name = fit_one(c->name, text),
		 task = fit_one(c->task_id, text);
	enum fit best = id > name ? id : name;

	return best > task ? best : task;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many letters have to be put in, taken out or changed to make one text of the other. */
static size_t distance(const char *a, const char *b)
{
	size_t row[DISTANCE_NAME_MAX + 1], b_len = strnlen(b, DISTANCE_NAME_MAX);

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 0; a[i] && i < DISTANCE_NAME_MAX; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (size_t j = 1; j <= b_len; j++) {
			size_t above = row[j];

			row[j] = least(least(row[j - 1], above) + 1, corner + (a[i] != b[j - 1]));
			corner = above;
		}
	}
	return row[b_len];
}

/* A name without its "-0-0-0123abcd" is what a person remembers. */
static bool is_near(const char *name, const char *text)
{
	size_t len = strlen(text), cut = strnlen(name, DISTANCE_NAME_MAX);
	char run[DISTANCE_NAME_MAX + 1];

	if (len < 2)
		return false;
	if (strstr(name, text) || distance(name, text) <= 1 + len / 4)
		return true;
	if (classify_job_number(name) < 0)
		return false;
	memcpy(run, name, cut);
	run[cut] = '\0';
	for (int dashes = 0; dashes < 3; dashes++) {
		char *dash = strrchr(run, '-');

		if (dash)
			*dash = '\0';
	}
	return distance(run, text) <= 1 + len / 4;
}

void explain_find(const struct container *containers, size_t containers_n, const char *text,
		  struct found *ret_found)
{
	enum fit best = FIT_NOT;

	*ret_found = (struct found){ 0 };
	if (*text == '/') /* as the engine writes names */
		text++;
	for (size_t i = 0; i < containers_n; i++) {
		enum fit this = fit(&containers[i], text);

		best = this > best ? this : best;
	}
	for (size_t i = 0; i < containers_n; i++) {
		const char *name = containers[i].name ?: containers[i].id;

		if (best != FIT_NOT && fit(&containers[i], text) == best) {
			if (ret_found->matches_n < FOUND_MAX)
				ret_found->match[ret_found->matches_n] = i;
			ret_found->matches_n++;
		} else if (best == FIT_NOT && ret_found->near_n < FOUND_MAX &&
			   is_near(name, text)) {
			ret_found->near[ret_found->near_n++] = i;
		}
	}
}
