/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One daemon per network namespace: a lock (of the open file description) on
 * $RUNTIME_DIRECTORY/<inode of the namespace>.lock (systemd sets the variable; /run/jobfence
 * without it). The file holds the daemon's pid.
 */
#pragma once

#include <sys/types.h>

#include "jobfence/diag.h"

/* Takes the lock. Returns a descriptor to keep open, -EWOULDBLOCK (another daemon runs; @diag
 * names its pid), or another -errno. */
int lock_take(struct diag *diag);
/* The pid of the daemon that holds the lock; 0: none; -1: one does, and its pid is not known. Never
 * takes the lock, not even for a moment. */
pid_t lock_holder(void);
/* The path of folder @name beside it; the folder that holds them all for "". Returns 0 or -errno. */
int lock_folder(const char *name, char *path, size_t size);
/* The path of another file of this network namespace's daemon, beside the lock: <inode>.@kind.
 * Returns 0 or -errno. */
int lock_sibling(const char *kind, char *path, size_t size);
