/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clocks that deadlines and limits go by. Never the wall clock, which jumps. */
#include "jobfence/clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_usec(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_boot_usec(void)
{
	return read_clock(CLOCK_BOOTTIME);
}
