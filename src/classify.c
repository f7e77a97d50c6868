/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The judgement of one container, design.md's table as code: what the engine says and the mirrored
 * mode decide, nothing else. No history: the same facts always give the same verdict, so a restart
 * with no memory converges. Pure: no I/O, no logging, no allocation.
 *
 * It must never make a job freer for a fact that is missing, odd or chosen by a tenant (names,
 * images, commands). Its sentences are made of fixed words and of what the operator wrote, never of
 * container names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobfence/classify.h"
#include "jobfence/overrides.h"

#define OWNER_LINKS_MAX 8
#define HAZARDS_REMARKS ((uint32_t)(HAZARD_RDMA | HAZARD_HOST_USERNS | HAZARD_HOST_CGROUPNS))
#define UNHELD ": the fence cannot hold it"

/* What the table says of a job; @reason follows the confinement in the sentence. */
struct ruling {
	enum confinement confinement;
	bool violation;
	bool stale_mirror;
	const char *reason; /* NULL: the facts before it say enough */
};

const char *role_name(enum role role)
{
	switch (role) {
	case ROLE_JOB:
		return "job";
	case ROLE_BYSTANDER:
		return "bystander";
	}
	return "unknown";
}

const char *placement_name(enum placement placement)
{
	switch (placement) {
	case PLACEMENT_BRIDGE:
		return "bridge";
	case PLACEMENT_HOST:
		return "host";
	case PLACEMENT_NONE:
		return "none";
	case PLACEMENT_UNKNOWN:
		break;
	}
	return "unknown";
}

const char *confinement_name(enum confinement confinement)
{
	switch (confinement) {
	case CONFINEMENT_NONE:
		return "free";
	case CONFINEMENT_ISOLATED:
		return "isolated";
	case CONFINEMENT_FENCED:
		return "fenced";
	case CONFINEMENT_QUARANTINED:
		return "quarantined";
	}
	return "unknown";
}

const char *instance_size_name(enum instance_size size)
{
	switch (size) {
	case INSTANCE_WHOLE:
		return "whole";
	case INSTANCE_PART:
		return "part";
	case INSTANCE_UNKNOWN:
		break;
	}
	return "unknown";
}

static const char *hazard_word(enum hazard hazard)
{
	switch (hazard) {
	case HAZARD_PRIVILEGED:
		return "privileged";
	case HAZARD_CAPABILITIES:
		return "added capabilities";
	case HAZARD_DOCKER_SOCKET:
		return "docker socket";
	case HAZARD_HOST_PATH:
		return "host path";
	case HAZARD_HOST_PID:
		return "host pid";
	case HAZARD_HOST_IPC:
		return "host ipc";
	case HAZARD_SECCOMP:
		return "seccomp unconfined";
	case HAZARD_APPARMOR:
		return "apparmor or paths unconfined";
	case HAZARD_DEVICES:
		return "host device";
	case HAZARD_NETWORK_DRIVER:
		return "network without a bridge";
	case HAZARD_RDMA:
		return "rdma";
	case HAZARD_HOST_CGROUPNS:
		return "host cgroup namespace";
	case HAZARD_HOST_USERNS:
		return "host user namespace";
	}
	return "unnamed hazard";
}

/* Cut between words where the buffer ends, and then says so: a short list must not look whole. */
const char *hazards_text(uint32_t hazards, char *buffer, size_t size)
{
	static const char more[] = ", more";
	uint32_t left = hazards;
	size_t used = 0;

	if (size > 0)
		buffer[0] = '\0';
	for (uint32_t bit = 1; left && used < size; bit <<= 1) {
		const char *word = hazard_word((enum hazard)bit);
		const char *comma = used ? ", " : "";
		size_t need;

		if (!(left & bit))
			continue;
		left &= ~bit;
		need = strlen(comma) + strlen(word) + (left ? strlen(more) : 0) + 1;
		if (used && need > size - used) {
			snprintf(buffer + used, size - used, "%s", more);
			break;
		}
		snprintf(buffer + used, size - used, "%s%s", comma, word);
		used += strlen(buffer + used);
	}
	return buffer;
}

uint32_t hazards_voiding(uint32_t hazards)
{
	return hazards & ~HAZARDS_REMARKS; /* a bit nobody named here voids as well */
}

/* As Python prints an int: no sign, no leading zero. -1 where it is not, or is absurdly long. */
static int parse_number(const char *begin, const char *end)
{
	int number = 0;

	if (begin == end || end - begin > 9 || (*begin == '0' && end - begin > 1))
		return -1;
	for (; begin < end; begin++) {
		if (*begin < '0' || *begin > '9')
			return -1;
		number = number * 10 + (*begin - '0');
	}
	return number;
}

/*
 * Read from the end, since a run's name may hold dashes and digits itself. The server makes
 * "<run>-<job number>-<replica>" (dstack JobConfigurator), the shim adds "-<8 hex>".
 */
int classify_job_number(const char *name)
{
	const char *suffix, *replica, *job;

	suffix = name ? strrchr(name, '-') : NULL;
	if (!suffix || strlen(suffix + 1) != 8 || strspn(suffix + 1, "0123456789abcdef") != 8)
		return -1;
	replica = memrchr(name, '-', suffix - name);
	if (!replica || parse_number(replica + 1, suffix) < 0)
		return -1;
	job = memrchr(name, '-', replica - name);
	if (!job || job == name)
		return -1;
	return parse_number(job + 1, replica);
}

static int compare_id(const void *id, const void *container)
{
	return strcmp(id, ((const struct container *)container)->id);
}

/*
 * In the engine's own order: id, name, prefix of one id only. It replaces a name by the id when
 * the sharer is created, but not where the owner did not exist yet, so the others do occur.
 */
static const struct container *find_container(const char *ref, const struct container *containers,
					      size_t containers_n)
{
	const struct container *found;
	size_t matches_n = 0;
	size_t len;

	if (!ref || containers_n == 0)
		return NULL;
	found = bsearch(ref, containers, containers_n, sizeof(*containers), compare_id);
	if (found)
		return found;
	if (*ref == '/')
		ref++;
	len = strlen(ref);
	for (size_t i = 0; i < containers_n; i++) {
		if (containers[i].name && strcmp(containers[i].name, ref) == 0)
			return &containers[i];
		if (len > 0 && strncmp(containers[i].id, ref, len) == 0) {
			found = &containers[i];
			matches_n++;
		}
	}
	return matches_n == 1 ? found : NULL;
}

const struct container *classify_owner(const struct container *container,
				       const struct container *containers, size_t containers_n)
{
	if (container->network_kind != NETWORK_KIND_CONTAINER)
		return NULL;
	for (int link = 0; link < OWNER_LINKS_MAX; link++) {
		container = find_container(container->network_ref, containers, containers_n);
		if (!container || container->network_kind != NETWORK_KIND_CONTAINER)
			return container;
	}
	return NULL; /* a circle, or too long to be honest */
}

static enum placement placement_of(const struct container *container)
{
	switch (container->network_kind) {
	case NETWORK_KIND_BRIDGE:
	case NETWORK_KIND_USER:
		return PLACEMENT_BRIDGE;
	case NETWORK_KIND_HOST:
		return PLACEMENT_HOST;
	case NETWORK_KIND_NONE:
		return PLACEMENT_NONE;
	case NETWORK_KIND_CONTAINER: /* an owner that is no end of a chain is no owner */
	case NETWORK_KIND_UNKNOWN:
		break;
	}
	return PLACEMENT_UNKNOWN;
}

static enum instance_size size_of(const struct container *container)
{
	if (!container->inspected)
		return INSTANCE_UNKNOWN;
	if (container->nano_cpus == 0 && container->memory == 0)
		return INSTANCE_WHOLE;
	return INSTANCE_PART;
}

/* dstack's bridge jobs have the default network and no other: what else is there, others added. */
static bool on_other_network(const struct container *container)
{
	if (container->network_kind == NETWORK_KIND_USER)
		return true;
	for (size_t i = 0; i < container->endpoints_n; i++) {
		const char *name = container->endpoints[i].network_name;

		if (name && strcmp(name, "bridge") != 0 && strcmp(name, "default") != 0)
			return true;
	}
	return false;
}

static struct ruling rule_bridge(const struct verdict *verdict, const struct container *container)
{
	struct ruling ruling = { .confinement = CONFINEMENT_ISOLATED };
	bool whole = verdict->size == INSTANCE_WHOLE;

	if (on_other_network(container)) {
		ruling.violation = true;
		ruling.reason = "the server only uses the default bridge or the host network: "
				"something else placed it";
		return ruling;
	}
	switch (verdict->class) {
	case NETWORK_MODE_HOST_FOR_MULTINODE_ONLY:
		ruling.stale_mirror = whole && verdict->multinode;
		break;
	case NETWORK_MODE_HOST_WHEN_POSSIBLE:
		ruling.stale_mirror = whole;
		break;
	case NETWORK_MODE_FORCED_BRIDGE:
		break;
	}
	/* What makes the mirror doubtful: only mode 1 looks at the number of nodes. */
	if (ruling.stale_mirror && verdict->class == NETWORK_MODE_HOST_WHEN_POSSIBLE)
		ruling.reason = "this mode gives it the host network: "
				"the mirrored mode may be stale";
	else if (ruling.stale_mirror)
		ruling.reason = "this mode gives a multi-node job the host network: "
				"the mirrored mode may be stale";
	return ruling;
}

/*
 * Size not told yet: as the strictest job that the server places there in this mode. That is the
 * whole one, fenced, in modes 1 and 2. Mode 3 places none there: a violation whatever the size.
 */
static struct ruling rule_host(const struct verdict *verdict)
{
	struct ruling forbidden = {
		.confinement = CONFINEMENT_QUARANTINED,
		.violation = true,
		.reason = "this mode never gives the host network: "
			  "the mirrored mode is stale, or something else placed it",
	};
	struct ruling allowed = { .confinement = CONFINEMENT_FENCED };

	if (verdict->size == INSTANCE_PART) {
		forbidden.reason = "no mode gives part of an instance the host network: "
				   "something else placed it";
		return forbidden;
	}
	if (verdict->size == INSTANCE_UNKNOWN)
		allowed.reason = "as the strictest job that this mode places there";
	switch (verdict->class) {
	case NETWORK_MODE_HOST_FOR_MULTINODE_ONLY:
		if (verdict->size == INSTANCE_WHOLE)
			allowed.reason = "multi-node by the server's rule";
		return allowed;
	case NETWORK_MODE_HOST_WHEN_POSSIBLE:
		return allowed;
	case NETWORK_MODE_FORCED_BRIDGE:
		break;
	}
	return forbidden;
}

/* dstack joins no namespaces, so no class allows it: on the host network that is quarantine. */
static struct ruling rule_joined(const struct verdict *verdict)
{
	struct ruling ruling = {
		.confinement = CONFINEMENT_ISOLATED,
		.violation = true,
		.reason = "the server never joins networks: something else placed it",
	};

	switch (verdict->placement) {
	case PLACEMENT_BRIDGE:
	case PLACEMENT_NONE:
		break;
	case PLACEMENT_HOST:
		ruling.confinement = CONFINEMENT_QUARANTINED;
		break;
	case PLACEMENT_UNKNOWN:
		ruling.confinement = CONFINEMENT_QUARANTINED;
		ruling.reason = "isolated on any bridge: the server never joins networks";
		break;
	}
	return ruling;
}

static struct ruling rule_job(const struct verdict *verdict, const struct container *container)
{
	if (verdict->joined)
		return rule_joined(verdict);
	switch (verdict->placement) {
	case PLACEMENT_BRIDGE:
		return rule_bridge(verdict, container);
	case PLACEMENT_HOST:
		return rule_host(verdict);
	case PLACEMENT_NONE:
		return (struct ruling){
			.confinement = CONFINEMENT_ISOLATED,
			.violation = true,
			.reason = "the server always gives a network: something else placed it",
		};
	case PLACEMENT_UNKNOWN:
		break;
	}
	/* It may be anywhere: cut off by its cgroup, and isolated on whatever bridge it shows up. */
	if (!container->inspected)
		return (struct ruling){
			.confinement = CONFINEMENT_QUARANTINED,
			.reason = "isolated on any bridge, until the engine says where it is",
		};
	return (struct ruling){
		.confinement = CONFINEMENT_QUARANTINED,
		.violation = true,
		.reason = "isolated on any bridge: the server never asks for such a network",
	};
}

/* The operator's own choice: the server neither placed it nor sized it. */
static struct ruling rule_confined(const struct verdict *verdict)
{
	switch (verdict->placement) {
	case PLACEMENT_BRIDGE:
	case PLACEMENT_NONE:
		return (struct ruling){ .confinement = CONFINEMENT_ISOLATED };
	case PLACEMENT_HOST:
		if (verdict->class == NETWORK_MODE_FORCED_BRIDGE)
			return (struct ruling){
				.confinement = CONFINEMENT_QUARANTINED,
				.reason = "like any job on the host network in this mode",
			};
		return (struct ruling){ .confinement = CONFINEMENT_FENCED };
	case PLACEMENT_UNKNOWN:
		break;
	}
	return (struct ruling){
		.confinement = CONFINEMENT_QUARANTINED,
		.reason = "isolated on any bridge",
	};
}

static const char *joined_words(enum placement placement)
{
	switch (placement) {
	case PLACEMENT_BRIDGE:
		return "bridge network of a joined container";
	case PLACEMENT_HOST:
		return "host network of a joined container";
	case PLACEMENT_NONE:
		return "joined container without a network";
	case PLACEMENT_UNKNOWN:
		break;
	}
	return "joined container that is not known";
}

static const char *place_words(const struct verdict *verdict, const struct container *container)
{
	if (verdict->joined)
		return joined_words(verdict->placement);
	switch (container->network_kind) {
	case NETWORK_KIND_BRIDGE:
		return on_other_network(container) ? "bridge and another network"
						   : "bridge network";
	case NETWORK_KIND_HOST:
		return "host network";
	case NETWORK_KIND_NONE:
		return "no network";
	case NETWORK_KIND_USER:
		return "user-defined network";
	case NETWORK_KIND_CONTAINER:
	case NETWORK_KIND_UNKNOWN:
		break;
	}
	return container->inspected ? "unknown kind of network" : "network not told yet";
}

static const char *size_words(enum instance_size size)
{
	switch (size) {
	case INSTANCE_WHOLE:
		return "whole instance";
	case INSTANCE_PART:
		return "part of an instance";
	case INSTANCE_UNKNOWN:
		break;
	}
	return "size not told yet";
}

/* The hazards come last and always fit: the rest stays far enough below sizeof(why) (tested). */
static void explain_job(struct verdict *verdict, const struct container *container,
			const struct ruling *ruling, const char *by)
{
	bool instead = ruling->confinement != verdict->confinement;
	const char *confinement = confinement_name(verdict->confinement);
	uint32_t voiding = hazards_voiding(container->hazards);
	size_t used;

	snprintf(verdict->why, sizeof(verdict->why), "%s, %s%s, mode %d (%s)%s: %s%s%s%s",
		 place_words(verdict, container),
		 verdict->confined ? by : size_words(verdict->size),
		 verdict->confined ? " confines it" : "", (int)verdict->class,
		 network_mode_name(verdict->class), verdict->overridden ? by : "", confinement,
		 instead ? " as on_violation says" : "", ruling->reason ? ", " : "",
		 ruling->reason ?: "");
	used = strlen(verdict->why);
	if (!voiding || used + strlen("; " UNHELD) + 1 >= sizeof(verdict->why))
		return;
	memcpy(verdict->why + used, "; ", sizeof("; "));
	used += strlen("; ");
	hazards_text(voiding, verdict->why + used, sizeof(verdict->why) - used - strlen(UNHELD));
	used += strlen(verdict->why + used);
	snprintf(verdict->why + used, sizeof(verdict->why) - used, "%s", UNHELD);
}

/* The mirrored mode is not what such a job's place can be compared with. */
static struct ruling rule_overridden(const struct verdict *verdict,
				     const struct container *container)
{
	struct ruling ruling = rule_job(verdict, container);

	if (ruling.stale_mirror ||
	    (verdict->placement == PLACEMENT_HOST && verdict->size != INSTANCE_PART &&
	     ruling.confinement == CONFINEMENT_QUARANTINED && !verdict->joined))
		ruling.reason =
			ruling.stale_mirror ? NULL : "the server knows nothing of this override";
	ruling.stale_mirror = false;
	return ruling;
}

/* @by: what else decides than the mirrored mode, as words of the sentence. */
static void judge_job(struct verdict *verdict, const struct container *container,
		      enum violation_policy on_violation, const char *by)
{
	struct ruling ruling;

	verdict->multinode = !verdict->confined && classify_job_number(container->name) > 0;
	ruling = verdict->confined     ? rule_confined(verdict)
		 : verdict->overridden ? rule_overridden(verdict, container)
				       : rule_job(verdict, container);
	verdict->confinement = ruling.confinement;
	verdict->violation = ruling.violation;
	verdict->stale_mirror = ruling.stale_mirror;
	verdict->unconfinable = hazards_voiding(container->hazards) != 0;
	/* Only where it is known to be on the host network: a fence for "anywhere" there is not. */
	if (on_violation == ON_VIOLATION_FENCE && ruling.violation &&
	    ruling.confinement == CONFINEMENT_QUARANTINED && verdict->placement == PLACEMENT_HOST)
		verdict->confinement = CONFINEMENT_FENCED;
	explain_job(verdict, container, &ruling, by);
}

void classify(const struct container *container, const struct container *owner,
	      const struct config *config, struct verdict *ret_verdict)
{
	char by[96] = "", named[80];
	const char *pattern = NULL;
	bool confined =
		!container->is_task && override_confines(config, container, named, sizeof(named));
	struct verdict verdict = {
		.role = container->is_task || confined ? ROLE_JOB : ROLE_BYSTANDER,
		.confined = confined,
		.placement = placement_of(container),
		.joined = container->network_kind == NETWORK_KIND_CONTAINER,
		.size = size_of(container),
		.class = config->mode,
		.confinement = CONFINEMENT_NONE,
	};

	/* the one place that says which mode governs a container */
	if (verdict.role == ROLE_JOB)
		verdict.class = override_mode(config, container->name, &pattern);
	verdict.overridden = pattern;
	if (confined)
		snprintf(by, sizeof(by), "[confine] %s", named);
	else if (pattern)
		snprintf(by, sizeof(by), " by [job \"%s\"]", pattern);

	if (verdict.joined && owner)
		verdict.placement = placement_of(owner);
	if (verdict.role == ROLE_JOB)
		judge_job(&verdict, container, config->on_violation, by);
	else
		snprintf(verdict.why, sizeof(verdict.why),
			 "bystander (no is-task label), %s: free, keeps all that it had",
			 place_words(&verdict, container));
	*ret_verdict = verdict;
}
