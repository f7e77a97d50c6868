/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The only writer to the kernel: one list of steps, one sendmsg, one transaction. The kernel
 * processes it before sendmsg returns, so its answers are read without waiting. A transaction that
 * fails changes nothing; the step that was refused is named, down to the element (nft_answers.c).
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
#define PROBE_TABLE_NAME "jobprobe"
static_assert(sizeof(PROBE_TABLE_NAME) == sizeof(TABLE_NAME), "one is written over the other");

/* Errors are to say which attribute they mean, without the whole message. Where the kernel cannot,
 * less is said. */
static void ask_for_details(const struct nft *nft)
{
	int on = 1;

	(void)mnl_socket_setsockopt(nft->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(nft->socket, NETLINK_CAP_ACK, &on, sizeof(on));
}

int nft_open(struct nft **ret_nft, struct diag *diag)
{
	_cleanup_(nft_closep) struct nft *nft = calloc(1, sizeof(*nft));

	if (!nft)
		return -ENOMEM;
	nft->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!nft->socket)
		return diag_set(diag, -errno, "cannot open a netlink socket to netfilter: %m%s",
				errno == EPROTONOSUPPORT ? " (this kernel lacks nfnetlink: "
							   "CONFIG_NETFILTER_NETLINK)"
							 : "");
	if (mnl_socket_bind(nft->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return diag_set(diag, -errno, "cannot bind a netlink socket to netfilter: %m");
	ask_for_details(nft);
	*ret_nft = take_ptr(nft);
	return 0;
}

int nft_reopen(struct nft *nft, struct diag *diag)
{
	_cleanup_(nft_closep) struct nft *fresh = NULL;
	int r;

	r = nft_open(&fresh, diag);
	if (r < 0)
		return r;
	struct nft old = *nft;

	fresh->transactions = old.transactions;
	*nft = *fresh;
	*fresh = old;
	return 0;
}

uint32_t nft_port(const struct nft *nft)
{
	return mnl_socket_get_portid(nft->socket);
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
	void *place = batch_reserve(batch, MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg));

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

/* One transaction as it is sent, and what came back. */
struct attempt {
	struct batch batch;
	struct answers answers;
	size_t *first_op; /* owned: by message, the first step in it */
	size_t messages;
	bool single; /* a message for each element: a kernel that names no attribute names that */
};

static void attempt_done(struct attempt *attempt)
{
	batch_done(&attempt->batch);
	free(attempt->first_op);
}

/* Puts the messages together; the last one asks for an answer. */
static int fill(struct attempt *a, const struct skeleton *skeleton, const struct ops *ops)
{
	struct batch *batch = &a->batch;
	int r = batch_mark(batch, NFNL_MSG_BATCH_BEGIN);

	for (size_t i = 0; r >= 0 && i < ops->n;) {
		uint32_t seq = batch->seq;
		size_t n = a->single ? 1 : ops->n - i;
		ssize_t taken = batch_add_ops(batch, skeleton, &ops->op[i], n);

		if (taken < 0)
			return (int)taken;
		for (; seq != batch->seq; seq++)
			a->first_op[a->messages++] = i;
		i += (size_t)taken;
	}
	if (r < 0)
		return r;
	((struct nlmsghdr *)(batch->data + batch->last))->nlmsg_flags |= NLM_F_ACK;
	return batch_mark(batch, NFNL_MSG_BATCH_END);
}

static const struct nlmsghdr *message_of(const struct batch *batch, uint32_t seq)
{
	int left = (int)batch->len;

	for (const struct nlmsghdr *nlh = (const void *)batch->data; mnl_nlmsg_ok(nlh, left);
	     nlh = mnl_nlmsg_next(nlh, &left))
		if (nlh->nlmsg_seq == seq)
			return nlh;
	return NULL;
}

/* What the first error means. */
struct refusal {
	const struct op *op;    /* NULL: the transaction as a whole */
	bool exact;             /* that step, not one of those in its message */
	bool untold;            /* which one */
	const char *expression; /* of a rule; NULL: not told */
};

static struct refusal find_refusal(const struct attempt *a, const struct ops *ops)
{
	uint32_t message = a->answers.error_seq - a->answers.first_seq;
	const struct nlmsghdr *nlh = message_of(&a->batch, a->answers.error_seq);
	struct refusal refusal = { .exact = true };
	ssize_t elem = 0;

	if (message == 0 || message > a->messages || !nlh)
		return (struct refusal){ 0 };
	refusal.op = &ops->op[a->first_op[message - 1]];
	if (refusal.op->kind == OP_ADD_RULE)
		refusal.expression = refused_expression(nlh, a->answers.offset);
	if ((refusal.op->kind == OP_ADD_ELEM || refusal.op->kind == OP_DEL_ELEM) &&
	    !set_spec(refusal.op->set)->chains) {
		elem = refused_element(nlh, a->answers.offset);
		refusal.exact = elem >= 0;
		refusal.untold = elem == -EAGAIN;
		refusal.op += refusal.exact ? elem : 0;
	}
	return refusal;
}

static int say_refusal(const struct attempt *a, const struct refusal *refusal, struct diag *diag)
{
	int error = a->answers.error;
	const char *feature = missing_feature(refusal->op, refusal->expression, error);
	char step[600] = "carry out the transaction as a whole", more[64] = "";

	if (refusal->op)
		op_text(refusal->op, step, sizeof(step));
	if (a->answers.more)
		snprintf(more, sizeof(more), " (and %u more)", a->answers.more);
	if (feature)
		return diag_set(diag, -EPROTONOSUPPORT,
				"this kernel lacks %s: it refused to %s: %s; load the module "
				"(modprobe) or boot a kernel that has it",
				feature, step, strerror(-error));
	return diag_set(diag, error, "the kernel refused to %s%s%s%s: %s%s%s%s",
			refusal->exact || !refusal->op ? "" : "take several elements: ", step,
			refusal->expression ? ", expression " : "", refusal->expression ?: "",
			strerror(-error), a->answers.text[0] ? ": " : "", a->answers.text, more);
}

static int attempt(struct nft *nft, const struct skeleton *skeleton, const struct ops *ops,
		   struct attempt *a, struct diag *diag)
{
	int r;

	a->batch.first_seq = a->batch.seq = nft->seq;
	a->first_op = reallocarray(NULL, ops->n * OP_MESSAGES_MAX, sizeof(*a->first_op));
	r = a->first_op ? fill(a, skeleton, ops) : -ENOMEM;
	if (r < 0)
		return diag_set(diag, r, "no memory for a transaction of %zu steps", ops->n);
	nft->seq = a->batch.seq;
	a->answers = (struct answers){ .first_seq = a->batch.first_seq, .end_seq = a->batch.seq };
	r = send_batch(nft, &a->batch);
	if (r < 0)
		return diag_set(diag, r, "cannot send a transaction of %zu bytes: %s", a->batch.len,
				strerror(-r));
	r = nft_read_answers(nft, &a->answers);
	if (r < 0)
		return diag_set(diag, r, "cannot read the kernel's answer: %s", strerror(-r));
	if (a->answers.error == 0 && !a->answers.acked)
		return diag_set(diag, -EIO, "the kernel did not answer a transaction of %zu bytes",
				a->batch.len);
	return 0;
}

/* One transaction; adds to @stats. */
static int commit(struct nft *nft, const struct skeleton *skeleton, const struct ops *ops,
		  struct commit_stats *stats, struct diag *diag)
{
	_cleanup_(attempt_done) struct attempt first = { 0 }, second = { .single = true };
	struct attempt *a = &first;
	struct refusal refusal;
	int r;

	if (ops->n == 0)
		return 0;
	r = attempt(nft, skeleton, ops, a, diag);
	if (r < 0)
		return r;
	refusal = find_refusal(a, ops);
	if (a->answers.error < 0 && refusal.untold) {
		a = &second;
		r = attempt(nft, skeleton, ops, a, diag);
		if (r < 0)
			return r;
		refusal = find_refusal(a, ops);
	}
	if (a->answers.error < 0) {
		stats->refused = refusal.exact ? refusal.op : NULL;
		return say_refusal(a, &refusal, diag);
	}
	stats->messages += a->messages;
	stats->bytes += a->batch.len;
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
		nft->transactions.committed += r == 0 && part.n > 0;
		nft->transactions.refused += r < 0;
		first = i + 1;
	}
	return r;
}

void nft_get_transactions(const struct nft *nft, struct nft_transactions *ret_transactions)
{
	*ret_transactions = nft->transactions;
}

/* The table of every message in a batch to one of the same length: its name is the first attribute of
 * each, of type 1 in all kinds of objects. */
static void rename_table(const struct batch *batch, const char name[static sizeof(TABLE_NAME)])
{
	for (size_t at = 0; at < batch->len;) {
		struct nlmsghdr *nlh = (struct nlmsghdr *)(batch->data + at);
		struct nlattr *attr = mnl_nlmsg_get_payload_offset(nlh, sizeof(struct nfgenmsg));

		if (NFNL_SUBSYS_ID(nlh->nlmsg_type) == NFNL_SUBSYS_NFTABLES)
			memcpy(mnl_attr_get_payload(attr), name, sizeof(TABLE_NAME));
		at += NLMSG_ALIGN(nlh->nlmsg_len);
	}
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
	rename_table(&batch, PROBE_TABLE_NAME);
	nft->seq = batch.seq;

	struct answers answers = { .first_seq = batch.first_seq, .end_seq = batch.seq };

	r = send_batch(nft, &batch);
	if (r >= 0)
		r = nft_read_answers(nft, &answers);
	if (r < 0)
		return r;
	if (answers.error == 0)
		return 1;
	return answers.error == -EPERM ? -EPERM : 0;
}

int nft_probe_bridge_meta(struct nft *nft)
{
	static const struct chain chain = { .family = FAMILY_BRIDGE, .name = "probe" };
	static const struct stmt stmts[] = {
		{ .kind = STMT_CMP_NAME,
		  .fields = { F_IBRNAME },
		  .fields_n = 1,
		  .name = "docker0" },
		{ .kind = STMT_END },
	};
	static const struct rule rule = { .stmts = stmts };
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
	static const struct stmt stmts[] = {
		{ .kind = STMT_CMP, .fields = { F_RTCLASSID }, .fields_n = 1 },
		{ .kind = STMT_END },
	};
	static const struct rule rule = { .stmts = stmts };
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

int nft_probe_log(struct nft *nft)
{
	static const struct stmt stmts[] = {
		{ .kind = STMT_LIMIT, .value = RECORD_RATE, .mask = RECORD_BURST },
		{ .kind = STMT_LOG, .name = PROBE_TABLE_NAME, .value = 1, .mask = RECORD_SNAPLEN },
		{ .kind = STMT_END },
	};
	static const struct rule rule = { .stmts = stmts };
	static const struct chain inet = { .family = FAMILY_INET, .name = "probe" };
	static const struct chain bridge = { .family = FAMILY_BRIDGE, .name = "probe" };
	const struct op steps[] = {
		{ .kind = OP_ADD_TABLE, .family = FAMILY_INET },
		{ .kind = OP_ADD_CHAIN, .family = FAMILY_INET, .name = "probe", .chain = &inet },
		{ .kind = OP_ADD_RULE, .family = FAMILY_INET, .chain = &inet, .rule = &rule },
		{ .kind = OP_ADD_TABLE, .family = FAMILY_BRIDGE },
		{ .kind = OP_ADD_CHAIN,
		  .family = FAMILY_BRIDGE,
		  .name = "probe",
		  .chain = &bridge },
		{ .kind = OP_ADD_RULE, .family = FAMILY_BRIDGE, .chain = &bridge, .rule = &rule },
	};

	return probe(nft, steps, ARRAY_SIZE(steps));
}

int nft_probe_owner(struct nft *nft)
{
	const struct op step = { .kind = OP_ADD_TABLE,
				 .family = FAMILY_INET,
				 .flags = TABLE_OWNED };

	return probe(nft, &step, 1);
}
