/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a connection that was tried with real packets proves, beside what the rules say of it: pure. A
 * refused connection proves nothing by itself, since a closed port refuses too.
 */
#pragma once

#include "jobfence/reach.h"

/* What became of one attempt to connect. */
enum attempt {
	ATTEMPT_NONE,
	ATTEMPT_CONNECTED,
	ATTEMPT_REFUSED, /* a reset: a rule's, or a closed port's own */
	ATTEMPT_STOPPED, /* an ICMP error: a rule's, or that of a network */
	ATTEMPT_SILENT,
	ATTEMPT_FAILED, /* it could not be tried: error says why */
};

struct sighting {
	enum attempt attempt;
	int error;         /* errno; 0 */
	uint64_t moved;    /* packets that the rule's counter, or the one instead of it, counted */
	bool named;        /* the kernel counted it for this very container, too */
	const char *other; /* another counter that moved meanwhile; NULL: none did */
	bool noise;        /* counters moved as well while nothing was tried */
};

enum probe_finding {
	FINDING_UNTRIED,
	FINDING_AS_INTENDED,
	FINDING_DIFFERENT,
	FINDING_UNPROVEN,
	FINDING_GONE, /* the container ended meanwhile */
};

/* Whether another attempt could tell more: what else moved may have been somebody else's packet. */
bool probe_again(const struct reach_flow *flow, const struct sighting *seen, size_t seen_n);

/*
 * Judges what was seen in one attempt after another. @ret_why is a few words for a person, static.
 * Never FINDING_AS_INTENDED for a denied flow without its counter.
 */
enum probe_finding probe_judge(const struct reach_flow *flow, const struct sighting *seen,
			       size_t seen_n, const char **ret_why);

const char *attempt_name(enum attempt attempt);       /* "connected", "refused", … */
const char *finding_name(enum probe_finding finding); /* "untried", "as_intended", … */
