/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which rules may see a packet of one container: the skeleton is walked with what is fixed about all
 * its packets (port, bridge, MAC, address, mark, cgroup), and whatever else a rule asks for may be
 * either way. A rule is left out only where it cannot match. Pure. The words come from the skeleton,
 * so that what is told and what is in the kernel cannot drift apart.
 */
#include "explain-internal.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>
#include <string.h>

#include "field-internal.h"

#define DEPTH_MAX 16
#define LEVELS_MAX 16
#define RTN_UNICAST_ 1

enum maybe { NO, MAYBE, YES };

/* What is fixed about the packets of one direction. What is empty or 0 may be anything. */
struct sight {
	bool sends;
	enum family family;
	uint32_t hooks; /* a bit for each that they pass */
	char iif[IFNAMSIZ], oif[IFNAMSIZ], bridge[IFNAMSIZ];
	const char *kind;        /* of the interface that is known */
	const char *device;      /* netdev: of the base chain */
	struct ip_addr src, dst; /* the family of one is that of the packet */
	struct mac_addr mac_src, mac_dst;
	int bystander; /* the mark of a bystander's port: -1 not known, 0, 1 */
	bool unicast;  /* to no address of the host */
	uint64_t cgroup[LEVELS_MAX];
};

struct walker {
	const struct config *config;
	const struct expected *expected;
	const struct sight *sight;
	struct explained_rules *rules;
	int depth;
	int error;
};

static enum maybe name_bytes(const char *name, uint8_t bytes[static 16])
{
	memset(bytes, 0, 16);
	memcpy(bytes, name, strnlen(name, IFNAMSIZ));
	return name[0] ? YES : MAYBE;
}

static enum maybe addr_bytes(const struct sight *sight, const struct ip_addr *addr, int family,
			     uint8_t bytes[static 16])
{
	int packet = sight->src.family ?: sight->dst.family;

	if (packet && packet != family)
		return NO;
	if (addr->family != family)
		return MAYBE;
	memcpy(bytes, addr->bytes, 16);
	return YES;
}

static enum maybe cgroup_bytes(const struct walker *walker, enum field field,
			       uint8_t bytes[static 16])
{
	uint32_t level = field_level(field, &walker->expected->skeleton->params);
	uint64_t id = level < LEVELS_MAX ? walker->sight->cgroup[level] : 0;

	memcpy(bytes, &id, sizeof(id));
	return id ? YES : MAYBE;
}

/* The part of a key that @field fills. NO: no packet of these has it, which ends the rule. */
static enum maybe known(const struct walker *walker, enum field field, uint8_t bytes[static 16])
{
	const struct sight *sight = walker->sight;
	const struct mac_addr *mac;

	if (field_level(field, &walker->expected->skeleton->params))
		return cgroup_bytes(walker, field, bytes);
	if (field == F_IIFNAME)
		return name_bytes(sight->iif, bytes);
	if (field == F_OIFNAME)
		return name_bytes(sight->oif, bytes);
	if (field == F_IBRNAME)
		return name_bytes(sight->bridge, bytes);
	if (field == F_IP_SADDR)
		return addr_bytes(sight, &sight->src, AF_INET, bytes);
	if (field == F_IP_DADDR)
		return addr_bytes(sight, &sight->dst, AF_INET, bytes);
	if (field == F_IP6_SADDR)
		return addr_bytes(sight, &sight->src, AF_INET6, bytes);
	if (field == F_IP6_DADDR)
		return addr_bytes(sight, &sight->dst, AF_INET6, bytes);
	if (field != F_ETHER_SADDR && field != F_ETHER_DADDR)
		return MAYBE;
	mac = field == F_ETHER_SADDR ? &sight->mac_src : &sight->mac_dst;
	memcpy(bytes, mac->bytes, sizeof(mac->bytes));
	return mac_addr_is_set(mac) ? YES : MAYBE;
}

/* Whether @elem may be meant by a key of which only some fields are known. */
static bool may_be(const struct set_spec *spec, const struct elem *elem, const enum maybe *have,
		   uint8_t bytes[SET_FIELDS_MAX][16], uint32_t n)
{
	for (uint32_t f = 0, at = 0; f < n; f++) {
		uint32_t len = key_type_len(spec->key[f]);
		bool inside = spec->interval ? memcmp(bytes[f], elem->key + at, len) >= 0 &&
						       memcmp(bytes[f], elem_extra(elem)->last + at,
							      len) <= 0
					     : memcmp(bytes[f], elem->key + at, len) == 0;

		if (have[f] == YES && !inside)
			return false;
		at += (len + 3) & ~3u;
	}
	return true;
}

static enum maybe look_up(const struct walker *walker, const struct stmt *stmt)
{
	const struct set_spec *spec = set_spec(stmt->set);
	const struct ruleset *ruleset = walker->expected->ruleset;
	const struct elems *elems = &ruleset->sets[stmt->set];
	uint8_t bytes[SET_FIELDS_MAX][16] = { 0 };
	enum maybe have[SET_FIELDS_MAX], least = YES;
	bool found = false;

	for (uint32_t f = 0; f < stmt->fields_n; f++) {
		have[f] = known(walker, stmt->fields[f], bytes[f]);
		least = have[f] < least ? have[f] : least;
	}
	if (least == NO)
		return NO;
	for (size_t i = 0; i < elems->n && !found; i++)
		found = may_be(spec, &elems->elem[i], have, bytes, stmt->fields_n);
	if (!found && ruleset->keep[stmt->set])
		return MAYBE;
	if (!found)
		return stmt->negate ? least : NO;
	if (least == MAYBE)
		return MAYBE;
	return stmt->negate ? NO : YES;
}

static enum maybe certain(bool yes)
{
	return yes ? YES : NO;
}

static enum maybe named(const struct walker *walker, const struct stmt *stmt)
{
	const struct sight *sight = walker->sight;
	enum field field = stmt->fields[0];
	uint8_t bytes[16];
	const char *name = (const char *)bytes;
	size_t len = strlen(stmt->name);
	bool equal;

	if ((field == F_IIFKIND && sight->iif[0]) || (field == F_OIFKIND && sight->oif[0]))
		name = sight->kind;
	else if (field == F_IIFKIND || field == F_OIFKIND || known(walker, field, bytes) != YES)
		return MAYBE;
	equal = len > 0 && stmt->name[len - 1] == '*' ? strncmp(name, stmt->name, len - 1) == 0
						      : strncmp(name, stmt->name, IFNAMSIZ) == 0;
	return certain(equal != stmt->negate);
}

static enum maybe compared(const struct walker *walker, const struct stmt *stmt)
{
	const struct sight *sight = walker->sight;
	uint32_t mark = walker->expected->skeleton->params.mark_bystander;
	int family = sight->src.family ?: sight->dst.family;
	enum field field = stmt->fields[0];

	if (field == F_MARK && stmt->kind == STMT_BITS && stmt->mask == mark &&
	    sight->bystander >= 0)
		return certain(((stmt->value == mark) == (sight->bystander > 0)) != stmt->negate);
	if (field == F_FIB_DADDR_TYPE && sight->unicast)
		return certain((stmt->value == RTN_UNICAST_) != stmt->negate);
	if (family == AF_INET6 && (field == F_IP_FRAG_OFF || field == F_ICMP_TYPE))
		return NO;
	if (family == AF_INET &&
	    (field == F_IP6_LENGTH || field == F_IP6_HOPLIMIT || field == F_ICMPV6_TYPE))
		return NO;
	return MAYBE; /* whatever else: it may be so */
}

static enum maybe try_stmt(const struct walker *walker, const struct stmt *stmt)
{
	switch (stmt->kind) {
	case STMT_LOOKUP:
		return look_up(walker, stmt);
	case STMT_CMP_NAME:
		return named(walker, stmt);
	case STMT_CMP:
	case STMT_BITS:
		return compared(walker, stmt);
	case STMT_COPY:
		return MAYBE;
	case STMT_END:
	case STMT_MARK_SET:
	case STMT_CT_MARK_MAP:
	case STMT_MARK_MAP:
	case STMT_MARK_COPY:
	case STMT_COUNTER:
	case STMT_VERDICT:
	case STMT_REJECT:
	case STMT_LIMIT:
	case STMT_LOG:
		return YES;
	}
	return MAYBE;
}

static const char *words_of(const struct walker *walker, enum family family, const char *counter)
{
	const struct skeleton *skeleton = walker->expected->skeleton;

	for (size_t i = 0; i < skeleton->counters_n; i++)
		if (skeleton->counters[i].family == family &&
		    strcmp(skeleton->counters[i].name, counter) == 0)
			return skeleton->counters[i].why;
	return counter;
}

static void note(struct walker *walker, const struct chain *chain, const char *counter)
{
	struct explained_rules *rules = walker->rules;
	enum rule_group group = rule_group_of(counter);

	for (size_t i = 0; i < rules->n; i++)
		if (rules->rule[i].sends == walker->sight->sends &&
		    rules->rule[i].family == chain->family &&
		    strcmp(rules->rule[i].counter, counter) == 0)
			return;
	if (rules->n == rules->cap) {
		size_t cap = rules->cap ? rules->cap * 2 : 16;
		struct explained_rule *more = reallocarray(rules->rule, cap, sizeof(*more));

		if (!more) {
			walker->error = -ENOMEM;
			return;
		}
		rules->rule = more;
		rules->cap = cap;
	}
	rules->rule[rules->n++] = (struct explained_rule){
		.sends = walker->sight->sends,
		.family = chain->family,
		.chain = chain->name,
		.counter = counter,
		.why = words_of(walker, chain->family, counter),
		.audited = group < GROUP_MAX && walker->config->audit & GROUP_BIT(group),
	};
}

/* What is left of a chain's packets behind a rule. */
enum rest {
	REST_ON,    /* some or all go on with the next rule */
	REST_BACK,  /* all that came so far went back to whoever jumped here */
	REST_ENDED, /* the whole walk is over for all of them */
};

static enum rest walk(struct walker *walker, const struct chain *chain);

/* @sure: every packet that came so far matches. */
static enum rest follow(struct walker *walker, const struct chain *chain, const struct stmt *stmt,
			bool sure)
{
	const struct chain *target;
	enum rest rest = REST_BACK;

	if (stmt->kind == STMT_REJECT)
		return sure ? REST_ENDED : REST_ON;
	switch (stmt->verdict) {
	case VERDICT_ACCEPT:
	case VERDICT_DROP:
		return sure ? REST_ENDED : REST_ON;
	case VERDICT_RETURN:
		return sure ? REST_BACK : REST_ON;
	case VERDICT_JUMP:
	case VERDICT_GOTO:
		target = skeleton_find_chain(walker->expected->skeleton, chain->family, stmt->name);
		if (target && walker->depth < DEPTH_MAX) {
			walker->depth++;
			rest = walk(walker, target);
			walker->depth--;
		}
		if (!sure)
			return REST_ON;
		if (rest == REST_ENDED)
			return REST_ENDED;
		return stmt->verdict == VERDICT_JUMP ? REST_ON : REST_BACK;
	}
	return REST_ON;
}

static enum rest walk_rule(struct walker *walker, const struct chain *chain,
			   const struct rule *rule)
{
	enum maybe all = YES;

	for (const struct stmt *stmt = rule->stmts; stmt->kind != STMT_END; stmt++) {
		enum maybe one = try_stmt(walker, stmt);

		all = one < all ? one : all;
	}
	if (all == NO)
		return REST_ON;
	for (const struct stmt *stmt = rule->stmts; stmt->kind != STMT_END; stmt++) {
		if (stmt->kind == STMT_COUNTER)
			note(walker, chain, stmt->name);
		if (stmt->kind == STMT_VERDICT || stmt->kind == STMT_REJECT)
			return follow(walker, chain, stmt, all == YES);
	}
	return REST_ON;
}

static enum rest walk(struct walker *walker, const struct chain *chain)
{
	for (size_t i = 0; i < chain->rules_n; i++) {
		enum rest rest = walk_rule(walker, chain, &chain->rules[i]);

		if (rest != REST_ON)
			return rest;
	}
	return REST_BACK;
}

static int look(struct walker *walker, const struct sight *sight)
{
	const struct skeleton *skeleton = walker->expected->skeleton;

	walker->sight = sight;
	for (size_t i = 0; i < skeleton->chains_n; i++) {
		const struct chain *chain = &skeleton->chains[i];

		if (chain->family == sight->family && chain->base &&
		    sight->hooks & UINT32_C(1) << chain->hook)
			(void)walk(walker, chain);
	}
	/* no base chain of the skeleton: one for each port, which jumps here */
	if (sight->family == FAMILY_NETDEV && skeleton_has_family(skeleton, FAMILY_NETDEV)) {
		const struct chain *chain = skeleton_find_chain(walker->expected->skeleton,
								FAMILY_NETDEV, EGRESS_CHAIN);

		if (chain)
			(void)walk(walker, chain);
	}
	return walker->error;
}

static bool is_in(const struct expected *expected, enum set_id set, const char *name)
{
	struct elem_key key;

	elem_key_init(&key);
	elem_key_ifname(&key, name);
	return ruleset_find(expected->ruleset, set, key.bytes);
}

/* What passes a bridge port, as frames and as packets of one family. */
static int look_at_port(struct walker *walker, const struct endpoint *endpoint, const char *bridge,
			const char *port, const struct ip_addr *addr)
{
	bool bystander = port[0] && is_in(walker->expected, SET_BYSTANDER_PORTS, port);
	struct sight sent = {
		.sends = true,
		.hooks = 1 << NF_INET_PRE_ROUTING | 1 << NF_INET_FORWARD,
		.kind = "bridge",
		.src = *addr,
		.bystander = bystander,
	};
	struct sight got = {
		.hooks = 1 << NF_INET_FORWARD | 1 << NF_INET_LOCAL_OUT | 1 << NF_INET_POST_ROUTING,
		.kind = "bridge",
		.dst = *addr,
		.bystander = -1,
		.unicast = true,
	};
	struct sight frames_sent = {
		.sends = true,
		.family = FAMILY_BRIDGE,
		.hooks = 1 << NF_BR_PRE_ROUTING | 1 << NF_BR_LOCAL_IN | 1 << NF_BR_FORWARD,
		.kind = "veth",
		.mac_src = endpoint->mac,
		.bystander = -1,
	};
	struct sight frames_got = {
		.family = FAMILY_BRIDGE,
		.hooks = 1 << NF_BR_FORWARD | 1 << NF_BR_LOCAL_OUT,
		.kind = "veth",
		.mac_dst = endpoint->mac,
		.bystander = -1,
	};
	struct sight injected = { .family = FAMILY_NETDEV, .kind = "veth", .bystander = -1 };
	int r;

	strcpy(sent.iif, bridge);
	strcpy(got.oif, bridge);
	strcpy(frames_sent.bridge, bridge);
	strcpy(frames_got.bridge, bridge);
	strcpy(frames_sent.iif, port);
	strcpy(frames_got.oif, port);
	strcpy(injected.oif, port);
	r = look(walker, &sent);
	if (r >= 0)
		r = look(walker, &frames_sent);
	if (r >= 0)
		r = look(walker, &got);
	if (r >= 0)
		r = look(walker, &frames_got);
	return r < 0 ? r : look(walker, &injected);
}

void explain_port(const struct expected *expected, const struct endpoint *endpoint,
		  char ret_bridge[static IFNAMSIZ], char ret_port[static IFNAMSIZ])
{
	const struct model *model = &expected->model;
	const struct elems *elems = &expected->ruleset->sets[SET_PORT_MACS];

	ret_bridge[0] = ret_port[0] = '\0';
	for (size_t i = 0; i < model->networks_n; i++)
		if (strcmp(model->networks[i].id, endpoint->network_id) == 0)
			strcpy(ret_bridge, model->networks[i].bridge);
	for (size_t i = 0; i < elems->n && mac_addr_is_set(&endpoint->mac); i++)
		if (memcmp(elems->elem[i].key + IFNAMSIZ, endpoint->mac.bytes, 6) == 0)
			snprintf(ret_port, IFNAMSIZ, "%.*s", IFNAMSIZ - 1,
				 (const char *)elems->elem[i].key);
}

/* A socket on the host's network, as sender and as listener. */
static int look_at_cgroup(struct walker *walker, size_t i)
{
	const struct model *model = &walker->expected->model;
	struct sight sent = {
		.sends = true,
		.hooks = 1 << NF_INET_LOCAL_OUT,
		.bystander = 0,
	};
	struct sight got;
	uint32_t level = model->cgroups.parent_level;
	int r;

	if (model->cgroup_id && model->cgroup_id[i] && level + 1 < LEVELS_MAX) {
		sent.cgroup[level] = model->cgroups.parent_id;
		sent.cgroup[level + 1] = model->cgroup_id[i];
	} else if (model->foreign && model->foreign[i].id && model->foreign[i].level < LEVELS_MAX) {
		sent.cgroup[1] = model->foreign[i].root;
		sent.cgroup[model->foreign[i].level] = model->foreign[i].id;
	}
	got = sent;
	got.sends = false;
	got.hooks = 1 << NF_INET_LOCAL_IN;
	r = look(walker, &sent);
	return r < 0 ? r : look(walker, &got);
}

static int look_at_endpoint(struct walker *walker, const struct endpoint *endpoint)
{
	char bridge[IFNAMSIZ], port[IFNAMSIZ];
	int r = 0;

	explain_port(walker->expected, endpoint, bridge, port);
	if (!bridge[0])
		return 0;
	if (ip_addr_is_set(&endpoint->ip4))
		r = look_at_port(walker, endpoint, bridge, port, &endpoint->ip4);
	if (r >= 0 && ip_addr_is_set(&endpoint->ip6))
		r = look_at_port(walker, endpoint, bridge, port, &endpoint->ip6);
	return r;
}

int explain_rules(const struct config *config, const struct expected *expected, size_t i,
		  struct explained_rules *ret_rules)
{
	const struct model *model = &expected->model;
	const struct container *c = &model->containers[i];
	const struct container *owner =
		classify_owner(c, model->containers, model->containers_n) ?: c;
	struct walker walker = { .config = config, .expected = expected, .rules = ret_rules };
	enum placement placement = expected->verdicts[i].placement;
	int r = 0;

	if (placement == PLACEMENT_HOST || placement == PLACEMENT_UNKNOWN)
		r = look_at_cgroup(&walker, i);
	for (size_t e = 0; r >= 0 && e < owner->endpoints_n; e++)
		r = look_at_endpoint(&walker, &owner->endpoints[e]);
	return r;
}

void explained_rules_done(struct explained_rules *rules)
{
	free(rules->rule);
	*rules = (struct explained_rules){ 0 };
}
