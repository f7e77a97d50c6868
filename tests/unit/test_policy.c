/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy against plain models: what each kind of container adds to the sets, and above all
 * what opens nothing.
 */
#include "policy_fixture.h"

static void base_sets_need_no_container(void **state)
{
	struct fixture *f = *state;

	f->model.containers_n = 0;
	build(f);
	assert_set(f, SET_GUARDED_BRIDGES, "\"br-0123456789ab\", \"docker0\"");
	assert_set(f, SET_BRIDGE_GUARDED, "\"br-0123456789ab\", \"docker0\"");
	assert_set(f, SET_SPARED_BRIDGES, "\"br-lan\"");
	assert_set(f, SET_HOST_APIS, "10997, 10998");
	assert_set(f, SET_OWN_APIS, "10022, 10999");
	assert_set(f, SET_RESERVED_APIS, "10022, 10997, 10998, 10999");
	assert_set(f, SET_CONTAINER_SLICES, "cgroup 42");
	assert_set(f, SET_GUARDED_LISTENERS, "6 . 22");
	assert_set(f, SET_FENCED_PORTS, "");
	assert_set(f, SET_ENGINE_CGROUPS, "cgroup 77");
	for (size_t set = SET_BYSTANDER_CGROUPS; set <= SET_BYSTANDER_PUBLISHED; set++)
		assert_int_equal(f->ruleset->sets[set].n, 0);
}

static void foreign_ports_only_without_ibrname(void **state)
{
	struct fixture *f = *state;

	build(f);
	assert_set(f, SET_FOREIGN_PORTS, "\"eth0\"");
	f->model.bridge_meta = true;
	build(f);
	assert_set(f, SET_FOREIGN_PORTS, "");
}

/* A host job sends past a bridge by a socket that is bound to its port: only what is none is spared. */
static void veths_that_are_nobodys_port_are_spared(void **state)
{
	struct fixture *f = *state;

	build(f);
	assert_set(f, SET_SPARED_VETHS, "");
	f->links[4].master = 5; /* on somebody else's bridge */
	f->links[5].master = 0; /* on none, its peer elsewhere */
	build(f);
	assert_set(f, SET_SPARED_VETHS, "\"vetha\", \"vethb\"");
	f->model.in_sync =
		false; /* that bridge may be Docker's; what is on none is no port of it */
	build(f);
	assert_set(f, SET_SPARED_VETHS, "\"vethb\"");
	assert_true(f->ruleset->keep[SET_SPARED_VETHS]);
	f->model.in_sync = true;
	/* both ends are here: Docker made them and puts one on its bridge */
	f->links[4] = (struct link){ 0 };
	set_link(&f->links[4], VETH_A, "vetha", "veth", 0);
	set_link(&f->links[5], VETH_B, "vethb", "veth", 0);
	f->links[4].peer_ifindex = VETH_B;
	f->links[5].peer_ifindex = VETH_A;
	build(f);
	assert_set(f, SET_SPARED_VETHS, "");
	f->links[5].master = DOCKER0;
	build(f);
	assert_set(f, SET_SPARED_VETHS, "");
	f->links[5].master = 5;
	build(f);
	assert_set(f, SET_SPARED_VETHS, "\"vetha\", \"vethb\"");
}

static void bridge_job_is_named_and_bound(void **state)
{
	struct fixture *f = *state;
	const char *comment;

	f->model.containers_n = 1;
	build(f);
	assert_int_equal(f->verdicts[0].confinement, CONFINEMENT_ISOLATED);
	assert_set(f, SET_JOBS4, "\"docker0\" . 172.17.0.2");
	assert_set(f, SET_JOBS6, "\"docker0\" . fd00:d0c::2");
	assert_set(f, SET_JOB_PORTS, "\"vetha\"");
	assert_set(f, SET_JOB_BINDINGS4, "\"vetha\" . 02:42:ac:11:00:02 . 172.17.0.2");
	assert_set(f, SET_JOB_BINDINGS6,
		   "\"vetha\" . 02:42:ac:11:00:02 . fd00:d0c::2, "
		   "\"vetha\" . 02:42:ac:11:00:02 . fe80::42:acff:fe11:2");
	comment = f->ruleset->sets[SET_JOBS4].elem[0].comment;
	assert_string_equal(comment, "train-0-0-1a2b3c4d task 4711 HOST_WHEN_POSSIBLE isolated");
	assert_set(f, SET_BYSTANDER_PORTS, "");
	assert_set(f, SET_HOST_JOBS, "");
}

/* Nobody may send as them from a port that is not known. */
static void what_a_known_port_sends_with_is_claimed(void **state)
{
	static const char macs[] = "02:42:00:00:00:01, 02:42:ac:11:00:02, 02:42:ac:11:00:03";
	struct fixture *f = *state;
	struct ip_addr gateways[2];

	assert_int_equal(mac_addr_parse("02:42:00:00:00:01", &f->links[1].mac), 0);
	assert_int_equal(mac_addr_parse("02:42:00:00:00:99", &f->links[3].mac), 0); /* br-lan */
	assert_int_equal(ip_addr_parse("172.17.0.1", &gateways[0]), 0);
	assert_int_equal(ip_addr_parse("fd00:d0c::1", &gateways[1]), 0);
	f->model.gateways = gateways;
	f->model.gateways_n = 2;
	f->model.containers_n = 2;
	build(f);
	assert_set(f, SET_PORT_MACS,
		   "\"vetha\" . 02:42:ac:11:00:02, \"vethb\" . 02:42:ac:11:00:03");
	assert_set(f, SET_BOUND_MACS, macs);
	assert_set(f, SET_BOUND4, "172.17.0.1, 172.17.0.2, 172.17.0.3");
	assert_set(f, SET_BOUND6,
		   "fd00:d0c::1, fd00:d0c::2, fd00:d0c::3, fe80::1, fe80::42:ff:fe00:1, "
		   "fe80::42:acff:fe11:2, fe80::42:acff:fe11:3");
	/* its own port is not known, or it is dead: it would shut itself out, or the next one */
	f->nsid[1] = 9;
	build(f);
	assert_set(f, SET_BOUND4, "172.17.0.1, 172.17.0.2");
	f->containers[0].state = CONTAINER_EXITED;
	f->endpoints[0].mac = (struct mac_addr){ 0 };
	build(f);
	assert_set(f, SET_PORT_MACS, "");
	assert_set(f, SET_BOUND_MACS, "02:42:00:00:00:01");
	assert_set(f, SET_BOUND4, "172.17.0.1");
	assert_set(f, SET_BOUND6, "fd00:d0c::1, fe80::1, fe80::42:ff:fe00:1");
	assert_true(policy_is_claim(SET_BOUND_MACS) && policy_is_claim(SET_BOUND4) &&
		    policy_is_claim(SET_BOUND6) && !policy_is_claim(SET_PORT_MACS));
}

static void bystanders_open_by_their_port(void **state)
{
	struct fixture *f = *state;

	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethb\", \"vethc\"");
	assert_set(f, SET_BYSTANDERS4, "172.17.0.3, 172.17.0.4");
	assert_set(f, SET_BYSTANDERS6,
		   "fd00:d0c::3, fd00:d0c::4, fe80::42:acff:fe11:3, fe80::42:acff:fe11:4");
}

static void assert_b_closed(struct fixture *f)
{
	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethc\"");
	assert_set(f, SET_BYSTANDERS4, "172.17.0.4");
}

static void bystander_without_port_opens_nothing(void **state)
{
	struct fixture *f = *state;

	/* its namespace's file is gone: whatever has the id now is another */
	f->nsid[1] = -1;
	assert_b_closed(f);
	/* no link has that id */
	f->nsid[1] = 9;
	assert_b_closed(f);
	/* the link is on another bridge than its network's */
	f->nsid[1] = 1;
	f->links[5].master = BR_USER;
	assert_b_closed(f);
	/* its network is not known */
	f->links[5].master = DOCKER0;
	strcpy(f->endpoints[1].network_id, ID("9999"));
	assert_b_closed(f);
}

static void publish(struct fixture *f, size_t i, const char *ip, uint16_t port)
{
	struct port_binding *binding = &f->ports[i][f->containers[i].ports_n++];

	*binding = (struct port_binding){ .l4proto = IPPROTO_TCP,
					  .host_port = port,
					  .container_port = 10999 };
	assert_int_equal(ip_addr_parse(ip, &binding->host_ip), 0);
	f->containers[i].ports = f->ports[i];
}

static void early_bystander_opens_by_mac(void **state)
{
	struct fixture *f = *state;

	f->containers[1].sandbox_key = NULL;
	f->nsid[1] = -1;
	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethb\", \"vethc\"");
	/* two ports with that MAC are none */
	f->links[4].peer_mac = f->endpoints[1].mac;
	assert_b_closed(f);
	/* and no port with it is none */
	f->links[4].peer_mac = f->links[5].peer_mac = f->endpoints[0].mac;
	assert_b_closed(f);
}

/* What Docker told of a container that failed to start stays, and a job has its address and MAC by now. */
static void mac_of_two_opens_no_port(void **state)
{
	struct fixture *f = *state;

	f->containers[1].state = CONTAINER_CREATED;
	f->containers[1].sandbox_key = NULL;
	f->nsid[1] = -1;
	f->endpoints[1].mac = f->endpoints[0].mac;
	f->links[5].peer_mac = (struct mac_addr){ 0 };
	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethc\"");
	assert_set(f, SET_JOB_PORTS, "\"vetha\"");
	/* the engine's list alone: nobody's namespace is known */
	f->containers[0].sandbox_key = NULL;
	f->nsid[0] = -1;
	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethc\"");
	assert_set(f, SET_JOB_PORTS, "");
	/* its namespace only */
	f->nsid[0] = 0;
	f->endpoints[0].mac = f->endpoints[2].mac;
	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethc\"");
}

static void created_bystander_opens_with_its_port(void **state)
{
	struct fixture *f = *state;

	f->containers[1].state = CONTAINER_CREATED;
	f->containers[1].sandbox_key = NULL;
	f->nsid[1] = -1;
	publish(f, 1, "0.0.0.0", 9090);
	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethb\", \"vethc\"");
	assert_set(f, SET_BYSTANDERS4, "172.17.0.3, 172.17.0.4");
	/* what it will publish is not its own yet */
	assert_set(f, SET_BYSTANDER_PUBLISHED, "");
	/* never started: no port, no address */
	f->links[5].peer_mac = (struct mac_addr){ 0 };
	assert_b_closed(f);
	/* a job that is about to start keeps its address */
	f->containers[0].state = CONTAINER_CREATED;
	f->endpoints[2].ip4 = f->endpoints[0].ip4;
	build(f);
	assert_set(f, SET_BYSTANDERS4, "");
	assert_set(f, SET_JOB_PORTS, "\"vetha\"");
}

/* Docker connects it before it starts it again, and calls it "exited" until it runs. */
static void bystander_that_starts_again_opens_with_its_port(void **state)
{
	struct fixture *f = *state;

	f->containers[1].state = CONTAINER_EXITED;
	f->containers[1].sandbox_key = NULL;
	f->nsid[1] = -1;
	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethb\", \"vethc\"");
	assert_set(f, SET_BYSTANDERS4, "172.17.0.3, 172.17.0.4");
	/* no network has it: it only stopped */
	f->endpoints[1].mac = (struct mac_addr){ 0 };
	assert_b_closed(f);
	/* a job that starts again keeps its address from a bystander */
	f->containers[0].state = CONTAINER_EXITED;
	f->endpoints[2].ip4 = f->endpoints[0].ip4;
	build(f);
	assert_set(f, SET_BYSTANDERS4, "");
	assert_set(f, SET_JOB_PORTS, "\"vetha\"");
}

static void namespace_shared_with_a_job_is_a_jobs(void **state)
{
	struct fixture *f = *state;

	f->containers[0].network_kind = NETWORK_KIND_CONTAINER;
	f->containers[0].network_ref = (char *)ID_B;
	f->containers[0].endpoints_n = 0;
	assert_b_closed(f);
	assert_set(f, SET_JOB_PORTS, "\"vethb\"");
	assert_set(f, SET_JOBS4, "\"docker0\" . 172.17.0.3");
	/* a job that has ended shares nothing */
	f->containers[0].state = CONTAINER_EXITED;
	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "\"vethb\", \"vethc\"");
}

static void address_of_a_job_is_no_bystanders(void **state)
{
	struct fixture *f = *state;

	f->endpoints[1].ip4 = f->endpoints[0].ip4;
	build(f);
	assert_set(f, SET_BYSTANDERS4, "172.17.0.4");
}

static void stopped_containers_add_nothing(void **state)
{
	static const enum container_state states[] = { CONTAINER_EXITED, CONTAINER_DEAD,
						       CONTAINER_REMOVING };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		for (size_t j = 0; j < 3; j++) {
			f->containers[j].state = states[i];
			f->endpoints[j].mac = (struct mac_addr){ 0 }; /* no network has it */
		}
		build(f);
		assert_set(f, SET_BYSTANDER_PORTS, "");
		assert_set(f, SET_BYSTANDERS4, "");
		assert_set(f, SET_JOB_PORTS, "");
		assert_set(f, SET_JOBS4, "");
	}
}

static void published_ports_are_reserved(void **state)
{
	struct fixture *f = *state;

	publish(f, 0, "127.0.0.1", 32768);
	publish(f, 0, "0.0.0.0", 8080);
	publish(f, 1, "0.0.0.0", 9090);
	publish(f, 2, "10.0.0.1", 0);
	build(f);
	assert_set(f, SET_PUBLISHED4, "6 . 127.0.0.1 . 32768");
	assert_set(f, SET_PUBLISHED6, "6 . ::1 . 32768");
	assert_set(f, SET_PUBLISHED_ANY, "6 . 8080");
	assert_set(f, SET_BYSTANDER_PUBLISHED, "6 . 9090");
}

static void host_job_is_paired_with_its_runner(void **state)
{
	struct fixture *f = *state;

	host(f, 0);
	build(f);
	assert_set(f, SET_HOST_JOBS, "cgroup 1000");
	assert_set(f, SET_JOB_TAGS, "cgroup 1000");
	assert_int_equal(elem_extra(&f->ruleset->sets[SET_JOB_TAGS].elem[0])->data,
			 0x10000000 | 1001);
	assert_set(f, SET_OWN, "0x100003e9 . cgroup 1000");
	assert_set(f, SET_QUARANTINED_CGROUPS, "");
	assert_set(f, SET_BYSTANDER_CGROUPS, "");
}

static void tags_are_unique_and_of_no_history(void **state)
{
	struct fixture *f = *state;
	uint32_t first;

	for (size_t i = 0; i < 3; i++) {
		host(f, i);
		f->containers[i].is_task = true;
		/* the same low bits */
		f->cgroup_id[i] = 5 + 65535 * i;
	}
	build(f);
	assert_int_equal(f->ruleset->sets[SET_OWN].n, 3);
	assert_int_equal(f->ruleset->sets[SET_JOB_TAGS].n, 3);
	first = elem_extra(&f->ruleset->sets[SET_JOB_TAGS].elem[0])->data;
	build(f);
	assert_int_equal(elem_extra(&f->ruleset->sets[SET_JOB_TAGS].elem[0])->data, first);
}

static void part_of_an_instance_is_quarantined(void **state)
{
	struct fixture *f = *state;

	host(f, 0);
	f->containers[0].nano_cpus = 1;
	f->containers[0].memory = 1;
	build(f);
	assert_set(f, SET_QUARANTINED_CGROUPS, "cgroup 1000");
	assert_set(f, SET_HOST_JOBS, "cgroup 1000");
	assert_set(f, SET_OWN, "");
	assert_set(f, SET_FENCED_CGROUPS, "");
}

static void mode_3_opens_only_by_on_violation(void **state)
{
	struct fixture *f = *state;

	host(f, 0);
	f->config.mode = NETWORK_MODE_FORCED_BRIDGE;
	build(f);
	/* the rules of mode 3 quarantine whoever is in no set */
	assert_set(f, SET_QUARANTINED_CGROUPS, "");
	assert_set(f, SET_FENCED_CGROUPS, "");
	assert_set(f, SET_OWN, "");
	assert_set(f, SET_HOST_JOBS, "cgroup 1000");
	f->config.on_violation = ON_VIOLATION_FENCE;
	build(f);
	assert_set(f, SET_FENCED_CGROUPS, "cgroup 1000");
	assert_int_equal(f->ruleset->sets[SET_OWN].n, 1);
}

static void bystander_on_the_host_network_is_free(void **state)
{
	struct fixture *f = *state;

	host(f, 1);
	build(f);
	assert_set(f, SET_BYSTANDER_CGROUPS, "cgroup 1001");
	assert_set(f, SET_HOST_JOBS, "");
	/* its cgroup is not known: it waits */
	f->cgroup_id[1] = 0;
	build(f);
	assert_set(f, SET_BYSTANDER_CGROUPS, "");
}

static void joined_to_nobody_known_opens_nothing(void **state)
{
	struct fixture *f = *state;

	host(f, 1);
	f->containers[1].network_kind = NETWORK_KIND_CONTAINER;
	f->containers[1].network_ref = (char *)ID("8888");
	build(f);
	assert_set(f, SET_BYSTANDER_CGROUPS, "");
}

static void systemd_parent_names_the_services(void **state)
{
	struct fixture *f = *state;

	f->children[0].name = "docker-" ID_A ".scope";
	f->children[1].name = "ssh.service";
	f->children[0].id = 500;
	f->children[1].id = 501;
	f->model.cgroups.children = f->children;
	f->model.cgroups.children_n = 2;
	f->model.cgroups.shared = true;
	build(f);
	assert_set(f, SET_HOST_SERVICES, "cgroup 501");
	f->model.cgroups.shared = false;
	build(f);
	assert_set(f, SET_HOST_SERVICES, "");
}

/* Every port of a guarded bridge, whoever is behind it, and of no other. */
static void egress_chains_of_ports(void **state)
{
	struct fixture *f = *state;
	struct elem_key mac;

	build(f);
	assert_int_equal(f->ruleset->sets[SET_EGRESS_PORTS].n, 0);
	assert_int_equal(f->ruleset->sets[SET_EGRESS_BYSTANDERS].n, 0);
	f->model.egress = true;
	assert_int_equal(mac_addr_parse("02:42:00:00:00:01", &f->links[1].mac), 0);
	build(f);
	assert_int_equal(f->ruleset->sets[SET_EGRESS_PORTS].n, 3);
	for (size_t i = 0; i < f->model.links_n; i++) {
		struct elem_key key;
		bool port = f->links[i].master == DOCKER0 || f->links[i].master == BR_USER;

		elem_key_init(&key);
		elem_key_ifname(&key, f->links[i].name);
		assert_int_equal(!!ruleset_find(f->ruleset, SET_EGRESS_PORTS, key.bytes), port);
		assert_int_equal(!!ruleset_find(f->ruleset, SET_EGRESS_BYSTANDERS, key.bytes),
				 !!ruleset_find(f->ruleset, SET_BYSTANDER_PORTS, key.bytes));
	}
	assert_true(f->ruleset->sets[SET_EGRESS_BYSTANDERS].n > 0);
	elem_key_init(&mac);
	elem_key_add(&mac, f->links[1].mac.bytes, 6);
	assert_non_null(ruleset_find(f->ruleset, SET_BRIDGE_MACS, mac.bytes));
}

static void out_of_sync_nothing_is_taken_out(void **state)
{
	struct fixture *f = *state;
	size_t kept = 0;

	build(f);
	for (size_t i = 0; i < SET_MAX; i++)
		assert_false(f->ruleset->keep[i]);
	f->model.in_sync = false;
	build(f);
	for (size_t i = 0; i < SET_MAX; i++)
		kept += f->ruleset->keep[i];
	assert_int_equal(kept, 35);
	/* configuration is never kept */
	assert_false(f->ruleset->keep[SET_HOST_APIS]);
	assert_false(f->ruleset->keep[SET_FENCED_CGROUPS]);
	assert_false(f->ruleset->keep[SET_SPARED_BRIDGES]);
	f->config.on_violation = ON_VIOLATION_FENCE;
	build(f);
	assert_true(f->ruleset->keep[SET_FENCED_CGROUPS]);
	/* a job's own resolvers come from the engine, those of a list do not */
	assert_true(f->ruleset->keep[SET_SERVICES4]);
	assert_true(f->ruleset->keep[SET_SERVICES6]);
	f->config.resolvers.source = CONFIG_SOURCE_LIST;
	build(f);
	assert_false(f->ruleset->keep[SET_SERVICES4]);
	assert_false(f->ruleset->keep[SET_SERVICES6]);
}

static void names_cannot_break_a_comment(void **state)
{
	struct fixture *f = *state;
	char name[300];

	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	name[3] = '\n';
	f->containers[0].name = name;
	build(f);
	const char *comment = f->ruleset->sets[SET_JOBS4].elem[0].comment;

	assert_null(strpbrk(comment, "\"\n"));
	assert_true(strlen(comment) <= ELEM_COMMENT_MAX);
	assert_non_null(strstr(comment, " task 4711 HOST_WHEN_POSSIBLE isolated"));
}

static void docker_bridges_by_name(void **state)
{
	assert_true(policy_is_docker_bridge("br-0123456789ab"));
	assert_false(policy_is_docker_bridge("br-0123456789AB"));
	assert_false(policy_is_docker_bridge("br-0123456789a"));
	assert_false(policy_is_docker_bridge("br-lan"));
	assert_false(policy_is_docker_bridge("docker0"));
	assert_false(policy_is_docker_bridge("br-0123456789ag"));
	assert_false(policy_is_docker_bridge("xx-0123456789ab"));
}

static void only_named_bridges_are_guarded(void **state)
{
	struct fixture *f = *state;

	strcpy(f->networks[1].bridge, "jobs");
	assert_true(policy_is_guarded(&f->config, &f->model, "docker0"));
	assert_true(policy_is_guarded(&f->config, &f->model, "jobs"));
	assert_true(policy_is_guarded(&f->config, &f->model, "br-ffffffffffff"));
	assert_false(policy_is_guarded(&f->config, &f->model, "br-lan"));
	assert_false(policy_is_guarded(&f->config, &f->model, "cni0"));
}

static void rules_follow_the_host(void **state)
{
	struct fixture *f = *state;
	struct skeleton_params params;

	f->model.cgroups.shared = true;
	f->model.cgroups.parent_level = 3;
	f->model.engine_level = 0;
	policy_skeleton_params(&f->config, &f->model, &params);
	assert_true(params.shared_parent);
	assert_int_equal(params.parent_level, 3);
	assert_int_equal(params.engine_level, 2);
	assert_int_equal(params.mode, 2);
	assert_int_equal(params.runner_port, 10999);
	f->model.has_cgroups = false;
	policy_skeleton_params(&f->config, &f->model, &params);
	assert_false(params.shared_parent);
	assert_int_equal(params.parent_level, 1);
}

static void no_mac_no_link_local(void **state)
{
	struct fixture *f = *state;

	f->endpoints[1].mac = (struct mac_addr){ 0 };
	build(f);
	assert_set(f, SET_BYSTANDERS6, "fd00:d0c::3, fd00:d0c::4, fe80::42:acff:fe11:4");
}

static void a_nameless_container_is_called_by_its_id(void **state)
{
	struct fixture *f = *state;

	f->containers[1].name = NULL;
	f->containers[2].name = (char *)"";
	build(f);
	assert_memory_equal(f->ruleset->sets[SET_BYSTANDERS4].elem[0].comment, "bbbb", 4);
	assert_memory_equal(f->ruleset->sets[SET_BYSTANDERS4].elem[1].comment, "cccc", 4);
}

static void ports_of_the_configuration(void **state)
{
	struct fixture *f = *state;
	struct skeleton_params params;

	f->config.guarded.n = 0;
	f->config.fenced = (struct port_ranges){
		.range = { { 6, 65534, 65535 }, { 17, 7, 7 }, { 6, 65534, 65534 } },
		.n = 3,
	};
	build(f);
	assert_set(f, SET_GUARDED_LISTENERS, "");
	assert_set(f, SET_FENCED_PORTS, "6 . 65534, 6 . 65535, 17 . 7");
	policy_skeleton_params(&f->config, &f->model, &params);
	assert_false(params.guarded);
	assert_true(params.fenced);
}

/* An override closes what the mirror left open, and a container of [confine] opens nothing. */
static void overrides_and_confined_go_into_the_sets(void **state)
{
	struct fixture *f = *state;

	host(f, 0);
	f->config.overrides[0] = (struct config_override){ "*", NETWORK_MODE_FORCED_BRIDGE };
	build(f);
	assert_true(f->ruleset->sets[SET_HOST_JOBS].n > 0);
	assert_set(f, SET_QUARANTINED_CGROUPS, "");
	f->config.overrides_n = 1;
	build(f);
	assert_int_equal(f->ruleset->sets[SET_QUARANTINED_CGROUPS].n, 1);
	assert_set(f, SET_JOB_TAGS, "");
	f->config.audit = GROUP_BIT(GROUP_QUARANTINE); /* fenced then, with its own runner */
	build(f);
	assert_int_equal(f->ruleset->sets[SET_JOB_TAGS].n, 1);
	assert_true(f->ruleset->sets[SET_BYSTANDER_PORTS].n > 0);
	strcpy(f->config.confine_names[0], "*");
	f->config.confine_names_n = 1;
	build(f);
	assert_set(f, SET_BYSTANDER_PORTS, "");
	assert_set(f, SET_BYSTANDERS4, "");
	assert_true(f->ruleset->sets[SET_JOB_PORTS].n > 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(base_sets_need_no_container),
		TEST(foreign_ports_only_without_ibrname),
		TEST(veths_that_are_nobodys_port_are_spared),
		TEST(bridge_job_is_named_and_bound),
		TEST(what_a_known_port_sends_with_is_claimed),
		TEST(bystanders_open_by_their_port),
		TEST(bystander_without_port_opens_nothing),
		TEST(early_bystander_opens_by_mac),
		TEST(mac_of_two_opens_no_port),
		TEST(created_bystander_opens_with_its_port),
		TEST(bystander_that_starts_again_opens_with_its_port),
		TEST(namespace_shared_with_a_job_is_a_jobs),
		TEST(address_of_a_job_is_no_bystanders),
		TEST(stopped_containers_add_nothing),
		TEST(published_ports_are_reserved),
		TEST(host_job_is_paired_with_its_runner),
		TEST(tags_are_unique_and_of_no_history),
		TEST(part_of_an_instance_is_quarantined),
		TEST(mode_3_opens_only_by_on_violation),
		TEST(bystander_on_the_host_network_is_free),
		TEST(joined_to_nobody_known_opens_nothing),
		TEST(systemd_parent_names_the_services),
		TEST(egress_chains_of_ports),
		TEST(out_of_sync_nothing_is_taken_out),
		TEST(names_cannot_break_a_comment),
		TEST(only_named_bridges_are_guarded),
		TEST(rules_follow_the_host),
		TEST(ports_of_the_configuration),
		TEST(overrides_and_confined_go_into_the_sets),
		TEST(no_mac_no_link_local),
		TEST(a_nameless_container_is_called_by_its_id),
		cmocka_unit_test(docker_bridges_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
