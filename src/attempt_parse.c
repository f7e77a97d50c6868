/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A message of nfnetlink_log as an attempt: attributes first, then what the rule kept of the packet.
 * The packet is whatever a job wrote: each length is checked before it is read, and what is not there
 * stays unset. Pure.
 */
#include "jobfence/attempt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h> /* before the kernel's own */

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>

#define ETHERTYPE_IP_ 0x0800
#define ETHERTYPE_ARP_ 0x0806
#define ETHERTYPE_IP6_ 0x86dd
#define ETHER_BYTES 14
#define EGRESS_HOOK 1 /* NF_NETDEV_EGRESS; older headers lack it */
#define EXTENSIONS_MAX 8
#define ND_SOLICIT 135

/* What is left of a packet. */
struct bytes {
	const uint8_t *at;
	size_t n;
};

static bool skip(struct bytes *bytes, size_t n)
{
	if (bytes->n < n)
		return false;
	bytes->at += n;
	bytes->n -= n;
	return true;
}

static uint16_t get_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static struct ip_addr get_ip4(const uint8_t *at)
{
	struct ip_addr addr = { .family = AF_INET };

	memcpy(addr.bytes, at, 4);
	return addr;
}

static struct ip_addr get_ip6(const uint8_t *at)
{
	struct ip_addr addr = { .family = AF_INET6 };

	memcpy(addr.bytes, at, 16);
	return addr;
}

static void parse_transport(struct attempt *a, struct bytes bytes)
{
	switch (a->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		if (bytes.n < 4)
			return;
		a->from_port = get_u16(bytes.at);
		a->to_port = get_u16(bytes.at + 2);
		return;
	case IPPROTO_ICMPV6:
		if (bytes.n < 24 || bytes.at[0] != ND_SOLICIT)
			return;
		a->question = true;
		a->to = get_ip6(bytes.at + 8);
		return;
	}
}

static void parse_ip4(struct attempt *a, struct bytes bytes)
{
	size_t header;

	if (bytes.n < 20 || bytes.at[0] >> 4 != 4)
		return;
	header = (size_t)(bytes.at[0] & 15) * 4;
	a->protocol = bytes.at[9];
	a->from = get_ip4(bytes.at + 12);
	a->to = get_ip4(bytes.at + 16);
	/* only the first fragment has ports */
	if (header >= 20 && !(get_u16(bytes.at + 6) & 0x1fff) && skip(&bytes, header))
		parse_transport(a, bytes);
}

/* The header behind the extension at the start; false: there is none to go on with. */
static bool next_header(struct attempt *a, struct bytes *bytes)
{
	size_t length;

	if (bytes->n < 8)
		return false;
	length = a->protocol == IPPROTO_FRAGMENT ? 8
		 : a->protocol == IPPROTO_AH     ? ((size_t)bytes->at[1] + 2) * 4
						 : ((size_t)bytes->at[1] + 1) * 8;
	if (a->protocol == IPPROTO_FRAGMENT && get_u16(bytes->at + 2) & 0xfff8) {
		a->protocol = bytes->at[0];
		return false;
	}
	a->protocol = bytes->at[0];
	return skip(bytes, length);
}

static bool is_extension(uint8_t protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_AH;
}

static void parse_ip6(struct attempt *a, struct bytes bytes)
{
	if (bytes.n < 40 || bytes.at[0] >> 4 != 6)
		return;
	a->protocol = bytes.at[6];
	a->from = get_ip6(bytes.at + 8);
	a->to = get_ip6(bytes.at + 24);
	(void)skip(&bytes, 40);
	for (int i = 0; is_extension(a->protocol); i++)
		if (i == EXTENSIONS_MAX || !next_header(a, &bytes))
			return;
	parse_transport(a, bytes);
}

static void parse_arp(struct attempt *a, struct bytes bytes)
{
	/* Ethernet and IPv4 only */
	if (bytes.n < 28 || get_u16(bytes.at) != 1 || get_u16(bytes.at + 2) != ETHERTYPE_IP_ ||
	    bytes.at[4] != 6 || bytes.at[5] != 4)
		return;
	a->from = get_ip4(bytes.at + 14);
	a->to = get_ip4(bytes.at + 24);
	a->question = get_u16(bytes.at + 6) == 1;
}

static void parse_packet(struct attempt *a, struct bytes bytes)
{
	/* what leaves by the egress hook begins with its Ethernet header */
	if (a->family == NFPROTO_NETDEV && a->hook == EGRESS_HOOK) {
		if (bytes.n < ETHER_BYTES)
			return;
		memcpy(a->mac.bytes, bytes.at + 6, sizeof(a->mac.bytes));
		a->ethertype = get_u16(bytes.at + 12);
		(void)skip(&bytes, ETHER_BYTES);
	}
	if (a->ethertype == ETHERTYPE_IP_)
		parse_ip4(a, bytes);
	else if (a->ethertype == ETHERTYPE_IP6_)
		parse_ip6(a, bytes);
	else if (a->ethertype == ETHERTYPE_ARP_)
		parse_arp(a, bytes);
}

/* A rule of anybody's may send to our group: its prefix is no counter's name, or it has none. */
static int parse_prefix(struct attempt *a, const struct nlattr *attr)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	const char *text = mnl_attr_get_payload(attr);
	size_t n = strnlen(text, mnl_attr_get_payload_len(attr));

	if (n > strlen(RECORD_AUDIT_PREFIX) &&
	    strncmp(text, RECORD_AUDIT_PREFIX, strlen(RECORD_AUDIT_PREFIX)) == 0) {
		a->audit = true;
		text += strlen(RECORD_AUDIT_PREFIX);
		n -= strlen(RECORD_AUDIT_PREFIX);
	}
	if (n == 0 || n >= sizeof(a->rule))
		return -EINVAL;
	memcpy(a->rule, text, n);
	a->rule[n] = '\0';
	return strspn(a->rule, letters) == n ? 0 : -EINVAL;
}

static int get_index(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == sizeof(uint32_t)
		       ? (int)(ntohl(mnl_attr_get_u32(attr)) & INT32_MAX)
		       : 0;
}

static int parse_attribute(struct attempt *a, struct bytes *packet, const struct nlattr *attr)
{
	const void *payload = mnl_attr_get_payload(attr);
	size_t n = mnl_attr_get_payload_len(attr);

	switch (mnl_attr_get_type(attr)) {
	case NFULA_PACKET_HDR:
		if (n < sizeof(struct nfulnl_msg_packet_hdr))
			return -EINVAL;
		a->ethertype = get_u16(payload);
		a->hook = ((const uint8_t *)payload)[2];
		return 0;
	case NFULA_PREFIX:
		return parse_prefix(a, attr);
	case NFULA_MARK:
		if (n == sizeof(uint32_t))
			a->mark = ntohl(mnl_attr_get_u32(attr));
		return 0;
	case NFULA_IFINDEX_INDEV:
		a->in = get_index(attr);
		return 0;
	case NFULA_IFINDEX_OUTDEV:
		a->out = get_index(attr);
		return 0;
	case NFULA_IFINDEX_PHYSINDEV:
		a->in_port = get_index(attr);
		return 0;
	case NFULA_IFINDEX_PHYSOUTDEV:
		a->out_port = get_index(attr);
		return 0;
	case NFULA_HWADDR:
		/* length, padding, address */
		if (n >= 10 && get_u16(payload) == 6)
			memcpy(a->mac.bytes, (const uint8_t *)payload + 4, 6);
		return 0;
	case NFULA_PAYLOAD:
		*packet = (struct bytes){ payload, n };
		return 0;
	}
	return 0;
}

int attempt_parse(const struct nlmsghdr *nlh, struct attempt *ret_attempt)
{
	struct attempt a = { 0 };
	struct bytes packet = { 0 };
	const struct nlattr *attr;

	if (nlh->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) ||
	    nlh->nlmsg_len < mnl_nlmsg_size(sizeof(struct nfgenmsg)) ||
	    nlh->nlmsg_len != NLMSG_ALIGN(nlh->nlmsg_len)) /* the loop rounds it up */
		return -EINVAL;
	a.family = ((const struct nfgenmsg *)mnl_nlmsg_get_payload(nlh))->nfgen_family;
	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg))
	{
		if (parse_attribute(&a, &packet, attr) < 0)
			return -EINVAL;
	}
	if (!a.rule[0])
		return -EINVAL;
	if (packet.n > 0)
		parse_packet(&a, packet);
	*ret_attempt = a;
	return 0;
}
