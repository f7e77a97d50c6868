/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Containers and networks as plain data: how they are released, who shares an identity, and the one
 * question that every reader asks of a state. Pure; it must never judge (that is classify.c) and never
 * keep a pointer to what it released.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "jobfence/cleanup.h"
#include "jobfence/container.h"

static const char *const state_names[] = {
	[CONTAINER_UNKNOWN] = "unknown",       [CONTAINER_CREATED] = "created",
	[CONTAINER_RUNNING] = "running",       [CONTAINER_PAUSED] = "paused",
	[CONTAINER_RESTARTING] = "restarting", [CONTAINER_REMOVING] = "removing",
	[CONTAINER_EXITED] = "exited",         [CONTAINER_DEAD] = "dead",
};

static struct identity *identity_new(const char *id, const char *name, const char *task_id)
{
	size_t name_len = strnlen(name, CONTAINER_NAME_MAX);
	size_t task_len = task_id ? strnlen(task_id, CONTAINER_TASK_MAX) : 0;
	struct identity *identity = calloc(1, sizeof(*identity) + name_len + task_len + 2);

	if (!identity)
		return NULL;
	identity->refs = 1;
	memcpy(identity->id, id, strnlen(id, CONTAINER_ID_LEN));
	memcpy(identity->name, name, name_len);
	if (task_len > 0) {
		identity->task_at = (uint32_t)name_len + 1;
		memcpy(identity->name + identity->task_at, task_id, task_len);
	}
	return identity;
}

const char *identity_task(const struct identity *identity)
{
	return identity->task_at ? identity->name + identity->task_at : NULL;
}

struct identity *identity_unref(struct identity *identity)
{
	if (identity && --identity->refs == 0)
		free(identity);
	return NULL;
}

int container_identify(struct container *container, const char *id, const char *name,
		       const char *task_id)
{
	struct identity *identity = identity_new(id, name, task_id);

	if (!identity)
		return -ENOMEM;
	identity_unref(container->identity);
	container->identity = identity;
	container->id = identity->id;
	container->name = identity->name;
	container->task_id = identity_task(identity);
	return 0;
}

struct identity *container_identity(const struct container *container)
{
	if (!container->identity)
		return identity_new(container->id ?: "", container->name ?: "", container->task_id);
	container->identity->refs++;
	return container->identity;
}

static unsigned int digit_value(char digit)
{
	return (unsigned int)(digit >= 'a' ? digit - 'a' + 10 : digit - '0') & 15;
}

void container_id_bytes(const char *id, uint8_t ret_bytes[static CONTAINER_ID_LEN / 2])
{
	for (size_t i = 0; i < CONTAINER_ID_LEN / 2; i++)
		ret_bytes[i] = (uint8_t)(digit_value(id[2 * i]) << 4 | digit_value(id[2 * i + 1]));
}

void container_id_text(const uint8_t *bytes, char ret_id[static CONTAINER_ID_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < CONTAINER_ID_LEN / 2; i++) {
		ret_id[2 * i] = digits[bytes[i] >> 4];
		ret_id[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_id[CONTAINER_ID_LEN] = '\0';
}

void container_done(struct container *container)
{
	for (size_t i = 0; i < container->endpoints_n; i++)
		free(container->endpoints[i].network_name);
	free(container->endpoints);
	free(container->ports);
	free(container->dns);
	identity_unref(container->identity);
	free(container->network_ref);
	free(container->sandbox_key);
	free(container->cgroup_parent);
	free(container->hazard_text);
	free(container->labels);
	memset(container, 0, sizeof(*container));
}

void network_done(struct network *network)
{
	free(network->endpoints);
	free(network->name);
	free(network->driver);
	memset(network, 0, sizeof(*network));
}

bool container_is_live(const struct container *container)
{
	switch (container->state) {
	case CONTAINER_CREATED:
	case CONTAINER_REMOVING:
	case CONTAINER_EXITED:
	case CONTAINER_DEAD:
		return false;
	case CONTAINER_UNKNOWN:
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
	case CONTAINER_RESTARTING:
		return true;
	}
	return true;
}

bool container_is_attached(const struct container *container)
{
	for (size_t i = 0; i < container->endpoints_n; i++)
		if (mac_addr_is_set(&container->endpoints[i].mac))
			return true;
	return false;
}

bool container_may_live(const struct container *container)
{
	if (container_is_live(container) || container->state == CONTAINER_CREATED)
		return true;
	return container->state == CONTAINER_EXITED && container->inspected &&
	       container_is_attached(container);
}

const char *container_state_name(enum container_state state)
{
	return (size_t)state < ARRAY_SIZE(state_names) ? state_names[state] : "unknown";
}
