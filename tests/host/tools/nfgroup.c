/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfgroup GROUP: reads an NFLOG group, as ulogd would, for half a minute. Says "bound". */
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>

#include "tool.h"

int main(int argc, char **argv)
{
	struct {
		struct nlmsghdr nlh;
		struct nfgenmsg nfg;
		struct nlattr attr;
		struct nfulnl_msg_config_cmd cmd;
		uint8_t padding[3];
	} request = {
		.nlh = { .nlmsg_len = sizeof(request),
			 .nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.attr = { .nla_len = NLA_HDRLEN + sizeof(request.cmd), .nla_type = NFULA_CFG_CMD },
		.cmd = { .command = NFULNL_CFG_CMD_BIND },
	};
	struct {
		struct nlmsghdr nlh;
		struct nlmsgerr error;
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (argc != 2)
		die(EXIT_USAGE, "usage: nfgroup GROUP");
	request.nfg.res_id = htons((uint16_t)atoi(argv[1]));
	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0 ||
	    recv(fd, &answer, sizeof(answer), 0) < 0)
		die(EXIT_BROKEN, "netlink: %m");
	if (answer.error.error)
		die(EXIT_BROKEN, "group %s: %s", argv[1], strerror(-answer.error.error));
	puts("bound");
	fflush(stdout);
	sleep(30);
	return 0;
}
