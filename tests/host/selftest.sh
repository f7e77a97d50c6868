#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The fixture's own test, without jobfence: who reaches whom on a plain host (every flow that jobfence
# must stop has to be open here, or its test would prove nothing), each attack tool at work, and
# nothing left of a host that was taken down, interrupted or killed.
#
# Usage: selftest.sh [flows|attacks|places|daemon|interrupts]   (all of them)
# shellcheck disable=SC2053,SC2086,SC2119,SC2317 # patterns; addresses; parts are called by name
# shellcheck source=tests/host/host.sh
. "$(dirname "${BASH_SOURCE[0]}")/host.sh"

FAILED=0

check() { # NUMBER-OR-NAME EXPECTED GOT
	if [[ $3 == $2 ]]; then
		printf '  %-76s %s\n' "$1" "$3"
	else
		printf '  %-76s %s, wanted %s  FAILED\n' "$1" "$3" "$2"
		FAILED=1
	fi
}

reach() { # WHO WHOM EXPECTED DIAL-ARGUMENTS…
	local who=$1 whom=$2 want=$3

	shift 3
	check "$who → $whom ($*)" "$want" "$(dial_from "$who" --timeout 700 "$@")"
}

host_full() {
	host_up "$1" || exit 1
	shim_start
	job_start bridge alpha && job_start bridge beta && job_start host gamma &&
		bystander_start delta || exit 1
}

flows_bridge() {
	local a4 b4 b6 port

	a4=$(container_ip4 alpha) b4=$(container_ip4 beta) b6=$(container_ip6 beta)
	port=$(container_port beta 10999)
	echo "bridge jobs"
	for port in 10999 10022 8000; do
		reach alpha "beta (B7)" 'open:beta:*' "$b4" $port
		reach alpha "beta (B7)" 'open:beta:*' "$b6" $port
	done
	reach alpha "beta (B7)" open:beta:app --udp "$b4" 8000
	reach alpha "beta (B7)" open:beta:app --udp "$b6" 8000
	reach alpha "beta (B7)" open:icmp --ping "$b4"
	reach alpha "beta (B7)" open:icmp --ping "$b6"
	for port in $HOST_GW4 $HOST_LAN4 $HOST_WAN4 $HOST_GW6 $HOST_LAN6 $HOST_WAN6; do
		reach alpha "host (B8)" open:sshd "$port" 22
		reach alpha "host (B8)" open:exporter --udp "$port" 9100
		reach alpha "host (B8)" open:icmp --ping "$port"
	done
	reach alpha "host job's sshd (B8)" open:gamma:sshd "$HOST_GW4" 10022
	reach alpha "internet (G12)" open:inet $INET4 443
	reach alpha "internet (G12)" open:inet $INET6 443
	reach alpha "internet (G12)" open:inet --udp $INET4 53
	reach alpha "internet (G12)" open:inet --udp $INET6 53
	reach alpha "LAN (B10)" open:lan $LAN4 8080
	reach alpha "LAN (B10)" open:lan $LAN6 8080
	reach alpha "bystander" open:delta "$(container_ip4 delta)" 8000
	reach alpha "itself" open:alpha:runner "$a4" 10999
}

flows_host_job() {
	local ip b4 b6

	b4=$(container_ip4 beta) b6=$(container_ip6 beta)
	echo "host job"
	reach gamma "shim (B1)" open:shim 127.0.0.1 10998
	reach gamma "DCGM (B2)" open:dcgm 127.0.0.1 10997
	reach gamma "published runner (B3)" open:beta:runner 127.0.0.1 "$(container_port beta 10999)"
	reach gamma "published sshd (B3)" open:beta:sshd 127.0.0.1 "$(container_port beta 10022)"
	for ip in "$b4" "$b6"; do
		reach gamma "bridge job (B4)" open:beta:runner "$ip" 10999
		reach gamma "bridge job (B4)" open:beta:app --udp "$ip" 8000
		reach gamma "bridge job (B4)" open:icmp --ping "$ip"
	done
	job_start host epsilon || exit 1
	reach epsilon "first host job's runner (B5)" open:gamma:runner 127.0.0.1 10999
	spawn_from gamma /dev/null serve 'tcp:[::1]:10998=shadow'
	host_wait 2000 dial_from host --expect shadow ::1 10998 >/dev/null
	reach host "shadow listener (B6)" open:shadow ::1 10998
	reach gamma "own runner (G5)" open:gamma:runner 127.0.0.1 10999
	reach gamma "own internal address (G14)" open:gamma:app $HOST_LAN4 "$(container_app gamma)"
	reach gamma "stub resolver (G11)" open:stub --udp 127.0.0.53 53
	for ip in $LAN4 $LAN6; do reach gamma "LAN (G14)" open:lan "$ip" 8080; done
	for ip in $INET4 $INET6; do reach gamma "internet" open:inet "$ip" 443; done
	for ip in $HOST_LAN4 $HOST_LAN6; do
		reach lan "host job's server (G15)" open:gamma:app "$ip" "$(container_app gamma)"
	done
}

flows_rest() {
	local ip

	echo "host, LAN, bystander"
	reach host "shim (G2)" open:shim 127.0.0.1 10998
	reach host "published runner (G3)" open:beta:runner 127.0.0.1 "$(container_port beta 10999)"
	reach host "published sshd (G4)" open:beta:sshd 127.0.0.1 "$(container_port beta 10022)"
	reach host "host job's runner (G3)" open:gamma:runner 127.0.0.1 10999
	reach lan "published port, by the job's address (B12)" open:beta:runner \
		"$(container_ip4 beta)" 10999
	reach lan "job's address (B12)" open:beta:app "$(container_ip4 beta)" 8000
	reach lan "job's address (B12)" open:beta:runner "$(container_ip6 beta)" 10999
	shim_stop && host_exec serve -b -p "$HOST_DIR/shim.pid" tcp:0.0.0.0:10998=shim \
		'tcp:[::]:10997=dcgm'
	reach lan "old shim on every address (B13)" open:shim $HOST_LAN4 10998
	reach lan "old exporter on every address (B13)" open:dcgm $HOST_LAN6 10997
	for ip in $HOST_GW4 $HOST_GW6; do reach delta "host" open:sshd "$ip" 22; done
	for ip in $LAN4 $LAN6; do reach delta "LAN" open:lan "$ip" 8080; done
	reach delta "job" open:alpha:runner "$(container_ip6 alpha)" 10999
}

flows_second_network() {
	local net=second

	echo "across bridges"
	docker_h network create --ipv6 --subnet fd00:5ec::/64 $net >/dev/null
	job_start $net zeta && bystander_start eta --network $net || exit 1
	reach alpha "job on another bridge, closed by Docker" timeout "$(container_ip4 zeta)" 10999
	job_start bridge theta -p 8000 || exit 1
	reach zeta "published port by the gateway (B9)" open:theta:app $HOST_GW4 \
		"$(container_port theta 8000)"
	reach lan "published port" open:theta:app $HOST_LAN4 "$(container_port theta 8000)"
	reach zeta "bystander on its bridge" open:eta "$(container_ip4 eta)" 8000
	reach zeta "bystander on its bridge" open:eta "$(container_ip6 eta)" 8000
	reach zeta "host job by its gateway (B8)" open:gamma:sshd $HOST_GW4 10022
}

flows() {
	host_full flows
	flows_bridge
	flows_host_job
	flows_rest
	flows_second_network
	host_is_gone flows
}

# --- attacks -------------------------------------------------------------------------------------

# Hand-made rules that count or drop, so that a tool's effect is seen.
probe() { host_exec nft -f - <<<"$1"; }
probe_count() {
	host_exec nft list counter inet probe "$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}

attack_rawsyn() {
	probe 'table inet probe {
		counter replies { }
		chain output {
			type filter hook output priority -5
			ct direction reply tcp flags & (syn | ack) == syn counter name replies
		}
	}'
	exec_from gamma rawsyn 127.0.0.1:10998 127.0.0.1:40001
	reach gamma "shim, SYN taken for a reply" open:shim --from 127.0.0.1:40001 127.0.0.1 10998
	check "… and was in direction reply" 1 "$(probe_count replies)"
	exec_from gamma rawsyn '[::1]:22' '[::1]:40002'
	reach gamma "sshd, SYN taken for a reply" open:sshd --from '[::1]:40002' ::1 22
	check "… and was in direction reply" 2 "$(probe_count replies)"
	probe 'delete table inet probe'
}

# Answers in the shim's place while it is away: attack_in_place TOOL FLAGS-THAT-GET-NO-ANSWER
attack_in_place() {
	local end

	shim_stop
	probe "table inet probe {
		chain input {
			type filter hook input priority -5
			iif lo tcp dport 10998 $2 drop
		}
	}"
	for end in 127.0.0.1 ::1; do
		: >"$HOST_DIR/attack.log"
		spawn_from gamma "$HOST_DIR/attack.log" "$1" 10998 forged 5
		sleep 0.1
		reach host "shim away, $1 in its place" open:forged "$end" 10998
		host_wait 1000 grep -q believed "$HOST_DIR/attack.log"
		check "… and it knows" 'answered believed ' "$(tr '\n' ' ' <"$HOST_DIR/attack.log")"
	done
	probe 'delete table inet probe'
	shim_restart
}

attack_lo_inject() {
	check "injected SYN to [::1]:22" synack "$(exec_from gamma lo_inject '[::1]:5555' '[::1]:22')"
	check "injected SYN to [::1]:1" rst "$(exec_from gamma lo_inject '[::1]:5555' '[::1]:1')"
	check "injected SYN to 127.0.0.1:22, a martian" silent \
		"$(exec_from gamma lo_inject 127.0.0.1:5555 127.0.0.1:22)"
}

attack_l2spoof() {
	local a b d a4 b4 d4 b6 d6

	a=$(container_mac alpha) b=$(container_mac beta) d=$(container_mac delta)
	a4=$(container_ip4 alpha) b4=$(container_ip4 beta) d4=$(container_ip4 delta)
	b6=$(container_ip6 beta) d6=$(container_ip6 delta)
	for end in "$d4:5 $b4:7001" "[$d6]:5 [$b6]:7001"; do
		: >"$HOST_DIR/sink.log"
		spawn_from beta "$HOST_DIR/sink.log" sink -s 1 "${end#* }"
		host_wait 2000 grep -q ready "$HOST_DIR/sink.log"
		# shellcheck disable=SC2086 # two arguments
		exec_from alpha l2spoof eth0 udp "$d" "$b" $end
		host_wait 3000 grep -q received "$HOST_DIR/sink.log"
		check "datagram as ${end% *}" 'received=1 *' "$(tail -n 1 "$HOST_DIR/sink.log")"
	done
	dial_from beta "$d4" 8000 >/dev/null
	dial_from beta "$d6" 8000 >/dev/null
	sleep 1.1 # a neighbour that was just confirmed is not changed within a second
	exec_from alpha l2spoof eth0 arp "$a" "$b" "$d4" "$b4"
	exec_from alpha l2spoof eth0 na "$a" "$b" "$d6" "$b6"
	sleep 0.1
	check "beta's ARP entry of delta poisoned" "*lladdr $a*" "$(exec_from beta ip -4 neigh show "$d4")"
	check "beta's ND entry of delta poisoned" "*lladdr $a*" "$(exec_from beta ip -6 neigh show "$d6")"
	: >"$HOST_DIR/frames.log"
	spawn_from beta "$HOST_DIR/frames.log" l2spoof eth0 listen 0x88b5 1
	sleep 0.3
	exec_from alpha l2spoof eth0 raw "$a" "$b" 0x88b5
	host_wait 3000 grep -q frames "$HOST_DIR/frames.log"
	check "frame of no known protocol, $a4 to beta" frames=1 "$(cat "$HOST_DIR/frames.log")"
	exec_from alpha l2spoof eth0 ra "$a" "$b" fe80::42:acff:fe11:2 "$b6"
	sleep 0.1
	check "beta's default route by alpha's advertisement" '*default via fe80::42:acff:fe11:2*' \
		"$(exec_from beta ip -6 route show | tr '\n' ' ')"
}

attack_start() {
	local out

	out=$(job_run bridge early -- /bin/startdial "$(container_ip4 beta):10999" \
		"[$(container_ip6 beta)]:10999" $HOST_GW4:22 192.0.2.1:1)
	check "first instruction of a bridge job: exit 3" "3 open open open no" "$? $out"
	out=$(job_run host early -- /bin/startdial 127.0.0.1:10998 '[::1]:1')
	check "first instruction of a host job: exit 1" "1 open no" "$? $out"
}

attack_flood() {
	local out rate got

	: >"$HOST_DIR/sink.log"
	spawn_from beta "$HOST_DIR/sink.log" sink "$(container_ip4 beta):7002"
	host_wait 2000 grep -q ready "$HOST_DIR/sink.log"
	out=$(exec_from alpha flood -s 1 "$(container_ip4 beta):7002")
	rate=${out#sent=}
	kill "$HOST_SPAWNED"
	host_wait 2000 grep -q received "$HOST_DIR/sink.log"
	got=$(tail -n 1 "$HOST_DIR/sink.log")
	echo "  flood: $out; sink: $got"
	got=${got#received=}
	check "the flood reaches the sink" 1 "$((${rate%% *} > 0 && ${got%% *} > 0))"
	: >"$HOST_DIR/sink.log"
	spawn_from lan "$HOST_DIR/sink.log" sink "$LAN4:7002"
	host_wait 2000 grep -q ready "$HOST_DIR/sink.log"
	out=$(exec_from gamma flood -s 1 -r 20000 "$LAN4:7002")
	sleep 0.1
	kill "$HOST_SPAWNED"
	host_wait 2000 grep -q received "$HOST_DIR/sink.log"
	check "20,000 a second, $out" '*missing=0' "$(tail -n 1 "$HOST_DIR/sink.log")"
}

attack_hold() {
	: >"$HOST_DIR/hold.log"
	spawn_from alpha "$HOST_DIR/hold.log" dial --hold "$(container_ip4 beta)" 8000
	sleep 0.3
	kill "$HOST_SPAWNED"
	host_wait 2000 grep -q held "$HOST_DIR/hold.log"
	check "a held connection" 'open:beta:app held:*' "$(tr '\n' ' ' <"$HOST_DIR/hold.log")"
}

attacks() {
	host_full attacks
	echo "attack tools"
	attack_rawsyn
	attack_in_place rawreply ''
	attack_in_place simopen 'tcp flags & (syn | ack) == syn'
	attack_lo_inject
	attack_l2spoof
	attack_start
	attack_flood
	attack_hold
	engine_kill && engine_start
	check "kill and restart of the engine" 0 $?
	engine_stop && engine_start
	check "stop and start of the engine" 0 $?
	host_is_gone attacks
}

# --- where sockets are, and a daemon ---------------------------------------------------------------

# A path as nft wants it: below the mount point of all hierarchies.
nft_path() { echo "${HOST_UNIFIED#/sys/fs/cgroup}$1" | sed 's|^/||'; }

proxies() {
	local pid n=0

	while read -r pid; do
		[ "$(<"/proc/$pid/comm")" != docker-proxy ] || n=$((n + 1))
	done <"$HOST_CG/engine/cgroup.procs"
	echo $n
}

places() {
	local level=1 ns

	host_full places
	echo "cgroups of sockets"
	ns=$HOST_PID
	probe "table inet probe {
		counter containers { }
		counter engine { }
		chain output {
			type filter hook output priority 0
			tcp flags syn socket cgroupv2 level $level \"$(nft_path $HOST_CGROUP_PARENT)\" counter name containers
			tcp flags syn socket cgroupv2 level 2 \"$(nft_path $HOST_ENGINE_CGROUP)\" counter name engine
		}
	}"
	dial_from host 127.0.0.1 10998 >/dev/null
	check "a host process is in neither" "0 0" "$(probe_count containers) $(probe_count engine)"
	dial_from gamma 127.0.0.1 10998 >/dev/null
	check "job_exec is in its container's" "1 0" "$(probe_count containers) $(probe_count engine)"
	in_container gamma dial 127.0.0.1 10998 >/dev/null
	check "docker exec is in its container's" "2 0" "$(probe_count containers) $(probe_count engine)"
	dial_from host 127.0.0.1 "$(container_port beta 10999)" >/dev/null
	check "docker-proxy is in the engine's" "2 1" "$(probe_count containers) $(probe_count engine)"
	spawn_from alpha /dev/null sleep 5
	check "job_exec has Docker's capabilities" "$(in_container alpha grep Cap /proc/self/status)" \
		"$(sleep 0.05; grep Cap "/proc/$HOST_SPAWNED/status")"
	check "docker-proxies, two a bridge job" 4 "$(proxies)"
	HOST_USERLAND_PROXY=false host_up second && job_start bridge alpha || exit 1
	check "a second host beside it" 1 "$((HOST_PID != ns))"
	check "no docker-proxy there" 0 "$(proxies)"
	reach host "published runner by DNAT alone" open:alpha:runner 127.0.0.1 \
		"$(container_port alpha 10999)"
	host_down && host_use places
	check "the first is still there" open:shim "$(dial_from host 127.0.0.1 10998)"
	host_is_gone places
}

# In jobfence's place: says READY=1, or not; ends with 7.
stand_in() {
	cat <<-'END'
		#!/bin/bash
		[ "$1" = run ] || { echo "$@"; exit 4; }
		trap 'exit 7' TERM
		[ -d "$RUNTIME_DIRECTORY" ] && grep -q "^parent = jfhost" "$3" || exit 5
		[ -z "$SILENT" ] || exit 6
		printf 'STATUS=up\nREADY=1' | socat -u - "UNIX-SENDTO:$NOTIFY_SOCKET"
		while :; do sleep 0.05; done
	END
}

daemon() {
	HOST_ENGINE=0 host_up daemon || exit 1
	echo "a daemon"
	JOBFENCE=$HOST_DIR/stand-in
	stand_in >"$JOBFENCE"
	chmod +x "$JOBFENCE"
	jobfence_start
	check "starts and is ready" 0 $?
	check "in its own cgroup" "*::/jfhost-$HOST_ID/jobfence" \
		"$(grep ^0: "/proc/$(<"$HOST_DIR/jobfence.pid")/cgroup")"
	jobfence_stop
	check "stops with its exit code" 7 $?
	jobfence_start && jobfence_kill
	check "starts again and is killed" 0 $?
	jobfence_start SILENT=1 2>/dev/null
	check "not ready is a failure" 1 $?
	check "its exit code" 6 "$(jobfence_reap; echo $?)"
	check "the command line" "status --config $HOST_DIR/jobfence.conf --json" \
		"$(jobfence_cli status --json)"
	host_is_gone daemon
}

# --- nothing left --------------------------------------------------------------------------------

# What is left of the hosts whose ids match: leftovers PATTERN
leftovers() {
	find /sys/fs/cgroup -maxdepth 2 -name "jfhost-$1*"
	find "$HOST_STATE" -maxdepth 1 -name "$1" 2>/dev/null
	grep "jfhost-$1" /proc/self/mountinfo
	# shellcheck disable=SC2009 # the whole command line
	ps -eo pid,args | grep "[j]obfence-hosts/$1"
}

# Takes a host down and looks for its namespaces as well.
host_is_gone() {
	local left before spaces=() pid start=${EPOCHREALTIME/./}

	before=$HOST_ID
	for pid in "$HOST_PID" "$LAN_PID" "$INET_PID" "$(container_pid alpha 2>/dev/null)"; do
		spaces+=("$(readlink "/proc/$pid/ns/net")")
	done
	host_down
	check "taken down in $(((${EPOCHREALTIME/./} - start) / 1000)) ms, left over" '' \
		"$(leftovers "$before")"
	left=$(readlink /proc/[0-9]*/ns/net /proc/[0-9]*/task/*/ns/net 2>/dev/null |
		grep -cFx -e "${spaces[0]}" -e "${spaces[1]}" -e "${spaces[2]}" -e "${spaces[3]}")
	check "processes in its namespaces" 0 "$left"
}

interrupts() {
	local signal delay pid

	echo "interrupted"
	for signal in TERM INT KILL; do
		for delay in 0.05 0.2 0.6 1.0 1.5 2.5; do
			# A job of a shell without job control would ignore SIGINT.
			setsid env --default-signal=INT "${BASH_SOURCE[0]}" attacks >/dev/null 2>&1 &
			pid=$!
			disown $pid
			sleep $delay
			kill -s $signal $pid
			host_wait 20000 test ! -d /proc/$pid
			[ $signal != KILL ] || host_cleanup_stale
			check "SIG$signal after $delay s, left over" '' "$(leftovers "$pid-*")"
		done
	done
}

ROOT_BEFORE=$(nft list ruleset 2>&1; ip addr; ip route; cat /proc/self/mountinfo)
for part in ${1:-flows attacks places daemon interrupts}; do
	$part
done
check "the machine's own rules, addresses, mounts: unchanged" 0 "$(
	[ "$ROOT_BEFORE" = "$(nft list ruleset 2>&1; ip addr; ip route; cat /proc/self/mountinfo)" ]
	echo $?
)"
exit $FAILED
