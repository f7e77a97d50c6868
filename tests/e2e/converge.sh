#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Whatever dies: the fence stands, bystanders that were served go on, and who starts again finds the same
# ruleset. jobfence killed while containers come and go; the engine stopped and killed; foreign hands in the
# ruleset; a dead bystander's address.
#
# Usage: converge.sh [--quick|--long]     (two rounds; one; three)
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

ROUNDS=2
[ "${1-}" = --quick ] && ROUNDS=1
[ "${1-}" = --long ] && ROUNDS=3
STREAMS=(delta-eps eps-delta6 lan-delta delta-lan6 delta-host host-alpha)

open_streams() {
	local d4 e4 d6

	d4=$(container_ip4 delta) e4=$(container_ip4 eps) d6=[$(container_ip6 delta)]
	flow_open delta-eps send eps "$e4:7301" delta "$e4:7301" --every 20 &&
		flow_open eps-delta6 push delta "$d6:7302" eps "$d6:7302" --every 20 &&
		flow_open lan-delta send delta "$d4:7303" lan "$d4:7303" --every 20 &&
		flow_open delta-lan6 send lan "[$LAN6]:7304" delta "[$LAN6]:7304" --every 20 &&
		flow_open delta-host push host "$HOST_GW4:7305" delta "$HOST_GW4:7305" --every 20 &&
		flow_open host-alpha send alpha "$(container_ip4 alpha):7306" host \
			"$(container_ip4 alpha):7306" --every 20 || broken "streams"
}

streams_live() { # WHAT
	local stream alive=0

	for stream in "${STREAMS[@]}"; do
		if flow_moves "$stream" 5000 && [ -z "$(flow_end "$stream")" ]; then
			alive=$((alive + 1))
		else
			say "dead: $stream: $(flow_end "$stream")"
		fi
	done
	check "$1: numbered streams without a gap" ${#STREAMS[@]} "$alive"
}

closed() { # WHAT
	check_flow "$1: job → neighbour" "$CLOSED" alpha "$(container_ip4 beta)" 10999
	check_flow "$1: job → neighbour, IPv6" "$CLOSED" alpha "$(container_ip6 beta)" 10999
	check_flow "$1: job → host" "$CLOSED" alpha "$HOST_GW4" 22
	check_flow "$1: LAN → job" "$CLOSED" lan "$(container_ip6 beta)" 8000
	check_flow "$1: host job → shim" "$CLOSED" gamma 127.0.0.1 10998
	check_flow "$1: host job → published port" "$CLOSED" gamma 127.0.0.1 "$(container_port beta 10999)"
	check_flow "$1: host → job" open:beta:runner host "$(container_ip4 beta)" 10999
}

verified() { # WHAT
	local out code

	out=$(jobfence_cli verify 2>&1)
	code=$?
	check "$1: verify" 0 "$code"
	[ "$code" -eq 0 ] || printf '    %s\n' "${out//$'\n'/$'\n    '}" | head -20
}

# The ruleset without what counts, in an order of its own.
listing() {
	host_exec nft -n list ruleset 2>/dev/null | awk '/^table/ { on = / jobfence / } on' |
		sed 's/packets [0-9]* bytes [0-9]*//; s/ # progname.*//; /^\tflags/d' | tr ',{}' '\n' | sed 's/^[[:space:]]*//; s/[[:space:]]*$//' |
		grep -v '^\(elements =\)\?$' | sort
}

# Twenty containers, most of them for a moment.
churn() {
	local i placement

	for ((i = 0; i < 20; i++)); do
		case $((i % 4)) in
		0) job_start bridge "c$i" ;;
		1) bystander_start "c$i" ;;
		2) JOB_APP=$((8500 + i)) job_start host "c$i" ;;
		3) job_start second "c$i" ;;
		esac || return 1
		[ $i -lt 4 ] || [ $((i % 5)) -eq 0 ] || container_rm "c$((i - 3))" || return 1
	done
}

clear_churn() {
	local alias

	for alias in "$HOST_DIR"/containers/c*; do container_rm "$(basename "$alias")"; done
}

killed_in_churn() {
	local round pid code

	section "jobfence is killed while 20 containers come and go"
	for ((round = 1; round <= ROUNDS; round++)); do
		churn >/dev/null 2>"$HOST_DIR/churn.log" &
		pid=$!
		sleep "$round.3"
		jobfence_kill || broken "kill"
		closed "round $round, killed"
		sleep 1
		jobfence_start || broken "jobfence"
		sleep 1
		jobfence_kill && jobfence_up || broken "jobfence"
		wait $pid
		code=$?
		check "round $round: containers came and went" 0 $code
		[ $code -eq 0 ] || tail -n 3 "$HOST_DIR/churn.log"
		sleep 0.5
		verified "round $round"
		streams_live "round $round"
		closed "round $round"
		listing >"$HOST_DIR/converged"
		jobfence_stop && jobfence_cli remove >/dev/null 2>&1
		check "round $round: remove takes all of it" 0 "$(listing | wc -l)"
		jobfence_up && sleep 0.5
		listing >"$HOST_DIR/fresh"
		check "round $round: lines that differ from a fresh start's, of $(wc -l <"$HOST_DIR/fresh")" 0 \
			"$(diff "$HOST_DIR/converged" "$HOST_DIR/fresh" | grep -c '^[<>]')"
		diff "$HOST_DIR/converged" "$HOST_DIR/fresh" | grep '^[<>]' | head
		clear_churn
	done
}

# A fresh ruleset after `remove` was a moment in which streams could pass or be cut: they are opened anew.
streams_anew() {
	local stream pid

	for stream in "${STREAMS[@]}"; do rm -f "$HOST_DIR/flow-$stream."*; done
	# shellcheck disable=SC2009 # the whole command line, and this host's only
	for pid in $(cat "$HOST_CG/host/cgroup.procs" "$HOST_CG/peers/cgroup.procs" \
		"$(container_cgroup delta)/cgroup.procs" "$(container_cgroup eps)/cgroup.procs" \
		"$(container_cgroup alpha)/cgroup.procs"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != stream ] || kill "$pid"
	done
	sleep 0.1
	open_streams
}

engine_dies() { # stop|kill
	local before

	engine_"$1" || broken "engine_$1"
	sleep 0.5
	closed "engine gone"
	streams_live "engine gone"
	before=$(grep -c 'in sync' "$HOST_DIR/jobfence.log")
	engine_start || broken "engine_start"
	host_wait 15000 jobfence_in_sync "$before"
	check "in step with the engine again" 0 $?
	sleep 0.3
	verified "engine back"
	closed "engine back"
	streams_live "engine back"
}

healed() { [ "$(listing | wc -l)" -eq "$WHOLE" ]; }

# foreign WHAT NFT-COMMAND…: healed by the event, and who it was is in the log.
foreign() {
	local what=$1 since before

	shift
	before=$(grep -c 'nft.*changed' "$HOST_DIR/jobfence.log")
	since=$(now_ms)
	host_exec nft "$@" 2>/dev/null || broken "nft $*"
	host_wait 5000 healed
	check "$what: healed" 0 $?
	say "$what: whole again after at most $(($(now_ms) - since)) ms (with nft and the listing itself)"
	check_that "$what: lines in the log that name nft" \
		"$(($(grep -c 'nft.*changed' "$HOST_DIR/jobfence.log") - before))" -gt 0
}

# not_theirs WHAT NFT-COMMAND…: refused, or passed over, and nothing was to be healed.
not_theirs() {
	local what=$1 before

	shift
	before=$(grep -c 'changed' "$HOST_DIR/jobfence.log")
	host_exec nft "$@" 2>/dev/null
	listing >"$HOST_DIR/after"
	check "$what: lines that differ" 0 "$(diff "$HOST_DIR/owned" "$HOST_DIR/after" | grep -c '^[<>]')"
	check "$what: changes in the log" 0 "$(($(grep -c 'changed' "$HOST_DIR/jobfence.log") - before))"
}

# Where the kernel can, the tables are the daemon's.
owned_hands() {
	grep -q 'no other process can change the tables' "$HOST_DIR/jobfence.log" || {
		section "foreign hands, owned: not in this kernel"
		return
	}
	section "foreign hands, owned"
	listing >"$HOST_DIR/owned"
	not_theirs "a rule deleted" flush chain inet jobfence from_bridge
	not_theirs "an element deleted" delete element inet jobfence host_apis '{ 10998 }'
	not_theirs "a bystander too many" add element inet jobfence bystanders4 '{ 172.17.0.77 }'
	not_theirs "table inet deleted" delete table inet jobfence
	not_theirs "table bridge deleted" delete table bridge jobfence
	check "remove, while the daemon runs" 1 "$(jobfence_cli remove >"$HOST_DIR/remove" 2>&1; echo $?)"
	check "… and why" "*stop it first*" "$(<"$HOST_DIR/remove")"
	streams_live "afterwards"
}

foreign_hands() {
	jobfence_config $'[nftables]\nowner = no'
	jobfence_signal HUP
	host_wait 5000 grep -q 'as \[nftables\] owner = no says' "$HOST_DIR/jobfence.log"
	check "reload with owner = no" 0 $?
	section "foreign hands"
	WHOLE=$(listing | wc -l)
	foreign "a rule deleted" flush chain inet jobfence from_bridge
	foreign "an element deleted" delete element inet jobfence host_apis '{ 10998 }'
	foreign "a bystander too many" add element inet jobfence bystanders4 '{ 172.17.0.77 }'
	foreign "table inet deleted" delete table inet jobfence
	foreign "table bridge deleted" delete table bridge jobfence
	streams_live "afterwards"
	# Docker's own tables go with that, and so does what they masquerade.
	STREAMS=("${STREAMS[@]/delta-lan6/lan-delta}")
	foreign "flush ruleset" flush ruleset
	verified "afterwards"
	closed "afterwards"
	streams_live "afterwards"
	grep 'changed jobfence' "$HOST_DIR/jobfence.log" | tail -n 1 | sed 's/^/    /'
}

stale_bystander() {
	section "a dead bystander's address, given to a job while jobfence is stopped"
	bystander_start stale --network second --ip 172.30.0.9 --ip6 fd00:5ec::9 || broken "stale"
	bystander_start other --network second || broken "other"
	sleep 0.5
	check_flow "LAN → the bystander" open:stale lan 172.30.0.9 8000
	check_flow "LAN → the bystander, IPv6" open:stale lan fd00:5ec::9 8000
	jobfence_stop
	container_rm stale
	job_start second thief part --ip 172.30.0.9 --ip6 fd00:5ec::9 || broken "thief"
	check_flow "LAN → the job" "$CLOSED" lan 172.30.0.9 8000
	check_flow "LAN → the job, IPv6" "$CLOSED" lan fd00:5ec::9 8000
	check_flow "bystander → the job" "$CLOSED" other 172.30.0.9 8000
	check_flow "host job → the job" "$CLOSED" gamma 172.30.0.9 10999
	check_flow "the job → host" "$CLOSED" thief 172.30.0.1 22
	check_flow "the job → bystander" "$CLOSED" thief "$(container_ip4 other)" 8000
	check_flow "host → the job's published runner" open:thief:runner host 127.0.0.1 \
		"$(container_port thief 10999)"
	check_flow "host → the job" open:thief:runner host 172.30.0.9 10999
	check_flow "host → the job, IPv6" open:thief:runner host fd00:5ec::9 10999
	check_flow "LAN → the other bystander" open:other lan "$(container_ip4 other)" 8000
	check_that "packets in counter stale_bystander" "$(counter bridge stale_bystander)" -gt 0
	jobfence_up || broken "jobfence"
	sleep 0.5
	check_flow "started again: LAN → the job" "$CLOSED" lan 172.30.0.9 8000
	check_flow "started again: host → the job" open:thief:runner host 172.30.0.9 10999
	verified "started again"
}

HOST_LIVE_RESTORE=true host_up converge || broken "host_up"
shim_start
docker_h network create --subnet 172.30.0.0/24 --gateway 172.30.0.1 --ipv6 --subnet fd00:5ec::/64 \
	second >/dev/null || broken "network"
# Only jobfence shall stop what is forbidden.
host_exec iptables -I FORWARD -j ACCEPT && host_exec ip6tables -I FORWARD -j ACCEPT
job_start bridge alpha && job_start bridge beta && job_start host gamma &&
	bystander_start delta && bystander_start eps || broken "containers"
jobfence_up || broken "jobfence"
open_streams
killed_in_churn

section "the engine stops in order, with live-restore"
streams_anew
engine_dies stop
section "the engine is killed"
engine_dies kill
stale_bystander
owned_hands
foreign_hands
jobfence_stop
check "jobfence stops" 0 $?
finish
