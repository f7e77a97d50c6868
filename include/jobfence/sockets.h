/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listening sockets of this network namespace, by sock_diag (libmnl): TCP, UDP, abstract unix
 * sockets, vsock; and which process has each. For commands only: the daemon never looks. Only looks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "jobfence/addr.h"
#include "jobfence/diag.h"

struct nlmsghdr;

enum listener_kind {
	LISTENER_TCP,
	LISTENER_UDP, /* bound and connected to nobody */
	LISTENER_UNIX,
	LISTENER_VSOCK,
	LISTENER_KINDS,
};

#define LISTENER_NAME_MAX 64
#define LISTENERS_MAX 4096 /* of all kinds together; of more only how many */

struct listener {
	enum listener_kind kind;
	struct ip_addr addr;          /* TCP, UDP */
	uint32_t port;                /* host byte order; vsock: 32 bits */
	uint32_t cid;                 /* vsock */
	char name[LISTENER_NAME_MAX]; /* abstract unix: without the NUL before it, made safe */
	uint64_t cgroup_id;           /* of the socket; 0: not told */
	uint32_t inode;
	pid_t pid;        /* one that has it open; 0: not found */
	char process[20]; /* its name, made safe; "" not found */
};

struct sockets {
	struct listener *listeners; /* owned */
	size_t n, cap;
	size_t more;                  /* beyond LISTENERS_MAX */
	bool unknown[LISTENER_KINDS]; /* could not be asked for: trouble says why */
	struct diag trouble;
	bool owners_unknown; /* not every process could be looked into */
};

/* What cannot be asked for is unknown, and no failure. Returns 0 or -ENOMEM. */
int sockets_list(struct sockets *ret_sockets);
/* Finds the processes, by a bounded walk of /proc. */
void sockets_find_owners(struct sockets *sockets);
void sockets_done(struct sockets *sockets);

/* One message of an answer. Pure. Returns 1 with a listener; 0 for what is of no interest; -EINVAL
 * for one that is cut short. */
int sockets_parse(const struct nlmsghdr *header, enum listener_kind kind,
		  struct listener *ret_listener);

const char *listener_kind_name(enum listener_kind kind); /* "tcp", "udp", "unix", "vsock" */
