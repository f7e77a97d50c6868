#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The ruleset changes under a flood of forbidden datagrams: reloads that rewrite rules, interval sets that are
# replaced, ports and their chains that come and go, reinstalls by crash and by restart. None leaks, and of two
# numbered streams that are allowed none is lost. A control that deletes and re-creates its tables, drop policy
# and one transaction and all, leaks under the same flood.
#
# Usage: replace.sh [--quick|--long] [PHASE…]
#   PHASE    reload, network, port, kill, term: all of them without
#   --quick  a tenth of the changes
#   --long   10,000 changes, under 100,000,000 forbidden datagrams: ten minutes and more
# shellcheck disable=SC2034 # tests/run reads it: other scripts would change the figures
ALONE=1
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

SWAPS=100
PHASES=(reload network port kill term)
declare -A CHANGES=([reload]=200 [network]=200 [port]=200 [kill]=12 [term]=8)
LONG='' LEAST_SECONDS=0 # of a phase
case ${1-} in
--quick)
	CHANGES=([reload]=30 [network]=30 [port]=30 [kill]=5 [term]=2) SWAPS=50
	shift
	;;
--long)
	CHANGES=([reload]=1500 [network]=4000 [port]=4300 [kill]=120 [term]=80) SWAPS=300
	LONG=1 LEAST_SECONDS=80
	shift
	;;
esac
[ $# -eq 0 ] || PHASES=("$@")
ALL_SENT=0 ALL_CHANGES=0 ALL_LEAKED=0
declare -A PIDS

# sink_start NAME WHO ADDR:PORT
sink_start() {
	: >"$HOST_DIR/sink-$1.log"
	spawn_from "$2" "$HOST_DIR/sink-$1.log" sink "$3"
	PIDS[sink-$1]=$HOST_SPAWNED
	host_wait 3000 grep -q ready "$HOST_DIR/sink-$1.log" || broken "sink $1"
}

# flood_start NAME WHO ADDR:PORT [RATE]
flood_start() {
	: >"$HOST_DIR/flood-$1.log"
	# shellcheck disable=SC2086 # an option or nothing
	spawn_from "$2" "$HOST_DIR/flood-$1.log" flood -s 3600 ${4:+-r $4} "$3"
	PIDS[flood-$1]=$HOST_SPAWNED
}

told() { grep -qsE '^(sent|received)=' "$HOST_DIR/$1.log"; }
# Ends one and waits for its figures: told_by KIND-NAME FIELD
stop_tool() { kill "${PIDS[$1]}" && host_wait 5000 told "$1"; }
figure() { sed -n "s/.*\\b$2=\\([0-9]*\\).*/\\1/p" "$HOST_DIR/$1.log"; }

start_all() {
	local name

	sink_start host host "$HOST_GW4:7000"
	sink_start job beta "$(container_ip4 beta):7000"
	sink_start host-job beta "$(container_ip4 beta):7001"
	sink_start internet inet "$INET4:7002"
	flood_start host alpha "$HOST_GW4:7000"
	flood_start job alpha "$(container_ip4 beta):7000"
	[ "${1-}" = only-forbidden ] && return
	flood_start host-job host "$(container_ip4 beta):7001" 500
	flood_start internet alpha "$INET4:7002" 500
}

# Stops what was started, and puts the figures into SENT, RATE, LEAKED, LOST.
stop_all() {
	local name ms

	for name in host-job internet host job; do
		[ -n "${PIDS[flood-$name]-}" ] && stop_tool "flood-$name"
	done
	sleep 0.2
	for name in host job host-job internet; do stop_tool "sink-$name"; done
	PIDS=()
	SENT=$(($(figure flood-host sent) + $(figure flood-host refused) + $(figure flood-job sent) +
		$(figure flood-job refused)))
	ms=$(figure flood-job ms)
	RATE=$((SENT * 1000 / ms))
	LEAKED=$(($(figure sink-host received) + $(figure sink-job received)))
}

reports() { # of the forbidden ones
	say "sent to the host: $(figure flood-host sent), refused at once $(figure flood-host refused);" \
		"to the neighbour: $(figure flood-job sent)"
	say "leaked to the host: $(figure sink-host received), to the neighbour: $(figure sink-job received)"
	check_that "forbidden datagrams a second" "$RATE" -ge 100000
	check_that "of them to the neighbour" $(($(figure flood-job sent) * 1000 / $(figure flood-job ms))) -ge 10000
}

allowed_reports() {
	local name

	for name in host-job internet; do
		check_that "$name: sent and arrived" "$(figure "sink-$name" received)" -gt 0
		check "$name: lost of $(figure "flood-$name" sent)" 0 \
			$(($(figure "flood-$name" sent) - $(figure "sink-$name" received)))
	done
}

ready_count() { grep -c ' READY=1$' "$HOST_DIR/notify.log"; }
ready_more() { [ "$(ready_count)" -gt "$1" ]; }

# --- changes: each returns when it has been committed --------------------------------------------

# A reload with the other mode: rules of several chains change, and change back.
change_reload() {
	local before

	before=$(ready_count)
	echo "DSTACK_SERVER_JOB_NETWORK_MODE=$((2 + ($1 + 1) % 2))" >"$HOST_DIR/mode.new"
	mv "$HOST_DIR/mode.new" "$HOST_DIR/mode"
	jobfence_signal HUP
	host_wait 5000 ready_more "$before"
}

# shellcheck disable=SC2016 # for the inner shell
# committed COMMAND…: does that, and waits for the ruleset's next generation.
committed() {
	nsenter -t "$HOST_PID" -n sh -c 'g=$(gen) && "$@" && gen --past "$g" 5000' sh "$@" >/dev/null
}

# A network that the host is attached to and is no more: the interval sets are replaced.
change_network() {
	local what=add

	[ $(($1 % 2)) -eq 0 ] || what=del
	committed ip addr "$what" 192.0.2.129/25 dev lan0
}

# A port of docker0 that comes and goes: elements, and a chain of its own.
change_port() {
	if [ $(($1 % 2)) -eq 0 ]; then
		committed ip link add soak0 master docker0 type veth peer name soak1
	else
		committed ip link del soak0
	fi
}

next_mode() { echo "DSTACK_SERVER_JOB_NETWORK_MODE=$((2 + $1 % 2))" >"$HOST_DIR/mode"; }
change_kill() { next_mode "$1" && jobfence_kill && jobfence_start; }
change_term() { next_mode "$1" && jobfence_stop && jobfence_start; }

# phase NAME WHAT: so many changes, under the flood
phase() {
	local want=${CHANGES[$1]} done=0 i since

	section "$want: $2"
	start_all
	sleep 0.3
	since=$(now_ms)
	for ((i = 0; i < want; i++)); do change_"$1" "$i" && done=$((done + 1)); done
	say "one took $((($(now_ms) - since) / want)) ms, with this shell"
	while [ $((($(now_ms) - since) / 1000)) -lt $LEAST_SECONDS ]; do
		change_"$1" "$i" && done=$((done + 1))
		i=$((i + 1))
	done
	[ $((i % 2)) -eq 0 ] || change_"$1" "$i"
	stop_all
	check "changes that were committed" "$i" "$done"
	reports
	check "leaked" 0 "$LEAKED"
	allowed_reports
	ALL_SENT=$((ALL_SENT + SENT)) ALL_CHANGES=$((ALL_CHANGES + done)) ALL_LEAKED=$((ALL_LEAKED + LEAKED))
}

naive_script() {
	cat <<-'END'
		table inet naive
		delete table inet naive
		table inet naive {
			chain input { type filter hook input priority 0; policy drop;
				ct direction reply accept
				iifname lo accept
				udp dport 7001-7002 accept
			}
		}
		table bridge naive
		delete table bridge naive
		table bridge naive {
			chain forward { type filter hook forward priority 0; policy drop;
				ether type arp accept
			}
		}
	END
}

host_up replace || broken "host_up"
shim_start
job_start bridge alpha && job_start bridge beta && job_start host gamma || broken "jobs"
jobfence_config "[environment]
environment_file = $HOST_DIR/mode"

# ARP between jobs is refused as well: what floods the neighbour shall be datagrams, not questions.
nsenter -t "$(container_pid alpha)" -n ip neigh replace "$(container_ip4 beta)" dev eth0 \
	lladdr "$(container_mac beta)" nud permanent || broken "neighbour"

section "control: tables that are deleted and re-created in one transaction"
naive_script >"$HOST_DIR/naive.nft"
host_exec nft -f "$HOST_DIR/naive.nft" || broken "naive"
start_all only-forbidden
sleep 0.5
for ((i = 0; i < SWAPS; i++)); do host_exec nft -f "$HOST_DIR/naive.nft"; done
stop_all
say "$SWAPS replacements by nft -f"
reports
check_that "the control leaks" "$LEAKED" -gt 0
host_exec nft 'delete table inet naive; delete table bridge naive'

echo DSTACK_SERVER_JOB_NETWORK_MODE=2 >"$HOST_DIR/mode"
jobfence_up || broken "jobfence"
for one in "${PHASES[@]}"; do
	case $one in
	reload) phase reload "reloads" ;;
	network) phase network "networks that the host is attached to come and go" ;;
	port) phase port "ports of docker0 come and go" ;;
	kill) phase kill "kill -9 and a new start" ;;
	term) phase term "stopped and started" ;;
	*) broken "no phase '$one'" ;;
	esac
done
section "in all: $ALL_CHANGES changes, $ALL_SENT forbidden datagrams, $ALL_LEAKED leaked"
if [ -n "$LONG" ] && [ ${#PHASES[@]} -eq 5 ]; then
	check_that "changes" $ALL_CHANGES -ge 10000
	check_that "forbidden datagrams" $ALL_SENT -ge 100000000
fi
jobfence_stop
check "jobfence stops" 0 $?
finish
