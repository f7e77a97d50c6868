/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event stream: however its bytes are cut into pieces, the same lines come out of it, in the same
 * order; and whatever a line says, the event that is made of it has ids of the right form or none.
 * Long runs are written short: \x01 and a byte N stand for N × 8192 letters.
 */
#include "engine-internal.h"
#include "fuzz.h"
#include "jobfence/docker_json.h"

#define RUN_MARK 1
#define RUN_UNIT 8192
#define STREAM_MAX (2 * LINE_MAX_BYTES + 8 * RUN_UNIT)
#define PIECES_MAX 2048 /* of a long stream: what is cut anew is what takes the time */
#define HASHED 512      /* bytes at both ends of a line */

struct seen {
	uint64_t hash; /* FNV-1a over all lines: tells apart, protects nothing */
	size_t lines, losses, bytes;
};

static void add(struct seen *seen, uint8_t byte)
{
	seen->hash = (seen->hash ^ byte) * 0x100000001b3;
}

static void check_event(const char *line, size_t len)
{
	struct engine_event event;
	struct diag diag = { 0 };
	int r = docker_json_event(line, len, &event, &diag);

	if (r) {
		fuzz_check_refusal(r, &diag);
		return;
	}
	size_t container = strnlen(event.container_id, sizeof(event.container_id));
	size_t network = strnlen(event.network_id, sizeof(event.network_id));

	CHECK(container == 0 || container == CONTAINER_ID_LEN);
	CHECK(strspn(event.container_id, "0123456789abcdef") == container);
	CHECK(network <= CONTAINER_ID_LEN);
	switch (event.kind) {
	case ENGINE_EVENT_OTHER:
	case ENGINE_EVENT_DAEMON:
		CHECK(!container && !network);
		break;
	case ENGINE_EVENT_CONTAINER:
	case ENGINE_EVENT_CONTAINER_GONE:
		CHECK(container && !network);
		break;
	case ENGINE_EVENT_CONNECT:
	case ENGINE_EVENT_DISCONNECT:
		CHECK(container && network);
		break;
	case ENGINE_EVENT_NETWORK:
		CHECK(!container && network);
		break;
	}
}

static void on_line(const char *line, size_t len, void *data)
{
	struct seen *seen = data;

	seen->lines++;
	if (!line) {
		seen->losses++;
		add(seen, 0xff);
		return;
	}
	CHECK(len > 0 && len <= LINE_MAX_BYTES && !memchr(line, '\n', len));
	for (size_t i = 0; i < len && i < HASHED; i++) {
		add(seen, (uint8_t)line[i]);
		add(seen, (uint8_t)line[len - 1 - i]);
	}
	add(seen, '\n');
	seen->bytes += len;
	if (len < 4096)
		check_event(line, len);
}

/* @steps: the sizes of the pieces, over and over; an empty piece is one byte. */
static struct seen feed(const char *stream, size_t len, const uint8_t *steps, size_t steps_n)
{
	struct seen seen = { .hash = 0xcbf29ce484222325 };
	struct lines lines = { 0 };
	size_t piece;

	for (size_t at = 0, i = 0; at < len; at += piece, i++) {
		piece = steps_n ? (size_t)steps[i % steps_n] * steps[i % steps_n] : len;
		piece = piece < len / PIECES_MAX + 1 ? len / PIECES_MAX + 1 : piece;
		piece = piece > len - at ? len - at : piece;
		CHECK(lines_feed(&lines, stream + at, piece, on_line, &seen) == 0);
		CHECK(lines.len <= LINE_MAX_BYTES && lines.size <= 2 * LINE_MAX_BYTES);
	}
	lines_done(&lines);
	return seen;
}

/* Writes out the runs. */
static char *unfold(const uint8_t *data, size_t size, size_t *ret_len)
{
	char *stream = NULL;
	size_t len = 0;

	for (int pass = 0; pass < 2; pass++) {
		if (pass) {
			stream = malloc(len + 1);
			CHECK(stream);
		}
		len = 0;
		for (size_t i = 0; i < size; i++) {
			bool is_run = data[i] == RUN_MARK && i + 1 < size;
			size_t n = is_run ? (size_t)data[++i] * RUN_UNIT : 1;

			if (len + n > STREAM_MAX)
				break;
			if (pass)
				memset(stream + len, is_run ? 'x' : data[i], n);
			len += n;
		}
	}
	*ret_len = len;
	return stream;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t steps_n = size ? data[0] % 8u : 0;
	const uint8_t *steps = data + 1;
	char *stream;
	size_t len = 0;

	if (size < 1 + steps_n)
		return 0;
	data += 1 + steps_n;
	size -= 1 + steps_n;
	stream = unfold(data, size, &len);
	struct seen whole = feed(stream, len, NULL, 0);
	struct seen pieces = feed(stream, len, steps, steps_n);

	CHECK(whole.lines == pieces.lines && whole.losses == pieces.losses);
	CHECK(whole.bytes == pieces.bytes && whole.hash == pieces.hash);
	free(stream);
	return 0;
}
