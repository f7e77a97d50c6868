/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `jobfence render`: the ruleset that this configuration gives on this host, as nft text. It needs
 * no privileges and no engine, so it shows no containers; the same host and configuration always
 * give the same text. With --portable nothing of the host is in it either: that is what rulesets/
 * holds.
 */
#include "commands-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/log.h"
#include "jobfence/render.h"

#define PORTABLE_PARENT "docker"
#define PORTABLE_PARENT_ID 1

static const char *portable_path(uint64_t id, void *data)
{
	return id == PORTABLE_PARENT_ID ? PORTABLE_PARENT : NULL;
}

/* A host with Docker's defaults that has told nothing yet. */
static void portable_model(struct model *model)
{
	*model = (struct model){
		.has_cgroups = true,
		.cgroups = {
			.root = "/sys/fs/cgroup",
			.driver = CGROUP_DRIVER_CGROUPFS,
			.parent = PORTABLE_PARENT,
			.parent_id = PORTABLE_PARENT_ID,
			.parent_level = 1,
		},
		.engine_level = 2,
		.bridge_meta = true,
		.egress = true,
		.records = true,
	};
}

int render_portable(FILE *out, const struct config *config)
{
	_cleanup_(expected_done) struct expected expected = { 0 };
	struct model model;
	int r;

	portable_model(&model);
	r = expected_build(config, &model, &expected);
	if (r < 0)
		return r;
	fprintf(out,
		"# The ruleset of jobfence in mode %d (%s), for reading and auditing.\n"
		"# Made by: jobfence render --portable --mode %d\n"
		"# It is the fence before any container is known, with Docker's and dstack's\n"
		"# defaults; jobfence adds elements for containers, and never a rule. On a host\n"
		"# with both cgroup versions (hybrid) nft wants \"unified/docker\" where "
		"\"docker\"\n"
		"# is written here.\n\n",
		(int)config->mode, network_mode_name(config->mode), (int)config->mode);
	return render_ruleset(out, expected.skeleton, expected.ruleset, portable_path, NULL);
}

static int render_host(FILE *out, struct observer *observer)
{
	_cleanup_(expected_done) struct expected expected = { 0 };
	const struct config *config = observer->config;
	const char *trouble = host_cgroup_trouble(observer->host);
	char groups[128];
	int r = observer_expect(observer, &expected);

	if (r < 0)
		return r;
	fprintf(out, "# jobfence " JOBFENCE_VERSION ", mode %d (%s)\n", (int)config->mode,
		network_mode_name(config->mode));
	if (config->audit)
		fprintf(out, "# AUDIT: not enforced: %s\n",
			rule_groups_text(config->audit, groups, sizeof(groups)));
	if (!observer->probed)
		fprintf(out, "# Without root the kernel was not asked whether it has meta ibrname "
			     "and netdev\n# egress: it is taken to have them.\n");
	if (trouble)
		fprintf(out, "# %s\n", trouble);
	fprintf(out, "\n");
	return render_ruleset(out, expected.skeleton, expected.ruleset, host_cgroup_path,
			      observer->host);
}

static int render_defaults(FILE *out, enum network_mode mode)
{
	struct config config;

	config_defaults(&config);
	config.mode = mode;
	return render_portable(out, &config);
}

/* Also where the environment's mode is refused: it is not what was asked for. */
static int check_mode(const char *text)
{
	enum network_mode mode;

	if (!text || network_mode_parse(text, &mode, NULL) == 0)
		return 0;
	log_err("--mode %s is none of 1 (%s), 2 (%s) and 3 (%s)", text,
		network_mode_name(NETWORK_MODE_HOST_FOR_MULTINODE_ONLY),
		network_mode_name(NETWORK_MODE_HOST_WHEN_POSSIBLE),
		network_mode_name(NETWORK_MODE_FORCED_BRIDGE));
	return EXIT_CONFIG;
}

int command_render(const struct options *options)
{
	_cleanup_(observer_done) struct observer observer = { 0 };
	struct config config;
	struct config_origin origin;
	struct diag diag = { 0 };
	int r = check_mode(options->mode);

	if (r == 0)
		r = command_load_config(options, &config, &origin);
	if (r != 0)
		return r;
	if (options->portable) {
		r = render_defaults(stdout, config.mode);
	} else {
		r = observer_init(&observer, &config, true, &diag);
		if (r >= 0)
			r = render_host(stdout, &observer);
	}
	if (r < 0) {
		log_err("cannot render the ruleset: %s", diag.text[0] ? diag.text : strerror(-r));
		return EXIT_FAILURE;
	}
	return command_flush(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
