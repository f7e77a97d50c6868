/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints the plain-data ruleset as nft text with its reasons as comments. rulesets/ is this
 * module's output, and the tests load it with nft and compare the kernel's listing with what
 * jobfence installs: a printed rule that is not the sent rule is found there.
 */
#include "jobfence/render.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>
#include <stdarg.h>
#include <string.h>

#include "field-internal.h"
#include "jobfence/text.h"

/* A text under construction in a fixed buffer; overflow is remembered, not written. */
struct text {
	char *buffer;
	size_t size, used;
	bool overflow;
};

static void _printf_(2, 3) text_add(struct text *text, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text->buffer + text->used, text->size - text->used, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= text->size - text->used)
		text->overflow = true;
	else
		text->used += (size_t)n;
}

static void add_field(struct text *text, enum field field, const struct skeleton_params *params)
{
	uint32_t level = field_level(field, params);

	if (level > 0)
		text_add(text, "socket cgroupv2 level %" PRIu32, level);
	else
		text_add(text, "%s", field_spec(field)->text);
}

static const char *value_name(enum field field, uint32_t value)
{
	if (field == F_CT_DIRECTION)
		return value ? "reply" : "original";
	if (field == F_FIB_SADDR_IIF)
		return value ? "exists" : "missing";
	if (field == F_FIB_DADDR_TYPE || field == F_FIB_DADDR_IIF_TYPE || field == F_FIB_SADDR_TYPE)
		return value == 1   ? "unicast"
		       : value == 2 ? "local"
		       : value == 3 ? "broadcast"
				    : "multicast";
	if (field == F_ETHER_TYPE || field == F_PROTOCOL)
		return value == 0x0800 ? "ip" : value == 0x0806 ? "arp" : "ip6";
	if (field == F_ICMPV6_TYPE)
		return value == 133   ? "nd-router-solicit"
		       : value == 134 ? "nd-router-advert"
		       : value == 135 ? "nd-neighbor-solicit"
		       : value == 136 ? "nd-neighbor-advert"
		       : value == 137 ? "nd-redirect"
		       : value == 130 ? "mld-listener-query"
				      : NULL;
	if (field == F_RT_NEXTHOP4)
		return "0.0.0.0";
	if (field == F_RT_NEXTHOP6 || field == F_IP6_SADDR)
		return "::";
	if (field == F_L4PROTO)
		return value == 2    ? "igmp"
		       : value == 1  ? "icmp"
		       : value == 6  ? "tcp"
		       : value == 17 ? "udp"
		       : value == 58 ? "ipv6-icmp"
				     : NULL;
	return NULL;
}

static void add_cmp(struct text *text, const struct stmt *stmt)
{
	enum field field = stmt->fields[0];
	const char *name = value_name(field, stmt->value);

	text_add(text, "%s%s ", field_spec(field)->text, stmt->negate ? " !=" : "");
	if (name)
		text_add(text, "%s", name);
	else if (field_spec(field)->text[0] == '@')
		text_add(text, "0x%0*" PRIx32, (int)field_spec(field)->len * 2, stmt->value);
	else
		text_add(text, "%" PRIu32, stmt->value);
}

static const char *flags_name(uint32_t flags)
{
	return flags == 0x12 ? "(syn | ack)" : flags == 0x02 ? "syn" : flags == 0x04 ? "rst" : "0";
}

static void add_bits(struct text *text, const struct stmt *stmt)
{
	enum field field = stmt->fields[0];
	const char *op = stmt->negate ? "!=" : "==";

	if (field == F_TCP_FLAGS)
		text_add(text, "tcp flags & %s %s %s", flags_name(stmt->mask), op,
			 flags_name(stmt->value));
	else if (field == F_IP_FRAG_OFF)
		text_add(text, "ip frag-off & %" PRIu32 " %s %" PRIu32, stmt->mask, op,
			 stmt->value);
	else if (field == F_CT_STATE)
		text_add(text, "ct state %s",
			 stmt->mask == 0x1   ? "invalid"
			 : stmt->mask == 0x2 ? "established"
			 : stmt->mask == 0x4 ? "related"
					     : "untracked");
	else
		text_add(text, "%s & 0x%08" PRIx32 " %s 0x%08" PRIx32, field_spec(field)->text,
			 stmt->mask, op, stmt->value);
}

static void add_mark_set(struct text *text, const struct stmt *stmt)
{
	const char *mark = field_spec(stmt->fields[0])->text;

	if (stmt->value)
		text_add(text, "%s set %s | 0x%08" PRIx32, mark, mark, stmt->value);
	else
		text_add(text, "%s set %s & 0x%08" PRIx32, mark, mark, stmt->mask);
}

static void add_verdict(struct text *text, const struct stmt *stmt)
{
	switch (stmt->verdict) {
	case VERDICT_ACCEPT:
		text_add(text, "accept");
		break;
	case VERDICT_DROP:
		text_add(text, "drop");
		break;
	case VERDICT_RETURN:
		text_add(text, "return");
		break;
	case VERDICT_JUMP:
		text_add(text, "jump %s", stmt->name);
		break;
	case VERDICT_GOTO:
		text_add(text, "goto %s", stmt->name);
		break;
	}
}

static void add_stmt(struct text *text, const struct stmt *stmt,
		     const struct skeleton_params *params)
{
	switch (stmt->kind) {
	case STMT_END:
		break;
	case STMT_LOOKUP:
		for (uint32_t i = 0; i < stmt->fields_n; i++) {
			text_add(text, "%s", i ? " . " : "");
			add_field(text, stmt->fields[i], params);
		}
		text_add(text, "%s @%s", stmt->negate ? " !=" : "", set_spec(stmt->set)->name);
		break;
	case STMT_CMP:
		add_cmp(text, stmt);
		break;
	case STMT_CMP_NAME:
		text_add(text, "%s%s \"%s\"", field_spec(stmt->fields[0])->text,
			 stmt->negate ? " !=" : "", stmt->name);
		break;
	case STMT_BITS:
		add_bits(text, stmt);
		break;
	case STMT_MARK_SET:
		add_mark_set(text, stmt);
		break;
	case STMT_COPY:
		text_add(text, "%s set %s", field_spec(stmt->fields[0])->text,
			 field_spec(stmt->fields[1])->text);
		break;
	case STMT_CT_MARK_MAP:
		text_add(text, "ct mark set ");
		add_field(text, stmt->fields[0], params);
		text_add(text, " map @%s", set_spec(stmt->set)->name);
		break;
	case STMT_MARK_MAP:
		text_add(text, "%s set ", field_spec(stmt->fields[0])->text);
		add_field(text, stmt->fields[1], params);
		text_add(text, " map @%s", set_spec(stmt->set)->name);
		break;
	case STMT_MARK_COPY:
		text_add(text, "%s set %s", field_spec(stmt->fields[0])->text,
			 field_spec(stmt->fields[1])->text);
		break;
	case STMT_COUNTER:
		text_add(text, "counter name \"%s\"", stmt->name);
		break;
	case STMT_VERDICT:
		add_verdict(text, stmt);
		break;
	case STMT_REJECT:
		text_add(text, stmt->reject == REJECT_TCP_RESET ? "reject with tcp reset"
								: "reject with icmpx type "
								  "admin-prohibited");
		break;
	case STMT_LIMIT:
		text_add(text, "limit rate %" PRIu32 "/second burst %" PRIu32 " packets",
			 stmt->value, stmt->mask);
		break;
	case STMT_LOG:
		text_add(text, "log prefix \"%s\"", stmt->name);
		if (stmt->value)
			text_add(text, " group %" PRIu32 " snaplen %" PRIu32, stmt->value,
				 stmt->mask);
		break;
	}
}

int render_rule(const struct rule *rule, const struct skeleton_params *params, char *buffer,
		size_t size)
{
	struct text text = { .buffer = buffer, .size = size };

	for (const struct stmt *stmt = rule->stmts; stmt->kind != STMT_END; stmt++) {
		if (stmt != rule->stmts)
			text_add(&text, " ");
		add_stmt(&text, stmt, params);
	}
	return text.overflow ? -ENOSPC : 0;
}

static const char *hook_name(const struct chain *chain)
{
	static const char *const names[] = {
		[NF_INET_PRE_ROUTING] = "prerouting",   [NF_INET_LOCAL_IN] = "input",
		[NF_INET_FORWARD] = "forward",          [NF_INET_LOCAL_OUT] = "output",
		[NF_INET_POST_ROUTING] = "postrouting",
	};

	_Static_assert(NF_BR_PRE_ROUTING == NF_INET_PRE_ROUTING &&
			       NF_BR_FORWARD == NF_INET_FORWARD &&
			       NF_BR_LOCAL_OUT == NF_INET_LOCAL_OUT,
		       "bridge hooks have the numbers of the inet hooks");
	return names[chain->hook];
}

static int render_chain(FILE *out, const struct chain *chain, const struct skeleton_params *params)
{
	char text[600];

	fprintf(out, "\n");
	if (chain->why)
		fprintf(out, "\t# %s\n", chain->why);
	fprintf(out, "\tchain %s {\n", chain->name);
	if (chain->base)
		fprintf(out, "\t\ttype filter hook %s priority %" PRId32 "; policy accept;\n",
			hook_name(chain), chain->priority);
	for (size_t i = 0; i < chain->rules_n; i++) {
		if (render_rule(&chain->rules[i], params, text, sizeof(text)) < 0)
			return -EIO;
		fprintf(out, "\t\t%s", text);
		if (chain->rules[i].why)
			fprintf(out, " comment \"%s\"", chain->rules[i].why);
		fprintf(out, "\n");
	}
	fprintf(out, "\t}\n");
	return 0;
}

/*
 * A device can be called anything without blanks, a cgroup anything without a slash: whoever may make
 * one must not write rules with it. Between quotes nft knows no escapes, and in the name of a device it
 * takes a star for any run of characters.
 */
static bool is_plain(const struct set_spec *spec, const char *text)
{
	size_t quotes = 0, names = 0;

	for (size_t i = 0; i < SET_FIELDS_MAX && spec->key[i] != KEY_NONE; i++)
		names += spec->key[i] == KEY_IFNAME || spec->key[i] == KEY_CGROUP;
	for (; *text; text++) {
		if (*text < 0x20 || *text > 0x7e || *text == '*')
			return false;
		quotes += *text == '"';
	}
	return quotes == 2 * names;
}

/* The name of a chain stands in no quotes. */
static bool is_chain_name(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.-";

	return name[strspn(name, allowed)] == '\0';
}

static void render_left_out(FILE *out, const char *why, const char *text)
{
	char safe[400];

	fprintf(out, "\t\t# left out, %s: %s\n", why, text_safe(text, safe, sizeof(safe)));
}

static void render_elements(FILE *out, const struct ruleset *ruleset, enum set_id id,
			    cgroup_path_fn cgroup_path, void *data)
{
	const struct set_spec *spec = set_spec(id);
	const struct elems *elems = &ruleset->sets[id];
	size_t printed = 0;

	for (size_t i = 0; i < elems->n; i++) {
		const struct elem *elem = &elems->elem[i];
		char text[400];

		if (elem_text(id, elem, text, sizeof(text), cgroup_path, data) < 0)
			continue;
		if (elem_extra(elem)->ends) {
			render_left_out(out, "it is for a time only", text);
			continue;
		}
		if (strstr(text, "cgroup ")) {
			render_left_out(out, "its path is not known", text);
			continue;
		}
		if (!is_plain(spec, text)) {
			render_left_out(out, "nft cannot read its name", text);
			continue;
		}
		fprintf(out, "%s%s", printed++ ? ",\n\t\t\t     " : "\t\telements = { ", text);
		if (spec->counter)
			fprintf(out, " counter packets 0 bytes 0");
		if (elem->comment)
			fprintf(out, " comment \"%s\"", elem->comment);
		if (spec->data == KEY_MARK)
			fprintf(out, " : 0x%08" PRIx32, elem_extra(elem)->data);
	}
	if (printed)
		fprintf(out, " }\n");
}

static void render_set(FILE *out, const struct ruleset *ruleset, enum set_id id,
		       cgroup_path_fn cgroup_path, void *data)
{
	const struct set_spec *spec = set_spec(id);

	fprintf(out, "\n\t%s %s {\n\t\ttype ", spec->data == KEY_NONE ? "set" : "map", spec->name);
	for (size_t i = 0; i < SET_FIELDS_MAX && spec->key[i] != KEY_NONE; i++)
		fprintf(out, "%s%s", i ? " . " : "", key_type_name(spec->key[i]));
	if (spec->data != KEY_NONE)
		fprintf(out, " : %s", key_type_name(spec->data));
	fprintf(out, "\n%s\t\tcomment \"%s\"\n",
		spec->interval ? "\t\tflags interval\n"
		: spec->timed  ? "\t\tflags timeout\n"
			       : "",
		spec->why);
	if (spec->counter)
		fprintf(out, "\t\tcounter\n");
	render_elements(out, ruleset, id, cgroup_path, data);
	fprintf(out, "\t}\n");
}

/* Without a port the chain of one as an example. */
static void render_ports(FILE *out, const struct elems *ports)
{
	const char *mark = ports->n ? "" : "# ";

	if (ports->n == 0)
		fprintf(out, "\n\t# for each port of a guarded bridge:\n");
	for (size_t i = 0; i < (ports->n ?: 1); i++) {
		char name[IFNAMSIZ + 1] = "veth0123456";

		if (ports->n)
			snprintf(name, sizeof(name), "%.*s", IFNAMSIZ,
				 (const char *)ports->elem[i].key);
		if (!is_chain_name(name)) {
			render_left_out(out, "nft cannot read its name", name);
			continue;
		}
		fprintf(out,
			"%s\t%schain " EGRESS_PORT_PREFIX "%s {\n"
			"\t%s\ttype filter hook egress device \"%s\" priority 0; policy accept;\n"
			"\t%s\tjump " EGRESS_CHAIN "\n\t%s}\n",
			ports->n ? "\n" : "", mark, name, mark, name, mark, mark);
	}
}

int render_ruleset(FILE *out, const struct skeleton *skeleton, const struct ruleset *ruleset,
		   cgroup_path_fn cgroup_path, void *data)
{
	for (size_t family = 0; family < FAMILY_MAX; family++) {
		if (!skeleton_has_family(skeleton, (enum family)family))
			continue;
		fprintf(out, "%stable %s " TABLE_NAME " {\n", family ? "\n" : "",
			family_name((enum family)family));
		for (size_t i = 0; i < skeleton->counters_n; i++)
			if (skeleton->counters[i].family == family)
				fprintf(out, "%s\t# %s\n\tcounter %s {\n\t}\n", i ? "\n" : "",
					skeleton->counters[i].why, skeleton->counters[i].name);
		for (size_t id = 0; id < SET_MAX; id++)
			if (set_spec(id)->family == family && !set_spec(id)->chains)
				render_set(out, ruleset, id, cgroup_path, data);
		for (size_t i = 0; i < skeleton->chains_n; i++)
			if (skeleton->chains[i].family == family &&
			    render_chain(out, &skeleton->chains[i], &skeleton->params) < 0)
				return -EIO;
		if (family == FAMILY_NETDEV)
			render_ports(out, &ruleset->sets[SET_EGRESS_PORTS]);
		fprintf(out, "}\n");
	}
	return ferror(out) ? -EIO : 0;
}
