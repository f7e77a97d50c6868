/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the nf_tables files share: the socket, the batch under construction, rule building. */
#pragma once

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>

#include "jobfence/nft.h"

struct nft {
	struct mnl_socket *socket;
	uint32_t seq;
	size_t send_buffer; /* what SO_SNDBUF was last raised to */
	bool torn;          /* take what changes while it is read */
	struct nft_transactions transactions;
};

DEFINE_CLEANUP(struct nftnl_rule *, nftnl_rule_free)
DEFINE_CLEANUP(struct nftnl_set *, nftnl_set_free)
DEFINE_CLEANUP(struct nftnl_chain *, nftnl_chain_free)
DEFINE_CLEANUP(struct nftnl_table *, nftnl_table_free)
DEFINE_CLEANUP(struct nftnl_obj *, nftnl_obj_free)
DEFINE_CLEANUP(struct nftnl_set_elem *, nftnl_set_elem_free)

/* NFPROTO_INET, NFPROTO_BRIDGE or NFPROTO_NETDEV. */
uint32_t family_number(enum family family);

/* nft_request.c: sends one request and runs @fn on every message of its answer. Returns 0 (also where
 * what is asked for is not there) or -errno; -EINTR: what was asked for changed meanwhile. */
int nft_request(struct nft *nft, struct nlmsghdr *nlh, mnl_cb_t fn, void *data);

/* The rule as libnftnl has it, with its comment. @next as in struct op. Returns 0 or -ENOMEM. */
int nft_rule_build(const struct chain *chain, const struct rule *rule,
		   const struct skeleton_params *params, uint64_t next,
		   struct nftnl_rule **ret_rule);
/* Text of a rule's expressions and comment. Returns 0 or -ENOMEM. */
int nft_rule_text(struct nftnl_rule *rule, char **ret_text);

/* The one rule of a port's egress chain, without the chain's name. */
extern const struct chain nft_port_chain;
extern const struct rule nft_port_rule;

/* Turns the chains of ports that were read into elements of SET_EGRESS_PORTS; one that is not as it
 * should be becomes something unexpected. Returns 0 or -ENOMEM. */
int nft_read_ports(struct live *live, const struct skeleton *skeleton);
void live_chain_done(struct live_chain *chain);
int live_add_extra(struct live *live, enum live_kind kind, enum family family, const char *name);

/* The set's description as nft 1.0.6 would write it. Returns 0 or -ENOMEM. */
int nft_set_build(enum set_id id, const char *name, struct nftnl_set **ret_set);
/* NFT_SET_… */
uint32_t nft_set_flags(const struct set_spec *spec);
/* 32-bit key type of nft for @types (6 bits a field). */
uint32_t nft_key_type(const enum key_type types[static SET_FIELDS_MAX]);

/* Messages being put together for one transaction. */
struct batch {
	uint8_t *data; /* owned */
	size_t len, cap;
	size_t zeroed;      /* behind what is written, up to here */
	size_t last;        /* where the last message begins */
	uint32_t first_seq; /* of the batch's begin message */
	uint32_t seq;       /* next */
};

/* nft_message.c */

void batch_done(struct batch *batch);
/* Room for one message, zeroed. Returns its place, or NULL without memory. */
void *batch_reserve(struct batch *batch, size_t room);
/* A message's header in such a place, with the next number; NULL without memory. */
struct nlmsghdr *batch_begin(struct batch *batch, enum family family, uint16_t type,
			     uint16_t flags);
/* The same with @room for its attributes. */
struct nlmsghdr *batch_begin_long(struct batch *batch, enum family family, uint16_t type,
				  uint16_t flags, size_t room);
/* Its attributes are complete. */
void batch_end(struct batch *batch, const struct nlmsghdr *nlh);

/* nft_ports.c: the step of a port's egress chain. Returns 0 or -ENOMEM. */
int batch_add_port(struct batch *batch, const struct skeleton *skeleton, const struct op *op);
#define OP_MESSAGES_MAX 3

/* nft_batch.c: appends what is needed for ops[0…]. Returns how many ops it took (elements of one
 * set go together), or -ENOMEM. */
ssize_t batch_add_ops(struct batch *batch, const struct skeleton *skeleton, const struct op *ops,
		      size_t n);

/* The answers to one transaction. */
struct answers {
	uint32_t first_seq, end_seq; /* its numbers: from, up to but without */
	bool acked;
	int error; /* the first one, negative; 0: none */
	uint32_t error_seq;
	uint32_t offset;   /* of the attribute that it means; 0: not told */
	unsigned int more; /* errors */
	char text[120];    /* the kernel's own words, safe; mostly empty */
};

/* nft_answers.c */

void answers_take(struct answers *answers, const struct nlmsghdr *nlh);
/* All that is there. Returns 0 or -errno. */
int nft_read_answers(struct nft *nft, struct answers *answers);
/* Which element of a message an offset means, without the ends of intervals. -EAGAIN: not told;
 * -ENOENT: none of them. */
ssize_t refused_element(const struct nlmsghdr *nlh, uint32_t offset);
/* The same for the name of a rule's expression; NULL: not told. Points into the message. */
const char *refused_expression(const struct nlmsghdr *nlh, uint32_t offset);
/* What a kernel that refuses this lacks, with its module or option; NULL: it is something else. */
const char *missing_feature(const struct op *op, const char *expression, int error);
