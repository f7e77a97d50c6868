# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# jobfence as the daemon of a private host. Part of host.sh. It runs as a host process, in a cgroup of
# its own, with its own runtime directory and a receiver for its readiness.

JOBFENCE=${JOBFENCE:-$HOST_ROOT/build/jobfence}
JOBFENCE_WRAP=() # put before the binary: (valgrind --error-exitcode=99 …)

# The configuration of this host, plus sections of the caller: jobfence_config [LINES]
jobfence_config() {
	cat >"$HOST_DIR/jobfence.conf" <<-END
		[docker]
		socket = unix:///run/docker.sock
		[cgroup]
		driver = cgroupfs
		parent = ${HOST_CGROUP_PARENT#/}
		engine = ${HOST_ENGINE_CGROUP#/}
	END
	[ -z "${1-}" ] || printf '%s\n' "$1" >>"$HOST_DIR/jobfence.conf"
}

jobfence_runs() {
	local state

	[ -e "$HOST_DIR/jobfence.pid" ] || return 1
	{ state=$(<"/proc/$(<"$HOST_DIR/jobfence.pid")/stat"); } 2>/dev/null || return 1
	state=${state##*) }
	[ "${state%% *}" != Z ]
}

jobfence_gone() { ! jobfence_runs; }

jobfence_notified() { grep -qs " $1\$" "$HOST_DIR/notify.log" || jobfence_gone; }

# jobfence_wait NOTIFICATION MILLISECONDS: until it said so ("READY=1")
jobfence_wait() {
	host_wait "$2" jobfence_notified "$1"
	grep -qs " $1\$" "$HOST_DIR/notify.log"
}

# jobfence_start [NAME=VALUE…] [OPTION…]: runs it and waits for READY=1 (JOBFENCE_READY_MS, 10000).
# Environment first, then options of "run". Its output is in $HOST_DIR/jobfence.log.
jobfence_start() {
	local env=()

	while [[ ${1-} == [A-Za-z_]*=* ]]; do
		env+=("$1")
		shift
	done
	[ -e "$HOST_DIR/jobfence.conf" ] || jobfence_config
	[ -S "$HOST_DIR/notify.sock" ] ||
		host_exec "$HOST_BIN/notifyd" "$HOST_DIR/notify.sock" "$HOST_DIR/notify.log" || return 1
	: >"$HOST_DIR/notify.log"
	host_spawn jobfence "$HOST_DIR/jobfence.log" \
		env -u DSTACK_SERVER_JOB_NETWORK_MODE -u DOCKER_HOST RUNTIME_DIRECTORY=/run/jobfence \
		NOTIFY_SOCKET="$HOST_DIR/notify.sock" "${env[@]}" \
		"${JOBFENCE_WRAP[@]}" "$JOBFENCE" run --config "$HOST_DIR/jobfence.conf" "$@"
	echo "$HOST_SPAWNED" >"$HOST_DIR/jobfence.pid"
	jobfence_wait READY=1 "${JOBFENCE_READY_MS:-10000}" && return 0
	tail -n 20 "$HOST_DIR/jobfence.log" >&2
	host_fail "jobfence did not become ready"
}

# Waits for its end. Returns its exit code (128 + signal).
jobfence_reap() {
	local pid

	pid=$(<"$HOST_DIR/jobfence.pid")
	host_wait "${1:-10000}" jobfence_gone || { host_fail "jobfence does not end"; return 1; }
	rm -f "$HOST_DIR/jobfence.pid"
	wait "$pid" 2>/dev/null
}

jobfence_signal() { kill -s "$1" "$(<"$HOST_DIR/jobfence.pid")"; }

# jobfence_stop: SIGTERM; returns its exit code. jobfence_kill: SIGKILL; always 0.
jobfence_stop() { jobfence_signal TERM && jobfence_reap; }
jobfence_kill() {
	jobfence_signal KILL && jobfence_reap
	return 0
}

# jobfence_cli COMMAND [OPTION…]: status, verify, render, remove, with this host's configuration.
jobfence_cli() {
	local command=$1

	shift
	[ -e "$HOST_DIR/jobfence.conf" ] || jobfence_config
	host_exec env -u DSTACK_SERVER_JOB_NETWORK_MODE -u DOCKER_HOST \
		RUNTIME_DIRECTORY=/run/jobfence "$JOBFENCE" "$command" \
		--config "$HOST_DIR/jobfence.conf" "$@"
}
