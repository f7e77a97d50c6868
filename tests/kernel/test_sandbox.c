/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process in the daemon's sandbox can and cannot do. Everything is done twice, each time by a
 * process of its own: outside the sandbox all of it has to work, else the test says nothing. Inside,
 * what the daemon needs works and the rest does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "jobfence/sandbox.h"

#define SKIP 77
#define FILE_HERE "/run/file"
#define SOCKET_HERE "/run/socket"
#define CGROUP_NAME "jobfence-sandbox"
#define CODE_REFUSED 1
#define CODE_BROKEN 2

static pid_t bystander;  /* a process to be hands off of */
static int written = -1; /* a file that is open for writing already, as the lock is */

static int result_of(bool worked)
{
	return worked ? EXIT_SUCCESS : CODE_REFUSED;
}

/* --- attempts; each returns an exit code of its process --- */

static int write_file(void)
{
	return result_of(open(FILE_HERE, O_WRONLY | O_CLOEXEC) >= 0);
}

static int append_file(void)
{
	return result_of(syscall(SYS_openat, AT_FDCWD, FILE_HERE, O_RDWR | O_APPEND) >= 0);
}

static int make_file(void)
{
	return result_of(open("/run/another", O_RDONLY | O_CREAT | O_CLOEXEC, 0600) >= 0);
}

static int make_nameless_file(void)
{
	return result_of(open("/run", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) >= 0);
}

static int cut_file(void)
{
	return result_of(truncate(FILE_HERE, 1) == 0);
}

static int rename_file(void)
{
	return result_of(rename(FILE_HERE, FILE_HERE) == 0);
}

static int remove_file(void)
{
	return result_of(unlink("/run/to-remove") == 0);
}

static int make_folder_elsewhere(void)
{
	return result_of(mkdir("/run/folder", 0755) == 0);
}

static int change_mode(void)
{
	return result_of(chmod(FILE_HERE, 0600) == 0);
}

static int run_program(void)
{
	char *argv[] = { "true", NULL };

	execv("/bin/true", argv);
	return CODE_REFUSED;
}

_unused_ static int make_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result_of(pid > 0);
}

static int open_internet(void)
{
	return result_of(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
}

static int open_internet6(void)
{
	return result_of(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
}

static int open_packet_socket(void)
{
	return result_of(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
}

static int listen_somewhere(void)
{
	struct sockaddr_un here = { .sun_family = AF_UNIX, .sun_path = "/run/mine" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return result_of(bind(fd, (struct sockaddr *)&here, sizeof(here)) == 0 &&
			 listen(fd, 1) == 0);
}

_unused_ static int trace_process(void)
{
	return result_of(ptrace(PTRACE_ATTACH, bystander, NULL, NULL) == 0);
}

static int signal_process(void)
{
	return result_of(kill(bystander, SIGCONT) == 0);
}

static int signal_thread(void)
{
	return result_of(syscall(SYS_tgkill, bystander, bystander, SIGCONT) == 0);
}

static int mount_something(void)
{
	return result_of(mount("none", "/run", "tmpfs", 0, NULL) == 0);
}

static int change_root(void)
{
	return result_of(chroot("/run") == 0);
}

static int make_namespace(void)
{
	return result_of(unshare(CLONE_NEWNET) == 0);
}

_unused_ static int load_code(void)
{
	return result_of(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

_unused_ static int make_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result_of(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
}

static int use_bpf(void)
{
	char attr[128] = { 1 /* BPF_MAP_TYPE_HASH */ };

	attr[4] = attr[8] = 4;
	attr[12] = 1;
	return result_of(syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, attr, sizeof(attr)) >= 0);
}

static int become_another(void)
{
	return result_of(syscall(SYS_setresuid, 1000, 1000, 1000) == 0);
}

static int read_file(void)
{
	char byte;
	int fd = open(FILE_HERE, O_RDONLY | O_CLOEXEC);

	return result_of(fd >= 0 && read(fd, &byte, 1) == 1);
}

/* A configuration that was put in the place of the old one. */
static int read_new_file(void)
{
	char byte;
	int fd = open("/run/later/file", O_RDONLY | O_CLOEXEC);

	return result_of(fd >= 0 && read(fd, &byte, 1) == 1);
}

static int read_others_proc(void)
{
	static const char *const files[] = { "cgroup", "comm", "cmdline", "stat" };
	char path[64], byte;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/%s", (int)bystander, files[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, &byte, 1) != 1)
			return CODE_REFUSED;
	}
	return EXIT_SUCCESS;
}

static int write_what_is_open(void)
{
	return result_of(write(written, "x", 1) == 1);
}

static int rewrite_what_is_open(void)
{
	return result_of(pwrite(written, "x", 1, 0) == 1);
}

/* In the root of the hierarchy, which has the mode 0555. */
static const char *cgroup_root(void)
{
	static const char unified[] = SANDBOX_WRITABLE "/unified";

	return access(unified, F_OK) == 0 ? unified : SANDBOX_WRITABLE;
}

static int make_cgroup(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/" CGROUP_NAME, cgroup_root());
	return result_of(mkdir(path, 0755) == 0);
}

static int use_netlink(void)
{
	int size = 1024 * 1024, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	/* the forced size is what CAP_NET_ADMIN is asked for */
	return result_of(fd >= 0 &&
			 setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) == 0);
}

static int dial_engine(void)
{
	struct sockaddr_un there = { .sun_family = AF_UNIX, .sun_path = SOCKET_HERE };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return result_of(fd >= 0 && connect(fd, (struct sockaddr *)&there, sizeof(there)) == 0);
}

/* SIGABRT is the only signal, and goes to itself. */
static int abort_itself(void)
{
	return result_of(syscall(SYS_tgkill, getpid(), getpid(), SIGCHLD) == 0);
}

static const struct attempt {
	const char *what;
	int (*fn)(void);
	bool needed;
} attempts[] = {
	{ "write to a file", write_file, false },
	{ "append to a file", append_file, false },
	{ "make a file", make_file, false },
	{ "make a file without a name", make_nameless_file, false },
	{ "cut a file", cut_file, false },
	{ "rename a file", rename_file, false },
	{ "remove a file", remove_file, false },
	{ "make a folder that is no cgroup", make_folder_elsewhere, false },
	{ "change a file's mode", change_mode, false },
	{ "run a program", run_program, false },
	{ "open an IPv4 socket", open_internet, false },
	{ "open an IPv6 socket", open_internet6, false },
	{ "open a packet socket", open_packet_socket, false },
	{ "listen on a socket", listen_somewhere, false },
	{ "send a signal", signal_process, false },
	{ "send a signal to a thread", signal_thread, false },
	{ "mount", mount_something, false },
	{ "change the root", change_root, false },
	{ "make a namespace", make_namespace, false },
	{ "make a map of BPF", use_bpf, false },
	{ "become another user", become_another, false },
#if !defined(__SANITIZE_ADDRESS__) /* which needs them; tests/vm has a build without */
	{ "make a process", make_process, false },
	{ "trace a process", trace_process, false },
	{ "load code", load_code, false },
	{ "make code", make_code, false },
#endif
	{ "read a file", read_file, true },
	{ "read a file that was put there later", read_new_file, true },
	{ "read of another process", read_others_proc, true },
	{ "write to what is open", write_what_is_open, true },
	{ "write at a place in what is open", rewrite_what_is_open, true },
	{ "make a cgroup", make_cgroup, true },
	{ "use netlink with CAP_NET_ADMIN", use_netlink, true },
	{ "dial the engine", dial_engine, true },
	{ "abort", abort_itself, true },
};

/* --- a process for each --- */

static void wait_for_byte(int fd)
{
	char byte;

	if (read(fd, &byte, 1) != 1)
		_exit(CODE_BROKEN);
}

/* In the sandbox or outside, or CODE_BROKEN. */
static int attempt(const struct attempt *attempt, bool confined)
{
	int ready[2], later[2], status;
	char cgroup[64];
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(later, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct sandbox sandbox;
		struct diag diag;

		if (unshare(CLONE_NEWNS) < 0)
			_exit(CODE_BROKEN);
		if (confined) {
			sandbox_enter(&sandbox, &diag);
			if (diag.text[0]) {
				fprintf(stderr, "%s\n", diag.text);
				_exit(CODE_BROKEN);
			}
		}
		if (write(ready[1], "r", 1) != 1)
			_exit(CODE_BROKEN);
		wait_for_byte(later[0]);
		_exit(attempt->fn());
	}
	close(ready[1]);
	close(later[0]);
	wait_for_byte(ready[0]);
	/* after it was confined */
	assert_int_equal(system("mkdir -p /run/later; echo y >/run/later/new; "
				"mv /run/later/new /run/later/file; echo x >/run/to-remove"),
			 0);
	assert_int_equal(write(later[1], "l", 1), 1);
	close(ready[0]);
	close(later[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	kill(bystander, SIGCONT);
	snprintf(cgroup, sizeof(cgroup), "%s/" CGROUP_NAME, cgroup_root());
	assert_true(rmdir(cgroup) == 0 || errno == ENOENT);
	assert_int_equal(system("rm -rf /run/folder /run/mine /run/another"), 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Only Landlock tells one folder from another. */
static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

static void test_attempts(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		int outside = attempt(&attempts[i], false), inside = attempt(&attempts[i], true);

		if (attempts[i].fn == make_folder_elsewhere && !has_landlock())
			continue;
		if (outside != EXIT_SUCCESS)
			fail_msg("outside the sandbox: %s: %d", attempts[i].what, outside);
		if (inside != (attempts[i].needed ? EXIT_SUCCESS : CODE_REFUSED))
			fail_msg("inside the sandbox: %s: %d", attempts[i].what, inside);
	}
}

static uint64_t status_field(pid_t pid, const char *name, int base)
{
	char path[64], line[256];
	FILE *file;
	uint64_t value = UINT64_MAX;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			value = strtoull(line + strlen(name) + 1, NULL, base);
	fclose(file);
	return value;
}

static void test_credentials(void **state)
{
	static const char *const sets[] = { "CapPrm", "CapEff", "CapBnd" };
	int ready[2], end[2];
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(end, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct sandbox sandbox;
		struct diag diag;

		close(end[1]);
		sandbox_enter(&sandbox, &diag);
		if (!sandbox.capabilities || !sandbox.system_calls || diag.text[0] ||
		    write(ready[1], "r", 1) != 1)
			_exit(CODE_BROKEN);
		_exit(read(end[0], ready, 1) == 0 ? 0 : CODE_BROKEN);
	}
	close(end[0]);
	wait_for_byte(ready[0]);
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		assert_int_equal(status_field(pid, sets[i], 16),
				 1 << CAP_NET_ADMIN | 1 << CAP_DAC_OVERRIDE);
	assert_int_equal(status_field(pid, "CapInh", 16), 0);
	assert_int_equal(status_field(pid, "CapAmb", 16), 0);
	assert_int_equal(status_field(pid, "NoNewPrivs", 10), 1);
	assert_int_equal(status_field(pid, "Seccomp", 10), 2);
	close(end[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* What jobfence.service leaves of the capabilities, and a filter of systemd's that refuses capset(). */
static int confine_as_the_unit(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	uint32_t caps = 1 << CAP_NET_ADMIN | 1 << CAP_DAC_OVERRIDE;
	struct __user_cap_data_struct data[2] = { { .effective = caps, .permitted = caps } };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	if (!ctx || syscall(SYS_capset, &header, data) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(capset), 0) < 0 ||
	    seccomp_load(ctx) < 0)
		return -1;
	seccomp_release(ctx);
	return 0;
}

static void test_in_the_unit(void **state)
{
	struct sandbox sandbox;
	struct diag diag;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (confine_as_the_unit() < 0)
			_exit(CODE_BROKEN);
		sandbox_enter(&sandbox, &diag);
		_exit(result_of(sandbox.capabilities && sandbox.system_calls && !diag.text[0]));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What does not take hold is told; nothing ends. */
static void test_told(void **state)
{
	struct sandbox sandbox;
	struct diag diag;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		sandbox_enter(&sandbox, &diag);
		sandbox_enter(&sandbox, &diag); /* capget() is refused by now */
		_exit(result_of(!sandbox.capabilities && diag.text[0]));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* --- set-up --- */

static void serve(void)
{
	struct sockaddr_un here = { .sun_family = AF_UNIX, .sun_path = SOCKET_HERE };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	assert_int_equal(listen(fd, 64), 0);
}

static int setup(void **state)
{
	assert_int_equal(system("echo text >" FILE_HERE), 0);
	written = open(FILE_HERE, O_RDWR | O_APPEND | O_CLOEXEC);
	assert_true(written >= 0);
	serve();
	bystander = fork();
	if (bystander == 0)
		for (;;)
			pause();
	return bystander > 0 ? 0 : -1;
}

static int teardown(void **state)
{
	kill(bystander, SIGKILL);
	waitpid(bystander, NULL, 0);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attempts),
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_in_the_unit),
		cmocka_unit_test(test_told),
	};

	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/run", "tmpfs", 0, NULL) < 0) {
		fprintf(stderr, "cannot make a mount namespace: %s\n", strerror(errno));
		return SKIP;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
