/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says to a transaction, and which of its steps it means. An error names a message
 * by its number and, in it, an attribute by its offset: of a message with a hundred elements that is
 * the one, of a rule the expression. Silence is no consent: the last message of a transaction asks
 * for an answer, and only that makes it a success. Only the kernel is listened to.
 */
#include "nft-internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "jobfence/text.h"

#ifndef NLM_F_CAPPED
#define NLM_F_CAPPED 0x100
#endif
#ifndef NLM_F_ACK_TLVS
#define NLM_F_ACK_TLVS 0x200
#endif

/* --- the answer --- */

static void take_details(struct answers *answers, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	size_t len = sizeof(*err);
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) /* an old kernel sends all of the message back */
		len += MNL_ALIGN(err->msg.nlmsg_len) - sizeof(err->msg);
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS) || mnl_nlmsg_get_payload_len(nlh) < len)
		return;
	mnl_attr_for_each(attr, nlh, (unsigned int)len)
	{
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_OFFS &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			answers->offset = mnl_attr_get_u32(attr);
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			text_safe(mnl_attr_get_str(attr), answers->text, sizeof(answers->text));
	}
}

void answers_take(struct answers *answers, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(nlh) < sizeof(*err))
		return;
	/* Errors at commit carry the sequence number of the begin message: they count too. */
	if (nlh->nlmsg_seq - answers->first_seq >= answers->end_seq - answers->first_seq)
		return;
	if (err->error == 0) {
		answers->acked = true;
		return;
	}
	if (answers->error != 0) {
		answers->more++;
		return;
	}
	answers->error = err->error;
	answers->error_seq = nlh->nlmsg_seq;
	take_details(answers, nlh);
}

/* One datagram. Returns 1, 0 when there is none, or -errno. */
static int receive(struct nft *nft, struct answers *answers)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	char buffer[16384];
	ssize_t len = recvfrom(mnl_socket_get_fd(nft->socket), buffer, sizeof(buffer), MSG_TRUNC,
			       (struct sockaddr *)&from, &from_len);
	int left = (int)len;

	if (len < 0 && errno == EINTR)
		return 1;
	if (len < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	if (from_len != sizeof(from) || from.nl_pid != 0)
		return 1;
	if ((size_t)len > sizeof(buffer))
		return -EMSGSIZE;
	for (const struct nlmsghdr *nlh = (const void *)buffer; mnl_nlmsg_ok(nlh, left);
	     nlh = mnl_nlmsg_next(nlh, &left))
		answers_take(answers, nlh);
	return 1;
}

/* To the end also after an error: the next request finds nothing of this one. The answer that was asked
 * for is the last. */
int nft_read_answers(struct nft *nft, struct answers *answers)
{
	int error = 0, r;

	for (unsigned int errors = 0; (r = receive(nft, answers)) != 0;) {
		if (r > 0 && answers->acked && answers->error == 0 && error == 0)
			break;
		if (r > 0)
			continue;
		error = error ?: r;
		if (++errors > 8) /* a socket that only fails */
			break;
	}
	/* A long transaction of which every step fails has more answers than there is room for: the
	 * first ones came. Where none did, one that was lost may have been an error. */
	return error == -ENOBUFS && answers->error ? 0 : error;
}

/* --- what is meant --- */

static const struct nlattr *attr_of(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

static const struct nlattr *nested(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

static bool holds(const struct nlmsghdr *nlh, const struct nlattr *attr, uint32_t offset)
{
	uint32_t start = (uint32_t)((const char *)attr - (const char *)nlh);

	return offset >= start && offset - start < mnl_attr_get_len(attr);
}

/* The end of an interval is listed as an element of its own. */
static bool is_end(const struct nlattr *elem)
{
	const struct nlattr *flags = nested(elem, NFTA_SET_ELEM_FLAGS);

	return flags && mnl_attr_validate(flags, MNL_TYPE_U32) >= 0 &&
	       ntohl(mnl_attr_get_u32(flags)) & NFT_SET_ELEM_INTERVAL_END;
}

ssize_t refused_element(const struct nlmsghdr *nlh, uint32_t offset)
{
	const struct nlattr *list = attr_of(nlh, NFTA_SET_ELEM_LIST_ELEMENTS), *elem;
	ssize_t n = -1;

	if (!list)
		return -ENOENT;
	mnl_attr_for_each_nested(elem, list)
	{
		n += !is_end(elem);
		if (offset && holds(nlh, elem, offset))
			return n;
	}
	if (offset) /* the set */
		return -ENOENT;
	return n == 0 ? 0 : -EAGAIN; /* the only one */
}

const char *refused_expression(const struct nlmsghdr *nlh, uint32_t offset)
{
	const struct nlattr *list = attr_of(nlh, NFTA_RULE_EXPRESSIONS), *expr, *name;

	if (!list || !offset)
		return NULL;
	mnl_attr_for_each_nested(expr, list)
	{
		if (!holds(nlh, expr, offset))
			continue;
		name = nested(expr, NFTA_EXPR_NAME);
		return name && mnl_attr_validate(name, MNL_TYPE_NUL_STRING) >= 0
			       ? mnl_attr_get_str(name)
			       : NULL;
	}
	return NULL;
}

/* --- what the kernel lacks --- */

static bool is_missing(int error)
{
	return error == -ENOENT || error == -EOPNOTSUPP;
}

static const char *expression_feature(const char *expression)
{
	static const struct {
		const char *expression, *feature;
	} features[] = {
		{ "socket", "nft_socket (CONFIG_NFT_SOCKET, since 5.13 with cgroup v2)" },
		{ "ct", "nft_ct (CONFIG_NFT_CT)" },
		{ "fib", "nft_fib_inet (CONFIG_NFT_FIB_INET)" },
		{ "reject", "nft_reject_inet (CONFIG_NFT_REJECT_INET)" },
		{ "log", "nft_log (CONFIG_NFT_LOG)" },
		{ "limit", "nft_limit (CONFIG_NFT_LIMIT)" },
		{ "counter", "nft_counter (CONFIG_NFT_COUNTER)" },
		{ "meta", "a key of nft_meta that the rule reads" },
	};

	for (size_t i = 0; expression && i < ARRAY_SIZE(features); i++)
		if (strcmp(features[i].expression, expression) == 0)
			return features[i].feature;
	return NULL;
}

const char *missing_feature(const struct op *op, const char *expression, int error)
{
	if (!op)
		return error == -EOPNOTSUPP ? "nf_tables (CONFIG_NF_TABLES)" : NULL;
	if (!is_missing(error))
		return NULL;
	switch (op->kind) {
	case OP_ADD_RULE:
		return expression_feature(expression);
	case OP_ADD_CHAIN:
		if (!op->chain->base)
			return NULL;
		return op->family == FAMILY_INET     ? "inet chains (CONFIG_NF_TABLES_INET)"
		       : op->family == FAMILY_BRIDGE ? "bridge chains (CONFIG_NF_TABLES_BRIDGE)"
						     : "netdev chains (CONFIG_NF_TABLES_NETDEV)";
	case OP_ADD_COUNTER:
		return "named counters (nft_counter, nft_objref: CONFIG_NFT_COUNTER, "
		       "CONFIG_NFT_OBJREF)";
	case OP_ADD_SET:
		return "sets whose elements count (nft_counter: CONFIG_NFT_COUNTER)";
	case OP_SET_TABLE:
	case OP_ADD_TABLE:
	case OP_FLUSH_CHAIN:
	case OP_DEL_CHAIN:
	case OP_DEL_SET:
	case OP_DEL_COUNTER:
	case OP_DEL_FLOWTABLE:
	case OP_DEL_ELEM:
	case OP_ADD_ELEM:
	case OP_DEL_TABLE:
	case OP_COMMIT:
		break;
	}
	return NULL;
}
