#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An engine that lies (tools/fakeengine.c): storms of events, hundreds of containers at once, answers that are
# wrong, late, cut or missing for one container of many, two with one address, events that never came, another
# engine behind the same socket. What nobody vouches for stays closed, the others are served, and in the end
# the ruleset is what the engine's list says, at a bounded price.
#
# Usage: engine_lies.sh [--long]     (--long: waits for the periodic look, up to 80 s)
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

LONG=''
[ "${1-}" = --long ] && LONG=1
declare -A NS=() # [host-number]: the holder of a namespace

# --- a host whose containers are made by hand --------------------------------------------------------

place_make() { # NUMBER: namespace, port and servers of one container
	local n=$1 mac pid

	host_hold -n && pid=$HOST_HELD || return 1
	NS[$HOST_NAME-$n]=$pid
	printf -v mac '02:42:ac:11:00:%02x' $((n + 1))
	host_exec ip link add "vethe$n" type veth peer name eth0 address "$mac" netns "$pid" &&
		host_exec ip link set "vethe$n" master docker0 up &&
		nsenter -t "$pid" -n ip -batch - <<-END || return 1
			link set lo up
			addr add 172.17.0.$((n + 1))/16 dev eth0
			link set eth0 up
			route add default via $HOST_GW4
		END
	host_exec sh -c "mkdir -p /run/docker/netns && : >/run/docker/netns/$n" &&
		host_exec mount --bind "/proc/$pid/ns/net" "/run/docker/netns/$n" || return 1
	host_background "$HOST_CG/peers" "$HOST_DIR/serve.log" nsenter -t "$pid" -n -- serve \
		"tcp:0.0.0.0:8000=c$n" "tcp:0.0.0.0:10999=c$n:runner"
	disown "$HOST_SPAWNED"
}

# A host's second one takes the orders from then on; the first lives, unheard.
fake_start() { # [SOCKET]
	ORDERS=$HOST_DIR/orders-${#ORDERS_OF[@]}
	mkfifo "$ORDERS" || return 1
	# shellcheck disable=SC2016 # for the inner shell
	host_spawn engine "$HOST_DIR/fake.log" sh -c 'exec fakeengine "$2" <"$1"' sh "$ORDERS" "${1:-/run/docker.sock}"
	disown "$HOST_SPAWNED"
	exec {FD}>"$ORDERS"
	ORDERS_OF[$HOST_NAME,$FD]=open
	ORDERS_TO[$HOST_NAME]=$FD
	host_wait 2000 host_exec test -S "${1:-/run/docker.sock}"
}
declare -A ORDERS_OF=() ORDERS_TO=()

said() { grep -qx "said$1" "$HOST_DIR/fake.log"; }
# fake COMMAND: returns when it is done
fake() {
	SAID=$((${SAID:-0} + 1))
	printf '%s\nsay said%s\n' "$*" "$SAID" >&"${ORDERS_TO[$HOST_NAME]}"
	host_wait 10000 said "$SAID" || broken "fakeengine: $*"
}

bare_host() {
	HOST_ENGINE=0 host_up "$1" || broken "host_up"
	host_exec ip -batch - <<-END || broken "docker0"
		link add docker0 type bridge
		addr add $HOST_GW4/16 dev docker0
		link set docker0 up
	END
	shim_start
	fake_start || broken "fakeengine"
}

dial_ns() { # NUMBER DIAL-ARGUMENTS…
	local n=$1

	shift
	nsenter -t "${NS[$HOST_NAME-$n]}" -n "$HOST_BIN/dial" --timeout 500 "$@"
}
open_ns() { [[ $(dial_ns "$@" 2>&1) == open:* ]]; }

# --- looking -----------------------------------------------------------------------------------------

is_verified() { jobfence_cli verify >/dev/null 2>&1; }
true_now() { # WHAT [MS]
	host_wait "${2:-4000}" is_verified
	check "$1: verify" 0 $?
	is_verified || jobfence_cli verify 2>&1 | head -5
}

lines() { grep -c -- "$1" "$HOST_DIR/jobfence.log"; }
has_line() { [ "$(lines "$1")" -gt "${2:-0}" ]; }
asked() {
	fake "say asked"
	sed -n 's/^asked //p' "$HOST_DIR/fake.log" | tail -n 1
}
# No question for a while.
is_quiet() {
	local before

	before=$(asked)
	sleep 0.4
	[ "$(asked)" -eq "$before" ]
}
rss_kb() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$(<"$HOST_DIR/jobfence.pid")/status"; }
elements() { host_exec nft -n list set inet jobfence "$1" | tr ',' '\n' | grep -cE '[0-9]+\.[0-9]|[0-9]{5}'; }

ports_named() { host_exec nft -n list table inet jobfence | grep -cw "$1"; }

# What is forbidden and allowed whatever the engine says: job 1, job 2, bystanders 3 and 4
as_ever() {
	check "$1: job → job" "$CLOSED" "$(dial_ns 1 172.17.0.3 10999)"
	check "$1: job → host" "$CLOSED" "$(dial_ns 1 "$HOST_GW4" 22)"
	check "$1: bystander 4 → host" open:sshd "$(dial_ns 4 "$HOST_GW4" 22)"
}

monitor_start() {
	host_spawn host "$HOST_DIR/monitor.log" stdbuf -oL nft monitor
	disown "$HOST_SPAWNED"
	MONITOR=$HOST_SPAWNED
	sleep 0.3
}
generations() { grep -c 'new generation .*(jobfence)' "$HOST_DIR/monitor.log"; }

# --- lies ----------------------------------------------------------------------------------------------

# Hosts whose test is to wait; what they wait for comes while another is busy.
wait_begin() {
	bare_host replaced
	fake put job 1 2
	jobfence_up || broken "jobfence"
	check_that "control: elements with a job's published port" "$(ports_named 20001)" -gt 0
	fake_start /run/other.sock || broken "fakeengine"
	host_exec mv /run/other.sock /run/docker.sock # the first one's stream goes on
	fake put job 2 3
	[ -n "$LONG" ] || return 0
	bare_host unseen
	for n in 1 4; do place_make "$n" || broken "place $n"; done
	fake put job 1
	jobfence_up || broken "jobfence"
	host_wait 5000 has_line 'job run-1-'
	fake put bystander 4 # no event tells it
	fake gone 1
	sleep 0.5
	check "an event that never came: the bystander waits" "$CLOSED" "$(dial_ns 4 "$HOST_GW4" 22)"
}

wait_end() {
	section "another engine behind the same path"
	host_use replaced
	host_wait 5000 has_line 'lost: .*another process'
	check "noticed" 0 $?
	true_now "the other's list counts" 10000
	check "its new job is known" 1 "$(lines 'job run-3-0')"
	check "rules and elements with the port of the job that it has not" 0 "$(ports_named 20001)"
	check_that "and with its new job's" "$(ports_named 20003)" -gt 0
	[ -n "$LONG" ] || return 0
	section "an event that never came"
	host_use unseen
	host_wait 90000 has_line 'the periodic look found container'
	check "the periodic look finds it" 0 $?
	grep 'the periodic look' "$HOST_DIR/jobfence.log" | sed 's/^/    /'
	check "and says so once, both in one line" 1 "$(lines 'the periodic look found container .* and 1 more')"
	true_now "afterwards"
	check "the bystander is served" open:sshd "$(dial_ns 4 "$HOST_GW4" 22)"
}

storms() {
	local rss before asked_before n

	section "500 containers at once, then 10,000 events"
	monitor_start
	before=$(generations)
	rss=$(rss_kb)
	fake put job 101 600
	fake tell create 101 600
	fake connect 101 600
	fake tell start 101 600
	host_wait 10000 has_line 'job run-600-'
	true_now "500 more containers" 10000
	n=$(($(generations) - before))
	check "ports that are published by them" 500 "$(host_exec nft -n list table inet jobfence | grep -oE '\b20[0-9]{3}\b' | sort -u | awk '$1 > 20100' | wc -l)"
	check_that "transactions for all 500 (three events each)" "$n" -le 120
	say "memory: $rss kB with 4 containers, $(rss_kb) kB with 504"
	rss=$(rss_kb) before=$(generations) n=$(lines .) asked_before=$(asked)
	fake storm 10000
	host_wait 20000 is_quiet
	check "it came to rest" 0 $?
	say "10,000 events in one piece: $(($(asked) - asked_before)) questions"
	check_that "memory that 10,000 events cost, kB" $(($(rss_kb) - rss)) -le 4096
	check "transactions, where nothing changed" 0 $(($(generations) - before))
	check_that "lines of the log" $(($(lines .) - n)) -le 3
	rss=$(rss_kb)
	for _ in 1 2 3; do fake storm 10000; done
	host_wait 20000 is_quiet
	check_that "memory that 30,000 more cost, kB" $(($(rss_kb) - rss)) -le 2048
	true_now "after the storm"
	as_ever "after the storm"
	before=$(generations)
	fake gone 101 600
	fake tell destroy 101 600
	true_now "500 gone at once"
	check_that "transactions for it" $(($(generations) - before)) -le 20
	kill "$MONITOR"
}

# One answer of many is unusable: bystander 3 waits, the others do not.
bad_inspect() { # WHAT COMMAND…
	local what=$1

	shift
	fake gone 3
	fake tell destroy 3
	fake put bystander 3
	fake "$@"
	fake tell create 3
	fake connect 3
	fake tell start 3
	host_wait 2000 is_quiet
	check "$what: it waits" "$CLOSED" "$(dial_ns 3 "$HOST_GW4" 22)"
	check "$what: the other bystander is served" open:sshd "$(dial_ns 4 "$HOST_GW4" 22)"
	check "$what: job → it" "$CLOSED" "$(dial_ns 1 172.17.0.4 8000)"
}

one_of_many() {
	local lost

	section "the inspection of one container of many"
	lost=$(lines 'lost: ')
	bad_inspect "500" inspect 3 500 '{"message":"driver failed"}'
	check "verify does not call it equal" "*has not told the details of container *2" \
		"$(jobfence_cli verify 2>&1; echo $?)"
	check "status says so" 1 "$(jobfence_cli status 2>&1 | grep -c 'in sync, but it has not told the details of 1 container')"
	fake inspect 3 ok
	host_wait 8000 open_ns 3 "$HOST_GW4" 22
	check "mended: it is served, without an event" 0 $?
	bad_inspect "cut short" inspect 3 200 '{"Id":"'
	fake inspect 3 ok
	fake tell update 3
	host_wait 3000 open_ns 3 "$HOST_GW4" 22
	check "mended: it is served" 0 $?
	bad_inspect "no answer" hold 3
	fake release 3
	host_wait 3000 open_ns 3 "$HOST_GW4" 22
	check "answered: it is served" 0 $?
	bad_inspect "404" inspect 3 404 '{}'
	fake inspect 3 ok
	fake tell start 3
	host_wait 3000 open_ns 3 "$HOST_GW4" 22
	check "there again: it is served" 0 $?
	check "the engine was never given up" "$lost" "$(lines 'lost: ')"
	true_now "afterwards"
}

# What an engine said after it had lost its namespaces (moby): no SandboxKey, one address twice.
lost_namespaces() {
	section "no namespace, and one address twice"
	fake put bystander 3
	fake ip 2 3
	fake tell update 2
	host_wait 2000 is_quiet
	check "a job that is said to have a bystander's address: → host" "$CLOSED" "$(dial_ns 2 "$HOST_GW4" 22)"
	check "LAN → the job, at its own" "$CLOSED" "$(dial_from lan --timeout 500 172.17.0.3 10999)"
	check "job → the bystander" "$CLOSED" "$(dial_ns 1 172.17.0.4 8000)"
	check "host → the bystander" open:c3 "$(dial_from host --timeout 500 172.17.0.4 8000)"
	fake put job 2
	fake tell update 2
	fake blind 1
	fake blind 3
	fake tell update 1
	fake tell update 3
	host_wait 2000 is_quiet
	as_ever "without namespaces"
	check "without namespaces: bystander → job" "$CLOSED" "$(dial_ns 3 172.17.0.2 10999)"
	true_now "without namespaces"
	fake put job 1
	fake put bystander 3
	fake tell update 1
	fake tell update 3
	host_wait 3000 open_ns 3 "$HOST_GW4" 22
	check "with them again: the bystander is served" 0 $?
}

slow() {
	local since

	section "a byte a second"
	jobfence_stop
	fake slow 1000
	jobfence_start || broken "jobfence"
	sleep 1
	as_ever_slow
	since=$(now_ms)
	: >"$HOST_DIR/notify.log"
	jobfence_signal HUP
	host_wait 5000 grep -q READY=1 "$HOST_DIR/notify.log"
	check_that "slow: ms to reload" $(($(now_ms) - since)) -le 1000
	fake slow 0
	host_wait 10000 jobfence_in_sync 0
	check "fast again: in step" 0 $?
	true_now "fast again"
	as_ever "fast again"
}
as_ever_slow() {
	check "slow: job → host" "$CLOSED" "$(dial_ns 1 "$HOST_GW4" 22)"
	check "slow: bystander 4, known before, → host" open:sshd "$(dial_ns 4 "$HOST_GW4" 22)"
}

wait_begin
bare_host lies
for n in 1 2 3 4; do place_make "$n" || broken "place $n"; done

section "control: without jobfence"
host_wait 3000 open_ns 1 172.17.0.3 10999
check "job → job" open:c2:runner "$(dial_ns 1 172.17.0.3 10999)"
check "job → host" open:sshd "$(dial_ns 1 "$HOST_GW4" 22)"
check "job → bystander" open:c3 "$(dial_ns 1 172.17.0.4 8000)"
check "LAN → job" open:c2:runner "$(dial_from lan --timeout 500 172.17.0.3 10999)"
fake put job 1 2
fake put bystander 3 4
jobfence_up || broken "jobfence"
section "jobfence runs"
host_wait 3000 open_ns 4 "$HOST_GW4" 22
as_ever "at the start"
storms
one_of_many
lost_namespaces
slow
wait_end
finish
