/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of sets: name, key, purpose. A set is declared once, here; the rules, the text twins,
 * the kernel writer and the reader all follow this table. What comes and goes with containers has
 * exact keys; intervals are for what the configuration and the host's own networks say.
 */
#include "jobfence/ruleset.h"

#define INTERVAL(name_) .name = (name_), .next = name_ ".next", .interval = true

static const struct set_spec specs[SET_MAX] = {
	[SET_GUARDED_BRIDGES] = { .id = SET_GUARDED_BRIDGES,
				  .name = "guarded_bridges",
				  .base = true,
				  .key = { KEY_IFNAME },
				  .why = "bridges of Docker: whatever is on them is a job until it "
					 "is known" },
	[SET_SPARED_BRIDGES] = { .id = SET_SPARED_BRIDGES,
				 .name = "spared_bridges",
				 .key = { KEY_IFNAME },
				 .why = "bridges named br-* that are not Docker's" },
	[SET_SPARED_VETHS] = { .id = SET_SPARED_VETHS,
			       .name = "spared_veths",
			       .key = { KEY_IFNAME },
			       .why = "veths that are no port of a guarded bridge" },
	[SET_HOST_APIS] = { .id = SET_HOST_APIS,
			    .name = "host_apis",
			    .base = true,
			    .key = { KEY_INET_SERVICE },
			    .why = "the shim and the DCGM exporter: no authentication, root on the "
				   "host" },
	[SET_OWN_APIS] = { .id = SET_OWN_APIS,
			   .name = "own_apis",
			   .base = true,
			   .key = { KEY_INET_SERVICE },
			   .why = "a job's runner and sshd: its own only" },
	[SET_RESERVED_APIS] = { .id = SET_RESERVED_APIS,
				.name = "reserved_apis",
				.base = true,
				.key = { KEY_INET_SERVICE },
				.why = "host_apis and own_apis" },
	[SET_GUARDED_LISTENERS] = { .id = SET_GUARDED_LISTENERS,
				    .name = "guarded_listeners",
				    .base = true,
				    .key = { KEY_INET_PROTO, KEY_INET_SERVICE },
				    .why = "services of this host: no container answers in their "
					   "place" },
	[SET_FENCED_PORTS] = { .id = SET_FENCED_PORTS,
			       .name = "fenced_ports",
			       .base = true,
			       .key = { KEY_INET_PROTO, KEY_INET_SERVICE },
			       .why = "more ports of this host that are closed to host jobs" },
	[SET_CONTAINER_SLICES] = { .id = SET_CONTAINER_SLICES,
				   .name = "container_slices",
				   .base = true,
				   .key = { KEY_CGROUP },
				   .why = "the cgroup that holds every container" },
	[SET_HOST_SERVICES] = { .id = SET_HOST_SERVICES,
				.name = "host_services",
				.key = { KEY_CGROUP },
				.why = "systemd driver: children of that cgroup that are not "
				       "containers" },
	[SET_ENGINE_CGROUPS] = { .id = SET_ENGINE_CGROUPS,
				 .name = "engine_cgroups",
				 .key = { KEY_CGROUP },
				 .why = "dockerd and docker-proxy: what they listen on is "
					"published for containers" },
	[SET_BYSTANDER_CGROUPS] = { .id = SET_BYSTANDER_CGROUPS,
				    .name = "bystander_cgroups",
				    .timed = true,
				    .key = { KEY_CGROUP },
				    .why = "containers on the host network that are not jobs" },
	[SET_QUARANTINED_CGROUPS] = { .id = SET_QUARANTINED_CGROUPS,
				      .name = "quarantined_cgroups",
				      .key = { KEY_CGROUP },
				      .why = "jobs on the host network where the mode forbids it" },
	[SET_FOREIGN_ROOTS] = { .id = SET_FOREIGN_ROOTS,
				.name = "foreign_roots",
				.key = { KEY_CGROUP },
				.why = "what foreign_cgroups are below of, at level 1" },
	[SET_FOREIGN_CGROUPS] = { .id = SET_FOREIGN_CGROUPS,
				  .name = "foreign_cgroups",
				  .key = { KEY_CGROUP },
				  .why = "jobs on the host network with a cgroup parent of their "
					 "own: quarantined" },
	[SET_FENCED_CGROUPS] = { .id = SET_FENCED_CGROUPS,
				 .name = "fenced_cgroups",
				 .key = { KEY_CGROUP },
				 .why = "mode 3: jobs that on_violation = fence lets run" },
	[SET_HOST_JOBS] = { .id = SET_HOST_JOBS,
			    .name = "host_jobs",
			    .key = { KEY_CGROUP },
			    .counter = true,
			    .why = "jobs on the host network, and what was stopped of each" },
	[SET_JOB_TAGS] = { .id = SET_JOB_TAGS,
			   .name = "job_tags",
			   .key = { KEY_CGROUP },
			   .data = KEY_MARK,
			   .why = "host job to the tag that its connections to own_apis carry" },
	[SET_OWN] = { .id = SET_OWN,
		      .name = "own",
		      .key = { KEY_MARK, KEY_CGROUP },
		      .why = "tag and cgroup of the same host job" },
	[SET_BYSTANDERS4] = { .id = SET_BYSTANDERS4,
			      .name = "bystanders4",
			      .timed = true,
			      .key = { KEY_IPV4 },
			      .why = "bystanders on guarded bridges" },
	[SET_BYSTANDERS6] = { .id = SET_BYSTANDERS6,
			      .name = "bystanders6",
			      .timed = true,
			      .key = { KEY_IPV6 },
			      .why = "the same, IPv6" },
	[SET_JOBS4] = { .id = SET_JOBS4,
			.name = "jobs4",
			.key = { KEY_IFNAME, KEY_IPV4 },
			.counter = true,
			.why = "jobs on bridges, and what was stopped of each" },
	[SET_JOBS6] = { .id = SET_JOBS6,
			.name = "jobs6",
			.key = { KEY_IFNAME, KEY_IPV6 },
			.counter = true,
			.why = "the same, IPv6" },
	[SET_QUARANTINED4] = { .id = SET_QUARANTINED4,
			       .name = "quarantined4",
			       .key = { KEY_IFNAME, KEY_IPV4 },
			       .why = "jobs on bridges that originate nothing" },
	[SET_QUARANTINED6] = { .id = SET_QUARANTINED6,
			       .name = "quarantined6",
			       .key = { KEY_IFNAME, KEY_IPV6 },
			       .why = "the same, IPv6" },
	[SET_PUBLISHED4] = { .id = SET_PUBLISHED4,
			     .name = "published4",
			     .key = { KEY_INET_PROTO, KEY_IPV4, KEY_INET_SERVICE },
			     .why = "ports that Docker published for jobs, on one address" },
	[SET_PUBLISHED6] = { .id = SET_PUBLISHED6,
			     .name = "published6",
			     .key = { KEY_INET_PROTO, KEY_IPV6, KEY_INET_SERVICE },
			     .why = "the same, IPv6; ::1 beside 127.0.0.1, since clients dial "
				    "localhost" },
	[SET_PUBLISHED_ANY] = { .id = SET_PUBLISHED_ANY,
				.name = "published_any",
				.key = { KEY_INET_PROTO, KEY_INET_SERVICE },
				.why = "the same, on every address" },
	[SET_BYSTANDER_PUBLISHED] = { .id = SET_BYSTANDER_PUBLISHED,
				      .name = "bystander_published",
				      .key = { KEY_INET_PROTO, KEY_INET_SERVICE },
				      .why = "ports published for bystanders: open as before" },
	[SET_GUARDED_LINKS] = { .id = SET_GUARDED_LINKS,
				.name = "guarded_links",
				.key = { KEY_IFINDEX },
				.why = "guarded_bridges, as a route names them" },
	[SET_DENY4] = { .id = SET_DENY4,
			INTERVAL("deny4"),
			.key = { KEY_IPV4 },
			.why = "networks that the operator denies" },
	[SET_DENY6] = { .id = SET_DENY6,
			INTERVAL("deny6"),
			.key = { KEY_IPV6 },
			.why = "the same, IPv6, and those of deny4 by NAT64" },
	[SET_DENY_PORTS4] = { .id = SET_DENY_PORTS4,
			      INTERVAL("deny_ports4"),
			      .key = { KEY_IPV4, KEY_INET_PROTO, KEY_INET_SERVICE },
			      .why = "ports that the operator denies" },
	[SET_DENY_PORTS6] = { .id = SET_DENY_PORTS6,
			      INTERVAL("deny_ports6"),
			      .key = { KEY_IPV6, KEY_INET_PROTO, KEY_INET_SERVICE },
			      .why = "the same, IPv6, and those of deny_ports4 by NAT64" },
	[SET_SERVICES4] = { .id = SET_SERVICES4,
			    .name = "services4",
			    .key = { KEY_IPV4, KEY_INET_PROTO, KEY_INET_SERVICE },
			    .why = "resolvers and proxies: open to jobs wherever they are" },
	[SET_SERVICES6] = { .id = SET_SERVICES6,
			    .name = "services6",
			    .key = { KEY_IPV6, KEY_INET_PROTO, KEY_INET_SERVICE },
			    .why = "the same, IPv6" },
	[SET_METADATA4] = { .id = SET_METADATA4,
			    .name = "metadata4",
			    .key = { KEY_IPV4 },
			    .why = "what clouds tell an instance about itself, its keys included" },
	[SET_METADATA6] = { .id = SET_METADATA6,
			    .name = "metadata6",
			    .key = { KEY_IPV6 },
			    .why = "the same, IPv6, and those of metadata4 by NAT64" },
	[SET_ALLOW4] = { .id = SET_ALLOW4,
			 INTERVAL("allow4"),
			 .key = { KEY_IPV4 },
			 .why = "networks that the operator opens to jobs" },
	[SET_ALLOW6] = { .id = SET_ALLOW6,
			 INTERVAL("allow6"),
			 .key = { KEY_IPV6 },
			 .why = "the same, IPv6" },
	[SET_ALLOW_PORTS4] = { .id = SET_ALLOW_PORTS4,
			       INTERVAL("allow_ports4"),
			       .key = { KEY_IPV4, KEY_INET_PROTO, KEY_INET_SERVICE },
			       .why = "ports that the operator opens to jobs" },
	[SET_ALLOW_PORTS6] = { .id = SET_ALLOW_PORTS6,
			       INTERVAL("allow_ports6"),
			       .key = { KEY_IPV6, KEY_INET_PROTO, KEY_INET_SERVICE },
			       .why = "the same, IPv6" },
	[SET_PEERS4] = { .id = SET_PEERS4,
			 INTERVAL("peers4"),
			 .key = { KEY_IPV4 },
			 .why = "the cluster's hosts: open to host jobs" },
	[SET_PEERS6] = { .id = SET_PEERS6,
			 INTERVAL("peers6"),
			 .key = { KEY_IPV6 },
			 .why = "the same, IPv6" },
	[SET_INTERNAL4] = { .id = SET_INTERNAL4,
			    INTERVAL("internal4"),
			    .key = { KEY_IPV4 },
			    .why = "all that is not the internet, and what the host is attached "
				   "to" },
	[SET_INTERNAL6] = { .id = SET_INTERNAL6,
			    INTERVAL("internal6"),
			    .key = { KEY_IPV6 },
			    .why = "the same, IPv6, and internal4 by NAT64" },
	[SET_BRIDGE_GUARDED] = { .id = SET_BRIDGE_GUARDED,
				 .family = FAMILY_BRIDGE,
				 .name = "guarded_bridges",
				 .base = true,
				 .key = { KEY_IFNAME },
				 .why = "as in table inet" },
	[SET_BRIDGE_SPARED] = { .id = SET_BRIDGE_SPARED,
				.family = FAMILY_BRIDGE,
				.name = "spared_bridges",
				.key = { KEY_IFNAME },
				.why = "as in table inet" },
	[SET_FOREIGN_PORTS] = { .id = SET_FOREIGN_PORTS,
				.family = FAMILY_BRIDGE,
				.name = "foreign_ports",
				.key = { KEY_IFNAME },
				.why = "kernels without ibrname: ports of bridges that are not "
				       "Docker's" },
	[SET_BYSTANDER_PORTS] = { .id = SET_BYSTANDER_PORTS,
				  .family = FAMILY_BRIDGE,
				  .name = "bystander_ports",
				  .timed = true,
				  .key = { KEY_IFNAME },
				  .why = "ports of bystanders: a port is an identity that nobody "
					 "can borrow" },
	[SET_JOB_PORTS] = { .id = SET_JOB_PORTS,
			    .family = FAMILY_BRIDGE,
			    .name = "job_ports",
			    .key = { KEY_IFNAME },
			    .counter = true,
			    .why = "ports of jobs, and what was stopped between ports" },
	[SET_JOB_BINDINGS4] = { .id = SET_JOB_BINDINGS4,
				.family = FAMILY_BRIDGE,
				.name = "job_bindings4",
				.key = { KEY_IFNAME, KEY_ETHER, KEY_IPV4 },
				.why = "what a job's port may send as" },
	[SET_JOB_BINDINGS6] = { .id = SET_JOB_BINDINGS6,
				.family = FAMILY_BRIDGE,
				.name = "job_bindings6",
				.key = { KEY_IFNAME, KEY_ETHER, KEY_IPV6 },
				.why = "the same, IPv6" },
	[SET_PORT_MACS] = { .id = SET_PORT_MACS,
			    .family = FAMILY_BRIDGE,
			    .name = "port_macs",
			    .key = { KEY_IFNAME, KEY_ETHER },
			    .why = "the MAC behind each port that is known" },
	[SET_BOUND_MACS] = { .id = SET_BOUND_MACS,
			     .family = FAMILY_BRIDGE,
			     .name = "bound_macs",
			     .key = { KEY_ETHER },
			     .why = "MACs with an owner, the bridges' too: no unknown port may "
				    "borrow one" },
	[SET_BOUND4] = { .id = SET_BOUND4,
			 .family = FAMILY_BRIDGE,
			 .name = "bound4",
			 .key = { KEY_IPV4 },
			 .why = "addresses with an owner" },
	[SET_BOUND6] = { .id = SET_BOUND6,
			 .family = FAMILY_BRIDGE,
			 .name = "bound6",
			 .key = { KEY_IPV6 },
			 .why = "the same, IPv6" },
	[SET_EGRESS_BYSTANDERS] = { .id = SET_EGRESS_BYSTANDERS,
				    .family = FAMILY_NETDEV,
				    .name = "bystander_ports",
				    .timed = true,
				    .key = { KEY_IFNAME },
				    .why = "as in table bridge" },
	[SET_BRIDGE_MACS] = { .id = SET_BRIDGE_MACS,
			      .family = FAMILY_NETDEV,
			      .name = "bridge_macs",
			      .key = { KEY_ETHER },
			      .why = "of guarded bridges" },
	[SET_EGRESS_PORTS] = { .id = SET_EGRESS_PORTS,
			       .family = FAMILY_NETDEV,
			       .name = "ports",
			       .key = { KEY_IFNAME },
			       .chains = true,
			       .why = "ports of guarded bridges" },
};

const struct set_spec *set_spec(enum set_id id)
{
	return &specs[id];
}

uint32_t key_type_len(enum key_type type)
{
	switch (type) {
	case KEY_NONE:
		return 0;
	case KEY_IFNAME:
		return IFNAMSIZ;
	case KEY_IPV4:
	case KEY_MARK:
	case KEY_IFINDEX:
		return 4;
	case KEY_IPV6:
		return 16;
	case KEY_ETHER:
		return 6;
	case KEY_INET_PROTO:
		return 1;
	case KEY_INET_SERVICE:
		return 2;
	case KEY_CGROUP:
		return 8;
	}
	return 0;
}

const char *key_type_name(enum key_type type)
{
	switch (type) {
	case KEY_NONE:
		return "";
	case KEY_IFNAME:
		return "ifname";
	case KEY_IPV4:
		return "ipv4_addr";
	case KEY_MARK:
		return "mark";
	case KEY_IPV6:
		return "ipv6_addr";
	case KEY_ETHER:
		return "ether_addr";
	case KEY_INET_PROTO:
		return "inet_proto";
	case KEY_INET_SERVICE:
		return "inet_service";
	case KEY_CGROUP:
		return "cgroupsv2";
	case KEY_IFINDEX:
		return "iface_index";
	}
	return "";
}

uint32_t set_key_len(const struct set_spec *spec)
{
	uint32_t len = 0;

	if (spec->key[1] == KEY_NONE)
		return key_type_len(spec->key[0]);
	for (size_t i = 0; i < SET_FIELDS_MAX && spec->key[i] != KEY_NONE; i++)
		len += (key_type_len(spec->key[i]) + 3) & ~3u;
	return len;
}
