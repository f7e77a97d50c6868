/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the docker_json*.c files share: loading of one bounded JSON text, and reading of an
 * object's fields by a table that says what must be there and of which type.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "jobfence/container.h"
#include "jobfence/diag.h"

#define JSON_NESTING_MAX 64
#define JSON_LIST_MAX 65536 /* containers or networks in one answer */
#define JSON_ENDPOINTS_MAX 64
#define JSON_PORTS_MAX 256
#define JSON_DNS_MAX 32
#define JSON_TEXT_MAX 4095   /* of a path, name or label that is kept */
#define JSON_LABELS_MAX 4096 /* bytes of all labels that are kept of one container */
/* The same of their text, where an escape of six may be one byte. */
#define JSON_LABELS_RAW_MAX (6 * JSON_LABELS_MAX)
#define JSON_LABELS_CUT "" /* a label of this name: others were taken out */

enum json_field_kind {
	FIELD_STRING,
	FIELD_INTEGER,
	FIELD_BOOLEAN,
	FIELD_OBJECT,
	FIELD_ARRAY,
};

struct json_field {
	const char *key;
	enum json_field_kind kind;
	bool mandatory;
	union { /* borrowed from the object */
		const char **string;
		int64_t *integer;
		bool *boolean;
		json_t **json;
	};
};

#define MANDATORY true
#define OPTIONAL false
/* clang-format off */
#define STRING_FIELD(key, need, target) { key, FIELD_STRING, need, { .string = (target) } }
#define INTEGER_FIELD(key, need, target) { key, FIELD_INTEGER, need, { .integer = (target) } }
#define BOOLEAN_FIELD(key, need, target) { key, FIELD_BOOLEAN, need, { .boolean = (target) } }
#define OBJECT_FIELD(key, need, target) { key, FIELD_OBJECT, need, { .json = (target) } }
#define ARRAY_FIELD(key, need, target) { key, FIELD_ARRAY, need, { .json = (target) } }
/* clang-format on */

/*
 * Reads @fields of @object. An optional field that is absent or null leaves its target as it is;
 * a mandatory one that is, or any of another type, is -EINVAL. @where names the object.
 */
int docker_json_read(const json_t *object, const char *where, const struct json_field *fields,
		     size_t fields_n, struct diag *diag);

/*
 * json_loadb(), but for its answer to a lack of memory: it leaves a character out of a string, "is-tas",
 * and goes on. Returns NULL with errno ENOMEM, or with EINVAL and *ret_error.
 */
json_t *docker_json_parse(const char *json, size_t len, size_t flags, json_error_t *ret_error);

/* One whole text whose outermost value is of @type. Returns 0, -EINVAL or -ENOMEM. */
int docker_json_load(const char *json, size_t len, json_type type, const char *where,
		     json_t **ret_root, struct diag *diag);

/* The items of a list: @read fills one zeroed record of @size bytes and may leave what @done frees,
 * also when it fails. */
struct json_list {
	const char *where;
	size_t size;
	int (*read)(const json_t *item, void *record, struct diag *diag);
	void (*done)(void *record);
};

/* A text that is a list of at most JSON_LIST_MAX items. Returns 0, with an array that is the
 * caller's to free; -EINVAL or -ENOMEM. */
int docker_json_list(const char *json, size_t len, const struct json_list *list, void **ret_records,
		     size_t *ret_n, struct diag *diag);

/* Copies at most JSON_TEXT_MAX bytes over *ret_copy (freeing what was there); NULL and "" give
 * NULL. Returns 0 or -ENOMEM. */
int docker_json_keep(const char *text, char **ret_copy);

bool docker_json_is_container_id(const char *text); /* 64 hex digits */
bool docker_json_is_network_id(const char *text);   /* 1 to 64 letters or digits (swarm: 25) */

/* "", "10.0.0.1", "10.0.0.1/24": as an address; "" and NULL give an unset one. */
int docker_json_address(const char *text, const char *where, struct ip_addr *ret_addr,
			struct diag *diag);
int docker_json_mac(const char *text, const char *where, struct mac_addr *ret_mac,
		    struct diag *diag);

/* The facts of an inspect answer that may void the guarantee: hazards and hazard_text. */
int docker_json_hazards(const json_t *mounts, const json_t *host_config,
			struct container *container, struct diag *diag);
