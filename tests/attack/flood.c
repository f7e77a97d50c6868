/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flood: datagrams with sequence numbers as fast as one CPU sends them, or at --rate a second.
 * Prints "sent=N refused=M": what the kernel took and what a local firewall answered with EPERM.
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

static uint64_t numbers[BATCH][4]; /* 32 bytes: the first 8 are the sequence number */
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

/* Sends @n datagrams from @seq on. Returns how many the local firewall refused. */
static unsigned int send_batch(int fd, uint64_t seq, unsigned int n)
{
	unsigned int done = 0, refused = 0;

	for (unsigned int i = 0; i < n; i++)
		numbers[i][0] = htobe64(seq + i);
	while (done < n) {
		int r = sendmmsg(fd, messages + done, n - done, 0);

		if (r > 0) {
			done += (unsigned int)r;
			continue;
		}
		/* One datagram failed (EPERM) or reported an earlier one's ICMP error: go on. */
		refused++;
		done++;
	}
	return refused;
}

static void prepare(union endpoint *to)
{
	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){ numbers[i], sizeof(numbers[i]) };
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = to,
			.msg_namelen = endpoint_len(to),
			.msg_iov = &vectors[i],
			.msg_iovlen = 1,
		};
	}
}

static void pace(int64_t start, uint64_t sent, long rate)
{
	int64_t due = start + (int64_t)(sent * 1000 / (uint64_t)rate);

	while (!over && now_ms() < due)
		usleep(500);
}

int main(int argc, char **argv)
{
	long seconds = 1, rate = 0;
	uint64_t sent = 0, refused = 0;
	union endpoint to;
	int64_t start, end;
	int opt, fd;

	while ((opt = getopt(argc, argv, "s:r:")) != -1) {
		if (opt == 's')
			seconds = parse_number(optarg, 1, 3600);
		else if (opt == 'r')
			rate = parse_number(optarg, 1, 10000000);
		else
			return EXIT_USAGE;
	}
	if (optind + 1 != argc)
		die(EXIT_USAGE, "usage: flood [-s SECONDS] [-r DATAGRAMS-PER-SECOND] ADDR:PORT");
	endpoint_parse(argv[optind], &to);
	fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die(EXIT_BROKEN, "socket: %m");
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	prepare(&to);
	start = now_ms();
	for (end = start + seconds * 1000; !over && now_ms() < end;) {
		unsigned int n = rate && rate < 10000 ? 1 : BATCH;

		refused += send_batch(fd, sent, n);
		sent += n;
		if (rate)
			pace(start, sent, rate);
	}
	printf("sent=%llu refused=%llu ms=%lld\n", (unsigned long long)(sent - refused),
	       (unsigned long long)refused, (long long)(now_ms() - start));
	return 0;
}
