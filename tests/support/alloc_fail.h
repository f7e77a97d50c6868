/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the n-th allocation fail. The program's own malloc() and its like take the place of the C
 * library's (and of the sanitizer's, which they call), so that libraries are caught as well.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The @n-th allocation of this thread from now on fails, once. 0: none. */
void alloc_fail_arm(size_t n);
/* Stops it. Returns whether an allocation was made to fail. */
bool alloc_fail_disarm(void);

/* What one run did. */
enum alloc_outcome {
	ALLOC_REPORTED, /* -ENOMEM, and nothing else happened */
	ALLOC_WITHOUT,  /* it did without, in a way that its header describes */
	ALLOC_DONE, /* as if there had been no failure; of the last run, and where a library retries */
	ALLOC_WRONG,
};

/*
 * Runs @run with the first allocation failing, then with the second, … until a run passes in which
 * none does, which has to be ALLOC_DONE. Fails the test where a run is ALLOC_WRONG, or ALLOC_WITHOUT
 * unless @may_do_without. Looks for leaks at the end. Returns how many allocations there are; a loop
 * over none would test nothing, and fails.
 */
size_t alloc_fail_loop(const char *what, enum alloc_outcome (*run)(void *data), void *data,
		       bool may_do_without);
