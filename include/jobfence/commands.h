/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The subcommands. Each takes what main.c parsed and returns the exit code of the process. All
 * read the kernel and the engine afresh; none talks to a running daemon.
 */
#pragma once

#include "jobfence/config.h"

struct options {
	const char *config_path; /* --config; NULL: the default */
	const char *docker;      /* --docker; NULL */
	const char *mode;        /* render --mode; NULL */
	const char *operand;     /* what follows the command's name; NULL where it takes nothing */
	const char *svg, *dot;   /* matrix --svg, --dot: a file; "-" for standard output; NULL */
	const char *output;      /* metrics --output; NULL */
	const char *release_for; /* release --for; NULL */
	const char *reason;      /* release --reason; NULL */
	bool list, end;          /* release --list, --end */
	bool portable;           /* render --portable: rulesets/, the same on every host */
	bool json;               /* --json */
	unsigned watch_s;        /* status --watch: every so many seconds; 0: once */
	bool verbose;            /* --verbose */
	const char *lan[2], *internet[2]; /* probe --lan, --internet: "ADDRESS:PORT" */
	size_t lan_n, internet_n;
	bool quick; /* probe --quick */
};

int command_run(const struct options *options);
int command_status(const struct options *options);
int command_explain(const struct options *options);
int command_metrics(const struct options *options);
int command_release(const struct options *options);
int command_verify(const struct options *options);
int command_render(const struct options *options);
int command_remove(const struct options *options);
int command_matrix(const struct options *options);
int command_probe(const struct options *options);

/* Loads the configuration for a command, logs and returns EXIT_CONFIG or EXIT_FAILURE if that
 * fails, 0 if not. */
int command_load_config(const struct options *options, struct config *ret_config,
			struct config_origin *ret_origin);
