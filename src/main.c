/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line and nothing else: which subcommand, with which options. What cannot be meant is
 * refused in one sentence before anything is looked at.
 */
#include <getopt.h>
#include <stdarg.h>
#include <string.h>
#include <sysexits.h>

#include "jobfence/cleanup.h"
#include "jobfence/commands.h"
#include "jobfence/log.h"
#include "jobfence/text.h"

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "docker", required_argument, NULL, 'd' },
	{ "mode", required_argument, NULL, 'm' },
	{ "portable", no_argument, NULL, 'p' },
	{ "json", no_argument, NULL, 'j' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static const struct command {
	const char *name;
	int (*fn)(const struct options *options);
	bool json, render; /* takes --json; takes --mode and --portable */
	int log_level;     /* without --verbose */
} commands[] = {
	{ "run", command_run, false, false, LOG_INFO },
	{ "status", command_status, true, false, LOG_ERR },
	{ "verify", command_verify, false, false, LOG_ERR },
	{ "render", command_render, false, true, LOG_WARNING },
	{ "remove", command_remove, false, false, LOG_WARNING },
};

static const char help[] =
	"Usage: jobfence COMMAND [OPTION...]\n"
	"\n"
	"Keeps dstack jobs in Docker apart from each other, from the host and from dstack's own "
	"APIs.\n"
	"\n"
	"Commands:\n"
	"  run     install the fence and keep it up to date, in the foreground\n"
	"  status  show mode, engine, fence and containers\n"
	"  verify  compare the kernel's ruleset with what it should be\n"
	"          (exit code 0: equal, 1: different in two looks, 2: could not tell)\n"
	"  render  print the ruleset of this configuration as nft text; needs no privileges\n"
	"  remove  take the fence out of the kernel, after jobfence run was stopped\n"
	"\n"
	"Options:\n"
	"  --config FILE   configuration (default: " CONFIG_PATH_DEFAULT ", may be absent)\n"
	"  --docker WHERE  the engine's socket, as in DOCKER_HOST\n"
	"                  (default: " CONFIG_DOCKER_DEFAULT ")\n"
	"  --mode N        render: this mode instead of $" NETWORK_MODE_VARIABLE "\n"
	"  --portable      render: nothing of this host, as in rulesets/\n"
	"  --json          status: for programs\n"
	"  --verbose       log more\n"
	"  --help          this text\n"
	"  --version       the version\n";

static int _printf_(1, 2) refuse(const char *fmt, ...)
{
	char text[256], safe[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_err("%s; see jobfence --help", text_safe(text, safe, sizeof(safe)));
	return EX_USAGE;
}

static int print(const char *text)
{
	return fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Returns an exit code, or -1 to go on. */
static int parse_options(int argc, char **argv, struct options *options)
{
	int id;

	while ((id = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (id == '?')
			return refuse("unknown option %s", argv[optind - 1]);
		if (id == ':')
			return refuse("option %s needs a value", argv[optind - 1]);
		switch (id) {
		case 'c':
			options->config_path = optarg;
			break;
		case 'd':
			options->docker = optarg;
			break;
		case 'm':
			options->mode = optarg;
			break;
		case 'p':
			options->portable = true;
			break;
		case 'j':
			options->json = true;
			break;
		case 'v':
			options->verbose = true;
			break;
		case 'h':
			return print(help);
		case 'V':
			return print("jobfence " JOBFENCE_VERSION "\n");
		}
	}
	return -1;
}

static int run_command(const struct command *command, const struct options *options)
{
	if (options->json && !command->json)
		return refuse("--json is for status, not for %s", command->name);
	if ((options->mode || options->portable) && !command->render)
		return refuse("--mode and --portable are for render, not for %s", command->name);
	log_open(options->verbose ? LOG_DEBUG : command->log_level);
	return command->fn(options);
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	int r;

	log_open(LOG_INFO);
	opterr = 0;
	r = parse_options(argc, argv, &options);
	if (r >= 0)
		return r;
	if (optind == argc)
		return refuse("name a command: run, status, verify, render or remove");
	if (argc - optind > 1)
		return refuse("one command at a time: %s or %s", argv[optind], argv[optind + 1]);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[optind], commands[i].name) == 0)
			return run_command(&commands[i], &options);
	return refuse("unknown command %s", argv[optind]);
}
