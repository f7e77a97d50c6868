/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of rtnetlink about addresses and routes, as networks that the host is attached to. Pure.
 *
 * An address tells its network by its prefix; that of a point-to-point link is its peer's. A route
 * without a gateway is a network on the link as well: with IPv6 it is often the only word of it (an
 * address of DHCPv6 has 128 bits, its network comes from the router). A route by way of a gateway is
 * not attached: what lies behind it is private, which is internal anyway, or public.
 *
 * Left out: loopback (ifindex 1 in every namespace), which is no network; link-local and multicast,
 * which are internal anyway and come and go with every container; and networks so large (/0 to /7,
 * IPv6 /0 to /15) that they are a tunnel's way to the internet rather than a neighbourhood.
 */
#include "attached-internal.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include <netlink/attr.h>
#include <netlink/msg.h>

#define LOOPBACK 1 /* ifindex */
#define PREFIX_MIN_4 8
#define PREFIX_MIN_6 16

/* Attributes of interest; the kernel checks none of them for us. */
static const struct nla_policy address_policy[IFA_MAX + 1] = {
	[IFA_ADDRESS] = { .minlen = 4, .maxlen = 16 },
	[IFA_LOCAL] = { .minlen = 4, .maxlen = 16 },
};

static const struct nla_policy route_policy[RTA_MAX + 1] = {
	[RTA_DST] = { .minlen = 4, .maxlen = 16 },
	[RTA_OIF] = { .type = NLA_U32 },
	[RTA_TABLE] = { .type = NLA_U32 },
};

static bool is_link_local(const struct ip_addr *addr)
{
	if (addr->family == AF_INET)
		return addr->bytes[0] == 169 && addr->bytes[1] == 254;
	return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

/* Unset where @attribute has another length than the family's addresses. */
static struct ip_addr read_addr(uint16_t family, const struct nlattr *attribute)
{
	struct ip_addr addr = { .family = family };
	int length = family == AF_INET ? 4 : 16;

	if (!attribute || nla_len(attribute) != length)
		return (struct ip_addr){ 0 };
	memcpy(addr.bytes, nla_data(attribute), (size_t)length);
	return addr;
}

static bool is_neighbourhood(const struct ip_addr *addr, unsigned int prefix)
{
	return prefix >= (addr->family == AF_INET ? PREFIX_MIN_4 : PREFIX_MIN_6) &&
	       !is_link_local(addr) && !ip_addr_is_multicast(addr) && !ip_addr_is_loopback(addr);
}

static int parse_address(const struct nlmsghdr *header, struct attached *ret_entry)
{
	const struct ifaddrmsg *message = nlmsg_data(header);
	struct nlattr *attributes[IFA_MAX + 1];
	struct ip_addr local, remote;
	struct attached entry;

	if (nlmsg_parse((struct nlmsghdr *)header, sizeof(*message), attributes, IFA_MAX,
			address_policy) < 0)
		return -EINVAL;
	if (message->ifa_family != AF_INET && message->ifa_family != AF_INET6)
		return 0;
	remote = read_addr(message->ifa_family, attributes[IFA_ADDRESS]);
	local = read_addr(message->ifa_family, attributes[IFA_LOCAL]);
	local = ip_addr_is_set(&local) ? local : remote; /* IPv6 without a peer has no IFA_LOCAL */
	remote = ip_addr_is_set(&remote) ? remote : local;
	if (!ip_addr_is_set(&local))
		return -EINVAL;
	if (is_link_local(&local) || ip_addr_is_loopback(&local))
		return 0;
	entry = (struct attached){ .ifindex = (int)message->ifa_index, .local = local };
	if (entry.ifindex != LOOPBACK && is_neighbourhood(&remote, message->ifa_prefixlen))
		entry.network = ip_addr_network(&remote, message->ifa_prefixlen);
	*ret_entry = entry;
	return 1;
}

static int parse_route(const struct nlmsghdr *header, struct attached *ret_entry)
{
	const struct rtmsg *message = nlmsg_data(header);
	struct nlattr *attributes[RTA_MAX + 1];
	uint32_t table, ifindex;
	struct ip_addr addr;

	if (nlmsg_parse((struct nlmsghdr *)header, sizeof(*message), attributes, RTA_MAX,
			route_policy) < 0)
		return -EINVAL;
	if ((message->rtm_family != AF_INET && message->rtm_family != AF_INET6) ||
	    message->rtm_type != RTN_UNICAST || message->rtm_flags & RTM_F_CLONED)
		return 0;
	table = attributes[RTA_TABLE] ? nla_get_u32(attributes[RTA_TABLE]) : message->rtm_table;
	ifindex = attributes[RTA_OIF] ? nla_get_u32(attributes[RTA_OIF]) : 0;
	if (table != RT_TABLE_MAIN || ifindex == 0 || ifindex == LOOPBACK ||
	    attributes[RTA_GATEWAY] || attributes[RTA_VIA] || attributes[RTA_MULTIPATH])
		return 0;
	addr = read_addr(message->rtm_family, attributes[RTA_DST]);
	if (!ip_addr_is_set(&addr) || !is_neighbourhood(&addr, message->rtm_dst_len))
		return 0;
	*ret_entry = (struct attached){
		.ifindex = (int)ifindex,
		.network = ip_addr_network(&addr, message->rtm_dst_len),
	};
	return 1;
}

int attached_parse(const struct nlmsghdr *header, struct attached *ret_entry)
{
	switch (header->nlmsg_type) {
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return parse_address(header, ret_entry);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return parse_route(header, ret_entry);
	default:
		return 0;
	}
}

int attached_table_add(struct attached_table *table, const struct attached *entry)
{
	struct attached *grown;

	if (table->n == table->size) {
		size_t size = table->size ? table->size * 2 : 32;

		grown = reallocarray(table->entries, size, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		table->entries = grown;
		table->size = size;
	}
	table->entries[table->n++] = *entry;
	return 0;
}

static int compare(const struct attached *a, const struct attached *b)
{
	int cmp = a->ifindex < b->ifindex ? -1 : a->ifindex > b->ifindex;

	cmp = cmp ?: net_range_cmp(&a->network, &b->network);
	return cmp ?: ip_addr_cmp(&a->local, &b->local);
}

static int compare_entries(const void *a, const void *b)
{
	return compare(a, b);
}

void attached_table_seal(struct attached_table *table)
{
	size_t kept = 0;

	if (table->n > 1)
		qsort(table->entries, table->n, sizeof(*table->entries), compare_entries);
	for (size_t i = 0; i < table->n; i++)
		if (kept == 0 || compare(&table->entries[kept - 1], &table->entries[i]) != 0)
			table->entries[kept++] = table->entries[i];
	table->n = kept;
}

bool attached_table_equal(const struct attached_table *a, const struct attached_table *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (compare(&a->entries[i], &b->entries[i]) != 0)
			return false;
	return true;
}

void attached_table_done(struct attached_table *table)
{
	free(table->entries);
	*table = (struct attached_table){ 0 };
}
