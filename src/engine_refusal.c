/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Engines that no ruleset of this host can fence: which they are, by the path of their socket and by
 * what they answer, and the sentence that says why. Pure. Whoever is refused is told what to do;
 * nothing here guesses in favour of an engine that says what it is.
 */
#include <errno.h>
#include <string.h>

#include "engine-internal.h"

#define PODMAN                                                                               \
	"it is Podman, whose bridges, cgroups and events are others than Docker's: nothing " \
	"would be fenced; dstack's shim needs Docker, point DOCKER_HOST or --docker at "     \
	"Docker's own socket"
#define ROOTLESS                                                                                 \
	"it is rootless: its bridges, and the host network of its containers, are in a network " \
	"namespace of its user that this host's nftables never sees; run Docker as root"

int engine_refuse_podman(struct diag *diag)
{
	return diag_set(diag, -ENOTSUP, "%s", PODMAN);
}

int engine_refuse_rootless(struct diag *diag)
{
	return diag_set(diag, -ENOTSUP, "%s", ROOTLESS);
}

int engine_judge_path(const char *path, struct diag *diag)
{
	static const char podman[] = "/podman.sock";
	size_t len = strlen(path), tail = strlen(podman);

	if (len >= tail && strcmp(path + len - tail, podman) == 0)
		return engine_refuse_podman(diag);
	if (strncmp(path, "/run/user/", 10) == 0 || strncmp(path, "/var/run/user/", 14) == 0)
		return engine_refuse_rootless(diag);
	return 0;
}
