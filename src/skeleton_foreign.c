/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules for jobs on the host network that are not below the engine's cgroup parent, because they
 * were given one of their own. The level of such a cgroup is known to nobody beforehand and a rule
 * has a fixed one, so there is a rule for each, asked only where the socket is below a cgroup of
 * level 1 that holds such a job. The server never makes one: it is quarantined, whatever the mode.
 *
 * The id of a cgroup is unique in the hierarchy, so one set serves all levels.
 */
#include "skeleton-internal.h"

void foreign_roots(struct chain *chain, const char *target)
{
	RULE(chain, NULL, IN(SET_FOREIGN_ROOTS, F_CGROUP_LEVEL1), JUMP(target));
}

/* socket cgroupv2 level N @foreign_cgroups goto TARGET, for N from 1 to 6 */
static void every_level(struct skeleton *skeleton, const char *name, const char *target)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, name, NULL);

	for (int level = 0; level < FOREIGN_LEVELS_MAX; level++)
		RULE(chain, NULL, IN(SET_FOREIGN_CGROUPS, (enum field)(F_CGROUP_LEVEL1 + level)),
		     GOTO(target));
}

void skeleton_foreign(struct skeleton *skeleton)
{
	struct chain *chain;

	every_level(skeleton, "foreign_output", "from_container");
	every_level(skeleton, "foreign_quarantine", "quarantine");
	every_level(skeleton, "foreign_input", "to_foreign");

	chain = skeleton_chain(skeleton, FAMILY_INET, "to_foreign",
			       "to a job whose cgroup is not below the engine's parent");
	/* tcp dport @host_apis ct direction original counter name "shadow_listener"
	 * goto refuse_host_job */
	RULE(chain, NULL, IN(SET_HOST_APIS, F_TCP_DPORT), ORIGINAL, COUNT("shadow_listener"),
	     GOTO("refuse_host_job"));
	/* meta l4proto . ip daddr . th dport @published4 ct direction original
	 * counter name "shadow_listener" goto refuse_host_job */
	RULE(chain, NULL, IN(SET_PUBLISHED4, F_L4PROTO, F_IP_DADDR, F_TH_DPORT), ORIGINAL,
	     COUNT("shadow_listener"), GOTO("refuse_host_job"));
	RULE(chain, NULL, IN(SET_PUBLISHED6, F_L4PROTO, F_IP6_DADDR, F_TH_DPORT), ORIGINAL,
	     COUNT("shadow_listener"), GOTO("refuse_host_job"));
	RULE(chain, NULL, IN(SET_PUBLISHED_ANY, F_L4PROTO, F_TH_DPORT), ORIGINAL,
	     COUNT("shadow_listener"), GOTO("refuse_host_job"));
	/* goto to_quarantined */
	RULE(chain, "and then whatever input says of all", GOTO("to_quarantined"));
}
