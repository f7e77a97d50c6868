/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's answers. The first byte chooses the question: 'c' inspect, 'l' list of containers, 'n'
 * network, 'N' list of networks, 'i' info, 'v' version. A refusal leaves everything as it was and says
 * why; what is taken is within its bounds; and no container is more open for what could not be read
 * of it: jobs stay jobs, whatever else their answers say, and open nothing.
 */
#include "docker_json-internal.h"
#include "fuzz.h"
#include "jobfence/docker_json.h"
#include "model.h"

static void check_text(const char *text, size_t max)
{
	CHECK(!text || strlen(text) <= max);
}

static void check_addr(const struct ip_addr *addr)
{
	CHECK(addr->family == AF_UNSPEC || addr->family == AF_INET || addr->family == AF_INET6);
}

static void check_labels(const struct container *c)
{
	size_t used = 0;

	if (!c->labels)
		return;
	for (const char *label = c->labels; *label; label += strlen(label) + 1) {
		CHECK(strchr(label, '='));
		used += strlen(label) + 1;
	}
	CHECK(used <= JSON_LABELS_MAX);
}

static void check_container(const struct container *c, bool inspected)
{
	CHECK(docker_json_is_container_id(c->id) && c->name && c->inspected == inspected);
	check_text(c->name, CONTAINER_NAME_MAX);
	check_text(c->task_id, JSON_TEXT_MAX);
	check_text(c->network_ref, JSON_TEXT_MAX);
	check_text(c->sandbox_key, JSON_TEXT_MAX);
	check_text(c->cgroup_parent, JSON_TEXT_MAX);
	check_labels(c);
	CHECK(!c->hazard_text || fuzz_is_safe(c->hazard_text, 200));
	CHECK(!c->hazards || inspected);
	CHECK(c->pid >= 0 && (c->pid == 0 || container_is_live(c)));
	CHECK(c->endpoints_n <= JSON_ENDPOINTS_MAX && c->ports_n <= JSON_PORTS_MAX);
	CHECK(c->dns_n <= JSON_DNS_MAX);
	for (size_t i = 0; i < c->endpoints_n; i++) {
		CHECK(strlen(c->endpoints[i].network_id) <= CONTAINER_ID_LEN);
		check_text(c->endpoints[i].network_name, JSON_TEXT_MAX);
		check_addr(&c->endpoints[i].ip4);
		check_addr(&c->endpoints[i].ip6);
	}
	for (size_t i = 0; i < c->ports_n; i++)
		CHECK(c->ports[i].l4proto && ip_addr_is_set(&c->ports[i].host_ip));
}

/* The same container before anything but its label is known of it. */
static void check_unread(const struct container *c)
{
	struct container unread = {
		.id = c->id, .is_task = c->is_task, .state = c->state, .name = c->name
	};
	struct fuzz_host host;

	fuzz_host_init(&host, &unread, 1);
	fuzz_check_policy(&host);
}

static void check_modes(const struct container *containers, size_t n)
{
	struct fuzz_host host;

	fuzz_host_init(&host, containers, n);
	for (int mode = 1; mode <= 3; mode++) {
		host.config.mode = (enum network_mode)mode;
		fuzz_check_policy(&host);
	}
	host.config.on_violation = ON_VIOLATION_FENCE;
	host.config.unconfinable = UNCONFINABLE_QUARANTINE;
	strcpy(host.config.confine_labels[host.config.confine_labels_n++], "a=b");
	fuzz_check_policy(&host);
}

/* Beside a job and a bystander that are well known. */
static void check_company(const struct container *c)
{
	static struct endpoint one = { .network_id = FUZZ_NET_DOCKER0,
				       .ip4 = { AF_INET, { 172, 17, 0, 2 } } };
	static struct endpoint two = { .network_id = FUZZ_NET_USER,
				       .ip4 = { AF_INET, { 172, 18, 0, 2 } } };
	static char first[CONTAINER_ID_LEN + 1], last[CONTAINER_ID_LEN + 1];
	struct container all[3] = { { .id = first }, { 0 }, { .id = last } };

	memset(first, '0', CONTAINER_ID_LEN);
	memset(last, 'f', CONTAINER_ID_LEN);
	if (strcmp(c->id, all[0].id) <= 0 || strcmp(c->id, all[2].id) >= 0)
		return;
	all[0].name = "train-0-0-01234567";
	all[0].is_task = all[0].inspected = all[2].inspected = true;
	all[0].state = all[2].state = CONTAINER_RUNNING;
	all[0].network_kind = NETWORK_KIND_BRIDGE;
	all[0].endpoints = &one;
	all[2].name = "web";
	all[2].network_kind = NETWORK_KIND_USER;
	all[2].endpoints = &two;
	all[0].endpoints_n = all[2].endpoints_n = 1;
	all[1] = *c;
	check_modes(all, 3);
}

static void inspect(const char *json, size_t len)
{
	struct container c, before;
	struct diag diag = { 0 };
	int r;

	memset(&before, 0xa5, sizeof(before));
	c = before;
	r = docker_json_container(json, len, &c, &diag);
	if (r) {
		fuzz_check_refusal(r, &diag);
		CHECK(memcmp(&c, &before, sizeof(c)) == 0);
		return;
	}
	check_container(&c, true);
	check_modes(&c, 1);
	check_unread(&c);
	check_company(&c);
	container_done(&c);
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct container *)a)->id, ((const struct container *)b)->id);
}

static bool has_label(const struct container *c, const char *label)
{
	for (const char *own = c->labels; own && *own; own += strlen(own) + 1)
		if (!strcmp(own, label))
			return true;
	return false;
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* What was taken out changes nothing but what may be looked for, and then it is said. */
static void check_trimmed(const struct container *whole, const struct container *trimmed)
{
	CHECK(!strcmp(whole->id, trimmed->id) && !strcmp(whole->name, trimmed->name));
	CHECK(whole->is_task == trimmed->is_task && whole->state == trimmed->state);
	CHECK(same_text(whole->task_id, trimmed->task_id));
	CHECK(whole->network_kind == trimmed->network_kind);
	CHECK(same_text(whole->network_ref, trimmed->network_ref));
	CHECK(whole->endpoints_n == trimmed->endpoints_n && whole->ports_n == trimmed->ports_n);
	CHECK(!whole->labels_cut || trimmed->labels_cut);
	for (const char *own = whole->labels; own && *own; own += strlen(own) + 1)
		CHECK(trimmed->labels_cut || has_label(trimmed, own));
}

static void check_trim(const char *json, size_t len, const struct container *whole, size_t whole_n)
{
	char *copy = fuzz_text((const uint8_t *)json, len);
	struct container *trimmed = NULL;
	size_t n = 0;

	docker_json_trim(copy, len);
	CHECK(copy[len] == '\0');
	if (whole)
		CHECK(docker_json_container_list(copy, len, &trimmed, &n, NULL) == 0 &&
		      n == whole_n);
	for (size_t i = 0; i < n; i++) {
		check_trimmed(&whole[i], &trimmed[i]);
		container_done(&trimmed[i]);
	}
	free(trimmed);
	free(copy);
}

static void list(const char *json, size_t len)
{
	struct container *containers = (struct container *)&containers;
	struct diag diag = { 0 };
	size_t n = 77;
	bool twice = false;
	int r = docker_json_container_list(json, len, &containers, &n, &diag);

	check_trim(json, len, r ? NULL : containers, r ? 0 : n);
	if (r) {
		fuzz_check_refusal(r, &diag);
		CHECK(n == 77 && containers == (struct container *)&containers);
		return;
	}
	for (size_t i = 0; i < n; i++)
		check_container(&containers[i], false);
	if (n)
		qsort(containers, n, sizeof(*containers), by_id);
	for (size_t i = 1; i < n; i++)
		twice |= by_id(&containers[i - 1], &containers[i]) == 0;
	if (!twice)
		check_modes(containers, n < FUZZ_CONTAINERS_MAX ? n : FUZZ_CONTAINERS_MAX);
	for (size_t i = 0; i < n; i++)
		container_done(&containers[i]);
	free(containers);
}

static void check_network(const struct network *network)
{
	char id[CONTAINER_ID_LEN + 1];

	CHECK(docker_json_is_network_id(network->id) && network->name && network->driver);
	CHECK(fuzz_is_safe(network->bridge, IFNAMSIZ - 1) || strpbrk(network->bridge, "\"'\\`"));
	CHECK(!network->bridge[0] || !strcmp(network->driver, "bridge"));
	for (size_t i = 0; i < network->endpoints_n; i++) {
		container_id_text(network->endpoints[i].container, id);
		CHECK(docker_json_is_container_id(id));
		check_addr(&network->endpoints[i].ip4);
		check_addr(&network->endpoints[i].ip6);
	}
}

static void networks(const char *json, size_t len, bool one)
{
	struct network single, *all = &single;
	struct diag diag = { 0 };
	size_t n = 1;
	int r = one ? docker_json_network(json, len, &single, &diag)
		    : docker_json_network_list(json, len, &all, &n, &diag);

	if (r) {
		fuzz_check_refusal(r, &diag);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		check_network(&all[i]);
		network_done(&all[i]);
	}
	if (!one)
		free(all);
}

static void small(const char *json, size_t len, bool info)
{
	struct engine_info engine;
	struct diag diag = { 0 };
	char api[16], min_api[16];
	int r = info ? docker_json_info(json, len, &engine, &diag)
		     : docker_json_version(json, len, api, min_api, &diag);

	(void)docker_json_is_podman(json, len);
	if (r) {
		fuzz_check_refusal(r, &diag);
	} else if (info) {
		CHECK(fuzz_is_safe(engine.version, sizeof(engine.version) - 1));
		CHECK(fuzz_is_safe(engine.cgroup_driver, sizeof(engine.cgroup_driver) - 1));
		CHECK(fuzz_is_safe(engine.cgroup_version, sizeof(engine.cgroup_version) - 1));
	} else {
		/* they become part of a URL */
		CHECK(strspn(api, "0123456789.") == strlen(api) && strlen(api) < sizeof(api));
		CHECK(strspn(min_api, "0123456789.") == strlen(min_api));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *json = (const char *)data + 1;

	if (size == 0)
		return 0;
	switch (data[0]) {
	case 'c':
		inspect(json, size - 1);
		break;
	case 'l':
		list(json, size - 1);
		break;
	case 'n':
	case 'N':
		networks(json, size - 1, data[0] == 'n');
		break;
	case 'i':
	case 'v':
		small(json, size - 1, data[0] == 'i');
		break;
	default:
		break;
	}
	return 0;
}
