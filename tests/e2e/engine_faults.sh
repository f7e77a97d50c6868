#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The engine's life, hammered: a job on a bridge, one on the host's network, a bystander and the LAN dial what
# is forbidden without pause, and connections that are allowed carry numbered messages, while dockerd is
# restarted, killed, hung, shut away, and containers come, go, restart and die unseen. Nothing forbidden may
# succeed once, nothing allowed may be cut, and it heals by itself.
#
# Usage: engine_faults.sh [--long]     (--long: jobfence and the engine are held for a minute)
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

HELD_S=3
[ "${1-}" = --long ] && HELD_S=60
META4=169.254.169.254
declare -A SEEN=() # what the hammers had counted when the last section ended

# --- the hammers -----------------------------------------------------------------------------------

shut_from() { # WHO: what it may not reach, as the hammer writes it
	case $1 in
	gamma) echo "shim=tcp,shut,127.0.0.1,10998 dcgm=tcp,shut,127.0.0.1,10997" \
		"published=tcp,shut,127.0.0.1,$(container_port beta 10999)" \
		"beta=tcp,shut,$(container_ip4 beta),10999" "beta6=tcp,shut,$(container_ip6 beta),10999" ;;
	alpha) echo "beta=tcp,shut,$(container_ip4 beta),10999" "beta6=tcp,shut,$(container_ip6 beta),10999" \
		"delta=tcp,shut,$(container_ip4 delta),8000" "gw=tcp,shut,$HOST_GW4,22" \
		"gw6=tcp,shut,$HOST_GW6,22" "lan=tcp,shut,$LAN4,8080" "lan6=udp,shut,$LAN6,8080" \
		"meta=tcp,shut,$META4,80" ;;
	delta | lan) echo "beta=tcp,shut,$(container_ip4 beta),10999" \
		"beta6=tcp,shut,$(container_ip6 beta),10999" ;;
	host) ;;
	esac
}

kept_from() { # WHO: connections that must not be cut
	case $1 in
	alpha) echo "inet=hold,open,$INET4,443,inet" "inet6=hold,open,$INET6,443,inet" ;;
	delta) echo "eps=hold,open,$(container_ip4 eps),8000,eps" "host=hold,open,$HOST_GW6,22,sshd" ;;
	lan) echo "delta=hold,open,$(container_ip4 delta),8000,delta" ;;
	host) echo "alpha=hold,open,$(container_ip4 alpha),10999,alpha:runner" ;;
	gamma) echo "lan=hold,open,$LAN4,8080,lan" ;;
	esac
}

WHO=(gamma alpha delta lan host)
declare -A PIDS=() # per host

hammer_start() { # NAME WHO FLOWS…
	local name=$1 who=$2

	shift 2
	spawn_from "$who" "$HOST_DIR/hammer-$name.log" hammer --every 2 "$@" 3>"$HOST_DIR/hammer-$name.count" ||
		broken "hammer of $who"
	PIDS[$HOST_NAME]+=" $HOST_SPAWNED"
}

# shellcheck disable=SC2046 # lists of flows
hammers_start() {
	local who

	for who in "${WHO[@]}"; do hammer_start "$who" "$who" $(shut_from "$who") $(kept_from "$who"); done
	sleep 0.7
	settle
}

# shellcheck disable=SC2086 # pids
hammers_stop() { kill ${PIDS[$HOST_NAME]}; PIDS[$HOST_NAME]=; }

# figure shut|open COLUMN: of all hammers of this host: 4 attempts, 5 open
figure() { cat "$HOST_DIR"/hammer-*.count | awk -v want="$1" -v at="$2" '$2 == want { n += $at } END { print n + 0 }'; }
cuts() { cat "$HOST_DIR"/hammer-*.log | grep -c ' cut '; }
settle() { SEEN[$HOST_NAME-shut]=$(figure shut 4) SEEN[$HOST_NAME-open]=$(figure open 5); }

# What the hammers did since the last time: hammered WHAT
hammered() {
	local tried kept

	sleep 0.6 # figures are written twice a second
	tried=$(($(figure shut 4) - SEEN[$HOST_NAME-shut])) kept=$(($(figure open 5) - SEEN[$HOST_NAME-open]))
	settle
	check_that "$1: forbidden attempts" "$tried" -ge 200
	check "$1: of them successful, from the start" 0 "$(figure shut 5)"
	check_that "$1: messages on connections that are kept" "$kept" -ge 50
	check "$1: kept connections that were cut" 0 "$(cuts)"
	cat "$HOST_DIR"/hammer-*.log | grep -E ' (leak|cut) ' | sort -u -k 3,3 | head -5
}

# --- looking ---------------------------------------------------------------------------------------

is_verified() { jobfence_cli verify >/dev/null 2>&1; }

# healed WHAT SINCE-MS: verify says yes within two seconds
healed() {
	host_wait 2000 is_verified
	check "$1: verify" 0 $?
	say "$1: healed $(($(now_ms) - $2)) ms after the engine was back, with verify itself"
}

lines() { grep -c -- "$1" "$HOST_DIR/jobfence.log"; }
has_line() { [ "$(lines "$1")" -gt "$2" ]; }

ports_of_bystanders() { host_exec nft list set bridge jobfence bystander_ports | grep -o 'veth[0-9a-f]*' | wc -l; }

# --- hosts -----------------------------------------------------------------------------------------

containers() {
	# only jobfence shall stop what is forbidden
	host_exec iptables -I FORWARD -j ACCEPT && host_exec ip6tables -I FORWARD -j ACCEPT &&
		inet_exec ip addr add "$META4/32" dev lo && inet_exec serve -b "tcp:$META4:80=meta" &&
		job_start bridge alpha && job_start bridge beta && job_start host gamma &&
		bystander_start delta && bystander_start eps || broken "containers"
}

control() {
	local who

	section "control: without jobfence ($HOST_NAME)"
	# shellcheck disable=SC2046
	for who in gamma alpha delta lan; do hammer_start "control-$who" "$who" $(shut_from "$who"); done
	sleep 1.2
	check "forbidden flows that are open" "$(cat "$HOST_DIR"/hammer-control-*.count | wc -l)" \
		"$(cat "$HOST_DIR"/hammer-control-*.count | awk '$5 > 0' | wc -l)"
	hammers_stop
	rm "$HOST_DIR"/hammer-control-*
}

# --- what happens ----------------------------------------------------------------------------------

hung_begin() {
	host_up hung || broken "host_up"
	shim_start
	containers
	control
	jobfence_up || broken "jobfence"
	hammers_start
	SYNCS=$(lines 'in sync')
	engine_signal STOP
	HUNG_AT=$(now_ms)
}

hung_end() {
	local since

	section "the engine hangs: it accepts and never answers"
	host_use hung
	host_wait 95000 has_line 'lost: /_ping: no answer in time' 0
	check "it is noticed" 0 $?
	say "looked for until $((($(now_ms) - HUNG_AT) / 1000)) s after it hung"
	check_flow "hung: job → neighbour" "$CLOSED" alpha "$(container_ip6 beta)" 10999
	check_flow "hung: LAN → bystander, a new connection" open:delta lan "$(container_ip4 delta)" 8000
	check_flow "hung: bystander → host, a new connection" open:sshd delta "$HOST_GW4" 22
	[ "$HELD_S" -le 3 ] || sleep "$HELD_S"
	hammered "hung"
	check "hung: lines that say so" 1 "$(lines 'lost: ')"
	engine_signal CONT
	since=$(now_ms)
	host_wait 15000 jobfence_in_sync "$SYNCS"
	check "let go: in step again" 0 $?
	healed "let go" "$since"
	hammered "let go"
	jobfence_stop
}

restarted() {
	local since syncs losses

	section "dockerd restarts in order, with live-restore"
	syncs=$(lines 'in sync') losses=$(lines 'lost: ')
	engine_stop || broken "engine_stop"
	sleep 0.5
	check_flow "gone: LAN → bystander, a new connection" open:delta lan "$(container_ip4 delta)" 8000
	engine_start || broken "engine_start"
	since=$(now_ms)
	host_wait 15000 jobfence_in_sync "$syncs"
	check "in step again" 0 $?
	healed "restarted" "$since"
	check "lines that say that it was lost" 1 $(($(lines 'lost: ') - losses))
	hammered "restarted"
}

# A bystander and a job die while nobody can say so.
killed_while_they_die() {
	local since syncs ports

	section "dockerd is killed, and containers die while it is down"
	bystander_start doomed --network second --ip 172.30.0.9 --ip6 fd00:5ec::9 &&
		job_start bridge victim || broken "doomed"
	host_wait 5000 is_verified
	ports=$(ports_of_bystanders)
	syncs=$(lines 'in sync')
	engine_kill || broken "engine_kill"
	kill -KILL "$(container_pid doomed)" "$(container_pid victim)"
	sleep 0.5
	engine_start || broken "engine_start"
	since=$(now_ms)
	host_wait 15000 jobfence_in_sync "$syncs"
	check "in step again" 0 $?
	healed "killed" "$since"
	check "the dead bystander's port is forgotten" $((ports - 1)) "$(ports_of_bystanders)"
	hammered "killed"
	# its address is the next one's: what was the bystander's must not be
	container_rm doomed victim
	job_start second heir part --ip 172.30.0.9 --ip6 fd00:5ec::9 || broken "heir"
	check_flow "heir of a dead bystander's address: LAN → it" "$CLOSED" lan 172.30.0.9 8000
	check_flow "heir: it → host" "$CLOSED" heir 172.30.0.1 22
	container_rm heir
}

api() { curl -sS --unix-socket "$HOST_DIR/docker.sock" -X "$1" "http://docker$2"; }

# jobfence sees nothing of a bystander's end and of the job that is given its address.
daemon_held() {
	local since end n=0 cost failed

	section "jobfence is held for $HELD_S s while containers come and go"
	bystander_start stale --network second --ip 172.30.0.8 --ip6 fd00:5ec::8 || broken "stale"
	host_wait 5000 open_to lan 172.30.0.8 8000
	check_flow "LAN → the bystander" open:stale lan 172.30.0.8 8000
	jobfence_signal STOP
	container_rm stale
	since=$(now_ms)
	job_start second thief part --ip 172.30.0.8 --ip6 fd00:5ec::8 || broken "thief"
	cost=$(($(now_ms) - since))
	check_flow "held: LAN → the job with the bystander's address" "$CLOSED" lan 172.30.0.8 8000
	check_flow "held: LAN → it, IPv6" "$CLOSED" lan fd00:5ec::8 8000
	check_flow "held: it → host" "$CLOSED" thief 172.30.0.1 22
	check_flow "held: it → bystander" "$CLOSED" thief "$(container_ip4 delta)" 8000
	end=$((since + HELD_S * 1000)) failed=$FAILED
	while [ "$(now_ms)" -lt "$end" ]; do
		job_start bridge come && bystander_start went || broken "churn"
		check_flow "held: a job that came" "$CLOSED" come "$(container_ip4 beta)" 10999 >/dev/null
		n=$((n + 2))
		container_rm come went
	done
	check "held: $n containers came and went, jobs that reached a neighbour" 0 $((FAILED - failed))
	check_that "held: ms to start a job" "$cost" -lt 5000
	jobfence_signal CONT
	since=$(now_ms)
	healed "let go" "$since"
	check_flow "let go: LAN → the job" "$CLOSED" lan 172.30.0.8 8000
	container_rm thief
	hammered "held"
}

port_lines() { host_exec nft -n list ruleset 2>/dev/null | grep -c veth; }

spin() { # ID END-MS: one line per start
	while [ "$(now_ms)" -lt "$2" ]; do
		api POST "/containers/$1/start" && api POST "/containers/$1/wait"
	done
}

# Bystanders and jobs that end at once and are started again.
restart_loop() {
	local ids=() id end n before after pids=() JOB_ARGS

	section "containers in a restart loop"
	host_wait 3000 is_verified
	before=$(port_lines) after=$(lines .)
	for id in 1 2; do
		job_arguments bridge "spinning$id" part
		ids+=("$(docker_h create "$HOST_IMAGE" /bin/true)") || broken "create"
		ids+=("$(docker_h create "${JOB_ARGS[@]}" "$HOST_IMAGE" /bin/startdial --for 1 "$(container_ip4 beta):10999")") || broken "create"
	done
	end=$(($(now_ms) + HELD_S * 1000))
	for id in "${ids[@]}"; do
		spin "$id" "$end" >>"$HOST_DIR/spin.log" &
		pids+=($!)
	done
	wait "${pids[@]}"
	n=$(grep -c StatusCode "$HOST_DIR/spin.log")
	check_that "starts" "$n" -ge 4
	check "of them that reached a neighbour" 0 "$(grep StatusCode "$HOST_DIR/spin.log" | grep -vc '"StatusCode":0')"
	docker_h rm -f "${ids[@]}" >/dev/null
	host_wait 3000 is_verified
	check "after $n starts: verify" 0 $?
	check "lines of the ruleset that name ports" "$before" "$(port_lines)"
	check_that "lines of the log, with $n starts" $(($(lines .) - after)) -le $((2 * n + 4))
	hammered "restart loop"
}

# What an administrator does to a running job.
paused_renamed_updated() {
	local id

	section "paused, renamed, given other limits"
	id=$(container_id beta)
	docker_h pause "$id" >/dev/null && docker_h rename "$id" other-0-0-0badcafe &&
		docker_h update --cpus 0.5 --memory 32m --memory-swap 32m "$id" >/dev/null || broken "update"
	host_wait 3000 is_verified
	check "paused: verify" 0 $?
	docker_h unpause "$id" >/dev/null
	host_wait 3000 is_verified
	check "unpaused: verify" 0 $?
	check "status knows the new name" '*isolated*' "$(jobfence_cli status | grep other-0-0)"
	hammered "paused"
}

wait_lost() { # WHY
	host_wait 5000 has_line "lost: .*$1" 0
	check "the log says why" 0 $?
	check_flow "meanwhile: job → host" "$CLOSED" alpha "$HOST_GW4" 22
	check_flow "meanwhile: LAN → bystander, a new connection" open:delta lan "$(container_ip4 delta)" 8000
}

socket_shut_away() {
	local JOBFENCE_WRAP=()

	section "no permission to the socket"
	jobfence_stop
	host_exec chmod 0 /run/docker.sock
	JOBFENCE_WRAP=(setpriv --bounding-set '-dac_override,-dac_read_search')
	: >"$HOST_DIR/jobfence.log"
	jobfence_start || broken "jobfence"
	wait_lost "Permission denied"
	host_exec chmod 660 /run/docker.sock
	host_wait 3000 jobfence_in_sync 0
	check "permitted again: in step" 0 $?
	section "no socket, another one's socket"
	jobfence_stop
	JOBFENCE_WRAP=()
	host_exec mv /run/docker.sock /run/docker.sock.away
	: >"$HOST_DIR/jobfence.log"
	jobfence_start || broken "jobfence"
	wait_lost "No such file"
	# somebody else listens there: nothing that it says is Docker's
	host_spawn host "$HOST_DIR/liar.log" serve unix:/run/docker.sock=liar
	disown "$HOST_SPAWNED"
	sleep 1
	check_flow "with a liar behind it: job → host" "$CLOSED" alpha "$HOST_GW4" 22
	kill "$HOST_SPAWNED"
	host_exec mv -f /run/docker.sock.away /run/docker.sock
	host_wait 3000 jobfence_in_sync 0
	check "its own again: in step" 0 $?
	host_wait 2000 is_verified
	check "verify" 0 $?
	check "lines about it, in all" 1 "$(lines 'lost: ')"
	hammered "shut away"
}

# The job's own first process hammers, and is started again by the engine.
phoenix_start() {
	local JOB_ARGS

	job_arguments bridge phoenix part
	# shellcheck disable=SC2046
	container_run phoenix 8000 "${JOB_ARGS[@]}" --restart always "$HOST_IMAGE" /bin/hammer --every 2 \
		--into /tmp/runner/hammer $(shut_from alpha) -- /bin/serve -k tcp:0.0.0.0:10999=phoenix:runner
}

phoenix_lives() { [ "$(cat "$HOST_DIR"/runners/phoenix-*/hammer.*.count 2>/dev/null | grep -c '^gw ')" -ge "$1" ]; }
phoenix_figure() {
	cat "$HOST_DIR"/runners/phoenix-*/hammer.*.count | awk -v at="$1" '{ n += $at } END { print n + 0 }'
}

without_live_restore() {
	local since syncs before

	section "dockerd restarts without live-restore: containers end, and some start before jobfence knows"
	phoenix_start || broken "phoenix"
	host_wait 5000 phoenix_lives 1
	sed -i 's/"live-restore": true/"live-restore": false/' "$HOST_DIR/daemon.json"
	engine_signal HUP
	sleep 0.5
	hammered "before"
	hammers_stop
	syncs=$(lines 'in sync')
	engine_stop || broken "engine_stop"
	jobfence_signal STOP # the worst case: it hears of nothing
	before=$(phoenix_figure 4)
	engine_start || broken "engine_start"
	host_wait 10000 phoenix_lives 2
	check "the job is started again by the engine" 0 $?
	sleep 1.2
	check_that "its forbidden attempts before jobfence knew it" $(($(phoenix_figure 4) - before)) -ge 200
	jobfence_signal CONT
	since=$(now_ms)
	host_wait 15000 jobfence_in_sync "$syncs"
	check "in step again" 0 $?
	healed "restarted" "$since"
	container_refresh phoenix
	check_flow "host → the job's runner" open:phoenix:runner host "$(container_ip4 phoenix)" 10999
	check "of its $(phoenix_figure 4) attempts successful" 0 "$(phoenix_figure 5)"
}

HOST_LIVE_RESTORE=true
hung_begin
host_up engine || broken "host_up"
shim_start
docker_h network create --subnet 172.30.0.0/24 --gateway 172.30.0.1 --ipv6 --subnet fd00:5ec::/64 \
	second >/dev/null || broken "network"
containers
control
jobfence_up || broken "jobfence"
hammers_start
restarted
killed_while_they_die
daemon_held
restart_loop
paused_renamed_updated
socket_shut_away
without_live_restore
jobfence_stop
check "jobfence stops" 0 $?
hung_end
finish
