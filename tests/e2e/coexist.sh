#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# jobfence beside the firewalls that hosts have, firewalld, then ufw and fail2ban, with settings that let through what
# dstack needs. The flow table holds beside each, and while it is reloaded, restarted, stopped and started
# again nothing that is forbidden gets through. Their packages are unpacked, not installed on this machine.
#
# Usage: coexist.sh [--legacy]     --legacy: Docker's and ufw's rules by iptables-legacy
# shellcheck disable=SC2034 # what the other files read
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tests/e2e/checks.sh
. "$HERE/e2e/checks.sh"
# shellcheck source=tests/e2e/table.sh
. "$HERE/e2e/table.sh"
# shellcheck source=tests/e2e/places.sh
. "$HERE/e2e/places.sh"
# shellcheck source=tests/e2e/flows_hosts.sh
. "$HERE/e2e/flows_hosts.sh"
# shellcheck source=tests/e2e/soak_probes.sh
. "$HERE/e2e/soak_probes.sh"
# shellcheck source=tests/e2e/coexist_others.sh
. "$HERE/e2e/coexist_others.sh"

BRNF=1 HAMMER_EVERY=200
FLOW_DIR=$(mktemp -d)
trap 'host_down_all; rm -rf "$FLOW_DIR"' EXIT

# scene WHAT MODE: every row of the table's first host, as it should be in this mode ('': without jobfence).
scene() {
	local before=${#NOTES[@]}

	try_scene "$1" "$2" "$OTHER"
	check_that "$1: flows of the table, of ${#FLOW_ROW[@]}" $((${#FLOW_ROW[@]} - ${#NOTES[@]} + before)) -eq ${#FLOW_ROW[@]}
	[ ${#NOTES[@]} -eq "$before" ] || printf '      %s\n' "${NOTES[@]:before}"
}

# Only what is forbidden: what the other firewall drops while it starts is its own affair.
forbidden_only() {
	local who probe kept

	for who in "${!PROBES[@]}"; do
		kept=''
		for probe in ${PROBES[$who]}; do
			[[ $probe != *,shut,* ]] || kept+=" $probe"
		done
		PROBES[$who]=$kept
		[ -n "$kept" ] || unset "PROBES[$who]"
	done
}

# LEAKS, TRIES of a phase
hammered() { # PHASE
	LEAKS=$(cat "$FLOW_DIR/$1".*.log | grep -c ' leak ')
	TRIES=$(cat "$FLOW_DIR/$1".*.count | awk '{ n += $4 } END { print n + 0 }')
}

hammer_while() { # PHASE COMMAND…
	local phase=$1

	shift
	hammers_start "$phase" || broken "no hammers"
	sleep 0.4
	"$@"
	sleep 0.4
	hammers_stop
	hammered "$phase"
}

declare -A CHANGES=([firewalld]="reload stop start" [ufw]="reload restart stop start")

changes() {
	local what

	for what in ${CHANGES[$OTHER]}; do
		"${OTHER}_$what" || broken "$OTHER: $what"
		sleep 0.2
	done
}

# firewalld takes away what others have in iptables, the fixture's own opening too, and the engine writes its
# rules again when it is told of that.
settled() {
	local C_IP4 C_IP6 C_ID C_PID

	engine_forward
	host_exec iptables -I FORWARD -j ACCEPT && host_exec ip6tables -I FORWARD -j ACCEPT || return 1
	container_facts delta
	host_wait 10000 open_to lan "$C_IP4" 8000 && host_wait 10000 open_to lan "$C_IP6" 8000 &&
		host_wait 10000 open_to alpha "$INET6" 443
}

# What fail2ban bans is banned, and nobody else feels it.
banned() {
	section "fail2ban, beside ufw"
	fail2ban_start || broken "fail2ban does not start"
	check_flow "the LAN → sshd" open:sshd lan "$HOST_LAN4" 22
	fail2ban_offend "$LAN4"
	host_wait 15000 lan_is_banned
	check "the LAN is banned after six wrong passwords" 0 $?
	check_flow "bridge job → sshd" "$CLOSED" alpha "$HOST_LAN4" 22
	check_flow "bridge job → internet" open:inet alpha "$INET4" 443
	check_flow "the host → job's runner" open:alpha:runner host 127.0.0.1 "$(container_port alpha 10999)"
	check "jobfence verify" 0 "$(jobfence_cli verify >"$HOST_DIR/verify" 2>&1; echo $?)"
	fail2ban_do set sshd unbanip "$LAN4"
	check_flow "the ban is lifted: the LAN → sshd" open:sshd lan "$HOST_LAN4" 22
	fail2ban_do stop
}

# shellcheck disable=SC2053 # a pattern
lan_is_banned() { [[ $(dial_from lan --timeout 700 "$HOST_LAN4" 22 2>&1) == $CLOSED ]]; }

# beside ufw|firewalld, which runs and has the host to itself
beside() {
	OTHER=$1
	section "$OTHER"
	"${OTHER}_is_up"
	check "$OTHER is up" 0 $?
	settled || broken "beside $OTHER nothing works"
	# The hammers show the same of ufw for what is forbidden, and what is allowed is open beside jobfence, too.
	[ "$OTHER" = ufw ] || scene "$OTHER alone" ''
	hammer_while "$OTHER-control" true
	check "the control: forbidden attempts that got through, of $TRIES" "$TRIES" "$LEAKS"
	check_that "attempts" "$TRIES" -gt 100

	jobfence_up DSTACK_SERVER_JOB_NETWORK_MODE=2 || broken "jobfence does not start"
	hammer_while "$OTHER-changes" changes
	check "while $OTHER was reloaded, restarted, stopped and started: got through, of $TRIES" 0 "$LEAKS"
	check_that "attempts" "$TRIES" -gt 1000
	"${OTHER}_is_up"
	check "$OTHER is up" 0 $?
	settled
	check "what is allowed goes on" 0 $?
	scene "$OTHER and jobfence" 2
	check "jobfence verify" 0 "$(jobfence_cli verify >"$HOST_DIR/verify" 2>&1; echo $?)"
	check "what others changed in jobfence's tables" 0 "$(grep -c "changed jobfence's tables" "$HOST_DIR/jobfence.log")"
	[ "$OTHER" != ufw ] || banned
	jobfence_stop && jobfence_cli remove >/dev/null || broken "jobfence does not go"
	"${OTHER}_stop" || broken "$OTHER does not stop"
}

table_read "$HERE/e2e/flows.table"
host_cleanup_stale
legacy() {
	[ "${1-}" = --legacy ] || return 0
	host_exec ln -sf /usr/sbin/iptables-legacy /etc/alternatives/iptables &&
		host_exec ln -sf /usr/sbin/ip6tables-legacy /etc/alternatives/ip6tables &&
		host_exec ln -sf /usr/sbin/iptables-legacy-restore /etc/alternatives/iptables-restore &&
		host_exec ln -sf /usr/sbin/ip6tables-legacy-restore /etc/alternatives/ip6tables-restore
}

# As a boot has it: the engine asks for firewalld when it starts.
export HOST_LIVE_RESTORE=true
HOST_ENGINE=0 host_up coexist && others_mount && legacy "$@" && firewalld_start || broken "firewalld does not start"
engine_start && say "$(host_exec iptables --version)" && main_fill || broken "no host"
jobfence_config "$EGRESS"
scene_flows main
for FLOW in "${!FLOW_ROW[@]}"; do probe_row "$FLOW"; done
forbidden_only
beside firewalld
# firewalld went with the engine's rules.
engine_stop && engine_start && ufw_start || broken "ufw does not start"
beside ufw
finish
