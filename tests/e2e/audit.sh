#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Audit mode on a real engine: forbidden flows of every group, each closed where it is enforced, open and
# counted where all is audited, and open where its own group alone is. What two groups forbid stays closed
# until both are audited. Back to enforcing, and from group to group, without a moment in which more passes.
#
# Usage: audit.sh [--quick]
# shellcheck disable=SC2015,SC2119,SC2317 # a set-up that fails ends it; no arguments; called by name
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

QUICK=''
[ "${1-}" != --quick ] || QUICK=1
GROUPS_OF=(egress neighbours host spoofing host_apis published runners quarantine)
FLOWS=() # GROUP[+GROUP]|FAMILY COUNTER|WHAT|ANSWER|WHO|ARGUMENTS (of dial; of lo_inject: WHO is "frame")

flow() { FLOWS+=("$1|$2|$3|$4|$5|$6"); }

list_flows() {
	local b4 b6 d4 z6 a4 a6 port

	a4=$(container_ip4 alpha) a6=$(container_ip6 alpha) b4=$(container_ip4 beta)
	b6=$(container_ip6 beta) d4=$(container_ip4 delta) z6=$(container_ip6 zeta)
	port=$(container_port beta 10999)
	flow neighbours "bridge job_to_neighbour" "job → neighbour" beta:app alpha "$b4 8000"
	flow neighbours "bridge job_to_neighbour" "job → neighbour, IPv6" beta:app alpha "$b6 8000"
	flow neighbours "inet to_job" "job → job on another bridge, IPv6" zeta:app alpha "$z6 8000"
	flow neighbours "inet job_to_bystander" "job → bystander" delta alpha "$d4 8000"
	flow neighbours "inet to_job" "LAN → job" alpha:app lan "$a4 8000"
	flow neighbours "inet to_job" "LAN → job, UDP, IPv6" alpha:app lan "--udp $a6 8000"
	flow neighbours "inet host_job_to_bridge" "host job → bridge job" alpha:app gamma "$a4 8000"
	flow host "inet job_to_host" "job → host" sshd alpha "$HOST_GW4 22"
	flow host "inet job_to_host" "job → host's LAN address, IPv6" sshd alpha "$HOST_LAN6 22"
	flow host+host_apis "inet job_to_host" "job → shim by the gateway" shim alpha "$HOST_GW4 10998"
	flow host+published "inet job_to_host" "job → published port by the gateway" theta:app alpha \
		"$HOST_GW4 18000"
	flow host_apis "inet host_job_to_host_api" "host job → shim" shim gamma "127.0.0.1 10998"
	flow host_apis "inet host_job_to_host_api" "host job → shim, IPv6" shim6 gamma "::1 10998"
	flow host_apis "inet outside_to_host_api" "LAN → shim" shim lan "$HOST_LAN4 10998"
	flow host_apis "inet host_job_to_fenced" "host job → fenced port" exporter gamma "127.0.0.1 9100"
	flow host_apis "inet shadow_listener" "host → job in the exporter's place" shadow host "::1 10997"
	flow host_apis "inet guarded_listener" "host → job on a guarded port" guarded host "127.0.0.1 2222"
	flow host_apis "inet guarded_listener" "LAN → job on a guarded port, UDP" guarded lan \
		"--udp $HOST_LAN4 2223"
	flow published "inet host_job_to_published" "host job → published port" beta:runner gamma \
		"127.0.0.1 $port"
	flow published "inet outside_to_published" "LAN → published port, by docker-proxy" mu:app lan \
		"$HOST_LAN6 18002"
	flow neighbours "inet to_job" "LAN → published port, by DNAT" theta:app lan "$HOST_LAN4 18000"
	flow runners "inet host_job_to_runner" "host job → another's runner" epsilon:runner gamma "::1 10999"
	flow runners "inet outside_to_runner" "LAN → runner" gamma:runner lan "$HOST_LAN4 10999"
	flow quarantine "inet host_job_quarantined" "quarantined job → LAN" lan kappa "$LAN4 8080"
	flow quarantine "inet to_quarantined" "LAN → quarantined job, IPv6" kappa:app lan \
		"$HOST_LAN6 $(container_app kappa)"
	flow quarantine "inet host_job_quarantined" "quarantined job → its own runner" kappa:runner kappa \
		"127.0.0.3 10999"
	flow quarantine+runners "inet host_job_quarantined" "quarantined job → another's runner" \
		epsilon:runner kappa "::1 10999"
	flow quarantine+host_apis "inet host_job_to_host_api" "quarantined job → shim" shim kappa \
		"127.0.0.1 10998"
	flow quarantine+neighbours "inet host_job_quarantined" "quarantined job → bridge job" alpha:app kappa \
		"$a4 8000"
	flow spoofing "inet loopback_forged" "frame on lo → shim" synack frame 10998
	grep -q job_to_internal "$HOST_DIR/rules" &&
		flow egress "inet job_to_internal" "job → LAN" lan alpha "$LAN4 8080"
}

# try_flow ROW: what it met, "open" if the right one answered
try_flow() {
	local what group counter answer who args got

	IFS='|' read -r group counter what answer who args <<<"$1"
	if [ "$who" = frame ]; then
		got=$(exec_from gamma lo_inject "[::1]:$((50000 + RANDOM % 5000))" "[::1]:$args")
		[ "$got" != "$answer" ] || got=open
	else
		# shellcheck disable=SC2086 # arguments
		got=$(dial_from "$who" --timeout 600 $args 2>&1)
		[ "$got" != "open:$answer" ] || got=open
	fi
	echo "$got"
}

# each_flow counted|'' AUDITED…: closed unless all its groups are among those
each_flow() {
	local counted=$1 row group counter what want got old new one i=0

	shift
	for row in "${FLOWS[@]}"; do
		i=$((i + 1))
		IFS='|' read -r group counter what _ <<<"$row"
		if [ -z "$counted" ]; then
			try_flow "$row" >"$HOST_DIR/try-$i" &
			[ $((i % 6)) -ne 0 ] || wait
			continue
		fi
		# shellcheck disable=SC2086 # family and name
		old=$(counter $counter)
		try_flow "$row" >"$HOST_DIR/try-$i"
		# shellcheck disable=SC2086
		new=$(counter $counter)
		check_that "$what: counted by $counter" $((new - old)) -gt 0
	done
	wait
	i=0
	for row in "${FLOWS[@]}"; do
		i=$((i + 1)) want=open
		IFS='|' read -r group counter what _ <<<"$row"
		for one in ${group//+/ }; do
			[[ " $* " == *" $one "* ]] || want="!(open*|synack|closed|mute)"
		done
		got=$(<"$HOST_DIR/try-$i")
		check "$what [$group]" "$want" "$got"
	done
}

ready_count() { grep -c ' READY=1$' "$HOST_DIR/notify.log"; }
ready_more() { [ "$(ready_count)" -gt "$1" ]; }

configure() { # LINES OF [enforce]
	jobfence_config "[ports]
fenced = tcp 9100
guarded = tcp 2222, udp 2223
[enforce]
${1-}"
}

reload() { # LINES OF [enforce]
	local before

	configure "$1"
	before=$(ready_count)
	jobfence_signal HUP
	host_wait 5000 ready_more "$before"
}

host_up audit || broken "host_up"
docker_h network create --subnet 172.30.0.0/24 --ipv6 --subnet fd00:5ec::/64 second >/dev/null
docker_h network create third >/dev/null
shim_start 0.0.0.0 || broken "shim"
host_exec serve -b 'tcp:[::1]:10998=shim6' || broken "shim6"
job_start bridge alpha && job_start bridge beta && job_start second zeta &&
	job_start bridge theta part -p 18000:8000 && job_start third mu part -p 18002:8000 &&
	job_start host gamma && job_start host epsilon && job_start host kappa part && bystander_start delta || broken "containers"
host_exec iptables -I FORWARD -j ACCEPT
host_exec ip6tables -I FORWARD -j ACCEPT
spawn_from gamma "$HOST_DIR/gamma.log" serve 'tcp:[::1]:10997=shadow' tcp:0.0.0.0:2222=guarded \
	udp:0.0.0.0:2223=guarded "tcp:$HOST_LAN4:10999=gamma:runner"
spawn_from epsilon "$HOST_DIR/epsilon.log" serve 'tcp:[::1]:10999=epsilon:runner'
spawn_from kappa "$HOST_DIR/kappa.log" serve tcp:127.0.0.3:10999=kappa:runner
configure
jobfence_cli render >"$HOST_DIR/rules" || broken "render"
list_flows
for name in alpha beta; do # what is tried is the packet itself, not the question before it
	other=alpha
	[ $name = beta ] || other=beta
	nsenter -t "$(container_pid $name)" -n ip -batch - <<-END
		neigh replace $(container_ip4 $other) lladdr $(container_mac $other) dev eth0 nud permanent
		neigh replace $(container_ip6 $other) lladdr $(container_mac $other) dev eth0 nud permanent
	END
done

section "before jobfence: everything is open"
each_flow '' "${GROUPS_OF[@]}"

section "enforced: everything is closed and counted"
jobfence_up || broken "jobfence"
each_flow counted
check "status says nothing of audit" "mode*" "$(jobfence_cli status | head -n 1)"

section "all in audit: everything is open, and counted all the same"
reload "default = audit"
each_flow counted "${GROUPS_OF[@]}"
check "the first line of status" "AUDIT         NOTHING IS ENFORCED*" "$(jobfence_cli status | head -n 1)"
jobfence_cli status --json >"$HOST_DIR/status.json"
check "status --json" "*\"everything\": false,*\"nothing\": true,*" "$(tr -d '\n' <"$HOST_DIR/status.json")"
check "no job is shown as held" 0 "$(grep -c '"held": true' "$HOST_DIR/status.json" |
	awk -v free="$(grep -c '"role": "bystander"' "$HOST_DIR/status.json")" '{ print $1 - free }')"
check "verify compares with it" "equal:*" "$(jobfence_cli verify)"
check "the log warns" 1 "$(grep -c 'AUDIT: nothing is enforced' "$HOST_DIR/jobfence.log")"
configure # on disk only
jobfence_cli verify >"$HOST_DIR/verify.log"
check "verify against a configuration that enforces" 1 $?
check "jobs: stopped packets are counted for the job" "[1-9]*" "$(host_exec nft list set inet jobfence host_jobs |
	grep -o 'counter packets [0-9]*' | sort -k3n | tail -n 1 | cut -d' ' -f3)"

section "one group in audit: only what that one forbids is open"
for group in "${GROUPS_OF[@]}"; do
	reload "$group = audit"
	say "$group"
	check "the first line of status" "AUDIT         NOT ENFORCED, only counted and logged: $group" \
		"$(jobfence_cli status | head -n 1)"
	each_flow '' "$group"
done

section "two groups in audit: what both forbid is open"
reload $'host = audit\nhost_apis = audit'
each_flow '' host host_apis
reload $'default = audit\nspoofing = enforce'
each_flow '' egress neighbours host host_apis published runners quarantine

section "back to enforcing: closed as soon as it is ready"
reload "default = enforce"
each_flow counted
check "no trace of it in the ruleset" 0 "$(host_exec nft list ruleset | grep -c audit_)"
check "status says nothing of audit" "mode*" "$(jobfence_cli status | head -n 1)"

section "reloads from group to group, under a flood that none of them lets through"
: >"$HOST_DIR/sink.log"
spawn_from beta "$HOST_DIR/sink.log" sink "$(container_ip4 beta):7000"
sink=$HOST_SPAWNED
host_wait 3000 grep -q ready "$HOST_DIR/sink.log"
spawn_from alpha "$HOST_DIR/flood.log" flood -s 3600 "$(container_ip4 beta):7000"
flood=$HOST_SPAWNED
for ((i = 0; i < ${QUICK:+10}${QUICK:-50}; i++)); do
	reload "$([ $((i % 2)) = 0 ] && echo 'host = audit')" || broken "reload"
done
kill "$flood"
host_wait 5000 grep -q sent= "$HOST_DIR/flood.log"
say "$(tail -n 1 "$HOST_DIR/flood.log")"
kill "$sink"
host_wait 3000 grep -q received= "$HOST_DIR/sink.log"
check "leaked" "received=0*" "$(tail -n 1 "$HOST_DIR/sink.log")"

section "the kernel's log"
if [ "$(cat /proc/sys/net/netfilter/nf_log_all_netns 2>/dev/null)" = 0 ] &&
	echo 1 2>/dev/null >/proc/sys/net/netfilter/nf_log_all_netns; then
	reload "default = audit"
	logged=$(dmesg | grep -c 'jobfence audit host: .*DPT=22 ')
	dial_from alpha --timeout 600 "$HOST_GW4" 22 >/dev/null
	echo 0 >/proc/sys/net/netfilter/nf_log_all_netns
	check_that "lines that name the group" \
		$(($(dmesg | grep -c 'jobfence audit host: .*DPT=22 ') - logged)) -gt 0
	reload $'default = audit\nlog = no'
	check "log = no" 0 "$(host_exec nft list ruleset | grep -c 'log prefix "jobfence audit')"
	check "and lets through" open:sshd "$(dial_from alpha --timeout 600 "$HOST_GW4" 22)"
else
	say "this kernel logs for no namespace but its first: only the rules were looked at"
fi
jobfence_stop
check "jobfence stops" 0 $?
finish
