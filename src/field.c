/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of fields: nft's name of each, and where the kernel finds it. Offsets are those of the
 * protocol headers; the lengths decide how many bytes a comparison sees.
 */
#include "field-internal.h"

#include <linux/netfilter/nf_tables.h>

static const struct field_spec fields[F_MAX] = {
	[F_IIFNAME] = { "iifname", FROM_META, NFT_META_IIFNAME, 0, IFNAMSIZ, 0, false },
	[F_OIFNAME] = { "oifname", FROM_META, NFT_META_OIFNAME, 0, IFNAMSIZ, 0, false },
	[F_IIFKIND] = { "meta iifkind", FROM_META, NFT_META_IIFKIND, 0, IFNAMSIZ, 0, false },
	[F_OIFKIND] = { "meta oifkind", FROM_META, NFT_META_OIFKIND, 0, IFNAMSIZ, 0, false },
	[F_IBRNAME] = { "meta ibrname", FROM_META, NFT_META_BRI_IIFNAME, 0, IFNAMSIZ, 0, false },
	[F_RTCLASSID] = { "meta rtclassid", FROM_META, NFT_META_RTCLASSID, 0, 4, 0, false },
	[F_PROTOCOL] = { "meta protocol", FROM_META, NFT_META_PROTOCOL, 0, 2, 0, true },
	[F_MARK] = { "meta mark", FROM_META, NFT_META_MARK, 0, 4, 0, false },
	[F_L4PROTO] = { "meta l4proto", FROM_META, NFT_META_L4PROTO, 0, 1, 0, false },
	[F_CT_DIRECTION] = { "ct direction", FROM_CT, NFT_CT_DIRECTION, 0, 1, 0, false },
	[F_CT_STATE] = { "ct state", FROM_CT, NFT_CT_STATE, 0, 4, 0, false },
	[F_CT_STATUS] = { "ct status", FROM_CT, NFT_CT_STATUS, 0, 4, 0, false },
	[F_CT_MARK] = { "ct mark", FROM_CT, NFT_CT_MARK, 0, 4, 0, false },
	[F_CGROUP_PARENT] = { "socket cgroupv2 level %u", FROM_SOCKET, 0, 0, 8, 0, false },
	[F_CGROUP_CONTAINER] = { "socket cgroupv2 level %u", FROM_SOCKET, 0, 0, 8, 0, false },
	[F_CGROUP_ENGINE] = { "socket cgroupv2 level %u", FROM_SOCKET, 0, 0, 8, 0, false },
	[F_CGROUP_LEVEL1] = { "socket cgroupv2 level %u", FROM_SOCKET, 0, 0, 8, 0, false },
	[F_CGROUP_LEVEL2] = { "socket cgroupv2 level %u", FROM_SOCKET, 0, 0, 8, 0, false },
	[F_CGROUP_LEVEL3] = { "socket cgroupv2 level %u", FROM_SOCKET, 0, 0, 8, 0, false },
	[F_CGROUP_LEVEL4] = { "socket cgroupv2 level %u", FROM_SOCKET, 0, 0, 8, 0, false },
	[F_CGROUP_LEVEL5] = { "socket cgroupv2 level %u", FROM_SOCKET, 0, 0, 8, 0, false },
	[F_CGROUP_LEVEL6] = { "socket cgroupv2 level %u", FROM_SOCKET, 0, 0, 8, 0, false },
	[F_FIB_SADDR_TYPE] = { "fib saddr type", FROM_FIB, NFT_FIB_RESULT_ADDRTYPE, 0, 4, 0,
			       false },
	[F_FIB_DADDR_TYPE] = { "fib daddr type", FROM_FIB, NFT_FIB_RESULT_ADDRTYPE, 0, 4, 0,
			       false },
	[F_FIB_DADDR_IIF_TYPE] = { "fib daddr . iif type", FROM_FIB, NFT_FIB_RESULT_ADDRTYPE, 0, 4,
				   0, false },
	[F_FIB_DADDR_OIF] = { "fib daddr oif", FROM_FIB, NFT_FIB_RESULT_OIF, 0, 4, 0, false },
	[F_FIB_SADDR_IIF] = { "fib saddr . iif oif", FROM_FIB, NFT_FIB_RESULT_OIF, 0, 4, 0, false },
	[F_RT_NEXTHOP4] = { "rt ip nexthop", FROM_RT, NFT_RT_NEXTHOP4, 0, 4, 0, true },
	[F_RT_NEXTHOP6] = { "rt ip6 nexthop", FROM_RT, NFT_RT_NEXTHOP6, 0, 16, 0, true },
	[F_IP_SADDR] = { "ip saddr", FROM_NETWORK, 0, 12, 4, NEEDS_IP, true },
	[F_IP_DADDR] = { "ip daddr", FROM_NETWORK, 0, 16, 4, NEEDS_IP, true },
	[F_IP_FRAG_OFF] = { "ip frag-off", FROM_NETWORK, 0, 6, 2, NEEDS_IP, true },
	[F_IP6_SADDR] = { "ip6 saddr", FROM_NETWORK, 0, 8, 16, NEEDS_IP6, true },
	[F_IP6_DADDR] = { "ip6 daddr", FROM_NETWORK, 0, 24, 16, NEEDS_IP6, true },
	[F_IP6_LENGTH] = { "ip6 length", FROM_NETWORK, 0, 4, 2, NEEDS_IP6, true },
	[F_IP6_HOPLIMIT] = { "ip6 hoplimit", FROM_NETWORK, 0, 7, 1, NEEDS_IP6, true },
	[F_ICMP_TYPE] = { "icmp type", FROM_TRANSPORT, 0, 0, 1, NEEDS_ICMP, true },
	[F_IGMP_TYPE] = { "igmp type", FROM_TRANSPORT, 0, 0, 1, NEEDS_IGMP, true },
	[F_ICMPV6_TYPE] = { "icmpv6 type", FROM_TRANSPORT, 0, 0, 1, NEEDS_ICMPV6, true },
	[F_TCP_SPORT] = { "tcp sport", FROM_TRANSPORT, 0, 0, 2, NEEDS_TCP, true },
	[F_TCP_DPORT] = { "tcp dport", FROM_TRANSPORT, 0, 2, 2, NEEDS_TCP, true },
	[F_TCP_FLAGS] = { "tcp flags", FROM_TRANSPORT, 0, 13, 1, NEEDS_TCP, true },
	[F_UDP_DPORT] = { "udp dport", FROM_TRANSPORT, 0, 2, 2, NEEDS_UDP, true },
	[F_TH_SPORT] = { "th sport", FROM_TRANSPORT, 0, 0, 2, 0, true },
	[F_TH_DPORT] = { "th dport", FROM_TRANSPORT, 0, 2, 2, 0, true },
	[F_ETHER_DADDR] = { "ether daddr", FROM_LINK, 0, 0, 6, 0, true },
	[F_ETHER_SADDR] = { "ether saddr", FROM_LINK, 0, 6, 6, 0, true },
	[F_ETHER_TYPE] = { "ether type", FROM_LINK, 0, 12, 2, 0, true },
	[F_LL_TYPE] = { "@ll,96,16", FROM_LINK, 0, 12, 2, 0, true },
	[F_ARP_SADDR_ETHER] = { "arp saddr ether", FROM_NETWORK, 0, 8, 6, 0, true },
	[F_ARP_SADDR_IP] = { "arp saddr ip", FROM_NETWORK, 0, 14, 4, 0, true },
	[F_RAW_ETHER_DADDR4] = { "@ll,0,32", FROM_LINK, 0, 0, 4, 0, true },
	[F_RAW_ETHER_SADDR] = { "@ll,48,48", FROM_LINK, 0, 6, 6, 0, true },
	[F_RAW_IP6_SADDR] = { "@nh,64,128", FROM_NETWORK, 0, 8, 16, 0, true },
	[F_RAW_ND_TARGET] = { "@th,64,128", FROM_TRANSPORT, 0, 8, 16, 0, true },
	[F_RAW_ND_OPTION] = { "@th,192,16", FROM_TRANSPORT, 0, 24, 2, 0, true },
	[F_RAW_ND_MAC] = { "@th,208,48", FROM_TRANSPORT, 0, 26, 6, 0, true },
};

const struct field_spec *field_spec(enum field field)
{
	return &fields[field];
}

uint32_t field_level(enum field field, const struct skeleton_params *params)
{
	if (field == F_CGROUP_PARENT)
		return params->parent_level;
	if (field == F_CGROUP_CONTAINER)
		return params->parent_level + 1;
	if (field == F_CGROUP_ENGINE)
		return params->engine_level;
	if (field >= F_CGROUP_LEVEL1 && field <= F_CGROUP_LEVEL6)
		return 1 + (uint32_t)(field - F_CGROUP_LEVEL1);
	return 0;
}
