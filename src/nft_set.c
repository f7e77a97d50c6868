/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets and elements as messages. The user data of a set tells nft how to print it, and wrong user
 * data makes nft abort for the whole host: what is written here is what nft 1.0.6 writes for the
 * same text, byte for byte, and never the newer "typeof" form that crashes it.
 */
#include "nft-internal.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

/* nft's numbers of its data types: part of the user data's format (nft include/datatype.h). */
static uint32_t type_number(enum key_type type)
{
	switch (type) {
	case KEY_NONE:
		return 0;
	case KEY_IFNAME:
		return 0x29;
	case KEY_IPV4:
		return 7;
	case KEY_IPV6:
		return 8;
	case KEY_ETHER:
		return 9;
	case KEY_INET_PROTO:
		return 12;
	case KEY_INET_SERVICE:
		return 13;
	case KEY_MARK:
		return 0x13;
	case KEY_CGROUP:
		return 0x2e;
	case KEY_IFINDEX:
		return 0x14;
	}
	return 0;
}

uint32_t nft_key_type(const enum key_type types[static SET_FIELDS_MAX])
{
	uint32_t type = 0;

	/* 6 bits a field; the values are ABI of the nft tool */
	for (size_t i = 0; i < SET_FIELDS_MAX && types[i] != KEY_NONE; i++)
		type = type << 6 | type_number(types[i]);
	return type;
}

/* 1: host order, 2: big endian; 0 for concatenations. */
static uint32_t byte_order(const struct set_spec *spec)
{
	if (spec->key[1] != KEY_NONE)
		return 0;
	switch (spec->key[0]) {
	case KEY_IFNAME:
	case KEY_MARK:
	case KEY_CGROUP:
	case KEY_IFINDEX:
		return 1;
	case KEY_NONE:
	case KEY_IPV4:
	case KEY_IPV6:
	case KEY_ETHER:
	case KEY_INET_PROTO:
	case KEY_INET_SERVICE:
		return 2;
	}
	return 0;
}

static int add_user_data(struct nftnl_set *set, const struct set_spec *spec)
{
	struct nftnl_udata_buf *udata = nftnl_udata_buf_alloc(256);
	bool ok;

	if (!udata)
		return -ENOMEM;
	ok = nftnl_udata_put_u32(udata, NFTNL_UDATA_SET_KEYBYTEORDER, byte_order(spec));
	if (spec->data != KEY_NONE)
		ok = ok && nftnl_udata_put_u32(udata, NFTNL_UDATA_SET_DATABYTEORDER, 1);
	ok = ok && nftnl_udata_put_strz(udata, NFTNL_UDATA_SET_COMMENT, spec->why);
	ok = ok && nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(udata),
				      nftnl_udata_buf_len(udata)) == 0;
	nftnl_udata_buf_free(udata);
	return ok ? 0 : -ENOMEM;
}

uint32_t nft_set_flags(const struct set_spec *spec)
{
	uint32_t flags = spec->data != KEY_NONE ? NFT_SET_MAP : 0;

	if (spec->timed)
		flags |= NFT_SET_TIMEOUT;
	if (spec->interval)
		flags |= NFT_SET_INTERVAL;
	if (spec->interval && spec->key[1] != KEY_NONE)
		flags |= NFT_SET_CONCAT;
	return flags;
}

/* Ranges in several fields: the kernel wants to know where each field ends. */
static int add_fields(struct nftnl_set *set, const struct set_spec *spec)
{
	uint8_t len[SET_FIELDS_MAX];
	uint32_t n = 0;

	if (!(nft_set_flags(spec) & NFT_SET_CONCAT))
		return 0;
	for (; n < SET_FIELDS_MAX && spec->key[n] != KEY_NONE; n++)
		len[n] = (uint8_t)key_type_len(spec->key[n]);
	return nftnl_set_set_data(set, NFTNL_SET_DESC_CONCAT, len, n) < 0 ? -ENOMEM : 0;
}

int nft_set_build(enum set_id id, const char *name, struct nftnl_set **ret_set)
{
	const struct set_spec *spec = set_spec(id);
	_cleanup_(nftnl_set_freep) struct nftnl_set *set = nftnl_set_alloc();

	if (!set)
		return -ENOMEM;
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, family_number(spec->family));
	nftnl_set_set_u32(set, NFTNL_SET_ID, (uint32_t)id + 1);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, nft_key_type(spec->key));
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, set_key_len(spec));
	if (spec->data != KEY_NONE) {
		nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, type_number(spec->data));
		nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, key_type_len(spec->data));
	}
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, nft_set_flags(spec));
	if (nftnl_set_set_str(set, NFTNL_SET_TABLE, TABLE_NAME) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, name) < 0 || add_fields(set, spec) < 0 ||
	    add_user_data(set, spec) < 0)
		return -ENOMEM;
	if (spec->counter) {
		struct nftnl_expr *counter = nftnl_expr_alloc("counter");

		if (!counter)
			return -ENOMEM;
		nftnl_set_add_expr(set, counter);
	}
	*ret_set = take_ptr(set);
	return 0;
}
