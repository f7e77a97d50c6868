#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Interval sets made anew under a flood: a denied address and a denied port stay denied while the lists
# around them change with every reload, and of an allowed stream nothing is lost. Two controls show that the
# probe sees what it is for: one transaction that makes a set anew beside new rules, and one that only
# refills it.
#
# Usage: egress_replace.sh [--quick]     (--quick: 200 replacements, else 500)
# shellcheck disable=SC2015,SC2317 # A && B || broken; what only host_wait calls
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

REPLACEMENTS=500
[ "${1-}" != --quick ] || REPLACEMENTS=200
NET4=198.51.100.81 PORT4=198.51.100.82
declare -A PIDS

start() { # NAME KIND WHO ARGUMENTS…
	local log=$HOST_DIR/$1.log

	: >"$log"
	spawn_from "$3" "$log" "$2" "${@:4}"
	PIDS[$1]=$HOST_SPAWNED
	[ "$2" = flood ] || host_wait 3000 grep -q ready "$log" || broken "$1"
}

told() { grep -qsE '^(sent|received)=' "$HOST_DIR/$1.log"; }
stop() { kill "${PIDS[$1]}" && host_wait 5000 told "$1"; }
figure() { sed -n "s/.*\\b$2=\\([0-9]*\\).*/\\1/p" "$HOST_DIR/$1.log"; }

# The flood of denied datagrams; the sinks behind it.
flood_start() {
	start net-sink sink inet "$NET4:7000"
	start port-sink sink inet "$PORT4:7000"
	start net flood alpha -s 3600 "$NET4:7000"
	start port flood alpha -s 3600 "$PORT4:7000"
	[ "${1-}" = only ] && return
	start allowed-sink sink inet "$INET4:7002"
	start allowed flood alpha -s 3600 -r 500 "$INET4:7002"
}

flood_stop() {
	local name

	for name in allowed net port; do [ -z "${PIDS[$name]-}" ] || stop "$name"; done
	sleep 0.2
	for name in allowed-sink net-sink port-sink; do [ -z "${PIDS[$name]-}" ] || stop "$name"; done
	PIDS=()
	SENT=$(($(figure net sent) + $(figure net refused) + $(figure port sent) + $(figure port refused)))
}

many() { # N SEPARATOR SUFFIX: networks that nobody asks for
	local i

	for ((i = 0; i < $1; i++)); do printf '192.0.2.%d%s%s' $((2 * i)) "$3" "$2"; done
}

# control HOW: replacements of the sets of a table of its own, in one transaction each
control() {
	local i elements="$NET4, " ports="$PORT4 . udp . 7000, " chain

	chain="add rule inet naive c ip daddr @net drop
		add rule inet naive c ip daddr . meta l4proto . th dport @port drop"
	elements+=$(many 100 ', ' '') ports+=$(many 100 ', ' ' . udp . 7000')
	{
		echo "$1"
		[ "$1" = refill ] && echo 'flush set inet naive net; flush set inet naive port'
		[ "$1" = anew ] && echo "flush chain inet naive c; delete set inet naive net; delete set inet naive port
			add set inet naive net { type ipv4_addr; flags interval; }
			add set inet naive port { type ipv4_addr . inet_proto . inet_service; flags interval; }"
		echo "add element inet naive net { ${elements%, } }; add element inet naive port { ${ports%, } }"
		[ "$1" = anew ] && echo "$chain"
	} | sed 1d >"$HOST_DIR/naive.nft"
	host_exec nft "add table inet naive
		add chain inet naive c { type filter hook prerouting priority -150; }
		add set inet naive net { type ipv4_addr; flags interval; }
		add set inet naive port { type ipv4_addr . inet_proto . inet_service; flags interval; }
		$chain" || broken "control"
	host_exec nft -f "$HOST_DIR/naive.nft" || broken "control"
	flood_start only
	sleep 0.5
	for ((i = 0; i < 100; i++)); do host_exec nft -f "$HOST_DIR/naive.nft" || broken "nft"; done
	flood_stop
	host_exec nft delete table inet naive
	say "100 times by one transaction ($1): $(figure net-sink received) through the range tree," \
		"$(figure port-sink received) through the concatenation, of $SENT"
	LEAKED=$(($(figure net-sink received) + $(figure port-sink received)))
}

ready_count() { grep -c ' READY=1$' "$HOST_DIR/notify.log"; }
ready_more() { [ "$(ready_count)" -gt "$1" ]; }

reload() { # 0|1: two lists around what is always denied
	local before

	before=$(ready_count)
	cp "$HOST_DIR/conf.$1" "$HOST_DIR/jobfence.conf"
	jobfence_signal HUP
	host_wait 5000 ready_more "$before"
}

host_up egress-replace && job_start bridge alpha || broken "host"
inet_exec ip addr add $NET4/32 dev eth0 && inet_exec ip addr add $PORT4/32 dev eth0 || broken "addresses"
host_exec iptables -I FORWARD -j ACCEPT
for n in 0 1; do
	jobfence_config "[egress]
deny = $NET4
deny = $PORT4 udp 7000
$([ $n = 0 ] || many 50 $'\n' '' | sed 's/^/deny = /')
$([ $n = 0 ] || many 50 $'\n' ' udp 7000-7001' | sed 's/^/deny = /')"
	cp "$HOST_DIR/jobfence.conf" "$HOST_DIR/conf.$n"
done

section "controls"
control anew
check_that "a set made anew beside new rules leaks" "$LEAKED" -gt 0
control refill

section "$REPLACEMENTS reloads, each of which makes deny4 and deny_ports4 anew"
jobfence_up || broken "jobfence"
flood_start
sleep 0.5
done=0 since=$(now_ms)
for ((i = 0; i < REPLACEMENTS; i++)); do
	reload $((i % 2)) && done=$((done + 1))
done
say "a reload took $((($(now_ms) - since) / REPLACEMENTS)) ms, with its notification and this shell"
flood_stop
check "reloads that were answered" "$REPLACEMENTS" "$done"
check_that "denied datagrams tried" "$SENT" -gt $((REPLACEMENTS * 1000))
check "leaked by address" 0 "$(figure net-sink received)"
check "leaked by address and port" 0 "$(figure port-sink received)"
check_that "allowed: arrived" "$(figure allowed-sink received)" -gt 0
check "allowed: lost of $(figure allowed sent)" 0 $(($(figure allowed sent) - $(figure allowed-sink received)))
check "and it is as it should be" 'equal*' "$(jobfence_cli verify 2>&1 | tail -n 1)"
finish
