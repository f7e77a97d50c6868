/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each field of a rule reads from a described packet, in the bytes that the kernel has in its
 * register. A field that this packet does not have ends the rule, as in the kernel; one that nobody
 * described here is unknown, and must never be taken for either.
 */
#include "jobfence/packet.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "field-internal.h"

static enum readable give(const void *from, uint32_t len, uint8_t *bytes, uint32_t *ret_len)
{
	memcpy(bytes, from, len);
	*ret_len = len;
	return READ_YES;
}

static enum readable give_name(const char *name, uint8_t *bytes, uint32_t *ret_len)
{
	memset(bytes, 0, IFNAMSIZ);
	memcpy(bytes, name, strnlen(name, IFNAMSIZ - 1));
	*ret_len = IFNAMSIZ;
	return READ_YES;
}

static enum readable give_addr(const struct ip_addr *addr, uint16_t family, uint8_t *bytes,
			       uint32_t *ret_len)
{
	return addr->family == family
		       ? give(addr->bytes, family == AF_INET ? 4 : 16, bytes, ret_len)
		       : READ_ABSENT;
}

static enum readable read_cgroup(const struct packet *packet, const struct skeleton_params *params,
				 enum field field, uint8_t *bytes, uint32_t *ret_len)
{
	uint32_t level = field_level(field, params);

	if (level > PACKET_LEVELS_MAX)
		return READ_UNKNOWN;
	return packet->cgroup[level] ? give(&packet->cgroup[level], 8, bytes, ret_len)
				     : READ_ABSENT;
}

static bool has_ports(const struct packet *packet)
{
	return packet->ethertype != 0x0806 &&
	       (packet->l4proto == IPPROTO_TCP || packet->l4proto == IPPROTO_UDP);
}

/* Names, kinds and MACs: what is no number. */
enum readable packet_bytes(const struct packet *packet, const struct skeleton_params *params,
			   enum field field, uint8_t bytes[static 16], uint32_t *ret_len)
{
	bool arp = packet->ethertype == 0x0806;
	uint32_t number;
	uint16_t port;

	if (field_level(field, params) > 0)
		return read_cgroup(packet, params, field, bytes, ret_len);
	if (field == F_IIFNAME || field == F_OIFNAME)
		return give_name(field == F_IIFNAME ? packet->iif : packet->oif, bytes, ret_len);
	if (field == F_IBRNAME)
		return packet->ibrname[0] ? give_name(packet->ibrname, bytes, ret_len)
					  : READ_ABSENT;
	if (field == F_IIFKIND || field == F_OIFKIND) {
		const char *kind = field == F_IIFKIND ? packet->iifkind : packet->oifkind;

		return kind[0] ? give_name(kind, bytes, ret_len) : READ_ABSENT;
	}
	if (field == F_IP_SADDR || field == F_IP6_SADDR)
		return arp ? READ_ABSENT
			   : give_addr(&packet->src, field == F_IP_SADDR ? AF_INET : AF_INET6,
				       bytes, ret_len);
	if (field == F_IP_DADDR || field == F_IP6_DADDR)
		return arp ? READ_ABSENT
			   : give_addr(&packet->dst, field == F_IP_DADDR ? AF_INET : AF_INET6,
				       bytes, ret_len);
	if (field == F_ARP_SADDR_IP)
		return arp ? give_addr(&packet->src, AF_INET, bytes, ret_len) : READ_ABSENT;
	if (field == F_ETHER_SADDR || field == F_RAW_ETHER_SADDR)
		return give(packet->ether_src.bytes, 6, bytes, ret_len);
	if (field == F_ETHER_DADDR)
		return give(packet->ether_dst.bytes, 6, bytes, ret_len);
	if (field == F_ARP_SADDR_ETHER)
		return arp ? give(packet->ether_src.bytes, 6, bytes, ret_len) : READ_ABSENT;
	enum readable readable = packet_number(packet, params, field, &number);

	if (readable != READ_YES)
		return readable;
	switch (field_spec(field)->len) {
	case 1:
		return give(&(uint8_t){ (uint8_t)number }, 1, bytes, ret_len);
	case 2:
		port = htons((uint16_t)number);
		return give(&port, 2, bytes, ret_len);
	case 4:
		return give(&number, 4, bytes, ret_len);
	}
	return READ_UNKNOWN;
}

static enum readable number_if(bool there, uint32_t number, uint32_t *ret_number)
{
	*ret_number = number;
	return there ? READ_YES : READ_ABSENT;
}

/* What conntrack says. An invalid or untracked packet has a state and nothing else. */
static enum readable ct_number(const struct packet *packet, enum field field, uint32_t *ret_number)
{
	bool known = !(packet->ct_state & 0x41);

	if (field == F_CT_STATE)
		return number_if(true, packet->ct_state, ret_number);
	if (field == F_CT_DIRECTION)
		return number_if(known, packet->reply, ret_number);
	if (field == F_CT_STATUS)
		return number_if(known, packet->ct_status, ret_number);
	return number_if(known, packet->ct_mark, ret_number);
}

static enum readable transport_number(const struct packet *packet, enum field field,
				      uint32_t *ret_number)
{
	bool tcp = has_ports(packet) && packet->l4proto == IPPROTO_TCP;
	bool udp = has_ports(packet) && packet->l4proto == IPPROTO_UDP;

	if (field == F_TCP_SPORT || field == F_TH_SPORT)
		return number_if(field == F_TCP_SPORT ? tcp : tcp || udp, packet->sport,
				 ret_number);
	if (field == F_TCP_DPORT || field == F_TH_DPORT)
		return number_if(field == F_TCP_DPORT ? tcp : tcp || udp, packet->dport,
				 ret_number);
	if (field == F_UDP_DPORT)
		return number_if(udp, packet->dport, ret_number);
	if (field == F_TCP_FLAGS)
		return number_if(tcp, packet->tcp_flags, ret_number);
	/* the types of messages: nobody here sends one whose type matters */
	if ((field == F_ICMP_TYPE && packet->l4proto != IPPROTO_ICMP) ||
	    (field == F_ICMPV6_TYPE && packet->l4proto != IPPROTO_ICMPV6) ||
	    (field == F_IGMP_TYPE && packet->l4proto != IPPROTO_IGMP))
		return READ_ABSENT;
	return READ_UNKNOWN;
}

static enum readable other_number(const struct packet *packet, enum field field,
				  uint32_t *ret_number)
{
	bool four = packet->src.family == AF_INET && packet->ethertype != 0x0806;
	bool six = packet->src.family == AF_INET6;
	uint32_t head;

	switch ((int)field) {
	case F_FIB_SADDR_TYPE:
		return number_if(true, packet->fib_saddr_type, ret_number);
	case F_FIB_DADDR_TYPE:
		return number_if(true, packet->fib_daddr_type, ret_number);
	case F_FIB_DADDR_IIF_TYPE:
		return number_if(true, packet->fib_daddr_iif_type, ret_number);
	case F_FIB_DADDR_OIF:
		return number_if(true, packet->fib_daddr_oif, ret_number);
	case F_FIB_SADDR_IIF:
		return number_if(true, packet->fib_saddr_iif, ret_number);
	case F_RTCLASSID:
		return number_if(packet->routed, 0, ret_number);
	case F_RT_NEXTHOP4:
		return number_if(packet->routed && four, 1, ret_number);
	case F_RT_NEXTHOP6:
		return number_if(packet->routed && six, 1, ret_number);
	case F_IP_FRAG_OFF:
		return number_if(four, 0, ret_number);
	case F_IP6_SADDR: /* compared with ::, and with nothing else */
		return number_if(six, !ip_addr_is_any(&packet->src), ret_number);
	case F_ETHER_TYPE:
	case F_LL_TYPE:
	case F_PROTOCOL:
		return number_if(true, packet->ethertype, ret_number);
	case F_RAW_ETHER_DADDR4:
		memcpy(&head, packet->ether_dst.bytes, sizeof(head));
		return number_if(true, ntohl(head), ret_number);
	}
	return transport_number(packet, field, ret_number);
}

enum readable packet_number(const struct packet *packet, const struct skeleton_params *params,
			    enum field field, uint32_t *ret_number)
{
	if (field == F_MARK)
		return number_if(true, packet->mark, ret_number);
	if (field == F_L4PROTO)
		return number_if(packet->ethertype != 0x0806, packet->l4proto, ret_number);
	if (field_spec(field)->source == FROM_CT)
		return ct_number(packet, field, ret_number);
	return other_number(packet, field, ret_number);
}
