/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `status --json` of a host written out by hand: the whole of it, and of one of which hardly anything is known. */
#include "status_fixture.h"

static void the_json(void **state)
{
	static const char wanted[] =
		"{\"version\": \"" JOBFENCE_VERSION "\", "
		"\"enforced\": {\"everything\": true, \"nothing\": false, \"groups\": {"
		"\"egress\": \"enforce\", \"neighbours\": \"enforce\", \"host\": \"enforce\", "
		"\"spoofing\": \"enforce\", \"host_apis\": \"enforce\", "
		"\"published\": \"enforce\", \"runners\": \"enforce\", "
		"\"quarantine\": \"enforce\"}}, "
		"\"mode\": {\"number\": 2, \"name\": \"HOST_WHEN_POSSIBLE\", "
		"\"origin\": \"environment\"}, \"on_violation\": \"quarantine\", "
		"\"engine\": {\"socket\": \"/var/run/docker.sock\", \"state\": \"in_sync\", "
		"\"version\": \"28.5.2\", \"trouble\": null}, "
		"\"cgroups\": {\"usable\": true, \"root\": \"/sys/fs/cgroup\", "
		"\"driver\": \"cgroupfs\", \"parent\": \"docker\", \"shared\": false, "
		"\"trouble\": null}, \"guarded_bridges\": [\"docker0\"], "
		"\"egress\": {\"bridge\": \"internet\", \"host\": \"any\", "
		"\"metadata_bridge\": \"deny\", \"metadata_host\": \"allow\", \"resolvers\": [], "
		"\"resolvers_origin\": null, \"proxies\": [], \"attached\": [], \"remarks\": []}, "
		"\"ruleset\": {\"state\": \"present\", \"differences\": 0, \"trouble\": null, "
		"\"owner\": null}, "
		"\"daemon\": {\"running\": true, \"pid\": 1234}, "
		"\"counters\": {\"one\": {\"packets\": 12, \"bytes\": 3456}, \"two\": null}, "
		"\"containers\": ["
		"{\"id\": \"c3\", \"name\": \"small-0-0-00000000\", \"role\": \"job\", "
		"\"task_id\": \"t?[2J2\", \"state\": \"running\", \"placement\": \"bridge\", "
		"\"joined\": false, \"size\": \"part\", "
		"\"class\": {\"number\": 2, \"name\": \"HOST_WHEN_POSSIBLE\"}, "
		"\"confinement\": \"isolated\", \"held\": false, \"violation\": false, "
		"\"stale_mirror\": false, "
		"\"unconfinable\": true, \"hazards\": [\"privileged\", \"rdma\"], "
		"\"hazard_text\": \"/data\", \"why\": \"bridge network, part of an instance, mode "
		"2 "
		"(HOST_WHEN_POSSIBLE): isolated; privileged: the fence cannot hold it\", "
		"\"stopped_packets\": 9, \"released_seconds\": null, \"running_seconds\": null}, "
		"{\"id\": \"b2\", \"name\": \"box\", \"role\": \"bystander\", \"task_id\": null, "
		"\"state\": \"paused\", \"placement\": \"bridge\", \"joined\": false, "
		"\"size\": null, \"class\": null, \"confinement\": \"free\", \"held\": true, "
		"\"violation\": false, \"stale_mirror\": false, \"unconfinable\": false, "
		"\"hazards\": [], \"hazard_text\": null, \"why\": \"bystander (no is-task label), "
		"bridge network: free, keeps all that it had\", \"stopped_packets\": 0, "
		"\"released_seconds\": null, \"running_seconds\": null}], "
		"\"egress_hook\": false, \"host_jobs_with_net_raw\": 0, \"posture\": null}";
	static const struct counter_spec specs[] = { { FAMILY_INET, "one", "" },
						     { FAMILY_INET, "two", "" } };
	struct live_counter counters[] = { { true, 12, 3456 }, { false, 0, 0 } };
	struct fixture *f = *state;

	put_elements(f, 9);
	assert_int_equal(status_view_fill(&f->view), 0);
	f->view.ruleset = RULESET_PRESENT;
	f->view.rows[0] = *row_of(&f->view, "c3");
	f->view.rows[1] = *row_of(&f->view, "b2");
	f->view.rows_n = 2;
	f->expected.skeleton->counters = specs;
	f->expected.skeleton->counters_n = ARRAY_SIZE(specs);
	f->live->counters = counters;
	f->live->counters_n = ARRAY_SIZE(counters);

	json_t *json = status_json(&f->view);
	_cleanup_free_ char *text = json_dumps(json, 0);

	json_decref(json);
	f->live->counters = NULL;
	assert_string_equal(text, wanted);
}

/* The keys are the same when hardly anything is known. */
static void the_json_of_the_unknown(void **state)
{
	struct fixture *f = *state;

	f->view.live = NULL;
	f->view.ruleset_trouble = "needs root";
	f->view.daemon_pid = -1;
	f->view.cgroup_trouble = "no cgroup v2";
	f->expected.model.has_cgroups = false;
	f->engine = (struct engine_view){ .state = ENGINE_LOST, .trouble = "refused" };
	assert_int_equal(status_view_fill(&f->view), 0);

	json_t *json = status_json(&f->view);
	_cleanup_free_ char *text = json_dumps(json, 0);

	json_decref(json);
	assert_non_null(strstr(text, "\"state\": \"lost\", \"version\": null, "
				     "\"trouble\": \"refused\"}"));
	assert_non_null(strstr(text, "{\"usable\": false, \"root\": null, \"driver\": null, "
				     "\"parent\": null, \"shared\": false, "
				     "\"trouble\": \"no cgroup v2\"}"));
	assert_non_null(strstr(text, "{\"state\": \"unknown\", \"differences\": null, "
				     "\"trouble\": \"needs root\", \"owner\": null}"));
	assert_non_null(strstr(text, "\"daemon\": {\"running\": true, \"pid\": null}"));
	assert_non_null(strstr(text, "\"counters\": {\"spoofed\": null, "));
	assert_non_null(strstr(text, "\"stopped_packets\": null"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_json),
		TEST(the_json_of_the_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
