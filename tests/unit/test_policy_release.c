/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the sets make of a job that is released: all that holds it stays, and what opens ends by itself.
 */
#include "policy_fixture.h"

static uint64_t ends_of(const struct fixture *f, enum set_id set, size_t i)
{
	assert_true(i < f->ruleset->sets[set].n);
	return elem_extra(&f->ruleset->sets[set].elem[i])->ends;
}

static void release(struct fixture *f, const char *id)
{
	static struct release release;

	release = (struct release){ .ends = 5000000, .who = "alice", .reason = "a test" };
	strcpy(release.id, id);
	f->model.releases = &release;
	f->model.releases_n = 1;
}

static void a_released_bridge_job_opens_for_a_time(void **state)
{
	struct fixture *f = *state;

	f->model.containers_n = 2;
	f->model.egress = true;
	release(f, ID_A);
	build(f);
	assert_int_equal(f->verdicts[0].confinement, CONFINEMENT_ISOLATED);
	assert_int_equal(f->verdicts[0].released, 5000000);
	assert_int_equal(f->verdicts[1].released, 0);
	assert_non_null(strstr(f->verdicts[0].why, "; RELEASED until 1970-01-01 00:00:00 UTC by "
						   "alice: a test"));
	assert_set(f, SET_BYSTANDER_PORTS, "\"vetha\", \"vethb\"");
	assert_set(f, SET_EGRESS_BYSTANDERS, "\"vetha\", \"vethb\"");
	assert_set(f, SET_BYSTANDERS4, "172.17.0.2, 172.17.0.3");
	assert_set(f, SET_BYSTANDERS6,
		   "fd00:d0c::2, fd00:d0c::3, fe80::42:acff:fe11:2, fe80::42:acff:fe11:3");
	for (size_t i = 0; i < 2; i++) { /* its own, and the bystander's behind it */
		uint64_t ends = i == 0 ? 5000000 : 0;

		assert_int_equal(ends_of(f, SET_BYSTANDER_PORTS, i), ends);
		assert_int_equal(ends_of(f, SET_EGRESS_BYSTANDERS, i), ends);
		assert_int_equal(ends_of(f, SET_BYSTANDERS4, i), ends);
		assert_int_equal(ends_of(f, SET_BYSTANDERS6, i), ends);
		assert_int_equal(ends_of(f, SET_BYSTANDERS6, 2 + i), ends);
	}
	assert_set(f, SET_JOBS4, "\"docker0\" . 172.17.0.2");
	assert_set(f, SET_JOB_PORTS, "\"vetha\"");
	assert_set(f, SET_JOB_BINDINGS4, "\"vetha\" . 02:42:ac:11:00:02 . 172.17.0.2");
	/* its port is not known: nothing opens by an address alone */
	f->nsid[0] = 9;
	build(f);
	assert_set(f, SET_BYSTANDERS4, "172.17.0.3");
}

static void a_released_host_job_opens_for_a_time(void **state)
{
	struct fixture *f = *state;

	host(f, 0);
	f->containers[0].nano_cpus = 1; /* quarantined, and so it will be again */
	release(f, ID_A);
	build(f);
	assert_int_equal(f->verdicts[0].confinement, CONFINEMENT_QUARANTINED);
	assert_set(f, SET_BYSTANDER_CGROUPS, "cgroup 1000");
	assert_int_equal(ends_of(f, SET_BYSTANDER_CGROUPS, 0), 5000000);
	assert_set(f, SET_QUARANTINED_CGROUPS, "cgroup 1000");
	assert_set(f, SET_HOST_JOBS, "cgroup 1000");
}

/* Who is no job, does not run, or is not alone is not released, and neither is anybody else. */
static void who_is_not_released(void **state)
{
	struct fixture *f = *state;

	release(f, ID_B);
	build(f);
	assert_int_equal(f->verdicts[1].released, 0);
	assert_int_equal(ends_of(f, SET_BYSTANDER_PORTS, 0), 0);
	release(f, ID_A);
	f->containers[0].state = CONTAINER_EXITED;
	build(f);
	assert_int_equal(f->verdicts[0].released, 0);
	f->containers[0].state = CONTAINER_RUNNING;
	/* another job in its network */
	f->containers[1].is_task = true;
	f->containers[1].network_kind = NETWORK_KIND_CONTAINER;
	f->containers[1].network_ref = (char *)ID_A;
	f->containers[1].endpoints_n = 0;
	build(f);
	assert_int_equal(f->verdicts[0].released, 0);
	assert_non_null(strstr(f->verdicts[0].why, "; not released: "));
	release(f, ID_B);
	build(f);
	assert_int_equal(f->verdicts[1].released, 0);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethc\"");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_released_bridge_job_opens_for_a_time),
		TEST(a_released_host_job_opens_for_a_time),
		TEST(who_is_not_released),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
