/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hammer: tries a list of flows over and over, all of them beside each other, for as long as it lives, and
 * counts what came of it: the probe of tests that break things meanwhile.
 *
 *   hammer [--every MS] [--shut-ms MS] [--open-ms MS] [--ports LOW] [--into PREFIX] FLOW…
 *          [-- PROGRAM [ARGUMENT…]]
 *
 * FLOW is ID=KIND,WANT,ADDR[,PORT[,BANNER]]: KIND tcp, udp, icmp, or hold (one connection to an echoing
 * server, numbered messages both ways, made anew when it is cut); WANT open or shut.
 *
 * Standard output has a line for what is not as wanted, and for what came of it late:
 *   MS STARTED-MS ID leak|fail|cut|late WORD          (MS is CLOCK_MONOTONIC)
 * WORD of what failed ends in ",port=N,had=MS,since=MS" where its port is known: when the flow had it last, and
 * how long all fails from there.
 * Descriptor 3, where it is a file, holds the figures so far, a line each, written twice a second:
 *   ID WANT KIND ATTEMPTS OPEN NOT-OPEN LATE
 * --ports: its own ports are LOW and the PORTS_MAX behind it. What shares a network, or an address that its
 * network is masqueraded behind, and uses the same pair of ports one after the other shares an entry of
 * conntrack, and so its mark; and where conntrack was flushed, the server's connection.
 * --into writes both to files of its own instead, PREFIX.MS.log and PREFIX.MS.count. With a PROGRAM it
 * becomes that, and the hammer is its child: a container's first process that probes before it serves.
 *
 * A shut flow that is answered at all is a leak, whoever answers. A dead hammer loses half a second of
 * its figures and no leak.
 */
#include <fcntl.h>
#include <getopt.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "tool.h"

#ifndef ICMP_FILTER
#define ICMP_FILTER 1
#endif
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* Linux 6.3; before, ports are the namespace's */
#endif

#define FLOWS_MAX 256
#define ATTEMPTS_MAX 1024
#define LINE_SIZE 160
#define EVENTS_MAX 1024
#define COUNTS_FD 3
#define TICK_MS 10
#define PORTS_MAX 1700
#define STALL_MS 5000
#define AGAIN_MS 500 /* a connection that was cut is made anew */
#define LATE_MS 900  /* a SYN is sent again after a second */
#define MESSAGE_SIZE 16

enum kind { TCP, UDP, ICMP, HOLD };

struct flow {
	const char *id;
	const char *banner; /* NULL: any */
	union endpoint to;
	enum kind kind;
	bool want_open;
	uint64_t attempts, opens, late;
	int64_t due;
	int raw_fd; /* ICMP only */
	uint16_t echo_id, echo_seq;
};

/* One try. ICMP's has no descriptor of its own. */
struct attempt {
	struct flow *flow;
	int fd;
	bool connected;
	int64_t started, deadline;
	/* HOLD: messages sent and come back, what is left of one, and when all was back last */
	unsigned long sent, back;
	char part[MESSAGE_SIZE];
	size_t part_n;
	int64_t send_due;
};

struct options {
	int every_ms, shut_ms, open_ms;
	uint16_t low_port; /* 0: any */
	const char *into;
};

static const char *const kind_names[] = { "tcp", "udp", "icmp", "hold" };

static struct options options = { .every_ms = 100, .shut_ms = 250, .open_ms = 4000 };
static struct flow flows[FLOWS_MAX];
static int flows_n;
static struct attempt attempts[ATTEMPTS_MAX];
static int free_attempts[ATTEMPTS_MAX];
static int free_n;
static int epoll_fd, counts_fd = COUNTS_FD;
static volatile sig_atomic_t over;

static void on_signal(int signo)
{
	(void)signo;
	over = 1;
}

/* --- what came of it --------------------------------------------------------------------------- */

static void event(const struct attempt *attempt, const char *what, const char *word)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%lld %lld %s %s %s\n", (long long)now_ms(),
			 (long long)attempt->started, attempt->flow->id, what, word);

	(void)!write(STDOUT_FILENO, line, (size_t)n);
}

static void write_counts(void)
{
	static char text[FLOWS_MAX * LINE_SIZE];
	size_t at = 0;

	for (const struct flow *flow = flows; flow < flows + flows_n; flow++)
		at += (size_t)snprintf(text + at, LINE_SIZE, "%s %s %s %llu %llu %llu %llu\n",
				       flow->id, flow->want_open ? "open" : "shut",
				       kind_names[flow->kind], (unsigned long long)flow->attempts,
				       (unsigned long long)flow->opens,
				       (unsigned long long)(flow->attempts - flow->opens),
				       (unsigned long long)flow->late);
	(void)!pwrite(counts_fd, text, at, 0); /* figures only grow, and so does the text */
}

/* --- the ports that fail ----------------------------------------------------------------------- */

/* Since when each flow fails on each of the ports, in milliseconds since the start and one; 0: it does not. */
static uint32_t failing[FLOWS_MAX][PORTS_MAX];
static int64_t failing_since;
static uint32_t had[FLOWS_MAX][PORTS_MAX]; /* when it had the port last, likewise */

/* NULL where it is not known which port it has. */
static uint32_t *failing_on(const struct attempt *attempt, uint16_t *ret_port)
{
	union endpoint own = { 0 };
	socklen_t len = sizeof(own);

	if (!options.low_port || attempt->flow->kind == ICMP || attempt->fd < 0 ||
	    getsockname(attempt->fd, &own.sa, &len))
		return NULL;
	*ret_port = endpoint_port(&own);
	if (*ret_port < options.low_port || *ret_port >= options.low_port + PORTS_MAX)
		return NULL;
	return &failing[attempt->flow - flows][*ret_port - options.low_port];
}

/* With the port, and since when it fails there: for conntrack it is one conversation with what failed before. */
static const char *with_port(const struct attempt *attempt, const char *word)
{
	static char text[100];
	uint16_t port;
	uint32_t *since = failing_on(attempt, &port);
	uint32_t before;

	if (!since)
		return word;
	if (!*since)
		*since = (uint32_t)(attempt->started - failing_since) + 1;
	before = had[attempt->flow - flows][port - options.low_port];
	snprintf(text, sizeof(text), "%s,port=%u,had=%lld,since=%lld", word, port,
		 before ? (long long)failing_since + before - 1 : -1LL,
		 (long long)failing_since + *since - 1);
	return text;
}

static void note_open(const struct attempt *attempt)
{
	uint16_t port;
	uint32_t *since = failing_on(attempt, &port);

	if (since)
		*since = 0;
}

static void note_end(const struct attempt *attempt)
{
	uint16_t port;

	if (failing_on(attempt, &port))
		had[attempt->flow - flows][port - options.low_port] =
			(uint32_t)(now_ms() - failing_since) + 1;
}

static struct attempt *attempt_new(struct flow *flow, int64_t now)
{
	struct attempt *attempt;

	if (!free_n)
		return NULL;
	attempt = &attempts[free_attempts[--free_n]];
	*attempt = (struct attempt){
		.flow = flow,
		.fd = -1,
		.started = now,
		.deadline = now + (flow->want_open ? options.open_ms : options.shut_ms),
	};
	return attempt;
}

static void attempt_end(struct attempt *attempt)
{
	if (attempt->fd >= 0) {
		note_end(attempt);
		close(attempt->fd);
	}
	attempt->flow = NULL;
	free_attempts[free_n++] = (int)(attempt - attempts);
}

static void attempt_failed(struct attempt *attempt, const char *word)
{
	attempt->flow->attempts++;
	if (attempt->flow->want_open)
		event(attempt, "fail", with_port(attempt, word));
	attempt_end(attempt);
}

static void attempt_opened(struct attempt *attempt, const char *word)
{
	attempt->flow->attempts++;
	attempt->flow->opens++;
	note_open(attempt);
	if (!attempt->flow->want_open)
		event(attempt, "leak", word);
	attempt_end(attempt);
}

/* Whoever answered: is it who should have? */
static void attempt_answered(struct attempt *attempt, char *banner, size_t n)
{
	banner[n] = '\0';
	banner[strcspn(banner, "\r\n")] = '\0';
	if (attempt->flow->want_open && attempt->flow->banner &&
	    strcmp(attempt->flow->banner, banner))
		attempt_failed(attempt, "another");
	else
		attempt_opened(attempt, "answered");
}

/* --- TCP, UDP ---------------------------------------------------------------------------------- */

static bool attempt_watch(struct attempt *attempt, uint32_t events, int op)
{
	struct epoll_event what = { .events = events, .data.ptr = attempt };

	return !epoll_ctl(epoll_fd, op, attempt->fd, &what);
}

static void start_socket(struct attempt *attempt)
{
	const struct flow *flow = attempt->flow;
	int type = flow->kind == UDP ? SOCK_DGRAM : SOCK_STREAM;

	attempt->fd = socket(flow->to.sa.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (attempt->fd < 0)
		die(EXIT_BROKEN, "socket: %m");
	if (options.low_port) {
		uint32_t range = (options.low_port + PORTS_MAX - 1u) << 16 | options.low_port;

		setsockopt(attempt->fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof(range));
	}
	if (connect(attempt->fd, &flow->to.sa, endpoint_len(&flow->to)) && errno != EINPROGRESS) {
		attempt_failed(attempt, errno_word(errno));
		return;
	}
	if (type == SOCK_DGRAM && send(attempt->fd, "hello\n", 6, MSG_NOSIGNAL) < 0) {
		attempt_failed(attempt, errno_word(errno));
		return;
	}
	attempt->connected = type == SOCK_DGRAM;
	if (!attempt_watch(attempt, attempt->connected ? EPOLLIN : EPOLLOUT, EPOLL_CTL_ADD))
		die(EXIT_BROKEN, "epoll: %m");
}

/* A SYN that had to be sent again was lost or stopped before one came through. */
static void note_late(struct attempt *attempt)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (!attempt->flow->want_open || now_ms() - attempt->started < LATE_MS ||
	    getsockopt(attempt->fd, IPPROTO_TCP, TCP_INFO, &info, &len) || !info.tcpi_total_retrans)
		return;
	attempt->flow->late++;
	event(attempt, "late", "retransmitted");
}

/* With what the kernel knows of the connection, to find out afterwards who answered. */
static const char *accepted_word(const struct attempt *attempt)
{
	static char word[80];
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	(void)getsockopt(attempt->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	snprintf(word, sizeof(word), "accepted,state=%u,rtt=%u,retransmits=%u", info.tcpi_state,
		 info.tcpi_rtt, info.tcpi_total_retrans);
	return word;
}

static void on_connected(struct attempt *attempt)
{
	int err = connect_error(attempt->fd);

	if (err == EINPROGRESS)
		return;
	if (err) {
		attempt_failed(attempt, errno_word(err));
		return;
	}
	note_late(attempt);
	if (!attempt->flow->want_open) {
		attempt_opened(attempt, accepted_word(attempt));
		return;
	}
	attempt->connected = true;
	attempt_watch(attempt, EPOLLIN, EPOLL_CTL_MOD);
}

static void on_readable(struct attempt *attempt)
{
	char banner[128];
	ssize_t n = recv(attempt->fd, banner, sizeof(banner) - 1, 0);

	if (n > 0)
		attempt_answered(attempt, banner, (size_t)n);
	else if (n == 0)
		attempt_failed(attempt, "closed");
	else if (errno != EAGAIN)
		attempt_failed(attempt, errno_word(errno));
}

/* --- connections that are held ----------------------------------------------------------------- */

static void hold_cut(struct attempt *attempt, const char *word)
{
	attempt->flow->attempts++;
	attempt->flow->due = now_ms() + AGAIN_MS;
	event(attempt, "cut", word);
	attempt_end(attempt);
}

static void hold_send(struct attempt *attempt, int64_t now)
{
	char message[MESSAGE_SIZE + 1];
	ssize_t n;

	if (!attempt->part_n && attempt->sent == attempt->back)
		attempt->deadline = now + STALL_MS;
	snprintf(message, sizeof(message), "%15lu\n", attempt->sent);
	n = send(attempt->fd, message, MESSAGE_SIZE, MSG_NOSIGNAL);
	if (n == MESSAGE_SIZE)
		attempt->sent++;
	else if (n >= 0 || errno != EAGAIN) {
		hold_cut(attempt, n < 0 ? errno_word(errno) : "half a message");
		return;
	}
	attempt->send_due = now + options.every_ms;
}

/* Takes one byte of what came back; false where it is not what was sent. */
static bool hold_take(struct attempt *attempt, char byte)
{
	char message[MESSAGE_SIZE + 1];

	attempt->part[attempt->part_n++] = byte;
	if (attempt->part_n < MESSAGE_SIZE)
		return true;
	snprintf(message, sizeof(message), "%15lu\n", attempt->back);
	attempt->part_n = 0;
	attempt->back++;
	attempt->flow->attempts++;
	attempt->flow->opens++;
	return !memcmp(attempt->part, message, MESSAGE_SIZE);
}

static void hold_readable(struct attempt *attempt)
{
	int64_t now = now_ms();
	char buffer[4096];
	ssize_t n = recv(attempt->fd, buffer, sizeof(buffer), 0);

	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		hold_cut(attempt, n ? errno_word(errno) : "closed");
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (!attempt->send_due) {
			if (buffer[i] == '\n') /* the banner's end: nothing is sent before */
				attempt->send_due = now;
		} else if (!hold_take(attempt, buffer[i])) {
			hold_cut(attempt, "bytes lost");
			return;
		}
	}
	if (attempt->send_due)
		attempt->deadline = now + STALL_MS;
}

/* --- ICMP -------------------------------------------------------------------------------------- */

static void icmp_open(struct flow *flow, int number)
{
	bool four = flow->to.sa.sa_family == AF_INET;
	uint32_t only_replies = ~(1u << ICMP_ECHOREPLY);
	struct icmp6_filter filter;
	struct epoll_event what = { .events = EPOLLIN, .data.ptr = flow };

	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	flow->raw_fd = socket(flow->to.sa.sa_family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			      four ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	if (flow->raw_fd < 0 || connect(flow->raw_fd, &flow->to.sa, endpoint_len(&flow->to)))
		die(EXIT_BROKEN, "%s: %m", flow->id);
	if (four ? setsockopt(flow->raw_fd, SOL_RAW, ICMP_FILTER, &only_replies,
			      sizeof(only_replies))
		 : setsockopt(flow->raw_fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)))
		die(EXIT_BROKEN, "%s: filter: %m", flow->id);
	flow->echo_id = (uint16_t)(now_ms() * 31 + getpid() * 257 + number);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, flow->raw_fd, &what);
}

static void start_echo(struct attempt *attempt)
{
	struct flow *flow = attempt->flow;
	bool four = flow->to.sa.sa_family == AF_INET;
	struct icmphdr echo = { .type = four ? ICMP_ECHO : ICMP6_ECHO_REQUEST };

	echo.un.echo.id = flow->echo_id;
	echo.un.echo.sequence = ++flow->echo_seq;
	attempt->sent = flow->echo_seq;
	if (four)
		echo.checksum = icmp_checksum(&echo, sizeof(echo));
	/* What an earlier one met may be told to this one: once more. */
	if (send(flow->raw_fd, &echo, sizeof(echo), MSG_NOSIGNAL) < 0 &&
	    send(flow->raw_fd, &echo, sizeof(echo), MSG_NOSIGNAL) < 0)
		attempt_failed(attempt, errno_word(errno));
}

static struct attempt *echo_of(const struct flow *flow, uint16_t seq)
{
	for (struct attempt *attempt = attempts; attempt < attempts + ATTEMPTS_MAX; attempt++)
		if (attempt->flow == flow && (uint16_t)attempt->sent == seq)
			return attempt;
	return NULL;
}

/* Reads one; false when there is none left. */
static bool read_echo(struct flow *flow)
{
	unsigned char buffer[2048];
	ssize_t n = recv(flow->raw_fd, buffer, sizeof(buffer), 0);
	size_t at = flow->to.sa.sa_family == AF_INET && n > 0 ? (buffer[0] & 15) * 4u : 0;
	struct attempt *attempt;
	uint16_t seq;

	if (n < 0)
		return errno != EAGAIN; /* an error of an earlier one */
	if (n < (ssize_t)at + 8 || memcmp(buffer + at + 4, &flow->echo_id, 2))
		return true;
	memcpy(&seq, buffer + at + 6, 2);
	attempt = echo_of(flow, seq);
	if (attempt) {
		attempt_opened(attempt, "answered");
	} else if (!flow->want_open) { /* after its time, but it came */
		flow->opens++;
		event(&(struct attempt){ .flow = flow, .started = now_ms() }, "leak", "answered");
	}
	return true;
}

static void on_echo(struct flow *flow)
{
	while (read_echo(flow))
		;
}

/* --- the loop ---------------------------------------------------------------------------------- */

static void start_due(struct flow *flow, int64_t now)
{
	struct attempt *attempt = now < flow->due ? NULL : attempt_new(flow, now);

	if (!attempt)
		return;
	flow->due = flow->kind == HOLD ? INT64_MAX : now + options.every_ms;
	if (flow->kind == ICMP)
		start_echo(attempt);
	else
		start_socket(attempt);
	if (flow->kind == HOLD && !attempt->flow)
		flow->due = now + AGAIN_MS;
}

/* HOLD: whoever did not get as far as the banner tries again soon. */
static void hold_renew(struct flow *flow)
{
	if (flow->kind == HOLD)
		flow->due = now_ms() + AGAIN_MS;
}

static void expire(struct attempt *attempt, int64_t now)
{
	struct flow *flow = attempt->flow;

	if (flow->kind == HOLD && attempt->send_due) {
		if (now >= attempt->deadline && attempt->sent != attempt->back)
			hold_cut(attempt, "stalled");
		else if (now >= attempt->send_due)
			hold_send(attempt, now);
	} else if (now >= attempt->deadline) {
		attempt_failed(attempt, "timeout");
		hold_renew(flow);
	}
}

static void handle(struct attempt *attempt)
{
	struct flow *flow = attempt->flow;

	if (!attempt->connected)
		on_connected(attempt);
	else if (flow->kind == HOLD)
		hold_readable(attempt);
	else
		on_readable(attempt);
	if (!attempt->flow && flow->due == INT64_MAX)
		hold_renew(flow);
}

static bool is_flow(const void *what)
{
	return what >= (const void *)flows && what < (const void *)(flows + FLOWS_MAX);
}

/* All that waits, so that what is on time is not called late by a busy machine. */
static void handle_all(void)
{
	static struct epoll_event events[EVENTS_MAX];
	int n, wait = TICK_MS;

	do {
		n = epoll_wait(epoll_fd, events, EVENTS_MAX, wait);
		for (int i = 0; i < n; i++) {
			struct attempt *attempt = events[i].data.ptr;

			if (is_flow(attempt))
				on_echo(events[i].data.ptr);
			else if (attempt->flow)
				handle(attempt);
		}
		wait = 0;
	} while (n == EVENTS_MAX);
}

static void run(void)
{
	int64_t counts_due = 0;

	failing_since = now_ms();

	while (!over) {
		int64_t now = now_ms();

		for (struct flow *flow = flows; flow < flows + flows_n; flow++)
			start_due(flow, now);
		handle_all();
		now = now_ms();
		for (struct attempt *attempt = attempts; attempt < attempts + ATTEMPTS_MAX;
		     attempt++)
			if (attempt->flow)
				expire(attempt, now);
		if (now >= counts_due) {
			write_counts();
			counts_due = now + 500;
		}
	}
	write_counts();
}

/* --- what it is told --------------------------------------------------------------------------- */

static void flow_parse(char *text)
{
	struct flow *flow = &flows[flows_n];
	char *kind = strchr(text, '='), *want, *addr, *port;

	if (flows_n == FLOWS_MAX)
		die(EXIT_USAGE, "more than %d flows", FLOWS_MAX);
	if (!kind)
		die(EXIT_USAGE, "'%s' is not ID=KIND,WANT,ADDR[,PORT[,BANNER]]", text);
	*kind++ = '\0';
	want = kind;
	kind = strsep(&want, ",");
	addr = want;
	want = strsep(&addr, ",");
	port = addr;
	addr = strsep(&port, ",");
	if (!addr || strlen(text) > 64)
		die(EXIT_USAGE, "'%s' is not ID=KIND,WANT,ADDR[,PORT[,BANNER]]", text);
	flow->id = text;
	while (flow->kind < HOLD && strcmp(kind, kind_names[flow->kind]))
		flow->kind++;
	flow->want_open = !strcmp(want, "open");
	endpoint_parse_addr(addr, &flow->to);
	if (flow->kind != ICMP && !port)
		die(EXIT_USAGE, "'%s': no port", text);
	addr = strsep(&port, ",");
	if (addr && *addr)
		endpoint_set_port(&flow->to, (uint16_t)parse_number(addr, 1, 65535));
	flow->banner = port;
	flows_n++;
}

/* A process that only probes while its parent becomes the program, in a container that both live in. */
static void become(char **program)
{
	pid_t pid = fork();

	if (pid < 0)
		die(EXIT_BROKEN, "fork: %m");
	if (pid > 0) {
		execvp(program[0], program);
		die(127, "%s: %m", program[0]);
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static void open_into(const char *prefix)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s.%lld.log", prefix, (long long)now_ms());
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
		die(EXIT_BROKEN, "%s: %m", path);
	snprintf(path, sizeof(path), "%s.%lld.count", prefix, (long long)now_ms());
	counts_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (counts_fd < 0)
		die(EXIT_BROKEN, "%s: %m", path);
}

static int parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "every", required_argument, NULL, 'n' },
		{ "shut-ms", required_argument, NULL, 's' },
		{ "open-ms", required_argument, NULL, 'o' },
		{ "ports", required_argument, NULL, 'p' },
		{ "into", required_argument, NULL, 'i' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "+n:s:o:p:i:", longs, NULL)) != -1) {
		if (opt == 'n')
			options.every_ms = (int)parse_number(optarg, 1, 60000);
		else if (opt == 's')
			options.shut_ms = (int)parse_number(optarg, 1, 60000);
		else if (opt == 'o')
			options.open_ms = (int)parse_number(optarg, 1, 60000);
		else if (opt == 'p')
			options.low_port = (uint16_t)parse_number(optarg, 1, 65535 - PORTS_MAX);
		else if (opt == 'i')
			options.into = optarg;
		else
			exit(EXIT_USAGE);
	}
	return optind;
}

int main(int argc, char **argv)
{
	int at = parse_options(argc, argv);

	for (; at < argc && strcmp(argv[at], "--"); at++)
		flow_parse(argv[at]);
	if (!flows_n)
		die(EXIT_USAGE, "no flow");
	if (at + 1 < argc)
		become(argv + at + 1);
	if (options.into)
		open_into(options.into);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (free_n = 0; free_n < ATTEMPTS_MAX; free_n++)
		free_attempts[free_n] = free_n;
	for (int i = 0; i < flows_n; i++) {
		/* Not all at the same moment. */
		flows[i].due = now_ms() + (int64_t)options.every_ms * i / flows_n;
		if (flows[i].kind == ICMP)
			icmp_open(&flows[i], i);
	}
	run();
	return 0;
}
