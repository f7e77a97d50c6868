/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tries the connections of the table one after another, from where each row is, with the fence's
 * counters read before and after. One process tries at a time, each attempt and all of it together end
 * in bounded time, and none is left when this returns.
 */
#include "probe-internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "jobfence/clock.h"

#define DENIED_MS 400 /* a SYN is sent again after a second: it is sent once */
#define ALLOWED_MS 900
#define STEP_MS 2 /* between two looks at the counters */
#define STEP_MAX_MS 20
#define QUIET_MS 100 /* the shortest look at what counters do without an attempt */
#define GRACE_MS 8   /* what was counted may still be answered, by a reset or in spite of it */
#define LATE_MS 2000 /* behind its time: who has not answered then is frozen, or stuck */

#define ALL_PAIRS_MAX 24 /* containers; of more each tries the next ones */
#define RING 8

volatile sig_atomic_t probe_stop;

static const struct skeleton *skeleton_of(const struct probe *probe)
{
	return probe->view->status->expected->skeleton;
}

/* --- one attempt --- */

static int read_counters(struct probe *probe, uint64_t *counters, struct diag *diag)
{
	return nft_read_counters(probe->nft, skeleton_of(probe), counters, diag);
}

/* A counter of frames is for what comes from or goes to a port, and two of them never for TCP: what
 * containers say to each other all the time. */
static bool is_noise(const struct probe *probe, const struct reach_flow *flow,
		     const struct counter_spec *counter)
{
	if (counter->family == FAMILY_INET)
		return false;
	return strcmp(counter->name, "unheard") == 0 || strcmp(counter->name, "job_control") == 0 ||
	       (!probe_is_on_bridge(probe->view, &probe->reach->rows[flow->row]) &&
		!probe_is_on_bridge(probe->view, &probe->reach->columns[flow->column]));
}

static void compare(const struct probe *probe, const struct reach_flow *flow, struct sighting *seen)
{
	const struct skeleton *skeleton = skeleton_of(probe);

	seen->moved = 0;
	seen->other = NULL;
	for (size_t i = 0; i < skeleton->counters_n; i++) {
		const char *name = skeleton->counters[i].name;

		if (probe->after[i] <= probe->before[i])
			continue;
		if ((flow->counter && strcmp(name, flow->counter) == 0) ||
		    (flow->counter && flow->also && strcmp(name, flow->also) == 0))
			seen->moved += probe->after[i] - probe->before[i];
		else if (!is_noise(probe, flow, &skeleton->counters[i]))
			seen->other = name;
	}
}

static int timeout_of(const struct reach_flow *flow)
{
	return flow->state == REACH_ALLOWED ? ALLOWED_MS : DENIED_MS;
}

/* Waits for the answer, and looks at the counters meanwhile: what was stopped without a word need not
 * be waited for. -ETIME: the process does not answer; no reading of the counters ends so. */
static int await(struct probe *probe, struct prober *prober, const struct reach_flow *flow,
		 struct sighting *seen, struct diag *diag)
{
	uint64_t end = clock_usec() + (uint64_t)(timeout_of(flow) + LATE_MS) * 1000;
	bool cancelled = false;
	int wait = STEP_MS, r;

	for (;; wait = wait * 2 > STEP_MAX_MS ? STEP_MAX_MS : wait * 2) {
		r = prober_answer(prober, wait, &seen->attempt, &seen->error);
		if (r > 0)
			return 0;
		if (r < 0 && r != -EINTR)
			return r;
		if (probe_stop)
			return -EINTR;
		if (clock_usec() >= end)
			return -ETIME;
		if (cancelled)
			continue;
		r = read_counters(probe, probe->after, diag);
		if (r < 0)
			return r;
		compare(probe, flow, seen);
		if (seen->moved > 0 && flow->state != REACH_AUDITED) {
			r = prober_answer(prober, GRACE_MS, &seen->attempt, &seen->error);
			if (r > 0)
				return 0;
			r = prober_cancel(prober);
			if (r < 0)
				return r;
			cancelled = true;
		}
	}
}

/* The elements of both ends that are jobs: a packet is counted for one of them. */
static void own_elements(const struct probe *probe, const struct reach_flow *flow,
			 struct own_elements *own)
{
	const struct expected *expected = probe->view->status->expected;
	const struct reach_place *ends[] = { &probe->reach->rows[flow->row],
					     &probe->reach->columns[flow->column] };

	own->n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (ends[i]->kind == REACH_CONTAINER || ends[i]->kind == REACH_RUNNER)
			own_elements_add(expected, ends[i]->container, own);
}

/* A rule that counted while something should have got through may have counted another's packet: whether
 * there are such, a look shows that is as long as the attempt was. */
static int look_for_noise(struct probe *probe, const struct reach_flow *flow, uint64_t usec,
			  struct sighting *seen, struct diag *diag)
{
	struct sighting quiet;
	int r;

	if (flow->state != REACH_ALLOWED || seen->attempt == ATTEMPT_CONNECTED || !seen->other)
		return 0;
	r = read_counters(probe, probe->before, diag);
	if (r < 0)
		return r;
	(void)poll(NULL, 0, usec < QUIET_MS * 1000 ? QUIET_MS : (int)(usec / 1000));
	r = read_counters(probe, probe->after, diag);
	if (r < 0)
		return r;
	compare(probe, flow, &quiet);
	seen->noise = quiet.other;
	return 0;
}

static int try_once(struct probe *probe, struct prober *prober, const struct reach_flow *flow,
		    struct sighting *seen, struct diag *diag)
{
	struct own_elements own;
	uint64_t before = 0, after = 0, begun = clock_usec();
	int r;

	*seen = (struct sighting){ 0 };
	own_elements(probe, flow, &own);
	r = own_elements_read(probe->nft, &own, &before);
	if (r >= 0)
		r = read_counters(probe, probe->before, diag);
	if (r >= 0)
		r = prober_ask(prober, &flow->to, timeout_of(flow));
	if (r >= 0)
		r = await(probe, prober, flow, seen, diag);
	if (r >= 0)
		r = read_counters(probe, probe->after, diag);
	if (r >= 0)
		r = own_elements_read(probe->nft, &own, &after);
	if (r < 0)
		return r;
	compare(probe, flow, seen);
	seen->named = after > before;
	return look_for_noise(probe, flow, clock_usec() - begun, seen, diag);
}

/* --- one flow --- */

static const struct container *container_of(const struct probe *probe,
					    const struct reach_place *place)
{
	return place->kind == REACH_CONTAINER || place->kind == REACH_RUNNER
		       ? &probe->view->status->expected->model.containers[place->container]
		       : NULL;
}

static bool is_gone(const struct probe *probe, const struct reach_flow *flow)
{
	const struct container *from = container_of(probe, &probe->reach->rows[flow->row]);
	const struct container *to = container_of(probe, &probe->reach->columns[flow->column]);

	return (from && !prober_is_there(from)) || (to && !prober_is_there(to));
}

static void set_gone(struct probed *probed)
{
	probed->finding = FINDING_GONE;
	probed->why = "the container ended meanwhile";
}

static int try_flow(struct probe *probe, struct prober *prober, size_t i, struct diag *diag)
{
	const struct reach_flow *flow = &probe->reach->flows[i];
	struct probed *probed = &probe->probed[i];
	int r = 0;

	if (is_gone(probe, flow)) {
		set_gone(probed);
		return 0;
	}
	while (r >= 0 && probed->seen_n < SIGHTINGS_MAX &&
	       probe_again(flow, probed->seen, probed->seen_n)) {
		r = try_once(probe, prober, flow, &probed->seen[probed->seen_n], diag);
		if (r < 0)
			break;
		if (probed->seen[probed->seen_n].attempt == ATTEMPT_NONE) {
			probed->seen_n = 0;
			probed->why = "from there no route leads to it";
			return 0;
		}
		probed->seen_n++;
	}
	if (r < 0)
		return r;
	probed->finding = probe_judge(flow, probed->seen, probed->seen_n, &probed->why);
	if (probed->finding != FINDING_AS_INTENDED && is_gone(probe, flow))
		set_gone(probed);
	return 0;
}

/* --- which ones --- */

static bool is_local(const struct probe *probe, const struct ip_addr *addr)
{
	const struct model *model = &probe->view->status->expected->model;

	for (size_t i = 0; i < model->gateways_n; i++)
		if (ip_addr_cmp(&model->gateways[i], addr) == 0)
			return true;
	return ip_addr_is_loopback(addr);
}

/* Its process stands in the cgroup of the container at @place, or of none. */
static bool is_on_host(const struct probe *probe, const struct reach_place *place)
{
	return !container_of(probe, place) ||
	       probe->view->status->expected->verdicts[place->container].placement ==
		       PLACEMENT_HOST;
}

/* Why a flow is not tried; NULL: it is. */
static const char *not_tried(const struct probe *probe, const struct reach_flow *flow)
{
	const struct reach_place *from = &probe->reach->rows[flow->row];
	const struct reach_place *to = &probe->reach->columns[flow->column];
	const struct container *sender = container_of(probe, from);
	const struct listener *listener = probe_listener(&probe->sockets, &flow->to);

	if (!flow->may_try)
		return "not tried: nobody named it";
	/* what is put into its cgroup is frozen there; in a network namespace alone nothing is */
	if (sender && sender->state == CONTAINER_PAUSED && is_on_host(probe, from))
		return "not tried: it is paused";
	if (to->kind == REACH_METADATA &&
	    (flow->state == REACH_ALLOWED || flow->state == REACH_AUDITED))
		return "not tried: it is open, and somebody's service";
	if (probe->quick && !probe_is_quick(probe->view, flow))
		return "not tried: --quick";
	if (probe_is_spared(probe->view, flow, ALL_PAIRS_MAX, RING))
		return "not tried: others of its kind are";
	if (to->kind == REACH_HOST && !listener)
		return "not tried: nobody listens there";
	if (!flow->by_listener && !flow->listener)
		return NULL;
	if (flow->by_listener && flow->state != REACH_ALLOWED && !listener &&
	    is_local(probe, &flow->to.ip))
		return "not tried: nobody listens there, and who does is what the rule asks";
	if (flow->listener && listener && listener->cgroup_id &&
	    listener->cgroup_id != flow->listener)
		return "not tried: another holds this port";
	return NULL;
}

/* --- a row --- */

static int start(const struct probe *probe, size_t row, struct prober *prober, struct diag *diag)
{
	const struct reach_place *place = &probe->reach->rows[row];
	const struct expected *expected = probe->view->status->expected;

	return prober_start(container_of(probe, place), is_on_host(probe, place),
			    expected->model.has_cgroups ? expected->model.cgroups.root : NULL,
			    prober, diag);
}

static void give_up(struct probed *probed, int error, const struct diag *diag)
{
	if (error == -ESRCH) {
		set_gone(probed);
		return;
	}
	probed->finding = FINDING_UNPROVEN;
	probed->why = "it could not be tried";
	probed->seen_n = 0;
	snprintf(probed->detail, sizeof(probed->detail), "%.120s",
		 diag->text[0]     ? diag->text
		 : error == -ETIME ? "its process does not answer"
				   : strerror(-error));
}

static bool out_of_time(struct probe *probe)
{
	probe->late = probe->late || clock_usec() > probe->deadline;
	return probe->late;
}

static int run_row(struct probe *probe, size_t row, size_t from, size_t end, struct diag *diag)
{
	_cleanup_(prober_stop) struct prober prober = { 0 };
	int r = 0, started = -EAGAIN;

	for (size_t i = from; r >= 0 && i < end && !out_of_time(probe); i++) {
		struct probed *probed = &probe->probed[i];
		struct diag why = { 0 };

		probed->why = not_tried(probe, &probe->reach->flows[i]);
		if (probed->why)
			continue;
		if (probe_stop)
			return -EINTR;
		if (started == -EAGAIN)
			started = start(probe, row, &prober, &why);
		if (started < 0) {
			give_up(probed, started, &why);
			continue;
		}
		r = try_flow(probe, &prober, i, diag);
		/* its process is no more: the container ended and took it along; or it is frozen */
		if (r == -ESRCH || r == -EPIPE || r == -ECONNRESET || r == -ETIME) {
			prober_stop(&prober);
			started = r == -ETIME ? -ETIME : -ESRCH;
			give_up(probed, started, &why);
			r = 0;
		}
	}
	return r;
}

static int prepare(struct probe *probe, struct diag *diag)
{
	size_t counters_n = skeleton_of(probe)->counters_n;
	int r = sockets_list(&probe->sockets);

	if (r < 0)
		return r;
	if (probe->sockets.unknown[LISTENER_TCP])
		return diag_set(diag, -EIO, "%s", probe->sockets.trouble.text);
	probe->probed = calloc(probe->reach->flows_n + 1, sizeof(*probe->probed));
	probe->before = calloc(counters_n, sizeof(*probe->before));
	probe->after = calloc(counters_n, sizeof(*probe->after));
	return probe->probed && probe->before && probe->after ? 0 : -ENOMEM;
}

int probe_run(struct probe *probe, struct diag *diag)
{
	const struct reach *reach = probe->reach;
	int r = prepare(probe, diag);

	for (size_t i = 0, end; r >= 0 && i < reach->flows_n; i = end) {
		for (end = i; end < reach->flows_n && reach->flows[end].row == reach->flows[i].row;
		     end++)
			;
		r = run_row(probe, reach->flows[i].row, i, end, diag);
	}
	if (r == -EINTR) {
		probe->interrupted = true;
		r = 0;
	}
	for (size_t i = 0; r >= 0 && i < reach->flows_n; i++)
		probe->count[probe->probed[i].finding]++;
	return r;
}

void probe_done(struct probe *probe)
{
	sockets_done(&probe->sockets);
	free(probe->probed);
	free(probe->before);
	free(probe->after);
}

int probe_exit_code(const struct probe *probe)
{
	if (probe->count[FINDING_DIFFERENT] > 0)
		return 1;
	return probe->count[FINDING_UNPROVEN] > 0 || probe->interrupted || probe->late ||
			       probe->count[FINDING_AS_INTENDED] == 0
		       ? 2
		       : 0;
}
