/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who reaches whom, by the rules: the fields that flows.table has with real packets have to be the
 * same here, with the counter; what cannot be told is never called denied.
 */
#include "reach_fixture.h"

enum { FENCE = 4, ANY = -1 };

static size_t find(const struct reach_place *places, size_t n, enum reach_kind kind, int container)
{
	for (size_t i = 0; i < n; i++)
		if (places[i].kind == kind &&
		    (container < 0 || places[i].container == (size_t)container))
			return i;
	fail_msg("no place %s %d", reach_kind_name(kind), container);
	return 0;
}

static const struct reach_cell *cell_of(struct fixture *f, enum reach_kind from, int who,
					enum reach_kind to, int whom, bool six)
{
	return reach_cell(&f->reach, find(f->reach.rows, f->reach.rows_n, from, who),
			  find(f->reach.columns, f->reach.columns_n, to, whom), six);
}

/* @wanted: "yes", "-", "partly", "?", or the counter that stops it. */
static void expect(struct fixture *f, enum reach_kind from, int who, enum reach_kind to, int whom,
		   bool six, const char *wanted)
{
	const struct reach_cell *cell = cell_of(f, from, who, to, whom, six);
	const char *seen =
		cell->state == REACH_DENIED ? cell->counter : matrix_state_text(cell->state);

	if (strcmp(seen ?: "none", wanted) != 0)
		fail_msg("%s %d -> %s %d, IPv%d: %s (%s), not %s", reach_kind_name(from), who,
			 reach_kind_name(to), whom, six ? 6 : 4, seen, cell->counter ?: "-",
			 wanted);
}

#define C REACH_CONTAINER
#define R REACH_RUNNER

/* flows.table's: from, to, in modes 1, 2, 3 and 3 with on_violation = fence. */
static const struct {
	enum reach_kind from;
	int who;
	enum reach_kind to;
	int whom;
	const char *wanted[4]; /* NULL: as the mode before */
} table[] = {
	{ C, ALPHA, R, BETA, { "job_to_neighbour" } },
	{ C, ALPHA, C, BETA, { "job_to_neighbour" } },
	{ C, ALPHA, R, ZETA, { "to_job" } },
	{ C, ZETA, R, ALPHA, { "to_job" } },
	{ C, ALPHA, C, DELTA, { "job_to_neighbour" } },
	{ C, ZETA, C, DELTA, { "job_to_bystander" } },
	{ C, DELTA, R, ALPHA, { "job_to_neighbour" } },
	{ C, DELTA, R, ZETA, { "to_job" } },
	{ C, ALPHA, REACH_HOST, ANY, { "job_to_host" } },
	{ C, ALPHA, REACH_SHIM, ANY, { "job_to_host" } },
	{ C, ZETA, REACH_DCGM, ANY, { "job_to_host" } },
	{ C, ALPHA, R, GAMMA, { "job_to_host" } },
	{ C, ALPHA, REACH_LAN, ANY, { "job_to_internal" } },
	{ C, ALPHA, REACH_METADATA, ANY, { "job_to_metadata" } },
	{ C, ALPHA, REACH_INTERNET, ANY, { "yes" } },
	{ C, ALPHA, C, ALPHA, { "-" } },
	{ C, GAMMA, REACH_SHIM, ANY, { "host_job_to_host_api" } },
	{ C, GAMMA, REACH_DCGM, ANY, { "host_job_to_host_api" } },
	{ C, KAPPA, REACH_SHIM, ANY, { "host_job_to_host_api" } },
	{ C,
	  GAMMA,
	  C,
	  BETA,
	  { "host_job_to_bridge", NULL, "host_job_quarantined", "host_job_to_bridge" } },
	{ C,
	  GAMMA,
	  C,
	  ZETA,
	  { "host_job_to_bridge", NULL, "host_job_quarantined", "host_job_to_bridge" } },
	{ C,
	  EPSILON,
	  R,
	  GAMMA,
	  { "host_job_to_runner", NULL, "host_job_quarantined", "host_job_to_runner" } },
	{ C, GAMMA, R, GAMMA, { "yes", NULL, "host_job_quarantined", "yes" } },
	{ C, GAMMA, REACH_HOST, ANY, { "yes", NULL, "host_job_quarantined", "yes" } },
	{ C, GAMMA, REACH_LAN, ANY, { "yes", NULL, "host_job_quarantined", "yes" } },
	{ C, GAMMA, REACH_INTERNET, ANY, { "yes", NULL, "host_job_quarantined", "yes" } },
	{ C, GAMMA, C, DELTA, { "yes", NULL, "host_job_quarantined", "yes" } },
	{ C,
	  GAMMA,
	  C,
	  KAPPA,
	  { "host_job_to_runner", NULL, "host_job_quarantined", "host_job_to_runner" } },
	{ C, KAPPA, REACH_INTERNET, ANY, { "host_job_quarantined", NULL, NULL, "yes" } },
	{ C, KAPPA, C, DELTA, { "host_job_quarantined", NULL, NULL, "yes" } },
	{ C, DELTA, C, KAPPA, { "to_quarantined", NULL, NULL, "yes" } },
	{ C, DELTA, C, LAMBDA, { "yes" } },
	{ C, DELTA, REACH_HOST, ANY, { "yes" } },
	{ C, DELTA, REACH_LAN, ANY, { "yes" } },
	{ C, OMEGA, REACH_SHIM, ANY, { "yes" } },
	{ C, OMEGA, R, BETA, { "yes" } },
	{ REACH_HOST, ANY, R, BETA, { "yes" } },
	{ REACH_HOST, ANY, R, GAMMA, { "yes" } },
	{ REACH_HOST, ANY, R, KAPPA, { "yes" } },
	{ REACH_HOST, ANY, REACH_SHIM, ANY, { "yes" } },
	{ REACH_HOST, ANY, C, DELTA, { "yes" } },
	{ REACH_LAN, ANY, R, BETA, { "to_job" } },
	{ REACH_LAN, ANY, R, ZETA, { "to_job" } },
	{ REACH_LAN, ANY, REACH_SHIM, ANY, { "outside_to_host_api" } },
	{ REACH_LAN, ANY, REACH_DCGM, ANY, { "outside_to_host_api" } },
	{ REACH_LAN, ANY, R, GAMMA, { "outside_to_runner" } },
	{ REACH_LAN, ANY, R, KAPPA, { "outside_to_runner" } },
	{ REACH_LAN, ANY, C, KAPPA, { "to_quarantined", NULL, NULL, "yes" } },
	{ REACH_LAN, ANY, REACH_HOST, ANY, { "yes" } },
	{ REACH_LAN, ANY, REACH_INTERNET, ANY, { "-" } },
};

static void as_in_flows_table(void **state)
{
	struct fixture *f = *state;

	for (int mode = 1; mode <= FENCE; mode++) {
		f->config.mode =
			mode == FENCE ? NETWORK_MODE_FORCED_BRIDGE : (enum network_mode)mode;
		f->config.on_violation =
			mode == FENCE ? ON_VIOLATION_FENCE : ON_VIOLATION_QUARANTINE;
		build(f);
		for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
			int at = mode - 1;

			while (!table[i].wanted[at])
				at--;
			for (int six = 0; six < 2; six++)
				expect(f, table[i].from, table[i].who, table[i].to, table[i].whom,
				       six, table[i].wanted[at]);
		}
	}
}

static const struct reach_flow *flow_to(struct fixture *f, int who, enum reach_kind to, int whom,
					const char *addr, uint16_t port)
{
	const struct reach_cell *cell = cell_of(f, C, who, to, whom, strchr(addr, ':') != NULL);
	const struct ip_addr ip = addr_of(addr);

	for (size_t i = 0; i < cell->flows_n; i++) {
		const struct reach_flow *flow = &f->reach.flows[cell->flow + i];

		if (flow->to.port == port && ip_addr_cmp(&flow->to.ip, &ip) == 0)
			return flow;
	}
	fail_msg("no flow to %s port %u", addr, port);
	return NULL;
}

static void published_ports(void **state)
{
	struct fixture *f = *state;
	const struct reach_flow *flow;

	build(f);
	flow = flow_to(f, GAMMA, R, BETA, "127.0.0.1", 32768);
	assert_int_equal(flow->state, REACH_DENIED);
	assert_string_equal(flow->counter, "host_job_to_published");
	assert_true(flow->may_try);
	flow = flow_to(f, GAMMA, C, DELTA, "127.0.0.1", 18001);
	assert_int_equal(flow->state, REACH_ALLOWED);
	assert_false(flow_to(f, GAMMA, C, OMEGA, "127.0.0.1", 8100)->may_try);
}

/* With br_netfilter the inet tables see the frame first, but not the question who is there. */
static void by_br_netfilter(void **state)
{
	struct fixture *f = *state;

	f->input.bridge_calls[0] = f->input.bridge_calls[1] = true;
	build(f);
	expect(f, C, ALPHA, C, BETA, false, "job_to_neighbour");
	expect(f, C, ALPHA, C, DELTA, true, "job_to_neighbour");
	assert_string_equal(flow_to(f, ALPHA, C, DELTA, "172.17.0.8", 8000)->also, "job_to_"
										   "bystander");
	expect(f, C, DELTA, C, LAMBDA, false, "yes");
}

static void the_configurations_exceptions(void **state)
{
	struct fixture *f = *state;
	struct net_entry entry = { .first = addr_of("10.77.0.9"),
				   .last = addr_of("10.77.0.9"),
				   .l4proto = IPPROTO_TCP,
				   .port_first = 2049,
				   .port_last = 2049 };
	struct ip_addr gateway = addr_of("172.17.0.1");

	f->config.allow.entry[f->config.allow.n++] = entry;
	f->model.resolvers = &gateway;
	f->model.resolvers_n = 1;
	f->config.metadata_bridge = true;
	f->config.metadata_host = false;
	f->config.egress_host = EGRESS_INTERNET;
	build(f);
	expect(f, C, ALPHA, REACH_LAN, ANY, false, "partly");
	expect(f, C, ALPHA, REACH_LAN, ANY, true, "job_to_internal");
	expect(f, C, ALPHA, REACH_METADATA, ANY, false, "yes");
	expect(f, C, ALPHA, REACH_HOST, ANY, false, "partly");
	expect(f, C, GAMMA, REACH_METADATA, ANY, false, "partly"); /* its resolver, port 53 */
	expect(f, C, GAMMA, REACH_INTERNET, ANY, true, "yes");
	expect(f, C, KAPPA, REACH_LAN, ANY, false, "host_job_quarantined");
	f->config.egress_bridge = EGRESS_NONE;
	build(f);
	expect(f, C, ALPHA, REACH_INTERNET, ANY, false, "job_to_denied");
	f->config.fenced.range[0] = (struct port_range){ IPPROTO_TCP, 2375, 2375 };
	f->config.fenced.n = 1;
	build(f);
	expect(f, C, GAMMA, REACH_HOST, ANY, false, "partly");
}

static void audit_counts_and_lets_through(void **state)
{
	struct fixture *f = *state;
	const struct reach_cell *cell;

	f->config.audit = GROUP_BIT(GROUP_HOST_APIS);
	build(f);
	cell = cell_of(f, C, GAMMA, REACH_SHIM, ANY, false);
	assert_int_equal(cell->state, REACH_AUDITED);
	assert_string_equal(cell->counter, "host_job_to_host_api");
	expect(f, C, ALPHA, C, BETA, false, "job_to_neighbour");
	expect(f, C, KAPPA, REACH_SHIM, ANY, false, "host_job_quarantined");
	f->config.audit = GROUPS_ALL;
	build(f);
	for (size_t i = 0; i < f->reach.flows_n; i++)
		assert_int_not_equal(f->reach.flows[i].state, REACH_DENIED);
}

static void not_held_is_never_called_denied(void **state)
{
	struct fixture *f = *state;

	f->containers[ALPHA].hazards = HAZARD_PRIVILEGED;
	build(f);
	for (size_t i = 0; i < f->reach.flows_n; i++)
		if (f->reach.rows[f->reach.flows[i].row].kind == C &&
		    f->reach.rows[f->reach.flows[i].row].container == ALPHA)
			assert_int_not_equal(f->reach.flows[i].state, REACH_DENIED);
	assert_int_equal(cell_of(f, C, ALPHA, C, BETA, false)->state, REACH_NOT_HELD);
	expect(f, C, ALPHA, REACH_INTERNET, ANY, false, "yes");
	expect(f, C, BETA, R, ALPHA, false, "job_to_neighbour");
}

static void what_is_not_known_is_a_question_mark(void **state)
{
	struct fixture *f = *state;

	f->model.in_sync = false; /* what is in the kernel may stay */
	build(f);
	expect(f, C, ALPHA, C, DELTA, false, "?");
	expect(f, C, GAMMA, REACH_INTERNET, ANY, false, "?");
	expect(f, C, ALPHA, C, ALPHA, false, "-");
	f->input.kept = f->expected.ruleset; /* nothing more is there */
	reach_done(&f->reach);
	assert_int_equal(reach_build(&f->input, &f->reach), 0);
	expect(f, C, ALPHA, C, DELTA, false, "job_to_neighbour");
	expect(f, C, GAMMA, REACH_INTERNET, ANY, false, "yes");
	f->model.in_sync = true;
	f->containers[ALPHA].endpoints_n = 0;
	build(f);
	expect(f, C, ALPHA, C, BETA, false, "?");
	expect(f, C, BETA, C, ALPHA, true, "?");
}

static void take_out(struct fixture *f, const char *chain)
{
	for (size_t i = 0; i < f->expected.skeleton->chains_n; i++)
		if (strcmp(f->expected.skeleton->chains[i].name, chain) == 0)
			f->expected.skeleton->chains[i].rules_n = 0;
	reach_done(&f->reach);
	assert_int_equal(reach_build(&f->input, &f->reach), 0);
}

/* Without the elements the same rules let it through: the answer is theirs. */
static void the_rules_alone_decide(void **state)
{
	struct fixture *f = *state;

	build(f);
	f->expected.ruleset->sets[SET_CONTAINER_SLICES].n = 0;
	reach_done(&f->reach);
	assert_int_equal(reach_build(&f->input, &f->reach), 0);
	expect(f, C, GAMMA, REACH_SHIM, ANY, false, "yes");
	expect(f, C, ALPHA, REACH_HOST, ANY, false, "job_to_host");
	take_out(f, "from_bridge_to_host");
	expect(f, C, ALPHA, REACH_HOST, ANY, false, "job_to_host"); /* the answer is stopped */
	take_out(f, "answer_to_bridge");
	expect(f, C, ALPHA, REACH_HOST, ANY, false, "yes");
	expect(f, C, ALPHA, REACH_LAN, ANY, false, "job_to_internal");
}

/* The systemd driver: services share the parent, and are the host all the same. */
static void with_the_systemd_driver(void **state)
{
	static const struct cgroup_child children[] = { { "ssh.service", 500 } };
	struct fixture *f = *state;

	f->model.cgroups.shared = true;
	f->model.cgroups.children = children;
	f->model.cgroups.children_n = 1;
	build(f);
	expect(f, REACH_HOST, ANY, REACH_SHIM, ANY, false, "yes");
	expect(f, C, GAMMA, REACH_SHIM, ANY, true, "host_job_to_host_api");
	expect(f, REACH_HOST, ANY, R, GAMMA, false, "yes");
}

static void kernels_without_names_of_bridges(void **state)
{
	struct fixture *f = *state;

	f->model.bridge_meta = f->model.egress = false;
	build(f);
	expect(f, C, ALPHA, C, BETA, false, "job_to_neighbour");
	expect(f, C, DELTA, C, LAMBDA, true, "yes");
	expect(f, C, ALPHA, REACH_INTERNET, ANY, true, "yes");
}

static void others_addresses(void **state)
{
	struct fixture *f = *state;

	f->input.lan[0] = (struct sock_addr){ addr_of("10.77.0.2"), 8080 };
	f->input.internet[1] = (struct sock_addr){ addr_of("2001:4860::80"), 443 };
	build(f);
	assert_true(flow_to(f, ALPHA, REACH_LAN, ANY, "10.77.0.2", 8080)->may_try);
	assert_true(flow_to(f, ALPHA, REACH_INTERNET, ANY, "2001:4860::80", 443)->may_try);
	assert_false(flow_to(f, ALPHA, REACH_INTERNET, ANY, "1.1.1.1", 443)->may_try);
	assert_true(flow_to(f, ALPHA, REACH_METADATA, ANY, "169.254.169.254", 80)->may_try);
	assert_false(flow_to(f, DELTA, REACH_METADATA, ANY, "169.254.169.254", 80)->may_try);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_in_flows_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(published_ports, set_up, tear_down),
		cmocka_unit_test_setup_teardown(by_br_netfilter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_configurations_exceptions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(audit_counts_and_lets_through, set_up, tear_down),
		cmocka_unit_test_setup_teardown(not_held_is_never_called_denied, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_known_is_a_question_mark, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_rules_alone_decide, set_up, tear_down),
		cmocka_unit_test_setup_teardown(with_the_systemd_driver, set_up, tear_down),
		cmocka_unit_test_setup_teardown(kernels_without_names_of_bridges, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(others_addresses, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
