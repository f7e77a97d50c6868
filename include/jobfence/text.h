/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Untrusted text (container names, labels, run names) made fit for logs, nft comments and
 * terminals: printable ASCII stays, all else becomes '?', quotes and backslashes too, since nft
 * comments have no escapes. The result is cut to the buffer.
 */
#pragma once

#include <stddef.h>

/* Writes at most size - 1 bytes and a NUL. @text may be NULL (gives ""). Returns @buffer. */
const char *text_safe(const char *text, char *buffer, size_t size);
