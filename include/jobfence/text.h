/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Untrusted text (container names, labels, run names) made fit for logs, nft comments and
 * terminals: printable ASCII stays, all else becomes '?', quotes and backslashes too, since nft
 * comments have no escapes. The result is cut to the buffer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes at most size - 1 bytes and a NUL. @text may be NULL (gives ""). Returns @buffer. */
const char *text_safe(const char *text, char *buffer, size_t size);

/*
 * Makes a finished message one line, in place: characters that are not shown and bytes that are no
 * UTF-8, also a character that was cut in two, become '?', as many as they had bytes. Other UTF-8
 * stays. Returns @text.
 */
char *text_one_line(char *text);

/* False for control characters (C0, DEL, C1), and for those that break a line, turn the direction of
 * writing or cannot be seen: what a reader takes for the text would be another. */
bool text_is_shown(uint32_t code);

/*
 * Decodes the character that @text starts with. Returns its length in bytes (1 to 4), or -EINVAL
 * where it is no well-formed UTF-8 (overlong, surrogate, above U+10FFFF, cut by the NUL).
 */
int text_utf8_decode(const char *text, uint32_t *ret_code);

/* FNV-1a, 64 bits: to tell texts apart where a collision does no harm; nothing against an adversary. */
uint64_t text_hash(const char *text);
