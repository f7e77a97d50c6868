/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rulesets/mode<N>.nft is what `jobfence render --portable --mode N` prints. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../src/commands-internal.h"
#include "read_file.h"

static char *rendered(enum network_mode mode)
{
	struct config config;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	config_defaults(&config);
	config.mode = mode;
	assert_non_null(out);
	assert_int_equal(render_portable(out, &config), 0);
	fclose(out);
	return text;
}

static void files_are_what_is_rendered(void **state)
{
	for (enum network_mode mode = 1; mode <= 3; mode++) {
		char path[400];

		snprintf(path, sizeof(path), SOURCE_DIR "/rulesets/mode%d.nft", (int)mode);

		_cleanup_free_ char *file = read_all(path);
		_cleanup_free_ char *text = rendered(mode);

		if (strcmp(file, text) != 0)
			fail_msg("%s is not what is rendered: jobfence render --portable --mode %d "
				 "> rulesets/mode%d.nft, and read the difference",
				 path, (int)mode, (int)mode);
	}
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* Nothing of the machine that the test runs on. */
static void only_defaults_are_in_it(void **state)
{
	_cleanup_free_ char *text = rendered(NETWORK_MODE_FORCED_BRIDGE);

	/* four of dstack's ports, sshd's and docker0, and four of addresses that are nobody's own */
	assert_int_equal(count(text, "elements = { "), 11);
	assert_int_equal(count(text, "elements = { \"docker0\" }"), 2);
	assert_int_equal(count(text, "elements = { \"docker\" }"), 1);
	assert_int_equal(count(text, "elements = { 10997"), 1);
	assert_int_equal(count(text, "elements = { 10022"), 2);
	assert_int_equal(count(text, "path is not known"), 0);
	assert_true(count(text, "meta ibrname @guarded_bridges") > 0);
	assert_true(count(text, "in mode 3 (FORCED_BRIDGE)") == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_what_is_rendered),
		cmocka_unit_test(only_defaults_are_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
