/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line and nothing else: which subcommand, with which options. What cannot be meant is
 * refused in one sentence before anything is looked at.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <string.h>
#include <sysexits.h>

#include "jobfence/cleanup.h"
#include "jobfence/commands.h"
#include "jobfence/log.h"
#include "jobfence/text.h"

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' }, { "docker", required_argument, NULL, 'd' },
	{ "mode", required_argument, NULL, 'm' },   { "portable", no_argument, NULL, 'p' },
	{ "output", required_argument, NULL, 'o' }, { "json", no_argument, NULL, 'j' },
	{ "watch", optional_argument, NULL, 'w' },  { "svg", required_argument, NULL, 's' },
	{ "dot", required_argument, NULL, 'D' },    { "quick", no_argument, NULL, 'q' },
	{ "lan", required_argument, NULL, 'l' },    { "internet", required_argument, NULL, 'i' },
	{ "verbose", no_argument, NULL, 'v' },      { "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },      { "for", required_argument, NULL, 'f' },
	{ "reason", required_argument, NULL, 'r' }, { "list", no_argument, NULL, 't' },
	{ "end", no_argument, NULL, 'e' },          { NULL, 0, NULL, 0 },
};

/* The options that not every command takes. */
enum {
	TAKES_JSON = 1 << 0,
	TAKES_MODE = 1 << 1,
	TAKES_PORTABLE = 1 << 2,
	TAKES_SVG = 1 << 3,
	TAKES_DOT = 1 << 4,
	TAKES_OUTPUT = 1 << 5,
	TAKES_WATCH = 1 << 6,
	TAKES_QUICK = 1 << 7,
	TAKES_LAN = 1 << 8,
	TAKES_INTERNET = 1 << 9,
	TAKES_FOR = 1 << 10,
	TAKES_REASON = 1 << 11,
	TAKES_LIST = 1 << 12, /* then nothing follows the name */
	TAKES_END = 1 << 13,
};

static const struct command {
	const char *name;
	int (*fn)(const struct options *options);
	const char *operand; /* what has to follow the name; NULL: nothing may */
	unsigned takes;
	int log_level; /* without --verbose */
} commands[] = {
	{ "run", command_run, NULL, 0, LOG_INFO },
	{ "status", command_status, NULL, TAKES_JSON | TAKES_WATCH, LOG_ERR },
	{ "explain", command_explain, "a container: its name, id or task id", TAKES_JSON, LOG_ERR },
	{ "matrix", command_matrix, NULL, TAKES_JSON | TAKES_SVG | TAKES_DOT, LOG_ERR },
	{ "probe", command_probe, NULL, TAKES_JSON | TAKES_QUICK | TAKES_LAN | TAKES_INTERNET,
	  LOG_ERR },
	{ "verify", command_verify, NULL, 0, LOG_ERR },
	{ "render", command_render, NULL, TAKES_MODE | TAKES_PORTABLE, LOG_WARNING },
	{ "metrics", command_metrics, NULL, TAKES_OUTPUT, LOG_ERR },
	{ "release", command_release, "a container: its name, id or task id",
	  TAKES_FOR | TAKES_REASON | TAKES_LIST | TAKES_END, LOG_ERR },
	{ "remove", command_remove, NULL, 0, LOG_WARNING },
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
	"  explain CONTAINER  show what is known of one, how it is confined and why, and the "
	"rules\n"
	"          that see its packets; by name, id or task id, or the first part of one\n"
	"  matrix  show who reaches whom, by the rules of this host\n"
	"  probe   try it with real packets, from where each container is\n"
	"          (exit code 0: as it should be, 1: something is different, 2: could not tell)\n"
	"  verify  compare the kernel's ruleset with what it should be\n"
	"          (exit code 0: equal, 1: different in two looks, 2: could not tell)\n"
	"  render  print the ruleset of this configuration as nft text; needs no privileges\n"
	"  metrics print metrics for Prometheus\n"
	"  release CONTAINER  let one job out of the fence, for a time\n"
	"  remove  take the fence out of the kernel, after jobfence run was stopped\n"
	"\n"
	"Options:\n"
	"  --config FILE   configuration (default: " CONFIG_PATH_DEFAULT ", may be absent)\n"
	"  --docker WHERE  the engine's socket, as in DOCKER_HOST\n"
	"                  (default: " CONFIG_DOCKER_DEFAULT ")\n"
	"  --mode N        render: this mode instead of $" NETWORK_MODE_VARIABLE "\n"
	"  --portable      render: nothing of this host, as in rulesets/\n"
	"  --output FILE   metrics: into this file, replaced whole\n"
	"  --for TIME      release: how long (90s, 30m, 2h; 24h at most)\n"
	"  --reason TEXT   release: why, for the log\n"
	"  --list          release: what is released\n"
	"  --end           release: before its time is over\n"
	"  --json          status, explain, matrix, probe: for programs\n"
	"  --watch         status: draw it again every 2 seconds, --watch=N: every N\n"
	"  --svg FILE      matrix: as a picture\n"
	"  --dot FILE      matrix: as a graph for Graphviz; - for standard output\n"
	"  --quick         probe: a few connections of each kind, for monitoring\n"
	"  --lan ADDRESS   probe: try this ADDRESS:PORT beside the host too, one of each family\n"
	"  --internet ADDRESS  probe: the same of the internet; nothing there is tried else\n"
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

/* The commands that take one of the options in @takes, or all: "status, verify or render". */
static const char *command_names(unsigned takes, char *buf, size_t size)
{
	const char *names[ARRAY_SIZE(commands)];
	size_t n = 0, at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!takes || commands[i].takes & takes)
			names[n++] = commands[i].name;
	buf[0] = '\0';
	for (size_t i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s",
				       i == 0       ? ""
				       : i + 1 == n ? " or "
						    : ", ",
				       names[i]);
	return buf;
}

/* "30"; NULL: two. Returns 0 or -EINVAL. */
static int parse_seconds(const char *text, unsigned *ret_seconds)
{
	unsigned long seconds = 2;
	char *end = NULL;

	if (text)
		seconds = strtoul(text, &end, 10);
	if (text && (end == text || *end || *text < '0' || *text > '9'))
		return -EINVAL;
	if (seconds < 1 || seconds > 3600)
		return -EINVAL;
	*ret_seconds = (unsigned)seconds;
	return 0;
}

/* What only probe takes; false: it is something else. */
static bool parse_probe(int id, struct options *options, unsigned *takes)
{
	switch (id) {
	case 'q':
		options->quick = true;
		*takes |= TAKES_QUICK;
		return true;
	case 'l':
		options->lan[options->lan_n++ % 2] = optarg;
		*takes |= TAKES_LAN;
		return true;
	case 'i':
		options->internet[options->internet_n++ % 2] = optarg;
		*takes |= TAKES_INTERNET;
		return true;
	}
	return false;
}

/* The same of release. */
static bool parse_release(int id, struct options *options, unsigned *takes)
{
	switch (id) {
	case 'f':
		options->release_for = optarg;
		*takes |= TAKES_FOR;
		return true;
	case 'r':
		options->reason = optarg;
		*takes |= TAKES_REASON;
		return true;
	case 't':
		options->list = true;
		*takes |= TAKES_LIST;
		return true;
	case 'e':
		options->end = true;
		*takes |= TAKES_END;
		return true;
	}
	return false;
}

/* Returns an exit code, or -1 to go on. @ret_takes: those that were given. */
static int parse_options(int argc, char **argv, struct options *options, unsigned *ret_takes)
{
	int id;

	*ret_takes = 0;
	while ((id = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (id == '?')
			return refuse("unknown option %s", argv[optind - 1]);
		if (id == ':')
			return refuse("option %s needs a value", argv[optind - 1]);
		if (parse_probe(id, options, ret_takes) || parse_release(id, options, ret_takes))
			continue;
		switch (id) {
		case 'c':
			options->config_path = optarg;
			break;
		case 'd':
			options->docker = optarg;
			break;
		case 'm':
			options->mode = optarg;
			*ret_takes |= TAKES_MODE;
			break;
		case 'p':
			options->portable = true;
			*ret_takes |= TAKES_PORTABLE;
			break;
		case 'o':
			options->output = optarg;
			*ret_takes |= TAKES_OUTPUT;
			break;
		case 'j':
			options->json = true;
			*ret_takes |= TAKES_JSON;
			break;
		case 'w':
			if (parse_seconds(optarg, &options->watch_s) < 0)
				return refuse("--watch=%s: from 1 to 3600 seconds", optarg);
			*ret_takes |= TAKES_WATCH;
			break;
		case 's':
			options->svg = optarg;
			*ret_takes |= TAKES_SVG;
			break;
		case 'D':
			options->dot = optarg;
			*ret_takes |= TAKES_DOT;
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

static int refuse_option(const struct command *command, unsigned takes)
{
	static const struct {
		unsigned takes;
		const char *name;
	} names[] = {
		{ TAKES_JSON, "--json" },         { TAKES_MODE, "--mode" },
		{ TAKES_PORTABLE, "--portable" }, { TAKES_SVG, "--svg" },
		{ TAKES_DOT, "--dot" },           { TAKES_OUTPUT, "--output" },
		{ TAKES_WATCH, "--watch" },       { TAKES_QUICK, "--quick" },
		{ TAKES_LAN, "--lan" },           { TAKES_INTERNET, "--internet" },
		{ TAKES_FOR, "--for" },           { TAKES_REASON, "--reason" },
		{ TAKES_LIST, "--list" },         { TAKES_END, "--end" },
	};
	char others[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (takes & names[i].takes)
			return refuse("%s is for %s, not for %s", names[i].name,
				      command_names(names[i].takes, others, sizeof(others)),
				      command->name);
	return -1;
}

/* @args: what followed the command's name. */
static int run_command(const struct command *command, struct options *options, unsigned takes,
		       int args_n, char **args)
{
	bool wants = command->operand && !(takes & TAKES_LIST);
	int r = refuse_option(command, takes & ~command->takes);

	if (r >= 0)
		return r;
	if (wants && args_n == 0)
		return refuse("%s needs %s", command->name, command->operand);
	if (options->lan_n > 2 || options->internet_n > 2)
		return refuse("--lan and --internet take one address of each family");
	if (args_n > (wants ? 1 : 0))
		return refuse("%s takes %s: not %s", command->name,
			      wants ? command->operand : "no argument", args[args_n - 1]);
	options->operand = args_n > 0 ? args[0] : NULL;
	if (options->watch_s && options->json)
		return refuse("--json is printed once: not with --watch");
	log_open(options->verbose ? LOG_DEBUG : command->log_level);
	return command->fn(options);
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	char names[128];
	unsigned takes;
	int r;

	log_open(LOG_INFO);
	opterr = 0;
	r = parse_options(argc, argv, &options, &takes);
	if (r >= 0)
		return r;
	if (optind == argc)
		return refuse("name a command: %s", command_names(0, names, sizeof(names)));
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(argv[optind], commands[i].name) == 0)
			return run_command(&commands[i], &options, takes, argc - optind - 1,
					   argv + optind + 1);
	return refuse("unknown command %s", argv[optind]);
}
