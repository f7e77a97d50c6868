/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Engine API's answers as facts: the small ones (version, info, events), and what all of them
 * share. The text is untrusted even where the engine is honest: an image's author chooses labels,
 * and dockerd hands them on. So nesting is measured before the recursive parser runs, and an
 * escaped NUL, legal in JSON, is defused: jansson refuses a whole text for a NUL in one key, and
 * one label must never hide a host's containers.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "docker_json-internal.h"
#include "jobfence/cleanup.h"
#include "jobfence/docker_json.h"
#include "jobfence/text.h"

struct scan {
	size_t depth_max;
	size_t escaped_nuls;
};

/* Walks the text once; where @defused is given, turns each \u0000 of that copy into \ufffd. */
static void scan_text(const char *json, size_t len, char *defused, struct scan *ret_scan)
{
	struct scan scan = { 0 };
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		char c = json[i];

		if (c == '"') {
			quoted = !quoted;
		} else if (quoted && c == '\\') {
			if (len - i >= 6 && !memcmp(json + i, "\\u0000", 6)) {
				scan.escaped_nuls++;
				if (defused)
					memcpy(defused + i, "\\ufffd", 6);
			}
			i++; /* the escaped byte: it may be a quote */
		} else if (!quoted && (c == '{' || c == '[')) {
			if (++depth > scan.depth_max)
				scan.depth_max = depth;
		} else if (!quoted && (c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	*ret_scan = scan;
}

static const char *type_name(json_type type)
{
	switch (type) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a fraction";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	case JSON_NULL:
		return "null";
	}
	return "unknown";
}

static bool out_of_memory;

static void *noting_malloc(size_t size)
{
	void *p = malloc(size);

	out_of_memory = out_of_memory || !p;
	return p;
}

json_t *docker_json_parse(const char *json, size_t len, size_t flags, json_error_t *ret_error)
{
	json_t *root;

	json_set_alloc_funcs(noting_malloc, free);
	out_of_memory = false;
	root = json_loadb(json, len, flags, ret_error);
	if (!out_of_memory) {
		errno = EINVAL;
		return root;
	}
	json_decref(root);
	errno = ENOMEM;
	return NULL;
}

static int parse_text(const char *json, size_t len, const char *where, json_t **ret_root,
		      struct diag *diag)
{
	json_error_t error;
	json_t *root = docker_json_parse(json, len, JSON_ALLOW_NUL, &error);

	if (root) {
		*ret_root = root;
		return 0;
	}
	if (errno == ENOMEM)
		return diag_set(diag, -ENOMEM, "%s: out of memory", where);
	return diag_set(diag, -EINVAL, "%s: not valid JSON at byte %d: %s", where, error.position,
			error.text);
}

int docker_json_load(const char *json, size_t len, json_type type, const char *where,
		     json_t **ret_root, struct diag *diag)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	_cleanup_free_ char *defused = NULL;
	struct scan scan;
	int r;

	if (!len)
		return diag_set(diag, -EINVAL, "%s: empty where %s belongs", where,
				type_name(type));
	scan_text(json, len, NULL, &scan);
	if (scan.depth_max > JSON_NESTING_MAX)
		return diag_set(diag, -EINVAL, "%s: nested %zu deep, more than %d", where,
				scan.depth_max, JSON_NESTING_MAX);
	if (scan.escaped_nuls) {
		defused = malloc(len);
		if (!defused)
			return diag_set(diag, -ENOMEM, "%s: out of memory", where);
		memcpy(defused, json, len);
		scan_text(json, len, defused, &scan);
		json = defused;
	}
	r = parse_text(json, len, where, &root, diag);
	if (r)
		return r;
	if (json_typeof(root) != type)
		return diag_set(diag, -EINVAL, "%s: %s where %s belongs", where,
				type_name(json_typeof(root)), type_name(type));
	*ret_root = take_ptr(root);
	return 0;
}

/* Returns false where the value is of another type. */
static bool read_value(const struct json_field *field, json_t *value)
{
	switch (field->kind) {
	case FIELD_STRING:
		if (!json_is_string(value))
			return false;
		*field->string = json_string_value(value);
		return true;
	case FIELD_INTEGER:
		if (!json_is_integer(value))
			return false;
		*field->integer = json_integer_value(value);
		return true;
	case FIELD_BOOLEAN:
		if (!json_is_boolean(value))
			return false;
		*field->boolean = json_is_true(value);
		return true;
	case FIELD_OBJECT:
		if (!json_is_object(value))
			return false;
		*field->json = value;
		return true;
	case FIELD_ARRAY:
		if (!json_is_array(value))
			return false;
		*field->json = value;
		return true;
	}
	return false;
}

int docker_json_read(const json_t *object, const char *where, const struct json_field *fields,
		     size_t fields_n, struct diag *diag)
{
	if (!json_is_object(object))
		return diag_set(diag, -EINVAL, "%s: not an object", where);
	for (size_t i = 0; i < fields_n; i++) {
		const struct json_field *field = &fields[i];
		json_t *value = json_object_get(object, field->key);

		if (!value || json_is_null(value)) {
			if (field->mandatory)
				return diag_set(diag, -EINVAL, "%s: \"%s\" is missing", where,
						field->key);
		} else if (!read_value(field, value)) {
			return diag_set(diag, -EINVAL, "%s: \"%s\" is %s, of the wrong type", where,
					field->key, type_name(json_typeof(value)));
		}
	}
	return 0;
}

int docker_json_list(const char *json, size_t len, const struct json_list *list, void **ret_records,
		     size_t *ret_n, struct diag *diag)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	size_t n, used = 0;
	char *records;
	int r = docker_json_load(json, len, JSON_ARRAY, list->where, &root, diag);

	if (r)
		return r;
	n = json_array_size(root);
	if (n > JSON_LIST_MAX)
		return diag_set(diag, -EINVAL, "%s: %zu entries, more than %d", list->where, n,
				JSON_LIST_MAX);
	records = calloc(n ? n : 1, list->size);
	if (!records)
		return diag_set(diag, -ENOMEM, "%s: out of memory", list->where);
	while (r == 0 && used < n) {
		r = list->read(json_array_get(root, used), records + used * list->size, diag);
		used++;
	}
	if (r == 0) {
		*ret_records = records;
		*ret_n = n;
		return 0;
	}
	for (size_t i = 0; i < used; i++)
		list->done(records + i * list->size);
	free(records);
	return r;
}

int docker_json_keep(const char *text, char **ret_copy)
{
	char *copy = NULL;

	if (text && *text) {
		copy = strndup(text, JSON_TEXT_MAX);
		if (!copy)
			return -ENOMEM;
	}
	free(*ret_copy);
	*ret_copy = copy;
	return 0;
}

bool docker_json_is_container_id(const char *text)
{
	return strlen(text) == CONTAINER_ID_LEN &&
	       strspn(text, "0123456789abcdef") == CONTAINER_ID_LEN;
}

bool docker_json_is_network_id(const char *text)
{
	size_t len = strlen(text);

	return len && len <= CONTAINER_ID_LEN &&
	       strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz") == len;
}

int docker_json_address(const char *text, const char *where, struct ip_addr *ret_addr,
			struct diag *diag)
{
	struct ip_addr addr = { 0 };
	char plain[IP_ADDR_TEXT_MAX + 1];
	size_t len = text ? strcspn(text, "/") : 0;

	if (len >= sizeof(plain))
		return diag_set(diag, -EINVAL, "%s: not an address: too long", where);
	if (text && *text) {
		memcpy(plain, text, len);
		plain[len] = '\0';
		if (ip_addr_parse(plain, &addr) < 0)
			return diag_set(diag, -EINVAL, "%s: not an address: %s", where, plain);
	}
	*ret_addr = addr;
	return 0;
}

int docker_json_mac(const char *text, const char *where, struct mac_addr *ret_mac,
		    struct diag *diag)
{
	struct mac_addr mac = { 0 };

	if (text && *text && mac_addr_parse(text, &mac) < 0)
		return diag_set(diag, -EINVAL, "%s: not a MAC address: %.32s", where, text);
	*ret_mac = mac;
	return 0;
}

/* "1.41": digits, a dot, digits. */
static bool is_api_version(const char *text)
{
	size_t major = strspn(text, "0123456789");
	size_t minor;

	if (!major || major > 4 || text[major] != '.')
		return false;
	minor = strspn(text + major + 1, "0123456789");
	return minor && minor <= 4 && !text[major + 1 + minor];
}

int docker_json_version(const char *json, size_t len, char ret_api[static 16],
			char ret_min_api[static 16], struct diag *diag)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	const char *api = NULL, *min_api = "1.12";
	const struct json_field fields[] = {
		STRING_FIELD("ApiVersion", MANDATORY, &api),
		STRING_FIELD("MinAPIVersion", OPTIONAL, &min_api),
	};
	int r;

	r = docker_json_load(json, len, JSON_OBJECT, "version", &root, diag);
	if (!r)
		r = docker_json_read(root, "version", fields, ARRAY_SIZE(fields), diag);
	if (r)
		return r;
	if (!is_api_version(api) || !is_api_version(min_api))
		return diag_set(diag, -EINVAL, "version: not an API version: \"%.16s\", \"%.16s\"",
				api, min_api);
	strcpy(ret_api, api); /* at most 9 characters, see is_api_version() */
	strcpy(ret_min_api, min_api);
	return 0;
}

bool docker_json_is_podman(const char *json, size_t len)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	const json_t *component;
	size_t i;

	if (docker_json_load(json, len, JSON_OBJECT, "version", &root, NULL) < 0)
		return false;
	json_array_foreach(json_object_get(root, "Components"), i, component)
	{
		const char *name = json_string_value(json_object_get(component, "Name"));

		if (name && strncmp(name, "Podman", 6) == 0)
			return true;
	}
	return false;
}

/* SecurityOptions: ["name=seccomp,profile=default", "name=rootless", …] */
static bool is_rootless(const json_t *options)
{
	const json_t *option;
	size_t i;

	json_array_foreach(options, i, option)
	{
		const char *text = json_string_value(option);

		if (text && (!strcmp(text, "name=rootless") || !strcmp(text, "rootless") ||
			     !strncmp(text, "name=rootless,", 14)))
			return true;
	}
	return false;
}

int docker_json_info(const char *json, size_t len, struct engine_info *ret_info, struct diag *diag)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	const char *version = "", *driver = "", *cgroup_version = "1";
	struct engine_info info = { 0 };
	json_t *options = NULL;
	const struct json_field fields[] = {
		STRING_FIELD("ServerVersion", MANDATORY, &version),
		STRING_FIELD("CgroupDriver", OPTIONAL, &driver),
		STRING_FIELD("CgroupVersion", OPTIONAL, &cgroup_version),
		BOOLEAN_FIELD("LiveRestoreEnabled", OPTIONAL, &info.live_restore),
		ARRAY_FIELD("SecurityOptions", OPTIONAL, &options),
	};
	int r;

	r = docker_json_load(json, len, JSON_OBJECT, "info", &root, diag);
	if (!r)
		r = docker_json_read(root, "info", fields, ARRAY_SIZE(fields), diag);
	if (r)
		return r;
	text_safe(version, info.version, sizeof(info.version));
	text_safe(driver, info.cgroup_driver, sizeof(info.cgroup_driver));
	text_safe(cgroup_version, info.cgroup_version, sizeof(info.cgroup_version));
	info.rootless = is_rootless(options);
	*ret_info = info;
	return 0;
}

static bool is_one_of(const char *text, const char *const *words, size_t words_n)
{
	for (size_t i = 0; i < words_n; i++)
		if (!strcmp(text, words[i]))
			return true;
	return false;
}

static void container_event(const char *action, const char *id, struct engine_event *event)
{
	static const char *const actions[] = { "create", "start",  "restart", "die",    "stop",
					       "rename", "update", "pause",   "unpause" };

	if (!docker_json_is_container_id(id))
		return;
	if (!strcmp(action, "destroy"))
		event->kind = ENGINE_EVENT_CONTAINER_GONE;
	else if (is_one_of(action, actions, ARRAY_SIZE(actions)))
		event->kind = ENGINE_EVENT_CONTAINER;
	else
		return;
	strcpy(event->container_id, id);
}

static void network_event(const char *action, const char *id, const char *container_id,
			  struct engine_event *event)
{
	static const char *const actions[] = { "create", "destroy", "remove", "update" };
	bool connect = !strcmp(action, "connect");

	if (!docker_json_is_network_id(id))
		return;
	if (is_one_of(action, actions, ARRAY_SIZE(actions))) {
		event->kind = ENGINE_EVENT_NETWORK;
	} else if (connect || !strcmp(action, "disconnect")) {
		if (!container_id || !docker_json_is_container_id(container_id))
			return;
		event->kind = connect ? ENGINE_EVENT_CONNECT : ENGINE_EVENT_DISCONNECT;
		strcpy(event->container_id, container_id);
	} else {
		return;
	}
	strcpy(event->network_id, id);
}

int docker_json_event(const char *json, size_t len, struct engine_event *ret_event,
		      struct diag *diag)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	const char *type = NULL, *action = NULL, *id = "";
	struct engine_event event = { .kind = ENGINE_EVENT_OTHER };
	json_t *actor = NULL, *attributes = NULL;
	const struct json_field fields[] = {
		STRING_FIELD("Type", MANDATORY, &type),
		STRING_FIELD("Action", MANDATORY, &action),
		OBJECT_FIELD("Actor", MANDATORY, &actor),
	};
	const struct json_field actor_fields[] = {
		STRING_FIELD("ID", OPTIONAL, &id),
		OBJECT_FIELD("Attributes", OPTIONAL, &attributes),
	};
	int r;

	r = docker_json_load(json, len, JSON_OBJECT, "event", &root, diag);
	if (!r)
		r = docker_json_read(root, "event", fields, ARRAY_SIZE(fields), diag);
	if (!r)
		r = docker_json_read(actor, "event actor", actor_fields, ARRAY_SIZE(actor_fields),
				     diag);
	if (r)
		return r;
	if (!strcmp(type, "container"))
		container_event(action, id, &event);
	else if (!strcmp(type, "network"))
		network_event(action, id,
			      json_string_value(json_object_get(attributes, "container")), &event);
	else if (!strcmp(type, "daemon") && !strcmp(action, "reload"))
		event.kind = ENGINE_EVENT_DAEMON;
	*ret_event = event;
	return 0;
}
