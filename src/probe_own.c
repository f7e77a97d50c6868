/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The elements by which the kernel counts what was stopped of one job: where a rule's counter moves for
 * everybody, these move for that job alone.
 */
#include "probe-internal.h"

#include <string.h>

static const enum set_id counting[] = { SET_HOST_JOBS, SET_JOBS4, SET_JOBS6, SET_JOB_PORTS };

/* An element that can be no one else's: its comment is that of all the others (policy_containers.c). */
static const char *comment_of(const struct expected *expected, size_t container)
{
	const struct container *c = &expected->model.containers[container];
	const struct ruleset *ruleset = expected->ruleset;
	const struct elems *hosts = &ruleset->sets[SET_HOST_JOBS];
	const struct elems *bridged = &ruleset->sets[SET_JOBS4];
	uint64_t id = expected->model.cgroup_id ? expected->model.cgroup_id[container] : 0;

	for (size_t i = 0; id && i < hosts->n; i++)
		if (memcmp(hosts->elem[i].key, &id, sizeof(id)) == 0)
			return hosts->elem[i].comment;
	for (size_t j = 0; j < c->endpoints_n; j++)
		for (size_t i = 0; i < bridged->n; i++)
			if (ip_addr_is_set(&c->endpoints[j].ip4) &&
			    memcmp(bridged->elem[i].key + IFNAMSIZ, c->endpoints[j].ip4.bytes, 4) ==
				    0)
				return bridged->elem[i].comment;
	return NULL;
}

void own_elements_add(const struct expected *expected, size_t container, struct own_elements *own)
{
	const char *comment = comment_of(expected, container);

	for (size_t s = 0; comment && s < ARRAY_SIZE(counting); s++) {
		const struct elems *elems = &expected->ruleset->sets[counting[s]];

		for (size_t i = 0; i < elems->n && own->n < OWN_ELEMENTS_MAX; i++) {
			if (strcmp(elems->elem[i].comment ?: "", comment) != 0)
				continue;
			own->elem[own->n] = &elems->elem[i];
			own->set[own->n++] = counting[s];
		}
	}
}

int own_elements_read(struct nft *nft, const struct own_elements *own, uint64_t *ret_packets)
{
	uint64_t sum = 0;

	for (size_t s = 0; s < ARRAY_SIZE(counting); s++) {
		const struct elem *wanted[OWN_ELEMENTS_MAX];
		uint64_t packets = 0;
		size_t n = 0;
		int r;

		for (size_t i = 0; i < own->n; i++)
			if (own->set[i] == counting[s])
				wanted[n++] = own->elem[i];
		if (n == 0)
			continue;
		r = nft_read_elements(nft, counting[s], wanted, n, &packets);
		if (r < 0)
			return r;
		sum += packets;
	}
	*ret_packets = sum;
	return 0;
}
