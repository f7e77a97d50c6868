// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * LD_PRELOAD: makes calls of one function fail. From the environment:
 *
 *   FAIL_CALL   the function: sendto, recvfrom, recvmsg, malloc, …; see below
 *   FAIL_NTH    which call, from 1
 *   FAIL_ERRNO  the number of the error
 *   FAIL_TIMES  how many calls in a row (default 1; 0: all that follow)
 *   FAIL_WAIT   1: counts only after SIGUSR2 came
 *   FAIL_HIT    a file to which a byte is written when a call was made to fail
 *   TIME_JUMP   seconds that the wall clock is off, after SIGUSR2
 *
 * It must not change any other call, and it never allocates.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static const char *call;
static unsigned long nth, times = 1, count;
static int error, hit = -1;
static long jump;
static volatile sig_atomic_t armed;

static void on_signal(int signal)
{
	armed = 1;
}

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void start(void)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	const char *path = getenv("FAIL_HIT");

	nth = number("FAIL_NTH", 1);
	times = number("FAIL_TIMES", 1);
	error = (int)number("FAIL_ERRNO", ENOMEM);
	jump = getenv("TIME_JUMP") ? strtol(getenv("TIME_JUMP"), NULL, 10) : 0;
	if (path)
		hit = (int)syscall(SYS_openat, AT_FDCWD, path,
				   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	armed = number("FAIL_WAIT", 0) == 0;
	sigaction(SIGUSR2, &action, NULL);
	call = getenv("FAIL_CALL");
}

static bool fails(const char *name)
{
	unsigned long n;

	if (!call || !armed || strcmp(call, name) != 0)
		return false;
	n = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
	if (n < nth || (times && n >= nth + times))
		return false;
	if (hit >= 0)
		(void)!syscall(SYS_write, hit, "x", 1UL);
	errno = error;
	return true;
}

void *malloc(size_t size)
{
	return fails("malloc") ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails("calloc") ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return fails("realloc") ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails("realloc") ? NULL : __libc_realloc(old, bytes);
}

#define NEXT(name)                     \
	static __typeof__(name) *next; \
	if (!next)                     \
	next = (__typeof__(name) *)(uintptr_t)dlsym(RTLD_NEXT, #name)

#define WRAP(type, name, args, pass)                  \
	type name args                                \
	{                                             \
		NEXT(name);                           \
		return fails(#name) ? -1 : next pass; \
	}

WRAP(ssize_t, sendto,
     (int fd, const void *data, size_t n, int flags, const struct sockaddr *to, socklen_t len),
     (fd, data, n, flags, to, len))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
WRAP(ssize_t, recv, (int fd, void *data, size_t n, int flags), (fd, data, n, flags))
WRAP(ssize_t, recvfrom,
     (int fd, void *data, size_t n, int flags, struct sockaddr *from, socklen_t *len),
     (fd, data, n, flags, from, len))
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
WRAP(ssize_t, read, (int fd, void *data, size_t n), (fd, data, n))
WRAP(int, epoll_wait, (int fd, struct epoll_event *events, int n, int timeout),
     (fd, events, n, timeout))
WRAP(int, epoll_ctl, (int fd, int op, int other, struct epoll_event *event), (fd, op, other, event))
WRAP(int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))
WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, connect, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len))
WRAP(int, bind, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len))
WRAP(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
     (fd, level, name, value, len))
WRAP(int, getsockname, (int fd, struct sockaddr *name, socklen_t *len), (fd, name, len))

/* What _FORTIFY_SOURCE makes of them. */
ssize_t __recv_chk(int fd, void *data, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *data, size_t n, size_t room, int flags, struct sockaddr *from,
		       socklen_t *len);
ssize_t __read_chk(int fd, void *data, size_t n, size_t room);

ssize_t __recv_chk(int fd, void *data, size_t n, size_t room, int flags)
{
	return recv(fd, data, n, flags);
}

ssize_t __recvfrom_chk(int fd, void *data, size_t n, size_t room, int flags, struct sockaddr *from,
		       socklen_t *len)
{
	return recvfrom(fd, data, n, flags, from, len);
}

ssize_t __read_chk(int fd, void *data, size_t n, size_t room)
{
	return read(fd, data, n);
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
	return fails("open") ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define OPEN(name)                                           \
	int name(const char *path, int flags, ...)           \
	{                                                    \
		va_list args;                                \
		mode_t mode;                                 \
                                                             \
		va_start(args, flags);                       \
		mode = mode_of(flags, args);                 \
		va_end(args);                                \
		return open_at(AT_FDCWD, path, flags, mode); \
	}
#define OPENAT(name)                                           \
	int name(int folder, const char *path, int flags, ...) \
	{                                                      \
		va_list args;                                  \
		mode_t mode;                                   \
                                                               \
		va_start(args, flags);                         \
		mode = mode_of(flags, args);                   \
		va_end(args);                                  \
		return open_at(folder, path, flags, mode);     \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

time_t time(time_t *ret)
{
	struct timespec now = { 0 };

	syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
	now.tv_sec += armed ? jump : 0;
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}
