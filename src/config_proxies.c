/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The proxies of the shim, which hands http_proxy and its like on to its jobs: from its environment
 * file, never from a container's environment, which holds what the image says.
 *
 * An address is needed: looking names up would make the fence wait for the network, and believe it.
 * What is not understood opens nothing and is remarked upon. A proxy's user and password are never
 * told: of a value only what is known to be its host is.
 */
#include "config-internal.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

static const char *const variables[] = {
	"http_proxy", "https_proxy", "all_proxy", "ftp_proxy",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY",
};

/* The port that a program takes where there is none. */
static const struct {
	const char *scheme;
	uint16_t port;
} schemes[] = {
	{ "http", 80 },      { "https", 443 },   { "socks", 1080 },   { "socks4", 1080 },
	{ "socks4a", 1080 }, { "socks5", 1080 }, { "socks5h", 1080 },
};

static int take_scheme(const char **value, uint16_t *ret_port)
{
	const char *end = strstr(*value, "://");

	*ret_port = 80;
	if (!end)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t length = strlen(schemes[i].scheme);

		if ((size_t)(end - *value) != length ||
		    strncasecmp(*value, schemes[i].scheme, length) != 0)
			continue;
		*ret_port = schemes[i].port;
		*value = end + 3;
		return 0;
	}
	return -EINVAL;
}

/* "host", "host:port", "[v6]", "[v6]:port" into @host, which is ended, and @port. */
static int split_host(char *host, char **ret_host, uint16_t *port)
{
	char *colon = strrchr(host, ':');

	if (*host == '[') {
		char *end = strchr(++host, ']');

		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		*end = '\0';
		colon = end[1] ? end + 1 : NULL;
	} else if (colon && strchr(host, ':') != colon) {
		return -EINVAL; /* IPv6 without brackets: where does it end? */
	}
	if (colon) {
		*colon = '\0';
		if (config_parse_port(colon + 1, port) < 0)
			return -EINVAL;
	}
	*ret_host = host;
	return 0;
}

static bool is_host_name(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789.-_";

	return *name && name[strspn(name, allowed)] == '\0';
}

enum config_proxy config_parse_proxy(const char *value, struct sock_addr *ret_addr,
				     char host_name[static CONFIG_HOST_MAX])
{
	const char *at = strrchr(value, '@'), *end;
	char authority[CONFIG_HOST_MAX + 16], *host;
	struct sock_addr addr;

	if (take_scheme(&value, &addr.port) < 0)
		return CONFIG_PROXY_BAD;
	end = value + strcspn(value, "/?#");
	value = at ? at + 1 : value;
	/* The @ is behind the host: a password that is not escaped? */
	if (value >= end || (size_t)(end - value) >= sizeof(authority))
		return CONFIG_PROXY_BAD;
	memcpy(authority, value, (size_t)(end - value));
	authority[end - value] = '\0';
	if (split_host(authority, &host, &addr.port) < 0)
		return CONFIG_PROXY_BAD;
	if (ip_addr_parse(host, &addr.ip) == 0) {
		*ret_addr = addr;
		return CONFIG_PROXY_ADDRESS;
	}
	if (!is_host_name(host) || strlen(host) >= CONFIG_HOST_MAX)
		return CONFIG_PROXY_BAD;
	snprintf(host_name, CONFIG_HOST_MAX, "%s", host);
	return CONFIG_PROXY_NAME;
}

void config_remark(struct config_origin *origin, const char *fmt, ...)
{
	va_list args;

	if (origin->remarks_n == CONFIG_REMARKS_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(origin->remarks[origin->remarks_n++], sizeof(origin->remarks[0]), fmt, args);
	va_end(args);
}

static void add_proxy(struct config_proxies *proxies, const struct sock_addr *addr)
{
	for (size_t i = 0; i < proxies->n; i++)
		if (sock_addr_cmp(&proxies->addr[i], addr) == 0)
			return;
	if (proxies->n < CONFIG_ADDRESSES_MAX)
		proxies->addr[proxies->n++] = *addr;
}

static void read_value(const char *path, const char *variable, const struct env_entry *entry,
		       struct config_proxies *proxies, struct config_origin *origin)
{
	char host[CONFIG_HOST_MAX] = "", text[SOCK_ADDR_TEXT_MAX];
	struct sock_addr addr;
	const char *trouble;

	switch (config_parse_proxy(entry->value, &addr, host)) {
	case CONFIG_PROXY_BAD:
		config_remark(origin,
			      "%s:%d: %s is not understood (its value may hold a password and is "
			      "not shown): jobs cannot use it; name the proxy in [egress] proxies",
			      path, entry->line, variable);
		return;
	case CONFIG_PROXY_NAME:
		config_remark(origin,
			      "%s:%d: %s names %s, and jobfence looks up no names: where its "
			      "address is internal jobs cannot use it; put that in [egress] "
			      "proxies",
			      path, entry->line, variable, host);
		return;
	case CONFIG_PROXY_ADDRESS:
		trouble = config_unreachable(&addr.ip);
		if (!trouble)
			add_proxy(proxies, &addr);
		else
			config_remark(origin, "%s:%d: %s: %s %s", path, entry->line, variable,
				      sock_addr_text(&addr, text), trouble);
		return;
	}
}

void config_read_proxies(const char *path, char *text, struct config_proxies *proxies,
			 struct config_origin *origin)
{
	struct env_entry last[ARRAY_SIZE(variables)] = { 0 }, entry;
	struct env_cursor cursor = { .next = text, .line = 1 };

	while (env_next(&cursor, &entry))
		for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
			if (entry.value && strcmp(entry.key, variables[i]) == 0)
				last[i] = entry; /* the last assignment counts */
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		if (last[i].value && *last[i].value)
			read_value(path, variables[i], &last[i], proxies, origin);
}
