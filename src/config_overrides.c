/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The values of [enforce]. Nothing but the word itself turns a group to audit: a value that is
 * merely close is refused. Pure.
 */
#include "config-internal.h"

#include <errno.h>
#include <string.h>

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

int config_set_yes(void *field, const char *value, const char **ret_why)
{
	bool *yes = field;

	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return -EINVAL;
	*yes = *value == 'y';
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
