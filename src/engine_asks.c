/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The questions for the engine: queued without doubles, sent within bounds, answered once. The
 * stream of events may bring thousands a second and the engine may hold an answer back for
 * minutes, so nothing here waits and nothing grows without a bound: one question of a kind about
 * one object is in flight at most, and when it is asked again meanwhile it becomes dirty and is
 * asked once more afterwards. Every question is a GET of one of the paths below.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine-internal.h"

#define MIB (1024 * 1024)

struct flight {
	struct flight *next;
	struct asks *asks;
	struct http_call *call;
	struct ask ask;
	bool forgotten;
};

static const struct {
	unsigned timeout_ms;
	size_t body_max;
	bool fresh; /* on a connection of its own */
} kinds[] = {
	[ASK_VERSION] = { 30000, MIB, true },
	/* Fresh: it finds out that the socket has gone or changed hands. */
	[ASK_PING] = { 10000, 4096, true },
	[ASK_INFO] = { 30000, 4 * MIB, false },
	/* One at a time; most of its labels are taken out before it is parsed. */
	[ASK_CONTAINERS] = { 30000, 64 * MIB, false },
	[ASK_NETWORKS] = { 30000, 16 * MIB, false },
	[ASK_LISTED] = { 30000, 4 * MIB, false },
	[ASK_INSPECT] = { 120000, 4 * MIB, false },
	[ASK_NETWORK] = { 30000, 16 * MIB, false },
};

static void ask_path(const struct ask *ask, const char *api, char *path, size_t size)
{
	switch (ask->kind) {
	case ASK_VERSION:
		snprintf(path, size, "/version");
		return;
	case ASK_PING:
		snprintf(path, size, "/_ping");
		return;
	case ASK_INFO:
		snprintf(path, size, "/v%s/info", api);
		return;
	case ASK_CONTAINERS:
		snprintf(path, size, "/v%s/containers/json?all=1", api);
		return;
	case ASK_NETWORKS:
		snprintf(path, size, "/v%s/networks", api);
		return;
	case ASK_LISTED: /* filters={"id":["…"]} */
		snprintf(path, size,
			 "/v%s/containers/"
			 "json?all=1&filters=%%7B%%22id%%22%%3A%%5B%%22%s%%22%%5D%%7D",
			 api, ask->id);
		return;
	case ASK_INSPECT:
		snprintf(path, size, "/v%s/containers/%s/json", api, ask->id);
		return;
	case ASK_NETWORK:
		snprintf(path, size, "/v%s/networks/%s", api, ask->id);
		return;
	}
}

static bool is_same(const struct ask *ask, enum ask_kind kind, const char *id)
{
	return ask->kind == kind && !strcmp(ask->id, id);
}

/* Makes an ask part of the refresh that waits for it. */
static void make_bulk(struct asks *asks, struct ask *ask)
{
	if (!ask->bulk)
		asks->bulk_n++;
	ask->bulk = true;
}

static struct ask *find_queued(struct asks *asks, enum ask_kind kind, const char *id)
{
	for (size_t i = 0; i < asks->queue_n; i++)
		if (is_same(&asks->queue[i], kind, id))
			return &asks->queue[i];
	return NULL;
}

static struct flight *find_flying(struct asks *asks, enum ask_kind kind, const char *id)
{
	for (struct flight *flight = asks->flights; flight; flight = flight->next)
		if (is_same(&flight->ask, kind, id) && !flight->forgotten)
			return flight;
	return NULL;
}

static int grow_queue(struct asks *asks)
{
	size_t size = asks->queue_size ? asks->queue_size * 2 : 64;
	struct ask *queue;

	if (asks->queue_n < asks->queue_size)
		return 0;
	queue = reallocarray(asks->queue, size, sizeof(*queue));
	if (!queue)
		return -ENOMEM;
	asks->queue = queue;
	asks->queue_size = size;
	return 0;
}

int asks_add(struct asks *asks, enum ask_kind kind, const char *id, bool bulk)
{
	struct flight *flight = find_flying(asks, kind, id);
	struct ask *ask = flight && bulk ? &flight->ask : find_queued(asks, kind, id);
	int r;

	if (flight && !bulk) {
		flight->ask.dirty = true;
		return 0;
	}
	if (!ask) {
		/* The few that have no id are never turned away: a refresh is made of them. */
		if (*id && asks->queue_n >= ASKS_QUEUED_MAX)
			return -ENOBUFS;
		r = grow_queue(asks);
		if (r)
			return r;
		ask = &asks->queue[asks->queue_n++];
		*ask = (struct ask){ .kind = kind };
		snprintf(ask->id, sizeof(ask->id), "%s", id);
	}
	if (bulk)
		make_bulk(asks, ask);
	return 0;
}

/* Takes it out of the list and the counts. */
static void unlink_flight(struct flight *flight)
{
	struct asks *asks = flight->asks;
	struct flight **at = &asks->flights;

	while (*at != flight)
		at = &(*at)->next;
	*at = flight->next;
	asks->flying_n--;
	asks->inspects_n -= flight->ask.kind == ASK_INSPECT;
	asks->bulk_n -= flight->ask.bulk;
}

static void on_answer(const struct http_answer *answer, void *data)
{
	struct flight *flight = data;
	struct asks *asks = flight->asks;
	struct ask ask = flight->ask;
	bool forgotten = flight->forgotten;

	unlink_flight(flight);
	free(flight);
	if (!forgotten)
		asks->answered(&ask, answer, asks->data);
}

void asks_drop(struct asks *asks)
{
	while (asks->flights) {
		struct flight *flight = asks->flights;

		http_cancel(flight->call);
		unlink_flight(flight);
		free(flight);
	}
	free(asks->queue);
	asks->queue = NULL;
	asks->queue_n = asks->queue_size = 0;
	asks->bulk_n = 0;
}

void asks_forget(struct asks *asks, const char *container_id)
{
	size_t kept = 0;

	for (size_t i = 0; i < asks->queue_n; i++) {
		struct ask *ask = &asks->queue[i];

		if (is_same(ask, ASK_LISTED, container_id) ||
		    is_same(ask, ASK_INSPECT, container_id))
			asks->bulk_n -= ask->bulk;
		else
			asks->queue[kept++] = *ask;
	}
	asks->queue_n = kept;
	/* We may be inside libcurl here, so calls in flight run on, unheard. */
	for (struct flight *flight = asks->flights; flight; flight = flight->next) {
		if (strcmp(flight->ask.id, container_id) != 0 || flight->ask.kind == ASK_NETWORK)
			continue;
		flight->forgotten = true;
		asks->bulk_n -= flight->ask.bulk;
		flight->ask.bulk = false;
	}
}

static int send_ask(struct asks *asks, const struct ask *ask)
{
	_cleanup_free_ struct flight *flight = calloc(1, sizeof(*flight));
	struct http_ask http_ask = {
		.timeout_ms = kinds[ask->kind].timeout_ms,
		.body_max = kinds[ask->kind].body_max,
		.fresh = kinds[ask->kind].fresh,
		.done = on_answer,
		.data = flight,
	};
	char path[256];
	int r;

	if (!flight)
		return -ENOMEM;
	ask_path(ask, asks->api, path, sizeof(path));
	http_ask.path = path;
	if (asks->timeout_max_ms && http_ask.timeout_ms > asks->timeout_max_ms)
		http_ask.timeout_ms = asks->timeout_max_ms;
	flight->asks = asks;
	flight->ask = *ask;
	flight->ask.seq = ++asks->seq;
	r = http_get(asks->http, &http_ask, &flight->call);
	if (r)
		return r;
	flight->next = asks->flights;
	asks->flights = flight;
	asks->flying_n++;
	asks->inspects_n += ask->kind == ASK_INSPECT;
	take_ptr(flight);
	return 0;
}

static bool may_send(struct asks *asks, const struct ask *ask)
{
	if (asks->flying_n >= ASKS_FLYING_MAX)
		return false;
	if (ask->kind == ASK_INSPECT && asks->inspects_n >= ASKS_INSPECTS_MAX)
		return false;
	/* One that is queued while its twin flies was asked after that one was forgotten. */
	return !find_flying(asks, ask->kind, ask->id);
}

int asks_pump(struct asks *asks)
{
	size_t kept = 0, i;
	int r = 0;

	for (i = 0; i < asks->queue_n && !r; i++) {
		struct ask ask = asks->queue[i];

		if (!may_send(asks, &ask)) {
			asks->queue[kept++] = ask;
			continue;
		}
		r = send_ask(asks, &ask);
		if (r)
			asks->queue[kept++] = ask;
	}
	for (; i < asks->queue_n; i++)
		asks->queue[kept++] = asks->queue[i];
	asks->queue_n = kept;
	return r;
}

void asks_unbulk(struct asks *asks)
{
	for (size_t i = 0; i < asks->queue_n; i++)
		asks->queue[i].bulk = false;
	for (struct flight *flight = asks->flights; flight; flight = flight->next)
		flight->ask.bulk = false;
	asks->bulk_n = 0;
}

bool asks_busy(const struct asks *asks)
{
	for (size_t i = 0; i < asks->queue_n; i++)
		if (asks->queue[i].id[0])
			return true;
	for (const struct flight *flight = asks->flights; flight; flight = flight->next)
		if (flight->ask.id[0])
			return true;
	return false;
}
