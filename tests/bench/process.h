/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process under test: started, looked at from outside, ended. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Runs @argv with its output to @log (NULL: nowhere), in a process group of its own. */
pid_t process_start(char *const argv[], const char *log);
/* SIGTERM to the group, SIGKILL after five seconds. */
void process_end(pid_t pid);
/* Waits for its end; dies if it failed. */
void process_wait(pid_t pid);

struct process_use {
	int64_t cpu_ns;      /* on a processor, all threads' sum is the main thread's: it has one */
	int64_t switches;    /* voluntary and involuntary */
	int64_t private_kib; /* Private_Dirty: what nobody else could share, whoever runs beside it */
	int64_t resident_kib;
	int64_t peak_kib; /* VmHWM */
};
struct process_use process_use(pid_t pid);
