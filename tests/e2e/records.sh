#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each blocked attempt is one record with the job's name, within a second; a flood is a handful of them and
# costs nearly nothing; what is allowed makes none. A receiver of the journal's protocol stands in for journald.
#
# Usage: records.sh [--long]     (--long: waits for the next minute's line)
# shellcheck disable=SC2015,SC2119,SC2317 # a set-up that fails ends it; no arguments; called by name
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck disable=SC2034 # daemon.sh reads it
JOBFENCE_JOURNAL=1
LONG=''
[ "${1-}" != --long ] || LONG=1

told() { records_n attempt "$@"; }

# stopped WHAT WHO "DIAL-ARGUMENTS" FIELD=VALUE…: it is stopped, and within a second it is one record with these
# fields; the one who tried is named.
stopped() {
	local what=$1 who=$2 dial=$3 start ms

	shift 3
	start=$(now_ms)
	# shellcheck disable=SC2086 # several words
	check "$what" "$CLOSED" "$(dial_from "$who" --timeout 300 $dial)"
	host_wait 1000 has_record attempt "JOBFENCE_CONTAINER=$(container_name "$who")" "$@"
	ms=$(records attempt "JOBFENCE_CONTAINER=$(container_name "$who")" "$@" | head -n 1 | cut -f 1)
	check "  told once, with the name" 1 "$(told "JOBFENCE_CONTAINER=$(container_name "$who")" "$@")"
	[ -z "$ms" ] || check_that "  ms from before the attempt" $((ms - start)) -le 1400
}

ready_count() { grep -c ' READY=1$' "$HOST_DIR/notify.log"; }
ready_more() { [ "$(ready_count)" -gt "$1" ]; }

reload() { # SECTIONS
	local before

	jobfence_config "$1"
	before=$(ready_count)
	jobfence_signal HUP
	host_wait 5000 ready_more "$before" || broken "reload"
}

host_up records || broken "host_up"
shim_start || broken "shim"
docker_h network create --subnet 172.30.0.0/24 --ipv6 --subnet fd00:5ec::/64 second >/dev/null
job_start bridge alpha && job_start bridge beta part -p 127.0.0.1:18000:8000 && job_start second zeta &&
	job_start host gamma && job_start host epsilon && bystander_start delta || broken "containers"
jobfence_config $'[ports]\nfenced = tcp 9100'

section "before jobfence: it is open"
check_flow "alpha → the host's sshd" open:sshd alpha "$HOST_GW4" 22
check_flow "gamma → shim" open:shim gamma 127.0.0.1 10998
check_flow "alpha → beta" open:beta:app alpha "$(container_ip4 beta)" 8000

# What a connection from before the fence has still to say would be an attempt.
over() {
	local pid

	for pid in "$HOST_PID" "$(container_pid alpha)" "$(container_pid beta)"; do
		! awk '$4 ~ /^(0[1-5]|0[89BC])$/ { found = 1 } END { exit !found }' "/proc/$pid/net/tcp" \
			"/proc/$pid/net/tcp6" || return 1
	done
}
host_wait 5000 over || broken "connections that do not end"
jobfence_up || broken "jobfence"
check "the group is bound" 1 "$(host_exec grep -c '^ *10998 ' /proc/net/netfilter/nfnetlink_log)"
check "verify" "equal:*" "$(jobfence_cli verify)"

section "what is allowed makes none"
check_flow "alpha → internet" open:inet alpha "$INET4" 443
check_flow "alpha → internet, IPv6" open:inet alpha "$INET6" 443
check_flow "gamma → LAN" open:lan gamma "$LAN4" 8080
check_flow "gamma → its own runner" open:gamma:runner gamma 127.0.0.1 10999
check_flow "delta → the host's sshd" open:sshd delta "$HOST_GW4" 22
check_flow "the host → shim" open:shim host 127.0.0.1 10998
sleep 1
check "records" "" "$(records attempt | head -n 3)"

section "jobs on bridges"
stopped "alpha → the host's sshd" alpha "$HOST_GW4 22" JOBFENCE_RULE=job_to_host JOBFENCE_PROTOCOL=tcp \
	JOBFENCE_PORT=22 "JOBFENCE_SOURCE=$(container_ip4 alpha)" "JOBFENCE_DESTINATION=$HOST_GW4" \
	JOBFENCE_CLASS=isolated "JOBFENCE_CONTAINER_ID=$(container_id alpha)" 'JOBFENCE_TASK=*' JOBFENCE_COUNT=1
stopped "alpha → the host's sshd, IPv6" alpha "$HOST_GW6 22" JOBFENCE_RULE=job_to_host \
	"JOBFENCE_SOURCE=$(container_ip6 alpha)" "JOBFENCE_DESTINATION=$HOST_GW6"
stopped "alpha → beta, its neighbour" alpha "$(container_ip4 beta) 8000" JOBFENCE_RULE=job_to_neighbour \
	"JOBFENCE_TARGET=$(container_name beta)"
stopped "alpha → beta, IPv6" alpha "$(container_ip6 beta) 8000" JOBFENCE_RULE=job_to_neighbour \
	"JOBFENCE_TARGET=$(container_name beta)" JOBFENCE_PROTOCOL=icmp6
stopped "alpha → zeta, on another bridge" alpha "$(container_ip4 zeta) 8000" JOBFENCE_RULE=to_job \
	"JOBFENCE_TARGET=$(container_name zeta)" JOBFENCE_PORT=8000
stopped "alpha → zeta, IPv6" alpha "$(container_ip6 zeta) 8000" JOBFENCE_RULE=to_job \
	"JOBFENCE_TARGET=$(container_name zeta)" "JOBFENCE_DESTINATION=$(container_ip6 zeta)"
stopped "alpha → LAN" alpha "$LAN4 8080" JOBFENCE_RULE=job_to_internal JOBFENCE_PORT=8080
stopped "zeta → metadata" zeta "169.254.169.254 80" JOBFENCE_RULE=job_to_metadata
stopped "zeta → LAN, UDP" zeta "--udp $LAN4 8080" JOBFENCE_RULE=job_to_internal JOBFENCE_PROTOCOL=udp
check "a person's words" "*job alpha-* tried to reach this host ($HOST_GW4:22/tcp): stopped" \
	"$(grep "this host ($HOST_GW4:22" "$HOST_DIR/jobfence.log")"

section "jobs on the host's network, by their tag"
stopped "gamma → shim" gamma "127.0.0.1 10998" JOBFENCE_RULE=host_job_to_host_api JOBFENCE_PORT=10998 \
	JOBFENCE_CLASS=fenced "JOBFENCE_CONTAINER_ID=$(container_id gamma)" JOBFENCE_DESTINATION=127.0.0.1
stopped "epsilon → DCGM exporter" epsilon "127.0.0.1 10997" JOBFENCE_RULE=host_job_to_host_api
stopped "gamma → the shim's port, IPv6" gamma "::1 10998" JOBFENCE_RULE=host_job_to_host_api JOBFENCE_DESTINATION=::1
stopped "epsilon → beta's runner, on a bridge" epsilon "$(container_ip4 beta) 10999" \
	JOBFENCE_RULE=host_job_to_bridge "JOBFENCE_TARGET=$(container_name beta)"
stopped "epsilon → the same, IPv6" epsilon "$(container_ip6 beta) 10999" JOBFENCE_RULE=host_job_to_bridge \
	"JOBFENCE_DESTINATION=$(container_ip6 beta)"
stopped "gamma → beta's published port" gamma "127.0.0.1 18000" JOBFENCE_RULE=host_job_to_published \
	"JOBFENCE_TARGET=$(container_name beta)"
stopped "epsilon → a fenced port" epsilon "127.0.0.1 9100" JOBFENCE_RULE=host_job_to_fenced
spawn_from epsilon "$HOST_DIR/epsilon.log" serve 'tcp:127.0.0.2:10999=epsilon:runner'
host_wait 2000 open_to host 127.0.0.2 10999
stopped "gamma → epsilon's runner" gamma "127.0.0.2 10999" JOBFENCE_RULE=host_job_to_runner
check "a person's words" "*job gamma-*tried to reach dstack's shim (127.0.0.1:10998/tcp): stopped" \
	"$(grep 'shim (127.0.0.1' "$HOST_DIR/jobfence.log" | grep gamma)"

section "others"
check_flow "delta → alpha, a job" "$CLOSED" delta "$(container_ip4 zeta)" 8000
host_wait 1000 has_record attempt "JOBFENCE_CONTAINER=$(container_name delta)"
check "told, with the bystander's name" 1 "$(told "JOBFENCE_CONTAINER=$(container_name delta)" \
	JOBFENCE_CLASS=free JOBFENCE_RULE=to_job)"
check_flow "LAN → alpha" "$CLOSED" lan "$(container_ip4 alpha)" 8000
host_wait 1000 has_record attempt JOBFENCE_CLASS=outside
check "told, with its address" 1 "$(told JOBFENCE_CONTAINER= JOBFENCE_CLASS=outside "JOBFENCE_SOURCE=$LAN4" \
	"JOBFENCE_TARGET=$(container_name alpha)")"

section "a flood of 100,000 is a handful of records"
pid=$(<"$HOST_DIR/jobfence.pid")
ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; } # 10 ms each
before=$(told) cpu=$(ticks) counted=$(counter inet job_to_host)
container_rm zeta
spawn_from alpha "$HOST_DIR/flood.log" flood -s 2 -r 100000 "$HOST_GW4:7000"
host_wait 10000 grep -q sent= "$HOST_DIR/flood.log"
sleep 1
check_that "packets that the rule stopped" $(($(counter inet job_to_host) - counted)) -ge 100000
check_that "records of it" $(($(told) - before)) -ge 1
check_that "and no more than" $(($(told) - before)) -le 5
check_that "ms of the daemon's time" $((($(ticks) - cpu) * 10)) -le 300
job_start bridge eta || broken "eta"
stopped "and then another rule: eta → LAN" eta "$LAN4 8080" JOBFENCE_RULE=job_to_internal
if [ -n "$LONG" ]; then
	host_wait 70000 has_record attempt JOBFENCE_RULE=job_to_host JOBFENCE_PORT=7000 JOBFENCE_COUNT_IS=at-least
	check "the minute's line" "*at least * times in the last minute" "$(grep 'at least' "$HOST_DIR/jobfence.log")"
fi

section "audit: told, and let through, with the packet's mark as it was"
reload $'[enforce]\ndefault = audit'
check_flow "gamma → shim" open:shim gamma 127.0.0.1 10998
check_flow "alpha → the host's sshd" open:sshd alpha "$HOST_GW4" 22
host_wait 1000 has_record attempt-audited JOBFENCE_RULE=host_job_to_host_api
check "the host job is named" 1 "$(records_n attempt-audited JOBFENCE_RULE=host_job_to_host_api \
	"JOBFENCE_CONTAINER=$(container_name gamma)")"
host_wait 1000 has_record attempt-audited JOBFENCE_RULE=job_to_host
check "the bridge job is named" 1 "$(records_n attempt-audited JOBFENCE_RULE=job_to_host \
	"JOBFENCE_CONTAINER=$(container_name alpha)")"

section "without: another program reads the group, or nobody shall"
reload $'[log]\ngroup = 0'
check "group = 0: rules that tell" 0 "$(host_exec nft list table inet jobfence | grep -c ' group ')"
check "verify" "equal:*" "$(jobfence_cli verify)"
host_exec nfgroup 77 >"$HOST_DIR/nfgroup.log" 2>&1 &
host_wait 2000 grep -q bound "$HOST_DIR/nfgroup.log"
reload $'[log]\ngroup = 77'
check "taken: said" 1 "$(records_n attempts-untold PRIORITY=4)"
check "taken: rules that tell" 0 "$(host_exec nft list table inet jobfence | grep -c ' group ')"
check "verify" "equal:*" "$(jobfence_cli verify)"
check_flow "and stopped all the same: gamma → shim" "$CLOSED" gamma 127.0.0.1 10998
jobfence_stop
check "jobfence stops" 0 $?
finish
