/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inside: runs a program as a process of a container, as docker exec does but in a millisecond: in
 * its cgroup (where its sockets are then born), in its namespaces, and with no more than Docker's
 * default capabilities. Seccomp and the pid namespace stay the caller's: no flow depends on them.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tool.h"

/* chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot
 * mknod audit_write setfcap */
#define DOCKER_CAPABILITIES UINT64_C(0xa80425fb)

static void join_cgroup(const char *path)
{
	char file[512];
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		die(EXIT_BROKEN, "%s: %m", file);
	close(fd);
}

static void join_namespaces(const char *pid)
{
	static const char *const names[] = { "net", "ipc", "uts", "mnt" };
	char file[64];
	int fds[4];

	for (size_t i = 0; i < 4; i++) {
		snprintf(file, sizeof(file), "/proc/%s/ns/%s", pid, names[i]);
		fds[i] = open(file, O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0)
			die(EXIT_BROKEN, "%s: %m", file);
	}
	for (size_t i = 0; i < 4; i++)
		if (setns(fds[i], 0))
			die(EXIT_BROKEN, "setns %s: %m", names[i]);
	if (chdir("/"))
		die(EXIT_BROKEN, "chdir: %m");
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	uint32_t low = (uint32_t)DOCKER_CAPABILITIES;
	struct __user_cap_data_struct data[2] = {
		{ .effective = low, .permitted = low, .inheritable = 0 },
	};

	for (unsigned int cap = 0; cap < 64; cap++)
		if (!(DOCKER_CAPABILITIES >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* EINVAL beyond the last one */
	if (syscall(SYS_capset, &header, data))
		die(EXIT_BROKEN, "capset: %m");
}

int main(int argc, char **argv)
{
	if (argc < 4)
		die(EXIT_USAGE, "usage: inside CGROUP-FOLDER PID PROGRAM [ARGUMENT…]");
	join_cgroup(argv[1]);
	join_namespaces(argv[2]);
	drop_capabilities();
	execvp(argv[3], argv + 3);
	die(127, "%s: %m", argv[3]);
}
