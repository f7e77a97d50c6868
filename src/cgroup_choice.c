/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which parent holds the containers: what the operator configured, else what the engine's
 * daemon.json says, else what the engine takes by itself. Pure.
 *
 * A wrong word of the operator's is an error. A daemon.json that makes no sense is only remarked
 * on: it is the engine's file, and the engine has the last word on it.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "cgroup-internal.h"
#include "docker_json-internal.h"
#include "jobfence/text.h"

#define DRIVER_OPTION "native.cgroupdriver"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The text without what the engine passes over: white space around it and a byte order mark. */
static void trim(const char **text, size_t *len)
{
	if (*len >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) {
		*text += 3;
		*len -= 3;
	}
	while (*len > 0 && is_space((*text)[0])) {
		*text += 1;
		*len -= 1;
	}
	while (*len > 0 && is_space((*text)[*len - 1]))
		*len -= 1;
}

static bool equals(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

/* One of "exec-opts". Returns whether it names a driver, even one that is not known. */
static bool read_driver(const char *option, enum cgroup_driver *ret_driver)
{
	const char *equal = strchr(option, '='), *key = option, *value;
	size_t key_len, value_len;

	if (!equal)
		return false;
	key_len = (size_t)(equal - option);
	value = equal + 1;
	value_len = strlen(value);
	trim(&key, &key_len);
	trim(&value, &value_len);
	if (!equals(key, key_len, DRIVER_OPTION))
		return false;
	if (equals(value, value_len, "systemd"))
		*ret_driver = CGROUP_DRIVER_SYSTEMD;
	else if (equals(value, value_len, "cgroupfs"))
		*ret_driver = CGROUP_DRIVER_CGROUPFS;
	return true;
}

static int read_options(json_t *options, struct cgroup_daemon_json *file, struct diag *diag)
{
	json_t *option;
	size_t i;

	if (!options || json_is_null(options))
		return 0;
	if (!json_is_array(options))
		return diag_set(diag, -EINVAL, "\"exec-opts\" is not a list");
	/* The engine takes the first. */
	json_array_foreach(options, i, option)
	{
		if (!json_is_string(option))
			return diag_set(diag, -EINVAL, "\"exec-opts\" holds what is no text");
		if (read_driver(json_string_value(option), &file->driver))
			return 0;
	}
	return 0;
}

static int read_parent(json_t *parent, struct cgroup_daemon_json *file, struct diag *diag)
{
	if (!parent || json_is_null(parent))
		return 0;
	if (!json_is_string(parent))
		return diag_set(diag, -EINVAL, "\"cgroup-parent\" is not a text");
	if (json_string_length(parent) >= sizeof(file->parent))
		return diag_set(diag, -EINVAL, "\"cgroup-parent\" is longer than %zu bytes",
				sizeof(file->parent) - 1);
	strcpy(file->parent, json_string_value(parent));
	return 0;
}

int cgroup_parse_daemon_json(const char *json, size_t len, struct cgroup_daemon_json *ret_file,
			     struct diag *diag)
{
	struct cgroup_daemon_json file = { .driver = CGROUP_DRIVER_AUTO };
	json_auto_t *root = NULL;
	json_error_t error;
	int r;

	trim(&json, &len);
	if (len == 0) {
		*ret_file = file;
		return 0;
	}
	root = docker_json_parse(json, len, 0, &error);
	if (!root && errno == ENOMEM)
		return diag_set(diag, -ENOMEM, "out of memory");
	if (!root)
		return diag_set(diag, -EINVAL, "line %d: %s", error.line, error.text);
	if (!json_is_object(root))
		return diag_set(diag, -EINVAL, "not an object");
	r = read_options(json_object_get(root, "exec-opts"), &file, diag);
	if (r >= 0)
		r = read_parent(json_object_get(root, "cgroup-parent"), &file, diag);
	if (r < 0)
		return r;
	*ret_file = file;
	return 0;
}

/* @parent as the engine would use it with @driver. */
static int resolve(enum cgroup_driver driver, const char *parent, char *ret_path, size_t size)
{
	char path[CGROUP_PATH_MAX];
	int r;

	if (driver == CGROUP_DRIVER_SYSTEMD)
		r = cgroup_slice_path(parent, path, sizeof(path));
	else
		r = cgroup_path_normalize(parent, path, sizeof(path));
	if (r < 0)
		return r;
	if (path[0] == '\0' || strlen(path) >= size)
		return path[0] ? -ENAMETOOLONG : -EINVAL;
	strcpy(ret_path, path);
	return 0;
}

static const char *form_of(enum cgroup_driver driver)
{
	return driver == CGROUP_DRIVER_SYSTEMD ? "with the systemd driver it is the name of a "
						 "slice, such as jobs.slice"
					       : "with the cgroupfs driver it is a path below the "
						 "root, such as /docker";
}

static int choose_configured(const struct config *config, struct cgroup_choice *choice,
			     struct diag *diag)
{
	char safe[CGROUP_PATH_MAX];
	int r = resolve(choice->driver, config->cgroup_parent, choice->parent,
			sizeof(choice->parent));

	if (r >= 0)
		return 0;
	return diag_set(diag, -EINVAL, "cgroup parent \"%s\" cannot be: %s",
			text_safe(config->cgroup_parent, safe, sizeof(safe)),
			form_of(choice->driver));
}

/* Returns whether the engine's file settles it. */
static bool choose_from_file(const struct cgroup_daemon_json *file, struct cgroup_choice *choice,
			     struct diag *diag)
{
	char safe[CGROUP_PATH_MAX];

	if (file->parent[0] == '\0')
		return false;
	text_safe(file->parent, safe, sizeof(safe));
	if (resolve(choice->driver, file->parent, choice->parent, sizeof(choice->parent)) < 0) {
		diag_set(diag, 0, "cgroup-parent \"%s\" of daemon.json is passed over: %s", safe,
			 form_of(choice->driver));
		return false;
	}
	if (choice->driver == CGROUP_DRIVER_CGROUPFS && file->parent[0] != '/')
		diag_set(diag, 0,
			 "cgroup-parent \"%s\" of daemon.json has no leading slash: the engine "
			 "puts it below its own cgroup, jobfence takes it as /%s; set "
			 "[cgroup] parent in jobfence.conf to where it is",
			 safe, safe);
	return true;
}

/* systemd's own slices, where services, sessions and machines live. */
static bool is_shared(const char *parent)
{
	static const char *const slices[] = { "system.slice", "user.slice", "machine.slice" };

	for (size_t i = 0; i < ARRAY_SIZE(slices); i++)
		if (strcmp(parent, slices[i]) == 0)
			return true;
	return false;
}

int cgroup_choose(const struct config *config, const struct cgroup_daemon_json *file, bool systemd,
		  struct cgroup_choice *ret_choice, struct diag *diag)
{
	struct cgroup_choice choice = { .driver = config->cgroup_driver };
	int r;

	if (choice.driver == CGROUP_DRIVER_AUTO)
		choice.driver = file->driver;
	if (choice.driver == CGROUP_DRIVER_AUTO)
		choice.driver = systemd ? CGROUP_DRIVER_SYSTEMD : CGROUP_DRIVER_CGROUPFS;
	if (config->cgroup_parent[0]) {
		r = choose_configured(config, &choice, diag);
		if (r < 0)
			return r;
	} else if (!choose_from_file(file, &choice, diag)) {
		strcpy(choice.parent,
		       choice.driver == CGROUP_DRIVER_SYSTEMD ? "system.slice" : "docker");
	}
	choice.shared = is_shared(choice.parent);
	*ret_choice = choice;
	return 0;
}
