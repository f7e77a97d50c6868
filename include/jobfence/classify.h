/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The judgement of one container: pure, exhaustive, no history (design.md's table).
 * container facts × mode → class, placement, size, confinement, and the reason as a sentence.
 */
#pragma once

#include "jobfence/config.h"
#include "jobfence/container.h"

enum role {
	ROLE_JOB,
	ROLE_BYSTANDER,
};

enum placement {
	PLACEMENT_BRIDGE, /* any network of its own: docker0 or user-defined */
	PLACEMENT_HOST,
	PLACEMENT_NONE,
	PLACEMENT_UNKNOWN, /* a joined container that is not known, or a mode of a newer engine */
};

enum instance_size {
	INSTANCE_UNKNOWN, /* not inspected yet */
	INSTANCE_WHOLE,   /* NanoCpus == 0 and Memory == 0 */
	INSTANCE_PART,
};

enum confinement {
	CONFINEMENT_NONE,        /* bystander: keeps all that it had */
	CONFINEMENT_ISOLATED,    /* bridge job */
	CONFINEMENT_FENCED,      /* host job */
	CONFINEMENT_QUARANTINED, /* originates nothing; only the host reaches it */
};

#define VERDICT_WHY_MAX 320

struct verdict {
	enum role role;
	enum placement placement;
	bool joined; /* the placement is that of another container's namespace */
	enum instance_size size;
	bool multinode;          /* the name proves a multi-node run: job number above 0 */
	enum network_mode class; /* the mode that governs it */
	enum confinement confinement;
	bool violation;    /* the server's mode cannot have placed it so */
	bool overridden;   /* its class is that of an override, not of the mirror */
	bool confined;     /* a job by [confine] only: nothing that the server placed */
	bool stale_mirror; /* remark: the mirrored mode may not be the server's */
	bool unconfinable; /* hazards void the guarantee: never show it as confined without */
	uint32_t hazards;  /* enum hazard: the container's, and what its networks are */
	uint64_t released; /* struct release.ends: until then it has what a bystander has; 0: no */
	char why[VERDICT_WHY_MAX]; /* one sentence, safe to print */
};

/*
 * By @config's mode, on_violation, overrides and [confine]. @owner is the container whose namespace
 * @container joined (resolved through chains; NULL where it joined none or the owner is not known).
 */
void classify(const struct container *container, const struct container *owner,
	      const struct config *config, struct verdict *ret_verdict);

/* The end of the chain of "container:<id or name>" (at most 8 links; NULL when unknown or cyclic,
 * and for a container that joined none). @containers is sorted by id. */
const struct container *classify_owner(const struct container *container,
				       const struct container *containers, size_t containers_n);

/* "<run>-<job number>-<replica>-<8 hex>": the job number, or -1 if the name is not of that form. */
int classify_job_number(const char *name);

const char *role_name(enum role role);                /* "job", "bystander" */
const char *placement_name(enum placement placement); /* "bridge", "host", "none", "unknown" */
const char *confinement_name(enum confinement confinement); /* "isolated", … ; "none" is "free" */
const char *instance_size_name(enum instance_size size);    /* "whole", "part", "unknown" */

/* The hazards as words, comma separated: "privileged, docker socket". Returns @buffer. */
const char *hazards_text(uint32_t hazards, char *buffer, size_t size);
/* The hazards that void the guarantee (all but the remarks). */
uint32_t hazards_voiding(uint32_t hazards);
