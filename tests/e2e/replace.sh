#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Reloads that rewrite rules and reinstalls by crash and start, under a flood of forbidden datagrams: none
# leaks, and of two numbered streams that are allowed none is lost. A control that deletes and re-creates its
# tables, drop policy and one transaction and all, leaks under the same flood.
#
# Usage: replace.sh [--quick] [RELOADS [REINSTALLS]]     (1000 and 50; --quick: 100 and 10)
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

RELOADS=1000 REINSTALLS=50
[ "${1-}" = --quick ] && RELOADS=100 REINSTALLS=10 && shift
RELOADS=${1:-$RELOADS} REINSTALLS=${2:-$REINSTALLS}
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

# A reload with the other mode: rules of several chains change, and change back.
reload() {
	local before

	before=$(ready_count)
	echo "DSTACK_SERVER_JOB_NETWORK_MODE=$1" >"$HOST_DIR/mode.new"
	mv "$HOST_DIR/mode.new" "$HOST_DIR/mode"
	jobfence_signal HUP
	host_wait 5000 ready_more "$before"
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
swaps=$((RELOADS < 300 ? RELOADS : 300))
for ((i = 0; i < swaps; i++)); do host_exec nft -f "$HOST_DIR/naive.nft"; done
stop_all
say "$swaps replacements by nft -f"
reports
check_that "the control leaks" "$LEAKED" -gt 0
host_exec nft 'delete table inet naive; delete table bridge naive'

section "$RELOADS reloads"
echo DSTACK_SERVER_JOB_NETWORK_MODE=2 >"$HOST_DIR/mode"
jobfence_up || broken "jobfence"
start_all
sleep 0.5
done=0 since=$(now_ms)
for ((i = 0; i < RELOADS; i++)); do reload $((2 + (i + 1) % 2)) && done=$((done + 1)); done
say "a reload took $((($(now_ms) - since) / RELOADS)) ms, with its notification and this shell"
stop_all
check "reloads that were answered" "$RELOADS" "$done"
reports
check "leaked" 0 "$LEAKED"
allowed_reports

section "$REINSTALLS times kill -9 and a new start"
start_all
sleep 0.5
done=0
for ((i = 0; i < REINSTALLS; i++)); do
	echo "DSTACK_SERVER_JOB_NETWORK_MODE=$((2 + i % 2))" >"$HOST_DIR/mode"
	jobfence_kill && jobfence_start && done=$((done + 1))
done
stop_all
check "starts that became ready" "$REINSTALLS" "$done"
reports
check "leaked" 0 "$LEAKED"
allowed_reports
jobfence_stop
check "jobfence stops" 0 $?
finish
