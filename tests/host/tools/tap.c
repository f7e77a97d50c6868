/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands between a client and the engine: what arrives at one unix socket goes to another and back,
 * unchanged. Each request's first line is appended to LOG, and so is every head line that tells of a
 * body or of another protocol to follow, as "BODY line". A request whose head does not end is logged
 * as "OPEN line" when its connection does.
 *
 * Usage: tap SOCKET ENGINE-SOCKET LOG
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tool.h"

#define PAIRS_MAX 256

struct pair {
	int client, engine;
	char line[4096]; /* of the head that is being read */
	size_t len;
	bool in_head; /* its first line was logged */
};

static struct pair pairs[PAIRS_MAX];
static size_t pairs_n;
static int log_fd;

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return addr;
}

static void note(const char *what, const char *line)
{
	dprintf(log_fd, "%s%s\n", what, line);
}

static void on_line(struct pair *pair)
{
	static const char *const bodies[] = { "Content-Length:", "Transfer-Encoding:", "Upgrade:",
					      "Expect:" };

	if (!pair->in_head) {
		note("", pair->line);
		pair->in_head = true;
		return;
	}
	if (pair->len == 0) {
		pair->in_head = false;
		return;
	}
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		if (strncasecmp(pair->line, bodies[i], strlen(bodies[i])) == 0)
			note("BODY ", pair->line);
}

/* A GET has no body, so behind the empty line comes the next request: whatever else was sent is
 * logged as the request that it is not. */
static void watch(struct pair *pair, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n') {
			if (pair->len > 0 && pair->line[pair->len - 1] == '\r')
				pair->len--;
			pair->line[pair->len] = '\0';
			on_line(pair);
			pair->len = 0;
		} else if (pair->len < sizeof(pair->line) - 1) {
			pair->line[pair->len++] = bytes[i];
		}
	}
}

static bool send_all(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		bytes += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* Returns whether the pair lives on. */
static bool pass(struct pair *pair, bool from_client)
{
	char bytes[65536];
	ssize_t n = read(from_client ? pair->client : pair->engine, bytes, sizeof(bytes));

	if (n <= 0)
		return false;
	if (from_client)
		watch(pair, bytes, (size_t)n);
	return send_all(from_client ? pair->engine : pair->client, bytes, (size_t)n);
}

static void drop(size_t i)
{
	struct pair *pair = &pairs[i];

	pair->line[pair->len] = '\0';
	if (pair->in_head || pair->len > 0)
		note("OPEN ", pair->line);
	close(pair->client);
	close(pair->engine);
	pairs[i] = pairs[--pairs_n];
}

static void take(int listener, const char *engine_path)
{
	struct sockaddr_un there = address(engine_path);
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	int engine = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (client < 0 || engine < 0 || pairs_n == PAIRS_MAX ||
	    connect(engine, (struct sockaddr *)&there, sizeof(there)) < 0) {
		close(client);
		close(engine);
		return;
	}
	pairs[pairs_n++] = (struct pair){ .client = client, .engine = engine };
}

static void turn(int listener, const char *engine_path)
{
	struct pollfd fds[2 * PAIRS_MAX + 1] = { { .fd = listener, .events = POLLIN } };
	size_t n = pairs_n;

	for (size_t i = 0; i < n; i++) {
		fds[1 + 2 * i] = (struct pollfd){ .fd = pairs[i].client, .events = POLLIN };
		fds[2 + 2 * i] = (struct pollfd){ .fd = pairs[i].engine, .events = POLLIN };
	}
	if (poll(fds, 2 * n + 1, -1) < 0)
		return;
	for (size_t i = n; i-- > 0;)
		if ((fds[1 + 2 * i].revents && !pass(&pairs[i], true)) ||
		    (fds[2 + 2 * i].revents && !pass(&pairs[i], false)))
			drop(i);
	if (fds[0].revents)
		take(listener, engine_path);
}

int main(int argc, char **argv)
{
	struct sockaddr_un here;
	int listener;

	if (argc != 4)
		die(EXIT_USAGE, "usage: tap SOCKET ENGINE-SOCKET LOG");
	here = address(argv[1]);
	unlink(argv[1]);
	log_fd = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (log_fd < 0 || bind(listener, (struct sockaddr *)&here, sizeof(here)) < 0 ||
	    listen(listener, 128) < 0)
		die(EXIT_BROKEN, "%s: %s", argv[1], strerror(errno));
	for (;;)
		turn(listener, argv[2]);
}
