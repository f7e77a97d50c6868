/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * serve: stands in for every server of the private host: shim, DCGM exporter, runner, sshd, a job's
 * own service, peers on the LAN. It answers each connection with its banner and then echoes, so
 * that whoever dials knows exactly whom it reached and whether the connection still lives.
 *
 * An IPv6 listener never takes IPv4 with it: shadow listeners are what the tests are about.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tool.h"

#define LISTENERS_MAX 64
#define CONNECTIONS_MAX 4096

enum kind { KIND_TCP, KIND_UDP, KIND_CONNECTION };

struct source {
	enum kind kind;
	int fd;
	char banner[64];
};

static struct source listeners[LISTENERS_MAX];
static size_t listeners_n;
static struct source connections[CONNECTIONS_MAX]; /* indexed by fd */
static int epoll_fd;

static void watch(struct source *source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, source->fd, &event))
		die(EXIT_BROKEN, "epoll: %m");
}

/* tcp:ADDR:PORT=BANNER */
static void parse_spec(const char *spec, enum kind *kind, union endpoint *end, char *banner)
{
	char copy[192];
	char *equals;

	if (!strncmp(spec, "tcp:", 4))
		*kind = KIND_TCP;
	else if (!strncmp(spec, "udp:", 4))
		*kind = KIND_UDP;
	else
		die(EXIT_USAGE, "'%s': want tcp:ADDR:PORT=BANNER or udp:…", spec);
	if (snprintf(copy, sizeof(copy), "%s", spec + 4) >= (int)sizeof(copy))
		die(EXIT_USAGE, "'%s' is too long", spec);
	equals = strchr(copy, '=');
	if (!equals || strlen(equals + 1) >= 62)
		die(EXIT_USAGE, "'%s' has no banner of 1 to 61 characters", spec);
	*equals = '\0';
	snprintf(banner, 64, "%.61s\n", equals + 1);
	endpoint_parse(copy, end);
}

static int listen_on(enum kind kind, const union endpoint *end)
{
	int type = (kind == KIND_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int fd = socket(end->sa.sa_family, type, 0);
	int one = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (kind == KIND_UDP && end->sa.sa_family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	if (kind == KIND_UDP && end->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	if (end->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, &end->sa, endpoint_len(end)) || (kind == KIND_TCP && listen(fd, 512))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* unix:PATH=BANNER; the last folder of the path is made. */
static int listen_unix(const char *spec, char *banner)
{
	struct sockaddr_un end = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char *equals, *slash;

	snprintf(end.sun_path, sizeof(end.sun_path), "%s", spec + 5);
	equals = strchr(end.sun_path, '=');
	slash = strrchr(end.sun_path, '/');
	if (!equals || !slash)
		die(EXIT_USAGE, "'%s': want unix:/FOLDER/FILE=BANNER", spec);
	snprintf(banner, 64, "%.61s\n", equals + 1);
	*equals = '\0';
	*slash = '\0';
	mkdir(end.sun_path, 0755);
	*slash = '/';
	unlink(end.sun_path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&end, sizeof(end)) || listen(fd, 64))
		return -errno;
	return fd;
}

static void add_listener(const char *spec, bool keep_going)
{
	struct source *source = &listeners[listeners_n];
	union endpoint end;

	if (listeners_n == LISTENERS_MAX)
		die(EXIT_USAGE, "more than %d listeners", LISTENERS_MAX);
	if (!strncmp(spec, "unix:", 5)) {
		source->kind = KIND_TCP;
		source->fd = listen_unix(spec, source->banner);
	} else {
		parse_spec(spec, &source->kind, &end, source->banner);
		source->fd = listen_on(source->kind, &end);
	}
	if (source->fd < 0) {
		errno = -source->fd;
		if (!keep_going)
			die(EXIT_BROKEN, "%s: %m", spec);
		fprintf(stderr, "serve: %s: %m\n", spec);
		return;
	}
	listeners_n++;
	watch(source);
}

static void accept_one(const struct source *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (fd >= CONNECTIONS_MAX) {
		close(fd);
		return;
	}
	connections[fd] = (struct source){ .kind = KIND_CONNECTION, .fd = fd };
	watch(&connections[fd]);
	(void)!send(fd, listener->banner, strlen(listener->banner), MSG_NOSIGNAL);
}

/*
 * A question of the domain name system becomes its answer, a text record with the banner: the new size,
 * or 0 where it is none.
 */
static size_t answer_question(unsigned char *packet, size_t size, size_t room, const char *banner)
{
	/* the name of the question, TXT, IN, 0 seconds */
	static const unsigned char record[10] = { 0xc0, 12, 0, 16, 0, 1 };
	size_t n = strcspn(banner, "\n"), at = 12;

	if (size < 17 || packet[2] & 0x80 || packet[4] || packet[5] != 1)
		return 0;
	while (at < size && packet[at])
		at += packet[at] + 1u;
	at += 5;
	if (at > size || at + sizeof(record) + 3 + n > room)
		return 0;
	packet[2] |= 0x84; /* an answer, with authority */
	packet[3] = 0x80;
	packet[7] = 1;
	memset(packet + 8, 0, 4);
	memcpy(packet + at, record, sizeof(record));
	at += sizeof(record);
	packet[at] = 0;
	packet[at + 1] = (unsigned char)(n + 1);
	packet[at + 2] = (unsigned char)n;
	memcpy(packet + at + 3, banner, n);
	return at + 3 + n;
}

/* Answers from the address that was asked: a host has many, and a client knows only that one. */
static void answer_datagram(const struct source *listener)
{
	char buffer[2048], control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	union endpoint from;
	struct iovec vector = { buffer, sizeof(buffer) };
	struct msghdr message = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	ssize_t size = recvmsg(listener->fd, &message, 0);

	if (size < 0)
		return;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == IPPROTO_IP)
		((struct in_pktinfo *)CMSG_DATA(header))->ipi_ifindex = 0;
	vector.iov_len = answer_question((unsigned char *)buffer, (size_t)size, sizeof(buffer),
					 listener->banner);
	if (!vector.iov_len)
		vector = (struct iovec){ (void *)listener->banner, strlen(listener->banner) };
	sendmsg(listener->fd, &message, MSG_NOSIGNAL);
}

/* All of it, but a peer that does not read is not waited for longer than a second. */
static bool send_all(int fd, const char *data, size_t size)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	while (size > 0) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN && poll(&pfd, 1, 1000) > 0)
			continue;
		if (n < 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

static void echo(struct source *connection)
{
	char buffer[4096];
	ssize_t n = recv(connection->fd, buffer, sizeof(buffer), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || !send_all(connection->fd, buffer, (size_t)n))
		close(connection->fd);
}

static void handle(struct source *source)
{
	switch (source->kind) {
	case KIND_TCP:
		accept_one(source);
		break;
	case KIND_UDP:
		answer_datagram(source);
		break;
	case KIND_CONNECTION:
		echo(source);
		break;
	}
}

/* The parent leaves when the listeners stand, so that a caller need not poll. */
static void go_background(const char *pid_file)
{
	pid_t pid = fork();
	int null;

	if (pid < 0)
		die(EXIT_BROKEN, "fork: %m");
	if (pid > 0) {
		FILE *file = pid_file ? fopen(pid_file, "we") : NULL;

		if (pid_file && !file)
			die(EXIT_BROKEN, "%s: %m", pid_file);
		if (file) {
			fprintf(file, "%d\n", pid);
			fclose(file);
		}
		exit(0);
	}
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
}

int main(int argc, char **argv)
{
	const char *pid_file = NULL;
	bool background = false, keep_going = false;
	int opt;

	while ((opt = getopt(argc, argv, "bkp:")) != -1) {
		if (opt == 'b')
			background = true;
		else if (opt == 'k')
			keep_going = true;
		else if (opt == 'p')
			pid_file = optarg;
		else
			die(EXIT_USAGE, "usage: serve [-b [-p PIDFILE]] [-k] tcp:ADDR:PORT=BANNER "
					"udp:… unix:PATH=BANNER …");
	}
	if (getpid() == 1)
		signal(SIGTERM, exit); /* as a container's first process it has no default action */
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die(EXIT_BROKEN, "epoll: %m");
	for (; optind < argc; optind++)
		add_listener(argv[optind], keep_going);
	if (background)
		go_background(pid_file);

	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll_fd, events, 64, -1);

		for (int i = 0; i < n; i++)
			handle(events[i].data.ptr);
	}
}
