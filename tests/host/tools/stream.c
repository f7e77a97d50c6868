/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stream: one TCP connection on which one end sends numbered messages and the other writes down when
 * each came, so that a test can count what still arrived after a moment and see whether any is missing.
 *
 *   stream listen|dial send|receive [--every MS] [--beat MS] ADDR:PORT
 *
 * The log (standard output): "MS up", "MS NUMBER" for each message received, "MS end WHY"; MS is
 * CLOCK_MONOTONIC. A receiver with --beat says a byte now and then: who only listens can repair nothing.
 * "stream now" prints what that clock says, "stream mark SOCKET" tells it to notifyd.
 */
#include <getopt.h>
#include <poll.h>
#include <sys/un.h>

#include "tool.h"

#define MESSAGE_SIZE 16

struct options {
	union endpoint end;
	bool listens, sends;
	int every_ms, beat_ms;
};

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	va_list args;

	printf("%lld ", (long long)now_ms());
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void listen_on(const struct options *options, int *ret_fd)
{
	int fd = socket(options->end.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		die(EXIT_BROKEN, "socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (options->end.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, &options->end.sa, endpoint_len(&options->end)) || listen(fd, 8))
		die(EXIT_BROKEN, "bind: %m");
	note("listens");
	*ret_fd = fd;
}

static int dial(const struct options *options)
{
	int fd = socket(options->end.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die(EXIT_BROKEN, "socket: %m");
	if (connect(fd, &options->end.sa, endpoint_len(&options->end))) {
		note("end %s", strerror(errno));
		exit(1);
	}
	return fd;
}

/* Whole messages in @buffer are written down; returns how much of one is left at its start. */
static size_t take_messages(char *buffer, size_t n, unsigned long *expected)
{
	size_t at = 0;

	for (; n - at >= MESSAGE_SIZE; at += MESSAGE_SIZE) {
		unsigned long number = strtoul(buffer + at, NULL, 10);

		if (number != *expected)
			note("end message %lu instead of %lu", number, *expected);
		*expected = number + 1;
		note("%lu", number);
	}
	memmove(buffer, buffer + at, n - at);
	return n - at;
}

/* Returns false when the connection is over. */
static bool read_some(const struct options *options, int fd)
{
	static unsigned long expected;
	static char buffer[65536];
	static size_t held;
	ssize_t n = recv(fd, buffer + held, sizeof(buffer) - held, MSG_DONTWAIT);

	if (n > 0 && options->sends)
		return true; /* a beat */
	if (n > 0) {
		held = take_messages(buffer, held + (size_t)n, &expected);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	note("end %s", n == 0 ? "closed" : strerror(errno));
	return false;
}

static bool send_one(int fd, unsigned long *number)
{
	char message[MESSAGE_SIZE + 1];
	ssize_t n;

	snprintf(message, sizeof(message), "%15lu\n", *number);
	n = send(fd, message, MESSAGE_SIZE, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == MESSAGE_SIZE)
		++*number;
	else if (n >= 0)
		die(EXIT_BROKEN, "half a message was sent");
	else if (errno != EAGAIN) {
		note("end %s", strerror(errno));
		return false;
	}
	return true;
}

static void talk(const struct options *options, int fd)
{
	int period = options->sends ? options->every_ms : options->beat_ms;
	int64_t due = now_ms();
	unsigned long number = 0;

	note("up");
	for (;;) {
		int64_t left = due - now_ms();
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		if (period > 0 && left <= 0) {
			if (options->sends && !send_one(fd, &number))
				return;
			if (!options->sends)
				(void)!send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
			due = now_ms() + period;
			continue;
		}
		if (poll(&pfd, 1, period > 0 ? (int)left : -1) > 0 && !read_some(options, fd))
			return;
	}
}

/* Ties notifyd's clock to this one, to a fraction of a millisecond. */
static int mark(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[32];

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	snprintf(text, sizeof(text), "MARK=%lld", (long long)now_ms());
	if (fd < 0 || sendto(fd, text, strlen(text), 0, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die(EXIT_BROKEN, "%s: %m", path);
	return 0;
}

static void parse_arguments(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "every", required_argument, NULL, 'n' },
		{ "beat", required_argument, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*options = (struct options){ .every_ms = 10 };
	while ((opt = getopt_long(argc, argv, "n:b:", longs, NULL)) != -1) {
		if (opt == 'n')
			options->every_ms = (int)parse_number(optarg, 1, 60000);
		else if (opt == 'b')
			options->beat_ms = (int)parse_number(optarg, 1, 60000);
		else
			exit(EXIT_USAGE);
	}
	if (argc - optind != 3)
		die(EXIT_USAGE, "usage: stream [--every MS] [--beat MS] listen|dial send|receive "
				"ADDR:PORT");
	options->listens = !strcmp(argv[optind], "listen");
	options->sends = !strcmp(argv[optind + 1], "send");
	endpoint_parse(argv[optind + 2], &options->end);
}

int main(int argc, char **argv)
{
	struct options options;
	int listener;

	if (argc == 2 && !strcmp(argv[1], "now")) {
		printf("%lld\n", (long long)now_ms());
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "mark"))
		return mark(argv[2]);
	parse_arguments(argc, argv, &options);
	if (!options.listens) {
		talk(&options, dial(&options));
		return 0;
	}
	listen_on(&options, &listener);
	talk(&options, accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	return 0;
}
