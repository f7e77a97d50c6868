/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A packet as the rules see it, and what the rules say of it: pure. The rules are those of the
 * skeleton with the elements of a ruleset, walked as the kernel walks them; nothing here knows what
 * they are for. What cannot be told is told so, and never taken for a deny.
 */
#pragma once

#include "jobfence/addr.h"
#include "jobfence/ruleset.h"

#define PACKET_LEVELS_MAX 8

/* What a packet is to one hook. Names: empty for none. */
struct packet {
	char iif[IFNAMSIZ], oif[IFNAMSIZ];
	char iifkind[16], oifkind[16];        /* empty: hardware, the kernel has no name for it */
	char ibrname[IFNAMSIZ];               /* of a frame: the bridge that it came in by */
	bool routed;                          /* it carries a route */
	uint16_t ethertype;                   /* 0x0800, 0x86dd, 0x0806 */
	struct mac_addr ether_src, ether_dst; /* of a frame */
	struct ip_addr src, dst;              /* of ARP: the sender's, whose MAC is ether_src */
	uint8_t l4proto;
	uint16_t sport, dport;
	uint8_t tcp_flags;
	uint32_t mark;
	bool reply; /* conntrack's direction */
	uint32_t ct_state, ct_status, ct_mark;
	/* The cgroup of its socket and its ancestors, by level; 0: none, or no socket. */
	uint64_t cgroup[PACKET_LEVELS_MAX + 1];
	uint32_t fib_saddr_type, fib_daddr_type, fib_daddr_iif_type; /* RTN_… */
	uint32_t fib_daddr_oif, fib_saddr_iif; /* an interface; 0: no route there */
};

enum ruling {
	RULING_PASS,
	RULING_DENY,
	RULING_UNKNOWN, /* a rule asks for what the packet does not say */
};

struct judged {
	enum ruling ruling;
	const char *counter; /* of the rule that denied it; NULL: it counts nowhere */
	const char *audited; /* the first counter that would have denied it; NULL: none */
};

struct rules {
	const struct skeleton *skeleton;
	const struct ruleset *ruleset; /* sealed */
	/* What is in the kernel, for sets whose elements may stay there (ruleset.keep); NULL: not
	 * known, and what is not in the ruleset cannot be told then. */
	const struct ruleset *kept;
};

/* Runs the base chains of a hook by priority, while the packet passes. Changes its marks.
 * @ret_judged is added to: it starts zeroed, and a packet that was denied stays so. */
void rules_hook(const struct rules *rules, enum family family, uint32_t hook, struct packet *packet,
		struct judged *judged);
/* The egress hook of the port that it leaves by (packet.oif). */
void rules_egress(const struct rules *rules, struct packet *packet, struct judged *judged);

enum readable {
	READ_ABSENT, /* the kernel ends the rule there, without a verdict */
	READ_YES,
	READ_UNKNOWN,
};

/* packet.c: the field in the bytes that a set's key has of it (16 at most), and as a number for
 * what is compared with one. */
enum readable packet_bytes(const struct packet *packet, const struct skeleton_params *params,
			   enum field field, uint8_t bytes[static 16], uint32_t *ret_len);
enum readable packet_number(const struct packet *packet, const struct skeleton_params *params,
			    enum field field, uint32_t *ret_number);
