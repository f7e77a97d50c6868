/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames that packet sockets put on lo. What a socket of the host sends over lo, or the kernel by
 * itself (resets, time-wait acknowledgements, ICMP), was routed and still carries its route; a frame
 * carries none, and an expression that reads the route aborts its rule. So what is on lo without a
 * route passed no output hook, whatever its header says.
 *
 * Judged before fragments are put together (a whole packet takes the route of the fragment that
 * came last) and before conntrack, which never hears of it. Must never drop what has a route.
 */
#include "skeleton-internal.h"

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>

void skeleton_inet_loopback(struct skeleton *skeleton)
{
	/* type filter hook prerouting priority -450 */
	struct chain *chain = skeleton_base_chain(skeleton, FAMILY_INET, "loopback",
						  NF_INET_PRE_ROUTING, NF_IP_PRI_RAW_BEFORE_DEFRAG);

	/* iifname != "lo" accept */
	RULE(chain, NULL, NOT_NAMED(F_IIFNAME, "lo"), ACCEPT);
	/* rt ip nexthop != 0.0.0.0 accept */
	RULE(chain, "it was routed: a socket of the host sent it, or the kernel",
	     NE(F_RT_NEXTHOP4, 0), ACCEPT);
	/* rt ip6 nexthop != :: accept */
	RULE(chain, NULL, NE(F_RT_NEXTHOP6, 0), ACCEPT);
	/* counter name "loopback_forged" drop */
	RULE(chain, "put on lo by a packet socket: never passed output", COUNT("loopback_forged"),
	     DROP);
}
