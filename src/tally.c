/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's counters and their file; include/jobfence/tally.h says what for. A number is only
 * ever for people: nothing here decides anything, and a file that cannot be written costs metrics
 * and no fence. The file is opened before the daemon enters its sandbox, which opens none to write.
 */
#include "jobfence/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "jobfence/lock.h"

#define TALLY_KIND "counters"
#define READ_TRIES 20
#define READ_WAIT_NS (1000 * 1000)

struct record {
	char magic[8];
	uint64_t size;
	struct tally_counts counts;
	uint64_t checksum; /* of all before it */
};

static const char magic[8] = "jftally";

struct tally {
	int fd; /* -1: closed */
	bool changed;
	struct tally_counts counts;
	uint64_t followed[TALLY_MAX];
};

static uint64_t checksum(const struct record *record)
{
	const uint8_t *bytes = (const uint8_t *)record;
	uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (size_t i = 0; i < offsetof(struct record, checksum); i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	return hash;
}

static uint64_t wall_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int tally_open(struct tally **ret_tally, struct diag *diag)
{
	char path[320];
	struct tally *tally;
	_cleanup_close_ int fd = -1;
	int r = lock_sibling(TALLY_KIND, path, sizeof(path));

	if (r < 0)
		return diag_set(diag, r, "cannot name the file of counters: %s", strerror(-r));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return diag_set(diag, -errno, "cannot write %s: %s", path, strerror(errno));
	tally = calloc(1, sizeof(*tally));
	if (!tally)
		return diag_set(diag, -ENOMEM, "no memory for the counters");
	tally->fd = take_fd(&fd);
	tally_set(tally, TALLY_PID, (uint64_t)getpid());
	tally_set_now(tally, TALLY_START_TIME);
	tally_set(tally, TALLY_RELOAD_GOOD, 1);
	*ret_tally = tally;
	return 0;
}

struct tally *tally_close(struct tally *tally)
{
	if (!tally)
		return NULL;
	close(tally->fd);
	free(tally);
	return NULL;
}

void tally_add(struct tally *tally, enum tally_id id, uint64_t n)
{
	if (!tally || n == 0)
		return;
	tally->counts.value[id] += n;
	tally->changed = true;
}

void tally_set(struct tally *tally, enum tally_id id, uint64_t value)
{
	if (!tally)
		return;
	tally->changed |= tally->counts.value[id] != value;
	tally->counts.value[id] = value;
}

void tally_set_now(struct tally *tally, enum tally_id id)
{
	tally_set(tally, id, wall_usec());
}

void tally_follow(struct tally *tally, enum tally_id id, uint64_t count)
{
	if (!tally)
		return;
	tally_add(tally, id, count >= tally->followed[id] ? count - tally->followed[id] : count);
	tally->followed[id] = count;
}

void tally_write(struct tally *tally)
{
	struct record record = { .size = sizeof(record) };

	if (!tally || !tally->changed)
		return;
	memcpy(record.magic, magic, sizeof(magic));
	record.counts = tally->counts;
	record.checksum = checksum(&record);
	tally->changed = pwrite(tally->fd, &record, sizeof(record), 0) != sizeof(record);
}

/* Returns 0, -ENOENT, -ESTALE or -EAGAIN. */
static int judge(const struct record *record, ssize_t len, pid_t pid)
{
	if (len == 0) /* a daemon that has just started */
		return -ENOENT;
	if ((size_t)len < offsetof(struct record, counts))
		return -EAGAIN;
	if (memcmp(record->magic, magic, sizeof(magic)) != 0 || record->size != sizeof(*record))
		return -ESTALE;
	if ((size_t)len != sizeof(*record) || record->checksum != checksum(record))
		return -EAGAIN;
	return pid > 0 && record->counts.value[TALLY_PID] != (uint64_t)pid ? -ESTALE : 0;
}

int tally_read(pid_t pid, struct tally_counts *ret_counts)
{
	struct record record;
	char path[320];
	int r = lock_sibling(TALLY_KIND, path, sizeof(path));

	if (r < 0)
		return r;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	for (int i = 0; i < READ_TRIES; i++) {
		ssize_t len = pread(fd, &record, sizeof(record), 0);

		if (len < 0)
			return -errno;
		r = judge(&record, len, pid);
		if (r != -EAGAIN)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = READ_WAIT_NS }, NULL);
	}
	if (r == 0)
		*ret_counts = record.counts;
	return r;
}
