/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Docker engine over its unix socket: libcurl multi on an sd-event loop, GET requests only.
 * Keeps its own picture of containers and networks and says when it changed; never blocks the
 * loop, never writes to the engine, never decides anything.
 *
 * Life: connect → /version (negotiate) → /info → /events?since=… (one stream for containers and
 * networks) → list containers and networks → inspect each live one → in sync. A lost stream, a
 * hung engine or a refused answer leads back to the start, with backoff; the picture of before is
 * kept (and marked out of sync) until the new one is whole.
 */
#pragma once

#include <systemd/sd-event.h>

#include "jobfence/container.h"
#include "jobfence/docker_json.h"

struct engine;

enum engine_state {
	ENGINE_LOST,    /* not reachable; retrying */
	ENGINE_SYNCING, /* connected, the picture is not whole yet */
	ENGINE_IN_SYNC,
};

struct engine_view {
	enum engine_state state;
	bool ever_in_sync; /* false: containers below are a part of the truth at best */
	struct engine_info info;
	bool telling; /* a list, and what is in it, is under way */
	pid_t peer_pid; /* SO_PEERCRED of the socket: dockerd, or 1 where systemd listens; 0 unknown */
	uint64_t streams_lost;              /* event streams that had opened, and broke */
	const struct container *containers; /* sorted by id; borrowed until the next callback */
	size_t containers_n;
	const struct network *networks; /* sorted by id */
	size_t networks_n;
	const char *trouble; /* one sentence while ENGINE_LOST, else NULL */
	/* While ENGINE_LOST: it is an engine that cannot be fenced (rootless, Podman), as trouble
	 * says. It is asked again all the same: another may take its place. */
	bool refused;
};

/* Called from the loop whenever the view changed (coalesced: at most once per loop iteration). */
typedef void (*engine_changed_fn)(struct engine *engine, void *data);

/*
 * Starts connecting at the next loop iteration. @socket_path is copied; @event is referenced.
 * Returns 0, -ENOMEM or another -errno of sd-event or libcurl.
 */
int engine_new(sd_event *event, const char *socket_path, engine_changed_fn changed, void *data,
	       struct engine **ret_engine);
struct engine *engine_free(struct engine *engine); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct engine *, engine_free)

/* The current picture, borrowed until the loop runs again. */
void engine_get_view(const struct engine *engine, struct engine_view *ret_view);

/*
 * Asks for a fresh list and inspections (the periodic look), and on a connection of its own whether the
 * engine answers and is still the same process. Keeps the stream. What it finds that no event told is
 * logged, when events that are only late had time to come.
 */
void engine_refresh(struct engine *engine);
