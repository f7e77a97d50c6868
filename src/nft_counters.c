/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The named counters and nothing else, for whoever compares them before and after: a fraction of a
 * millisecond, where the whole ruleset takes several. What is not there has counted nothing.
 */
#include "nft-internal.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#define TRIES 10

struct reading {
	const struct skeleton *skeleton;
	enum family family;
	uint64_t *packets;
};

static int on_counter(const struct nlmsghdr *nlh, void *data)
{
	struct reading *reading = data;
	_cleanup_(nftnl_obj_freep) struct nftnl_obj *obj = nftnl_obj_alloc();
	const struct skeleton *skeleton = reading->skeleton;

	if (!obj) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	if (nftnl_obj_nlmsg_parse(nlh, obj) < 0 ||
	    nftnl_obj_get_u32(obj, NFTNL_OBJ_TYPE) != NFT_OBJECT_COUNTER ||
	    strcmp(nftnl_obj_get_str(obj, NFTNL_OBJ_TABLE) ?: "", TABLE_NAME) != 0)
		return MNL_CB_OK;
	for (size_t i = 0; i < skeleton->counters_n; i++)
		if (skeleton->counters[i].family == reading->family &&
		    strcmp(skeleton->counters[i].name,
			   nftnl_obj_get_str(obj, NFTNL_OBJ_NAME) ?: "") == 0)
			reading->packets[i] = nftnl_obj_get_u64(obj, NFTNL_OBJ_CTR_PKTS);
	return MNL_CB_OK;
}

static int read_once(struct nft *nft, const struct skeleton *skeleton, uint64_t *ret_packets)
{
	int r = 0;

	memset(ret_packets, 0, skeleton->counters_n * sizeof(*ret_packets));
	for (size_t family = 0; r >= 0 && family < FAMILY_MAX; family++) {
		struct reading reading = { skeleton, (enum family)family, ret_packets };
		char buffer[512] = { 0 };
		struct nlmsghdr *nlh;

		if (!skeleton_has_family(skeleton, reading.family))
			continue;
		nlh = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETOBJ,
					    (uint16_t)family_number(reading.family), NLM_F_DUMP,
					    nft->seq++);
		mnl_attr_put_strz(nlh, NFTA_OBJ_TABLE, TABLE_NAME);
		r = nft_request(nft, nlh, on_counter, &reading);
	}
	return r;
}

int nft_read_counters(struct nft *nft, const struct skeleton *skeleton, uint64_t *ret_packets,
		      struct diag *diag)
{
	int r = -EINTR;

	for (int i = 0; i < TRIES && r == -EINTR; i++)
		r = read_once(nft, skeleton, ret_packets);
	if (r < 0)
		return diag_set(diag, r, "cannot read the counters of jobfence: %s", strerror(-r));
	return 0;
}

/* --- elements --- */

DEFINE_CLEANUP(struct nftnl_set_elems_iter *, nftnl_set_elems_iter_destroy)

struct sum {
	const struct elem *const *wanted;
	size_t wanted_n;
	uint64_t packets;
};

static int add_counter(struct nftnl_expr *expr, void *data)
{
	if (strcmp(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), "counter") == 0)
		*(uint64_t *)data += nftnl_expr_get_u64(expr, NFTNL_EXPR_CTR_PACKETS);
	return 0;
}

static void add_elem(struct sum *sum, struct nftnl_set_elem *elem)
{
	uint32_t len = 0;
	const void *key = nftnl_set_elem_get(elem, NFTNL_SET_ELEM_KEY, &len);

	for (size_t i = 0; key && len <= ELEM_KEY_MAX && i < sum->wanted_n; i++)
		if (memcmp(sum->wanted[i]->key, key, len) == 0) {
			nftnl_set_elem_expr_foreach(elem, add_counter, &sum->packets);
			return;
		}
}

static int on_elems(const struct nlmsghdr *nlh, void *data)
{
	_cleanup_(nftnl_set_freep) struct nftnl_set *set = nftnl_set_alloc();
	_cleanup_(nftnl_set_elems_iter_destroyp) struct nftnl_set_elems_iter *iter = NULL;
	struct nftnl_set_elem *elem;

	if (!set || (nftnl_set_elems_nlmsg_parse(nlh, set) < 0 && errno == ENOMEM) ||
	    !(iter = nftnl_set_elems_iter_create(set))) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	while ((elem = nftnl_set_elems_iter_next(iter)))
		add_elem(data, elem);
	return MNL_CB_OK;
}

int nft_read_elements(struct nft *nft, enum set_id id, const struct elem *const *wanted, size_t n,
		      uint64_t *ret_packets)
{
	_cleanup_(nftnl_set_freep) struct nftnl_set *set = nftnl_set_alloc();
	struct sum sum = { .wanted = wanted, .wanted_n = n };
	char buffer[512] = { 0 };
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETSETELEM,
						     (uint16_t)family_number(set_spec(id)->family),
						     NLM_F_DUMP, nft->seq++);
	int r;

	if (!set || nftnl_set_set_str(set, NFTNL_SET_TABLE, TABLE_NAME) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, set_spec(id)->name) < 0)
		return -ENOMEM;
	nftnl_set_elems_nlmsg_build_payload(nlh, set);
	r = nft_request(nft, nlh, on_elems, &sum);
	if (r < 0)
		return r;
	*ret_packets = sum.packets;
	return 0;
}
