/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fixture's static tools share: endpoints as text, time, and leaving with a sentence.
 * Header only, so that each tool is one file and one gcc call.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define EXIT_BROKEN 3 /* the tool could not do its work: never to be read as "blocked" */

union endpoint {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

__attribute__((format(printf, 2, 3), noreturn)) static inline void die(int code, const char *format,
								       ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(code);
}

static inline int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/*
 * What became of a connect() that did not block: 0, the error that ended it, or EINPROGRESS. An ICMP
 * error lies in the error queue, and poll() says so, a moment before SO_ERROR has it: no error
 * is not yet a connection.
 */
static inline int connect_error(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(int), peer_len = sizeof(peer);
	int err = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) || err)
		return err ? err : errno;
	return getpeername(fd, (struct sockaddr *)&peer, &peer_len) ? EINPROGRESS : 0;
}

/* As test tables have it. */
static inline const char *errno_word(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return "refused";
	case ECONNRESET:
	case EPIPE:
		return "reset";
	case ETIMEDOUT:
		return "timeout";
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EACCES:
	case EPERM:
	case EPROTO:
	case ENOPROTOOPT:
		return "unreach";
	default:
		return strerrorname_np(err);
	}
}

static inline uint16_t icmp_checksum(const void *data, size_t size)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		memcpy(&word, (const char *)data + i, sizeof(word));
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Where datagrams for somebody else come to. */
static inline int bind_datagram(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die(EXIT_BROKEN, "socket: %m");
	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path) >=
	    (int)sizeof(addr.sun_path))
		die(EXIT_USAGE, "%s: longer than a socket's path may be", path);
	unlink(path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(EXIT_BROKEN, "%s: %m", path);
	return fd;
}

static inline long parse_number(const char *text, long low, long high)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 0);
	if (errno || end == text || *end || value < low || value > high)
		die(EXIT_USAGE, "'%s' is not a number from %ld to %ld", text, low, high);
	return value;
}

static inline socklen_t endpoint_len(const union endpoint *end)
{
	return end->sa.sa_family == AF_INET ? sizeof(end->in) : sizeof(end->in6);
}

static inline void endpoint_set_port(union endpoint *end, uint16_t port)
{
	if (end->sa.sa_family == AF_INET)
		end->in.sin_port = htons(port);
	else
		end->in6.sin6_port = htons(port);
}

static inline uint16_t endpoint_port(const union endpoint *end)
{
	return ntohs(end->sa.sa_family == AF_INET ? end->in.sin_port : end->in6.sin6_port);
}

/* An IPv4 or IPv6 address, the latter with or without brackets, and with %INTERFACE. */
static inline void endpoint_parse_addr(const char *text, union endpoint *end)
{
	char addr[INET6_ADDRSTRLEN + IF_NAMESIZE + 2];
	size_t n = strlen(text);
	char *scope;

	memset(end, 0, sizeof(*end));
	if (*text == '[' && n > 2 && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= sizeof(addr))
		die(EXIT_USAGE, "'%s' is not an address", text);
	memcpy(addr, text, n);
	addr[n] = '\0';
	scope = strchr(addr, '%');
	if (scope) {
		*scope = '\0';
		end->in6.sin6_scope_id = if_nametoindex(scope + 1);
	}
	if (inet_pton(AF_INET, addr, &end->in.sin_addr) == 1)
		end->sa.sa_family = AF_INET;
	else if (inet_pton(AF_INET6, addr, &end->in6.sin6_addr) == 1)
		end->sa.sa_family = AF_INET6;
	else
		die(EXIT_USAGE, "'%s' is not an address", addr);
}

/* ADDR:PORT or [ADDR6]:PORT */
static inline void endpoint_parse(const char *text, union endpoint *end)
{
	char copy[128];
	char *colon;

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		die(EXIT_USAGE, "'%s' is too long", text);
	colon = strrchr(copy, ':');
	if (!colon)
		die(EXIT_USAGE, "'%s' is not ADDR:PORT", text);
	*colon = '\0';
	endpoint_parse_addr(copy, end);
	endpoint_set_port(end, (uint16_t)parse_number(colon + 1, 0, 65535));
}
