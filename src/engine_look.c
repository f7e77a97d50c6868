/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The periodic look at the engine: what a fresh list has and no event told is a lost event or a
 * bug, and is logged as that. The refresh itself mends it; this file only finds words, and changes
 * nothing. It may fall silent where it cannot be sure (too much was happening), never cry wolf: an
 * event that is only on its way is waited for.
 */
#include <stdlib.h>
#include <string.h>

#include "engine-internal.h"
#include "jobfence/log.h"
#include "jobfence/text.h"

#define SETTLE_US 2000000ULL

static void find(struct look *look, const char *kind, const char *id)
{
	struct look_found *found;

	for (size_t i = 0; i < look->found_n; i++)
		if (!strcmp(look->found[i].id, id))
			return;
	if (look->found_n == LOOK_FOUND_MAX) {
		look->more++;
		return;
	}
	found = &look->found[look->found_n++];
	found->kind = kind;
	strcpy(found->id, id);
}

void look_begin(struct engine *engine)
{
	struct look *look = &engine->look;

	/* an answer under way is about an event that came: what it brings would look found */
	look->on = engine->state == ENGINE_IN_SYNC && engine->refresh.phase == REFRESH_NONE &&
		   !asks_busy(&engine->asks);
	look->told_n = look->found_n = look->more = 0;
	if (!look->settle_us)
		look->settle_us = SETTLE_US;
}

void look_told(struct engine *engine, const char *id)
{
	struct look *look = &engine->look;

	if (!look->on || !*id)
		return;
	if (look->told_n == LOOK_TOLD_MAX)
		look->on = false;
	else
		strcpy(look->told[look->told_n++], id);
}

/* Both are sorted by id: a walk over the two. */
static void compare_listed(struct look *look, const struct picture *picture,
			   const struct picture_list *list)
{
	size_t i = 0, j = 0;

	while (i < picture->containers_n || j < list->containers_n) {
		const struct container *known = &picture->containers[i],
				       *listed = &list->containers[j];
		int cmp = i == picture->containers_n ? 1
			  : j == list->containers_n  ? -1
						     : strcmp(known->id, listed->id);

		if (cmp < 0)
			find(look, "container", known->id);
		else if (cmp > 0 || container_is_live(known) != container_is_live(listed))
			find(look, "container", listed->id);
		i += cmp <= 0;
		j += cmp >= 0;
	}
}

static void compare_networks_listed(struct look *look, const struct picture *picture,
				    const struct picture_list *list)
{
	size_t i = 0, j = 0;

	while (i < picture->networks_n || j < list->networks_n) {
		int cmp = i == picture->networks_n ? 1
			  : j == list->networks_n
				  ? -1
				  : strcmp(picture->networks[i].id, list->networks[j].id);

		if (cmp)
			find(look, "network",
			     cmp < 0 ? picture->networks[i].id : list->networks[j].id);
		i += cmp <= 0;
		j += cmp >= 0;
	}
}

void look_at_list(struct engine *engine)
{
	struct picture_list *list = &engine->refresh.list;

	if (!engine->look.on)
		return;
	picture_sort_list(list);
	compare_listed(&engine->look, &engine->picture, list);
	compare_networks_listed(&engine->look, &engine->picture, list);
}

/* Where the network's own answer took the addresses away the two disagree, each time anew: no news. */
static bool same_place(const struct endpoint *known, const struct endpoint *told)
{
	if (strcmp(known->network_id, told->network_id) != 0)
		return false;
	return !mac_addr_is_set(&known->mac) ||
	       (!mac_addr_cmp(&known->mac, &told->mac) && !ip_addr_cmp(&known->ip4, &told->ip4) &&
		!ip_addr_cmp(&known->ip6, &told->ip6));
}

/* Networks are not in an order of their own. */
static bool has_place(const struct container *container, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < container->endpoints_n; i++)
		if (same_place(&container->endpoints[i], endpoint))
			return true;
	return false;
}

void look_at_container(struct engine *engine, const struct container *container)
{
	const struct container *known = picture_find(&engine->picture, container->id);
	bool same;

	if (!engine->look.on || !known || !known->inspected)
		return;
	same = known->endpoints_n == container->endpoints_n;
	for (size_t i = 0; same && i < container->endpoints_n; i++)
		same = has_place(known, &container->endpoints[i]);
	if (!same)
		find(&engine->look, "container", container->id);
}

static bool was_told(const struct look *look, const char *id)
{
	for (size_t i = 0; i < look->told_n; i++)
		if (!strcmp(look->told[i], id))
			return true;
	return false;
}

int look_end(sd_event_source *source, uint64_t now, void *data)
{
	struct engine *engine = data;
	struct look *look = &engine->look;
	const struct look_found *first = NULL;
	size_t n = 0;

	if (!look->on)
		return 0;
	look->on = false;
	for (size_t i = 0; i < look->found_n; i++) {
		if (was_told(look, look->found[i].id))
			continue;
		first = first ?: &look->found[i];
		n++;
	}
	if (!first)
		return 0;
	n += look->more;
	if (n > 1)
		log_event(MESSAGE_DRIFT,
			  "the periodic look found %s %.12s and %zu more otherwise than the "
			  "engine's events had told (lost events or a bug) and mended it",
			  first->kind, first->id, n - 1);
	else
		log_event(MESSAGE_DRIFT,
			  "the periodic look found %s %.12s otherwise than the engine's events had "
			  "told (a lost event or a bug) and mended it",
			  first->kind, first->id);
	return 0;
}
