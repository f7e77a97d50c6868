/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * traffic: the packets of the benchmark, static so that it runs in any namespace.
 *
 *   traffic serve ADDR:PORT           echoes TCP, takes UDP and never looks; in the background
 *   traffic connections S ADDR:PORT   connect, one byte there and back, close: ns per connection
 *   traffic trips S ADDR:PORT         one byte there and back on one connection: ns per trip
 *   traffic stream S ADDR:PORT        64 KiB writes that are echoed: ns per KiB
 *   traffic packets S ADDR:PORT       UDP datagrams sent, whatever becomes of them: ns per packet
 *   traffic syns S ADDR:PORT          connection attempts that are refused: ns per attempt
 *   traffic first ADDR:PORT           tries until it is served, for two seconds at most: us from the
 *                                     first attempt; exit code 0 if that one was served
 *
 * Prints one number: the median of slices of 5 ms, so that a slice in which the machine did something
 * else does not count. Both ends are pinned to one processor: a packet between namespaces runs in the
 * context of who sent it, and so the number is all the work of both ends and all between, without
 * the scheduler's choice of where to run them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLICE_NS 5000000
#define SLICES_MAX 4000

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* 10.0.0.1:80 or [fd00::1]:80 */
static socklen_t parse(char *text, union address *ret_address)
{
	char *colon = strrchr(text, ':');
	union address address = { 0 };

	if (!colon)
		exit(64);
	*colon = '\0';
	if (*text == '[') {
		text[strlen(text) - 1] = '\0';
		address.in6.sin6_family = AF_INET6;
		address.in6.sin6_port = htons((uint16_t)atoi(colon + 1));
		if (inet_pton(AF_INET6, text + 1, &address.in6.sin6_addr) != 1)
			exit(64);
	} else {
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons((uint16_t)atoi(colon + 1));
		if (inet_pton(AF_INET, text, &address.in.sin_addr) != 1)
			exit(64);
	}
	*ret_address = address;
	return address.sa.sa_family == AF_INET ? sizeof(address.in) : sizeof(address.in6);
}

static void echo(int fd)
{
	static char buffer[1 << 17];
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

	if (n <= 0) {
		close(fd);
		return;
	}
	for (ssize_t sent = 0; sent < n;) {
		ssize_t m = send(fd, buffer + sent, (size_t)(n - sent), MSG_NOSIGNAL);

		if (m < 0) {
			close(fd);
			return;
		}
		sent += m;
	}
}

static void serve(const union address *address, socklen_t len)
{
	int listener = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };
	int sink = socket(address->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (bind(sink, &address->sa, len) < 0)
		fail("bind");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, &address->sa, len) < 0 || listen(listener, 1024) < 0)
		fail("listen");
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
	if (daemon(0, 0) < 0)
		fail("daemon");
	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd != listener) {
				echo(fd);
				continue;
			}
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			event = (struct epoll_event){ .events = EPOLLIN, .data.fd = fd };
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			if (fd >= 0)
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
		}
	}
}

static int dial(const union address *address, socklen_t len)
{
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct timeval timeout = { .tv_sec = 5 };

	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, &address->sa, len) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Closed by a reset: no port waits in TIME_WAIT, a minute of connections fits. */
static void hang_up(int fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void trip(int fd)
{
	char byte = 'x';

	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
		fail("trip");
}

static void one_connection(const union address *address, socklen_t len)
{
	int fd = dial(address, len);

	if (fd < 0)
		fail("connect");
	trip(fd);
	hang_up(fd);
}

static void one_syn(const union address *address, socklen_t len)
{
	int fd = dial(address, len);

	if (fd < 0)
		return;
	fprintf(stderr, "traffic: was not refused\n");
	exit(EXIT_FAILURE);
}

static void one_block(int fd)
{
	static char block[1 << 16];

	for (size_t sent = 0; sent < sizeof(block);) {
		ssize_t n = send(fd, block, sizeof(block) - sent, MSG_NOSIGNAL);

		if (n <= 0)
			fail("send");
		sent += (size_t)n;
	}
	for (size_t got = 0; got < sizeof(block);) {
		ssize_t n = recv(fd, block, sizeof(block) - got, 0);

		if (n <= 0)
			fail("recv");
		got += (size_t)n;
	}
}

static double slices[SLICES_MAX];

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void repeat(const char *what, double seconds, const union address *address, socklen_t len)
{
	bool packets = !strcmp(what, "packets"), trips = !strcmp(what, "trips");
	bool stream = !strcmp(what, "stream"), syns = !strcmp(what, "syns");
	int fd = packets           ? socket(address->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0)
		 : trips || stream ? dial(address, len)
				   : -1;
	int64_t begun = now_ns(), end = begun + (int64_t)(seconds * 1e9), now;
	size_t n = 0, slices_n = 0;

	if (fd < 0 && (packets || trips || stream))
		fail("connect");
	do {
		for (int i = 0; i < 8; i++, n++) {
			if (packets)
				(void)sendto(fd, "x", 1, 0, &address->sa, len);
			else if (trips)
				trip(fd);
			else if (stream)
				one_block(fd);
			else if (syns)
				one_syn(address, len);
			else
				one_connection(address, len);
		}
		now = now_ns();
		if (now - begun < SLICE_NS)
			continue;
		slices[slices_n++] = (double)(now - begun) / (double)n / (stream ? 64 : 1);
		n = 0;
		begun = now;
	} while (now < end && slices_n < SLICES_MAX);
	if (slices_n == 0)
		fail("too short");
	qsort(slices, slices_n, sizeof(*slices), by_value);
	printf("%.1f\n", slices[slices_n / 2]);
}

static int first(const union address *address, socklen_t len)
{
	int64_t begun = now_ns(), now = begun;
	int attempts = 0, fd = -1;

	while (fd < 0 && now - begun < 2000000000) {
		fd = dial(address, len);
		now = now_ns();
		attempts++;
	}
	printf("%.1f\n", fd < 0 ? 2e6 : attempts == 1 ? 0 : (double)(now - begun) / 1e3);
	return attempts > 1;
}

static void pin(void)
{
	long last = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(last, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

int main(int argc, char **argv)
{
	union address address;
	socklen_t len;

	if (argc < 3)
		return 64;
	signal(SIGPIPE, SIG_IGN);
	pin();
	len = parse(argv[argc - 1], &address);
	if (!strcmp(argv[1], "serve"))
		serve(&address, len);
	else if (!strcmp(argv[1], "first"))
		return first(&address, len);
	else if (argc == 4)
		repeat(argv[1], atof(argv[2]), &address, len);
	return 0;
}
