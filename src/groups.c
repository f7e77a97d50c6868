/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which counter belongs to which group of rules: the one table that audit mode goes by. A counter
 * that is not in it stays enforced whatever the configuration says, and fails a unit test. Pure.
 */
#include "jobfence/groups.h"

#include <stdio.h>
#include <string.h>

#include "jobfence/cleanup.h"

static const char *const names[GROUP_MAX] = {
	[GROUP_EGRESS] = "egress",       [GROUP_NEIGHBOURS] = "neighbours",
	[GROUP_HOST] = "host",           [GROUP_SPOOFING] = "spoofing",
	[GROUP_HOST_APIS] = "host_apis", [GROUP_PUBLISHED] = "published",
	[GROUP_RUNNERS] = "runners",     [GROUP_QUARANTINE] = "quarantine",
};

static const struct {
	const char *counter;
	enum rule_group group;
} members[] = {
	{ "job_to_internal", GROUP_EGRESS },
	{ "job_to_metadata", GROUP_EGRESS },
	{ "job_to_denied", GROUP_EGRESS },
	{ "host_job_to_internal", GROUP_EGRESS },
	{ "host_job_to_metadata", GROUP_EGRESS },

	{ "job_to_neighbour", GROUP_NEIGHBOURS },
	{ "to_job", GROUP_NEIGHBOURS },
	{ "job_to_bystander", GROUP_NEIGHBOURS },
	{ "stale_bystander", GROUP_NEIGHBOURS },
	{ "host_job_to_bridge", GROUP_NEIGHBOURS },

	{ "job_to_host", GROUP_HOST },
	{ "past_bridge", GROUP_HOST },

	{ "spoofed", GROUP_SPOOFING },
	{ "job_spoofed", GROUP_SPOOFING },
	{ "unknown_spoofed", GROUP_SPOOFING },
	{ "job_control", GROUP_SPOOFING },
	{ "unheard", GROUP_SPOOFING },
	{ "wrong_port", GROUP_SPOOFING },
	{ "injected", GROUP_SPOOFING },
	{ "loopback_forged", GROUP_SPOOFING },
	{ "host_job_forged", GROUP_SPOOFING },

	{ "host_job_to_host_api", GROUP_HOST_APIS },
	{ "host_job_to_fenced", GROUP_HOST_APIS },
	{ "outside_to_host_api", GROUP_HOST_APIS },
	{ "shadow_listener", GROUP_HOST_APIS },
	{ "guarded_listener", GROUP_HOST_APIS },

	{ "host_job_to_published", GROUP_PUBLISHED },
	{ "outside_to_published", GROUP_PUBLISHED },

	{ "host_job_to_runner", GROUP_RUNNERS },
	{ "outside_to_runner", GROUP_RUNNERS },

	{ "host_job_quarantined", GROUP_QUARANTINE },
	{ "bridge_job_quarantined", GROUP_QUARANTINE },
	{ "to_quarantined", GROUP_QUARANTINE },
};

const char *rule_group_name(enum rule_group group)
{
	return group < GROUP_MAX ? names[group] : "none";
}

enum rule_group rule_group_of(const char *counter)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (strcmp(members[i].counter, counter) == 0)
			return members[i].group;
	return GROUP_MAX;
}

const char *rule_groups_text(uint32_t mask, char *buffer, size_t size)
{
	size_t used = 0;

	if (size > 0)
		buffer[0] = '\0';
	for (size_t group = 0; group < GROUP_MAX && used < size; group++)
		if (mask & GROUP_BIT(group))
			used += (size_t)snprintf(buffer + used, size - used, "%s%s",
						 used ? ", " : "", names[group]);
	return buffer;
}
