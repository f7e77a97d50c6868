/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `jobfence probe`: tries with real packets what `matrix` says, from where each container is, and says
 * what is different. It sends the first packet of a connection and no byte of a request, only to ports
 * that dstack reserves or Docker published, and only to addresses of this host, of its containers and
 * to those that were named.
 */
#include "probe-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/clock.h"
#include "jobfence/log.h"
#include "jobfence/text.h"

#define PROBE_UNKNOWN 2
#define TIME_USEC (120 * 1000000ULL)
#define QUICK_USEC (5 * 1000000ULL) /* it takes a tenth of that */

static void on_signal(int signal)
{
	probe_stop = signal;
}

/* What waits is to return: no SA_RESTART. */
static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &action, NULL);
}

/* "10.0.0.1:22", "[fd00::1]:22": into the place of its family. */
static int parse_target(const char *option, const char *text, struct sock_addr targets[2])
{
	const char *colon = strrchr(text, ':');
	char addr[IP_ADDR_TEXT_MAX], safe[128], *end;
	struct sock_addr target = { 0 };
	size_t len = colon ? (size_t)(colon - text) : 0;
	bool six = len > 2 && text[0] == '[' && text[len - 1] == ']';
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;

	snprintf(addr, sizeof(addr), "%.*s", (int)(six ? len - 2 : len), text + six);
	if (len > 0 && len < sizeof(addr) && colon[1] >= '0' && colon[1] <= '9' && !*end &&
	    port > 0 && port <= UINT16_MAX && ip_addr_parse(addr, &target.ip) == 0 &&
	    (target.ip.family == AF_INET6) == six && !ip_addr_is_multicast(&target.ip) &&
	    !ip_addr_is_any(&target.ip)) {
		target.port = (uint16_t)port;
		targets[six] = target;
		return 0;
	}
	log_err("%s: \"%s\" is not ADDRESS:PORT; an IPv6 address is written in brackets", option,
		text_safe(text, safe, sizeof(safe)));
	return -EINVAL;
}

static int parse_targets(const struct options *options, struct reach_input *input)
{
	for (size_t i = 0; i < options->lan_n; i++)
		if (parse_target("--lan", options->lan[i], input->lan) < 0)
			return -EINVAL;
	for (size_t i = 0; i < options->internet_n; i++)
		if (parse_target("--internet", options->internet[i], input->internet) < 0)
			return -EINVAL;
	return 0;
}

static int print(const struct probe *probe, bool as_json)
{
	return as_json ? command_print_json(probe_json(probe), 1) : probe_print(stdout, probe);
}

/* Returns what to exit with, or -errno with @diag. */
static int try_all(struct observer *observer, const struct options *options,
		   const struct status_look *look, struct reach_input *input, struct diag *diag)
{
	_cleanup_(reach_done) struct reach reach = { 0 };
	_cleanup_(matrix_view_done) struct matrix_view view = { .status = &look->view,
								.reach = &reach };
	_cleanup_(probe_done) struct probe probe = {
		.view = &view,
		.reach = &reach,
		.nft = observer->nft,
		.quick = options->quick,
		.deadline = clock_usec() + (options->quick ? QUICK_USEC : TIME_USEC),
	};
	int r;

	if (look->view.ruleset_trouble)
		return diag_set(diag, -EPERM, "%s", look->view.ruleset_trouble);
	r = reach_build(input, &reach);
	if (r >= 0)
		r = matrix_view_fill(&view, matrix_single_max(&reach, false));
	if (r >= 0)
		r = probe_run(&probe, diag);
	if (r >= 0)
		r = print(&probe, options->json);
	return r < 0 ? r : probe_exit_code(&probe);
}

static int look_and_try(struct observer *observer, const struct options *options,
			const struct config_origin *origin, struct reach_input *input,
			struct diag *diag)
{
	_cleanup_(status_look_done) struct status_look look = { 0 };
	struct reach_input named = *input;
	int r = status_look(observer, origin, &look);

	if (r < 0)
		return r;
	if (look.engine.state != ENGINE_IN_SYNC)
		return diag_set(diag, -EAGAIN, "the engine does not tell who is on this host: %s",
				look.engine.trouble ?: "it has not answered in time");
	matrix_input(&look.view, input);
	memcpy(input->lan, named.lan, sizeof(input->lan));
	memcpy(input->internet, named.internet, sizeof(input->internet));
	return try_all(observer, options, &look, input, diag);
}

int command_probe(const struct options *options)
{
	_cleanup_(observer_done) struct observer observer = { 0 };
	struct reach_input input = { 0 };
	struct config config;
	struct config_origin origin;
	struct diag diag = { 0 };
	int r;

	if (parse_targets(options, &input) < 0)
		return PROBE_UNKNOWN;
	if (geteuid() != 0) {
		log_err("probe has to be root: it stands in the network of each container");
		return PROBE_UNKNOWN;
	}
	r = command_load_config(options, &config, &origin);
	if (r != 0)
		return r == EXIT_CONFIG ? r : PROBE_UNKNOWN;
	catch_signals();
	r = observer_init(&observer, &config, false, &diag);
	if (r >= 0)
		r = look_and_try(&observer, options, &origin, &input, &diag);
	if (r == -ENOTSUP && !diag.text[0])
		return EXIT_CONFIG;
	if (r < 0) {
		log_err("cannot probe: %s", diag.text[0] ? diag.text : strerror(-r));
		return PROBE_UNKNOWN;
	}
	return command_flush(stdout) ? r : PROBE_UNKNOWN;
}
