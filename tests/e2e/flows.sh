#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Who reaches whom, with real packets on a real engine: flows.table, row by row, before jobfence, in
# every mode with the daemon running and with the daemon stopped (its ruleset stays), with
# br_netfilter's iptables calls on and off, and after "jobfence remove". Prints the table; exit 1 if a
# row is not as it says.
#
# Usage: flows.sh [--quick] [main|part|noproxy]…   the hosts to try, all of them without; --quick: with
#                                                  a running daemon br_netfilter off only, with a
#                                                  stopped one on only
#        flows.sh --list                           the table as it should be, without trying anything
#        flows.sh --break                          takes out one counter's rules after another and
#                                                  shows that rows of the table turn red: the test of
#                                                  this test
# shellcheck disable=SC2034,SC2119,SC2153 # a container's facts; no arguments; host.sh names addresses
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/host/host.sh
. "$HERE/../host/host.sh"
# shellcheck source=tests/e2e/table.sh
. "$HERE/table.sh"
# shellcheck source=tests/e2e/table_show.sh
. "$HERE/table_show.sh"
# shellcheck source=tests/e2e/places.sh
. "$HERE/places.sh"
# shellcheck source=tests/e2e/flows_hosts.sh
. "$HERE/flows_hosts.sh"

BRNF=1 QUICK=''
FLOW_DIR=$(mktemp -d)
trap 'host_down_all; rm -rf "$FLOW_DIR"' EXIT

# --- hosts that change -------------------------------------------------------------------------------

shadow_start() {
	local one two

	one=$(container_port beta 10999) two=$(container_port beta 10022)
	shim_stop && kill "$(<"$HOST_DIR/shim6.pid")" || return 1
	spawn_from gamma "$FLOW_DIR/shadow.log" serve tcp:127.0.0.1:10998=shadow \
		'tcp:[::1]:10998=shadow' "tcp:$HOST_GW4:10998=shadow" "tcp:[$HOST_GW6]:10998=shadow" \
		"tcp:[::1]:$one=shadow" "tcp:[::1]:$two=shadow"
	SHADOW=$HOST_SPAWNED
	host_wait 2000 host_listens ":$two\$"
}

host_listens() { host_exec ss -Hltn | awk '{ print $4 }' | grep -q "$1"; }

shadow_end() {
	kill "$SHADOW" && host_wait 2000 process_gone "$SHADOW" && shim_restart 0.0.0.0 && shim6_start
}

process_gone() { ! kill -0 "$1" 2>/dev/null; }

# What an operator may ask for, for scene options.
OPTIONS="[egress]
host = internet
proxies = $PRIVATE4:3128, [$PRIVATE6]:3128
allow = $PRIVATE4 tcp 5432, $PRIVATE6 tcp 5432, $SHARED4
deny = $INET4 tcp 22, $INET6 tcp 22
peers = ${LAN4%.*}.0/24, ${LAN6%:*}:/64
[metadata]
bridge = allow
host = deny
[ports]
guarded = tcp 22, tcp 2222
fenced = tcp 2375, tcp 5555
[job \"epsilon-*\"]
network_mode = FORCED_BRIDGE
[confine]
names = lambda"

# --- jobfence --------------------------------------------------------------------------------------

fence_converged() { jobfence_cli verify >/dev/null 2>&1; }

# fence_start 1|2|3|fence [SECTIONS]: the daemon in this mode, until the kernel has all that it should.
fence_start() {
	local mode=$1 jobs=''

	if [ "$mode" = fence ]; then
		mode=3 jobs=$'[jobs]\non_violation = fence'
	fi
	# A file, so that the daemon and "verify" are told the same.
	echo "DSTACK_SERVER_JOB_NETWORK_MODE=$mode" >"$HOST_DIR/mode"
	jobfence_config "[environment]
environment_file = $HOST_DIR/mode
${2-$EGRESS}
$jobs
${TABLES-}"
	: >"$HOST_DIR/jobfence.log"
	jobfence_start || return 1
	host_wait 10000 grep -qs 'in sync' "$HOST_DIR/jobfence.log" &&
		host_wait 5000 fence_converged && return 0
	tail -n 20 "$HOST_DIR/jobfence.log" >&2
	host_fail "jobfence does not converge"
}

# --- what happens to a host ------------------------------------------------------------------------

try_shadow() { # COLUMN MODE STATE
	shadow_start || return 1
	scene_flows shadow && try_scene "$@"
	shadow_end
}

newborn_start() { # newborn|newdnat
	job_start bridge nu || return 1
	[ "$1" = newdnat ] || { job_start host xi && neighbours_pin alpha nu; }
}

try_newborn() { # SCENE COLUMN MODE STATE
	local scene=$1

	shift
	newborn_start "$scene" || return 1
	scene_flows "$scene" && try_scene "$@"
	container_rm nu
	[ "$scene" = newdnat ] || container_rm xi
}

# try_main COLUMN MODE STATE [newborn]: all scenes of the first host
try_main() {
	local brnf='0 1'

	[ -z "$QUICK" ] || case $3 in
	running) brnf=0 ;;
	stopped) brnf=1 ;;
	esac
	scene_flows main
	for BRNF in $brnf; do
		host_brnf "$BRNF"
		try_scene "$1" "$2" "$3, br_netfilter $BRNF"
	done
	try_shadow "$@" || return 1
	[ -z "${4-}" ] || try_newborn newborn "$@"
	[ "$1" != before ] || { scene_flows options && try_scene "$@"; }
}

# A job that is made and not started: not every machine can give all privileges or has the device.
job_create() { # PLACEMENT ALIAS DOCKER-ARGUMENTS…
	local JOB_ARGS id alias=$2

	job_arguments "$1" "$2" part
	shift 2
	id=$(docker_h create "${JOB_ARGS[@]}" "$@" "$HOST_IMAGE" /bin/serve) || return 1
	printf 'C_ID=%s\nC_APP=8000\n' "$id" >"$HOST_DIR/containers/$alias"
	container_refresh "$alias"
}

# What no ruleset can hold is said: jobs that dstack's users may ask for.
status_jobs() {
	job_create bridge rho --privileged && job_create bridge phi --device /dev/infiniband/uverbs0 &&
		job_start bridge sigma part -v /run/docker.sock:/var/run/docker.sock &&
		job_start bridge tau part -v /:/host &&
		job_start host upsilon whole --cap-add NET_ADMIN --pid host --ipc host
}

try_status() {
	status_jobs || return 1
	scene_flows status && try_scene "$@"
	container_rm rho phi sigma tau upsilon
}

try_part() {
	scene_flows part
	try_scene "$@"
	[ "$2 $3" != "2 running" ] || try_status "$@"
}

try_noproxy() {
	scene_flows noproxy
	try_scene "$@"
	[ -z "${4-}" ] || try_newborn newdnat "$@"
}

# The keys of the configuration that say who reaches whom, with the daemon stopped again.
try_options() {
	if ! fence_start 2 "$OPTIONS" || ! jobfence_stop; then
		host_fail "jobfence with OPTIONS does not start or stop"
		exit 1
	fi
	scene_flows options && try_scene 'mode 2' 2 'options, stopped'
}

run_host() { # main|part|noproxy
	local name=$1 mode column

	"host_$name" || exit 1
	"try_$name" before '' "without jobfence" newborn || exit 1
	for mode in 1 2 3 fence; do
		column="mode $mode"
		[ $mode != fence ] || column=fence
		fence_start $mode || exit 1
		"try_$name" "$column" $mode running || exit 1
		jobfence_stop || { host_fail "jobfence stopped with $?"; exit 1; }
		"try_$name" "$column" $mode stopped newborn || exit 1
	done
	[ "$name" != main ] || try_options
	jobfence_cli remove >"$FLOW_DIR/remove" 2>&1 || { cat "$FLOW_DIR/remove"; exit 1; }
	"try_$name" removed '' "after jobfence remove" || exit 1
	host_down
}

flows() {
	local name scene columns=(before 'mode 1' 'mode 2' 'mode 3' fence removed)

	[ $# -gt 0 ] || set -- main part noproxy
	for name; do
		run_host "$name"
	done
	legend_show
	for scene in "${SCENES[@]}"; do
		case " $* " in
		*" $(scene_host "$scene") "*) scene_show "$scene" cell_show "${columns[@]}" ;;
		esac
	done
	numbers_show
	table_verdict
}

flows_list() {
	local scene

	legend_show
	for scene in "${SCENES[@]}"; do
		scene_show "$scene" want_show before 'mode 1' 'mode 2' 'mode 3' fence removed
	done
	numbers_show
	numbers_check
	[ ${#NOTES[@]} -eq 0 ] || { printf '✗ %s\n' "${NOTES[@]}"; return 1; }
}

scene_host() {
	case $1 in
	shadow | newborn | options) echo main ;;
	newdnat) echo noproxy ;;
	status) echo part ;;
	*) echo "$1" ;;
	esac
}

[ "${1-}" != --quick ] || { QUICK=1; shift; }
table_read "$HERE/flows.table"
[ "${1-}" = --list ] || host_cleanup_stale
case ${1-} in
--list) flows_list ;;
--break)
	# shellcheck source=tests/e2e/break.sh
	. "$HERE/break.sh"
	flows_break
	;;
*) flows "$@" ;;
esac
