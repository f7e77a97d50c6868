/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dumps our tables as plain data. Set elements are dumped without any mark of an interrupted
 * dump, so the generation is read before and after and everything is read again when it moved.
 * Unknown attributes of newer kernels are passed over; unknown objects in our tables are reported.
 */
#include "nft-internal.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/flowtable.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "jobfence/clock.h"

#define READ_TRIES 10
#define INTERVAL_END 1 /* as the data of an element that is being read */

DEFINE_CLEANUP(struct nftnl_flowtable *, nftnl_flowtable_free)

/* What the dump callbacks fill. */
struct reader {
	struct live *live;
	const struct skeleton *skeleton;
	enum family family; /* of the dump under way */
	enum set_id set;    /* of an element dump */
	mnl_cb_t take;      /* of the dump under way: called with the reader */
};

/* --- what libnftnl does not understand ---
 *
 * A newer nft can have put it there. It is a difference like any other, never nothing. */

/* Number 1 is the name of the table in every message but that of a table. */
static const char *raw_name(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attr) == type &&
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			return mnl_attr_get_str(attr);
	}
	return "";
}

static bool is_ours(const struct nlmsghdr *nlh)
{
	return strcmp(raw_name(nlh, NFTA_RULE_TABLE), TABLE_NAME) == 0;
}

/* ENOMEM inside a callback ends the dump. */
static int callback_failed(void)
{
	errno = ENOMEM;
	return MNL_CB_ERROR;
}

static int on_table(const struct nlmsghdr *nlh, void *data)
{
	struct reader *reader = data;
	_cleanup_(nftnl_table_freep) struct nftnl_table *table = nftnl_table_alloc();

	if (!table)
		return callback_failed();
	/* in this message number 1 is its own name */
	if (nftnl_table_nlmsg_parse(nlh, table) < 0 || !is_ours(nlh))
		return MNL_CB_OK;
	reader->live->table[reader->family] = true;
	reader->live->table_flags[reader->family] = nftnl_table_get_u32(table, NFTNL_TABLE_FLAGS);
	reader->live->table_owner[reader->family] = nftnl_table_get_u32(table, NFTNL_TABLE_OWNER);
	return MNL_CB_OK;
}

/* Several; a device that went may leave an empty list. */
static bool has_devices(const struct nftnl_chain *chain)
{
	const char *const *devices = nftnl_chain_is_set(chain, NFTNL_CHAIN_DEVICES)
					     ? nftnl_chain_get_array(chain, NFTNL_CHAIN_DEVICES)
					     : NULL;

	return devices && devices[0];
}

static int on_chain(const struct nlmsghdr *nlh, void *data)
{
	struct reader *reader = data;
	struct live *live = reader->live;
	_cleanup_(nftnl_chain_freep) struct nftnl_chain *chain = nftnl_chain_alloc();
	struct live_chain *grown;
	bool has_device = false;

	if (!chain)
		return callback_failed();
	if (nftnl_chain_nlmsg_parse(nlh, chain) < 0 || !is_ours(nlh))
		return MNL_CB_OK;
	grown = reallocarray(live->chains, live->chains_n + 1, sizeof(*grown));
	if (!grown)
		return callback_failed();
	live->chains = grown;
	struct live_chain *new = &grown[live->chains_n];

	*new = (struct live_chain){ .family = reader->family, .plain = true };
	new->base = nftnl_chain_is_set(chain, NFTNL_CHAIN_HOOKNUM);
	if (new->base) {
		const char *type = nftnl_chain_get_str(chain, NFTNL_CHAIN_TYPE);

		new->hook = nftnl_chain_get_u32(chain, NFTNL_CHAIN_HOOKNUM);
		new->priority = nftnl_chain_get_s32(chain, NFTNL_CHAIN_PRIO);
		new->plain = type ? strcmp(type, "filter") == 0 : false;
		new->drops = nftnl_chain_get_u32(chain, NFTNL_CHAIN_POLICY) != NF_ACCEPT;
		has_device = reader->family == FAMILY_NETDEV &&
			     nftnl_chain_is_set(chain, NFTNL_CHAIN_DEV);
		if (!has_device && has_devices(chain))
			new->plain = false;
	}
	if (has_device) {
		new->device = strdup(nftnl_chain_get_str(chain, NFTNL_CHAIN_DEV));
		if (!new->device)
			return callback_failed();
	}
	new->name = strdup(nftnl_chain_get_str(chain, NFTNL_CHAIN_NAME) ?: "");
	if (!new->name) {
		free(new->device);
		return callback_failed();
	}
	live->chains_n++;
	return MNL_CB_OK;
}

static struct live_chain *find_chain(struct live *live, enum family family, const char *name)
{
	for (size_t i = 0; i < live->chains_n; i++)
		if (live->chains[i].family == family && strcmp(live->chains[i].name, name) == 0)
			return &live->chains[i];
	return NULL;
}

static int on_rule(const struct nlmsghdr *nlh, void *data)
{
	struct reader *reader = data;
	_cleanup_(nftnl_rule_freep) struct nftnl_rule *rule = nftnl_rule_alloc();
	struct live_chain *chain;
	bool understood;
	char **grown;

	if (!rule)
		return callback_failed();
	if (!is_ours(nlh))
		return MNL_CB_OK;
	chain = find_chain(reader->live, reader->family, raw_name(nlh, NFTA_RULE_CHAIN));
	if (!chain)
		return MNL_CB_OK; /* a chain made after the chain dump: the generation tells */
	grown = reallocarray(chain->rules, chain->rules_n + 1, sizeof(*grown));
	if (!grown)
		return callback_failed();
	chain->rules = grown;
	errno = 0;
	understood = nftnl_rule_nlmsg_parse(nlh, rule) >= 0;
	if (!understood && errno == ENOMEM)
		return callback_failed();
	grown[chain->rules_n] = understood ? NULL : strdup("not understood");
	if (understood ? nft_rule_text(rule, &grown[chain->rules_n]) < 0 : !grown[chain->rules_n])
		return callback_failed();
	chain->rules_n++;
	return MNL_CB_OK;
}

static bool set_as_specified(struct nftnl_set *set, const struct set_spec *spec)
{
	uint32_t flags = nftnl_set_get_u32(set, NFTNL_SET_FLAGS) & ~(uint32_t)NFT_SET_EXPR;
	uint32_t udata_len = 0, wanted_len = 0;
	const void *udata = nftnl_set_get_data(set, NFTNL_SET_USERDATA, &udata_len);
	_cleanup_(nftnl_set_freep) struct nftnl_set *wanted = NULL;

	if (nft_set_build(spec->id, spec->name, &wanted) < 0)
		return true; /* no memory to tell: never a reason to tear a set down */
	const void *wanted_udata = nftnl_set_get_data(wanted, NFTNL_SET_USERDATA, &wanted_len);

	return nftnl_set_get_u32(set, NFTNL_SET_KEY_LEN) == set_key_len(spec) &&
	       nftnl_set_get_u32(set, NFTNL_SET_KEY_TYPE) == nft_key_type(spec->key) &&
	       flags == nft_set_flags(spec) && udata_len == wanted_len && udata &&
	       memcmp(udata, wanted_udata, udata_len) == 0;
}

static int has_counter(struct nftnl_expr *expr, void *data)
{
	bool *found = data;

	*found |= strcmp(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), "counter") == 0;
	return 0;
}

static int on_set(const struct nlmsghdr *nlh, void *data)
{
	struct reader *reader = data;
	_cleanup_(nftnl_set_freep) struct nftnl_set *set = nftnl_set_alloc();
	const char *name = raw_name(nlh, NFTA_SET_NAME);
	bool counter = false, understood;

	if (!set)
		return callback_failed();
	if (!is_ours(nlh))
		return MNL_CB_OK;
	errno = 0;
	understood = nftnl_set_nlmsg_parse(nlh, set) >= 0;
	if (!understood && errno == ENOMEM)
		return callback_failed();
	if (understood)
		nftnl_set_expr_foreach(set, has_counter, &counter);
	for (size_t i = 0; i < SET_MAX; i++) {
		const struct set_spec *spec = set_spec((enum set_id)i);

		if (spec->family != reader->family || spec->chains || strcmp(spec->name, name) != 0)
			continue;
		reader->live->set_present[i] = true;
		reader->live->set_differs[i] =
			!understood || counter != spec->counter || !set_as_specified(set, spec);
		return MNL_CB_OK;
	}
	/* Anonymous sets go with their rule. */
	if (understood && nftnl_set_get_u32(set, NFTNL_SET_FLAGS) & NFT_SET_ANONYMOUS)
		return MNL_CB_OK;
	return live_add_extra(reader->live, LIVE_SET, reader->family, name) < 0 ? callback_failed()
										: MNL_CB_OK;
}

static int elem_counter(struct nftnl_expr *expr, void *data)
{
	struct elem_extra *extra = data;

	if (strcmp(nftnl_expr_get_str(expr, NFTNL_EXPR_NAME), "counter") == 0) {
		extra->packets = nftnl_expr_get_u64(expr, NFTNL_EXPR_CTR_PACKETS);
		extra->bytes = nftnl_expr_get_u64(expr, NFTNL_EXPR_CTR_BYTES);
	}
	return 0;
}

/* The comment in an element's user data: a list of type, length, value. */
static const char *udata_comment(const uint8_t *udata, uint32_t len)
{
	while (len >= 2 && (uint32_t)udata[1] + 2 <= len) {
		if (udata[0] == NFTNL_UDATA_SET_ELEM_COMMENT && udata[1] > 0 &&
		    udata[1 + udata[1]] == '\0')
			return (const char *)udata + 2;
		len -= (uint32_t)udata[1] + 2;
		udata += udata[1] + 2;
	}
	return NULL;
}

/* An end before the start with the same key: intervals may touch. */
static int interval_qsort(const void *a, const void *b)
{
	const struct elem *one = a, *two = b;

	return memcmp(one->key, two->key, sizeof(one->key))
		       ?: (elem_extra(two)->data == INTERVAL_END) -
				  (elem_extra(one)->data == INTERVAL_END);
}

/* Intervals of one field are read as starts and ends, in whatever order the kernel keeps them. */
static void pair_intervals(struct elems *elems, uint32_t len)
{
	size_t kept = 0;

	if (elems->n)
		qsort(elems->elem, elems->n, sizeof(*elems->elem), interval_qsort);
	for (size_t i = 0; i < elems->n; i++) {
		uint8_t *last = elems->elem[i].extra->last; /* read_elem() gave it one */
		uint32_t byte = len;

		if (elems->elem[i].extra->data == INTERVAL_END)
			continue;
		memset(last, 0, ELEM_LAST_MAX);
		memset(last, 0xff, len);
		if (i + 1 < elems->n) {
			memcpy(last, elems->elem[i + 1].key, len);
			while (byte > 0 && last[byte - 1]-- == 0)
				byte--;
		}
		elems->elem[kept++] = elems->elem[i];
	}
	elems->n = kept;
}

static uint64_t elem_ends(const struct nftnl_set_elem *from)
{
	uint16_t attr = nftnl_set_elem_is_set(from, NFTNL_SET_ELEM_EXPIRATION)
				? NFTNL_SET_ELEM_EXPIRATION
				: NFTNL_SET_ELEM_TIMEOUT;

	if (!nftnl_set_elem_is_set(from, attr))
		return 0;
	return clock_boot_usec() +
	       nftnl_set_elem_get_u64((struct nftnl_set_elem *)from, attr) * 1000;
}

static int read_elem(struct reader *reader, struct nftnl_set_elem *from)
{
	struct ruleset *ruleset = reader->live->elements;
	const struct set_spec *spec = set_spec(reader->set);
	static const struct elem_extra none;
	struct elem_extra extra = none;
	struct elem_key key;
	const char *comment = NULL;
	uint32_t len = 0;
	const void *value = nftnl_set_elem_get(from, NFTNL_SET_ELEM_KEY, &len);
	int r;

	if (!value || len > ELEM_KEY_MAX)
		return 0;
	elem_key_init(&key);
	memcpy(key.bytes, value, len);
	value = nftnl_set_elem_get(from, NFTNL_SET_ELEM_DATA, &len);
	if (value && len == sizeof(extra.data))
		memcpy(&extra.data, value, sizeof(extra.data));
	value = nftnl_set_elem_get(from, NFTNL_SET_ELEM_USERDATA, &len);
	if (value && udata_comment(value, len)) {
		r = ruleset_comment(ruleset, udata_comment(value, len), &comment);
		if (r < 0)
			return r;
	}
	nftnl_set_elem_expr_foreach(from, elem_counter, &extra);
	extra.ends = elem_ends(from);
	/* an end is an element of its own here: see pair_intervals() */
	if (spec->interval && nftnl_set_elem_is_set(from, NFTNL_SET_ELEM_FLAGS) &&
	    nftnl_set_elem_get_u32(from, NFTNL_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END)
		extra.data = INTERVAL_END;
	value = nftnl_set_elem_get(from, NFTNL_SET_ELEM_KEY_END, &len);
	if (spec->interval)
		memcpy(extra.last, value && len <= sizeof(extra.last) ? value : key.bytes,
		       value && len <= sizeof(extra.last) ? len : sizeof(extra.last));
	if (!spec->interval && memcmp(&extra, &none, sizeof(extra)) == 0)
		return ruleset_add(ruleset, reader->set, &key, 0, comment);
	return ruleset_add_extra(ruleset, reader->set, &key, &extra, comment);
}

DEFINE_CLEANUP(struct nftnl_set_elems_iter *, nftnl_set_elems_iter_destroy)

static int on_elems(const struct nlmsghdr *nlh, void *data)
{
	_cleanup_(nftnl_set_freep) struct nftnl_set *set = nftnl_set_alloc();
	_cleanup_(nftnl_set_elems_iter_destroyp) struct nftnl_set_elems_iter *iter = NULL;
	struct nftnl_set_elem *elem;

	if (!set)
		return callback_failed();
	errno = 0;
	if (nftnl_set_elems_nlmsg_parse(nlh, set) < 0) {
		struct reader *reader = data;

		if (errno == ENOMEM)
			return callback_failed();
		reader->live->set_differs[reader->set] = true;
		return MNL_CB_OK;
	}
	iter = nftnl_set_elems_iter_create(set);
	if (!iter)
		return callback_failed();
	while ((elem = nftnl_set_elems_iter_next(iter)))
		if (read_elem(data, elem) < 0)
			return callback_failed();
	return MNL_CB_OK;
}

static int on_object(const struct nlmsghdr *nlh, void *data)
{
	struct reader *reader = data;
	_cleanup_(nftnl_obj_freep) struct nftnl_obj *obj = nftnl_obj_alloc();
	const char *name;

	if (!obj)
		return callback_failed();
	if (nftnl_obj_nlmsg_parse(nlh, obj) < 0 || !is_ours(nlh) ||
	    nftnl_obj_get_u32(obj, NFTNL_OBJ_TYPE) != NFT_OBJECT_COUNTER)
		return MNL_CB_OK;
	name = nftnl_obj_get_str(obj, NFTNL_OBJ_NAME) ?: "";
	for (size_t i = 0; i < reader->skeleton->counters_n; i++) {
		const struct counter_spec *spec = &reader->skeleton->counters[i];

		if (spec->family != reader->family || strcmp(spec->name, name) != 0)
			continue;
		reader->live->counters[i] = (struct live_counter){
			.present = true,
			.packets = nftnl_obj_get_u64(obj, NFTNL_OBJ_CTR_PKTS),
			.bytes = nftnl_obj_get_u64(obj, NFTNL_OBJ_CTR_BYTES),
		};
		return MNL_CB_OK;
	}
	return live_add_extra(reader->live, LIVE_COUNTER, reader->family, name) < 0
		       ? callback_failed()
		       : MNL_CB_OK;
}

static int on_flowtable(const struct nlmsghdr *nlh, void *data)
{
	struct reader *reader = data;
	_cleanup_(nftnl_flowtable_freep) struct nftnl_flowtable *flowtable =
		nftnl_flowtable_alloc();

	if (!flowtable)
		return callback_failed();
	if (nftnl_flowtable_nlmsg_parse(nlh, flowtable) < 0 || !is_ours(nlh))
		return MNL_CB_OK;
	return live_add_extra(reader->live, LIVE_FLOWTABLE, reader->family,
			      nftnl_flowtable_get_str(flowtable, NFTNL_FLOWTABLE_NAME) ?: "") < 0
		       ? callback_failed()
		       : MNL_CB_OK;
}

/* libnftnl does not tell of every allocation that failed: a message that one of them failed for was
 * not read, whatever came of it. A part of the picture would be mended. */
static int on_message(const struct nlmsghdr *nlh, void *data)
{
	struct reader *reader = data;
	int r;

	errno = 0;
	r = reader->take(nlh, reader);
	return r >= MNL_CB_OK && errno == ENOMEM ? callback_failed() : r;
}

static int dump(struct nft *nft, struct reader *reader, uint16_t type, mnl_cb_t fn)
{
	char buffer[512] = { 0 };
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(
		buffer, type, (uint16_t)family_number(reader->family), NLM_F_DUMP, nft->seq++);

	/* Without a table every chain of the family comes; the callbacks look at the name. */
	reader->take = fn;
	return nft_request(nft, nlh, on_message, reader);
}

static int dump_elems(struct nft *nft, struct reader *reader)
{
	char buffer[512] = { 0 };
	_cleanup_(nftnl_set_freep) struct nftnl_set *set = nftnl_set_alloc();
	struct nlmsghdr *nlh = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETSETELEM,
						     (uint16_t)family_number(reader->family),
						     NLM_F_DUMP, nft->seq++);

	if (!set || nftnl_set_set_str(set, NFTNL_SET_TABLE, TABLE_NAME) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, set_spec(reader->set)->name) < 0)
		return -ENOMEM;
	nftnl_set_elems_nlmsg_build_payload(nlh, set);
	reader->take = on_elems;
	int r = nft_request(nft, nlh, on_message, reader);
	const struct set_spec *spec = set_spec(reader->set);

	if (r >= 0 && spec->interval && spec->key[1] == KEY_NONE)
		pair_intervals(&reader->live->elements->sets[reader->set], set_key_len(spec));
	return r;
}

static int read_family(struct nft *nft, struct reader *reader, struct diag *diag)
{
	static const struct {
		uint16_t type;
		mnl_cb_t fn;
		const char *what;
	} dumps[] = {
		{ NFT_MSG_GETTABLE, on_table, "tables" },
		{ NFT_MSG_GETCHAIN, on_chain, "chains" },
		{ NFT_MSG_GETRULE, on_rule, "rules" },
		{ NFT_MSG_GETSET, on_set, "sets" },
		{ NFT_MSG_GETOBJ, on_object, "counters" },
		{ NFT_MSG_GETFLOWTABLE, on_flowtable, "flow tables" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
		int r = dump(nft, reader, dumps[i].type, dumps[i].fn);

		if (r < 0)
			return diag_set(diag, r, "cannot read the %s of table %s %s: %s",
					dumps[i].what, family_name(reader->family), TABLE_NAME,
					strerror(-r));
		if (!reader->live->table[reader->family])
			return 0;
	}
	for (size_t i = 0; i < SET_MAX; i++) {
		reader->set = (enum set_id)i;
		if (set_spec(reader->set)->family != reader->family ||
		    !reader->live->set_present[i] || reader->live->set_differs[i])
			continue;
		int r = dump_elems(nft, reader);

		if (r < 0)
			return diag_set(diag, r, "cannot read set %s: %s",
					set_spec(reader->set)->name, strerror(-r));
	}
	return 0;
}

static int read_once(struct nft *nft, const struct skeleton *skeleton, struct live **ret_live,
		     struct diag *diag)
{
	_cleanup_(live_freep) struct live *live = NULL;
	struct reader reader = { .skeleton = skeleton };
	uint32_t before = 0, after = 0;
	int r = live_new(&live);

	if (r < 0)
		return r;
	live->counters = calloc(skeleton->counters_n, sizeof(*live->counters));
	if (!live->counters)
		return -ENOMEM;
	live->counters_n = skeleton->counters_n;
	reader.live = live;
	r = nft_generation(nft, &before, diag);
	for (size_t family = 0; r >= 0 && family < FAMILY_MAX; family++) {
		reader.family = (enum family)family;
		if (skeleton_has_family(skeleton, reader.family))
			r = read_family(nft, &reader, diag);
	}
	if (r >= 0)
		r = nft_read_ports(live, skeleton);
	if (r >= 0)
		r = nft_generation(nft, &after, diag);
	if (r < 0)
		return r;
	live->torn = before != after;
	if (live->torn && !nft->torn)
		return -EINTR;
	live->generation = after;
	ruleset_seal(live->elements);
	*ret_live = take_ptr(live);
	return 0;
}

int nft_read_torn(struct nft *nft, const struct skeleton *skeleton, struct live **ret_live,
		  struct diag *diag)
{
	int r = -EINTR;

	for (int i = 0; i < READ_TRIES && r == -EINTR; i++)
		r = read_once(nft, skeleton, ret_live, diag);
	if (r != -EINTR)
		return r;
	nft->torn = true;
	r = read_once(nft, skeleton, ret_live, diag);
	nft->torn = false;
	return r;
}

int nft_read(struct nft *nft, const struct skeleton *skeleton, struct live **ret_live,
	     struct diag *diag)
{
	_cleanup_(live_freep) struct live *live = NULL;
	int r = nft_read_torn(nft, skeleton, &live, diag);

	if (r < 0)
		return r;
	if (live->torn)
		return diag_set(diag, -EAGAIN,
				"the ruleset kept changing while it was read (%d tries)",
				READ_TRIES + 1);
	*ret_live = take_ptr(live);
	return 0;
}
