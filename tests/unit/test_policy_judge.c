/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who shares a namespace with whom, who cannot be held, and what the sets make of it.
 */
#include "policy_fixture.h"

static void a_host_job_in_another_cgroup_is_not_held(void **state)
{
	struct fixture *f = *state;

	host(f, 0);
	f->containers[0].pid = 4711;
	build(f);
	assert_false(f->verdicts[0].unconfinable);
	f->cgroup_id[0] = 0;
	build(f);
	assert_true(f->verdicts[0].unconfinable);
	assert_non_null(strstr(f->verdicts[0].why, "the fence does not see it"));
	/* not before it runs, and not for those who are not fenced by their cgroup */
	f->containers[0].pid = 0;
	f->containers[2].pid = 4712;
	f->cgroup_id[2] = 0;
	f->containers[2].is_task = true;
	build(f);
	assert_false(f->verdicts[0].unconfinable);
	assert_false(f->verdicts[2].unconfinable);
}

static void a_cgroup_elsewhere_is_held_by_its_id(void **state)
{
	struct foreign_cgroup foreign[3] = { { .id = 900, .root = 800, .level = 6 },
					     { .id = 901, .root = 801, .level = 2 } };
	struct fixture *f = *state;

	host(f, 0);
	host(f, 1);
	f->containers[0].pid = f->containers[1].pid = 4711;
	f->cgroup_id[0] = f->cgroup_id[1] = 0;
	f->model.foreign = foreign;
	build(f);
	assert_set(f, SET_FOREIGN_CGROUPS, "cgroup 900");
	assert_set(f, SET_FOREIGN_ROOTS, "cgroup 800");
	assert_set(f, SET_HOST_JOBS, "cgroup 900");
	assert_set(f, SET_BYSTANDER_CGROUPS, "");
	assert_int_equal(f->verdicts[0].confinement, CONFINEMENT_QUARANTINED);
	assert_true(f->verdicts[0].violation);
	assert_false(f->verdicts[0].unconfinable);
	/* no rule is so deep */
	foreign[0].level = 7;
	build(f);
	assert_set(f, SET_FOREIGN_CGROUPS, "");
	assert_true(f->verdicts[0].unconfinable);
	/* where it is with the others that is where it is held */
	foreign[0] = (struct foreign_cgroup){ 0 };
	f->cgroup_id[0] = 1000;
	build(f);
	assert_set(f, SET_HOST_JOBS, "cgroup 1000");
	assert_int_equal(f->verdicts[0].confinement, CONFINEMENT_FENCED);
}

static void unconfinable_is_quarantined_where_asked(void **state)
{
	struct fixture *f = *state;

	f->containers[0].hazards = HAZARD_CAPABILITIES;
	f->containers[1].hazards = HAZARD_PRIVILEGED; /* no job: keeps all that it had */
	host(f, 2);
	f->containers[2].is_task = true;
	f->containers[2].hazards = HAZARD_PRIVILEGED;
	build(f);
	assert_set(f, SET_QUARANTINED4, "");
	assert_set(f, SET_QUARANTINED_CGROUPS, "");
	f->config.unconfinable = UNCONFINABLE_QUARANTINE;
	build(f);
	assert_set(f, SET_QUARANTINED4, "\"docker0\" . 172.17.0.2");
	assert_set(f, SET_QUARANTINED6, "\"docker0\" . fd00:d0c::2");
	assert_set(f, SET_QUARANTINED_CGROUPS, "cgroup 1002");
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethb\"");
	assert_int_equal(f->verdicts[1].confinement, CONFINEMENT_NONE);
	assert_true(f->verdicts[0].unconfinable);
	assert_non_null(strstr(f->verdicts[0].why, "quarantined, as unconfinable says"));
	/* a remark is no reason */
	f->containers[0].hazards = HAZARD_RDMA;
	build(f);
	assert_set(f, SET_QUARANTINED4, "");
	/* the namespace is that of a bystander, the quarantine that of the job in it */
	f->containers[0].hazards = HAZARD_PRIVILEGED;
	f->containers[0].network_kind = NETWORK_KIND_CONTAINER;
	f->containers[0].network_ref = (char *)ID_B;
	f->containers[0].endpoints_n = 0;
	build(f);
	assert_set(f, SET_QUARANTINED4, "\"docker0\" . 172.17.0.3");
	assert_int_equal(f->verdicts[1].confinement, CONFINEMENT_QUARANTINED);
}

static void network_without_a_bridge_is_not_held(void **state)
{
	static char *const drivers[] = { (char *)"macvlan", (char *)"ipvlan", (char *)"overlay" };
	struct fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		f->networks[0].driver = drivers[i];
		f->networks[0].bridge[0] = '\0';
		build(f);
		assert_true(f->verdicts[0].unconfinable);
		assert_int_equal(f->verdicts[0].hazards, HAZARD_NETWORK_DRIVER);
		assert_non_null(strstr(f->verdicts[0].why, "network without a bridge: the fence"));
		assert_int_equal(f->verdicts[1].confinement, CONFINEMENT_NONE);
	}
	f->networks[0].driver = (char *)"bridge";
	build(f);
	assert_false(f->verdicts[0].unconfinable);
	/* it joined who is on such a network */
	strcpy(f->endpoints[1].network_id, NET_USER);
	f->networks[1].driver = (char *)"macvlan";
	f->containers[0].network_kind = NETWORK_KIND_CONTAINER;
	f->containers[0].network_ref = (char *)ID_B;
	f->containers[0].endpoints_n = 0;
	build(f);
	assert_true(f->verdicts[0].unconfinable);
}

/* Docker in a container with the host's network makes bridges that the engine knows nothing of. */
static void bridges_of_a_nested_engine_are_spared(void **state)
{
	struct fixture *f = *state;

	strcpy(f->links[3].name, "br-fedcba987654");
	build(f);
	assert_set(f, SET_SPARED_BRIDGES, "");
	assert_set(f, SET_FOREIGN_PORTS, "");
	host(f, 0);
	build(f);
	assert_set(f, SET_SPARED_BRIDGES, "");
	f->containers[0].hazards = HAZARD_PRIVILEGED;
	build(f);
	assert_set(f, SET_SPARED_BRIDGES, "\"br-fedcba987654\"");
	assert_set(f, SET_FOREIGN_PORTS, "\"eth0\"");
	assert_set(f, SET_GUARDED_BRIDGES, "\"br-0123456789ab\", \"docker0\"");
	/* the engine knows it, or has not told all, or what could have made it is gone */
	strcpy(f->networks[1].bridge, "br-fedcba987654");
	build(f);
	assert_set(f, SET_SPARED_BRIDGES, "\"br-0123456789ab\"");
	strcpy(f->networks[1].bridge, "br-0123456789ab");
	f->model.in_sync = false;
	build(f);
	assert_set(f, SET_SPARED_BRIDGES, "");
	f->model.in_sync = true;
	f->containers[0].state = CONTAINER_EXITED;
	build(f);
	assert_set(f, SET_SPARED_BRIDGES, "");
}

/* Where it is nobody has told yet: its bridge addresses are a job's, not a quarantined one's. */
static void job_of_unknown_place_is_isolated_on_bridges(void **state)
{
	struct fixture *f = *state;

	f->containers[0].network_kind = NETWORK_KIND_UNKNOWN;
	f->containers[0].inspected = false;
	build(f);
	assert_int_equal(f->verdicts[0].confinement, CONFINEMENT_QUARANTINED);
	assert_set(f, SET_JOBS4, "\"docker0\" . 172.17.0.2");
	assert_set(f, SET_QUARANTINED4, "");
}

static void bystander_beside_a_job_is_told_so(void **state)
{
	struct fixture *f = *state;

	/* it joined the job */
	f->containers[1].network_kind = NETWORK_KIND_CONTAINER;
	f->containers[1].network_ref = (char *)ID_A;
	f->containers[1].endpoints_n = 0;
	build(f);
	assert_int_equal(f->verdicts[1].confinement, CONFINEMENT_ISOLATED);
	assert_non_null(strstr(f->verdicts[1].why, "a job is in its network namespace: isolated"));
	assert_int_equal(f->verdicts[2].confinement, CONFINEMENT_NONE);
	/* on the host's network each has its own cgroup */
	host(f, 0);
	build(f);
	assert_int_equal(f->verdicts[1].confinement, CONFINEMENT_NONE);
	assert_set(f, SET_BYSTANDER_CGROUPS, "cgroup 1001");
	/* the job joined it */
	f->containers[1].network_kind = NETWORK_KIND_BRIDGE;
	f->containers[1].network_ref = NULL;
	f->containers[0].network_kind = NETWORK_KIND_CONTAINER;
	f->containers[0].network_ref = (char *)ID_B;
	build(f);
	assert_int_equal(f->verdicts[1].confinement, CONFINEMENT_ISOLATED);
	f->containers[0].state = CONTAINER_EXITED;
	build(f);
	assert_int_equal(f->verdicts[1].confinement, CONFINEMENT_NONE);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_job_in_another_cgroup_is_not_held),
		TEST(a_cgroup_elsewhere_is_held_by_its_id),
		TEST(unconfinable_is_quarantined_where_asked),
		TEST(network_without_a_bridge_is_not_held),
		TEST(bridges_of_a_nested_engine_are_spared),
		TEST(job_of_unknown_place_is_isolated_on_bridges),
		TEST(bystander_beside_a_job_is_told_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
