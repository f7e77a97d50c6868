/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the engine says, event by event and answer by answer, put into the picture. An event is
 * only a hint that something changed and is answered by asking; nothing of it is believed but
 * which object it names. An answer that cannot be used for one object costs a log line and a later
 * refresh; one without which there is no whole picture leads back to the start.
 *
 * Events are read inside libcurl's callback: they may only note and queue.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine-internal.h"
#include "jobfence/docker_json.h"
#include "jobfence/log.h"

#define FAILURE_TOLD_US 5000000ULL
#define API_OURS 47  /* 1.47; Docker 29 takes nothing below 1.44 */
#define API_LEAST 40 /* 1.40: Docker 19.03 */

/* --- what went wrong with one object --- */

/* At most one line in FAILURE_TOLD_US, with the number of those passed over. */
static void tell_failure(struct engine *engine, const char *what, const char *why)
{
	uint64_t now = clock_usec();
	struct diag line;

	if (engine->failure_told_us && now - engine->failure_told_us < FAILURE_TOLD_US) {
		engine->failures_untold++;
		return;
	}
	diag_set(&line, 0, "engine: %s: %s; asking again later", what, why);
	if (engine->failures_untold)
		log_warn("%s (and %u more like it)", line.text, engine->failures_untold);
	else
		log_warn("%s", line.text);
	engine->failure_told_us = now;
	engine->failures_untold = 0;
}

static void missed(struct engine *engine, const char *what, const char *why)
{
	tell_failure(engine, what, why);
	engine->refresh.failures++;
	engine_refresh_later(engine);
}

static void ask(struct engine *engine, enum ask_kind kind, const char *id)
{
	int r = asks_add(&engine->asks, kind, id, false);

	if (r)
		missed(engine, "too many events at once", strerror(-r));
	engine_wants_work(engine);
}

/* --- events --- */

static void container_gone(struct engine *engine, const char *id)
{
	struct refresh *refresh = &engine->refresh;

	asks_forget(&engine->asks, id);
	picture_remove_container(&engine->picture, id);
	engine_touched(engine);
	if (refresh->phase != REFRESH_LISTING)
		return;
	if (refresh->tombstones_n == TOMBSTONES_MAX)
		refresh->again = true;
	else
		strcpy(refresh->tombstones[refresh->tombstones_n++], id);
}

static void connected(struct engine *engine, const struct engine_event *event)
{
	const struct container *container = picture_find(&engine->picture, event->container_id);

	/* A start: its inspect answer would be held back, these two are not. */
	ask(engine, ASK_LISTED, event->container_id);
	ask(engine, ASK_NETWORK, event->network_id);
	if (container && container_is_live(container))
		ask(engine, ASK_INSPECT, event->container_id);
}

static void take_event(struct engine *engine, const struct engine_event *event)
{
	look_told(engine, event->container_id);
	look_told(engine, event->network_id);
	switch (event->kind) {
	case ENGINE_EVENT_OTHER:
		return;
	case ENGINE_EVENT_CONTAINER:
		ask(engine, ASK_LISTED, event->container_id);
		ask(engine, ASK_INSPECT, event->container_id);
		return;
	case ENGINE_EVENT_CONTAINER_GONE:
		container_gone(engine, event->container_id);
		return;
	case ENGINE_EVENT_CONNECT:
		connected(engine, event);
		return;
	case ENGINE_EVENT_DISCONNECT:
		picture_disconnected(&engine->picture, event->container_id, event->network_id);
		engine_touched(engine);
		ask(engine, ASK_NETWORK, event->network_id);
		ask(engine, ASK_INSPECT, event->container_id);
		return;
	case ENGINE_EVENT_NETWORK:
		ask(engine, ASK_NETWORK, event->network_id);
		return;
	case ENGINE_EVENT_DAEMON:
		ask(engine, ASK_INFO, "");
		engine_relist(engine);
		return;
	}
}

static void take_line(const char *line, size_t len, void *data)
{
	struct engine *engine = data;
	struct engine_event event;
	struct diag diag = { 0 };

	if (!line)
		missed(engine, "an event was passed over", "longer than 1 MiB");
	else if (docker_json_event(line, len, &event, &diag))
		missed(engine, "an event could not be read", diag.text);
	else
		take_event(engine, &event);
}

int engine_stream_bytes(const char *bytes, size_t len, void *data)
{
	struct engine *engine = data;

	return lines_feed(&engine->lines, bytes, len, take_line, engine);
}

/* --- answers without which there is no picture: a failure is a loss --- */

static int refuse(struct engine *engine, int error, const char *what, const struct diag *diag)
{
	engine_lost(engine, "%s: %s", what, diag->text);
	return error;
}

static bool number_of(const char *api, unsigned *ret_major, unsigned *ret_minor)
{
	return sscanf(api, "%u.%u", ret_major, ret_minor) == 2;
}

static void take_version(struct engine *engine, const struct http_answer *answer)
{
	unsigned major = 0, minor = 0, min_major = 0, min_minor = 0, ours = API_OURS;
	char api[16], min_api[16];
	struct diag diag = { 0 };
	int r = docker_json_version(answer->body, answer->len, api, min_api, &diag);

	if (r) {
		refuse(engine, r, "/version", &diag);
		return;
	}
	if (docker_json_is_podman(answer->body, answer->len)) {
		engine_refuse_podman(&diag);
		engine_refused(engine, &diag);
		return;
	}
	if (!number_of(api, &major, &minor) || !number_of(min_api, &min_major, &min_minor) ||
	    major < 1 || (major == 1 && minor < API_LEAST)) {
		engine_lost(engine,
			    "it speaks API %s, jobfence needs 1.%d or newer: upgrade "
			    "Docker to 20.10 or newer",
			    api, API_LEAST);
		return;
	}
	if (major == 1 && minor < ours)
		ours = minor;
	snprintf(engine->asks.api, sizeof(engine->asks.api), "1.%u", ours);
	if (min_major > 1 || min_minor > ours) /* newer than we know: what it offers at least */
		snprintf(engine->asks.api, sizeof(engine->asks.api), "%s", min_api);
	engine->peer_pid = answer->peer_pid;
	engine_connected(engine);
	ask(engine, ASK_INFO, "");
}

static void take_ping(struct engine *engine, const struct http_answer *answer)
{
	if (engine->peer_pid && answer->peer_pid && engine->peer_pid != answer->peer_pid)
		engine_lost(engine, "another process (pid %d, was %d) serves its socket",
			    (int)answer->peer_pid, (int)engine->peer_pid);
}

static void take_info(struct engine *engine, const struct http_answer *answer)
{
	struct diag diag = { 0 };
	int r = docker_json_info(answer->body, answer->len, &engine->info, &diag);

	if (r) {
		refuse(engine, r, "/info", &diag);
		return;
	}
	if (engine->info.rootless) {
		engine_refuse_rootless(&diag);
		engine_refused(engine, &diag);
		return;
	}
	engine_touched(engine);
	if (!engine->stream)
		engine_open_stream(engine);
}

static void take_containers(struct engine *engine, const struct ask *ask,
			    const struct http_answer *answer)
{
	struct picture_list *list = &engine->refresh.list;
	struct diag diag = { 0 };
	int r;

	if (engine->refresh.phase != REFRESH_LISTING || list->containers_seq)
		return;
	if (answer->body)
		docker_json_trim(answer->body, answer->len);
	r = docker_json_container_list(answer->body, answer->len, &list->containers,
				       &list->containers_n, &diag);
	if (r) {
		refuse(engine, r, "/containers/json", &diag);
		return;
	}
	list->containers_seq = ask->seq;
	engine_list_came(engine);
}

static void take_networks(struct engine *engine, const struct ask *ask,
			  const struct http_answer *answer)
{
	struct picture_list *list = &engine->refresh.list;
	struct diag diag = { 0 };
	int r;

	if (engine->refresh.phase != REFRESH_LISTING || list->networks_seq)
		return;
	r = docker_json_network_list(answer->body, answer->len, &list->networks, &list->networks_n,
				     &diag);
	if (r) {
		refuse(engine, r, "/networks", &diag);
		return;
	}
	list->networks_seq = ask->seq;
	engine_list_came(engine);
}

/* --- answers about one object: a failure costs only that --- */

static int take_listed(struct engine *engine, const struct ask *ask,
		       const struct http_answer *answer, struct diag *diag)
{
	struct picture_list list = { 0 };
	int r;

	if (answer->body)
		docker_json_trim(answer->body, answer->len);
	r = docker_json_container_list(answer->body, answer->len, &list.containers,
				       &list.containers_n, diag);
	if (r)
		return r;
	if (!list.containers_n)
		picture_remove_container(&engine->picture, ask->id);
	else if (list.containers_n > 1 || strcmp(list.containers[0].id, ask->id) != 0)
		r = diag_set(diag, -EINVAL, "the list is of other containers");
	else
		r = picture_take_listed(&engine->picture, &list.containers[0], ask->seq);
	picture_list_done(&list);
	return r;
}

static int take_inspected(struct engine *engine, const struct ask *ask,
			  const struct http_answer *answer, struct diag *diag)
{
	struct container container;
	int r = docker_json_container(answer->body, answer->len, &container, diag);

	if (r)
		return r;
	if (strcmp(container.id, ask->id) != 0) {
		container_done(&container);
		return diag_set(diag, -EINVAL, "the answer is of another container");
	}
	look_at_container(engine, &container);
	return picture_take_inspected(&engine->picture, &container, ask->seq);
}

static int take_network(struct engine *engine, const struct ask *ask,
			const struct http_answer *answer, struct diag *diag)
{
	struct network network;
	int r = docker_json_network(answer->body, answer->len, &network, diag);

	if (r)
		return r;
	if (strcmp(network.id, ask->id) != 0) {
		network_done(&network);
		return diag_set(diag, -EINVAL, "the answer is of another network");
	}
	return picture_take_network(&engine->picture, &network, ask->seq);
}

static void take_one(struct engine *engine, const struct ask *ask, const struct http_answer *answer)
{
	struct diag diag = { 0 };
	char what[100];
	int r = 0;

	if (answer->status == 404 && ask->kind == ASK_INSPECT)
		picture_remove_container(&engine->picture, ask->id);
	else if (answer->status == 404 && ask->kind == ASK_NETWORK)
		picture_remove_network(&engine->picture, ask->id);
	else if (answer->status != 200)
		r = diag_set(&diag, -EPROTO, "HTTP %ld: %.*s", answer->status,
			     answer->len > 200 ? 200 : (int)answer->len,
			     answer->body ? answer->body : "");
	else if (ask->kind == ASK_LISTED)
		r = take_listed(engine, ask, answer, &diag);
	else if (ask->kind == ASK_INSPECT)
		r = take_inspected(engine, ask, answer, &diag);
	else
		r = take_network(engine, ask, answer, &diag);
	if (!r) {
		engine_touched(engine);
		return;
	}
	snprintf(what, sizeof(what), "%s %.12s", ask->kind == ASK_NETWORK ? "network" : "container",
		 ask->id);
	missed(engine, what, diag.text[0] ? diag.text : strerror(-r));
}

static void take_one_or_miss(struct engine *engine, const struct ask *ask,
			     const struct http_answer *answer)
{
	char what[100];

	if (answer->error) {
		snprintf(what, sizeof(what), "%s %.12s",
			 ask->kind == ASK_NETWORK ? "network" : "container", ask->id);
		missed(engine, what, answer->trouble);
	} else {
		take_one(engine, ask, answer);
	}
	if (ask->dirty) {
		int r = asks_add(&engine->asks, ask->kind, ask->id, false);

		if (r)
			missed(engine, "too many events at once", strerror(-r));
	}
	engine_wants_work(engine);
}

static bool is_usable(struct engine *engine, const char *what, const struct http_answer *answer)
{
	static const char labels[] = ". Labels of images are the most of it: find the container by "
				     "docker ps -aq | "
				     "xargs -n 1 sh -c 'docker inspect $0 | wc -c; echo $0', and "
				     "remove it";
	bool listed = strcmp(what, "/containers/json") == 0;

	if (answer->error)
		engine_lost(engine, "%s: %s%s", what, answer->trouble,
			    listed && answer->error == -EFBIG ? labels : "");
	else if (answer->status != 200)
		engine_lost(engine, "%s: HTTP %ld: %.*s", what, answer->status,
			    answer->len > 200 ? 200 : (int)answer->len,
			    answer->body ? answer->body : "");
	else
		return true;
	return false;
}

void engine_answered(const struct ask *ask, const struct http_answer *answer, void *data)
{
	struct engine *engine = data;

	switch (ask->kind) {
	case ASK_VERSION:
		if (is_usable(engine, "/version", answer))
			take_version(engine, answer);
		return;
	case ASK_PING:
		if (is_usable(engine, "/_ping", answer))
			take_ping(engine, answer);
		return;
	case ASK_INFO:
		if (is_usable(engine, "/info", answer))
			take_info(engine, answer);
		return;
	case ASK_CONTAINERS:
		if (is_usable(engine, "/containers/json", answer))
			take_containers(engine, ask, answer);
		return;
	case ASK_NETWORKS:
		if (is_usable(engine, "/networks", answer))
			take_networks(engine, ask, answer);
		return;
	case ASK_LISTED:
	case ASK_INSPECT:
	case ASK_NETWORK:
		take_one_or_miss(engine, ask, answer);
		return;
	}
}
