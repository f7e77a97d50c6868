/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is read of the host's own files, which an administrator, a resolver or a runtime wrote:
 * resolv.conf, daemon.json, dockerd's command line, /proc/PID/cgroup, names of cgroups. The first
 * byte chooses the kind. No resolver that jobs can never be given comes of any text, and no path
 * leads out of the hierarchy.
 */
#include "cgroup-internal.h"
#include "fuzz.h"
#include "jobfence/resolv.h"

static void check_resolvers(const struct resolvers *resolvers)
{
	CHECK(resolvers->n <= RESOLVERS_MAX);
	for (size_t i = 0; i < resolvers->n; i++) {
		const struct ip_addr *addr = &resolvers->addr[i];

		CHECK(ip_addr_is_set(addr) && !ip_addr_is_loopback(addr) && !ip_addr_is_any(addr));
		CHECK(!ip_addr_is_multicast(addr) && !ip_addr_is_mapped(addr));
		for (size_t j = 0; j < i; j++)
			CHECK(ip_addr_cmp(addr, &resolvers->addr[j]) != 0);
	}
}

static void check_resolv_conf(const char *text)
{
	struct resolvers resolvers = { 0 };
	bool stub = resolv_conf_read(text, &resolvers);

	check_resolvers(&resolvers);
	CHECK(!stub || resolvers.n == 0);
}

static void check_daemon_json(const char *text, size_t len)
{
	struct resolvers resolvers = { 0 };
	struct cgroup_daemon_json file = { 0 };
	struct cgroup_choice choice;
	struct config config;
	struct diag diag = { 0 };
	bool named = false;
	int r = resolv_daemon_json(text, len, &resolvers, &named, &diag);

	check_resolvers(&resolvers);
	if (r)
		fuzz_check_refusal(r, &diag);
	diag.text[0] = '\0';
	r = cgroup_parse_daemon_json(text, len, &file, &diag);
	if (r) {
		fuzz_check_refusal(r, &diag);
		return;
	}
	CHECK(strnlen(file.parent, sizeof(file.parent)) < sizeof(file.parent));
	config_defaults(&config);
	for (int systemd = 0; systemd <= 1; systemd++) {
		/* The engine's file is never a reason to refuse. */
		CHECK(cgroup_choose(&config, &file, systemd, &choice, &diag) == 0);
		CHECK(fuzz_is_line(diag.text, sizeof(diag.text)));
		CHECK(choice.driver != CGROUP_DRIVER_AUTO && choice.parent[0] &&
		      choice.parent[0] != '/');
	}
}

static void check_args(const char *args, size_t len)
{
	struct dockerd_args found;
	char parent[CGROUP_PATH_MAX];

	resolv_dockerd_args(args, len, &found);
	check_resolvers(&found.dns);
	CHECK(strnlen(found.config_file, sizeof(found.config_file)) < sizeof(found.config_file));
	CHECK(!found.config_file[0] || found.config_file[0] == '/');
	if (cgroup_parent_argument(args, len, parent, sizeof(parent)) == 0)
		CHECK(strnlen(parent, sizeof(parent)) < sizeof(parent));
}

static bool leads_out(const char *path)
{
	char framed[CGROUP_PATH_MAX + 2];

	snprintf(framed, sizeof(framed), "/%s/", path);
	return strstr(framed, "/../") || strstr(framed, "/./") || strstr(framed, "//");
}

static void check_paths(const char *text)
{
	char path[CGROUP_PATH_MAX], parent[CGROUP_PATH_MAX], again[CGROUP_PATH_MAX], id[65];
	char child[128];

	if (cgroup_path_normalize(text, path, sizeof(path)) == 0 && path[0]) {
		CHECK(!leads_out(path));
		CHECK(cgroup_path_normalize(path, again, sizeof(again)) == 0);
		CHECK(strcmp(path, again) == 0);
	}
	if (cgroup_slice_path(text, path, sizeof(path)) == 0 && path[0]) {
		CHECK(!leads_out(path));
		CHECK(!strchr(text, '/'));
	}
	if (cgroup_parse_proc(text, path, sizeof(path)) == 0) {
		CHECK(!strchr(path, '\n'));
		CHECK(strncmp(path, "../", 3) != 0 && strcmp(path, "..") != 0);
	}
	if (cgroup_container_id(text, id))
		CHECK(strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64 && strstr(text, id));
	(void)cgroup_path_level(text);
	cgroup_child_name(text, child);
	CHECK(strnlen(child, sizeof(child)) < sizeof(child));
	for (const char *at = text; strlen(at) >= 64; at++) {
		memcpy(id, at, 64);
		id[64] = '\0';
		if (strspn(id, "0123456789abcdef") < 64)
			continue;
		if (cgroup_cut(text, id, path, parent, sizeof(path)) == 0)
			CHECK(strstr(path, id) && strncmp(path, parent, strlen(parent)) == 0);
		break;
	}
}

/* Names of folders, a line each, that come ('+') and go. */
static void check_children(char *text)
{
	struct cgroup_children children = { 0 };
	char *rest = text;
	const char *line;
	uint64_t id = 0;

	while ((line = strsep(&rest, "\n"))) {
		bool changed = false;

		if (*line == '+')
			CHECK(cgroup_children_set(&children, line + 1, ++id, &changed) == 0);
		else
			cgroup_children_remove(&children, line, &changed);
		for (size_t i = 1; i < children.n; i++)
			CHECK(strcmp(children.items[i - 1].name, children.items[i].name) < 0);
	}
	cgroup_children_done(&children);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = fuzz_text(data + 1, size - 1);
	switch (data[0]) {
	case 'r':
		check_resolv_conf(text);
		break;
	case 'j':
		check_daemon_json(text, size - 1);
		break;
	case 'a':
		check_args(text, size - 1);
		break;
	case 'c':
		check_children(text);
		break;
	default:
		check_paths(text);
	}
	free(text);
	return 0;
}
