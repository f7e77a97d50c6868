/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dial: judges one flow and says what happened to it in one word, so that a test can tell a refusal
 * from a silence, and a server from another that answers in its place.
 *
 *   word            exit  meaning
 *   open:<banner>      0  reached; the banner names who answered ("icmp" for a ping)
 *   refused           10  RST to the SYN, or an ICMP port unreachable
 *   timeout           11  no answer at all
 *   unreach           12  ICMP unreachable or prohibited, no route, or refused locally (EPERM)
 *   reset             13  a connection that stood was reset
 *   open:<other>      14  reached, but not whom --expect names
 *   closed            15  accepted, then closed without a banner (docker-proxy with a dead backend)
 *   mute              16  accepted, and no banner before the deadline
 *   toobig            17  an ICMP error said that the packet is too big for the way (--size)
 *   exceeded          18  an ICMP error said that its hops were used up (--ttl)
 *   cut               19  --bulk: reached, but not all that was sent came back
 *
 * HOST_PATIENCE in the environment is by how much deadlines are longer, on a machine that is slow.
 */
#include <getopt.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <sys/un.h>

#define BULK_WINDOW 65536

#include "tool.h"

#include <linux/errqueue.h> /* wants struct timespec */

enum answer {
	OPEN = 0,
	REFUSED = 10,
	TIMEOUT = 11,
	UNREACH = 12,
	RESET = 13,
	OTHER = 14,
	CLOSED = 15,
	MUTE = 16,
	TOOBIG = 17,
	EXCEEDED = 18,
	CUT = 19,
};

struct options {
	union endpoint to;
	union endpoint from; /* sa_family 0: not given */
	const char *expect;
	const char *unix_path;
	int timeout_ms;
	int every_ms;
	int ttl;     /* 0: as the system has it */
	size_t size; /* of a datagram; 0: a word */
	size_t bulk; /* bytes that a connection has to bring back */
	bool udp, dns, ping, hold;
};

static volatile sig_atomic_t told_to_stop;

static void on_signal(int signo)
{
	(void)signo;
	told_to_stop = 1;
}

static const char *answer_word(enum answer answer)
{
	switch (answer) {
	case OPEN:
	case OTHER:
		return "open";
	case REFUSED:
		return "refused";
	case TIMEOUT:
		return "timeout";
	case UNREACH:
		return "unreach";
	case RESET:
		return "reset";
	case CLOSED:
		return "closed";
	case MUTE:
		return "mute";
	case TOOBIG:
		return "toobig";
	case EXCEEDED:
		return "exceeded";
	case CUT:
		return "cut";
	}
	return "?";
}

static enum answer say(enum answer answer)
{
	puts(answer_word(answer));
	fflush(stdout);
	return answer;
}

static enum answer say_open(const struct options *options, char *banner)
{
	banner[strcspn(banner, "\r\n")] = '\0';
	printf("open:%s\n", banner);
	fflush(stdout);
	return options->expect && strcmp(options->expect, banner) ? OTHER : OPEN;
}

static enum answer judge_errno(int err)
{
	switch (err) {
	case ECONNREFUSED:
	case ENOENT:
		return REFUSED;
	case EMSGSIZE:
		return TOOBIG;
	case ETIMEDOUT:
		return TIMEOUT;
	case ECONNRESET:
	case EPIPE:
		return RESET;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EACCES:
	case EPERM:
	case EPROTO:
	case ENOPROTOOPT:
		return UNREACH;
	default:
		die(EXIT_BROKEN, "%s", strerror(err));
	}
}

static int open_socket(const struct options *options, int type, int protocol)
{
	int fd = socket(options->to.sa.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	int one = 1;

	if (fd < 0)
		die(EXIT_BROKEN, "socket: %m");
	/* TCP: so that what waits here for its end keeps no server from its port. Not UDP: two sockets
	 * would be given the same one. */
	if (type == SOCK_STREAM || options->from.sa.sa_family)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (options->from.sa.sa_family && bind(fd, &options->from.sa, endpoint_len(&options->from)))
		die(EXIT_BROKEN, "bind: %m");
	return fd;
}

/* Returns whether @events came before the deadline. */
static bool wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int64_t left;

	while (!told_to_stop && (left = deadline - now_ms()) > 0)
		if (poll(&pfd, 1, (int)left) > 0)
			return true;
	return false;
}

/* Sends a line every so often and wants it back: says when and how the connection died. */
static enum answer hold(const struct options *options, int fd)
{
	char line[32], buffer[4096];
	unsigned int count = 0;

	while (!told_to_stop) {
		int64_t deadline = now_ms() + options->timeout_ms;
		ssize_t n;

		snprintf(line, sizeof(line), "ping %u\n", count);
		if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			return say(judge_errno(errno));
		if (!wait_for(fd, POLLIN, deadline))
			return told_to_stop ? OPEN : say(TIMEOUT);
		n = recv(fd, buffer, sizeof(buffer), 0);
		if (n < 0)
			return say(judge_errno(errno));
		if (n == 0)
			return say(CLOSED);
		count++;
		usleep((useconds_t)options->every_ms * 1000);
	}
	printf("held:%u\n", count);
	return OPEN;
}

/* Wants back all that it sends, with up to a window of it on the way. */
static enum answer bulk(const struct options *options, int fd, char *banner)
{
	static char buffer[BULK_WINDOW];
	size_t sent = 0, back = 0;

	while (back < options->bulk) {
		size_t left = options->bulk - sent, room = BULK_WINDOW - (sent - back);
		short events = POLLIN | (left && room ? POLLOUT : 0);
		ssize_t n;

		if (!wait_for(fd, events, now_ms() + options->timeout_ms))
			return say(CUT);
		if (left && room) {
			n = send(fd, buffer, left < room ? left : room, MSG_NOSIGNAL);
			if (n < 0 && errno != EAGAIN)
				return say(judge_errno(errno));
			sent += n > 0 ? (size_t)n : 0;
		}
		n = recv(fd, buffer, sizeof(buffer), 0);
		if (n < 0 && errno != EAGAIN)
			return say(judge_errno(errno));
		if (n == 0)
			return say(CUT);
		back += n > 0 ? (size_t)n : 0;
	}
	return say_open(options, banner);
}

static enum answer dial_unix(const struct options *options)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char banner[128];
	ssize_t n;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", options->unix_path);
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)))
		return say(judge_errno(errno));
	if (!wait_for(fd, POLLIN, now_ms() + options->timeout_ms))
		return say(MUTE);
	n = recv(fd, banner, sizeof(banner) - 1, 0);
	if (n <= 0)
		return say(CLOSED);
	banner[n] = '\0';
	return say_open(options, banner);
}

static enum answer dial_tcp(const struct options *options)
{
	int64_t deadline = now_ms() + options->timeout_ms;
	int fd = open_socket(options, SOCK_STREAM, 0);
	char banner[128];
	enum answer answer;
	int err;
	ssize_t n;

	if (connect(fd, &options->to.sa, endpoint_len(&options->to)) && errno != EINPROGRESS)
		return say(judge_errno(errno));
	do {
		if (!wait_for(fd, POLLOUT, deadline))
			return say(TIMEOUT);
		err = connect_error(fd);
	} while (err == EINPROGRESS);
	if (err)
		return say(judge_errno(err));
	if (!wait_for(fd, POLLIN, deadline))
		return say(MUTE);
	n = recv(fd, banner, sizeof(banner) - 1, 0);
	if (n < 0)
		return say(judge_errno(errno));
	if (n == 0)
		return say(CLOSED);
	banner[n] = '\0';
	if (options->bulk)
		return bulk(options, fd, banner);
	answer = say_open(options, banner);
	return options->hold && answer == OPEN ? hold(options, fd) : answer;
}

/* A datagram of that size is sent whole, whatever is known of the way; its hops are counted. */
static void shape_datagrams(const struct options *options, int fd)
{
	bool four = options->to.sa.sa_family == AF_INET;
	int probe = four ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE, one = 1;

	if (options->size)
		setsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6,
			   four ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &probe, sizeof(probe));
	if (!options->ttl)
		return;
	setsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_TTL : IPV6_UNICAST_HOPS,
		   &options->ttl, sizeof(options->ttl));
	setsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_RECVERR : IPV6_RECVERR, &one,
		   sizeof(one));
}

/* Is the error that waits for this socket that the hops were used up? */
static bool hops_used_up(int fd)
{
	char data[2048], control[512];
	struct iovec vector = { data, sizeof(data) };
	struct msghdr message = { .msg_iov = &vector,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	const struct sock_extended_err *error;
	const struct cmsghdr *header;

	if (recvmsg(fd, &message, MSG_ERRQUEUE) < 0)
		return false;
	header = CMSG_FIRSTHDR(&message);
	if (!header)
		return false;
	error = (const void *)CMSG_DATA(header);
	return error->ee_origin == SO_EE_ORIGIN_ICMP ? error->ee_type == ICMP_TIME_EXCEEDED
						     : error->ee_type == ICMP6_TIME_EXCEEDED;
}

/*
 * Asks for jobfence.test's text record; the banner is the text of the answer. That is what the answer ends
 * with, behind a byte that tells its length: a resolver between may have written the rest anew.
 */
static enum answer dial_dns(const struct options *options)
{
	static const char question[] = "\x4a\x46\1\0\0\1\0\0\0\0\0\0\x08jobfence\4test\0\0\x10\0\1";
	int fd = open_socket(options, SOCK_DGRAM, 0);
	char answer[512];
	ssize_t n;

	if (connect(fd, &options->to.sa, endpoint_len(&options->to)))
		return say(judge_errno(errno));
	if (send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) < 0)
		return say(judge_errno(errno));
	if (!wait_for(fd, POLLIN, now_ms() + options->timeout_ms))
		return say(TIMEOUT);
	n = recv(fd, answer, sizeof(answer) - 1, 0);
	if (n < 0)
		return say(judge_errno(errno));
	answer[n] = '\0';
	for (ssize_t len = 1; len < n - (ssize_t)sizeof(question); len++)
		if (answer[n - len - 1] == len && !memcmp(answer, question, 2))
			return say_open(options, answer + n - len);
	return say(MUTE);
}

static enum answer dial_udp(const struct options *options)
{
	int64_t deadline = now_ms() + options->timeout_ms;
	int fd = open_socket(options, SOCK_DGRAM, 0);
	char hello[65536] = "hello\n", banner[128];
	ssize_t n;

	shape_datagrams(options, fd);
	if (connect(fd, &options->to.sa, endpoint_len(&options->to)))
		return say(judge_errno(errno));
	if (send(fd, hello, options->size ?: 6, MSG_NOSIGNAL) < 0)
		return say(judge_errno(errno));
	if (!wait_for(fd, POLLIN, deadline))
		return say(TIMEOUT);
	if (options->ttl && hops_used_up(fd))
		return say(EXCEEDED);
	n = recv(fd, banner, sizeof(banner) - 1, 0);
	if (n < 0)
		return say(judge_errno(errno));
	banner[n] = '\0';
	return say_open(options, banner);
}

static int send_echo(const struct options *options, int fd, uint16_t id)
{
	struct icmphdr four = { .type = ICMP_ECHO, .un.echo = { .id = id, .sequence = 1 } };
	struct icmp6_hdr six = { .icmp6_type = ICMP6_ECHO_REQUEST };
	bool is_four = options->to.sa.sa_family == AF_INET;
	const void *data = is_four ? (const void *)&four : (const void *)&six;

	four.checksum = icmp_checksum(&four, sizeof(four));
	six.icmp6_dataun.icmp6_un_data16[0] = id; /* the kernel fills ICMPv6's checksum in */
	return send(fd, data, is_four ? sizeof(four) : sizeof(six), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* 1: our reply; 0: something else; -1: an error for this socket. */
static int read_echo(const struct options *options, int fd, uint16_t id)
{
	unsigned char buffer[2048];
	ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
	size_t at = 0;

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (options->to.sa.sa_family == AF_INET)
		at = (buffer[0] & 15) * 4u;
	if ((size_t)n < at + 8 || memcmp(buffer + at + 4, &id, 2))
		return 0;
	return buffer[at] == (at ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY);
}

static enum answer dial_ping(const struct options *options)
{
	bool four = options->to.sa.sa_family == AF_INET;
	int64_t deadline = now_ms() + options->timeout_ms;
	int fd = open_socket(options, SOCK_RAW, four ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	uint16_t id = (uint16_t)(getpid() ^ now_ms());
	char banner[] = "icmp";
	int one = 1, r;

	setsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_RECVERR : IPV6_RECVERR, &one,
		   sizeof(one));
	if (connect(fd, &options->to.sa, endpoint_len(&options->to)))
		return say(judge_errno(errno));
	r = send_echo(options, fd, id);
	if (r)
		return say(judge_errno(-r));
	while (wait_for(fd, POLLIN, deadline)) {
		r = read_echo(options, fd, id);
		if (r < 0)
			return say(errno == ECONNREFUSED ? UNREACH : judge_errno(errno));
		if (r)
			return say_open(options, banner);
	}
	return say(TIMEOUT);
}

static void parse_arguments(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "udp", no_argument, NULL, 'u' },
		{ "ping", no_argument, NULL, 'i' },
		{ "from", required_argument, NULL, 'f' },
		{ "timeout", required_argument, NULL, 't' },
		{ "hold", no_argument, NULL, 'h' },
		{ "every", required_argument, NULL, 'n' },
		{ "expect", required_argument, NULL, 'e' },
		{ "ttl", required_argument, NULL, 'l' },
		{ "size", required_argument, NULL, 's' },
		{ "bulk", required_argument, NULL, 'b' },
		{ "dns", no_argument, NULL, 'd' },
		{ "unix", required_argument, NULL, 'x' },
		{ NULL, 0, NULL, 0 },
	};
	const char *patience = getenv("HOST_PATIENCE");
	int opt;

	*options = (struct options){ .timeout_ms = 1000, .every_ms = 50 };
	while ((opt = getopt_long(argc, argv, "uif:t:hn:e:l:s:b:dx:", longs, NULL)) != -1) {
		if (opt == 'u')
			options->udp = true;
		else if (opt == 'i')
			options->ping = true;
		else if (opt == 'f')
			endpoint_parse(optarg, &options->from);
		else if (opt == 't')
			options->timeout_ms = (int)parse_number(optarg, 1, 600000);
		else if (opt == 'h')
			options->hold = true;
		else if (opt == 'n')
			options->every_ms = (int)parse_number(optarg, 0, 60000);
		else if (opt == 'e')
			options->expect = optarg;
		else if (opt == 'l')
			options->ttl = (int)parse_number(optarg, 1, 255);
		else if (opt == 's')
			options->size = (size_t)parse_number(optarg, 1, 65000);
		else if (opt == 'b')
			options->bulk = (size_t)parse_number(optarg, 1, 1 << 30);
		else if (opt == 'd')
			options->dns = true;
		else if (opt == 'x')
			options->unix_path = optarg;
		else
			exit(EXIT_USAGE);
	}
	if (patience)
		options->timeout_ms *= (int)parse_number(patience, 1, 100);
	if (options->unix_path)
		return;
	if (optind + (options->ping ? 1 : 2) != argc)
		die(EXIT_USAGE, "usage: dial [--udp|--dns] [--from ADDR:PORT] [--timeout MS] "
				"[--expect "
				"BANNER]"
				" [--hold [--every MS]] [--ttl HOPS] [--size BYTES] [--bulk BYTES]"
				" ADDR PORT | dial --ping ADDR | dial --unix PATH");
	endpoint_parse_addr(argv[optind], &options->to);
	if (!options->ping)
		endpoint_set_port(&options->to, (uint16_t)parse_number(argv[optind + 1], 1, 65535));
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct options options;

	parse_arguments(argc, argv, &options);
	if (options.hold) {
		sigaction(SIGTERM, &action, NULL);
		sigaction(SIGINT, &action, NULL);
	}
	if (options.unix_path)
		return dial_unix(&options);
	if (options.ping)
		return dial_ping(&options);
	if (options.dns)
		return dial_dns(&options);
	return options.udp ? dial_udp(&options) : dial_tcp(&options);
}
