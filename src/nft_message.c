/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The buffer in which a transaction's messages are put together. It grows, and never sends.
 */
#include "nft-internal.h"

#include <assert.h>
#include <string.h>

/* More than any message but a list of elements takes. */
#define MESSAGE_ROOM 16384

void batch_done(struct batch *batch)
{
	free(batch->data);
	*batch = (struct batch){ 0 };
}

void *batch_reserve(struct batch *batch, size_t room)
{
	size_t end = batch->len + room;

	if (end > batch->cap) {
		size_t cap = end > 2 * batch->cap ? end : 2 * batch->cap;
		uint8_t *grown = realloc(batch->data, cap);

		if (!grown)
			return NULL;
		batch->data = grown;
		batch->cap = cap;
	}
	/* attributes are padded by leaving bytes out: the kernel gets zeros there */
	if (batch->zeroed < end) {
		memset(batch->data + batch->zeroed, 0, end - batch->zeroed);
		batch->zeroed = end;
	}
	return batch->data + batch->len;
}

struct nlmsghdr *batch_begin_long(struct batch *batch, enum family family, uint16_t type,
				  uint16_t flags, size_t room)
{
	void *place = batch_reserve(batch, room);

	if (!place)
		return NULL;
	return nftnl_nlmsg_build_hdr(place, type, (uint16_t)family_number(family), flags,
				     batch->seq++);
}

struct nlmsghdr *batch_begin(struct batch *batch, enum family family, uint16_t type, uint16_t flags)
{
	return batch_begin_long(batch, family, type, flags, MESSAGE_ROOM);
}

void batch_end(struct batch *batch, const struct nlmsghdr *nlh)
{
	batch->last = batch->len;
	batch->len += NLMSG_ALIGN(nlh->nlmsg_len);
	assert(batch->len <= batch->cap);
}
