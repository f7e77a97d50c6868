/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scopestart: what the systemd driver's containers are to the kernel, without an engine: a fresh folder
 * docker-<id>.scope below a slice, and a process that clone3 puts there at its birth. Its first
 * system calls are socket() and connect() to the forbidden target, then again until --for is over, so
 * that a SYN that was only dropped comes a second time. No exec, no runtime: nothing is faster.
 *
 * Prints "started=N open=M"; M is how many ever reached the target.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../host/tools/tool.h"

#define AT_ONCE 64

struct scope {
	char path[512];
	pid_t pid; /* 0: not in use */
};

static struct scope scopes[AT_ONCE];
static union endpoint target;
static long for_ms = 1300;

static bool reaches(int64_t end)
{
	int fd = socket(target.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int r = connect(fd, &target.sa, endpoint_len(&target));
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int left;

	if (r && errno == EINPROGRESS) {
		left = (int)(end - now_ms());
		r = poll(&pfd, 1, left > 0 ? left : 0) == 1 ? connect_error(fd) : -1;
	}
	close(fd);
	return !r;
}

__attribute__((noreturn)) static void live(int64_t end)
{
	do {
		if (reaches(end))
			_exit(1);
		usleep(5000);
	} while (now_ms() < end);
	_exit(0);
}

static void begin(struct scope *scope, const char *parent)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int64_t end = now_ms() + for_ms;
	unsigned char id[32];
	int n, fd;

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		die(EXIT_BROKEN, "getrandom: %m");
	n = snprintf(scope->path, sizeof(scope->path), "%.400s/docker-", parent);
	for (size_t i = 0; i < sizeof(id); i++)
		n += sprintf(scope->path + n, "%02x", id[i]);
	strcpy(scope->path + n, ".scope");
	if (mkdir(scope->path, 0755))
		die(EXIT_BROKEN, "%s: %m", scope->path);
	fd = open(scope->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	args.cgroup = (uint64_t)fd;
	scope->pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (!scope->pid)
		live(end);
	if (scope->pid < 0)
		die(EXIT_BROKEN, "clone3 into %s: %m", scope->path);
	close(fd);
}

/* Waits for one to end. Returns whether it reached the target. */
static bool end_one(void)
{
	int status;
	pid_t pid = wait(&status);

	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
		die(EXIT_BROKEN, "a process did not end as it should");
	for (int i = 0; i < AT_ONCE; i++) {
		if (scopes[i].pid != pid)
			continue;
		scopes[i].pid = 0;
		/* Its process is reaped, but may not have left yet. */
		while (rmdir(scopes[i].path) && errno == EBUSY)
			usleep(1000);
	}
	return WEXITSTATUS(status) == 1;
}

int main(int argc, char **argv)
{
	long count, started = 0, ended = 0, open = 0;
	int at = 1, i;

	if (argc > 2 && !strcmp(argv[1], "--for")) {
		for_ms = parse_number(argv[2], 1, 60000);
		at = 3;
	}
	if (argc - at != 3)
		die(EXIT_USAGE, "usage: scopestart [--for MS] SLICE-FOLDER COUNT ADDR:PORT");
	count = parse_number(argv[at + 1], 1, 100000);
	endpoint_parse(argv[at + 2], &target);
	while (ended < count) {
		for (i = 0; i < AT_ONCE && scopes[i].pid; i++)
			;
		if (i < AT_ONCE && started < count) {
			begin(&scopes[i], argv[at]);
			started++;
			continue;
		}
		open += end_one();
		ended++;
	}
	printf("started=%ld open=%ld\n", started, open);
	return 0;
}
