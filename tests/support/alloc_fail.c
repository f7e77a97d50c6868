/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See alloc_fail.h. */
#include "support/alloc_fail.h"

#include <errno.h>
#include <execinfo.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LOOPS_MAX 200000

/* The sanitizer's, where there is one; else the C library's own names. */
#define REAL(name)                                                                  \
	extern __typeof(name) __interceptor_##name __attribute__((weak));           \
	extern __typeof(name) __libc_##name;                                        \
	static __typeof(name) *real_##name(void)                                    \
	{                                                                           \
		return __interceptor_##name ? __interceptor_##name : __libc_##name; \
	}

REAL(malloc)
REAL(calloc)
REAL(realloc)

extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static __thread size_t countdown; /* 0: none fails */
static __thread bool failed;

static bool fails(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	if (getenv("ALLOC_FAIL_TRACE")) {
		void *frames[32];

		backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
	}
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : real_malloc()(size);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : real_calloc()(n, size);
}

void *realloc(void *p, size_t size)
{
	return fails() ? NULL : real_realloc()(p, size);
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, bytes);
}

static char *copy_text(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

/* The sanitizer answers these itself, past malloc(). */
char *strndup(const char *text, size_t max)
{
	return copy_text(text, strnlen(text, max));
}

char *strdup(const char *text)
{
	return copy_text(text, strlen(text));
}

void alloc_fail_arm(size_t n)
{
	failed = false;
	countdown = n;
}

bool alloc_fail_disarm(void)
{
	countdown = 0;
	return failed;
}

size_t alloc_fail_loop(const char *what, enum alloc_outcome (*run)(void *data), void *data,
		       bool may_do_without)
{
	enum alloc_outcome outcome = run(data); /* what libraries make once, for good */

	if (outcome != ALLOC_DONE)
		fail_msg("%s: does not work at all", what);
	for (size_t n = 1; n < LOOPS_MAX; n++) {
		bool hit;

		alloc_fail_arm(n);
		outcome = run(data);
		hit = alloc_fail_disarm();
		if (outcome == ALLOC_WRONG || (outcome == ALLOC_WITHOUT && !may_do_without) ||
		    (!hit && outcome != ALLOC_DONE))
			fail_msg("%s: wrong outcome %d with allocation %zu failing", what, outcome,
				 n);
		if (hit)
			continue;
		if (n == 1)
			fail_msg("%s: allocates nothing", what);
		if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check())
			fail_msg("%s: leaks when an allocation fails", what);
		print_message("%s: %zu allocations\n", what, n - 1);
		return n - 1;
	}
	fail_msg("%s: no end", what);
	return 0;
}
