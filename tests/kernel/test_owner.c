/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose the tables are, in network namespaces of this process's own: nobody else changes an owned
 * one, it outlives its owner, the next takes it over as it is, and what cannot be owned is kept all
 * the same. Where the kernel has no persist (before 6.9) that nothing is owned is what is tested.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "read_command.h"
#include "jobfence/config.h"
#include "jobfence/owner.h"
#include "jobfence/plan.h"
#include "jobfence/reconcile.h"

#define EXIT_SKIP 77

struct fixture {
	struct config config;
	struct model model;
	bool can; /* the kernel has owner and persist */
	struct nft *nft;
	struct reconcile *reconcile;
	struct reconcile_result result;
	struct diag diag;
};

static void start(struct fixture *f, bool own)
{
	assert_int_equal(nft_open(&f->nft, &f->diag), 0);
	assert_int_equal(reconcile_new(f->nft, &f->reconcile), 0);
	reconcile_own(f->reconcile, own);
}

static void let_go(struct fixture *f)
{
	f->reconcile = reconcile_free(f->reconcile);
	f->nft = nft_close(f->nft);
}

static int run(struct fixture *f)
{
	reconcile_forget(f->reconcile);
	return reconcile_run(f->reconcile, &f->config, &f->model, &f->result, &f->diag);
}

#define RUN(f) assert_int_equal(run(f), 0)

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link set lo up"), 0);
	config_defaults(&f->config);
	f->model.in_sync = true;
	start(f, true);
	f->can = nft_probe_owner(f->nft) > 0;
	f->model.egress = nft_probe_egress(f->nft) > 0;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	let_go(*state);
	free(*state);
	return 0;
}

static struct live *read_live(struct fixture *f)
{
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	_cleanup_(nft_closep) struct nft *nft = NULL; /* reading needs no owner */
	struct skeleton_params params;
	struct live *live = NULL;
	struct diag diag = { 0 };

	assert_non_null(skeleton);
	policy_skeleton_params(&f->config, &f->model, &params);
	skeleton_build(&params, skeleton);
	assert_int_equal(nft_open(&nft, &diag), 0);
	assert_int_equal(nft_read(nft, skeleton, &live, &diag), 0);
	return live;
}

/* All tables are there with these flags, and with this owner if any. */
static void assert_tables(struct fixture *f, uint32_t flags)
{
	_cleanup_(live_freep) struct live *live = read_live(f);

	for (size_t i = 0; i < FAMILY_MAX; i++) {
		if (i == FAMILY_NETDEV && !f->model.egress)
			continue;
		assert_true(live->table[i]);
		assert_int_equal(live->table_flags[i], flags);
		if (flags & TABLE_OWNER)
			assert_int_equal(live->table_owner[i], nft_port(f->nft));
	}
}

static uint32_t generation(struct fixture *f)
{
	_cleanup_(live_freep) struct live *live = read_live(f);

	return live->generation;
}

/* With the handles: what was made anew has another. Without flags and owner. */
static char *listing(void)
{
	return read_command("nft -a list ruleset | grep -v '^\tflags' | sed 's/ progname .*//'");
}

static const char *const changes[] = {
	"delete table inet jobfence",
	"delete table bridge jobfence",
	"delete chain inet jobfence loopback",
	"flush chain inet jobfence from_bridge",
	"flush table inet jobfence",
	"insert rule inet jobfence from_bridge accept",
	"add rule bridge jobfence prerouting accept",
	"add chain inet jobfence stranger",
	"add set inet jobfence stranger '{ type ipv4_addr; }'",
	"delete set inet jobfence deny4",
	"add element inet jobfence bystanders4 '{ 10.9.9.9 }'",
	"delete element inet jobfence host_apis '{ 10998 }'",
	"flush set inet jobfence host_apis",
	"add counter inet jobfence stranger",
	"add table inet jobfence '{ flags dormant; }'",
	"chain inet jobfence input '{ policy drop; }'",
};

static int nft(const char *change)
{
	_cleanup_free_ char *command = NULL;

	assert_true(asprintf(&command, "nft %s 2>/dev/null", change) > 0);
	return system(command);
}

static void nobody_else_changes_what_is_owned(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *before = NULL, *after = NULL;

	if (!f->can)
		skip();
	RUN(f);
	assert_int_equal(reconcile_ownership(f->reconcile), OWNERSHIP_OURS);
	assert_tables(f, TABLE_OWNED);
	before = listing();
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		print_message("%s\n", changes[i]);
		assert_int_not_equal(nft(changes[i]), 0);
	}
	assert_int_equal(nft("add table inet another"), 0);
	assert_int_equal(nft("flush ruleset"), 0);
	assert_int_not_equal(nft("list table inet another"), 0); /* it was a flush */
	after = listing();
	assert_string_equal(before, after);
	RUN(f);
	assert_int_equal(f->result.steps, 0);
	/* its owner does change it */
	f->config.mode = NETWORK_MODE_FORCED_BRIDGE;
	RUN(f);
	assert_true(f->result.steps > 0);
}

static uint64_t shim_counter(void)
{
	FILE *in = popen("nft list counter inet jobfence host_job_to_host_api | sed -n "
			 "'s/.*packets \\([0-9]*\\).*/\\1/p'",
			 "re");
	unsigned long n = 0;

	assert_non_null(in);
	assert_int_equal(fscanf(in, "%lu", &n), 1);
	pclose(in);
	return n;
}

static void send_three(void)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
					.sin_port = htons(9),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd;

	for (int i = 0; i < 3; i++) {
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		assert_int_equal(sendto(fd, "", 1, 0, (const void *)&to, sizeof(to)), 1);
		close(fd);
	}
}

/* Three packets in a counter, and the rules as they were. */
static void count(void)
{
	assert_int_equal(system("nft insert rule inet jobfence output "
				"counter name host_job_to_host_api"),
			 0);
	send_three();
	assert_int_equal(system("nft delete rule inet jobfence output handle $(nft -a list chain "
				"inet jobfence output | sed -n 's/.*# handle //p' | sed -n 2p)"),
			 0);
	assert_true(shim_counter() >= 3);
}

static void the_next_takes_over_what_is_left(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *before = NULL, *orphan = NULL;
	uint64_t counted;

	if (!f->can)
		skip();
	RUN(f);
	before = listing();
	let_go(f);
	assert_tables(f, TABLE_PERSIST);
	orphan = listing();
	assert_string_equal(before, orphan);
	count();
	counted = shim_counter();
	start(f, true);
	RUN(f);
	assert_int_equal(f->result.taken, f->model.egress ? 3 : 2);
	assert_int_equal(f->result.lost, 0);
	assert_int_equal(f->result.steps, f->result.taken);
	assert_tables(f, TABLE_OWNED);
	assert_int_equal(shim_counter(), counted);
	assert_int_not_equal(nft("delete table inet jobfence"), 0);
	RUN(f);
	assert_int_equal(f->result.steps, 0);
}

/* What an owner left is mended by the next in the same go, base chains included. */
static void what_is_left_and_broken_is_mended(void **state)
{
	struct fixture *f = *state;

	if (!f->can)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		print_message("%s\n", changes[i]);
		RUN(f);
		let_go(f);
		(void)nft(changes[i]); /* not all of them are possible */
		start(f, true);
		RUN(f);
		assert_tables(f, TABLE_OWNED);
		RUN(f);
		assert_int_equal(f->result.steps, 0);
	}
}

static pid_t fork_owner(struct fixture *f)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		start(f, true);
		if (run(f) == 0)
			(void)!write(ready[1], "1", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void reap(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_killed_owner_leaves_its_rules(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *before = NULL, *after = NULL;
	pid_t pid;

	if (!f->can)
		skip();
	let_go(f);
	pid = fork_owner(f);
	before = listing();
	assert_int_not_equal(nft("delete table inet jobfence"), 0);
	reap(pid);
	after = listing();
	assert_string_equal(before, after);
	assert_tables(f, TABLE_PERSIST);
	start(f, true);
	RUN(f);
	assert_tables(f, TABLE_OWNED);
}

static void a_foreign_owner_is_named_and_left_alone(void **state)
{
	struct fixture *f = *state;
	char pid_text[32], text[OWNER_TEXT_MAX];
	uint32_t before;
	pid_t pid;

	if (!f->can)
		skip();
	let_go(f);
	pid = fork_owner(f);
	before = generation(f);
	for (int own = 0; own <= 1; own++) {
		start(f, own);
		assert_int_equal(run(f), -EBUSY);
		print_message("%s\n", f->diag.text);
		snprintf(pid_text, sizeof(pid_text), "(pid %d)", (int)pid);
		assert_non_null(strstr(f->diag.text, "table inet jobfence is owned by"));
		assert_non_null(strstr(f->diag.text, pid_text));
		let_go(f);
	}
	assert_int_equal(generation(f), before);
	{
		_cleanup_(live_freep) struct live *live = read_live(f);

		assert_int_equal(owner_judge(live, pid, text), OWNER_DAEMON);
		assert_int_equal(owner_judge(live, getpid(), text), OWNER_ANOTHER);
		assert_non_null(strstr(text, pid_text));
		assert_int_equal(owner_judge(live, 0, text), OWNER_ANOTHER);
	}
	reap(pid);
	start(f, true);
	RUN(f);
}

static void owner_no_over_what_an_owner_left(void **state)
{
	struct fixture *f = *state;

	if (!f->can)
		skip();
	RUN(f);
	let_go(f);
	start(f, false);
	RUN(f);
	assert_int_equal(f->result.steps, 0);
	assert_int_equal(reconcile_ownership(f->reconcile), OWNERSHIP_NOT_WANTED);
	assert_tables(f, TABLE_PERSIST);
	assert_int_equal(nft("delete table inet jobfence"), 0);
	RUN(f);
	RUN(f);
	assert_int_equal(f->result.steps, 0);
	assert_int_equal(nft("flush ruleset"), 0);
	RUN(f);
	assert_tables(f, 0);
}

/* As a reload to owner = no does, and back. */
static void a_loss_is_seen_and_undone(void **state)
{
	struct fixture *f = *state;

	if (!f->can)
		skip();
	RUN(f);
	assert_int_equal(nft_reopen(f->nft, &f->diag), 0);
	assert_tables(f, TABLE_PERSIST);
	reconcile_own(f->reconcile, false);
	RUN(f);
	assert_tables(f, TABLE_PERSIST);
	reconcile_own(f->reconcile, true);
	RUN(f);
	assert_int_equal(f->result.taken, f->model.egress ? 3 : 2);
	assert_int_equal(f->result.lost, 0);
	assert_tables(f, TABLE_OWNED);
	assert_int_equal(nft_reopen(f->nft, &f->diag), 0);
	reconcile_touched(f->reconcile);
	RUN(f);
	assert_int_equal(f->result.taken, f->model.egress ? 3 : 2);
	assert_int_equal(f->result.lost, f->result.taken);
	assert_tables(f, TABLE_OWNED);
}

static void what_cannot_be_owned_is_kept(void **state)
{
	struct fixture *f = *state;

	let_go(f);
	start(f, false);
	RUN(f);
	assert_tables(f, 0);
	let_go(f);
	start(f, true);
	RUN(f);
	assert_int_equal(f->result.steps, 0);
	assert_tables(f, 0);
	assert_int_equal(reconcile_ownership(f->reconcile),
			 f->can ? OWNERSHIP_OLD_TABLE : OWNERSHIP_NO_KERNEL);
	/* whoever takes it away makes room for one that can */
	assert_int_equal(nft("flush ruleset"), 0);
	RUN(f);
	assert_tables(f, f->can ? TABLE_OWNED : 0);
	assert_int_equal(reconcile_ownership(f->reconcile),
			 f->can ? OWNERSHIP_OURS : OWNERSHIP_NO_KERNEL);
}

static void changes_of_others_are_undone(void **state)
{
	struct fixture *f = *state;

	let_go(f);
	start(f, false);
	RUN(f);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		int r = nft(changes[i]);

		print_message("%s%s\n", changes[i], r ? ": refused" : "");
		RUN(f);
		assert_true(r || f->result.steps > 0);
		RUN(f);
		assert_int_equal(f->result.steps, 0);
		assert_tables(f, 0);
	}
}

static void without_persist_nothing_is_owned(void **state)
{
	struct fixture *f = *state;

	if (f->can)
		skip();
	RUN(f);
	assert_tables(f, 0);
	assert_int_equal(reconcile_ownership(f->reconcile), OWNERSHIP_NO_KERNEL);
	RUN(f);
	assert_int_equal(f->result.steps, 0);
	assert_int_equal(nft("flush ruleset"), 0);
	RUN(f);
	assert_tables(f, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_else_changes_what_is_owned),
		TEST(the_next_takes_over_what_is_left),
		TEST(what_is_left_and_broken_is_mended),
		TEST(a_killed_owner_leaves_its_rules),
		TEST(a_foreign_owner_is_named_and_left_alone),
		TEST(owner_no_over_what_an_owner_left),
		TEST(a_loss_is_seen_and_undone),
		TEST(what_cannot_be_owned_is_kept),
		TEST(changes_of_others_are_undone),
		TEST(without_persist_nothing_is_owned),
	};

	if (unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
