/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No memory, at every place at which there could be none, where the outside is read: the engine's
 * answers and events, what is known of it, the configuration, the host's files, the kernel's links.
 */
#include "docker_json_texts.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <unistd.h>

#include "../../src/attached-internal.h"
#include "../../src/cgroup-internal.h"
#include "../../src/engine-internal.h"
#include "../../src/link-internal.h"
#include "jobfence/resolv.h"
#include "support/alloc_fail.h"

static enum alloc_outcome outcome_of(int r)
{
	return r == 0 ? ALLOC_DONE : r == -ENOMEM ? ALLOC_REPORTED : ALLOC_WRONG;
}

/* A refusal for want of memory says so, and never that a text is bad: that would be blamed on others. */
static enum alloc_outcome refused(int r, const struct diag *diag, bool untouched)
{
	return r == -ENOMEM && untouched && strstr(diag->text, "out of memory") ? ALLOC_REPORTED
										: ALLOC_WRONG;
}

/* --- the engine's answers --- */

static enum alloc_outcome run_container(void *data)
{
	const char *json = data;
	struct container c = { .pid = 77 };
	struct diag diag = { 0 };
	int r = docker_json_container(json, strlen(json), &c, &diag);

	if (r)
		return refused(r, &diag, c.pid == 77 && !c.name);
	r = c.is_task && c.inspected && c.endpoints_n ? 0 : -EINVAL;
	container_done(&c);
	return outcome_of(r);
}

static enum alloc_outcome run_list(void *data)
{
	struct container *list = data;
	struct diag diag = { 0 };
	size_t n = 77;
	int r = docker_json_container_list(list_20, strlen(list_20), &list, &n, &diag);

	if (r)
		return refused(r, &diag, n == 77 && list == data);
	r = n == 2 ? 0 : -EINVAL; /* all, or none */
	for (size_t i = 0; i < n; i++)
		container_done(&list[i]);
	free(list);
	return outcome_of(r);
}

static enum alloc_outcome run_network(void *data)
{
	struct network network = { .endpoints_n = 77 };
	struct diag diag = { 0 };
	int r = docker_json_network(network_28, strlen(network_28), &network, &diag);

	if (r)
		return refused(r, &diag, network.endpoints_n == 77);
	r = network.endpoints_n == 1 ? 0 : -EINVAL;
	network_done(&network);
	return outcome_of(r);
}

static enum alloc_outcome run_small(void *data)
{
	static const char version[] = "{\"ApiVersion\":\"1.51\",\"MinAPIVersion\":\"1.24\"}";
	static const char info[] = "{\"ServerVersion\":\"28\",\"SecurityOptions\":[\"rootless\"]}";
	static const char event[] = CONTAINER_EVENT("start", ID_A, "\"a\\u0000b\":\"c\"");
	char api[16] = "", min_api[16];
	struct engine_info engine = { 0 };
	struct engine_event said = { 0 };
	struct diag diag = { 0 };
	int r = docker_json_version(version, strlen(version), api, min_api, &diag);

	if (r)
		return refused(r, &diag, !api[0]);
	r = docker_json_info(info, strlen(info), &engine, &diag);
	if (r)
		return refused(r, &diag, !engine.version[0]);
	r = docker_json_event(event, strlen(event), &said, &diag);
	if (r)
		return refused(r, &diag, !said.container_id[0]);
	return said.kind == ENGINE_EVENT_CONTAINER ? ALLOC_DONE : ALLOC_WRONG;
}

static void test_docker_json(void **state)
{
	alloc_fail_loop("docker_json_container", run_container, (void *)bridge_20, false);
	alloc_fail_loop("docker_json_container_list", run_list, NULL, false);
	alloc_fail_loop("docker_json_network", run_network, NULL, false);
	alloc_fail_loop("docker_json: version, info, event", run_small, NULL, false);
}

/* --- what is known of the engine --- */

static void say(const char *line, size_t len, void *data)
{
	size_t *lines = data;

	*lines += line && len ? 1 : 0;
}

static enum alloc_outcome run_lines(void *data)
{
	static char text[9000];
	struct lines lines = { 0 };
	size_t said = 0;
	int r;

	memset(text, 'x', sizeof(text));
	text[100] = text[sizeof(text) - 1] = '\n';
	r = lines_feed(&lines, text, sizeof(text), say, &said);
	lines_done(&lines);
	return r == 0 && said != 2 ? ALLOC_WRONG : outcome_of(r);
}

/* Everything that a picture is made of, given to it; whatever fails, it stays sorted and can go. */
static int fill_picture(struct picture *picture)
{
	struct picture_list list = { .containers_seq = 1, .networks_seq = 1 };
	struct container c = { 0 };
	struct network network = { 0 };
	int r = docker_json_container_list(list_20, strlen(list_20), &list.containers,
					   &list.containers_n, NULL);

	if (r == 0)
		r = picture_take_list(picture, &list);
	picture_list_done(&list);
	if (r == 0)
		r = docker_json_network(network_28, strlen(network_28), &network, NULL);
	if (r == 0)
		r = picture_take_network(picture, &network, 2);
	if (r == 0)
		r = docker_json_container(bridge_20, strlen(bridge_20), &c, NULL);
	return r == 0 ? picture_take_inspected(picture, &c, 3) : r;
}

static enum alloc_outcome run_picture(void *data)
{
	struct picture picture = { 0 };
	int r = fill_picture(&picture);

	for (size_t i = 0; i < picture.containers_n; i++)
		if (!picture.containers[i].name ||
		    (i && strcmp(picture.containers[i - 1].id, picture.containers[i].id) >= 0))
			r = -EINVAL;
	if (r == 0 && (picture.containers_n != 2 || !picture.containers[0].inspected))
		r = -EINVAL;
	picture_done(&picture);
	return outcome_of(r);
}

static enum alloc_outcome run_asks(void *data)
{
	struct asks asks = { 0 };
	size_t added = 0;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < 200; i++) {
		char id[CONTAINER_ID_LEN + 1];

		snprintf(id, sizeof(id), "%064x", i);
		r = asks_add(&asks, ASK_INSPECT, id, true);
		added += r == 0;
	}
	if (asks.queue_n != added || asks.bulk_n != added)
		r = -EINVAL;
	asks_drop(&asks);
	return outcome_of(r);
}

static void test_engine(void **state)
{
	alloc_fail_loop("lines_feed", run_lines, NULL, false);
	alloc_fail_loop("picture", run_picture, NULL, false);
	alloc_fail_loop("asks_add", run_asks, NULL, false);
}

/* --- the configuration and the host's files --- */

static enum alloc_outcome run_config(void *data)
{
	static struct config config, before;
	static struct config_origin origin;
	const struct config_sources sources = { .path = data };
	struct diag diag = { 0 };
	int r;

	memset(&before, 0xa5, sizeof(before));
	config = before;
	origin = (struct config_origin){ 0 };
	r = config_load(&sources, &config, &origin, &diag);
	if (r < 0)
		return refused(r, &diag,
			       memcmp(&config, &before, sizeof(config)) == 0 && !origin.mode[0]);
	return config.mode == NETWORK_MODE_FORCED_BRIDGE && config.overrides_n == 1 &&
			       config.proxies.n == 1
		       ? ALLOC_DONE
		       : ALLOC_WRONG;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void test_config(void **state)
{
	char folder[] = "/tmp/jobfence-alloc-XXXXXX", conf[64], env[64], shim[64], text[512];

	assert_non_null(mkdtemp(folder));
	snprintf(conf, sizeof(conf), "%s/conf", folder);
	snprintf(env, sizeof(env), "%s/env", folder);
	snprintf(shim, sizeof(shim), "%s/shim", folder);
	snprintf(text, sizeof(text),
		 "[environment]\nenvironment_file = %s\nshim_env = %s\n[egress]\n"
		 "allow = 10.0.0.0/8 tcp 443\n[job \"a\"]\nnetwork_mode = 3\n",
		 env, shim);
	write_file(conf, text);
	write_file(env, "DSTACK_SERVER_JOB_NETWORK_MODE=3\n");
	write_file(shim, "http_proxy=http://10.0.0.1:3128\n");
	alloc_fail_loop("config_load", run_config, conf, false);
	unlink(conf);
	unlink(env);
	unlink(shim);
	rmdir(folder);
}

static enum alloc_outcome run_daemon_json(void *data)
{
	static const char text[] = "{\"dns\":[\"10.0.0.2\"],\"cgroup-parent\":\"/jobs\","
				   "\"exec-opts\":[\"native.cgroupdriver=systemd\"]}";
	struct cgroup_daemon_json file = { 0 };
	struct resolvers resolvers = { 0 };
	struct diag diag = { 0 };
	bool named = false;
	int r = resolv_daemon_json(text, strlen(text), &resolvers, &named, &diag);

	if (r)
		return refused(r, &diag, !named && !resolvers.n);
	r = cgroup_parse_daemon_json(text, strlen(text), &file, &diag);
	if (r)
		return refused(r, &diag, !file.parent[0]);
	return file.driver == CGROUP_DRIVER_SYSTEMD && named ? ALLOC_DONE : ALLOC_WRONG;
}

static enum alloc_outcome run_children(void *data)
{
	struct cgroup_children children = { 0 };
	size_t added = 0;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < 200; i++) {
		bool changed = false;
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		r = cgroup_children_set(&children, name, i + 1, &changed);
		added += r == 0;
		if (changed != (r == 0))
			r = -EINVAL;
	}
	if (children.n != added)
		r = -EINVAL;
	cgroup_children_done(&children);
	return outcome_of(r);
}

static void test_files(void **state)
{
	alloc_fail_loop("daemon.json", run_daemon_json, NULL, false);
	alloc_fail_loop("cgroup_children_set", run_children, NULL, false);
}

/* --- the kernel's links and addresses --- */

static enum alloc_outcome run_links(void *data)
{
	struct link_update update = { .message = LINK_MESSAGE_NEW, .full = true };
	struct link_table table = { 0 };
	size_t added = 0;
	int r = 0;

	for (int i = 200; r == 0 && i > 0; i--) {
		update.link.ifindex = i;
		r = link_table_apply(&table, &update);
		added += r == 0;
	}
	if (table.n != added || (added && table.links[0].ifindex != 201 - (int)added))
		r = -EINVAL;
	link_table_done(&table);
	return outcome_of(r);
}

static enum alloc_outcome run_attached(void *data)
{
	struct attached_table table = { 0 };
	struct attached entry = { 0 };
	int r = 0;

	for (int i = 0; r == 0 && i < 200; i++) {
		entry.ifindex = i;
		r = attached_table_add(&table, &entry);
		if ((int)table.n != (r == 0 ? i + 1 : i))
			r = -EINVAL;
	}
	attached_table_seal(&table);
	attached_table_done(&table);
	return outcome_of(r);
}

static void test_links(void **state)
{
	alloc_fail_loop("link_table_apply", run_links, NULL, false);
	alloc_fail_loop("attached_table_add", run_attached, NULL, false);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_docker_json), cmocka_unit_test(test_engine),
		cmocka_unit_test(test_config),      cmocka_unit_test(test_files),
		cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
