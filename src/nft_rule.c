/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From statements to nf_tables expressions, one function per statement, in the bytecode that nft
 * itself makes of the same text (the tests compare the two), so that nft prints what was meant.
 * Builds and compares; never talks to the kernel.
 */
#include "nft-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdarg.h>
#include <string.h>

#include "field-internal.h"

#define LOG_LEVEL_WARNING 4 /* what the kernel takes where a rule says nothing; its dump has it */

/* A rule under construction. The first failed allocation is remembered, the rest is skipped. */
struct builder {
	struct nftnl_rule *rule;
	const struct skeleton_params *params;
	uint64_t next; /* sets that are looked up by their other name */
	enum family family;
	int error;
	bool ip, ip6;    /* protocol matches that are already in */
	uint8_t l4proto; /* the same */
};

static struct nftnl_expr *add_expr(struct builder *b, const char *name)
{
	struct nftnl_expr *expr = b->error ? NULL : nftnl_expr_alloc(name);

	if (expr)
		nftnl_rule_add_expr(b->rule, expr);
	else
		b->error = -ENOMEM;
	return expr;
}

static void set_u32(struct nftnl_expr *expr, uint16_t attribute, uint32_t value)
{
	if (expr)
		nftnl_expr_set_u32(expr, attribute, value);
}

static void set_str(struct builder *b, struct nftnl_expr *expr, uint16_t attribute,
		    const char *value)
{
	if (expr && nftnl_expr_set(expr, attribute, value, (uint32_t)strlen(value) + 1) < 0)
		b->error = -ENOMEM;
}

static void set_data(struct builder *b, struct nftnl_expr *expr, uint16_t attribute,
		     const void *data, uint32_t len)
{
	if (expr && nftnl_expr_set(expr, attribute, data, len) < 0)
		b->error = -ENOMEM;
}

static void add_cmp(struct builder *b, bool negate, const void *data, uint32_t len)
{
	struct nftnl_expr *expr = add_expr(b, "cmp");

	set_u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	set_u32(expr, NFTNL_EXPR_CMP_OP, negate ? NFT_CMP_NEQ : NFT_CMP_EQ);
	set_data(b, expr, NFTNL_EXPR_CMP_DATA, data, len);
}

static void add_meta(struct builder *b, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *expr = add_expr(b, "meta");

	set_u32(expr, NFTNL_EXPR_META_KEY, key);
	set_u32(expr, NFTNL_EXPR_META_DREG, reg);
}

static struct nftnl_expr *payload_expr(struct builder *b, const struct field_spec *spec)
{
	struct nftnl_expr *expr = add_expr(b, "payload");
	uint32_t base = spec->source == FROM_LINK      ? NFT_PAYLOAD_LL_HEADER
			: spec->source == FROM_NETWORK ? NFT_PAYLOAD_NETWORK_HEADER
						       : NFT_PAYLOAD_TRANSPORT_HEADER;

	set_u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
	set_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, spec->offset);
	set_u32(expr, NFTNL_EXPR_PAYLOAD_LEN, spec->len);
	return expr;
}

static void add_payload(struct builder *b, const struct field_spec *spec, uint32_t reg)
{
	set_u32(payload_expr(b, spec), NFTNL_EXPR_PAYLOAD_DREG, reg);
}

/* No checksum is mended: where the two differ the packet is one that nobody should believe. */
static void add_copy(struct builder *b, const struct stmt *stmt)
{
	struct nftnl_expr *expr;

	add_payload(b, field_spec(stmt->fields[1]), NFT_REG_1);
	expr = payload_expr(b, field_spec(stmt->fields[0]));
	set_u32(expr, NFTNL_EXPR_PAYLOAD_SREG, NFT_REG_1);
	set_u32(expr, NFTNL_EXPR_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_NONE);
	set_u32(expr, NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, 0);
}

/* fib daddr type, fib daddr oif, fib saddr . iif oif (present) */
static void add_fib(struct builder *b, enum field field, uint32_t reg)
{
	struct nftnl_expr *expr = add_expr(b, "fib");
	uint32_t flags = NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT;

	if (field == F_FIB_DADDR_TYPE || field == F_FIB_DADDR_OIF)
		flags = NFTA_FIB_F_DADDR;
	else if (field == F_FIB_DADDR_IIF_TYPE)
		flags = NFTA_FIB_F_DADDR | NFTA_FIB_F_IIF;
	else if (field == F_FIB_SADDR_TYPE)
		flags = NFTA_FIB_F_SADDR;
	set_u32(expr, NFTNL_EXPR_FIB_FLAGS, flags);
	set_u32(expr, NFTNL_EXPR_FIB_RESULT, field_spec(field)->key);
	set_u32(expr, NFTNL_EXPR_FIB_DREG, reg);
}

static void add_load(struct builder *b, enum field field, uint32_t reg)
{
	const struct field_spec *spec = field_spec(field);
	struct nftnl_expr *expr;

	switch (spec->source) {
	case FROM_META:
		add_meta(b, spec->key, reg);
		break;
	case FROM_CT:
		expr = add_expr(b, "ct");
		set_u32(expr, NFTNL_EXPR_CT_KEY, spec->key);
		set_u32(expr, NFTNL_EXPR_CT_DREG, reg);
		break;
	case FROM_SOCKET:
		expr = add_expr(b, "socket");
		set_u32(expr, NFTNL_EXPR_SOCKET_KEY, NFT_SOCKET_CGROUPV2);
		set_u32(expr, NFTNL_EXPR_SOCKET_DREG, reg);
		set_u32(expr, NFTNL_EXPR_SOCKET_LEVEL, field_level(field, b->params));
		break;
	case FROM_FIB:
		add_fib(b, field, reg);
		break;
	case FROM_RT:
		expr = add_expr(b, "rt");
		set_u32(expr, NFTNL_EXPR_RT_KEY, spec->key);
		set_u32(expr, NFTNL_EXPR_RT_DREG, reg);
		break;
	case FROM_LINK:
	case FROM_NETWORK:
	case FROM_TRANSPORT:
		add_payload(b, spec, reg);
		break;
	}
}

static void need(struct builder *b, bool *done, uint8_t nfproto)
{
	if (*done || b->family != FAMILY_INET)
		return;
	*done = true;
	add_meta(b, NFT_META_NFPROTO, NFT_REG_1);
	add_cmp(b, false, &nfproto, sizeof(nfproto));
}

static void need_l4proto(struct builder *b, uint8_t l4proto)
{
	if (b->l4proto == l4proto)
		return;
	b->l4proto = l4proto;
	add_meta(b, NFT_META_L4PROTO, NFT_REG_1);
	add_cmp(b, false, &l4proto, sizeof(l4proto));
}

/* The protocol that a payload field belongs to; in the bridge family the rules say it themselves
 * by the ethertype. */
static void add_needs(struct builder *b, enum field field)
{
	switch (field_spec(field)->needs) {
	case NEEDS_NOTHING:
		break;
	case NEEDS_IP:
		need(b, &b->ip, NFPROTO_IPV4);
		break;
	case NEEDS_IP6:
		need(b, &b->ip6, NFPROTO_IPV6);
		break;
	case NEEDS_TCP:
		need_l4proto(b, IPPROTO_TCP);
		break;
	case NEEDS_ICMPV6:
		need(b, &b->ip6, NFPROTO_IPV6);
		need_l4proto(b, IPPROTO_ICMPV6);
		break;
	case NEEDS_UDP:
		need_l4proto(b, IPPROTO_UDP);
		break;
	case NEEDS_ICMP:
		need(b, &b->ip, NFPROTO_IPV4);
		need_l4proto(b, IPPROTO_ICMP);
		break;
	case NEEDS_IGMP:
		need(b, &b->ip, NFPROTO_IPV4);
		need_l4proto(b, IPPROTO_IGMP);
		break;
	}
}

/* Fields of a concatenation lie behind each other in the registers, each padded to 4 bytes. */
static uint32_t register_at(uint32_t offset)
{
	return offset % 16 ? NFT_REG32_00 + offset / 4 : NFT_REG_1 + offset / 16;
}

static void add_lookup(struct builder *b, const struct stmt *stmt)
{
	struct nftnl_expr *expr;
	uint32_t offset = 0;

	for (uint32_t i = 0; i < stmt->fields_n; i++)
		add_needs(b, stmt->fields[i]);
	for (uint32_t i = 0; i < stmt->fields_n; i++) {
		add_load(b, stmt->fields[i], register_at(offset));
		offset += (field_spec(stmt->fields[i])->len + 3) & ~3u;
	}
	expr = add_expr(b, "lookup");
	set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	set_str(b, expr, NFTNL_EXPR_LOOKUP_SET,
		b->next & SET_BIT_OF(stmt->set) ? set_spec(stmt->set)->next
						: set_spec(stmt->set)->name);
	/* always there: the kernel's dump has it too */
	set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, stmt->negate ? NFT_LOOKUP_F_INV : 0);
}

static void add_compare(struct builder *b, const struct stmt *stmt)
{
	const struct field_spec *spec = field_spec(stmt->fields[0]);
	uint8_t byte = (uint8_t)stmt->value;
	uint16_t port = htons((uint16_t)stmt->value);
	uint32_t word = spec->big_endian ? htonl(stmt->value) : stmt->value;
	uint8_t zero[16] = { 0 }; /* an IPv6 address is compared with :: only */
	const void *data = spec->len == 1   ? (const void *)&byte
			   : spec->len == 2 ? (const void *)&port
			   : spec->len == 4 ? (const void *)&word
					    : (const void *)zero;

	add_needs(b, stmt->fields[0]);
	add_load(b, stmt->fields[0], NFT_REG_1);
	add_cmp(b, stmt->negate, data, spec->len);
}

/* A name that ends in '*' is compared without it, as a prefix. */
static void add_compare_name(struct builder *b, const struct stmt *stmt)
{
	char name[IFNAMSIZ] = { 0 };
	size_t len = strnlen(stmt->name, IFNAMSIZ - 1);
	bool prefix = len > 0 && stmt->name[len - 1] == '*';

	memcpy(name, stmt->name, prefix ? len - 1 : len);
	add_load(b, stmt->fields[0], NFT_REG_1);
	add_cmp(b, stmt->negate, name, prefix ? (uint32_t)len - 1 : IFNAMSIZ);
}

static void add_bitwise(struct builder *b, uint32_t mask, uint32_t xor, uint32_t len)
{
	struct nftnl_expr *expr = add_expr(b, "bitwise");

	set_u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	set_u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	set_u32(expr, NFTNL_EXPR_BITWISE_LEN, len);
	set_data(b, expr, NFTNL_EXPR_BITWISE_MASK, &mask, len);
	set_data(b, expr, NFTNL_EXPR_BITWISE_XOR, &xor, len);
}

static void add_bits(struct builder *b, const struct stmt *stmt)
{
	const struct field_spec *spec = field_spec(stmt->fields[0]);
	/* nft compares a named flag of conntrack with "not zero" */
	bool flag = stmt->fields[0] == F_CT_STATE;
	uint32_t value = flag ? 0 : stmt->value;
	uint32_t mask = stmt->mask;

	if (spec->len == sizeof(uint16_t)) {
		value = htons((uint16_t)value);
		mask = htons((uint16_t)mask);
	}
	add_needs(b, stmt->fields[0]);
	add_load(b, stmt->fields[0], NFT_REG_1);
	add_bitwise(b, mask, 0, spec->len);
	add_cmp(b, flag != stmt->negate, &value, spec->len);
}

static void set_mark(struct builder *b, enum field field)
{
	bool ct = field == F_CT_MARK;
	struct nftnl_expr *expr = add_expr(b, ct ? "ct" : "meta");

	set_u32(expr, ct ? NFTNL_EXPR_CT_KEY : NFTNL_EXPR_META_KEY, field_spec(field)->key);
	set_u32(expr, ct ? NFTNL_EXPR_CT_SREG : NFTNL_EXPR_META_SREG, NFT_REG_1);
}

static void add_mark_map(struct builder *b, enum field mark, enum field from, enum set_id set)
{
	struct nftnl_expr *expr;

	add_load(b, from, NFT_REG_1);
	expr = add_expr(b, "lookup");
	set_u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	set_u32(expr, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_1);
	set_str(b, expr, NFTNL_EXPR_LOOKUP_SET, set_spec(set)->name);
	set_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, 0);
	set_mark(b, mark);
}

static void add_verdict(struct builder *b, const struct stmt *stmt)
{
	static const int32_t codes[] = {
		[VERDICT_ACCEPT] = NF_ACCEPT,  [VERDICT_DROP] = NF_DROP,
		[VERDICT_RETURN] = NFT_RETURN, [VERDICT_JUMP] = NFT_JUMP,
		[VERDICT_GOTO] = NFT_GOTO,
	};
	struct nftnl_expr *expr = add_expr(b, "immediate");

	set_u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	set_u32(expr, NFTNL_EXPR_IMM_VERDICT, (uint32_t)codes[stmt->verdict]);
	if (stmt->name)
		set_str(b, expr, NFTNL_EXPR_IMM_CHAIN, stmt->name);
}

static void add_reject(struct builder *b, const struct stmt *stmt)
{
	bool reset = stmt->reject == REJECT_TCP_RESET;
	struct nftnl_expr *expr;

	if (reset)
		need_l4proto(b, IPPROTO_TCP);
	expr = add_expr(b, "reject");
	set_u32(expr, NFTNL_EXPR_REJECT_TYPE,
		reset ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMPX_UNREACH);
	if (expr)
		nftnl_expr_set_u8(expr, NFTNL_EXPR_REJECT_CODE,
				  reset ? 0 : NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
}

static void add_limit(struct builder *b, const struct stmt *stmt)
{
	struct nftnl_expr *expr = add_expr(b, "limit");

	if (!expr)
		return;
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_RATE, stmt->value);
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_UNIT, 1);
	set_u32(expr, NFTNL_EXPR_LIMIT_BURST, stmt->mask);
	set_u32(expr, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	set_u32(expr, NFTNL_EXPR_LIMIT_FLAGS, 0);
}

static void add_log(struct builder *b, const struct stmt *stmt)
{
	struct nftnl_expr *expr = add_expr(b, "log");

	set_str(b, expr, NFTNL_EXPR_LOG_PREFIX, stmt->name);
	if (stmt->value == 0) {
		set_u32(expr, NFTNL_EXPR_LOG_LEVEL, LOG_LEVEL_WARNING);
		return;
	}
	if (expr)
		nftnl_expr_set_u16(expr, NFTNL_EXPR_LOG_GROUP, (uint16_t)stmt->value);
	set_u32(expr, NFTNL_EXPR_LOG_SNAPLEN, stmt->mask);
}

static void add_stmt(struct builder *b, const struct stmt *stmt)
{
	struct nftnl_expr *expr;

	switch (stmt->kind) {
	case STMT_END:
		break;
	case STMT_LOOKUP:
		add_lookup(b, stmt);
		break;
	case STMT_CMP:
		add_compare(b, stmt);
		if (stmt->fields[0] == F_L4PROTO && !stmt->negate)
			b->l4proto = (uint8_t)stmt->value;
		break;
	case STMT_CMP_NAME:
		add_compare_name(b, stmt);
		break;
	case STMT_BITS:
		add_bits(b, stmt);
		break;
	case STMT_MARK_SET:
		add_load(b, stmt->fields[0], NFT_REG_1);
		add_bitwise(b, stmt->mask, stmt->value, sizeof(uint32_t));
		set_mark(b, stmt->fields[0]);
		break;
	case STMT_COPY:
		add_copy(b, stmt);
		break;
	case STMT_CT_MARK_MAP:
		add_mark_map(b, F_CT_MARK, stmt->fields[0], stmt->set);
		break;
	case STMT_MARK_MAP:
		add_mark_map(b, stmt->fields[0], stmt->fields[1], stmt->set);
		break;
	case STMT_MARK_COPY:
		add_load(b, stmt->fields[1], NFT_REG_1);
		set_mark(b, stmt->fields[0]);
		break;
	case STMT_COUNTER:
		expr = add_expr(b, "objref");
		set_u32(expr, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
		set_str(b, expr, NFTNL_EXPR_OBJREF_IMM_NAME, stmt->name);
		break;
	case STMT_VERDICT:
		add_verdict(b, stmt);
		break;
	case STMT_REJECT:
		add_reject(b, stmt);
		break;
	case STMT_LIMIT:
		add_limit(b, stmt);
		break;
	case STMT_LOG:
		add_log(b, stmt);
		break;
	}
}

static int add_comment(struct nftnl_rule *rule, const char *text)
{
	struct nftnl_udata_buf *udata = nftnl_udata_buf_alloc(256);
	int r = 0;

	if (!udata)
		return -ENOMEM;
	if (!nftnl_udata_put_strz(udata, NFTNL_UDATA_RULE_COMMENT, text) ||
	    nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(udata),
				nftnl_udata_buf_len(udata)) < 0)
		r = -ENOMEM;
	nftnl_udata_buf_free(udata);
	return r;
}

int nft_rule_build(const struct chain *chain, const struct rule *rule,
		   const struct skeleton_params *params, uint64_t next,
		   struct nftnl_rule **ret_rule)
{
	_cleanup_(nftnl_rule_freep) struct nftnl_rule *built = nftnl_rule_alloc();
	struct builder b = {
		.rule = built, .params = params, .next = next, .family = chain->family
	};

	if (!built)
		return -ENOMEM;
	nftnl_rule_set_u32(built, NFTNL_RULE_FAMILY, family_number(chain->family));
	if (nftnl_rule_set_str(built, NFTNL_RULE_TABLE, TABLE_NAME) < 0 ||
	    nftnl_rule_set_str(built, NFTNL_RULE_CHAIN, chain->name) < 0)
		return -ENOMEM;
	for (const struct stmt *stmt = rule->stmts; stmt->kind != STMT_END; stmt++)
		add_stmt(&b, stmt);
	if (b.error)
		return b.error;
	if (rule->why && add_comment(built, rule->why) < 0)
		return -ENOMEM;
	*ret_rule = take_ptr(built);
	return 0;
}

static int print_expr(struct nftnl_expr *expr, void *data)
{
	FILE *out = data;
	char text[512];

	if (nftnl_expr_snprintf(text, sizeof(text), expr, NFTNL_OUTPUT_DEFAULT, 0) < 0)
		return -1;
	fprintf(out, "[%s %s]", nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), text);
	/* libnftnl does not print the level */
	if (strcmp(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), "socket") == 0)
		fprintf(out, "[level %u]", nftnl_expr_get_u32(expr, NFTNL_EXPR_SOCKET_LEVEL));
	return 0;
}

int nft_rule_text(struct nftnl_rule *rule, char **ret_text)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	uint32_t len = 0;
	const uint8_t *udata;

	if (!out)
		return -ENOMEM;
	int r = nftnl_expr_foreach(rule, print_expr, out);

	udata = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &len);
	for (uint32_t i = 0; udata && i < len; i++)
		fprintf(out, "%02x", udata[i]);
	if (fclose(out) != 0 || r < 0) {
		free(text);
		return -ENOMEM;
	}
	*ret_text = text;
	return 0;
}

int nft_rule_fingerprint(const struct chain *chain, const struct rule *rule,
			 const struct skeleton_params *params, char **ret_text)
{
	_cleanup_(nftnl_rule_freep) struct nftnl_rule *built = NULL;
	int r = nft_rule_build(chain, rule, params, 0, &built);

	return r < 0 ? r : nft_rule_text(built, ret_text);
}
