/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP and MAC addresses as plain values. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct ip_addr {
	uint16_t family;   /* AF_INET, AF_INET6, or AF_UNSPEC (0): no address */
	uint8_t bytes[16]; /* network byte order; the first 4 for AF_INET; the rest zero */
};

struct mac_addr {
	uint8_t bytes[6]; /* all zero: no address */
};

/* An address and a TCP or UDP port, host byte order. */
struct sock_addr {
	struct ip_addr ip;
	uint16_t port;
};

/* All addresses from first to last, both included, of one family. */
struct net_range {
	struct ip_addr first, last;
};

#define IP_ADDR_TEXT_MAX 46
#define MAC_ADDR_TEXT_MAX 18
#define SOCK_ADDR_TEXT_MAX (IP_ADDR_TEXT_MAX + 8)
#define NET_RANGE_TEXT_MAX (2 * IP_ADDR_TEXT_MAX)

/* Parses "10.0.0.1" or "fd00::1" (no zone, no prefix). Returns 0 or -EINVAL; untouched on error. */
int ip_addr_parse(const char *text, struct ip_addr *ret_addr);
/* Parses "02:42:ac:11:00:02". Returns 0 or -EINVAL; untouched on error. */
int mac_addr_parse(const char *text, struct mac_addr *ret_mac);

/* No address prints as "-"; a MAC address always as six bytes. */
const char *ip_addr_text(const struct ip_addr *addr, char text[static IP_ADDR_TEXT_MAX]);
const char *mac_addr_text(const struct mac_addr *mac, char text[static MAC_ADDR_TEXT_MAX]);

bool ip_addr_is_set(const struct ip_addr *addr);
bool ip_addr_is_any(const struct ip_addr *addr); /* 0.0.0.0 or :: */
bool ip_addr_is_loopback(const struct ip_addr *addr);
bool ip_addr_is_multicast(const struct ip_addr *addr);
bool ip_addr_is_mapped(const struct ip_addr *addr); /* ::ffff:0:0/96 */
bool mac_addr_is_set(const struct mac_addr *mac);
int ip_addr_cmp(const struct ip_addr *a, const struct ip_addr *b);
int mac_addr_cmp(const struct mac_addr *a, const struct mac_addr *b);

/* The link-local address that the kernel derives from @mac (RFC 4291, modified EUI-64). */
struct ip_addr mac_addr_link_local(const struct mac_addr *mac);

int sock_addr_cmp(const struct sock_addr *a, const struct sock_addr *b);
/* "10.0.0.1:3128", "[fd00::1]:3128" */
const char *sock_addr_text(const struct sock_addr *addr, char text[static SOCK_ADDR_TEXT_MAX]);

/* The network of @addr; a @prefix beyond the family's length counts as that length. */
struct net_range ip_addr_network(const struct ip_addr *addr, unsigned int prefix);
bool net_range_has(const struct net_range *range, const struct ip_addr *addr);
int net_range_cmp(const struct net_range *a, const struct net_range *b);
/* "10.0.0.0/8", "10.0.0.1" for one address, "10.0.0.1-10.0.0.9" for what is no network. */
const char *net_range_text(const struct net_range *range, char text[static NET_RANGE_TEXT_MAX]);
