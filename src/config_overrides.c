/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The values of [enforce], [job] and [confine], and the lists of [ports]. Nothing but the word itself
 * turns a group to audit, and no pattern is cut: a value that is merely close is refused. Pure.
 */
#include "config-internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "jobfence/text.h"

int config_set_enforce(void *field, const char *value, const char **ret_why)
{
	enum config_enforce *enforce = field;

	if (strcmp(value, "enforce") == 0)
		*enforce = CONFIG_ENFORCE;
	else if (strcmp(value, "audit") == 0)
		*enforce = CONFIG_AUDIT;
	else
		return -EINVAL;
	return 0;
}

void config_merge_enforce(struct config_draft *draft)
{
	bool by_default = draft->enforce[GROUP_MAX] == CONFIG_AUDIT;

	draft->config.audit = 0;
	for (size_t group = 0; group < GROUP_MAX; group++)
		if (draft->enforce[group] == CONFIG_AUDIT ||
		    (by_default && draft->enforce[group] == CONFIG_ENFORCE_UNSET))
			draft->config.audit |= GROUP_BIT(group);
}

/* ---- ports ---- */

static size_t count_ports(const struct port_ranges *ranges)
{
	size_t n = 0;

	for (size_t i = 0; i < ranges->n; i++)
		n += 1u + ranges->range[i].last - ranges->range[i].first;
	return n;
}

static int add_ports(struct config_draft *draft, char *item, void *list, const char **ret_why)
{
	struct port_ranges *ranges = list;
	struct port_range range;
	char shown[64], *rest, *l4proto, *ports;

	text_safe(item, shown, sizeof(shown));
	l4proto = strtok_r(item, " \t", &rest);
	ports = strtok_r(NULL, " \t", &rest);
	if (!l4proto || !ports || strtok_r(NULL, " \t", &rest) ||
	    config_parse_l4proto(l4proto, &range.l4proto) < 0 ||
	    config_parse_ports(ports, &range.first, &range.last) < 0)
		return config_refuse(draft, ret_why,
				     "\"%s\" is no port; write the protocol (tcp, udp or sctp) and "
				     "a port from 1 to 65535 or a range of them, such as tcp 22 or "
				     "udp 6000-6010",
				     shown);
	if (ranges->n == CONFIG_PORT_RANGES_MAX)
		return config_refuse(draft, ret_why, "at most %d entries can be named",
				     CONFIG_PORT_RANGES_MAX);
	ranges->range[ranges->n++] = range;
	if (count_ports(ranges) > CONFIG_PORTS_MAX)
		return config_refuse(draft, ret_why,
				     "with \"%s\" these are more than %d ports; name fewer", shown,
				     CONFIG_PORTS_MAX);
	return 0;
}

int config_set_guarded(void *data, const char *value, const char **ret_why)
{
	struct config_draft *draft = data;

	if (!draft->guarded_named) /* the default goes */
		draft->config.guarded.n = 0;
	draft->guarded_named = true;
	if (strcmp(value, "none") == 0 && draft->config.guarded.n == 0)
		return 0;
	return config_each_item(draft, value, add_ports, &draft->config.guarded, ret_why);
}

int config_set_fenced(void *data, const char *value, const char **ret_why)
{
	struct config_draft *draft = data;

	if (strcmp(value, "none") == 0 && draft->config.fenced.n == 0)
		return 0;
	return config_each_item(draft, value, add_ports, &draft->config.fenced, ret_why);
}

/* ---- names and labels ---- */

static int parse_pattern(struct config_draft *draft, const char *text,
			 char ret_pattern[static CONFIG_PATTERN_MAX + 1], const char **ret_why)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-*?";
	size_t length = strlen(text);
	char shown[64];

	if (length == 0 || length > CONFIG_PATTERN_MAX || strspn(text, allowed) < length)
		return config_refuse(draft, ret_why,
				     "\"%s\" is no pattern for names: 1 to %d of A-Z a-z 0-9 . _ - "
				     "and * (any run of characters) and ? (any one)",
				     text_safe(text, shown, sizeof(shown)), CONFIG_PATTERN_MAX);
	memcpy(ret_pattern, text, length + 1);
	return 0;
}

static int parse_mode(const char *value, enum network_mode *ret_mode)
{
	static const enum network_mode modes[] = {
		NETWORK_MODE_HOST_FOR_MULTINODE_ONLY,
		NETWORK_MODE_HOST_WHEN_POSSIBLE,
		NETWORK_MODE_FORCED_BRIDGE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		char number[4];

		snprintf(number, sizeof(number), "%d", (int)modes[i]);
		if (strcmp(value, number) == 0 || strcmp(value, network_mode_name(modes[i])) == 0) {
			*ret_mode = modes[i];
			return 0;
		}
	}
	return -EINVAL;
}

int config_set_job_mode(void *data, const char *value, const char **ret_why)
{
	struct config_draft *draft = data;
	struct config *config = &draft->config;
	struct config_override override = { 0 };
	char shown[64];

	if (parse_pattern(draft, draft->argument, override.pattern, ret_why) < 0)
		return -EINVAL;
	if (parse_mode(value, &override.mode) < 0)
		return config_refuse(draft, ret_why,
				     "\"%s\" is no mode; it must be 1 (HOST_FOR_MULTINODE_ONLY), 2 "
				     "(HOST_WHEN_POSSIBLE) or 3 (FORCED_BRIDGE), by number or name",
				     text_safe(value, shown, sizeof(shown)));
	for (size_t i = 0; i < config->overrides_n; i++)
		if (strcmp(config->overrides[i].pattern, override.pattern) == 0)
			return config_refuse(draft, ret_why,
					     "there is another section for \"%s\" above; keep one "
					     "of them",
					     override.pattern);
	if (config->overrides_n == CONFIG_OVERRIDES_MAX)
		return config_refuse(draft, ret_why, "at most %d patterns can have a section",
				     CONFIG_OVERRIDES_MAX);
	config->overrides[config->overrides_n++] = override;
	return 0;
}

static int add_name(struct config_draft *draft, char *item, void *list, const char **ret_why)
{
	struct config *config = list;

	if (config->confine_names_n == CONFIG_OVERRIDES_MAX)
		return config_refuse(draft, ret_why, "at most %d names can be given",
				     CONFIG_OVERRIDES_MAX);
	if (parse_pattern(draft, item, config->confine_names[config->confine_names_n], ret_why) < 0)
		return -EINVAL;
	config->confine_names_n++;
	return 0;
}

int config_set_confine_names(void *data, const char *value, const char **ret_why)
{
	struct config_draft *draft = data;

	return config_each_item(draft, value, add_name, &draft->config, ret_why);
}

static int add_label(struct config_draft *draft, char *item, void *list, const char **ret_why)
{
	struct config *config = list;
	size_t length = strlen(item);
	char shown[64];

	if (*item == '=' || !strchr(item, '=') || length > CONFIG_LABEL_MAX)
		return config_refuse(draft, ret_why,
				     "\"%s\" is no label; write key=value, at most %d bytes",
				     text_safe(item, shown, sizeof(shown)), CONFIG_LABEL_MAX);
	if (config->confine_labels_n == CONFIG_OVERRIDES_MAX)
		return config_refuse(draft, ret_why, "at most %d labels can be given",
				     CONFIG_OVERRIDES_MAX);
	memcpy(config->confine_labels[config->confine_labels_n++], item, length + 1);
	return 0;
}

int config_set_confine_labels(void *data, const char *value, const char **ret_why)
{
	struct config_draft *draft = data;

	return config_each_item(draft, value, add_label, &draft->config, ret_why);
}
