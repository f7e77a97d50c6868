/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says to a transaction, in network namespaces of this process's own: what it refuses
 * is named, down to the element and the expression, and what a kernel lacks by its module.
 */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "jobfence/plan.h"
#include "../../src/nft-internal.h"

#define EXIT_SKIP 77
#define TAGS 128
/* So that a message of elements is larger than the buffer that its answer is read to. */
#define LONG_COMMENT                                                                     \
	"a-very-long-name-of-a-run-that-somebody-chose-0-0-1a2b3c4d, which is a job of " \
	"task 01234567-89ab-cdef-0123-456789abcdef, isolated, with all that there is to say"

struct fixture {
	struct nft *nft;
	struct skeleton *skeleton;
	struct ruleset *ruleset;
	struct ops ops;
};

static void add_tag(struct ruleset *ruleset, uint64_t cgroup, uint32_t mark)
{
	struct elem_key key;
	const char *comment = NULL;

	elem_key_init(&key);
	elem_key_u64(&key, cgroup);
	assert_int_equal(ruleset_comment(ruleset, LONG_COMMENT, &comment), 0);
	assert_int_equal(ruleset_add(ruleset, SET_JOB_TAGS, &key, mark, comment), 0);
}

/* The tables, with tag @taken given to a cgroup already. */
static void set_up(struct fixture *f, uint64_t taken)
{
	struct diag diag = { 0 };
	const struct op *ops;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	*f = (struct fixture){ .skeleton = calloc(1, sizeof(*f->skeleton)) };
	assert_non_null(f->skeleton);
	assert_int_equal(nft_open(&f->nft, &diag), 0);
	assert_int_equal(ruleset_new(&f->ruleset), 0);
	for (uint64_t i = 0; i < TAGS; i++)
		add_tag(f->ruleset, 1000 + i, (uint32_t)i + 1);
	ruleset_seal(f->ruleset);

	struct elem other = f->ruleset->sets[SET_JOB_TAGS].elem[0];
	static struct elem_extra extra = { .data = 77 };

	memcpy(other.key, &taken, sizeof(taken));
	other.extra = &extra;
	ops = (const struct op[]){
		{ .kind = OP_ADD_TABLE },
		{ .kind = OP_ADD_SET, .set = SET_JOB_TAGS, .name = "job_tags" },
		{ .kind = OP_ADD_ELEM, .set = SET_JOB_TAGS, .name = "job_tags", .elem = &other },
	};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(ops_add(&f->ops, &ops[i]), 0);

	struct commit_stats stats;
	int r = nft_commit(f->nft, f->skeleton, &f->ops, &stats, &diag);

	if (r < 0)
		fail_msg("%s", diag.text);
	f->ops.n = 0;
	for (size_t i = 0; i < TAGS; i++)
		assert_int_equal(
			ops_add(&f->ops,
				&(struct op){ .kind = OP_ADD_ELEM,
					      .set = SET_JOB_TAGS,
					      .name = "job_tags",
					      .elem = &f->ruleset->sets[SET_JOB_TAGS].elem[i] }),
			0);
}

static void tear_down(struct fixture *f)
{
	nft_close(f->nft);
	ruleset_free(f->ruleset);
	ops_done(&f->ops);
	free(f->skeleton);
}

/* The element with @key is refused, and named. */
static void expect_named(struct fixture *f, uint64_t key)
{
	struct commit_stats stats;
	struct diag diag = { 0 };
	char element[64];
	int r = nft_commit(f->nft, f->skeleton, &f->ops, &stats, &diag);

	print_message("%s\n", diag.text);
	assert_true(r == -EEXIST || r == -EBUSY);
	snprintf(element, sizeof(element), "refused to add element cgroup %" PRIu64 " ", key);
	assert_non_null(strstr(diag.text, element));
	assert_non_null(stats.refused);
	assert_memory_equal(stats.refused->elem->key, &key, sizeof(key));
}

static void refused_element_is_named(void **state)
{
	struct fixture f;

	set_up(&f, 1000 + 63);
	expect_named(&f, 1000 + 63);
	tear_down(&f);
}

/* An answer that is not asked to be short holds the whole message: larger than any buffer. */
static void refusal_of_an_old_kernel_is_no_success(void **state)
{
	struct fixture f;
	int off = 0;

	set_up(&f, 1000 + 63);
	assert_int_equal(mnl_socket_setsockopt(f.nft->socket, NETLINK_EXT_ACK, &off, sizeof(off)),
			 0);
	expect_named(&f, 1000 + 63);
	assert_int_equal(mnl_socket_setsockopt(f.nft->socket, NETLINK_CAP_ACK, &off, sizeof(off)),
			 0);

	struct commit_stats stats;
	struct diag diag = { 0 };

	assert_true(nft_commit(f.nft, f.skeleton, &f.ops, &stats, &diag) < 0);
	print_message("%s\n", diag.text);
	tear_down(&f);
}

static void missing_module_is_named(void **state)
{
	/* no kernel has fib in the bridge family */
	static const struct stmt stmts[] = {
		{ .kind = STMT_CMP, .fields = { F_IIFNAME }, .fields_n = 1, .value = 1 },
		{ .kind = STMT_CMP, .fields = { F_FIB_DADDR_OIF }, .fields_n = 1 },
		{ .kind = STMT_END },
	};
	static const struct rule rule = { .stmts = stmts };
	static const struct chain chain = { .family = FAMILY_BRIDGE, .name = "probe" };
	const struct op steps[] = {
		{ .kind = OP_ADD_TABLE, .family = FAMILY_BRIDGE },
		{ .kind = OP_ADD_CHAIN, .family = FAMILY_BRIDGE, .name = "probe", .chain = &chain },
		{ .kind = OP_ADD_RULE, .family = FAMILY_BRIDGE, .chain = &chain, .rule = &rule },
	};
	struct ops ops = { .op = (struct op *)steps, .n = ARRAY_SIZE(steps) };
	struct commit_stats stats;
	struct diag diag = { 0 };
	struct fixture f;

	set_up(&f, 1);
	assert_int_equal(nft_commit(f.nft, f.skeleton, &ops, &stats, &diag), -EPROTONOSUPPORT);
	print_message("%s\n", diag.text);
	assert_non_null(strstr(diag.text, "lacks nft_fib_inet (CONFIG_NFT_FIB_INET)"));
	assert_non_null(strstr(diag.text, "rule to chain bridge probe"));
	tear_down(&f);
}

/* More errors than the socket has room for: what is meant is the first one all the same. */
static void thousands_of_refusals_are_one(void **state)
{
	struct op step = { .kind = OP_DEL_CHAIN, .family = FAMILY_INET, .name = "nowhere" };
	struct commit_stats stats;
	struct diag diag = { 0 };
	struct ops ops = { 0 };
	struct fixture f;

	set_up(&f, 1);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(ops_add(&ops, &step), 0);
	assert_int_equal(nft_commit(f.nft, f.skeleton, &ops, &stats, &diag), -ENOENT);
	print_message("%s\n", diag.text);
	assert_ptr_equal(stats.refused, &ops.op[0]);
	assert_int_equal(nft_commit(f.nft, f.skeleton, &f.ops, &stats, &diag), 0);
	ops_done(&ops);
	tear_down(&f);
}

/* Somebody else's words on our socket are none of the kernel's. */
static void stranger_is_not_listened_to(void **state)
{
	struct fixture f;
	int stranger = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct commit_stats stats;
	struct diag diag = { 0 };

	set_up(&f, 1);
	close(stranger); /* it was of another namespace */
	stranger = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	to.nl_pid = mnl_socket_get_portid(f.nft->socket);
	for (uint32_t i = 0; i < 4; i++) {
		struct {
			struct nlmsghdr nlh;
			struct nlmsgerr err;
		} lie = {
			.nlh = { .nlmsg_len = sizeof(lie),
				 .nlmsg_type = NLMSG_ERROR,
				 .nlmsg_seq = f.nft->seq + i,
				 .nlmsg_pid = to.nl_pid },
			.err = { .error = -EPERM },
		};

		assert_int_equal(sendto(stranger, &lie, sizeof(lie), 0, (struct sockaddr *)&to,
					sizeof(to)),
				 sizeof(lie));
	}
	assert_int_equal(nft_commit(f.nft, f.skeleton, &f.ops, &stats, &diag), 0);
	close(stranger);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_element_is_named),
		cmocka_unit_test(refusal_of_an_old_kernel_is_no_success),
		cmocka_unit_test(missing_module_is_named),
		cmocka_unit_test(thousands_of_refusals_are_one),
		cmocka_unit_test(stranger_is_not_listened_to),
	};

	if (unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
