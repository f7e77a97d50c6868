/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows what the engine's resolvers are read from. Docker's order: --dns or "dns" of daemon.json
 * (dockerd refuses to start with both), else the host's /etc/resolv.conf, or systemd-resolved's own
 * file where that names the stub only.
 *
 * dockerd is the process behind the engine's socket; where systemd listens for it, the one that
 * /run/docker.pid names, if it calls itself dockerd. Only root can be either. Without it
 * /etc/docker/daemon.json is read.
 *
 * Folders are watched rather than files, since files are replaced; of a symbolic link every folder
 * on the way; of a folder that is not there the nearest one above. Any event means that all is read
 * again, which is a few small files. The texts are root's, and bounded all the same.
 */
#include "jobfence/resolv_watch.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>

#include "config-internal.h"
#include "jobfence/log.h"

#define HOST_FILE "/etc/resolv.conf"
#define RESOLVED_FILE "/run/systemd/resolve/resolv.conf"
#define DAEMON_JSON "/etc/docker/daemon.json"
#define PID_FILE "/run/docker.pid"

#define LINKS_MAX 8
#define SOURCES_MAX (4 * (LINKS_MAX + 1))
#define ARGS_MAX (64 * 1024)
#define FOLDER_EVENTS                                                                            \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR)

/* One folder in which one name is of interest. */
struct watched {
	struct resolv_watch *watch;
	sd_event_source *source;
	char name[NAME_MAX + 1];
};

struct resolv_watch {
	sd_event *event;
	resolv_changed_fn changed;
	void *data;
	sd_event_source *again;                /* defer: read again, once for a burst */
	struct watched places[2][SOURCES_MAX]; /* those in use, and room for the next ones */
	struct watched *watched;
	size_t watched_n;
	pid_t engine;
	struct resolvers resolvers;
	char origin[RESOLV_PATH_MAX];
	char daemon_json[RESOLV_PATH_MAX];              /* the file that was read last */
	char trouble[sizeof(((struct diag *)0)->text)]; /* said last */
};

/* ---- reading ---- */

/* An absent file is an empty one. */
static int read_text(const char *path, char **ret_text, struct diag *diag)
{
	struct diag why = { 0 };
	int r = config_read_file(path, ret_text, &why);

	if (r == -ENOENT || r == -ENOTDIR) {
		*ret_text = strdup("");
		return *ret_text ? 0 : -ENOMEM;
	}
	return r < 0 ? diag_set(diag, r, "%s", why.text) : 0;
}

static pid_t find_dockerd(pid_t engine)
{
	_cleanup_free_ char *text = NULL;
	long pid;

	if (engine > 1)
		return engine;
	if (config_read_file(PID_FILE, &text, NULL) < 0)
		return 0;
	pid = strtol(text, NULL, 10);
	return pid > 1 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

/* Zeroed where there is none to be read. Returns 0 or -ENOMEM. */
static int read_args(pid_t engine, struct dockerd_args *ret_args)
{
	_cleanup_free_ char *args = malloc(ARGS_MAX);
	_cleanup_fclose_ FILE *file = NULL;
	pid_t pid = find_dockerd(engine);
	char path[64];

	if (!args)
		return -ENOMEM;
	*ret_args = (struct dockerd_args){ 0 };
	if (pid == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	file = fopen(path, "re");
	if (file)
		resolv_dockerd_args(args, fread(args, 1, ARGS_MAX, file), ret_args);
	return 0;
}

/* Returns 1 where the engine's own configuration names resolvers, 0 where it does not, -errno. */
static int read_engine(struct resolv_watch *watch, struct resolvers *resolvers, char *origin,
		       struct diag *diag)
{
	_cleanup_free_ char *text = NULL;
	struct dockerd_args args;
	struct diag why = { 0 };
	bool named = false;
	int r;

	r = read_args(watch->engine, &args);
	if (r < 0)
		return diag_set(diag, r, "no memory to read dockerd's command line");
	snprintf(watch->daemon_json, sizeof(watch->daemon_json), "%s",
		 args.config_file[0] ? args.config_file : DAEMON_JSON);
	if (args.dns_named) {
		*resolvers = args.dns;
		snprintf(origin, RESOLV_PATH_MAX, "dockerd's command line");
		return 1;
	}
	snprintf(origin, RESOLV_PATH_MAX, "%s", watch->daemon_json);
	r = read_text(watch->daemon_json, &text, diag);
	if (r < 0 || text[strspn(text, " \t\r\n")] == '\0')
		return r;
	r = resolv_daemon_json(text, strlen(text), resolvers, &named, &why);
	if (r < 0)
		return diag_set(diag, r, "%s cannot be read: %s", watch->daemon_json, why.text);
	return named;
}

static int read_host(struct resolvers *resolvers, char *origin, struct diag *diag)
{
	_cleanup_free_ char *text = NULL, *resolved = NULL;
	int r = read_text(HOST_FILE, &text, diag);

	snprintf(origin, RESOLV_PATH_MAX, HOST_FILE);
	if (r < 0)
		return r;
	if (!resolv_conf_read(text, resolvers))
		return 0;
	snprintf(origin, RESOLV_PATH_MAX, RESOLVED_FILE);
	r = read_text(RESOLVED_FILE, &resolved, diag);
	if (r == 0)
		resolv_conf_read(resolved, resolvers);
	return r;
}

static void say(struct resolv_watch *watch, const struct diag *diag)
{
	if (diag->text[0] && strcmp(diag->text, watch->trouble) != 0)
		log_warn("%s; jobs reach no resolver named there (mend it, or name them in "
			 "[egress] resolvers)",
			 diag->text);
	snprintf(watch->trouble, sizeof(watch->trouble), "%s", diag->text);
}

/* Returns whether other resolvers were found than before. */
static bool look(struct resolv_watch *watch)
{
	struct resolvers found = { 0 };
	char origin[RESOLV_PATH_MAX] = "";
	struct diag diag = { 0 };
	bool changed;
	int r = read_engine(watch, &found, origin, &diag);

	/* What could not be read may have named some: the host's file is then no answer. */
	if (r == 0)
		r = read_host(&found, origin, &diag);
	say(watch, &diag);
	if (r < 0)
		found = (struct resolvers){ 0 };
	changed = memcmp(&found, &watch->resolvers, sizeof(found)) != 0;
	watch->resolvers = found;
	memcpy(watch->origin, origin, sizeof(watch->origin));
	return changed;
}

/* ---- following ---- */

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *data)
{
	struct watched *watched = data;

	if (!event->len || strcmp(event->name, watched->name) == 0)
		sd_event_source_set_enabled(watched->watch->again, SD_EVENT_ONESHOT);
	return 0;
}

/* Watches the folder of @path for its last part; where it is not there, the one above for that. */
static void follow_name(struct resolv_watch *watch, const char *path)
{
	char folder[RESOLV_PATH_MAX];
	struct watched *watched;
	char *slash;
	int r = -ENOENT;

	snprintf(folder, sizeof(folder), "%s", path);
	while (r == -ENOENT && watch->watched_n < SOURCES_MAX && (slash = strrchr(folder, '/'))) {
		watched = &watch->watched[watch->watched_n];
		watched->watch = watch;
		snprintf(watched->name, sizeof(watched->name), "%s", slash + 1);
		*slash = '\0';
		r = sd_event_add_inotify(watch->event, &watched->source, *folder ? folder : "/",
					 FOLDER_EVENTS, on_inotify, watched);
		if (r < 0)
			continue;
		watch->watched_n++;
		sd_event_source_set_description(watched->source, "resolvers");
	}
}

/* @path and, where it is a symbolic link, what it leads to. */
static void follow(struct resolv_watch *watch, const char *path)
{
	char here[RESOLV_PATH_MAX], target[RESOLV_PATH_MAX], next[2 * RESOLV_PATH_MAX];

	snprintf(here, sizeof(here), "%s", path);
	for (int i = 0; i <= LINKS_MAX; i++) {
		ssize_t length = readlink(here, target, sizeof(target) - 1);
		char *slash = strrchr(here, '/');

		follow_name(watch, here);
		if (length <= 0 || !slash)
			return;
		target[length] = '\0';
		snprintf(next, sizeof(next), "%.*s/%s", target[0] == '/' ? 0 : (int)(slash - here),
			 here, target[0] == '/' ? target + 1 : target);
		if (strlen(next) >= sizeof(here))
			return;
		memcpy(here, next, strlen(next) + 1);
	}
}

static void forget(struct watched *watched, size_t n)
{
	for (size_t i = 0; i < n; i++)
		watched[i].source = sd_event_source_disable_unref(watched[i].source);
}

/* The new ones before the old ones go: with the last one sd-event closes its inotify descriptor, and
 * the kernel takes 20 ms for that. */
static void follow_all(struct resolv_watch *watch)
{
	struct watched *before = watch->watched;
	size_t before_n = watch->watched_n;

	if (!watch->event)
		return;
	watch->watched = watch->places[before == watch->places[0]];
	watch->watched_n = 0;
	follow(watch, HOST_FILE);
	follow(watch, RESOLVED_FILE);
	follow(watch, watch->daemon_json);
	follow_name(watch, PID_FILE);
	forget(before, before_n);
}

/* Watched anew before it is read: what changes in between is seen. */
static bool look_again(struct resolv_watch *watch)
{
	char before[RESOLV_PATH_MAX];
	bool changed;

	follow_all(watch);
	memcpy(before, watch->daemon_json, sizeof(before));
	changed = look(watch);
	if (strcmp(before, watch->daemon_json) == 0)
		return changed;
	follow_all(watch);
	return look(watch) || changed;
}

static int on_again(sd_event_source *source, void *data)
{
	struct resolv_watch *watch = data;

	if (look_again(watch) && watch->changed)
		watch->changed(watch, watch->data);
	return 0;
}

int resolv_watch_new(sd_event *event, resolv_changed_fn changed, void *data,
		     struct resolv_watch **ret_watch)
{
	_cleanup_(resolv_watch_freep) struct resolv_watch *watch = calloc(1, sizeof(*watch));
	int r;

	if (!watch)
		return -ENOMEM;
	watch->event = sd_event_ref(event);
	watch->changed = changed;
	watch->data = data;
	strcpy(watch->daemon_json, DAEMON_JSON); /* the usual case is followed at once */
	if (event) {
		r = sd_event_add_defer(event, &watch->again, on_again, watch);
		if (r < 0)
			return r;
		sd_event_source_set_description(watch->again, "resolvers-again");
		/* Behind all who watch the same folder: looking makes the watches anew, and
		 * systemd brings an event that not all have had to those again, for ever. */
		(void)sd_event_source_set_priority(watch->again, SD_EVENT_PRIORITY_NORMAL + 1);
		sd_event_source_set_enabled(watch->again, SD_EVENT_OFF);
	}
	look_again(watch);
	*ret_watch = take_ptr(watch);
	return 0;
}

struct resolv_watch *resolv_watch_free(struct resolv_watch *watch)
{
	if (!watch)
		return NULL;
	forget(watch->watched, watch->watched_n);
	sd_event_source_disable_unref(watch->again);
	sd_event_unref(watch->event);
	free(watch);
	return NULL;
}

void resolv_watch_set_engine(struct resolv_watch *watch, pid_t pid)
{
	if (pid == watch->engine)
		return;
	watch->engine = pid;
	look_again(watch);
}

void resolv_watch_refresh(struct resolv_watch *watch)
{
	if (watch->again)
		sd_event_source_set_enabled(watch->again, SD_EVENT_ONESHOT);
}

const struct resolvers *resolv_watch_get(const struct resolv_watch *watch)
{
	return &watch->resolvers;
}

const char *resolv_watch_origin(const struct resolv_watch *watch)
{
	return watch->origin;
}
