/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of system calls that the daemon may make once it has started. Plain data. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an argument has to be. */
enum sandbox_test {
	SANDBOX_ANY,  /* not looked at */
	SANDBOX_IS,   /* the value */
	SANDBOX_NONE, /* has none of the value's bits */
	SANDBOX_SELF, /* this process's id */
};

struct sandbox_call {
	const char *name; /* as libseccomp knows it; unknown ones are not allowed */
	enum sandbox_test test;
	unsigned int arg; /* 0: the first */
	uint64_t value;
};

extern const struct sandbox_call sandbox_calls[];
extern const size_t sandbox_calls_n;
