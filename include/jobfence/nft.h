/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nf_tables over netlink: the only place that reads or writes the ruleset in the kernel. No nft
 * binary is ever run.
 */
#pragma once

#include "jobfence/diag.h"
#include "jobfence/ruleset.h"

struct nft; /* one netlink socket */

int nft_open(struct nft **ret_nft, struct diag *diag);
struct nft *nft_close(struct nft *nft); /* NULL is fine; returns NULL */
/* Another socket in the place of the old one: tables that this owned are nobody's then, and stay.
 * Returns 0 or -errno; then the old one stays. */
int nft_reopen(struct nft *nft, struct diag *diag);
/* The netlink port of the socket: what a table's owner is called. */
uint32_t nft_port(const struct nft *nft);
DEFINE_CLEANUP(struct nft *, nft_close)

/* Something in our tables that is not in the fixed list, or not as it should be. */
enum live_kind {
	LIVE_CHAIN,
	LIVE_SET,
	LIVE_COUNTER,
	LIVE_FLOWTABLE,
	LIVE_GONE_PORT, /* the chain of a port that is no more (6.16 keeps it): no difference */
};

struct live_chain {
	enum family family;
	char *name; /* owned */
	bool base;
	uint32_t hook;
	int32_t priority;
	bool plain;   /* type filter, at most one device: as jobfence makes them */
	bool drops;   /* its policy is not accept */
	char *device; /* owned: of a netdev chain with one device; else NULL */
	char **rules; /* owned fingerprints, in order; see nft_rule_fingerprint() */
	size_t rules_n;
};

struct live_object {
	enum live_kind kind;
	enum family family;
	char *name; /* owned */
};

struct live_counter {
	bool present;
	uint64_t packets, bytes;
};

/* What the kernel has. */
struct live {
	bool table[FAMILY_MAX];
	uint32_t table_flags[FAMILY_MAX];
	uint32_t table_owner[FAMILY_MAX]; /* netlink portid; 0 for none */
	struct live_chain *chains;        /* owned */
	size_t chains_n;
	bool set_present[SET_MAX];
	bool set_differs[SET_MAX];     /* same name, another key, data, counter or flags */
	struct ruleset *elements;      /* owned, sealed, with counters */
	struct live_counter *counters; /* by index of skeleton.counters */
	size_t counters_n;
	struct live_object *extra; /* owned: objects of ours that the fixed list does not have */
	size_t extra_n;
	uint32_t generation;
	bool torn; /* the ruleset changed while it was read: parts may be missing */
};

int live_new(struct live **ret_live);
struct live *live_free(struct live *live);
DEFINE_CLEANUP(struct live *, live_free)

/*
 * Dumps our tables consistently (same generation before and after; up to 10 tries).
 * Returns 0, -EAGAIN (kept changing), or another -errno; @diag says which dump failed.
 */
int nft_read(struct nft *nft, const struct skeleton *skeleton, struct live **ret_live,
	     struct diag *diag);

/*
 * The same, but what keeps changing is taken as it came, and marked: whoever changes something on
 * the host all the time must not keep us from mending. Every difference to what is wanted may be
 * committed all the same; afterwards nothing is known.
 */
int nft_read_torn(struct nft *nft, const struct skeleton *skeleton, struct live **ret_live,
		  struct diag *diag);

/* What each of the skeleton's counters has counted, in packets and in its order; 0 for one that is not
 * there. Returns 0 or -errno with @diag. */
int nft_read_counters(struct nft *nft, const struct skeleton *skeleton, uint64_t *ret_packets,
		      struct diag *diag);
/* What the elements of @set with the keys of @wanted have counted together. Returns 0 or -errno. */
int nft_read_elements(struct nft *nft, enum set_id set, const struct elem *const *wanted, size_t n,
		      uint64_t *ret_packets);

/* A round trip to nf_tables: how many transactions there were. Returns 0 or -errno;
 * -EPROTONOSUPPORT: this kernel has none. */
int nft_generation(struct nft *nft, uint32_t *ret_generation, struct diag *diag);

/*
 * A rule in the form in which two rules are compared: libnftnl's text of every expression. Made at
 * run time on both sides, never stored: the text differs between versions of libnftnl.
 * Returns 0 or -ENOMEM; the text is owned by the caller.
 */
int nft_rule_fingerprint(const struct chain *chain, const struct rule *rule,
			 const struct skeleton_params *params, char **ret_text);

/* Of a table: who opened the socket that made it is the only one who may change it, while the socket
 * lives; and the table outlives the socket. Linux 5.12 and 6.9; older headers lack the second. */
#define TABLE_DORMANT 0x1U
#define TABLE_OWNER 0x2U
#define TABLE_PERSIST 0x4U
#define TABLE_OWNED (TABLE_OWNER | TABLE_PERSIST)

enum op_kind {
	OP_SET_TABLE, /* the flags of one that is there */
	OP_ADD_TABLE,
	OP_FLUSH_CHAIN,
	OP_DEL_CHAIN,
	OP_DEL_SET,
	OP_DEL_COUNTER,
	OP_DEL_FLOWTABLE,
	OP_ADD_COUNTER,
	OP_ADD_SET,
	OP_ADD_CHAIN,
	OP_DEL_ELEM,
	OP_ADD_ELEM,
	OP_ADD_RULE,
	OP_DEL_TABLE,
	OP_COMMIT, /* what follows is a transaction of its own */
};

/* One step of a transaction; the pointers are borrowed from the skeleton and the rulesets. */
struct op {
	enum op_kind kind;
	enum family family;
	const char *name; /* chain, set, counter; OP_SET_TABLE: what is wrong with it; else NULL */
	uint32_t flags;   /* OP_ADD_TABLE, OP_SET_TABLE */
	bool there;       /* OP_ADD_CHAIN: only its policy is another */
	enum set_id set;  /* OP_*_SET, OP_*_ELEM */
	const struct elem *elem;   /* OP_*_ELEM */
	const struct chain *chain; /* OP_ADD_CHAIN, OP_ADD_RULE */
	const struct rule *rule;   /* OP_ADD_RULE */
	uint64_t next;             /* OP_ADD_RULE: sets (SET_BIT_OF) that go by their next name */
};

struct ops {
	struct op *op; /* owned */
	size_t n, cap;
};

void ops_done(struct ops *ops);
int ops_add(struct ops *ops, const struct op *op); /* 0 or -ENOMEM */

/* One step as a sentence for logs and `verify`: "element … of set jobs4 is missing". */
void op_text(const struct op *op, char *buffer, size_t size);

struct commit_stats {
	size_t messages;
	size_t bytes;
	const struct op *refused; /* the step, if exactly one is meant; borrowed from the ops */
};

/*
 * Sends all steps as one transaction, all of it or nothing; with OP_COMMIT between them as several,
 * and what comes before one that fails stays. No steps: nothing is sent.
 * Returns 0 or -errno; @diag then names the first step that the kernel refused, the very element or
 * the rule and its expression. -EPROTONOSUPPORT: this kernel lacks something that every ruleset
 * needs, @diag names the module.
 */
int nft_commit(struct nft *nft, const struct skeleton *skeleton, const struct ops *ops,
	       struct commit_stats *ret_stats, struct diag *diag);

/* What came of the transactions that were sent so far. Probes are none. */
struct nft_transactions {
	uint64_t committed, refused;
};

void nft_get_transactions(const struct nft *nft, struct nft_transactions *ret_transactions);

/* Whether the kernel takes `meta ibrname` in the bridge family. Asked by a transaction that is
 * never committed, about a table of another name: ours may be somebody's. Returns 1, 0 or -errno. */
int nft_probe_bridge_meta(struct nft *nft);
/* The same for the egress hook of a device and `meta rtclassid` in it. */
int nft_probe_egress(struct nft *nft);
/* The same for a copy of a packet to an NFLOG group, in tables inet and bridge. */
int nft_probe_log(struct nft *nft);
/* The same for a table that is owned and outlives its owner. */
int nft_probe_owner(struct nft *nft);
/* Whether the ruleset in the kernel tells of what it stops. Returns 1, 0 or -errno; -ENOENT: there is
 * none. */
int nft_tells(struct nft *nft);
