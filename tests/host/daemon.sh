# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# jobfence as the daemon of a private host. Part of host.sh. It runs as a host process, in a cgroup of
# its own, with its own runtime directory and a receiver for its readiness.

JOBFENCE=${JOBFENCE:-$HOST_ROOT/build/jobfence}
JOBFENCE_WRAP=() # put before the binary: (valgrind --error-exitcode=99 …)
JOBFENCE_SECTIONS='' # lines that end each configuration

# The configuration of this host, plus sections of the caller: jobfence_config [LINES]
jobfence_config() {
	cat >"$HOST_DIR/jobfence.conf" <<-END
		[docker]
		socket = unix:///run/docker.sock
		[cgroup]
		driver = $HOST_CGROUP_DRIVER
		parent = ${HOST_CGROUP_PARENT#/}
		engine = ${HOST_ENGINE_CGROUP#/}
	END
	printf '%s\n' ${1:+"$1"} ${JOBFENCE_SECTIONS:+"$JOBFENCE_SECTIONS"} >>"$HOST_DIR/jobfence.conf"
}

jobfence_runs() { [ -s "$HOST_DIR/jobfence.pid" ] && [ ! -e "$HOST_DIR/jobfence.pid.code" ]; }

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
	rm -f "$HOST_DIR/jobfence.pid" "$HOST_DIR/jobfence.pid.code"
	host_spawn jobfence "$HOST_DIR/jobfence.log" reaper "$HOST_DIR/jobfence.pid" \
		env -u DSTACK_SERVER_JOB_NETWORK_MODE -u DOCKER_HOST RUNTIME_DIRECTORY=/run/jobfence \
		NOTIFY_SOCKET="$HOST_DIR/notify.sock" "${env[@]}" \
		"${JOBFENCE_WRAP[@]}" "$JOBFENCE" run --config "$HOST_DIR/jobfence.conf" "$@"
	disown "$HOST_SPAWNED"
	host_wait 5000 test -s "$HOST_DIR/jobfence.pid"
	jobfence_wait READY=1 "${JOBFENCE_READY_MS:-10000}" && return 0
	tail -n 20 "$HOST_DIR/jobfence.log" >&2
	host_fail "jobfence did not become ready"
}

# jobfence_reap [MILLISECONDS]: waits for its end. Returns its exit code (128 + signal).
jobfence_reap() {
	host_wait "${1:-10000}" test -s "$HOST_DIR/jobfence.pid.code" ||
		{ host_fail "jobfence does not end"; return 1; }
	return "$(<"$HOST_DIR/jobfence.pid.code")"
}

# jobfence_signal SIGNAL: HUP to reload.
jobfence_signal() { kill -s "$1" "$(<"$HOST_DIR/jobfence.pid")"; }

# jobfence_stop: SIGTERM; returns its exit code. jobfence_kill: SIGKILL, at once.
jobfence_stop() { jobfence_signal TERM && jobfence_reap; }
jobfence_kill() { jobfence_signal KILL && host_wait 5000 jobfence_gone; }

# jobfence_cli COMMAND [OPTION…]: status, verify, render, remove, with this host's configuration.
jobfence_cli() {
	local command=$1

	shift
	[ -e "$HOST_DIR/jobfence.conf" ] || jobfence_config
	host_exec env -u DSTACK_SERVER_JOB_NETWORK_MODE -u DOCKER_HOST \
		RUNTIME_DIRECTORY=/run/jobfence "$JOBFENCE" "$command" \
		--config "$HOST_DIR/jobfence.conf" "$@"
}
