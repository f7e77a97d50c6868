/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pure parts of cgroup: names, paths, the choice of the parent, the list of children. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/cgroup-internal.h"

#define HEX16 "0123456789abcdef"
#define ID HEX16 HEX16 HEX16 HEX16

static void test_container_id(void **state)
{
	static const char *const not_containers[] = {
		"",
		"docker-",
		"docker-.scope",
		HEX16,
		ID "0",
		ID ".scope",
		"docker-" ID,
		"docker-" ID ".scope2",
		"docker-" ID "0.scope",
		"docker-" HEX16 ".scope",
		"docker-" ID ".service",
		"Docker-" ID ".scope",
		"0123456789ABCDEF" HEX16 HEX16 HEX16,
		" " ID,
		"libpod-" ID ".scope",
		"ssh.service",
		CGROUP_KEEP_CHILD,
	};
	char id[65] = "untouched";

	for (size_t i = 0; i < ARRAY_SIZE(not_containers); i++) {
		if (cgroup_container_id(not_containers[i], id))
			fail_msg("taken for a container: %s", not_containers[i]);
		assert_string_equal(id, "untouched");
	}
	assert_true(cgroup_container_id(ID, id));
	assert_string_equal(id, ID);
	memset(id, 0, sizeof(id));
	assert_true(cgroup_container_id("docker-" ID ".scope", id));
	assert_string_equal(id, ID);
}

static void test_path_level(void **state)
{
	assert_int_equal(cgroup_path_level(""), 0);
	assert_int_equal(cgroup_path_level("/"), 0);
	assert_int_equal(cgroup_path_level("a"), 1);
	assert_int_equal(cgroup_path_level("/a/"), 1);
	assert_int_equal(cgroup_path_level("a/b"), 2);
	assert_int_equal(cgroup_path_level("/a//b/c/"), 3);
}

static void test_normalize(void **state)
{
	char path[CGROUP_PATH_MAX] = "untouched", small[4] = "abc", big[CGROUP_PATH_MAX + 1];

	assert_int_equal(cgroup_path_normalize("/foo//bar/", path, sizeof(path)), 0);
	assert_string_equal(path, "foo/bar");
	assert_int_equal(cgroup_path_normalize("//", path, sizeof(path)), 0);
	assert_string_equal(path, "");
	assert_int_equal(cgroup_path_normalize("...", path, sizeof(path)), 0);
	assert_string_equal(path, "...");
	assert_int_equal(cgroup_path_normalize("a/../b", path, sizeof(path)), -EINVAL);
	assert_int_equal(cgroup_path_normalize("..", path, sizeof(path)), -EINVAL);
	assert_int_equal(cgroup_path_normalize("./a", path, sizeof(path)), -EINVAL);
	assert_string_equal(path, "...");
	assert_int_equal(cgroup_path_normalize("a/b/", small, sizeof(small)), 0);
	assert_int_equal(cgroup_path_normalize("a/bc", small, sizeof(small)), -ENAMETOOLONG);
	assert_string_equal(small, "a/b");
	memset(big, 'x', sizeof(big));
	big[CGROUP_PATH_MAX] = '\0';
	assert_int_equal(cgroup_path_normalize(big, path, sizeof(path)), -ENAMETOOLONG);
	big[CGROUP_PATH_MAX - 2] = '\0';
	assert_int_equal(cgroup_path_normalize(big, path, sizeof(path)), 0);
	assert_int_equal(strlen(path), CGROUP_PATH_MAX - 2);
}

static void test_slice_path(void **state)
{
	static const char *const wrong[] = { "",          ".slice",        "slice",    "a",
					     "a.service", "-a.slice",      "a-.slice", "a--b.slice",
					     "a/b.slice", "/system.slice", "--.slice", "a b.slice",
					     "a.slice/",  "..slice" };
	char path[CGROUP_PATH_MAX] = "untouched", small[17] = "untouched", longest[300];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (cgroup_slice_path(wrong[i], path, sizeof(path)) != -EINVAL)
			fail_msg("taken for a slice: %s", wrong[i]);
		assert_string_equal(path, "untouched");
	}
	assert_int_equal(cgroup_slice_path("system.slice", path, sizeof(path)), 0);
	assert_string_equal(path, "system.slice");
	assert_int_equal(cgroup_slice_path("a-b.slice", path, sizeof(path)), 0);
	assert_string_equal(path, "a.slice/a-b.slice");
	assert_int_equal(cgroup_slice_path("a-b-c.slice", path, sizeof(path)), 0);
	assert_string_equal(path, "a.slice/a-b.slice/a-b-c.slice");
	assert_int_equal(cgroup_slice_path("-.slice", path, sizeof(path)), 0);
	assert_string_equal(path, "");
	assert_int_equal(cgroup_slice_path("a-b.slice", small, sizeof(small)), -ENAMETOOLONG);
	assert_string_equal(small, "untouched");
	memset(longest, 'x', sizeof(longest));
	strcpy(longest + sizeof(longest) - 7, ".slice");
	assert_int_equal(cgroup_slice_path(longest, path, sizeof(path)), -ENAMETOOLONG);
}

static void test_parse_proc(void **state)
{
	char path[CGROUP_PATH_MAX] = "untouched", small[4] = "abc";

	assert_int_equal(cgroup_parse_proc("12:cpu,cpuacct:/x\n1:name=systemd:/y\n0::/docker/abc\n",
					   path, sizeof(path)),
			 0);
	assert_string_equal(path, "docker/abc");
	assert_int_equal(cgroup_parse_proc("0::/\n", path, sizeof(path)), 0);
	assert_string_equal(path, "");
	assert_int_equal(cgroup_parse_proc("0::/a:b 0::/c", path, sizeof(path)), 0);
	assert_string_equal(path, "a:b 0::/c");
	assert_int_equal(cgroup_parse_proc("0::/..a", path, sizeof(path)), 0);
	assert_string_equal(path, "..a");
	/* Of v1 only, outside, and removed under a dying process. */
	assert_int_equal(cgroup_parse_proc("10::/x\n3:pids:/0::/y\n", path, sizeof(path)),
			 -EOPNOTSUPP);
	assert_int_equal(cgroup_parse_proc("", path, sizeof(path)), -EOPNOTSUPP);
	assert_int_equal(cgroup_parse_proc("0::/../x\n", path, sizeof(path)), -EXDEV);
	assert_int_equal(cgroup_parse_proc("0::/docker/abc (deleted)\n", path, sizeof(path)),
			 -ESRCH);
	assert_int_equal(cgroup_parse_proc("0::/abcd\n", small, sizeof(small)), -ENAMETOOLONG);
	assert_string_equal(small, "abc");
	assert_string_equal(path, "..a");
}

static int parse(const char *json, struct cgroup_daemon_json *ret_file, struct diag *diag)
{
	return cgroup_parse_daemon_json(json, strlen(json), ret_file, diag);
}

static void test_daemon_json(void **state)
{
	static const char *const silent[] = { "",
					      " \n\t",
					      "{}",
					      "\xef\xbb\xbf{}\n",
					      "{\"exec-opts\": null, \"cgroup-parent\": null}",
					      "{\"exec-opts\": []}",
					      "{\"exec-opts\": [\"native.cgroupdriver=magic\"]}",
					      "{\"exec-opts\": [\"native.cgroupdriver\", \"=\"]}" };
	static const char *const wrong[] = { "{",
					     "[]",
					     "{\"exec-opts\": \"native.cgroupdriver=systemd\"}",
					     "{\"exec-opts\": [1]}",
					     "{\"cgroup-parent\": 1}",
					     "{} {}" };
	struct cgroup_daemon_json file = { .parent = "untouched" };
	char json[CGROUP_PATH_MAX + 100], parent[CGROUP_PATH_MAX + 1];
	struct diag diag;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		diag.text[0] = '\0';
		if (parse(wrong[i], &file, &diag) != -EINVAL || diag.text[0] == '\0')
			fail_msg("not refused: %s", wrong[i]);
		assert_string_equal(file.parent, "untouched");
	}
	memset(parent, 'x', CGROUP_PATH_MAX);
	parent[CGROUP_PATH_MAX] = '\0';
	snprintf(json, sizeof(json), "{\"cgroup-parent\": \"%s\"}", parent);
	assert_int_equal(parse(json, &file, &diag), -EINVAL);

	for (size_t i = 0; i < ARRAY_SIZE(silent); i++) {
		if (parse(silent[i], &file, &diag) != 0)
			fail_msg("refused: %s", silent[i]);
		assert_int_equal(file.driver, CGROUP_DRIVER_AUTO);
		assert_string_equal(file.parent, "");
	}
	assert_int_equal(parse("{\"debug\": true, \"exec-opts\": [\"isolation=x\", "
			       "\" Native.CgroupDriver = systemd \", "
			       "\"native.cgroupdriver=cgroupfs\"], "
			       "\"cgroup-parent\": \"jobs.slice\"}",
			       &file, &diag),
			 0);
	assert_int_equal(file.driver, CGROUP_DRIVER_SYSTEMD);
	assert_string_equal(file.parent, "jobs.slice");
	assert_int_equal(parse("{\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]}", &file, &diag),
			 0);
	assert_int_equal(file.driver, CGROUP_DRIVER_CGROUPFS);
}

struct choice_case {
	enum cgroup_driver config_driver;
	const char *config_parent;
	enum cgroup_driver file_driver;
	const char *file_parent;
	bool systemd;
	/* expected */
	int result;
	enum cgroup_driver driver;
	const char *parent;
	bool shared, remark;
};

static void test_choice(void **state)
{
	const enum cgroup_driver any = CGROUP_DRIVER_AUTO, fs = CGROUP_DRIVER_CGROUPFS,
				 sd = CGROUP_DRIVER_SYSTEMD;
	const struct choice_case cases[] = {
		{ any, "", any, "", false, 0, fs, "docker", false, false },
		{ any, "", any, "", true, 0, sd, "system.slice", true, false },
		{ any, "", fs, "", true, 0, fs, "docker", false, false },
		{ any, "", sd, "", false, 0, sd, "system.slice", true, false },
		{ fs, "", sd, "", true, 0, fs, "docker", false, false },
		{ any, "", any, "/foo/bar", false, 0, fs, "foo/bar", false, false },
		{ any, "", any, "foo", false, 0, fs, "foo", false, true },
		{ any, "foo/bar/", any, "/other", false, 0, fs, "foo/bar", false, false },
		{ any, "", any, "a-b.slice", true, 0, sd, "a.slice/a-b.slice", false, false },
		{ any, "", any, "user.slice", true, 0, sd, "user.slice", true, false },
		{ any, "/system.slice", any, "", false, 0, fs, "system.slice", true, false },
		{ any, "jobs.slice", any, "", true, 0, sd, "jobs.slice", false, false },
		/* The file's nonsense is remarked on, the operator's is refused. */
		{ any, "", any, "/docker", true, 0, sd, "system.slice", true, true },
		{ any, "", any, "/", false, 0, fs, "docker", false, true },
		{ any, "", any, "/../x", false, 0, fs, "docker", false, true },
		{ any, "", any, "-.slice", true, 0, sd, "system.slice", true, true },
		{ any, "/docker", any, "", true, -EINVAL, 0, NULL, false, true },
		{ any, "/", any, "", false, -EINVAL, 0, NULL, false, true },
		{ any, "a/../b", any, "", false, -EINVAL, 0, NULL, false, true },
		{ any, "-.slice", any, "", true, -EINVAL, 0, NULL, false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct choice_case *c = &cases[i];
		struct config config = { .cgroup_driver = c->config_driver };
		struct cgroup_daemon_json file = { .driver = c->file_driver };
		struct cgroup_choice choice = { .parent = "untouched" };
		struct diag diag = { 0 };

		print_message("case %zu\n", i);
		strcpy(config.cgroup_parent, c->config_parent);
		strcpy(file.parent, c->file_parent);
		assert_int_equal(cgroup_choose(&config, &file, c->systemd, &choice, &diag),
				 c->result);
		assert_int_equal(diag.text[0] != '\0', c->remark);
		assert_string_equal(choice.parent, c->result == 0 ? c->parent : "untouched");
		if (c->result < 0)
			continue;
		assert_int_equal(choice.driver, c->driver);
		assert_int_equal(choice.shared, c->shared);
	}
}

static void test_child_name(void **state)
{
	char name[256], one[128], other[128];

	memset(name, 'n', sizeof(name));
	name[127] = '\0';
	cgroup_child_name(name, one);
	assert_string_equal(one, name);
	name[127] = 'n';
	name[255] = '\0';
	cgroup_child_name(name, one);
	assert_int_equal(strlen(one), 127);
	assert_memory_equal(one, name, 110);
	name[254] = 'm';
	cgroup_child_name(name, other);
	assert_string_not_equal(one, other);
}

static void test_children(void **state)
{
	static const char *const names[] = { "m", "c", "x", "a", "z", "b" };
	struct cgroup_children children = { 0 }, other = { 0 };
	char name[256], second[256];
	bool changed = false;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(cgroup_children_set(&children, names[i], i + 1, &changed), 0);
	assert_true(changed);
	assert_int_equal(children.n, ARRAY_SIZE(names));
	for (size_t i = 1; i < children.n; i++)
		assert_true(strcmp(children.items[i - 1].name, children.items[i].name) < 0);

	changed = false;
	assert_int_equal(cgroup_children_set(&children, "c", 2, &changed), 0);
	cgroup_children_remove(&children, "absent", &changed);
	assert_false(changed);
	assert_false(cgroup_children_equal(&children, &other));
	assert_int_equal(cgroup_children_set(&children, "c", 99, &changed), 0);
	assert_true(changed);
	assert_int_equal(children.items[2].id, 99);

	changed = false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cgroup_children_remove(&children, names[i], &changed);
	assert_true(changed);
	assert_int_equal(children.n, 0);

	/* Long names that begin alike are two children, and each is found again. */
	memset(name, 'n', sizeof(name));
	name[200] = '\0';
	strcpy(second, name);
	second[199] = 'm';
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cgroup_children_set(&children, name, 7, &changed), 0);
		assert_int_equal(cgroup_children_set(&children, second, 8, &changed), 0);
	}
	assert_int_equal(children.n, 2);
	cgroup_children_remove(&children, name, &changed);
	assert_int_equal(children.n, 1);
	assert_int_equal(children.items[0].id, 8);

	assert_int_equal(cgroup_children_set(&other, second, 8, &changed), 0);
	assert_true(cgroup_children_equal(&children, &other));
	assert_int_equal(cgroup_children_set(&other, second, 9, &changed), 0);
	assert_false(cgroup_children_equal(&children, &other));
	for (uint64_t i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "%llu", (unsigned long long)(i * 7919 % 1000));
		assert_int_equal(cgroup_children_set(&other, name, i, &changed), 0);
	}
	assert_int_equal(other.n, 301);
	cgroup_children_done(&children);
	cgroup_children_done(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_container_id), cmocka_unit_test(test_path_level),
		cmocka_unit_test(test_normalize),    cmocka_unit_test(test_slice_path),
		cmocka_unit_test(test_parse_proc),   cmocka_unit_test(test_daemon_json),
		cmocka_unit_test(test_choice),       cmocka_unit_test(test_child_name),
		cmocka_unit_test(test_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
