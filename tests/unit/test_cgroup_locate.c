/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where one container is by its path, and what dockerd's arguments say of the parent. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "jobfence/cgroup.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16
#define OTHER HEX16 HEX16 HEX16 "0123456789abcdee"

static void assert_cut(const char *path, const char *own, const char *parent)
{
	char ret_own[128] = "", ret_parent[128] = "";

	assert_int_equal(cgroup_cut(path, ID, ret_own, ret_parent, sizeof(ret_own)), 0);
	assert_string_equal(ret_own, own);
	assert_string_equal(ret_parent, parent);
}

static void the_part_with_its_name_is_its_own(void **state)
{
	static const char *const nowhere[] = {
		"",
		"docker",
		"docker/" OTHER,
		"system.slice/docker-" OTHER ".scope",
		"a/" ID "x",
		"a/docker-" ID,
		"system.slice/ssh.service",
	};
	char own[128], parent[128];

	assert_cut(ID, ID, "");
	assert_cut("docker/" ID, "docker/" ID, "docker");
	assert_cut("a/b/" ID "/init.scope", "a/b/" ID, "a/b");
	assert_cut("a.slice/a-b.slice/docker-" ID ".scope", "a.slice/a-b.slice/docker-" ID ".scope",
		   "a.slice/a-b.slice");
	/* its process may be in another's folder inside its own, not the other way round */
	assert_cut("docker/" ID "/docker/" OTHER, "docker/" ID, "docker");
	for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++)
		assert_int_equal(cgroup_cut(nowhere[i], ID, own, parent, sizeof(own)), -ENOENT);
	assert_int_equal(cgroup_cut("docker/" ID, ID, own, parent, 71), -ENAMETOOLONG);
}

static void a_number_that_another_has_finds_nothing(void **state)
{
	struct cgroup_place place;

	assert_true(cgroup_locate("/sys/fs/cgroup", getpid(), ID, &place) < 0);
	assert_true(cgroup_locate("/sys/fs/cgroup", 0x7fffffff, ID, &place) < 0);
}

#define ARGS(text) text, sizeof(text) - 1

static void the_last_argument_counts(void **state)
{
	char parent[16] = "";

	assert_int_equal(cgroup_parent_argument(ARGS("dockerd\0--cgroup-parent=/a\0"), parent, 16),
			 0);
	assert_string_equal(parent, "/a");
	assert_int_equal(cgroup_parent_argument(ARGS("dockerd\0--cgroup-parent\0b.slice\0--"
						     "debug\0"),
						parent, 16),
			 0);
	assert_string_equal(parent, "b.slice");
	assert_int_equal(cgroup_parent_argument(ARGS("d\0--cgroup-parent=/a\0--cgroup-parent=/c\0"),
						parent, 16),
			 0);
	assert_string_equal(parent, "/c");
	/* another option, no value, no end, no argument at all, too long */
	assert_int_equal(cgroup_parent_argument(ARGS("d\0--cgroup-parents=/a\0"), parent, 16),
			 -ENOENT);
	assert_int_equal(cgroup_parent_argument(ARGS("d\0--cgroup-parent\0"), parent, 16), -ENOENT);
	assert_int_equal(cgroup_parent_argument(ARGS("d\0--cgroup-parent=/x"), parent, 16), 0);
	assert_string_equal(parent, "/x");
	assert_int_equal(cgroup_parent_argument("", 0, parent, 16), -ENOENT);
	assert_int_equal(cgroup_parent_argument(ARGS("--cgroup-parent=/0123456789abcde\0"), parent,
						16),
			 -ENAMETOOLONG);
}

static void only_dockerd_is_asked(void **state)
{
	char parent[16];

	assert_int_equal(cgroup_parent_of_engine(getpid(), parent, sizeof(parent)), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_part_with_its_name_is_its_own),
		cmocka_unit_test(a_number_that_another_has_finds_nothing),
		cmocka_unit_test(the_last_argument_counts),
		cmocka_unit_test(only_dockerd_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
