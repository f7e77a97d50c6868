/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files config*.c share. */
#pragma once

#include "jobfence/cleanup.h"
#include "jobfence/config.h"

enum config_port {
	CONFIG_PORT_SHIM,
	CONFIG_PORT_DCGM,
	CONFIG_PORT_RUNNER,
	CONFIG_PORT_RUNNER_SSH,
	CONFIG_PORTS_N,
};

enum config_mark {
	CONFIG_MARK_BYSTANDER,
	CONFIG_MARK_CONTAINER,
	CONFIG_MARK_HOST,
	CONFIG_MARKS_N,
};

#define CONFIG_KEYS_MAX 96

enum config_enforce {
	CONFIG_ENFORCE_UNSET,
	CONFIG_ENFORCE,
	CONFIG_AUDIT,
};

/* A configuration while it is being read; becomes the caller's only when all of it is good. */
struct config_draft {
	struct config config;
	uint16_t ports[CONFIG_PORTS_N]; /* 0: not configured; merged into config by config.c */
	uint32_t marks[CONFIG_MARKS_N];
	enum config_enforce enforce[GROUP_MAX + 1]; /* by enum rule_group; the last: default */
	char environment_file[256];
	char shim_env[256];
	char why[192]; /* what is wrong with a value, where that is no fixed sentence */
	bool resolvers_named, proxies_named; /* a line before has the key */
	bool guarded_named;
	const char *argument;       /* of the section of the key that is being set; borrowed */
	int lines[CONFIG_KEYS_MAX]; /* where each key stands in the file; 0: nowhere */
};

/* config.c */

/* The defaults. */
void config_draft_init(struct config_draft *draft);
/* The lists of [ports] against the reserved ports, which are known by then. Returns 0 or -EINVAL. */
int config_check_port_lists(const char *path, struct config_draft *draft, struct diag *diag);

/* config_keys.c */

/* Reads the INI @text of the file @path into @draft. Returns 0, or -EINVAL with @diag. */
int config_read_keys(const char *path, const char *text, struct config_draft *draft,
		     struct diag *diag);

/* The line of a key, 0 where the file does not have it. */
int config_key_line(const struct config_draft *draft, const char *section, const char *name);

/* "unix:///run/docker.sock" → "/run/docker.sock". Returns 0, or -EINVAL with a fixed sentence. */
int config_docker_path(const char *value, char *ret_path, size_t size, const char **ret_why);

/* config_values.c: what several keys have in common. All return 0 or -EINVAL. */

/* Digits of @base only, no sign, no blank, at most @max. */
int config_parse_number(const char *text, unsigned int base, uint32_t max, uint32_t *ret_number);
/* Plain decimal, 1 to 65535. */
int config_parse_port(const char *text, uint16_t *ret_port);
/* "443", "8000-8010"; @text is cut in two. */
int config_parse_ports(char *text, uint16_t *ret_first, uint16_t *ret_last);
/* "tcp", "udp", "sctp" → IPPROTO_… */
int config_parse_l4proto(const char *text, uint8_t *ret_l4proto);

typedef int (*config_item_fn)(struct config_draft *draft, char *item, void *list,
			      const char **ret_why);

/* Hands out what stands between the commas of @value. Nothing at all is an empty list. */
int config_each_item(struct config_draft *draft, const char *value, config_item_fn item, void *list,
		     const char **ret_why);
/* A sentence about a value, for *ret_why. Returns -EINVAL. */
int config_refuse(struct config_draft *draft, const char **ret_why, const char *fmt, ...)
	_printf_(3, 4);
/* Why jobs can never be given @addr as a resolver or proxy ("is …"); NULL: they can. */
const char *config_unreachable(const struct ip_addr *addr);

/*
 * config_egress.c: the values of [egress] and [metadata]. The first argument of those that take a
 * list is the draft. Returns 0, or -EINVAL and perhaps another sentence than the key's.
 */
int config_set_egress(void *field, const char *value, const char **ret_why);
int config_set_egress_host(void *field, const char *value, const char **ret_why);
int config_set_metadata(void *field, const char *value, const char **ret_why);
int config_set_allow(void *draft, const char *value, const char **ret_why);
int config_set_deny(void *draft, const char *value, const char **ret_why);
int config_set_peers(void *draft, const char *value, const char **ret_why);
int config_set_resolvers(void *draft, const char *value, const char **ret_why);
int config_set_proxies(void *draft, const char *value, const char **ret_why);

/* config_overrides.c: the values of [enforce], [job], [confine] and the lists of [ports] */

int config_set_guarded(void *draft, const char *value, const char **ret_why);
int config_set_fenced(void *draft, const char *value, const char **ret_why);
int config_set_job_mode(void *draft, const char *value, const char **ret_why);
int config_set_confine_names(void *draft, const char *value, const char **ret_why);
int config_set_confine_labels(void *draft, const char *value, const char **ret_why);
int config_set_enforce(void *field, const char *value, const char **ret_why);
/* Once all keys are read: which groups are audited. */
void config_merge_enforce(struct config_draft *draft);

/* config_proxies.c */

#define CONFIG_HOST_MAX 256

enum config_proxy {
	CONFIG_PROXY_BAD,
	CONFIG_PROXY_ADDRESS, /* ret_addr is set */
	CONFIG_PROXY_NAME,    /* host_name is set */
};

/* The value of http_proxy and its like: [SCHEME://][USER[:PASSWORD]@]HOST[:PORT][/…] */
enum config_proxy config_parse_proxy(const char *value, struct sock_addr *ret_addr,
				     char host_name[static CONFIG_HOST_MAX]);

/* Adds the proxies of the text of an environment file, which is decoded in place. */
void config_read_proxies(const char *path, char *text, struct config_proxies *proxies,
			 struct config_origin *origin);

_printf_(2, 3) void config_remark(struct config_origin *origin, const char *fmt, ...);

/* config_files.c */

/*
 * The whole of a small text file, to be freed. Never blocks.
 * Returns 0; -EINVAL for what is no text file of reasonable size; -errno; with @diag.
 */
int config_read_file(const char *path, char **ret_text, struct diag *diag);

/* A walk through the text of an environment file, which it decodes in place. */
struct env_cursor {
	char *next;
	int line;
};

struct env_entry {
	const char *key;   /* borrowed from the text */
	const char *value; /* NULL: this line is no assignment, and systemd skips it */
	int line;
};

/* Returns false at the end. */
bool env_next(struct env_cursor *cursor, struct env_entry *ret_entry);
