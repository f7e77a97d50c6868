/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that stands in a container's network and does nothing but connect: its network namespace,
 * or for a container on the host's network its cgroup, and everything else this host's. It runs no
 * program, opens no file there, keeps no descriptor but the one that it is told by, and sends not one
 * byte: a connection is reset at once.
 *
 * A process number is never believed without the container's name in its cgroup, and without the
 * process still being there when its namespace was opened.
 */
#include "probe-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "jobfence/clock.h"

#define STOP_USEC 1000000

struct order {
	struct sock_addr to; /* of no family: give up */
	int timeout_ms;
};

struct answer {
	enum attempt attempt;
	int error;
};

/* --- the process that connects; from here to serve() nothing of the parent's is touched --- */

static socklen_t fill_address(const struct sock_addr *to, struct sockaddr_storage *addr)
{
	struct sockaddr_in *four = (struct sockaddr_in *)addr;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)addr;

	memset(addr, 0, sizeof(*addr));
	addr->ss_family = to->ip.family;
	if (to->ip.family == AF_INET) {
		four->sin_port = htons(to->port);
		memcpy(&four->sin_addr, to->ip.bytes, 4);
		return sizeof(*four);
	}
	six->sin6_port = htons(to->port);
	memcpy(&six->sin6_addr, to->ip.bytes, 16);
	return sizeof(*six);
}

/* An ICMP error lies in the error queue, and poll() says so, a moment before SO_ERROR has it: no error
 * is not yet a connection. */
static int connect_error(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(int), peer_len = sizeof(peer);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
		return error ?: errno;
	return getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ? EINPROGRESS : 0;
}

static struct answer answer_of(int error)
{
	switch (error) {
	case 0:
		return (struct answer){ ATTEMPT_CONNECTED, 0 };
	case ECONNREFUSED:
	case ECONNRESET:
		return (struct answer){ ATTEMPT_REFUSED, error };
	case EACCES:
	case EPERM:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ECONNABORTED:
		return (struct answer){ ATTEMPT_STOPPED, error };
	case EINPROGRESS:
	case ETIMEDOUT:
		return (struct answer){ ATTEMPT_SILENT, 0 };
	}
	return (struct answer){ ATTEMPT_FAILED, error };
}

/* Until it is decided, the time is over, or the parent says so. */
static int wait_connected(int fd, int orders, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = fd, .events = POLLOUT },
				 { .fd = orders, .events = POLLIN } };
	uint64_t end = clock_usec() + (uint64_t)timeout_ms * 1000;
	int error = EINPROGRESS;

	while (error == EINPROGRESS) {
		uint64_t now = clock_usec();

		if (now >= end || poll(fds, 2, (int)((end - now + 999) / 1000)) < 0)
			break;
		if (fds[0].revents)
			error = connect_error(fd);
		if (fds[0].revents && error == EINPROGRESS)
			usleep(1000);
		if (fds[1].revents)
			break;
	}
	return error;
}

static struct answer try(const struct order *order, int orders)
{
	const struct linger at_once = { .l_onoff = 1 };
	_cleanup_close_ int fd =
		socket(order->to.ip.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_storage addr;
	socklen_t len = fill_address(&order->to, &addr);
	int error = 0;

	if (fd < 0)
		return (struct answer){ errno == EAFNOSUPPORT ? ATTEMPT_NONE : ATTEMPT_FAILED,
					errno };
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	if (connect(fd, (struct sockaddr *)&addr, len) < 0)
		error = errno;
	/* no route from there, or no address of this family: nothing was sent */
	if (error == ENETUNREACH || error == EADDRNOTAVAIL)
		return (struct answer){ ATTEMPT_NONE, error };
	if (error == EINPROGRESS)
		error = wait_connected(fd, orders, order->timeout_ms);
	return answer_of(error);
}

/* Ends when the parent does, in whatever way. */
static _Noreturn void serve(int fd)
{
	(void)prctl(PR_SET_NAME, "jobfence-probe");
	for (;;) {
		struct order order;
		ssize_t n = recv(fd, &order, sizeof(order), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(order))
			_exit(0);
		if (order.to.ip.family == AF_UNSPEC)
			continue; /* it came too late: the answer is on its way */
		struct answer answer = try(&order, fd);

		if (answer.attempt != ATTEMPT_CONNECTED)
			forget_neighbour(&order.to.ip);
		if (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
			_exit(0);
	}
}

static _Noreturn void become_prober(int fd, int netns, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	(void)signal(SIGINT, SIG_IGN); /* the parent ends it, when it has put down what it saw */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0)
		_exit(1);
	if (fd != 3 && dup2(fd, 3) < 0)
		_exit(1);
	if (close_range(4, ~0U, 0) < 0)
		_exit(1);
	close(0);
	close(1);
	close(2);
	serve(3);
}

/* --- the parent --- */

static int pidfd_of(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

static bool has_ended(int pidfd)
{
	struct pollfd pollfd = { .fd = pidfd, .events = POLLIN };

	return poll(&pollfd, 1, 0) != 0;
}

/* Its cgroup has the container's name, in any hierarchy. */
static bool is_named(pid_t pid, const char *id)
{
	char path[64], line[4096];
	_cleanup_fclose_ FILE *file = NULL;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, id) != NULL;
	return found;
}

bool prober_is_there(const struct container *container)
{
	_cleanup_close_ int pidfd = container->pid > 0 ? pidfd_of(container->pid) : -1;

	return pidfd >= 0 && is_named(container->pid, container->id) && !has_ended(pidfd);
}

/* Its network namespace is this one exactly if it is on the host's network. */
static int check_namespace(int netns, bool on_host, struct diag *diag)
{
	struct stat own, its;

	if (stat("/proc/self/ns/net", &own) < 0 || fstat(netns, &its) < 0)
		return -errno;
	if ((own.st_ino == its.st_ino && own.st_dev == its.st_dev) == on_host)
		return 0;
	return diag_set(diag, -EXDEV,
			on_host ? "it is not in this network namespace, where the engine has it"
				: "it is in this network namespace, where the engine does not have "
				  "it");
}

static int open_cgroup(pid_t pid, const char *root, struct diag *diag)
{
	char path[1024], whole[1200];
	int fd, r = cgroup_of_pid(pid, path, sizeof(path));

	if (r < 0)
		return diag_set(diag, r, "its cgroup cannot be found: %s", strerror(-r));
	snprintf(whole, sizeof(whole), "%s/%s", root, path);
	fd = open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? diag_set(diag, -errno, "its cgroup cannot be opened: %s", strerror(errno))
		      : fd;
}

/* What is opened is the container's for certain: it was its process before and after. */
static int open_place(const struct container *container, bool on_host, const char *cgroup_root,
		      int *ret_netns, int *ret_cgroup, struct diag *diag)
{
	_cleanup_close_ int pidfd = -1, netns = -1, cgroup = -1;
	char path[64];
	int r;

	pidfd = container->pid > 0 ? pidfd_of(container->pid) : -ESRCH;
	if (pidfd < 0)
		return pidfd;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)container->pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (!is_named(container->pid, container->id))
		return -ESRCH;
	r = check_namespace(netns, on_host, diag);
	if (r >= 0 && on_host && cgroup_root)
		r = cgroup = open_cgroup(container->pid, cgroup_root, diag);
	if (has_ended(pidfd))
		return -ESRCH;
	if (r < 0)
		return r;
	*ret_netns = take_fd(&netns);
	*ret_cgroup = take_fd(&cgroup);
	return 0;
}

/* fork(), into @cgroup where there is one. */
static pid_t fork_into(int cgroup)
{
	struct clone_args args = { .exit_signal = SIGCHLD };

	if (cgroup < 0)
		return fork();
	args.flags = CLONE_INTO_CGROUP;
	args.cgroup = (uint64_t)cgroup;
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

int prober_start(const struct container *container, bool on_host, const char *cgroup_root,
		 struct prober *ret_prober, struct diag *diag)
{
	_cleanup_close_ int netns = -1, cgroup = -1, ours = -1, its = -1;
	pid_t parent = getpid(), pid;
	int pair[2], r = 0;

	if (container)
		r = open_place(container, on_host, cgroup_root, &netns, &cgroup, diag);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	its = pair[1];
	pid = fork_into(cgroup);
	if (pid < 0)
		return diag_set(diag, -errno, "no process can be put into its cgroup: %s",
				strerror(errno));
	if (pid == 0)
		become_prober(its, on_host ? -1 : netns, parent);
	*ret_prober = (struct prober){ .pid = pid, .fd = take_fd(&ours) };
	return 0;
}

/* cgroup v2 lets a frozen process be killed, v1 only when it is thawed: that one is not waited for. */
void prober_stop(struct prober *prober)
{
	uint64_t end = clock_usec() + STOP_USEC;

	if (prober->pid <= 0)
		return;
	close(prober->fd);
	(void)kill(prober->pid, SIGKILL);
	while (waitpid(prober->pid, NULL, WNOHANG) == 0 && clock_usec() < end)
		(void)poll(NULL, 0, 1);
	*prober = (struct prober){ 0 };
}

static int send_order(const struct prober *prober, const struct order *order)
{
	return send(prober->fd, order, sizeof(*order), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int prober_ask(struct prober *prober, const struct sock_addr *to, int timeout_ms)
{
	const struct order order = { .to = *to, .timeout_ms = timeout_ms };

	return send_order(prober, &order);
}

int prober_cancel(struct prober *prober)
{
	return send_order(prober, &(struct order){ 0 });
}

int prober_answer(struct prober *prober, int wait_ms, enum attempt *ret_attempt, int *ret_error)
{
	struct pollfd pollfd = { .fd = prober->fd, .events = POLLIN };
	struct answer answer;
	ssize_t n;
	int r = poll(&pollfd, 1, wait_ms);

	if (r <= 0)
		return r < 0 ? -errno : 0;
	n = recv(prober->fd, &answer, sizeof(answer), 0);
	if (n != sizeof(answer))
		return n < 0 ? -errno : -ESRCH;
	*ret_attempt = answer.attempt;
	*ret_error = answer.error;
	return 1;
}
