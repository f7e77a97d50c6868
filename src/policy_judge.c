/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What classify() cannot see, because it looks at one container: who shares a network namespace
 * with whom, and whether the fence can tell a container from the host. A namespace is as trusted
 * as its least trusted member. Pure; it never makes anyone freer than classify() did, but for whom the
 * operator released for a time.
 */
#include "policy-internal.h"

#include <string.h>
#include <time.h>

/* Adds to the sentence; what does not fit is cut. */
static void add_why(struct verdict *verdict, const char *text)
{
	size_t used = strlen(verdict->why);

	snprintf(verdict->why + used, sizeof(verdict->why) - used, "; %s", text);
}

/* On a macvlan, ipvlan or overlay network it has an interface that is no port of a bridge here. */
static uint32_t network_hazard(const struct policy *policy, const struct container *container)
{
	for (size_t i = 0; i < container->endpoints_n; i++) {
		const struct network *network =
			policy_network(policy->model, container->endpoints[i].network_id);
		const char *driver = network ? network->driver : NULL;

		if (driver && driver[0] && strcmp(driver, "bridge") != 0 &&
		    strcmp(driver, "host") != 0 && strcmp(driver, "null") != 0)
			return HAZARD_NETWORK_DRIVER;
	}
	return 0;
}

const struct foreign_cgroup *policy_foreign(const struct policy *policy, size_t i)
{
	const struct foreign_cgroup *foreign =
		policy->model->foreign ? &policy->model->foreign[i] : NULL;

	return foreign && foreign->id && foreign->root && foreign->level <= FOREIGN_LEVELS_MAX
		       ? foreign
		       : NULL;
}

/* A process on the host network whose cgroup is elsewhere passes the fence by, unless its own id
 * can be told. The server gives no cgroup parent: something else made it. */
static void judge_cgroup(const struct policy *policy, size_t i)
{
	const struct model *model = policy->model;
	struct verdict *verdict = &policy->verdicts[i];

	if (verdict->confinement == CONFINEMENT_NONE || verdict->placement != PLACEMENT_HOST ||
	    !model->has_cgroups || !model->cgroup_id || model->cgroup_id[i] ||
	    model->containers[i].pid == 0 || !container_is_live(&model->containers[i]))
		return;
	if (policy_foreign(policy, i)) {
		verdict->confinement = CONFINEMENT_QUARANTINED;
		verdict->violation = true;
		add_why(verdict, "quarantined: it has a cgroup parent of its own");
		return;
	}
	verdict->unconfinable = true;
	add_why(verdict, "its cgroup is not where containers are expected: the fence does not see "
			 "it");
}

/* What [jobs] unconfinable asks for: held as far as it can be. */
static void judge_unconfinable(const struct policy *policy, struct verdict *verdict)
{
	if (verdict->role != ROLE_JOB || !verdict->unconfinable ||
	    policy->config->unconfinable != UNCONFINABLE_QUARANTINE ||
	    verdict->confinement == CONFINEMENT_QUARANTINED)
		return;
	verdict->confinement = CONFINEMENT_QUARANTINED;
	add_why(verdict, "quarantined, as unconfinable says");
}

/* What is in the namespace of a job on a bridge is confined as the job is. On the host's network
 * each has its own cgroup, and nothing is shared. */
static void judge_shared(const struct policy *policy, size_t i)
{
	const struct container *owner = policy->owners[i];
	struct verdict *verdict = &policy->verdicts[i];
	size_t index = (size_t)(owner - policy->model->containers);

	if (verdict->confinement != CONFINEMENT_NONE || verdict->placement == PLACEMENT_HOST ||
	    !policy->shared_with_job[index])
		return;
	verdict->confinement =
		policy->quarantined[index] ? CONFINEMENT_QUARANTINED : CONFINEMENT_ISOLATED;
	snprintf(verdict->why, sizeof(verdict->why),
		 "bystander (no is-task label), but a job is in its network namespace: %s like the "
		 "job, until that is gone",
		 confinement_name(verdict->confinement));
}

/* Another job that would be released with it. */
static bool shares_with_job(const struct policy *policy, size_t i)
{
	const struct model *model = policy->model;

	for (size_t j = 0; j < model->containers_n; j++)
		if (j != i && policy->owners[j] == policy->owners[i] &&
		    policy->verdicts[j].role == ROLE_JOB &&
		    container_may_live(&model->containers[j]))
			return true;
	return false;
}

/* For a time. What holds it stays where it is; what opens comes on top: see add_released(). */
static void judge_release(const struct policy *policy, size_t i)
{
	const struct model *model = policy->model;
	struct verdict *verdict = &policy->verdicts[i];
	const struct release *release =
		release_find(model->releases, model->releases_n, model->containers[i].id);
	char text[VERDICT_WHY_MAX], wall[32];
	struct tm tm;
	time_t when;

	if (!release || verdict->role != ROLE_JOB || !container_is_live(&model->containers[i]))
		return;
	if (policy_foreign(policy, i) || verdict->joined || shares_with_job(policy, i) ||
	    (verdict->placement != PLACEMENT_HOST && verdict->placement != PLACEMENT_BRIDGE)) {
		add_why(verdict, "not released: it has no cgroup or network to itself here");
		return;
	}
	verdict->released = release->ends;
	when = (time_t)release->ends_wall;
	if (!gmtime_r(&when, &tm) || strftime(wall, sizeof(wall), "%F %T UTC", &tm) == 0)
		wall[0] = '\0';
	snprintf(text, sizeof(text), "RELEASED until %s by %s%s%s", wall,
		 release->who[0] ? release->who : "somebody", release->reason[0] ? ": " : "",
		 release->reason);
	add_why(verdict, text);
}

void policy_judge(struct policy *policy)
{
	const struct model *model = policy->model;

	for (size_t i = 0; i < model->containers_n; i++) {
		const struct container *c = &model->containers[i];
		const struct container *owner =
			classify_owner(c, model->containers, model->containers_n);
		struct container with = *c;

		with.hazards |= network_hazard(policy, owner ?: c);
		classify(&with, owner, policy->config, &policy->verdicts[i]);
		policy->verdicts[i].hazards = with.hazards;
		judge_cgroup(policy, i);
		judge_unconfinable(policy, &policy->verdicts[i]);
		policy->owners[i] = owner ?: c;
	}
	for (size_t i = 0; i < model->containers_n; i++) {
		const struct verdict *verdict = &policy->verdicts[i];
		size_t owner = (size_t)(policy->owners[i] - model->containers);

		if (verdict->role != ROLE_JOB || !container_may_live(&model->containers[i]))
			continue;
		policy->shared_with_job[owner] |= container_is_live(&model->containers[i]);
		/* of a placement that is not known yet the bridges are only isolated: see classify.c */
		policy->quarantined[owner] |= verdict->placement == PLACEMENT_BRIDGE &&
					      verdict->confinement == CONFINEMENT_QUARANTINED;
	}
	for (size_t i = 0; i < model->containers_n; i++)
		judge_shared(policy, i);
	for (size_t i = 0; model->releases_n > 0 && i < model->containers_n; i++)
		judge_release(policy, i);
}
