/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Engines that cannot be fenced: by their socket, by what they say of themselves, at once and after
 * a good one. What was known stays, and another engine in their place is taken.
 */
#include <errno.h>
#include <sys/stat.h>

#include "engine_fixture.h"

#define PODMAN_VERSION                                                               \
	"{\"Version\":\"4.3.1\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.24\"," \
	"\"Components\":[{\"Name\":\"Podman Engine\",\"Version\":\"4.3.1\"}]}"
#define ROOTLESS_INFO                                                                         \
	"{\"ServerVersion\":\"28.5.2\",\"CgroupDriver\":\"systemd\",\"CgroupVersion\":\"2\"," \
	"\"SecurityOptions\":[\"name=seccomp,profile=builtin\",\"name=rootless\"]}"

static void paths(void **state)
{
	static const struct {
		const char *path, *word; /* NULL: may be Docker's */
	} cases[] = {
		{ "/run/docker.sock", NULL },
		{ "/var/run/docker.sock", NULL },
		{ "/run/podman/docker.sock", NULL },
		{ "/run/users/docker.sock", NULL },
		{ "/tmp/run/user/1000/docker.sock", NULL },
		{ "/run/podman/podman.sock.old", NULL },
		{ "podman.sock", NULL },
		{ "/run/podman/podman.sock", "Podman" },
		{ "/run/user/1000/podman/podman.sock", "Podman" },
		{ "/run/user/1000/docker.sock", "rootless" },
		{ "/var/run/user/1000/docker.sock", "rootless" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct diag diag = { 0 };
		int r = engine_judge_path(cases[i].path, &diag);

		assert_int_equal(r, cases[i].word ? -ENOTSUP : 0);
		if (cases[i].word && !strstr(diag.text, cases[i].word))
			fail_msg("%s: %s", cases[i].path, diag.text);
	}
}

static void refuses(struct fixture *fx, const char *word)
{
	WAIT(fx, fx->view.refused);
	assert_int_equal(fx->view.state, ENGINE_LOST);
	assert_false(fx->view.ever_in_sync);
	assert_non_null(strstr(fx->view.trouble, word));
	/* nothing of its containers is asked for */
	run_for(fx, 50);
	assert_int_equal(fake_engine_count(fx->fake, "/containers"), 0);
}

static void podman(void **state)
{
	struct fixture *fx = *state;

	fake_engine_answer(fx->fake, "/version", 200, PODMAN_VERSION);
	start(fx);
	refuses(fx, "Podman");
}

static void rootless(void **state)
{
	struct fixture *fx = *state;

	fake_engine_answer(fx->fake, "/info", 200, ROOTLESS_INFO);
	start(fx);
	refuses(fx, "rootless");
}

/* Known before anything answers, and without a question; made Docker's again it is taken. */
static void a_link_to_podmans_socket(void **state)
{
	struct fixture *fx = *state;
	char link[300], target[300];

	snprintf(link, sizeof(link), "%s.link", fake_engine_socket(fx->fake));
	snprintf(target, sizeof(target), "%s.d", fake_engine_socket(fx->fake));
	assert_int_equal(mkdir(target, 0700), 0);
	strcat(target, "/podman.sock");
	assert_int_equal(symlink(target, link), 0);
	fclose(fopen(target, "w"));
	assert_int_equal(engine_new(fx->event, link, on_change, fx, &fx->engine), 0);
	engine_get_view(fx->engine, &fx->view);
	assert_true(fx->view.refused);
	run_for(fx, 50);
	assert_true(fx->view.refused);
	assert_int_equal(fake_engine_count(fx->fake, ""), 0);
	unlink(link);
	assert_int_equal(symlink(fake_engine_socket(fx->fake), link), 0);
	WAIT_IN_SYNC(fx);
	assert_false(fx->view.refused);
	unlink(link);
	unlink(target);
	*strrchr(target, '/') = '\0';
	rmdir(target);
}

/* A lost engine with that reason: what was known stays. Docker comes back: it is taken. */
static void one_that_becomes_rootless(void **state)
{
	struct fixture *fx = *state;

	start_with_a(fx);
	fake_engine_answer(fx->fake, "/info", 200, ROOTLESS_INFO);
	fake_engine_end_streams(fx->fake, true);
	WAIT(fx, fx->view.refused);
	assert_non_null(find(fx, ID_A));
	assert_true(fx->view.ever_in_sync);
	assert_non_null(strstr(last_line, "the fence stands"));
	fake_engine_listen(fx->fake, false);
	WAIT(fx, fx->view.state == ENGINE_LOST && !fx->view.refused);
	fake_engine_healthy(fx->fake, "1.41", "1.12");
	has_listed(fx, ID_A, NULL);
	has_network(fx, ID_A, 2);
	fake_engine_listen(fx->fake, true);
	WAIT_IN_SYNC(fx);
	assert_false(fx->view.refused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		TEST(podman),
		TEST(rootless),
		TEST(a_link_to_podmans_socket),
		TEST(one_that_becomes_rootless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
