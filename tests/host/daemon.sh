# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# jobfence as the daemon of a private host. Part of host.sh. It runs as a host process, in a cgroup of
# its own, with its own runtime directory and a receiver for its readiness.

JOBFENCE=${JOBFENCE:-$HOST_ROOT/build/jobfence}
JOBFENCE_WRAP=() # put before the binary: (valgrind --error-exitcode=99 …)
JOBFENCE_SECTIONS='' # lines that end each configuration

JOBFENCE_JOURNAL='' # 1: a journal stands ready, and the daemon writes to it; see records

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
	if [ -n "$JOBFENCE_JOURNAL" ]; then
		[ -e "$HOST_DIR/records.log" ] || journal_start || return 1
		env+=("JOURNAL_STREAM=$(stat -c %d:%i "$HOST_DIR/jobfence.log")")
	fi
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

# --- its records, with JOBFENCE_JOURNAL=1 ----------------------------------------------------------------

journal_start() {
	: >>"$HOST_DIR/jobfence.log"
	host_exec mkdir -p /run/systemd/journal &&
		host_exec "$HOST_BIN/journald" /run/systemd/journal/socket "$HOST_DIR/records.log" \
			"$HOST_DIR/jobfence.log"
}

# records MESSAGE [FIELD=VALUE…]: the records of this name (messages.c) that have these fields, a line each.
# VALUE is the whole value; FIELD=* is any, FIELD= is none.
records() {
	local id lines field

	id=$(sed -n "s/.*\"\([0-9a-f]\{32\}\)\", \"$1\",.*/\1/p" "$HOST_ROOT/src/messages.c")
	[ -n "$id" ] || { host_fail "no message $1"; return 1; }
	shift
	lines=$(grep -F "	MESSAGE_ID=$id" "$HOST_DIR/records.log" 2>/dev/null)
	for field; do
		case $field in
		*=) lines=$(grep -vF "	$field" <<<"$lines") ;;
		*=\*) lines=$(grep -F "	${field%\*}" <<<"$lines") ;;
		*) lines=$(grep -F "	$field	" <<<"$lines") ;;
		esac
	done
	[ -z "$lines" ] || printf '%s\n' "$lines"
}
records_n() { records "$@" | wc -l; }
has_record() { [ "$(records_n "$@")" -gt 0 ]; }
# record_field FIELD: of the records on standard input
record_field() { tr '\t' '\n' | sed -n "s/^$1=//p"; }
