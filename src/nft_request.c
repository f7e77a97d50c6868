/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One question to nf_tables and its whole answer. Only the kernel is listened to. An answer that is
 * cut, or a dump that the kernel broke off, is no answer: it is never taken for a short one.
 */
#include "nft-internal.h"

#include <errno.h>
#include <libnftnl/gen.h>
#include <linux/netfilter/nf_tables.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "jobfence/clock.h"

#define READ_TIMEOUT_USEC 5000000

DEFINE_CLEANUP(struct nftnl_gen *, nftnl_gen_free)

/* One datagram of the kernel's. */
static ssize_t receive(struct nft *nft, char *buffer, size_t size, uint64_t deadline)
{
	struct pollfd pollfd = { .fd = mnl_socket_get_fd(nft->socket), .events = POLLIN };

	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(pollfd.fd, buffer, size, MSG_TRUNC, (struct sockaddr *)&from,
				       &from_len);

		if (len >= 0 && from.nl_pid != 0)
			continue;
		if (len >= 0)
			return (size_t)len > size ? -EMSGSIZE : len;
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		uint64_t now = clock_usec();

		if (now >= deadline)
			return -ETIMEDOUT;
		(void)poll(&pollfd, 1, (int)((deadline - now + 999) / 1000));
	}
}

/* What is left of an answer that was given up. The kernel goes on with a dump with every read, so
 * this ends with the dump; a socket that only fails is left alone. */
static void drain(struct nft *nft, char *buffer, size_t size)
{
	unsigned int errors = 0;
	ssize_t len;

	do {
		len = recv(mnl_socket_get_fd(nft->socket), buffer, size, 0);
		errors = len < 0 ? errors + 1 : 0;
	} while (len >= 0 || ((errno == EINTR || errno == ENOBUFS) && errors < 8));
}

static int give_up(struct nft *nft, char *buffer, size_t size, int error)
{
	drain(nft, buffer, size);
	return error;
}

/* A dump that failed half way ends like a whole one, but for the number in it. */
static int on_done(const struct nlmsghdr *nlh, void *data)
{
	int error = 0;

	if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(error))
		memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	if (error >= 0)
		return MNL_CB_STOP;
	errno = -error;
	return MNL_CB_ERROR;
}

static int on_error(const struct nlmsghdr *nlh, void *data)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

	errno = mnl_nlmsg_get_payload_len(nlh) < sizeof(*err) ? EBADMSG : -err->error;
	return errno == 0 ? MNL_CB_STOP : MNL_CB_ERROR;
}

static int on_overrun(const struct nlmsghdr *nlh, void *data)
{
	errno = ENOBUFS;
	return MNL_CB_ERROR;
}

/* Takes the mark of an interrupted dump away: libmnl would stop there. */
static void take_torn(char *buffer, size_t len)
{
	int left = (int)len;

	for (struct nlmsghdr *nlh = (void *)buffer; mnl_nlmsg_ok(nlh, left);
	     nlh = mnl_nlmsg_next(nlh, &left))
		nlh->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
}

static int run_callbacks(struct nft *nft, char *buffer, size_t len, uint32_t seq, mnl_cb_t fn,
			 void *data)
{
	static mnl_cb_t control[NLMSG_MIN_TYPE] = {
		[NLMSG_ERROR] = on_error,
		[NLMSG_DONE] = on_done,
		[NLMSG_OVERRUN] = on_overrun,
	};

	/* what is left of an older answer */
	if (len >= sizeof(struct nlmsghdr) && ((struct nlmsghdr *)buffer)->nlmsg_seq != seq)
		return MNL_CB_OK;
	if (nft->torn)
		take_torn(buffer, len);
	return mnl_cb_run2(buffer, len, seq, mnl_socket_get_portid(nft->socket), fn, data, control,
			   ARRAY_SIZE(control));
}

/* Sends one request and runs @fn on every message of the answer. */
int nft_request(struct nft *nft, struct nlmsghdr *nlh, mnl_cb_t fn, void *data)
{
	_cleanup_free_ char *buffer = malloc(65536);
	uint64_t deadline = clock_usec() + READ_TIMEOUT_USEC;
	ssize_t sent;
	int r;

	if (!buffer)
		return -ENOMEM;
	do
		sent = mnl_socket_sendto(nft->socket, nlh, nlh->nlmsg_len);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	do {
		ssize_t len = receive(nft, buffer, 65536, deadline);

		if (len < 0)
			return give_up(nft, buffer, 65536, (int)len);
		r = run_callbacks(nft, buffer, (size_t)len, nlh->nlmsg_seq, fn, data);
		if (r < 0)
			return give_up(nft, buffer, 65536, errno == ENOENT ? 0 : -errno);
	} while (r > 0);
	return 0;
}

static int on_generation(const struct nlmsghdr *nlh, void *data)
{
	_cleanup_(nftnl_gen_freep) struct nftnl_gen *gen = nftnl_gen_alloc();
	uint32_t *generation = data;

	if (!gen) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	if (nftnl_gen_nlmsg_parse(nlh, gen) == 0)
		*generation = nftnl_gen_get_u32(gen, NFTNL_GEN_ID);
	return MNL_CB_OK;
}

static int read_generation(struct nft *nft, uint32_t *ret_generation)
{
	char buffer[256] = { 0 };
	struct nlmsghdr *nlh =
		nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETGEN, AF_UNSPEC, NLM_F_ACK, nft->seq++);

	return nft_request(nft, nlh, on_generation, ret_generation);
}

int nft_generation(struct nft *nft, uint32_t *ret_generation, struct diag *diag)
{
	int r = read_generation(nft, ret_generation);

	if (r == -EINVAL || r == -EOPNOTSUPP) /* nobody answers to this kind of message */
		return diag_set(diag, -EPROTONOSUPPORT,
				"this kernel lacks nf_tables (CONFIG_NF_TABLES): load the module "
				"(modprobe nf_tables) or boot a kernel that has it");
	if (r < 0)
		return diag_set(diag, r, "cannot ask nf_tables for its generation: %s",
				strerror(-r));
	return 0;
}
