# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the sections share: a private host without an engine of its own, the stand-in in its place.

# A host with docker0 and nothing on it: bare_host NAME
bare_host() {
	HOST_ENGINE=0 host_up "$1" || return 1
	host_exec ip -batch - <<-END || return 1
		link add docker0 type bridge
		addr add $HOST_GW4/16 dev docker0
		addr add $HOST_GW6/64 dev docker0 nodad
		link set docker0 up
	END
	# one namespace that all containers of the stand-in have: asking for its id costs what it does
	host_exec sh -c 'mkdir -p /run/docker/netns && : >/run/docker/netns/all' &&
		host_exec mount --bind "/proc/$LAN_PID/ns/net" /run/docker/netns/all || return 1
	jobfence_config
}

# The daemon's command line, for programs that start it themselves, in DAEMON.
# As contrib/jobfence.service starts it.
daemon_command() {
	DAEMON=(env -u DOCKER_HOST -u NOTIFY_SOCKET DSTACK_SERVER_JOB_NETWORK_MODE=2
		GNUTLS_NO_IMPLICIT_INIT=1 RUNTIME_DIRECTORY=/run/jobfence "$JOBFENCE" run --config "$HOST_DIR/jobfence.conf")
}

# Takes jobfence's tables out again.
forget_ruleset() {
	host_exec nft delete table inet jobfence 2>/dev/null
	host_exec nft delete table bridge jobfence 2>/dev/null
	return 0
}

# jobfence beside the stand-in with so many containers: beside_standin CONTAINERS MODE COUNT [OPTION…]
beside_standin() {
	local containers=$1 mode=$2 count=$3 DAEMON

	shift 3
	daemon_command
	measure changes --containers "$containers" --sandbox /run/docker/netns/all \
		--cgroups "$HOST_UNIFIED$HOST_CGROUP_PARENT" \
		--log "$HOST_DIR/jobfence.log" "$@" "$mode" "$count" -- "${DAEMON[@]}"
	forget_ruleset
}
