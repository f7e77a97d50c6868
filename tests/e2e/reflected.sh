#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Detours: what a job may not reach by its address and port, tried by IPv4-mapped IPv6, by the source port of
# a name server, in fragments, by 127.0.0.1 on the wire, and, without docker-proxy, by published ports. Each
# works before jobfence (fragments that overlap and mapped addresses on the wire leave the sender), fails with
# it and is counted; where one rule decides, it works with that one taken out.
set -u
# shellcheck source=tests/e2e/attack_table.sh
. "$(dirname "${BASH_SOURCE[0]}")/attack_table.sh"

attack_dial() { works_if "open:$1" "$(dial_from "$2" --timeout 500 "${@:3}")"; } # BANNER WHO ARGUMENTS

attack_pieces() { # HOW SRC DST
	local port

	port=$(next_port)
	sunk host "$3:$port" exec_from alpha pieces "$1" "$2:$port" "$3:$port"
}

# 127.0.0.1 on the wire: docker0 routes it where somebody set route_localnet.
attack_localnet() {
	local port

	port=$(next_port)
	sunk host "127.0.0.1:$port" exec_from alpha l2spoof eth0 udp "$(container_mac alpha)" \
		"$(host_exec cat /sys/class/net/docker0/address)" "$A4:$port" "127.0.0.1:$port"
}

list_attacks() {
	local host='inet from_bridge_to_host name .job_to_host.'

	attack "mapped address of lo, the shim" "inet host_job_to_host_api" - \
		"attack_dial shim gamma ::ffff:127.0.0.1 10998"
	attack "mapped address of the LAN, the shim" "inet host_job_to_host_api" - \
		"attack_dial shim gamma ::ffff:$HOST_LAN4 10998"
	attack "mapped address of lo, a published port" "inet host_job_to_published" - \
		"attack_dial beta:runner gamma ::ffff:127.0.0.1 $PB"
	attack "mapped address of a bridge job" "inet host_job_to_bridge" - \
		"attack_dial beta:runner gamma ::ffff:$B4 10999"
	attack "mapped address of the gateway, sshd" "inet job_to_host" - \
		"attack_dial sshd alpha ::ffff:$HOST_GW4 22"
	attack "mapped address of a neighbour" "bridge job_to_neighbour" - \
		"attack_dial beta:runner alpha ::ffff:$B4 10999"
	attack "from port 53 to the host" "inet job_to_host" - \
		"attack_dial sshd alpha --from $A4:53 $HOST_GW4 22"
	attack "from port 53 to the host, IPv6" "inet job_to_host" - \
		"attack_dial sshd alpha --from [$A6]:53 $HOST_GW6 22"
	attack "from port 53 to the host, UDP" "inet job_to_host" "$host" \
		"attack_dial exporter alpha --udp --from $A4:53 $HOST_GW4 9100"
	attack "from port 53 to a neighbour" "bridge job_to_neighbour" - \
		"attack_dial beta:runner alpha --from $A4:53 $B4 10999"
	attack "from port 53 to the shim" "inet host_job_to_host_api" - \
		"attack_dial shim gamma --from 127.0.0.1:53 127.0.0.1 10998"
	for how in tiny backward; do
		attack "$how fragments to the host" "inet job_to_host" "$host" "attack_pieces $how $A4 $HOST_GW4"
		attack "$how fragments to the host, IPv6" "inet job_to_host" "$host" \
			"attack_pieces $how [$A6] [$HOST_GW6]"
	done
	attack "127.0.0.1 on the wire" "inet job_to_host" "$host" attack_localnet
}

# What leaves the sender, by a counter before everything: left NAME CMD…
left() {
	local before

	before=$(host_exec nft list counter inet wire "$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p')
	"${@:2}" >/dev/null
	[ "$(host_exec nft list counter inet wire "$1" | sed -n 's/.*packets \([0-9]*\).*/\1/p')" -gt "$before" ] &&
		echo left
}

never_arrive() {
	local v from to

	for v in 4 6; do
		from=$A4 to=$HOST_GW4
		[ $v = 4 ] || { from="[$A6]" to="[$HOST_GW6]"; }
		check "overlapping fragments leave the sender, IPv$v" left \
			"$(left fragments exec_from alpha pieces overlap "$from:5" "$to:9100")"
		check "and do not arrive" 'fails*' "$(attack_pieces overlap "$from" "$to")"
	done
	check "a mapped address on the wire leaves the sender" left "$(left mapped exec_from alpha l2spoof eth0 udp \
		"$(container_mac alpha)" "$(host_exec cat /sys/class/net/docker0/address)" "[$A6]:5" \
		"[::ffff:$HOST_GW4]:9100")"
	check "and does not arrive" 'fails*' "$(sunk host "[::]:9999" exec_from alpha l2spoof eth0 udp \
		"$(container_mac alpha)" "$(host_exec cat /sys/class/net/docker0/address)" "[$A6]:5" \
		"[::ffff:$HOST_GW4]:9999")"
}

make_host() { # NAME
	host_up "$1" || broken "host_up"
	shim_start 0.0.0.0 || broken "shim"
	job_start bridge alpha && job_start bridge beta && job_start bridge theta part -p 8000 &&
		job_start host gamma && bystander_start delta -p 8000 || broken "containers"
	host_exec sh -c 'echo 1 >/proc/sys/net/ipv4/conf/docker0/route_localnet
		echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet'
	host_exec nft -f - <<-'END'
		table inet wire {
			counter fragments { }
			counter mapped { }
			chain prerouting {
				type filter hook prerouting priority -500
				ip frag-off & 0x3fff != 0 counter name fragments
				exthdr frag exists counter name fragments
				ip6 daddr ::ffff:0:0/96 counter name mapped
			}
		}
	END
	A4=$(container_ip4 alpha) A6=$(container_ip6 alpha) B4=$(container_ip4 beta)
	PB=$(container_port beta 10999)
}

make_host reflected
list_attacks

section "before jobfence: each works"
never_arrive
each_attack before

section "with jobfence: each fails and is counted"
jobfence_up || broken "jobfence"
RULES=$(rules)
never_arrive
each_attack with_jobfence

section "with the rule against it taken out, where it is one: works; the daemon puts it back"
for row in "${ATTACKS[@]}"; do
	IFS='|' read -r what counter rules command <<<"$row"
	[ "$rules" = - ] || without_rules "$what" "$counter" "$rules" "$command"
done
jobfence_stop
host_down

section "without docker-proxy: published ports from every side"
HOST_USERLAND_PROXY=false make_host hairpin
ATTACKS=()
for who in theta delta; do
	for to in "$HOST_GW4" "$HOST_LAN4"; do
		attack "hairpin: $who's published port at $to" "inet job_to_host" - \
			"attack_dial $([ $who = theta ] && echo theta:app || echo delta) alpha $to $(container_port $who 8000)"
	done
done
attack "host job to a published port, lo" "inet host_job_to_published" - \
	"attack_dial beta:runner gamma 127.0.0.1 $PB"
attack "mapped, the same" "inet host_job_to_published" - "attack_dial beta:runner gamma ::ffff:127.0.0.1 $PB"
attack "127.0.0.1 on the wire" "inet job_to_host" - attack_localnet
each_attack before
jobfence_up || broken "jobfence"
each_attack with_jobfence
finish
