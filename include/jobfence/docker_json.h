/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Engine API's answers as facts. Pure: bytes in, facts out, no I/O, no logging. Everything is
 * untrusted: unknown fields are passed over, a field of the wrong type is an error, sizes and
 * nesting are bounded.
 */
#pragma once

#include "jobfence/container.h"
#include "jobfence/diag.h"

/* What a line of GET /events says. Only Type, Action and the ids are read: labels are copied into
 * the attributes by the engine and override the rest. */
enum engine_event_kind {
	ENGINE_EVENT_OTHER,     /* known to be of no interest */
	ENGINE_EVENT_CONTAINER, /* create, start, die, destroy, …: container_id changed somehow */
	ENGINE_EVENT_CONTAINER_GONE, /* destroy */
	ENGINE_EVENT_CONNECT, /* container_id was attached to network_id, before its process */
	ENGINE_EVENT_DISCONNECT,
	ENGINE_EVENT_NETWORK, /* network_id created, removed or updated */
	ENGINE_EVENT_DAEMON,  /* the daemon reloaded its configuration */
};

struct engine_event {
	enum engine_event_kind kind;
	char container_id[CONTAINER_ID_LEN + 1]; /* empty where it does not apply */
	char network_id[CONTAINER_ID_LEN + 1];
};

struct engine_info {
	char version[64];       /* "28.5.2", made safe */
	char cgroup_driver[32]; /* "cgroupfs", "systemd", "none" */
	char cgroup_version[8]; /* "1" or "2" */
	bool live_restore;
	bool rootless; /* SecurityOptions has name=rootless */
};

/*
 * Each takes one whole JSON text. Return 0; -EINVAL (not what it should be, @diag says where);
 * -ENOMEM. ret_ arguments are untouched on failure and owned by the caller on success.
 */
int docker_json_version(const char *json, size_t len, char ret_api[static 16],
			char ret_min_api[static 16], struct diag *diag);
/* The answer of GET /version is Podman's, which speaks Docker's API beside its own. */
bool docker_json_is_podman(const char *json, size_t len);
int docker_json_info(const char *json, size_t len, struct engine_info *ret_info, struct diag *diag);
/* Takes the labels that are too many to be kept out of a list of containers, in place: parsing costs
 * twenty times their size. Whatever the text is, what it says of a container is as strict. */
void docker_json_trim(char *json, size_t len);
/* GET /containers/json: list facts only, inspected = false. */
int docker_json_container_list(const char *json, size_t len, struct container **ret_containers,
			       size_t *ret_n, struct diag *diag);
/* GET /containers/<id>/json */
int docker_json_container(const char *json, size_t len, struct container *ret_container,
			  struct diag *diag);
/* GET /networks */
int docker_json_network_list(const char *json, size_t len, struct network **ret_networks,
			     size_t *ret_n, struct diag *diag);
/* GET /networks/<id> */
int docker_json_network(const char *json, size_t len, struct network *ret_network,
			struct diag *diag);
/* One line of GET /events. */
int docker_json_event(const char *json, size_t len, struct engine_event *ret_event,
		      struct diag *diag);
