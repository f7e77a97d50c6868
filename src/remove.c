/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `jobfence remove`: takes the fence away, whole, and says what it took. It is the only command
 * that opens anything, so it never does so behind a running daemon's back, which would put
 * everything back a moment later. It needs no good configuration: who wants the fence gone may
 * have just broken that. Tables of others are never looked at.
 */
#include "commands-internal.h"

#include <errno.h>
#include <string.h>

#include "jobfence/lock.h"
#include "jobfence/log.h"
#include "jobfence/owner.h"
#include "jobfence/plan.h"

static int refuse_running(pid_t pid)
{
	char who[32] = "";

	if (pid > 0)
		snprintf(who, sizeof(who), " as pid %d", (int)pid);
	log_err("jobfence runs%s and would put it back; stop it first (systemctl stop jobfence), "
		"then run jobfence remove again",
		who);
	return EXIT_FAILURE;
}

static void print_table(const struct live *live, enum family family)
{
	size_t chains = 0, rules = 0, sets = 0, elements = 0;

	for (size_t i = 0; i < live->chains_n; i++) {
		chains += live->chains[i].family == family;
		rules += live->chains[i].family == family ? live->chains[i].rules_n : 0;
	}
	for (size_t i = 0; i < SET_MAX; i++) {
		if (set_spec((enum set_id)i)->family != family)
			continue;
		if (set_spec((enum set_id)i)->chains) {
			chains += live->elements->sets[i].n;
			rules += live->elements->sets[i].n;
			continue;
		}
		sets += live->set_present[i];
		elements += live->elements->sets[i].n;
	}
	printf("removed table %s " TABLE_NAME " (%zu chains, %zu rules, %zu sets, %zu element%s)\n",
	       family_name(family), chains, rules, sets, elements, elements == 1 ? "" : "s");
}

static int remove_tables(struct nft *nft, const struct skeleton *skeleton, struct diag *diag)
{
	_cleanup_(live_freep) struct live *live = NULL;
	_cleanup_(ops_done) struct ops ops = { 0 };
	struct commit_stats stats;
	int r = nft_read(nft, skeleton, &live, diag);

	if (r >= 0)
		r = owner_check(live, 0, diag);
	if (r >= 0)
		r = plan_remove(live, &ops);
	if (r >= 0)
		r = nft_commit(nft, skeleton, &ops, &stats, diag);
	if (r < 0)
		return r;
	for (size_t family = 0; family < FAMILY_MAX; family++)
		if (live->table[family])
			print_table(live, (enum family)family);
	if (ops.n == 0)
		printf("nothing to remove: there is no table " TABLE_NAME " in this network "
		       "namespace\n");
	return 0;
}

/* What `run` made below the cgroup parent, and the parent, where nothing else is in them. A folder
 * with a process or a child in it cannot be removed: the kernel sees to that. */
static void remove_keep_child(const struct config *config)
{
	_cleanup_(cgroup_watch_freep) struct cgroup_watch *watch = NULL;
	struct cgroup_view view;
	char path[sizeof(view.root) + CGROUP_PATH_MAX + sizeof(CGROUP_KEEP_CHILD) + 1];

	if (cgroup_watch_new(NULL, config, true, NULL, NULL, &watch, NULL) < 0)
		return;
	cgroup_watch_get_view(watch, &view);
	snprintf(path, sizeof(path), "%s/%s/" CGROUP_KEEP_CHILD, view.root, view.parent);
	if (rmdir(path) < 0)
		return; /* jobfence made none here: the parent is not its either */
	printf("removed cgroup %s\n", path);
	*strrchr(path, '/') = '\0';
	if (!view.shared && rmdir(path) == 0)
		printf("removed cgroup %s\n", path);
}

static void load_what_can_be(const struct options *options, struct config *ret_config)
{
	const struct config_sources sources = { .path = options->config_path };
	struct config_origin origin;
	struct diag diag = { 0 };

	config_defaults(ret_config);
	if (config_load(&sources, ret_config, &origin, &diag) < 0)
		log_debug("going on with the defaults: %s", diag.text);
}

static int remove_all(const struct options *options, struct diag *diag)
{
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	_cleanup_(nft_closep) struct nft *nft = NULL;
	struct skeleton_params params;
	struct config config;
	int r;

	if (!skeleton)
		return -ENOMEM;
	load_what_can_be(options, &config);
	policy_skeleton_params(&config, &(struct model){ 0 }, &params);
	params.egress = true; /* where the kernel has no such table none is found */
	skeleton_build(&params, skeleton);
	r = nft_open(&nft, diag);
	if (r >= 0)
		r = remove_tables(nft, skeleton, diag);
	if (r >= 0)
		remove_keep_child(&config);
	return r;
}

int command_remove(const struct options *options)
{
	struct diag diag = { 0 };
	_cleanup_close_ int lock = -1;
	pid_t pid = lock_holder();
	int r;

	if (pid != 0)
		return refuse_running(pid);
	/* Held until the end: no daemon starts halfway. Where it cannot be had for another reason
	 * than a daemon, the kernel decides what may be done. */
	lock = lock_take(&diag);
	if (lock == -EWOULDBLOCK)
		return refuse_running(lock_holder());
	diag.text[0] = '\0';
	r = remove_all(options, &diag);
	if (r == -EPERM && geteuid() != 0) {
		log_err("removing the ruleset needs root (CAP_NET_ADMIN)");
		return EXIT_FAILURE;
	}
	if (r < 0) {
		log_err("nothing was removed: %s", diag.text[0] ? diag.text : strerror(-r));
		return EXIT_FAILURE;
	}
	return command_flush(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
