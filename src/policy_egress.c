/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What jobs may reach beyond the host: the sets that the rules of skeleton_egress.c look up. All of
 * it comes from the configuration and from the host itself, nothing from a container. Pure.
 */
#include "policy-internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "jobfence/interval.h"

#define DNS_PORT 53

/*
 * What is not the internet, although a route may lead there. Networks that only the host itself
 * answers for (127.0.0.0/8, ::1) are never forwarded and need no element.
 */
static const struct {
	const char *first, *last;
} internal[] = {
	{ "0.0.0.0", "0.255.255.255" },      /* "this network"; Linux routes it since 5.3 */
	{ "10.0.0.0", "10.255.255.255" },    /* private, RFC 1918 */
	{ "100.64.0.0", "100.127.255.255" }, /* shared: carriers, Tailscale, VPCs; RFC 6598 */
	{ "169.254.0.0", "169.254.255.255" },
	{ "172.16.0.0", "172.31.255.255" },
	{ "192.0.0.0", "192.0.0.255" }, /* protocol assignments, RFC 6890 */
	{ "192.168.0.0", "192.168.255.255" },
	{ "198.18.0.0", "198.19.255.255" }, /* benchmarks, RFC 2544; used as private */
	{ "224.0.0.0", "255.255.255.255" }, /* multicast and class E, which Linux routes */
	{ "::", "::ffff:ffff:ffff" },       /* unspecified, compatible and mapped IPv4 */
	{ "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff" }, /* NAT64 of one's own, RFC 8215 */
	/* Teredo and 6to4 carry an IPv4 address, possibly a private one, to a relay that sends there.
	 * Both are given up (RFC 7526; Teredo's servers are gone); a host that still has such a
	 * tunnel has one of its own into IPv4. Nothing on the internet is lost. */
	{ "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" }, /* unique local, RFC 4193 */
	/* link-local, site-local, multicast */
	{ "fe80::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
};

/*
 * Where a cloud tells an instance about itself. Most use the first address: AWS, Azure, Google,
 * Oracle, Vultr, DigitalOcean, and whoever runs OpenStack. Of clouds that are not named here no other
 * is known to us, which is not to say that there is none: whatever is link-local, private or attached
 * is internal anyway, and [egress] deny closes the rest. 169.254.169.253 (AWS) answers DNS only:
 * internal, and a resolver where it is one.
 */
static const char *const metadata[] = {
	"169.254.169.254",    "fe80::a9fe:a9fe", /* OpenStack: Nova admin guide, metadata service */
	"fd00:ec2::254",                         /* AWS: EC2 user guide, instance metadata */
	"169.254.170.2",                         /* AWS: ECS task credentials */
	"169.254.170.23",                        /* AWS: EKS Pod Identity agent */
	"fd00:ec2::23",                          /* … IPv6 */
	"fd20:ce::254",                          /* Google: metadata server, IPv6 */
	"169.254.169.252",                       /* Google: GKE's metadata daemon on the node */
	"168.63.129.16",      /* Azure: WireServer, certificates and extensions */
	"192.0.0.192",        /* Oracle: Cloud at Customer, instance metadata */
	"fd00:c1::a9fe:a9fe", /* Oracle: instance metadata, IPv6 */
	"100.100.100.200",    /* Alibaba: instance metadata */
	"fd00:100::100:200",  /* … IPv6 */
	"169.254.42.42",      /* Scaleway */
	"fd00:42::42",        /* … IPv6 */
	"fd00:a9fe:a9fe::1",  /* Akamai (Linode), IPv6 */
	"169.254.0.23",       /* Tencent */
	"169.254.10.10",      /* … */
};

static struct ip_addr known_addr(const char *text)
{
	struct ip_addr addr = { 0 };

	(void)ip_addr_parse(text, &addr); /* of the tables above: a unit test parses them all */
	return addr;
}

/* The address by which a translator with the well-known prefix reaches an IPv4 address
 * (RFC 6052). */
static struct ip_addr nat64(const struct ip_addr *addr)
{
	struct ip_addr six = { .family = AF_INET6, .bytes = { 0x00, 0x64, 0xff, 0x9b } };

	memcpy(six.bytes + 12, addr->bytes, 4);
	return six;
}

/* What is closed stays closed by way of NAT64, which many IPv6-only networks have. */
static int add_with_nat64(struct intervals *entries, const struct net_entry *entry)
{
	struct net_entry six = *entry;
	int r = intervals_add(entries, entry);

	if (r < 0 || entry->first.family != AF_INET)
		return r;
	six.first = nat64(&entry->first);
	six.last = nat64(&entry->last);
	return intervals_add(entries, &six);
}

static int add_range(struct intervals *entries, const struct ip_addr *first,
		     const struct ip_addr *last)
{
	return add_with_nat64(entries, &(struct net_entry){ .first = *first,
							    .last = *last,
							    .port_last = UINT16_MAX });
}

static void box_keys(const struct net_entry *entry, bool ports, struct elem_key *ret_first,
		     struct elem_key *ret_last)
{
	uint32_t len = entry->first.family == AF_INET ? 4 : 16;

	elem_key_init(ret_first);
	elem_key_init(ret_last);
	elem_key_add(ret_first, entry->first.bytes, len);
	elem_key_add(ret_last, entry->last.bytes, len);
	if (!ports)
		return;
	elem_key_u8(ret_first, entry->l4proto);
	elem_key_u8(ret_last, entry->l4proto);
	elem_key_u16(ret_first, entry->port_first);
	elem_key_u16(ret_last, entry->port_last);
}

static int add_intervals(struct ruleset *ruleset, enum set_id set, bool ports,
			 const struct intervals *intervals)
{
	struct elem_key first, last;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < intervals->n; i++) {
		box_keys(&intervals->entry[i], ports, &first, &last);
		r = ruleset_add_range(ruleset, set, &first, &last);
	}
	return r;
}

/* @ports: what has a protocol or ports, into sets that have them in their key; else the rest. */
static int add_entries(struct ruleset *ruleset, enum set_id set4, enum set_id set6, bool ports,
		       const struct net_entry *entries, size_t n)
{
	_cleanup_(intervals_done) struct intervals four = { 0 }, six = { 0 };
	int (*cut)(const struct net_entry *entries, size_t n, uint16_t family,
		   struct intervals *ret_intervals) = ports ? intervals_ports : intervals_networks;
	int r = cut(entries, n, AF_INET, &four);

	if (r >= 0)
		r = cut(entries, n, AF_INET6, &six);
	if (r >= 0)
		r = add_intervals(ruleset, set4, ports, &four);
	return r < 0 ? r : add_intervals(ruleset, set6, ports, &six);
}

static int add_networks(struct ruleset *ruleset, enum set_id set4, enum set_id set6,
			const struct net_entry *entries, size_t n)
{
	return add_entries(ruleset, set4, set6, false, entries, n);
}

static int add_ports(struct ruleset *ruleset, enum set_id set4, enum set_id set6,
		     const struct net_entry *entries, size_t n)
{
	return add_entries(ruleset, set4, set6, true, entries, n);
}

static int add_configured(struct policy *policy)
{
	_cleanup_(intervals_done) struct intervals deny = { 0 };
	const struct config *config = policy->config;
	struct ruleset *ruleset = policy->ruleset;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < config->deny.n; i++)
		r = add_with_nat64(&deny, &config->deny.entry[i]);
	if (r >= 0)
		r = add_networks(ruleset, SET_DENY4, SET_DENY6, deny.entry, deny.n);
	if (r >= 0)
		r = add_ports(ruleset, SET_DENY_PORTS4, SET_DENY_PORTS6, deny.entry, deny.n);
	if (r >= 0)
		r = add_networks(ruleset, SET_ALLOW4, SET_ALLOW6, config->allow.entry,
				 config->allow.n);
	if (r >= 0)
		r = add_ports(ruleset, SET_ALLOW_PORTS4, SET_ALLOW_PORTS6, config->allow.entry,
			      config->allow.n);
	if (r >= 0)
		r = add_networks(ruleset, SET_PEERS4, SET_PEERS6, config->peers.entry,
				 config->peers.n);
	return r;
}

/* Metadata is in it too: some of it has public addresses. */
static int add_internal(struct policy *policy)
{
	_cleanup_(intervals_done) struct intervals entries = { 0 };
	const struct model *model = policy->model;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(internal); i++) {
		struct ip_addr first = known_addr(internal[i].first);
		struct ip_addr last = known_addr(internal[i].last);

		r = add_range(&entries, &first, &last);
	}
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(metadata); i++) {
		struct ip_addr addr = known_addr(metadata[i]);

		r = add_range(&entries, &addr, &addr);
	}
	for (size_t i = 0; r >= 0 && i < model->attached_n; i++)
		r = add_range(&entries, &model->attached[i].first, &model->attached[i].last);
	return r < 0 ? r
		     : add_networks(policy->ruleset, SET_INTERNAL4, SET_INTERNAL6, entries.entry,
				    entries.n);
}

static int add_addr(struct ruleset *ruleset, enum set_id set4, enum set_id set6,
		    const struct ip_addr *addr)
{
	struct elem_key key;

	elem_key_init(&key);
	elem_key_add(&key, addr->bytes, addr->family == AF_INET ? 4 : 16);
	return ruleset_add(ruleset, addr->family == AF_INET ? set4 : set6, &key, 0, NULL);
}

static int add_metadata(struct policy *policy)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(metadata); i++) {
		struct ip_addr addr = known_addr(metadata[i]);

		r = add_addr(policy->ruleset, SET_METADATA4, SET_METADATA6, &addr);
		if (r < 0 || addr.family != AF_INET)
			continue;
		addr = nat64(&addr);
		r = add_addr(policy->ruleset, SET_METADATA4, SET_METADATA6, &addr);
	}
	return r;
}

/* Neither the host's loopback nor what is no address of one machine is a service for jobs. */
static bool is_reachable(const struct ip_addr *addr)
{
	uint8_t first = addr->bytes[0];

	if (!ip_addr_is_set(addr) || ip_addr_is_any(addr) || ip_addr_is_loopback(addr))
		return false;
	return addr->family == AF_INET ? first < 224 || first >= 240 : first != 0xff;
}

/* The shim's port would be no proxy of a job's, wherever it is. */
static bool is_reserved(const struct reserved_ports *ports, uint16_t port)
{
	return port == ports->shim || port == ports->dcgm || port == ports->runner ||
	       port == ports->runner_ssh;
}

static int add_service(struct policy *policy, const struct ip_addr *addr, uint8_t l4proto,
		       uint16_t port, const char *comment)
{
	struct elem_key key;

	elem_key_init(&key);
	elem_key_add(&key, addr->bytes, addr->family == AF_INET ? 4 : 16);
	elem_key_u8(&key, l4proto);
	elem_key_u16(&key, port);
	return ruleset_add(policy->ruleset, addr->family == AF_INET ? SET_SERVICES4 : SET_SERVICES6,
			   &key, 0, comment);
}

static int add_services(struct policy *policy)
{
	const struct model *model = policy->model;
	const char *resolver, *proxy;
	int r = ruleset_comment(policy->ruleset, "resolver", &resolver);

	if (r >= 0)
		r = ruleset_comment(policy->ruleset, "proxy", &proxy);
	for (size_t i = 0; r >= 0 && i < model->resolvers_n; i++) {
		if (!is_reachable(&model->resolvers[i]))
			continue;
		r = add_service(policy, &model->resolvers[i], IPPROTO_TCP, DNS_PORT, resolver);
		if (r >= 0)
			r = add_service(policy, &model->resolvers[i], IPPROTO_UDP, DNS_PORT,
					resolver);
	}
	for (size_t i = 0; r >= 0 && i < model->proxies_n; i++)
		if (is_reachable(&model->proxies[i].ip) &&
		    !is_reserved(&policy->config->ports, model->proxies[i].port))
			r = add_service(policy, &model->proxies[i].ip, IPPROTO_TCP,
					model->proxies[i].port, proxy);
	return r;
}

/* A route names its device by number, and nft's text knows no other way to look it up. */
static int add_guarded_links(struct policy *policy)
{
	const struct model *model = policy->model;
	struct elem_key key;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < model->links_n; i++) {
		if (!policy_is_guarded(policy->config, model, model->links[i].name))
			continue;
		elem_key_init(&key);
		elem_key_u32(&key, (uint32_t)model->links[i].ifindex);
		r = ruleset_add(policy->ruleset, SET_GUARDED_LINKS, &key, 0, NULL);
	}
	return r;
}

int policy_add_egress(struct policy *policy)
{
	int r = add_configured(policy);

	if (r >= 0)
		r = add_internal(policy);
	if (r >= 0)
		r = add_metadata(policy);
	if (r >= 0)
		r = add_services(policy);
	return r < 0 ? r : add_guarded_links(policy);
}
