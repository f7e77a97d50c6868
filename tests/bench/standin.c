/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's side of HTTP over one unix socket, for any number of containers that do not exist.
 * Answers are made from the container's number alone, so nothing grows with their number but the
 * list. Never waits for a client: what does not fit into its socket stays queued.
 */
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench.h"

#define CONNECTIONS_MAX 256
#define REQUEST_MAX 8192
#define OWN_NETWORK_ID "b12d9e000000000000000000000000000000000000000000000000000000d0c0"

struct connection {
	int fd; /* -1: free */
	char request[REQUEST_MAX];
	size_t request_len;
	char *answer; /* owned */
	size_t answer_len, answer_sent;
	bool stream;
};

struct standin {
	struct standin_options options;
	bool *running;
	int listener, epoll;
	struct connection connections[CONNECTIONS_MAX];
	struct standin_times times;
	int64_t last_active;
	char network_id[65];
};

/* A body under construction. */
struct text {
	char *bytes;
	size_t len, size;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	if (text->size - text->len < 4096) {
		text->size = text->size ? text->size * 2 : 16384;
		text->bytes = must(realloc(text->bytes, text->size));
	}
	va_start(args, format);
	n = vsnprintf(text->bytes + text->len, text->size - text->len, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= text->size - text->len)
		die("stand-in: a piece of text is too long");
	text->len += (size_t)n;
}

static void put_file(struct text *text, const char *folder, const char *name)
{
	char path[512];
	int fd, n;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0) {
		if (text->size - text->len < 65536) {
			text->size = text->size ? text->size * 2 : 131072;
			text->bytes = must(realloc(text->bytes, text->size));
		}
		n = (int)read(fd, text->bytes + text->len, 65535);
		if (n <= 0)
			break;
		text->len += (size_t)n;
		text->bytes[text->len] = '\0';
	}
	if (fd >= 0)
		close(fd);
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Spread like Docker's; the index is in the last eight digits. */
void standin_id(size_t i, char id[static 65])
{
	uint64_t a = mix(i), b = mix(a), c = mix(b);

	snprintf(id, 65, "%016llx%016llx%016llx%08llx%08zx", (unsigned long long)a,
		 (unsigned long long)b, (unsigned long long)c, (unsigned long long)(a & 0xffffffff),
		 i);
}

static bool is_host_job(const struct standin *s, size_t i)
{
	return i < s->options.host_jobs;
}

static bool is_bystander(const struct standin *s, size_t i)
{
	return !is_host_job(s, i) && i % 10 == 9;
}

static void put_name(struct text *text, const struct standin *s, size_t i)
{
	put(text, is_bystander(s, i) ? "bystander-%zu" : "bench-run-%zu-0-0-%08zx", i, i);
}

static void put_labels(struct text *text, const struct standin *s, size_t i)
{
	if (is_bystander(s, i))
		put(text, "{}");
	else
		put(text,
		    "{\"ai.dstack.shim.is-task\":\"true\",\"ai.dstack.shim.task-id\":"
		    "\"%08zx-5b1c-4d4e-9a7b-0123456789ab\"}",
		    i);
}

/* 172.17.16.0 and up; the MAC as Docker derives it; IPv6 beside it. */
static void put_networks(struct text *text, const struct standin *s, size_t i)
{
	unsigned high = 16 + (unsigned)i / 250, low = 2 + (unsigned)i % 250;

	if (is_host_job(s, i)) {
		put(text, "{\"host\":{\"NetworkID\":\"\",\"IPAddress\":\"\",\"MacAddress\":\"\"}}");
		return;
	}
	put(text,
	    "{\"bridge\":{\"IPAMConfig\":null,\"Links\":null,\"Aliases\":null,\"NetworkID\":\"%s\","
	    "\"EndpointID\":\"%064zx\",\"Gateway\":\"172.17.0.1\",\"IPAddress\":\"172.17.%u.%u\","
	    "\"IPPrefixLen\":16,\"IPv6Gateway\":\"fd00:d0c::1\",\"GlobalIPv6Address\":"
	    "\"fd00:d0c::1:%x\",\"GlobalIPv6PrefixLen\":64,\"MacAddress\":"
	    "\"02:42:ac:11:%02x:%02x\",\"DriverOpts\":null}}",
	    s->network_id, i, high, low, (unsigned)i, high, low);
}

static const char *mode_of(const struct standin *s, size_t i)
{
	return is_host_job(s, i) ? "host" : "default";
}

static void put_mounts(struct text *text, size_t i)
{
	put(text,
	    "[{\"Type\":\"bind\",\"Source\":\"/root/.dstack/runners/bench-run-%zu-0-0\","
	    "\"Destination\":\"/tmp/"
	    "runner\",\"Mode\":\"\",\"RW\":true,\"Propagation\":\"rprivate\"},"
	    "{\"Type\":\"bind\",\"Source\":\"/usr/local/bin/dstack-runner\",\"Destination\":"
	    "\"/usr/local/bin/dstack-runner\",\"Mode\":\"\",\"RW\":true,\"Propagation\":"
	    "\"rprivate\"}]",
	    i);
}

static void put_listed(struct text *text, const struct standin *s, size_t i)
{
	const char *state = s->running[i] ? "running" : "exited";
	char id[65];

	standin_id(i, id);
	put(text, "{\"Id\":\"%s\",\"Names\":[\"/", id);
	put_name(text, s, i);
	put(text,
	    "\"],\"Image\":\"dstackai/base:0.9\",\"ImageID\":\"sha256:%064zx\",\"Command\":"
	    "\"/bin/bash -c 'runner'\",\"Created\":1700000000,\"Ports\":[",
	    i);
	if (s->running[i] && !is_host_job(s, i) && !is_bystander(s, i))
		put(text,
		    "{\"IP\":\"127.0.0.1\",\"PrivatePort\":10999,\"PublicPort\":%zu,\"Type\":"
		    "\"tcp\"},{\"IP\":\"127.0.0.1\",\"PrivatePort\":10022,\"PublicPort\":%zu,"
		    "\"Type\":\"tcp\"}",
		    PUBLISHED_FIRST + 2 * i, PUBLISHED_FIRST + 1 + 2 * i);
	put(text, "],\"Labels\":");
	put_labels(text, s, i);
	put(text,
	    ",\"State\":\"%s\",\"Status\":\"Up 2 minutes\",\"HostConfig\":{\"NetworkMode\":\"%s\"},"
	    "\"NetworkSettings\":{\"Networks\":",
	    state, mode_of(s, i));
	put_networks(text, s, i);
	put(text, "},\"Mounts\":");
	put_mounts(text, i);
	put(text, "}");
}

static void put_sandbox(struct text *text, const struct standin *s, size_t i)
{
	const char *form = s->options.sandbox, *number = form ? strstr(form, "%zu") : NULL;

	if (!form || !s->running[i])
		put(text, "\"SandboxKey\":\"\",");
	else if (number)
		put(text, "\"SandboxKey\":\"%.*s%zu%s\",", (int)(number - form), form, i,
		    number + 3);
	else
		put(text, "\"SandboxKey\":\"%s\",", form);
}

static void put_ports(struct text *text, const struct standin *s, size_t i)
{
	if (is_host_job(s, i) || is_bystander(s, i) || !s->running[i])
		put(text, "\"Ports\":{},");
	else
		put(text,
		    "\"Ports\":{\"10999/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"%zu\"}],"
		    "\"10022/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"%zu\"}]},",
		    PUBLISHED_FIRST + 2 * i, PUBLISHED_FIRST + 1 + 2 * i);
}

static void put_inspected(struct text *text, const struct standin *s, size_t i)
{
	char id[65];

	standin_id(i, id);
	put(text, "{\"Id\":\"%s\",\"Created\":\"2024-01-01T00:00:00.0Z\",\"Path\":\"/bin/bash\",",
	    id);
	put(text,
	    "\"Args\":[\"-c\",\"runner\"],\"State\":{\"Status\":\"%s\",\"Running\":%s,\"Paused\":"
	    "false,\"Restarting\":false,\"OOMKilled\":false,\"Dead\":false,\"Pid\":%d,\"ExitCode\":"
	    "0,"
	    "\"Error\":\"\",\"StartedAt\":\"2024-01-01T00:00:00.0Z\"},",
	    s->running[i] ? "running" : "exited", s->running[i] ? "true" : "false",
	    s->running[i] ? 4000000 + (int)i : 0);
	put(text,
	    "\"Image\":\"sha256:%064zx\",\"ResolvConfPath\":\"/var/lib/docker/containers/%s/"
	    "resolv.conf\",\"Name\":\"/",
	    i, id);
	put_name(text, s, i);
	put(text,
	    "\",\"RestartCount\":0,\"Driver\":\"overlay2\",\"Platform\":\"linux\","
	    "\"AppArmorProfile\":"
	    "\"docker-default\",\"HostConfig\":{\"Binds\":null,\"ContainerIDFile\":\"\","
	    "\"LogConfig\":"
	    "{\"Type\":\"json-file\",\"Config\":{}},\"NetworkMode\":\"%s\",\"PortBindings\":{},"
	    "\"RestartPolicy\":{\"Name\":\"no\",\"MaximumRetryCount\":0},\"CapAdd\":null,"
	    "\"CapDrop\":"
	    "null,\"CgroupnsMode\":\"private\",\"IpcMode\":\"private\",\"PidMode\":\"\","
	    "\"Privileged\":"
	    "false,\"SecurityOpt\":null,\"UsernsMode\":\"\",\"ShmSize\":67108864,\"Runtime\":"
	    "\"runc\","
	    "\"CpuShares\":0,\"Memory\":%d,\"NanoCpus\":%d,\"CgroupParent\":\"\",\"Devices\":[],"
	    "\"DeviceCgroupRules\":null,\"MaskedPaths\":[\"/proc/kcore\"],\"ReadonlyPaths\":[]},",
	    mode_of(s, i), is_host_job(s, i) ? 0 : 1 << 30, is_host_job(s, i) ? 0 : 1000000000);
	put(text, "\"Mounts\":");
	put_mounts(text, i);
	put(text,
	    ",\"Config\":{\"Hostname\":\"%.12s\",\"User\":\"\",\"Env\":[\"PATH=/usr/bin:/bin\"],"
	    "\"Cmd\":[\"-c\",\"runner\"],\"Image\":\"dstackai/base:0.9\",\"Labels\":",
	    id);
	put_labels(text, s, i);
	put(text, "},\"NetworkSettings\":{\"Bridge\":\"\",\"SandboxID\":\"%064zx\",", i);
	put_sandbox(text, s, i);
	put_ports(text, s, i);
	put(text, "\"Networks\":");
	put_networks(text, s, i);
	put(text, "}}");
}

static void put_network(struct text *text, bool whole, const struct standin *s)
{
	put(text, "{\"Name\":\"bridge\",\"Id\":\"%s\",", s->network_id);
	put(text, "\"Driver\":\"bridge\",\"Scope\":\"local\",\"Options\":{\"com.docker.network."
		  "bridge.name\":\"docker0\"},"
		  "\"Labels\":{},\"Containers\":{");
	for (size_t i = s->options.host_jobs, n = 0; whole && i < s->options.containers; i++) {
		char id[65];

		if (!s->running[i])
			continue;
		standin_id(i, id);
		put(text,
		    "%s\"%s\":{\"Name\":\"c%zu\",\"EndpointID\":\"%064zx\",\"MacAddress\":"
		    "\"02:42:ac:11:%02x:%02x\",\"IPv4Address\":\"172.17.%u.%u/16\","
		    "\"IPv6Address\":\"fd00:d0c::1:%x/64\"}",
		    n++ ? "," : "", id, i, i, 16 + (unsigned)i / 250, 2 + (unsigned)i % 250,
		    16 + (unsigned)i / 250, 2 + (unsigned)i % 250, (unsigned)i);
	}
	put(text, "}}");
}

static bool index_of(const struct standin *s, const char *id, size_t *ret_i)
{
	char wanted[65], digits[9] = { 0 };

	if (strlen(id) < 64)
		return false;
	memcpy(digits, id + 56, 8);
	*ret_i = strtoul(digits, NULL, 16);
	if (*ret_i >= s->options.containers)
		return false;
	standin_id(*ret_i, wanted);
	return memcmp(wanted, id, 64) == 0;
}

/* A captured list is an array: its brackets go. Returns whether anything was in it. */
static bool put_captured(struct text *text, const char *folder, const char *name)
{
	size_t begin = text->len;

	if (folder)
		put_file(text, folder, name);
	while (text->len > begin && text->bytes[text->len - 1] != ']')
		text->len--;
	if (text->len < begin + 4) {
		text->len = begin;
		return false;
	}
	text->len--;
	text->bytes[begin] = ' ';
	return true;
}

static void put_list(struct text *text, const struct standin *s)
{
	bool first;

	put(text, "[");
	first = !put_captured(text, s->options.folder, "list.json");
	for (size_t i = 0; i < s->options.containers; i++) {
		put(text, first ? "" : ",");
		put_listed(text, s, i);
		first = false;
	}
	put(text, "]");
}

static void put_list_of(struct text *text, const struct standin *s, const char *id)
{
	char name[128];
	size_t i;

	put(text, "[");
	snprintf(name, sizeof(name), "list-%.64s.json", id);
	if (index_of(s, id, &i))
		put_listed(text, s, i);
	else
		put_captured(text, s->options.folder, name);
	put(text, "]");
}

static bool put_container(struct text *text, const struct standin *s, const char *id)
{
	char name[128];
	size_t i;

	if (index_of(s, id, &i)) {
		put_inspected(text, s, i);
		return true;
	}
	if (!s->options.folder)
		return false;
	snprintf(name, sizeof(name), "%.64s.json", id);
	put_file(text, s->options.folder, name);
	return text->len > 0;
}

/* The answer to @path (without the version); false: 404. */
static bool answer_body(struct text *text, const struct standin *s, const char *path)
{
	if (!strncmp(path, "/version", 8))
		put(text, "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1."
			  "12\","
			  "\"Os\":\"linux\",\"Arch\":\"amd64\"}");
	else if (!strncmp(path, "/_ping", 6))
		put(text, "OK");
	else if (!strncmp(path, "/info", 5))
		put(text, "{\"ServerVersion\":\"20.10.24\",\"CgroupDriver\":\"cgroupfs\","
			  "\"CgroupVersion\":"
			  "\"1\",\"LiveRestoreEnabled\":false,\"SecurityOptions\":[\"name="
			  "seccomp\"]}");
	else if (!strncmp(path, "/containers/json", 16)) {
		const char *only = strstr(path, "%5B%22");

		if (only)
			put_list_of(text, s, only + 6);
		else
			put_list(text, s);
	} else if (!strncmp(path, "/containers/", 12)) {
		return put_container(text, s, path + 12);
	} else if (!strncmp(path, "/networks/", 10)) {
		put_network(text, true, s);
	} else if (!strncmp(path, "/networks", 9)) {
		put(text, "[");
		put_network(text, false, s);
		put(text, "]");
	} else {
		return false;
	}
	return true;
}

static void close_connection(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->answer);
	*c = (struct connection){ .fd = -1 };
}

static void flush(struct standin *s, struct connection *c)
{
	while (c->answer_sent < c->answer_len) {
		ssize_t n = send(c->fd, c->answer + c->answer_sent, c->answer_len - c->answer_sent,
				 MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			close_connection(c);
			return;
		}
		c->answer_sent += (size_t)n;
	}
	free(c->answer);
	c->answer = NULL;
	c->answer_len = c->answer_sent = 0;
	s->last_active = now_ns();
	if (!c->stream)
		s->times.last_answer = s->last_active;
}

static void queue(struct connection *c, const char *head, size_t head_len, const struct text *body)
{
	c->answer = must(realloc(c->answer, c->answer_len + head_len + body->len));
	memcpy(c->answer + c->answer_len, head, head_len);
	if (body->len)
		memcpy(c->answer + c->answer_len + head_len, body->bytes, body->len);
	c->answer_len += head_len + body->len;
}

static void answer(struct standin *s, struct connection *c, char *path)
{
	struct text body = { 0 };
	char head[256];
	bool known;
	int n;

	if (!strncmp(path, "/v1.", 4))
		path = strchr(path + 1, '/') ?: path;
	s->last_active = now_ns();
	if (!strncmp(path, "/events", 7)) {
		c->stream = true;
		n = snprintf(head, sizeof(head),
			     "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: "
			     "application/json"
			     "\r\nTransfer-Encoding: chunked\r\n\r\n");
	} else {
		if (!s->times.questions++)
			s->times.first_question = s->last_active;
		known = answer_body(&body, s, path);
		n = snprintf(head, sizeof(head),
			     "HTTP/1.1 %s\r\nApi-Version: 1.41\r\nContent-Type: "
			     "application/json\r\n"
			     "Ostype: linux\r\nContent-Length: %zu\r\n\r\n",
			     known ? "200 OK" : "404 Not Found", body.len);
	}
	queue(c, head, (size_t)n, &body);
	free(body.bytes);
	flush(s, c);
}

static void read_requests(struct standin *s, struct connection *c)
{
	ssize_t n = recv(c->fd, c->request + c->request_len,
			 sizeof(c->request) - 1 - c->request_len, 0);
	char *end;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close_connection(c);
		return;
	}
	if (n < 0)
		return;
	c->request_len += (size_t)n;
	c->request[c->request_len] = '\0';
	while (c->fd >= 0 && (end = strstr(c->request, "\r\n\r\n"))) {
		char path[1024] = "";
		size_t used = (size_t)(end + 4 - c->request);
		bool head = !strncmp(c->request, "HEAD ", 5);

		sscanf(c->request, "%*s %1023s", path);
		memmove(c->request, c->request + used, c->request_len - used + 1);
		c->request_len -= used;
		if (head) {
			static const char ok[] = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n"
						 "Ostype: linux\r\nContent-Length: 0\r\n\r\n";

			queue(c, ok, sizeof(ok) - 1, &(struct text){ 0 });
			flush(s, c);
		} else {
			answer(s, c, path);
		}
	}
}

static void watch(struct standin *s, int fd, uint32_t events, uint32_t index)
{
	struct epoll_event event = { .events = events, .data.u32 = index };

	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("stand-in: epoll: %m");
}

static void take_connection(struct standin *s)
{
	int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	for (uint32_t i = 0; fd >= 0 && i < CONNECTIONS_MAX; i++)
		if (s->connections[i].fd < 0) {
			s->connections[i].fd = fd;
			watch(s, fd, EPOLLIN | EPOLLOUT | EPOLLET, i);
			return;
		}
	if (fd >= 0)
		close(fd);
}

void standin_turn(struct standin *s, int timeout_ms)
{
	struct epoll_event events[64];
	int n = epoll_wait(s->epoll, events, 64, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct connection *c;

		if (events[i].data.u32 == CONNECTIONS_MAX) {
			take_connection(s);
			continue;
		}
		c = &s->connections[events[i].data.u32];
		if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			read_requests(s, c);
		if (c->fd >= 0 && c->answer_len)
			flush(s, c);
	}
}

/* What is captured has the network that it was captured on. */
static void choose_network(struct standin *s)
{
	struct text id = { 0 };

	if (s->options.folder)
		put_file(&id, s->options.folder, "network-id");
	snprintf(s->network_id, sizeof(s->network_id), "%s",
		 id.len >= 64 ? id.bytes : OWN_NETWORK_ID);
	free(id.bytes);
}

struct standin *standin_new(const struct standin_options *options)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct standin *s = must(calloc(1, sizeof(*s)));

	s->options = *options;
	choose_network(s);
	s->running = must(calloc(options->containers + 1, sizeof(*s->running)));
	for (size_t i = 0; i < options->running && i < options->containers; i++)
		s->running[i] = true;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		s->connections[i].fd = -1;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", options->path);
	unlink(options->path);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->epoll < 0 || s->listener < 0 ||
	    bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(s->listener, 128) < 0)
		die("stand-in: %s: %m", options->path);
	watch(s, s->listener, EPOLLIN, CONNECTIONS_MAX);
	return s;
}

size_t standin_streams(const struct standin *s)
{
	size_t n = 0;

	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		n += s->connections[i].fd >= 0 && s->connections[i].stream;
	return n;
}

bool standin_idle_since(const struct standin *s, int64_t since_ns)
{
	return s->last_active < since_ns;
}

void standin_set_running(struct standin *s, size_t i, bool runs)
{
	s->running[i] = runs;
}

int64_t standin_event(struct standin *s, const char *action, size_t i)
{
	struct text line = { 0 };
	char id[65], head[32];
	int64_t now;
	int n;

	standin_id(i, id);
	put(&line,
	    "{\"status\":\"%s\",\"id\":\"%s\",\"from\":\"dstackai/base:0.9\",\"Type\":"
	    "\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":{"
	    "\"image\":\"dstackai/base:0.9\",\"name\":\"",
	    action, id, action, id);
	put_name(&line, s, i);
	put(&line, "\"}},\"scope\":\"local\",\"time\":1700000000,\"timeNano\":1700000000000000000}"
		   "\n");
	n = snprintf(head, sizeof(head), "%zx\r\n", line.len);
	put(&line, "\r\n");
	s->times = (struct standin_times){ 0 };
	now = now_ns();
	for (size_t c = 0; c < CONNECTIONS_MAX; c++)
		if (s->connections[c].fd >= 0 && s->connections[c].stream) {
			queue(&s->connections[c], head, (size_t)n, &line);
			flush(s, &s->connections[c]);
		}
	free(line.bytes);
	return now;
}

struct standin_times standin_times(const struct standin *s)
{
	return s->times;
}
