/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who would get a connection, of those that listen on this host. Pure. */
#include "probe-internal.h"

/* How well it fits: an address of its own before any, its family before IPv6's any, which may take IPv4
 * as well. 0: not at all. */
static int rank(const struct listener *listener, const struct sock_addr *to)
{
	if (listener->kind != LISTENER_TCP || listener->port != to->port)
		return 0;
	if (ip_addr_cmp(&listener->addr, &to->ip) == 0)
		return 3;
	if (!ip_addr_is_any(&listener->addr))
		return 0;
	if (listener->addr.family == to->ip.family)
		return 2;
	return listener->addr.family == AF_INET6;
}

const struct listener *probe_listener(const struct sockets *sockets, const struct sock_addr *to)
{
	const struct listener *found = NULL;

	for (size_t i = 0; i < sockets->n; i++)
		if (rank(&sockets->listeners[i], to) > (found ? rank(found, to) : 0))
			found = &sockets->listeners[i];
	return found;
}
