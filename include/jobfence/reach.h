/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who reaches whom: pure. Every answer is what the rules with these elements say of a described
 * connection, hook by hook, there and back (packet.h); there is no second opinion about what a
 * container may do. What the host's other rules deny is not in it: jobfence only takes away.
 */
#pragma once

#include "jobfence/packet.h"
#include "jobfence/policy.h"

enum reach_kind {
	REACH_CONTAINER, /* its own services */
	REACH_RUNNER,    /* a job's runner: only as a target */
	REACH_SHIM,
	REACH_DCGM,
	REACH_HOST, /* as a target: other services of the host */
	REACH_LAN,  /* as a source: whoever is not on this host */
	REACH_INTERNET,
	REACH_METADATA,
};

enum reach_state {
	REACH_NONE, /* there is no such way: itself, or no address of this family */
	REACH_ALLOWED,
	REACH_DENIED,
	REACH_PARTLY,   /* some ports or addresses */
	REACH_AUDITED,  /* counted and let through */
	REACH_NOT_HELD, /* denied, to a container that the fence cannot hold */
	REACH_UNKNOWN,
};

struct reach_place {
	enum reach_kind kind;
	size_t container; /* of the model, where the kind is about one */
};

/* One connection. */
struct reach_flow {
	size_t row, column;
	bool six;
	struct sock_addr to;
	enum reach_state state; /* never PARTLY */
	const char *counter;    /* that stops it, or would; NULL */
	const char *also;       /* what may count it instead, by how the host is set up; NULL */
	bool by_listener;       /* it depends on who listens there */
	uint64_t listener;      /* the cgroup that is meant to; 0: any */
	bool may_try;           /* with real packets: see probe */
};

/* One field of the table; its flows are together. */
struct reach_cell {
	enum reach_state state;
	const char *counter;
	size_t flow, flows_n;
};

struct reach_input {
	const struct config *config;
	const struct model *model;
	const struct skeleton *skeleton;
	const struct ruleset *ruleset;
	const struct ruleset *kept; /* what is in the kernel, see struct rules; NULL: not known */
	const struct verdict *verdicts;
	bool bridge_calls[2]; /* br_netfilter hands IPv4, IPv6 between ports to the inet tables */
	/* What stands for a LAN and for the internet, by family; unset: any such address. */
	struct sock_addr lan[2], internet[2];
};

struct reach {
	struct reach_place *rows, *columns; /* owned */
	size_t rows_n, columns_n;
	struct reach_flow *flows; /* owned; by row, column, family */
	size_t flows_n, flows_cap;
	struct reach_cell *cells; /* owned; see reach_cell() */
};

/* Returns 0 or -ENOMEM. @ret_reach must be empty. Counters are the skeleton's strings. */
int reach_build(const struct reach_input *input, struct reach *ret_reach);
void reach_done(struct reach *reach);
const struct reach_cell *reach_cell(const struct reach *reach, size_t row, size_t column, bool six);

const char *reach_kind_name(enum reach_kind kind);    /* "container", "runner", "shim", … */
const char *reach_state_name(enum reach_state state); /* "none", "allowed", "denied", … */
/* What several are together. */
enum reach_state reach_merge(enum reach_state a, enum reach_state b);
