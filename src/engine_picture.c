/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of containers and networks, put together from answers that overtake each other.
 * Pure. Each answer carries the order in which its question was sent; an older one never undoes
 * what a newer one told. While a container starts, its own inspect answer is held back by the
 * engine but its networks already tell its addresses: they are laid over what the container's own
 * answers lack. Where two answers disagree whether a container lives, it lives.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine-internal.h"

#define PICTURE_MAX 65536
#define ENDPOINTS_MAX 64

static void swap_text(char **a, char **b)
{
	char *kept = *a;

	*a = *b;
	*b = kept;
}

/* --- the two sorted arrays --- */

/* The first index whose id is not below @id. */
static size_t container_at(const struct picture *picture, const char *id)
{
	size_t low = 0, high = picture->containers_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(picture->containers[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t network_at(const struct picture *picture, const char *id)
{
	size_t low = 0, high = picture->networks_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(picture->networks[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_container(const struct picture *picture, size_t at, const char *id)
{
	return at < picture->containers_n && !strcmp(picture->containers[at].id, id);
}

static bool has_network(const struct picture *picture, size_t at, const char *id)
{
	return at < picture->networks_n && !strcmp(picture->networks[at].id, id);
}

const struct container *picture_find(const struct picture *picture, const char *container_id)
{
	size_t at = container_at(picture, container_id);

	return has_container(picture, at, container_id) ? &picture->containers[at] : NULL;
}

/* Room for one more item and its note. */
static int grow(void *items, size_t item_size, void *notes, size_t note_size, size_t n,
		size_t *size)
{
	size_t wanted = *size ? *size * 2 : 16;
	void *grown;

	if (n < *size)
		return 0;
	if (n >= PICTURE_MAX)
		return -ENOSPC;
	grown = reallocarray(*(void **)items, wanted, item_size);
	if (!grown)
		return -ENOMEM;
	*(void **)items = grown;
	grown = reallocarray(*(void **)notes, wanted, note_size);
	if (!grown)
		return -ENOMEM;
	*(void **)notes = grown;
	*size = wanted;
	return 0;
}

/* Moves @container into the picture. */
static int insert_container(struct picture *picture, size_t at, struct container *container)
{
	size_t after = picture->containers_n - at;
	int r = grow(&picture->containers, sizeof(*picture->containers), &picture->container_notes,
		     sizeof(*picture->container_notes), picture->containers_n,
		     &picture->containers_size);

	if (r)
		return r;
	memmove(&picture->containers[at + 1], &picture->containers[at],
		after * sizeof(*picture->containers));
	memmove(&picture->container_notes[at + 1], &picture->container_notes[at],
		after * sizeof(*picture->container_notes));
	picture->containers[at] = *container;
	picture->container_notes[at] = (struct container_note){ 0 };
	picture->containers_n++;
	memset(container, 0, sizeof(*container));
	return 0;
}

static int insert_network(struct picture *picture, size_t at, struct network *network)
{
	size_t after = picture->networks_n - at;
	int r = grow(&picture->networks, sizeof(*picture->networks), &picture->network_notes,
		     sizeof(*picture->network_notes), picture->networks_n, &picture->networks_size);

	if (r)
		return r;
	memmove(&picture->networks[at + 1], &picture->networks[at],
		after * sizeof(*picture->networks));
	memmove(&picture->network_notes[at + 1], &picture->network_notes[at],
		after * sizeof(*picture->network_notes));
	picture->networks[at] = *network;
	picture->network_notes[at] = (struct network_note){ 0 };
	picture->networks_n++;
	memset(network, 0, sizeof(*network));
	return 0;
}

void picture_remove_container(struct picture *picture, const char *id)
{
	size_t at = container_at(picture, id);
	size_t after;

	if (!has_container(picture, at, id))
		return;
	after = --picture->containers_n - at;
	container_done(&picture->containers[at]);
	memmove(&picture->containers[at], &picture->containers[at + 1],
		after * sizeof(*picture->containers));
	memmove(&picture->container_notes[at], &picture->container_notes[at + 1],
		after * sizeof(*picture->container_notes));
}

void picture_remove_network(struct picture *picture, const char *id)
{
	size_t at = network_at(picture, id);
	size_t after;

	if (!has_network(picture, at, id))
		return;
	after = --picture->networks_n - at;
	network_done(&picture->networks[at]);
	memmove(&picture->networks[at], &picture->networks[at + 1],
		after * sizeof(*picture->networks));
	memmove(&picture->network_notes[at], &picture->network_notes[at + 1],
		after * sizeof(*picture->network_notes));
}

void picture_list_done(struct picture_list *list)
{
	for (size_t i = 0; i < list->containers_n; i++)
		container_done(&list->containers[i]);
	for (size_t i = 0; i < list->networks_n; i++)
		network_done(&list->networks[i]);
	free(list->containers);
	free(list->networks);
	memset(list, 0, sizeof(*list));
}

void picture_done(struct picture *picture)
{
	for (size_t i = 0; i < picture->containers_n; i++)
		container_done(&picture->containers[i]);
	for (size_t i = 0; i < picture->networks_n; i++)
		network_done(&picture->networks[i]);
	free(picture->containers);
	free(picture->container_notes);
	free(picture->networks);
	free(picture->network_notes);
	memset(picture, 0, sizeof(*picture));
}

/* --- addresses, as networks tell them --- */

static struct endpoint *find_endpoint(struct container *container, const struct network *network)
{
	for (size_t i = 0; i < container->endpoints_n; i++) {
		struct endpoint *endpoint = &container->endpoints[i];

		if (!strcmp(endpoint->network_id, network->id))
			return endpoint;
		/* before its start a container knows its networks by name only */
		if (!endpoint->network_id[0] && endpoint->network_name &&
		    !strcmp(endpoint->network_name, network->name))
			return endpoint;
	}
	return NULL;
}

static int add_endpoint(struct container *container, const struct network *network,
			struct endpoint **ret_endpoint)
{
	struct endpoint *endpoints;
	char *name;

	if (container->endpoints_n >= ENDPOINTS_MAX)
		return -ENOSPC;
	endpoints =
		reallocarray(container->endpoints, container->endpoints_n + 1, sizeof(*endpoints));
	if (!endpoints)
		return -ENOMEM;
	container->endpoints = endpoints;
	name = strdup(network->name);
	if (!name)
		return -ENOMEM;
	endpoints += container->endpoints_n++;
	*endpoints = (struct endpoint){ .network_name = name };
	*ret_endpoint = endpoints;
	return 0;
}

static int lay_over(struct container *container, const struct network *network,
		    const struct network_endpoint *told)
{
	struct endpoint *endpoint = find_endpoint(container, network);
	int r;

	if (!endpoint) {
		r = add_endpoint(container, network, &endpoint);
		if (r)
			return r == -ENOSPC ? 0 : r;
	}
	strcpy(endpoint->network_id, network->id);
	endpoint->mac = told->mac;
	endpoint->ip4 = told->ip4;
	endpoint->ip6 = told->ip6;
	return 0;
}

static int compare_members(const void *a, const void *b)
{
	const struct network_endpoint *left = a, *right = b;

	return memcmp(left->container, right->container, sizeof(left->container));
}

/* Members are sorted by take_network(). */
static const struct network_endpoint *find_member(const struct network *network, const char *id)
{
	struct network_endpoint key;

	if (!network->endpoints_n)
		return NULL;
	container_id_bytes(id, key.container);
	return bsearch(&key, network->endpoints, network->endpoints_n, sizeof(key),
		       compare_members);
}

/* What networks tell of one container, where they were asked after @seq. */
static int lay_networks_over(struct picture *picture, struct container *container, uint64_t seq)
{
	for (size_t i = 0; i < picture->networks_n; i++) {
		const struct network_endpoint *told;
		int r;

		if (picture->network_notes[i].seq <= seq)
			continue;
		told = find_member(&picture->networks[i], container->id);
		r = told ? lay_over(container, &picture->networks[i], told) : 0;
		if (r)
			return r;
	}
	return 0;
}

/* The network no longer tells this container: its addresses there are void. */
static void clear_endpoint(struct container *container, const struct network *network)
{
	struct endpoint *endpoint = find_endpoint(container, network);

	if (!endpoint)
		return;
	memset(&endpoint->mac, 0, sizeof(endpoint->mac));
	memset(&endpoint->ip4, 0, sizeof(endpoint->ip4));
	memset(&endpoint->ip6, 0, sizeof(endpoint->ip6));
}

/* Replaces the network at @at; returns with @network holding what was there. */
static int put_network(struct picture *picture, struct network *network, size_t *ret_at)
{
	size_t at = network_at(picture, network->id);
	struct network old;

	*ret_at = at;
	if (!has_network(picture, at, network->id))
		return insert_network(picture, at, network);
	old = picture->networks[at];
	picture->networks[at] = *network;
	*network = old;
	return 0;
}

static int take_network(struct picture *picture, struct network *network, uint64_t seq)
{
	struct container *container;
	size_t at;
	int r;

	if (network->endpoints_n)
		qsort(network->endpoints, network->endpoints_n, sizeof(*network->endpoints),
		      compare_members);
	r = put_network(picture, network, &at);
	if (r)
		return r;
	network = &picture->networks[at];
	picture->network_notes[at] = (struct network_note){ .seq = seq };
	for (size_t i = 0; i < network->endpoints_n; i++) {
		const struct network_endpoint *told = &network->endpoints[i];
		char id[CONTAINER_ID_LEN + 1];

		container_id_text(told->container, id);
		at = container_at(picture, id);
		if (!has_container(picture, at, id))
			continue;
		/* it has told of itself since; of one that was never started only networks do */
		if (picture->container_notes[at].inspected_seq > seq &&
		    picture->containers[at].state != CONTAINER_CREATED)
			continue;
		r = lay_over(&picture->containers[at], network, told);
		if (r)
			return r;
	}
	for (size_t i = 0; i < picture->containers_n; i++) {
		container = &picture->containers[i];
		if (picture->container_notes[i].inspected_seq < seq &&
		    !find_member(network, container->id))
			clear_endpoint(container, network);
	}
	return 0;
}

/* No answer of before may lay it over again. */
static void forget_member(struct network *network, const char *container_id)
{
	const struct network_endpoint *member = find_member(network, container_id);
	size_t at = member ? (size_t)(member - network->endpoints) : 0;

	if (!member)
		return;
	network->endpoints_n--;
	memmove(network->endpoints + at, network->endpoints + at + 1,
		(network->endpoints_n - at) * sizeof(*member));
}

/* At once: who is given its address next comes behind this in the stream, and the answers may not. */
void picture_disconnected(struct picture *picture, const char *container_id, const char *network_id)
{
	size_t c = container_at(picture, container_id), n = network_at(picture, network_id);

	if (!has_network(picture, n, network_id))
		return;
	forget_member(&picture->networks[n], container_id);
	if (has_container(picture, c, container_id) && !container_is_live(&picture->containers[c]))
		clear_endpoint(&picture->containers[c], &picture->networks[n]);
}

int picture_take_network(struct picture *picture, struct network *network, uint64_t seq)
{
	int r = take_network(picture, network, seq);

	network_done(network);
	return r;
}

/* --- containers --- */

static void swap_identities(struct container *a, struct container *b)
{
	const struct container was = *a;

	a->identity = b->identity;
	a->id = b->id;
	a->name = b->name;
	a->task_id = b->task_id;
	b->identity = was.identity;
	b->id = was.id;
	b->name = was.name;
	b->task_id = was.task_id;
}

/* Of one container: what both say is the same. */
static bool same_identity(const struct container *a, const struct container *b)
{
	return strcmp(a->name, b->name) == 0 && strcmp(a->task_id ?: "", b->task_id ?: "") == 0;
}

/* @now takes @gone's place: where nothing changed, others hold the one of before. */
static void keep_identity(struct container *now, struct container *gone)
{
	if (same_identity(now, gone))
		swap_identities(now, gone);
}

/* What a list tells anew of a container that is known. */
static void renew(struct container *old, struct container *listed)
{
	if (!same_identity(old, listed))
		swap_identities(old, listed);
	swap_text(&old->network_ref, &listed->network_ref);
	swap_text(&old->labels, &listed->labels);
	old->labels_cut = listed->labels_cut;
	old->is_task = listed->is_task;
	old->network_kind = listed->network_kind;
	old->state = listed->state;
	if (!container_is_live(old))
		old->pid = 0;
}

/* Asked for before the inspection and answered behind it: where they disagree whether it lives it does, with
 * its process, until one that is asked now decides. */
static void weigh_older_list(const struct container *known, struct container_note *note,
			     struct container *listed, uint64_t seq)
{
	if (note->inspected_seq < seq || container_is_live(listed) == container_is_live(known))
		return;
	note->wanted = true;
	if (!container_is_live(listed))
		listed->state = known->state;
}

static int take_listed(struct picture *picture, struct container *container, uint64_t seq)
{
	size_t at = container_at(picture, container->id);
	struct container swapped;
	int r;

	if (!has_container(picture, at, container->id)) {
		r = insert_container(picture, at, container);
		if (r)
			return r;
	} else if (picture->container_notes[at].listed_seq > seq) {
		return 0;
	} else if (picture->containers[at].inspected) {
		weigh_older_list(&picture->containers[at], &picture->container_notes[at], container,
				 seq);
		renew(&picture->containers[at], container);
	} else {
		swapped = picture->containers[at];
		picture->containers[at] = *container;
		*container = swapped;
		keep_identity(&picture->containers[at], container);
	}
	picture->container_notes[at].listed_seq = seq;
	return lay_networks_over(picture, &picture->containers[at],
				 picture->container_notes[at].inspected_seq);
}

int picture_take_listed(struct picture *picture, struct container *container, uint64_t seq)
{
	int r = take_listed(picture, container, seq);

	container_done(container);
	return r;
}

static int take_inspected(struct picture *picture, struct container *container, uint64_t seq)
{
	size_t at = container_at(picture, container->id);
	struct container_note *note;
	struct container old;
	bool disagrees = false;
	int r;

	if (!has_container(picture, at, container->id)) {
		r = insert_container(picture, at, container);
		if (r)
			return r;
		note = &picture->container_notes[at];
	} else {
		note = &picture->container_notes[at];
		old = picture->containers[at];
		/* Who was asked later need not have answered later: the engine's list may be behind. */
		disagrees = note->listed_seq > seq &&
			    container_is_live(container) != container_is_live(&old);
		if (disagrees && !container_is_live(container))
			container->state = old.state;
		picture->containers[at] = *container;
		*container = old;
		keep_identity(&picture->containers[at], container);
	}
	note->inspected_seq = seq;
	note->wanted = disagrees; /* one that is asked now decides */
	return lay_networks_over(picture, &picture->containers[at], seq);
}

int picture_take_inspected(struct picture *picture, struct container *container, uint64_t seq)
{
	int r = take_inspected(picture, container, seq);

	container_done(container);
	return r;
}

/* --- a whole new list --- */

static int compare_containers(const void *a, const void *b)
{
	return strcmp(((const struct container *)a)->id, ((const struct container *)b)->id);
}

static int compare_networks(const void *a, const void *b)
{
	return strcmp(((const struct network *)a)->id, ((const struct network *)b)->id);
}

/* Removes what the sorted list lacks, in one pass. */
static void drop_containers(struct picture *picture, const struct picture_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < picture->containers_n; i++) {
		struct container_note note = picture->container_notes[i];
		bool newer = note.listed_seq > list->containers_seq ||
			     note.inspected_seq > list->containers_seq;

		if (!newer &&
		    !(list->containers_n &&
		      bsearch(&picture->containers[i], list->containers, list->containers_n,
			      sizeof(*list->containers), compare_containers))) {
			container_done(&picture->containers[i]);
			continue;
		}
		picture->containers[kept] = picture->containers[i];
		picture->container_notes[kept++] = note;
	}
	picture->containers_n = kept;
}

static void drop_networks(struct picture *picture, const struct picture_list *list)
{
	size_t kept = 0;

	for (size_t i = 0; i < picture->networks_n; i++) {
		struct network_note note = picture->network_notes[i];

		if (note.seq <= list->networks_seq &&
		    !(list->networks_n &&
		      bsearch(&picture->networks[i], list->networks, list->networks_n,
			      sizeof(*list->networks), compare_networks))) {
			network_done(&picture->networks[i]);
			continue;
		}
		picture->networks[kept] = picture->networks[i];
		picture->network_notes[kept++] = note;
	}
	picture->networks_n = kept;
}

/* A list of networks tells no endpoints: those of before stay until the network itself is asked. */
static int take_listed_network(struct picture *picture, struct network *network, uint64_t seq)
{
	size_t at = network_at(picture, network->id);
	struct network_endpoint *endpoints = NULL;
	size_t endpoints_n = 0;
	int r;

	if (has_network(picture, at, network->id)) {
		if (picture->network_notes[at].seq > seq)
			return 0;
		endpoints = take_ptr(picture->networks[at].endpoints);
		endpoints_n = picture->networks[at].endpoints_n;
		picture->networks[at].endpoints_n = 0;
		free(network->endpoints);
		network->endpoints = endpoints;
		network->endpoints_n = endpoints_n;
	}
	r = put_network(picture, network, &at);
	if (r)
		return r;
	picture->network_notes[at].wanted = true;
	return 0;
}

/* Of one that stopped, the networks tell whether it is started again. */
static bool is_asked_for(const struct container *container)
{
	return container_is_live(container) || container->state == CONTAINER_CREATED;
}

void picture_sort_list(struct picture_list *list)
{
	if (list->containers_n)
		qsort(list->containers, list->containers_n, sizeof(*list->containers),
		      compare_containers);
	if (list->networks_n)
		qsort(list->networks, list->networks_n, sizeof(*list->networks), compare_networks);
}

int picture_take_list(struct picture *picture, struct picture_list *list)
{
	int r;

	picture_sort_list(list);
	drop_containers(picture, list);
	drop_networks(picture, list);
	for (size_t i = 0; i < list->networks_n; i++) {
		r = take_listed_network(picture, &list->networks[i], list->networks_seq);
		if (r)
			return r;
	}
	for (size_t i = 0; i < list->containers_n; i++) {
		r = take_listed(picture, &list->containers[i], list->containers_seq);
		if (r)
			return r;
	}
	for (size_t i = 0; i < picture->containers_n; i++)
		picture->container_notes[i].wanted = is_asked_for(&picture->containers[i]);
	return 0;
}
