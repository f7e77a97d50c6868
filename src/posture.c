/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of a host's listeners is worth a word: those that a job on the host's network reaches and that
 * ask nobody who he is, so far as that can be told from a port. What the fence closes to jobs is none
 * of them, and neither is what jobs listen on themselves. Pure.
 */
#include "jobfence/posture.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define DNS 53

/* Of TCP where nothing else is said. They obey whoever reaches them, unless somebody saw to it. */
static const struct {
	uint16_t port;
	uint8_t l4proto;
	const char *what;
} known[] = {
	{ 2375, IPPROTO_TCP, "Docker's API without TLS: root on this host" },
	{ 10250, IPPROTO_TCP, "kubelet: runs commands in pods" },
	{ 10255, IPPROTO_TCP, "kubelet, read only: what runs here" },
	{ 2379, IPPROTO_TCP, "etcd: all of a cluster's secrets" },
	{ 8265, IPPROTO_TCP, "Ray's dashboard: runs whatever it is told" },
	{ 5555, IPPROTO_TCP, "nv-hostengine (DCGM): changes GPUs" },
	{ 9400, IPPROTO_TCP, "DCGM exporter: everybody's GPU metrics" },
	{ 9100, IPPROTO_TCP, "node exporter: this host's metrics" },
	{ 9835, IPPROTO_TCP, "GPU exporter: everybody's GPU metrics" },
	{ 9090, IPPROTO_TCP, "Prometheus" },
	{ 9093, IPPROTO_TCP, "Alertmanager" },
	{ 6379, IPPROTO_TCP, "Redis: reads and writes files" },
	{ 11211, IPPROTO_TCP, "memcached" },
	{ 27017, IPPROTO_TCP, "MongoDB" },
	{ 9200, IPPROTO_TCP, "Elasticsearch" },
	{ 8500, IPPROTO_TCP, "Consul" },
	{ 4646, IPPROTO_TCP, "Nomad: runs whatever it is told" },
	{ 5000, IPPROTO_TCP, "a registry of images" },
	{ 8888, IPPROTO_TCP, "Jupyter: runs whatever it is told" },
	{ 111, IPPROTO_TCP, "rpcbind" },
	{ 111, IPPROTO_UDP, "rpcbind" },
	{ 2049, IPPROTO_TCP, "NFS: trusts what a client says of its user" },
	{ 161, IPPROTO_UDP, "SNMP" },
	{ 69, IPPROTO_UDP, "TFTP" },
};

const char *posture_kind_name(enum posture_kind kind)
{
	switch (kind) {
	case POSTURE_HELD:
		return "held_port";
	case POSTURE_KNOWN:
		return "known_service";
	case POSTURE_LOOPBACK:
		return "loopback_listener";
	case POSTURE_OPEN:
		return "listener";
	case POSTURE_UNIX:
		return "abstract_unix_socket";
	case POSTURE_VSOCK:
		return "vsock_listener";
	case POSTURE_HAZARD:
		return "job_hazard";
	case POSTURE_OUTSIDE_SSH:
		return "ssh_not_proxied";
	case POSTURE_KINDS:
		break;
	}
	return "?";
}

static uint8_t protocol_of(const struct listener *listener)
{
	return listener->kind == LISTENER_UDP ? IPPROTO_UDP : IPPROTO_TCP;
}

static const char *known_service(const struct listener *listener)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].port == listener->port && known[i].l4proto == protocol_of(listener))
			return known[i].what;
	return NULL;
}

static bool in_ranges(const struct port_ranges *ranges, const struct listener *listener)
{
	for (size_t i = 0; i < ranges->n; i++)
		if (ranges->range[i].l4proto == protocol_of(listener) &&
		    listener->port >= ranges->range[i].first &&
		    listener->port <= ranges->range[i].last)
			return true;
	return false;
}

static bool has_key(const struct ruleset *ruleset, enum set_id set, const struct elem_key *key)
{
	return ruleset_find(ruleset, set, key->bytes);
}

/* Whatever the address of the listener is: docker-proxy has one for each. */
static bool is_published(const struct ruleset *ruleset, const struct listener *listener)
{
	bool four = listener->addr.family == AF_INET;
	struct elem_key key;

	elem_key_init(&key);
	elem_key_u8(&key, protocol_of(listener));
	elem_key_u16(&key, (uint16_t)listener->port);
	if (has_key(ruleset, SET_PUBLISHED_ANY, &key) ||
	    has_key(ruleset, SET_BYSTANDER_PUBLISHED, &key))
		return true;
	elem_key_init(&key);
	elem_key_u8(&key, protocol_of(listener));
	elem_key_add(&key, listener->addr.bytes, four ? 4 : 16);
	elem_key_u16(&key, (uint16_t)listener->port);
	return has_key(ruleset, four ? SET_PUBLISHED4 : SET_PUBLISHED6, &key);
}

struct judging {
	const struct config *config;
	const struct model *model;
	const struct verdict *verdicts;
	const struct ruleset *ruleset;
	const struct sockets *sockets;
	struct posture *posture;
};

/* Containers are below a cgroup of theirs; what is deeper has another id and is no container's here. */
static size_t container_of(const struct model *model, const struct listener *listener)
{
	for (size_t i = 0; i < model->containers_n && listener->cgroup_id; i++)
		if ((model->cgroup_id && model->cgroup_id[i] == listener->cgroup_id) ||
		    (model->foreign && model->foreign[i].id == listener->cgroup_id))
			return i;
	return SIZE_MAX;
}

/* A process of the host listens on the same port, so by another address. */
static bool is_served(const struct judging *j, const struct listener *listener)
{
	for (size_t i = 0; i < j->sockets->n; i++) {
		const struct listener *other = &j->sockets->listeners[i];

		if (other->kind == listener->kind && other->port == listener->port &&
		    container_of(j->model, other) == SIZE_MAX)
			return true;
	}
	return false;
}

static const char *held_port(const struct judging *j, const struct listener *listener)
{
	const struct config *config = j->config;
	bool held = listener->kind == LISTENER_TCP &&
		    (listener->port == config->ports.shim || listener->port == config->ports.dcgm);

	held |= in_ranges(&config->guarded, listener);
	if (held && is_served(j, listener))
		return "it answers on an address that the host's own service left free";
	if (listener->kind == LISTENER_TCP && listener->port == config->ports.shim)
		return "the shim cannot start";
	if (listener->kind == LISTENER_TCP && listener->port == config->ports.dcgm)
		return "the DCGM exporter cannot start";
	if (in_ranges(&config->guarded, listener))
		return "a service of this host cannot start; nobody is answered there";
	return NULL;
}

static bool is_own_api(const struct config *config, const struct listener *listener)
{
	return listener->kind == LISTENER_TCP && (listener->port == config->ports.runner ||
						  listener->port == config->ports.runner_ssh);
}

/* What asks for a password, what the fence closes, and what everybody has to ask. */
static bool is_fine(const struct config *config, const struct ruleset *ruleset,
		    const struct listener *listener)
{
	return (listener->kind == LISTENER_TCP &&
		(listener->port == config->ports.shim || listener->port == config->ports.dcgm)) ||
	       is_own_api(config, listener) || in_ranges(&config->guarded, listener) ||
	       in_ranges(&config->fenced, listener) || listener->port == DNS ||
	       is_published(ruleset, listener);
}

static int add(struct posture *posture, const struct finding *finding)
{
	if (posture->n == posture->cap) {
		size_t cap = posture->cap ? posture->cap * 2 : 32;
		struct finding *more = reallocarray(posture->findings, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		posture->findings = more;
		posture->cap = cap;
	}
	posture->findings[posture->n++] = *finding;
	return 0;
}

/* Of a socket with a port. False: nothing to say. */
static bool judge_inet(const struct judging *j, struct finding *finding, bool job)
{
	const struct listener *listener = finding->listener;

	finding->what = finding->container ? held_port(j, listener) : NULL;
	if (finding->what) {
		finding->kind = POSTURE_HELD;
		return true;
	}
	if (finding->container && is_own_api(j->config, listener) && !job) {
		finding->kind = POSTURE_HELD;
		finding->what = "a job on the host's network cannot start its own";
		return true;
	}
	if (job && listener->kind == LISTENER_TCP &&
	    listener->port == j->config->ports.runner_ssh &&
	    !ip_addr_is_loopback(&listener->addr)) {
		finding->kind = POSTURE_OUTSIDE_SSH;
		return true;
	}
	if (job || is_fine(j->config, j->ruleset, listener))
		return false;
	finding->what = known_service(listener);
	finding->kind = finding->what                          ? POSTURE_KNOWN
			: ip_addr_is_loopback(&listener->addr) ? POSTURE_LOOPBACK
							       : POSTURE_OPEN;
	return true;
}

/* A name that the kernel gave to one that asked for any: five hex digits. Nobody serves there. */
static bool is_autobound(const struct listener *listener)
{
	return strlen(listener->name) == 5 && strspn(listener->name, "0123456789abcdef") == 5;
}

static int judge_listener(const struct judging *j, const struct listener *listener)
{
	size_t i = container_of(j->model, listener);
	struct finding finding = { .listener = listener, .role = ROLE_BYSTANDER };
	bool job = false, told = false;

	if (i != SIZE_MAX) {
		finding.container = &j->model->containers[i];
		finding.role = j->verdicts[i].role;
		job = finding.role == ROLE_JOB;
	}
	switch (listener->kind) {
	case LISTENER_TCP:
	case LISTENER_UDP:
		told = judge_inet(j, &finding, job);
		break;
	case LISTENER_UNIX:
		finding.kind = POSTURE_UNIX;
		told = !job && !is_autobound(listener);
		break;
	case LISTENER_VSOCK:
		finding.kind = POSTURE_VSOCK;
		told = true;
		break;
	case LISTENER_KINDS:
		break;
	}
	return told ? add(j->posture, &finding) : 0;
}

static int judge_container(const struct judging *j, size_t i)
{
	const struct finding finding = {
		.kind = POSTURE_HAZARD,
		.container = &j->model->containers[i],
		.role = ROLE_JOB,
	};

	if (j->verdicts[i].role != ROLE_JOB || !container_is_live(finding.container) ||
	    !hazards_voiding(j->verdicts[i].hazards))
		return 0;
	return add(j->posture, &finding);
}

/* Whether there is, or may be, a job on the host's network that is not quarantined. */
static bool is_reached(const struct judging *j)
{
	if (j->config->mode != NETWORK_MODE_FORCED_BRIDGE)
		return true;
	for (size_t i = 0; i < j->model->containers_n; i++)
		if (container_is_live(&j->model->containers[i]) &&
		    j->verdicts[i].role == ROLE_JOB && j->verdicts[i].placement == PLACEMENT_HOST &&
		    j->verdicts[i].confinement == CONFINEMENT_FENCED)
			return true;
	return false;
}

static int known_rank(const struct finding *finding)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (finding->what == known[i].what)
			return (int)i;
	return (int)ARRAY_SIZE(known);
}

static int by_kind(const void *a, const void *b)
{
	const struct finding *one = a, *two = b;
	int r = (int)one->kind - (int)two->kind;

	if (r == 0)
		r = known_rank(one) - known_rank(two);
	if (r || !one->listener || !two->listener)
		return r
			       ?: strcmp(one->container ? one->container->id : "",
					 two->container ? two->container->id : "");
	if (one->listener->port != two->listener->port)
		return one->listener->port < two->listener->port ? -1 : 1;
	r = ip_addr_cmp(&one->listener->addr, &two->listener->addr);
	return r ?: strcmp(one->listener->name, two->listener->name);
}

int posture_judge(const struct config *config, const struct model *model,
		  const struct verdict *verdicts, const struct ruleset *ruleset,
		  const struct sockets *sockets, struct posture *ret_posture)
{
	struct posture posture = { 0 };
	const struct judging j = { config, model, verdicts, ruleset, sockets, &posture };
	int r = 0;

	posture.reached = is_reached(&j);
	for (size_t i = 0; r >= 0 && i < sockets->n; i++)
		r = judge_listener(&j, &sockets->listeners[i]);
	for (size_t i = 0; r >= 0 && i < model->containers_n; i++)
		r = judge_container(&j, i);
	if (r < 0) {
		posture_done(&posture);
		return r;
	}
	if (posture.n > 0)
		qsort(posture.findings, posture.n, sizeof(*posture.findings), by_kind);
	*ret_posture = posture;
	return 0;
}

void posture_done(struct posture *posture)
{
	free(posture->findings);
	*posture = (struct posture){ 0 };
}
