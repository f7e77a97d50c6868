/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the values of several keys are made of: numbers, ports, protocols, lists, and the sentences
 * about what is wrong with one. A value that is merely close is refused. Pure.
 */
#include "config-internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>

#define ITEM_BYTES_MAX 128

int config_refuse(struct config_draft *draft, const char **ret_why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(draft->why, sizeof(draft->why), fmt, args);
	va_end(args);
	*ret_why = draft->why;
	return -EINVAL;
}

const char *config_unreachable(const struct ip_addr *addr)
{
	if (ip_addr_is_loopback(addr))
		return "is a loopback address, which a job on a bridge cannot reach and which is "
		       "never opened to one; name the address that it listens on for the bridge";
	if (ip_addr_is_any(addr))
		return "is no address of a host";
	if (ip_addr_is_multicast(addr))
		return "is a multicast address";
	if (ip_addr_is_mapped(addr))
		return "is an IPv4 address written as IPv6; write it as IPv4";
	return NULL;
}

static char *trim(char *text)
{
	static const char blanks[] = " \t\r";
	size_t length;

	text += strspn(text, blanks);
	length = strlen(text);
	while (length > 0 && strchr(blanks, text[length - 1]))
		length--;
	text[length] = '\0';
	return text;
}

int config_each_item(struct config_draft *draft, const char *value, config_item_fn item, void *list,
		     const char **ret_why)
{
	char buffer[ITEM_BYTES_MAX], *text;
	size_t length;
	int r;

	if (!*value)
		return 0;
	for (;; value += length + 1) {
		length = strcspn(value, ",");
		if (length >= sizeof(buffer))
			return config_refuse(draft, ret_why, "an entry is longer than %zu bytes",
					     sizeof(buffer) - 1);
		memcpy(buffer, value, length);
		buffer[length] = '\0';
		text = trim(buffer);
		if (!*text)
			return config_refuse(draft, ret_why,
					     "there is nothing between two commas, or "
					     "behind the last; take the comma out");
		r = item(draft, text, list, ret_why);
		if (r < 0 || !value[length])
			return r;
	}
}

int config_parse_number(const char *text, unsigned int base, uint32_t max, uint32_t *ret_number)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t number = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		char lower = *text >= 'A' && *text <= 'F' ? (char)(*text + ('a' - 'A')) : *text;
		const char *digit = strchr(digits, lower);

		if (!digit || (unsigned int)(digit - digits) >= base)
			return -EINVAL;
		number = number * base + (unsigned int)(digit - digits);
		if (number > max)
			return -EINVAL;
	}
	*ret_number = (uint32_t)number;
	return 0;
}

int config_parse_port(const char *text, uint16_t *ret_port)
{
	uint32_t port;

	/* The shim would take a leading zero for octal. */
	if (*text == '0' || config_parse_number(text, 10, UINT16_MAX, &port) < 0)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

int config_parse_l4proto(const char *text, uint8_t *ret_l4proto)
{
	if (strcmp(text, "tcp") == 0)
		*ret_l4proto = IPPROTO_TCP;
	else if (strcmp(text, "udp") == 0)
		*ret_l4proto = IPPROTO_UDP;
	else if (strcmp(text, "sctp") == 0)
		*ret_l4proto = IPPROTO_SCTP;
	else
		return -EINVAL;
	return 0;
}

int config_parse_ports(char *text, uint16_t *ret_first, uint16_t *ret_last)
{
	char *dash = strchr(text, '-');
	uint16_t first, last;

	if (dash)
		*dash = '\0';
	if (config_parse_port(text, &first) < 0)
		return -EINVAL;
	last = first;
	if (dash && config_parse_port(dash + 1, &last) < 0)
		return -EINVAL;
	if (last < first)
		return -EINVAL;
	*ret_first = first;
	*ret_last = last;
	return 0;
}
