/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sentence for a person, made where the knowledge is, beside the errno that the code acts on.
 * It names the thing, the cause and what to do. It never allocates, so it cannot fail.
 */
#pragma once

#include "jobfence/cleanup.h"

struct diag {
	char text[512]; /* NUL-terminated; empty when there is nothing to say; no control bytes */
};

/*
 * Writes the sentence, truncated to fit; control bytes become '?'. @diag may be NULL.
 * Returns @error unchanged, so that `return diag_set(diag, -EINVAL, "…");` is one line.
 */
int diag_set(struct diag *diag, int error, const char *fmt, ...) _printf_(3, 4);
