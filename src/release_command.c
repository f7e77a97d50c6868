/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `jobfence release`: writes, lists and ends releases. It opens nothing itself: the tables are the
 * daemon's, which sees the file and does. What cannot be released (no job, not running, not alone in
 * its network) is refused before anything is written.
 */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "explain-internal.h"
#include "jobfence/clock.h"
#include "jobfence/lock.h"
#include "jobfence/log.h"
#include "jobfence/release.h"
#include "jobfence/text.h"

#define NAME_SHOWN 80
#define WAIT_STEPS 20
#define WAIT_NS (100 * 1000 * 1000)

static const char *name_of(const struct container *c, char safe[static NAME_SHOWN])
{
	return text_safe(c->name && c->name[0] ? c->name : c->id, safe, NAME_SHOWN);
}

static const char *wall_text(int64_t seconds, char buffer[static 32])
{
	time_t when = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&when, &tm) || strftime(buffer, 32, "%F %T UTC", &tm) == 0)
		snprintf(buffer, 32, "?");
	return buffer;
}

static void fill_who(char *who, size_t size)
{
	const char *sudo = getenv("SUDO_USER");
	const struct passwd *user = sudo && *sudo ? NULL : getpwuid(getuid());

	text_safe(sudo && *sudo ? sudo : user ? user->pw_name : "root", who, size);
}

/* What the policy would say: whether it opens, and if not why. */
static int check(const struct status_look *look, const struct observer *observer, size_t i,
		 const struct release *release)
{
	_cleanup_(expected_done) struct expected expected = { 0 };
	struct model model = look->expected.model;
	const struct container *c = &model.containers[i];
	char name[NAME_SHOWN];
	int r;

	model.releases = release;
	model.releases_n = 1;
	r = expected_build(observer->config, &model, &expected);
	if (r < 0)
		return r;
	name_of(c, name);
	if (!container_is_live(c))
		log_err("%s does not run (%s): only a running job can be released", name,
			container_state_name(c->state));
	else if (expected.verdicts[i].role != ROLE_JOB)
		log_err("%s is no job: it keeps all that it had, and there is nothing to release",
			name);
	else if (look->view.daemon_pid == 0)
		log_err("no daemon runs that could release %s: systemctl start jobfence first",
			name);
	else if (!expected.verdicts[i].released)
		log_err("%s cannot be released by itself: %s", name, expected.verdicts[i].why);
	else
		return 0;
	return -ENOENT;
}

static bool ends_at(uint64_t until, uint64_t wanted)
{
	if (!wanted || !until)
		return wanted == until;
	return until + ELEM_ENDS_SLACK_USEC > wanted && until < wanted + ELEM_ENDS_SLACK_USEC;
}

/* Until the kernel lets the job of @row out for just as long as is @wanted (0: no longer), two seconds at
 * most. Returns 1, 0 (it does not; *@ret_until is what it does), or -errno, which was said. */
static int wait_until(struct observer *observer, struct status_look *look,
		      const struct status_row *row, uint64_t wanted, uint64_t *ret_until)
{
	for (int step = 0; step <= WAIT_STEPS; step++) {
		_cleanup_(live_freep) struct live *live = NULL;
		char name[NAME_SHOWN];
		int r;

		if (step > 0)
			nanosleep(&(struct timespec){ .tv_nsec = WAIT_NS }, NULL);
		r = observer_read(observer, look->expected.skeleton, &live, &look->trouble);
		if (r < 0) {
			log_err("cannot tell whether %s is released in the kernel: %s",
				name_of(row->container, name),
				look->trouble.text[0] ? look->trouble.text : strerror(-r));
			return -ENOENT;
		}
		*ret_until = status_released_until(live->elements, row);
		if (ends_at(*ret_until, wanted))
			return 1;
	}
	return 0;
}

static struct status_row row_of(const struct status_look *look, size_t i)
{
	return (struct status_row){ .container = &look->expected.model.containers[i],
				    .verdict = &look->expected.verdicts[i] };
}

static int start(struct status_look *look, struct observer *observer, size_t i,
		 const struct options *options)
{
	const struct status_row row = row_of(look, i);
	const struct container *c = row.container;
	struct release release = { 0 };
	struct diag diag = { 0 };
	uint64_t usec = 0, until = 0;
	char name[NAME_SHOWN], wall[32], rest[32];
	int r = release_parse_time(options->release_for, &usec, &diag);

	if (r < 0) {
		log_err("%s", diag.text);
		return -EINVAL;
	}
	text_safe(c->id, release.id, sizeof(release.id));
	release.ends = clock_boot_usec() + usec;
	release.ends_wall = (int64_t)time(NULL) + (int64_t)(usec / 1000000);
	fill_who(release.who, sizeof(release.who));
	text_safe(options->reason, release.reason, sizeof(release.reason));
	r = check(look, observer, i, &release);
	if (r < 0)
		return r;
	releases_sweep();
	r = releases_write(&release, &diag);
	if (r < 0) {
		log_err("%s", diag.text);
		return -ENOENT;
	}
	r = wait_until(observer, look, &row, release.ends, &until);
	if (r < 0)
		return r;
	name_of(c, name);
	if (r == 0) {
		log_err("%s is to be released, but the daemon has not done so within 2 seconds: "
			"see jobfence status; to take it back: jobfence release --end %s",
			name, name);
		return -ENOENT;
	}
	printf("%s is RELEASED from the fence for %s, until %s; to end it before: jobfence release "
	       "--end %s\n",
	       name, release_rest_text(usec, rest), wall_text(release.ends_wall, wall), name);
	return 0;
}

/* Only the daemon closes: what is said is what the kernel has. */
static int end(struct status_look *look, struct observer *observer, size_t i)
{
	const struct status_row row = row_of(look, i);
	struct diag diag = { 0 };
	char name[NAME_SHOWN], rest[32];
	uint64_t until = 0, now;
	int removed = releases_remove(row.container->id, &diag), r;

	name_of(row.container, name);
	if (removed < 0 && removed != -ENOENT) {
		log_err("%s", diag.text);
		return -ENOENT;
	}
	if (removed == -ENOENT && look->live &&
	    !status_released_until(look->live->elements, &row)) {
		log_err("%s is not released", name);
		return -ENOENT;
	}
	r = wait_until(observer, look, &row, 0, &until);
	if (r < 0)
		return r;
	if (r > 0) {
		printf("%s is no longer released\n", name);
		return 0;
	}
	now = clock_boot_usec();
	log_err("%s stays RELEASED in the kernel for %s: %s", name,
		release_rest_text(until > now ? until - now : 0, rest),
		lock_holder() == 0 ? "no daemon runs that could close it: systemctl start jobfence"
				   : "the daemon has not done so: journalctl -u jobfence");
	return -ENOENT;
}

static int list(const struct status_view *view)
{
	const struct model *model = &view->expected->model;
	size_t shown = model->releases_n;
	char name[NAME_SHOWN], wall[32], rest[32];

	for (size_t i = 0; i < model->releases_n; i++) {
		const struct release *release = &model->releases[i];

		snprintf(name, sizeof(name), "%.12s", release->id);
		for (size_t j = 0; j < model->containers_n; j++)
			if (strcmp(model->containers[j].id, release->id) == 0)
				name_of(&model->containers[j], name);
		printf("%-32s  %s left, until %s, by %s%s%s\n", name,
		       release_rest_text(release->ends > view->now ? release->ends - view->now : 0,
					 rest),
		       wall_text(release->ends_wall, wall), release->who,
		       release->reason[0] ? ": " : "", release->reason);
	}
	for (size_t i = 0; i < view->rows_n; i++) {
		const struct status_row *row = &view->rows[i];

		if (!row->released || row->verdict->released)
			continue;
		shown++;
		printf("%-32s  %s left in the kernel, though no release says so\n",
		       name_of(row->container, name),
		       release_rest_text(row->released > view->now ? row->released - view->now : 0,
					 rest));
	}
	if (shown == 0)
		printf("no job is released\n");
	return 0;
}

/* Returns 0, or -errno; what there is to say was said but for -ENOMEM. */
static int release(struct observer *observer, const struct config_origin *origin,
		   const struct options *options)
{
	_cleanup_(status_look_done) struct status_look look = { 0 };
	const struct model *model = &look.expected.model;
	struct found found;
	int r = status_look(observer, origin, &look);

	if (r < 0)
		return r;
	if (options->list)
		return list(&look.view);
	explain_find(model->containers, model->containers_n, options->operand, &found);
	if (found.matches_n != 1) {
		explain_say_unknown(&look.view, &found, options->operand);
		return -ENOENT;
	}
	return options->end ? end(&look, observer, found.match[0])
			    : start(&look, observer, found.match[0], options);
}

/* Returns 0 or EX_USAGE. */
static int check_options(const struct options *options)
{
	const char *wrong = NULL;

	if (options->list && (options->operand || options->end))
		wrong = "--list takes no container";
	else if (!options->list && !options->operand)
		wrong = "name a container: jobfence release NAME --for 30m";
	else if ((options->list || options->end) && (options->release_for || options->reason))
		wrong = "--for and --reason begin a release; --list and --end do not";
	else if (!options->list && !options->end && !options->release_for)
		wrong = "say for how long: jobfence release NAME --for 30m (24h at most)";
	if (wrong)
		log_err("release: %s; see jobfence --help", wrong);
	return wrong ? EX_USAGE : 0;
}

int command_release(const struct options *options)
{
	int r = check_options(options);

	if (r != 0)
		return r;
	if (geteuid() != 0) {
		log_err("releases are root's: run it as root");
		return EXIT_FAILURE;
	}
	return command_look(options, "release it", release);
}
