/* SPDX-License-Identifier: GPL-2.0-or-later */
/* link: -Wl,--wrap=mnl_socket_open2,--wrap=mnl_socket_bind,--wrap=mnl_socket_setsockopt */
/*
 * What the kernel tells unasked: links, addresses and routes (rtnetlink), transactions (nf_tables); and
 * what it answers of sockets (sock_diag), which is as long a row of messages. The
 * input is a row of netlink messages, each given in a block of its own size. The tables stay sorted
 * and without doubles, names end, and whoever changed the ruleset is named in one safe line.
 */
#include "attached-internal.h"
#include "fuzz.h"
#include "jobfence/monitor.h"
#include "jobfence/sockets.h"
#include "link-internal.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

static int monitored[2] = { -1, -1 }; /* the monitor's socket, and the kernel's end of it */

struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags);
int __wrap_mnl_socket_bind(struct mnl_socket *nl, unsigned int groups, pid_t pid);
int __wrap_mnl_socket_setsockopt(const struct mnl_socket *nl, int type, void *buf, socklen_t len);

struct mnl_socket *__wrap_mnl_socket_open2(int bus, int flags)
{
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, monitored) ==
	      0);
	return mnl_socket_fdopen(monitored[0]);
}

int __wrap_mnl_socket_bind(struct mnl_socket *nl, unsigned int groups, pid_t pid)
{
	return 0;
}

int __wrap_mnl_socket_setsockopt(const struct mnl_socket *nl, int type, void *buf, socklen_t len)
{
	return 0;
}

static void check_link_table(const struct link_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct link *link = &table->links[i];

		CHECK(link->ifindex > 0 && (i == 0 || link[-1].ifindex < link->ifindex));
		CHECK(strnlen(link->name, sizeof(link->name)) < sizeof(link->name));
		CHECK(strnlen(link->kind, sizeof(link->kind)) < sizeof(link->kind));
		CHECK(!mac_addr_is_set(&link->peer_mac));
	}
}

static void take_link(struct link_table *table, const struct nlmsghdr *nlh)
{
	struct link_update update;
	int r = link_parse(nlh, &update);

	CHECK(r == 0 || r == -EINVAL);
	if (r == 0)
		CHECK(link_table_apply(table, &update) == 0);
	check_link_table(table);
}

static void take_attached(struct attached_table *table, const struct nlmsghdr *nlh)
{
	struct attached entry = { .ifindex = -77 };
	int r = attached_parse(nlh, &entry);

	CHECK(r == 0 || r == 1 || r == -EINVAL);
	CHECK(r == 1 || entry.ifindex == -77);
	if (r != 1)
		return;
	CHECK(ip_addr_is_set(&entry.local) || ip_addr_is_set(&entry.network.first));
	CHECK(entry.network.first.family == entry.network.last.family);
	CHECK(ip_addr_cmp(&entry.network.first, &entry.network.last) <= 0);
	CHECK(!ip_addr_is_loopback(&entry.local));
	CHECK(attached_table_add(table, &entry) == 0);
}

/* Answers of sock_diag, which commands ask for. */
static void take_listener(const struct nlmsghdr *nlh)
{
	for (size_t kind = 0; kind <= LISTENER_KINDS; kind++) {
		struct listener listener = { .pid = -77 };
		int r = sockets_parse(nlh, (enum listener_kind)kind, &listener);

		CHECK(r == 0 || r == 1 || r == -EINVAL);
		CHECK((r == 1) == (listener.pid == 0));
		if (r != 1)
			continue;
		CHECK(listener.kind == kind && kind != LISTENER_KINDS);
		CHECK(fuzz_is_safe(listener.name, sizeof(listener.name) - 1));
		CHECK(kind == LISTENER_VSOCK || listener.port <= UINT16_MAX);
	}
}

static void check_attached_table(struct attached_table *table)
{
	attached_table_seal(table);
	CHECK(attached_table_equal(table, table));
	for (size_t i = 1; i < table->n; i++)
		CHECK(table->entries[i - 1].ifindex <= table->entries[i].ifindex);
}

static void on_changed(const struct foreign_change *change, void *data)
{
	size_t *changes = data;

	CHECK(!change || fuzz_is_safe(change->process, sizeof(change->process)));
	CHECK(!change || fuzz_is_safe(change->what, sizeof(change->what)));
	++*changes;
}

/* All of it as one datagram. A new monitor each time: one that has seen a storm waits before it reads. */
static void check_monitor(const uint8_t *data, size_t size)
{
	static sd_event *event;
	struct monitor *monitor = NULL;
	struct diag diag = { 0 };
	size_t changes = 0;

	if (size == 0 || size > 60000)
		return;
	CHECK(event || sd_event_new(&event) >= 0);
	CHECK(monitor_new(event, on_changed, &changes, &monitor, &diag) == 0);
	CHECK(send(monitored[1], data, size, 0) == (ssize_t)size);
	for (int i = 0; i < 4; i++)
		CHECK(sd_event_run(event, 0) >= 0);
	monitor_free(monitor);
	close(monitored[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link_table links = { 0 };
	struct attached_table attached = { 0 };

	check_monitor(data, size);
	while (size >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr header, *nlh;
		size_t len;

		memcpy(&header, data, sizeof(header));
		len = header.nlmsg_len < sizeof(header) ? sizeof(header) : header.nlmsg_len;
		len = len > size ? size : len;
		nlh = malloc(len);
		CHECK(nlh);
		memcpy(nlh, data, len);
		nlh->nlmsg_len = (uint32_t)len; /* the sockets see to that */
		take_link(&links, nlh);
		take_attached(&attached, nlh);
		take_listener(nlh);
		free(nlh);
		len = NLMSG_ALIGN(len);
		data += len < size ? len : size;
		size -= len < size ? len : size;
	}
	check_attached_table(&attached);
	link_table_done(&links);
	attached_table_done(&attached);
	return 0;
}
