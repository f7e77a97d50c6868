/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the ruleset while others do what they like: a storm of transactions, rules that libnftnl
 * does not understand, answers that the kernel did not give.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "jobfence/plan.h"
#include "../../src/nft-internal.h"

#define EXIT_SKIP 77

struct fixture {
	struct nft *nft;
	struct skeleton *skeleton;
	struct ruleset *ruleset;
};

static void set_up(struct fixture *f)
{
	const struct skeleton_params params = { .mode = 2,
						.parent_level = 1,
						.engine_level = 2,
						.runner_port = 10999,
						.mark_bystander = 0x08000000,
						.mark_container = 0x10000000,
						.mark_host = 0x20000000 };
	struct diag diag = { 0 };

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	*f = (struct fixture){ .skeleton = calloc(1, sizeof(*f->skeleton)) };
	assert_non_null(f->skeleton);
	skeleton_build(&params, f->skeleton);
	assert_int_equal(nft_open(&f->nft, &diag), 0);
	assert_int_equal(ruleset_new(&f->ruleset), 0);
	ruleset_seal(f->ruleset);
}

static void tear_down(struct fixture *f)
{
	nft_close(f->nft);
	ruleset_free(f->ruleset);
	free(f->skeleton);
}

/* Reads, plans and commits; the number of steps. */
static size_t mend(struct fixture *f, bool *ret_torn)
{
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	struct commit_stats stats;
	struct diag diag = { 0 };

	if (nft_read_torn(f->nft, f->skeleton, &live, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(plan_make(f->skeleton, f->ruleset, live, &ops), 0);
	if (nft_commit(f->nft, f->skeleton, &ops, &stats, &diag) < 0)
		fail_msg("%s", diag.text);
	*ret_torn = live->torn;
	return ops.n;
}

static size_t mend_quietly(struct fixture *f)
{
	bool torn;
	size_t steps = mend(f, &torn);

	assert_false(torn);
	return steps;
}

/* Somebody who makes and deletes a table, which is not one of those that are read, as fast as can be. */
static void storm(void)
{
	_cleanup_(nft_closep) struct nft *nft = NULL;
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	struct commit_stats stats;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!skeleton || nft_open(&nft, NULL) < 0)
		_exit(1);
	for (struct op op = { .family = FAMILY_NETDEV };;) {
		op.kind = op.kind == OP_ADD_TABLE ? OP_DEL_TABLE : OP_ADD_TABLE;
		nft_commit(nft, skeleton, &(struct ops){ .op = &op, .n = 1 }, &stats, NULL);
	}
}

static void storm_does_not_keep_us_from_mending(void **state)
{
	_cleanup_(live_freep) struct live *live = NULL;
	struct diag diag = { 0 };
	struct fixture f;
	bool torn = false;
	int r = 0;
	pid_t pid;

	set_up(&f);
	assert_true(mend_quietly(&f) > 100);
	assert_int_equal(mend_quietly(&f), 0);
	pid = fork();
	if (pid == 0)
		storm();
	assert_true(pid > 0);
	for (int i = 0; i < 200 && !torn; i++) {
		assert_int_equal(system("nft flush chain inet jobfence output"), 0);
		assert_true(mend(&f, &torn) > 0);
		kill(pid, SIGSTOP); /* nft has less patience */
		assert_int_equal(system("nft list chain inet jobfence output | grep -q published"),
				 0);
		kill(pid, SIGCONT);
	}
	assert_true(torn);
	/* whoever wants to tell a difference is told that it cannot be told */
	for (int i = 0; i < 200 && r != -EAGAIN; i++) {
		live = live_free(live);
		r = nft_read(f.nft, f.skeleton, &live, &diag);
		assert_true(r == 0 || r == -EAGAIN);
	}
	assert_int_equal(r, -EAGAIN);
	assert_non_null(strstr(diag.text, "kept changing"));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	mend_quietly(&f);
	assert_int_equal(mend_quietly(&f), 0);
	tear_down(&f);
}

/* A rule with the expression "inner", which libnftnl has since 1.2.5 and the kernel since 6.2. */
static int add_unknown_rule(struct fixture *f)
{
	struct batch batch = { .first_seq = f->nft->seq, .seq = f->nft->seq };
	struct nlattr *rule, *elem, *data, *inner, *inner_data;
	struct nlmsghdr *nlh;
	ssize_t sent;

	for (int i = 0; i < 3; i++) {
		uint16_t type = i == 0 ? NFNL_MSG_BATCH_BEGIN : NFNL_MSG_BATCH_END;

		nlh = batch_begin(&batch, FAMILY_INET, NFT_MSG_NEWRULE,
				  NLM_F_CREATE | NLM_F_APPEND);
		assert_non_null(nlh);
		if (i != 1) {
			struct nfgenmsg *nfg = mnl_nlmsg_get_payload(nlh);

			nlh->nlmsg_type = type;
			nfg->nfgen_family = AF_UNSPEC;
			nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
			batch_end(&batch, nlh);
			continue;
		}
		mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, TABLE_NAME);
		mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, "output");
		rule = mnl_attr_nest_start(nlh, NFTA_RULE_EXPRESSIONS);
		elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
		mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, "inner");
		data = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
		mnl_attr_put_u32(nlh, 1, htonl(0));   /* number */
		mnl_attr_put_u32(nlh, 2, htonl(1));   /* type: VXLAN */
		mnl_attr_put_u32(nlh, 3, htonl(0xf)); /* flags: all headers */
		mnl_attr_put_u32(nlh, 4, htonl(8));   /* header size */
		inner = mnl_attr_nest_start(nlh, 5);
		mnl_attr_put_strz(nlh, NFTA_EXPR_NAME, "meta");
		inner_data = mnl_attr_nest_start(nlh, NFTA_EXPR_DATA);
		mnl_attr_put_u32(nlh, NFTA_META_DREG, htonl(NFT_REG32_00));
		mnl_attr_put_u32(nlh, NFTA_META_KEY, htonl(NFT_META_PROTOCOL));
		mnl_attr_nest_end(nlh, inner_data);
		mnl_attr_nest_end(nlh, inner);
		mnl_attr_nest_end(nlh, data);
		mnl_attr_nest_end(nlh, elem);
		mnl_attr_nest_end(nlh, rule);
		nlh->nlmsg_flags |= NLM_F_ACK;
		batch_end(&batch, nlh);
	}
	sent = mnl_socket_sendto(f->nft->socket, batch.data, batch.len);
	assert_true(sent > 0);

	struct answers answers = { .first_seq = batch.first_seq, .end_seq = batch.seq };

	f->nft->seq = batch.seq;
	assert_int_equal(nft_read_answers(f->nft, &answers), 0);
	batch_done(&batch);
	return answers.error;
}

static void rule_that_is_not_understood_is_a_difference(void **state)
{
	struct fixture f;
	int r;

	set_up(&f);
	mend_quietly(&f);
	r = add_unknown_rule(&f);
	if (r < 0) { /* before 6.2 */
		print_message("the kernel has no such expression: %s\n", strerror(-r));
		tear_down(&f);
		skip();
	}
	assert_true(mend_quietly(&f) > 0);
	assert_int_equal(mend_quietly(&f), 0);
	tear_down(&f);
}

/* What is left in the queue, from a stranger or of an older answer, is no answer. */
static void only_the_answer_is_read(void **state)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct diag diag = { 0 };
	uint32_t generation = 0;
	struct fixture f;
	int stranger;

	set_up(&f);
	stranger = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	to.nl_pid = mnl_socket_get_portid(f.nft->socket);
	for (uint32_t i = 0; i < 100; i++) {
		struct {
			struct nlmsghdr nlh;
			int error;
		} lie = { .nlh = { .nlmsg_len = sizeof(lie),
				   .nlmsg_type = NLMSG_DONE,
				   .nlmsg_flags = NLM_F_MULTI,
				   .nlmsg_seq = f.nft->seq + i,
				   .nlmsg_pid = to.nl_pid } };

		assert_int_equal(sendto(stranger, &lie, sizeof(lie), 0, (struct sockaddr *)&to,
					sizeof(to)),
				 sizeof(lie));
	}
	assert_int_equal(nft_generation(f.nft, &generation, &diag), 0);
	assert_int_not_equal(generation, 0);
	assert_true(mend_quietly(&f) > 100);
	close(stranger);
	/* two questions, one answer read: the next question passes over the other */
	for (int i = 0; i < 2; i++) {
		char buffer[64] = { 0 };
		struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETGEN, AF_UNSPEC,
							     NLM_F_ACK, f.nft->seq + 100);

		assert_true(mnl_socket_sendto(f.nft->socket, nlh, nlh->nlmsg_len) > 0);
	}
	assert_int_equal(nft_generation(f.nft, &generation, &diag), 0);
	assert_int_equal(mend_quietly(&f), 0);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(storm_does_not_keep_us_from_mending),
		cmocka_unit_test(rule_that_is_not_understood_is_a_difference),
		cmocka_unit_test(only_the_answer_is_read),
	};

	if (unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
