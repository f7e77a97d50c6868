/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each field is, said once for the text (render.c) and for the kernel (nft_rule.c).
 */
#pragma once

#include "jobfence/ruleset.h"

enum field_source {
	FROM_META,
	FROM_CT,
	FROM_SOCKET,
	FROM_FIB,
	FROM_RT,
	FROM_LINK,      /* payload: link layer header */
	FROM_NETWORK,   /* payload: network header */
	FROM_TRANSPORT, /* payload: transport header */
};

/* What must have been matched before a payload field may be read; nft adds these unasked. */
enum field_needs {
	NEEDS_NOTHING,
	NEEDS_IP,
	NEEDS_IP6,
	NEEDS_TCP,
	NEEDS_ICMPV6,
	NEEDS_UDP,
	NEEDS_ICMP,
	NEEDS_IGMP,
};

struct field_spec {
	const char *text; /* in nft's words; a cgroup level is put in with %u */
	enum field_source source;
	uint32_t key;    /* NFT_META_…, NFT_CT_…, NFT_RT_…; fib, socket: see nft_rule.c */
	uint32_t offset; /* of a payload */
	uint32_t len;    /* bytes */
	enum field_needs needs;
	bool big_endian; /* the register holds network order */
};

const struct field_spec *field_spec(enum field field);

/* The cgroup level that @field reads; 0 for other fields. */
uint32_t field_level(enum field field, const struct skeleton_params *params);
