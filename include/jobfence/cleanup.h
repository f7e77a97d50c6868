/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scope-bound release of resources. A variable marked _cleanup_(f) has f(&var) called when it goes
 * out of scope; take_ptr() and take_fd() hand it on instead. There is no goto in jobfence.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _unused_ __attribute__((unused))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Defines fnp(T *p), which calls fn(*p) unless *p is NULL. fn must accept half-built objects. */
#define DEFINE_CLEANUP(T, fn)                   \
	_unused_ static inline void fn##p(T *p) \
	{                                       \
		if (*p)                         \
			fn(*p);                 \
	}

_unused_ static inline void freep(void *p)
{
	free(*(void **)p);
}

_unused_ static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

_unused_ static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)

#define take_ptr(p)                     \
	({                              \
		typeof(p) _taken = (p); \
		(p) = NULL;             \
		_taken;                 \
	})

_unused_ static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
