/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The common part of status, verify and render: load the configuration, look at the host through
 * the same sources as the daemon, and read the kernel.
 *
 * A command never changes anything it looks at (`remove` does that itself), never talks to a
 * daemon, and never needs one. What it may not see for lack of privileges is a sentence for the
 * operator, not a failure: the rest is still worth printing.
 */
#include "commands-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/log.h"
#include "jobfence/text.h"

int command_load_config(const struct options *options, struct config *ret_config,
			struct config_origin *ret_origin)
{
	const struct config_sources sources = {
		.path = options->config_path,
		.mode_variable = options->mode ?: getenv(NETWORK_MODE_VARIABLE),
		.docker_host = getenv("DOCKER_HOST"),
		.docker_option = options->docker,
	};
	struct diag diag = { 0 };
	int r = config_load(&sources, ret_config, ret_origin, &diag);

	if (r >= 0)
		return 0;
	log_err("%s", diag.text);
	return r == -EINVAL ? EXIT_CONFIG : EXIT_FAILURE;
}

/* What cannot be asked for is taken to be there. */
static void probe(struct observer *observer, struct host_options *options)
{
	int meta = observer->nft ? nft_probe_bridge_meta(observer->nft) : -EPERM;
	int egress = observer->nft ? nft_probe_egress(observer->nft) : -EPERM;
	int records = observer->nft ? nft_probe_log(observer->nft) : -EPERM;

	observer->probed = meta >= 0 && egress >= 0;
	options->bridge_meta = meta != 0;
	options->egress = egress != 0;
	/* … or as the daemon has it: it does without where another program reads the group */
	options->records = records != 0 && (!observer->nft || nft_tells(observer->nft) != 0);
}

int observer_init(struct observer *observer, const struct config *config, bool no_engine,
		  struct diag *diag)
{
	struct host_options options = { .read_only = true, .no_engine = no_engine };
	int r;

	*observer = (struct observer){ .config = config };
	(void)nft_open(&observer->nft, &observer->nft_trouble);
	probe(observer, &options);
	r = sd_event_new(&observer->event);
	if (r < 0)
		return diag_set(diag, r, "cannot make an event loop: %s", strerror(-r));
	r = host_new(observer->event, config, &options, NULL, NULL, &observer->host, diag);
	if (r < 0)
		observer_done(observer);
	return r;
}

void observer_done(struct observer *observer)
{
	host_free(observer->host);
	sd_event_unref(observer->event);
	nft_close(observer->nft);
	*observer = (struct observer){ 0 };
}

int expected_build(const struct config *config, const struct model *model,
		   struct expected *ret_expected)
{
	_cleanup_(expected_done) struct expected expected = { .model = *model };
	struct skeleton_params params;
	int r;

	expected.skeleton = calloc(1, sizeof(*expected.skeleton));
	if (!expected.skeleton)
		return -ENOMEM;
	policy_skeleton_params(config, model, &params);
	skeleton_build(&params, expected.skeleton);
	r = policy_build(config, model, &expected.ruleset, &expected.verdicts);
	if (r < 0)
		return r;
	*ret_expected = expected;
	expected = (struct expected){ 0 };
	return 0;
}

void expected_done(struct expected *expected)
{
	free(expected->skeleton);
	ruleset_free(expected->ruleset);
	free(expected->verdicts);
	*expected = (struct expected){ 0 };
}

int observer_expect(struct observer *observer, struct expected *ret_expected)
{
	struct model model;
	int r = host_get_model(observer->host, &model);

	return r < 0 ? r : expected_build(observer->config, &model, ret_expected);
}

int observer_read(struct observer *observer, const struct skeleton *skeleton,
		  struct live **ret_live, struct diag *diag)
{
	int r;

	if (!observer->nft)
		return diag_set(diag, -ENOTSUP, "%s", observer->nft_trouble.text);
	r = nft_read(observer->nft, skeleton, ret_live, diag);
	if (r == -EPERM)
		return diag_set(diag, r, "reading the ruleset needs root (CAP_NET_ADMIN)");
	return r;
}

bool observer_refused(const struct observer *observer)
{
	struct engine_view engine;
	char path[256];

	host_get_engine(observer->host, &engine);
	if (engine.refused)
		log_err("the engine at %s is refused: %s",
			text_safe(observer->config->docker, path, sizeof(path)), engine.trouble);
	return engine.refused;
}

bool command_flush(FILE *out)
{
	if (fflush(out) == 0 && !ferror(out))
		return true;
	log_err("cannot write the output: %s", strerror(errno));
	return false;
}

int command_look(const struct options *options, const char *what, command_print_fn print)
{
	_cleanup_(observer_done) struct observer observer = { 0 };
	struct config config;
	struct config_origin origin;
	struct diag diag = { 0 };
	int r = command_load_config(options, &config, &origin);

	if (r != 0)
		return r;
	r = observer_init(&observer, &config, false, &diag);
	if (r < 0) {
		log_err("%s", diag.text[0] ? diag.text : strerror(-r));
		return EXIT_FAILURE;
	}
	r = print(&observer, &origin, options);
	if (r == -ENOTSUP)
		return EXIT_CONFIG;
	if (r < 0 && r != -ENOENT && r != -EINVAL)
		log_err("cannot %s: %s", what, strerror(-r));
	return r >= 0 && command_flush(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
