/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of one TCP connection through the hooks of the kernel: which ones a packet passes, and what
 * each of them knows of it. The rules judge (rules_eval.c); here is no opinion. Pure.
 */
#include "reach-internal.h"

#include <netinet/in.h> /* before the kernel's own */

#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>
#include <string.h>

#define OUTSIDE_NAME "outside" /* an interface that is none of Docker's */
#define OUTSIDE_INDEX INT32_MAX
#define LOCAL_PORT 40000
#define TCP_SYN 0x02
#define TCP_ACK 0x10
#define CT_NEW 0x08
#define CT_ESTABLISHED 0x02
#define CT_CONFIRMED 0x08
#define FIB_UNICAST 1
#define FIB_LOCAL 2

/* One packet under way. */
struct way {
	const struct reach_input *input;
	struct rules rules;
	const struct side *from, *to;
	struct packet packet;
	struct judged judged;
	bool by_listener; /* input stopped it, or would */
};

static void name(char *to, const char *text)
{
	snprintf(to, IFNAMSIZ, "%s", text);
}

static void at(struct way *way, enum family family, uint32_t hook)
{
	const char *audited = way->judged.audited;

	if (way->judged.ruling != RULING_PASS)
		return;
	rules_hook(&way->rules, family, hook, &way->packet, &way->judged);
	if (family == FAMILY_INET && hook == NF_INET_LOCAL_IN)
		way->by_listener =
			way->judged.ruling == RULING_DENY || way->judged.audited != audited;
}

/* Names by which a hook knows where the packet came in and goes out; NULL: it does not. */
static void devices(struct way *way, const char *iif, const char *iifkind, const char *oif,
		    const char *oifkind)
{
	name(way->packet.iif, iif ?: "");
	name(way->packet.iifkind, iifkind ?: "");
	name(way->packet.oif, oif ?: "");
	name(way->packet.oifkind, oifkind ?: "");
}

static bool bridged(const struct way *way)
{
	return way->from->kind == SIDE_PORT && way->to->kind == SIDE_PORT &&
	       way->from->bridge_index == way->to->bridge_index;
}

static const char *in_name(const struct way *way)
{
	switch (way->from->kind) {
	case SIDE_PORT:
		return way->from->bridge;
	case SIDE_HOST:
		return "lo";
	case SIDE_OUTSIDE:
		return OUTSIDE_NAME;
	}
	return "";
}

static const char *out_name(const struct way *way)
{
	switch (way->to->kind) {
	case SIDE_PORT:
		return way->to->bridge;
	case SIDE_HOST:
		return "lo";
	case SIDE_OUTSIDE:
		return OUTSIDE_NAME;
	}
	return "";
}

static const char *kind(const struct side *side)
{
	return side->kind == SIDE_PORT ? "bridge" : NULL;
}

static void frame_in(struct way *way, uint32_t hook)
{
	devices(way, way->from->port, "veth", NULL, NULL);
	name(way->packet.ibrname, way->from->bridge);
	at(way, FAMILY_BRIDGE, hook);
}

static void frame_between(struct way *way)
{
	devices(way, way->from->port, "veth", way->to->port, "veth");
	name(way->packet.ibrname, way->from->bridge);
	at(way, FAMILY_BRIDGE, NF_BR_FORWARD);
}

static void egress(struct way *way, bool routed)
{
	devices(way, NULL, NULL, way->to->port, "veth");
	way->packet.routed = routed;
	rules_egress(&way->rules, &way->packet, &way->judged);
}

/* Who is behind the port has to be found first: by what says so the bridge is asked too. */
static void find_neighbour(const struct way *way, struct judged *ret_judged)
{
	struct way question = *way;

	question.packet.tcp_flags = 0;
	memset(question.packet.ether_dst.bytes, 0xff, sizeof(question.packet.ether_dst.bytes));
	if (way->from->addr.family == AF_INET) {
		question.packet.ethertype = 0x0806;
		frame_in(&question, NF_BR_PRE_ROUTING);
	} else {
		question.packet.l4proto = IPPROTO_ICMPV6;
	}
	frame_between(&question);
	*ret_judged = question.judged;
}

static void between_ports(struct way *way)
{
	bool calls = way->input->bridge_calls[way->from->addr.family == AF_INET6];
	struct judged neighbour;

	find_neighbour(way, &neighbour);
	if (neighbour.ruling != RULING_PASS) {
		way->judged = neighbour;
		return;
	}
	frame_in(way, NF_BR_PRE_ROUTING);
	if (calls) {
		devices(way, way->from->bridge, "bridge", NULL, NULL);
		at(way, FAMILY_INET, NF_INET_PRE_ROUTING);
	}
	frame_between(way);
	if (calls) {
		devices(way, way->from->bridge, "bridge", way->to->bridge, "bridge");
		at(way, FAMILY_INET, NF_INET_FORWARD);
		at(way, FAMILY_INET, NF_INET_POST_ROUTING);
	}
	egress(way, false);
}

/* Out of this host, or to a port of a bridge. */
static void leave(struct way *way)
{
	devices(way, NULL, NULL, out_name(way), kind(way->to));
	at(way, FAMILY_INET, NF_INET_POST_ROUTING);
	if (way->to->kind != SIDE_PORT)
		return;
	way->packet.ether_dst = way->to->mac;
	devices(way, NULL, NULL, way->to->port, "veth");
	at(way, FAMILY_BRIDGE, NF_BR_LOCAL_OUT);
	egress(way, true);
}

static void arrive(struct way *way)
{
	devices(way, in_name(way), kind(way->from), NULL, NULL);
	at(way, FAMILY_INET, NF_INET_PRE_ROUTING);
	if (way->to->kind == SIDE_HOST) {
		memcpy(way->packet.cgroup, way->to->cgroup, sizeof(way->packet.cgroup));
		at(way, FAMILY_INET, NF_INET_LOCAL_IN);
		return;
	}
	devices(way, in_name(way), kind(way->from), out_name(way), kind(way->to));
	at(way, FAMILY_INET, NF_INET_FORWARD);
	leave(way);
}

static void send_from_host(struct way *way)
{
	memcpy(way->packet.cgroup, way->from->cgroup, sizeof(way->packet.cgroup));
	devices(way, NULL, NULL, out_name(way), kind(way->to));
	at(way, FAMILY_INET, NF_INET_LOCAL_OUT);
	memset(way->packet.cgroup, 0, sizeof(way->packet.cgroup));
	way->packet.routed = true;
	if (way->to->kind != SIDE_HOST) {
		leave(way);
		return;
	}
	at(way, FAMILY_INET, NF_INET_POST_ROUTING);
	way->packet.ct_status = CT_CONFIRMED;
	arrive(way);
}

static void go(struct way *way)
{
	if (way->from->kind == SIDE_HOST) {
		send_from_host(way);
	} else if (bridged(way)) {
		between_ports(way);
	} else {
		if (way->from->kind == SIDE_PORT) {
			frame_in(way, NF_BR_PRE_ROUTING);
			frame_in(way, NF_BR_LOCAL_IN);
		}
		arrive(way);
	}
}

static uint32_t route(const struct side *to)
{
	if (to->kind == SIDE_PORT)
		return (uint32_t)to->bridge_index;
	return to->kind == SIDE_HOST ? 1 : OUTSIDE_INDEX;
}

static void start(struct way *way, const struct reach_input *input, const struct side *from,
		  const struct side *to)
{
	*way = (struct way){ .input = input,
			     .rules = { input->skeleton, input->ruleset, input->kept },
			     .from = from,
			     .to = to };
	way->packet = (struct packet){
		.ethertype = from->addr.family == AF_INET ? 0x0800 : 0x86dd,
		.ether_src = from->mac,
		.ether_dst = { { 0x02, 0x01 } },
		.src = from->addr,
		.dst = to->addr,
		.l4proto = IPPROTO_TCP,
		.fib_saddr_type = from->kind == SIDE_HOST ? FIB_LOCAL : FIB_UNICAST,
		.fib_daddr_type = to->kind == SIDE_HOST ? FIB_LOCAL : FIB_UNICAST,
		.fib_daddr_iif_type = to->kind == SIDE_HOST ? FIB_LOCAL : FIB_UNICAST,
		.fib_daddr_oif = route(to),
		.fib_saddr_iif = route(from),
	};
}

void reach_walk(const struct reach_input *input, const struct side *from, const struct side *to,
		uint16_t port, struct judged *ret_judged, bool *ret_by_listener)
{
	struct way there, back;

	start(&there, input, from, to);
	there.packet.sport = LOCAL_PORT;
	there.packet.dport = port;
	there.packet.tcp_flags = TCP_SYN;
	there.packet.ct_state = CT_NEW;
	go(&there);
	*ret_judged = there.judged;
	*ret_by_listener = there.by_listener;
	if (there.judged.ruling != RULING_PASS)
		return;
	start(&back, input, to, from);
	back.packet.sport = port;
	back.packet.dport = LOCAL_PORT;
	back.packet.tcp_flags = TCP_ACK;
	back.packet.ct_state = CT_ESTABLISHED;
	back.packet.ct_status = CT_CONFIRMED;
	back.packet.ct_mark = there.packet.ct_mark;
	back.packet.reply = true;
	go(&back);
	if (there.judged.audited)
		back.judged.audited = there.judged.audited;
	*ret_judged = back.judged;
	*ret_by_listener = there.by_listener || back.judged.ruling == RULING_DENY;
}
