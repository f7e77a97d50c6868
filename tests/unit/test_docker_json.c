/* SPDX-License-Identifier: GPL-2.0-or-later */
/* docker_json: what it makes of the answers of a real engine, good and odd. */
#include "docker_json_texts.h"

static void bridge_job_of_20_10(void **state)
{
	char text[IP_ADDR_TEXT_MAX], mac[MAC_ADDR_TEXT_MAX];
	struct container c;

	must_parse(bridge_20, &c);
	assert_string_equal(c.id, ID_A);
	assert_string_equal(c.name, NAME);
	assert_string_equal(c.task_id, TASK);
	assert_true(c.is_task);
	assert_true(c.inspected);
	assert_int_equal(c.state, CONTAINER_RUNNING);
	assert_int_equal(c.network_kind, NETWORK_KIND_BRIDGE);
	assert_null(c.network_ref);
	assert_string_equal(c.sandbox_key, "/var/run/docker/netns/0123");
	assert_null(c.cgroup_parent);
	assert_int_equal(c.nano_cpus, 2500000000);
	assert_int_equal(c.memory, 1 << 30);
	assert_int_equal(c.pid, 4242);
	assert_int_equal(c.hazards, HAZARD_HOST_CGROUPNS);
	assert_null(c.hazard_text);
	assert_int_equal(c.endpoints_n, 1);
	assert_string_equal(c.endpoints[0].network_id, NET_A);
	assert_string_equal(c.endpoints[0].network_name, "bridge");
	assert_string_equal(ip_addr_text(&c.endpoints[0].ip4, text), "172.17.0.2");
	assert_string_equal(ip_addr_text(&c.endpoints[0].ip6, text), "fd00::242:ac11:2");
	assert_string_equal(mac_addr_text(&c.endpoints[0].mac, mac), "02:42:ac:11:00:02");
	assert_int_equal(c.ports_n, 2);
	assert_int_equal(c.ports[0].l4proto, IPPROTO_TCP);
	assert_int_equal(c.ports[0].host_port, 32768);
	assert_int_equal(c.ports[0].container_port, 10022);
	assert_true(ip_addr_is_any(&c.ports[0].host_ip));
	assert_int_equal(c.ports[1].host_ip.family, AF_INET6);
	container_done(&c);
	assert_null(c.name);
}

static void host_job_of_28(void **state)
{
	struct container c;

	must_parse(host_28, &c);
	assert_int_equal(c.network_kind, NETWORK_KIND_HOST);
	assert_string_equal(c.cgroup_parent, "/jobs");
	assert_int_equal(c.endpoints_n, 1);
	assert_false(ip_addr_is_set(&c.endpoints[0].ip4));
	assert_false(mac_addr_is_set(&c.endpoints[0].mac));
	assert_int_equal(c.ports_n,
			 0); /* dstack binds ports of host jobs too: nothing is published */
	assert_int_equal(c.hazards, HAZARD_RDMA);
	assert_string_equal(c.hazard_text, "/dev/infiniband");
	container_done(&c);
}

static void network_modes(void **state)
{
	static const struct {
		const char *mode;
		enum network_kind kind;
		const char *ref;
	} cases[] = {
		{ "default", NETWORK_KIND_BRIDGE, NULL },
		{ "bridge", NETWORK_KIND_BRIDGE, NULL },
		{ "host", NETWORK_KIND_HOST, NULL },
		{ "none", NETWORK_KIND_NONE, NULL },
		{ "container:" ID_B, NETWORK_KIND_CONTAINER, ID_B },
		{ "container:", NETWORK_KIND_UNKNOWN, NULL },
		{ "", NETWORK_KIND_UNKNOWN, NULL },
		{ "team-net", NETWORK_KIND_USER, "team-net" },
		{ "hostile", NETWORK_KIND_USER, "hostile" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct container c;
		char config[200];

		snprintf(config, sizeof(config), "\"NetworkMode\":\"%s\"", cases[i].mode);
		parse_made(config, "", &c);
		assert_int_equal(c.network_kind, cases[i].kind);
		if (cases[i].ref)
			assert_string_equal(c.network_ref, cases[i].ref);
		else
			assert_null(c.network_ref);
		container_done(&c);
	}
}

static void states(void **state)
{
	static const struct {
		const char *text;
		enum container_state state;
		bool live;
	} cases[] = {
		{ "created", CONTAINER_CREATED, false },
		{ "running", CONTAINER_RUNNING, true },
		{ "paused", CONTAINER_PAUSED, true },
		{ "restarting", CONTAINER_RESTARTING, true },
		{ "removing", CONTAINER_REMOVING, false },
		{ "exited", CONTAINER_EXITED, false },
		{ "dead", CONTAINER_DEAD, false },
		{ "frozen", CONTAINER_UNKNOWN, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct container *list;
		char text[200];
		size_t n;

		snprintf(text, sizeof(text), "[{\"Id\":\"%s\",\"State\":\"%s\"}]", ID_A,
			 cases[i].text);
		assert_int_equal(docker_json_container_list(text, strlen(text), &list, &n, NULL),
				 0);
		assert_int_equal(list[0].state, cases[i].state);
		assert_int_equal(container_is_live(&list[0]), cases[i].live);
		if (cases[i].state != CONTAINER_UNKNOWN)
			assert_string_equal(container_state_name(list[0].state), cases[i].text);
		container_done(&list[0]);
		free(list);
	}
	assert_string_equal(container_state_name(CONTAINER_UNKNOWN), "unknown");
	assert_string_equal(container_state_name(99), "unknown");
}

/* The file of its key is gone, and where it starts again nobody may take it for the new one's. */
static void one_that_stopped_has_no_namespace(void **state)
{
	char text[sizeof(bridge_20)];
	struct container c;
	char *status, *mac;

	strcpy(text, bridge_20);
	status = strstr(text, "\"running\"");
	assert_non_null(status);
	memcpy(status, " \"exited\"", strlen("\"running\""));
	assert_int_equal(docker_json_container(text, strlen(text), &c, NULL), 0);
	assert_int_equal(c.state, CONTAINER_EXITED);
	assert_true(
		container_may_live(&c)); /* its network has it yet, and its namespace is its own */
	assert_string_equal(c.sandbox_key, "/var/run/docker/netns/0123");
	c.inspected = false;
	assert_false(container_may_live(&c));
	container_done(&c);
	mac = strstr(text, "02:42:ac:11:00:02");
	assert_non_null(mac);
	memmove(mac, mac + 17, strlen(mac + 17) + 1);
	assert_int_equal(docker_json_container(text, strlen(text), &c, NULL), 0);
	assert_null(c.sandbox_key);
	assert_false(container_may_live(&c));
	c.state = CONTAINER_CREATED;
	assert_true(container_may_live(&c));
	container_done(&c);
}

static void hazards_of_host_config(void **state)
{
	static const struct {
		const char *config;
		uint32_t hazards;
		const char *text;
	} cases[] = {
		{ "\"Privileged\":true", HAZARD_PRIVILEGED, NULL },
		{ "\"CapAdd\":[\"NET_ADMIN\",\"CAP_SYS_PTRACE\"]", HAZARD_CAPABILITIES,
		  "NET_ADMIN, CAP_SYS_PTRACE" },
		{ "\"PidMode\":\"host\"", HAZARD_HOST_PID, NULL },
		{ "\"IpcMode\":\"host\"", HAZARD_HOST_IPC, NULL },
		{ "\"IpcMode\":\"shareable\",\"PidMode\":\"container:x\"", 0, NULL },
		{ "\"CgroupnsMode\":\"host\"", HAZARD_HOST_CGROUPNS, NULL },
		{ "\"UsernsMode\":\"host\"", HAZARD_HOST_USERNS, NULL },
		{ "\"SecurityOpt\":[\"seccomp=unconfined\"]", HAZARD_SECCOMP,
		  "seccomp=unconfined" },
		{ "\"SecurityOpt\":[\"apparmor:unconfined\"]", HAZARD_APPARMOR,
		  "apparmor:unconfined" },
		{ "\"SecurityOpt\":[\"label=disable\",\"no-new-privileges\"]", HAZARD_APPARMOR,
		  "label=disable" },
		{ "\"SecurityOpt\":[\"label:disable\"]", HAZARD_APPARMOR, "label:disable" },
		{ "\"SecurityOpt\":[\"systempaths=unconfined\"]", HAZARD_APPARMOR,
		  "systempaths=unconfined" },
		{ "\"MaskedPaths\":[]", HAZARD_APPARMOR, "systempaths=unconfined" },
		{ "\"MaskedPaths\":null", 0, NULL },
		{ "\"Devices\":[{\"PathOnHost\":\"/dev/sda\"}]", HAZARD_DEVICES, "/dev/sda" },
		{ "\"Devices\":[{\"PathOnHost\":\"/dev/vfio/12\"}]", HAZARD_DEVICES,
		  "/dev/vfio/12" },
		{ "\"Devices\":[{\"PathOnHost\":\"/dev/nvidia0/../sda\"}]", HAZARD_DEVICES,
		  "/dev/nvidia0/../sda" },
		{ "\"Devices\":[{\"PathOnHost\":\"/dev\"}]", HAZARD_DEVICES, "/dev" },
		{ "\"Devices\":[{\"PathOnHost\":\"/dev/infiniband/uverbs0\"}]", HAZARD_RDMA,
		  "/dev/infiniband/uverbs0" },
		{ "\"DeviceCgroupRules\":[\"b 8:* rwm\"]", HAZARD_DEVICES, "b 8:* rwm" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct container c;

		parse_made(cases[i].config, "", &c);
		if (c.hazards != cases[i].hazards)
			fail_msg("%s: hazards %x", cases[i].config, c.hazards);
		if (cases[i].text)
			assert_string_equal(c.hazard_text, cases[i].text);
		else
			assert_null(c.hazard_text);
		container_done(&c);
	}
}

static void hazards_of_mounts(void **state)
{
	static const struct {
		const char *source, *target;
		uint32_t hazards;
	} cases[] = {
		{ "/data", "/data", HAZARD_HOST_PATH },
		{ "/", "/host", HAZARD_HOST_PATH | HAZARD_DOCKER_SOCKET },
		{ "/run", "/run", HAZARD_HOST_PATH | HAZARD_DOCKER_SOCKET },
		{ "/var", "/v", HAZARD_HOST_PATH | HAZARD_DOCKER_SOCKET },
		{ "/var/run", "/v", HAZARD_HOST_PATH | HAZARD_DOCKER_SOCKET },
		{ "/var/run/docker.sock", "/s", HAZARD_HOST_PATH | HAZARD_DOCKER_SOCKET },
		{ "/run/user/1000/docker.sock", "/s", HAZARD_HOST_PATH | HAZARD_DOCKER_SOCKET },
		{ "/var/lib", "/v", HAZARD_HOST_PATH },
		/* what looks like dstack's own */
		{ "/root/.dstack/runners/" NAME, "/tmp/runner", 0 },
		{ "/root/.dstack/runners/" NAME, "/elsewhere", HAZARD_HOST_PATH },
		{ "/root/.dstack/runners/another", "/tmp/runner", HAZARD_HOST_PATH },
		{ "/root/.dstack/runners", "/tmp/runner", HAZARD_HOST_PATH },
		{ "/root/xrunners/" NAME, "/tmp/runner", HAZARD_HOST_PATH },
		{ "/usr/local/bin/dstack-runner", "/usr/local/bin/dstack-runner", 0 },
		{ "/opt/dstack/dstack-runner", "/usr/local/bin/dstack-runner", 0 },
		{ "/etc", "/usr/local/bin/dstack-runner", HAZARD_HOST_PATH },
		{ "/mnt/disks/dstack-volumes/v", "/v", 0 },
		{ "/mnt/disks/dstack-volumes/", "/v", HAZARD_HOST_PATH },
		{ "/mnt/disks/dstack-volumes", "/v", HAZARD_HOST_PATH },
		{ "/mnt/disks/dstack-volumes/a/b", "/v", HAZARD_HOST_PATH },
		{ "/mnt/disks/dstack-volumes/..", "/v", HAZARD_HOST_PATH },
		{ "/dev/hugepages-1G", "/dev/hugepages-1G", 0 },
		{ "/dev/hugepages-1G", "/x", HAZARD_HOST_PATH },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct container c;
		char mount[300];

		snprintf(mount, sizeof(mount),
			 "{\"Type\":\"bind\",\"Source\":\"%s\",\"Destination\":\"%s\"}",
			 cases[i].source, cases[i].target);
		parse_made("", mount, &c);
		if (c.hazards != cases[i].hazards)
			fail_msg("%s on %s: hazards %x", cases[i].source, cases[i].target,
				 c.hazards);
		if (cases[i].hazards)
			assert_string_equal(c.hazard_text, cases[i].source);
		container_done(&c);
	}
}

static void net_raw_is_there_until_it_is_dropped(void **state)
{
	static const struct {
		const char *config;
		bool dropped;
	} cases[] = {
		{ "", false },
		{ "\"CapDrop\":null", false },
		{ "\"CapDrop\":[\"MKNOD\"]", false },
		{ "\"CapDrop\":[\"NET_RAW\"]", true },
		{ "\"CapDrop\":[\"MKNOD\",\"cap_net_raw\"]", true },
		{ "\"CapDrop\":[\"all\"]", true },
		{ "\"CapDrop\":[\"ALL\"],\"CapAdd\":[\"CAP_NET_RAW\"]", false },
		{ "\"CapDrop\":[\"ALL\"],\"CapAdd\":[\"CHOWN\"]", true },
		{ "\"CapDrop\":[\"ALL\"],\"Privileged\":true", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct container c;

		parse_made(cases[i].config, "", &c);
		if (c.no_net_raw != cases[i].dropped)
			fail_msg("%s", cases[i].config);
		container_done(&c);
	}
}

static void hazard_text_is_bounded_and_safe(void **state)
{
	char config[4000] = "\"CapAdd\":[\"\\u001b[31m\\\"\"";
	struct container c;

	for (int i = 0; i < 60; i++)
		sprintf(config + strlen(config), ",\"CAP_NUMBER_%d\"", i);
	strcat(config, "]");
	parse_made(config, "", &c);
	assert_true(strlen(c.hazard_text) <= 200);
	assert_string_equal(c.hazard_text + strlen(c.hazard_text) - 5, ", ...");
	for (const char *p = c.hazard_text; *p; p++)
		assert_true(*p >= ' ' && *p <= '~' && *p != '"');
	container_done(&c);
}

/* Two details that together end at each byte around the bound */
static void hazard_text_at_the_bound(void **state)
{
	for (int len = 1; len < 300; len++) {
		char config[700];
		struct container c;

		snprintf(config, sizeof(config), "\"CapAdd\":[\"%0*d\",\"%0*d\"]", len, 1, len, 2);
		parse_made(config, "", &c);
		assert_true(strlen(c.hazard_text) <= 200);
		if (2 * len + 2 <= 195)
			assert_int_equal(strlen(c.hazard_text), 2 * len + 2);
		container_done(&c);
	}
}

/* Of what is no job all labels, as far as they fit; what does not is not forgotten. */
static void labels_of_bystanders(void **state)
{
	char *text = make("", "", "{\"a\":\"b\",\"c.d/e\":\"\",\"f\":null}");
	struct container c = { 0 };
	char long_one[5000];

	assert_int_equal(parse_container(text, strlen(text), &c), 0);
	assert_memory_equal(c.labels, "a=b\0c.d/e=\0f=\0", 15);
	assert_false(c.labels_cut);
	container_done(&c);
	free(text);

	snprintf(long_one, sizeof(long_one), "{\"a\":\"%04090d\",\"b\":\"c\",\"d\":\"\"}", 1);
	text = make("", "", long_one);
	assert_int_equal(parse_container(text, strlen(text), &c), 0);
	assert_int_equal(strlen(c.labels), 4092);
	assert_string_equal(c.labels + 4093, "d="); /* "b=c" has no room for its end */
	assert_true(c.labels_cut);
	container_done(&c);
	free(text);

	text = make("", "", "{\"ai.dstack.shim.is-task\":\"true\",\"a\":\"b\"}");
	assert_int_equal(parse_container(text, strlen(text), &c), 0);
	assert_null(c.labels);
	container_done(&c);
	free(text);
}

static void odd_labels(void **state)
{
	static const struct {
		const char *labels;
		bool is_task;
		const char *task_id;
		int result;
	} cases[] = {
		{ "null", false, NULL, 0 },
		{ "{}", false, NULL, 0 },
		{ "{\"ai.dstack.shim.is-task\":\"True\"}", false, NULL, 0 },
		{ "{\"ai.dstack.shim.is-task\":\"true \"}", false, NULL, 0 },
		{ "{\"ai.dstack.shim.is-task\":\"true\\u0000\"}", false, NULL, 0 },
		{ "{\"ai.dstack.shim.is-task\":\"\"}", false, NULL, 0 },
		{ "{\"AI.dstack.shim.is-task\":\"true\"}", false, NULL, 0 },
		{ "{\"ai.dstack.shim.is-task\":\"true\",\"ai.dstack.shim.is-task\":\"true\"}", true,
		  NULL, 0 },
		{ "{\"ai.dstack.shim.task-id\":\"x\"}", false, "x", 0 },
		{ "{\"ai.dstack.shim.is-task\":\"true\",\"a\\u0000b\":\"\\u0000\"}", true, NULL,
		  0 },
		{ "{\"a\\\\u0000\":\"\\\\\",\"ai.dstack.shim.is-task\":\"true\"}", true, NULL, 0 },
		{ "{\"ai.dstack.shim.is-task\":true}", false, NULL, -EINVAL },
		{ "{\"ai.dstack.shim.task-id\":7}", false, NULL, -EINVAL },
		{ "[]", false, NULL, -EINVAL },
		{ "\"ai.dstack.shim.is-task\"", false, NULL, -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = make("", "", cases[i].labels);
		struct container c = { 0 };
		int r = parse_container(text, strlen(text), &c);

		if (r != cases[i].result || c.is_task != cases[i].is_task)
			fail_msg("%s: %d, is_task %d", cases[i].labels, r, c.is_task);
		if (cases[i].task_id)
			assert_string_equal(c.task_id, cases[i].task_id);
		container_done(&c);
		free(text);
	}
}

static void ports_before_the_start(void **state)
{
	struct container c;

	parse_made("\"NetworkMode\":\"bridge\",\"PortBindings\":{\"80/tcp\":[{\"HostIp\":"
		   "\"127.0.0.1\",\"HostPort\":\"8080\"}],\"81/udp\":[{\"HostIp\":\"\","
		   "\"HostPort\":\"\"},{\"HostPort\":\"8000-8010\"}]}",
		   "", &c);
	assert_int_equal(c.ports_n, 3);
	assert_int_equal(c.ports[0].host_port, 8080);
	assert_true(ip_addr_is_loopback(&c.ports[0].host_ip));
	assert_int_equal(c.ports[1].l4proto, IPPROTO_UDP);
	assert_int_equal(c.ports[1].host_port, 0);
	assert_int_equal(c.ports[2].host_port, 0);
	container_done(&c);
	parse_made("\"NetworkMode\":\"host\",\"PortBindings\":{\"80/"
		   "tcp\":[{\"HostPort\":\"8080\"}]}",
		   "", &c);
	assert_int_equal(c.ports_n, 0);
	container_done(&c);
}

static void list_of_20_10(void **state)
{
	struct container *list;
	size_t n;

	assert_int_equal(docker_json_container_list(list_20, strlen(list_20), &list, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].name, NAME);
	assert_true(list[0].is_task);
	assert_false(list[0].inspected);
	assert_int_equal(list[0].network_kind, NETWORK_KIND_BRIDGE);
	assert_int_equal(list[0].endpoints_n, 1);
	assert_string_equal(list[0].endpoints[0].network_id, "");
	assert_int_equal(list[0].ports_n, 1);
	assert_int_equal(list[0].ports[0].host_port, 8080);
	assert_string_equal(list[1].name, "");
	assert_int_equal(list[1].network_kind, NETWORK_KIND_CONTAINER);
	assert_string_equal(list[1].network_ref, ID_A);
	for (size_t i = 0; i < n; i++)
		container_done(&list[i]);
	free(list);
	assert_int_equal(docker_json_container_list("[]", 2, &list, &n, NULL), 0);
	assert_int_equal(n, 0);
	free(list);
}

static void networks(void **state)
{
	static const char list_text[] =
		"[{\"Name\":\"team\",\"Id\":\"" NET_A "\",\"Driver\":\"bridge\",\"Options\":{}},"
		"{\"Name\":\"ingress\",\"Id\":\"w8hkq6o3h0fpn3qj2qnt8x7ho\",\"Driver\":\"overlay\","
		"\"Options\":{\"com.docker.network.bridge.name\":\"x\"},\"Containers\":null}]";
	char text[IP_ADDR_TEXT_MAX], id[CONTAINER_ID_LEN + 1];
	struct network net, *list;
	size_t n;

	assert_int_equal(docker_json_network(network_28, strlen(network_28), &net, NULL), 0);
	assert_string_equal(net.id, NET_A);
	assert_string_equal(net.name, "bridge");
	assert_string_equal(net.driver, "bridge");
	assert_string_equal(net.bridge, "docker0");
	assert_int_equal(net.endpoints_n, 1);
	container_id_text(net.endpoints[0].container, id);
	assert_string_equal(id, ID_A);
	assert_string_equal(ip_addr_text(&net.endpoints[0].ip4, text), "172.17.0.2");
	assert_string_equal(ip_addr_text(&net.endpoints[0].ip6, text), "fd00::2");
	network_done(&net);

	assert_int_equal(docker_json_network_list(list_text, strlen(list_text), &list, &n, NULL),
			 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].bridge, "br-111111111111");
	assert_string_equal(list[1].bridge, "");
	for (size_t i = 0; i < n; i++)
		network_done(&list[i]);
	free(list);
}

static void bad_networks(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"{\"Id\":\"../containers\"}",
		"{\"Id\":\"\"}",
		"{\"Id\":\"" NET_A "\",\"Driver\":1}",
		"{\"Id\":\"" NET_A "\",\"Driver\":\"bridge\",\"Options\":"
		"{\"com.docker.network.bridge.name\":\"a-name-too-long-for-a-device\"}}",
		"{\"Id\":\"" NET_A "\",\"Driver\":\"bridge\",\"Options\":"
		"{\"com.docker.network.bridge.name\":\"a\\\" drop\"}}",
		"{\"Id\":\"" NET_A "\",\"Driver\":\"bridge\",\"Options\":"
		"{\"com.docker.network.bridge.name\":\"a/b\"}}",
		"{\"Id\":\"" NET_A "\",\"Containers\":[]}",
		"{\"Id\":\"" NET_A "\",\"Containers\":{\"" ID_A "\":7}}",
		"{\"Id\":\"" NET_A "\",\"Containers\":{\"" ID_A "\":{\"IPv4Address\":\"1.2.3/"
		"8\"}}}",
		"{\"Id\":\"" NET_A "\",\"Containers\":{\"" ID_A "\":{\"MacAddress\":\"zz\"}}}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct network net = { .id = "kept" };
		struct diag diag = { 0 };

		if (docker_json_network(texts[i], strlen(texts[i]), &net, &diag) != -EINVAL)
			fail_msg("taken: %s", texts[i]);
		assert_string_equal(net.id, "kept");
		assert_true(diag.text[0]);
	}
}

static void version_and_info(void **state)
{
	static const char version[] = "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\","
				      "\"MinAPIVersion\":\"1.12\",\"Arch\":\"amd64\"}";
	static const char info_text[] = "{\"ServerVersion\":\"28.5.2\\u001b\",\"CgroupDriver\":"
					"\"systemd\","
					"\"CgroupVersion\":\"2\",\"LiveRestoreEnabled\":true,"
					"\"SecurityOptions\":"
					"[\"name=seccomp,profile=builtin\",\"name=rootless\"]}";
	static const char *const bad[] = {
		"{}",
		"{\"ApiVersion\":1.41}",
		"{\"ApiVersion\":\"1.41/../../x\"}",
		"{\"ApiVersion\":\"1\"}",
		"{\"ApiVersion\":\"1.\"}",
		"{\"ApiVersion\":\"\"}",
		"{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"x\"}",
		"{\"ApiVersion\":\"11111.1\"}",
		"{\"ApiVersion\":\"1.41 \"}",
	};
	char api[16] = "kept", min_api[16] = "kept";
	struct engine_info info;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(docker_json_version(bad[i], strlen(bad[i]), api, min_api, NULL),
				 -EINVAL);
		assert_string_equal(api, "kept");
	}
	assert_int_equal(docker_json_version(version, strlen(version), api, min_api, NULL), 0);
	assert_string_equal(api, "1.41");
	assert_string_equal(min_api, "1.12");

	assert_int_equal(docker_json_info(info_text, strlen(info_text), &info, NULL), 0);
	assert_string_equal(info.version, "28.5.2?");
	assert_string_equal(info.cgroup_driver, "systemd");
	assert_string_equal(info.cgroup_version, "2");
	assert_true(info.live_restore);
	assert_true(info.rootless);
	assert_int_equal(docker_json_info("{\"ServerVersion\":\"20.10\"}", 25, &info, NULL), 0);
	assert_string_equal(info.cgroup_version, "1");
	assert_false(info.rootless);
	assert_int_equal(docker_json_info("{\"ServerVersion\":20}", 20, &info, NULL), -EINVAL);
}

/* As podman 4.3.1 (Debian 12) and Docker 28.5.2 say it; what is no list of names says nothing. */
static void podman_says_what_it_is(void **state)
{
	static const struct {
		const char *text;
		bool podman;
	} cases[] = {
		{ "{\"Platform\":{\"Name\":\"linux/amd64/debian-12\"},\"Components\":[{\"Name\":"
		  "\"Podman Engine\",\"Version\":\"4.3.1\",\"Details\":{\"APIVersion\":\"4.3.1\"}},"
		  "{\"Name\":\"Conmon\"}],\"Version\":\"4.3.1\",\"ApiVersion\":\"1.41\"}",
		  true },
		{ "{\"Components\":[{\"Name\":\"Conmon\"},{\"Name\":\"Podman Engine\"}]}", true },
		{ "{\"Platform\":{\"Name\":\"Docker Engine - "
		  "Community\"},\"Components\":[{\"Name\":"
		  "\"Engine\"},{\"Name\":\"containerd\"}],\"ApiVersion\":\"1.51\"}",
		  false },
		{ "{\"Components\":[7,{\"Name\":7},null,[]],\"Version\":\"Podman\"}", false },
		{ "{\"Components\":\"Podman Engine\"}", false },
		{ "[\"Podman Engine\"]", false },
		{ "", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(docker_json_is_podman(cases[i].text, strlen(cases[i].text)),
				 cases[i].podman);
}

static struct engine_event parse_event(const char *text)
{
	struct engine_event event = { 0 };
	struct diag diag = { 0 };

	if (docker_json_event(text, strlen(text), &event, &diag))
		fail_msg("%s: %s", text, diag.text);
	return event;
}

static void events(void **state)
{
	/* labels are copied over the attributes: none of them may change what the event says */
	static const char labels[] = "\"container\":\"" ID_B "\",\"id\":\"" ID_B
				     "\",\"name\":\"x\",\"exitCode\":\"77\",\"Action\":\"destroy\","
				     "\"Type\":\"network\",\"nested\":{\"a\":[1]}";
	static const struct {
		const char *text;
		enum engine_event_kind kind;
		const char *container_id, *network_id;
	} cases[] = {
		{ CONTAINER_EVENT("create", ID_A, ""), ENGINE_EVENT_CONTAINER, ID_A, "" },
		{ CONTAINER_EVENT("start", ID_A, ""), ENGINE_EVENT_CONTAINER, ID_A, "" },
		{ CONTAINER_EVENT("restart", ID_A, ""), ENGINE_EVENT_CONTAINER, ID_A, "" },
		{ CONTAINER_EVENT("die", ID_A, "\"exitCode\":\"77\""), ENGINE_EVENT_CONTAINER, ID_A,
		  "" },
		{ CONTAINER_EVENT("rename", ID_A, ""), ENGINE_EVENT_CONTAINER, ID_A, "" },
		{ CONTAINER_EVENT("update", ID_A, ""), ENGINE_EVENT_CONTAINER, ID_A, "" },
		{ CONTAINER_EVENT("pause", ID_A, ""), ENGINE_EVENT_CONTAINER, ID_A, "" },
		{ CONTAINER_EVENT("unpause", ID_A, ""), ENGINE_EVENT_CONTAINER, ID_A, "" },
		{ CONTAINER_EVENT("destroy", ID_A, ""), ENGINE_EVENT_CONTAINER_GONE, ID_A, "" },
		{ CONTAINER_EVENT("exec_create: sh", ID_A, ""), ENGINE_EVENT_OTHER, "", "" },
		{ CONTAINER_EVENT("start", "short", ""), ENGINE_EVENT_OTHER, "", "" },
		{ CONTAINER_EVENT("start", "", ""), ENGINE_EVENT_OTHER, "", "" },
		{ CONTAINER_EVENT("start", "../../x", ""), ENGINE_EVENT_OTHER, "", "" },
		{ CONTAINER_EVENT("start", ID_A "a", ""), ENGINE_EVENT_OTHER, "", "" },
		{ CONTAINER_EVENT("start", ID_A "/json", ""), ENGINE_EVENT_OTHER, "", "" },
		{ NETWORK_EVENT("connect", NET_A, "\"container\":\"" ID_A "/..\""),
		  ENGINE_EVENT_OTHER, "", "" },
		{ NETWORK_EVENT("connect", NET_A "1", "\"container\":\"" ID_A "\""),
		  ENGINE_EVENT_OTHER, "", "" },
		{ NETWORK_EVENT("connect", NET_A, "\"container\":\"" ID_A "\",\"name\":\"bridge\""),
		  ENGINE_EVENT_CONNECT, ID_A, NET_A },
		{ NETWORK_EVENT("disconnect", NET_A, "\"container\":\"" ID_A "\""),
		  ENGINE_EVENT_DISCONNECT, ID_A, NET_A },
		{ NETWORK_EVENT("connect", NET_A, ""), ENGINE_EVENT_OTHER, "", "" },
		{ NETWORK_EVENT("connect", NET_A, "\"container\":7"), ENGINE_EVENT_OTHER, "", "" },
		{ NETWORK_EVENT("connect", "a/b", "\"container\":\"" ID_A "\""), ENGINE_EVENT_OTHER,
		  "", "" },
		{ NETWORK_EVENT("create", NET_A, ""), ENGINE_EVENT_NETWORK, "", NET_A },
		{ NETWORK_EVENT("destroy", NET_A, ""), ENGINE_EVENT_NETWORK, "", NET_A },
		{ NETWORK_EVENT("remove", NET_A, ""), ENGINE_EVENT_NETWORK, "", NET_A },
		{ NETWORK_EVENT("update", NET_A, ""), ENGINE_EVENT_NETWORK, "", NET_A },
		{ NETWORK_EVENT("prune", "", ""), ENGINE_EVENT_OTHER, "", "" },
		{ "{\"Type\":\"daemon\",\"Action\":\"reload\",\"Actor\":{}}", ENGINE_EVENT_DAEMON,
		  "", "" },
		{ "{\"Type\":\"daemon\",\"Action\":\"x\",\"Actor\":{}}", ENGINE_EVENT_OTHER, "",
		  "" },
		{ "{\"Type\":\"moon\",\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID_A "\"}}",
		  ENGINE_EVENT_OTHER, "", "" },
	};
	char text[2000];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct engine_event event = parse_event(cases[i].text);

		if (event.kind != cases[i].kind)
			fail_msg("%s: kind %d", cases[i].text, event.kind);
		assert_string_equal(event.container_id, cases[i].container_id);
		assert_string_equal(event.network_id, cases[i].network_id);
	}
	snprintf(text, sizeof(text),
		 "{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{\"ID\":\"%s\","
		 "\"Attributes\":{%s}}}",
		 ID_A, labels);
	assert_int_equal(parse_event(text).kind, ENGINE_EVENT_CONTAINER);
	assert_string_equal(parse_event(text).container_id, ID_A);
}

static void done_accepts_zeroed(void **state)
{
	struct container c = { 0 };
	struct network net = { 0 };

	container_done(&c);
	container_done(&c);
	network_done(&net);
	network_done(&net);
}

static void dns_of_host_config(void **state)
{
	struct container c;
	char many[1024] = "\"Dns\":[\"10.0.0.1\"", addr[IP_ADDR_TEXT_MAX];

	parse_made("\"Dns\":[\"10.0.0.2\",\"fd00::53\"]", "", &c);
	assert_int_equal(c.dns_n, 2);
	assert_string_equal(ip_addr_text(&c.dns[0], addr), "10.0.0.2");
	assert_string_equal(ip_addr_text(&c.dns[1], addr), "fd00::53");
	container_done(&c);
	parse_made("\"Dns\":null", "", &c);
	assert_int_equal(c.dns_n, 0);
	container_done(&c);
	/* what older engines take */
	parse_made("\"Dns\":[\"dns.example\",\"\",7,null,[\"10.0.0.4\"],\"10.0.0.3/"
		   "8\",\"fe80::1%eth0\""
		   ",\"10.0.0.3\"]",
		   "", &c);
	assert_int_equal(c.dns_n, 1);
	assert_string_equal(ip_addr_text(&c.dns[0], addr), "10.0.0.3");
	container_done(&c);
	for (int i = 0; i < 40; i++)
		strcat(many, ",\"10.0.0.1\"");
	strcat(many, "]");
	parse_made(many, "", &c);
	assert_int_equal(c.dns_n, 32);
	container_done(&c);
	char *text = make("\"Dns\":\"10.0.0.2\"", "", "null");
	assert_int_equal(parse_container(text, strlen(text), &c), -EINVAL);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bridge_job_of_20_10),
		cmocka_unit_test(host_job_of_28),
		cmocka_unit_test(network_modes),
		cmocka_unit_test(labels_of_bystanders),
		cmocka_unit_test(states),
		cmocka_unit_test(one_that_stopped_has_no_namespace),
		cmocka_unit_test(hazards_of_host_config),
		cmocka_unit_test(hazards_of_mounts),
		cmocka_unit_test(net_raw_is_there_until_it_is_dropped),
		cmocka_unit_test(hazard_text_is_bounded_and_safe),
		cmocka_unit_test(hazard_text_at_the_bound),
		cmocka_unit_test(odd_labels),
		cmocka_unit_test(ports_before_the_start),
		cmocka_unit_test(dns_of_host_config),
		cmocka_unit_test(list_of_20_10),
		cmocka_unit_test(networks),
		cmocka_unit_test(bad_networks),
		cmocka_unit_test(version_and_info),
		cmocka_unit_test(podman_says_what_it_is),
		cmocka_unit_test(events),
		cmocka_unit_test(done_accepts_zeroed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
