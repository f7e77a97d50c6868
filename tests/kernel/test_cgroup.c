/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroup watch in a private cgroup below the real v2 hierarchy, removed afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <cmocka.h>

#include <linux/magic.h>

#include "../../src/cgroup-internal.h"

#define SKIP 77
#define IDLE_US (50 * 1000)

static char hierarchy[32]; /* the real one */
static char base[64];      /* ours, below it */

struct fixture {
	char folder[64], daemon_json[96]; /* below /tmp */
	struct config config;
	sd_event *event;
	struct cgroup_watch *watch;
	unsigned int calls;
};

static void on_changed(struct cgroup_watch *watch, void *data)
{
	struct fixture *fixture = data;

	fixture->calls++;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_DP)
		rmdir(path);
	return 0;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	strcpy(fixture->folder, "/tmp/jobfence-test-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->daemon_json, sizeof(fixture->daemon_json), "%s/daemon.json",
		 fixture->folder);
	fixture->config.cgroup_driver = CGROUP_DRIVER_CGROUPFS;
	assert_true(sd_event_new(&fixture->event) >= 0);
	assert_int_equal(mkdir(base, 0755), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	cgroup_watch_free(fixture->watch);
	sd_event_unref(fixture->event);
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	unlink(fixture->daemon_json);
	rmdir(fixture->folder);
	free(fixture);
	return access(base, F_OK) == 0 ? -1 : 0;
}

static struct cgroup_setup setup_of(struct fixture *fixture)
{
	return (struct cgroup_setup){
		.root = base,
		.daemon_json = fixture->daemon_json,
		.run_systemd = fixture->folder, /* exists: systemd "runs" */
		.config = &fixture->config,
		.changed = on_changed,
		.data = fixture,
	};
}

static void start(struct fixture *fixture)
{
	struct cgroup_setup cgroup_setup = setup_of(fixture);
	struct diag diag = { 0 };

	if (cgroup_watch_new_in(fixture->event, &cgroup_setup, &fixture->watch, &diag) < 0)
		fail_msg("%s", diag.text);
}

static struct cgroup_view view_of(struct fixture *fixture)
{
	struct cgroup_view view;

	cgroup_watch_get_view(fixture->watch, &view);
	return view;
}

static uint64_t child_id(struct fixture *fixture, const char *name)
{
	struct cgroup_view view = view_of(fixture);

	for (size_t i = 0; i < view.children_n; i++)
		if (strcmp(view.children[i].name, name) == 0)
			return view.children[i].id;
	return 0;
}

static void pump(struct fixture *fixture)
{
	for (int i = 0; i < 200000; i++)
		if (sd_event_run(fixture->event, IDLE_US) == 0)
			return;
	fail_msg("the loop never became idle");
}

static void make(const char *path)
{
	char whole[400];

	snprintf(whole, sizeof(whole), "%s/%s", base, path);
	assert_int_equal(mkdir(whole, 0755), 0);
}

static void drop(const char *path)
{
	char whole[400];

	snprintf(whole, sizeof(whole), "%s/%s", base, path);
	assert_int_equal(rmdir(whole), 0);
}

/* The kernel's own number of a cgroup: what nf_tables compares. */
static uint64_t kernel_id(const char *path)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof(uint64_t)];
	} buffer = { .handle.handle_bytes = sizeof(uint64_t) };
	char whole[400];
	uint64_t id;
	int mount;

	snprintf(whole, sizeof(whole), "%s/%s", base, path);
	if (name_to_handle_at(AT_FDCWD, whole, &buffer.handle, &mount, 0) < 0)
		return 0;
	memcpy(&id, buffer.space + sizeof(struct file_handle), sizeof(id));
	return id;
}

static void write_daemon_json(struct fixture *fixture, const char *text)
{
	FILE *file = fopen(fixture->daemon_json, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void test_makes_the_parent(void **state)
{
	struct fixture *fixture = *state;
	struct cgroup_view view;
	uint64_t id;

	start(fixture);
	view = view_of(fixture);
	assert_string_equal(view.root, base);
	assert_false(view.hybrid);
	assert_false(view.shared);
	assert_int_equal(view.driver, CGROUP_DRIVER_CGROUPFS);
	assert_string_equal(view.parent, "docker");
	assert_int_equal(view.parent_level, 1);
	assert_true(view.parent_id != 0);
	assert_int_equal(view.parent_id, kernel_id("docker"));
	assert_int_equal(view.children_n, 1);
	assert_int_equal(child_id(fixture, CGROUP_KEEP_CHILD), kernel_id("docker"
									 "/" CGROUP_KEEP_CHILD));
	assert_int_equal(cgroup_path_id(base, "docker", &id), 0);
	assert_int_equal(id, view.parent_id);
	assert_int_equal(cgroup_path_id(base, "docker/absent", &id), -ENOENT);
	assert_int_equal(cgroup_path_id(base, "docker/cgroup.procs", &id), -ENOTDIR);
}

static void test_sees_children(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id;

	make("docker");
	make("docker/before");
	start(fixture);
	assert_int_equal(child_id(fixture, "before"), kernel_id("docker/before"));
	pump(fixture);
	assert_int_equal(fixture->calls, 0);

	make("docker/b");
	make("docker/a");
	make("docker/a/inner");
	make("elsewhere");
	pump(fixture);
	id = child_id(fixture, "a");
	assert_int_equal(id, kernel_id("docker/a"));
	assert_true(id != 0);
	assert_int_equal(child_id(fixture, "inner"), 0);
	assert_int_equal(child_id(fixture, "elsewhere"), 0);
	assert_int_equal(view_of(fixture).children_n, 4);
	assert_string_equal(view_of(fixture).children[0].name, "a");
	assert_in_range(fixture->calls, 1, 3);

	/* A service that restarts: same name, other number. */
	drop("docker/a/inner");
	drop("docker/a");
	make("docker/a");
	pump(fixture);
	assert_true(child_id(fixture, "a") != id);
	assert_int_equal(child_id(fixture, "a"), kernel_id("docker/a"));

	fixture->calls = 0;
	drop("docker/a");
	drop("docker/before");
	pump(fixture);
	assert_int_equal(child_id(fixture, "a"), 0);
	assert_int_equal(child_id(fixture, "before"), 0);
	assert_true(fixture->calls > 0);
}

static void test_many_children(void **state)
{
	struct fixture *fixture = *state;
	char path[64];

	start(fixture);
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "docker/c%d", i);
		make(path);
	}
	pump(fixture);
	assert_int_equal(view_of(fixture).children_n, 301);
	assert_in_range(fixture->calls, 1, 5);
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "docker/c%d", i);
		assert_int_equal(child_id(fixture, path + 7), kernel_id(path));
		drop(path);
	}
	pump(fixture);
	assert_int_equal(view_of(fixture).children_n, 1);
}

static void write_number(const char *path, long number)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fprintf(file, "%ld", number);
	assert_int_equal(fclose(file), 0);
}

/* More events than the queue holds: the folder itself is read again. */
static void test_lost_events(void **state)
{
	struct fixture *fixture = *state;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	long limit = 0;
	char path[64];

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld", &limit), 1);
	fclose(file);
	if (limit > 100000)
		skip();
	make("docker");
	make("docker/before");
	start(fixture);
	for (long i = 0; i < limit / 2 + 16; i++) {
		make("docker/noise");
		drop("docker/noise");
	}
	for (int i = 0; i < 40; i++) {
		snprintf(path, sizeof(path), "docker/c%d", i);
		make(path);
	}
	drop("docker/before");
	pump(fixture);
	assert_int_equal(view_of(fixture).children_n, 41);
	assert_int_equal(child_id(fixture, "c39"), kernel_id("docker/c39"));
	assert_int_equal(child_id(fixture, "before"), 0);
}

static void test_parent_removed(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id;

	start(fixture);
	pump(fixture);
	fixture->calls = 0;
	id = view_of(fixture).parent_id;
	drop("docker/" CGROUP_KEEP_CHILD);
	drop("docker");
	pump(fixture);
	assert_true(fixture->calls > 0);
	assert_true(view_of(fixture).parent_id != id);
	assert_int_equal(view_of(fixture).parent_id, kernel_id("docker"));
	assert_true(kernel_id("docker/" CGROUP_KEEP_CHILD) != 0);

	/* The new one is watched, also when someone else was faster to make it. */
	make("docker/new");
	pump(fixture);
	assert_int_equal(child_id(fixture, "new"), kernel_id("docker/new"));
	id = view_of(fixture).parent_id;
	drop("docker/new");
	drop("docker/" CGROUP_KEEP_CHILD);
	drop("docker");
	make("docker");
	make("docker/other");
	pump(fixture);
	assert_true(view_of(fixture).parent_id != id);
	assert_int_equal(view_of(fixture).parent_id, kernel_id("docker"));
	assert_int_equal(child_id(fixture, "other"), kernel_id("docker/other"));
	assert_int_equal(child_id(fixture, "new"), 0);
	assert_true(kernel_id("docker/" CGROUP_KEEP_CHILD) != 0);

	/* Only the keeping child: it is put back, the parent stays. */
	id = view_of(fixture).parent_id;
	drop("docker/" CGROUP_KEEP_CHILD);
	pump(fixture);
	assert_true(kernel_id("docker/" CGROUP_KEEP_CHILD) != 0);
	assert_int_equal(view_of(fixture).parent_id, id);
}

static void test_deep_parent(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id;

	strcpy(fixture->config.cgroup_parent, "/foo/bar/baz");
	start(fixture);
	id = view_of(fixture).parent_id;
	assert_string_equal(view_of(fixture).parent, "foo/bar/baz");
	assert_int_equal(view_of(fixture).parent_level, 3);
	assert_int_equal(id, kernel_id("foo/bar/baz"));
	drop("foo/bar/baz/" CGROUP_KEEP_CHILD);
	drop("foo/bar/baz");
	drop("foo/bar");
	drop("foo");
	pump(fixture);
	assert_true(view_of(fixture).parent_id != id);
	assert_int_equal(view_of(fixture).parent_id, kernel_id("foo/bar/baz"));
	make("foo/bar/baz/x");
	pump(fixture);
	assert_int_equal(child_id(fixture, "x"), kernel_id("foo/bar/baz/x"));
}

static void test_rescan(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id;

	start(fixture);
	make("docker/x");
	assert_int_equal(cgroup_watch_rescan(fixture->watch), 0);
	assert_int_equal(child_id(fixture, "x"), kernel_id("docker/x"));
	id = view_of(fixture).parent_id;
	drop("docker/x");
	drop("docker/" CGROUP_KEEP_CHILD);
	drop("docker");
	assert_int_equal(cgroup_watch_rescan(fixture->watch), 0);
	assert_true(view_of(fixture).parent_id != id);
	assert_int_equal(view_of(fixture).parent_id, kernel_id("docker"));
	pump(fixture);
	assert_true(fixture->calls > 0);
}

static void test_read_only_makes_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct cgroup_setup cgroup_setup = setup_of(fixture);

	cgroup_setup.read_only = true;
	assert_int_equal(cgroup_watch_new_in(NULL, &cgroup_setup, &fixture->watch, NULL), 0);
	assert_int_equal(view_of(fixture).parent_id, 0);
	assert_int_equal(kernel_id("docker"), 0);
	make("docker");
	make("docker/x");
	assert_int_equal(cgroup_watch_rescan(fixture->watch), 0);
	assert_int_equal(view_of(fixture).parent_id, kernel_id("docker"));
	assert_int_equal(view_of(fixture).children_n, 1);
	assert_int_equal(kernel_id("docker/" CGROUP_KEEP_CHILD), 0);
}

/* What a rescan found is told, once, also where no event tells of it. */
static void test_rescan_is_reported(void **state)
{
	struct fixture *fixture = *state;
	struct cgroup_setup cgroup_setup = setup_of(fixture);

	cgroup_setup.read_only = true;
	assert_int_equal(cgroup_watch_new_in(fixture->event, &cgroup_setup, &fixture->watch, NULL),
			 0);
	pump(fixture);
	assert_int_equal(fixture->calls, 0);
	make("docker");
	assert_int_equal(cgroup_watch_rescan(fixture->watch), 0);
	assert_int_equal(view_of(fixture).parent_id, kernel_id("docker"));
	pump(fixture);
	assert_int_equal(fixture->calls, 1);
	drop("docker");
	make("docker");
	assert_int_equal(cgroup_watch_rescan(fixture->watch), 0);
	assert_int_equal(view_of(fixture).parent_id, kernel_id("docker"));
	pump(fixture);
	assert_int_equal(fixture->calls, 2);
}

/* systemd's slice is not ours to make; it is seen when it comes, and its children are told. */
static void test_shared_slice(void **state)
{
	struct fixture *fixture = *state;

	fixture->config.cgroup_driver = CGROUP_DRIVER_AUTO;
	start(fixture);
	assert_int_equal(view_of(fixture).driver, CGROUP_DRIVER_SYSTEMD);
	assert_string_equal(view_of(fixture).parent, "system.slice");
	assert_true(view_of(fixture).shared);
	assert_int_equal(view_of(fixture).parent_id, 0);
	assert_int_equal(kernel_id("system.slice"), 0);
	make("system.slice");
	make("system.slice/ssh.service");
	pump(fixture);
	assert_int_equal(view_of(fixture).parent_id, kernel_id("system.slice"));
	assert_int_equal(child_id(fixture, "ssh.service"), kernel_id("system.slice/ssh.service"));
	assert_int_equal(view_of(fixture).children_n, 1);
	drop("system.slice/ssh.service");
	drop("system.slice");
	pump(fixture);
	assert_int_equal(view_of(fixture).parent_id, 0);
	assert_int_equal(view_of(fixture).children_n, 0);
	assert_int_equal(kernel_id("system.slice"), 0);
}

static void test_daemon_json(void **state)
{
	struct fixture *fixture = *state;

	fixture->config.cgroup_driver = CGROUP_DRIVER_AUTO;
	write_daemon_json(fixture, "{\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"], "
				   "\"cgroup-parent\": \"/jobs/all\"}");
	start(fixture);
	assert_string_equal(view_of(fixture).parent, "jobs/all");
	assert_int_equal(view_of(fixture).driver, CGROUP_DRIVER_CGROUPFS);
	fixture->watch = cgroup_watch_free(fixture->watch);

	write_daemon_json(fixture, "{\"cgroup-parent\": \"jobs-gpu.slice\"}");
	start(fixture);
	assert_string_equal(view_of(fixture).parent, "jobs.slice/jobs-gpu.slice");
	assert_false(view_of(fixture).shared);
	assert_int_equal(view_of(fixture).parent_id, kernel_id("jobs.slice/jobs-gpu.slice"));
	fixture->watch = cgroup_watch_free(fixture->watch);

	write_daemon_json(fixture, "{ this is not JSON");
	start(fixture);
	assert_string_equal(view_of(fixture).parent, "system.slice");
}

static void test_where_it_cannot_be(void **state)
{
	struct fixture *fixture = *state;
	struct cgroup_setup cgroup_setup = setup_of(fixture);
	struct cgroup_watch *watch = NULL;
	struct diag diag = { 0 };

	cgroup_setup.root = fixture->folder; /* no cgroups there */
	assert_int_equal(cgroup_watch_new_in(fixture->event, &cgroup_setup, &watch, &diag),
			 -EOPNOTSUPP);
	assert_non_null(strstr(diag.text, "not fenced"));
	assert_non_null(strstr(diag.text, "systemd.unified_cgroup_hierarchy=1"));

	cgroup_setup.root = base;
	strcpy(fixture->config.cgroup_parent, "a/../b");
	assert_int_equal(cgroup_watch_new_in(fixture->event, &cgroup_setup, &watch, &diag),
			 -EINVAL);
	assert_non_null(strstr(diag.text, "a/../b"));
	/* A control file is in the way. */
	strcpy(fixture->config.cgroup_parent, "cgroup.procs");
	assert_int_equal(cgroup_watch_new_in(fixture->event, &cgroup_setup, &watch, &diag),
			 -ENOTDIR);
	assert_non_null(strstr(diag.text, "cgroup.procs"));
	assert_null(watch);
}

static void test_long_names(void **state)
{
	struct fixture *fixture = *state;
	char first[300] = "docker/", second[300];
	uint64_t id;

	memset(first + 7, 'n', 200);
	strcpy(second, first);
	second[206] = 'm';
	start(fixture);
	make(first);
	make(second);
	pump(fixture);
	assert_int_equal(view_of(fixture).children_n, 3);
	id = kernel_id(second);
	assert_true(id == view_of(fixture).children[1].id || id == view_of(fixture).children[2].id);
	drop(first);
	pump(fixture);
	assert_int_equal(view_of(fixture).children_n, 2);
	assert_int_equal(view_of(fixture).children[1].id, id);
}

static void test_of_pid(void **state)
{
	char path[CGROUP_PATH_MAX], want[CGROUP_PATH_MAX], procs[160];
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	make("proc");
	snprintf(procs, sizeof(procs), "%s/proc/cgroup.procs", base);
	write_number(procs, pid);
	snprintf(want, sizeof(want), "%s/proc", base + strlen(hierarchy) + 1);
	assert_int_equal(cgroup_of_pid(pid, path, sizeof(path)), 0);
	assert_string_equal(path, want);
	assert_int_equal(cgroup_of_pid(pid, path, 4), -ENAMETOOLONG);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(cgroup_of_pid(pid, path, sizeof(path)), -ESRCH);
	assert_string_equal(path, want);
}

static bool find_hierarchy(void)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	struct statfs fs;

	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		if (statfs(roots[i], &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
			continue;
		strcpy(hierarchy, roots[i]);
		snprintf(base, sizeof(base), "%s/jobfence-test-%d", hierarchy, (int)getpid());
		return true;
	}
	return false;
}

#define WITH_CGROUP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_CGROUP(test_makes_the_parent),
		WITH_CGROUP(test_sees_children),
		WITH_CGROUP(test_many_children),
		WITH_CGROUP(test_lost_events),
		WITH_CGROUP(test_parent_removed),
		WITH_CGROUP(test_deep_parent),
		WITH_CGROUP(test_rescan),
		WITH_CGROUP(test_read_only_makes_nothing),
		WITH_CGROUP(test_rescan_is_reported),
		WITH_CGROUP(test_shared_slice),
		WITH_CGROUP(test_daemon_json),
		WITH_CGROUP(test_where_it_cannot_be),
		WITH_CGROUP(test_long_names),
		WITH_CGROUP(test_of_pid),
	};

	if (!find_hierarchy() || mkdir(base, 0755) < 0 || rmdir(base) < 0)
		return SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
