/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One step from the model to the kernel: policy, comparison, one transaction. Keeps what it last
 * committed, so that one container's coming and going costs one small transaction; whoever doubts
 * that picture calls reconcile_forget() and the next step reads the kernel.
 */
#pragma once

#include "jobfence/attempt.h"
#include "jobfence/nft.h"
#include "jobfence/policy.h"

struct reconcile;

/* reconcile_result.stubborn when it is found */
#define STUBBORN_FIRST 3

/* Who may change the tables in the kernel, as of the last step that read it. */
enum ownership {
	OWNERSHIP_UNKNOWN,
	OWNERSHIP_OURS,       /* nobody but this process */
	OWNERSHIP_NOT_WANTED, /* anybody: so configured */
	OWNERSHIP_NO_KERNEL,  /* anybody: before Linux 6.9 a table does not outlive its owner */
	OWNERSHIP_OLD_TABLE,  /* anybody: made by another, and cannot be owned any more */
};

struct reconcile_result {
	size_t steps;    /* of the transaction; 0: nothing had to change */
	size_t taken;    /* tables that were there without an owner and are this process's now */
	size_t lost;     /* of these, tables that were this process's before */
	bool read;       /* the kernel was read for it */
	bool torn;       /* … and kept changing meanwhile */
	bool unsure;     /* something was passed over: another step is due soon */
	size_t left_out; /* elements that the kernel refused; @remark has why, of the first */
	unsigned int
		stubborn; /* the very differences that were mended before, so many times; mostly
				* left as they are; @remark has the first. Else 0. */
	struct diag remark;
	struct commit_stats stats;
};

int reconcile_new(struct nft *nft, struct reconcile **ret_reconcile); /* borrows @nft */
struct reconcile *reconcile_free(struct reconcile *reconcile);
DEFINE_CLEANUP(struct reconcile *, reconcile_free)

/* Whether the tables shall be this process's own where the kernel can. Not so at first. */
void reconcile_own(struct reconcile *reconcile, bool own);
enum ownership reconcile_ownership(struct reconcile *reconcile);

/*
 * Makes the kernel what @config and @model say. Returns 0 or -errno with @diag (-EBUSY: another process
 * owns a table of ours); after a failure the kernel is as it was.
 */
int reconcile_run(struct reconcile *reconcile, const struct config *config,
		  const struct model *model, struct reconcile_result *ret_result,
		  struct diag *diag);

/* The daemon ends: takes back what would shut out containers that nobody will name. Returns as above. */
int reconcile_leave(struct reconcile *reconcile, const struct config *config,
		    const struct model *model, struct diag *diag);

/* The kernel may not be what was committed. */
void reconcile_forget(struct reconcile *reconcile);
/* … because somebody was seen to change it: what differs is no riddle. */
void reconcile_touched(struct reconcile *reconcile);

/* The verdicts of the last step, in the order of its model, which become the caller's; NULL where they
 * were taken. */
struct verdict *reconcile_take_verdicts(struct reconcile *reconcile);
/* The tags that it gave to host jobs; borrowed until the next. */
const struct job_tag *reconcile_tags(const struct reconcile *reconcile, size_t *ret_n);
