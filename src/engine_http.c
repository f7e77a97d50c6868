/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HTTP over one unix socket: libcurl's multi interface driven by sd-event. GET is the only method
 * that exists here, so nothing that runs in this process can change the engine through it. No
 * redirects, no proxies, no other protocol, no name resolution; every answer has a deadline and a
 * bound on head and body. libcurl must not be entered from within its own callbacks: what a stream
 * delivers there may only be stored.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine-internal.h"

#define CONNECT_TIMEOUT_MS 5000L
#define HEAD_MAX_BYTES (64 * 1024)
#define CONNECTIONS_KEPT 8L

struct http {
	sd_event *event;
	CURLM *multi;
	char *socket_path;
	sd_event_source *timer;
	struct http_call *calls;
};

struct http_call {
	struct http *http;
	struct http_call *next;
	CURL *easy;
	struct http_ask ask;
	char *body; /* owned */
	size_t len, size;
	size_t head_bytes;
	int socket; /* of the connection that this call opened, else -1; libcurl owns it */
	pid_t peer_pid;
	int error; /* why a callback ended the call */
	bool opened;
};

/* --- sockets and time, as libcurl asks for them --- */

static void finish_calls(struct http *http);

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *data)
{
	struct http *http = data;
	int action = 0, running;

	if (revents & EPOLLIN)
		action |= CURL_CSELECT_IN;
	if (revents & EPOLLOUT)
		action |= CURL_CSELECT_OUT;
	if (revents & (EPOLLERR | EPOLLHUP))
		action |= CURL_CSELECT_ERR;
	curl_multi_socket_action(http->multi, fd, action, &running);
	finish_calls(http);
	return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct http *http = data;
	sd_event_source *source = socket_data;
	uint32_t events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (source)
			sd_event_source_disable_unref(source);
		curl_multi_assign(http->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (source)
		return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
	if (sd_event_add_io(http->event, &source, fd, events, on_io, http) < 0)
		return -1;
	sd_event_source_set_description(source, "engine-http-socket");
	curl_multi_assign(http->multi, fd, source);
	return 0;
}

static int on_time(sd_event_source *source, uint64_t now, void *data)
{
	struct http *http = data;
	int running;

	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_calls(http);
	return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *data)
{
	struct http *http = data;

	if (timeout_ms < 0)
		return sd_event_source_set_enabled(http->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
	if (sd_event_source_set_time_relative(http->timer, (uint64_t)timeout_ms * 1000) < 0)
		return -1;
	return sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

/* --- one call --- */

static curl_socket_t on_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct http_call *call = data;

	if (addr->family != AF_UNIX) /* never leave this host */
		return CURL_SOCKET_BAD;
	call->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return call->socket < 0 ? CURL_SOCKET_BAD : call->socket;
}

static void read_peer(struct http_call *call)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (call->socket < 0 || call->peer_pid)
		return;
	if (!getsockopt(call->socket, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		call->peer_pid = peer.pid;
}

/* One line of the head, or of a trailer. libcurl 7.88 itself sets no bound on their sum. */
static size_t on_head(char *bytes, size_t size, size_t n, void *data)
{
	struct http_call *call = data;
	bool end = n == 2 && bytes[0] == '\r';
	long status = 0;

	call->head_bytes += n;
	if (call->head_bytes > HEAD_MAX_BYTES) {
		call->error = -EFBIG;
		return 0;
	}
	read_peer(call);
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (end && status == 200 && call->ask.opened && !call->opened) {
		call->opened = true;
		call->ask.opened(call->ask.data);
	}
	return n;
}

static int keep_body(struct http_call *call, const char *bytes, size_t n)
{
	size_t needed = call->len + n;

	if (needed > call->ask.body_max)
		return -EFBIG;
	if (needed > call->size) {
		size_t size = call->size ? call->size : 4096;
		char *body;

		while (size < needed)
			size *= 2;
		body = realloc(call->body, size);
		if (!body)
			return -ENOMEM;
		call->body = body;
		call->size = size;
	}
	memcpy(call->body + call->len, bytes, n);
	call->len += n;
	return 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct http_call *call = data;
	int r;

	if (call->opened)
		r = call->ask.bytes(bytes, n, call->ask.data);
	else
		r = keep_body(call, bytes, n);
	if (r < 0) {
		call->error = r;
		return n + 1; /* any other number than n ends the call */
	}
	return n;
}

static int set_protocol(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
#else
	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTP);
#endif
}

static int set_connection(struct http_call *call)
{
	CURL *easy = call->easy;
	int bad = 0;

	bad |= curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, call->http->socket_path);
	bad |= set_protocol(easy);
	bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	bad |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
	bad |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, call->ask.fresh ? 1L : 0L);
	bad |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, call->ask.fresh ? 1L : 0L);
	return bad ? -ENOMEM : 0;
}

static int set_call(struct http_call *call)
{
	char url[1024];
	CURL *easy = call->easy;
	int bad = 0;

	if (snprintf(url, sizeof(url), "http://docker%s", call->ask.path) >= (int)sizeof(url))
		return -ENAMETOOLONG;
	bad |= curl_easy_setopt(easy, CURLOPT_URL, url);
	bad |= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "jobfence");
	bad |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->ask.timeout_ms);
	bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
	bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	return bad ? -ENOMEM : set_connection(call);
}

/* Not linked into http->calls, not added to the multi handle. */
static void free_call(struct http_call *call)
{
	curl_easy_cleanup(call->easy);
	free(call->body);
	free(call);
}
DEFINE_CLEANUP(struct http_call *, free_call)

static void unlink_call(struct http_call *call)
{
	struct http_call **at = &call->http->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	curl_multi_remove_handle(call->http->multi, call->easy);
}

int http_get(struct http *http, const struct http_ask *ask, struct http_call **ret_call)
{
	_cleanup_(free_callp) struct http_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return -ENOMEM;
	call->http = http;
	call->ask = *ask;
	call->socket = -1;
	call->easy = curl_easy_init();
	if (!call->easy)
		return -ENOMEM;
	r = set_call(call);
	if (r)
		return r;
	call->ask.path = NULL; /* the URL holds a copy */
	if (curl_multi_add_handle(http->multi, call->easy) != CURLM_OK)
		return -ENOMEM;
	call->next = http->calls;
	http->calls = call;
	*ret_call = take_ptr(call);
	return 0;
}

void http_cancel(struct http_call *call)
{
	unlink_call(call);
	free_call(call);
}

/* Valid until the next one. */
static const char *too_large(const struct http_call *call)
{
	static char text[80];

	if (call->head_bytes > HEAD_MAX_BYTES)
		return "the head of the answer is too large";
	snprintf(text, sizeof(text), "the answer is larger than %zu KiB",
		 call->ask.body_max / 1024);
	return text;
}

static int error_of(const struct http_call *call, CURLcode code, const char **ret_trouble)
{
	long os_error = 0;

	*ret_trouble = curl_easy_strerror(code);
	if (call->error) {
		*ret_trouble = call->error == -EFBIG ? too_large(call) : strerror(-call->error);
		return call->error;
	}
	switch ((int)code) {
	case CURLE_OK:
		return 0;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_OPERATION_TIMEDOUT:
		*ret_trouble = "no answer in time";
		return -ETIMEDOUT;
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os_error);
		*ret_trouble = strerror(os_error ? (int)os_error : ECONNREFUSED);
		return os_error ? -(int)os_error : -ECONNREFUSED;
	default: /* libcurl's, not ours */
		return -EIO;
	}
}

static void finish_call(struct http_call *call, CURLcode code)
{
	struct http_answer answer = { .len = call->len, .peer_pid = call->peer_pid };

	answer.body = call->body;
	answer.error = error_of(call, code, &answer.trouble);
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &answer.status);
	unlink_call(call);
	call->ask.done(&answer, call->ask.data);
	free_call(call);
}

/* A callback may cancel other calls; libcurl then withdraws their messages. */
static void finish_calls(struct http *http)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(http->multi, &left))) {
		struct http_call *call = NULL;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
		finish_call(call, code);
	}
}

/* --- the whole --- */

static int set_multi(struct http *http)
{
	int bad = 0;

	bad |= curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	bad |= curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	bad |= curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	bad |= curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	bad |= curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	bad |= curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	return bad ? -ENOMEM : 0;
}

int http_new(sd_event *event, const char *socket_path, struct http **ret_http)
{
	_cleanup_(http_freep) struct http *http = NULL;
	int r;

	if (curl_global_init(CURL_GLOBAL_NOTHING)) /* no TLS: its memory is not needed */
		return -ENOMEM;
	http = calloc(1, sizeof(*http));
	if (!http) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	http->event = sd_event_ref(event);
	http->socket_path = strdup(socket_path);
	http->multi = curl_multi_init();
	if (!http->socket_path || !http->multi)
		return -ENOMEM;
	/* exact: a question is sent by a timer that libcurl wants at once */
	r = sd_event_add_time_relative(event, &http->timer, CLOCK_MONOTONIC, 0, 1, on_time, http);
	if (r < 0)
		return r;
	sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
	sd_event_source_set_description(http->timer, "engine-http-timer");
	r = set_multi(http);
	if (r)
		return r;
	*ret_http = take_ptr(http);
	return 0;
}

struct http *http_free(struct http *http)
{
	if (!http)
		return NULL;
	while (http->calls)
		http_cancel(http->calls);
	if (http->multi)
		curl_multi_cleanup(http->multi); /* closes the kept connections: uses the sources */
	sd_event_source_disable_unref(http->timer);
	sd_event_unref(http->event);
	free(http->socket_path);
	free(http);
	curl_global_cleanup();
	return NULL;
}
