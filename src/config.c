/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts the configuration together: which source decides the mode, the ports and the engine, and
 * whether the whole makes sense.
 *
 * Everything is read and judged into a draft first; what the caller holds changes only when all of
 * it is good, so that a bad reload leaves the old configuration standing. A source that does not
 * decide is not judged: a value that nobody uses is no reason to refuse. Which one decided is told
 * in struct config_origin, for the log and for the next reload. It never logs and never exits.
 */
#include "jobfence/config.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "config-internal.h"
#include "jobfence/text.h"

static const struct {
	const char *name;     /* in [ports] */
	const char *variable; /* in the shim's environment */
	uint16_t standard;    /* the shim's own default */
	size_t offset;        /* in struct reserved_ports */
} port_kinds[CONFIG_PORTS_N] = {
	[CONFIG_PORT_SHIM] = { "shim", "DSTACK_SHIM_HTTP_PORT", 10998,
			       offsetof(struct reserved_ports, shim) },
	[CONFIG_PORT_DCGM] = { "dcgm", "DSTACK_DCGM_EXPORTER_HTTP_PORT", 10997,
			       offsetof(struct reserved_ports, dcgm) },
	[CONFIG_PORT_RUNNER] = { "runner", "DSTACK_RUNNER_HTTP_PORT", 10999,
				 offsetof(struct reserved_ports, runner) },
	[CONFIG_PORT_RUNNER_SSH] = { "runner_ssh", "DSTACK_RUNNER_SSH_PORT", 10022,
				     offsetof(struct reserved_ports, runner_ssh) },
};

static uint16_t *port_field(struct reserved_ports *ports, enum config_port port)
{
	return (uint16_t *)((char *)ports + port_kinds[port].offset);
}

void config_defaults(struct config *ret_config)
{
	*ret_config = (struct config){
		.mode = NETWORK_MODE_HOST_WHEN_POSSIBLE,
		.on_violation = ON_VIOLATION_QUARANTINE,
		.docker = "/var/run/docker.sock",
		.bridges = { "docker0" },
		.bridges_n = 1,
		.cgroup_driver = CGROUP_DRIVER_AUTO,
		.cgroup_required = true,
		.own_tables = true,
		.mark_bystander = 0x08000000,
		.mark_container = 0x10000000,
		.mark_host = 0x20000000,
		.egress_bridge = EGRESS_INTERNET,
		.egress_host = EGRESS_ANY,
		.metadata_host = true,
		.guarded = { .range = { { IPPROTO_TCP, 22, 22 } }, .n = 1 },
		.audit_log = true,
		.log_group = 10998,
	};
	for (enum config_port port = 0; port < CONFIG_PORTS_N; port++)
		*port_field(&ret_config->ports, port) = port_kinds[port].standard;
}

void config_draft_init(struct config_draft *draft)
{
	*draft = (struct config_draft){
		.environment_file = CONFIG_ENVIRONMENT_FILE_DEFAULT,
		.shim_env = CONFIG_SHIM_ENV_DEFAULT,
	};
	config_defaults(&draft->config);
}

int config_parse_docker(const char *where, const char *value, char *ret_path, size_t size,
			struct diag *diag)
{
	const char *why;
	char safe[96];

	if (config_docker_path(value, ret_path, size, &why) == 0)
		return 0;
	return diag_set(diag, -EINVAL, "%s = \"%s\": %s", where,
			text_safe(value, safe, sizeof(safe)), why);
}

/* Where a value came from. */
struct place {
	const char *path; /* NULL: the default; borrowed */
	int line;         /* 0: no line of a file */
};

/* No more to tell than that the file is not there. */
static bool is_absent(int error)
{
	return error == -ENOENT || error == -ENOTDIR;
}

/* ---- the configuration file ---- */

static int load_file(const struct config_sources *sources, struct config_draft *draft,
		     struct diag *diag)
{
	const char *path = sources->path ?: CONFIG_PATH_DEFAULT;
	_cleanup_free_ char *text = NULL;
	int r = config_read_file(path, &text, diag);

	if (is_absent(r) && !sources->path)
		return 0;
	if (r < 0)
		return r;
	return config_read_keys(path, text, draft, diag);
}

static int check_marks(const char *path, struct config_draft *draft, struct diag *diag)
{
	struct config *config = &draft->config;
	int container_line = config_key_line(draft, "marks", "container");
	int host_line = config_key_line(draft, "marks", "host");

	config->mark_bystander = draft->marks[CONFIG_MARK_BYSTANDER] ?: config->mark_bystander;
	config->mark_container = draft->marks[CONFIG_MARK_CONTAINER] ?: config->mark_container;
	config->mark_host = draft->marks[CONFIG_MARK_HOST] ?: config->mark_host;
	if (config->mark_container != config->mark_host)
		return 0;
	return diag_set(diag, -EINVAL,
			"%s:%d: [marks] container and host are both 0x%08x; they are bits of the "
			"same conntrack mark and must differ",
			path, container_line > host_line ? container_line : host_line,
			config->mark_host);
}

static int check_cgroup(const char *path, const struct config_draft *draft, struct diag *diag)
{
	const char *parent = draft->config.cgroup_parent;
	const char *dot = strrchr(parent, '.');

	if (draft->config.cgroup_driver != CGROUP_DRIVER_SYSTEMD || !*parent)
		return 0;
	if (dot && strcmp(dot, ".slice") == 0 && !strchr(parent, '/'))
		return 0;
	return diag_set(diag, -EINVAL,
			"%s:%d: [cgroup] parent = \"%s\": with driver = systemd it must be the "
			"name of a slice, such as system.slice",
			path, config_key_line(draft, "cgroup", "parent"), parent);
}

/* ---- the mode ---- */

/*
 * What the environment file says. @ret_value is borrowed from @ret_text, NULL where the file or the
 * variable is not there. A line that systemd would skip is refused: it may be the mode, mistyped.
 */
static int read_mode_file(const char *path, char **ret_text, const char **ret_value, int *ret_line,
			  struct diag *diag)
{
	_cleanup_free_ char *text = NULL;
	struct env_cursor cursor = { .line = 1 };
	struct env_entry entry;
	const char *value = NULL;
	char safe[96];
	int line = 0, r;

	r = config_read_file(path, &text, diag);
	if (r < 0 && !is_absent(r))
		return r;
	cursor.next = text;
	while (text && env_next(&cursor, &entry)) {
		if (!entry.value)
			return diag_set(diag, -EINVAL,
					"%s:%d: \"%s\" is no variable; write NAME=value, as "
					"in " NETWORK_MODE_VARIABLE "=2",
					path, entry.line, text_safe(entry.key, safe, sizeof(safe)));
		if (strcmp(entry.key, NETWORK_MODE_VARIABLE) == 0) {
			value = entry.value;
			line = entry.line;
		}
	}
	*ret_text = take_ptr(text);
	*ret_value = value;
	*ret_line = line;
	return 0;
}

/* Returns 1, 0 or -ENOMEM. */
static int file_says(const char *path, enum network_mode mode, struct diag *diag)
{
	_cleanup_free_ char *text = NULL;
	const char *value;
	enum network_mode said;
	int line, r;

	r = read_mode_file(path, &text, &value, &line, diag);
	if (r == -ENOMEM)
		return r;
	return r == 0 && value && network_mode_parse(value, &said, NULL) == 0 && said == mode;
}

static int load_mode_from_file(const char *path, enum network_mode *ret_mode,
			       struct config_origin *origin, struct diag *diag)
{
	_cleanup_free_ char *text = NULL;
	struct diag why = { 0 };
	const char *value;
	int line, r;

	r = read_mode_file(path, &text, &value, &line, diag);
	if (r < 0)
		return r;
	r = network_mode_parse(value, ret_mode, &why);
	if (r < 0)
		return diag_set(diag, r, "%s:%d: %s", path, line, why.text);
	if (value)
		snprintf(origin->mode, sizeof(origin->mode), "%.112s:%d", path, line);
	else
		snprintf(origin->mode, sizeof(origin->mode), "default");
	return 0;
}

/*
 * At start the environment decides. A running process keeps the environment of its start, so on
 * reload the file does, which systemd made that environment from; unless the environment never was
 * the file's (environment_wins).
 */
static int load_mode(const struct config_sources *sources, struct config_draft *draft,
		     struct config_origin *origin, struct diag *diag)
{
	const char *variable = sources->mode_variable;
	bool reload = sources->reload && sources->previous;
	int r;

	origin->environment_wins = reload && sources->previous->environment_wins;
	if (!variable || (reload && !origin->environment_wins))
		return load_mode_from_file(draft->environment_file, &draft->config.mode, origin,
					   diag);
	r = network_mode_parse(variable, &draft->config.mode, diag);
	if (r < 0)
		return r;
	if (!reload) {
		r = file_says(draft->environment_file, draft->config.mode, diag);
		if (r < 0)
			return r;
		origin->environment_wins = !r;
	}
	snprintf(origin->mode, sizeof(origin->mode), "environment");
	return 0;
}

/* ---- the ports ---- */

/* An empty value is what the shim takes for unset. The last assignment counts. */
static int read_shim_port(const char *path, const struct env_entry *entry, enum config_port port,
			  uint16_t *ret_port, struct diag *diag)
{
	char safe[64];

	*ret_port = 0;
	if (!*entry->value || config_parse_port(entry->value, ret_port) == 0)
		return 0;
	return diag_set(diag, -EINVAL,
			"%s:%d: %s = \"%s\": must be a TCP port, 1 to 65535, in plain decimal; "
			"correct it there, or set [ports] %s in jobfence.conf",
			path, entry->line, entry->key, text_safe(entry->value, safe, sizeof(safe)),
			port_kinds[port].name);
}

/* Fills in the ports that the configuration leaves open. */
static int read_shim_text(const char *path, char *text, struct config_draft *draft,
			  struct place places[static CONFIG_PORTS_N], struct diag *diag)
{
	struct env_cursor cursor = { .next = text, .line = 1 };
	struct env_entry entry;
	int r;

	while (env_next(&cursor, &entry)) {
		for (enum config_port port = 0; port < CONFIG_PORTS_N; port++) {
			bool configured = draft->ports[port] && places[port].path != path;

			if (!entry.value || configured ||
			    strcmp(entry.key, port_kinds[port].variable) != 0)
				continue;
			r = read_shim_port(path, &entry, port, &draft->ports[port], diag);
			if (r < 0)
				return r;
			places[port] =
				(struct place){ draft->ports[port] ? path : NULL, entry.line };
		}
	}
	return 0;
}

static const char *place_text(const struct place *place, char *buffer, size_t size)
{
	if (place->path)
		snprintf(buffer, size, "%s:%d", place->path, place->line);
	else
		snprintf(buffer, size, "dstack's default");
	return buffer;
}

static int check_ports(const struct config_draft *draft,
		       const struct place places[static CONFIG_PORTS_N], struct diag *diag)
{
	for (enum config_port a = 0; a < CONFIG_PORTS_N; a++) {
		for (enum config_port b = a + 1; b < CONFIG_PORTS_N; b++) {
			char from_a[160], from_b[160];

			if (draft->ports[a] != draft->ports[b])
				continue;
			return diag_set(diag, -EINVAL,
					"%s and %s have the same port %u (%s; %s); give each its "
					"own, in [ports] or in the shim's environment",
					port_kinds[a].name, port_kinds[b].name, draft->ports[a],
					place_text(&places[a], from_a, sizeof(from_a)),
					place_text(&places[b], from_b, sizeof(from_b)));
		}
	}
	return 0;
}

/* The sources of the ports, each once, in the order in which they come up. */
static void describe_ports(const struct place places[static CONFIG_PORTS_N], const char *remark,
			   char *text, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < CONFIG_PORTS_N; i++) {
		size_t same = 0;

		while (same < i && places[same].path != places[i].path)
			same++;
		if (same == i && used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
						 places[i].path ?: "dstack's defaults");
	}
	if (used < size)
		snprintf(text + used, size - used, "%s", remark);
}

static const struct port_range *find_port(const struct port_ranges *ranges, uint16_t port)
{
	for (size_t i = 0; i < ranges->n; i++)
		if (ranges->range[i].l4proto == IPPROTO_TCP && ranges->range[i].first <= port &&
		    port <= ranges->range[i].last)
			return &ranges->range[i];
	return NULL;
}

/* A job has to answer on its own two ports, and nobody but it may reach them; the other two have
 * rules of their own. One that is in both lists is a mistake whichever it is. */
int config_check_port_lists(const char *path, struct config_draft *draft, struct diag *diag)
{
	struct config *config = &draft->config;
	const struct {
		const char *name;
		uint16_t port;
	} reserved[] = {
		{ "shim", config->ports.shim },
		{ "dcgm", config->ports.dcgm },
		{ "runner", config->ports.runner },
		{ "runner_ssh", config->ports.runner_ssh },
	};

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		bool guarded = find_port(&config->guarded, reserved[i].port);
		const char *key = guarded ? "guarded" : "fenced";

		if (guarded && !draft->guarded_named) {
			config->guarded.n = 0; /* nobody asked for port 22 */
			continue;
		}
		if (guarded || find_port(&config->fenced, reserved[i].port))
			return diag_set(diag, -EINVAL,
					"%s:%d: [ports] %s has tcp %d, which is the port of %s and "
					"has rules of its own; leave it out",
					path, config_key_line(draft, "ports", key), key,
					(int)reserved[i].port, reserved[i].name);
	}
	return 0;
}

static int load_ports(const char *path, struct config_draft *draft, struct config_origin *origin,
		      struct diag *diag)
{
	struct place places[CONFIG_PORTS_N] = { 0 };
	_cleanup_free_ char *text = NULL;
	const char *remark = "";
	int r;

	for (enum config_port port = 0; port < CONFIG_PORTS_N; port++)
		if (draft->ports[port])
			places[port] =
				(struct place){ path, config_key_line(draft, "ports",
								      port_kinds[port].name) };
	r = config_read_file(draft->shim_env, &text, diag);
	/* `jobfence render` needs no privileges, and this file is root's. */
	if (r == -EACCES && geteuid() != 0)
		remark = " (the shim's environment file is not readable)";
	else if (r < 0 && !is_absent(r))
		return r;
	r = text ? read_shim_text(draft->shim_env, text, draft, places, diag) : 0;
	if (r < 0)
		return r;
	for (enum config_port port = 0; port < CONFIG_PORTS_N; port++) {
		if (!draft->ports[port])
			draft->ports[port] = port_kinds[port].standard;
		*port_field(&draft->config.ports, port) = draft->ports[port];
	}
	describe_ports(places, remark, origin->ports, sizeof(origin->ports));
	r = check_ports(draft, places, diag);
	return r < 0 ? r : config_check_port_lists(path, draft, diag);
}

/* ---- egress ---- */

static void remark_everything(struct config_origin *origin, const struct net_entries *allow)
{
	for (size_t i = 0; i < allow->n; i++) {
		const struct net_entry *entry = &allow->entry[i];
		struct net_range range = { entry->first, entry->last },
				 all = ip_addr_network(&entry->first, 0);

		if (entry->l4proto == 0 && net_range_cmp(&range, &all) == 0)
			config_remark(origin,
				      "[egress] allow has %s: jobs on a bridge reach every "
				      "internal network",
				      entry->first.family == AF_INET ? "0.0.0.0/0" : "::/0");
	}
}

/* The ports were read from the same file before, so it is there or may be absent. */
static int load_egress(struct config_draft *draft, struct config_origin *origin, struct diag *diag)
{
	struct config *config = &draft->config;
	_cleanup_free_ char *text = NULL;
	int r;

	remark_everything(origin, &config->allow);
	if (config->proxies.source != CONFIG_SOURCE_AUTO)
		return 0;
	r = config_read_file(draft->shim_env, &text, diag);
	if (r == 0)
		config_read_proxies(draft->shim_env, text, &config->proxies, origin);
	return r == -ENOMEM ? r : 0;
}

/* ---- the engine ---- */

/* An empty DOCKER_HOST counts as unset, as in Docker's client; an empty --docker is a mistake. */
static int load_docker(const struct config_sources *sources, struct config *config,
		       struct diag *diag)
{
	const char *host = sources->docker_host;

	if (sources->docker_option)
		return config_parse_docker("--docker", sources->docker_option, config->docker,
					   sizeof(config->docker), diag);
	if (host && host[strspn(host, " \t\n\r\v\f")] != '\0')
		return config_parse_docker("DOCKER_HOST", host, config->docker,
					   sizeof(config->docker), diag);
	return 0;
}

static int load_draft(const struct config_sources *sources, struct config_draft *draft,
		      struct config_origin *origin, struct diag *diag)
{
	const char *path = sources->path ?: CONFIG_PATH_DEFAULT;
	int r;

	config_draft_init(draft);
	r = load_file(sources, draft, diag);
	if (r == 0)
		r = check_marks(path, draft, diag);
	if (r == 0)
		r = check_cgroup(path, draft, diag);
	if (r == 0)
		r = load_mode(sources, draft, origin, diag);
	if (r == 0)
		r = load_ports(path, draft, origin, diag);
	if (r == 0)
		r = load_docker(sources, &draft->config, diag);
	return r ? r : load_egress(draft, origin, diag);
}

int config_load(const struct config_sources *sources, struct config *ret_config,
		struct config_origin *ret_origin, struct diag *diag)
{
	/* not on the stack, which a daemon keeps as large as it ever was */
	_cleanup_free_ struct config_draft *draft = calloc(1, sizeof(*draft));
	struct config_origin origin = { 0 };
	struct diag why = { 0 }; /* also has what turned out not to matter */
	int r = draft ? load_draft(sources, draft, &origin, &why) : -ENOMEM;

	if (r < 0)
		return diag_set(diag, r, "%s",
				draft ? why.text : "out of memory reading the configuration");
	*ret_config = draft->config;
	*ret_origin = origin;
	return 0;
}
