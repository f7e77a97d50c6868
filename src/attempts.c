/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfnetlink_log by libmnl: binds one group, hears of each copy within a tenth of a second, and hands what
 * it is to the pure part (attempt_*.c). Whoever floods is slowed by the rules' own limits; what is lost
 * all the same is said to be. Must never write to the ruleset, and never hold up the loop.
 */
#include "jobfence/attempts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>
#include <sys/epoll.h>

#include "jobfence/clock.h"
#include "jobfence/log.h"

#define FLUSH_CENTISECONDS 10 /* what waits in the kernel comes after this time */
#define QUEUE_MAX 32          /* … or when there is so much of it */
#define DATAGRAMS_PER_TURN 16
/* A copy comes some moments after its packet: who has gone in between may have sent it. */
#define REMEMBER_USEC (2 * 1000000ULL)

struct attempts {
	struct mnl_socket *socket;
	sd_event_source *source, *timer;
	struct directory *now, *before;
	uint64_t before_since; /* when @now took its place */
	struct attempt_sums *sums;
	struct reserved_ports ports;
	struct log_limit lost;
};

static const char *class_of(const struct party *party)
{
	switch (party->kind) {
	case PARTY_CONTAINER:
		return party->class;
	case PARTY_UNNAMED:
		return "unnamed";
	case PARTY_HOST_JOB:
		return "host-job";
	case PARTY_HOST:
		return "host";
	case PARTY_OUTSIDE:
		return "outside";
	case PARTY_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

static const char *or_null(const char *text)
{
	return text[0] ? text : NULL;
}

static const char *addr_or_null(const struct ip_addr *addr, char text[static IP_ADDR_TEXT_MAX])
{
	return ip_addr_is_set(addr) ? ip_addr_text(addr, text) : NULL;
}

static void tell(const struct attempts *attempts, const struct attempt_record *record)
{
	const struct attempt *a = &record->attempt;
	char sentence[480], from[IP_ADDR_TEXT_MAX], to[IP_ADDR_TEXT_MAX], protocol[16];
	bool several_ports = record->many && record->count > 1;
	char port[8] = "", count[24];

	snprintf(count, sizeof(count), "%llu", (unsigned long long)record->count);
	if (a->to_port && !several_ports)
		snprintf(port, sizeof(port), "%u", a->to_port);

	const struct log_field fields[] = {
		{ "JOBFENCE_CONTAINER", or_null(record->who.name) },
		{ "JOBFENCE_CONTAINER_ID", or_null(record->who.id) },
		{ "JOBFENCE_TASK", or_null(record->who.task) },
		{ "JOBFENCE_CLASS", class_of(&record->who) },
		{ "JOBFENCE_RULE", a->rule },
		{ "JOBFENCE_PROTOCOL",
		  several_ports ? NULL : or_null(attempt_protocol(a, protocol)) },
		{ "JOBFENCE_SOURCE", record->spread_from ? NULL : addr_or_null(&a->from, from) },
		{ "JOBFENCE_DESTINATION", record->spread_to ? NULL : addr_or_null(&a->to, to) },
		{ "JOBFENCE_PORT", or_null(port) },
		{ "JOBFENCE_TARGET", record->spread_to ? NULL : or_null(record->target.name) },
		{ "JOBFENCE_TARGET_ID", record->spread_to ? NULL : or_null(record->target.id) },
		{ "JOBFENCE_COUNT", count },
		{ "JOBFENCE_COUNT_IS", record->at_least ? "at-least" : "exact" },
	};

	log_record(a->audit ? MESSAGE_ATTEMPT_AUDITED : MESSAGE_ATTEMPT, fields, ARRAY_SIZE(fields),
		   "%s", attempt_text(record, &attempts->ports, sentence, sizeof(sentence)));
}

static void set_timer(struct attempts *attempts)
{
	uint64_t next = attempt_sums_next(attempts->sums);

	if (next == UINT64_MAX) {
		(void)sd_event_source_set_enabled(attempts->timer, SD_EVENT_OFF);
		return;
	}
	(void)sd_event_source_set_time(attempts->timer, next);
	(void)sd_event_source_set_enabled(attempts->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *data)
{
	struct attempts *attempts = data;
	struct attempt_record record;
	uint64_t now = clock_usec();

	while (attempt_sums_due(attempts->sums, now, &record))
		tell(attempts, &record);
	set_timer(attempts);
	return 0;
}

static int on_message(const struct nlmsghdr *nlh, void *data)
{
	struct attempts *attempts = data;
	const struct directory *before = NULL;
	struct attempt_record record;
	struct attempt attempt;
	uint64_t now = clock_usec();

	if (attempts->before && now - attempts->before_since < REMEMBER_USEC)
		before = attempts->before;
	if (attempt_parse(nlh, &attempt) < 0 ||
	    !attempt_attribute(&attempt, attempts->now, before, &record))
		return MNL_CB_OK;
	if (attempt_sums_add(attempts->sums, &record, now))
		tell(attempts, &record);
	return MNL_CB_OK;
}

static void on_lost(struct attempts *attempts)
{
	attempt_sums_lost(attempts->sums);
	log_event_limited(&attempts->lost, MESSAGE_ATTEMPTS_LOST,
			  "more was stopped than could be told: copies were lost on their way, "
			  "the counters have all");
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *data)
{
	struct attempts *attempts = data;
	char buffer[16384];

	for (int i = 0; i < DATAGRAMS_PER_TURN; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), MSG_TRUNC | MSG_DONTWAIT,
				     (struct sockaddr *)&from, &from_len);

		if (n < 0 && errno == ENOBUFS)
			on_lost(attempts);
		else if (n < 0 && errno != EINTR)
			break;
		if (n < 0 || from.nl_pid != 0)
			continue;
		if ((size_t)n > sizeof(buffer))
			on_lost(attempts);
		else
			(void)mnl_cb_run(buffer, (size_t)n, 0, 0, on_message, attempts);
	}
	set_timer(attempts);
	return 0;
}

/* One message of configuration. */
static struct nlmsghdr *config_begin(char *buffer, uint16_t group, uint32_t seq)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = seq;
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(group);
	return nlh;
}

/* The kernel answers before sendto returns. Copies may come before the answer. */
static int config_send(struct mnl_socket *socket, const struct nlmsghdr *nlh)
{
	char buffer[16384];

	if (mnl_socket_sendto(socket, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		const struct nlmsghdr *answer = (const void *)buffer;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (mnl_nlmsg_ok(answer, (int)n) && answer->nlmsg_type == NLMSG_ERROR &&
		    answer->nlmsg_seq == nlh->nlmsg_seq)
			return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(answer))->error;
	}
}

static int bind_group(struct mnl_socket *socket, uint16_t group)
{
	const struct nfulnl_msg_config_cmd bind = { .command = NFULNL_CFG_CMD_BIND };
	const struct nfulnl_msg_config_mode mode = { .copy_mode = NFULNL_COPY_PACKET,
						     .copy_range = htonl(RECORD_SNAPLEN) };
	char buffer[256] = { 0 }; /* between attributes, too, nothing else is sent */
	struct nlmsghdr *nlh = config_begin(buffer, group, 1);
	int r;

	mnl_attr_put(nlh, NFULA_CFG_CMD, sizeof(bind), &bind);
	r = config_send(socket, nlh);
	if (r < 0)
		return r;
	nlh = config_begin(buffer, group, 2);
	mnl_attr_put(nlh, NFULA_CFG_MODE, sizeof(mode), &mode);
	mnl_attr_put_u32(nlh, NFULA_CFG_TIMEOUT, htonl(FLUSH_CENTISECONDS));
	mnl_attr_put_u32(nlh, NFULA_CFG_QTHRESH, htonl(QUEUE_MAX));
	return config_send(socket, nlh);
}

static int open_socket(struct attempts *attempts, uint16_t group, struct diag *diag)
{
	int r;

	attempts->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!attempts->socket)
		return diag_set(diag, -errno, "cannot open a netlink socket to netfilter: %m");
	if (mnl_socket_bind(attempts->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return diag_set(diag, -errno, "cannot bind a netlink socket to netfilter: %m");
	r = bind_group(attempts->socket, group);
	if (r == -EBUSY || r == -EPERM)
		return diag_set(diag, r,
				"another program reads NFLOG group %u; give jobfence another one "
				"([log] group), or 0 to do without",
				group);
	if (r < 0)
		return diag_set(diag, r, "cannot read NFLOG group %u: %s", group, strerror(-r));
	return 0;
}

static int add_sources(struct attempts *attempts, sd_event *event)
{
	int r = sd_event_add_io(event, &attempts->source, mnl_socket_get_fd(attempts->socket),
				EPOLLIN, on_readable, attempts);

	if (r >= 0) /* behind whatever tells who is who */
		r = sd_event_source_set_priority(attempts->source, SD_EVENT_PRIORITY_IDLE + 1);
	if (r >= 0)
		r = sd_event_add_time(event, &attempts->timer, CLOCK_MONOTONIC, 0, 0, on_timer,
				      attempts);
	if (r >= 0)
		r = sd_event_source_set_enabled(attempts->timer, SD_EVENT_OFF);
	return r;
}

int attempts_new(sd_event *event, uint16_t group, struct attempts **ret_attempts, struct diag *diag)
{
	_cleanup_(attempts_freep) struct attempts *attempts = calloc(1, sizeof(*attempts));
	int r = attempts ? attempt_sums_new(&attempts->sums) : -ENOMEM;

	if (r < 0)
		return diag_set(diag, r, "no memory");
	r = open_socket(attempts, group, diag);
	if (r < 0)
		return r;
	r = add_sources(attempts, event);
	if (r < 0)
		return diag_set(diag, r, "cannot wait for NFLOG: %s", strerror(-r));
	*ret_attempts = take_ptr(attempts);
	return 0;
}

struct attempts *attempts_free(struct attempts *attempts)
{
	if (!attempts)
		return NULL;
	sd_event_source_disable_unref(attempts->source);
	sd_event_source_disable_unref(attempts->timer);
	if (attempts->socket)
		mnl_socket_close(attempts->socket);
	directory_free(attempts->now);
	directory_free(attempts->before);
	attempt_sums_free(attempts->sums);
	free(attempts);
	return NULL;
}

void attempts_learn(struct attempts *attempts, const struct model *model,
		    const struct verdict *verdicts, const struct job_tag *tags, size_t tags_n,
		    const struct reserved_ports *ports)
{
	_cleanup_(directory_freep) struct directory *directory = NULL;
	uint64_t now = clock_usec();

	attempts->ports = *ports;
	/* without memory the one of before is as good as it gets */
	if (directory_new(model, verdicts, tags, tags_n, &directory) < 0)
		return;
	if (attempts->before && now - attempts->before_since >= REMEMBER_USEC)
		attempts->before = directory_free(attempts->before);
	if (directory_equal(directory, attempts->now))
		return;
	if (attempts->before) {
		directory_free(attempts->now);
	} else {
		attempts->before = attempts->now;
		attempts->before_since = now;
	}
	attempts->now = take_ptr(directory);
}
