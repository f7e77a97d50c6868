/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What no ruleset can mend, judged from what listens and what runs: pure. Services without a password
 * that a job on the host's network reaches, who holds a port of dstack's, who owns the host anyway.
 */
#pragma once

#include "jobfence/policy.h"
#include "jobfence/sockets.h"

enum posture_kind {
	POSTURE_HELD,  /* a container holds a port of dstack's or a guarded one */
	POSTURE_KNOWN, /* a service that is known to obey whoever reaches it */
	POSTURE_LOOPBACK, /* listens on loopback only: whoever made it thinks that only this host does */
	POSTURE_OPEN, /* listens on other addresses too */
	POSTURE_UNIX, /* an abstract unix socket */
	POSTURE_VSOCK,
	POSTURE_HAZARD,      /* a job with privileges, host paths, … */
	POSTURE_OUTSIDE_SSH, /* a host job's sshd, open to whoever reaches this host */
	POSTURE_KINDS,
};

struct finding {
	enum posture_kind kind;
	const struct listener *listener;   /* borrowed; NULL where it is about a container alone */
	const struct container *container; /* whose it is; NULL: no container's */
	const char *what;                  /* of KNOWN and HELD: fixed words */
	enum role role;                    /* of the container */
};

/* Zeroed is empty. */
struct posture {
	struct finding *findings; /* owned; by kind, then by port */
	size_t n, cap;
	/* A job on the host's network reaches them: there is one that is not quarantined, or the mode
	 * allows one. */
	bool reached;
};

/* @sockets is borrowed. Returns 0 or -ENOMEM. */
int posture_judge(const struct config *config, const struct model *model,
		  const struct verdict *verdicts, const struct ruleset *ruleset,
		  const struct sockets *sockets, struct posture *ret_posture);
void posture_done(struct posture *posture);

const char *posture_kind_name(enum posture_kind kind); /* "held_port", … */
