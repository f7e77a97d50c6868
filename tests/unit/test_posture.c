/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a host's listeners is told, from plain data; and the golden text of it. */
#include "see_fixture.h"

#include "jobfence/term.h"

#define MAX 32

struct case_of {
	struct listener listeners[MAX];
	struct sockets sockets;
	struct posture posture;
};

static void listens(struct case_of *judged, enum listener_kind kind, const char *addr,
		    uint32_t port, uint64_t cgroup_id)
{
	struct listener *listener = &judged->listeners[judged->sockets.n++];

	assert_true(judged->sockets.n <= MAX);
	*listener = (struct listener){ .kind = kind, .port = port, .cgroup_id = cgroup_id };
	if (kind == LISTENER_UNIX)
		snprintf(listener->name, sizeof(listener->name), "%s", addr);
	else if (kind != LISTENER_VSOCK)
		assert_int_equal(ip_addr_parse(addr, &listener->addr), 0);
	judged->sockets.listeners = judged->listeners;
}

static void judge(struct seen *seen, struct case_of *judged)
{
	if (!seen->expected.ruleset)
		see(seen);
	posture_done(&judged->posture);
	assert_int_equal(posture_judge(&seen->f->config, &seen->f->model, seen->expected.verdicts,
				       seen->expected.ruleset, &judged->sockets, &judged->posture),
			 0);
}

/* "kind port, kind port, …" */
static const char *text_of(const struct case_of *judged)
{
	static char text[2000];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < judged->posture.n; i++) {
		const struct finding *finding = &judged->posture.findings[i];

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %u", i ? ", " : "",
					 posture_kind_name(finding->kind),
					 finding->listener ? finding->listener->port : 0);
	}
	return text;
}

static void what_is_told(void **state)
{
	static struct case_of judged;
	struct seen *seen = *state;

	listens(&judged, LISTENER_TCP, "0.0.0.0", 2222, 0);
	listens(&judged, LISTENER_TCP, "127.0.0.1", 4000, 0);
	listens(&judged, LISTENER_TCP, "::1", 3999, 0);
	listens(&judged, LISTENER_TCP, "0.0.0.0", 9100, 0);
	listens(&judged, LISTENER_TCP, "127.0.0.1", 2375, 0);
	listens(&judged, LISTENER_UDP, "0.0.0.0", 9100, 0); /* not that service */
	listens(&judged, LISTENER_VSOCK, NULL, 1024, 0);
	listens(&judged, LISTENER_UNIX, "/tmp/.X11-unix/X0", 0, 0);
	listens(&judged, LISTENER_UNIX, "0a6e9", 0, 0); /* autobound */
	judge(seen, &judged);
	assert_string_equal(text_of(&judged), "known_service 2375, known_service 9100, "
					      "loopback_listener 3999, "
					      "loopback_listener 4000, listener 2222, listener "
					      "9100, "
					      "abstract_unix_socket 0, vsock_listener 1024");
	assert_true(judged.posture.reached);
	posture_done(&judged.posture);
}

/* Closed by the fence, authenticated, everybody's, or published. */
static void what_is_not(void **state)
{
	static struct case_of judged;
	struct seen *seen = *state;

	seen->f->config.fenced.range[seen->f->config.fenced.n++] =
		(struct port_range){ IPPROTO_TCP, 9100, 9200 };
	seen->f->containers[2].ports = seen->f->ports[2];
	seen->f->containers[2].ports_n = 1;
	seen->f->ports[2][0] = (struct port_binding){ .l4proto = IPPROTO_TCP,
						      .host_ip = { AF_INET, { 0 } },
						      .host_port = 8080,
						      .container_port = 80 };
	listens(&judged, LISTENER_TCP, "127.0.0.1", 10998, 0);
	listens(&judged, LISTENER_TCP, "127.0.0.1", 10997, 0);
	listens(&judged, LISTENER_TCP, "0.0.0.0", 22, 0);
	listens(&judged, LISTENER_TCP, "0.0.0.0", 9100, 0);
	listens(&judged, LISTENER_TCP, "0.0.0.0", 9200, 0);
	listens(&judged, LISTENER_UDP, "127.0.0.53", 53, 0);
	listens(&judged, LISTENER_TCP, "127.0.0.1", 32768, 0); /* published for a job */
	listens(&judged, LISTENER_TCP, "::1", 32768, 0);
	listens(&judged, LISTENER_TCP, "0.0.0.0", 8080, 0); /* and for a bystander */
	listens(&judged, LISTENER_TCP, "::", 8080, 0);
	listens(&judged, LISTENER_TCP, "127.0.0.1", 10999, 1001); /* a host job's own */
	listens(&judged, LISTENER_TCP, "127.0.0.1", 10022, 1001);
	listens(&judged, LISTENER_TCP, "0.0.0.0", 6379, 1001);
	judge(seen, &judged);
	assert_string_equal(text_of(&judged), "");
	/* one address beside it, one protocol beside it, one port beside it */
	listens(&judged, LISTENER_TCP, "127.0.0.2", 32768, 0);
	listens(&judged, LISTENER_UDP, "127.0.0.1", 32768, 0);
	listens(&judged, LISTENER_TCP, "0.0.0.0", 9201, 0);
	judge(seen, &judged);
	assert_string_equal(text_of(&judged), "loopback_listener 32768, loopback_listener 32768, "
					      "listener 9201");
	posture_done(&judged.posture);
}

static void who_holds_a_port(void **state)
{
	static struct case_of judged, alone;
	struct seen *seen = *state;

	listens(&judged, LISTENER_TCP, "0.0.0.0", 10998, 1002);
	listens(&judged, LISTENER_TCP, "127.0.0.1", 10997, 1001); /* a job */
	listens(&judged, LISTENER_TCP, "127.0.0.1", 10999, 1002); /* no job */
	listens(&judged, LISTENER_TCP, "::", 22, 1001);
	listens(&judged, LISTENER_UDP, "0.0.0.0", 10998, 1002); /* another protocol */
	listens(&judged, LISTENER_TCP, "0.0.0.0", 10998, 4711); /* no container's cgroup */
	judge(seen, &judged);
	assert_string_equal(text_of(&judged), "held_port 22, held_port 10997, held_port 10998, "
					      "held_port 10999, listener 10998");
	assert_string_equal(judged.posture.findings[2].what, "it answers on an address that the "
							     "host's own service left free");
	assert_ptr_equal(judged.posture.findings[2].container, &seen->f->containers[2]);
	assert_int_equal(judged.posture.findings[2].role, ROLE_BYSTANDER);
	assert_int_equal(judged.posture.findings[1].role, ROLE_JOB);
	posture_done(&judged.posture);
	/* where no process of the host has it, nobody but the container does */
	listens(&alone, LISTENER_TCP, "::", 10998, 1002);
	judge(seen, &alone);
	assert_string_equal(alone.posture.findings[0].what, "the shim cannot start");
	posture_done(&alone.posture);
}

static void ssh_of_jobs(void **state)
{
	static struct case_of judged;
	struct seen *seen = *state;

	listens(&judged, LISTENER_TCP, "0.0.0.0", 10022, 1001);
	listens(&judged, LISTENER_TCP, "127.0.0.1", 10022, 1001);
	judge(seen, &judged);
	assert_string_equal(text_of(&judged), "ssh_not_proxied 10022");
	posture_done(&judged.posture);
}

/* A job in a cgroup of its own is one all the same. */
static void a_foreign_cgroup(void **state)
{
	static struct case_of judged;
	struct foreign_cgroup foreign[3] = { [1] = { .id = 900, .root = 800, .level = 2 } };
	struct seen *seen = *state;

	seen->f->cgroup_id[1] = 0;
	seen->f->model.foreign = foreign;
	listens(&judged, LISTENER_TCP, "0.0.0.0", 10998, 900);
	judge(seen, &judged);
	assert_string_equal(text_of(&judged), "held_port 10998");
	posture_done(&judged.posture);
}

static void jobs_that_own_the_host(void **state)
{
	static struct case_of judged;
	struct seen *seen = *state;

	seen->f->containers[0].hazards = HAZARD_HOST_PATH | HAZARD_RDMA;
	seen->f->containers[1].hazards = HAZARD_RDMA;       /* a remark */
	seen->f->containers[2].hazards = HAZARD_PRIVILEGED; /* no job */
	judge(seen, &judged);
	assert_string_equal(text_of(&judged), "job_hazard 0");
	assert_ptr_equal(judged.posture.findings[0].container, &seen->f->containers[0]);
	posture_done(&judged.posture);
	seen->f->containers[0].state = CONTAINER_EXITED;
	judge(seen, &judged);
	assert_int_equal(judged.posture.n, 0);
	posture_done(&judged.posture);
}

/* In mode 3 no job reaches them, but one that on_violation = fence lets run. */
static void whom_it_matters_to(void **state)
{
	static struct case_of judged;
	struct seen *seen = *state;

	seen->f->config.mode = NETWORK_MODE_FORCED_BRIDGE;
	judge(seen, &judged);
	assert_false(judged.posture.reached);
	seen->expected.verdicts[1].confinement = CONFINEMENT_FENCED;
	judge(seen, &judged);
	assert_true(judged.posture.reached);
	posture_done(&judged.posture);
}

static void the_texts(void **state)
{
	static struct case_of judged;
	struct seen *seen = *state;
	_cleanup_free_ char *plain = NULL, *narrow = NULL, *json_text = NULL;
	const struct term no_term = { 0 }, term = { .width = 70, .colour = true };
	size_t size;
	FILE *out;
	json_t *json;

	seen->f->containers[0].hazards = HAZARD_HOST_PATH;
	seen->f->containers[0].hazard_text = (char *)"/data\033[2J";
	listens(&judged, LISTENER_TCP, "127.0.0.1", 2375, 0);
	strcpy(judged.listeners[0].process, "dockerd");
	judged.listeners[0].pid = 321;
	listens(&judged, LISTENER_TCP, "0.0.0.0", 10998, 1002);
	listens(&judged, LISTENER_TCP, "0.0.0.0", 10022, 1001);
	for (uint32_t i = 0; i < 15; i++)
		listens(&judged, LISTENER_TCP, "::1", 4000 + i, 0);
	listens(&judged, LISTENER_UDP, "0.0.0.0", 5353, 0);
	for (size_t i = 0; i < 6; i++)
		listens(&judged, LISTENER_UNIX, "/containerd-shim/abcdef.sock", 0, 0);
	listens(&judged, LISTENER_VSOCK, NULL, 1024, 0);
	judged.listeners[judged.sockets.n - 1].cid = UINT32_MAX;
	judged.sockets.owners_unknown = true;
	judge(seen, &judged);
	seen->view.sockets = &judged.sockets;
	seen->view.posture = &judged.posture;
	out = open_memstream(&plain, &size);
	assert_int_equal(status_show(out, &seen->view, &no_term), 0);
	fclose(out);
	is_golden("status-posture.txt", plain);
	out = open_memstream(&narrow, &size);
	assert_int_equal(status_show(out, &seen->view, &term), 0);
	fclose(out);
	is_golden("status-posture-70-colour.txt", narrow);
	json = status_json(&seen->view);
	json_text = json_dumps(json, JSON_INDENT(2));
	json_decref(json);
	is_golden("status-posture.json", json_text);
	is_by_schema("status.schema.json", "status-posture.json");
	posture_done(&judged.posture);
}

#define SEE(fn) cmocka_unit_test_setup_teardown(fn, see_set_up, see_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SEE(what_is_told),       SEE(what_is_not),      SEE(who_holds_a_port),
		SEE(ssh_of_jobs),        SEE(a_foreign_cgroup), SEE(jobs_that_own_the_host),
		SEE(whom_it_matters_to), SEE(the_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
