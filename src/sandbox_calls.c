/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon asks of the kernel while it runs, call by call: a table and nothing else. A line
 * belongs here when something that the daemon has to do needs it; a call with several lines is
 * allowed where one of them fits. What writes a file, runs a program, makes a process, sends a
 * signal or reaches the network is never in it.
 */
#include "sandbox-internal.h"

#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>

#include "jobfence/cleanup.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

/* O_TMPFILE is O_DIRECTORY and O_RDWR. */
#define OPEN_WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

/* clang-format off */
#define ANY(call)                 { .name = #call }
#define IS(call, number, bits)    { .name = #call, .test = SANDBOX_IS, .arg = (number), .value = (bits) }
#define NONE(call, number, bits)  { .name = #call, .test = SANDBOX_NONE, .arg = (number), .value = (bits) }
#define SELF(call, number)        { .name = #call, .test = SANDBOX_SELF, .arg = (number) }

const struct sandbox_call sandbox_calls[] = {
	/* memory; no code is loaded or made any more */
	ANY(brk), ANY(munmap), ANY(mremap), ANY(madvise),
	NONE(mmap, 2, PROT_EXEC),
	NONE(mprotect, 2, PROT_EXEC),

	/* files: to read, and cgroups to make */
	NONE(open, 1, OPEN_WRITES),
	NONE(openat, 2, OPEN_WRITES),
	ANY(close), ANY(read), ANY(readv), ANY(pread64), ANY(lseek),
	ANY(stat), ANY(lstat), ANY(fstat), ANY(newfstatat), ANY(fstatat64), ANY(statx),
	ANY(statfs), ANY(fstatfs), ANY(access), ANY(faccessat), ANY(faccessat2),
	ANY(readlink), ANY(readlinkat), ANY(getdents), ANY(getdents64),
	ANY(mkdir), ANY(mkdirat),
	ANY(inotify_init1), ANY(inotify_add_watch), ANY(inotify_rm_watch),

	/* what is open already: stderr, sockets, pipes of libraries, the counters (tally.c) */
	ANY(write), ANY(writev), ANY(pwrite64), ANY(fcntl), ANY(dup), ANY(dup3), ANY(pipe2), ANY(eventfd2),
	IS(ioctl, 1, FIONREAD),
	IS(ioctl, 1, TCGETS),
	IS(ioctl, 1, SIOCGIFINDEX),

	/* netlink, the engine, systemd, the journal */
	IS(socket, 0, AF_UNIX),
	IS(socket, 0, AF_NETLINK),
	IS(socketpair, 0, AF_UNIX),
	ANY(bind), ANY(connect), ANY(shutdown), ANY(getsockname), ANY(getpeername),
	ANY(getsockopt), ANY(setsockopt), ANY(sendto), ANY(sendmsg), ANY(sendmmsg),
	ANY(recvfrom), ANY(recvmsg), ANY(recvmmsg),

	/* the loop */
	ANY(epoll_create1), ANY(epoll_ctl), ANY(epoll_wait), ANY(epoll_pwait), ANY(epoll_pwait2),
	ANY(poll), ANY(ppoll), ANY(signalfd4),
	ANY(timerfd_create), ANY(timerfd_settime), ANY(timerfd_gettime),
	ANY(clock_gettime), ANY(clock_getres), ANY(gettimeofday), ANY(time),
	ANY(clock_nanosleep), ANY(nanosleep),

	/* itself, and its end; abort() sends itself a signal */
	ANY(getpid), ANY(gettid), ANY(getppid), ANY(getuid), ANY(geteuid), ANY(getgid),
	ANY(getegid), ANY(getrandom), ANY(sysinfo), ANY(uname), ANY(getrlimit),
	IS(prlimit64, 2, 0),
	ANY(sched_yield), ANY(sched_getaffinity), ANY(futex), ANY(membarrier), ANY(rseq),
	ANY(set_robust_list),
	ANY(rt_sigaction), ANY(rt_sigprocmask), ANY(rt_sigreturn), ANY(rt_sigpending),
	ANY(rt_sigtimedwait), ANY(sigaltstack), ANY(restart_syscall),
	SELF(tgkill, 0),
	ANY(exit), ANY(exit_group),
#ifdef SANITIZED
	/* builds for tests: the search for leaks stops the process by another one that shares its
	 * memory, the stack of an error is read by libraries loaded for it */
	ANY(clone), ANY(wait4), ANY(ptrace), ANY(prctl), ANY(mmap), ANY(mprotect),
	ANY(set_tid_address), ANY(sched_getscheduler), ANY(getrusage), ANY(get_robust_list),
#endif
};
/* clang-format on */

const size_t sandbox_calls_n = ARRAY_SIZE(sandbox_calls);
