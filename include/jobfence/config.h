/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the operator configured, immutable once loaded. Every key is documented in
 * contrib/jobfence.conf; README names the common ones.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jobfence/addr.h"
#include "jobfence/diag.h"
#include "jobfence/groups.h"
#include "jobfence/mode.h"

#define CONFIG_PATH_DEFAULT "/etc/jobfence/jobfence.conf"
#define CONFIG_ENVIRONMENT_FILE_DEFAULT "/etc/default/jobfence"
#define CONFIG_SHIM_ENV_DEFAULT "/root/.dstack/shim.env"
#define CONFIG_DOCKER_DEFAULT "unix:///var/run/docker.sock"
#define CONFIG_BRIDGES_MAX 32
#define CONFIG_ENTRIES_MAX 256
#define CONFIG_ADDRESSES_MAX 32
#define CONFIG_PORT_RANGES_MAX 32
#define CONFIG_PORTS_MAX 1024 /* that all ranges of one key hold together */
#define CONFIG_OVERRIDES_MAX 32
#define CONFIG_PATTERN_MAX 40 /* bytes of a pattern for names */
#define CONFIG_LABEL_MAX 127
#define CONFIG_REMARKS_MAX 16

/* EX_CONFIG of sysexits.h: the exit code for a refused mode or configuration. */
#define EXIT_CONFIG 78

enum violation_policy {
	ON_VIOLATION_QUARANTINE, /* the default */
	ON_VIOLATION_FENCE,      /* for a server whose mode was changed while jobs were running */
};

/* A job that the fence cannot hold: privileged, a network without a bridge, … */
enum unconfinable_policy {
	UNCONFINABLE_REPORT,     /* the default */
	UNCONFINABLE_QUARANTINE, /* so far as it can be held */
};

enum cgroup_driver {
	CGROUP_DRIVER_AUTO,
	CGROUP_DRIVER_CGROUPFS,
	CGROUP_DRIVER_SYSTEMD,
};

/* The reserved ports of dstack on this host, TCP, host byte order, never 0. */
struct reserved_ports {
	uint16_t shim;       /* DSTACK_SHIM_HTTP_PORT, 10998 */
	uint16_t dcgm;       /* DSTACK_DCGM_EXPORTER_HTTP_PORT, 10997 */
	uint16_t runner;     /* DSTACK_RUNNER_HTTP_PORT, 10999 */
	uint16_t runner_ssh; /* DSTACK_RUNNER_SSH_PORT, 10022 */
};

/* What may be reached beyond the host. */
enum egress {
	EGRESS_INTERNET, /* all but what is internal */
	EGRESS_ANY,
	EGRESS_NONE,
};

/* One entry of allow, deny or peers. */
struct net_entry {
	struct ip_addr first, last;     /* one family; both included */
	uint8_t l4proto;                /* IPPROTO_TCP, _UDP or _SCTP; 0: every protocol */
	uint16_t port_first, port_last; /* host byte order; 0 to 65535: every port */
};

/* In the order of the file; may overlap. */
struct net_entries {
	struct net_entry entry[CONFIG_ENTRIES_MAX];
	size_t n;
};

enum config_source {
	CONFIG_SOURCE_AUTO, /* found at run time: see struct model */
	CONFIG_SOURCE_NONE,
	CONFIG_SOURCE_LIST, /* what the configuration names, and nothing else */
};

struct config_resolvers {
	enum config_source source;
	struct ip_addr addr[CONFIG_ADDRESSES_MAX];
	size_t n;
};

struct config_proxies {
	enum config_source source;
	struct sock_addr addr[CONFIG_ADDRESSES_MAX];
	size_t n;
};

struct port_range {
	uint8_t l4proto; /* IPPROTO_TCP, _UDP or _SCTP */
	uint16_t first, last;
};

struct port_ranges {
	struct port_range range[CONFIG_PORT_RANGES_MAX];
	size_t n;
};

/* [job "PATTERN"] */
struct config_override {
	char pattern[CONFIG_PATTERN_MAX + 1];
	enum network_mode mode;
};

struct config {
	enum network_mode mode;
	enum violation_policy on_violation;
	enum unconfinable_policy unconfinable;
	struct reserved_ports ports;
	char docker[256]; /* path of the engine's unix socket, without "unix://" */

	/* Bridges guarded beside those that the engine names ("docker0" unless configured). */
	char bridges[CONFIG_BRIDGES_MAX][IFNAMSIZ];
	size_t bridges_n;

	enum cgroup_driver cgroup_driver;
	bool cgroup_required; /* true: without a cgroup v2 hierarchy the daemon refuses to start */
	char cgroup_parent
		[256]; /* the engine's cgroup-parent; empty: Docker's default for the driver */
	char engine_cgroup[256]; /* cgroup of dockerd and docker-proxy; empty: found at run time */

	/* One bit each, of the packet mark and the conntrack mark; the other bits are kept. */
	uint32_t mark_bystander; /* packet mark, 0x08000000 */
	uint32_t mark_container; /* conntrack mark, 0x10000000 */
	uint32_t mark_host;      /* conntrack mark, 0x20000000 */

	bool own_tables; /* true: nobody else can change the tables, where the kernel can do that */

	enum egress egress_bridge; /* of bridge jobs: internet */
	enum egress egress_host;   /* of host jobs: any, or internet */
	struct net_entries allow;  /* for bridge jobs, although internal */
	struct net_entries deny;  /* wins over allow, resolvers and proxies; for host jobs too where
				    * egress_host is internet */
	struct net_entries peers; /* for host jobs, although egress_host is internet */
	bool metadata_bridge;     /* true: the cloud's metadata is open to bridge jobs; false */
	bool metadata_host;       /* the same for host jobs; true */
	struct config_resolvers resolvers; /* the model's are what counts */
	struct config_proxies proxies;     /* where auto: those of the shim's environment file */

	struct port_ranges guarded; /* no container's socket answers there: tcp 22 */
	struct port_ranges fenced;  /* of this host, closed to host jobs */

	struct config_override overrides[CONFIG_OVERRIDES_MAX];
	size_t overrides_n;
	char confine_names[CONFIG_OVERRIDES_MAX][CONFIG_PATTERN_MAX + 1];
	size_t confine_names_n;
	char confine_labels[CONFIG_OVERRIDES_MAX][CONFIG_LABEL_MAX + 1]; /* "key=value" */
	size_t confine_labels_n;

	uint32_t audit; /* bits of enum rule_group: counted and logged, not enforced */
	bool audit_log; /* to the kernel's log */

	uint16_t log_group; /* NFLOG group by which the daemon hears of what is stopped; 0: not */
};

/* Where the mode and the ports came from, for the log and for reload. Fixed strings or paths. */
struct config_origin {
	char mode[128];
	char ports[128];
	/* What is no reason to refuse, but to be told; more than these are passed over. */
	char remarks[CONFIG_REMARKS_MAX][320];
	size_t remarks_n;
	/* The environment's value at start was not what the file said: the file never overrules it. */
	bool environment_wins;
};

/* What config_load() reads besides files, so that it is testable. Borrowed, may all be NULL. */
struct config_sources {
	const char *path;          /* --config; NULL: the default path, whose absence is fine */
	const char *mode_variable; /* getenv(NETWORK_MODE_VARIABLE) */
	const char *docker_host;   /* getenv("DOCKER_HOST") */
	const char *docker_option; /* --docker */
	bool reload;               /* SIGHUP: the environment file may overrule the variable */
	const struct config_origin *previous; /* on reload: what was loaded before */
};

/* Defaults with mode 2, no files read. */
void config_defaults(struct config *ret_config);

/*
 * Reads everything and validates it. Nothing is changed on failure.
 * Returns 0; -EINVAL for bad content (exit code 78), -errno when a file that must exist cannot be
 * read; @diag then names file, line, key, value and what would be right.
 */
int config_load(const struct config_sources *sources, struct config *ret_config,
		struct config_origin *ret_origin, struct diag *diag);

/*
 * Turns "unix:///run/docker.sock" into "/run/docker.sock". Returns 0 or -EINVAL with the reason
 * (tcp, ssh, npipe, fd, http; a relative or too long path).
 */
int config_parse_docker(const char *where, const char *value, char *ret_path, size_t size,
			struct diag *diag);
