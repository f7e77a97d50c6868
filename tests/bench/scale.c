/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scale: what the ruleset itself costs for N containers, without an engine, by jobfence's own
 * code: the full reconcile from nothing, the one that finds nothing to do, and one container more
 * or less. Beside it, in turns, `nft -f` of the same content.
 *
 *   scale [--rounds N] SIZE…        changes the ruleset of the network namespace it runs in
 *   scale --leave SIZE              puts it there and leaves it
 */
#include <fcntl.h>
#include <getopt.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "jobfence/nft.h"
#include "jobfence/reconcile.h"
#include "jobfence/render.h"
#include "model.h"
#include "process.h"

#define TEXT_PATH "/run/jobfence-bench.nft"

static struct nft *nft;
static struct config config;

static double us(int64_t ns)
{
	return (double)ns / 1e3;
}

static void run_nft(const char *arguments)
{
	char line[256];

	snprintf(line, sizeof(line), "nft %s", arguments);
	if (system(line) != 0)
		die("%s failed", line);
}

static void forget_ruleset(void)
{
	run_nft("delete table inet jobfence");
	run_nft("delete table bridge jobfence");
}

static void step(struct reconcile *reconcile, const struct model *model,
		 struct reconcile_result *ret_result)
{
	struct diag diag = { 0 };

	if (reconcile_run(reconcile, &config, model, ret_result, &diag) < 0)
		die("reconcile: %s", diag.text);
}

static void time_policy(const struct bench_model *bench, size_t n)
{
	struct ruleset *ruleset;
	int64_t begun = now_ns();

	if (policy_build(&config, &bench->model, &ruleset, NULL) < 0)
		die("policy_build");
	sample("scale.policy", "jobfence", n, "us", us(now_ns() - begun));
	ruleset_free(ruleset);
}

static void time_jobfence(struct bench_model *bench, size_t n, bool leave)
{
	struct reconcile_result result;
	struct reconcile *reconcile;
	int64_t begun;

	if (reconcile_new(nft, &reconcile) < 0)
		die("out of memory");
	begun = now_ns();
	step(reconcile, &bench->model, &result);
	sample("scale.full", "jobfence", n, "us", us(now_ns() - begun));
	sample("scale.bytes", "jobfence", n, "bytes", (double)result.stats.bytes);
	sample("scale.messages", "jobfence", n, "", (double)result.stats.messages);
	sample("scale.steps", "jobfence", n, "", (double)result.steps);
	for (int i = 0; i < 20 && !leave; i++) {
		bench->model.containers_n = n + 1;
		begun = now_ns();
		step(reconcile, &bench->model, &result);
		sample("scale.one_more", "jobfence", n, "us", us(now_ns() - begun));
		bench->model.containers_n = n;
		begun = now_ns();
		step(reconcile, &bench->model, &result);
		sample("scale.one_less", "jobfence", n, "us", us(now_ns() - begun));
	}
	reconcile_forget(reconcile);
	begun = now_ns();
	step(reconcile, &bench->model, &result);
	sample("scale.look", "jobfence", n, "us", us(now_ns() - begun));
	reconcile_free(reconcile);
}

/* The same as text. nft's own listing of it cannot be read back (1.0.6: "datatype mismatch"). What has a
 * cgroup's path in it is left out: the model's do not exist. */
static void write_text(const struct bench_model *bench)
{
	struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	FILE *out = fopen(TEXT_PATH, "we");
	struct skeleton_params params;
	struct ruleset *ruleset;

	if (!skeleton || !out || policy_build(&config, &bench->model, &ruleset, NULL) < 0)
		die("cannot write " TEXT_PATH);
	policy_skeleton_params(&config, &bench->model, &params);
	skeleton_build(&params, skeleton);
	if (render_ruleset(out, skeleton, ruleset, NULL, NULL) < 0 || fclose(out) != 0)
		die("cannot write " TEXT_PATH);
	ruleset_free(ruleset);
	free(skeleton);
}

static void time_text(size_t n)
{
	static char *const command[] = { "nft", "-f", TEXT_PATH, NULL };
	int64_t begun = now_ns();

	process_wait(process_start(command, NULL));
	sample("scale.full", "nft -f", n, "us", us(now_ns() - begun));
}

/* In a process of its own, so that its peak is its own. */
static void round_of(size_t n, bool leave)
{
	struct bench_model *bench;
	struct rusage usage;

	fflush(stdout);
	if (fork() != 0) {
		int status;

		wait(&status);
		if (status != 0)
			exit(EXIT_FAILURE);
		return;
	}
	bench = bench_model_new(n + 1);
	bench->model.containers_n = n;
	time_policy(bench, n);
	time_jobfence(bench, n, leave);
	if (!leave) {
		getrusage(RUSAGE_SELF, &usage);
		sample("scale.peak", "jobfence", n, "KiB", (double)usage.ru_maxrss);
		write_text(bench);
		forget_ruleset();
		time_text(n);
		forget_ruleset();
	}
	exit(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rounds", required_argument, NULL, 'r' },
		{ "leave", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	struct diag diag = { 0 };
	long rounds = 1;
	bool leave = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0)
		switch (o) {
		case 'r':
			rounds = strtol(optarg, NULL, 10);
			break;
		case 'l':
			leave = true;
			break;
		default:
			exit(64);
		}
	config_defaults(&config);
	if (nft_open(&nft, &diag) < 0)
		die("%s", diag.text);
	for (long round = 0; round < rounds; round++)
		for (int i = optind; i < argc; i++)
			round_of(strtoul(argv[i], NULL, 10), leave);
	nft_close(nft);
	return 0;
}
