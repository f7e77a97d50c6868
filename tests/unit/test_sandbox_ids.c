/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ids of namespaces: asked for once, and again where the file behind the name is another one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/host-internal.h"

struct fixture {
	struct sandbox_ids ids;
	char folder[32], key[64][48];
	int answer, asked;
};

static int ask(void *data, const char *key)
{
	struct fixture *f = data;

	assert_int_equal(access(key, F_OK), 0);
	f->asked++;
	return f->answer;
}

static void make(const char *path)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fclose(file);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->folder, "/tmp/jobfence-idsXXXXXX");
	assert_non_null(mkdtemp(f->folder));
	for (size_t i = 0; i < ARRAY_SIZE(f->key); i++) {
		snprintf(f->key[i], sizeof(f->key[i]), "%s/%zu", f->folder, i);
		make(f->key[i]);
	}
	f->ids = (struct sandbox_ids){ .ask = ask, .data = f };
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(f->key); i++)
		unlink(f->key[i]);
	rmdir(f->folder);
	sandbox_ids_done(&f->ids);
	free(f);
	return 0;
}

/* One picture of all; each answer is @first and more. */
static void picture(struct fixture *f, int first)
{
	for (size_t i = 0; i < ARRAY_SIZE(f->key); i++) {
		f->answer = first + (int)i;
		assert_int_equal(sandbox_ids_get(&f->ids, f->key[i]), (int)i);
	}
	sandbox_ids_turn(&f->ids);
}

static void asked_for_once(void **state)
{
	struct fixture *f = *state;

	picture(f, 0);
	assert_int_equal(f->asked, ARRAY_SIZE(f->key));
	picture(f, 1000); /* would be another answer */
	picture(f, 1000);
	assert_int_equal(f->asked, ARRAY_SIZE(f->key));
}

static void another_file_is_asked_for(void **state)
{
	struct fixture *f = *state;
	char other[48];

	picture(f, 0);
	snprintf(other, sizeof(other), "%s/other", f->folder);
	make(other);
	assert_int_equal(rename(other, f->key[5]), 0);
	f->answer = 77;
	assert_int_equal(sandbox_ids_get(&f->ids, f->key[5]), 77);
	/* the same file by another name is somebody else's: numbers are given again */
	assert_int_equal(rename(f->key[7], f->key[6]), 0);
	f->answer = 78;
	assert_int_equal(sandbox_ids_get(&f->ids, f->key[6]), 78);
	assert_int_equal(sandbox_ids_get(&f->ids, f->key[7]), -ENOENT);
	assert_int_equal(f->asked, ARRAY_SIZE(f->key) + 2);
	sandbox_ids_turn(&f->ids);
	f->answer = 79;
	assert_int_equal(sandbox_ids_get(&f->ids, f->key[5]), 77);
}

static void who_is_not_seen_is_forgotten(void **state)
{
	struct fixture *f = *state;

	picture(f, 0);
	sandbox_ids_turn(&f->ids);
	f->answer = 99;
	assert_int_equal(sandbox_ids_get(&f->ids, f->key[0]), 99);
}

static void no_id_is_not_remembered(void **state)
{
	struct fixture *f = *state;

	f->answer = -ENOENT;
	assert_int_equal(sandbox_ids_get(&f->ids, f->key[0]), -ENOENT);
	sandbox_ids_turn(&f->ids);
	f->answer = 3;
	assert_int_equal(sandbox_ids_get(&f->ids, f->key[0]), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asked_for_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_file_is_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_not_seen_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_id_is_not_remembered, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
