/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules for containers on the host network, by the cgroup of the socket: what they may open
 * (output) and who may reach what they listen on (input).
 *
 * Whatever has no socket (the kernel's own resets, time-wait acknowledgements) matches none of the
 * cgroup rules and is never dropped by them. A cgroup that is not deep enough aborts its rule, so
 * every deny is a positive match on the containers' parent, refined by exceptions before it.
 */
#include "skeleton-internal.h"

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>

#include "jobfence/mode.h"

/* socket cgroupv2 level P @container_slices VERDICT; with the systemd driver, where services share
 * the parent: … socket cgroupv2 level C != @host_services VERDICT */
static void from_containers(const struct skeleton *skeleton, struct chain *chain, const char *why,
			    const char *counter, struct stmt verdict)
{
	struct stmt stmts[4];
	size_t n = 0;

	stmts[n++] = IN(SET_CONTAINER_SLICES, F_CGROUP_PARENT);
	if (skeleton->params.shared_parent)
		stmts[n++] = NOT_IN(SET_HOST_SERVICES, F_CGROUP_CONTAINER);
	if (counter)
		stmts[n++] = COUNT(counter);
	stmts[n++] = verdict;
	chain_rule(chain, why, stmts, n);
}

static bool forced_bridge(const struct skeleton *skeleton)
{
	return skeleton->params.mode == NETWORK_MODE_FORCED_BRIDGE;
}

/* What the host opens to a published port, so that forged() knows it from a job's own. Connections
 * from before the fence lack the mark: whose they are nobody can tell. */
static void host_to_published(const struct skeleton *skeleton, struct chain *chain)
{
	uint32_t host = skeleton->params.mark_host;

	/* tcp flags syn / syn,ack meta l4proto . ip daddr . th dport @published4
	 * ct direction original ct mark set ct mark | HOST */
	RULE(chain, NULL, BARE_SYN, IN(SET_PUBLISHED4, F_L4PROTO, F_IP_DADDR, F_TH_DPORT), ORIGINAL,
	     SET_BIT(F_CT_MARK, host));
	RULE(chain, NULL, BARE_SYN, IN(SET_PUBLISHED6, F_L4PROTO, F_IP6_DADDR, F_TH_DPORT),
	     ORIGINAL, SET_BIT(F_CT_MARK, host));
	/* tcp flags syn / syn,ack meta l4proto . th dport @published_any fib daddr type local
	 * ct direction original ct mark set ct mark | HOST */
	RULE(chain, NULL, BARE_SYN, IN(SET_PUBLISHED_ANY, F_L4PROTO, F_TH_DPORT), TO_LOCAL,
	     ORIGINAL, SET_BIT(F_CT_MARK, host));
}

static void output(struct skeleton *skeleton)
{
	uint32_t host = skeleton->params.mark_host;
	uint32_t container = skeleton->params.mark_container;
	/* type filter hook output priority mangle - 10: behind conntrack, before NAT, so that a
	 * published port is still the port that was dialled */
	struct chain *chain = skeleton_base_chain(skeleton, FAMILY_INET, "output",
						  NF_INET_LOCAL_OUT, NF_IP_PRI_MANGLE - 10);

	from_containers(skeleton, chain, NULL, NULL, JUMP("from_container"));
	foreign_roots(chain, "foreign_output");
	/* ct mark & CONTAINER == CONTAINER tcp flags syn / syn,ack ct direction original
	 * ct mark set ct mark & ~CONTAINER */
	RULE(chain, "the port was a job's before, and conntrack remembers it",
	     BITS(F_CT_MARK, container, container), BARE_SYN, ORIGINAL,
	     CLEAR_BIT(F_CT_MARK, container));
	/* tcp dport @reserved_apis fib daddr type local ct direction original
	 * ct mark set ct mark | HOST */
	RULE(chain, "input wants to know that a socket of the host sent it",
	     IN(SET_RESERVED_APIS, F_TCP_DPORT), TO_LOCAL, ORIGINAL, SET_BIT(F_CT_MARK, host));
	host_to_published(skeleton, chain);
	if (skeleton->params.fenced)
		/* tcp flags syn / syn,ack meta l4proto . th dport @fenced_ports
		 * fib daddr type local ct direction original ct mark set ct mark | HOST */
		RULE(chain, NULL, BARE_SYN, IN(SET_FENCED_PORTS, F_L4PROTO, F_TH_DPORT), TO_LOCAL,
		     ORIGINAL, SET_BIT(F_CT_MARK, host));
	/* ct mark & CONTAINER == CONTAINER ct direction reply
	 * socket cgroupv2 level E @engine_cgroups goto from_docker_proxy */
	RULE(chain, "was open before the fence and its port is in no set yet",
	     BITS(F_CT_MARK, container, container), REPLY, IN(SET_ENGINE_CGROUPS, F_CGROUP_ENGINE),
	     GOTO("from_docker_proxy"));

	chain = skeleton_chain(skeleton, FAMILY_INET, "from_docker_proxy", NULL);
	/* meta l4proto . th sport @bystander_published return */
	RULE(chain, NULL, IN(SET_BYSTANDER_PUBLISHED, F_L4PROTO, F_TH_SPORT), RETURN);
	/* counter name "host_job_to_published" goto refuse */
	RULE(chain, NULL, COUNT("host_job_to_published"), GOTO("refuse"));
}

/* Raw sockets of a container: what no connection of its own would send. A SYN of a connection that
 * conntrack calls invalid has neither direction nor mark, and the rules behind would not see it. */
static void forged(struct skeleton *skeleton, struct chain *chain)
{
	uint32_t host = skeleton->params.mark_host;
	/* audit: where a listener in the shim's or docker-proxy's place is let be, so are its words */
	const char *answer =
		audited(skeleton, GROUP_HOST_APIS) ? "shadow_listener" : "host_job_forged";

	/* ip frag-off & 0x3fff != 0 counter name "host_job_forged" drop */
	RULE(chain, "IP_NODEFRAG: conntrack and the rules below would see none of it", FRAGMENT,
	     COUNT("host_job_forged"), DROP);
	/* tcp flags & syn == syn ct state invalid counter name "host_job_forged" drop */
	RULE(chain, "conntrack was lied to", ANY_SYN, INVALID, COUNT("host_job_forged"), DROP);
	/* meta l4proto icmp jump from_container_icmp */
	RULE(chain, NULL, EQ(F_L4PROTO, 1), JUMP("from_container_icmp"));
	/* meta l4proto ipv6-icmp jump from_container_icmp */
	RULE(chain, NULL, EQ(F_L4PROTO, 58), JUMP("from_container_icmp"));
	/* meta l4proto udp th sport 53 oifname "lo" counter name "host_job_forged" drop */
	RULE(chain, "an answer in the host's resolver's place", EQ(F_L4PROTO, 17),
	     EQ(F_TH_SPORT, 53), NAMED(F_OIFNAME, "lo"), COUNT("host_job_forged"), DROP);
	/* fib saddr type != local counter name "host_job_forged" drop */
	RULE(chain, "another's source would let strangers answer it", NE(F_FIB_SADDR_TYPE, 2),
	     COUNT("host_job_forged"), DROP);
	/* oifname "lo" fib daddr type unicast counter name "host_job_forged" drop */
	RULE(chain, "routed to lo under another's address", NAMED(F_OIFNAME, "lo"),
	     EQ(F_FIB_DADDR_TYPE, 1), COUNT("host_job_forged"), DROP);
	/* ct direction original ct mark & HOST == HOST counter name "host_job_forged" drop */
	RULE(chain, "on a connection of the host: a reset for it would end that", ORIGINAL,
	     BITS(F_CT_MARK, host, host), COUNT("host_job_forged"), DROP);
	/* tcp sport @host_apis fib daddr type local ct direction reply
	 * counter name "host_job_forged" drop */
	RULE(chain, "an answer in the shim's place", IN(SET_HOST_APIS, F_TCP_SPORT), TO_LOCAL,
	     REPLY, COUNT(answer), DROP);
	/* meta l4proto . ip saddr . th sport @published4 counter name "host_job_forged" drop */
	RULE(chain,
	     "in docker-proxy's place: an answer, or a TIME_WAIT that hides a listener from input",
	     IN(SET_PUBLISHED4, F_L4PROTO, F_IP_SADDR, F_TH_SPORT), COUNT(answer), DROP);
	RULE(chain, NULL, IN(SET_PUBLISHED6, F_L4PROTO, F_IP6_SADDR, F_TH_SPORT), COUNT(answer),
	     DROP);
	/* meta l4proto . th sport @published_any counter name "host_job_forged" drop */
	RULE(chain, NULL, IN(SET_PUBLISHED_ANY, F_L4PROTO, F_TH_SPORT), COUNT(answer), DROP);
	if (skeleton->params.guarded)
		/* meta l4proto . th sport @guarded_listeners jump from_guarded_port */
		RULE(chain, "an answer in the place of sshd",
		     IN(SET_GUARDED_LISTENERS, F_L4PROTO, F_TH_SPORT), JUMP("from_guarded_port"));
	/* tcp flags & syn == syn fib daddr type local ct direction reply
	 * counter name "host_job_forged" drop */
	RULE(chain, "a listener's SYN-ACK has no full socket and is not seen here", ANY_SYN,
	     TO_LOCAL, REPLY, COUNT("host_job_forged"), DROP);
	/* tcp flags syn / syn,ack ct direction reply counter name "host_job_forged" drop */
	RULE(chain, "a bare SYN is never a reply", BARE_SYN, REPLY, COUNT("host_job_forged"), DROP);
}

/* The kernel's own errors have no socket of a container. A forged one ends an exchange of the host's, or
 * its connection before that stands: also when conntrack, which compares more than the kernel, calls
 * it invalid. */
static void from_container_icmp(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "from_container_icmp", NULL);

	/* ct state related counter name "host_job_forged" drop */
	RULE(chain, "an error by a raw socket: a job's own come from the kernel", RELATED,
	     COUNT("host_job_forged"), DROP);
	/* ct state invalid counter name "host_job_forged" drop */
	RULE(chain, "the kernel would believe it all the same", INVALID, COUNT("host_job_forged"),
	     DROP);
}

static void from_container(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "from_container",
					     "what sockets of containers on the host network send");

	/* socket cgroupv2 level C @bystander_cgroups return */
	RULE(chain, NULL, IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
	forged(skeleton, chain);
	/* tcp dport @host_apis fib daddr type local counter name "host_job_to_host_api"
	 * goto refuse_host_job */
	RULE(chain, "in any direction: conntrack can be lied to", IN(SET_HOST_APIS, F_TCP_DPORT),
	     TO_LOCAL, COUNT("host_job_to_host_api"), GOTO("refuse_host_job"));
	if (skeleton->params.fenced)
		/* meta l4proto . th dport @fenced_ports fib daddr type local
		 * counter name "host_job_to_fenced" goto refuse_host_job */
		RULE(chain, NULL, IN(SET_FENCED_PORTS, F_L4PROTO, F_TH_DPORT), TO_LOCAL,
		     COUNT("host_job_to_fenced"), GOTO("refuse_host_job"));
	if (forced_bridge(skeleton)) {
		/* socket cgroupv2 level C @fenced_cgroups goto fence */
		RULE(chain, NULL, IN(SET_FENCED_CGROUPS, F_CGROUP_CONTAINER), GOTO("fence"));
		/* goto quarantine */
		RULE(chain, "mode 3 puts no job on the host network", GOTO("quarantine"));
	} else {
		/* socket cgroupv2 level C @quarantined_cgroups goto quarantine */
		RULE(chain, NULL, IN(SET_QUARANTINED_CGROUPS, F_CGROUP_CONTAINER),
		     GOTO("quarantine"));
		foreign_roots(chain, "foreign_quarantine");
		/* goto fence */
		RULE(chain, NULL, GOTO("fence"));
	}
}

/* A job may have a guarded port at its own end of a TCP connection that it opens. A datagram may
 * always be an answer: whom it answers nobody can tell. */
static void from_guarded_port(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "from_guarded_port", NULL);

	/* ct direction reply counter name "guarded_listener" drop */
	RULE(chain, "not refused: a reset would end sshd's connection", REPLY,
	     COUNT("guarded_listener"), DROP);
	/* meta l4proto tcp return */
	RULE(chain, "its own connection", EQ(F_L4PROTO, 6), RETURN);
	/* counter name "guarded_listener" drop */
	RULE(chain, "a datagram may always be an answer", COUNT("guarded_listener"), DROP);
}

static void fence(struct skeleton *skeleton)
{
	/* audit: the way on is the fence's, not that of the host's own packets */
	struct stmt to_bridge = audited(skeleton, GROUP_NEIGHBOURS) ? JUMP("fence_to_bridge")
								    : GOTO("fence_to_bridge");
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "fence",
					     "a host job: all but dstack's ports and other jobs");

	/* oifname @guarded_bridges goto fence_to_bridge, as in forward */
	RULE(chain, "in any direction: a bridge job never opened a connection to this one",
	     IN(SET_GUARDED_BRIDGES, F_OIFNAME), to_bridge);
	RULE(chain, NULL, NAMED(F_OIFNAME, "br-*"), NAMED(F_OIFKIND, "bridge"),
	     NOT_IN(SET_SPARED_BRIDGES, F_OIFNAME), to_bridge);
	/* meta oifkind "veth" oifname != @spared_veths goto fence_to_bridge */
	RULE(chain, "a socket bound to a bridge's port (SO_BINDTODEVICE): past the bridge",
	     NAMED(F_OIFKIND, "veth"), NOT_IN(SET_SPARED_VETHS, F_OIFNAME), to_bridge);
	/* ct direction reply meta l4proto tcp accept */
	RULE(chain, "without a bare SYN it opens nothing", REPLY, EQ(F_L4PROTO, 6), ACCEPT);
	/* meta l4proto . ip daddr . th dport @published4 counter name "host_job_to_published"
	 * goto refuse_host_job */
	RULE(chain, NULL, IN(SET_PUBLISHED4, F_L4PROTO, F_IP_DADDR, F_TH_DPORT),
	     COUNT("host_job_to_published"), GOTO("refuse_host_job"));
	RULE(chain, NULL, IN(SET_PUBLISHED6, F_L4PROTO, F_IP6_DADDR, F_TH_DPORT),
	     COUNT("host_job_to_published"), GOTO("refuse_host_job"));
	/* meta l4proto . th dport @published_any fib daddr type local
	 * counter name "host_job_to_published" goto refuse_host_job */
	RULE(chain, NULL, IN(SET_PUBLISHED_ANY, F_L4PROTO, F_TH_DPORT), TO_LOCAL,
	     COUNT("host_job_to_published"), GOTO("refuse_host_job"));
	/* ct direction reply accept */
	RULE(chain, NULL, REPLY, ACCEPT);
	egress_of_host_job(skeleton, chain);
	/* fib daddr type unicast accept */
	RULE(chain, "LAN and internet; a broadcast may come in again by lo",
	     EQ(F_FIB_DADDR_TYPE, 1), ACCEPT);
	/* ct state untracked tcp dport @own_apis counter name "host_job_to_runner"
	 * goto refuse_host_job */
	RULE(chain, "without conntrack nobody could tell whose runner this is", UNTRACKED,
	     IN(SET_OWN_APIS, F_TCP_DPORT), COUNT("host_job_to_runner"), GOTO("refuse_host_job"));
	/* ct mark set ct mark | CONTAINER */
	RULE(chain, "input and postrouting read it",
	     SET_BIT(F_CT_MARK, skeleton->params.mark_container));
	/* tcp dport @own_apis ct mark set socket cgroupv2 level C map @job_tags */
	RULE(chain, "the tag of a known job; it holds the same bit", IN(SET_OWN_APIS, F_TCP_DPORT),
	     (struct stmt){ .kind = STMT_CT_MARK_MAP,
			    .fields = { F_CGROUP_CONTAINER },
			    .fields_n = 1,
			    .set = SET_JOB_TAGS });
	/* accept */
	RULE(chain, NULL, ACCEPT);

	chain = skeleton_chain(skeleton, FAMILY_INET, "fence_to_bridge", NULL);
	/* ip daddr @bystanders4 meta mark set meta mark | BYSTANDER accept */
	RULE(chain, NULL, IN(SET_BYSTANDERS4, F_IP_DADDR),
	     SET_BIT(F_MARK, skeleton->params.mark_bystander), ACCEPT);
	/* ip6 daddr @bystanders6 meta mark set meta mark | BYSTANDER accept */
	RULE(chain, NULL, IN(SET_BYSTANDERS6, F_IP6_DADDR),
	     SET_BIT(F_MARK, skeleton->params.mark_bystander), ACCEPT);
	/* counter name "host_job_to_bridge" goto refuse_host_job */
	RULE(chain, NULL, COUNT("host_job_to_bridge"), GOTO("refuse_host_job"));
}

static void quarantine(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "quarantine",
					     "answers the host and originates nothing");

	/* ct direction reply fib daddr type local accept */
	RULE(chain, NULL, REPLY, TO_LOCAL, ACCEPT);
	/* counter name "host_job_quarantined" goto refuse_host_job */
	RULE(chain, NULL, COUNT("host_job_quarantined"), GOTO("refuse_host_job"));
	if (audited(skeleton, GROUP_QUARANTINE))
		/* goto fence */
		RULE(chain, "audit: the other groups hold", GOTO("fence"));

	chain = skeleton_chain(skeleton, FAMILY_INET, "refuse_host_job", NULL);
	/* socket cgroupv2 level C @host_jobs goto refuse_known */
	RULE(chain, NULL, IN(SET_HOST_JOBS, F_CGROUP_CONTAINER), GOTO("refuse_known"));
	/* drop */
	RULE(chain,
	     "a container or a service that nobody named yet: it waits, and goes on when it is",
	     DROP);
}

void skeleton_inet_output(struct skeleton *skeleton)
{
	output(skeleton);
	from_container(skeleton);
	from_container_icmp(skeleton);
	if (skeleton->params.guarded)
		from_guarded_port(skeleton);
	fence(skeleton);
	quarantine(skeleton);
	skeleton_foreign(skeleton);
}

static void to_host_api(struct skeleton *skeleton)
{
	uint32_t container = skeleton->params.mark_container;
	uint32_t host = skeleton->params.mark_host;
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "to_host_api",
					     "to port 10997 or 10998, whoever listens there");

	/* tcp flags syn / syn,ack ct direction reply counter name "loopback_forged" drop */
	RULE(chain, "a bare SYN is never a reply", BARE_SYN, REPLY, COUNT("loopback_forged"), DROP);
	/* ct direction reply return */
	RULE(chain, "a job's own connection from that port", REPLY, RETURN);
	/* iifname != "lo" iifname != @guarded_bridges counter name "outside_to_host_api"
	 * goto refuse_known */
	RULE(chain, "from a guarded bridge only bystanders come so far", NOT_NAMED(F_IIFNAME, "lo"),
	     NOT_IN(SET_GUARDED_BRIDGES, F_IIFNAME), COUNT("outside_to_host_api"),
	     GOTO("refuse_known"));
	/* socket cgroupv2 level C @bystander_cgroups return */
	RULE(chain, NULL, IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
	from_containers(skeleton, chain, "a job that listens in the shim's place",
			"shadow_listener", GOTO("refuse_host_job"));
	/* iifname != "lo" return */
	RULE(chain, NULL, NOT_NAMED(F_IIFNAME, "lo"), RETURN);
	/* ct mark & HOST == HOST return */
	RULE(chain, "a socket of the host sent it", BITS(F_CT_MARK, host, host), RETURN);
	/* ct state untracked return */
	RULE(chain, "a host that keeps loopback out of conntrack", UNTRACKED, RETURN);
	if (audited(skeleton, GROUP_HOST_APIS))
		/* ct mark & CONTAINER == CONTAINER return */
		RULE(chain, "audit: a job, counted in output",
		     BITS(F_CT_MARK, container, container), RETURN);
	/* counter name "loopback_forged" drop */
	RULE(chain, "put on lo by a packet socket: never passed output", COUNT("loopback_forged"),
	     DROP);
}

static void from_host_api(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "from_host_api",
					     "what shim and exporter say to a job");

	/* tcp flags & rst == rst return */
	RULE(chain, "the fence's own too: a refused job shall not wait", RST, RETURN);
	/* socket cgroupv2 level C @bystander_cgroups return */
	RULE(chain, NULL, IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
	from_containers(skeleton, chain, "was open before the fence: not a word more",
			"host_job_to_host_api", GOTO("refuse_host_job"));
}

static void from_own_api(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "from_own_api",
					     "what runners say to a host job");

	/* tcp flags & rst == rst return */
	RULE(chain, NULL, RST, RETURN);
	/* socket cgroupv2 level C @bystander_cgroups return */
	RULE(chain, NULL, IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
	/* socket cgroupv2 level C @host_jobs return */
	RULE(chain, "to_own_api judges its acknowledgement", IN(SET_HOST_JOBS, F_CGROUP_CONTAINER),
	     RETURN);
	from_containers(skeleton, chain, "whose runner this is nobody knows yet",
			"host_job_to_runner", DROP);
}

/* An answer from a bridge to a socket of the host: a bystander's, or to the host itself. */
static void bridge_to_host_job(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "bridge_to_host_job", NULL);

	/* socket cgroupv2 level C @bystander_cgroups return */
	RULE(chain, NULL, IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
	/* ip saddr @bystanders4 return */
	RULE(chain, NULL, IN(SET_BYSTANDERS4, F_IP_SADDR), RETURN);
	/* ip6 saddr @bystanders6 return */
	RULE(chain, NULL, IN(SET_BYSTANDERS6, F_IP6_SADDR), RETURN);
	from_containers(skeleton, chain, "was open before the fence", "host_job_to_bridge",
			GOTO("refuse_host_job"));
}

static void to_own_api(struct skeleton *skeleton)
{
	uint32_t container = skeleton->params.mark_container;
	uint32_t host = skeleton->params.mark_host;
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "to_own_api",
					     "to a runner's or sshd's port on the host network");

	/* tcp flags syn / syn,ack ct direction reply counter name "loopback_forged" drop */
	RULE(chain, NULL, BARE_SYN, REPLY, COUNT("loopback_forged"), DROP);
	/* ct direction reply return */
	RULE(chain, NULL, REPLY, RETURN);
	/* socket cgroupv2 level C @bystander_cgroups return */
	RULE(chain, NULL, IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
	/* iifname != "lo" tcp dport != RUNNER return */
	RULE(chain, "nodes of a run reach each other's sshd", NOT_NAMED(F_IIFNAME, "lo"),
	     NE(F_TCP_DPORT, skeleton->params.runner_port), RETURN);
	/* iifname != "lo" goto outside_to_runner */
	RULE(chain, NULL, NOT_NAMED(F_IIFNAME, "lo"), GOTO("outside_to_runner"));
	/* ct mark & (HOST | CONTAINER) == 0 counter name "loopback_forged" drop */
	RULE(chain, "put on lo by a packet socket: never passed output",
	     BITS(F_CT_MARK, host | container, 0), COUNT("loopback_forged"), DROP);
	/* ct mark & CONTAINER == 0 return */
	RULE(chain, "the host: the server's tunnel", BITS(F_CT_MARK, container, 0), RETURN);
	/* ct mark . socket cgroupv2 level C @own return */
	RULE(chain, "a job and its own runner", IN(SET_OWN, F_CT_MARK, F_CGROUP_CONTAINER), RETURN);
	from_containers(skeleton, chain, NULL, "host_job_to_runner", GOTO("refuse_host_job"));

	chain = skeleton_chain(skeleton, FAMILY_INET, "outside_to_runner", NULL);
	from_containers(skeleton, chain, "an old runner listens on every address",
			"outside_to_runner", GOTO("refuse_host_job"));
}

/* One lookup a packet for each list that there is. */
static void input_ports(struct skeleton *skeleton, struct chain *chain)
{
	if (skeleton->params.guarded)
		/* meta l4proto . th dport @guarded_listeners jump to_guarded_listener */
		RULE(chain, NULL, IN(SET_GUARDED_LISTENERS, F_L4PROTO, F_TH_DPORT),
		     JUMP("to_guarded_listener"));
	if (skeleton->params.fenced)
		/* meta l4proto . th sport @fenced_ports ct direction reply iifname "lo"
		 * jump from_fenced_port */
		RULE(chain, NULL, IN(SET_FENCED_PORTS, F_L4PROTO, F_TH_SPORT), REPLY,
		     NAMED(F_IIFNAME, "lo"), JUMP("from_fenced_port"));
}

static void configured_ports(struct skeleton *skeleton)
{
	struct chain *chain;

	if (skeleton->params.guarded) {
		chain = skeleton_chain(skeleton, FAMILY_INET, "to_guarded_listener",
				       "to sshd's port, whoever listens there");
		/* socket cgroupv2 level C @bystander_cgroups return */
		RULE(chain, NULL, IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
		/* ct direction reply tcp flags & (syn | ack) != syn return */
		RULE(chain, "a job's own connection from that port", REPLY, NO_BARE_SYN, RETURN);
		from_containers(skeleton, chain, "a job that listens in sshd's place",
				"guarded_listener", GOTO("refuse_host_job"));
	}
	if (skeleton->params.fenced) {
		chain = skeleton_chain(skeleton, FAMILY_INET, "from_fenced_port",
				       "what fenced services say to a job");
		/* tcp flags & rst == rst return */
		RULE(chain, NULL, RST, RETURN);
		/* socket cgroupv2 level C @bystander_cgroups return */
		RULE(chain, NULL, IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
		from_containers(skeleton, chain, "was open before the fence", "host_job_to_fenced",
				GOTO("refuse_host_job"));
	}
}

/* Who is quarantined, seen from the listening socket. */
static void input_quarantine(struct skeleton *skeleton, struct chain *chain)
{
	if (forced_bridge(skeleton))
		from_containers(skeleton, chain, NULL, NULL, JUMP("to_container"));
	else
		/* socket cgroupv2 level C @quarantined_cgroups jump to_quarantined */
		RULE(chain, NULL, IN(SET_QUARANTINED_CGROUPS, F_CGROUP_CONTAINER),
		     JUMP("to_quarantined"));
}

static void to_quarantined(struct skeleton *skeleton)
{
	uint32_t container = skeleton->params.mark_container;
	struct chain *chain;

	if (forced_bridge(skeleton)) {
		chain = skeleton_chain(skeleton, FAMILY_INET, "to_container", NULL);
		/* socket cgroupv2 level C @bystander_cgroups return */
		RULE(chain, NULL, IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
		/* socket cgroupv2 level C @fenced_cgroups return */
		RULE(chain, NULL, IN(SET_FENCED_CGROUPS, F_CGROUP_CONTAINER), RETURN);
		/* goto to_quarantined */
		RULE(chain, NULL, GOTO("to_quarantined"));
	}
	chain = skeleton_chain(skeleton, FAMILY_INET, "to_quarantined",
			       "only processes of the host reach it");
	if (!forced_bridge(skeleton)) /* it asked before */
		/* socket cgroupv2 level C @bystander_cgroups return */
		RULE(chain, "a job that was released for a time",
		     IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
	/* iifname != "lo" counter name "to_quarantined" goto refuse_host_job */
	RULE(chain, NULL, NOT_NAMED(F_IIFNAME, "lo"), COUNT("to_quarantined"),
	     GOTO("refuse_host_job"));
	if (audited(skeleton, GROUP_QUARANTINE))
		/* iifname != "lo" return */
		RULE(chain, "audit: what is behind is about lo", NOT_NAMED(F_IIFNAME, "lo"),
		     RETURN);
	/* ct mark & CONTAINER == CONTAINER counter name "to_quarantined" goto refuse_host_job */
	RULE(chain, NULL, BITS(F_CT_MARK, container, container), COUNT("to_quarantined"),
	     GOTO("refuse_host_job"));
	/* tcp flags & rst == rst return */
	RULE(chain, "the fence's own: it refuses what this job opens", RST, RETURN);
	/* ct direction reply counter name "to_quarantined" goto refuse_host_job */
	RULE(chain, "it opened nothing: a hole that another job made for frames on lo", REPLY,
	     COUNT("to_quarantined"), GOTO("refuse_host_job"));
	/* ct status & confirmed == 0 counter name "loopback_forged" drop */
	RULE(chain, "put on lo by a packet socket: never passed output", UNCONFIRMED,
	     COUNT("loopback_forged"), DROP);
	/* tcp flags & syn == syn ct state invalid counter name "loopback_forged" drop */
	RULE(chain, NULL, ANY_SYN, INVALID, COUNT("loopback_forged"), DROP);
}

static void from_outside(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "from_outside", NULL);

	/* iifname @guarded_bridges ct direction reply jump bridge_to_host_job, as in prerouting */
	RULE(chain, NULL, IN(SET_GUARDED_BRIDGES, F_IIFNAME), REPLY, JUMP("bridge_to_host_job"));
	RULE(chain, NULL, NAMED(F_IIFNAME, "br-*"), NAMED(F_IIFKIND, "bridge"),
	     NOT_IN(SET_SPARED_BRIDGES, F_IIFNAME), REPLY, JUMP("bridge_to_host_job"));
	/* ct direction reply tcp flags & (syn | ack) != syn return */
	RULE(chain, "a bare SYN and UDP may be a hole that a job made", REPLY, NO_BARE_SYN, RETURN);
	egress_to_service_listener(chain);
	/* meta l4proto . ip daddr . th dport @published4 counter name "outside_to_published"
	 * goto refuse_known */
	RULE(chain, NULL, IN(SET_PUBLISHED4, F_L4PROTO, F_IP_DADDR, F_TH_DPORT),
	     COUNT("outside_to_published"), GOTO("refuse_known"));
	RULE(chain, NULL, IN(SET_PUBLISHED6, F_L4PROTO, F_IP6_DADDR, F_TH_DPORT),
	     COUNT("outside_to_published"), GOTO("refuse_known"));
	/* meta l4proto . th dport @published_any counter name "outside_to_published"
	 * goto refuse_known */
	RULE(chain, NULL, IN(SET_PUBLISHED_ANY, F_L4PROTO, F_TH_DPORT),
	     COUNT("outside_to_published"), GOTO("refuse_known"));
}

void skeleton_inet_input(struct skeleton *skeleton)
{
	uint32_t container = skeleton->params.mark_container;
	/* type filter hook input priority filter - 10 */
	struct chain *chain = skeleton_base_chain(skeleton, FAMILY_INET, "input", NF_INET_LOCAL_IN,
						  NF_IP_PRI_FILTER - 10);

	foreign_roots(chain, "foreign_input");
	/* tcp dport @host_apis jump to_host_api */
	RULE(chain, NULL, IN(SET_HOST_APIS, F_TCP_DPORT), JUMP("to_host_api"));
	/* tcp dport @own_apis jump to_own_api */
	RULE(chain, NULL, IN(SET_OWN_APIS, F_TCP_DPORT), JUMP("to_own_api"));
	/* tcp sport @host_apis ct direction reply iifname "lo" jump from_host_api */
	RULE(chain, NULL, IN(SET_HOST_APIS, F_TCP_SPORT), REPLY, NAMED(F_IIFNAME, "lo"),
	     JUMP("from_host_api"));
	/* tcp sport @own_apis ct direction reply iifname "lo" jump from_own_api */
	RULE(chain, NULL, IN(SET_OWN_APIS, F_TCP_SPORT), REPLY, NAMED(F_IIFNAME, "lo"),
	     JUMP("from_own_api"));
	input_ports(skeleton, chain);
	input_quarantine(skeleton, chain);
	/* iifname != "lo" goto from_outside */
	RULE(chain, NULL, NOT_NAMED(F_IIFNAME, "lo"), GOTO("from_outside"));
	/* meta l4proto . ip daddr . th dport @published4 jump to_published */
	RULE(chain, NULL, IN(SET_PUBLISHED4, F_L4PROTO, F_IP_DADDR, F_TH_DPORT),
	     JUMP("to_published"));
	RULE(chain, NULL, IN(SET_PUBLISHED6, F_L4PROTO, F_IP6_DADDR, F_TH_DPORT),
	     JUMP("to_published"));
	RULE(chain, NULL, IN(SET_PUBLISHED_ANY, F_L4PROTO, F_TH_DPORT), JUMP("to_published"));
	/* ct status & confirmed == 0 socket cgroupv2 level E @engine_cgroups
	 * counter name "loopback_forged" drop */
	RULE(chain, "put on lo by a packet socket", UNCONFIRMED,
	     IN(SET_ENGINE_CGROUPS, F_CGROUP_ENGINE), COUNT("loopback_forged"), DROP);
	/* tcp flags & syn == syn ct state invalid socket cgroupv2 level E @engine_cgroups
	 * counter name "loopback_forged" drop */
	RULE(chain, NULL, ANY_SYN, INVALID, IN(SET_ENGINE_CGROUPS, F_CGROUP_ENGINE),
	     COUNT("loopback_forged"), DROP);
	/* ct mark & CONTAINER == CONTAINER ct direction original
	 * socket cgroupv2 level E @engine_cgroups goto to_docker_proxy */
	RULE(chain, "a port that was published a moment ago and is in no set yet",
	     BITS(F_CT_MARK, container, container), ORIGINAL,
	     IN(SET_ENGINE_CGROUPS, F_CGROUP_ENGINE), GOTO("to_docker_proxy"));

	to_host_api(skeleton);
	from_host_api(skeleton);
	to_own_api(skeleton);
	from_own_api(skeleton);
	configured_ports(skeleton);
	to_quarantined(skeleton);

	bridge_to_host_job(skeleton);
	from_outside(skeleton);

	chain = skeleton_chain(skeleton, FAMILY_INET, "to_published", NULL);
	/* ct direction reply return */
	RULE(chain, NULL, REPLY, RETURN);
	/* socket cgroupv2 level C @bystander_cgroups return */
	RULE(chain, NULL, IN(SET_BYSTANDER_CGROUPS, F_CGROUP_CONTAINER), RETURN);
	from_containers(skeleton, chain, "a job that listens in docker-proxy's place",
			"shadow_listener", GOTO("refuse_host_job"));

	chain = skeleton_chain(skeleton, FAMILY_INET, "to_docker_proxy", NULL);
	/* meta l4proto . th dport @bystander_published return */
	RULE(chain, NULL, IN(SET_BYSTANDER_PUBLISHED, F_L4PROTO, F_TH_DPORT), RETURN);
	/* counter name "host_job_to_published" goto refuse */
	RULE(chain, NULL, COUNT("host_job_to_published"), GOTO("refuse"));
}
