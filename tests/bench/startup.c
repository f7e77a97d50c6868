/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * startup: from exec to the committed base ruleset, heard from outside, in turns: jobfence, and
 * `nft -f` of the same rules. Wants a network namespace without them.
 *
 *   startup COUNT FILE -- COMMAND…
 */
#include <unistd.h>

#include "bench.h"
#include "process.h"

#define TIMEOUT_NS 10000000000LL

static struct mnl_socket *commits;

static void time_start(const char *variant, char *const command[], bool ends)
{
	int64_t begun = now_ns();
	pid_t pid = process_start(command, NULL);

	while (!commits_heard(commits))
		if (now_ns() - begun > TIMEOUT_NS)
			die("%s commits nothing", variant);
	sample("startup", variant, 0, "us", (double)(now_ns() - begun) / 1e3);
	if (ends)
		process_wait(pid);
	else
		process_end(pid);
	if (system("nft delete table inet jobfence; nft delete table bridge jobfence") != 0)
		die("the tables cannot be deleted");
	while (commits_heard(commits))
		;
}

int main(int argc, char **argv)
{
	char *nft[] = { "nft", "-f", argc > 2 ? argv[2] : NULL, NULL };

	if (argc < 5 || strcmp(argv[3], "--") != 0)
		die("usage: startup COUNT FILE -- COMMAND…");
	commits = commits_open();
	for (unsigned long n = strtoul(argv[1], NULL, 10); n > 0; n--) {
		time_start("jobfence", argv + 4, false);
		time_start("nft -f", nft, true);
	}
	return 0;
}
