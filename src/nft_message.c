/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The buffer in which a transaction's messages are put together. It grows, and never sends.
 */
#include "nft-internal.h"

#include <string.h>

/* For one message: its attributes must stay below 64 KiB. */
#define MESSAGE_ROOM 65536

void batch_done(struct batch *batch)
{
	free(batch->data);
	*batch = (struct batch){ 0 };
}

void *batch_reserve(struct batch *batch)
{
	if (batch->cap - batch->len < MESSAGE_ROOM) {
		size_t cap = (batch->cap ? batch->cap * 2 : 2 * MESSAGE_ROOM);
		uint8_t *grown = realloc(batch->data, cap);

		if (!grown)
			return NULL;
		/* attributes are padded by leaving bytes out: the kernel gets zeros there */
		memset(grown + batch->cap, 0, cap - batch->cap);
		batch->data = grown;
		batch->cap = cap;
	}
	return batch->data + batch->len;
}

struct nlmsghdr *batch_begin(struct batch *batch, enum family family, uint16_t type, uint16_t flags)
{
	void *place = batch_reserve(batch);

	if (!place)
		return NULL;
	return nftnl_nlmsg_build_hdr(place, type, (uint16_t)family_number(family), flags,
				     batch->seq++);
}

void batch_end(struct batch *batch, const struct nlmsghdr *nlh)
{
	batch->last = batch->len;
	batch->len += NLMSG_ALIGN(nlh->nlmsg_len);
}
