/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Table bridge: what a frame may say about where it comes from (prerouting), what crosses between
 * two ports (forward), and which port a frame of the host's leaves by (output).
 *
 * A frame that is dropped in prerouting is not learnt by the bridge and changes neither its
 * addresses nor its multicast groups. So what passes is named and the rest denied: a field that a
 * short frame does not have ends a rule without a verdict. Nothing here accepts for anybody else:
 * accept means on to the next hook, and there to forward.
 */
#include "skeleton-internal.h"

#include <netinet/in.h> /* before the kernel's own */

#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>

#define IP_ EQ(F_ETHER_TYPE, 0x0800)
#define ARP_ EQ(F_ETHER_TYPE, 0x0806)
#define IP6_ EQ(F_ETHER_TYPE, 0x86dd)
#define ANY_ADDRESS EQ(F_IP6_SADDR, 0) /* ip6 saddr ::, who has none yet */
#define ICMP_(type_) EQ(F_L4PROTO, IPPROTO_ICMP), EQ(F_ICMP_TYPE, (type_))
#define ICMP6_(type_) EQ(F_L4PROTO, IPPROTO_ICMPV6), EQ(F_ICMPV6_TYPE, (type_))
#define OWN6 IN(SET_JOB_BINDINGS6, F_IIFNAME, F_ETHER_SADDR, F_IP6_SADDR)

#define DHCP_CLIENT 68
#define DHCP6_CLIENT 546
#define PIM 103

/* A neighbour message has no option, or the one of the sender's MAC and nothing else: where another
 * could stand before it or an extension header move it, it could not be judged by its place. */
#define ND_NO_OPTION EQ(F_IP6_LENGTH, 24)
#define ND_ONE_OPTION(type_) EQ(F_IP6_LENGTH, 32), EQ(F_RAW_ND_OPTION, (type_) << 8 | 1)
#define ND_SOURCE_MAC 1
#define ND_TARGET_MAC 2
/* Honest ones say in both places the same: nothing changes. Of others the lookup behind it judges
 * what they said inside, and what was outside has been judged before. */
#define MAC_AS_SAID COPY(F_RAW_ETHER_SADDR, F_RAW_ND_MAC)
#define SOURCE_AS_TARGET COPY(F_RAW_IP6_SADDR, F_RAW_ND_TARGET)

enum {
	MLD_QUERY = 130,
	MLD_REPORT = 131,
	MLD_DONE = 132,
	ND_ROUTER_SOLICIT_ = 133,
	ND_ROUTER_ADVERT_ = 134,
	ND_SOLICIT = 135,
	ND_ADVERT = 136,
	ND_REDIRECT_ = 137,
	MLD2_REPORT = 143,
	MRD_ADVERT = 151,
	MRD_SOLICIT = 152,
	MRD_END = 153,
};

/* iifname @job_ports   (no verdict: the element counts) */
static void count_job(struct chain *chain)
{
	RULE(chain, NULL, IN(SET_JOB_PORTS, F_IIFNAME));
}

/* The end of what is not as it should be. */
static void refuse(struct chain *chain)
{
	count_job(chain);
	RULE(chain, NULL, GOTO("spoofed"));
}

static void last_chain(struct skeleton *skeleton, const char *name, const char *counter)
{
	/* counter name COUNTER drop */
	RULE(skeleton_chain(skeleton, FAMILY_BRIDGE, name, NULL), NULL, COUNT(counter), DROP);
}

/* What rules a network comes from no container that might be a job. */
static void control(struct skeleton *skeleton)
{
	static const uint32_t types[] = { MLD_QUERY,  ND_ROUTER_ADVERT_, ND_REDIRECT_,
					  MRD_ADVERT, MRD_SOLICIT,       MRD_END };
	static const uint32_t reports[] = { 0x12, 0x16, 0x17, 0x22 }; /* v1, v2, leave, v3 */
	struct chain *chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "ip_content",
					     "its source is good; does it rule a network?");

	/* meta l4proto tcp accept */
	RULE(chain, NULL, EQ(F_L4PROTO, IPPROTO_TCP), ACCEPT);
	/* udp dport 68 goto control */
	RULE(chain, "a DHCP server's answer", EQ(F_UDP_DPORT, DHCP_CLIENT), GOTO("control"));
	/* meta l4proto icmp icmp type 5 goto control */
	RULE(chain, "redirect", ICMP_(5), GOTO("control"));
	/* meta l4proto icmp icmp type 9 goto control */
	RULE(chain, "router advertisement", ICMP_(9), GOTO("control"));
	/* meta l4proto igmp goto group_report */
	RULE(chain, NULL, EQ(F_L4PROTO, IPPROTO_IGMP), GOTO("group_report"));
	/* meta l4proto 103 goto control */
	RULE(chain, "PIM", EQ(F_L4PROTO, PIM), GOTO("control"));
	RULE(chain, NULL, ACCEPT);

	chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "group_report",
			       "what it wants to hear it may say: where somebody asks, the bridge "
			       "needs it");
	for (size_t i = 0; i < ARRAY_SIZE(reports); i++)
		/* meta l4proto igmp igmp type TYPE accept */
		RULE(chain, NULL, EQ(F_L4PROTO, IPPROTO_IGMP), EQ(F_IGMP_TYPE, reports[i]), ACCEPT);
	/* goto control */
	RULE(chain, "a query makes its port a router's; a fragment is read as one",
	     GOTO("control"));

	chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "ip6_content", NULL);
	/* meta l4proto tcp accept */
	RULE(chain, NULL, EQ(F_L4PROTO, IPPROTO_TCP), ACCEPT);
	/* udp dport 546 goto control */
	RULE(chain, "a DHCPv6 server's answer", EQ(F_UDP_DPORT, DHCP6_CLIENT), GOTO("control"));
	/* meta l4proto ipv6-icmp goto icmp6_content */
	RULE(chain, NULL, EQ(F_L4PROTO, IPPROTO_ICMPV6), GOTO("icmp6_content"));
	/* meta l4proto 103 goto control */
	RULE(chain, NULL, EQ(F_L4PROTO, PIM), GOTO("control"));
	RULE(chain, NULL, ACCEPT);

	chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "icmp6_content", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		/* meta l4proto ipv6-icmp icmpv6 type TYPE goto control */
		RULE(chain,
		     types[i] == MRD_ADVERT ? "multicast router discovery, three types" : NULL,
		     ICMP6_(types[i]), GOTO("control"));
	RULE(chain, NULL, ACCEPT);

	chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "control", NULL);
	count_job(chain);
	/* counter name "job_control" drop */
	RULE(chain, NULL, COUNT("job_control"), DROP);
}

/* Neighbour discovery of a job: who says that the target is here must be the target. */
static void job_neighbours(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "job_solicits", NULL);

	/* ether type ip6 ip6 length 24 accept */
	RULE(chain, NULL, IP6_, ND_NO_OPTION, ACCEPT);
	/* ether type ip6 ip6 length 32 @th,192,16 0x0101 @ll,48,48 set @th,208,48
	 * iifname . ether saddr . ip6 saddr @job_bindings6 accept */
	RULE(chain,
	     "its option must say the frame's own MAC: nft compares by writing one on the other",
	     IP6_, ND_ONE_OPTION(ND_SOURCE_MAC), MAC_AS_SAID, OWN6, ACCEPT);
	refuse(chain);

	chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "job_advertises", NULL);
	/* ether type ip6 ip6 length 24 @nh,64,128 set @th,64,128
	 * iifname . ether saddr . ip6 saddr @job_bindings6 accept */
	RULE(chain, "its target must be its own, as its source is", IP6_, ND_NO_OPTION,
	     SOURCE_AS_TARGET, OWN6, ACCEPT);
	/* ether type ip6 ip6 length 32 @th,192,16 0x0201 @nh,64,128 set @th,64,128
	 * @ll,48,48 set @th,208,48 iifname . ether saddr . ip6 saddr @job_bindings6 accept */
	RULE(chain, NULL, IP6_, ND_ONE_OPTION(ND_TARGET_MAC), SOURCE_AS_TARGET, MAC_AS_SAID, OWN6,
	     ACCEPT);
	refuse(chain);
}

static void job_frames(struct skeleton *skeleton)
{
	static const uint32_t start[] = { ND_SOLICIT, ND_ROUTER_SOLICIT_, MLD_REPORT, MLD_DONE,
					  MLD2_REPORT };
	struct chain *chain;

	chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "job_ip6",
			       "its MAC and source are its own");
	/* meta l4proto != ipv6-icmp goto ip6_content */
	RULE(chain, NULL, NE(F_L4PROTO, IPPROTO_ICMPV6), GOTO("ip6_content"));
	/* meta l4proto ipv6-icmp icmpv6 type nd-neighbor-solicit goto job_solicits */
	RULE(chain, NULL, ICMP6_(ND_SOLICIT), GOTO("job_solicits"));
	/* meta l4proto ipv6-icmp icmpv6 type nd-neighbor-advert goto job_advertises */
	RULE(chain, NULL, ICMP6_(ND_ADVERT), GOTO("job_advertises"));
	/* meta l4proto ipv6-icmp icmpv6 type nd-router-solicit counter name "unheard" drop */
	RULE(chain, "every container asks once, and there is no router to hear it",
	     ICMP6_(ND_ROUTER_SOLICIT_), COUNT("unheard"), DROP);
	RULE(chain, NULL, GOTO("icmp6_content"));
	job_neighbours(skeleton);

	chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "without_address",
			       "every container starts so; nobody needs to hear it");
	for (size_t i = 0; i < ARRAY_SIZE(start); i++)
		/* meta l4proto ipv6-icmp icmpv6 type TYPE counter name "unheard" drop */
		RULE(chain,
		     i == 0 ? "duplicate address detection: its neighbours do not hear it either"
			    : NULL,
		     ICMP6_(start[i]), COUNT("unheard"), DROP);
	refuse(chain);
	last_chain(skeleton, "spoofed", "job_spoofed");
}

static void unknown_neighbours(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "unknown_solicits", NULL);

	/* ether type ip6 ip6 saddr :: counter name "unheard" drop */
	RULE(chain, "duplicate address detection: of the gateway's it would take that away", IP6_,
	     ANY_ADDRESS, COUNT("unheard"), DROP);
	/* ether type ip6 ip6 length 24 accept */
	RULE(chain, NULL, IP6_, ND_NO_OPTION, ACCEPT);
	/* ether type ip6 ip6 length 32 @th,192,16 0x0101 @ll,48,48 set @th,208,48
	 * ether saddr != @bound_macs accept */
	RULE(chain, NULL, IP6_, ND_ONE_OPTION(ND_SOURCE_MAC), MAC_AS_SAID,
	     NOT_IN(SET_BOUND_MACS, F_ETHER_SADDR), ACCEPT);
	RULE(chain, NULL, GOTO("borrowed"));

	chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "unknown_advertises", NULL);
	/* ether type ip6 ip6 length 24 @nh,64,128 set @th,64,128 ip6 saddr != @bound6 accept */
	RULE(chain, NULL, IP6_, ND_NO_OPTION, SOURCE_AS_TARGET, NOT_IN(SET_BOUND6, F_IP6_SADDR),
	     ACCEPT);
	/* ether type ip6 ip6 length 32 @th,192,16 0x0201 @nh,64,128 set @th,64,128
	 * @ll,48,48 set @th,208,48 ip6 saddr != @bound6 ether saddr != @bound_macs accept */
	RULE(chain, NULL, IP6_, ND_ONE_OPTION(ND_TARGET_MAC), SOURCE_AS_TARGET, MAC_AS_SAID,
	     NOT_IN(SET_BOUND6, F_IP6_SADDR), NOT_IN(SET_BOUND_MACS, F_ETHER_SADDR), ACCEPT);
	RULE(chain, NULL, GOTO("borrowed"));
}

/* A port that nobody named may become a bystander's: it goes about with what is nobody's. */
static void unknown_frames(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "from_unknown",
					     "a port that nobody named yet borrows nothing");

	/* ether saddr @bound_macs goto borrowed */
	RULE(chain, NULL, IN(SET_BOUND_MACS, F_ETHER_SADDR), GOTO("borrowed"));
	/* ether type ip ip saddr @bound4 goto borrowed */
	RULE(chain, NULL, IP_, IN(SET_BOUND4, F_IP_SADDR), GOTO("borrowed"));
	/* ether type ip goto ip_content */
	RULE(chain, NULL, IP_, GOTO("ip_content"));
	/* ether type arp arp saddr ether @bound_macs goto borrowed */
	RULE(chain, NULL, ARP_, IN(SET_BOUND_MACS, F_ARP_SADDR_ETHER), GOTO("borrowed"));
	/* ether type arp arp saddr ip @bound4 goto borrowed */
	RULE(chain, NULL, ARP_, IN(SET_BOUND4, F_ARP_SADDR_IP), GOTO("borrowed"));
	/* ether type arp accept */
	RULE(chain, NULL, ARP_, ACCEPT);
	/* ether type ip6 ip6 saddr @bound6 goto borrowed */
	RULE(chain, NULL, IP6_, IN(SET_BOUND6, F_IP6_SADDR), GOTO("borrowed"));
	/* ether type ip6 goto unknown_ip6 */
	RULE(chain, NULL, IP6_, GOTO("unknown_ip6"));
	RULE(chain, "a tag (802.1Q) or no known protocol", GOTO("borrowed"));

	chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "unknown_ip6", NULL);
	/* meta l4proto != ipv6-icmp goto ip6_content */
	RULE(chain, NULL, NE(F_L4PROTO, IPPROTO_ICMPV6), GOTO("ip6_content"));
	/* meta l4proto ipv6-icmp icmpv6 type nd-neighbor-solicit goto unknown_solicits */
	RULE(chain, NULL, ICMP6_(ND_SOLICIT), GOTO("unknown_solicits"));
	/* meta l4proto ipv6-icmp icmpv6 type nd-neighbor-advert goto unknown_advertises */
	RULE(chain, NULL, ICMP6_(ND_ADVERT), GOTO("unknown_advertises"));
	RULE(chain, NULL, GOTO("icmp6_content"));
	unknown_neighbours(skeleton);
	last_chain(skeleton, "borrowed", "unknown_spoofed");
}

/* Which frames are of a guarded bridge: by the bridge's name where the kernel can say it
 * (NFT_BRIDGE_META), else those of every veth whose bridge is not known to be somebody else's. A
 * container's port is a veth; what else is in a bridge (a card, a tap) is not Docker's. */
static void from_guarded(struct skeleton *skeleton, struct chain *chain, const char *target)
{
	if (skeleton->params.bridge_meta) {
		/* meta ibrname @guarded_bridges meta iifkind "veth" goto TARGET */
		RULE(chain, NULL, IN(SET_BRIDGE_GUARDED, F_IBRNAME), NAMED(F_IIFKIND, "veth"),
		     GOTO(target));
		/* meta ibrname "br-*" meta ibrname != @spared_bridges meta iifkind "veth" goto TARGET */
		RULE(chain, NULL, NAMED(F_IBRNAME, "br-*"), NOT_IN(SET_BRIDGE_SPARED, F_IBRNAME),
		     NAMED(F_IIFKIND, "veth"), GOTO(target));
	} else {
		/* iifname @foreign_ports accept */
		RULE(chain, NULL, IN(SET_FOREIGN_PORTS, F_IIFNAME), ACCEPT);
		/* meta iifkind "veth" goto TARGET */
		RULE(chain, NULL, NAMED(F_IIFKIND, "veth"), GOTO(target));
	}
}

static void prerouting(struct skeleton *skeleton)
{
	struct chain *chain;

	/* type filter hook prerouting priority dstnat - 10: before br_netfilter, whose inet
	 * prerouting reads the mark */
	chain = skeleton_base_chain(skeleton, FAMILY_BRIDGE, "prerouting", NF_BR_PRE_ROUTING,
				    NF_BR_PRI_NAT_DST_BRIDGED - 10);
	/* iifname @bystander_ports meta mark set meta mark | BYSTANDER accept */
	RULE(chain, "read and taken off in inet prerouting", IN(SET_BYSTANDER_PORTS, F_IIFNAME),
	     SET_BIT(F_MARK, skeleton->params.mark_bystander), ACCEPT);
	/* ether type ip iifname . ether saddr . ip saddr @job_bindings4 goto ip_content */
	RULE(chain, "a job, with its own MAC and address", IP_,
	     IN(SET_JOB_BINDINGS4, F_IIFNAME, F_ETHER_SADDR, F_IP_SADDR), GOTO("ip_content"));
	/* ether type ip6 iifname . ether saddr . ip6 saddr @job_bindings6 goto job_ip6 */
	RULE(chain, NULL, IP6_, OWN6, GOTO("job_ip6"));
	/* ether type arp iifname . ether saddr . arp saddr ip @job_bindings4
	 * iifname . arp saddr ether . arp saddr ip @job_bindings4 accept */
	RULE(chain, NULL, ARP_, IN(SET_JOB_BINDINGS4, F_IIFNAME, F_ETHER_SADDR, F_ARP_SADDR_IP),
	     IN(SET_JOB_BINDINGS4, F_IIFNAME, F_ARP_SADDR_ETHER, F_ARP_SADDR_IP), ACCEPT);
	/* ether type ip6 ip6 saddr :: iifname . ether saddr @port_macs goto without_address */
	RULE(chain, NULL, IP6_, ANY_ADDRESS, IN(SET_PORT_MACS, F_IIFNAME, F_ETHER_SADDR),
	     GOTO("without_address"));
	/* iifname @job_ports goto spoofed */
	RULE(chain, "anything else of a job: tags (802.1Q) and unknown protocols too",
	     IN(SET_JOB_PORTS, F_IIFNAME), GOTO("spoofed"));
	from_guarded(skeleton, chain, "from_unknown");
}

/* Frames to 01:80:c2:00:00:02 to 0f come here without prerouting, and the bridge learns their
 * source behind this hook (0e, and 00 with spanning tree, it learns without any hook). */
static void input(struct skeleton *skeleton)
{
	struct chain *chain;

	/* type filter hook input priority filter - 10 */
	chain = skeleton_base_chain(skeleton, FAMILY_BRIDGE, "input", NF_BR_LOCAL_IN,
				    NF_BR_PRI_FILTER_BRIDGED + 190);
	/* @ll,0,32 != 0x0180c200 accept */
	RULE(chain, NULL, NE(F_RAW_ETHER_DADDR4, 0x0180c200), ACCEPT);
	/* iifname @bystander_ports accept */
	RULE(chain, NULL, IN(SET_BYSTANDER_PORTS, F_IIFNAME), ACCEPT);
	from_guarded(skeleton, chain, "control");
}

static void forward(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_base_chain(skeleton, FAMILY_BRIDGE, "forward", NF_BR_FORWARD,
						  NF_BR_PRI_FILTER_BRIDGED + 190);

	if (skeleton->params.bridge_meta) {
		/* meta ibrname @guarded_bridges jump between_ports */
		RULE(chain, NULL, IN(SET_BRIDGE_GUARDED, F_IBRNAME), JUMP("between_ports"));
		/* meta ibrname "br-*" meta ibrname != @spared_bridges jump between_ports */
		RULE(chain, NULL, NAMED(F_IBRNAME, "br-*"), NOT_IN(SET_BRIDGE_SPARED, F_IBRNAME),
		     JUMP("between_ports"));
	} else {
		/* iifname @foreign_ports accept */
		RULE(chain, NULL, IN(SET_FOREIGN_PORTS, F_IIFNAME), ACCEPT);
		/* meta iifkind "veth" jump between_ports */
		RULE(chain, NULL, NAMED(F_IIFKIND, "veth"), JUMP("between_ports"));
		/* meta oifkind "veth" jump between_ports */
		RULE(chain, NULL, NAMED(F_OIFKIND, "veth"), JUMP("between_ports"));
	}
	chain = skeleton_chain(skeleton, FAMILY_BRIDGE, "between_ports",
			       "frames between two containers of one bridge");
	/* iifname @bystander_ports oifname @bystander_ports accept */
	RULE(chain, NULL, IN(SET_BYSTANDER_PORTS, F_IIFNAME), IN(SET_BYSTANDER_PORTS, F_OIFNAME),
	     ACCEPT);
	count_job(chain);
	/* counter name "job_to_neighbour" drop */
	RULE(chain, NULL, COUNT("job_to_neighbour"), DROP);
}

static void output(struct skeleton *skeleton)
{
	uint32_t mark = skeleton->params.mark_bystander;
	struct chain *chain;

	/* type filter hook output priority filter - 10 */
	chain = skeleton_base_chain(skeleton, FAMILY_BRIDGE, "output", NF_BR_LOCAL_OUT,
				    NF_BR_PRI_FILTER_BRIDGED + 190);
	/* meta mark & BYSTANDER == BYSTANDER oifname != @bystander_ports
	 * counter name "stale_bystander" drop */
	RULE(chain, "a dead bystander's address opens nothing for the next container",
	     BITS(F_MARK, mark, mark), NOT_IN(SET_BYSTANDER_PORTS, F_OIFNAME),
	     COUNT("stale_bystander"), DROP);
	/* ether daddr @bound_macs oifname . ether daddr != @port_macs counter name "wrong_port" drop */
	RULE(chain, "flooded, or the bridge was lied to: nobody gets what is another's",
	     IN(SET_BOUND_MACS, F_ETHER_DADDR), NOT_IN(SET_PORT_MACS, F_OIFNAME, F_ETHER_DADDR),
	     COUNT("wrong_port"), DROP);
	/* ether type ip ip daddr @bound4 oifname . ether daddr . ip daddr != @job_bindings4
	 * oifname != @bystander_ports counter name "wrong_port" drop */
	RULE(chain, "the host was lied to, before this address had an owner", IP_,
	     IN(SET_BOUND4, F_IP_DADDR),
	     NOT_IN(SET_JOB_BINDINGS4, F_OIFNAME, F_ETHER_DADDR, F_IP_DADDR),
	     NOT_IN(SET_BYSTANDER_PORTS, F_OIFNAME), COUNT("wrong_port"), DROP);
	RULE(chain, NULL, IP6_, IN(SET_BOUND6, F_IP6_DADDR),
	     NOT_IN(SET_JOB_BINDINGS6, F_OIFNAME, F_ETHER_DADDR, F_IP6_DADDR),
	     NOT_IN(SET_BYSTANDER_PORTS, F_OIFNAME), COUNT("wrong_port"), DROP);
}

void skeleton_bridge(struct skeleton *skeleton)
{
	prerouting(skeleton);
	control(skeleton);
	job_frames(skeleton);
	unknown_frames(skeleton);
	input(skeleton);
	forward(skeleton);
	output(skeleton);
}
