/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

/* CLOCK_MONOTONIC, in microseconds. */
uint64_t clock_usec(void);
/* CLOCK_BOOTTIME: goes on while the machine sleeps. */
uint64_t clock_boot_usec(void);
