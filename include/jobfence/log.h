/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One line per event of interest, to the journal when systemd runs us, else to stderr. Only edges
 * log (main, commands, daemon, engine, link, cgroup, reconcile); the pure modules return a diag.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "jobfence/cleanup.h"
#include "jobfence/messages.h"

/* Picks the journal when $JOURNAL_STREAM names stderr, else stderr with the level's word. */
void log_open(int max_level);
void log_msg(int level, const char *fmt, ...) _printf_(2, 3);

#define log_err(...) log_msg(LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_msg(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_msg(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_DEBUG, __VA_ARGS__)

/* One of the catalog: at its priority and, in the journal, with its MESSAGE_ID. */
void log_event(enum message message, const char *fmt, ...) _printf_(2, 3);

/* The same with fields, which only the journal has. Values are cut, and made one line. */
struct log_field {
	const char *name;  /* "JOBFENCE_RULE" */
	const char *value; /* NULL: left out */
};
#define LOG_FIELDS_MAX 16

void log_record(enum message message, const struct log_field *fields, size_t n, const char *fmt,
		...) _printf_(4, 5);

/* For what can go on and on: the same sentence again within ten minutes, and more than ten lines in
 * a minute, are left out (they are debug lines then). The next line says how many were. */
struct log_limit {
	char said[160];
	uint64_t said_usec, minute_usec;
	unsigned int in_minute, left_out;
};

void log_limited(struct log_limit *limit, int level, const char *fmt, ...) _printf_(3, 4);
void log_event_limited(struct log_limit *limit, enum message message, const char *fmt, ...)
	_printf_(3, 4);
/* It is over: when it comes back it is said at once. */
void log_limit_reset(struct log_limit *limit);
