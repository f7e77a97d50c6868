/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One frame by an XDP socket in copy mode: straight to the device's transmit function, past queueing
 * disciplines and the egress hook. Takes CAP_NET_RAW and no program.
 */
#pragma once

#include <linux/if_xdp.h>
#include <sys/mman.h>

#include "packet.h"

#define XDP_FRAMES 4
#define XDP_FRAME_SIZE 4096

static inline void xdp_option(int fd, int option, const void *value, socklen_t size)
{
	if (setsockopt(fd, SOL_XDP, option, value, size))
		die(EXIT_BROKEN, "XDP socket option %d: %m", option);
}

/* A socket with a ring of each kind, bound to the first queue. Returns its transmit ring in @map. */
static inline int xdp_socket(const char *interface, void *area, struct xdp_mmap_offsets *offsets,
			     uint8_t **map)
{
	struct xdp_umem_reg umem = {
		.addr = (uintptr_t)area,
		.len = XDP_FRAMES * XDP_FRAME_SIZE,
		.chunk_size = XDP_FRAME_SIZE,
	};
	struct sockaddr_xdp addr = {
		.sxdp_family = AF_XDP,
		.sxdp_flags = XDP_COPY,
		.sxdp_ifindex = if_nametoindex(interface),
	};
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0), n = XDP_FRAMES;
	socklen_t size = sizeof(*offsets);

	if (fd < 0)
		die(EXIT_BROKEN, "XDP socket: %m");
	xdp_option(fd, XDP_UMEM_REG, &umem, sizeof(umem));
	xdp_option(fd, XDP_UMEM_FILL_RING, &n, sizeof(n));
	xdp_option(fd, XDP_UMEM_COMPLETION_RING, &n, sizeof(n));
	xdp_option(fd, XDP_TX_RING, &n, sizeof(n));
	if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, offsets, &size))
		die(EXIT_BROKEN, "XDP_MMAP_OFFSETS: %m");
	*map = mmap(NULL, offsets->tx.desc + XDP_FRAMES * sizeof(struct xdp_desc),
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, XDP_PGOFF_TX_RING);
	if (*map == MAP_FAILED)
		die(EXIT_BROKEN, "XDP ring: %m");
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die(EXIT_BROKEN, "XDP bind to %s: %m", interface);
	return fd;
}

static inline void xdp_send(const char *interface, const void *frame, size_t size)
{
	struct xdp_mmap_offsets offsets;
	struct xdp_desc *desc;
	uint8_t *area = mmap(NULL, XDP_FRAMES * XDP_FRAME_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *map;
	int fd = xdp_socket(interface, area, &offsets, &map);

	memcpy(area, frame, size);
	desc = (void *)(map + offsets.tx.desc);
	*desc = (struct xdp_desc){ .len = (uint32_t)size };
	__atomic_store_n((uint32_t *)(void *)(map + offsets.tx.producer), 1, __ATOMIC_RELEASE);
	if (sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0)
		die(EXIT_BROKEN, "XDP send: %m");
	usleep(20000);
}
