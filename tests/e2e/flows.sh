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

SECOND_GW4=172.30.0.1 SECOND_GW6=fd00:5ec::1 HOST_LO4=192.0.2.127
BRNF=1 QUICK=''
FLOW_DIR=$(mktemp -d)
trap 'host_down_all; rm -rf "$FLOW_DIR"' EXIT

# --- hosts -----------------------------------------------------------------------------------------

more_networks() {
	docker_h network create --subnet 172.30.0.0/24 --gateway $SECOND_GW4 --ipv6 \
		--subnet fd00:5ec::/64 --gateway $SECOND_GW6 second >/dev/null &&
		docker_h network create third >/dev/null
}

# No kind of ICMP error is limited, neither by destination nor by all that a namespace sends.
ICMP_UNLIMITED='echo 0 >/proc/sys/net/ipv4/icmp_ratemask; echo "" >/proc/sys/net/ipv6/icmp/ratemask'

# Nothing but jobfence shall stop a forbidden flow: neither Docker's rules between bridges, nor a MAC
# address that nobody answers for, nor the kernel's limit of ICMP errors. The LAN also sends to the
# host's 127.0.0.1: what it dials as HOST_LO4 goes out with that address.
host_open_wide() {
	local C_ID C_PID C_IP4 C_IP6 C_MAC name

	host_exec iptables -I FORWARD -j ACCEPT && host_exec ip6tables -I FORWARD -j ACCEPT || return 1
	lan_exec nft -f - <<-END || return 1
		table ip hostlo {
			chain out {
				type filter hook postrouting priority 0
				ip daddr $HOST_LO4 ip daddr set 127.0.0.1
			}
			chain in {
				type filter hook prerouting priority -400
				iifname "eth0" ip saddr 127.0.0.1 ip saddr set $HOST_LO4
			}
		}
	END
	for name in "$@"; do
		container_facts "$name" && nsenter -t "$C_PID" -n sh -c "$ICMP_UNLIMITED" || return 1
	done
	host_exec sh -c "$ICMP_UNLIMITED" && inet_exec sh -c "$ICMP_UNLIMITED" || return 1
	neighbours_pin "$@"
}

# Each knows the others' MAC addresses: what is tried is the packet itself, not the question before it.
neighbours_pin() { # NAME…, all on docker0
	local C_ID C_PID C_IP4 C_IP6 C_MAC one other lines=''

	for one; do
		container_facts "$one" || return 1
		lines+="neigh replace $C_IP4 lladdr $C_MAC dev eth0 nud permanent"$'\n'
		lines+="neigh replace $C_IP6 lladdr $C_MAC dev eth0 nud permanent"$'\n'
	done
	for other; do
		container_facts "$other" || return 1
		nsenter -t "$C_PID" -n ip -batch - <<<"$lines" || return 1
	done
}

host_main() {
	local port

	host_up flows-main && more_networks && places_make || return 1
	shim_start 0.0.0.0 && shim6_start && more_services || return 1
	job_start bridge alpha && job_start bridge beta && job_start second zeta part --dns $PRIVATE4 &&
		job_start bridge theta part -p 18000:8000 --dns $RESOLVER4 && job_start third mu part -p 18002:8000 &&
		job_start host gamma && job_start host epsilon && job_start host kappa part || return 1
	bystander_start delta -p 18001:8000 && bystander_start lambda &&
		bystander_start eta --network second && bystander_start omega --network host &&
		container_run iota 7999 --name iota --network "container:$(container_id delta)" \
			"$HOST_IMAGE" /bin/serve tcp:127.0.0.1:7999=iota || return 1
	port=$(container_port beta 10999)
	spawn_from gamma "$FLOW_DIR/gamma.log" serve "tcp:$HOST_LAN4:10999=gamma:runner" \
		"tcp:[$HOST_LAN6]:10999=gamma:runner" "tcp:$HOST_LAN4:$port=gamma:own" \
		"tcp:$HOST_WAN4:10999=gamma:runner" "tcp:[$HOST_WAN6]:10999=gamma:runner" \
		tcp:0.0.0.0:2379=gamma:etcd 'tcp:[::]:2379=gamma:etcd' \
		tcp:0.0.0.0:4222=gamma:nats 'tcp:[::]:4222=gamma:nats' \
		tcp:0.0.0.0:2222=gamma:guarded 'tcp:[::]:2222=gamma:guarded' \
		unix:/run/dstack/server.sock=server
	spawn_from alpha "$FLOW_DIR/alpha.log" serve unix:/run/dstack/server.sock=server
	spawn_from kappa "$FLOW_DIR/kappa.log" serve unix:/run/dstack/server.sock=server
	host_open_wide alpha beta theta delta lambda
}

# An old shim's other half: a listener of this host takes one family.
shim6_start() {
	host_exec serve -b -p "$HOST_DIR/shim6.pid" 'tcp:[::]:10998=shim' 'tcp:[::]:10997=dcgm'
}

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

host_part() {
	host_up flows-part && shim_start || return 1
	job_start host kappa part && job_start host epsilon && job_start bridge alpha &&
		bystander_start delta
}

host_noproxy() {
	HOST_USERLAND_PROXY=false host_up flows-noproxy && shim_start || return 1
	job_start bridge alpha && job_start bridge beta &&
		job_start bridge theta part -p 18000:8000 && job_start host gamma &&
		bystander_start delta -p 18001:8000 && bystander_start lambda || return 1
	host_open_wide alpha beta theta delta lambda
}

# The internet that a job knows has its proxy in a private network.
EGRESS="[egress]
proxies = $PRIVATE4:3128, [$PRIVATE6]:3128"

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
