/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of the connection to the engine: connect, agree on a version, open the event stream,
 * list, inspect, watch; and back to the start, with backoff, when any of it breaks. The stream is
 * opened before the lists are asked for, so nothing falls between the two. What was known stays
 * while the engine is lost. This file never waits: each step is started by the answer to the one
 * before, each has a deadline, and the callback to the owner runs last, from a defer source.
 */
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <time.h>

#include "engine-internal.h"
#include "jobfence/log.h"
#include "jobfence/text.h"

#define SECOND_US 1000000ULL
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 10000
#define REFRESH_RETRY_MIN_MS 1000
#define REFRESH_RETRY_MAX_MS 60000
#define STABLE_US (5 * SECOND_US) /* in sync for so long: the next loss starts the backoff anew */
#define LOSS_TOLD_US (60 * SECOND_US)
#define STREAM_HEAD_US (30 * SECOND_US)
#define INSPECTING_US (10 * SECOND_US)
#define INSPECTING_EACH_US 10000 /* and so much for each container: a busy engine is no hung one */
#define SLACK_US 1000
#define SOCKET_MADE_US 20000 /* from bind() to listen(), with room */
#define SOCKET_MADE (IN_CREATE | IN_MOVED_TO | IN_ATTRIB)
#define SOCKET_GONE (IN_DELETE | IN_MOVED_FROM)
#define FOLDER_GONE (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)

static void arm(sd_event_source *timer, uint64_t after_us)
{
	if (sd_event_source_set_time_relative(timer, after_us) < 0 ||
	    sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT) < 0)
		log_err("engine: cannot set a timer; restart jobfence");
}

static void disarm(sd_event_source *timer)
{
	sd_event_source_set_enabled(timer, SD_EVENT_OFF);
}

void engine_wants_work(struct engine *engine)
{
	sd_event_source_set_enabled(engine->work, SD_EVENT_ONESHOT);
}

void engine_touched(struct engine *engine)
{
	engine->view_changed = true;
	engine_wants_work(engine);
}

static const char *safe_path(const struct engine *engine, char buffer[static 128])
{
	return text_safe(engine->socket_path, buffer, 128);
}

/* --- loss --- */

/* 75 % to 125 %, so that many hosts do not return at once. */
static uint64_t with_jitter_us(unsigned ms)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)clock_usec();
	return (uint64_t)ms * 750 + (uint64_t)ms * (random % 501);
}

static int on_watch(sd_event_source *source, const struct inotify_event *event, void *data)
{
	struct engine *engine = data;
	const char *slash = strrchr(engine->socket_path, '/');
	bool folder = event->mask & FOLDER_GONE;

	if (folder)
		engine->watch = sd_event_source_disable_unref(engine->watch);
	else if (!(event->mask & IN_Q_OVERFLOW) &&
		 (!event->len || !slash || strcmp(event->name, slash + 1) != 0))
		return 0;
	if (engine->state != ENGINE_LOST) {
		engine_ping(engine);
	} else if (event->mask & SOCKET_MADE) {
		engine->retry_ms = RETRY_MIN_MS;
		arm(engine->retry, SOCKET_MADE_US);
	}
	return 0;
}

/* An engine that returns is seen at once, however long the backoff: its containers run already. So is
 * another one behind the same path, while the old one's stream goes on. Without the watch (no such folder)
 * the backoff and the periodic look must do. */
static void watch_for_socket(struct engine *engine)
{
	const char *slash = strrchr(engine->socket_path, '/');
	_cleanup_free_ char *folder = NULL;

	if (engine->watch || !slash)
		return;
	folder = strndup(engine->socket_path,
			 slash == engine->socket_path ? 1 : (size_t)(slash - engine->socket_path));
	if (!folder)
		return;
	if (sd_event_add_inotify(engine->event, &engine->watch, folder,
				 SOCKET_MADE | SOCKET_GONE | FOLDER_GONE | IN_ONLYDIR, on_watch,
				 engine) < 0)
		return;
	sd_event_source_set_description(engine->watch, "engine-watch");
}

static void tell_loss(struct engine *engine, const char *was)
{
	uint64_t now = clock_usec();
	char path[128];

	if (engine->loss_told &&
	    (!strcmp(was, engine->trouble.text) || now - engine->loss_told_us < LOSS_TOLD_US)) {
		log_debug("engine %s: %s", safe_path(engine, path), engine->trouble.text);
		return;
	}
	log_event(MESSAGE_ENGINE_LOST, "engine %s lost: %s; the fence stands; retrying",
		  safe_path(engine, path), engine->trouble.text);
	engine->loss_told = true;
	engine->loss_told_us = now;
}

static void refresh_reset(struct refresh *refresh)
{
	picture_list_done(&refresh->list);
	refresh->tombstones_n = 0;
	refresh->failures = 0;
	refresh->again = false;
	refresh->phase = REFRESH_NONE;
}

static void drop_calls(struct engine *engine)
{
	asks_drop(&engine->asks);
	if (engine->stream)
		http_cancel(engine->stream);
	engine->stream = NULL;
	engine->stream_opened = engine->listed = false;
	lines_done(&engine->lines);
	refresh_reset(&engine->refresh);
}

void engine_lost(struct engine *engine, const char *fmt, ...)
{
	struct diag was = engine->trouble;
	char text[sizeof(was.text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	diag_set(&engine->trouble, 0, "%s", text);
	engine->refused = false;
	engine->streams_lost += engine->stream_opened;
	drop_calls(engine);
	disarm(engine->deadline);
	disarm(engine->later);
	engine->look.on = false;
	if (engine->state == ENGINE_IN_SYNC && clock_usec() - engine->in_sync_since_us > STABLE_US)
		engine->retry_ms = RETRY_MIN_MS;
	engine->state = ENGINE_LOST;
	arm(engine->retry, with_jitter_us(engine->retry_ms));
	engine->retry_ms =
		engine->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : engine->retry_ms * 2;
	watch_for_socket(engine);
	tell_loss(engine, was.text);
	engine_touched(engine);
}

void engine_refused(struct engine *engine, const struct diag *why)
{
	engine_lost(engine, "%s", why->text);
	engine->refused = true;
}

/* --- connecting --- */

/* A link to the socket of another kind of engine says what it is before anything answers there. */
static int judge_path(const struct engine *engine, struct diag *diag)
{
	_cleanup_free_ char *path = realpath(engine->socket_path, NULL);

	return engine_judge_path(path ?: engine->socket_path, diag);
}

static int connect_anew(struct engine *engine)
{
	int r;

	/* Kept connections may lead to an engine that is no longer the one at this path; a question
	 * to it may still be under way when its socket is made anew. */
	drop_calls(engine);
	engine->http = http_free(engine->http);
	r = http_new(engine->event, engine->socket_path, &engine->http);
	if (r)
		return r;
	engine->asks.http = engine->http;
	return asks_add(&engine->asks, ASK_VERSION, "", false);
}

static int on_retry(sd_event_source *source, uint64_t now, void *data)
{
	struct engine *engine = data;
	struct diag diag = { 0 };
	int r;

	if (judge_path(engine, &diag) < 0) {
		engine_refused(engine, &diag);
		return 0;
	}
	r = connect_anew(engine);
	if (r)
		engine_lost(engine, "cannot connect: %s", strerror(-r));
	engine_wants_work(engine);
	return 0;
}

void engine_connected(struct engine *engine)
{
	engine->state = ENGINE_SYNCING;
	watch_for_socket(engine);
	engine_touched(engine);
}

/* --- the stream --- */

static void on_stream_opened(void *data)
{
	struct engine *engine = data;

	engine->stream_opened = true; /* inside libcurl: the rest is work */
	engine_wants_work(engine);
}

static void on_stream_done(const struct http_answer *answer, void *data)
{
	struct engine *engine = data;

	engine->stream = NULL;
	if (answer->error)
		engine_lost(engine, "the event stream broke: %s", answer->trouble);
	else if (answer->status != 200)
		engine_lost(engine, "the event stream was refused: HTTP %ld", answer->status);
	else
		engine_lost(engine, "the event stream ended");
}

/* The events' time is the wall clock's; the second before covers its granularity. */
static int start_stream(struct engine *engine)
{
	static const char filters[] = "{\"type\":[\"container\",\"network\",\"daemon\"],"
				      "\"event\":[\"create\",\"start\",\"restart\",\"die\","
				      "\"stop\",\"destroy\",\"rename\","
				      "\"update\",\"pause\",\"unpause\",\"connect\",\"disconnect\","
				      "\"remove\","
				      "\"reload\"]}";
	char *escaped = curl_easy_escape(NULL, filters, 0);
	char path[1000];
	const struct http_ask ask = {
		.path = path,
		.body_max = 64 * 1024, /* of a refusal */
		.opened = on_stream_opened,
		.bytes = engine_stream_bytes,
		.done = on_stream_done,
		.data = engine,
	};

	if (!escaped)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/v%s/events?since=%lld&filters=%s", engine->asks.api,
		 (long long)time(NULL) - 1, escaped);
	curl_free(escaped);
	return http_get(engine->http, &ask, &engine->stream);
}

void engine_open_stream(struct engine *engine)
{
	int r = start_stream(engine);

	if (r)
		engine_lost(engine, "cannot ask for events: %s", strerror(-r));
	else
		arm(engine->deadline, engine->stream_head_us);
}

/* --- refresh: list, then inspect --- */

void engine_refresh_later(struct engine *engine)
{
	int enabled = SD_EVENT_OFF;

	if (sd_event_source_get_enabled(engine->later, &enabled) > 0)
		return;
	arm(engine->later, with_jitter_us(engine->refresh_retry_ms));
	engine->refresh_retry_ms *= 2;
	if (engine->refresh_retry_ms > REFRESH_RETRY_MAX_MS)
		engine->refresh_retry_ms = REFRESH_RETRY_MAX_MS;
}

static void refresh_start(struct engine *engine)
{
	struct refresh *refresh = &engine->refresh;

	if (!engine->stream_opened)
		return;
	if (refresh->phase == REFRESH_LISTING) {
		refresh->again = true;
		return;
	}
	disarm(engine->later);
	disarm(engine->deadline);
	refresh_reset(refresh);
	/* No loss here, this may run inside libcurl; one list without the other is passed over. */
	if (asks_add(&engine->asks, ASK_CONTAINERS, "", false) ||
	    asks_add(&engine->asks, ASK_NETWORKS, "", false))
		engine_refresh_later(engine);
	else
		refresh->phase = REFRESH_LISTING;
	engine_wants_work(engine);
}

void engine_relist(struct engine *engine)
{
	refresh_start(engine);
}

/* On a connection of its own: a hung engine, or another one at its socket, does not show in silence. */
void engine_ping(struct engine *engine)
{
	if (engine->stream_opened && asks_add(&engine->asks, ASK_PING, "", false))
		engine_lost(engine, "out of memory");
	engine_wants_work(engine);
}

void engine_refresh(struct engine *engine)
{
	disarm(engine->settled);
	watch_for_socket(engine);
	look_begin(engine);
	engine_ping(engine);
	refresh_start(engine);
}

static int on_later(sd_event_source *source, uint64_t now, void *data)
{
	refresh_start(data);
	return 0;
}

static void drop_destroyed(struct refresh *refresh)
{
	struct picture_list *list = &refresh->list;
	size_t kept = 0;

	for (size_t i = 0; i < list->containers_n; i++) {
		bool destroyed = false;

		for (size_t t = 0; t < refresh->tombstones_n && !destroyed; t++)
			destroyed = !strcmp(list->containers[i].id, refresh->tombstones[t]);
		if (destroyed)
			container_done(&list->containers[i]);
		else
			list->containers[kept++] = list->containers[i];
	}
	list->containers_n = kept;
}

void engine_list_came(struct engine *engine)
{
	struct refresh *refresh = &engine->refresh;
	int r;

	if (!refresh->list.containers_seq || !refresh->list.networks_seq)
		return;
	drop_destroyed(refresh);
	look_at_list(engine);
	r = picture_take_list(&engine->picture, &refresh->list);
	picture_list_done(&refresh->list);
	if (r) {
		engine_lost(engine, "cannot keep its list of containers: %s", strerror(-r));
		return;
	}
	refresh->phase = REFRESH_INSPECTING;
	arm(engine->deadline,
	    engine->inspecting_us + engine->picture.containers_n * INSPECTING_EACH_US);
	engine_touched(engine);
}

static void refresh_finish(struct engine *engine)
{
	struct refresh *refresh = &engine->refresh;
	char path[128];

	disarm(engine->deadline);
	refresh->phase = REFRESH_NONE;
	if (!refresh->failures)
		engine->refresh_retry_ms = REFRESH_RETRY_MIN_MS;
	if (refresh->again)
		engine_refresh_later(engine);
	refresh->again = false;
	if (engine->look.on)
		arm(engine->settled, engine->look.settle_us);
	if (engine->state == ENGINE_IN_SYNC)
		return;
	log_event(MESSAGE_ENGINE_BACK,
		  "engine %s in sync: Docker %s, API %s, %zu containers, %zu networks",
		  safe_path(engine, path), engine->info.version, engine->asks.api,
		  engine->picture.containers_n, engine->picture.networks_n);
	engine->state = ENGINE_IN_SYNC;
	engine->ever_in_sync = true;
	engine->loss_told = false;
	engine->in_sync_since_us = clock_usec();
	engine->trouble.text[0] = '\0';
	engine_touched(engine);
}

static bool has_wanted(const struct picture *picture)
{
	for (size_t i = 0; i < picture->containers_n; i++)
		if (picture->container_notes[i].wanted)
			return true;
	for (size_t i = 0; i < picture->networks_n; i++)
		if (picture->network_notes[i].wanted)
			return true;
	return false;
}

static int on_deadline(sd_event_source *source, uint64_t now, void *data)
{
	struct engine *engine = data;
	char path[128];

	if (!engine->stream_opened) {
		engine_lost(engine, "no event stream within %" PRIu64 " ms",
			    engine->stream_head_us / 1000);
	} else if (engine->refresh.phase == REFRESH_INSPECTING) {
		/* An inspect answer may be held back for as long as a start hangs. */
		log_warn("engine %s holds back %zu answers; going on without them",
			 safe_path(engine, path), engine->asks.bulk_n);
		engine->refresh.failures++;
		asks_unbulk(&engine->asks);
		/* those behind them have not been asked yet; as long as there is room for more that hang */
		if (has_wanted(&engine->picture) && engine->asks.inspects_n < ASKS_INSPECTS_MAX)
			arm(engine->deadline, engine->inspecting_us);
		else
			refresh_finish(engine);
		engine_wants_work(engine);
	}
	return 0;
}

/* --- work: what may not be done inside libcurl --- */

/* Returns 1 when an ask was added, 0 when nothing is wanted, or -errno. */
static int add_wanted(struct engine *engine)
{
	struct picture *picture = &engine->picture;
	int r;

	for (size_t i = 0; i < picture->containers_n; i++) {
		if (!picture->container_notes[i].wanted)
			continue;
		r = asks_add(&engine->asks, ASK_INSPECT, picture->containers[i].id, true);
		picture->container_notes[i].wanted = r != 0;
		return r ? r : 1;
	}
	for (size_t i = 0; i < picture->networks_n; i++) {
		if (!picture->network_notes[i].wanted)
			continue;
		r = asks_add(&engine->asks, ASK_NETWORK, picture->networks[i].id, true);
		picture->network_notes[i].wanted = r != 0;
		return r ? r : 1;
	}
	return 0;
}

static void send_asks(struct engine *engine)
{
	struct refresh *refresh = &engine->refresh;
	int r = 0;

	if (engine->stream_opened && !engine->listed) {
		engine->listed = true;
		refresh_start(engine);
	}
	while (engine->stream_opened && engine->asks.bulk_n < ASKS_BULK_MAX && r >= 0) {
		r = add_wanted(engine);
		if (!r)
			break;
	}
	if (r >= 0 && refresh->phase == REFRESH_INSPECTING && !engine->asks.bulk_n)
		refresh_finish(engine);
	if (r >= 0 || r == -ENOBUFS) /* a full queue will have room later */
		r = asks_pump(&engine->asks);
	if (r < 0)
		engine_lost(engine, "cannot ask: %s", strerror(-r));
}

static int on_work(sd_event_source *source, void *data)
{
	struct engine *engine = data;

	if (engine->http)
		send_asks(engine);
	if (!engine->view_changed)
		return 0;
	engine->view_changed = false;
	engine->changed(engine, engine->data); /* last: the owner may have freed the engine */
	return 0;
}

/* --- the whole --- */

static int add_timer(struct engine *engine, const char *description,
		     sd_event_time_handler_t handler, sd_event_source **ret_source)
{
	int r = sd_event_add_time_relative(engine->event, ret_source, CLOCK_MONOTONIC, 0, SLACK_US,
					   handler, engine);

	if (r < 0)
		return r;
	disarm(*ret_source);
	return sd_event_source_set_description(*ret_source, description);
}

static int add_sources(struct engine *engine)
{
	int r = sd_event_add_defer(engine->event, &engine->work, on_work, engine);

	if (r < 0)
		return r;
	disarm(engine->work);
	r = sd_event_source_set_description(engine->work, "engine-work");
	if (r >= 0)
		r = add_timer(engine, "engine-retry", on_retry, &engine->retry);
	if (r >= 0)
		r = add_timer(engine, "engine-deadline", on_deadline, &engine->deadline);
	if (r >= 0)
		r = add_timer(engine, "engine-later", on_later, &engine->later);
	if (r >= 0)
		r = add_timer(engine, "engine-settled", look_end, &engine->settled);
	return r;
}

int engine_new(sd_event *event, const char *socket_path, engine_changed_fn changed, void *data,
	       struct engine **ret_engine)
{
	_cleanup_(engine_freep) struct engine *engine = calloc(1, sizeof(*engine));
	int r;

	if (!engine)
		return -ENOMEM;
	engine->event = sd_event_ref(event);
	engine->changed = changed;
	engine->data = data;
	engine->asks.answered = engine_answered;
	engine->asks.data = engine;
	engine->retry_ms = RETRY_MIN_MS;
	engine->refresh_retry_ms = REFRESH_RETRY_MIN_MS;
	engine->stream_head_us = STREAM_HEAD_US;
	engine->inspecting_us = INSPECTING_US;
	engine->socket_path = strdup(socket_path);
	engine->refresh.tombstones = calloc(TOMBSTONES_MAX, sizeof(*engine->refresh.tombstones));
	if (!engine->socket_path || !engine->refresh.tombstones)
		return -ENOMEM;
	diag_set(&engine->trouble, 0, "not connected yet");
	engine->refused = judge_path(engine, &engine->trouble) < 0;
	r = add_sources(engine);
	if (r < 0)
		return r;
	arm(engine->retry, 0);
	*ret_engine = take_ptr(engine);
	return 0;
}

struct engine *engine_free(struct engine *engine)
{
	if (!engine)
		return NULL;
	drop_calls(engine);
	http_free(engine->http);
	picture_done(&engine->picture);
	free(engine->refresh.tombstones);
	sd_event_source_disable_unref(engine->work);
	sd_event_source_disable_unref(engine->retry);
	sd_event_source_disable_unref(engine->watch);
	sd_event_source_disable_unref(engine->deadline);
	sd_event_source_disable_unref(engine->later);
	sd_event_source_disable_unref(engine->settled);
	sd_event_unref(engine->event);
	free(engine->socket_path);
	free(engine);
	return NULL;
}

void engine_get_view(const struct engine *engine, struct engine_view *ret_view)
{
	*ret_view = (struct engine_view){
		.state = engine->state,
		.ever_in_sync = engine->ever_in_sync,
		.info = engine->info,
		.peer_pid = engine->peer_pid,
		.telling = engine->refresh.phase != REFRESH_NONE,
		.streams_lost = engine->streams_lost,
		.containers = engine->picture.containers,
		.containers_n = engine->picture.containers_n,
		.networks = engine->picture.networks,
		.networks_n = engine->picture.networks_n,
		.trouble = engine->state == ENGINE_LOST ? engine->trouble.text : NULL,
		.refused = engine->state == ENGINE_LOST && engine->refused,
	};
}
