/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the daemon has done since it started, as numbers for `jobfence metrics`: nobody else can see
 * them, and no command asks the daemon. It writes them into a file beside its lock, as one record
 * of a fixed size with a checksum; a reader tells a record that is half written, of a daemon that is
 * gone or of another version, and takes none of these for numbers.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "jobfence/diag.h"

/* The order is the file's: a new one changes the record's size, and so its kind. */
enum tally_id {
	TALLY_PID,
	TALLY_START_TIME,   /* of the daemon; CLOCK_REALTIME, microseconds */
	TALLY_SUCCESS_TIME, /* of the last step that left the kernel as it should be */
	TALLY_CHANGED,      /* steps that changed the kernel */
	TALLY_UNCHANGED,    /* … that had nothing to change */
	TALLY_FAILED,       /* … that failed, and changed nothing */
	TALLY_COMMITTED,    /* transactions */
	TALLY_REFUSED,      /* … that the kernel refused */
	TALLY_LEFT_OUT,     /* elements that it refused, left out of a transaction */
	TALLY_FOREIGN,      /* transactions of others that changed our tables */
	TALLY_HEALS,        /* steps that put back what others had changed */
	TALLY_FOUND,        /* differences that the periodic look found: lost events, or bugs */
	TALLY_LOST_STREAMS, /* the engine's event stream broke */
	TALLY_LOST_RULESET, /* notifications that the kernel could not keep (ENOBUFS), by their kind */
	TALLY_LOST_LINKS,
	TALLY_LOST_NETWORKS,
	TALLY_RELOADS,
	TALLY_RELOADS_REFUSED,
	TALLY_RELOAD_GOOD, /* 1: the last one was taken, or there was none */
	TALLY_MAX,
};

struct tally_counts {
	uint64_t value[TALLY_MAX];
};

struct tally;

/* Makes the file, empties it, and starts at zero. Returns 0 or -errno with @diag. All else accepts
 * a NULL tally, and does nothing then. */
int tally_open(struct tally **ret_tally, struct diag *diag);
struct tally *tally_close(struct tally *tally);

void tally_add(struct tally *tally, enum tally_id id, uint64_t n);
void tally_set(struct tally *tally, enum tally_id id, uint64_t value);
/* To the wall clock's time. */
void tally_set_now(struct tally *tally, enum tally_id id);
/* For what somebody else counts, who may start again at zero: adds what has come since. */
void tally_follow(struct tally *tally, enum tally_id id, uint64_t count);
/* Into the file, if something changed. Needs no descriptor but the one that is open. */
void tally_write(struct tally *tally);

/* What the daemon with @pid (-1: not known) last wrote. Returns 0; -ENOENT: nothing; -ESTALE:
 * another daemon did, or another version; -EAGAIN: only halves were seen; or another -errno. */
int tally_read(pid_t pid, struct tally_counts *ret_counts);
