/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has which address, port and tag, taken out of one model so that it outlives it: a copy of a
 * packet comes a moment after the packet. Nothing is guessed: an address counts on its own bridge, a
 * port by the namespace behind it, a tag is the one that the ruleset gives. Pure.
 */
#include "attempt-internal.h"
#include "policy-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/text.h"

struct known {
	struct identity *who; /* owned, one reference */
	enum role role : 8;
	enum confinement confinement : 8;
	int nsid;        /* -1: not known */
	uint64_t cgroup; /* 0: not known */
};

struct address {
	uint32_t entry;
	int bridge; /* its interface; 0: not known */
	struct ip_addr ip4, ip6;
	struct mac_addr mac;
};

struct published {
	uint32_t entry;
	struct ip_addr ip;
	uint16_t port;
	uint8_t protocol;
};

struct port {
	int ifindex;
	uint32_t entry;
};

struct directory {
	struct known *entries;
	struct address *addresses;
	struct published *published;
	struct port *ports;
	struct job_tag *tags;
	uint32_t entries_n, addresses_n, published_n, ports_n;
	size_t tags_n;
};

struct directory *directory_free(struct directory *directory)
{
	if (!directory)
		return NULL;
	for (size_t i = 0; i < directory->entries_n; i++)
		identity_unref(directory->entries[i].who);
	free(directory->entries);
	free(directory->addresses);
	free(directory->published);
	free(directory->ports);
	free(directory->tags);
	free(directory);
	return NULL;
}

/* The bridge of each network, in the model's order; 0: none, or not known. */
static int *find_bridges(const struct model *model)
{
	int *bridges = calloc(model->networks_n + 1, sizeof(*bridges));

	for (size_t i = 0; bridges && i < model->networks_n; i++)
		for (size_t j = 0; model->networks[i].bridge[0] && j < model->links_n; j++)
			if (strcmp(model->links[j].name, model->networks[i].bridge) == 0)
				bridges[i] = model->links[j].ifindex;
	return bridges;
}

static void add_addresses(struct directory *directory, const struct model *model,
			  const int *bridges, uint32_t entry, const struct container *c)
{
	for (size_t i = 0; i < c->endpoints_n; i++) {
		const struct network *network = policy_network(model, c->endpoints[i].network_id);

		directory->addresses[directory->addresses_n++] = (struct address){
			.entry = entry,
			.bridge = network ? bridges[network - model->networks] : 0,
			.ip4 = c->endpoints[i].ip4,
			.ip6 = c->endpoints[i].ip6,
			.mac = c->endpoints[i].mac,
		};
	}
	for (size_t i = 0; i < c->ports_n; i++)
		directory->published[directory->published_n++] = (struct published){
			.entry = entry,
			.protocol = c->ports[i].l4proto,
			.ip = c->ports[i].host_ip,
			.port = c->ports[i].host_port,
		};
}

static int fill(struct directory *directory, const struct model *model, const int *bridges,
		const struct verdict *verdicts)
{
	for (size_t i = 0; i < model->containers_n; i++) {
		struct known *entry = &directory->entries[directory->entries_n];

		if (!container_is_live(&model->containers[i]))
			continue;
		*entry = (struct known){
			.who = container_identity(&model->containers[i]),
			.role = verdicts[i].confined ? ROLE_BYSTANDER : verdicts[i].role,
			.confinement = verdicts[i].confinement,
			.nsid = model->nsid ? model->nsid[i] : -1,
			.cgroup = model->cgroup_id ? model->cgroup_id[i] : 0,
		};
		if (!entry->who)
			return -ENOMEM;
		add_addresses(directory, model, bridges, directory->entries_n,
			      &model->containers[i]);
		directory->entries_n++;
	}
	return 0;
}

/* Several in one namespace: the first that is a job, since one of them it was, and all are confined as
 * it is. */
static int by_nsid(const void *a, const void *b)
{
	const struct known *one = *(const struct known *const *)a;
	const struct known *two = *(const struct known *const *)b;

	if (one->nsid != two->nsid)
		return one->nsid < two->nsid ? -1 : 1;
	if (one->role != two->role)
		return one->role == ROLE_JOB ? -1 : 1;
	return one < two ? -1 : one > two;
}

static const struct known *first_of(const struct known *const *sorted, size_t n, int nsid)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (sorted[mid]->nsid < nsid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && sorted[low]->nsid == nsid ? sorted[low] : NULL;
}

/* Whose namespace is behind a port; else who has the MAC that is behind it, on its bridge. */
static const struct known *behind(const struct directory *directory,
				  const struct known *const *sorted, const struct link *link)
{
	const struct known *found = NULL;

	if (link->nsid >= 0)
		found = first_of(sorted, directory->entries_n, link->nsid);
	for (size_t i = 0; !found && mac_addr_is_set(&link->peer_mac) && i < directory->addresses_n;
	     i++) {
		const struct address *address = &directory->addresses[i];

		if (address->bridge == link->master &&
		    mac_addr_cmp(&address->mac, &link->peer_mac) == 0)
			found = &directory->entries[address->entry];
	}
	return found;
}

static int find_ports(struct directory *directory, const struct model *model)
{
	_cleanup_free_ const struct known **sorted =
		calloc(directory->entries_n + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < directory->entries_n; i++)
		sorted[i] = &directory->entries[i];
	qsort(sorted, directory->entries_n, sizeof(*sorted), by_nsid);
	for (size_t i = 0; i < model->links_n; i++) {
		const struct known *entry =
			model->links[i].master ? behind(directory, sorted, &model->links[i]) : NULL;

		if (entry)
			directory->ports[directory->ports_n++] =
				(struct port){ model->links[i].ifindex,
					       (uint32_t)(entry - directory->entries) };
	}
	return 0;
}

static int allocate(struct directory *directory, const struct model *model, size_t tags_n)
{
	size_t addresses_n = 0, published_n = 0;

	for (size_t i = 0; i < model->containers_n; i++) {
		addresses_n += model->containers[i].endpoints_n;
		published_n += model->containers[i].ports_n;
	}
	/* one more: none is no failure */
	directory->entries = calloc(model->containers_n + 1, sizeof(*directory->entries));
	directory->addresses = calloc(addresses_n + 1, sizeof(*directory->addresses));
	directory->published = calloc(published_n + 1, sizeof(*directory->published));
	directory->ports = calloc(model->links_n + 1, sizeof(*directory->ports));
	directory->tags = calloc(tags_n + 1, sizeof(*directory->tags));
	return directory->entries && directory->addresses && directory->published &&
			       directory->ports && directory->tags
		       ? 0
		       : -ENOMEM;
}

int directory_new(const struct model *model, const struct verdict *verdicts,
		  const struct job_tag *tags, size_t tags_n, struct directory **ret_directory)
{
	_cleanup_(directory_freep) struct directory *directory = calloc(1, sizeof(*directory));
	_cleanup_free_ int *bridges = find_bridges(model);
	int r;

	if (!directory || !bridges)
		return -ENOMEM;
	r = allocate(directory, model, tags_n);
	if (r < 0)
		return r;
	r = fill(directory, model, bridges, verdicts);
	if (r < 0)
		return r;
	if (tags_n > 0)
		memcpy(directory->tags, tags, tags_n * sizeof(*tags));
	directory->tags_n = tags_n;
	r = find_ports(directory, model);
	if (r < 0)
		return r;
	*ret_directory = take_ptr(directory);
	return 0;
}

static bool equal(const void *a, size_t a_n, const void *b, size_t b_n, size_t size)
{
	return a_n == b_n && memcmp(a, b, a_n * size) == 0;
}

bool directory_equal(const struct directory *a, const struct directory *b)
{
	/* as bytes: identities are shared, and what differs in a hole only is a directory made anew */
	return a && b &&
	       equal(a->entries, a->entries_n, b->entries, b->entries_n, sizeof(*a->entries)) &&
	       equal(a->addresses, a->addresses_n, b->addresses, b->addresses_n,
		     sizeof(*a->addresses)) &&
	       equal(a->published, a->published_n, b->published, b->published_n,
		     sizeof(*a->published)) &&
	       equal(a->ports, a->ports_n, b->ports, b->ports_n, sizeof(*a->ports)) &&
	       equal(a->tags, a->tags_n, b->tags, b->tags_n, sizeof(*a->tags));
}

const char *known_id(const struct known *known)
{
	return known->who->id;
}

struct party known_party(const struct known *known)
{
	struct party party = { .kind = PARTY_CONTAINER,
			       .role = known->role,
			       .class = confinement_name(known->confinement) };

	memcpy(party.id, known->who->id, sizeof(party.id));
	text_safe(known->who->name, party.name, sizeof(party.name));
	text_safe(identity_task(known->who), party.task, sizeof(party.task));
	return party;
}

const struct known *directory_port(const struct directory *directory, int ifindex)
{
	for (size_t i = 0; directory && ifindex && i < directory->ports_n; i++)
		if (directory->ports[i].ifindex == ifindex)
			return &directory->entries[directory->ports[i].entry];
	return NULL;
}

static bool has_address(const struct address *address, const struct ip_addr *ip)
{
	return ip_addr_is_set(ip) &&
	       ip_addr_cmp(ip->family == AF_INET ? &address->ip4 : &address->ip6, ip) == 0;
}

/* @bridge 0: on whichever. */
const struct known *directory_address(const struct directory *directory, int bridge,
				      const struct ip_addr *ip)
{
	for (size_t i = 0; directory && i < directory->addresses_n; i++) {
		const struct address *address = &directory->addresses[i];

		if ((!bridge || address->bridge == bridge) && has_address(address, ip))
			return &directory->entries[address->entry];
	}
	return NULL;
}

const struct known *directory_mac(const struct directory *directory, int bridge,
				  const struct mac_addr *mac)
{
	for (size_t i = 0; directory && mac_addr_is_set(mac) && i < directory->addresses_n; i++) {
		const struct address *address = &directory->addresses[i];

		if (bridge && address->bridge == bridge && mac_addr_cmp(&address->mac, mac) == 0)
			return &directory->entries[address->entry];
	}
	return NULL;
}

const struct known *directory_tag(const struct directory *directory, uint32_t tag)
{
	uint64_t cgroup = 0;

	for (size_t i = 0; directory && i < directory->tags_n; i++)
		if (directory->tags[i].mark == tag)
			cgroup = directory->tags[i].cgroup;
	for (size_t i = 0; cgroup && i < directory->entries_n; i++)
		if (directory->entries[i].cgroup == cgroup)
			return &directory->entries[i];
	return NULL;
}

const struct known *directory_published(const struct directory *directory, uint8_t protocol,
					const struct ip_addr *ip, uint16_t port)
{
	for (size_t i = 0; directory && port && i < directory->published_n; i++) {
		const struct published *p = &directory->published[i];

		if (p->protocol == protocol && p->port == port &&
		    (ip_addr_is_any(&p->ip) || ip_addr_cmp(&p->ip, ip) == 0))
			return &directory->entries[p->entry];
	}
	return NULL;
}

bool directory_is_bridge(const struct directory *directory, int ifindex)
{
	for (size_t i = 0; directory && ifindex && i < directory->addresses_n; i++)
		if (directory->addresses[i].bridge == ifindex)
			return true;
	return false;
}
