/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HTTP: a server in this process, on a unix socket, answers with the input and hangs up. The call ends
 * once, with no more of a body than it may have, and what it ends with does not depend on the pieces
 * that the answer came in. Byte 0: 1 is a stream; byte 1: the size of the pieces.
 */
#include "engine-internal.h"
#include "fuzz.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BODY_MAX 8192
#define PIECES_MAX 64
#define TIMEOUT_MS 60000
#define TURNS_MAX 20000

struct server {
	sd_event *event;
	sd_event_source *listening, *connection;
	const uint8_t *data;
	size_t size, at, piece;
	bool asked;
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

struct seen {
	int error;
	long status;
	size_t len, done, opened, streamed;
	uint64_t hash;
};

static char folder[] = "/tmp/jobfence-fuzz-XXXXXX";

static void remove_folder(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/socket", folder);
	unlink(path);
	rmdir(folder);
}

static uint64_t add(uint64_t hash, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001b3;
	return hash;
}

/* The question is a GET of the path, and a small one: it comes in one read. */
static int read_request(struct server *server)
{
	static const char question[] = "GET /events HTTP/1.1\r\n";
	char text[4096];
	ssize_t n = recv(server->fd, text, sizeof(text), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return 0;
	CHECK(n > (ssize_t)strlen(question) && !memcmp(text, question, strlen(question)));
	CHECK(!memcmp(text + n - 4, "\r\n\r\n", 4));
	server->asked = true;
	return sd_event_source_set_io_events(server->connection, EPOLLOUT);
}

/* A piece at a time, whenever the loop comes round. */
static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct server *server = data;
	size_t left = server->size - server->at;
	size_t n = left < server->piece ? left : server->piece;
	ssize_t sent;

	if (!server->asked)
		return read_request(server);
	sent = n ? send(fd, server->data + server->at, n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

	if (sent > 0)
		server->at += (size_t)sent;
	if (sent < 0 && errno == EAGAIN)
		return 0;
	if (sent < 0 || server->at == server->size) {
		server->connection = sd_event_source_disable_unref(server->connection);
		close(server->fd);
		server->fd = -1;
	}
	return 0;
}

static int on_listening(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct server *server = data;
	int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (accepted < 0)
		return 0;
	if (server->fd >= 0) { /* there is one answer */
		close(accepted);
		return 0;
	}
	server->fd = accepted;
	CHECK(sd_event_add_io(server->event, &server->connection, accepted, EPOLLIN, on_connection,
			      server) >= 0);
	return 0;
}

static void serve(struct server *server, int *ret_fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(server->path, sizeof(server->path), "%s/socket", folder);
	strcpy(addr.sun_path, server->path);
	unlink(server->path);
	*ret_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CHECK(*ret_fd >= 0 && bind(*ret_fd, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	CHECK(listen(*ret_fd, 4) == 0);
	CHECK(sd_event_add_io(server->event, &server->listening, *ret_fd, EPOLLIN, on_listening,
			      server) >= 0);
}

static void on_opened(void *data)
{
	struct seen *seen = data;

	CHECK(!seen->done);
	seen->opened++;
}

static int on_bytes(const char *bytes, size_t len, void *data)
{
	struct seen *seen = data;

	CHECK(seen->opened && !seen->done && len);
	seen->streamed += len;
	seen->hash = add(seen->hash, bytes, len);
	return 0;
}

static void on_done(const struct http_answer *answer, void *data)
{
	struct seen *seen = data;

	seen->done++;
	seen->error = answer->error;
	seen->status = answer->status;
	seen->len = answer->len;
	CHECK(answer->error <= 0 && answer->trouble && answer->trouble[0]);
	CHECK(answer->len <= BODY_MAX && (answer->body || !answer->len));
	seen->hash = add(seen->hash, answer->body, answer->len);
	CHECK(answer->error || answer->peer_pid == getpid());
}

static struct seen run(const uint8_t *data, size_t size, bool stream, size_t piece)
{
	struct seen seen = { .hash = 0xcbf29ce484222325 };
	struct server server = { .data = data, .size = size, .piece = piece, .fd = -1 };
	const struct http_ask ask = { .path = "/events",
				      .timeout_ms = TIMEOUT_MS,
				      .body_max = BODY_MAX,
				      .fresh = true,
				      .opened = stream ? on_opened : NULL,
				      .bytes = stream ? on_bytes : NULL,
				      .done = on_done,
				      .data = &seen };
	struct http_call *call = NULL;
	struct http *http = NULL;
	int listening;

	CHECK(sd_event_new(&server.event) >= 0);
	serve(&server, &listening);
	CHECK(http_new(server.event, server.path, &http) == 0);
	CHECK(http_get(http, &ask, &call) == 0);
	for (int i = 0; i < TURNS_MAX && !seen.done; i++)
		CHECK(sd_event_run(server.event, 100000) >= 0);
	CHECK(seen.done == 1 && seen.opened <= 1);
	CHECK(seen.error != -ETIMEDOUT);
	http_free(http);
	sd_event_source_disable_unref(server.connection);
	sd_event_source_disable_unref(server.listening);
	if (server.fd >= 0)
		close(server.fd);
	close(listening);
	sd_event_unref(server.event);
	CHECK(seen.done == 1); /* nothing is told after the end */
	return seen;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	CHECK(mkdtemp(folder));
	return atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, pieces;
	size_t piece;
	bool stream;

	if (size < 2)
		return 0;
	stream = data[0] & 1;
	piece = data[1] ? data[1] : 1;
	piece = piece < size / PIECES_MAX ? size / PIECES_MAX : piece;
	whole = run(data + 2, size - 2, stream, size);
	pieces = run(data + 2, size - 2, stream, piece);
	/* libcurl ends a head at a NUL or not as the pieces fall: of such both are some answer */
	if (!memchr(data + 2, '\0', size - 2)) {
		CHECK(whole.error == pieces.error);
		CHECK(whole.error || (whole.status == pieces.status && whole.len == pieces.len));
		CHECK(whole.error ||
		      (whole.streamed == pieces.streamed && whole.hash == pieces.hash));
	}
	return 0;
}
