/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An owner's netlink port as a process: /proc/net/netlink has the socket of the port, and the
 * descriptors below /proc its process. Never trusts that a port is a process number, which it is for
 * the first socket of a process only, and in that process's own namespace.
 */
#include "jobfence/owner.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "jobfence/text.h"

DEFINE_CLEANUP(DIR *, closedir)

/* The inode of the socket, 0 where there is none. */
static unsigned long find_socket(uint32_t port)
{
	_cleanup_(fclosep) FILE *in = fopen("/proc/self/net/netlink", "re");
	char line[256];

	while (in && fgets(line, sizeof(line), in)) {
		unsigned long inode;
		unsigned int protocol;
		uint32_t number;

		/* sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode */
		if (sscanf(line, "%*s %u %" SCNu32 " %*s %*s %*s %*s %*s %*s %lu", &protocol,
			   &number, &inode) == 3 &&
		    protocol == NETLINK_NETFILTER && number == port)
			return inode;
	}
	return 0;
}

static bool holds(const char *pid, const char *socket)
{
	char path[300], target[64];
	_cleanup_(closedirp) DIR *dir = NULL;
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (len < 0)
			continue;
		target[len] = '\0';
		if (strcmp(target, socket) == 0)
			return true;
	}
	return false;
}

pid_t owner_pid(uint32_t port)
{
	unsigned long inode = port ? find_socket(port) : 0;
	_cleanup_(closedirp) DIR *proc = inode ? opendir("/proc") : NULL;
	const struct dirent *entry;
	char socket[64];

	snprintf(socket, sizeof(socket), "socket:[%lu]", inode);
	while (proc && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) && holds(entry->d_name, socket))
			return (pid_t)strtol(entry->d_name, NULL, 10);
	return 0;
}

static bool read_name(pid_t pid, char *name, size_t size)
{
	_cleanup_(fclosep) FILE *in = NULL;
	char path[64], comm[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	in = fopen(path, "re");
	if (!in || !fgets(comm, sizeof(comm), in))
		return false;
	comm[strcspn(comm, "\n")] = '\0';
	text_safe(comm, name, size);
	return true;
}

const char *owner_text(uint32_t port, char buffer[static OWNER_TEXT_MAX])
{
	pid_t pid = owner_pid(port);
	char name[64];

	if (pid > 0 && read_name(pid, name, sizeof(name)))
		snprintf(buffer, OWNER_TEXT_MAX, "%s (pid %d)", name, (int)pid);
	else
		snprintf(buffer, OWNER_TEXT_MAX, "a process with netlink port %" PRIu32, port);
	return buffer;
}

static enum owner judge_table(const struct live *live, size_t family, pid_t daemon)
{
	pid_t pid;

	if (!(live->table_flags[family] & TABLE_OWNER))
		return live->table_flags[family] & TABLE_PERSIST ? OWNER_ORPHAN : OWNER_NOBODY;
	if (daemon == 0)
		return OWNER_ANOTHER;
	pid = owner_pid(live->table_owner[family]);
	/* what cannot be told is not held against it */
	return pid == 0 || daemon < 0 || pid == daemon ? OWNER_DAEMON : OWNER_ANOTHER;
}

enum owner owner_judge(const struct live *live, pid_t daemon, char text[static OWNER_TEXT_MAX])
{
	enum owner worst = OWNER_UNTOLD;

	text[0] = '\0';
	for (size_t i = 0; i < FAMILY_MAX; i++) {
		enum owner owner = live->table[i] ? judge_table(live, i, daemon) : OWNER_UNTOLD;

		if (owner <= worst)
			continue;
		worst = owner;
		if (owner == OWNER_ANOTHER)
			owner_text(live->table_owner[i], text);
	}
	return worst;
}

int owner_check(const struct live *live, uint32_t port, struct diag *diag)
{
	char who[OWNER_TEXT_MAX];

	for (size_t i = 0; i < FAMILY_MAX; i++) {
		const char *family = family_name(i);

		if (!live->table[i] || !(live->table_flags[i] & TABLE_OWNER) ||
		    live->table_owner[i] == port)
			continue;
		return diag_set(diag, -EBUSY,
				"table %s " TABLE_NAME " is owned by %s: the kernel lets nobody "
				"else change it; stop that process first "
				"(nft list table %s " TABLE_NAME " shows what is in it)",
				family, owner_text(live->table_owner[i], who), family);
	}
	return 0;
}
