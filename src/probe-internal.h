/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of `probe` share: who tries, from where, and what came of it. */
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "jobfence/probe.h"
#include "jobfence/sockets.h"
#include "matrix-internal.h"

/* probe_listener.c: who would get a connection to @to; NULL: nobody. */
const struct listener *probe_listener(const struct sockets *sockets, const struct sock_addr *to);

/* probe_choice.c */

bool probe_is_on_bridge(const struct matrix_view *view, const struct reach_place *place);
/* It is one of --quick's: host jobs and the host → shim, one bridge job → the shim's port on the host, and →
 * one other bridge job. */
bool probe_is_quick(const struct matrix_view *view, const struct reach_flow *flow);
/* Where more than @max containers live, those on bridges try the next @ring of them only. */
bool probe_is_spared(const struct matrix_view *view, const struct reach_flow *flow, size_t max,
		     size_t ring);

/* probe_place.c: a process that stands where a row of the table is, and connects when it is told to. */

struct prober {
	pid_t pid; /* 0: none */
	int fd;
};

/* @container NULL: where this process is. Returns 0; -ESRCH: the container is gone; another -errno
 * with @diag. */
int prober_start(const struct container *container, bool on_host, const char *cgroup_root,
		 struct prober *ret_prober, struct diag *diag);
/* Ends it and waits for its end, a second at most. */
void prober_stop(struct prober *prober);
int prober_ask(struct prober *prober, const struct sock_addr *to, int timeout_ms);
/* Gives the attempt up: the answer is then ATTEMPT_SILENT, unless there is one already. */
int prober_cancel(struct prober *prober);
/* Waits for the answer. Returns 1; 0: not yet; -EINTR; another -errno: it is no more. */
int prober_answer(struct prober *prober, int wait_ms, enum attempt *ret_attempt, int *ret_error);
/* Whether the container still runs, as the one that it was. */
bool prober_is_there(const struct container *container);

/* probe_neighbour.c: takes back what an attempt left in the network namespace that this process is in:
 * the question for @addr that nobody answered. An answered one stays. */
void forget_neighbour(const struct ip_addr *addr);

/* probe_own.c: what the kernel counts for a container by name, beside the counters of rules. */

#define OWN_ELEMENTS_MAX 32

struct own_elements {
	const struct elem *elem[OWN_ELEMENTS_MAX]; /* borrowed; of one set after another */
	enum set_id set[OWN_ELEMENTS_MAX];
	size_t n;
};

/* Adds those of a container; none for a bystander. */
void own_elements_add(const struct expected *expected, size_t container, struct own_elements *own);
/* Returns 0 or -errno. */
int own_elements_read(struct nft *nft, const struct own_elements *own, uint64_t *ret_packets);

/* probe_run.c */

#define SIGHTINGS_MAX 3

struct probed {
	struct sighting seen[SIGHTINGS_MAX];
	size_t seen_n;
	enum probe_finding finding;
	const char *why;  /* static */
	char detail[128]; /* of what could not be tried; empty */
};

struct probe {
	const struct matrix_view *view; /* borrowed */
	const struct reach *reach;      /* borrowed */
	struct nft *nft;                /* borrowed */
	struct sockets sockets;         /* owned */
	bool quick;
	uint64_t deadline;        /* clock_usec() */
	struct probed *probed;    /* owned; per flow of the table */
	uint64_t *before, *after; /* owned; per counter */
	size_t count[FINDING_GONE + 1];
	bool interrupted, late;
};

/* Set by a signal: what is under way ends. */
extern volatile sig_atomic_t probe_stop;

/* Tries what may be tried. Returns 0 or -errno with @diag: -EINTR when it was interrupted. */
int probe_run(struct probe *probe, struct diag *diag);
void probe_done(struct probe *probe);

int probe_print(FILE *out, const struct probe *probe); /* 0 or -ENOMEM */
json_t *probe_json(const struct probe *probe);         /* NULL: no memory */
/* 0 all as intended, 1 something is different, 2 could not tell. */
int probe_exit_code(const struct probe *probe);
