/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thread, one poll loop, one lock around all of it. Answers are queued to each connection and
 * written as the client takes them. Made for tests: what fails here ends the process with a word.
 */
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fake_engine.h"

#define CONNECTIONS_MAX 256
#define ROUTES_MAX 8192
#define RECORD_MAX (8 * 1024 * 1024)

struct route {
	char *path;
	char *body;
	size_t len;
	int status;
	enum fake_form form;
	bool set, hold;
};

struct connection {
	int fd; /* -1: free */
	char in[16384];
	size_t in_len;
	char *out;
	size_t out_len, out_sent, out_total;
	bool stream, ends; /* ends: closed when all is written */
	char *held;        /* the path whose answer is held back */
	int64_t due_ms;    /* when the next byte may go, where the engine is slow */
};

struct fake_engine {
	pthread_t thread;
	pthread_mutex_t lock;
	char folder[64], socket_path[96];
	int listener, wake;
	bool stop, hang, bad_method;
	int64_t slow_ms;
	size_t split;
	struct route routes[ROUTES_MAX];
	size_t routes_n;
	struct connection connections[CONNECTIONS_MAX];
	char *record; /* "METHOD path\n" each */
	size_t record_len;
};

static void *must(void *memory)
{
	if (!memory)
		errx(1, "fake engine: out of memory");
	return memory;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void lock(struct fake_engine *fake)
{
	pthread_mutex_lock(&fake->lock);
}

static void unlock(struct fake_engine *fake)
{
	uint64_t one = 1;

	pthread_mutex_unlock(&fake->lock);
	if (write(fake->wake, &one, sizeof(one)) < 0)
		err(1, "fake engine: eventfd");
}

/* --- routes --- */

static struct route *find_route(struct fake_engine *fake, const char *path)
{
	for (size_t i = 0; i < fake->routes_n; i++)
		if (!strcmp(fake->routes[i].path, path))
			return &fake->routes[i];
	return NULL;
}

static struct route *make_route(struct fake_engine *fake, const char *path)
{
	struct route *route = find_route(fake, path);

	if (route)
		return route;
	if (fake->routes_n == ROUTES_MAX)
		errx(1, "fake engine: too many routes");
	route = &fake->routes[fake->routes_n++];
	route->path = must(strdup(path));
	return route;
}

/* --- writing --- */

static void queue_bytes(struct connection *c, const char *bytes, size_t len)
{
	c->out = must(realloc(c->out, c->out_len + len + 1));
	memcpy(c->out + c->out_len, bytes, len);
	c->out_len += len;
}

static void queue_chunk(struct connection *c, const char *bytes, size_t len)
{
	char head[32];

	queue_bytes(c, head, (size_t)snprintf(head, sizeof(head), "%zx\r\n", len));
	queue_bytes(c, bytes, len);
	queue_bytes(c, "\r\n", 2);
}

static void queue_answer(struct connection *c, const struct route *route)
{
	char head[200];
	int n;

	if (route->form == FAKE_RAW) {
		queue_bytes(c, route->body, route->len);
		c->ends = true;
		return;
	}
	n = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n",
		     route->status);
	queue_bytes(c, head, (size_t)n);
	if (route->form == FAKE_CHUNKED) {
		queue_bytes(c, "Transfer-Encoding: chunked\r\n\r\n", 30);
		for (size_t at = 0; at < route->len; at += 7)
			queue_chunk(c, route->body + at, route->len - at < 7 ? route->len - at : 7);
		queue_bytes(c, "0\r\n\r\n", 5);
		return;
	}
	n = snprintf(head, sizeof(head), "Content-Length: %zu\r\n\r\n", route->len);
	queue_bytes(c, head, (size_t)n);
	queue_bytes(c, route->body, route->len);
}

static void close_connection(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->out);
	free(c->held);
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

static void flush_connection(struct fake_engine *fake, struct connection *c)
{
	size_t part = c->out_len - c->out_sent;
	bool first = fake->split && c->out_total < fake->split;
	ssize_t n;

	if (first && part > fake->split - c->out_total)
		part = fake->split - c->out_total;
	if (fake->slow_ms && part > 1)
		part = 1;
	n = send(c->fd, c->out + c->out_sent, part, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN)
			close_connection(c);
		return;
	}
	c->due_ms = now_ms() + fake->slow_ms;
	c->out_sent += (size_t)n;
	c->out_total += (size_t)n;
	if (first)
		usleep(300); /* so that the client sees the parts apart */
	if (c->out_sent < c->out_len)
		return;
	c->out_sent = c->out_len = c->out_total = 0;
	if (c->ends)
		close_connection(c);
}

/* --- reading --- */

static void record(struct fake_engine *fake, const char *text)
{
	size_t len = strlen(text);

	if (fake->record_len + len + 2 > RECORD_MAX)
		return;
	memcpy(fake->record + fake->record_len, text, len);
	fake->record_len += len;
	fake->record[fake->record_len++] = '\n';
	fake->record[fake->record_len] = '\0';
}

static void decode(char *text)
{
	char *to = text;

	for (; *text; text++) {
		unsigned value;

		if (*text == '%' && isxdigit((unsigned char)text[1]) &&
		    sscanf(text + 1, "%2x", &value) == 1) {
			*to++ = (char)value;
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* "/v1.41/info" → "/info" */
static const char *strip_version(const char *path)
{
	size_t digits;

	if (strncmp(path, "/v1.", 4) != 0)
		return path;
	digits = strspn(path + 4, "0123456789");
	return path[4 + digits] == '/' ? path + 4 + digits : path;
}

static void answer_path(struct fake_engine *fake, struct connection *c, const char *path)
{
	static const char none[] = "{\"message\":\"no such thing\"}";
	static struct route missing = { .body = (char *)none,
					.len = sizeof(none) - 1,
					.status = 404 };
	struct route *route = find_route(fake, path);

	if (route && route->hold)
		c->held = must(strdup(path));
	else if (route && route->set)
		queue_answer(c, route);
	else
		queue_answer(c, &missing);
}

static void take_request(struct fake_engine *fake, struct connection *c)
{
	static const char stream[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				     "Transfer-Encoding: chunked\r\n\r\n";
	char method[16], path[2048];
	char line[2100];
	const char *plain;

	if (sscanf(c->in, "%15s %2047s", method, path) != 2)
		errx(1, "fake engine: not a request: %.100s", c->in);
	decode(path);
	snprintf(line, sizeof(line), "%s %s", method, path);
	record(fake, line);
	if (strcmp(method, "GET") != 0 || strcasestr(c->in, "\r\nContent-Length:") ||
	    strcasestr(c->in, "\r\nTransfer-Encoding:"))
		fake->bad_method = true;
	plain = strip_version(path);
	if (strncmp(plain, "/events", 7) != 0) {
		answer_path(fake, c, plain);
	} else if (find_route(fake, "/events")) {
		answer_path(fake, c, "/events");
	} else {
		c->stream = true;
		queue_bytes(c, stream, sizeof(stream) - 1);
	}
}

static void read_connection(struct fake_engine *fake, struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - 1 - c->in_len, MSG_DONTWAIT);
	char *end;

	if (n <= 0) {
		if (!n || errno != EAGAIN)
			close_connection(c);
		return;
	}
	c->in_len += (size_t)n;
	c->in[c->in_len] = '\0';
	while (c->fd >= 0 && (end = strstr(c->in, "\r\n\r\n"))) {
		size_t used = (size_t)(end + 4 - c->in);

		end[2] = '\0';
		take_request(fake, c);
		memmove(c->in, c->in + used, c->in_len - used + 1);
		c->in_len -= used;
	}
}

static void accept_one(struct fake_engine *fake)
{
	int fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (fake->connections[i].fd < 0) {
			fake->connections[i].fd = fd;
			return;
		}
	}
	errx(1, "fake engine: too many connections");
}

/* --- the thread --- */

static bool may_write(const struct connection *c)
{
	return (c->out_len > c->out_sent || c->ends) && c->due_ms <= now_ms();
}

static size_t fill_polls(struct fake_engine *fake, struct pollfd *polls, size_t *slots)
{
	size_t n = 0;

	polls[n++] = (struct pollfd){ .fd = fake->wake, .events = POLLIN };
	if (fake->hang)
		return n;
	polls[n++] = (struct pollfd){ .fd = fake->listener, .events = POLLIN };
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &fake->connections[i];

		if (c->fd < 0)
			continue;
		slots[n] = i;
		polls[n].fd = c->fd;
		polls[n++].events = (short)(POLLIN | (may_write(c) ? POLLOUT : 0));
	}
	return n;
}

static void serve(struct fake_engine *fake, const struct pollfd *polls, const size_t *slots,
		  size_t n)
{
	uint64_t count;

	if (polls[0].revents && read(fake->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
		err(1, "fake engine: eventfd");
	if (fake->hang)
		return;
	if (n > 1 && (polls[1].revents & POLLIN) && polls[1].fd == fake->listener)
		accept_one(fake);
	for (size_t i = 2; i < n; i++) {
		struct connection *c = &fake->connections[slots[i]];

		if (c->fd != polls[i].fd)
			continue; /* closed meanwhile */
		if (polls[i].revents & (POLLIN | POLLHUP | POLLERR))
			read_connection(fake, c);
		if (c->fd >= 0 && may_write(c))
			flush_connection(fake, c);
	}
}

static void *run(void *data)
{
	struct pollfd polls[CONNECTIONS_MAX + 2];
	size_t slots[CONNECTIONS_MAX + 2];
	struct fake_engine *fake = data;
	bool stop = false;

	while (!stop) {
		size_t n;
		int wait;

		pthread_mutex_lock(&fake->lock);
		n = fill_polls(fake, polls, slots);
		wait = fake->slow_ms ? 1 : -1;
		pthread_mutex_unlock(&fake->lock);
		if (poll(polls, n, wait) < 0 && errno != EINTR)
			err(1, "fake engine: poll");
		pthread_mutex_lock(&fake->lock);
		stop = fake->stop;
		serve(fake, polls, slots, n);
		pthread_mutex_unlock(&fake->lock);
	}
	return NULL;
}

static void open_listener(struct fake_engine *fake)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(addr.sun_path, fake->socket_path);
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fake->listener < 0 ||
	    bind(fake->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fake->listener, 128) < 0)
		err(1, "fake engine: %s", fake->socket_path);
}

static void close_listener(struct fake_engine *fake)
{
	if (fake->listener < 0)
		return;
	close(fake->listener);
	fake->listener = -1;
	unlink(fake->socket_path);
}

struct fake_engine *fake_engine_new(void)
{
	char folder[] = "/tmp/fake-engine.XXXXXX", path[96];
	struct fake_engine *fake;

	if (!mkdtemp(folder))
		err(1, "fake engine: mkdtemp");
	snprintf(path, sizeof(path), "%s/docker.sock", folder);
	fake = fake_engine_new_at(path);
	strcpy(fake->folder, folder);
	return fake;
}

struct fake_engine *fake_engine_new_at(const char *socket_path)
{
	struct fake_engine *fake = must(calloc(1, sizeof(*fake)));

	pthread_mutex_init(&fake->lock, NULL);
	snprintf(fake->socket_path, sizeof(fake->socket_path), "%s", socket_path);
	fake->record = must(calloc(1, RECORD_MAX));
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		fake->connections[i].fd = -1;
	fake->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fake->wake < 0)
		err(1, "fake engine: eventfd");
	open_listener(fake);
	if (pthread_create(&fake->thread, NULL, run, fake))
		errx(1, "fake engine: no thread");
	return fake;
}

struct fake_engine *fake_engine_free(struct fake_engine *fake)
{
	if (!fake)
		return NULL;
	lock(fake);
	fake->stop = true;
	unlock(fake);
	pthread_join(fake->thread, NULL);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		close_connection(&fake->connections[i]);
	for (size_t i = 0; i < fake->routes_n; i++) {
		free(fake->routes[i].path);
		free(fake->routes[i].body);
	}
	close_listener(fake);
	close(fake->wake);
	if (fake->folder[0])
		rmdir(fake->folder);
	pthread_mutex_destroy(&fake->lock);
	free(fake->record);
	free(fake);
	return NULL;
}

const char *fake_engine_socket(const struct fake_engine *fake)
{
	return fake->socket_path;
}

/* --- what the test says --- */

void fake_engine_answer_as(struct fake_engine *fake, const char *path, enum fake_form form,
			   int status, const char *body, size_t len)
{
	struct route *route;

	lock(fake);
	route = make_route(fake, path);
	free(route->body);
	route->body = must(malloc(len + 1));
	memcpy(route->body, body, len);
	route->body[len] = '\0';
	route->len = len;
	route->status = status;
	route->form = form;
	route->set = true;
	unlock(fake);
}

void fake_engine_answer(struct fake_engine *fake, const char *path, int status, const char *body)
{
	fake_engine_answer_as(fake, path, FAKE_LENGTH, status, body, strlen(body));
}

void fake_engine_forget(struct fake_engine *fake, const char *path)
{
	struct route *route;

	lock(fake);
	route = find_route(fake, path);
	if (route)
		route->set = route->hold = false;
	unlock(fake);
}

void fake_engine_healthy(struct fake_engine *fake, const char *api, const char *min_api)
{
	char version[200];

	snprintf(version, sizeof(version),
		 "{\"Version\":\"20.10.24\",\"ApiVersion\":\"%s\",\"MinAPIVersion\":\"%s\"}", api,
		 min_api);
	fake_engine_answer(fake, "/version", 200, version);
	fake_engine_answer(fake, "/_ping", 200, "OK");
	fake_engine_answer(fake, "/info", 200,
			   "{\"ServerVersion\":\"20.10.24\",\"CgroupDriver\":\"systemd\","
			   "\"CgroupVersion\":\"2\",\"LiveRestoreEnabled\":false,"
			   "\"SecurityOptions\":[\"name=seccomp,profile=default\"]}");
	fake_engine_answer(fake, "/containers/json?all=1", 200, "[]");
	fake_engine_answer(fake, "/networks", 200, "[]");
}

void fake_engine_hold(struct fake_engine *fake, const char *path, bool hold)
{
	lock(fake);
	make_route(fake, path)->hold = hold;
	for (size_t i = 0; i < CONNECTIONS_MAX && !hold; i++) {
		struct connection *c = &fake->connections[i];
		char *held = c->held;

		if (!held || strcmp(held, path) != 0)
			continue;
		c->held = NULL;
		answer_path(fake, c, path);
		free(held);
	}
	unlock(fake);
}

void fake_engine_stream(struct fake_engine *fake, const char *bytes, size_t len)
{
	lock(fake);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (fake->connections[i].fd >= 0 && fake->connections[i].stream)
			queue_chunk(&fake->connections[i], bytes, len);
	unlock(fake);
}

void fake_engine_event(struct fake_engine *fake, const char *line)
{
	size_t len = strlen(line);
	char *text = must(malloc(len + 1));

	memcpy(text, line, len);
	text[len] = '\n';
	fake_engine_stream(fake, text, len + 1);
	free(text);
}

void fake_engine_end_streams(struct fake_engine *fake, bool cleanly)
{
	lock(fake);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *c = &fake->connections[i];

		if (c->fd < 0 || !c->stream)
			continue;
		c->stream = false;
		if (cleanly) {
			queue_bytes(c, "0\r\n\r\n", 5);
			c->ends = true;
		} else {
			close_connection(c);
		}
	}
	unlock(fake);
}

size_t fake_engine_streams(struct fake_engine *fake)
{
	size_t n = 0;

	lock(fake);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		n += fake->connections[i].fd >= 0 && fake->connections[i].stream;
	unlock(fake);
	return n;
}

void fake_engine_hang(struct fake_engine *fake, bool hang)
{
	lock(fake);
	fake->hang = hang;
	unlock(fake);
}

void fake_engine_listen(struct fake_engine *fake, bool listen)
{
	lock(fake);
	if (listen && fake->listener < 0)
		open_listener(fake);
	if (!listen) {
		close_listener(fake);
		for (size_t i = 0; i < CONNECTIONS_MAX; i++)
			close_connection(&fake->connections[i]);
	}
	unlock(fake);
}

void fake_engine_slow(struct fake_engine *fake, unsigned ms)
{
	lock(fake);
	fake->slow_ms = ms;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		fake->connections[i].due_ms = 0;
	unlock(fake);
}

void fake_engine_split(struct fake_engine *fake, size_t bytes)
{
	lock(fake);
	fake->split = bytes;
	unlock(fake);
}

static size_t search_record(struct fake_engine *fake, const char *part, long *ret_first)
{
	size_t n = 0;
	long place = 0;

	*ret_first = -1;
	lock(fake);
	for (const char *line = fake->record; *line; place++) {
		const char *end = strchr(line, '\n');
		char *text = must(strndup(line, (size_t)(end - line)));

		if (strstr(text, part) && !n++)
			*ret_first = place;
		free(text);
		line = end + 1;
	}
	unlock(fake);
	return n;
}

size_t fake_engine_count(struct fake_engine *fake, const char *part)
{
	long first;

	return search_record(fake, part, &first);
}

long fake_engine_position(struct fake_engine *fake, const char *part)
{
	long first;

	search_record(fake, part, &first);
	return first;
}

bool fake_engine_only_get(struct fake_engine *fake)
{
	bool only;

	lock(fake);
	only = !fake->bad_method;
	unlock(fake);
	return only;
}

void fake_engine_clear(struct fake_engine *fake)
{
	lock(fake);
	fake->record_len = 0;
	fake->record[0] = '\0';
	unlock(fake);
}
