/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `status` shows, as plain data, and its two forms. */
#pragma once

#include <jansson.h>

#include "commands-internal.h"
#include "jobfence/owner.h"
#include "jobfence/posture.h"

enum ruleset_state {
	RULESET_UNKNOWN, /* not read: struct status_view.ruleset_trouble says why */
	RULESET_ABSENT,
	RULESET_DIFFERS,
	RULESET_PRESENT,
};

struct status_row {
	const struct container *container; /* borrowed */
	const struct verdict *verdict;     /* borrowed */
	uint64_t stopped;                  /* packets; only where the view has a live ruleset */
	bool loose;        /* what holds it alone is not in the kernel, or what frees it is */
	uint64_t released; /* until then it is let out, if only by the kernel; 0: it is not */
	int64_t running_s; /* seconds since its first process began; -1: not known */
};

/* Everything but the rows is borrowed. */
struct status_view {
	const struct config *config;
	const struct config_origin *origin;
	const struct engine_view *engine;
	const struct expected *expected; /* model, skeleton (names of counters), ruleset */
	const struct live *live;         /* NULL: not read */
	const char *cgroup_trouble;      /* NULL: none */
	const char *ruleset_trouble;     /* NULL: none */
	const char *resolvers_origin;    /* NULL: none */
	uint32_t proxies_local;          /* a bit per proxy of the model: it is this host */
	uint64_t now;                    /* CLOCK_BOOTTIME, usec: when it was looked */
	enum owner owner;
	const char *owner_text; /* of OWNER_ANOTHER */
	bool owner_possible;    /* the kernel can: asked for OWNER_NOBODY only */
	enum ruleset_state ruleset;
	size_t differences;
	bool broken;                   /* of RULESET_DIFFERS: the fence does not stand whole */
	pid_t daemon_pid;              /* 0: none runs; -1: one does, its pid is not known */
	const struct sockets *sockets; /* NULL: not asked for */
	const struct posture *posture; /* beside it */
	struct status_row *rows; /* owned; one per container: what needs attention, jobs, others */
	size_t rows_n;
};

/* Fills rows, ruleset and differences from the rest. Returns 0 or -ENOMEM. */
int status_view_fill(struct status_view *view);
void status_view_done(struct status_view *view);
/* The part of an element's comment that is this container's and nobody else's. */
void status_comment_part(const struct status_row *row, char *text, size_t size);
/* Whether an element with @comment, NULL for none, is that of the container with this @part. */
bool status_comment_is_of(const char *comment, const char *part);
/* status_released.c: until when the kernel lets the job of @row out for a time (CLOCK_BOOTTIME, usec); 0:
 * it does not. Of @row its container and verdict are read. */
uint64_t status_released_until(const struct ruleset *elements, const struct status_row *row);
/* status_age.c: what /proc says of the rows' processes. */
void status_ages(struct status_view *view);
/* "3 d 4 h", "5 min", "12 s"; "?" below 0. Returns @buffer. */
const char *status_age_text(int64_t seconds, char buffer[static 24]);

/* A view and all that it borrows; the observer has to outlive it, and its loop not to run. */
struct status_look {
	struct engine_view engine;
	struct expected expected;
	struct live *live; /* owned */
	struct diag trouble;
	char owner[OWNER_TEXT_MAX];
	struct sockets sockets;
	struct posture posture;
	struct status_view view;
};

/* Waits for an engine that answers, and looks. *@ret_look must be zeroed, and is released whatever
 * this returns: 0; -ENOTSUP for an engine that cannot be fenced, which was logged (for EXIT_CONFIG);
 * another -errno (no memory). */
int status_look(struct observer *observer, const struct config_origin *origin,
		struct status_look *ret_look);
void status_look_done(struct status_look *look);
/* The listeners of this host too, for status alone. Returns 0 or -ENOMEM. */
int status_look_at_sockets(struct status_look *look);

/* Live jobs on the host's network that may open packet sockets. */
size_t status_net_raw_jobs(const struct status_view *view);

/* "fenced", "NOT HELD (fenced)", "? (fenced)", "RELEASED (fenced)". Returns @buffer. */
const char *status_confinement_text(const struct status_view *view, const struct status_row *row,
				    char buffer[static 48]);

enum held { HELD_NO, HELD_YES, HELD_UNKNOWN };

/* Whether the kernel does to this container what its verdict says: never for hazards that void the
 * guarantee, without the ruleset or where it is not whole, or for a host job without a cgroup hierarchy
 * to tell it by. Not known where nobody could read the ruleset, or the engine has not told what the
 * container may do. */
enum held status_row_held(const struct status_view *view, const struct status_row *row);

const char *ruleset_state_name(enum ruleset_state state); /* "present", … */
const char *owner_name(enum owner owner);                 /* NULL: OWNER_UNTOLD */
const char *engine_state_name(enum engine_state state);   /* "lost", "syncing", "in_sync" */
const char *cgroup_driver_name(enum cgroup_driver driver);
const char *violation_policy_name(enum violation_policy policy);

/* status_egress.c: the lines, and the object, of what jobs reach beyond the host. */
void status_print_egress(FILE *out, const struct status_view *view);
json_t *status_egress_json(const struct status_view *view);

/* status_posture.c: nothing where nobody looked. */
void status_print_held_ports(FILE *out, const struct status_view *view);
void status_print_posture(FILE *out, const struct status_view *view);
json_t *status_posture_json(const struct status_view *view);

void status_print(FILE *out, const struct status_view *view);
/* Its first lines; and what needs attention, after an empty line, if anything does. */
void status_print_head(FILE *out, const struct status_view *view);
void status_print_attention(FILE *out, const struct status_view *view);
/* status_show.c: for a terminal; for what is none the same as status_print(). 0 or -ENOMEM. */
struct term;
int status_show(FILE *out, const struct status_view *view, const struct term *term);
/* status_watch.c: again and again, until a signal ends it. Errors as status_look(). */
int status_watch(struct observer *observer, const struct config_origin *origin, unsigned seconds);
/* The same as JSON, names as documented in the manual. NULL: no memory. The caller owns it. */
json_t *status_json(const struct status_view *view);
/* One of its containers. */
json_t *status_row_json(const struct status_view *view, const struct status_row *row);
