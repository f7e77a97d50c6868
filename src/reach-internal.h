/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of reach share: where a packet comes from or goes to. */
#pragma once

#include "jobfence/reach.h"
#include "policy-internal.h"

enum side_kind {
	SIDE_PORT, /* a container behind a port of a bridge */
	SIDE_HOST, /* a socket of this host: a process, or a container on its network */
	SIDE_OUTSIDE,
};

struct side {
	enum side_kind kind;
	struct ip_addr addr;
	char bridge[IFNAMSIZ], port[IFNAMSIZ]; /* SIDE_PORT */
	int bridge_index;
	struct mac_addr mac;
	uint64_t cgroup[PACKET_LEVELS_MAX + 1]; /* SIDE_HOST: of its socket, by level */
};

/* reach_walk.c: a TCP connection from @from to @to, its answer too. @ret_by_listener: input decided
 * it, by whose socket it is. */
void reach_walk(const struct reach_input *input, const struct side *from, const struct side *to,
		uint16_t port, struct judged *ret_judged, bool *ret_by_listener);

/* reach_sides.c */

struct reach_sides {
	const struct reach_input *input;
	struct policy policy; /* borrows all but the index of ports and who owns which namespace */
};

int reach_sides_init(struct reach_sides *sides, const struct reach_input *input);
void reach_sides_done(struct reach_sides *sides);
/* The container whose network namespace this one is in. */
size_t reach_owner(const struct reach_sides *sides, size_t container);
/* Where container @i is, a side for each network; for @other (NULL: itself) the host's address is
 * the one by which that knows it. Returns how many; 0: it has no address of this family. */
#define SIDES_MAX 16
size_t reach_container_sides(const struct reach_sides *sides, size_t i, bool six,
			     const struct side *other, struct side ret_sides[static SIDES_MAX]);
/* The one on @other's bridge, if there is one. False: none at all. */
bool reach_container_side(const struct reach_sides *sides, size_t i, bool six,
			  const struct side *other, struct side *ret_side);
/* A process of the host, docker-proxy, and what the host is called for @from. */
void reach_host_side(const struct reach_input *input, bool six, const struct side *from,
		     struct side *ret_side);
void reach_engine_side(const struct reach_input *input, bool six, const struct side *from,
		       struct side *ret_side);
void reach_outside_side(const struct ip_addr *addr, struct side *ret_side);

/* reach_targets.c: the connections that a cell stands for. */

struct reach_target {
	struct side side;
	uint16_t port;
	const char *also;
	uint64_t listener;
	bool may_try;
};

#define REACH_TARGETS_MAX 96

struct reach_targets {
	struct reach_target target[REACH_TARGETS_MAX];
	size_t n;
	bool unknown; /* there are some that could not be found, or too many */
};

void reach_targets(const struct reach_sides *sides, const struct reach_place *row,
		   const struct side *from, const struct reach_place *column, bool six,
		   struct reach_targets *ret_targets);
