/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sink: counts the datagrams that came through, for as long as it lives. At SIGTERM (or after -s
 * seconds) it prints "received=N missing=M": missing are the gaps between the lowest and highest
 * sequence number seen, so flood's first and last datagrams are not asked for.
 */
#include <endian.h>
#include <signal.h>
#include <sys/time.h>

#include "../host/tools/tool.h"

#define BATCH 64

static volatile sig_atomic_t over;

static void on_signal(int signo)
{
	(void)signo;
	over = 1;
}

struct tally {
	uint64_t received, low, high;
};

static uint8_t buffers[BATCH][64];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static void count(struct tally *tally, int n)
{
	for (int i = 0; i < n; i++) {
		uint64_t seq;

		memcpy(&seq, buffers[i], sizeof(seq));
		seq = be64toh(seq);
		if (!tally->received || seq < tally->low)
			tally->low = seq;
		if (!tally->received || seq > tally->high)
			tally->high = seq;
		tally->received++;
	}
}

static int open_sink(const union endpoint *end)
{
	int fd = socket(end->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int big = 64 << 20, one = 1;
	struct timeval wait = { .tv_usec = 50000 };

	if (fd < 0)
		die(EXIT_BROKEN, "socket: %m");
	/* Lost for want of a buffer must not look like lost to a firewall. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (end->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, &end->sa, endpoint_len(end)))
		die(EXIT_BROKEN, "bind: %m");
	return fd;
}

int main(int argc, char **argv)
{
	struct tally tally = { 0 };
	union endpoint end;
	int64_t until = INT64_MAX;
	int opt, fd, n;

	while ((opt = getopt(argc, argv, "s:")) != -1) {
		if (opt != 's')
			return EXIT_USAGE;
		until = now_ms() + parse_number(optarg, 1, 36000) * 1000;
	}
	if (optind + 1 != argc)
		die(EXIT_USAGE, "usage: sink [-s SECONDS] ADDR:PORT");
	endpoint_parse(argv[optind], &end);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	fd = open_sink(&end);
	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){ buffers[i], sizeof(buffers[i]) };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &vectors[i], .msg_iovlen = 1 };
	}
	puts("ready");
	fflush(stdout);
	while (!over && now_ms() < until) {
		n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		count(&tally, n > 0 ? n : 0);
	}
	printf("received=%llu missing=%llu\n", (unsigned long long)tally.received,
	       tally.received ? (unsigned long long)(tally.high - tally.low + 1 - tally.received)
			      : 0);
	return 0;
}
