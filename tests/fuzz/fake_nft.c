/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See fake_nft.h. */
#include "fake_nft.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "jobfence/plan.h"

#define DATAGRAM_MAX 32768
#define CHAINS_EACH 5 /* of each family */

ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *socket, const void *request, size_t size);

static struct fake_nft *current;

struct answer {
	uint8_t bytes[DATAGRAM_MAX];
	size_t used;
	uint32_t seq;
};

size_t fake_nft_message(const uint8_t *messages, size_t size, size_t at)
{
	struct nlmsghdr header;
	size_t left = size - at;

	if (at >= size || left < sizeof(header))
		return 0;
	memcpy(&header, messages + at, sizeof(header));
	if (header.nlmsg_len < sizeof(header))
		return sizeof(header);
	return header.nlmsg_len < left ? header.nlmsg_len : left;
}

static void flush(struct answer *answer)
{
	if (answer->used)
		CHECK(send(current->kernel, answer->bytes, answer->used, 0) ==
		      (ssize_t)answer->used);
	answer->used = 0;
}

static void put(struct answer *answer, uint16_t type, uint16_t flags, const void *payload,
		size_t len)
{
	struct nlmsghdr header = { .nlmsg_len = (uint32_t)(sizeof(header) + len),
				   .nlmsg_type = type,
				   .nlmsg_flags = flags,
				   .nlmsg_seq = answer->seq };
	size_t whole = NLMSG_ALIGN(sizeof(header) + len);

	if (whole > sizeof(answer->bytes))
		return;
	if (answer->used + whole > sizeof(answer->bytes))
		flush(answer);
	memset(answer->bytes + answer->used, 0, whole);
	memcpy(answer->bytes + answer->used, &header, sizeof(header));
	if (len)
		memcpy(answer->bytes + answer->used + sizeof(header), payload, len);
	answer->used += whole;
}

static void put_generation(struct answer *answer)
{
	struct {
		struct nfgenmsg message;
		struct nlattr attr;
		uint32_t id;
	} payload = { .attr = { sizeof(payload.attr) + 4, NFTA_GEN_ID }, .id = htonl(7) };
	struct nlmsgerr ack = { 0 };

	put(answer, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN, 0, &payload, sizeof(payload));
	put(answer, NLMSG_ERROR, 0, &ack, sizeof(ack));
}

static bool is_asked(const struct nlmsghdr *request, const uint8_t *message, size_t len)
{
	const struct nfgenmsg *asked = mnl_nlmsg_get_payload(request);
	const struct nlattr *attr;
	struct nlmsghdr header;
	struct nfgenmsg said = { 0 };

	memcpy(&header, message, sizeof(header));
	if (len >= sizeof(header) + sizeof(said))
		memcpy(&said, message + sizeof(header), sizeof(said));
	/* NEW is one before GET, of each kind */
	if (NFNL_MSG_TYPE(header.nlmsg_type) + 1 != NFNL_MSG_TYPE(request->nlmsg_type) ||
	    said.nfgen_family != asked->nfgen_family)
		return false;
	mnl_attr_for_each(attr, request, sizeof(struct nfgenmsg))
	{
		const char *name = mnl_attr_get_str(attr);

		if (NFNL_MSG_TYPE(request->nlmsg_type) == NFT_MSG_GETSETELEM &&
		    mnl_attr_get_type(attr) == NFTA_SET_ELEM_LIST_SET &&
		    !memmem(message, len, name, strlen(name) + 1))
			return false;
	}
	return true;
}

ssize_t __wrap_mnl_socket_sendto(const struct mnl_socket *socket, const void *request, size_t size)
{
	static struct answer answer;
	const struct nlmsghdr *nlh = request;
	size_t len;
	int done = 0;

	answer.used = 0;
	answer.seq = nlh->nlmsg_seq;
	if (NFNL_MSG_TYPE(nlh->nlmsg_type) == NFT_MSG_GETGEN) {
		put_generation(&answer);
		flush(&answer);
		return (ssize_t)size;
	}
	for (size_t at = 0; (len = fake_nft_message(current->messages, current->size, at));
	     at += NLMSG_ALIGN(len)) {
		const uint8_t *message = current->messages + at;

		if (is_asked(nlh, message, len))
			put(&answer, (uint16_t)(nlh->nlmsg_type - 1), NLM_F_MULTI,
			    message + sizeof(*nlh), len - sizeof(*nlh));
	}
	put(&answer, NLMSG_DONE, NLM_F_MULTI, &done, sizeof(done));
	flush(&answer);
	return (ssize_t)size;
}

void fake_nft_open(struct fake_nft *fake)
{
	int ends[2], room = 4 << 20;

	*fake = (struct fake_nft){ 0 };
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	(void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	fake->kernel = ends[1];
	fake->nft.socket = mnl_socket_fdopen(ends[0]);
	CHECK(fake->nft.socket);
	current = fake;
}

void fake_nft_close(struct fake_nft *fake)
{
	mnl_socket_close(fake->nft.socket);
	close(fake->kernel);
	current = NULL;
}

uint8_t *fake_nft_dump(const struct skeleton *skeleton, const struct ruleset *ruleset,
		       size_t *ret_size)
{
	struct batch batch = { .seq = 1 };
	struct live *live = NULL;
	struct ops ops = { 0 };

	CHECK(live_new(&live) == 0);
	live->counters = calloc(skeleton->counters_n, sizeof(*live->counters));
	CHECK(live->counters);
	live->counters_n = skeleton->counters_n;
	CHECK(plan_make(skeleton, ruleset, live, &ops) == 0);
	for (size_t i = 0; i < ops.n;) {
		ssize_t taken = batch_add_ops(&batch, skeleton, &ops.op[i], ops.n - i);

		CHECK(taken > 0);
		i += (size_t)taken;
	}
	ops_done(&ops);
	live_free(live);
	*ret_size = batch.len;
	return batch.data;
}

static void add_element(struct ruleset *ruleset, enum set_id set)
{
	const struct set_spec *spec = set_spec(set);
	struct elem_key key, last;
	const char *comment = NULL;

	/* Ports would have to be there, and the ends of intervals are sent otherwise than they are told. */
	if (spec->chains || (spec->interval && spec->key[1] == KEY_NONE))
		return;
	elem_key_init(&key);
	elem_key_init(&last);
	for (size_t i = 0; i < SET_FIELDS_MAX && spec->key[i] != KEY_NONE; i++) {
		uint8_t field[16] = { 10, 1, 2, 3 }, end[16] = { 10, 1, 9, 9 };

		if (spec->key[i] == KEY_IFNAME) {
			elem_key_ifname(&key, "docker0");
			continue;
		}
		elem_key_add(&key, field, key_type_len(spec->key[i]));
		elem_key_add(&last, end, key_type_len(spec->key[i]));
	}
	if (spec->interval) {
		CHECK(ruleset_add_range(ruleset, set, &key, &last) == 0);
		return;
	}
	CHECK(ruleset_comment(ruleset, "train-0-0 task 4711", &comment) == 0);
	CHECK(ruleset_add(ruleset, set, &key, spec->data == KEY_MARK ? 0x10000001 : 0, comment) ==
	      0);
}

/* Some expressions are told otherwise than they are sent: what a set of marks was, a register. */
static bool is_told_as_sent(const struct chain *chain, const struct skeleton_params *params)
{
	for (size_t i = 0; i < chain->rules_n; i++) {
		_cleanup_(nftnl_rule_freep) struct nftnl_rule *sent = NULL, *told = NULL;
		_cleanup_free_ char *text = NULL, *again = NULL;
		char message[8192] = { 0 };
		struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(
			message, NFT_MSG_NEWRULE, (uint16_t)family_number(chain->family), 0, 1);

		told = nftnl_rule_alloc();
		CHECK(told && nft_rule_build(chain, &chain->rules[i], params, 0, &sent) == 0);
		nftnl_rule_nlmsg_build_payload(nlh, sent);
		CHECK(nftnl_rule_nlmsg_parse(nlh, told) == 0);
		CHECK(nft_rule_text(sent, &text) == 0 && nft_rule_text(told, &again) == 0);
		if (strcmp(text, again) != 0)
			return false;
	}
	return true;
}

void fake_nft_model(const struct skeleton **ret_skeleton, const struct ruleset **ret_ruleset)
{
	static const struct skeleton_params params = { .mode = 2,
						       .parent_level = 1,
						       .engine_level = 2,
						       .runner_port = 10999,
						       .mark_bystander = 0x08000000,
						       .mark_container = 0x10000000,
						       .mark_host = 0x20000000,
						       .bridge_meta = true,
						       .egress = true };
	static struct skeleton skeleton;
	static struct ruleset *ruleset;
	size_t each[FAMILY_MAX] = { 0 }, kept = 0;

	*ret_skeleton = &skeleton;
	if (!ruleset) {
		skeleton_build(&params, &skeleton);
		for (size_t i = 0; i < skeleton.chains_n; i++)
			if (is_told_as_sent(&skeleton.chains[i], &params) &&
			    each[skeleton.chains[i].family]++ < CHAINS_EACH)
				skeleton.chains[kept++] = skeleton.chains[i];
		skeleton.chains_n = kept;
		CHECK(ruleset_new(&ruleset) == 0);
		for (size_t set = 0; set < SET_MAX; set++)
			add_element(ruleset, (enum set_id)set);
		ruleset_seal(ruleset);
	}
	*ret_ruleset = ruleset;
}
