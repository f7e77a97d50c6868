/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of table inet for containers on bridges: what they may send (prerouting) and what may be sent
 * to them (forward, postrouting). What their frames may say is in skeleton_ports.c.
 *
 * The source is judged in prerouting, before anyone's NAT or mark: there the mark that the bridge
 * family gave to a bystander's port is read and taken off again, so that routing and other rules
 * never see it. A packet from a guarded bridge without that mark is a job's.
 */
#include "skeleton-internal.h"

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>

#define ND_SOLICIT 135
#define ND_ADVERT 136
#define RTN_UNICAST_ 1
#define RTN_LOCAL_ 2
#define RTN_BROADCAST_ 3
#define RTN_MULTICAST_ 5

/* iifname @guarded_bridges jump TARGET
 * iifname "br-*" meta iifkind "bridge" iifname != @spared_bridges jump TARGET */
static void from_guarded(struct chain *chain, const char *target)
{
	RULE(chain, NULL, IN(SET_GUARDED_BRIDGES, F_IIFNAME), JUMP(target));
	RULE(chain, "a bridge that Docker made and nobody named yet", NAMED(F_IIFNAME, "br-*"),
	     NAMED(F_IIFKIND, "bridge"), NOT_IN(SET_SPARED_BRIDGES, F_IIFNAME), JUMP(target));
}

/* oifname @guarded_bridges jump TARGET
 * oifname "br-*" meta oifkind "bridge" oifname != @spared_bridges jump TARGET */
static void to_guarded(struct chain *chain, const char *target)
{
	RULE(chain, NULL, IN(SET_GUARDED_BRIDGES, F_OIFNAME), JUMP(target));
	RULE(chain, NULL, NAMED(F_OIFNAME, "br-*"), NAMED(F_OIFKIND, "bridge"),
	     NOT_IN(SET_SPARED_BRIDGES, F_OIFNAME), JUMP(target));
}

/* Marks what goes to a bystander, so that the bridge family can see that it gets to its port. */
static void to_bystander(struct chain *chain, uint32_t mark)
{
	/* ip daddr @bystanders4 meta mark set meta mark | BYSTANDER accept */
	RULE(chain, "checked against the port in table bridge", IN(SET_BYSTANDERS4, F_IP_DADDR),
	     SET_BIT(F_MARK, mark), ACCEPT);
	/* ip6 daddr @bystanders6 meta mark set meta mark | BYSTANDER accept */
	RULE(chain, NULL, IN(SET_BYSTANDERS6, F_IP6_DADDR), SET_BIT(F_MARK, mark), ACCEPT);
}

/* Neighbour discovery is untracked. A router never forwards it: the hop limit says so. */
static void neighbour_discovery(struct chain *chain)
{
	/* icmpv6 type nd-neighbor-solicit ip6 hoplimit 255 accept */
	RULE(chain, NULL, EQ(F_ICMPV6_TYPE, ND_SOLICIT), EQ(F_IP6_HOPLIMIT, 255), ACCEPT);
	/* icmpv6 type nd-neighbor-advert ip6 hoplimit 255 accept */
	RULE(chain, NULL, EQ(F_ICMPV6_TYPE, ND_ADVERT), EQ(F_IP6_HOPLIMIT, 255), ACCEPT);
}

static void from_bridge(struct skeleton *skeleton)
{
	uint32_t mark = skeleton->params.mark_bystander;
	struct chain *chain;

	chain = skeleton_chain(skeleton, FAMILY_INET, "from_bridge",
			       "what containers on a guarded bridge send");
	/* meta mark & BYSTANDER == BYSTANDER meta mark set meta mark & ~BYSTANDER accept */
	RULE(chain, "a bystander's port (table bridge): keeps all that it had",
	     BITS(F_MARK, mark, mark), CLEAR_BIT(F_MARK, mark), ACCEPT);
	/* icmpv6 type nd-neighbor-solicit ip6 hoplimit 255 fib daddr type != unicast accept */
	RULE(chain, "also from ::, so before the next; a router would forward it to others",
	     EQ(F_ICMPV6_TYPE, ND_SOLICIT), EQ(F_IP6_HOPLIMIT, 255),
	     NE(F_FIB_DADDR_TYPE, RTN_UNICAST_), ACCEPT);
	/* icmpv6 type nd-neighbor-advert ip6 hoplimit 255 fib daddr type != unicast accept */
	RULE(chain, NULL, EQ(F_ICMPV6_TYPE, ND_ADVERT), EQ(F_IP6_HOPLIMIT, 255),
	     NE(F_FIB_DADDR_TYPE, RTN_UNICAST_), ACCEPT);
	/* fib saddr . iif oif missing counter name "spoofed" drop */
	RULE(chain, "a forged source would make conntrack take strangers for replies",
	     EQ(F_FIB_SADDR_IIF, 0), COUNT("spoofed"), DROP);
	/* fib daddr type != unicast goto from_bridge_to_host */
	RULE(chain, "the host's addresses, broadcast and multicast",
	     NE(F_FIB_DADDR_TYPE, RTN_UNICAST_), GOTO("from_bridge_to_host"));
	/* ct direction reply counter name "to_job" goto refuse */
	RULE(chain, "only the host opens connections to jobs: no one else gets an answer", REPLY,
	     COUNT("to_job"), GOTO("refuse"));
	/* ip daddr @bystanders4 counter name "job_to_bystander" goto refuse */
	RULE(chain, NULL, IN(SET_BYSTANDERS4, F_IP_DADDR), COUNT("job_to_bystander"),
	     GOTO("refuse"));
	/* ip6 daddr @bystanders6 counter name "job_to_bystander" goto refuse */
	RULE(chain, NULL, IN(SET_BYSTANDERS6, F_IP6_DADDR), COUNT("job_to_bystander"),
	     GOTO("refuse"));
	/* iifname . ip saddr @quarantined4 counter name "bridge_job_quarantined" goto refuse */
	RULE(chain, "it answers the host, above, and originates nothing",
	     IN(SET_QUARANTINED4, F_IIFNAME, F_IP_SADDR), COUNT("bridge_job_quarantined"),
	     GOTO("refuse"));
	RULE(chain, NULL, IN(SET_QUARANTINED6, F_IIFNAME, F_IP6_SADDR),
	     COUNT("bridge_job_quarantined"), GOTO("refuse"));
	if (audited(skeleton, GROUP_NEIGHBOURS)) {
		/* ct direction reply tcp flags & (syn | ack) != syn accept */
		RULE(chain, "audit: answers to whom to_bridge let through, wherever they are",
		     REPLY, NO_BARE_SYN, ACCEPT);
		/* ct direction reply meta l4proto != tcp accept */
		RULE(chain, NULL, REPLY, NE(F_L4PROTO, 6), ACCEPT);
	}
	egress_of_bridge(skeleton, chain);
	/* accept */
	RULE(chain, "on to the internet; forward decides about other jobs", ACCEPT);

	chain = skeleton_chain(skeleton, FAMILY_INET, "from_bridge_to_host",
			       "a job answers the host and asks its resolver and proxy");
	if (audited(skeleton, GROUP_HOST))
		/* tcp dport @host_apis counter name "outside_to_host_api" goto refuse */
		RULE(chain, "audit: input takes who comes here for a bystander",
		     IN(SET_HOST_APIS, F_TCP_DPORT), COUNT("outside_to_host_api"), GOTO("refuse"));
	egress_to_host_service(chain);
	/* tcp flags syn / syn,ack counter name "job_to_host" goto refuse */
	RULE(chain, "a bare SYN is never a reply", BARE_SYN, COUNT("job_to_host"), GOTO("refuse"));
	/* ct state related fib daddr . iif type != local counter name "job_to_host" goto refuse */
	RULE(chain, "an ICMP error about what the host, or a bystander by NAT, has with others",
	     RELATED, NE(F_FIB_DADDR_IIF_TYPE, RTN_LOCAL_), COUNT("job_to_host"), GOTO("refuse"));
	/* ct direction reply accept */
	RULE(chain, NULL, REPLY, ACCEPT);
	/* counter name "job_to_host" goto refuse */
	RULE(chain, NULL, COUNT("job_to_host"), GOTO("refuse"));
}

static void to_bridge(struct skeleton *skeleton)
{
	struct chain *chain;

	chain = skeleton_chain(skeleton, FAMILY_INET, "to_bridge",
			       "what is routed to a guarded bridge (with br_netfilter: also "
			       "bridged)");
	to_bystander(chain, skeleton->params.mark_bystander);
	neighbour_discovery(chain);
	/* fib daddr type multicast accept */
	RULE(chain, "between bystanders, seen here with br_netfilter only",
	     EQ(F_FIB_DADDR_TYPE, RTN_MULTICAST_), ACCEPT);
	/* fib daddr type broadcast accept */
	RULE(chain, NULL, EQ(F_FIB_DADDR_TYPE, RTN_BROADCAST_), ACCEPT);
	/* tcp flags syn / syn,ack counter name "to_job" goto refuse */
	RULE(chain, "a bare SYN is never a reply", BARE_SYN, COUNT("to_job"), GOTO("refuse"));
	/* iifname @guarded_bridges counter name "to_job" goto refuse */
	RULE(chain, "job or bystander to job, whatever conntrack says",
	     IN(SET_GUARDED_BRIDGES, F_IIFNAME), COUNT("to_job"), GOTO("refuse"));
	/* oifname . ip daddr @quarantined4 counter name "bridge_job_quarantined" goto refuse */
	RULE(chain, "what it had open before", IN(SET_QUARANTINED4, F_OIFNAME, F_IP_DADDR),
	     COUNT("bridge_job_quarantined"), GOTO("refuse"));
	RULE(chain, NULL, IN(SET_QUARANTINED6, F_OIFNAME, F_IP6_DADDR),
	     COUNT("bridge_job_quarantined"), GOTO("refuse"));
	/* ct direction reply accept */
	RULE(chain, "answers from the internet", REPLY, ACCEPT);
	/* counter name "to_job" goto refuse */
	RULE(chain, NULL, COUNT("to_job"), GOTO("refuse"));
}

/* What is refused for good, and at once: nobody shall wait for a timeout. */
static void refuse_known(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "refuse_known",
					     "a job's, or a port's that nobody is allowed to");

	/* tcp flags syn / syn,ack reject with tcp reset */
	RULE(chain, NULL, BARE_SYN, RESET);
	/* ct state established meta l4proto tcp reject with tcp reset */
	RULE(chain, "was open before the fence: ends now",
	     BITS(F_CT_STATE, 2 /* NF_CT_STATE_BIT(IP_CT_ESTABLISHED) */, 2), EQ(F_L4PROTO, 6),
	     RESET);
	/* meta l4proto tcp drop */
	RULE(chain, "after conntrack -F this may be an allowed one: the other side repairs it",
	     EQ(F_L4PROTO, 6), DROP);
	/* reject with icmpx admin-prohibited */
	RULE(chain, NULL, PROHIBIT);
}

/* The first element that matches counts, the sender's before the receiver's. */
static void refuse(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "refuse",
					     "the end of every deny path; counts it for the job");

	/* iifname . ip saddr @jobs4 goto refuse_known */
	RULE(chain, NULL, IN(SET_JOBS4, F_IIFNAME, F_IP_SADDR), GOTO("refuse_known"));
	RULE(chain, NULL, IN(SET_JOBS6, F_IIFNAME, F_IP6_SADDR), GOTO("refuse_known"));
	RULE(chain, NULL, IN(SET_JOBS4, F_OIFNAME, F_IP_DADDR), GOTO("refuse_known"));
	RULE(chain, NULL, IN(SET_JOBS6, F_OIFNAME, F_IP6_DADDR), GOTO("refuse_known"));
	/* tcp flags syn / syn,ack reject with tcp reset */
	RULE(chain, NULL, BARE_SYN, RESET);
	/* meta l4proto tcp drop */
	RULE(chain,
	     "of a container that nobody named yet: if a bystander's, it goes on in a moment",
	     EQ(F_L4PROTO, 6), DROP);
	/* reject with icmpx admin-prohibited */
	RULE(chain, NULL, PROHIBIT);
	refuse_known(skeleton);
}

void skeleton_inet_bridges(struct skeleton *skeleton)
{
	uint32_t container = skeleton->params.mark_container;
	struct chain *chain;

	/* type filter hook prerouting priority -190: behind conntrack (-200), before mangle and
	 * NAT, so that addresses are those that the job wrote */
	chain = skeleton_base_chain(skeleton, FAMILY_INET, "prerouting", NF_INET_PRE_ROUTING,
				    NF_IP_PRI_CONNTRACK + 10);
	/* @ll,0,32 0x0180c200 meta iifkind "veth" counter name "past_bridge" drop */
	RULE(chain, "a bridge gives such a frame to the host as its port's own, past its own hooks",
	     LINK_GROUP, NAMED(F_IIFKIND, "veth"), COUNT("past_bridge"), DROP);
	from_guarded(chain, "from_bridge");
	/* type filter hook forward priority filter - 10 */
	chain = skeleton_base_chain(skeleton, FAMILY_INET, "forward", NF_INET_FORWARD,
				    NF_IP_PRI_FILTER - 10);
	to_guarded(chain, "to_bridge");
	/* type filter hook postrouting priority srcnat - 10: where the route after DNAT is known */
	chain = skeleton_base_chain(skeleton, FAMILY_INET, "postrouting", NF_INET_POST_ROUTING,
				    NF_IP_PRI_NAT_SRC - 10);
	to_guarded(chain, "dnat_to_bridge");

	from_bridge(skeleton);
	to_bridge(skeleton);

	chain = skeleton_chain(skeleton, FAMILY_INET, "dnat_to_bridge",
			       "a published port of the host, without the userland proxy");
	/* ct mark & CONTAINER == CONTAINER ct direction original goto host_job_to_dnat */
	RULE(chain, "what is untracked has no mark: neighbour discovery goes by",
	     BITS(F_CT_MARK, container, container), ORIGINAL, GOTO("host_job_to_dnat"));
	/* tcp flags & rst == 0 ct direction reply fib saddr type local goto answer_to_bridge */
	RULE(chain, "but for a reset, the host has no answer for a job", BITS(F_TCP_FLAGS, 4, 0),
	     REPLY, EQ(F_FIB_SADDR_TYPE, RTN_LOCAL_), GOTO("answer_to_bridge"));

	chain = skeleton_chain(skeleton, FAMILY_INET, "answer_to_bridge",
			       "what was open before the fence");
	/* ip daddr @bystanders4 return */
	RULE(chain, NULL, IN(SET_BYSTANDERS4, F_IP_DADDR), RETURN);
	/* ip6 daddr @bystanders6 return */
	RULE(chain, NULL, IN(SET_BYSTANDERS6, F_IP6_DADDR), RETURN);
	egress_answer_of_service(chain);
	/* counter name "job_to_host" drop */
	RULE(chain, NULL, COUNT("job_to_host"), DROP);

	chain = skeleton_chain(skeleton, FAMILY_INET, "host_job_to_dnat", NULL);
	to_bystander(chain, skeleton->params.mark_bystander);
	/* counter name "host_job_to_published" drop */
	RULE(chain, NULL, COUNT("host_job_to_published"), DROP);

	refuse(skeleton);
}
