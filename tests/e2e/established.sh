#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Connections that were open before jobfence: the forbidden ones are dead within one packet, whoever speaks;
# the allowed ones outlive its start, stop, crash and restart, and a flush of conntrack.
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

FORBIDDEN=() ALLOWED=() ROUTED=() HOST_JOB=()
declare -A SENTENCE
PORT=7200

# open_flow LIST SENTENCE send|push SERVER ADDR[:PORT] CLIENT [DIALLED]: without a port, one of its own.
open_flow() {
	local -n list=$1
	local sentence=$2 kind=$3 server=$4 end=$5 client=$6 to

	PORT=$((PORT + 1))
	case $end in
	*]:* | *.*:*) ;;
	*) end=$end:$PORT ;;
	esac
	to=${7:-$end}
	flow_open f$PORT "$kind" "$server" "$end" "$client" "$to" --every 100 --beat 250 || broken "$sentence"
	list+=("f$PORT")
	SENTENCE[f$PORT]="$sentence ($kind $to)"
}

# The address of a container, v4 or v6, as the tools write it.
at() {
	if [ "$2" = 4 ]; then container_ip4 "$1"; else echo "[$(container_ip6 "$1")]"; fi
}

open_forbidden() {
	local v kind gw lan

	for v in 4 6; do
		gw=$HOST_GW4 lan=$HOST_LAN4
		[ $v = 4 ] || gw=[$HOST_GW6] lan=[$HOST_LAN6]
		for kind in send push; do
			open_flow FORBIDDEN "job → job, one bridge" $kind beta "$(at beta $v)" alpha
			open_flow FORBIDDEN "job → job, across bridges" $kind zeta "$(at zeta $v)" alpha
			open_flow FORBIDDEN "bystander → job" $kind beta "$(at beta $v)" delta
			open_flow FORBIDDEN "job → bystander" $kind delta "$(at delta $v)" alpha
			open_flow FORBIDDEN "job → host, gateway" $kind host "$gw" alpha
			open_flow FORBIDDEN "job → host, LAN address" $kind host "$lan" alpha
			open_flow FORBIDDEN "LAN → job" $kind beta "$(at beta $v)" lan
			open_flow FORBIDDEN "host job → bridge job" $kind beta "$(at beta $v)" gamma
		done
	done
	open_flow FORBIDDEN "host job → shim" send host 127.0.0.1:10998 gamma
	open_flow FORBIDDEN "host job → shim" push host '[::1]:10998' gamma
	open_flow FORBIDDEN "host job → DCGM" push host 127.0.0.1:10997 gamma
	open_flow FORBIDDEN "host job → DCGM" send host '[::1]:10997' gamma
	open_flow FORBIDDEN "host job → other's runner" push epsilon '[::1]:10999' gamma
	open_flow FORBIDDEN "host job → other's runner" send epsilon 127.0.0.9:10999 gamma
	open_flow FORBIDDEN "host job → published port" send beta 0.0.0.0:7001 gamma \
		"127.0.0.1:$(container_port beta 7001)"
	open_flow FORBIDDEN "host job → published port" push beta 0.0.0.0:7002 gamma \
		"127.0.0.1:$(container_port beta 7002)"
	open_flow FORBIDDEN "LAN → published port" send beta 0.0.0.0:7003 lan \
		"$HOST_LAN4:$(container_port beta 7003)"
	open_flow FORBIDDEN "LAN → published port" push beta 0.0.0.0:7004 lan \
		"$HOST_LAN4:$(container_port beta 7004)"
}

open_allowed() {
	local v kind lan gw

	for v in 4 6; do
		lan=$LAN4 gw=$HOST_GW4
		[ $v = 4 ] || lan=[$LAN6] gw=[$HOST_GW6]
		for kind in send push; do
			open_flow ALLOWED "host → job" $kind alpha "$(at alpha $v)" host
			open_flow ALLOWED "bystander → bystander" $kind eps "$(at eps $v)" delta
			open_flow ROUTED "LAN → bystander" $kind delta "$(at delta $v)" lan
			open_flow ALLOWED "bystander → host" $kind host "$gw" delta
		done
		open_flow ROUTED "bystander → LAN" send lan "$lan" delta
	done
	open_flow ROUTED "job → internet" send inet "$INET4" alpha
	open_flow ROUTED "job → internet" send inet "[$INET6]" alpha
	open_flow ALLOWED "host → published port of a job" send alpha 0.0.0.0:7001 host \
		"127.0.0.1:$(container_port alpha 7001)"
	open_flow ALLOWED "host → published port of a job" push alpha 0.0.0.0:7002 host \
		"127.0.0.1:$(container_port alpha 7002)"
	open_flow ALLOWED "host → shim" send host "$HOST_LAN4:10998" host
	open_flow ALLOWED "host → DCGM" push host "[$HOST_LAN6]:10997" host
	open_flow ALLOWED "host → host job's runner" push gamma 127.0.0.3:10999 host
}

# $1: a last part of 127.0.0.0/8 that no other runner listens on
open_host_job() {
	local kind

	for kind in send push; do
		open_flow HOST_JOB "host job → LAN" $kind lan "$LAN4" gamma
		open_flow HOST_JOB "host job → LAN" $kind lan "[$LAN6]" gamma
		open_flow HOST_JOB "host job → internet" $kind inet "$INET4" gamma
		open_flow HOST_JOB "LAN → host job" $kind gamma "$HOST_LAN4" lan
	done
	open_flow HOST_JOB "host job → its own runner" send gamma "127.0.0.$1:10999" gamma
}

# Those of the flows that brought nothing new since the counts in BEFORE, or ended, in STILL.
still_silent() {
	local flow

	STILL=()
	for flow in "$@"; do
		if [ "$(flow_count "$flow")" -lt $((BEFORE[$flow] + 2)) ] || [ -n "$(flow_end "$flow")" ]; then
			STILL+=("$flow")
		fi
	done
	[ ${#STILL[@]} -eq 0 ]
}

# all_move WHAT FLOWS…: each brings something within five seconds, and none ended or missed a message.
all_move() {
	local what=$1 flow STILL
	local -A BEFORE

	shift
	for flow in "$@"; do BEFORE[$flow]=$(flow_count "$flow"); done
	sleep 0.1
	host_wait 5000 still_silent "$@"
	check "$what: connections alive" "$#" $(($# - ${#STILL[@]}))
	for flow in "${STILL[@]}"; do say "dead: ${SENTENCE[$flow]}: $(flow_end "$flow")"; done
}

# all_dead WHAT SINCE FLOWS…: at most the one message that was under way came after that moment.
all_dead() {
	local what=$1 since=$2 flow n worst=0 late=()

	shift 2
	for flow in "$@"; do
		n=$(flow_since "$flow" "$since")
		[ "$n" -le "$worst" ] || worst=$n
		[ "$n" -le 1 ] || late+=("${SENTENCE[$flow]}: $n messages, then: $(flow_end "$flow")")
	done
	check_that "$what: most messages that came after READY=1, of $# connections" "$worst" -le 1
	for n in "${late[@]}"; do say "$n"; done
}

# The longest silence of a flow, in milliseconds.
longest_gap() {
	awk '$2 ~ /^[0-9]+$/ { if (t && $1 - t > g) g = $1 - t; t = $1 } END { print g + 0 }' \
		"$HOST_DIR/flow-$1.to"
}

worst_gap() {
	local flow gap worst=0 whose=

	for flow in "${ALLOWED[@]}" "${HOST_JOB[@]}"; do
		gap=$(longest_gap "$flow")
		[ "$gap" -le "$worst" ] || worst=$gap whose=${SENTENCE[$flow]}
	done
	say "longest silence of an allowed connection so far: $worst ms, $whose"
}

ready_at() { echo $(($1 + $(sed -n 's/^\([0-9]*\) READY=1$/\1/p' "$HOST_DIR/notify.log" | head -n 1))); }

flush_conntrack() { host_exec conntrack -F 2>/dev/null; host_exec conntrack -F -f ipv6 2>/dev/null; }

containers() {
	docker_h network create --ipv6 --subnet fd00:5ec::/64 second >/dev/null &&
		job_start bridge alpha -p 127.0.0.1::7001 -p 127.0.0.1::7002 &&
		job_start bridge beta -p 127.0.0.1::7001 -p 127.0.0.1::7002 -p 7003 -p 7004 &&
		job_start second zeta && job_start host gamma && job_start host epsilon &&
		bystander_start delta && bystander_start eps || broken "containers"
	# Docker keeps its bridges apart: what is closed already would prove nothing.
	host_exec iptables -I FORWARD -j ACCEPT && host_exec ip6tables -I FORWARD -j ACCEPT
}

host_up established || broken "host_up"
containers
open_forbidden
open_allowed
open_host_job 4

section "control: without jobfence"
all_move "forbidden" "${FORBIDDEN[@]}"
all_move "allowed" "${ALLOWED[@]}" "${ROUTED[@]}" "${HOST_JOB[@]}"

section "jobfence starts"
base=$(notify_base)
jobfence_start || broken "jobfence"
at=$(ready_at "$base")
host_wait 10000 jobfence_in_sync 0
sleep 1.5
all_dead "forbidden" "$at" "${FORBIDDEN[@]}"
all_move "allowed" "${ALLOWED[@]}" "${ROUTED[@]}" "${HOST_JOB[@]}"
worst_gap

section "it stops, starts again, is killed, starts again"
jobfence_stop
check "jobfence stops" 0 $?
all_move "allowed, stopped" "${ALLOWED[@]}" "${ROUTED[@]}" "${HOST_JOB[@]}"
jobfence_up || broken "jobfence"
all_move "allowed, started again" "${ALLOWED[@]}" "${ROUTED[@]}" "${HOST_JOB[@]}"
jobfence_kill && jobfence_up || broken "jobfence"
all_move "allowed, killed and started again" "${ALLOWED[@]}" "${ROUTED[@]}" "${HOST_JOB[@]}"
worst_gap

section "mode 3: what a host job had open ends, what the host opened to it does not"
jobfence_stop
base=$(notify_base)
jobfence_start DSTACK_SERVER_JOB_NETWORK_MODE=3 || broken "jobfence"
at3=$(ready_at "$base")
sleep 1.5
all_dead "quarantined" "$at3" "${HOST_JOB[@]}"
all_move "allowed" "${ALLOWED[@]}" "${ROUTED[@]}"

# After it conntrack takes whoever speaks first for the one who opened the connection. Docker's masquerading
# alone ends connections by that, so what it may rewrite (ROUTED) is not asked for.
section "conntrack -F, in mode 2"
jobfence_stop
jobfence_up || broken "jobfence"
HOST_JOB=()
open_host_job 5
all_move "allowed" "${ALLOWED[@]}" "${HOST_JOB[@]}"
flush_conntrack
all_move "allowed, conntrack -F" "${ALLOWED[@]}" "${HOST_JOB[@]}"
jobfence_stop
flush_conntrack
all_move "allowed, stopped, conntrack -F" "${ALLOWED[@]}" "${HOST_JOB[@]}"
jobfence_up || broken "jobfence"
all_move "allowed, started again" "${ALLOWED[@]}" "${HOST_JOB[@]}"
all_dead "forbidden, since the first start" "$at" "${FORBIDDEN[@]}"
worst_gap
jobfence_stop
finish
