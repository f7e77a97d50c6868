#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What an operator sees: status and explain on a real host, daemon running and stopped, with and without
# privileges; engines that cannot be fenced and are refused.
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# --- engines that cannot be fenced -------------------------------------------------------------------

fake_start() {
	mkfifo "$HOST_DIR/orders" || return 1
	# shellcheck disable=SC2016 # for the inner shell
	host_spawn engine "$HOST_DIR/fake.log" sh -c 'exec fakeengine /run/docker.sock <"$1"' sh "$HOST_DIR/orders"
	disown "$HOST_SPAWNED"
	exec {ORDERS}>"$HOST_DIR/orders"
	host_wait 2000 host_exec test -S /run/docker.sock
}
said() { grep -qx "said$1" "$HOST_DIR/fake.log"; }
fake() { # COMMAND: returns when it is done
	SAID=$((${SAID:-0} + 1))
	printf '%s\nsay said%s\n' "$*" "$SAID" >&"$ORDERS"
	host_wait 10000 said "$SAID" || broken "fakeengine: $*"
}
logged() { grep -q "$1" "$HOST_DIR/jobfence.log"; }

# code COMMAND…: its exit code, and the first line of what it says behind it
code() {
	local said

	said=$(jobfence_cli "$@" 2>&1 >/dev/null)
	echo "$? $(head -n 1 <<<"$said")"
}

refused() { # KIND WORD
	local command

	fake be "$1"
	for command in status "status --json" verify; do
		# shellcheck disable=SC2086 # words
		check "$1: $command" "78 *refused*$2*" "$(code $command)"
	done
	check "$1: render asks no engine" "0*" "$(code render)"
	jobfence_start >/dev/null 2>&1
	jobfence_reap 5000
	check "$1: run" 78 $?
	logged "refused: it is $2"
	check "$1: run says why" 0 $?
}

section "engines that cannot be fenced"
HOST_ENGINE=0 host_up refused || broken "host_up"
fake_start || broken "fakeengine"
refused podman Podman
refused rootless rootless
fake be docker
jobfence_up || broken "jobfence"
fake be rootless
fake cut
host_wait 5000 logged 'lost: it is rootless'
check "one that becomes rootless is lost" 0 $?
jobfence_runs
check "the daemon runs on" 0 $?
check "the fence stands" 0 "$(host_exec nft list table inet jobfence >/dev/null; echo $?)"
jobfence_stop
check "the daemon's exit code" 0 $?
host_exec sh -c 'mkdir -p /run/podman && mv /run/docker.sock /run/podman/podman.sock &&
	ln -s /run/podman/podman.sock /run/docker.sock' || broken "the link"
fake be docker
check "a link to podman.sock: status" "78 *refused*Podman*" "$(code status)"
host_down
finish
