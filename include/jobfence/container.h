/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Containers and networks as the engine describes them: facts only, no judgement. Texts are what
 * the engine said; whoever prints one passes it through text_safe() (text.h) first.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "jobfence/addr.h"

#define CONTAINER_ID_LEN 64
#define CONTAINER_NAME_MAX 255  /* longer names are cut */
#define CONTAINER_TASK_MAX 4095 /* longer ids of tasks as well */

#define LABEL_IS_TASK "ai.dstack.shim.is-task" /* "true" (dstack runner/internal/shim/docker.go) */
#define LABEL_TASK_ID "ai.dstack.shim.task-id"

enum container_state {
	CONTAINER_UNKNOWN, /* a state that this version does not know: treated as running */
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_RESTARTING,
	CONTAINER_REMOVING,
	CONTAINER_EXITED,
	CONTAINER_DEAD,
};

/* HostConfig.NetworkMode */
enum network_kind {
	NETWORK_KIND_UNKNOWN,
	NETWORK_KIND_BRIDGE, /* "default" or "bridge" */
	NETWORK_KIND_HOST,
	NETWORK_KIND_NONE,
	NETWORK_KIND_CONTAINER, /* "container:<id or name>": network_ref says which */
	NETWORK_KIND_USER,      /* a user-defined network: network_ref is its name or id */
};

/* What voids the guarantee, or is worth a remark; bits of container.hazards. */
enum hazard {
	HAZARD_PRIVILEGED = 1 << 0,
	HAZARD_CAPABILITIES = 1 << 1, /* any added capability */
	HAZARD_DOCKER_SOCKET = 1 << 2,
	HAZARD_HOST_PATH = 1 << 3, /* a bind mount other than dstack's own */
	HAZARD_HOST_PID = 1 << 4,
	HAZARD_HOST_IPC = 1 << 5,
	HAZARD_SECCOMP = 1 << 6,  /* seccomp=unconfined */
	HAZARD_APPARMOR = 1 << 7, /* apparmor=unconfined, label=disable, systempaths=unconfined */
	HAZARD_DEVICES = 1 << 8,  /* a device that reaches the host (not GPU, not InfiniBand) */
	HAZARD_NETWORK_DRIVER = 1 << 9, /* attached to macvlan, ipvlan, overlay: no port of ours */
	HAZARD_RDMA = 1 << 10, /* remark only: dstack gives it to every job on such a host */
	HAZARD_HOST_CGROUPNS = 1 << 11, /* remark only: Docker's default where cgroups are v1 */
	HAZARD_HOST_USERNS = 1 << 12,   /* remark only, where userns-remap is on */
};

struct endpoint {
	char network_id[CONTAINER_ID_LEN + 1];
	char *network_name; /* owned */
	struct mac_addr mac;
	struct ip_addr ip4, ip6; /* AF_UNSPEC where none */
};

struct port_binding {
	uint8_t l4proto;         /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	struct ip_addr host_ip;  /* 0.0.0.0 or :: for every address */
	uint16_t host_port;      /* host byte order; 0 where the engine has not chosen yet */
	uint16_t container_port; /* host byte order */
};

/* Who a container is: shared by all that name it, and outlives it in their hands. Its texts never change;
 * references are counted without a lock, since whoever has containers has one thread. */
struct identity {
	uint32_t refs;
	uint32_t task_at; /* where in name[] the id of its task is; 0: it has none */
	char id[CONTAINER_ID_LEN + 1];
	char name[];
};

struct container {
	struct identity *identity; /* owned, one reference; NULL where the next three are static */
	const char *id;            /* hex digits */
	const char *name;          /* without the leading slash */
	const char *task_id;       /* NULL without the label */
	char *network_ref;         /* owned; see enum network_kind; else NULL */
	char *sandbox_key;         /* owned; path of the network namespace; NULL while unknown */
	char *cgroup_parent; /* owned; HostConfig.CgroupParent; NULL where it is the engine's default */
	char *labels; /* owned; of containers that are no jobs: "key=value" strings, each with its
		       * NUL, and an empty one behind the last; NULL where none */
	char *hazard_text; /* owned; details for people ("/data, CAP_NET_ADMIN"); NULL where none */
	struct endpoint *endpoints; /* owned */
	struct port_binding *ports; /* owned */
	/* HostConfig.Dns. Whoever made the container chose it (dstack's shim, or another user of
	 * the Docker socket); what runs in it cannot change it. */
	struct ip_addr *dns; /* owned */
	uint32_t endpoints_n, ports_n, dns_n;
	uint32_t hazards;  /* enum hazard */
	int64_t nano_cpus; /* HostConfig.NanoCpus */
	int64_t memory;    /* HostConfig.Memory, bytes */
	pid_t pid;         /* init process in the host's pid namespace; 0 while not running */
	enum container_state state : 8;
	enum network_kind network_kind : 8;
	bool labels_cut; /* there are more than are kept */
	bool is_task;    /* has LABEL_IS_TASK=true */
	bool no_net_raw; /* CAP_NET_RAW was dropped: no raw, packet or XDP sockets */
	bool inspected; /* false: only what the list says is known (no cpu, memory, hazards, ports) */
};

struct network {
	char id[CONTAINER_ID_LEN + 1];
	char *name;   /* owned */
	char *driver; /* owned: "bridge", "host", "null", "macvlan", … */
	/* The bridge device: the option com.docker.network.bridge.name, else "br-" and 12 of the id;
	 * empty where the driver is not "bridge". */
	char bridge[IFNAMSIZ];
	/* Endpoints by container, as GET /networks/<id> tells them; container ids beside them. */
	struct network_endpoint *endpoints; /* owned */
	size_t endpoints_n;
};

struct network_endpoint {
	uint8_t container[CONTAINER_ID_LEN / 2]; /* its id: see container_id_bytes() */
	struct mac_addr mac;
	struct ip_addr ip4, ip6;
};

/* Gives @container an identity of its own with copies of the texts, which may be its present ones;
 * @task_id NULL or "": none. Returns 0, or -ENOMEM with @container as it was. */
int container_identify(struct container *container, const char *id, const char *name,
		       const char *task_id);
/* A reference to keep; of a container without an identity to a copy. NULL: no memory. */
struct identity *container_identity(const struct container *container);
const char *identity_task(const struct identity *identity); /* NULL: none */
struct identity *identity_unref(struct identity *identity); /* NULL is fine; returns NULL */

/* An id in half of its size, and back. @id has CONTAINER_ID_LEN hex digits. Their order is the same. */
void container_id_bytes(const char *id, uint8_t ret_bytes[static CONTAINER_ID_LEN / 2]);
void container_id_text(const uint8_t *bytes, char ret_id[static CONTAINER_ID_LEN + 1]);

/* Release what is owned and zero the struct; accept zeroed and half-built ones. */
void container_done(struct container *container);
void network_done(struct network *network);

/* Live: has or may get processes (everything but created, removing, exited, dead). */
bool container_is_live(const struct container *container);
/* A network has it: one of its endpoints has a MAC. */
bool container_is_attached(const struct container *container);
/* Live, or about to be: created, or stopped and a network has it again. Docker connects a container to
 * its networks before it starts it, and says "exited" of one that is started again until it runs. Of
 * one that was only listed nobody knows whether its networks have let it go yet: it is not. */
bool container_may_live(const struct container *container);
const char *container_state_name(enum container_state state);
