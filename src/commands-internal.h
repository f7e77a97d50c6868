/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands share: one look at the host and one at the kernel. */
#pragma once

#include <jansson.h>

#include "jobfence/commands.h"
#include "jobfence/host.h"
#include "jobfence/nft.h"

/* How long a command waits for the engine's picture to be whole. */
#define COMMAND_WAIT_USEC (15 * 1000000ULL)

/* The sources of a command. Zeroed is empty. */
struct observer {
	const struct config *config; /* borrowed */
	sd_event *event;             /* owned */
	struct host *host;           /* owned */
	struct nft *nft; /* owned; NULL where netlink cannot be had: nft_trouble says why */
	struct diag nft_trouble;
	int owner_possible; /* a table can be owned: 0 not asked yet, 1 yes, -1 no */
	bool probed;        /* whether the kernel has `meta ibrname` was asked, not assumed */
};

/* Returns 0 or -errno with @diag. Without privileges it succeeds, with less. */
int observer_init(struct observer *observer, const struct config *config, bool no_engine,
		  struct diag *diag);
void observer_done(struct observer *observer);

/* What should be in the kernel. Zeroed is empty. */
struct expected {
	struct model model;        /* borrowed from the host until the loop runs */
	struct skeleton *skeleton; /* owned */
	struct ruleset *ruleset;   /* owned */
	struct verdict *verdicts;  /* owned; per container of the model */
};

/* From a model; *@ret_expected must be empty. Returns 0 or -ENOMEM. */
int expected_build(const struct config *config, const struct model *model,
		   struct expected *ret_expected);
void expected_done(struct expected *expected);
/* From the host as it is now. */
int observer_expect(struct observer *observer, struct expected *ret_expected);

/*
 * Whether the engine is one that cannot be fenced: logs why, for whoever returns EXIT_CONFIG then.
 * To be asked when the engine was waited for.
 */
bool observer_refused(const struct observer *observer);

/* What is in the kernel. Returns 0 or -errno; @diag says what is missing (-EPERM: root). */
int observer_read(struct observer *observer, const struct skeleton *skeleton,
		  struct live **ret_live, struct diag *diag);

/* What is not as it should be, as sentences without repetition. Zeroed is empty. */
struct sentences {
	char **text; /* owned */
	size_t n, cap;
};

void sentences_done(struct sentences *sentences);
int sentences_add(struct sentences *sentences, const char *text); /* 0 or -ENOMEM */
/*
 * One sentence per thing that is missing, unexpected or different. @ops are plan_make()'s.
 * Returns 0 or -ENOMEM.
 */
int differences_text(const struct ops *ops, cgroup_path_fn cgroup_path, void *data,
		     struct sentences *ret_sentences);
/* A daemon that ended took its containers' claims back: that they are missing is no difference. */
void differences_forgive_claims(struct ops *ops);
/* Keeps in @sentences what @other has too. */
void sentences_intersect(struct sentences *sentences, const struct sentences *other);

/* The text of rulesets/mode<N>.nft: what @config gives on a host that nothing is known of.
 * Returns 0 or -errno. */
int render_portable(FILE *out, const struct config *config);

/*
 * A command that prints from a look at the host: configuration, sources, @print, and what is said where
 * it fails ("cannot @what: …"). @print returns 0 or -errno, of which -ENOENT and -EINVAL, and -ENOTSUP
 * for an engine that is refused, were said already. Returns the exit code.
 */
typedef int (*command_print_fn)(struct observer *observer, const struct config_origin *origin,
				const struct options *options);
int command_look(const struct options *options, const char *what, command_print_fn print);

/* Prints all that was buffered; false and a logged sentence where that fails. */
bool command_flush(FILE *out);

/* command_output.c: takes @json, which may be NULL, and prints it. Returns 0 or -ENOMEM. */
int command_print_json(json_t *json, size_t indent);
/* Has @write fill a file beside @path, which then takes its place. Returns 0 or -errno. */
typedef void (*command_fill_fn)(FILE *out, const void *data);
int command_replace_file(const char *path, command_fill_fn write, const void *data);
