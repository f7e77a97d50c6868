/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No memory, at every place at which there could be none, while the kernel's ruleset is read: there is
 * a whole picture or none. A part of one would be mended, and what it lacks made twice.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../fuzz/fake_nft.h"
#include "jobfence/plan.h"
#include "support/alloc_fail.h"

struct kernel {
	struct fake_nft fake;
	const struct skeleton *skeleton;
	const struct ruleset *ruleset;
};

static enum alloc_outcome run_read(void *data)
{
	struct kernel *kernel = data;
	struct live *live = NULL;
	struct ops ops = { 0 };
	struct diag diag = { 0 };
	int r = nft_read(&kernel->fake.nft, kernel->skeleton, &live, &diag);

	if (r < 0)
		return r == -ENOMEM && !live ? ALLOC_REPORTED : ALLOC_WRONG;
	alloc_fail_disarm(); /* the plan has a test of its own */
	r = plan_make(kernel->skeleton, kernel->ruleset, live, &ops);
	if (r == 0 && ops.n > 0)
		r = -EINVAL;
	ops_done(&ops);
	live_free(live);
	return r == 0 ? ALLOC_DONE : ALLOC_WRONG;
}

static void test_read(void **state)
{
	struct kernel kernel;
	uint8_t *messages;

	fake_nft_open(&kernel.fake);
	fake_nft_model(&kernel.skeleton, &kernel.ruleset);
	messages = fake_nft_dump(kernel.skeleton, kernel.ruleset, &kernel.fake.size);
	kernel.fake.messages = messages;
	alloc_fail_loop("nft_read", run_read, &kernel, false);
	fake_nft_close(&kernel.fake);
	free(messages);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_read) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
