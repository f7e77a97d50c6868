/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the benchmark's programs share: the clock, the samples' form, the listener for commits. A
 * sample is one line, "METRIC VARIANT SIZE UNIT VALUE", tab separated; report.py knows the rest.
 */
#pragma once

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nf_tables.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static inline void *must(void *pointer)
{
	if (!pointer)
		die("out of memory");
	return pointer;
}

static inline void sample(const char *metric, const char *variant, size_t size, const char *unit,
			  double value)
{
	printf("%s\t%s\t%zu\t%s\t%.9g\n", metric, variant, size, unit, value);
}

/* A socket that hears of every commit in this network namespace; not blocking. */
static inline struct mnl_socket *commits_open(void)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int group = NFNLGRP_NFTABLES, bytes = 32 << 20;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(nl, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		die("cannot listen to nf_tables: %m");
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	return nl;
}

/* Reads what is there; true if a transaction was committed (its last message is NEWGEN). */
static inline bool commits_heard(struct mnl_socket *nl)
{
	static char buffer[1 << 16];
	bool heard = false;
	ssize_t len;

	while ((len = mnl_socket_recvfrom(nl, buffer, sizeof(buffer))) > 0) {
		int left = (int)len;

		for (const struct nlmsghdr *nlh = (const void *)buffer; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left))
			heard |= nlh->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN);
	}
	return heard;
}
