/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One element as nft text, the same for the text twins, the log and `verify`. A range prints as nft
 * prints it: one value, a prefix where it is one, else both ends. Never makes text safe: names in
 * keys are those of devices, and whoever shows them to a person does that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "jobfence/addr.h"
#include "jobfence/ruleset.h"

struct cgroup_names {
	cgroup_path_fn path;
	void *data;
};

static void cgroup_text(uint64_t id, char *text, size_t size, const struct cgroup_names *names)
{
	const char *path = names->path ? names->path(id, names->data) : NULL;

	if (path)
		snprintf(text, size, "\"%s\"", path);
	else
		snprintf(text, size, "cgroup %" PRIu64, id);
}

static void field_text(enum key_type type, const uint8_t *field, char *text, size_t size,
		       const struct cgroup_names *names)
{
	char addr[IP_ADDR_TEXT_MAX];
	uint64_t id;
	uint32_t number;

	switch (type) {
	case KEY_NONE:
		break;
	case KEY_IFNAME:
		snprintf(text, size, "\"%.*s\"", IFNAMSIZ - 1, (const char *)field);
		break;
	case KEY_IPV4:
		snprintf(text, size, "%s", inet_ntop(AF_INET, field, addr, sizeof(addr)));
		break;
	case KEY_IPV6:
		snprintf(text, size, "%s", inet_ntop(AF_INET6, field, addr, sizeof(addr)));
		break;
	case KEY_ETHER:
		snprintf(text, size, "%02x:%02x:%02x:%02x:%02x:%02x", field[0], field[1], field[2],
			 field[3], field[4], field[5]);
		break;
	case KEY_INET_PROTO:
		snprintf(text, size, "%u", field[0]);
		break;
	case KEY_INET_SERVICE:
		snprintf(text, size, "%u", (unsigned)field[0] << 8 | field[1]);
		break;
	case KEY_MARK:
		memcpy(&number, field, sizeof(number));
		snprintf(text, size, "0x%08" PRIx32, number);
		break;
	case KEY_CGROUP:
		memcpy(&id, field, sizeof(id));
		cgroup_text(id, text, size, names);
		break;
	case KEY_IFINDEX:
		memcpy(&number, field, sizeof(number));
		snprintf(text, size, "%" PRIu32, number);
		break;
	}
}

/* The prefix length of the addresses from @first to @last; -1 if they are none. */
static int prefix_length(const uint8_t *first, const uint8_t *last, uint32_t bytes)
{
	uint32_t same = 0;

	while (same < bytes * 8 && !((first[same / 8] ^ last[same / 8]) & 0x80 >> same % 8))
		same++;
	for (uint32_t i = same; i < bytes * 8; i++)
		if (first[i / 8] & 0x80 >> i % 8 || !(last[i / 8] & 0x80 >> i % 8))
			return -1;
	return (int)same;
}

static void range_text(enum key_type type, const uint8_t *first, const uint8_t *last, char *text,
		       size_t size, const struct cgroup_names *names)
{
	uint32_t len = key_type_len(type);
	size_t used;
	int prefix;

	field_text(type, first, text, size, names);
	if (memcmp(first, last, len) == 0)
		return;
	used = strlen(text);
	prefix = type == KEY_IPV4 || type == KEY_IPV6 ? prefix_length(first, last, len) : -1;
	if (prefix >= 0) {
		snprintf(text + used, size - used, "/%d", prefix);
		return;
	}
	snprintf(text + used, size - used, "-");
	field_text(type, last, text + used + 1, size - used - 1, names);
}

int elem_text(enum set_id set, const struct elem *elem, char *buffer, size_t size,
	      cgroup_path_fn cgroup_path, void *data)
{
	const struct set_spec *spec = set_spec(set);
	struct cgroup_names names = { cgroup_path, data };
	size_t used = 0;
	uint32_t offset = 0;

	for (size_t i = 0; i < SET_FIELDS_MAX && spec->key[i] != KEY_NONE; i++) {
		char text[300];
		int n;

		if (spec->interval)
			range_text(spec->key[i], elem->key + offset,
				   elem_extra(elem)->last + offset, text, sizeof(text), &names);
		else
			field_text(spec->key[i], elem->key + offset, text, sizeof(text), &names);
		n = snprintf(buffer + used, size - used, "%s%s", i ? " . " : "", text);
		if (n < 0 || (size_t)n >= size - used)
			return -ENOSPC;
		used += (size_t)n;
		offset += (key_type_len(spec->key[i]) + 3) & ~3u;
	}
	return 0;
}

const char *family_name(enum family family)
{
	return family == FAMILY_INET ? "inet" : family == FAMILY_BRIDGE ? "bridge" : "netdev";
}
