/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which port of a bridge is whose. By the container's network namespace where the engine has named
 * its file; before that (between `network connect` and the first instruction) by the MAC address
 * that Docker gave it, seen on the other end of the port. Two candidates are none, of ports or of owners:
 * Docker before 28 makes a MAC of the address, which has a next owner, and tells a container that failed to
 * start what it gave it before.
 */
#include "policy-internal.h"

#include <errno.h>
#include <string.h>

static int nsid_order(const struct link *a, const struct link *b)
{
	int cmp = (a->master > b->master) - (a->master < b->master);

	return cmp ?: (a->nsid > b->nsid) - (a->nsid < b->nsid);
}

static int mac_order(const struct link *a, const struct link *b)
{
	int cmp = (a->master > b->master) - (a->master < b->master);

	return cmp ?: mac_addr_cmp(&a->peer_mac, &b->peer_mac);
}

/* Two links never have one name; in a picture taken while they are renamed the older counts. */
static int name_qsort(const void *a, const void *b)
{
	const struct link *one = *(const struct link *const *)a;
	const struct link *two = *(const struct link *const *)b;

	return strcmp(one->name, two->name)
		       ?: (one->ifindex > two->ifindex) - (one->ifindex < two->ifindex);
}

static int nsid_qsort(const void *a, const void *b)
{
	return nsid_order(*(const struct link *const *)a, *(const struct link *const *)b);
}

static int mac_qsort(const void *a, const void *b)
{
	return mac_order(*(const struct link *const *)a, *(const struct link *const *)b);
}

int port_index_make(const struct model *model, struct port_index *ret_index)
{
	struct port_index index = {
		.by_nsid = calloc(model->links_n + 1, sizeof(*index.by_nsid)),
		.by_mac = calloc(model->links_n + 1, sizeof(*index.by_mac)),
		.by_name = calloc(model->links_n + 1, sizeof(*index.by_name)),
	};

	if (!index.by_nsid || !index.by_mac || !index.by_name) {
		port_index_done(&index);
		return -ENOMEM;
	}
	for (size_t i = 0; i < model->links_n; i++) {
		const struct link *link = &model->links[i];

		index.by_name[index.by_name_n++] = link;
		if (link->master == 0)
			continue;
		if (link->nsid >= 0)
			index.by_nsid[index.by_nsid_n++] = link;
		if (mac_addr_is_set(&link->peer_mac))
			index.by_mac[index.by_mac_n++] = link;
	}
	qsort(index.by_nsid, index.by_nsid_n, sizeof(*index.by_nsid), nsid_qsort);
	qsort(index.by_mac, index.by_mac_n, sizeof(*index.by_mac), mac_qsort);
	qsort(index.by_name, index.by_name_n, sizeof(*index.by_name), name_qsort);
	*ret_index = index;
	return 0;
}

void port_index_done(struct port_index *index)
{
	free(index->by_nsid);
	free(index->by_mac);
	free(index->by_name);
	*index = (struct port_index){ 0 };
}

const struct link *port_index_named(const struct port_index *index, const char *name)
{
	size_t low = 0, high = index->by_name_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(index->by_name[mid]->name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < index->by_name_n && strcmp(index->by_name[low]->name, name) == 0
		       ? index->by_name[low]
		       : NULL;
}

typedef int (*link_order_fn)(const struct link *a, const struct link *b);

/* The one link that compares equal; NULL for none and for more than one. */
static const struct link *find_only(const struct link **links, size_t n, const struct link *wanted,
				    link_order_fn order)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (order(links[mid], wanted) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == n || order(links[low], wanted) != 0)
		return NULL;
	if (low + 1 < n && order(links[low + 1], wanted) == 0)
		return NULL;
	return links[low];
}

/* Whether a port that one container has by its MAC alone could as well be that of another. */
static bool is_anothers(const struct policy *policy, size_t i, const struct endpoint *endpoint,
			const struct link *port)
{
	const struct model *model = policy->model;

	for (size_t j = 0; j < model->containers_n; j++) {
		const struct container *c = &model->containers[j];

		if (j == i || !container_may_live(c))
			continue;
		if (model->nsid && port->nsid >= 0 && model->nsid[j] == port->nsid)
			return true;
		for (size_t k = 0; k < c->endpoints_n; k++)
			if (!mac_addr_cmp(&c->endpoints[k].mac, &endpoint->mac) &&
			    !strcmp(c->endpoints[k].network_id, endpoint->network_id))
				return true;
	}
	return false;
}

const struct link *port_index_find(const struct policy *policy, size_t i,
				   const struct endpoint *endpoint, int bridge_ifindex)
{
	const struct port_index *index = &policy->ports;
	struct link wanted = {
		.master = bridge_ifindex,
		.nsid = policy->model->nsid ? policy->model->nsid[i] : -1,
		.peer_mac = endpoint->mac,
	};
	const struct link *port;

	if (wanted.nsid >= 0)
		return find_only(index->by_nsid, index->by_nsid_n, &wanted, nsid_order);
	/* the engine named the namespace and the kernel has no id for it: no port is its own */
	if (policy->model->containers[i].sandbox_key || !mac_addr_is_set(&endpoint->mac))
		return NULL;
	port = find_only(index->by_mac, index->by_mac_n, &wanted, mac_order);
	return port && is_anothers(policy, i, endpoint, port) ? NULL : port;
}
