/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * changes: runs a process under test (jobfence, a shell loop, a bare reactor) beside the stand-in
 * engine, in one network namespace, and times from outside what it commits:
 *
 *   changes [OPTION…] MODE COUNT -- COMMAND…
 *
 *   sync     how long until it has put everything into the kernel, and what that took
 *   idle     what it does in COUNT seconds of nothing
 *   start    an event line with questions to the engine: until the commit, less the engine's time
 *   destroy  is timed beside it: an event that needs no question
 *   link     a veth becomes a bridge's port, and leaves it: until the commit
 *
 * One thread answers, listens to nf_tables and spins, so that a time has no wake-up of ours in it.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "process.h"
#include "standin.h"

#define TIMEOUT_NS 10000000000LL
#define SYNC_NS 120000000000LL
#define SETTLED_NS 6000000000LL /* libcurl looks at a new connection once more, after 5 s */
#define NEVER INT64_MAX

static struct {
	struct standin_options engine;
	const char *variant, *log, *port, *bridge, *cgroups;
	size_t churn;
	bool no_sync; /* the command commits nothing by itself */
	const char *mode;
	size_t count;
	char **command;
} arg = {
	.engine = { .path = "/run/docker.sock" },
	.variant = "jobfence",
	.bridge = "docker0",
};

static struct standin *engine;
static struct mnl_socket *commits;
static pid_t child;
static int64_t started_ns, synced_ns;

/* Turns everything until nothing was asked, answered or committed for @quiet_ns. Returns when the
 * last of it was. */
static int64_t settle(int64_t quiet_ns)
{
	int64_t begun = now_ns(), last = begun;

	while (now_ns() - last < quiet_ns) {
		standin_turn(engine, 1);
		if (!standin_idle_since(engine, last))
			last = now_ns();
		if (commits_heard(commits))
			last = now_ns();
		if (last - begun > SYNC_NS)
			die("%s never comes to rest", arg.variant);
	}
	return last;
}

static int64_t wait_commit(void)
{
	int64_t begun = now_ns(), now = begun;

	while (now - begun < TIMEOUT_NS) {
		standin_turn(engine, 0);
		now = now_ns();
		if (commits_heard(commits))
			return now;
	}
	return NEVER;
}

/* Each container's folder below the parent, as the engine makes it; gone again at the end. */
static void make_cgroups(bool there)
{
	char id[65], path[512];

	for (size_t i = 0; arg.cgroups && i < arg.engine.running; i++) {
		standin_id(i, id);
		snprintf(path, sizeof(path), "%s/%s", arg.cgroups, id);
		if (there ? mkdir(path, 0755) < 0 && errno != EEXIST : rmdir(path) < 0)
			die("%s: %m", path);
	}
}

static void start_command(void)
{
	make_cgroups(true);
	engine = standin_new(&arg.engine);
	commits = commits_open();
	started_ns = now_ns();
	child = process_start(arg.command, arg.log);
	while (standin_streams(engine) == 0 && !arg.no_sync) {
		standin_turn(engine, 1);
		if (now_ns() - started_ns > TIMEOUT_NS)
			die("%s does not ask the engine", arg.variant);
	}
	synced_ns =
		settle(arg.no_sync ? 200000000 : 1500000000 + (int64_t)arg.engine.running * 200000);
}

static void say_use(const char *metric, const struct process_use *use)
{
	char name[64];

	snprintf(name, sizeof(name), "%s.cpu", metric);
	sample(name, arg.variant, arg.engine.running, "ms", (double)use->cpu_ns / 1e6);
	snprintf(name, sizeof(name), "%s.private", metric);
	sample(name, arg.variant, arg.engine.running, "KiB", (double)use->private_kib);
	snprintf(name, sizeof(name), "%s.resident", metric);
	sample(name, arg.variant, arg.engine.running, "KiB", (double)use->resident_kib);
	snprintf(name, sizeof(name), "%s.peak", metric);
	sample(name, arg.variant, arg.engine.running, "KiB", (double)use->peak_kib);
}

static void say_sync(void)
{
	struct process_use use = process_use(child);

	sample("sync.time", arg.variant, arg.engine.running, "ms",
	       (double)(synced_ns - started_ns) / 1e6);
	say_use("sync", &use);
}

static void run_idle(void)
{
	struct process_use before, after;
	int64_t begin = now_ns() + SETTLED_NS, end = begin + (int64_t)arg.count * 1000000000;

	while (now_ns() < begin)
		standin_turn(engine, 100);
	before = process_use(child);
	while (now_ns() < end)
		standin_turn(engine, 100);
	after = process_use(child);
	sample("idle.wakeups", arg.variant, arg.engine.running, "/min",
	       (double)(after.switches - before.switches) * 60 / (double)arg.count);
	sample("idle.cpu", arg.variant, arg.engine.running, "ms/min",
	       (double)(after.cpu_ns - before.cpu_ns) / 1e6 * 60 / (double)arg.count);
}

/* One event, from just before its line is written to the commit's notification. */
static void time_event(const char *action, size_t i, const char *metric)
{
	struct standin_times times;
	char whole[64];
	int64_t begun, end, asked;

	for (size_t c = 0; c < arg.churn; c++)
		standin_event(engine, "rename", c % (arg.engine.running ?: 1));
	begun = standin_event(engine, action, i);
	end = wait_commit();
	if (end == NEVER) {
		fprintf(stderr, "%s: no commit after \"%s\"\n", arg.variant, action);
		return;
	}
	times = standin_times(engine);
	asked = times.questions && times.last_answer > times.first_question
			? times.last_answer - times.first_question
			: 0;
	sample(metric, arg.variant, arg.engine.running, "us", (double)(end - begun - asked) / 1e3);
	snprintf(whole, sizeof(whole), "%s.whole", metric);
	sample(whole, arg.variant, arg.engine.running, "us", (double)(end - begun) / 1e3);
	settle(arg.churn ? 20000000 : 4000000);
}

static void run_events(void)
{
	const char *churn = arg.churn ? ".churn" : "";
	size_t spare = arg.engine.running;
	char start[64], destroy[64];

	if (spare % 10 == 9)
		spare++; /* a job: it has elements without a port */
	if (spare >= arg.engine.containers)
		die("no container is left to start");
	snprintf(start, sizeof(start), "event.start%s", churn);
	snprintf(destroy, sizeof(destroy), "event.destroy%s", churn);
	for (size_t n = 0; n < arg.count; n++) {
		standin_set_running(engine, spare, true);
		time_event("start", spare, start);
		standin_set_running(engine, spare, false);
		time_event("destroy", spare, destroy);
	}
}

/* ip link set PORT master BRIDGE | nomaster; returns when it was asked for. */
static int64_t set_master(struct mnl_socket *rt, unsigned port, unsigned master)
{
	char buffer[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	int64_t begun;
	ssize_t len;

	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	info->ifi_index = (int)port;
	mnl_attr_put_u32(nlh, IFLA_MASTER, master);
	begun = now_ns();
	if (mnl_socket_sendto(rt, nlh, nlh->nlmsg_len) < 0)
		die("rtnetlink: %m");
	len = mnl_socket_recvfrom(rt, buffer, sizeof(buffer));
	if (len < 0 || mnl_cb_run(buffer, (size_t)len, 0, 0, NULL, NULL) < 0)
		die("cannot change the master of port %u: %m", port);
	return begun;
}

static void time_link(struct mnl_socket *rt, unsigned port, unsigned master, const char *metric)
{
	int64_t begun = set_master(rt, port, master), announced = now_ns(), end = wait_commit();
	char after[64];

	if (end == NEVER)
		die("%s: no commit after a link changed", arg.variant);
	sample(metric, arg.variant, arg.engine.running, "us", (double)(end - begun) / 1e3);
	snprintf(after, sizeof(after), "%s.after", metric);
	sample(after, arg.variant, arg.engine.running, "us", (double)(end - announced) / 1e3);
	settle(5000000);
}

static void run_links(void)
{
	struct mnl_socket *rt = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	unsigned port = arg.port ? if_nametoindex(arg.port) : 0;
	unsigned bridge = if_nametoindex(arg.bridge);

	if (!rt || mnl_socket_bind(rt, 0, MNL_SOCKET_AUTOPID) < 0)
		die("rtnetlink: %m");
	if (!port || !bridge)
		die("no port or no bridge");
	set_master(rt, port, 0);
	settle(100000000);
	for (size_t n = 0; n < arg.count; n++) {
		time_link(rt, port, bridge, "link.attach");
		time_link(rt, port, 0, "link.detach");
	}
	set_master(rt, port, bridge);
	mnl_socket_close(rt);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "containers", required_argument, NULL, 'n' },
		{ "host-jobs", required_argument, NULL, 'j' },
		{ "sandbox", required_argument, NULL, 'x' },
		{ "folder", required_argument, NULL, 'f' },
		{ "variant", required_argument, NULL, 'v' },
		{ "log", required_argument, NULL, 'l' },
		{ "port", required_argument, NULL, 'p' },
		{ "churn", required_argument, NULL, 'c' },
		{ "cgroups", required_argument, NULL, 'g' },
		{ "no-sync", no_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	int o;

	while ((o = getopt_long(argc, argv, "+", options, NULL)) >= 0)
		switch (o) {
		case 's':
			arg.engine.path = optarg;
			break;
		case 'n':
			arg.engine.running = strtoul(optarg, NULL, 10);
			break;
		case 'j':
			arg.engine.host_jobs = strtoul(optarg, NULL, 10);
			break;
		case 'x':
			arg.engine.sandbox = optarg;
			break;
		case 'f':
			arg.engine.folder = optarg;
			break;
		case 'v':
			arg.variant = optarg;
			break;
		case 'l':
			arg.log = optarg;
			break;
		case 'p':
			arg.port = optarg;
			break;
		case 'c':
			arg.churn = strtoul(optarg, NULL, 10);
			break;
		case 'g':
			arg.cgroups = optarg;
			break;
		case 'o':
			arg.no_sync = true;
			break;
		default:
			exit(64);
		}
	if (argc - optind < 4 || strcmp(argv[optind + 2], "--") != 0)
		die("usage: changes [OPTION…] sync|idle|start|link|serve COUNT -- COMMAND…");
	arg.engine.containers = arg.engine.running + 2; /* to be started */
	arg.mode = argv[optind];
	arg.count = strtoul(argv[optind + 1], NULL, 10);
	arg.command = argv + optind + 3;
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	start_command();
	if (!strcmp(arg.mode, "sync"))
		say_sync();
	else if (!strcmp(arg.mode, "idle"))
		run_idle();
	else if (!strcmp(arg.mode, "start"))
		run_events();
	else if (!strcmp(arg.mode, "link"))
		run_links();
	else
		die("unknown mode %s", arg.mode);
	process_end(child);
	make_cgroups(false);
	return 0;
}
