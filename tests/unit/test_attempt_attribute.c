/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who it was, by what its rule relies on, and nobody where that is not known; and the sentence of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <netinet/in.h>
#include <cmocka.h>

#include <linux/netfilter.h>

#include "jobfence/attempt.h"

#define NET "1111111111111111111111111111111111111111111111111111111111111111"
#define NET2 "2222222222222222222222222222222222222222222222222222222222222222"
#define BRIDGE 3
#define BRIDGE2 4
#define PORT_ALPHA 11
#define PORT_BETA 12
#define TAG_GAMMA 0x10000007

static const struct reserved_ports ports = { 10998, 10997, 10999, 10022 };

static struct endpoint endpoints[3];
static struct port_binding binding = { .l4proto = IPPROTO_TCP, .host_port = 18000 };
static struct container containers[] = {
	{ .id = "a", .name = (char *)"alpha", .task_id = (char *)"4f", .is_task = true },
	{ .id = "b", .name = (char *)"beta", .task_id = (char *)"5f", .is_task = true },
	{ .id = "c", .name = (char *)"delta" },
	{ .id = "d", .name = (char *)"gamma\n", .task_id = (char *)"6f", .is_task = true },
};
static const struct verdict verdicts[] = {
	{ .role = ROLE_JOB, .confinement = CONFINEMENT_ISOLATED },
	{ .role = ROLE_JOB, .confinement = CONFINEMENT_ISOLATED },
	{ .role = ROLE_BYSTANDER, .confinement = CONFINEMENT_NONE },
	{ .role = ROLE_JOB, .confinement = CONFINEMENT_FENCED },
};
static const int nsid[] = { 1, -1, 3, -1 };
static const uint64_t cgroups[] = { 0, 0, 0, 77 };
static const struct job_tag tags[] = { { 77, TAG_GAMMA } };
static const struct network networks[] = {
	{ .id = NET, .name = (char *)"bridge", .bridge = "docker0" },
	{ .id = NET2, .name = (char *)"second", .bridge = "br-222222222222" },
};
static struct link links[] = {
	{ .ifindex = BRIDGE, .name = "docker0", .nsid = -1 },
	{ .ifindex = BRIDGE2, .name = "br-222222222222", .nsid = -1 },
	{ .ifindex = PORT_ALPHA, .name = "veth1", .master = BRIDGE, .nsid = 1 },
	{ .ifindex = PORT_BETA, .name = "veth2", .master = BRIDGE, .nsid = -1 },
	{ .ifindex = 13, .name = "veth3", .master = BRIDGE2, .nsid = 3 },
};

static struct ip_addr ip(const char *text)
{
	struct ip_addr addr;

	assert_int_equal(ip_addr_parse(text, &addr), 0);
	return addr;
}

static struct directory *directory(size_t containers_n)
{
	struct model model = {
		.containers = containers,
		.containers_n = containers_n,
		.nsid = nsid,
		.cgroup_id = cgroups,
		.networks = networks,
		.networks_n = ARRAY_SIZE(networks),
		.links = links,
		.links_n = ARRAY_SIZE(links),
	};
	struct directory *made = NULL;

	for (size_t i = 0; i < 3; i++) {
		static const char *const ip4[] = { "172.17.0.2", "172.17.0.3", "172.30.0.2" };
		static const char *const ip6[] = { "fd00::2", "fd00::3", "fd01::2" };
		static const char *const mac[] = { "02:42:ac:11:00:02", "02:42:ac:11:00:03",
						   "02:42:ac:1e:00:02" };

		strcpy(endpoints[i].network_id, i == 2 ? NET2 : NET);
		endpoints[i].ip4 = ip(ip4[i]);
		endpoints[i].ip6 = ip(ip6[i]);
		assert_int_equal(mac_addr_parse(mac[i], &endpoints[i].mac), 0);
		containers[i].endpoints = &endpoints[i];
		containers[i].endpoints_n = 1;
	}
	links[3].peer_mac = endpoints[1].mac;
	containers[1].ports = &binding;
	containers[1].ports_n = 1;
	binding.host_ip = ip("127.0.0.1");
	assert_int_equal(directory_new(&model, verdicts, tags, ARRAY_SIZE(tags), &made), 0);
	return made;
}

/* A packet of TCP; the rest by the caller. */
static struct attempt attempt(const char *rule, uint8_t family, uint8_t hook, const char *from,
			      const char *to, uint16_t port)
{
	struct attempt a = { .family = family,
			     .hook = hook,
			     .ethertype = 0x0800,
			     .protocol = IPPROTO_TCP,
			     .from = ip(from),
			     .to = ip(to),
			     .from_port = 40000,
			     .to_port = port };

	strcpy(a.rule, rule);
	return a;
}

static const char *said(const struct attempt_record *record)
{
	static char text[480];

	return attempt_text(record, &ports, text, sizeof(text));
}

static struct attempt_record named(const struct attempt *a)
{
	_cleanup_(directory_freep) struct directory *now = directory(ARRAY_SIZE(containers));
	struct attempt_record record;

	assert_true(attempt_attribute(a, now, NULL, &record));
	return record;
}

static void bridge_jobs(void **state)
{
	struct attempt a = attempt("job_to_host", NFPROTO_IPV4, NF_INET_PRE_ROUTING, "172.17.0.2",
				   "172.17.0.1", 22);
	struct attempt_record r;

	a.in = BRIDGE;
	r = named(&a);
	assert_int_equal(r.who.kind, PARTY_CONTAINER);
	assert_string_equal(r.who.id, "a");
	assert_string_equal(r.who.class, "isolated");
	assert_string_equal(said(&r), "job alpha (task 4f) tried to reach this host "
				      "(172.17.0.1:22/tcp): stopped");
	/* the same address on another bridge is nobody's there */
	a.in = BRIDGE2;
	r = named(&a);
	assert_int_equal(r.who.kind, PARTY_UNNAMED);
	assert_string_equal(r.who.id, "");
	/* a forged source: by its MAC, which table bridge holds to the port */
	a = attempt("spoofed", NFPROTO_IPV4, NF_INET_PRE_ROUTING, "10.9.9.9", "172.17.0.1", 22);
	a.in = BRIDGE;
	a.mac = (struct mac_addr){ { 2, 0x42, 0xac, 0x11, 0, 3 } };
	r = named(&a);
	assert_string_equal(r.who.id, "b");
	/* what the host says to a job of before the fence is the job's connection */
	a = attempt("job_to_host", NFPROTO_IPV4, NF_INET_POST_ROUTING, "172.17.0.1", "172.17.0.2",
		    40000);
	a.from_port = 22;
	a.out = BRIDGE;
	r = named(&a);
	assert_string_equal(r.who.id, "a");
	assert_int_equal(r.attempt.to_port, 22);
	/* quarantined */
	a = attempt("bridge_job_quarantined", NFPROTO_IPV4, NF_INET_PRE_ROUTING, "172.17.0.2",
		    "1.1.1.1", 443);
	a.in = BRIDGE;
	r = named(&a);
	assert_string_equal(said(&r), "job alpha (task 4f), which is quarantined, tried to reach "
				      "1.1.1.1:443/tcp: stopped");
}

static void between_ports(void **state)
{
	struct attempt a =
		attempt("job_to_neighbour", NFPROTO_BRIDGE, 2, "172.17.0.9", "172.17.0.3", 8000);
	struct attempt_record r;
	_cleanup_(directory_freep) struct directory *now = directory(ARRAY_SIZE(containers));

	/* by the port, whatever the frame says; beta's is known by the MAC behind it */
	a.in_port = PORT_ALPHA;
	a.out_port = PORT_BETA;
	r = named(&a);
	assert_string_equal(r.who.id, "a");
	assert_string_equal(r.target.id, "b");
	assert_string_equal(said(&r), "job alpha (task 4f) tried to reach job beta "
				      "(172.17.0.3:8000/tcp): stopped");
	a.in_port = 99;
	assert_int_equal(named(&a).who.kind, PARTY_UNNAMED);
	/* a question for it, at its own port; the same at others' ports is none, nor one for the gateway */
	a.in_port = PORT_ALPHA;
	a.question = true;
	a.protocol = 0;
	a.to_port = a.from_port = 0;
	a.ethertype = 0x0806;
	r = named(&a);
	assert_string_equal(said(&r), "job alpha (task 4f) tried to reach job beta "
				      "(172.17.0.3, arp): stopped");
	a.out_port = 13;
	assert_false(attempt_attribute(&a, now, NULL, &r));
	a.out_port = PORT_BETA;
	a.to = ip("172.17.0.1");
	assert_false(attempt_attribute(&a, now, NULL, &r));
	a.to = ip("172.17.0.2"); /* its own, at start */
	assert_false(attempt_attribute(&a, now, NULL, &r));
	/* announcements, groups, broadcast */
	a.question = false;
	a.to = ip("172.17.0.3");
	assert_false(attempt_attribute(&a, now, NULL, &r));
	a.ethertype = 0x0800;
	a.protocol = IPPROTO_UDP;
	a.to = ip("224.0.0.251");
	assert_false(attempt_attribute(&a, now, NULL, &r));
	a.to = ip("255.255.255.255");
	assert_false(attempt_attribute(&a, now, NULL, &r));
	a.to = ip("ff02::1");
	assert_false(attempt_attribute(&a, now, NULL, &r));
	/* what it says of itself in a frame is not its name */
	a = attempt("job_spoofed", NFPROTO_BRIDGE, 0, "172.17.0.2", "172.17.0.1", 22);
	a.in_port = PORT_BETA;
	assert_string_equal(named(&a).who.id, "b");
}

static void host_jobs(void **state)
{
	struct attempt a = attempt("host_job_to_host_api", NFPROTO_IPV4, NF_INET_LOCAL_OUT,
				   "127.0.0.1", "127.0.0.1", 10998);
	struct attempt_record r;

	a.mark = TAG_GAMMA;
	r = named(&a);
	assert_string_equal(r.who.id, "d");
	assert_string_equal(r.who.class, "fenced");
	assert_string_equal(said(&r), "job gamma? (task 6f) tried to reach dstack's shim "
				      "(127.0.0.1:10998/tcp): stopped");
	/* without a tag, and with one that is nobody's: the kind and no more */
	for (a.mark = 0; a.mark < 2; a.mark++) {
		r = named(&a);
		assert_int_equal(r.who.kind, PARTY_HOST_JOB);
		assert_string_equal(r.who.name, "");
	}
	a.mark = 0;
	r = named(&a);
	assert_string_equal(said(&r), "a job on the host's network tried to reach dstack's shim "
				      "(127.0.0.1:10998/tcp): stopped");
	/* what the shim says to a job is the job's connection */
	a = attempt("host_job_to_host_api", NFPROTO_IPV4, NF_INET_LOCAL_IN, "127.0.0.1",
		    "127.0.0.1", 40000);
	a.from_port = 10997;
	a.mark = TAG_GAMMA;
	r = named(&a);
	assert_string_equal(said(&r), "job gamma? (task 6f) tried to reach the DCGM exporter "
				      "(127.0.0.1:10997/tcp): stopped");
	a = attempt("host_job_to_published", NFPROTO_IPV4, NF_INET_LOCAL_OUT, "127.0.0.1",
		    "127.0.0.1", 18000);
	a.mark = TAG_GAMMA;
	r = named(&a);
	assert_string_equal(r.target.id, "b");
	a = attempt("shadow_listener", NFPROTO_IPV4, NF_INET_LOCAL_IN, "127.0.0.1", "127.0.0.1",
		    10998);
	a.mark = TAG_GAMMA;
	r = named(&a);
	assert_string_equal(said(&r), "job gamma? (task 6f) listens in the place of dstack's shim "
				      "(127.0.0.1:10998/tcp): nothing reaches it");
	/* the mark of a bridge job's packet is no tag */
	a = attempt("job_to_host", NFPROTO_IPV4, NF_INET_PRE_ROUTING, "172.17.0.2", "172.17.0.1",
		    22);
	a.in = BRIDGE;
	a.mark = TAG_GAMMA;
	assert_string_equal(named(&a).who.id, "a");
}

static void others(void **state)
{
	struct attempt a =
		attempt("to_job", NFPROTO_IPV4, NF_INET_FORWARD, "10.77.0.2", "172.17.0.2", 8000);
	struct attempt_record r;

	a.in = 2;
	a.out = BRIDGE;
	r = named(&a);
	assert_int_equal(r.who.kind, PARTY_OUTSIDE);
	assert_string_equal(r.target.id, "a");
	assert_string_equal(said(&r), "10.77.0.2 tried to reach job alpha "
				      "(172.17.0.2:8000/tcp): stopped");
	/* a bystander, on its bridge */
	a.from = ip("172.30.0.2");
	a.in = BRIDGE2;
	r = named(&a);
	assert_string_equal(said(&r), "container delta tried to reach job alpha "
				      "(172.17.0.2:8000/tcp): stopped");
	a = attempt("to_quarantined", NFPROTO_IPV4, NF_INET_LOCAL_IN, "10.77.0.2", "10.77.0.1",
		    8100);
	a.in = 2;
	a.mark = TAG_GAMMA;
	r = named(&a);
	assert_int_equal(r.who.kind, PARTY_OUTSIDE);
	assert_string_equal(r.target.id, "d");
	a = attempt("injected", NFPROTO_NETDEV, 1, "10.0.0.1", "172.17.0.2", 80);
	a.out = PORT_ALPHA;
	r = named(&a);
	assert_int_equal(r.who.kind, PARTY_UNKNOWN);
	assert_string_equal(r.target.id, "a");
	strcpy(a.rule, "nobody_s");
	_cleanup_(directory_freep) struct directory *now = directory(ARRAY_SIZE(containers));

	assert_false(attempt_attribute(&a, now, NULL, &r));
	/* nobody is known at all */
	a = attempt("job_to_host", NFPROTO_IPV4, NF_INET_PRE_ROUTING, "172.17.0.2", "172.17.0.1",
		    22);
	a.in = BRIDGE;
	assert_true(attempt_attribute(&a, NULL, NULL, &r));
	assert_int_equal(r.who.kind, PARTY_UNNAMED);
	assert_string_equal(said(&r), "a container that nobody has named tried to reach this host "
				      "(172.17.0.1:22/tcp): stopped");
}

/* Who has gone meanwhile may have sent it; who is there now comes first. */
static void who_is_gone(void **state)
{
	_cleanup_(directory_freep) struct directory *all = directory(ARRAY_SIZE(containers));
	_cleanup_(directory_freep) struct directory *none = directory(0);
	struct attempt a = attempt("job_to_host", NFPROTO_IPV4, NF_INET_PRE_ROUTING, "172.17.0.2",
				   "172.17.0.1", 22);
	struct attempt_record r;

	a.in = BRIDGE;
	assert_true(attempt_attribute(&a, none, all, &r));
	assert_string_equal(r.who.id, "a");
	a = attempt("host_job_to_host_api", NFPROTO_IPV4, NF_INET_LOCAL_OUT, "127.0.0.1",
		    "127.0.0.1", 10998);
	a.mark = TAG_GAMMA;
	assert_true(attempt_attribute(&a, none, all, &r));
	assert_string_equal(r.who.id, "d");
	assert_true(attempt_attribute(&a, none, NULL, &r));
	assert_int_equal(r.who.kind, PARTY_HOST_JOB);
	containers[0].state = CONTAINER_EXITED; /* not live: has no address */
	_cleanup_(directory_freep) struct directory *fewer = directory(ARRAY_SIZE(containers));

	containers[0].state = CONTAINER_RUNNING;
	a = attempt("job_to_host", NFPROTO_IPV4, NF_INET_PRE_ROUTING, "172.17.0.2", "172.17.0.1",
		    22);
	a.in = BRIDGE;
	assert_true(attempt_attribute(&a, fewer, NULL, &r));
	assert_int_equal(r.who.kind, PARTY_UNNAMED);
}

static void sentences(void **state)
{
	struct attempt a =
		attempt("job_to_host", NFPROTO_IPV6, NF_INET_PRE_ROUTING, "fd00::2", "fd00::1", 22);
	struct attempt_record r;
	char text[40];

	a.in = BRIDGE;
	r = named(&a);
	r.count = 3;
	assert_string_equal(said(&r), "job alpha (task 4f) tried to reach this host "
				      "([fd00::1]:22/tcp): stopped, 3 times in the last minute");
	r.count = 1200;
	r.at_least = r.many = r.attempt.audit = true;
	assert_string_equal(said(&r), "job alpha (task 4f) tried to reach this host (several "
				      "ports, at last "
				      "[fd00::1]:22/tcp): let through (audit), at least 1200 times "
				      "in the "
				      "last minute");
	r.spread_to = true;
	assert_non_null(strstr(said(&r), "this host (several addresses and ports, the last "
					 "[fd00::1]:22/tcp)"));
	/* cut, not overrun */
	assert_int_equal(strlen(attempt_text(&r, &ports, text, sizeof(text))), sizeof(text) - 1);
	assert_null(attempt_rule("unheard"));
}

/* Nobody is blamed, or named as what was tried, for all of several. */
static void sentences_of_several(void **state)
{
	struct attempt a = attempt("outside_to_host_api", NFPROTO_IPV4, NF_INET_PRE_ROUTING,
				   "203.0.113.9", "203.0.113.2", 10998);
	struct attempt_record r;

	a.in = 99; /* no bridge */
	r = named(&a);
	r.count = 812;
	r.spread_from = true;
	assert_string_equal(said(&r), "several addresses, the last 203.0.113.9 tried to reach "
				      "dstack's shim "
				      "(203.0.113.2:10998/tcp): stopped, 812 times in the last "
				      "minute");
	r.spread_to = true;
	assert_non_null(strstr(said(&r), "dstack's shim (several addresses, the last "
					 "203.0.113.2:10998/tcp)"));
	a = attempt("to_job", NFPROTO_IPV4, NF_INET_FORWARD, "172.17.0.2", "172.30.0.2", 22);
	a.in = BRIDGE;
	r = named(&a);
	r.count = 249;
	r.spread_from = r.spread_to = true;
	assert_string_equal(said(&r), "job alpha (task 4f) tried to reach several addresses, the "
				      "last that of container delta (172.30.0.2:22/tcp): stopped, "
				      "249 "
				      "times in the last minute");
	r.who = (struct party){ .kind = PARTY_UNNAMED };
	r.target = (struct party){ 0 };
	assert_string_equal(said(&r), "a container that nobody has named, or several of them, "
				      "tried to reach a container (several addresses, the last "
				      "172.30.0.2:22/tcp): stopped, 249 times in the last minute");
	a = attempt("host_job_quarantined", NFPROTO_IPV4, NF_INET_LOCAL_OUT, "127.0.0.1", "8.8.8.8",
		    53);
	r = named(&a);
	r.spread_to = true;
	assert_non_null(strstr(said(&r), "to reach several addresses, the last 8.8.8.8:53/tcp:"));
	a = attempt("job_spoofed", NFPROTO_BRIDGE, NF_INET_PRE_ROUTING, "10.0.0.1", "10.0.0.2", 0);
	r = named(&a);
	r.spread_to = true;
	assert_non_null(strstr(said(&r), "not its own (several addresses, the last 10.0.0.2, "
					 "tcp)"));
}

/* The rules that tell, and the table of what is said of them. */
static void every_told_rule_has_words(void **state)
{
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	struct skeleton_params params = { .mode = 2, .egress = true };

	assert_non_null(skeleton);
	skeleton_build(&params, skeleton);
	for (size_t i = 0; i < skeleton->counters_n; i++)
		if (skeleton_is_told(skeleton->counters[i].name) !=
		    !!attempt_rule(skeleton->counters[i].name))
			fail_msg("%s is in one of src/skeleton_records.c and "
				 "src/attempt_attribute.c and not in the other",
				 skeleton->counters[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bridge_jobs),
		cmocka_unit_test(between_ports),
		cmocka_unit_test(host_jobs),
		cmocka_unit_test(others),
		cmocka_unit_test(who_is_gone),
		cmocka_unit_test(sentences),
		cmocka_unit_test(sentences_of_several),
		cmocka_unit_test(every_told_rule_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
