/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keys of jobfence.conf: their names, what each accepts, and the reading of the INI file.
 *
 * One table says everything there is; contrib/jobfence.conf documents the same keys, and a test
 * compares the two. Nothing is ever skipped: an unknown or repeated key may be the one that the
 * operator counts on, so the whole file is refused, with the line and what would be right. inih
 * finds sections, keys and comments; no value reaches the configuration without a parser here.
 */
#include "config-internal.h"

#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <string.h>
#include <sys/un.h>

#include "jobfence/text.h"

/* Parses @value into the field, or returns -EINVAL; @ret_why starts as the sentence of the key. */
typedef int (*set_fn)(void *field, const char *value, const char **ret_why);

struct key {
	const char *section, *name;
	set_fn set;
	size_t offset; /* of the field in struct config_draft */
	const char *right;
};

/* Instead of what is right: the key may stand on several lines, each adds, and its setter has the
 * sentences, which name the entry; the rest of the line is no news, and may be a password. */
static const char adds[] = "";

static int set_port(void *field, const char *value, const char **ret_why)
{
	return config_parse_port(value, field);
}

static int set_mark(void *field, const char *value, const char **ret_why)
{
	bool hex = strncmp(value, "0x", 2) == 0 || strncmp(value, "0X", 2) == 0;
	uint32_t mark;

	if (config_parse_number(hex ? value + 2 : value, hex ? 16 : 10, UINT32_MAX, &mark) < 0)
		return -EINVAL;
	if (mark == 0 || (mark & (mark - 1)) != 0)
		return -EINVAL;
	*(uint32_t *)field = mark;
	return 0;
}

static int set_ct_mark(void *field, const char *value, const char **ret_why)
{
	uint32_t mark;

	if (set_mark(&mark, value, ret_why) < 0)
		return -EINVAL;
	if (mark <= UINT16_MAX) {
		*ret_why = "the low 16 bits of the conntrack mark carry the jobs' tags; "
			   "must be one bit from 0x10000 to 0x80000000";
		return -EINVAL;
	}
	*(uint32_t *)field = mark;
	return 0;
}

static int set_group(void *field, const char *value, const char **ret_why)
{
	uint32_t group;

	if (config_parse_number(value, 10, UINT16_MAX, &group) < 0)
		return -EINVAL;
	*(uint16_t *)field = (uint16_t)group;
	return 0;
}

static int set_violation(void *field, const char *value, const char **ret_why)
{
	enum violation_policy *policy = field;

	if (strcmp(value, "quarantine") == 0)
		*policy = ON_VIOLATION_QUARANTINE;
	else if (strcmp(value, "fence") == 0)
		*policy = ON_VIOLATION_FENCE;
	else
		return -EINVAL;
	return 0;
}

static int set_unconfinable(void *field, const char *value, const char **ret_why)
{
	enum unconfinable_policy *policy = field;

	if (strcmp(value, "report") == 0)
		*policy = UNCONFINABLE_REPORT;
	else if (strcmp(value, "quarantine") == 0)
		*policy = UNCONFINABLE_QUARANTINE;
	else
		return -EINVAL;
	return 0;
}

static int set_yes_no(void *field, const char *value, const char **ret_why)
{
	bool *flag = field;

	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return -EINVAL;
	*flag = value[0] == 'y';
	return 0;
}

static int set_owner(void *field, const char *value, const char **ret_why)
{
	bool *own = field;

	if (strcmp(value, "auto") != 0 && strcmp(value, "no") != 0)
		return -EINVAL;
	*own = value[0] == 'a';
	return 0;
}

static int set_driver(void *field, const char *value, const char **ret_why)
{
	enum cgroup_driver *driver = field;

	if (strcmp(value, "auto") == 0)
		*driver = CGROUP_DRIVER_AUTO;
	else if (strcmp(value, "cgroupfs") == 0)
		*driver = CGROUP_DRIVER_CGROUPFS;
	else if (strcmp(value, "systemd") == 0)
		*driver = CGROUP_DRIVER_SYSTEMD;
	else
		return -EINVAL;
	return 0;
}

/* It is shown as it is, in the log and by `status`. */
static bool is_line(const char *text)
{
	uint32_t code;
	int length;

	while ((length = text_utf8_decode(text, &code)) > 0 && text_is_shown(code))
		text += length;
	return *text == '\0';
}

/* For the fields of 256 bytes. */
static int set_text(char *field, const char *value, size_t length)
{
	_Static_assert(sizeof(((struct config_draft *)0)->environment_file) == 256, "");
	_Static_assert(sizeof(((struct config_draft *)0)->shim_env) == 256, "");
	_Static_assert(sizeof(((struct config *)0)->docker) == 256, "");
	_Static_assert(sizeof(((struct config *)0)->cgroup_parent) == 256, "");
	_Static_assert(sizeof(((struct config *)0)->engine_cgroup) == 256, "");
	if (length >= 256)
		return -EINVAL;
	memcpy(field, value, length);
	field[length] = '\0';
	return 0;
}

static int set_path(void *field, const char *value, const char **ret_why)
{
	if (*value != '/' || !is_line(value))
		return -EINVAL;
	return set_text(field, value, strlen(value));
}

/* Blanks around it are nothing to Docker's client either. */
int config_docker_path(const char *value, char *ret_path, size_t size, const char **ret_why)
{
	static const char scheme[] = "unix://", blanks[] = " \t\n\r\v\f";
	const char *path = value + strspn(value, blanks);
	bool is_unix = strncmp(path, scheme, strlen(scheme)) == 0;
	struct sockaddr_un address;
	char plain[sizeof(address.sun_path)];
	size_t length;

	path += is_unix ? strlen(scheme) : 0;
	length = strlen(path);
	while (length > 0 && strchr(blanks, path[length - 1]))
		length--;
	if (!is_unix)
		*ret_why = "jobfence speaks to the engine over its unix socket only (not tcp, ssh, "
			   "http, npipe or fd); write unix:// and the absolute path of the socket, "
			   "such as " CONFIG_DOCKER_DEFAULT;
	else if (*path != '/')
		*ret_why = "the path of the socket must be absolute; write three slashes, as "
			   "in " CONFIG_DOCKER_DEFAULT;
	else if (length >= sizeof(address.sun_path) || length >= size)
		*ret_why = "the path is longer than the 107 bytes that a unix socket can have; "
			   "name the socket by a shorter path, such as a symbolic link in /run";
	else {
		memcpy(plain, path, length);
		plain[length] = '\0';
		if (is_line(plain)) {
			memcpy(ret_path, plain, length + 1);
			return 0;
		}
		*ret_why = "the path has control characters, or is no UTF-8; name the socket by "
			   "another path, such as a symbolic link in /run";
	}
	return -EINVAL;
}

static int set_docker(void *field, const char *value, const char **ret_why)
{
	return config_docker_path(value, field, sizeof(((struct config *)0)->docker), ret_why);
}

/* What the kernel refuses in a name, and what nft would read as something else. */
static bool is_interface_name(const char *name, size_t length)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-@+";

	if (length == 0 || length >= IFNAMSIZ || strspn(name, allowed) < length)
		return false;
	return !(name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')));
}

static bool has_bridge(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->bridges_n; i++)
		if (strcmp(config->bridges[i], name) == 0)
			return true;
	return false;
}

static int set_bridges(void *field, const char *value, const char **ret_why)
{
	static const char separators[] = ", \t";
	struct config *config = field;

	config->bridges_n = 0;
	for (value += strspn(value, separators); *value; value += strspn(value, separators)) {
		size_t length = strcspn(value, separators);
		char name[IFNAMSIZ] = "";

		if (!is_interface_name(value, length))
			return -EINVAL;
		memcpy(name, value, length);
		if (has_bridge(config, name)) {
			*ret_why = "one name stands there twice; name each bridge once";
			return -EINVAL;
		}
		if (config->bridges_n == CONFIG_BRIDGES_MAX) {
			*ret_why = "at most 32 bridges can be named";
			return -EINVAL;
		}
		memcpy(config->bridges[config->bridges_n++], name, sizeof(name));
		value += length;
	}
	return config->bridges_n > 0 ? 0 : -EINVAL;
}

/* Stored without slashes at the ends; empty keeps the default. */
static int set_cgroup(void *field, const char *value, const char **ret_why)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-@:+/";
	const char *path = value + strspn(value, "/");
	size_t length = strlen(path);

	while (length > 0 && path[length - 1] == '/')
		length--;
	if (length == 0 && *value) {
		*ret_why = "the root of the hierarchy holds everything; name a cgroup below it";
		return -EINVAL;
	}
	for (size_t i = 0; i < length;) {
		size_t part = strcspn(path + i, "/");

		if (part == 0 || path[i] == '.' || strspn(path + i, allowed) < part)
			return -EINVAL;
		i += part + 1;
	}
	return set_text(field, path, length);
}

#define FIELD(member) offsetof(struct config_draft, member)

#define RIGHT_PORT "must be a TCP port, 1 to 65535, in plain decimal"
#define RIGHT_PATH "must be an absolute path shorter than 256 bytes, without control characters"
#define RIGHT_MARK "must be a number with exactly one bit set, such as "
#define RIGHT_CGROUP "must be a path below the cgroup root without \"..\", such as "
#define RIGHT_METADATA "must be deny or allow"

#define ENFORCE_KEY(name_, group_)                                              \
	{                                                                       \
		"enforce", (name_), config_set_enforce, FIELD(enforce[group_]), \
			"must be enforce or audit"                              \
	}

static const struct key keys[] = {
	{ "jobs", "on_violation", set_violation, FIELD(config.on_violation),
	  "must be quarantine or fence" },
	{ "jobs", "unconfinable", set_unconfinable, FIELD(config.unconfinable),
	  "must be report or quarantine" },
	{ "environment", "environment_file", set_path, FIELD(environment_file), RIGHT_PATH },
	{ "environment", "shim_env", set_path, FIELD(shim_env), RIGHT_PATH },
	{ "ports", "shim", set_port, FIELD(ports[CONFIG_PORT_SHIM]), RIGHT_PORT },
	{ "ports", "dcgm", set_port, FIELD(ports[CONFIG_PORT_DCGM]), RIGHT_PORT },
	{ "ports", "runner", set_port, FIELD(ports[CONFIG_PORT_RUNNER]), RIGHT_PORT },
	{ "ports", "runner_ssh", set_port, FIELD(ports[CONFIG_PORT_RUNNER_SSH]), RIGHT_PORT },
	{ "ports", "guarded", config_set_guarded, 0, adds },
	{ "ports", "fenced", config_set_fenced, 0, adds },
	{ "docker", "socket", set_docker, FIELD(config.docker), NULL },
	{ "docker", "bridges", set_bridges, FIELD(config),
	  "must be names of interfaces (1 to 15 of A-Z a-z 0-9 . _ - @ +), separated by blanks" },
	{ "cgroup", "driver", set_driver, FIELD(config.cgroup_driver),
	  "must be auto, cgroupfs or systemd" },
	{ "cgroup", "required", set_yes_no, FIELD(config.cgroup_required), "must be yes or no" },
	{ "cgroup", "parent", set_cgroup, FIELD(config.cgroup_parent), RIGHT_CGROUP "docker" },
	{ "cgroup", "engine", set_cgroup, FIELD(config.engine_cgroup),
	  RIGHT_CGROUP "system.slice/docker.service" },
	{ "nftables", "owner", set_owner, FIELD(config.own_tables), "must be auto or no" },
	{ "marks", "bystander", set_mark, FIELD(marks[CONFIG_MARK_BYSTANDER]),
	  RIGHT_MARK "0x08000000" },
	{ "marks", "container", set_ct_mark, FIELD(marks[CONFIG_MARK_CONTAINER]),
	  RIGHT_MARK "0x10000000" },
	{ "marks", "host", set_ct_mark, FIELD(marks[CONFIG_MARK_HOST]), RIGHT_MARK "0x20000000" },
	{ "egress", "bridge", config_set_egress, FIELD(config.egress_bridge),
	  "must be internet, any or none" },
	{ "egress", "host", config_set_egress_host, FIELD(config.egress_host),
	  "must be any or internet" },
	{ "egress", "allow", config_set_allow, 0, adds },
	{ "egress", "deny", config_set_deny, 0, adds },
	{ "egress", "peers", config_set_peers, 0, adds },
	{ "egress", "resolvers", config_set_resolvers, 0, adds },
	{ "egress", "proxies", config_set_proxies, 0, adds },
	{ "metadata", "bridge", config_set_metadata, FIELD(config.metadata_bridge),
	  RIGHT_METADATA },
	{ "metadata", "host", config_set_metadata, FIELD(config.metadata_host), RIGHT_METADATA },
	{ "job", "network_mode", config_set_job_mode, 0, adds },
	{ "confine", "names", config_set_confine_names, 0, adds },
	{ "confine", "labels", config_set_confine_labels, 0, adds },
	ENFORCE_KEY("default", GROUP_MAX),
	ENFORCE_KEY("egress", GROUP_EGRESS),
	ENFORCE_KEY("neighbours", GROUP_NEIGHBOURS),
	ENFORCE_KEY("host", GROUP_HOST),
	ENFORCE_KEY("spoofing", GROUP_SPOOFING),
	ENFORCE_KEY("host_apis", GROUP_HOST_APIS),
	ENFORCE_KEY("published", GROUP_PUBLISHED),
	ENFORCE_KEY("runners", GROUP_RUNNERS),
	ENFORCE_KEY("quarantine", GROUP_QUARANTINE),
	{ "enforce", "log", set_yes_no, FIELD(config.audit_log), "must be yes or no" },
	{ "log", "group", set_group, FIELD(config.log_group),
	  "must be an NFLOG group, 1 to 65535, or 0 for none" },
};
_Static_assert(ARRAY_SIZE(keys) <= CONFIG_KEYS_MAX, "struct config_draft has a line for each key");

/* [job "train-*"]: the section names something. */
static bool takes_argument(const struct key *key)
{
	return strcmp(key->section, "job") == 0;
}

static const struct key *find_key(const char *section, const char *name)
{
	for (const struct key *key = keys; key < keys + ARRAY_SIZE(keys); key++)
		if (strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

int config_key_line(const struct config_draft *draft, const char *section, const char *name)
{
	const struct key *key = find_key(section, name);

	return key ? draft->lines[key - keys] : 0;
}

/* One reading of one file. */
struct reading {
	const char *path, *next;
	int line;
	int error;    /* the first; ends the reading */
	int job_line; /* of a section [job "…"] that has no key so far */
	struct config_draft *draft;
	struct diag *diag;
};

/* The names of the sections, or those of the keys of @section. */
static const char *list_names(const char *section, char *buffer, size_t size)
{
	const char *last = "";
	size_t used = 0;

	buffer[0] = '\0';
	for (const struct key *key = keys; key < keys + ARRAY_SIZE(keys); key++) {
		const char *name = section ? key->name : key->section;

		if ((section && strcmp(key->section, section) != 0) || strcmp(name, last) == 0)
			continue;
		if (used < size)
			used += (size_t)snprintf(
				buffer + used, size - used, "%s%s%s", *last ? ", " : "", name,
				!section && takes_argument(key) ? " \"PATTERN\"" : "");
		last = name;
	}
	return buffer;
}

static int refuse_unknown(struct reading *reading, const char *section, const char *name)
{
	char names[128], safe_section[64], safe_name[64];

	text_safe(section, safe_section, sizeof(safe_section));
	text_safe(name, safe_name, sizeof(safe_name));
	if (*list_names(section, names, sizeof(names)))
		return diag_set(reading->diag, -EINVAL,
				"%s:%d: [%s] has no key \"%s\"; its keys are %s", reading->path,
				reading->line, safe_section, safe_name, names);
	list_names(NULL, names, sizeof(names));
	if (!*section)
		return diag_set(reading->diag, -EINVAL,
				"%s:%d: the key \"%s\" stands before any section; sections are %s",
				reading->path, reading->line, safe_name, names);
	return diag_set(reading->diag, -EINVAL,
			"%s:%d: there is no section [%s] (key \"%s\"); sections are %s",
			reading->path, reading->line, safe_section, safe_name, names);
}

/*
 * Parts job "train-*" into its two words, in place. inih cuts a section's name to what fits its
 * buffer: then the closing quote is missing.
 */
static int split_section(struct reading *reading, char *section, const char **ret_argument)
{
	char *quote = strchr(section, '"'), *end;
	char safe[64];

	*ret_argument = NULL;
	if (!quote)
		return 0;
	end = strchr(quote + 1, '"');
	if (!end || end[1] || end == quote + 1)
		return diag_set(reading->diag, -EINVAL,
				"%s:%d: [%s]: what stands in quotes must be 1 to %d bytes and end "
				"in a quote; write [job \"train-*\"]",
				reading->path, reading->line,
				text_safe(section, safe, sizeof(safe)), CONFIG_PATTERN_MAX);
	*end = '\0';
	*ret_argument = quote + 1;
	do {
		*quote-- = '\0';
	} while (quote >= section && (*quote == ' ' || *quote == '\t'));
	return 0;
}

static int refuse_argument(const struct reading *reading, const struct key *key)
{
	if (takes_argument(key))
		return diag_set(reading->diag, -EINVAL,
				"%s:%d: [%s] is about jobs of a name; write [%s \"train-*\"]",
				reading->path, reading->line, key->section, key->section);
	return diag_set(reading->diag, -EINVAL, "%s:%d: [%s] takes no name in quotes",
			reading->path, reading->line, key->section);
}

static int set_key(struct reading *reading, const char *section, const char *name,
		   const char *value)
{
	const struct key *key = find_key(section, name);
	const char *why;
	char safe[96];
	int *line;

	if (!key)
		return refuse_unknown(reading, section, name);
	if (takes_argument(key) != !!reading->draft->argument)
		return refuse_argument(reading, key);
	line = &reading->draft->lines[key - keys];
	if (*line && key->right != adds)
		return diag_set(reading->diag, -EINVAL,
				"%s:%d: [%s] %s is already set on line %d; keep one of them",
				reading->path, reading->line, section, name, *line);
	*line = *line ?: reading->line;
	why = key->right;
	if (key->set((char *)reading->draft + key->offset, value, &why) == 0)
		return 0;
	if (key->right == adds)
		return diag_set(reading->diag, -EINVAL, "%s:%d: [%s] %s: %s", reading->path,
				reading->line, section, name, why);
	return diag_set(reading->diag, -EINVAL, "%s:%d: [%s] %s = \"%s\": %s", reading->path,
			reading->line, section, name, text_safe(value, safe, sizeof(safe)), why);
}

static int on_key(void *data, const char *section, const char *name, const char *value)
{
	struct reading *reading = data;

	char words[128];

	snprintf(words, sizeof(words), "%s", section);
	reading->job_line = 0;
	reading->error = split_section(reading, words, &reading->draft->argument);
	if (!reading->error)
		reading->error = set_key(reading, words, name, value ? value : "");
	reading->draft->argument = NULL;
	return reading->error == 0;
}

/* An override that says nothing looks like one that does; inih tells of keys only. */
static int end_section(struct reading *reading)
{
	if (!reading->job_line)
		return 0;
	return diag_set(reading->diag, -EINVAL,
			"%s:%d: this section has no network_mode, so it has no effect; give it one "
			"or take it out",
			reading->path, reading->job_line);
}

static bool starts_section(struct reading *reading)
{
	if (*reading->next != '[')
		return true;
	reading->error = end_section(reading);
	reading->job_line = strncmp(reading->next, "[job ", 5) == 0 ? reading->line : 0;
	return reading->error == 0;
}

/*
 * Hands inih one line, without the blanks at its start: inih would take an indented line for a
 * second value of the key above. A line that does not fit would be cut into two, so it is refused.
 */
static char *next_line(char *buffer, int size, void *data)
{
	struct reading *reading = data;
	size_t length;

	if (reading->error || !*reading->next)
		return NULL;
	reading->line++;
	reading->next += strspn(reading->next, " \t");
	if (!starts_section(reading))
		return NULL;
	length = strcspn(reading->next, "\n");
	if (length >= (size_t)size) {
		reading->error = diag_set(reading->diag, -EINVAL,
					  "%s:%d: the line is longer than %d bytes; shorten it",
					  reading->path, reading->line, size - 1);
		return NULL;
	}
	memcpy(buffer, reading->next, length);
	buffer[length] = '\0';
	reading->next += length + (reading->next[length] == '\n');
	return buffer;
}

int config_read_keys(const char *path, const char *text, struct config_draft *draft,
		     struct diag *diag)
{
	struct reading reading = { .path = path, .next = text, .draft = draft, .diag = diag };
	int bad_line = ini_parse_stream(next_line, &reading, on_key, &reading);

	if (bad_line < 0)
		return diag_set(diag, -ENOMEM, "%s cannot be read: out of memory", path);
	/* inih reads on after a line that it cannot make sense of: that line is the first error. */
	if (bad_line > 0 && (!reading.error || bad_line < reading.line))
		return diag_set(diag, -EINVAL,
				"%s:%d: the line is neither \"key = value\" nor \"[section]\" nor "
				"a comment",
				path, bad_line);
	if (!reading.error)
		reading.error = end_section(&reading);
	config_merge_enforce(draft);
	return reading.error;
}
