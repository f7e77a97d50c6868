/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Overrides by name and label. Both are the tenant's or whoever's: nothing here may make a
 * container freer than it is without, and what cannot be read whole counts as a match. Pure.
 */
#include "jobfence/overrides.h"

#include <string.h>

#include "jobfence/classify.h"
#include "jobfence/text.h"

/* The last star takes one byte more whenever the rest does not fit: linear for one star, and
 * patterns and names are short. */
bool override_pattern_matches(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			resume = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

int network_mode_strictness(enum network_mode mode)
{
	switch (mode) {
	case NETWORK_MODE_HOST_WHEN_POSSIBLE:
		return 0;
	case NETWORK_MODE_HOST_FOR_MULTINODE_ONLY:
		return 1;
	case NETWORK_MODE_FORCED_BRIDGE:
		return 2;
	}
	return 2;
}

/* The run's name in "<run>-<job number>-<replica>-<8 hex>"; "" where a name is not of that form. */
static void run_name(const char *name, char run[static CONTAINER_NAME_MAX + 1])
{
	char *dash;

	run[0] = '\0';
	if (classify_job_number(name) < 0)
		return;
	snprintf(run, CONTAINER_NAME_MAX + 1, "%s", name);
	for (int part = 0; part < 3; part++) {
		dash = strrchr(run, '-');
		if (dash)
			*dash = '\0';
	}
}

enum network_mode override_mode(const struct config *config, const char *name,
				const char **ret_pattern)
{
	enum network_mode mode = config->mode;
	char run[CONTAINER_NAME_MAX + 1];

	*ret_pattern = NULL;
	if (config->overrides_n == 0 || !name)
		return mode;
	run_name(name, run);
	for (size_t i = 0; i < config->overrides_n; i++) {
		const struct config_override *override = &config->overrides[i];

		if (network_mode_strictness(override->mode) <= network_mode_strictness(mode))
			continue;
		if (!override_pattern_matches(override->pattern, name) &&
		    !(run[0] && override_pattern_matches(override->pattern, run)))
			continue;
		mode = override->mode;
		*ret_pattern = override->pattern;
	}
	return mode;
}

static bool has_label(const struct container *container, const char *label)
{
	const char *own = container->labels;

	for (; own && *own; own += strlen(own) + 1)
		if (strcmp(own, label) == 0)
			return true;
	return false;
}

bool override_confines(const struct config *config, const struct container *container, char *ret_by,
		       size_t size)
{
	char safe[56];

	for (size_t i = 0; i < config->confine_names_n; i++) {
		if (!container->name ||
		    !override_pattern_matches(config->confine_names[i], container->name))
			continue;
		snprintf(ret_by, size, "names \"%s\"", config->confine_names[i]);
		return true;
	}
	for (size_t i = 0; i < config->confine_labels_n; i++) {
		if (!has_label(container, config->confine_labels[i]))
			continue;
		snprintf(ret_by, size, "labels \"%s\"",
			 text_safe(config->confine_labels[i], safe, sizeof(safe)));
		return true;
	}
	if (config->confine_labels_n == 0 || !container->labels_cut)
		return false;
	snprintf(ret_by, size, "labels (it has too many to look through)");
	return true;
}
