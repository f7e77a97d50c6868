/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules for what jobs reach beyond the host: networks that are not the internet, the cloud's
 * metadata, what the operator opens and denies, and the resolvers and proxies in between.
 *
 * A packet to the internet pays for three lookups and no more; the rest is behind a goto. Nothing
 * here asks conntrack, so that what is untracked is denied the same. A lookup with ports needs the
 * first fragment: conntrack puts fragments together (-400) before prerouting and output see them,
 * and where somebody took it out, a later fragment without its first is of no use to anyone.
 */
#include "skeleton-internal.h"

#include "jobfence/config.h"

#define RTN_UNICAST_ 1

/* KEY . protocol . port of both families, with one verdict */
#define PORTS_RULE(chain, why, set4, set6, addr4, addr6, port, ...)               \
	do {                                                                      \
		RULE(chain, why, IN(set4, addr4, F_L4PROTO, port), __VA_ARGS__);  \
		RULE(chain, NULL, IN(set6, addr6, F_L4PROTO, port), __VA_ARGS__); \
	} while (0)

/* ADDRESS of both families, with one verdict */
#define ADDR_RULE(chain, why, set4, set6, ...)                         \
	do {                                                           \
		RULE(chain, why, IN(set4, F_IP_DADDR), __VA_ARGS__);   \
		RULE(chain, NULL, IN(set6, F_IP6_DADDR), __VA_ARGS__); \
	} while (0)

static void denied(struct chain *chain, const char *counter, const char *refuse)
{
	/* ip daddr @deny4 counter name COUNTER goto REFUSE */
	ADDR_RULE(chain, NULL, SET_DENY4, SET_DENY6, COUNT(counter), GOTO(refuse));
	/* ip daddr . meta l4proto . th dport @deny_ports4 counter name COUNTER goto REFUSE */
	PORTS_RULE(chain, NULL, SET_DENY_PORTS4, SET_DENY_PORTS6, F_IP_DADDR, F_IP6_DADDR,
		   F_TH_DPORT, COUNT(counter), GOTO(refuse));
}

static void services(struct chain *chain, const char *why)
{
	/* ip daddr . meta l4proto . th dport @services4 accept */
	PORTS_RULE(chain, why, SET_SERVICES4, SET_SERVICES6, F_IP_DADDR, F_IP6_DADDR, F_TH_DPORT,
		   ACCEPT);
}

static void allowed(struct chain *chain)
{
	/* ip daddr @allow4 accept */
	ADDR_RULE(chain, NULL, SET_ALLOW4, SET_ALLOW6, ACCEPT);
	/* ip daddr . meta l4proto . th dport @allow_ports4 accept */
	PORTS_RULE(chain, NULL, SET_ALLOW_PORTS4, SET_ALLOW_PORTS6, F_IP_DADDR, F_IP6_DADDR,
		   F_TH_DPORT, ACCEPT);
}

void egress_of_bridge(const struct skeleton *skeleton, struct chain *chain)
{
	const struct skeleton_params *params = &skeleton->params;

	denied(chain, "job_to_denied", "refuse");
	switch ((enum egress)params->egress_bridge) {
	case EGRESS_INTERNET:
		/* ip daddr @internal4 goto from_bridge_to_internal */
		ADDR_RULE(chain, NULL, SET_INTERNAL4, SET_INTERNAL6,
			  GOTO("from_bridge_to_internal"));
		break;
	case EGRESS_ANY:
		if (!params->metadata_bridge)
			/* ip daddr @metadata4 goto from_bridge_to_internal */
			ADDR_RULE(chain, NULL, SET_METADATA4, SET_METADATA6,
				  GOTO("from_bridge_to_internal"));
		break;
	case EGRESS_NONE:
		/* goto from_bridge_to_internal */
		RULE(chain, "egress = none: the internet too", GOTO("from_bridge_to_internal"));
		break;
	}
}

static void from_bridge_to_internal(struct skeleton *skeleton)
{
	const struct skeleton_params *params = &skeleton->params;
	struct chain *chain;

	if (params->egress_bridge == EGRESS_ANY && params->metadata_bridge)
		return;
	chain = skeleton_chain(skeleton, FAMILY_INET, "from_bridge_to_internal",
			       "to what is not the internet");
	services(chain, "also where such an address is metadata");
	if (params->metadata_bridge)
		/* ip daddr @metadata4 accept */
		ADDR_RULE(chain, NULL, SET_METADATA4, SET_METADATA6, ACCEPT);
	else
		/* ip daddr @metadata4 counter name "job_to_metadata" goto refuse */
		ADDR_RULE(chain, NULL, SET_METADATA4, SET_METADATA6, COUNT("job_to_metadata"),
			  GOTO("refuse"));
	if (params->egress_bridge != EGRESS_ANY) {
		allowed(chain);
		/* fib daddr oif @guarded_links accept */
		RULE(chain, "other containers: forward and table bridge decide",
		     IN(SET_GUARDED_LINKS, F_FIB_DADDR_OIF), ACCEPT);
		/* counter name "job_to_internal" goto refuse */
		RULE(chain, NULL,
		     COUNT(params->egress_bridge == EGRESS_NONE ? "job_to_denied"
								: "job_to_internal"),
		     GOTO("refuse"));
	}
	if (params->egress_bridge == EGRESS_ANY || audited(skeleton, GROUP_EGRESS))
		/* accept */
		RULE(chain, "audit, or nothing else is closed", ACCEPT);
}

void egress_to_host_service(struct chain *chain)
{
	/* ip daddr . meta l4proto . th dport @services4 jump to_host_service */
	PORTS_RULE(chain, "a resolver or proxy that is the host itself", SET_SERVICES4,
		   SET_SERVICES6, F_IP_DADDR, F_IP6_DADDR, F_TH_DPORT, JUMP("to_host_service"));
}

static void to_host_service(struct skeleton *skeleton)
{
	struct chain *chain = skeleton_chain(skeleton, FAMILY_INET, "to_host_service", NULL);

	/* meta l4proto . ip daddr . th dport @published4 return */
	RULE(chain, "the port is another job's",
	     IN(SET_PUBLISHED4, F_L4PROTO, F_IP_DADDR, F_TH_DPORT), RETURN);
	RULE(chain, NULL, IN(SET_PUBLISHED6, F_L4PROTO, F_IP6_DADDR, F_TH_DPORT), RETURN);
	RULE(chain, NULL, IN(SET_PUBLISHED_ANY, F_L4PROTO, F_TH_DPORT), RETURN);
	/* iifname . ip saddr @quarantined4 return */
	RULE(chain, NULL, IN(SET_QUARANTINED4, F_IIFNAME, F_IP_SADDR), RETURN);
	RULE(chain, NULL, IN(SET_QUARANTINED6, F_IIFNAME, F_IP6_SADDR), RETURN);
	denied(chain, "job_to_denied", "refuse");
	/* accept */
	RULE(chain, NULL, ACCEPT);
}

void egress_answer_of_service(struct chain *chain)
{
	/* ip saddr . meta l4proto . th sport @services4 return */
	PORTS_RULE(chain, "a resolver or proxy that is the host itself", SET_SERVICES4,
		   SET_SERVICES6, F_IP_SADDR, F_IP6_SADDR, F_TH_SPORT, RETURN);
}

void egress_to_service_listener(struct chain *chain)
{
	/* ip daddr . meta l4proto . th dport @services4 jump to_published */
	PORTS_RULE(chain, "nobody listens in a resolver's or proxy's place", SET_SERVICES4,
		   SET_SERVICES6, F_IP_DADDR, F_IP6_DADDR, F_TH_DPORT, JUMP("to_published"));
}

void egress_of_host_job(const struct skeleton *skeleton, struct chain *chain)
{
	const struct skeleton_params *params = &skeleton->params;

	if (!params->metadata_host)
		/* ip daddr @metadata4 jump fence_to_metadata */
		ADDR_RULE(chain,
			  "answers are accepted above: Azure probes listeners from such an address",
			  SET_METADATA4, SET_METADATA6, JUMP("fence_to_metadata"));
	if (params->egress_host == EGRESS_ANY)
		return;
	/* fib daddr type unicast goto fence_to_internet */
	RULE(chain, NULL, EQ(F_FIB_DADDR_TYPE, RTN_UNICAST_), GOTO("fence_to_internet"));
	/* fib daddr type != local counter name "host_job_to_internal" goto refuse_host_job */
	RULE(chain, "broadcast and multicast", NE(F_FIB_DADDR_TYPE, 2 /* RTN_LOCAL */),
	     COUNT("host_job_to_internal"), GOTO("refuse_host_job"));
}

static void fence_to_metadata(struct skeleton *skeleton)
{
	struct chain *chain;

	if (skeleton->params.metadata_host)
		return;
	chain = skeleton_chain(skeleton, FAMILY_INET, "fence_to_metadata", NULL);
	/* tcp dport 53 return */
	RULE(chain, "the resolver of AWS, Azure and Google", EQ(F_TCP_DPORT, 53), RETURN);
	/* meta l4proto udp th dport 53 return */
	RULE(chain, NULL, EQ(F_L4PROTO, 17), EQ(F_TH_DPORT, 53), RETURN);
	/* counter name "host_job_to_metadata" goto refuse_host_job */
	RULE(chain, NULL, COUNT("host_job_to_metadata"), GOTO("refuse_host_job"));
}

static void fence_to_internet(struct skeleton *skeleton)
{
	struct chain *chain;

	if (skeleton->params.egress_host == EGRESS_ANY)
		return;
	chain = skeleton_chain(skeleton, FAMILY_INET, "fence_to_internet",
			       "host = internet: what a host job may reach beyond the host");
	denied(chain, "host_job_to_internal", "refuse_host_job");
	services(chain, NULL);
	/* ip daddr @metadata4 accept */
	ADDR_RULE(chain, "decided above", SET_METADATA4, SET_METADATA6, ACCEPT);
	allowed(chain);
	/* ip daddr @peers4 accept */
	ADDR_RULE(chain, NULL, SET_PEERS4, SET_PEERS6, ACCEPT);
	/* ip daddr @internal4 counter name "host_job_to_internal" goto refuse_host_job */
	ADDR_RULE(chain, NULL, SET_INTERNAL4, SET_INTERNAL6, COUNT("host_job_to_internal"),
		  GOTO("refuse_host_job"));
	/* accept */
	RULE(chain, NULL, ACCEPT);
}

void skeleton_inet_egress(struct skeleton *skeleton)
{
	from_bridge_to_internal(skeleton);
	to_host_service(skeleton);
	fence_to_metadata(skeleton);
	fence_to_internet(skeleton);
}
