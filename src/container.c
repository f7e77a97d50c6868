/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Containers and networks as plain data: how they are released, and the one question that every
 * reader asks of a state. Pure; it must never judge (that is classify.c) and never keep a pointer
 * to what it released.
 */
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

void container_done(struct container *container)
{
	for (size_t i = 0; i < container->endpoints_n; i++)
		free(container->endpoints[i].network_name);
	free(container->endpoints);
	free(container->ports);
	free(container->dns);
	free(container->name);
	free(container->task_id);
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
