/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames for a port of a guarded bridge that nobody routed: packet sockets of a host job, on the
 * bridge or on the port's host end. What the host sends or forwards to a container carries its route
 * as far as the port's egress hook; a frame carries none, and neither does what another port sent,
 * which table bridge lets through between bystanders only.
 *
 * A base chain for each port (SET_EGRESS_PORTS) jumps here. Must never drop what has a route.
 */
#include "skeleton-internal.h"

#define ETHERTYPE_ARP_ 0x0806

void skeleton_injected(struct skeleton *skeleton)
{
	struct chain *chain;

	if (!skeleton->params.egress)
		return;
	chain = skeleton_chain(skeleton, FAMILY_NETDEV, EGRESS_CHAIN,
			       "what goes out of a port of a guarded bridge, to the container");
	/* meta rtclassid != 4294967295 accept */
	RULE(chain, "no realm has that number: whatever was routed", NE(F_RTCLASSID, UINT32_MAX),
	     ACCEPT);
	/* oifname @bystander_ports accept */
	RULE(chain, NULL, IN(SET_EGRESS_BYSTANDERS, F_OIFNAME), ACCEPT);
	/* meta protocol arp @ll,96,16 2054 arp saddr ether @bridge_macs accept */
	RULE(chain, "the kernel's answers have no route; all they can say is that the host is here",
	     EQ(F_PROTOCOL, ETHERTYPE_ARP_), EQ(F_LL_TYPE, ETHERTYPE_ARP_),
	     IN(SET_BRIDGE_MACS, F_ARP_SADDR_ETHER), ACCEPT);
	if (audited(skeleton, GROUP_NEIGHBOURS))
		/* counter name "injected" accept */
		RULE(chain,
		     "audit: what another port sent, which table bridge let through, looks the "
		     "same",
		     COUNT("injected"), ACCEPT);
	/* counter name "injected" drop */
	RULE(chain, "put there by a packet socket", COUNT("injected"), DROP);
}
