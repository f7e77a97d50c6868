# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the end-to-end tests share: the private host, and a line for each check. A script sources it, makes
# its hosts, checks, and ends with `finish`, which prints "N passed, M failed" and gives the exit code.

# shellcheck source=tests/host/host.sh
. "$(dirname "${BASH_SOURCE[0]}")/../host/host.sh"

PASSED=0 FAILED=0

section() { printf '\n%s\n' "$*"; }
say() { printf '    %s\n' "$*"; }

# check WHAT WANTED GOT: WANTED is a pattern of bash.
check() {
	# shellcheck disable=SC2053 # a pattern
	if [[ $3 == $2 ]]; then
		PASSED=$((PASSED + 1))
		printf '  ✓ %s: %s\n' "$1" "$3"
	else
		FAILED=$((FAILED + 1))
		printf '  ✗ %s: %s, wanted %s\n' "$1" "$3" "$2"
	fi
}

# check_that WHAT FIGURE OPERATOR NUMBER: check_that leaked 0 -eq 0
check_that() {
	if test "${2:-none}" "$3" "$4" 2>/dev/null; then
		PASSED=$((PASSED + 1))
		printf '  ✓ %s: %s\n' "$1" "$2"
	else
		FAILED=$((FAILED + 1))
		printf '  ✗ %s: %s, wanted %s %s\n' "$1" "${2:-nothing}" "$3" "$4"
	fi
}

# check_flow WHAT WANTED WHO DIAL-ARGUMENTS…
check_flow() {
	local what=$1 want=$2 who=$3

	shift 3
	check "$what" "$want" "$(dial_from "$who" --timeout 700 "$@" 2>&1)"
}

# open_to WHO DIAL-ARGUMENTS…: for host_wait, where a server may be on its way
open_to() {
	local who=$1

	shift
	[[ $(dial_from "$who" --timeout 700 "$@" 2>&1) == open:* ]]
}

# What a closed flow may look like.
# shellcheck disable=SC2034
CLOSED='@(refused|timeout|unreach|reset)'
shopt -s extglob

finish() {
	[ -z "${KEEP_LOG-}" ] || cp "$HOST_DIR"/*.log "$HOST_DIR"/flow-* "$KEEP_LOG" 2>/dev/null
	printf '\n%d passed, %d failed\n' "$PASSED" "$FAILED"
	[ "$FAILED" -eq 0 ] && [ "$PASSED" -gt 0 ]
	exit
}

# A script that cannot go on: its set-up failed.
broken() {
	[ -z "${KEEP_LOG-}" ] || cp "$HOST_DIR"/*.log "$HOST_DIR"/flow-* "$KEEP_LOG"
	echo "broken: $*" >&2
	FAILED=$((FAILED + 1))
	finish
}

now_ms() { "$HOST_BIN/stream" now; } # CLOCK_MONOTONIC, as in the logs of flows

# notify_base: the moment (now_ms) to which the milliseconds in notify.log are added.
notify_base() {
	[ -S "$HOST_DIR/notify.sock" ] ||
		host_exec "$HOST_BIN/notifyd" "$HOST_DIR/notify.sock" "$HOST_DIR/notify.log" || return 1
	# The quickest of several: a receiver that was late would make all of it too early.
	for _ in 1 2 3 4 5 6 7 8; do "$HOST_BIN/stream" mark "$HOST_DIR/notify.sock" || return 1; done
	host_wait 2000 grep -q MARK= "$HOST_DIR/notify.log"
	awk -F'[ =]' '$2 == "MARK" && (!n++ || $3 - $1 > base) { base = $3 - $1 } END { print base }' \
		"$HOST_DIR/notify.log"
}

jobfence_in_sync() {
	local n

	n=$(grep -c 'in sync' "$HOST_DIR/jobfence.log")
	[ "${n:-0}" -gt "${1:-0}" ]
}

# jobfence_up [ARGUMENTS OF jobfence_start]: and in step with the engine.
jobfence_up() {
	local before=0

	[ -e "$HOST_DIR/jobfence.log" ] && before=$(grep -c 'in sync' "$HOST_DIR/jobfence.log")
	jobfence_start "$@" && host_wait 10000 jobfence_in_sync "$before" && sleep 0.1
}

# What a rule or set of jobfence is in the kernel of the host: counter FAMILY NAME
counter() {
	host_exec nft list counter "$1" jobfence "$2" | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}

# Takes the rules of a chain that match a pattern out: delete_rules FAMILY CHAIN PATTERN
delete_rules() {
	local handle handles

	handles=$(host_exec nft -a list chain "$1" jobfence "$2" | grep -E "$3" |
		sed -n 's/.*# handle \([0-9]*\)$/\1/p')
	[ -n "$handles" ] || return 1
	for handle in $handles; do
		host_exec nft delete rule "$1" jobfence "$2" handle "$handle" || return 1
	done
}

# flow_open NAME send|push SERVER-WHO LISTEN CLIENT-WHO DIAL [STREAM-OPTIONS…]: one connection with numbered
# messages: from the client (send) or from the server (push). Logs: flow-NAME.from and .to in HOST_DIR.
flow_open() {
	local name=$1 kind=$2 server=$3 listen=$4 client=$5 to=$6 log=$HOST_DIR/flow-$1 server_does client_does

	shift 6
	if [ "$kind" = send ]; then
		server_does=receive client_does=send
		ln -sf "flow-$name.server" "$log.to"
	else
		server_does=send client_does=receive
		ln -sf "flow-$name.client" "$log.to"
	fi
	: >"$log.server"
	: >"$log.client"
	spawn_from "$server" "$log.server" stream "$@" listen $server_does "$listen"
	host_wait 3000 grep -q listens "$log.server" || return 1
	spawn_from "$client" "$log.client" stream "$@" dial $client_does "$to"
}

# flow_count NAME: messages received. flow_since NAME MS: received after that moment.
flow_count() { grep -c '^[0-9]* [0-9]*$' "$HOST_DIR/flow-$1.to"; }
flow_since() { awk -v t="$2" '$1 > t && $2 ~ /^[0-9]+$/ { n++ } END { print n + 0 }' "$HOST_DIR/flow-$1.to"; }
flow_reached() { [ "$(flow_count "$1")" -ge "$2" ]; }
# flow_moves NAME [MS]: something more comes within that time (3000).
flow_moves() { host_wait "${2:-3000}" flow_reached "$1" $(($(flow_count "$1") + 3)); }
# How it ended, if it did.
flow_end() { sed -n 's/^[0-9]* end //p' "$HOST_DIR/flow-$1.server" "$HOST_DIR/flow-$1.client" | sort -u | paste -sd,; }
