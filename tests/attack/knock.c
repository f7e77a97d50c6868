/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * knock: connects to one address without pause for so many seconds, and says how often it got through
 * and for how long at a time: from the last attempt before that failed to the first after it.
 *
 *   knock SECONDS IPV4 PORT   →   attempts=N open=N windows=N median_us=N p99_us=N longest_us=N
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WINDOWS_MAX 100000
#define ANSWER_MS 20

static uint64_t windows[WINDOWS_MAX];
static size_t windows_n;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static bool opens(const struct sockaddr_in *to)
{
	const struct linger at_once = { .l_onoff = 1 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
	socklen_t len = sizeof(error);
	bool open;

	if (fd < 0)
		return false;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	open = connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0;
	if (!open && errno == EINPROGRESS) {
		struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

		open = poll(&pollfd, 1, ANSWER_MS) == 1 &&
		       getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
	}
	close(fd);
	return open;
}

static int by_length(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, two = *(const uint64_t *)b;

	return (one > two) - (one < two);
}

static uint64_t at(double part)
{
	return windows_n ? windows[(size_t)(part * (double)(windows_n - 1) + 0.5)] : 0;
}

int main(int argc, char *argv[])
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	unsigned long attempts = 0, through = 0;
	uint64_t end, shut;
	bool was_open = false;

	if (argc != 4 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: knock SECONDS IPV4 PORT\n");
		return 64;
	}
	to.sin_port = htons((uint16_t)atoi(argv[3]));
	shut = now_us();
	end = shut + strtoull(argv[1], NULL, 10) * 1000000;
	for (uint64_t begun = shut; begun < end; begun = now_us(), attempts++) {
		bool open = opens(&to);

		through += open;
		if (!open && was_open && windows_n < WINDOWS_MAX)
			windows[windows_n++] = now_us() - shut;
		if (!open)
			shut = begun;
		was_open = open;
	}
	if (was_open && windows_n < WINDOWS_MAX)
		windows[windows_n++] = now_us() - shut;
	qsort(windows, windows_n, sizeof(*windows), by_length);
	printf("attempts=%lu open=%lu windows=%zu median_us=%llu p99_us=%llu longest_us=%llu\n",
	       attempts, through, windows_n, (unsigned long long)at(0.5),
	       (unsigned long long)at(0.99), (unsigned long long)at(1));
	return 0;
}
