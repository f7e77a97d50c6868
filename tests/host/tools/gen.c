/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gen: the generation of the namespace's nf_tables ruleset, which every transaction moves by one: how a test
 * knows that a change has been committed without reading the ruleset.
 *
 *   gen                 prints it
 *   gen --past N MS     waits until it is not N any more and prints it; exit 1 when that took too long
 */
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "tool.h"

static uint32_t generation(int fd)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg family;
	} question = {
		.header = { .nlmsg_len = sizeof(question),
			    .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
			    .nlmsg_flags = NLM_F_REQUEST },
	};
	char answer[1024];
	const struct nlmsghdr *header = (const void *)answer;
	const struct nlattr *attr;
	ssize_t n;

	if (send(fd, &question, sizeof(question), 0) < 0)
		die(EXIT_BROKEN, "nfnetlink: %m");
	n = recv(fd, answer, sizeof(answer), 0);
	attr = (const void *)(answer + NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg)));
	if (n < (ssize_t)((const char *)attr - answer) + 8 || header->nlmsg_type == NLMSG_ERROR ||
	    attr->nla_type != NFTA_GEN_ID)
		die(EXIT_BROKEN, "nfnetlink did not tell the generation");
	return ntohl(*(const uint32_t *)(const void *)(attr + 1));
}

int main(int argc, char **argv)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	bool waits = argc == 4 && !strcmp(argv[1], "--past");
	int64_t until = waits ? now_ms() + parse_number(argv[3], 0, 600000) : 0;
	uint32_t past = waits ? (uint32_t)parse_number(argv[2], 0, UINT32_MAX) : 0, now;

	if (argc != 1 && !waits)
		die(EXIT_USAGE, "usage: gen [--past N MS]");
	if (fd < 0)
		die(EXIT_BROKEN, "netlink: %m");
	now = generation(fd);
	while (waits && now == past) {
		if (now_ms() >= until)
			return 1;
		usleep(200);
		now = generation(fd);
	}
	printf("%u\n", now);
	return 0;
}
