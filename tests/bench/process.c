/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What /proc tells of one process. Only looks; the process under test never knows.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

pid_t process_start(char *const argv[], const char *log)
{
	pid_t pid = vfork();

	if (pid < 0)
		die("fork: %m");
	if (pid == 0) {
		int fd = open(log ?: "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0644);

		setpgid(0, 0);
		if (fd >= 0) {
			dup2(fd, 1);
			dup2(fd, 2);
		}
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

void process_end(pid_t pid)
{
	kill(-pid, SIGTERM);
	for (int i = 0; i < 500; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			kill(-pid, SIGKILL); /* what else is in its group */
			return;
		}
		usleep(10000);
	}
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void process_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("wait: %m");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die("the process under test failed (status %d)", status);
}

static FILE *open_proc(pid_t pid, const char *name)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	file = fopen(path, "re");
	if (!file)
		die("%s: %m", path);
	return file;
}

static int64_t sum_of(pid_t pid, const char *name, const char *first, const char *second)
{
	FILE *file = open_proc(pid, name);
	char line[256];
	int64_t sum = 0;

	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, first, strlen(first)) ||
		    (second && !strncmp(line, second, strlen(second))))
			sum += strtoll(strchr(line, ':') + 1, NULL, 10);
	fclose(file);
	return sum;
}

struct process_use process_use(pid_t pid)
{
	FILE *file = open_proc(pid, "schedstat");
	long long cpu = 0;

	if (fscanf(file, "%lld", &cpu) != 1)
		die("schedstat of %d", (int)pid);
	fclose(file);
	return (struct process_use){
		.cpu_ns = cpu,
		.switches = sum_of(pid, "status",
				   "voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"),
		.private_kib = sum_of(pid, "smaps_rollup", "Private_Dirty:", NULL),
		.resident_kib = sum_of(pid, "status", "VmRSS:", NULL),
		.peak_kib = sum_of(pid, "status", "VmHWM:", NULL),
	};
}
