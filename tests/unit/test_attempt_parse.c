/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copies of packets as nfnetlink_log sends them, whole, cut and odd, as attempts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include "jobfence/attempt.h"

static const uint8_t tcp4[] = {
	0x45, 0,    0, 60, 0, 1, 0x40, 0, 64, 6, 0, 0, 172,  17, 0,    2,    172, 17, 0, 1, /* IP */
	0x9c, 0x40, 0, 22, 0, 0, 0,    1, 0,  0, 0, 0, 0xa0, 2,  0xfa, 0xf0, 0,   0,  0, 0,
};
/* hop-by-hop, then fragment (the first), then UDP */
static const uint8_t udp6[] = {
	0x60, 0, 0,    0, 0,  24, 0, 64, 0xfd, 0, 0, 0, 0,    0,    0, 0,  0, 0, 0,  0, 0, 0,
	0,    2, 0xfd, 0, 0,  0,  0, 0,  0,    0, 0, 0, 0,    0,    0, 0,  0, 1, 44, 0, 1, 4,
	0,    0, 0,    0, 17, 0,  0, 1,  0,    0, 0, 7, 0x13, 0x88, 0, 53, 0, 8, 0,  0,
};
static const uint8_t solicit[] = {
	0x60, 0, 0,    0, 0,    32, 58, 255, 0xfd, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,   0, 0, 0,
	0,    2, 0xff, 2, 0,    0,  0,  0,   0,    0, 0, 0, 0, 1, 0xff, 0, 0, 3, 135, 0, 0, 0,
	0,    0, 0,    0, 0xfd, 0,  0,  0,   0,    0, 0, 0, 0, 0, 0,    0, 0, 0, 0,   3,
};
static const uint8_t arp[] = {
	0,   1,  8, 0, 6, 4, 0, 1, 2, 0x42, 0xac, 0x11, 0, 2,
	172, 17, 0, 2, 0, 0, 0, 0, 0, 0,    172,  17,   0, 3,
};

static char buffer[1024];

static struct nlmsghdr *begin(uint8_t family, uint8_t hook, uint16_t ethertype, const char *prefix)
{
	struct nfulnl_msg_packet_hdr header = { .hw_protocol = htons(ethertype), .hook = hook };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	nfg->nfgen_family = family;
	mnl_attr_put(nlh, NFULA_PACKET_HDR, sizeof(header), &header);
	if (prefix)
		mnl_attr_put_strz(nlh, NFULA_PREFIX, prefix);
	return nlh;
}

static struct attempt parse(struct nlmsghdr *nlh, const void *packet, size_t n)
{
	struct attempt attempt;

	mnl_attr_put(nlh, NFULA_PAYLOAD, n, packet);
	assert_int_equal(attempt_parse(nlh, &attempt), 0);
	return attempt;
}

static void is_addr(const struct ip_addr *addr, const char *want)
{
	char text[IP_ADDR_TEXT_MAX];

	assert_string_equal(ip_addr_text(addr, text), want);
}

static void tcp_by_ip4(void **state)
{
	struct {
		uint16_t length, padding;
		uint8_t mac[8];
	} mac = { htons(6), 0, { 2, 0x42, 0xac, 0x11, 0, 2 } };
	struct nlmsghdr *nlh = begin(NFPROTO_IPV4, NF_INET_PRE_ROUTING, 0x0800, "job_to_host");
	char text[MAC_ADDR_TEXT_MAX];
	struct attempt a;

	mnl_attr_put_u32(nlh, NFULA_IFINDEX_INDEV, htonl(7));
	mnl_attr_put_u32(nlh, NFULA_IFINDEX_PHYSINDEV, htonl(9));
	mnl_attr_put_u32(nlh, NFULA_MARK, htonl(0x10000007));
	mnl_attr_put(nlh, NFULA_HWADDR, sizeof(mac), &mac);
	a = parse(nlh, tcp4, sizeof(tcp4));
	assert_string_equal(a.rule, "job_to_host");
	assert_false(a.audit);
	assert_int_equal(a.family, NFPROTO_IPV4);
	assert_int_equal(a.hook, NF_INET_PRE_ROUTING);
	assert_int_equal(a.protocol, IPPROTO_TCP);
	assert_int_equal(a.from_port, 40000);
	assert_int_equal(a.to_port, 22);
	assert_int_equal(a.in, 7);
	assert_int_equal(a.in_port, 9);
	assert_int_equal(a.out, 0);
	assert_int_equal(a.mark, 0x10000007);
	is_addr(&a.from, "172.17.0.2");
	is_addr(&a.to, "172.17.0.1");
	assert_string_equal(mac_addr_text(&a.mac, text), "02:42:ac:11:00:02");
}

static void udp_behind_extensions(void **state)
{
	struct attempt a =
		parse(begin(NFPROTO_IPV6, 0, 0x86dd, "audit job_to_internal"), udp6, sizeof(udp6));
	uint8_t later[sizeof(udp6)];

	assert_string_equal(a.rule, "job_to_internal");
	assert_true(a.audit);
	assert_int_equal(a.protocol, IPPROTO_UDP);
	assert_int_equal(a.from_port, 5000);
	assert_int_equal(a.to_port, 53);
	is_addr(&a.to, "fd00::1");
	/* a later fragment has no ports */
	memcpy(later, udp6, sizeof(later));
	later[50] = 1;
	a = parse(begin(NFPROTO_IPV6, 0, 0x86dd, "spoofed"), later, sizeof(later));
	assert_int_equal(a.protocol, IPPROTO_UDP);
	assert_int_equal(a.to_port, 0);
}

static void questions(void **state)
{
	struct attempt a = parse(begin(NFPROTO_BRIDGE, 2, 0x86dd, "job_to_neighbour"), solicit,
				 sizeof(solicit));

	assert_true(a.question);
	is_addr(&a.to, "fd00::3");
	a = parse(begin(NFPROTO_BRIDGE, 2, 0x0806, "job_to_neighbour"), arp, sizeof(arp));
	assert_true(a.question);
	assert_int_equal(a.protocol, 0);
	is_addr(&a.from, "172.17.0.2");
	is_addr(&a.to, "172.17.0.3");
}

/* What leaves by the egress hook begins with its Ethernet header; elsewhere it does not. */
static void ethernet_headers(void **state)
{
	uint8_t frame[14 + sizeof(tcp4)] = { 1, 2, 3, 4, 5, 6, 2, 0x42, 0xac, 0x11, 0, 2, 8, 0 };
	char text[MAC_ADDR_TEXT_MAX];
	struct attempt a;

	memcpy(frame + 14, tcp4, sizeof(tcp4));
	a = parse(begin(NFPROTO_NETDEV, 1, 0x0800, "injected"), frame, sizeof(frame));
	assert_int_equal(a.to_port, 22);
	assert_string_equal(mac_addr_text(&a.mac, text), "02:42:ac:11:00:02");
	a = parse(begin(NFPROTO_NETDEV, 0, 0x0800, "injected"), tcp4, sizeof(tcp4));
	assert_int_equal(a.to_port, 22);
}

/* Cut at every length: nothing is read that is not there (ASan), and what is there is right. */
static void cut_packets(void **state)
{
	static const struct {
		const uint8_t *packet;
		size_t n;
		uint16_t ethertype;
	} all[] = {
		{ tcp4, sizeof(tcp4), 0x0800 },
		{ udp6, sizeof(udp6), 0x86dd },
		{ solicit, sizeof(solicit), 0x86dd },
		{ arp, sizeof(arp), 0x0806 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (size_t n = 0; n <= all[i].n; n++) {
			struct nlmsghdr *nlh =
				begin(NFPROTO_BRIDGE, 0, all[i].ethertype, "spoofed");
			struct nlmsghdr *copy;
			struct attempt a;

			mnl_attr_put(nlh, NFULA_PAYLOAD, n, all[i].packet);
			copy = malloc(nlh->nlmsg_len);
			assert_non_null(copy);
			memcpy(copy, nlh, nlh->nlmsg_len);
			assert_int_equal(attempt_parse(copy, &a), 0);
			if (n < 20)
				assert_false(ip_addr_is_set(&a.to));
			free(copy);
		}
	/* a later fragment has no ports */
	uint8_t later[sizeof(tcp4)];

	memcpy(later, tcp4, sizeof(later));
	later[6] = 0;
	later[7] = 1;
	assert_int_equal(
		parse(begin(NFPROTO_IPV4, 0, 0x0800, "spoofed"), later, sizeof(later)).to_port, 0);
	/* a header that says that it is longer than it is */
	uint8_t long_header[sizeof(tcp4)];
	struct attempt a;

	memcpy(long_header, tcp4, sizeof(tcp4));
	long_header[0] = 0x4f;
	a = parse(begin(NFPROTO_IPV4, 0, 0x0800, "spoofed"), long_header, sizeof(long_header));
	is_addr(&a.to, "172.17.0.1");
	assert_int_equal(a.to_port, 0);
	long_header[0] = 0x42; /* … and one that is none */
	a = parse(begin(NFPROTO_IPV4, 0, 0x0800, "spoofed"), long_header, sizeof(long_header));
	assert_int_equal(a.to_port, 0);
}

/* Rules of anybody's may send to the group. */
static void not_ours(void **state)
{
	static const char *const prefixes[] = {
		NULL,
		"",
		"audit ",
		"DROP in: ",
		"Job_to_host",
		"job\n",
		"job_to_host ",
		"audit a b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	struct attempt a;
	struct nlmsghdr *nlh;

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		assert_int_equal(attempt_parse(begin(NFPROTO_IPV4, 0, 0x0800, prefixes[i]), &a),
				 -EINVAL);
	nlh = begin(NFPROTO_IPV4, 0, 0x0800, "job_to_host");
	nlh->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	assert_int_equal(attempt_parse(nlh, &a), -EINVAL);
	nlh = begin(NFPROTO_IPV4, 0, 0x0800, "job_to_host");
	nlh->nlmsg_len = sizeof(*nlh) + 2;
	assert_int_equal(attempt_parse(nlh, &a), -EINVAL);
	/* no packet: what is known is told */
	assert_int_equal(attempt_parse(begin(NFPROTO_IPV4, 0, 0x0800, "job_to_host"), &a), 0);
	assert_false(ip_addr_is_set(&a.from));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_by_ip4),  cmocka_unit_test(udp_behind_extensions),
		cmocka_unit_test(questions),   cmocka_unit_test(ethernet_headers),
		cmocka_unit_test(cut_packets), cmocka_unit_test(not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
