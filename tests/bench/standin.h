/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for the Docker engine that is fast at any size: one thread, answers made on demand and
 * as long as Docker's own, no containers behind them. The caller turns it (standin_turn), so that
 * whoever measures knows to the nanosecond when a question came and when its answer left.
 *
 * Container i is a bridge job; every tenth is a bystander; the first host_jobs are host jobs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two for each container, below the ports that a connection may begin at: nobody holds them here, and a
 * job that began at one would be taken for whoever has it. */
#define PUBLISHED_FIRST 11000

struct standin_options {
	const char *path;
	size_t containers; /* that there are; the first @running of them run */
	size_t running;
	size_t host_jobs;
	const char *sandbox; /* printf form with one %zu, or a fixed path; NULL: none is told */
	const char *folder;  /* of captured answers that are served too; NULL: none */
};

struct standin;

struct standin *standin_new(const struct standin_options *options);
/* One look at the sockets, waiting at most so long (0: not at all, -1: for ever). */
void standin_turn(struct standin *standin, int timeout_ms);
size_t standin_streams(const struct standin *standin);
bool standin_idle_since(const struct standin *standin, int64_t since_ns);
void standin_id(size_t i, char id[static 65]);
void standin_set_running(struct standin *standin, size_t i, bool runs);
/* Sends the event line; returns when, just before it. */
int64_t standin_event(struct standin *standin, const char *action, size_t i);

/* Since the last event. */
struct standin_times {
	int64_t first_question, last_answer;
	size_t questions;
};
struct standin_times standin_times(const struct standin *standin);
