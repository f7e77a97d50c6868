/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Break-glass: one job is released from the fence for a time. `jobfence release` writes a small file,
 * the daemon sees it and opens what the job would have as a bystander, with elements that the kernel
 * takes out by itself when the time is over: also when the daemon is dead by then. Nothing that holds
 * the job is taken away for it, so what comes back is what was before.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "jobfence/container.h"
#include "jobfence/diag.h"

#define RELEASE_MAX_USEC (24 * 3600 * 1000000ULL)
#define RELEASE_FILE_MAX 1024
#define RELEASES_MAX 256

struct release {
	char id[CONTAINER_ID_LEN + 1];
	uint64_t ends;     /* CLOCK_BOOTTIME, usec */
	int64_t ends_wall; /* for people: seconds since the epoch, as it looked when it was written */
	char who[41];      /* safe to print, as is reason; may be empty */
	char reason[121];
};

/* --- release.c: pure --- */

/* "90s", "30m", "24h": 1 s to 24 h. Returns 0 or -EINVAL with @diag. */
int release_parse_time(const char *text, uint64_t *ret_usec, struct diag *diag);
/* The text of a file; never more than RELEASE_FILE_MAX bytes. */
void release_format(const struct release *release, char *buffer, size_t size);
/* A file's text. @name: of the file; @now: what ends later than 24 h from then is refused. Returns 0
 * or -EINVAL with @diag; -ETIME: it is over. */
int release_parse(const char *name, const char *text, uint64_t now, struct release *ret_release,
		  struct diag *diag);
/* The one for container @id, of a list sorted by id; NULL for none. */
const struct release *release_find(const struct release *releases, size_t n, const char *id);
/* "12 min", "45 s", "2 h 5 min" */
const char *release_rest_text(uint64_t usec, char buffer[static 32]);

/* --- releases.c: the folder --- */

struct releases; /* what is released, and a watch */
typedef void (*releases_changed_fn)(void *data);

/* @event NULL: looks when it is asked to, and calls nobody. Returns 0 or -errno. */
int releases_new(sd_event *event, releases_changed_fn changed, void *data,
		 struct releases **ret_releases);
struct releases *releases_free(struct releases *releases);
/* Reads the folder again, and watches it where it was not there before. */
void releases_refresh(struct releases *releases);
/* Those that are not over at this moment, sorted by id; borrowed until the next call. */
const struct release *releases_list(struct releases *releases, size_t *ret_n);

/* The folder, made where it is missing: only root may look into it. Returns 0 or -errno. */
int releases_make_folder(void);
/* Writes @release's file, replaced whole; takes it away; removes those that are over. */
int releases_write(const struct release *release, struct diag *diag);
int releases_remove(const char *id, struct diag *diag); /* -ENOENT: there is none */
void releases_sweep(void);
