/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for the Docker engine: a thread that serves one unix socket in a folder of its own
 * and answers what it is told to. It records every request. All functions may be called while it
 * runs; none of them waits for the client, so client and test may share a thread.
 *
 * Paths are given without the "/v1.NN" in front and with the query decoded, such as
 * "/containers/json?all=1". What has no answer gets 404; "/events…" gets an endless stream.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct fake_engine;

enum fake_form {
	FAKE_LENGTH,  /* Content-Length */
	FAKE_CHUNKED, /* in chunks of 7 bytes */
	FAKE_RAW, /* the body is the whole answer, head included; the connection ends after it */
};

struct fake_engine *fake_engine_new(void); /* exits the process where it cannot be made */
struct fake_engine *fake_engine_new_at(const char *socket_path); /* in a folder that is there */
struct fake_engine *fake_engine_free(struct fake_engine *fake);  /* NULL is fine; returns NULL */
const char *fake_engine_socket(const struct fake_engine *fake);

void fake_engine_answer(struct fake_engine *fake, const char *path, int status, const char *body);
void fake_engine_answer_as(struct fake_engine *fake, const char *path, enum fake_form form,
			   int status, const char *body, size_t len);
void fake_engine_forget(struct fake_engine *fake, const char *path);
/* /version, /_ping, /info and two empty lists, as Docker 20.10 has them */
void fake_engine_healthy(struct fake_engine *fake, const char *api, const char *min_api);
/* Requests for @path wait until it is released; then they get what is the answer by then. */
void fake_engine_hold(struct fake_engine *fake, const char *path, bool hold);

void fake_engine_event(struct fake_engine *fake, const char *line); /* adds the newline */
void fake_engine_stream(struct fake_engine *fake, const char *bytes, size_t len); /* one chunk */
void fake_engine_end_streams(struct fake_engine *fake, bool cleanly);
size_t fake_engine_streams(struct fake_engine *fake); /* how many are open now */

void fake_engine_hang(struct fake_engine *fake, bool hang); /* accepts, reads, answers nothing */
void fake_engine_listen(struct fake_engine *fake, bool listen); /* false: no socket, all closed */
/* One byte of each connection in so many milliseconds; 0: as fast as it goes. */
void fake_engine_slow(struct fake_engine *fake, unsigned ms);
/* Each answer is sent in two parts, the first of @bytes bytes; 0: whole. */
void fake_engine_split(struct fake_engine *fake, size_t bytes);

/* Requests whose "METHOD /path?query" contains @part. */
size_t fake_engine_count(struct fake_engine *fake, const char *part);
/* The place of the first of them in the record, or -1. */
long fake_engine_position(struct fake_engine *fake, const char *part);
bool fake_engine_only_get(struct fake_engine *fake); /* every request: GET, without a body */
void fake_engine_clear(struct fake_engine *fake);    /* forgets the record, not a bad method */
