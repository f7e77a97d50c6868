/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only writer to the kernel: one list of steps, one sendmsg, one transaction. The kernel
 * processes it before sendmsg returns, so its answers are read without waiting. A transaction that
 * fails changes nothing; the step that was refused is named.
 */
#include "nft-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

/* What the kernel's send buffer needs beside the payload. */
#define SEND_BUFFER_SLACK 4096

int nft_open(struct nft **ret_nft, struct diag *diag)
{
	_cleanup_(nft_closep) struct nft *nft = calloc(1, sizeof(*nft));

	if (!nft)
		return -ENOMEM;
	nft->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!nft->socket)
		return diag_set(diag, -errno, "cannot open a netlink socket to netfilter: %m");
	if (mnl_socket_bind(nft->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return diag_set(diag, -errno, "cannot bind a netlink socket to netfilter: %m");
	*ret_nft = take_ptr(nft);
	return 0;
}

struct nft *nft_close(struct nft *nft)
{
	if (!nft)
		return NULL;
	if (nft->socket)
		mnl_socket_close(nft->socket);
	free(nft);
	return NULL;
}

/* A batch that does not fit would fail with EMSGSIZE; half of one is never sent instead. */
static int grow_send_buffer(struct nft *nft, size_t len)
{
	int size = (int)len + SEND_BUFFER_SLACK;
	int fd = mnl_socket_get_fd(nft->socket);

	if (nft->send_buffer >= (size_t)size)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
		return -errno;
	nft->send_buffer = (size_t)size;
	return 0;
}

/* The answers to one batch: the first error and its sequence number. */
struct answers {
	uint32_t first_seq, last_seq;
	int error;
	uint32_t error_seq;
};

static void read_error(const struct nlmsghdr *nlh, struct answers *answers)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*err))
		return;
	/* Errors at commit carry the sequence number of the begin message: they count too. */
	if (err->error == 0 ||
	    nlh->nlmsg_seq - answers->first_seq > answers->last_seq - answers->first_seq)
		return;
	if (answers->error == 0) {
		answers->error = err->error;
		answers->error_seq = nlh->nlmsg_seq;
	}
}

static int read_answers(struct nft *nft, struct answers *answers)
{
	char buffer[16384];

	for (;;) {
		ssize_t len = recv(mnl_socket_get_fd(nft->socket), buffer, sizeof(buffer), 0);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (len < 0)
			return -errno;
		int left = (int)len;

		for (const struct nlmsghdr *nlh = (const void *)buffer; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left))
			read_error(nlh, answers);
	}
}

static int send_batch(struct nft *nft, const struct batch *batch)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;
	int r = grow_send_buffer(nft, batch->len);

	if (r < 0)
		return r;
	do
		n = sendto(mnl_socket_get_fd(nft->socket), batch->data, batch->len, 0,
			   (struct sockaddr *)&kernel, sizeof(kernel));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int batch_mark(struct batch *batch, uint16_t type)
{
	void *place = batch_reserve(batch);

	if (!place)
		return -ENOMEM;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(place);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = batch->seq++;
	nfg->nfgen_family = AF_UNSPEC;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = htons(NFNL_SUBSYS_NFTABLES);
	batch_end(batch, nlh);
	return 0;
}

/* Puts the messages together; first_op[i] is the first step in message i. */
static int fill(struct batch *batch, const struct skeleton *skeleton, const struct ops *ops,
		size_t *first_op, size_t *ret_messages)
{
	size_t messages = 0;
	int r = batch_mark(batch, NFNL_MSG_BATCH_BEGIN);

	for (size_t i = 0; r >= 0 && i < ops->n;) {
		uint32_t seq = batch->seq;
		ssize_t taken = batch_add_ops(batch, skeleton, &ops->op[i], ops->n - i);

		if (taken < 0)
			return (int)taken;
		for (; seq != batch->seq; seq++)
			first_op[messages++] = i;
		i += (size_t)taken;
	}
	*ret_messages = messages;
	return r < 0 ? r : batch_mark(batch, NFNL_MSG_BATCH_END);
}

static int refused(const struct answers *answers, const struct ops *ops, const size_t *first_op,
		   size_t messages, struct diag *diag)
{
	uint32_t message = answers->error_seq - answers->first_seq;
	const char *cause = strerror(-answers->error);
	char step[256];

	if (message == 0 || message > messages)
		return diag_set(diag, answers->error,
				"the kernel refused the transaction as a whole: %s", cause);
	op_text(&ops->op[first_op[message - 1]], step, sizeof(step));
	return diag_set(diag, answers->error, "the kernel refused a step (%s): %s", step, cause);
}

/* One transaction; adds to @stats. */
static int commit(struct nft *nft, const struct skeleton *skeleton, const struct ops *ops,
		  struct commit_stats *stats, struct diag *diag)
{
	_cleanup_(batch_done) struct batch batch = { .first_seq = nft->seq, .seq = nft->seq };
	_cleanup_free_ size_t *first_op = NULL;
	size_t messages = 0;
	int r;

	if (ops->n == 0)
		return 0;
	first_op = reallocarray(NULL, ops->n * OP_MESSAGES_MAX, sizeof(*first_op));
	if (!first_op)
		return -ENOMEM;
	r = fill(&batch, skeleton, ops, first_op, &messages);
	if (r < 0)
		return diag_set(diag, r, "no memory for a transaction of %zu steps", ops->n);
	nft->seq = batch.seq;

	struct answers answers = { .first_seq = batch.first_seq, .last_seq = batch.seq };

	r = send_batch(nft, &batch);
	if (r < 0)
		return diag_set(diag, r, "cannot send a transaction of %zu bytes: %s", batch.len,
				strerror(-r));
	r = read_answers(nft, &answers);
	if (r < 0)
		return diag_set(diag, r, "cannot read the kernel's answer: %s", strerror(-r));
	if (answers.error < 0)
		return refused(&answers, ops, first_op, messages, diag);
	stats->messages += messages;
	stats->bytes += batch.len;
	return 0;
}

int nft_commit(struct nft *nft, const struct skeleton *skeleton, const struct ops *ops,
	       struct commit_stats *ret_stats, struct diag *diag)
{
	int r = 0;

	*ret_stats = (struct commit_stats){ 0 };
	for (size_t first = 0, i = 0; r >= 0 && i <= ops->n; i++) {
		const struct ops part = { .op = ops->op + first, .n = i - first };

		if (i < ops->n && ops->op[i].kind != OP_COMMIT)
			continue;
		r = commit(nft, skeleton, &part, ret_stats, diag);
		first = i + 1;
	}
	return r;
}

/* A batch without its end message is checked and thrown away by the kernel. Returns 1, 0 or -errno. */
static int probe(struct nft *nft, const struct op *steps, size_t n)
{
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	_cleanup_(batch_done) struct batch batch = { .first_seq = nft->seq, .seq = nft->seq };
	int r = skeleton ? batch_mark(&batch, NFNL_MSG_BATCH_BEGIN) : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = (int)batch_add_ops(&batch, skeleton, &steps[i], 1);
	if (r < 0)
		return r;
	nft->seq = batch.seq;

	struct answers answers = { .first_seq = batch.first_seq, .last_seq = batch.seq };

	r = send_batch(nft, &batch);
	if (r >= 0)
		r = read_answers(nft, &answers);
	if (r < 0)
		return r;
	if (answers.error == 0)
		return 1;
	return answers.error == -EPERM ? -EPERM : 0;
}

int nft_probe_bridge_meta(struct nft *nft)
{
	static const struct chain chain = { .family = FAMILY_BRIDGE, .name = "probe" };
	static const struct rule rule = {
		.stmts = { { .kind = STMT_CMP_NAME,
			     .fields = { F_IBRNAME },
			     .fields_n = 1,
			     .name = "docker0" } },
	};
	const struct op steps[] = {
		{ .kind = OP_ADD_TABLE, .family = FAMILY_BRIDGE },
		{ .kind = OP_ADD_CHAIN, .family = FAMILY_BRIDGE, .name = "probe", .chain = &chain },
		{ .kind = OP_ADD_RULE, .family = FAMILY_BRIDGE, .chain = &chain, .rule = &rule },
	};

	return probe(nft, steps, ARRAY_SIZE(steps));
}

int nft_probe_egress(struct nft *nft)
{
	static const struct chain chain = { .family = FAMILY_NETDEV, .name = EGRESS_CHAIN };
	static const struct rule rule = {
		.stmts = { { .kind = STMT_CMP, .fields = { F_RTCLASSID }, .fields_n = 1 } },
	};
	static const struct elem lo = { .key = "lo" };
	const struct op steps[] = {
		{ .kind = OP_ADD_TABLE, .family = FAMILY_NETDEV },
		{ .kind = OP_ADD_CHAIN,
		  .family = FAMILY_NETDEV,
		  .name = EGRESS_CHAIN,
		  .chain = &chain },
		{ .kind = OP_ADD_RULE, .family = FAMILY_NETDEV, .chain = &chain, .rule = &rule },
		{ .kind = OP_ADD_ELEM,
		  .family = FAMILY_NETDEV,
		  .set = SET_EGRESS_PORTS,
		  .elem = &lo },
	};

	return probe(nft, steps, ARRAY_SIZE(steps));
}
