/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts the daemon into its sandbox; what it is made of is in include/jobfence/sandbox.h and
 * sandbox_calls.c. Never ends the daemon: a fence without a sandbox is better than none, so what does
 * not take hold is told and the rest goes on. A system call that the table lacks is answered as a
 * kernel without it would (ENOSYS), which every libc knows how to go on from, and logged by the
 * kernel (audit, type 1326); it does not kill, since a daemon that a new libc made a new call for
 * would leave a fence that nobody keeps up to date.
 */
#include "jobfence/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "jobfence/cleanup.h"
#include "sandbox-internal.h"

/* Those of later versions of Landlock than Debian 12's headers. */
#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define NET_BIND_AND_CONNECT_TCP 3ULL
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

struct landlock_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

/* Also where it was told already. */
static void tell(struct diag *diag, const char *what, int error)
{
	if (!diag->text[0])
		(void)diag_set(diag, error, "%s: %s", what, strerror(-error));
}

/* --- capabilities --- */

static int get_caps(uint64_t *ret_permitted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	*ret_permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	return 0;
}

static int set_caps(uint64_t caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = (uint32_t)(caps >> 32 * i);
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* CAP_DAC_OVERRIDE: a hierarchy's root folder is nobody's to write to, root's neither. */
#define KEPT (1ULL << CAP_NET_ADMIN | 1ULL << CAP_DAC_OVERRIDE)

/* Where the unit has left no more than what is wanted nothing is to be done, and its filter would
 * refuse to: a unit can also have taken CAP_SETPCAP. */
static int drop_capabilities(void)
{
	uint64_t permitted = 0;
	int r = get_caps(&permitted);

	if (r < 0)
		return r;
	if (permitted & 1ULL << CAP_SETPCAP)
		for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
			if (!(KEPT & 1ULL << cap) && prctl(PR_CAPBSET_DROP, cap) < 0)
				return -errno;
	if (permitted & ~KEPT)
		return set_caps(permitted & KEPT);
	return 0;
}

/* --- Landlock --- */

/* All that changes the file system, and running programs. Reading is left open: a reload may name
 * files anywhere, and whoever has the engine's socket could have them read for him. */
static uint64_t landlock_files(int version)
{
	uint64_t access = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
			  LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
			  LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
			  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
			  LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
			  LANDLOCK_ACCESS_FS_MAKE_SYM;

	if (version >= 2)
		access |= FS_REFER;
	if (version >= 3)
		access |= FS_TRUNCATE;
	if (version >= 5)
		access |= FS_IOCTL_DEV;
	return access;
}

static void landlock_init(struct landlock_attr *attr, int version)
{
	const char *notify = getenv("NOTIFY_SOCKET");

	*attr = (struct landlock_attr){ .handled_access_fs = landlock_files(version) };
	if (version >= 4)
		attr->handled_access_net = NET_BIND_AND_CONNECT_TCP;
	if (version >= 6)
		attr->scoped = SCOPE_SIGNAL;
	if (version >= 6 && (!notify || notify[0] != '@')) /* systemd's may be an abstract one */
		attr->scoped |= SCOPE_ABSTRACT_UNIX_SOCKET;
}

static int allow_folders(int ruleset)
{
	_cleanup_close_ int fd = open(SANDBOX_WRITABLE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct landlock_path_beneath_attr below = {
		.allowed_access = LANDLOCK_ACCESS_FS_MAKE_DIR,
		.parent_fd = fd,
	};

	if (fd < 0) /* no cgroups: then none are made */
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &below, 0) < 0
		       ? -errno
		       : 0;
}

/* Returns 0 and the kernel's version, which is 0 where Landlock is not built in or not switched on. */
static int enter_landlock(int *ret_version)
{
	struct landlock_attr attr;
	_cleanup_close_ int ruleset = -1;
	int r, version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
				      LANDLOCK_CREATE_RULESET_VERSION);

	*ret_version = 0;
	if (version < 1)
		return 0;
	landlock_init(&attr, version);
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return -errno;
	r = allow_folders(ruleset);
	if (r < 0)
		return r;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return -errno;
	*ret_version = version;
	return 0;
}

/* --- system calls --- */

DEFINE_CLEANUP(scmp_filter_ctx, seccomp_release)

static int allow_call(scmp_filter_ctx ctx, const struct sandbox_call *call)
{
	int number = seccomp_syscall_resolve_name(call->name);

	if (number < 0) /* not on this machine, or not known to this libseccomp */
		return 0;
	switch (call->test) {
	case SANDBOX_ANY:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 0);
	case SANDBOX_IS:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 1,
					SCMP_CMP(call->arg, SCMP_CMP_EQ, call->value, 0));
	case SANDBOX_NONE:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 1,
					SCMP_CMP(call->arg, SCMP_CMP_MASKED_EQ, call->value, 0));
	case SANDBOX_SELF:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 1,
					SCMP_CMP(call->arg, SCMP_CMP_EQ, (uint64_t)getpid(), 0));
	}
	return -EINVAL;
}

static int filter_calls(void)
{
	_cleanup_(seccomp_releasep) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = ctx ? 0 : -ENOMEM;

	/* the two are refinements: an older kernel or libseccomp does without */
	if (ctx) {
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
		(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	}
	for (size_t i = 0; i < sandbox_calls_n && r == 0; i++)
		r = allow_call(ctx, &sandbox_calls[i]);
	return r < 0 ? r : seccomp_load(ctx);
}

/* valgrind makes code and system calls of its own in this process, and knows neither Landlock nor
 * seccomp. It tells by what it preloads; who can set that for the daemon needs no way out. */
static bool runs_on_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "/vgpreload_core");
}

void sandbox_enter(struct sandbox *ret_sandbox, struct diag *diag)
{
	struct sandbox sandbox = { 0 };
	bool valgrind = runs_on_valgrind();
	int r;

	*diag = (struct diag){ 0 };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		tell(diag, "no new privileges", -errno);
	r = drop_capabilities();
	if (r < 0)
		tell(diag, "capabilities", r);
	sandbox.capabilities = r == 0;
	r = valgrind ? -ENOTSUP : enter_landlock(&sandbox.landlock);
	if (r < 0)
		tell(diag, "Landlock", r);
	/* last: the others need calls that it refuses */
	r = valgrind ? -ENOTSUP : filter_calls();
	if (r < 0)
		tell(diag, "system-call filter", r);
	sandbox.system_calls = r == 0;
	*ret_sandbox = sandbox;
}
