/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `status` of a host written out by hand: the whole table, and the counting. */
#include "status_fixture.h"

static void the_table(void **state)
{
	static const char wanted[] =
		"mode          2 HOST_WHEN_POSSIBLE (environment)\n"
		"on violation  quarantine\n"
		"engine        unix:///var/run/docker.sock, version 28.5.2, in sync\n"
		"cgroups       cgroupfs driver, /sys/fs/cgroup/docker\n"
		"bridges       docker0\n"
		"egress        bridge jobs internet, host jobs any; metadata: bridge jobs deny, "
		"host jobs allow\n"
		"resolvers     none\n"
		"proxies       none\n"
		"attached to   no network\n"
		"ruleset       present, as it should be\n"
		"daemon        running, pid 1234\n"
		"\n"
		"! 1 job that the fence cannot hold\n"
		"~ 1 job not where the mirrored mode would have placed it: compare mode with the "
		"server's\n"
		"! 1 job on the host's network with CAP_NET_RAW: bridge jobs are NOT ISOLATED from "
		"its packet sockets (this kernel lacks netdev egress or "
		"CONFIG_IP_ROUTE_CLASSID)\n"
		"\n"
		"  NAME                ROLE       TASK                                  PLACEMENT  "
		"SIZE   CLASS   CONFINEMENT          STOPPED  WHY\n"
		"! small-0-0-00000000  job        t?[2J2                                bridge     "
		"part   mode 2  NOT HELD (isolated)  9        bridge network, part of an instance, "
		"mode 2 (HOST_WHEN_POSSIBLE): isolated; privileged: the fence cannot hold it\n"
		"~ alone-0-0-00000000  job        t5                                    bridge     "
		"whole  mode 2  isolated             0        bridge network, whole instance, mode "
		"2 "
		"(HOST_WHEN_POSSIBLE): isolated, this mode gives it the host network: the mirrored "
		"mode may be stale\n"
		"  train-0-0-0123abcd  job        " TASK "  host       "
		"whole  mode 2  fenced               9        host network, whole instance, mode 2 "
		"(HOST_WHEN_POSSIBLE): fenced\n"
		"  box                 bystander  -                                     bridge     "
		"-      -       free                 0        bystander (no is-task label), bridge "
		"network: free, keeps all that it had\n"
		"\n"
		"1 stopped container not shown\n";
	struct fixture *f = *state;

	put_elements(f, 9);
	assert_int_equal(status_view_fill(&f->view), 0);
	assert_int_equal(f->view.ruleset, RULESET_ABSENT);
	f->view.ruleset = RULESET_PRESENT;

	_cleanup_free_ char *text = printed(&f->view);

	assert_string_equal(text, wanted);
}

static void what_is_not_known_is_no_zero(void **state)
{
	static const char wanted[] = "mode          2 HOST_WHEN_POSSIBLE (environment)\n"
				     "on violation  quarantine\n"
				     "engine        unix:///var/run/docker.sock, not reachable: "
				     "connection refused\n"
				     "cgroups       none usable: no cgroup v2\n"
				     "bridges       docker0\n"
				     "egress        bridge jobs internet, host jobs any; metadata: "
				     "bridge jobs deny, "
				     "host jobs allow\n"
				     "resolvers     none\n"
				     "proxies       none\n"
				     "attached to   no network\n"
				     "ruleset       ? (needs root)\n"
				     "daemon        stopped: a fence that was there still stands, "
				     "nothing new is opened\n"
				     "\n";
	struct fixture *f = *state;

	f->view.live = NULL;
	f->view.ruleset_trouble = "needs root";
	f->view.daemon_pid = 0;
	f->view.cgroup_trouble = "no cgroup v2";
	f->expected.model.has_cgroups = false;
	f->engine = (struct engine_view){ .state = ENGINE_LOST, .trouble = "connection refused" };
	assert_int_equal(status_view_fill(&f->view), 0);
	assert_int_equal(f->view.ruleset, RULESET_UNKNOWN);

	_cleanup_free_ char *text = printed(&f->view);

	assert_memory_equal(text, wanted, strlen(wanted));
	/* a host job cannot be told from the host without cgroups */
	assert_non_null(strstr(text, "NOT HELD (fenced)"));
	assert_non_null(strstr(text, "\npackets stopped: ? (needs root)\n"));
}

static void nothing_is_held_without_the_ruleset(void **state)
{
	struct fixture *f = *state;
	size_t jobs = 0;

	assert_int_equal(status_view_fill(&f->view), 0);
	f->view.ruleset = RULESET_ABSENT;
	for (size_t i = 0; i < f->view.rows_n; i++) {
		bool job = f->view.rows[i].verdict->role == ROLE_JOB;

		jobs += job;
		assert_int_equal(status_row_held(&f->view, &f->view.rows[i]),
				 job ? HELD_NO : HELD_YES);
	}
	assert_true(jobs > 0);
}

/* The first line says it, and no job is shown as held. */
static void audit_comes_first(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(status_view_fill(&f->view), 0);
	f->view.ruleset = RULESET_PRESENT;
	f->config.audit = GROUPS_ALL;

	_cleanup_free_ char *all = printed(&f->view);

	assert_ptr_equal(strstr(all, "AUDIT         NOTHING IS ENFORCED: "), all);
	assert_non_null(strstr(all, "NOT HELD (fenced)"));
	assert_null(strstr(all, " fenced  "));
	f->config.audit = GROUP_BIT(GROUP_EGRESS) | GROUP_BIT(GROUP_HOST);

	_cleanup_free_ char *some = printed(&f->view);
	json_t *json = status_json(&f->view);
	json_t *enforced = json_object_get(json, "enforced");

	assert_ptr_equal(strstr(some, "AUDIT         NOT ENFORCED, only counted and logged: "
				      "egress, "
				      "host\n"),
			 some);
	assert_true(json_is_false(json_object_get(enforced, "everything")));
	assert_true(json_is_false(json_object_get(enforced, "nothing")));
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(enforced, "groups"), "egress")),
		"audit");
	json_decref(json);
}

/* What remains where the kernel can stop frames, and nothing where no job can make one. */
static void packet_sockets_are_told_of(void **state)
{
	struct fixture *f = *state;

	f->expected.model.egress = true;
	assert_int_equal(status_view_fill(&f->view), 0);

	_cleanup_free_ char *text = printed(&f->view);

	assert_non_null(strstr(text, "\n~ 1 job on the host's network with CAP_NET_RAW: can sniff "
				     "there, lo included, and send to bridge jobs by XDP sockets; "
				     "other frames are stopped\n"));
	assert_null(strstr(text, "NOT ISOLATED"));
	for (size_t i = 0; i < N; i++)
		containers[i].no_net_raw = true;

	_cleanup_free_ char *none = printed(&f->view);

	for (size_t i = 0; i < N; i++)
		containers[i].no_net_raw = false;
	assert_null(strstr(none, "CAP_NET_RAW"));
}

/* Who is released comes first, and is shown as neither held nor merely not held. */
static void a_released_job_comes_first(void **state)
{
	struct fixture *f = *state;

	f->expected.verdicts[0].released = 1900 * 1000000ULL;
	f->view.now = 100 * 1000000ULL;
	assert_int_equal(status_view_fill(&f->view), 0);
	f->view.ruleset = RULESET_PRESENT;
	assert_string_equal(f->view.rows[0].container->id, "a1");
	assert_int_equal(status_row_held(&f->view, &f->view.rows[0]), HELD_NO);

	_cleanup_free_ char *text = printed(&f->view);
	json_t *json = status_json(&f->view);
	json_t *row = json_array_get(json_object_get(json, "containers"), 0);

	assert_non_null(strstr(text, "\n\n! job train-0-0-0123abcd is RELEASED from the fence: 30 "
				     "min "
				     "left\n! 1 job that the fence"));
	assert_non_null(strstr(text, "RELEASED (fenced)"));
	assert_int_equal(json_integer_value(json_object_get(row, "released_seconds")), 1800);
	assert_true(json_is_false(json_object_get(row, "held")));
	json_decref(json);
}

static void let_out(struct fixture *f, uint64_t key_id, uint64_t ends, const char *text)
{
	const char *comment = NULL;
	struct elem_key key;

	elem_key_init(&key);
	elem_key_u64(&key, key_id);
	assert_int_equal(ruleset_comment(f->live->elements, text, &comment), 0);
	assert_int_equal(ruleset_add_timed(f->live->elements, SET_BYSTANDER_CGROUPS, &key, ends,
					   comment),
			 0);
}

/* The release was ended, the daemon is dead: what the kernel has is what is so. Others' elements, and
 * those that do not end, say nothing of it. */
static void a_job_that_the_kernel_lets_out(void **state)
{
	static const char *const others[] = {
		"x-train-0-0-0123abcd task " TASK "0 HOST_WHEN_POSSIBLE fenced",
		"train-0-0-0123abcd bystander",
		"task " TASK " HOST_WHEN_POSSIBLE fenced",
	};
	struct fixture *f = *state;
	const uint64_t until = 700 * 1000000ULL;

	f->view.now = 100 * 1000000ULL;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		let_out(f, 1000 + i, until * 2, others[i]);
	let_out(f, 77, 0, "train-0-0-0123abcd task " TASK " HOST_WHEN_POSSIBLE fenced");
	let_out(f, 2000, until, "gone-0-0-00000000 task t4 HOST_WHEN_POSSIBLE fenced");
	assert_int_equal(status_view_fill(&f->view), 0);
	for (size_t i = 0; i < f->view.rows_n; i++)
		assert_int_equal(f->view.rows[i].released, 0);
	free(f->view.rows);

	let_out(f, 77, until, "a-name-before task " TASK " HOST_WHEN_POSSIBLE fenced");
	assert_int_equal(status_view_fill(&f->view), 0);
	f->view.ruleset = RULESET_DIFFERS;
	assert_string_equal(f->view.rows[0].container->id, "a1");
	assert_int_equal(f->view.rows[0].released, until);
	assert_int_equal(status_row_held(&f->view, &f->view.rows[0]), HELD_NO);

	_cleanup_free_ char *text = printed(&f->view);

	assert_non_null(strstr(text, "\n! job train-0-0-0123abcd is still RELEASED in the kernel, "
				     "though no release says so: 10 min left\n"));
	assert_non_null(strstr(text, "RELEASED (fenced)"));
}

static void without_containers(void **state)
{
	struct fixture *f = *state;

	f->expected.model.containers_n = 0;
	assert_int_equal(status_view_fill(&f->view), 0);

	_cleanup_free_ char *known = printed(&f->view);

	assert_non_null(strstr(known, "\n\nno running containers\n"));
	assert_null(strstr(known, "NAME"));
	f->engine.ever_in_sync = false;

	_cleanup_free_ char *unknown = printed(&f->view);

	assert_non_null(strstr(unknown, "\n\nno running containers known\n"));
}

static void owners_of_the_tables(void **state)
{
	static const struct {
		enum owner owner;
		bool own, possible;
		pid_t pid;
		const char *text;
	} cases[] = {
		{ OWNER_DAEMON, true, false, 7,
		  "\ntables        the daemon's: no other process can change them\n" },
		{ OWNER_ORPHAN, true, false, 0,
		  "\ntables        nobody's until a daemon runs: other processes can change "
		  "them\n" },
		{ OWNER_ORPHAN, true, false, 7,
		  "\ntables        nobody's; the daemon's next look takes them back: other" },
		{ OWNER_ORPHAN, false, false, 7,
		  "\ntables        nobody's, as [nftables] owner = no says: other" },
		{ OWNER_NOBODY, false, false, 7,
		  "\ntables        nobody's, as [nftables] owner = no says: other" },
		{ OWNER_NOBODY, true, false, 7,
		  "\ntables        nobody's, since this kernel has no flag persist (6.9): other "
		  "processes can change them, a running daemon puts that back\n" },
		{ OWNER_NOBODY, true, true, 7,
		  "\ntables        nobody's, made by another version or by nft: other processes "
		  "can "
		  "change them, a running daemon puts that back; the next boot makes them the "
		  "daemon's\n" },
		{ OWNER_ANOTHER, true, false, 7,
		  "\ntables        NOT JOBFENCE'S: owned by x (pid 9), which alone can change "
		  "them; "
		  "stop it\n" },
	};
	struct fixture *f = *state;

	assert_int_equal(status_view_fill(&f->view), 0);
	f->view.owner_text = "x (pid 9)";
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		f->config.own_tables = cases[i].own;
		f->view.owner = cases[i].owner;
		f->view.owner_possible = cases[i].possible;
		f->view.daemon_pid = cases[i].pid;

		_cleanup_free_ char *text = printed(&f->view);

		if (!strstr(text, cases[i].text))
			fail_msg("case %zu: %s", i, text);
	}
}

static void states_of_fence_and_daemon(void **state)
{
	static const struct {
		enum ruleset_state ruleset;
		size_t differences;
		pid_t pid;
		const char *text;
	} cases[] = {
		{ RULESET_ABSENT, 0, 0,
		  "\nruleset       absent: nothing is fenced; start it with jobfence run\n"
		  "daemon        stopped\n" },
		{ RULESET_DIFFERS, 1, 7,
		  "\nruleset       differs: 1 difference, see jobfence verify\n"
		  "daemon        running, pid 7\n" },
		{ RULESET_DIFFERS, 2, 0,
		  "\nruleset       differs: 2 differences, see jobfence verify\n"
		  "daemon        stopped: nobody mends the ruleset, nothing new is opened\n" },
		{ RULESET_PRESENT, 0, 0,
		  "\nruleset       present, as it should be\n"
		  "daemon        stopped: the fence stands, nothing new is opened\n" },
		{ RULESET_PRESENT, 0, -1,
		  "\nruleset       present, as it should be\n"
		  "daemon        running\n" },
	};
	struct fixture *f = *state;

	assert_int_equal(status_view_fill(&f->view), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		f->view.ruleset = cases[i].ruleset;
		f->view.differences = cases[i].differences;
		f->view.daemon_pid = cases[i].pid;

		_cleanup_free_ char *text = printed(&f->view);

		if (!strstr(text, cases[i].text))
			fail_msg("case %zu: %s", i, text);
	}
	f->expected.model.in_sync = false;

	_cleanup_free_ char *text = printed(&f->view);

	assert_non_null(strstr(text, "\nruleset       present, its elements not compared: "));
}

static void differences_are_counted(void **state)
{
	struct fixture *f = *state;

	put_elements(f, 0);
	f->live->table[FAMILY_INET] = true;
	assert_int_equal(status_view_fill(&f->view), 0);
	assert_int_equal(f->view.ruleset, RULESET_DIFFERS);
	assert_true(f->view.differences > 10); /* the sets and chains of one table, and the other */
}

/* Violations and what cannot be held first, then doubts, jobs, and the rest, each by name. */
static void the_order_of_rows(void **state)
{
	static const char *const wanted[] = { "d4", "c3", "e5", "a1", "b2" };
	struct fixture *f = *state;

	assert_int_equal(status_view_fill(&f->view), 0);
	assert_int_equal(f->view.rows_n, N);
	for (size_t i = 0; i < N; i++)
		assert_string_equal(f->view.rows[i].container->id, wanted[i]);
}

static void add_counted(struct ruleset *ruleset, enum set_id set, uint64_t seed,
			const char *comment, uint64_t packets)
{
	struct elem_key key;
	const char *copy;

	elem_key_init(&key);
	elem_key_u64(&key, seed);
	assert_int_equal(ruleset_comment(ruleset, comment, &copy), 0);
	assert_int_equal(ruleset_add_extra(ruleset, set, &key,
					   &(struct elem_extra){ .packets = packets }, copy),
			 0);
}

static void packets_are_those_of_the_job(void **state)
{
	static const char mine[] = "train-0-0-0123abcd task " TASK " HOST_WHEN_POSSIBLE fenced";
	struct fixture *f = *state;
	struct ruleset *live = f->live->elements;

	/* all four sets count, whatever the mode was when the element was made */
	add_counted(live, SET_HOST_JOBS, 1, mine, 1);
	add_counted(live, SET_JOBS4, 2, mine, 20);
	add_counted(live, SET_JOBS6, 3, "train-0-0-0123abcd task " TASK " FORCED_BRIDGE isolated",
		    300);
	add_counted(live, SET_JOB_PORTS, 4, mine, 4000);
	/* it was renamed: the task is the same */
	add_counted(live, SET_JOBS4, 10, "before-0-0-0123abcd task " TASK " x y", 50000);
	/* other sets, another task of that name, no name */
	add_counted(live, SET_OWN, 5, mine, 50000);
	add_counted(live, SET_JOBS4, 6, "train-0-0-0123abcd task 1 FORCED_BRIDGE isolated", 50000);
	add_counted(live, SET_JOBS4, 7, "train-0-0-0123abcd task " TASK "0 x", 600000);
	add_counted(live, SET_JOBS4, 8, "", 50000);
	live->sets[SET_JOBS4].elem[live->sets[SET_JOBS4].n - 1].comment = NULL;
	/* a bystander that shares a job's namespace */
	add_counted(live, SET_JOBS4, 9, WEB " bystander", 6);
	ruleset_seal(live);
	assert_int_equal(status_view_fill(&f->view), 0);
	assert_int_equal(row_of(&f->view, "a1")->stopped, 54321);
	assert_int_equal(row_of(&f->view, "b2")->stopped, 6);
	assert_int_equal(row_of(&f->view, "c3")->stopped, 0);
}

/* Without a task id there is the name alone, and another's may end with it. */
static void a_name_is_not_the_end_of_another(void **state)
{
	struct fixture *f = *state;
	struct ruleset *live = f->live->elements;

	f->expected.verdicts[1].role = f->expected.verdicts[3].role = ROLE_JOB;
	containers[3].task_id = NULL;
	containers[3].name = (char *)"my-" WEB;
	add_counted(live, SET_JOBS4, 1, WEB " task  HOST_WHEN_POSSIBLE isolated", 5);
	add_counted(live, SET_JOBS4, 2, "my-" WEB " task  HOST_WHEN_POSSIBLE isolated", 7);
	ruleset_seal(live);

	int r = status_view_fill(&f->view);

	containers[3].task_id = (char *)"t4";
	containers[3].name = (char *)"gone-0-0-00000000";
	assert_int_equal(r, 0);
	assert_int_equal(row_of(&f->view, "b2")->stopped, 5);
	assert_int_equal(row_of(&f->view, "d4")->stopped, 7);
}

/* The comments that the policy writes are those that are looked for. */
static void policy_and_status_agree_on_comments(void **state)
{
	struct fixture *f = *state;

	put_elements(f, 5);
	assert_int_equal(status_view_fill(&f->view), 0);
	assert_int_equal(row_of(&f->view, "a1")->stopped, 5);
	assert_int_equal(row_of(&f->view, "c3")->stopped, 5);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_table),
		TEST(what_is_not_known_is_no_zero),
		TEST(nothing_is_held_without_the_ruleset),
		TEST(audit_comes_first),
		TEST(packet_sockets_are_told_of),
		TEST(a_released_job_comes_first),
		TEST(a_job_that_the_kernel_lets_out),
		TEST(without_containers),
		TEST(states_of_fence_and_daemon),
		TEST(differences_are_counted),
		TEST(owners_of_the_tables),
		TEST(the_order_of_rows),
		TEST(packets_are_those_of_the_job),
		TEST(a_name_is_not_the_end_of_another),
		TEST(policy_and_status_agree_on_comments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
