/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * commits: one element added and deleted, in turns by a bare libmnl program whose messages are made
 * beforehand (the floor: one send, one look at the answer), by jobfence's nft_commit(), and now and
 * then by `nft -f`. All in one process, on one set, in the network namespace it runs in; once with
 * nobody listening to nf_tables, once with a listener, as jobfence's own monitor always is.
 *
 *   commits COUNT [EXEC-COUNT]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <unistd.h>

#include "bench.h"
#include "jobfence/nft.h"
#include "process.h"

#define ADD_PATH "/run/jobfence-bench-add.nft"
#define DELETE_PATH "/run/jobfence-bench-delete.nft"

static struct skeleton skeleton;
static struct nft *nft;

/* A batch that adds or deletes one address of set bystanders4. */
struct floor_batch {
	char bytes[1024];
	size_t len;
};

static struct nlmsghdr *put_message(struct floor_batch *batch, uint16_t type, uint16_t flags,
				    uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(batch->bytes + batch->len);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nfg->nfgen_family = family;
	nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
	return nlh;
}

static void make_floor(struct floor_batch *batch, bool add, uint32_t address)
{
	uint16_t type = add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM;
	struct nlattr *list, *elem, *key;
	struct nlmsghdr *nlh;

	*batch = (struct floor_batch){ 0 };
	batch->len += put_message(batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC)->nlmsg_len;
	nlh = put_message(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type),
			  NLM_F_ACK | (add ? NLM_F_CREATE : 0), NFPROTO_INET);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, "jobfence");
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, "bystanders4");
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	key = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_KEY);
	mnl_attr_put(nlh, NFTA_DATA_VALUE, sizeof(address), &address);
	mnl_attr_nest_end(nlh, key);
	mnl_attr_nest_end(nlh, elem);
	mnl_attr_nest_end(nlh, list);
	batch->len += nlh->nlmsg_len;
	batch->len += put_message(batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC)->nlmsg_len;
}

static double time_floor(struct mnl_socket *nl, const struct floor_batch *batch)
{
	char answer[8192];
	int64_t begun = now_ns();
	ssize_t len;

	if (mnl_socket_sendto(nl, batch->bytes, batch->len) < 0)
		die("send: %m");
	len = mnl_socket_recvfrom(nl, answer, sizeof(answer));
	begun = now_ns() - begun;
	if (len < 0 || mnl_cb_run(answer, (size_t)len, 0, 0, NULL, NULL) < 0)
		die("the kernel refused the floor's element: %m");
	return (double)begun / 1e3;
}

static double time_jobfence(const struct ops *ops)
{
	struct commit_stats stats;
	struct diag diag = { 0 };
	int64_t begun = now_ns();
	int r = nft_commit(nft, &skeleton, ops, &stats, &diag);

	begun = now_ns() - begun;
	if (r < 0)
		die("%s", diag.text);
	return (double)begun / 1e3;
}

static double time_nft(const char *path)
{
	char *command[] = { "nft", "-f", (char *)path, NULL };
	int64_t begun = now_ns();

	process_wait(process_start(command, NULL));
	return (double)(now_ns() - begun) / 1e3;
}

static void write_text(const char *path, const char *verb)
{
	FILE *file = fopen(path, "we");

	if (!file)
		die("%s: %m", path);
	fprintf(file, "%s element inet jobfence bystanders4 { 10.9.8.7 }\n", verb);
	fclose(file);
}

static void make_set(void)
{
	struct ops ops = { 0 };

	if (ops_add(&ops, &(struct op){ .kind = OP_ADD_TABLE, .family = FAMILY_INET }) < 0 ||
	    ops_add(&ops, &(struct op){ .kind = OP_ADD_SET,
					.family = FAMILY_INET,
					.set = SET_BYSTANDERS4,
					.name = "bystanders4" }) < 0)
		die("out of memory");
	time_jobfence(&ops);
	ops_done(&ops);
}

static struct ops make_ops(enum op_kind kind, const struct elem *elem)
{
	struct ops ops = { 0 };

	if (ops_add(&ops, &(struct op){ .kind = kind,
					.family = FAMILY_INET,
					.set = SET_BYSTANDERS4,
					.name = "bystanders4",
					.elem = elem }) < 0)
		die("out of memory");
	return ops;
}

static void alternate(struct mnl_socket *nl, struct mnl_socket *listener, size_t count)
{
	const char *add_metric = listener ? "commit.add" : "commit.add.unheard";
	const char *delete_metric = listener ? "commit.delete" : "commit.delete.unheard";
	static struct elem elem = { .key = { 10, 9, 8, 6 }, .comment = "delta bystander" };
	struct floor_batch floor_add, floor_delete;
	struct ops add = make_ops(OP_ADD_ELEM, &elem), delete = make_ops(OP_DEL_ELEM, &elem);

	make_floor(&floor_add, true, htonl(0x0a090805));
	make_floor(&floor_delete, false, htonl(0x0a090805));
	for (size_t n = 0; n < count + 50; n++) {
		double times[] = { time_floor(nl, &floor_add), time_jobfence(&add),
				   time_floor(nl, &floor_delete), time_jobfence(&delete) };

		if (listener)
			commits_heard(listener);
		if (n < 50)
			continue; /* warm */
		sample(add_metric, "floor", 1, "us", times[0]);
		sample(add_metric, "jobfence", 1, "us", times[1]);
		sample(delete_metric, "floor", 1, "us", times[2]);
		sample(delete_metric, "jobfence", 1, "us", times[3]);
	}
	ops_done(&add);
	ops_done(&delete);
}

int main(int argc, char **argv)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC), *listener;
	struct diag diag = { 0 };

	if (argc < 2)
		die("usage: commits COUNT [EXEC-COUNT]");
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		die("netlink: %m");
	if (nft_open(&nft, &diag) < 0)
		die("%s", diag.text);
	make_set();
	write_text(ADD_PATH, "add");
	write_text(DELETE_PATH, "delete");
	alternate(nl, NULL, strtoul(argv[1], NULL, 10));
	listener = commits_open();
	alternate(nl, listener, strtoul(argv[1], NULL, 10));
	for (unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0; n > 0; n--) {
		sample("commit.add", "nft -f", 1, "us", time_nft(ADD_PATH));
		sample("commit.delete", "nft -f", 1, "us", time_nft(DELETE_PATH));
	}
	nft_close(nft);
	mnl_socket_close(listener);
	mnl_socket_close(nl);
	return 0;
}
