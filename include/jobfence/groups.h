/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The groups of rules that are enforced or audited together. A group is known by its counters:
 * every counter belongs to one, and so does every rule that counts and denies.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum rule_group {
	GROUP_EGRESS,     /* bridge and host jobs to internal networks and metadata */
	GROUP_NEIGHBOURS, /* between containers */
	GROUP_HOST,       /* bridge job to the host */
	GROUP_SPOOFING,   /* forged frames and packets, of whatever kind */
	GROUP_HOST_APIS,  /* shim, exporter, guarded and fenced ports */
	GROUP_PUBLISHED,  /* ports that Docker published for jobs */
	GROUP_RUNNERS,    /* runner and sshd of host jobs */
	GROUP_QUARANTINE, /* jobs on the host network where the mode forbids it */
	GROUP_MAX,
};

#define GROUP_BIT(group) (UINT32_C(1) << (group))
#define GROUPS_ALL (GROUP_BIT(GROUP_MAX) - 1)

/* "egress", … as in [enforce]. */
const char *rule_group_name(enum rule_group group);

/* The group of a counter; GROUP_MAX for one that no group has: such a rule is always enforced. */
enum rule_group rule_group_of(const char *counter);

/* The groups of @mask as words, comma separated. Returns @buffer. */
const char *rule_groups_text(uint32_t mask, char *buffer, size_t size);
