/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The resolvers that the engine gives to containers, from the texts that it takes them from.
 * Pure: text in, addresses out. A container's own resolv.conf is none of these texts: the job can
 * write it.
 */
#pragma once

#include <stddef.h>

#include "jobfence/addr.h"
#include "jobfence/diag.h"

#define RESOLVERS_MAX 128 /* beyond it they are passed over, which opens less */
#define RESOLV_PATH_MAX 512

struct resolvers {
	struct ip_addr addr[RESOLVERS_MAX]; /* each once, in the order in which they came */
	size_t n;
};

/* Adds @addr unless it is there, there is no room, or it can never be opened (loopback, 0.0.0.0,
 * multicast, IPv4 as IPv6). */
void resolvers_add(struct resolvers *resolvers, const struct ip_addr *addr);

/*
 * The name servers of a resolv.conf, added to @resolvers. Addresses with a zone are passed over:
 * they mean a link of the host, which a container does not have.
 * Returns true where the only name server is systemd-resolved's stub, 127.0.0.53, for which Docker
 * takes /run/systemd/resolve/resolv.conf instead.
 */
bool resolv_conf_read(const char *text, struct resolvers *resolvers);

/*
 * "dns" of a daemon.json, added to @resolvers; what is no address there is passed over.
 * *@ret_named: the key is there and not empty, whatever it names. Returns 0, or -EINVAL with @diag.
 */
int resolv_daemon_json(const char *text, size_t len, struct resolvers *resolvers, bool *ret_named,
		       struct diag *diag);

struct dockerd_args {
	bool is_dockerd; /* the program's name is dockerd */
	bool dns_named;  /* --dns is there */
	struct resolvers dns;
	char config_file[RESOLV_PATH_MAX]; /* --config-file; empty: not there, or not absolute */
};

/* A command line as /proc/PID/cmdline has it. */
void resolv_dockerd_args(const char *args, size_t len, struct dockerd_args *ret_args);
