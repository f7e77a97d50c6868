/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * selftalk: what a host says to itself over lo in the ways that are not an ordinary connection. One
 * line for each way, "WAY heard" or "WAY silent"; exit code: how many were silent. Fragments appear
 * where lo's MTU is small; the test makes it so.
 *
 *   selftalk ADDRESS4 ADDRESS6 INTERFACE      two addresses of the host's own, an interface with both
 */
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

#include "tool.h"

#define BIG 20000

struct way {
	const char *name;
	int family;
	const char *to;
	const char *interface; /* of the sender: bound to it, or multicast leaves by it */
	size_t size;
	bool broadcast, multicast, bound, raw;
};

static int silent;

static int receiver(const struct way *way, uint16_t port)
{
	union endpoint any = { .sa.sa_family = (sa_family_t)way->family };
	int fd = socket(way->family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1, size = 1 << 20;
	struct timeval wait = { .tv_sec = 1 };

	endpoint_set_port(&any, port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (fd < 0 || bind(fd, &any.sa, endpoint_len(&any)))
		die(EXIT_BROKEN, "%s: receiver: %m", way->name);
	return fd;
}

static void join(const struct way *way, int fd, const union endpoint *to)
{
	unsigned int index = if_nametoindex(way->interface);
	struct ip_mreqn four = { .imr_multiaddr = to->in.sin_addr, .imr_ifindex = (int)index };
	struct ipv6_mreq six = { .ipv6mr_multiaddr = to->in6.sin6_addr, .ipv6mr_interface = index };
	int r = way->family == AF_INET
			? setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &four, sizeof(four))
			: setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &six, sizeof(six));

	if (r)
		die(EXIT_BROKEN, "%s: join on %s: %m", way->name, way->interface);
}

/* A raw socket that writes its own header, as ping and traceroute of old do. */
static ssize_t send_raw(const struct way *way, const union endpoint *to)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
	} packet = { .ip = { .version = 4, .ihl = 5, .ttl = 9, .protocol = IPPROTO_UDP } };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	packet.ip.daddr = packet.ip.saddr = to->in.sin_addr.s_addr;
	packet.udp.source = packet.udp.dest = to->in.sin_port;
	packet.udp.len = htons(sizeof(packet.udp));
	if (fd < 0)
		die(EXIT_BROKEN, "%s: raw socket: %m", way->name);
	return sendto(fd, &packet, sizeof(packet), 0, &to->sa, endpoint_len(to));
}

static ssize_t send_plain(const struct way *way, const union endpoint *to)
{
	static const uint8_t zero[BIG];
	int fd = socket(way->family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
	unsigned int index = way->interface ? if_nametoindex(way->interface) : 0;
	struct ip_mreqn four = { .imr_ifindex = (int)index };

	if (fd < 0)
		die(EXIT_BROKEN, "%s: sender: %m", way->name);
	if (way->broadcast)
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	if (way->multicast && way->family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &four, sizeof(four));
	if (way->multicast && way->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index));
	if (way->bound && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, way->interface,
				     (socklen_t)strlen(way->interface) + 1))
		die(EXIT_BROKEN, "%s: bind to %s: %m", way->name, way->interface);
	return sendto(fd, zero, way->size, 0, &to->sa, endpoint_len(to));
}

static void try_way(const struct way *way, uint16_t port)
{
	static uint8_t buffer[BIG + 1];
	union endpoint to;
	int fd = receiver(way, port);
	ssize_t n;

	endpoint_parse_addr(way->to, &to);
	endpoint_set_port(&to, port);
	if (way->multicast)
		join(way, fd, &to);
	n = way->raw ? send_raw(way, &to) : send_plain(way, &to);
	if (n < 0)
		printf("%s: %s\n", way->name, strerror(errno));
	n = n < 0 ? n : recv(fd, buffer, sizeof(buffer), 0);
	printf("%s %s\n", way->name, n == (ssize_t)way->size ? "heard" : "silent");
	silent += n != (ssize_t)way->size;
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		die(EXIT_USAGE, "usage: selftalk ADDRESS4 ADDRESS6 INTERFACE");

	const struct way ways[] = {
		{ "udp", AF_INET, "127.0.0.1", .size = 10 },
		{ "udp6", AF_INET6, "::1", .size = 10 },
		{ "own-address", AF_INET, argv[1], .size = 10 },
		{ "own-address6", AF_INET6, argv[2], .size = 10 },
		{ "zero-address", AF_INET, "0.0.0.0", .size = 10 },
		{ "zero-address6", AF_INET6, "::", .size = 10 },
		{ "fragments", AF_INET, "127.0.0.1", .size = BIG },
		{ "fragments6", AF_INET6, "::1", .size = BIG },
		{ "own-fragments", AF_INET, argv[1], .size = BIG },
		{ "own-fragments6", AF_INET6, argv[2], .size = BIG },
		{ "broadcast", AF_INET, "127.255.255.255", .size = 10, .broadcast = true },
		{ "multicast-lo", AF_INET, "239.1.2.3", "lo", 10, .multicast = true },
		{ "multicast", AF_INET, "239.1.2.3", argv[3], 10, .multicast = true },
		{ "multicast6", AF_INET6, "ff15::1234", argv[3], 10, .multicast = true },
		{ "bound-to-lo", AF_INET, "127.0.0.1", "lo", 10, .bound = true },
		{ "bound-to-lo6", AF_INET6, "::1", "lo", 10, .bound = true },
		{ "bound-to-interface", AF_INET, argv[1], argv[3], 10, .bound = true },
		{ "raw", AF_INET, "127.0.0.1", .raw = true },
		{ "raw-own-address", AF_INET, argv[1], .raw = true },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		try_way(&ways[i], (uint16_t)(25000 + i));
	return silent;
}
