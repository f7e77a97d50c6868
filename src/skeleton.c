/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fixed part of the ruleset: chains and rules, put together from what the host is (cgroup
 * levels, kernel features) and what the mode is. No container ever adds a rule here. Every rule
 * carries its nft text in the comment above it; rulesets/ holds the same as text.
 *
 * All base chains have policy accept and say "drop" or "reject" themselves: a chain's policy counts
 * only after a transaction is over, a rule's verdict at once. An accept here ends jobfence's own
 * chain and nothing else; whatever the host's other rules deny stays denied.
 */
#include "skeleton-internal.h"

#include <string.h>

static const struct counter_spec counters[] = {
	{ FAMILY_INET, "spoofed", "packets of a bridge job whose source is not behind its bridge" },
	{ FAMILY_INET, "past_bridge", "packets from a port itself: no bridge saw them" },
	{ FAMILY_INET, "job_to_host", "bridge job to an address of the host" },
	{ FAMILY_INET, "job_to_bystander", "bridge job to a bystander" },
	{ FAMILY_INET, "to_job", "LAN, another bridge or a bystander to bridge job" },
	{ FAMILY_INET, "bridge_job_quarantined", "a quarantined job on a bridge to anything" },
	{ FAMILY_INET, "job_to_denied", "bridge job to what the operator denies" },
	{ FAMILY_INET, "job_to_metadata", "bridge job to the cloud's metadata" },
	{ FAMILY_INET, "job_to_internal", "bridge job to a network that is not the internet" },
	{ FAMILY_INET, "host_job_to_host_api", "host job to shim or DCGM exporter" },
	{ FAMILY_INET, "host_job_forged", "host job's raw packets made to look like replies" },
	{ FAMILY_INET, "host_job_to_published", "host job to a port published for another job" },
	{ FAMILY_INET, "host_job_to_bridge", "host job to a bridge job" },
	{ FAMILY_INET, "host_job_quarantined",
	  "a quarantined job on the host's network to anything" },
	{ FAMILY_INET, "host_job_to_metadata", "host job to the cloud's metadata" },
	{ FAMILY_INET, "host_job_to_internal",
	  "host = internet: host job to what is not the internet, or denied" },
	{ FAMILY_INET, "host_job_to_runner", "host job to another job's runner or sshd" },
	{ FAMILY_INET, "outside_to_host_api", "LAN to shim or DCGM exporter" },
	{ FAMILY_INET, "outside_to_runner", "LAN to a host job's runner" },
	{ FAMILY_INET, "outside_to_published", "LAN to a port published for a job" },
	{ FAMILY_INET, "shadow_listener", "host to a job that listens on a reserved port" },
	{ FAMILY_INET, "guarded_listener",
	  "container that answers in the place of a host's service" },
	{ FAMILY_INET, "host_job_to_fenced", "host job to a port that the configuration fences" },
	{ FAMILY_INET, "loopback_forged", "frames put on lo that no socket of the host sent" },
	{ FAMILY_INET, "to_quarantined", "anyone but the host to a quarantined job" },
	{ FAMILY_BRIDGE, "job_to_neighbour", "frames between ports of one bridge" },
	{ FAMILY_BRIDGE, "job_spoofed", "frames of a job with an address that is not its own" },
	{ FAMILY_BRIDGE, "unknown_spoofed",
	  "frames of a port that nobody named, with another's address or of no known protocol" },
	{ FAMILY_BRIDGE, "job_control",
	  "frames that rule a network: router advertisements, DHCP offers, multicast queries" },
	{ FAMILY_BRIDGE, "unheard",
	  "what containers say at their start before they have an address" },
	{ FAMILY_BRIDGE, "wrong_port", "frames of the host at a port that is not their owner's" },
	{ FAMILY_BRIDGE, "stale_bystander", "packets for a bystander whose address a job has now" },
	{ FAMILY_NETDEV, "injected", "frames for a bridge job that the host did not send" },
};

bool skeleton_has_family(const struct skeleton *skeleton, enum family family)
{
	return family != FAMILY_NETDEV || skeleton->params.egress;
}

bool skeleton_params_equal(const struct skeleton_params *a, const struct skeleton_params *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void skeleton_build(const struct skeleton_params *params, struct skeleton *ret_skeleton)
{
	ret_skeleton->params = *params;
	ret_skeleton->counters = counters;
	ret_skeleton->counters_n = ARRAY_SIZE(counters);
	/* the rest is not touched before its use */
	ret_skeleton->chains_n = ret_skeleton->rules_n = ret_skeleton->stmts_n = 0;
	skeleton_inet_loopback(ret_skeleton);
	skeleton_inet_bridges(ret_skeleton);
	skeleton_inet_egress(ret_skeleton);
	skeleton_inet_output(ret_skeleton);
	skeleton_inet_input(ret_skeleton);
	skeleton_bridge(ret_skeleton);
	skeleton_injected(ret_skeleton);
	skeleton_audit(ret_skeleton);
	skeleton_records(ret_skeleton);
}
