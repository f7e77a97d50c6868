/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads what Docker reads to find the resolvers of its containers: resolv.conf as its resolvconf
 * package does (first word "nameserver", second an address, the rest of the line is nothing),
 * "dns" of daemon.json, --dns of dockerd's command line. An address that Docker would not pass on
 * opens nothing here; where the two could differ, less is opened. Pure: no I/O, no log.
 */
#include "jobfence/resolv.h"

#include <errno.h>
#include <string.h>

#include "docker_json-internal.h"
#include "jobfence/cleanup.h"

#define WORD_MAX 64

void resolvers_add(struct resolvers *resolvers, const struct ip_addr *addr)
{
	if (!ip_addr_is_set(addr) || ip_addr_is_loopback(addr) || ip_addr_is_any(addr) ||
	    ip_addr_is_multicast(addr) || ip_addr_is_mapped(addr))
		return;
	for (size_t i = 0; i < resolvers->n; i++)
		if (ip_addr_cmp(&resolvers->addr[i], addr) == 0)
			return;
	if (resolvers->n < RESOLVERS_MAX)
		resolvers->addr[resolvers->n++] = *addr;
}

/* The next word of the line at *@text, cut to WORD_MAX - 1 bytes: no address is as long. */
static size_t next_word(const char **text, char word[static WORD_MAX])
{
	static const char blanks[] = " \t\r\v\f", ends[] = " \t\r\v\f\n";
	size_t length;

	*text += strspn(*text, blanks);
	length = strcspn(*text, ends);
	snprintf(word, WORD_MAX, "%.*s", (int)(length < WORD_MAX ? length : WORD_MAX - 1), *text);
	*text += length;
	return length;
}

bool resolv_conf_read(const char *text, struct resolvers *resolvers)
{
	static const struct ip_addr stub = { AF_INET, { 127, 0, 0, 53 } };
	size_t n = 0, stubs = 0;

	for (; *text; text += *text == '\n') {
		char word[WORD_MAX];
		struct ip_addr addr;

		next_word(&text, word);
		if (strcmp(word, "nameserver") == 0 && next_word(&text, word) > 0) {
			char *zone = strchr(word, '%');
			bool is_addr;

			if (zone)
				*zone = '\0';
			is_addr = ip_addr_parse(word, &addr) == 0;
			n += is_addr;
			stubs += is_addr && ip_addr_cmp(&addr, &stub) == 0;
			if (is_addr && !zone)
				resolvers_add(resolvers, &addr);
		}
		text += strcspn(text, "\n");
	}
	return n == 1 && stubs == 1;
}

int resolv_daemon_json(const char *text, size_t len, struct resolvers *resolvers, bool *ret_named,
		       struct diag *diag)
{
	_cleanup_(json_decrefp) json_t *root = NULL;
	const json_t *item;
	json_t *dns = NULL;
	const struct json_field field = ARRAY_FIELD("dns", OPTIONAL, &dns);
	size_t i;
	int r = docker_json_load(text, len, JSON_OBJECT, "daemon.json", &root, diag);

	if (r == 0)
		r = docker_json_read(root, "daemon.json", &field, 1, diag);
	if (r < 0)
		return r;
	json_array_foreach(dns, i, item)
	{
		struct ip_addr addr;

		if (ip_addr_parse(json_string_value(item), &addr) == 0)
			resolvers_add(resolvers, &addr);
	}
	*ret_named = json_array_size(dns) > 0;
	return 0;
}

/* The next string of @args, NULL at the end or where it is cut off. */
static const char *next_arg(const char *args, size_t len, size_t *at)
{
	const char *arg = args + *at;
	size_t length = *at < len ? strnlen(arg, len - *at) : 0;

	if (*at >= len || length == len - *at)
		return NULL;
	*at += length + 1;
	return arg;
}

/* The value of option @name, which stands behind '=' or is the next string; NULL: another option. */
static const char *option_value(const char *arg, const char *name, const char *args, size_t len,
				size_t *at)
{
	size_t length = strlen(name);

	if (strncmp(arg, name, length) != 0)
		return NULL;
	if (arg[length] == '=')
		return arg + length + 1;
	return arg[length] == '\0' ? next_arg(args, len, at) : NULL;
}

void resolv_dockerd_args(const char *args, size_t len, struct dockerd_args *ret_args)
{
	struct dockerd_args found = { 0 };
	size_t at = 0;
	const char *arg = next_arg(args, len, &at), *value, *slash;

	slash = arg ? strrchr(arg, '/') : NULL;
	found.is_dockerd = arg && strcmp(slash ? slash + 1 : arg, "dockerd") == 0;
	while (found.is_dockerd && (arg = next_arg(args, len, &at))) {
		struct ip_addr addr;

		value = option_value(arg, "--dns", args, len, &at);
		if (value) {
			found.dns_named = true;
			if (ip_addr_parse(value, &addr) == 0)
				resolvers_add(&found.dns, &addr);
			continue;
		}
		value = option_value(arg, "--config-file", args, len, &at);
		if (value && value[0] == '/' && strlen(value) < sizeof(found.config_file))
			strcpy(found.config_file, value);
	}
	*ret_args = found;
}
