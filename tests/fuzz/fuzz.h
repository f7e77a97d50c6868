/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets share. A target is one function that takes any bytes and checks what has to
 * hold for every input; whatever does not hold ends the process, so that libFuzzer and replay.c see
 * it alike.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jobfence/cleanup.h"
#include "jobfence/diag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define CHECK(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

/* A copy with a NUL behind it, in a block of exactly that size; never NULL. To be freed. */
char *fuzz_text(const uint8_t *data, size_t size);

/* Takes what stands before the first line "%%" off the input: one file of several. To be freed. */
char *fuzz_part(const uint8_t **data, size_t *size);

/* One line of well-formed UTF-8 without control characters, shorter than @size. */
bool fuzz_is_line(const char *text, size_t size);
/* Printable ASCII that can stand between quotes of nft and JSON, at most @max bytes. */
bool fuzz_is_safe(const char *text, size_t max);

/* What a refusal has to look like: an errno, and a sentence. */
void fuzz_check_refusal(int error, const struct diag *diag);
