/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's steps as numbers, after each; decides nothing. */
#include "run-internal.h"

static void count_result(struct tally *tally, const struct reconcile_result *result,
			 enum step_why why)
{
	bool mended = result->steps > 0 && result->stubborn == 0;

	tally_add(tally, result->steps > 0 ? TALLY_CHANGED : TALLY_UNCHANGED, 1);
	tally_add(tally, TALLY_LEFT_OUT, result->left_out);
	tally_add(tally, TALLY_HEALS, mended && why == STEP_HEAL);
	tally_add(tally, TALLY_FOUND, mended && why == STEP_PERIODIC ? result->steps : 0);
	if (!result->unsure)
		tally_set_now(tally, TALLY_SUCCESS_TIME);
}

void tally_step(struct tally *tally, const struct nft *nft, const struct host *host,
		const struct reconcile_result *result, enum step_why why)
{
	struct nft_transactions transactions;
	struct host_losses losses;

	if (result)
		count_result(tally, result, why);
	else
		tally_add(tally, TALLY_FAILED, 1);
	nft_get_transactions(nft, &transactions);
	tally_follow(tally, TALLY_COMMITTED, transactions.committed);
	tally_follow(tally, TALLY_REFUSED, transactions.refused);
	host_get_losses(host, &losses);
	tally_follow(tally, TALLY_LOST_STREAMS, losses.streams);
	tally_follow(tally, TALLY_LOST_LINKS, losses.links);
	tally_follow(tally, TALLY_LOST_NETWORKS, losses.networks);
	tally_write(tally);
}
