/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names both ends of what was stopped, by what its rule relies on itself: a bridge job by its port,
 * address or MAC, a host job by its tag. Where none of it is known the kind of sender is named and no
 * more. Pure.
 */
#include "attempt-internal.h"

#include <netinet/in.h> /* before the kernel's own */

#include <linux/netfilter.h>
#include <string.h>

/* clang-format off */
static const struct attempt_rule rules[] = {
	{ .name = "spoofed", .by = BY_SENDER, .say = SAY_SEND, .what = "packets with a source that is not its own", .from_bridge = true },
	{ .name = "past_bridge", .by = BY_SENDER, .say = SAY_SEND, .what = "frames that pass its bridge by", .from_bridge = true },
	{ .name = "job_to_host", .by = BY_SENDER, .say = SAY_REACH, .what = "this host", .from_bridge = true },
	{ .name = "job_to_bystander", .by = BY_SENDER, .say = SAY_REACH, .what = "a container", .from_bridge = true },
	{ .name = "to_job", .by = BY_SENDER, .say = SAY_REACH, .what = "a container" },
	{ .name = "bridge_job_quarantined", .by = BY_SENDER, .say = SAY_REACH, .what = "", .from_bridge = true },
	{ .name = "job_to_denied", .by = BY_SENDER, .say = SAY_REACH, .what = "what the configuration denies", .from_bridge = true },
	{ .name = "job_to_metadata", .by = BY_SENDER, .say = SAY_REACH, .what = "the cloud's metadata", .from_bridge = true },
	{ .name = "job_to_internal", .by = BY_SENDER, .say = SAY_REACH, .what = "an internal network", .from_bridge = true },
	{ .name = "host_job_to_host_api", .by = BY_TAG, .say = SAY_REACH, .what = "dstack's port" },
	{ .name = "host_job_forged", .by = BY_TAG, .say = SAY_SEND, .what = "raw packets in somebody else's place" },
	{ .name = "host_job_to_published", .by = BY_TAG, .say = SAY_REACH, .what = "a published port" },
	{ .name = "host_job_to_bridge", .by = BY_TAG, .say = SAY_REACH, .what = "a container on a bridge" },
	{ .name = "host_job_quarantined", .by = BY_TAG, .say = SAY_REACH, .what = "" },
	{ .name = "host_job_to_metadata", .by = BY_TAG, .say = SAY_REACH, .what = "the cloud's metadata" },
	{ .name = "host_job_to_internal", .by = BY_TAG, .say = SAY_REACH, .what = "an internal network" },
	{ .name = "host_job_to_runner", .by = BY_TAG, .say = SAY_REACH, .what = "another job's runner" },
	{ .name = "outside_to_host_api", .by = BY_SENDER, .say = SAY_REACH, .what = "dstack's port" },
	{ .name = "outside_to_runner", .by = BY_SENDER, .say = SAY_REACH, .what = "a job's runner", .target_tag = true },
	{ .name = "outside_to_published", .by = BY_SENDER, .say = SAY_REACH, .what = "a job's published port" },
	{ .name = "shadow_listener", .by = BY_TAG, .say = SAY_LISTEN, .what = "a published port" },
	{ .name = "guarded_listener", .by = BY_TAG, .say = SAY_LISTEN, .what = "a service of this host" },
	{ .name = "host_job_to_fenced", .by = BY_TAG, .say = SAY_REACH, .what = "a fenced port of this host" },
	{ .name = "loopback_forged", .by = BY_NOBODY, .say = SAY_SEND, .what = "frames on lo that no socket of this host sent" },
	{ .name = "to_quarantined", .by = BY_SENDER, .say = SAY_REACH, .what = "a quarantined job", .target_tag = true },
	{ .name = "job_to_neighbour", .by = BY_SENDER, .say = SAY_REACH, .what = "a neighbour" },
	{ .name = "job_spoofed", .by = BY_SENDER, .say = SAY_SEND, .what = "frames with an address or MAC that is not its own" },
	{ .name = "unknown_spoofed", .by = BY_SENDER, .say = SAY_SEND, .what = "frames with an address that is another's" },
	{ .name = "job_control", .by = BY_SENDER, .say = SAY_SEND, .what = "what only a router or a DHCP server says" },
	{ .name = "injected", .by = BY_NOBODY, .say = SAY_SEND, .what = "frames to a container's port, past the host" },
};
/* clang-format on */

const struct attempt_rule *attempt_rule(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].name, name) == 0)
			return &rules[i];
	return NULL;
}

/* A packet of an answer: of who is looked for it is the other end. */
static bool is_answer(const struct attempt *a)
{
	static const char *const in_input[] = { "host_job_to_host_api", "host_job_to_bridge",
						"host_job_to_fenced" };

	if (a->family == NFPROTO_BRIDGE || a->family == NFPROTO_NETDEV)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(in_input); i++)
		if (strcmp(a->rule, in_input[i]) == 0)
			return a->hook == NF_INET_LOCAL_IN;
	if (strcmp(a->rule, "job_to_host") == 0)
		return a->hook == NF_INET_POST_ROUTING;
	return strcmp(a->rule, "bridge_job_quarantined") == 0 && a->hook == NF_INET_FORWARD;
}

static void turn_round(struct attempt *a)
{
	struct attempt turned = *a;

	turned.from = a->to;
	turned.to = a->from;
	turned.from_port = a->to_port;
	turned.to_port = a->from_port;
	turned.in = a->out;
	turned.out = a->in;
	turned.in_port = a->out_port;
	turned.out_port = a->in_port;
	turned.mac = (struct mac_addr){ 0 };
	*a = turned;
}

/* A container's interface was where it came in. */
static bool came_from_bridge(const struct attempt *a, const struct directory *directory)
{
	return a->in_port || directory_is_bridge(directory, a->in);
}

static const struct known *find_sender(const struct attempt *a, const struct directory *directory)
{
	const struct known *known;

	/* a port is an identity; in table bridge an address is only what the frame says */
	if (a->family == NFPROTO_BRIDGE)
		return directory_port(directory, a->in_port ?: a->in);
	known = directory_port(directory, a->in_port);
	if (!known)
		known = directory_port(directory, a->in); /* past its bridge */
	if (!known && a->in)
		known = directory_address(directory, a->in, &a->from);
	if (!known)
		known = directory_mac(directory, a->in, &a->mac);
	return known;
}

static const struct known *find_target(const struct attempt *a, const struct attempt_rule *rule,
				       const struct directory *directory)
{
	const struct known *known = NULL;

	if (rule->target_tag)
		known = directory_tag(directory, a->mark);
	if (!known && strstr(rule->name, "published"))
		known = directory_published(directory, a->protocol, &a->to, a->to_port);
	if (!known && rule->by == BY_NOBODY)
		known = directory_port(directory, a->out);
	if (!known)
		known = directory_address(directory, 0, &a->to);
	return known;
}

/* In both, the one of now first. */
static const struct known *sender(const struct attempt *a, const struct attempt_rule *rule,
				  const struct directory *now, const struct directory *before)
{
	const struct known *known = NULL;

	if (rule->by == BY_TAG)
		return directory_tag(now, a->mark) ?: directory_tag(before, a->mark);
	if (rule->by == BY_SENDER)
		known = find_sender(a, now) ?: find_sender(a, before);
	return known;
}

static struct party nobody(const struct attempt *a, const struct attempt_rule *rule,
			   const struct directory *now)
{
	struct party party = { .kind = PARTY_OUTSIDE };

	if (rule->by == BY_TAG)
		party.kind = PARTY_HOST_JOB;
	else if (rule->by == BY_NOBODY)
		party.kind = PARTY_UNKNOWN;
	else if (rule->from_bridge || a->family == NFPROTO_BRIDGE || came_from_bridge(a, now))
		party.kind = PARTY_UNNAMED;
	else if (!ip_addr_is_set(&a->from))
		party.kind = PARTY_UNKNOWN;
	else if (!a->in || ip_addr_is_loopback(&a->from))
		party.kind = PARTY_HOST;
	return party;
}

static bool is_broadcast(const struct ip_addr *ip)
{
	static const uint8_t all[4] = { 255, 255, 255, 255 };

	return ip->family == AF_INET && memcmp(ip->bytes, all, sizeof(all)) == 0;
}

/* A question goes to all ports of a bridge, and so does a greeting: only one asked for a container is
 * an attempt, at the port of that one where it is known. */
static bool is_attempt(const struct attempt *a, const struct attempt_rule *rule,
		       const struct directory *now, const struct attempt_record *record)
{
	const struct known *port = directory_port(now, a->out_port ?: a->out);

	/* in audit what every container says at its start comes as far as the next rule */
	if (rule->say == SAY_SEND)
		return !(a->audit && ip_addr_is_any(&a->from));
	if (rule->say == SAY_LISTEN)
		return true;
	if (a->question && a->family == NFPROTO_BRIDGE)
		return record->target.kind == PARTY_CONTAINER &&
		       strcmp(record->target.id, record->who.id) != 0 &&
		       (!port || strcmp(known_id(port), record->target.id) == 0);
	if (a->family == NFPROTO_BRIDGE && !a->protocol)
		return false;
	return !ip_addr_is_multicast(&a->to) && !is_broadcast(&a->to);
}

bool attempt_attribute(const struct attempt *attempt, const struct directory *now,
		       const struct directory *before, struct attempt_record *ret_record)
{
	const struct attempt_rule *rule = attempt_rule(attempt->rule);
	struct attempt_record record = { .attempt = *attempt, .count = 1 };
	const struct known *who, *target;

	if (!rule)
		return false;
	if (is_answer(attempt))
		turn_round(&record.attempt);
	who = sender(&record.attempt, rule, now, before);
	target = find_target(&record.attempt, rule, now)
			 ?: find_target(&record.attempt, rule, before);
	record.who = who ? known_party(who) : nobody(&record.attempt, rule, now);
	if (target && (!who || strcmp(known_id(who), known_id(target)) != 0))
		record.target = known_party(target);
	if (!is_attempt(&record.attempt, rule, now, &record))
		return false;
	*ret_record = record;
	return true;
}
