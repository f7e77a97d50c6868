/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `explain` tells of one container, as plain data, and its two forms. */
#pragma once

#include <jansson.h>

#include "jobfence/reach.h"
#include "status-internal.h"

/* --- explain_find.c: which container is meant; pure ------------------------------------------- */

#define FOUND_MAX 8

struct found {
	size_t match[FOUND_MAX]; /* indices; more than one: ambiguous */
	size_t matches_n;        /* may be more than FOUND_MAX */
	size_t near[FOUND_MAX];  /* where there is no match: names that are much like it */
	size_t near_n;
};

/* By id, name or task id, whole or from the start; what is whole wins. */
void explain_find(const struct container *containers, size_t containers_n, const char *text,
		  struct found *ret_found);

/* Says, as an error, that none or several are called @text, and which may have been meant. */
struct status_view;
void explain_say_unknown(const struct status_view *view, const struct found *found,
			 const char *text);

/* --- explain_rules.c: which rules see its packets; pure --------------------------------------- */

/* A rule that stops packets, where it may be one of this container's. */
struct explained_rule {
	bool sends; /* what it sends; else what is sent to it */
	enum family family;
	const char *chain, *counter; /* the skeleton's */
	const char *why;             /* of the counter: what it counts, in words */
	bool audited;                /* counted and let through */
};

/* The rules of two directions, by counter; each once. Zeroed is empty. */
struct explained_rules {
	struct explained_rule *rule; /* owned */
	size_t n, cap;
};

/*
 * Walks the skeleton with all that is known of the packets of container @i of the model (its ports,
 * addresses and cgroup) and takes every rule that counts and may match one. Returns 0 or -ENOMEM.
 */
int explain_rules(const struct config *config, const struct expected *expected, size_t i,
		  struct explained_rules *ret_rules);
void explained_rules_done(struct explained_rules *rules);
/* The bridge and the port of an endpoint; "" where they are not known. */
void explain_port(const struct expected *expected, const struct endpoint *endpoint,
		  char ret_bridge[static IFNAMSIZ], char ret_port[static IFNAMSIZ]);

/* --- explain.c -------------------------------------------------------------------------------- */

/* An element that names the container. */
struct explained_elem {
	enum set_id set;
	const struct elem *elem; /* as it should be; borrowed */
	bool known, there;       /* known: the kernel was read */
	bool counts;
	bool taken_back; /* a daemon that ended takes such ones back */
	uint64_t packets;
};

/* All but what is marked as owned is borrowed from the view. */
struct explanation {
	const struct status_view *view;
	const struct status_row *row;
	size_t i;                         /* of the model */
	const struct container *owner;    /* whose network it joined; NULL: none, or not known */
	char (*ports)[IFNAMSIZ];          /* owned; per endpoint, "" where not known */
	char cgroup[CGROUP_PATH_MAX * 2]; /* path; "" where not known */
	uint64_t cgroup_id;               /* 0: not known */
	bool cgroup_foreign;              /* not below the engine's parent */
	struct explained_elem *elems;     /* owned */
	size_t elems_n;
	struct explained_rules rules;
	const struct reach *reach; /* borrowed; NULL: not asked */
};

/* @cgroup_path as for elem_text(). Returns 0 or -ENOMEM; *@ret_explanation is to be released. */
int explain_make(const struct status_view *view, size_t i, cgroup_path_fn cgroup_path, void *data,
		 struct explanation *ret_explanation);
void explanation_done(struct explanation *explanation);

/* What the counter of a rule has; false: not read. */
bool explain_counted(const struct explanation *explanation, const struct explained_rule *rule,
		     uint64_t *ret_packets);

/* explain_reach.c: its row and columns of the matrix; an empty array where there is none. */
void explain_print_reach(FILE *out, const struct explanation *explanation);
json_t *explain_reach_json(const struct explanation *explanation);

/* Lines with the marks of term.h, for term_emit(). */
void explain_print(FILE *out, const struct explanation *explanation);
/* NULL: no memory. The caller owns it. */
json_t *explain_json(const struct explanation *explanation);
