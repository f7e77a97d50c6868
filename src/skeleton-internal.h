/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Constructors that make a rule in C read like its nft text. Each returns one statement; RULE()
 * appends a rule made of them to a chain.
 */
#pragma once

#include <assert.h>

#include "jobfence/ruleset.h"

#define RULE(chain, reason, ...)                                                            \
	do {                                                                                \
		const struct stmt _stmts[] = { __VA_ARGS__ };                               \
		static_assert(ARRAY_SIZE(_stmts) <= RULE_STMTS_MAX, "too many statements"); \
		chain_rule((chain), (reason), _stmts, ARRAY_SIZE(_stmts));                  \
	} while (0)

/* fields @set */
#define IN(set_id_, ...)                           \
	((struct stmt){ .kind = STMT_LOOKUP,       \
			.set = (set_id_),          \
			.fields = { __VA_ARGS__ }, \
			.fields_n = ARRAY_SIZE(((enum field[]){ __VA_ARGS__ })) })
/* fields != @set: aborts the rule when a field cannot be read, so never the only deny */
#define NOT_IN(set_id_, ...)                       \
	((struct stmt){ .kind = STMT_LOOKUP,       \
			.negate = true,            \
			.set = (set_id_),          \
			.fields = { __VA_ARGS__ }, \
			.fields_n = ARRAY_SIZE(((enum field[]){ __VA_ARGS__ })) })
#define EQ(field_, value_) \
	((struct stmt){ .kind = STMT_CMP, .fields = { field_ }, .fields_n = 1, .value = (value_) })
#define NE(field_, value_)                    \
	((struct stmt){ .kind = STMT_CMP,     \
			.negate = true,       \
			.fields = { field_ }, \
			.fields_n = 1,        \
			.value = (value_) })
#define NAMED(field_, name_) \
	((struct stmt){      \
		.kind = STMT_CMP_NAME, .fields = { field_ }, .fields_n = 1, .name = (name_) })
#define NOT_NAMED(field_, name_)               \
	((struct stmt){ .kind = STMT_CMP_NAME, \
			.negate = true,        \
			.fields = { field_ },  \
			.fields_n = 1,         \
			.name = (name_) })
/* field & mask == value */
#define BITS(field_, mask_, value_)           \
	((struct stmt){ .kind = STMT_BITS,    \
			.fields = { field_ }, \
			.fields_n = 1,        \
			.mask = (mask_),      \
			.value = (value_) })
/* mark set mark | bit, mark set mark & ~bit */
#define SET_BIT(field_, bit_)                  \
	((struct stmt){ .kind = STMT_MARK_SET, \
			.fields = { field_ },  \
			.fields_n = 1,         \
			.mask = ~(bit_),       \
			.value = (bit_) })
#define CLEAR_BIT(field_, bit_)                \
	((struct stmt){ .kind = STMT_MARK_SET, \
			.fields = { field_ },  \
			.fields_n = 1,         \
			.mask = ~(bit_),       \
			.value = 0 })
/* to set from: for two that must be equal and cannot be compared (nft has no such test) */
#define COPY(to_, from_) \
	((struct stmt){ .kind = STMT_COPY, .fields = { to_, from_ }, .fields_n = 2 })
#define COUNT(name_) ((struct stmt){ .kind = STMT_COUNTER, .name = (name_) })
#define ACCEPT ((struct stmt){ .kind = STMT_VERDICT, .verdict = VERDICT_ACCEPT })
#define DROP ((struct stmt){ .kind = STMT_VERDICT, .verdict = VERDICT_DROP })
#define RETURN ((struct stmt){ .kind = STMT_VERDICT, .verdict = VERDICT_RETURN })
#define JUMP(name_) \
	((struct stmt){ .kind = STMT_VERDICT, .verdict = VERDICT_JUMP, .name = (name_) })
#define GOTO(name_) \
	((struct stmt){ .kind = STMT_VERDICT, .verdict = VERDICT_GOTO, .name = (name_) })
#define RESET ((struct stmt){ .kind = STMT_REJECT, .reject = REJECT_TCP_RESET })
#define LIMIT(rate_, burst_) \
	((struct stmt){ .kind = STMT_LIMIT, .value = (rate_), .mask = (burst_) })
#define LOG(prefix_) ((struct stmt){ .kind = STMT_LOG, .name = (prefix_) })
/* log prefix "…" group N snaplen 96: a copy of the head, to whoever reads the group */
#define TO_GROUP(prefix_, group_) \
	((struct stmt){           \
		.kind = STMT_LOG, .name = (prefix_), .value = (group_), .mask = RECORD_SNAPLEN })
#define PROHIBIT ((struct stmt){ .kind = STMT_REJECT, .reject = REJECT_ADMIN_PROHIBITED })

#define REPLY EQ(F_CT_DIRECTION, 1)
#define ORIGINAL EQ(F_CT_DIRECTION, 0)
/* tcp flags syn / syn,ack: the packet that opens a connection, whatever conntrack takes it for */
#define BARE_SYN BITS(F_TCP_FLAGS, 0x12, 0x02)
/* tcp flags & (syn | ack) != syn */
#define NO_BARE_SYN                                \
	((struct stmt){ .kind = STMT_BITS,         \
			.negate = true,            \
			.fields = { F_TCP_FLAGS }, \
			.fields_n = 1,             \
			.mask = 0x12,              \
			.value = 0x02 })
/* tcp flags & syn == syn: with or without others */
#define ANY_SYN BITS(F_TCP_FLAGS, 0x02, 0x02)
/* tcp flags & rst == rst */
#define RST BITS(F_TCP_FLAGS, 0x04, 0x04)
/* ct state invalid: no connection, so no direction and no mark either */
#define INVALID BITS(F_CT_STATE, 0x01, 0x01)
/* ct state related: here an ICMP error about somebody's packet */
#define RELATED BITS(F_CT_STATE, 0x04, 0x04)
#define UNTRACKED BITS(F_CT_STATE, 0x40, 0x40)
/* ct status & confirmed == 0: in input, a packet that did not pass the host's own output */
#define UNCONFIRMED BITS(F_CT_STATUS, 0x08, 0)
/* ip frag-off & 0x3fff != 0: a fragment, the first one too */
#define FRAGMENT                                     \
	((struct stmt){ .kind = STMT_BITS,           \
			.negate = true,              \
			.fields = { F_IP_FRAG_OFF }, \
			.fields_n = 1,               \
			.mask = 0x3fff,              \
			.value = 0 })
/* @ll,0,32 0x0180c200: to 01:80:c2:00:…, groups that no bridge forwards (IEEE 802.1Q, 8.6.3) */
#define LINK_GROUP EQ(F_RAW_ETHER_DADDR4, 0x0180c200)
#define TO_LOCAL EQ(F_FIB_DADDR_TYPE, 2 /* RTN_LOCAL */)

struct chain *skeleton_chain(struct skeleton *skeleton, enum family family, const char *name,
			     const char *why);
struct chain *skeleton_base_chain(struct skeleton *skeleton, enum family family, const char *name,
				  uint32_t hook, int32_t priority);
void chain_rule(struct chain *chain, const char *why, const struct stmt *stmts, size_t n);

/* The parts of the skeleton, in the order of the listing. */
void skeleton_inet_loopback(struct skeleton *skeleton);
void skeleton_inet_bridges(struct skeleton *skeleton); /* skeleton_bridge.c */
void skeleton_inet_egress(struct skeleton *skeleton);
void skeleton_inet_output(struct skeleton *skeleton); /* skeleton_host.c */
void skeleton_inet_input(struct skeleton *skeleton);
void skeleton_foreign(struct skeleton *skeleton);
void skeleton_bridge(struct skeleton *skeleton); /* skeleton_ports.c: table bridge */
void skeleton_injected(struct skeleton *skeleton);

/* skeleton_egress.c: its rules in the chains of others. */
void egress_of_bridge(const struct skeleton *skeleton, struct chain *chain);
void egress_to_host_service(struct chain *chain);
void egress_answer_of_service(struct chain *chain);
void egress_to_service_listener(struct chain *chain);
void egress_of_host_job(const struct skeleton *skeleton, struct chain *chain);

/* socket cgroupv2 level 1 @foreign_roots jump TARGET: one lookup where there are none */
void foreign_roots(struct chain *chain, const char *target);

/* What follows a deny of @group is reached in spite of it: evaluation goes on there. */
static inline bool audited(const struct skeleton *skeleton, enum rule_group group)
{
	return skeleton->params.audit & GROUP_BIT(group);
}
/* Takes the verdicts from the rules of audited groups. */
void skeleton_audit(struct skeleton *skeleton);
/* The last step: has what is stopped, or would be, told. */
void skeleton_records(struct skeleton *skeleton);
