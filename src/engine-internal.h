/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the engine client, from the wire inwards: http (GET over a unix socket), lines (the
 * event stream cut into lines), asks (what is to be asked, bounded and without doubles), picture
 * (what is known). engine.c joins them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "jobfence/clock.h"
#include "jobfence/cleanup.h"
#include "jobfence/container.h"
#include "jobfence/diag.h"
#include "jobfence/engine.h"

/* --- http: GET only, one unix socket, never blocks ------------------------------------------ */

struct http;
struct http_call;

struct http_answer {
	int error;   /* 0, or -errno: no whole answer came (@trouble says why) */
	long status; /* the HTTP status where error is 0 */
	char *body;  /* borrowed during the callback, which may write in it; NULL where empty */
	size_t len;
	pid_t peer_pid; /* SO_PEERCRED where this call opened its connection, else 0 */
	const char *trouble;
};

struct http_ask {
	const char *path;    /* copied */
	unsigned timeout_ms; /* of the whole answer; 0: none */
	size_t body_max;     /* bytes; a larger answer is an error */
	bool fresh;          /* on a connection of its own */
	/* A stream has both of these; its body is not collected. They run inside libcurl: neither
	 * may call http_get() or http_cancel(). */
	void (*opened)(void *data); /* its headers came with status 200 */
	int (*bytes)(const char *bytes, size_t len, void *data);    /* -errno ends it */
	void (*done)(const struct http_answer *answer, void *data); /* once, unless cancelled */
	void *data;
};

/* @socket_path is copied. Returns 0, -ENOMEM or another -errno. */
int http_new(sd_event *event, const char *socket_path, struct http **ret_http);
struct http *http_free(struct http *http); /* cancels all calls; not from a callback of http */
DEFINE_CLEANUP(struct http *, http_free)
int http_get(struct http *http, const struct http_ask *ask, struct http_call **ret_call);
void http_cancel(struct http_call *call); /* done is not called; not from opened or bytes */

/* --- lines: pure ----------------------------------------------------------------------------- */

#define LINE_MAX_BYTES (1024 * 1024)

struct lines {
	char *buffer;
	size_t len, size;
	bool skipping; /* inside a line that is too long */
};

/* @line is NULL for a line that was too long, told as soon as it is known. Not NUL-terminated. */
typedef void (*line_fn)(const char *line, size_t len, void *data);

void lines_done(struct lines *lines);
/* Cuts at '\n'; empty lines are not told. Returns 0 or -ENOMEM. */
int lines_feed(struct lines *lines, const char *bytes, size_t len, line_fn fn, void *data);

/* --- asks: the questions, queued and in flight ----------------------------------------------- */

enum ask_kind {
	ASK_VERSION,
	ASK_PING,
	ASK_INFO,
	ASK_CONTAINERS,
	ASK_NETWORKS,
	ASK_LISTED,  /* one container as the list has it: answers while the container starts */
	ASK_INSPECT, /* one container: blocks while the container starts */
	ASK_NETWORK,
};

struct ask {
	enum ask_kind kind;
	char id[CONTAINER_ID_LEN + 1]; /* empty where the kind has none */
	bool bulk;    /* part of a refresh: few at a time, and the refresh waits for it */
	bool dirty;   /* asked for again since it was sent: its answer may be old */
	uint64_t seq; /* order of sending */
};

typedef void (*ask_answered_fn)(const struct ask *ask, const struct http_answer *answer,
				void *data);

#define ASKS_QUEUED_MAX 4096
#define ASKS_FLYING_MAX 64
#define ASKS_INSPECTS_MAX 32 /* they may block: leave room for what answers at once */
#define ASKS_BULK_MAX 8

struct flight;

struct asks {
	struct http *http;       /* borrowed; NULL while there is none */
	char api[16];            /* "1.41" */
	unsigned timeout_max_ms; /* 0: as the table says; tests have less time */
	ask_answered_fn answered;
	void *data;
	struct ask *queue; /* owned */
	size_t queue_n, queue_size;
	struct flight *flights; /* owned list */
	size_t flying_n, inspects_n;
	size_t bulk_n; /* bulk asks queued or in flight */
	uint64_t seq;
};

/* Drops all that is queued and in flight, unanswered. Not from a stream's callbacks. */
void asks_drop(struct asks *asks);
/*
 * Queues a question unless the same one is queued; one in flight becomes dirty (a bulk ask only
 * joins it). Returns 0, -ENOBUFS where the queue is full, or -ENOMEM.
 */
int asks_add(struct asks *asks, enum ask_kind kind, const char *id, bool bulk);
/* Answers about @container_id that are still to come will not be told. */
void asks_forget(struct asks *asks, const char *container_id);
/* Sends what may be sent now. Returns 0 or -errno. */
int asks_pump(struct asks *asks);
/* No refresh waits any longer for what is queued or in flight. */
void asks_unbulk(struct asks *asks);
/* A question about one container or network is queued or in flight. */
bool asks_busy(const struct asks *asks);

/* --- picture: pure --------------------------------------------------------------------------- */

struct container_note {
	uint64_t listed_seq, inspected_seq; /* of the ask whose answer was taken last; 0: none */
	bool wanted;                        /* to be inspected (again) */
};

struct network_note {
	uint64_t seq;
	bool wanted;
};

struct picture {
	struct container *containers;           /* sorted by id, owned */
	struct container_note *container_notes; /* beside them */
	size_t containers_n, containers_size;
	struct network *networks; /* sorted by id, owned */
	struct network_note *network_notes;
	size_t networks_n, networks_size;
};

struct picture_list {
	struct container *containers; /* owned */
	size_t containers_n;
	uint64_t containers_seq; /* 0: not here yet */
	struct network *networks;
	size_t networks_n;
	uint64_t networks_seq;
};

void picture_done(struct picture *picture);
void picture_list_done(struct picture_list *list);
const struct container *picture_find(const struct picture *picture, const char *container_id);

/* Each empties what it is given. Returns 0, -ENOMEM or -ENOSPC (65536 of them). @seq orders
 * answers: what is older than what is known changes nothing that is newer. */
int picture_take_listed(struct picture *picture, struct container *container, uint64_t seq);
int picture_take_inspected(struct picture *picture, struct container *container, uint64_t seq);
int picture_take_network(struct picture *picture, struct network *network, uint64_t seq);
/* It has left the network: of one that does not run the addresses there are void. */
void picture_disconnected(struct picture *picture, const char *container_id,
			  const char *network_id);
/* Both by id, as the picture has them. */
void picture_sort_list(struct picture_list *list);
/*
 * A whole new list: what is not in it is gone (unless learnt since it was asked for), what stays
 * keeps its inspected facts, and everything alive, or about to be, is wanted.
 */
int picture_take_list(struct picture *picture, struct picture_list *list);
void picture_remove_container(struct picture *picture, const char *id);
void picture_remove_network(struct picture *picture, const char *id);

/* --- engine: what engine.c (life) and engine_facts.c (events, answers) share ------------------ */

#define TOMBSTONES_MAX 256

enum refresh_phase {
	REFRESH_NONE,
	REFRESH_LISTING,    /* the two lists are asked for */
	REFRESH_INSPECTING, /* the picture is the new one; details are coming in */
};

struct refresh {
	enum refresh_phase phase;
	bool again;        /* asked for while listing: once more afterwards */
	unsigned failures; /* answers that could not be used */
	struct picture_list list;
	/* Containers destroyed since the list was asked for: it may still have them. */
	char (*tombstones)[CONTAINER_ID_LEN + 1]; /* owned; room for TOMBSTONES_MAX */
	size_t tombstones_n;
};

#define LOOK_TOLD_MAX 64
#define LOOK_FOUND_MAX 16

struct look_found {
	const char *kind; /* "container", "network" */
	char id[CONTAINER_ID_LEN + 1];
};

/* The periodic look, from its lists until what is on its way has come. */
struct look {
	bool on;
	char told[LOOK_TOLD_MAX][CONTAINER_ID_LEN + 1]; /* by events since it began */
	size_t told_n;
	struct look_found found[LOOK_FOUND_MAX];
	size_t found_n, more; /* more: beyond LOOK_FOUND_MAX */
	uint64_t settle_us;   /* 0: the default */
};

struct engine {
	sd_event *event;
	char *socket_path;
	engine_changed_fn changed;
	void *data;

	enum engine_state state;
	bool ever_in_sync;
	struct engine_info info;
	pid_t peer_pid;
	struct diag trouble;
	bool refused; /* while lost: the trouble is what kind of engine it is */
	struct picture picture;

	struct http *http;
	struct http_call *stream; /* NULL while there is none */
	bool stream_opened;
	uint64_t streams_lost; /* that had opened */
	bool listed;           /* the lists were asked for since the stream opened */
	struct lines lines;
	struct asks asks;
	struct refresh refresh;
	struct look look;

	bool view_changed;
	bool loss_told;
	uint64_t loss_told_us, in_sync_since_us, failure_told_us;
	unsigned failures_untold;
	unsigned retry_ms, refresh_retry_ms;    /* backoff */
	uint64_t stream_head_us, inspecting_us; /* set by engine_new() */

	sd_event_source *work;     /* defer: sends asks, tells the change */
	sd_event_source *retry;    /* connects */
	sd_event_source *watch;    /* inotify: the socket is made, or goes */
	sd_event_source *deadline; /* of the stream's head, then of the inspections */
	sd_event_source *later;    /* a refresh after something was missed */
	sd_event_source *settled;  /* the periodic look may be told */
};

/* engine.c */
void engine_lost(struct engine *engine, const char *fmt, ...) _printf_(2, 3);
void engine_touched(struct engine *engine);       /* the view changed */
void engine_wants_work(struct engine *engine);    /* asks were added */
void engine_refresh_later(struct engine *engine); /* something was missed */
void engine_relist(struct engine *engine);        /* the engine itself says so */
void engine_ping(struct engine *engine);          /* does it answer, and is it the same */
void engine_connected(struct engine *engine);     /* the version is known */
void engine_open_stream(struct engine *engine);
void engine_list_came(struct engine *engine);

/* engine_lost() by an engine that will never do: see engine_refusal.c. */
void engine_refused(struct engine *engine, const struct diag *why);

/* engine_refusal.c: pure. Each returns -ENOTSUP with the reason; the last one 0 for a socket that
 * may be Docker's. @path: with its symbolic links followed. */
int engine_refuse_podman(struct diag *diag);
int engine_refuse_rootless(struct diag *diag);
int engine_judge_path(const char *path, struct diag *diag);

/* engine_facts.c: the callbacks of asks and of the stream */
void engine_answered(const struct ask *ask, const struct http_answer *answer, void *data);
int engine_stream_bytes(const char *bytes, size_t len, void *data);

/* engine_look.c: what no event had told */
void look_begin(struct engine *engine);
void look_told(struct engine *engine, const char *id); /* an event names it */
/* To be called before the picture takes what came. */
void look_at_list(struct engine *engine);
void look_at_container(struct engine *engine, const struct container *container);
int look_end(sd_event_source *source, uint64_t now, void *data);
