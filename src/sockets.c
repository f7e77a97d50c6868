/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listeners of this network namespace, asked of the kernel by sock_diag, and their processes by
 * /proc. Every message is measured before it is read; what is cut is no listener. Nothing is ever
 * connected to, and nothing is sent but the question.
 */
#include "jobfence/sockets.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/vm_sockets_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "jobfence/cleanup.h"
#include "jobfence/text.h"

#define ANSWER_SIZE 65536
#define DATAGRAMS_MAX 4096     /* of one answer */
#define DESCRIPTORS_MAX 262144 /* that a walk of /proc looks at */
#define PROCESSES_MAX 65536

DEFINE_CLEANUP(struct mnl_socket *, mnl_socket_close)
DEFINE_CLEANUP(DIR *, closedir)

const char *listener_kind_name(enum listener_kind kind)
{
	switch (kind) {
	case LISTENER_TCP:
		return "tcp";
	case LISTENER_UDP:
		return "udp";
	case LISTENER_UNIX:
		return "unix";
	case LISTENER_VSOCK:
		return "vsock";
	case LISTENER_KINDS:
		break;
	}
	return "?";
}

/* --- answers ----------------------------------------------------------------------------------- */

/* libmnl goes by the length rounded up, which the kernel's is: of another one the last bytes are not there. */
static bool is_whole(const struct nlmsghdr *header, size_t payload)
{
	return mnl_nlmsg_get_payload_len(header) >= payload &&
	       header->nlmsg_len == NLMSG_ALIGN(header->nlmsg_len);
}

static int parse_inet(const struct nlmsghdr *header, struct listener *listener)
{
	const struct inet_diag_msg *msg = mnl_nlmsg_get_payload(header);
	const struct nlattr *attr;

	if (!is_whole(header, sizeof(*msg)))
		return -EINVAL;
	if (msg->idiag_family != AF_INET && msg->idiag_family != AF_INET6)
		return 0;
	listener->addr.family = msg->idiag_family;
	memcpy(listener->addr.bytes, msg->id.idiag_src, msg->idiag_family == AF_INET ? 4 : 16);
	listener->port = ntohs(msg->id.idiag_sport);
	listener->inode = msg->idiag_inode;
	mnl_attr_for_each(attr, header, sizeof(*msg))
	{
		if (mnl_attr_get_type(attr) == INET_DIAG_CGROUP_ID &&
		    mnl_attr_get_payload_len(attr) >= sizeof(uint64_t))
			listener->cgroup_id = mnl_attr_get_u64(attr);
	}
	return listener->port > 0;
}

/* An abstract name begins with a NUL, and may hold any bytes. */
static int parse_unix(const struct nlmsghdr *header, struct listener *listener)
{
	const struct unix_diag_msg *msg = mnl_nlmsg_get_payload(header);
	const struct nlattr *attr;

	if (!is_whole(header, sizeof(*msg)))
		return -EINVAL;
	listener->inode = msg->udiag_ino;
	mnl_attr_for_each(attr, header, sizeof(*msg))
	{
		const char *bytes = mnl_attr_get_payload(attr);
		size_t len = mnl_attr_get_payload_len(attr);
		char name[LISTENER_NAME_MAX];

		if (mnl_attr_get_type(attr) != UNIX_DIAG_NAME || len < 2 || bytes[0])
			continue;
		len = len > sizeof(name) ? sizeof(name) - 1 : len - 1;
		memcpy(name, bytes + 1, len);
		name[len] = '\0';
		for (size_t i = 0; i < len; i++)
			if (!name[i])
				name[i] = '?';
		text_safe(name, listener->name, sizeof(listener->name));
		return 1;
	}
	return 0;
}

static int parse_vsock(const struct nlmsghdr *header, struct listener *listener)
{
	const struct vsock_diag_msg *msg = mnl_nlmsg_get_payload(header);

	if (!is_whole(header, sizeof(*msg)))
		return -EINVAL;
	if (msg->vdiag_state != TCP_LISTEN)
		return 0;
	listener->cid = msg->vdiag_src_cid;
	listener->port = msg->vdiag_src_port;
	listener->inode = msg->vdiag_ino;
	return 1;
}

int sockets_parse(const struct nlmsghdr *header, enum listener_kind kind,
		  struct listener *ret_listener)
{
	struct listener listener = { .kind = kind };
	int r = 0;

	if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return 0;
	switch (kind) {
	case LISTENER_TCP:
	case LISTENER_UDP:
		r = parse_inet(header, &listener);
		break;
	case LISTENER_UNIX:
		r = parse_unix(header, &listener);
		break;
	case LISTENER_VSOCK:
		r = parse_vsock(header, &listener);
		break;
	case LISTENER_KINDS:
		break;
	}
	if (r == 1)
		*ret_listener = listener;
	return r;
}

static int add(struct sockets *sockets, const struct listener *listener)
{
	if (sockets->n == LISTENERS_MAX) {
		sockets->more++;
		return 0;
	}
	if (sockets->n == sockets->cap) {
		size_t cap = sockets->cap ? sockets->cap * 2 : 64;
		struct listener *more = reallocarray(sockets->listeners, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		sockets->listeners = more;
		sockets->cap = cap;
	}
	sockets->listeners[sockets->n++] = *listener;
	return 0;
}

/* Returns 1 at the end of the answer, 0 where there is more, or -errno. */
static int take(struct sockets *sockets, enum listener_kind kind, const char *bytes, size_t size)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)bytes;
	int len = (int)size;

	for (; mnl_nlmsg_ok(header, len); header = mnl_nlmsg_next(header, &len)) {
		struct listener listener;
		int r;

		if (header->nlmsg_type == NLMSG_DONE)
			return 1;
		if (header->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *error = mnl_nlmsg_get_payload(header);

			if (mnl_nlmsg_get_payload_len(header) < sizeof(*error) || error->error >= 0)
				return -EPROTO;
			return error->error;
		}
		r = sockets_parse(header, kind, &listener);
		if (r > 0)
			r = add(sockets, &listener);
		if (r < 0)
			return r;
	}
	return len == 0 ? 0 : -EPROTO;
}

/* --- questions --------------------------------------------------------------------------------- */

static void fill_question(struct nlmsghdr *header, enum listener_kind kind, uint8_t family)
{
	header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (kind == LISTENER_UNIX) {
		struct unix_diag_req *req = mnl_nlmsg_put_extra_header(header, sizeof(*req));

		req->sdiag_family = AF_UNIX;
		/* listening, or bound for datagrams */
		req->udiag_states = 1U << TCP_LISTEN | 1U << TCP_CLOSE;
		req->udiag_show = UDIAG_SHOW_NAME;
	} else if (kind == LISTENER_VSOCK) {
		struct vsock_diag_req *req = mnl_nlmsg_put_extra_header(header, sizeof(*req));

		req->sdiag_family = AF_VSOCK;
		req->vdiag_states = 1U << TCP_LISTEN;
	} else {
		struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(header, sizeof(*req));

		req->sdiag_family = family;
		req->sdiag_protocol = kind == LISTENER_TCP ? IPPROTO_TCP : IPPROTO_UDP;
		req->idiag_states = 1U << (kind == LISTENER_TCP ? TCP_LISTEN : TCP_CLOSE);
	}
}

static int ask(struct sockets *sockets, enum listener_kind kind, uint8_t family)
{
	_cleanup_(mnl_socket_closep) struct mnl_socket *socket = NULL;
	_cleanup_free_ char *buffer = calloc(1, ANSWER_SIZE);
	const struct timeval patience = { .tv_sec = 2 };
	struct nlmsghdr *header;
	int r = 0;

	if (!buffer)
		return -ENOMEM;
	socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!socket || setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &patience,
				  sizeof(patience)) < 0)
		return -errno;
	header = mnl_nlmsg_put_header(buffer);
	fill_question(header, kind, family);
	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return -errno;
	for (int i = 0; r == 0 && i < DATAGRAMS_MAX; i++) {
		ssize_t len = mnl_socket_recvfrom(socket, buffer, ANSWER_SIZE);

		r = len < 0 ? -errno : take(sockets, kind, buffer, (size_t)len);
	}
	return r > 0 ? 0 : r ?: -EMSGSIZE;
}

int sockets_list(struct sockets *ret_sockets)
{
	static const struct {
		enum listener_kind kind;
		uint8_t family;
	} questions[] = {
		{ LISTENER_TCP, AF_INET },  { LISTENER_TCP, AF_INET6 },
		{ LISTENER_UDP, AF_INET },  { LISTENER_UDP, AF_INET6 },
		{ LISTENER_UNIX, AF_UNIX }, { LISTENER_VSOCK, AF_VSOCK },
	};
	struct sockets sockets = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		enum listener_kind kind = questions[i].kind;
		int r = ask(&sockets, kind, questions[i].family);

		if (r == -ENOMEM) {
			sockets_done(&sockets);
			return r;
		}
		/* no vsock in this kernel, or its module was never needed: nobody listens there */
		if (r == 0 || (r == -ENOENT && kind == LISTENER_VSOCK))
			continue;
		sockets.unknown[kind] = true;
		diag_set(&sockets.trouble, r, "the kernel does not tell of %s sockets: %s",
			 listener_kind_name(kind), strerror(-r));
	}
	*ret_sockets = sockets;
	return 0;
}

void sockets_done(struct sockets *sockets)
{
	free(sockets->listeners);
	*sockets = (struct sockets){ 0 };
}

/* --- processes --------------------------------------------------------------------------------- */

static int by_inode(const void *a, const void *b)
{
	const struct listener *one = *(const struct listener *const *)a;
	const struct listener *two = *(const struct listener *const *)b;

	return (one->inode > two->inode) - (one->inode < two->inode);
}

static void read_name(const char *pid, char *name, size_t size)
{
	_cleanup_fclose_ FILE *in = NULL;
	char path[64], comm[32] = "";

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	in = fopen(path, "re");
	if (in && fgets(comm, sizeof(comm), in))
		comm[strcspn(comm, "\n")] = '\0';
	text_safe(comm, name, size);
}

static void note_owner(struct listener **sorted, size_t n, unsigned long inode, const char *pid)
{
	const struct listener key = { .inode = (uint32_t)inode }, *wanted = &key;
	struct listener **found = bsearch(&wanted, sorted, n, sizeof(*sorted), by_inode);

	if (!found || (*found)->pid)
		return;
	(*found)->pid = (pid_t)strtol(pid, NULL, 10);
	read_name(pid, (*found)->process, sizeof((*found)->process));
}

/* Returns how many descriptors were looked at, or -EACCES where they may not be. */
static long look_into(const char *pid, struct listener **sorted, size_t n)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	const struct dirent *entry;
	char path[64], target[64];
	long looked = 0;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return errno == EACCES || errno == EPERM ? -EACCES : 0;
	while ((entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		unsigned long inode;

		looked++;
		if (len < 0)
			continue;
		target[len] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) == 1)
			note_owner(sorted, n, inode, pid);
	}
	return looked;
}

void sockets_find_owners(struct sockets *sockets)
{
	_cleanup_free_ struct listener **sorted = calloc(sockets->n + 1, sizeof(struct listener *));
	_cleanup_(closedirp) DIR *proc = opendir("/proc");
	long left = DESCRIPTORS_MAX, processes = PROCESSES_MAX;
	const struct dirent *entry;

	if (!sorted || !proc) {
		sockets->owners_unknown = true;
		return;
	}
	for (size_t i = 0; i < sockets->n; i++)
		sorted[i] = &sockets->listeners[i];
	qsort(sorted, sockets->n, sizeof(struct listener *), by_inode);
	while (left > 0 && processes > 0 && (entry = readdir(proc))) {
		long looked;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		processes--;
		looked = look_into(entry->d_name, sorted, sockets->n);
		if (looked < 0)
			sockets->owners_unknown = true;
		else
			left -= looked;
	}
	sockets->owners_unknown |= left <= 0 || processes <= 0;
}
