/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One daemon per network namespace, by a lock that the kernel takes back when its holder dies.
 *
 * An open file description lock rather than flock(2): whether it is held can be asked without
 * taking it, so that `status` never keeps a starting daemon out for a moment. The file stays when
 * the lock is gone and says nothing then; only a lock that is held does. Nobody is ever killed and
 * nothing is ever waited for here.
 */
#include "jobfence/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define RUNTIME_DIRECTORY_DEFAULT "/run/jobfence"
#define LOCK_TRIES 10
#define PID_TRIES 20
#define PID_WAIT_NS (5 * 1000 * 1000)

/* systemd separates several directories by colons; ours is the first. */
static int lock_directory(char *path, size_t size)
{
	const char *directory = getenv("RUNTIME_DIRECTORY");
	int n;

	if (!directory || !*directory)
		directory = RUNTIME_DIRECTORY_DEFAULT;
	n = snprintf(path, size, "%.*s", (int)strcspn(directory, ":"), directory);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int file_path(const char *directory, const char *kind, char *path, size_t size)
{
	struct stat st;
	int n;

	if (stat("/proc/self/ns/net", &st) < 0)
		return -errno;
	n = snprintf(path, size, "%s/%llu.%s", directory, (unsigned long long)st.st_ino, kind);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int lock_path(const char *directory, char *path, size_t size)
{
	return file_path(directory, "lock", path, size);
}

int lock_sibling(const char *kind, char *path, size_t size)
{
	char directory[256];
	int r = lock_directory(directory, sizeof(directory));

	return r < 0 ? r : file_path(directory, kind, path, size);
}

int lock_folder(const char *name, char *path, size_t size)
{
	char directory[256];
	int r = lock_directory(directory, sizeof(directory)), n;

	if (r < 0)
		return r;
	n = snprintf(path, size, "%s%s%s", directory, *name ? "/" : "", name);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Someone may have cleaned the directory between our opening the file and locking it. */
static bool is_same_file(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

static pid_t read_pid(int fd)
{
	char text[32] = { 0 };
	long pid;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return 0;
	pid = strtol(text, NULL, 10);
	return pid > 0 ? (pid_t)pid : 0;
}

/* A holder writes its pid right after it took the lock. */
static pid_t wait_for_pid(int fd)
{
	pid_t pid = read_pid(fd);

	for (int i = 0; i < PID_TRIES && pid == 0; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = PID_WAIT_NS }, NULL);
		pid = read_pid(fd);
	}
	return pid ?: -1;
}

static int write_pid(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0)
		return -errno;
	return pwrite(fd, text, (size_t)n, 0) == n ? 0 : -EIO;
}

/* Returns a locked descriptor; -EAGAIN: the file was replaced; -EWOULDBLOCK is the same number, so
 * a lock that another holds is told by @ret_holder. */
static int try_lock(const char *path, pid_t *ret_holder)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r;

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		*ret_holder = wait_for_pid(fd);
		return -EWOULDBLOCK;
	}
	if (!is_same_file(fd, path))
		return -EAGAIN;
	r = write_pid(fd);
	return r < 0 ? r : take_fd(&fd);
}

int lock_take(struct diag *diag)
{
	char directory[256], path[320];
	pid_t holder = 0;
	int r = lock_directory(directory, sizeof(directory));

	if (r >= 0)
		r = lock_path(directory, path, sizeof(path));
	if (r < 0)
		return diag_set(diag, r, "cannot name the lock file: %s", strerror(-r));
	if (mkdir(directory, 0755) < 0 && errno != EEXIST)
		return diag_set(diag, -errno, "cannot make %s for the lock file: %s%s", directory,
				strerror(errno), errno == EACCES ? "; jobfence needs root" : "");
	r = -EAGAIN;
	for (int i = 0; i < LOCK_TRIES && r == -EAGAIN && holder == 0; i++)
		r = try_lock(path, &holder);
	if (holder > 0)
		return diag_set(diag, -EWOULDBLOCK,
				"jobfence already runs in this network namespace as pid %d (%s); "
				"stop it first",
				(int)holder, path);
	if (holder < 0)
		return diag_set(diag, -EWOULDBLOCK,
				"jobfence already runs in this network namespace (%s is locked); "
				"stop it first",
				path);
	if (r < 0)
		return diag_set(diag, r, "cannot lock %s: %s%s", path, strerror(-r),
				r == -EACCES ? "; jobfence needs root" : "");
	return r;
}

pid_t lock_holder(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char directory[256], path[320];

	if (lock_directory(directory, sizeof(directory)) < 0 ||
	    lock_path(directory, path, sizeof(path)) < 0)
		return 0;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return wait_for_pid(fd);
}
