/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One configuration at a time, read from the text of a file; include it behind cmocka.h. */
#pragma once

#include "../../src/config-internal.h"

/* cmocka runs one test at a time. */
static struct config_draft draft;
static struct diag diag;

static int read_text(const char *text)
{
	config_draft_init(&draft);
	diag = (struct diag){ 0 };
	return config_read_keys("conf", text, &draft, &diag);
}

static const struct config *read_good(const char *text)
{
	if (read_text(text) != 0)
		fail_msg("refused: %s", diag.text);
	return &draft.config;
}

static void assert_refused(const char *text, const char *says)
{
	if (read_text(text) != -EINVAL)
		fail_msg("not refused: %s", text);
	if (!strstr(diag.text, says))
		fail_msg("\"%s\"\n   lacks \"%s\"", diag.text, says);
}
