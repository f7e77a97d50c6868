/* SPDX-License-Identifier: GPL-2.0-or-later */
/* link: -Wl,--wrap=open */
/*
 * The configuration: its file, the environment file with the mode, the shim's environment file, as
 * three parts of the input with a line "%%" between them; no other file can be opened. What is refused
 * leaves everything as it was and says where; what is taken is within its bounds, and a second reading
 * of the same is the same.
 */
#include "config-internal.h"
#include "fuzz.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "jobfence/text.h"

#define CONF "/fuzz/jobfence.conf"
#define PARTS 3

static const char *const paths[PARTS] = { CONF, CONFIG_ENVIRONMENT_FILE_DEFAULT,
					  CONFIG_SHIM_ENV_DEFAULT };
static char *parts[PARTS];

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	for (size_t i = 0; i < PARTS; i++) {
		size_t len = strlen(parts[i]);

		if (strcmp(path, paths[i]) != 0 || !len)
			continue;
		int fd = memfd_create("fuzz", MFD_CLOEXEC);

		CHECK(fd >= 0 && pwrite(fd, parts[i], len, 0) == (ssize_t)len);
		return fd;
	}
	errno = ENOENT;
	return -1;
}

static size_t lines_of(const char *text)
{
	size_t lines = 1;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* "/fuzz/jobfence.conf:7: …" with a line that is there; what two lines do together names the file. */
static void check_sentence(const char *text)
{
	for (size_t i = 0; i < PARTS; i++) {
		size_t len = strlen(paths[i]);
		unsigned long line;

		if (strncmp(text, paths[i], len) != 0)
			continue;
		if (text[len] != ':')
			return; /* "… is larger than 64 KiB" */
		line = strtoul(text + len + 1, NULL, 10);
		CHECK(line >= 1 && line <= lines_of(parts[i]));
		return;
	}
	for (size_t i = 0; i < PARTS; i++)
		if (strstr(text, paths[i]))
			return;
	CHECK(!"the sentence names no file");
}

static void check_entries(const struct net_entries *entries)
{
	CHECK(entries->n <= CONFIG_ENTRIES_MAX);
	for (size_t i = 0; i < entries->n; i++) {
		CHECK(ip_addr_cmp(&entries->entry[i].first, &entries->entry[i].last) <= 0);
		CHECK(entries->entry[i].first.family == entries->entry[i].last.family);
		CHECK(entries->entry[i].port_first <= entries->entry[i].port_last);
	}
}

static bool is_text(const char *text, size_t size)
{
	return strnlen(text, size) < size;
}

static void check_config(const struct config *config)
{
	CHECK(config->mode >= 1 && config->mode <= 3);
	CHECK(config->docker[0] == '/' && fuzz_is_line(config->docker, sizeof(config->docker)));
	CHECK(config->bridges_n >= 1 && config->bridges_n <= CONFIG_BRIDGES_MAX);
	for (size_t i = 0; i < config->bridges_n; i++)
		CHECK(fuzz_is_safe(config->bridges[i], IFNAMSIZ - 1) && config->bridges[i][0]);
	CHECK(__builtin_popcount(config->mark_bystander) == 1);
	CHECK(__builtin_popcount(config->mark_container) == 1);
	CHECK(__builtin_popcount(config->mark_host) == 1);
	CHECK(config->mark_container != config->mark_host);
	CHECK(config->ports.shim && config->ports.dcgm && config->ports.runner &&
	      config->ports.runner_ssh);
	CHECK(fuzz_is_safe(config->cgroup_parent, sizeof(config->cgroup_parent) - 1));
	CHECK(fuzz_is_safe(config->engine_cgroup, sizeof(config->engine_cgroup) - 1));
	check_entries(&config->allow);
	check_entries(&config->deny);
	check_entries(&config->peers);
	CHECK(config->resolvers.n <= CONFIG_ADDRESSES_MAX);
	for (size_t i = 0; i < config->resolvers.n; i++)
		CHECK(!config_unreachable(&config->resolvers.addr[i]));
	CHECK(config->proxies.n <= CONFIG_ADDRESSES_MAX);
	for (size_t i = 0; i < config->proxies.n; i++)
		CHECK(!config_unreachable(&config->proxies.addr[i].ip) &&
		      config->proxies.addr[i].port);
	CHECK(config->guarded.n <= CONFIG_PORT_RANGES_MAX);
	CHECK(config->fenced.n <= CONFIG_PORT_RANGES_MAX);
	CHECK(config->overrides_n <= CONFIG_OVERRIDES_MAX);
	for (size_t i = 0; i < config->overrides_n; i++)
		CHECK(fuzz_is_safe(config->overrides[i].pattern, CONFIG_PATTERN_MAX));
	CHECK(config->confine_names_n <= CONFIG_OVERRIDES_MAX);
	CHECK(config->confine_labels_n <= CONFIG_OVERRIDES_MAX);
	for (size_t i = 0; i < config->confine_labels_n; i++)
		CHECK(is_text(config->confine_labels[i], CONFIG_LABEL_MAX + 1));
}

static void check_origin(const struct config_origin *origin)
{
	CHECK(fuzz_is_line(origin->mode, sizeof(origin->mode)));
	CHECK(fuzz_is_line(origin->ports, sizeof(origin->ports)));
	CHECK(origin->remarks_n <= CONFIG_REMARKS_MAX);
	/* they are logged, and log_msg() makes one line of each */
	for (size_t i = 0; i < origin->remarks_n; i++)
		CHECK(is_text(origin->remarks[i], sizeof(origin->remarks[0])));
}

/* What the server takes, for plain ASCII: Python's int(). */
static void check_mode(const char *text)
{
	const char *at = text + strspn(text, " \t\n\v\f\r");
	enum network_mode mode = 0;
	struct diag diag = { 0 };
	int r = network_mode_parse(text, &mode, &diag);
	unsigned value = 0;
	size_t digits, blanks;

	if (r)
		fuzz_check_refusal(r, &diag);
	else
		CHECK(mode >= 1 && mode <= 3);
	at += *at == '+';
	digits = strspn(at, "0123456789");
	for (size_t i = 0; i < digits; i++)
		value = value < 100 ? value * 10 + (unsigned)(at[i] - '0') : value;
	blanks = strspn(at + digits, " \t\n\v\f\r");
	if (digits && digits < 4000 && !at[digits + blanks])
		CHECK((r == 0) == (value >= 1 && value <= 3) && (r || mode == value));
	else if (strspn(text, " \t\n\v\f\r+0123456789.-abcdefxX") == strlen(text) && digits < 4000)
		CHECK(r == -EINVAL);
}

static int load(struct config *config, struct config_origin *origin, struct diag *diag,
		const struct config_origin *previous)
{
	const struct config_sources sources = { .path = CONF,
						.reload = previous,
						.previous = previous };

	return config_load(&sources, config, origin, diag);
}

static void check_load(void)
{
	static struct config config, before, again;
	static struct config_origin origin, origin_before, origin_again;
	struct diag diag = { 0 };
	int r;

	memset(&before, 0xa5, sizeof(before));
	memset(&origin_before, 0xa5, sizeof(origin_before));
	config = again = before;
	origin = origin_again = origin_before;
	r = load(&config, &origin, &diag, NULL);
	if (r < 0) {
		fuzz_check_refusal(r, &diag);
		CHECK(memcmp(&config, &before, sizeof(config)) == 0);
		CHECK(memcmp(&origin, &origin_before, sizeof(origin)) == 0);
		if (parts[0][0])
			check_sentence(diag.text);
		return;
	}
	check_config(&config);
	check_origin(&origin);
	CHECK(load(&again, &origin_again, &diag, &origin) == 0);
	CHECK(again.mode == config.mode && again.allow.n == config.allow.n &&
	      again.audit == config.audit && again.overrides_n == config.overrides_n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < PARTS; i++)
		parts[i] = fuzz_part(&data, &size);
	check_load();
	check_mode(parts[1]);
	for (size_t i = 0; i < PARTS; i++)
		free(parts[i]);
	return 0;
}
