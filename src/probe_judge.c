/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The judgement of what was seen: pure. It must never call a flow stopped because it was refused, nor
 * one open because nothing is known against it: what proves neither is unproven.
 */
#include "jobfence/probe.h"

#define ATTEMPTS_MAX 3

const char *attempt_name(enum attempt attempt)
{
	switch (attempt) {
	case ATTEMPT_NONE:
		return "none";
	case ATTEMPT_CONNECTED:
		return "connected";
	case ATTEMPT_REFUSED:
		return "refused";
	case ATTEMPT_STOPPED:
		return "unreachable";
	case ATTEMPT_SILENT:
		return "no answer";
	case ATTEMPT_FAILED:
		return "not possible";
	}
	return "none";
}

const char *finding_name(enum probe_finding finding)
{
	switch (finding) {
	case FINDING_UNTRIED:
		return "untried";
	case FINDING_AS_INTENDED:
		return "as_intended";
	case FINDING_DIFFERENT:
		return "different";
	case FINDING_UNPROVEN:
		return "unproven";
	case FINDING_GONE:
		return "gone";
	}
	return "unproven";
}

static enum probe_finding say(enum probe_finding finding, const char *why, const char **ret_why)
{
	*ret_why = why;
	return finding;
}

static bool connected(const struct sighting *seen, size_t seen_n)
{
	for (size_t i = 0; i < seen_n; i++)
		if (seen[i].attempt == ATTEMPT_CONNECTED)
			return true;
	return false;
}

/* Every attempt was counted: what moves the counter by chance does not do so each time. */
static bool always_counted(const struct sighting *seen, size_t seen_n)
{
	for (size_t i = 0; i < seen_n; i++)
		if (seen[i].moved == 0)
			return false;
	return seen_n > 0;
}

static enum probe_finding judge_denied(const struct sighting *seen, size_t seen_n,
				       const char **ret_why)
{
	const struct sighting *last = &seen[seen_n - 1];

	if (connected(seen, seen_n))
		return say(FINDING_DIFFERENT, "it connected", ret_why);
	if (always_counted(seen, seen_n))
		return say(FINDING_AS_INTENDED, "stopped, and its rule counted it", ret_why);
	if (last->other)
		return say(FINDING_UNPROVEN, "it did not connect, but another rule counted",
			   ret_why);
	if (last->attempt == ATTEMPT_REFUSED)
		return say(FINDING_UNPROVEN,
			   "refused, and no rule counted it: a closed port refuses too", ret_why);
	return say(FINDING_UNPROVEN, "it did not connect, and no rule counted it", ret_why);
}

static enum probe_finding judge_allowed(const struct sighting *seen, size_t seen_n,
					const char **ret_why)
{
	bool counted = true, noise = false;

	if (connected(seen, seen_n))
		return say(FINDING_AS_INTENDED, "it connected", ret_why);
	for (size_t i = 0; i < seen_n; i++) {
		noise = noise || seen[i].noise;
		/* by somebody else's packet too: this one's is refused, or counted by name */
		counted = counted && seen[i].other &&
			  (seen[i].named || seen[i].attempt != ATTEMPT_SILENT);
		if (seen[i].attempt == ATTEMPT_REFUSED && !seen[i].other)
			return say(FINDING_AS_INTENDED,
				   "open, and nobody listens: refused by the port itself", ret_why);
	}
	if (noise)
		return say(FINDING_UNPROVEN,
			   "it did not connect, and rules count all the time what others try",
			   ret_why);
	if (counted)
		return say(FINDING_DIFFERENT, "a rule of the fence stopped it", ret_why);
	return say(FINDING_UNPROVEN, "not answered, and no rule of the fence stopped it", ret_why);
}

static enum probe_finding judge_audited(const struct sighting *seen, size_t seen_n,
					const char **ret_why)
{
	if (!always_counted(seen, seen_n))
		return say(FINDING_UNPROVEN, "its rule did not count it", ret_why);
	for (size_t i = 0; i < seen_n; i++)
		if (seen[i].attempt == ATTEMPT_CONNECTED || seen[i].attempt == ATTEMPT_REFUSED)
			return say(FINDING_AS_INTENDED, "counted, and let through", ret_why);
	return say(FINDING_UNPROVEN, "counted, but not answered", ret_why);
}

bool probe_again(const struct reach_flow *flow, const struct sighting *seen, size_t seen_n)
{
	const struct sighting *last;

	if (seen_n == 0)
		return true;
	last = &seen[seen_n - 1];
	if (seen_n >= ATTEMPTS_MAX || last->attempt == ATTEMPT_CONNECTED ||
	    last->attempt == ATTEMPT_FAILED)
		return false;
	if (flow->state == REACH_ALLOWED)
		return last->other != NULL;
	/* who knows whose it was; what was not counted twice is not counted */
	return last->moved == 0 ? seen_n < 2 : !last->named;
}

enum probe_finding probe_judge(const struct reach_flow *flow, const struct sighting *seen,
			       size_t seen_n, const char **ret_why)
{
	if (seen_n == 0)
		return say(FINDING_UNTRIED, "not tried", ret_why);
	if (seen[seen_n - 1].attempt == ATTEMPT_FAILED)
		return say(FINDING_UNPROVEN, "it could not be tried", ret_why);
	switch (flow->state) {
	case REACH_ALLOWED:
		return judge_allowed(seen, seen_n, ret_why);
	case REACH_DENIED:
	case REACH_NOT_HELD:
		return judge_denied(seen, seen_n, ret_why);
	case REACH_AUDITED:
		return judge_audited(seen, seen_n, ret_why);
	case REACH_NONE:
	case REACH_PARTLY:
	case REACH_UNKNOWN:
		break;
	}
	return say(FINDING_UNPROVEN, "what the rules say of it is not known", ret_why);
}
