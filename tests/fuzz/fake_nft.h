/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for nf_tables that answers dumps with messages that it was given. Wants the link option
 * -Wl,--wrap=mnl_socket_sendto; all else is the real code on one end of a socket pair.
 */
#pragma once

#include "nft-internal.h"

struct fake_nft {
	struct nft nft;
	int kernel;              /* the other end */
	const uint8_t *messages; /* borrowed: netlink messages, NEW of each kind */
	size_t size;
};

void fake_nft_open(struct fake_nft *fake);
void fake_nft_close(struct fake_nft *fake);

/* The messages by which an empty kernel would become what is wanted: as a dump has them. To be freed. */
uint8_t *fake_nft_dump(const struct skeleton *skeleton, const struct ruleset *ruleset,
		       size_t *ret_size);
/* A skeleton with few chains, and a ruleset with an element in each set. Built once. */
void fake_nft_model(const struct skeleton **ret_skeleton, const struct ruleset **ret_ruleset);

/* The message at @at of @size bytes: how long it is, whatever it says, or 0 at the end. */
size_t fake_nft_message(const uint8_t *messages, size_t size, size_t at);
