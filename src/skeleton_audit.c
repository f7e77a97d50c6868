/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Audit mode, as one pass over the finished rules: where a rule counts for a group that is audited,
 * its verdict becomes a jump to a chain that logs, counts for the job, and returns. So evaluation
 * goes on, and what another group denies behind it is denied all the same. A rule must never become
 * an accept here, and a rule without a counter is never touched.
 *
 * What relies on an earlier deny says so where it is written: see audited() in skeleton_*.c.
 */
#include "skeleton-internal.h"

#include <string.h>

#define LOG_RATE 5 /* a second, for each group */
#define LOG_BURST 20

#define CHAINS_OF(group_, name_) \
	[group_] = { "audit_" name_, "audit_" name_ "_by_host_job", "jobfence audit " name_ ": " }

static const struct {
	const char *chain, *by_host_job; /* names of chains */
	const char *prefix;              /* of the log */
} group_chains[GROUP_MAX] = {
	CHAINS_OF(GROUP_EGRESS, "egress"),       CHAINS_OF(GROUP_NEIGHBOURS, "neighbours"),
	CHAINS_OF(GROUP_HOST, "host"),           CHAINS_OF(GROUP_SPOOFING, "spoofing"),
	CHAINS_OF(GROUP_HOST_APIS, "host_apis"), CHAINS_OF(GROUP_PUBLISHED, "published"),
	CHAINS_OF(GROUP_RUNNERS, "runners"),     CHAINS_OF(GROUP_QUARANTINE, "quarantine"),
};

/* Counts for the job as chain refuse does: the sender's element before the receiver's. */
static void count_job(struct skeleton *skeleton)
{
	struct chain *chain;

	if (skeleton_find_chain(skeleton, FAMILY_INET, "audit_job"))
		return;
	chain = skeleton_chain(skeleton, FAMILY_INET, "audit_job",
			       "audit: counts for the job what would be stopped");
	/* iifname . ip saddr @jobs4 return */
	RULE(chain, NULL, IN(SET_JOBS4, F_IIFNAME, F_IP_SADDR), RETURN);
	RULE(chain, NULL, IN(SET_JOBS6, F_IIFNAME, F_IP6_SADDR), RETURN);
	RULE(chain, NULL, IN(SET_JOBS4, F_OIFNAME, F_IP_DADDR), RETURN);
	RULE(chain, NULL, IN(SET_JOBS6, F_OIFNAME, F_IP6_DADDR), RETURN);
}

/* In table bridge and elsewhere the rules count for a port on their own. */
static void audit_chain(struct skeleton *skeleton, enum family family, enum rule_group group,
			bool by_host_job)
{
	const char *name =
		by_host_job ? group_chains[group].by_host_job : group_chains[group].chain;
	struct chain *chain;

	if (skeleton_find_chain(skeleton, family, name))
		return;
	chain = skeleton_chain(skeleton, family, name, "audit: NOT ENFORCED, goes on from here");
	if (skeleton->params.audit_log)
		/* limit rate 5/second burst 20 packets log prefix "jobfence audit GROUP: " */
		RULE(chain, NULL, LIMIT(LOG_RATE, LOG_BURST), LOG(group_chains[group].prefix));
	if (family != FAMILY_INET)
		return;
	if (by_host_job)
		/* socket cgroupv2 level C @host_jobs return */
		RULE(chain, NULL, IN(SET_HOST_JOBS, F_CGROUP_CONTAINER), RETURN);
	/* goto audit_job */
	RULE(chain, NULL, GOTO("audit_job"));
	count_job(skeleton);
}

/* The last statement, where it ends a packet's way; else NULL. */
static const struct stmt *deny_of(const struct rule *rule)
{
	const struct stmt *last = NULL;

	for (const struct stmt *s = rule->stmts; s->kind != STMT_END; s++)
		last = s;
	if (last && last->kind == STMT_REJECT)
		return last;
	return last && last->kind == STMT_VERDICT &&
			       (last->verdict == VERDICT_DROP || last->verdict == VERDICT_GOTO)
		       ? last
		       : NULL;
}

static void audit_rule(struct skeleton *skeleton, enum family family, const struct rule *rule)
{
	const struct stmt *deny = deny_of(rule);
	enum rule_group group = GROUP_MAX;
	bool by_host_job;

	for (const struct stmt *s = rule->stmts; s->kind != STMT_END; s++)
		if (s->kind == STMT_COUNTER)
			group = rule_group_of(s->name);
	if (!deny || group == GROUP_MAX || !audited(skeleton, group))
		return;
	/* only where the kernel can tell the socket: a rule that asked for it before can */
	by_host_job = deny->kind == STMT_VERDICT && deny->verdict == VERDICT_GOTO &&
		      strcmp(deny->name, "refuse_host_job") == 0;
	audit_chain(skeleton, family, group, by_host_job);
	skeleton->stmts[deny - skeleton->stmts] =
		JUMP(by_host_job ? group_chains[group].by_host_job : group_chains[group].chain);
}

void skeleton_audit(struct skeleton *skeleton)
{
	size_t chains_n = skeleton->chains_n;

	for (size_t i = 0; skeleton->params.audit && i < chains_n; i++)
		for (size_t j = 0; j < skeleton->chains[i].rules_n; j++)
			audit_rule(skeleton, skeleton->chains[i].family,
				   &skeleton->chains[i].rules[j]);
}
