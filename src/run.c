/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon. Order: configuration → lock → base ruleset in one transaction → readiness → engine.
 * Callbacks only ask for a reconcile, which runs once for a burst of them. It ends on SIGTERM and
 * leaves the ruleset in the kernel: a host whose jobfence stopped stays closed. It never ends
 * because of the engine.
 */
#include <errno.h>
#include <malloc.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "jobfence/attempts.h"
#include "jobfence/clock.h"
#include "jobfence/commands.h"
#include "jobfence/host.h"
#include "jobfence/lock.h"
#include "jobfence/log.h"
#include "jobfence/monitor.h"
#include "jobfence/overrides.h"
#include "jobfence/reconcile.h"
#include "jobfence/sandbox.h"
#include "jobfence/tally.h"
#include "run-internal.h"

#define RETRY_FIRST_USEC (100 * 1000ULL)
#define RETRY_LAST_USEC (10 * 1000 * 1000ULL)
/* Hosts of a fleet that boot together do not look together: 45 to 75 s each time. */
#define PERIOD_MIN_USEC (45 * 1000 * 1000ULL)
#define PERIOD_SPREAD_USEC (30 * 1000 * 1000ULL)
/* Somebody may keep the loop busy; a step waits no longer for its turn. While thousands of containers
 * are told one by one, steps take a fifth of the time, but what closes something waits two seconds at most. */
#define LATE_USEC (200 * 1000ULL)
#define LATE_MAX_USEC (2 * 1000 * 1000ULL)
#define LATE_STEPS 4
#define LONG_USEC 1000
#define LARGE_BYTES (128 * 1024)
#define AUDIT_PERIODS 60 /* an hour */
/* The periodic look is allowed to wait for another wake-up. */
#define PERIOD_ACCURACY_USEC (5 * 1000 * 1000ULL)

struct daemon {
	const struct options *options;
	struct config config;
	struct config_origin origin;
	sd_event *event;
	sd_event_source *reconcile_source; /* defer: one step for everything that happened */
	sd_event_source *late_source;
	sd_event_source *retry_source;
	sd_event_source *period_source;
	struct nft *nft;
	struct host *host;
	struct monitor *monitor;
	struct reconcile *reconcile;
	struct report *report;
	struct attempts *attempts; /* NULL: what is stopped is not told */
	struct watchdog *watchdog;
	struct tally *tally;               /* NULL: no file for it */
	uint32_t generation;               /* of the ruleset, when it was last asked for */
	struct diag refused;               /* why the last reload was; empty: it was not */
	bool bridge_meta, egress;          /* what the kernel has */
	bool engine_known, engine_refused; /* one was in sync since the start; none can be */
	bool unfit;         /* the host lacks what the configuration requires: no restart helps */
	bool requested;     /* a step, now or when it is late */
	uint64_t step_usec; /* what the last step took */
	uint64_t retry_usec;
	unsigned int periods;
	struct says says;
	bool healing;  /* foreign hands were seen: say what it took to mend */
	bool periodic; /* the step is the periodic look: what it finds is a lost event or a bug */
};

/* Thousands of containers are told one by one, and the loop has a rest after each few. */
static bool shall_wait(const struct daemon *d)
{
	struct engine_view engine;

	host_get_engine(d->host, &engine);
	return engine.telling && LATE_STEPS * d->step_usec > LATE_USEC;
}

static void step_soon(struct daemon *d)
{
	(void)sd_event_source_set_enabled(d->reconcile_source, SD_EVENT_ONESHOT);
}

static void request(struct daemon *d)
{
	uint64_t late = LATE_STEPS * d->step_usec;

	if (!d->requested) {
		late = late < LATE_USEC ? LATE_USEC : late > LATE_MAX_USEC ? LATE_MAX_USEC : late;
		(void)sd_event_source_set_time_relative(d->late_source, late);
		(void)sd_event_source_set_enabled(d->late_source, SD_EVENT_ONESHOT);
	}
	d->requested = true;
	if (!shall_wait(d))
		step_soon(d);
}

/* An engine that cannot be fenced is an error of who set this up, and said by the exit code, where
 * it is the first that answers. Later it is a lost engine: the fence of the one before stands. */
static void on_host(struct host *host, void *data)
{
	struct daemon *d = data;
	struct engine_view engine;

	request(d);
	host_get_engine(host, &engine);
	d->engine_known |= engine.state == ENGINE_IN_SYNC;
	if (!engine.refused || d->engine_known)
		return;
	log_event(MESSAGE_CANNOT_START, "the engine at %s is refused: %s", d->config.docker,
		  engine.trouble);
	d->engine_refused = true;
	(void)sd_event_exit(d->event, 0);
}

static void on_foreign(const struct foreign_change *change, void *data)
{
	struct daemon *d = data;
	uint64_t now = 0, late;

	(void)sd_event_now(d->event, CLOCK_MONOTONIC, &now);
	say_foreign(&d->says, change, now);
	tally_add(d->tally, change ? TALLY_FOREIGN : TALLY_LOST_RULESET, 1);
	d->healing = true;
	reconcile_touched(d->reconcile);
	request(d);
	step_soon(d);
	/* sooner than for the rest, and never later for being told again */
	if (sd_event_source_get_time(d->late_source, &late) >= 0 && late > now + LATE_USEC)
		(void)sd_event_source_set_time(d->late_source, now + LATE_USEC);
}

static void retry_later(struct daemon *d)
{
	d->retry_usec = d->retry_usec ? d->retry_usec * 2 : RETRY_FIRST_USEC;
	if (d->retry_usec > RETRY_LAST_USEC)
		d->retry_usec = RETRY_LAST_USEC;
	(void)sd_event_source_set_time_relative(d->retry_source, d->retry_usec);
	(void)sd_event_source_set_enabled(d->retry_source, SD_EVENT_ONESHOT);
}

static int get_model(struct daemon *d, struct model *ret_model, struct diag *diag)
{
	int r = host_get_model(d->host, ret_model);

	if (r < 0)
		return diag_set(diag, r, "no memory for the picture of the host");
	ret_model->bridge_meta = d->bridge_meta;
	ret_model->egress = d->egress;
	ret_model->records = d->attempts != NULL;
	return 0;
}

static void learn(struct daemon *d, const struct model *model, const struct verdict *verdicts)
{
	size_t n;
	const struct job_tag *tags = reconcile_tags(d->reconcile, &n);

	/* while the engine is silent who was there still is */
	if (d->attempts && verdicts && model->in_sync)
		attempts_learn(d->attempts, model, verdicts, tags, n, &d->config.ports);
}

/* Says nothing of a failure: who called knows whether it is tried again. */
static int step_with(struct daemon *d, struct diag *diag)
{
	struct reconcile_result result;
	uint64_t begun = clock_usec();
	struct verdict *verdicts;
	struct model model;
	int r = get_model(d, &model, diag);

	if (r >= 0)
		r = reconcile_run(d->reconcile, &d->config, &model, &result, diag);
	d->step_usec = clock_usec() - begun;
	if (r < 0) {
		tally_step(d->tally, d->nft, d->host, NULL, STEP_EVENT);
		return r;
	}
	log_limit_reset(&d->says.failed);
	tally_step(d->tally, d->nft, d->host, &result,
		   d->healing    ? STEP_HEAL
		   : d->periodic ? STEP_PERIODIC
				 : STEP_EVENT);
	if (result.unsure)
		retry_later(d);
	else
		d->retry_usec = 0;
	say_taken(&result);
	say_result(&d->says, &result,
		   d->healing    ? AFTER_FOREIGN_HANDS
		   : d->periodic ? AFTER_PERIODIC_LOOK
				 : AFTER_EVENT);
	if (d->says.ownership != OWNERSHIP_UNKNOWN)
		say_ownership(&d->says, reconcile_ownership(d->reconcile));
	d->healing = false;
	verdicts = reconcile_take_verdicts(d->reconcile);
	report_changes(d->report, &model, verdicts);
	learn(d, &model, verdicts);
	free(verdicts);
	/* what a long step took is not needed soon, and giving it back takes less */
	if (d->step_usec >= LONG_USEC)
		(void)malloc_trim(0);
	return 0;
}

static int step(struct daemon *d)
{
	struct diag diag = { 0 };
	int r = step_with(d, &diag);

	if (r < 0)
		say_failed(&d->says, r, &diag);
	return r;
}

static void leave(struct daemon *d)
{
	struct diag diag = { 0 };
	struct model model;
	int r = get_model(d, &model, &diag);

	if (r >= 0)
		r = reconcile_leave(d->reconcile, &d->config, &model, &diag);
	if (r < 0)
		log_warn("the claims of containers stay in table bridge: while no jobfence runs, a "
			 "new container with a dead one's address has no network: %s",
			 diag.text[0] ? diag.text : strerror(-r));
}

static int on_reconcile(sd_event_source *source, void *data)
{
	struct daemon *d = data;

	(void)sd_event_source_set_enabled(d->late_source, SD_EVENT_OFF);
	d->requested = false;
	if (step(d) < 0)
		retry_later(d);
	return 0;
}

/* The step has the lowest priority: it is for all that is readable. */
static int on_late(sd_event_source *source, uint64_t usec, void *data)
{
	struct daemon *d = data;

	if (!d->requested)
		return 0;
	(void)sd_event_source_set_enabled(d->reconcile_source, SD_EVENT_OFF);
	return on_reconcile(source, data);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *data)
{
	request(data);
	return 0;
}

static uint64_t period_usec(void)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = (uint32_t)getpid() * 2654435761U;
	return PERIOD_MIN_USEC + random % PERIOD_SPREAD_USEC;
}

/* The net below the events. Whatever is readable was read before this runs, so what it finds is no
 * event that waits; what the engine's fresh list brings comes later, and engine.h tells of it. */
static int on_period(sd_event_source *source, uint64_t usec, void *data)
{
	struct daemon *d = data;

	if (++d->periods % AUDIT_PERIODS == 0)
		say_audit(&d->config);
	reconcile_forget(d->reconcile);
	host_refresh(d->host);
	d->periodic = !d->retry_usec; /* else it is what failed before */
	if (step(d) < 0)
		retry_later(d);
	d->periodic = false;
	(void)sd_event_source_set_time_relative(source, period_usec());
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static void say_mode(const struct daemon *d)
{
	log_notice("mode %d (%s), from %s; ports from %s; on_violation = %s", (int)d->config.mode,
		   network_mode_name(d->config.mode), d->origin.mode, d->origin.ports,
		   d->config.on_violation == ON_VIOLATION_FENCE ? "fence" : "quarantine");
	say_audit(&d->config);
	for (size_t i = 0; i < d->config.overrides_n; i++)
		if (network_mode_strictness(d->config.overrides[i].mode) <
		    network_mode_strictness(d->config.mode))
			log_notice("[job \"%s\"] network_mode = %s is looser than the mirrored "
				   "mode: it has no effect, overrides only tighten",
				   d->config.overrides[i].pattern,
				   network_mode_name(d->config.overrides[i].mode));
	for (size_t i = 0; i < d->origin.remarks_n; i++)
		log_warn("%s", d->origin.remarks[i]);
}

/* What a host is made from: another one is needed when it changes. */
static bool same_sources(const struct config *a, const struct config *b)
{
	return strcmp(a->docker, b->docker) == 0 && a->cgroup_driver == b->cgroup_driver &&
	       a->cgroup_required == b->cgroup_required &&
	       strcmp(a->cgroup_parent, b->cgroup_parent) == 0 &&
	       strcmp(a->engine_cgroup, b->engine_cgroup) == 0;
}

static int make_host(struct daemon *d, struct host **ret_host, struct diag *diag)
{
	struct host_options options = { 0 }; /* what the kernel has: see step() */
	_cleanup_(host_freep) struct host *host = NULL;
	struct engine_view engine;
	int r = host_new(d->event, &d->config, &options, on_host, d, &host, diag);

	if (r < 0)
		return r;
	host_get_engine(host, &engine);
	d->unfit = engine.refused;
	if (d->unfit)
		return diag_set(diag, -ENOTSUP, "the engine at %s is refused: %s", d->config.docker,
				engine.trouble);
	/* half a fence looks like a whole one: only where somebody said that it will do */
	d->unfit = host_cgroup_trouble(host) && d->config.cgroup_required;
	if (d->unfit)
		return diag_set(diag, -EOPNOTSUPP,
				"%s; or set [cgroup] required = no to have jobs on bridges fenced "
				"and jobs on the host's network not",
				host_cgroup_trouble(host));
	if (host_cgroup_trouble(host))
		log_event(MESSAGE_HALF_FENCE,
			  "%s; going on without, as [cgroup] required = no says",
			  host_cgroup_trouble(host));
	*ret_host = take_ptr(host);
	return 0;
}

/* The reader first: rules that nobody could be told by are left out. */
static void open_records(struct daemon *d)
{
	struct diag diag = { 0 };
	int r = 0;

	d->attempts = attempts_free(d->attempts);
	if (!d->config.log_group)
		return;
	if (nft_probe_log(d->nft) == 0)
		r = diag_set(&diag, -EOPNOTSUPP, "this kernel lacks NFLOG (module nfnetlink_log)");
	if (r >= 0)
		r = attempts_new(d->event, d->config.log_group, &d->attempts, &diag);
	if (r < 0)
		log_event(MESSAGE_ATTEMPTS_UNTOLD,
			  "what is stopped is counted and not told one by one: %s",
			  diag.text[0] ? diag.text : strerror(-r));
}

static void refuse_reload(struct daemon *d, const struct diag *diag)
{
	d->refused = *diag;
	tally_add(d->tally, TALLY_RELOADS_REFUSED, 1);
	tally_set(d->tally, TALLY_RELOAD_GOOD, 0);
	log_event(MESSAGE_RELOAD_REFUSED, "reload refused, the configuration of before stays: %s",
		  diag->text);
}

/* The new configuration counts from the next transaction on; nothing is taken out before it. */
static void reload(struct daemon *d)
{
	struct config_sources sources = {
		.path = d->options->config_path,
		.mode_variable = getenv(NETWORK_MODE_VARIABLE),
		.docker_host = getenv("DOCKER_HOST"),
		.docker_option = d->options->docker,
		.reload = true,
		.previous = &d->origin,
	};
	struct config config, before = d->config;
	struct config_origin origin;
	struct diag diag = { 0 };
	struct host *host = NULL;
	int r = 0;

	if (config_load(&sources, &config, &origin, &diag) < 0) {
		refuse_reload(d, &diag);
		return;
	}
	d->config = config;
	if (!same_sources(&config, &before))
		r = make_host(d, &host, &diag);
	/* last: with the old socket the tables' owner goes, and a refused reload changes nothing */
	if (r >= 0 && !config.own_tables && before.own_tables)
		r = nft_reopen(d->nft, &diag);
	if (r < 0) {
		host_free(host);
		d->config = before;
		refuse_reload(d, &diag);
		return;
	}
	if (host) {
		host_free(d->host);
		d->host = host;
	}
	d->origin = origin;
	d->refused = (struct diag){ 0 };
	tally_add(d->tally, TALLY_RELOADS, 1);
	tally_set(d->tally, TALLY_RELOAD_GOOD, 1);
	reconcile_own(d->reconcile, d->config.own_tables);
	reconcile_forget(d->reconcile);
	if (!d->attempts || d->config.log_group != before.log_group)
		open_records(d);
	say_mode(d);
	request(d);
}

/* With what systemctl status shows. */
static void notify_ready(const struct daemon *d)
{
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s%s%s",
			 d->config.audit == GROUPS_ALL ? "AUDIT: nothing is enforced."
			 : d->config.audit             ? "AUDIT: not everything is enforced."
						       : "The fence stands.",
			 d->refused.text[0] ? " Reload refused, the configuration of before stays: "
					    : "",
			 d->refused.text);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	struct daemon *d = data;

	/* the time is for units of Type=notify-reload */
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_usec());
	reload(d);
	/* at once, so that READY means that the new mode counts */
	if (step(d) < 0)
		retry_later(d);
	notify_ready(d);
	return 0;
}

static int add_signals(struct daemon *d)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
	return r;
}

static int add_sources(struct daemon *d)
{
	int r = sd_event_add_defer(d->event, &d->reconcile_source, on_reconcile, d);

	if (r < 0)
		return r;
	(void)sd_event_source_set_description(d->reconcile_source, "reconcile");
	/* behind everything that is readable now: one step for a burst */
	r = sd_event_source_set_priority(d->reconcile_source, SD_EVENT_PRIORITY_IDLE);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->reconcile_source, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(d->event, &d->late_source, CLOCK_MONOTONIC, 0, 0,
					       on_late, d);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->late_source, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(d->event, &d->retry_source, CLOCK_MONOTONIC, 0, 0,
					       on_retry, d);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->retry_source, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(d->event, &d->period_source, CLOCK_MONOTONIC,
					       period_usec(), PERIOD_ACCURACY_USEC, on_period, d);
	if (r >= 0) /* behind all that events asked for */
		r = sd_event_source_set_priority(d->period_source, SD_EVENT_PRIORITY_IDLE + 1);
	return r < 0 ? r : add_signals(d);
}

static int set_up(struct daemon *d, struct diag *diag)
{
	int r = sd_event_default(&d->event);

	if (r >= 0)
		r = add_sources(d);
	if (r < 0)
		return diag_set(diag, r, "cannot set up the event loop: %s", strerror(-r));
	r = nft_open(&d->nft, diag);
	if (r < 0)
		return r;
	r = monitor_new(d->event, on_foreign, d, &d->monitor, diag);
	if (r >= 0)
		r = reconcile_new(d->nft, &d->reconcile);
	if (r >= 0)
		reconcile_own(d->reconcile, d->config.own_tables);
	if (r >= 0)
		r = report_new(&d->report);
	return r < 0 ? r : make_host(d, &d->host, diag);
}

/* Asking costs an aborted transaction, 8 to 40 ms: so the first ruleset goes in before, in the form
 * that every kernel takes. Where the kernel does not answer that form stays: it is the closed one. */
static void learn_features(struct daemon *d)
{
	d->bridge_meta = nft_probe_bridge_meta(d->nft) > 0;
	d->egress = nft_probe_egress(d->nft) > 0;
	say_features(d->bridge_meta, d->egress);
	say_ownership(&d->says, reconcile_ownership(d->reconcile));
	open_records(d);
	if (d->bridge_meta || d->egress || d->attempts)
		request(d);
}

/* Before the engine's first answer is read. */
static void confine(void)
{
	struct sandbox sandbox;
	struct diag diag;

	sandbox_enter(&sandbox, &diag);
	say_sandbox(&sandbox, &diag);
}

/* For the watchdog: nf_tables answers, and all who have to tell of changes still do. */
static int prove(void *data, struct diag *diag)
{
	struct daemon *d = data;
	uint32_t generation = 0;
	int r = nft_generation(d->nft, &generation, diag);

	if (r >= 0 && d->generation) /* what happened until the last time has been told by now */
		r = monitor_prove(d->monitor, d->generation, diag);
	if (r >= 0)
		r = host_prove(d->host, diag);
	d->generation = generation;
	return r;
}

static void daemon_done(struct daemon *d)
{
	watchdog_free(d->watchdog);
	tally_close(d->tally);
	host_free(d->host);
	monitor_free(d->monitor);
	reconcile_free(d->reconcile);
	report_free(d->report);
	attempts_free(d->attempts);
	nft_close(d->nft);
	sd_event_source_disable_unref(d->reconcile_source);
	sd_event_source_disable_unref(d->late_source);
	sd_event_source_disable_unref(d->retry_source);
	sd_event_source_disable_unref(d->period_source);
	sd_event_unref(d->event);
}

/* The first transaction failed, and nobody tries again. Returns the exit code. */
static int say_no_fence(int error, const struct diag *diag)
{
	if (error == -EPERM)
		log_event(MESSAGE_CANNOT_START, "may not write the ruleset: run as root "
						"(CAP_NET_ADMIN)");
	else
		log_event(MESSAGE_CANNOT_START,
			  "cannot start: %s; a fence that stood before still stands",
			  diag->text[0] ? diag->text : strerror(-error));
	/* no restart brings a module that the kernel lacks */
	return error == -EPROTONOSUPPORT ? EXIT_CONFIG : EXIT_FAILURE;
}

int command_run(const struct options *options)
{
	_cleanup_(daemon_done) struct daemon d = { .options = options };
	_cleanup_close_ int lock = -1;
	struct diag diag = { 0 };
	int r = command_load_config(options, &d.config, &d.origin);

	/* glibc's own, but fixed: else the first full look moves it, and what is large stays in the heap */
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	if (r != 0)
		return r;
	lock = lock_take(&diag);
	if (lock < 0) {
		log_event(MESSAGE_CANNOT_START, "%s", diag.text);
		return EXIT_FAILURE;
	}
	if (tally_open(&d.tally, &diag) < 0)
		log_warn("jobfence metrics will not have the daemon's own counters: %s", diag.text);
	r = set_up(&d, &diag);
	if (r < 0) {
		log_event(MESSAGE_CANNOT_START, "cannot start: %s",
			  diag.text[0] ? diag.text : strerror(-r));
		return d.unfit ? EXIT_CONFIG : EXIT_FAILURE;
	}
	say_mode(&d);
	diag = (struct diag){ 0 };
	r = step_with(&d, &diag);
	if (r < 0)
		return say_no_fence(r, &diag);
	log_event(MESSAGE_STARTED, "the fence stands; waiting for the engine at %s",
		  d.config.docker);
	notify_ready(&d);
	learn_features(&d);
	confine();
	r = watchdog_new(d.event, prove, &d, &d.watchdog);
	if (r < 0)
		log_err("no watchdog: %s", strerror(-r));
	r = sd_event_loop(d.event);
	(void)sd_notify(0, "STOPPING=1");
	leave(&d);
	log_event(MESSAGE_STOPPED, "stopping; the ruleset stays in the kernel (jobfence remove "
				   "takes it out)");
	if (d.engine_refused)
		return EXIT_CONFIG;
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
