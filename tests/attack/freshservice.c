/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * freshservice: what a service that restarts is to the kernel: its folder is made anew, so its cgroup
 * has another number, and a process that clone3 puts there connects with its first system calls.
 * One after the other, COUNT times.
 *
 * Prints "open=M of N first=F slowest=MS": M reached the target within --for, F of them with their
 * first SYN (under 500 ms).
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../host/tools/tool.h"

static union endpoint target;
static long for_ms = 2500;

__attribute__((noreturn)) static void live(void)
{
	int fd = socket(target.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int r = connect(fd, &target.sa, endpoint_len(&target));
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	if (r && errno == EINPROGRESS)
		r = poll(&pfd, 1, (int)for_ms) == 1 ? connect_error(fd) : -1;
	_exit(r ? 1 : 0);
}

/* Returns the milliseconds that it took, or -1. */
static int64_t restart(const char *path)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int64_t start;
	int status, fd;
	pid_t pid;

	if (mkdir(path, 0755))
		die(EXIT_BROKEN, "%s: %m", path);
	start = now_ms();
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	args.cgroup = (uint64_t)fd;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		live();
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die(EXIT_BROKEN, "clone3 into %s: %m", path);
	close(fd);
	/* Its process is reaped, but may not have left yet. */
	while (rmdir(path) && errno == EBUSY)
		usleep(1000);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? now_ms() - start : -1;
}

int main(int argc, char **argv)
{
	int64_t slowest = 0;
	long count, open = 0, first = 0;
	int at = 1;

	if (argc > 2 && !strcmp(argv[1], "--for")) {
		for_ms = parse_number(argv[2], 1, 60000);
		at = 3;
	}
	if (argc - at != 3)
		die(EXIT_USAGE, "usage: freshservice [--for MS] FOLDER COUNT ADDR:PORT");
	count = parse_number(argv[at + 1], 1, 100000);
	endpoint_parse(argv[at + 2], &target);
	for (long i = 0; i < count; i++) {
		int64_t took = restart(argv[at]);

		open += took >= 0;
		first += took >= 0 && took < 500;
		slowest = took > slowest ? took : slowest;
	}
	printf("open=%ld of %ld first=%ld slowest=%lld\n", open, count, first, (long long)slowest);
	return 0;
}
