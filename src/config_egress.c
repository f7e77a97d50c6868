/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The values of [egress] and [metadata]: networks, ports, resolvers, proxies.
 *
 * A network that could be read in two ways is never guessed: host bits that are set, IPv4 addresses
 * in IPv6 clothes, a port without its protocol are refused, with what would be right. Everything is
 * bounded, and an entry is stored only when all of it is good. Pure: text in, plain data out.
 */
#include "config-internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "jobfence/text.h"

#define WORDS_MAX 3

int config_set_egress(void *field, const char *value, const char **ret_why)
{
	enum egress *egress = field;

	if (strcmp(value, "internet") == 0)
		*egress = EGRESS_INTERNET;
	else if (strcmp(value, "any") == 0)
		*egress = EGRESS_ANY;
	else if (strcmp(value, "none") == 0)
		*egress = EGRESS_NONE;
	else
		return -EINVAL;
	return 0;
}

/* A distributed job whose nodes may not speak to each other is none, so there is no "none". */
int config_set_egress_host(void *field, const char *value, const char **ret_why)
{
	return strcmp(value, "none") == 0 ? -EINVAL : config_set_egress(field, value, ret_why);
}

int config_set_metadata(void *field, const char *value, const char **ret_why)
{
	bool *allowed = field;

	if (strcmp(value, "allow") != 0 && strcmp(value, "deny") != 0)
		return -EINVAL;
	*allowed = strcmp(value, "allow") == 0;
	return 0;
}

/* ---- networks ---- */

/* "10.0.0.0/8", "fd00::/8", "10.0.0.1" */
static int parse_network(struct config_draft *draft, char *text, struct net_range *ret_range,
			 const char **ret_why)
{
	char *slash = strchr(text, '/'), safe[64], right[NET_RANGE_TEXT_MAX];
	uint32_t bits, prefix;
	struct net_range range;
	struct ip_addr addr;

	text_safe(text, safe, sizeof(safe));
	if (slash)
		*slash = '\0';
	if (ip_addr_parse(text, &addr) < 0)
		return config_refuse(draft, ret_why,
				     "\"%s\" is no network; write an IPv4 or IPv6 address, or one "
				     "with a prefix, such as 10.0.0.0/8",
				     safe);
	bits = addr.family == AF_INET ? 32 : 128;
	prefix = bits;
	if (slash && ((slash[1] == '0' && slash[2]) ||
		      config_parse_number(slash + 1, 10, bits, &prefix) < 0))
		return config_refuse(draft, ret_why, "\"%s\": the prefix must be 0 to %u", safe,
				     bits);
	if (ip_addr_is_mapped(&addr))
		return config_refuse(draft, ret_why,
				     "\"%s\" is IPv4 written as IPv6, which is never on the wire; "
				     "write it as IPv4",
				     safe);
	range = ip_addr_network(&addr, prefix);
	if (ip_addr_cmp(&range.first, &addr) != 0)
		return config_refuse(draft, ret_why,
				     "\"%s\" has bits behind its prefix; that network is %s", safe,
				     net_range_text(&range, right));
	*ret_range = range;
	return 0;
}

static int parse_protocol(const char *text, uint8_t *ret_protocol)
{
	if (strcmp(text, "any") != 0)
		return config_parse_l4proto(text, ret_protocol);
	*ret_protocol = 0;
	return 0;
}

/* Returns how many words there are, also beyond WORDS_MAX. */
static size_t split(char *text, char *words[static WORDS_MAX])
{
	size_t n = 0;
	char *rest, *word = strtok_r(text, " \t\r", &rest);

	for (; word; word = strtok_r(NULL, " \t\r", &rest), n++)
		if (n < WORDS_MAX)
			words[n] = word;
	return n;
}

/* NETWORK [tcp|udp|sctp|any [PORT|PORT-PORT]] */
static int parse_entry(struct config_draft *draft, char *item, struct net_entry *ret_entry,
		       const char **ret_why)
{
	struct net_entry entry = { .port_last = UINT16_MAX };
	char *words[WORDS_MAX] = { 0 }, safe[64];
	struct net_range range;
	size_t n;
	int r;

	text_safe(item, safe, sizeof(safe));
	n = split(item, words);
	if (n > WORDS_MAX)
		return config_refuse(draft, ret_why,
				     "\"%s\" has too many words; separate entries by commas", safe);
	r = parse_network(draft, words[0], &range, ret_why);
	if (r < 0)
		return r;
	if (n > 1 && parse_protocol(words[1], &entry.l4proto) < 0)
		return config_refuse(draft, ret_why,
				     "\"%s\": behind the network stands tcp, udp, sctp or any",
				     safe);
	/* Only these three have ports; "any 53" would say something about the bytes of an ICMP. */
	if (n > 2 && entry.l4proto == 0)
		return config_refuse(draft, ret_why,
				     "\"%s\": ports belong to tcp, udp or sctp, not to any", safe);
	if (n > 2 && config_parse_ports(words[2], &entry.port_first, &entry.port_last) < 0)
		return config_refuse(draft, ret_why,
				     "\"%s\": ports are 1 to 65535, one or a range such as "
				     "8000-8010",
				     safe);
	entry.first = range.first;
	entry.last = range.last;
	*ret_entry = entry;
	return 0;
}

static int add_entry(struct config_draft *draft, char *item, void *list, const char **ret_why)
{
	struct net_entries *entries = list;
	struct net_entry entry;
	int r = parse_entry(draft, item, &entry, ret_why);

	if (r < 0)
		return r;
	if (entries->n == CONFIG_ENTRIES_MAX)
		return config_refuse(draft, ret_why,
				     "at most %d entries can be named, on all lines together; join "
				     "networks",
				     CONFIG_ENTRIES_MAX);
	entries->entry[entries->n++] = entry;
	return 0;
}

/* A peer is a host: with it everything may be spoken. */
static int add_peer(struct config_draft *draft, char *item, void *list, const char **ret_why)
{
	if (strpbrk(item, " \t\r"))
		return config_refuse(draft, ret_why,
				     "peers are networks without protocol and port, separated by "
				     "commas");
	return add_entry(draft, item, list, ret_why);
}

int config_set_allow(void *field, const char *value, const char **ret_why)
{
	struct config_draft *draft = field;

	return config_each_item(draft, value, add_entry, &draft->config.allow, ret_why);
}

int config_set_deny(void *field, const char *value, const char **ret_why)
{
	struct config_draft *draft = field;

	return config_each_item(draft, value, add_entry, &draft->config.deny, ret_why);
}

int config_set_peers(void *field, const char *value, const char **ret_why)
{
	struct config_draft *draft = field;

	return config_each_item(draft, value, add_peer, &draft->config.peers, ret_why);
}

/* ---- resolvers and proxies ---- */

/*
 * "auto" and "none" stand alone: beside addresses, or on a second line, one of the two would be
 * ignored. Returns 1 when @value is one of them.
 */
static int parse_source(struct config_draft *draft, const char *value, enum config_source *source,
			bool *named, const char **ret_why)
{
	bool is_auto = strcmp(value, "auto") == 0, is_none = strcmp(value, "none") == 0;

	if (!*value)
		return config_refuse(draft, ret_why, "must be auto, none or addresses");
	if (*named && (is_auto || is_none || *source != CONFIG_SOURCE_LIST))
		return config_refuse(draft, ret_why,
				     "auto and none stand alone, on the only line of the key");
	*source = is_auto ? CONFIG_SOURCE_AUTO : is_none ? CONFIG_SOURCE_NONE : CONFIG_SOURCE_LIST;
	*named = true;
	return is_auto || is_none;
}

static int add_resolver(struct config_draft *draft, char *item, void *list, const char **ret_why)
{
	struct config_resolvers *resolvers = list;
	struct ip_addr addr;
	const char *trouble;
	char safe[64];

	text_safe(item, safe, sizeof(safe));
	if (ip_addr_parse(item, &addr) < 0)
		return config_refuse(draft, ret_why,
				     "\"%s\" is no address; name IPv4 or IPv6 addresses, separated "
				     "by commas (the port is always 53)",
				     safe);
	trouble = config_unreachable(&addr);
	if (trouble)
		return config_refuse(draft, ret_why, "%s %s", safe, trouble);
	if (resolvers->n == CONFIG_ADDRESSES_MAX)
		return config_refuse(draft, ret_why, "at most %d resolvers can be named",
				     CONFIG_ADDRESSES_MAX);
	resolvers->addr[resolvers->n++] = addr;
	return 0;
}

/* "10.0.0.1:3128", "[fd00::1]:3128"; ends the address inside @text. */
static int parse_sock_addr(char *text, struct sock_addr *ret_addr)
{
	bool brackets = *text == '[';
	char *end = strchr(text, brackets ? ']' : ':'), *colon = brackets && end ? end + 1 : end;
	struct sock_addr addr;

	if (!end || *colon != ':' || config_parse_port(colon + 1, &addr.port) < 0)
		return -EINVAL;
	*end = '\0';
	if (ip_addr_parse(text + brackets, &addr.ip) < 0)
		return -EINVAL;
	/* "fd00::1:3128" is an address as well. */
	if ((addr.ip.family == AF_INET6) != brackets)
		return -EINVAL;
	*ret_addr = addr;
	return 0;
}

static int add_proxy(struct config_draft *draft, char *item, void *list, const char **ret_why)
{
	struct config_proxies *proxies = list;
	struct sock_addr addr;
	const char *trouble;
	char safe[64];

	text_safe(item, safe, sizeof(safe));
	/* A user and a password stand before an @: not for the log. */
	if (strchr(item, '@') || strchr(item, '/'))
		return config_refuse(draft, ret_why,
				     "a proxy is an address and a port, such as 10.0.0.1:3128, "
				     "without scheme, user and password");
	if (parse_sock_addr(item, &addr) < 0)
		return config_refuse(draft, ret_why,
				     "\"%s\" is no proxy; write ADDRESS:PORT or "
				     "[IPV6-ADDRESS]:PORT "
				     "(names are not looked up)",
				     safe);
	trouble = config_unreachable(&addr.ip);
	if (trouble)
		return config_refuse(draft, ret_why, "%s %s", safe, trouble);
	if (proxies->n == CONFIG_ADDRESSES_MAX)
		return config_refuse(draft, ret_why, "at most %d proxies can be named",
				     CONFIG_ADDRESSES_MAX);
	proxies->addr[proxies->n++] = addr;
	return 0;
}

int config_set_resolvers(void *field, const char *value, const char **ret_why)
{
	struct config_draft *draft = field;
	struct config_resolvers *resolvers = &draft->config.resolvers;
	int r = parse_source(draft, value, &resolvers->source, &draft->resolvers_named, ret_why);

	return r ? (r < 0 ? r : 0)
		 : config_each_item(draft, value, add_resolver, resolvers, ret_why);
}

int config_set_proxies(void *field, const char *value, const char **ret_why)
{
	struct config_draft *draft = field;
	struct config_proxies *proxies = &draft->config.proxies;
	int r = parse_source(draft, value, &proxies->source, &draft->proxies_named, ret_why);

	return r ? (r < 0 ? r : 0) : config_each_item(draft, value, add_proxy, proxies, ret_why);
}
