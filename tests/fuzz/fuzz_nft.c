/* SPDX-License-Identifier: GPL-2.0-or-later */
/* link: -Wl,--wrap=mnl_socket_sendto */
/*
 * Dumps of nf_tables. The answer of an honest kernel that has all that is wanted, changed by the input:
 * records of 6 bytes (what, number of the message, place in it, value). Nothing changed: no difference.
 * A message that is missing: a difference. Whatever it is: a picture that is sorted and
 * whole, or an errno; and what is said of it is safe to print.
 */
#include "commands-internal.h"
#include "fake_nft.h"
#include "fuzz.h"
#include "jobfence/plan.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#define RECORD 6
#define RECORDS_MAX 64

static const struct skeleton *skeleton;
static const struct ruleset *wanted;
static uint8_t *honest;
static size_t honest_size, messages_n;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	size_t len;

	fake_nft_model(&skeleton, &wanted);
	honest = fake_nft_dump(skeleton, wanted, &honest_size);
	for (size_t at = 0; (len = fake_nft_message(honest, honest_size, at));
	     at += NLMSG_ALIGN(len))
		messages_n++;
	return 0;
}

static uint8_t *message_at(uint8_t *messages, size_t number, size_t *ret_len)
{
	size_t at = 0;

	for (size_t i = 0; i < number % messages_n; i++)
		at += NLMSG_ALIGN(fake_nft_message(messages, honest_size, at));
	*ret_len = fake_nft_message(messages, honest_size, at);
	return messages + at;
}

/* Whether a dump has the message: elements of a set may be in several, the rest is one thing each. */
static bool is_thing(const uint8_t *message)
{
	struct nlmsghdr header;

	memcpy(&header, message, sizeof(header));
	switch (NFNL_MSG_TYPE(header.nlmsg_type)) {
	case NFT_MSG_NEWTABLE:
	case NFT_MSG_NEWCHAIN:
	case NFT_MSG_NEWRULE:
	case NFT_MSG_NEWSET:
	case NFT_MSG_NEWSETELEM:
	case NFT_MSG_NEWOBJ:
		return header.nlmsg_len > sizeof(header) + sizeof(struct nfgenmsg);
	default:
		return false;
	}
}

/* Whether the byte at @place is of an attribute's header, or ends a text. libnftnl believes what the
 * kernel says: it reads past an expression without a name, and ends the process ("abi breakage") where a
 * number has another size. Neither is ours to change. */
static bool is_structure(const uint8_t *attrs, size_t len, size_t place)
{
	size_t at = 0;

	while (len - at >= sizeof(struct nlattr)) {
		struct nlattr attr;

		memcpy(&attr, attrs + at, sizeof(attr));
		if (attr.nla_len < sizeof(attr) || attr.nla_len > len - at ||
		    place < at + sizeof(attr))
			return true;
		if (place < at + attr.nla_len)
			return attr.nla_type & NLA_F_NESTED
				       ? is_structure(attrs + at + sizeof(attr),
						      attr.nla_len - sizeof(attr),
						      place - at - sizeof(attr))
				       : !attrs[place] && place == at + attr.nla_len - 1u;
		at += NLMSG_ALIGN(attr.nla_len);
		if (at > len)
			return true;
	}
	return true;
}

/* One record. Lengths of messages stay as they are, so that numbers mean the same to the next. */
static void change(uint8_t *messages, const uint8_t *record)
{
	size_t len, place = (size_t)(record[3] << 8 | record[4]);
	uint8_t *message = message_at(messages, (size_t)(record[1] << 8 | record[2]), &len);
	struct nlmsghdr *header = (struct nlmsghdr *)message;

	if (len <= sizeof(*header) + sizeof(struct nfgenmsg))
		return;
	place %= len - sizeof(*header);
	if (record[0] % 4 == 1) { /* gone: as one that nobody asks for */
		header->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE;
		return;
	}
	if (place >= sizeof(struct nfgenmsg) &&
	    is_structure(message + sizeof(*header) + sizeof(struct nfgenmsg),
			 len - sizeof(*header) - sizeof(struct nfgenmsg),
			 place - sizeof(struct nfgenmsg)))
		return;
	message[sizeof(*header) + place] = record[5];
}

static void check_live(const struct live *live)
{
	for (size_t i = 0; i < live->chains_n; i++) {
		CHECK(live->chains[i].name && (unsigned)live->chains[i].family < FAMILY_MAX);
		for (size_t j = 0; j < live->chains[i].rules_n; j++)
			CHECK(live->chains[i].rules[j]);
	}
	for (size_t i = 0; i < live->extra_n; i++)
		CHECK(live->extra[i].name);
	for (size_t set = 0; set < SET_MAX; set++) {
		const struct elems *elems = &live->elements->sets[set];

		for (size_t i = 0; i < elems->n; i++) {
			const char *comment = elems->elem[i].comment;

			CHECK(!comment || strlen(comment) <= ELEM_COMMENT_MAX);
			CHECK(i == 0 ||
			      memcmp(elems->elem[i - 1].key, elems->elem[i].key, ELEM_KEY_MAX) < 0);
		}
	}
}

static size_t check_plan(const struct live *live)
{
	_cleanup_(ops_done) struct ops ops = { 0 };
	_cleanup_(sentences_done) struct sentences sentences = { 0 };
	size_t n;

	CHECK(plan_make(skeleton, wanted, live, &ops) == 0);
	n = ops.n;
	CHECK(differences_text(&ops, NULL, NULL, &sentences) == 0);
	CHECK(!n || sentences.n);
	for (size_t i = 0; i < sentences.n; i++)
		CHECK(fuzz_is_safe(sentences.text[i], 1024));
	for (size_t i = 0; i < ops.n && i < 32; i++) {
		struct diag diag;
		char text[1024];

		op_text(&ops.op[i], text, sizeof(text));
		diag_set(&diag, 0, "%s", text);
		CHECK(fuzz_is_line(diag.text, sizeof(diag.text)));
	}
	ops_done(&ops);
	CHECK(plan_remove(live, &ops) == 0);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *messages = malloc(honest_size);
	struct live *live = NULL;
	struct diag diag = { 0 };
	struct fake_nft fake;
	size_t records = size / RECORD, differences;
	int r;

	CHECK(messages);
	memcpy(messages, honest, honest_size);
	for (size_t i = 0; i < records && i < RECORDS_MAX; i++)
		change(messages, data + i * RECORD);
	fake_nft_open(&fake);
	fake.messages = messages;
	fake.size = honest_size;
	r = nft_read(&fake.nft, skeleton, &live, &diag);
	CHECK(r <= 0 && r != -ETIMEDOUT && r != -EMSGSIZE);
	if (r == 0) {
		check_live(live);
		differences = check_plan(live);
		CHECK(records || !differences);
		if (records == 1 && data[0] % 4 == 1) {
			size_t len, number = (size_t)(data[1] << 8 | data[2]);

			CHECK(differences || !is_thing(message_at(honest, number, &len)));
		}
	} else {
		fuzz_check_refusal(r, &diag);
	}
	live_free(live);
	fake_nft_close(&fake);
	free(messages);
	return 0;
}
