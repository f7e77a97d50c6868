/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * passfd: one process makes a TCP socket, another uses it. A socket keeps the cgroup of who made it.
 *
 *   passfd make PATH                    makes a socket (IPv4) and hands it to who connects to PATH
 *   passfd use PATH ADDR:PORT           takes it and connects it: open, refused or timeout
 */
#include <poll.h>
#include <sys/un.h>

#include "tool.h"

union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

static int unix_socket(const char *path, struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path))
		die(EXIT_USAGE, "%s is too long", path);
	strcpy(address->sun_path, path);
	return fd;
}

static int make(const char *path)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), peer, listener;
	union control control = { 0 };
	char byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct sockaddr_un address;

	listener = unix_socket(path, &address);
	unlink(path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1))
		die(EXIT_BROKEN, "%s: %m", path);
	peer = accept(listener, NULL, NULL);
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (sendmsg(peer, &message, 0) != 1)
		die(EXIT_BROKEN, "sendmsg: %m");
	/* until the other one is done */
	(void)!read(peer, &byte, 1);
	return 0;
}

static int take(const char *path)
{
	union control control = { 0 };
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct sockaddr_un address;
	int fd = unix_socket(path, &address);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die(EXIT_BROKEN, "%s: %m", path);
	if (recvmsg(fd, &message, 0) != 1 || control.head.cmsg_type != SCM_RIGHTS)
		die(EXIT_BROKEN, "recvmsg: %m");
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

int main(int argc, char **argv)
{
	struct timeval patience = { .tv_sec = 1 };
	union endpoint to;
	int fd;

	if (argc == 3 && !strcmp(argv[1], "make"))
		return make(argv[2]);
	if (argc != 4 || strcmp(argv[1], "use") != 0)
		die(EXIT_USAGE, "usage: passfd make PATH | passfd use PATH ADDR:PORT");
	endpoint_parse(argv[3], &to);
	fd = take(argv[2]);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!connect(fd, &to.sa, endpoint_len(&to)))
		puts("open");
	else
		puts(errno == ECONNREFUSED ? "refused" : "timeout");
	return 0;
}
