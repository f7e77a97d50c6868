/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notifications of the ruleset, in network namespaces of this process's own: lost ones, storms of
 * them, and a socket that nothing comes to any more.
 */
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "jobfence/monitor.h"
#include "jobfence/nft.h"

#define EXIT_SKIP 77

struct fixture {
	sd_event *event;
	struct monitor *monitor;
	int fd; /* the monitor's socket */
	unsigned int lost, told;
	char who[400];
	bool ends; /* the text is in its room */
};

static void on_changed(const struct foreign_change *change, void *data)
{
	struct fixture *f = data;

	f->lost += change == NULL;
	f->told += change != NULL;
	f->who[0] = '\0';
	f->ends = !change || strnlen(change->what, sizeof(change->what)) < sizeof(change->what);
	if (change)
		snprintf(f->who, sizeof(f->who), "%s (pid %u): %s", change->process, change->pid,
			 change->what);
}

static void set_up(struct fixture *f)
{
	struct diag diag = { 0 };

	*f = (struct fixture){ 0 };
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(sd_event_new(&f->event), 0);
	f->fd = dup(STDIN_FILENO); /* the number that the next one gets */
	close(f->fd);
	assert_int_equal(monitor_new(f->event, on_changed, f, &f->monitor, &diag), 0);
}

static void tear_down(struct fixture *f)
{
	monitor_free(f->monitor);
	sd_event_unref(f->event);
}

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void run_for(struct fixture *f, uint64_t usec)
{
	uint64_t end = now_usec() + usec;

	while (now_usec() < end)
		assert_true(sd_event_run(f->event, 10000) >= 0);
}

/* A table made and deleted, @n times; 0: for ever. */
static void change(unsigned int n)
{
	_cleanup_(nft_closep) struct nft *nft = NULL;
	_cleanup_free_ struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	struct commit_stats stats;

	if (!skeleton || nft_open(&nft, NULL) < 0)
		_exit(1);
	for (unsigned int i = 0; n == 0 || i < 2 * n; i++) {
		struct op op = { .kind = i % 2 ? OP_DEL_TABLE : OP_ADD_TABLE };

		if (nft_commit(nft, skeleton, &(struct ops){ .op = &op, .n = 1 }, &stats, NULL) < 0)
			_exit(1);
	}
}

static void lost_ones_are_told_once(void **state)
{
	struct fixture f;

	set_up(&f);
	change(10000);
	run_for(&f, 300000);
	assert_int_equal(f.lost, 1);
	/* and it listens again */
	f.told = 0;
	assert_int_equal(system("nft add table inet jobfence"), 0);
	run_for(&f, 100000);
	assert_int_equal(f.told, 1);
	assert_non_null(strstr(f.who, "nft (pid "));
	tear_down(&f);
}

static void what_was_changed_is_told(void **state)
{
	static const struct {
		const char *command, *what;
	} cases[] = {
		{ "add table inet jobfence", "changed table inet" },
		{ "'add chain inet jobfence c; add rule inet jobfence c accept; add rule inet "
		  "jobfence c drop'",
		  "changed chain inet c, added to chain inet c" },
		{ "'add set inet jobfence s { type ipv4_addr; }; add element inet jobfence s { "
		  "1.1.1.1, 2.2.2.2 }'",
		  "added set inet s, added to set inet s" },
		{ "delete element inet jobfence s '{ 1.1.1.1 }'", "deleted from set inet s" },
		{ "flush chain inet jobfence c", "deleted from chain inet c" },
		{ "add counter inet jobfence n", "added object inet n" },
		{ "delete set inet jobfence s", "deleted set inet s" },
		{ "'flush ruleset; add table bridge jobfence'", "deleted table inet" },
		{ "delete table bridge jobfence", "deleted table bridge" },
	};
	struct fixture f;

	set_up(&f);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *command = NULL;

		f.told = 0;
		assert_true(asprintf(&command, "nft %s", cases[i].command) > 0);
		assert_int_equal(system(command), 0);
		run_for(&f, 100000);
		assert_int_equal(f.told, 1);
		assert_string_equal(strstr(f.who, ": ") + 2, cases[i].what);
	}
	tear_down(&f);
}

static void much_is_told_in_few_words(void **state)
{
	char command[8000] = "nft 'add table inet jobfence; ";
	struct fixture f;

	set_up(&f);
	for (int i = 0; i < 100; i++)
		snprintf(command + strlen(command), sizeof(command) - strlen(command),
			 "add chain inet jobfence chain%d; ", i);
	strcat(command, "'");
	assert_int_equal(system(command), 0);
	run_for(&f, 100000);
	assert_int_equal(f.told, 1);
	assert_non_null(strstr(f.who, ", changed chain inet chain7, "));
	assert_string_equal(strstr(f.who, ", and more"), ", and more");
	tear_down(&f);
}

/* Whatever the length at which "and more" comes to stand. */
static void words_of_any_length_have_room(void **state)
{
	char command[4000];
	struct fixture f;

	set_up(&f);
	for (int length = 1; length < 40; length++) {
		snprintf(command, sizeof(command),
			 "nft 'add table inet jobfence; add chain inet jobfence %.*s; ", length,
			 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		for (int i = 10; i < 30; i++)
			snprintf(command + strlen(command), sizeof(command) - strlen(command),
				 "add chain inet jobfence fixed_length_%d; ", i);
		strcat(command, "'");
		f.told = 0;
		assert_int_equal(system(command), 0);
		run_for(&f, 20000);
		assert_int_equal(f.told, 1);
		assert_true(f.ends);
		assert_string_equal(f.who + strlen(f.who) - strlen(", and more"), ", and more");
		assert_int_equal(system("nft delete table inet jobfence"), 0);
		run_for(&f, 20000);
	}
	tear_down(&f);
}

static void storm_is_told_some_times_a_second(void **state)
{
	struct fixture f;
	pid_t pid;

	set_up(&f);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		change(0);
	}
	assert_true(pid > 0);
	for (int i = 0; i < 60 && f.lost == 0; i++) {
		usleep(500000); /* a busy machine */
		assert_true(sd_event_run(f.event, 0) >= 0);
	}
	assert_true(f.lost > 0);
	f.lost = 0;
	run_for(&f, 1000000);
	print_message("lost %u times in a second, told of %u\n", f.lost, f.told);
	assert_in_range(f.lost, 0, 12);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	tear_down(&f);
}

static void proof_fails_when_nothing_comes_any_more(void **state)
{
	_cleanup_(nft_closep) struct nft *nft = NULL;
	int group = NFNLGRP_NFTABLES;
	uint32_t before = 0, after = 0;
	struct diag diag = { 0 };
	char buffer[4096];
	struct fixture f;

	set_up(&f);
	assert_int_equal(nft_open(&nft, &diag), 0);
	assert_int_equal(nft_generation(nft, &before, &diag), 0);
	assert_int_equal(monitor_prove(f.monitor, before, &diag), 0);
	change(1);
	assert_int_equal(nft_generation(nft, &after, &diag), 0);
	assert_int_equal(after, before + 2);
	assert_int_equal(monitor_prove(f.monitor, after, &diag), 0); /* it waited in the queue */
	change(1);
	while (recv(f.fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		; /* gone, and nobody says so */
	assert_int_equal(nft_generation(nft, &after, &diag), 0);
	assert_int_equal(monitor_prove(f.monitor, after, &diag), -ENODATA);
	print_message("%s\n", diag.text);
	change(1);
	assert_int_equal(monitor_prove(f.monitor, after, &diag), 0);
	assert_int_equal(
		setsockopt(f.fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &group, sizeof(group)), 0);
	assert_int_equal(monitor_prove(f.monitor, after, &diag), -ENOTCONN);
	print_message("%s\n", diag.text);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lost_ones_are_told_once),
		cmocka_unit_test(what_was_changed_is_told),
		cmocka_unit_test(much_is_told_in_few_words),
		cmocka_unit_test(words_of_any_length_have_room),
		cmocka_unit_test(storm_is_told_some_times_a_second),
		cmocka_unit_test(proof_fails_when_nothing_comes_any_more),
	};

	if (unshare(CLONE_NEWNET) < 0)
		return EXIT_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
