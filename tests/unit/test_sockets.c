/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listeners: answers of sock_diag written by hand and cut at every byte, and real sockets of this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/vm_sockets_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "jobfence/cleanup.h"
#include "jobfence/sockets.h"

static char buffer[4096] __attribute__((aligned(8)));

static struct nlmsghdr *message(size_t payload, void **ret_payload)
{
	struct nlmsghdr *header;

	memset(buffer, 0, sizeof(buffer));
	header = mnl_nlmsg_put_header(buffer);
	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	*ret_payload = mnl_nlmsg_put_extra_header(header, payload);
	return header;
}

static struct nlmsghdr *inet_message(int family, uint16_t port)
{
	struct inet_diag_msg *msg;
	struct nlmsghdr *header = message(sizeof(*msg), (void **)&msg);

	msg->idiag_family = (uint8_t)family;
	msg->id.idiag_sport = htons(port);
	msg->id.idiag_src[0] = htonl(0x7f000001);
	msg->idiag_inode = 99;
	mnl_attr_put_u8(header, INET_DIAG_SHUTDOWN, 0);
	mnl_attr_put_u64(header, INET_DIAG_CGROUP_ID, 0x1122334455667788);
	return header;
}

/* Whatever is cut gives an error or less, and never reads behind (ASan watches). */
static void cut(struct nlmsghdr *header, enum listener_kind kind)
{
	uint32_t whole = header->nlmsg_len;

	for (uint32_t len = NLMSG_HDRLEN; len < whole; len++) {
		struct listener listener;
		char *copy = malloc(len);

		assert_non_null(copy);
		memcpy(copy, header, len);
		((struct nlmsghdr *)copy)->nlmsg_len = len;
		assert_in_range(sockets_parse((struct nlmsghdr *)copy, kind, &listener) + 100,
				100 - EINVAL, 101);
		free(copy);
	}
}

static void inet(void **state)
{
	struct nlmsghdr *header = inet_message(AF_INET, 10998);
	struct listener listener;
	char text[IP_ADDR_TEXT_MAX];

	assert_int_equal(sockets_parse(header, LISTENER_TCP, &listener), 1);
	assert_int_equal(listener.port, 10998);
	assert_string_equal(ip_addr_text(&listener.addr, text), "127.0.0.1");
	assert_int_equal(listener.inode, 99);
	assert_true(listener.cgroup_id == 0x1122334455667788);
	cut(header, LISTENER_TCP);
	assert_int_equal(sockets_parse(inet_message(AF_INET, 0), LISTENER_UDP, &listener), 0);
	assert_int_equal(sockets_parse(inet_message(AF_UNIX, 1), LISTENER_TCP, &listener), 0);
	header = inet_message(AF_INET, 1);
	header->nlmsg_len = NLMSG_HDRLEN + 8;
	assert_int_equal(sockets_parse(header, LISTENER_TCP, &listener), -EINVAL);
	header = inet_message(AF_INET, 1);
	header->nlmsg_type = 1;
	assert_int_equal(sockets_parse(header, LISTENER_TCP, &listener), 0);
}

static struct nlmsghdr *unix_message(const char *name, size_t len)
{
	struct unix_diag_msg *msg;
	struct nlmsghdr *header = message(sizeof(*msg), (void **)&msg);

	msg->udiag_family = AF_UNIX;
	msg->udiag_ino = 7;
	mnl_attr_put(header, UNIX_DIAG_NAME, len, name);
	return header;
}

static void abstract_names(void **state)
{
	struct nlmsghdr *header = unix_message("\0a\0b\033c", 6);
	struct listener listener;
	char long_name[108] = { 0 };

	assert_int_equal(sockets_parse(header, LISTENER_UNIX, &listener), 1);
	assert_string_equal(listener.name, "a?b?c");
	cut(header, LISTENER_UNIX);
	/* in the file system, without a name, nothing behind the NUL */
	assert_int_equal(sockets_parse(unix_message("/run/x", 6), LISTENER_UNIX, &listener), 0);
	assert_int_equal(sockets_parse(unix_message("", 0), LISTENER_UNIX, &listener), 0);
	assert_int_equal(sockets_parse(unix_message("", 1), LISTENER_UNIX, &listener), 0);
	memset(long_name + 1, 'x', sizeof(long_name) - 1);
	assert_int_equal(sockets_parse(unix_message(long_name, sizeof(long_name)), LISTENER_UNIX,
				       &listener),
			 1);
	assert_int_equal(strlen(listener.name), LISTENER_NAME_MAX - 1);
}

static void vsock(void **state)
{
	struct vsock_diag_msg *msg;
	struct nlmsghdr *header = message(sizeof(*msg), (void **)&msg);
	struct listener listener;

	msg->vdiag_state = TCP_LISTEN;
	msg->vdiag_src_cid = UINT32_MAX;
	msg->vdiag_src_port = 100000;
	assert_int_equal(sockets_parse(header, LISTENER_VSOCK, &listener), 1);
	assert_int_equal(listener.port, 100000);
	cut(header, LISTENER_VSOCK);
	msg->vdiag_state = TCP_CLOSE;
	assert_int_equal(sockets_parse(header, LISTENER_VSOCK, &listener), 0);
}

static const struct listener *find(const struct sockets *sockets, enum listener_kind kind,
				   uint32_t port, const char *name)
{
	for (size_t i = 0; i < sockets->n; i++)
		if (sockets->listeners[i].kind == kind && sockets->listeners[i].port == port &&
		    strcmp(sockets->listeners[i].name, name) == 0)
			return &sockets->listeners[i];
	return NULL;
}

static uint16_t bind_any(int fd)
{
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof(addr);

	if (bind(fd, (struct sockaddr *)&addr, len) < 0)
		skip(); /* no IPv6 here */
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	return ntohs(addr.sin6_port);
}

static void real_ones(void **state)
{
	int tcp = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int udp = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct sockets sockets, after;
	uint16_t tcp_port = bind_any(tcp), udp_port = bind_any(udp);
	int n = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "jobfence-test-%d",
			 getpid());

	assert_int_equal(listen(tcp, 1), 0);
	assert_int_equal(bind(local, (struct sockaddr *)&addr,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
			 0);
	assert_int_equal(listen(local, 1), 0);
	assert_int_equal(sockets_list(&sockets), 0);
	if (sockets.unknown[LISTENER_TCP] || sockets.unknown[LISTENER_UDP] ||
	    sockets.unknown[LISTENER_UNIX]) {
		sockets_done(&sockets);
		skip(); /* a kernel without sock_diag */
	}
	sockets_find_owners(&sockets);

	const struct listener *found[] = {
		find(&sockets, LISTENER_TCP, tcp_port, ""),
		find(&sockets, LISTENER_UDP, udp_port, ""),
		find(&sockets, LISTENER_UNIX, 0, addr.sun_path + 1),
	};

	for (size_t i = 0; i < ARRAY_SIZE(found); i++) {
		assert_non_null(found[i]);
		assert_int_equal(found[i]->pid, getpid());
		assert_true(found[i]->process[0]);
	}
	assert_true(ip_addr_is_loopback(&found[0]->addr));
	close(tcp);
	close(udp);
	close(local);
	assert_int_equal(sockets_list(&after), 0);
	assert_null(find(&after, LISTENER_TCP, tcp_port, ""));
	assert_null(find(&after, LISTENER_UNIX, 0, addr.sun_path + 1));
	sockets_done(&after);
	sockets_done(&sockets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inet),
		cmocka_unit_test(abstract_names),
		cmocka_unit_test(vsock),
		cmocka_unit_test(real_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
