/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the policy's files look up in the model (links, networks, which bridge is guarded), and the
 * elements that all of them add. Pure.
 */
#include "policy-internal.h"

#include <string.h>

int policy_add_ifname(struct ruleset *ruleset, enum set_id set, const char *name,
		      const char *comment)
{
	struct elem_key key;

	elem_key_init(&key);
	elem_key_ifname(&key, name);
	return ruleset_add(ruleset, set, &key, 0, comment);
}

int policy_add_bytes(struct ruleset *ruleset, enum set_id set, const void *field, uint32_t len,
		     const char *text)
{
	struct elem_key key;
	const char *comment;
	int r = ruleset_comment(ruleset, text, &comment);

	elem_key_init(&key);
	elem_key_add(&key, field, len);
	return r < 0 ? r : ruleset_add(ruleset, set, &key, 0, comment);
}

int policy_add_cgroup(struct ruleset *ruleset, enum set_id set, uint64_t id, const char *comment)
{
	struct elem_key key;

	elem_key_init(&key);
	elem_key_u64(&key, id);
	return ruleset_add(ruleset, set, &key, 0, comment);
}

bool policy_is_claim(enum set_id set)
{
	return set == SET_BOUND_MACS || set == SET_BOUND4 || set == SET_BOUND6;
}

bool policy_is_docker_bridge(const char *name)
{
	if (strncmp(name, "br-", 3) != 0 || strlen(name) != 15)
		return false;
	return strspn(name + 3, "0123456789abcdef") == 12;
}

/* A container that can make bridges and veths on the host itself: the guarantee is void beside it. */
static bool has_network_admin(const struct model *model)
{
	for (size_t i = 0; i < model->containers_n; i++) {
		const struct container *c = &model->containers[i];

		if (container_is_live(c) && c->network_kind == NETWORK_KIND_HOST &&
		    c->hazards & (HAZARD_PRIVILEGED | HAZARD_CAPABILITIES))
			return true;
	}
	return false;
}

bool policy_is_guarded(const struct config *config, const struct model *model, const char *name)
{
	for (size_t i = 0; i < config->bridges_n; i++)
		if (strcmp(config->bridges[i], name) == 0)
			return true;
	for (size_t i = 0; i < model->networks_n; i++)
		if (strcmp(model->networks[i].bridge, name) == 0)
			return true;
	/* a name like Docker's that our engine does not know may be that of an engine inside a
	 * container, where there is one that could have made it */
	return policy_is_docker_bridge(name) && !(model->in_sync && has_network_admin(model));
}

/* Links are sorted by ifindex. */
const struct link *policy_link(const struct model *model, int ifindex)
{
	size_t low = 0, high = model->links_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (model->links[mid].ifindex < ifindex)
			low = mid + 1;
		else
			high = mid;
	}
	return low < model->links_n && model->links[low].ifindex == ifindex ? &model->links[low]
									    : NULL;
}

const struct network *policy_network(const struct model *model, const char *id)
{
	size_t low = 0, high = model->networks_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int cmp = strcmp(model->networks[mid].id, id);

		if (cmp == 0)
			return &model->networks[mid];
		if (cmp < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
