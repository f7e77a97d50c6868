#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Frames that a host job puts on a guarded bridge or on the host's end of a port by packet sockets: with the
# gateway's own addresses or with invented ones, to another job; and what it sends by sockets bound to that
# port. Each arrives before jobfence, is dropped and counted with it, and arrives again with the one rule taken
# out. What the host itself says arrives.
set -u
# shellcheck source=tests/e2e/attack_table.sh
. "$(dirname "${BASH_SOURCE[0]}")/attack_table.sh"

mac_of() { host_exec cat "/sys/class/net/$1/address"; }

# The port of a container: the link whose peer it is.
port_of() { host_exec ip -o link | sed -n "s/^$(job_exec "$1" cat /sys/class/net/eth0/iflink): \([^@:]*\).*/\1/p"; }

neighbours() { nsenter -t "$(container_pid "$1")" -n ip neigh "$2" dev eth0 ${3+"to"} "${@:3}"; }

# A datagram to VICTIM: attack_frame VICTIM IF SMAC SRC DST [OPTIONS OF l2spoof]
attack_frame() {
	local who=$1 on=$2 smac=$3 src=$4 dst=$5 port

	shift 5
	port=$(next_port)
	sunk "$who" "$dst:$port" exec_from gamma l2spoof "$@" "$on" udp "$smac" "$(container_mac "$who")" \
		"$src:5" "$dst:$port"
}

# A datagram by a raw socket that is bound to the victim's port, to all who are there, so that nobody is asked for
# a MAC (IPv6: also with the victim's address): attack_bound VICTIM PORT SRC SINK DST [GROUP]
attack_bound() {
	local port

	port=$(next_port)
	sunk "$1" "$4:$port" exec_from gamma rawudp --on "$2" ${6+--via "$6"} "$3:5" "$5:$port"
}

# What is no port of a guarded bridge is none of jobfence's business: to a namespace of somebody else's.
other_veth() {
	local group=224.0.0.1 port

	host_exec ip link add other type veth peer name eth7 netns "$LAN_PID" && host_exec ip link set other up &&
		lan_exec ip link set eth7 up || return
	host_wait 2000 spares other || return
	port=$(next_port)
	sunk lan "0.0.0.0:$port" exec_from gamma rawudp --on other --via $group "$HOST_LAN4:5" "$group:$port"
}

spares() { host_exec nft list set inet jobfence spared_veths | grep -q "\"$1\""; }

# The gateway's entry among alpha's neighbours becomes the attacker's: attack_gateway arp|na IF [OPTIONS]
attack_gateway() {
	local kind=$1 on=$2 gateway=$HOST_GW4 victim

	shift 2
	victim=$(container_ip4 alpha)
	[ "$kind" = arp ] || { gateway=$HOST_GW6 victim=$(container_ip6 alpha); }
	job_exec alpha ping -c 1 -W 1 "$gateway" >/dev/null 2>&1
	dial_from host --ping "$victim" >/dev/null # the host's question makes the entry, where jobfence stops the job's
	sleep 1.2 # a neighbour that was just confirmed is not changed within a second
	exec_from gamma l2spoof "$@" "$on" "$kind" "$EVIL" "$(container_mac alpha)" "$gateway" "$victim"
	sleep 0.1
	works_if "*lladdr $EVIL*" "$(neighbours alpha show "$gateway")"
	neighbours alpha flush
}

list_attacks() {
	local rule='netdev injected name .injected.' gw a4 a6 p v

	gw=$(mac_of docker0) a4=$(container_ip4 alpha) a6=[$(container_ip6 alpha)] p=$(port_of alpha)
	for v in 4 6; do
		local from=$HOST_GW4 to=$a4 other=172.17.0.99
		[ $v = 4 ] || { from="[$HOST_GW6]" to=$a6 other='[fd00:d0c::99]'; }
		attack "the gateway's address on docker0, IPv$v" "netdev injected" "$rule" \
			"attack_frame alpha docker0 $gw $from $to"
		attack "the gateway's address on the port, IPv$v" "netdev injected" "$rule" \
			"attack_frame alpha $p $gw $from $to"
		attack "an invented address on docker0, IPv$v" "netdev injected" "$rule" \
			"attack_frame alpha docker0 $EVIL $other $to"
		attack "an invented address on the port, IPv$v" "netdev injected" "$rule" \
			"attack_frame alpha $p $EVIL $other $to"
	done
	attack "a socket bound to the port, IPv4" "inet host_job_to_bridge" "inet fence oifkind .veth." \
		"attack_bound alpha $p $HOST_GW4 0.0.0.0 224.0.0.1"
	attack "a socket bound to the port, broadcast" "inet host_job_to_bridge" \
		"inet fence oifkind .veth." "attack_bound alpha $p $HOST_GW4 0.0.0.0 255.255.255.255"
	attack "a socket bound to the port, IPv6" "inet host_job_to_bridge" "inet fence oifkind .veth." \
		"attack_bound alpha $p [$HOST_GW6] $a6 $a6 ff02::1"
	attack "a socket bound to the port of a second network" "inet host_job_to_bridge" \
		"inet fence oifkind .veth." \
		"attack_bound zeta $(port_of zeta) $HOST_GW4 0.0.0.0 224.0.0.1"
	attack "past the queues, on the port" "netdev injected" "$rule" \
		"attack_frame alpha $p $gw $HOST_GW4 $a4 --by bypass"
	attack "past the queues, on docker0" "netdev injected" "$rule" \
		"attack_frame alpha docker0 $gw $HOST_GW4 $a4 --by bypass"
	attack "by an XDP socket, on docker0" "netdev injected" "$rule" \
		"attack_frame alpha docker0 $gw $HOST_GW4 $a4 --by xdp"
	attack "with a priority tag" "netdev injected" "$rule" \
		"attack_frame alpha $p $gw $HOST_GW4 $a4 --tag 0x8100"
	attack "as ARP to the kernel" "netdev injected" "$rule" \
		"attack_frame alpha $p $gw $HOST_GW4 $a4 --by 0x0806"
	attack "on a second network" "netdev injected" "$rule" \
		"attack_frame zeta $(port_of zeta) $EVIL 172.18.0.99 $(container_ip4 zeta)"
	attack "the gateway's ARP entry" "netdev injected" "$rule" "attack_gateway arp docker0"
	attack "the gateway's ARP entry, on the port" "netdev injected" "$rule" "attack_gateway arp $p"
	attack "the gateway's ARP entry, as VLAN to the kernel" "netdev injected" "$rule" \
		"attack_gateway arp $p --by 0x8100"
	attack "the gateway's ND entry" "netdev injected" "$rule" "attack_gateway na docker0"
}

# The host's answers and questions: nothing of it has to do with packet sockets.
host_talks() {
	local who

	for who in alpha zeta; do
		host_exec ip neigh flush dev docker0
		check "the host reaches $who's runner" "open:$who:runner" \
			"$(dial_from host --timeout 700 "$(container_ip4 "$who")" 10999)"
		check "the host reaches $who's runner, IPv6" "open:$who:runner" \
			"$(dial_from host --timeout 700 "$(container_ip6 "$who")" 10999)"
		neighbours "$who" flush
		check "$who reaches the internet after its question for the gateway" open:inet \
			"$(dial_from "$who" --timeout 1500 "$INET4" 443)"
		check "$who reaches the internet, IPv6" open:inet "$(dial_from "$who" --timeout 1500 "$INET6" 443)"
	done
	sleep 6 # the kernel makes sure of its neighbours
	check "bystander to bystander" open:eta "$(dial_from delta --timeout 700 "$(container_ip4 eta)" 8000)"
	check "bystander to bystander, IPv6" open:eta "$(dial_from delta --timeout 700 "$(container_ip6 eta)" 8000)"
}

healed_netdev() { host_exec nft list chain netdev jobfence "to_$(port_of alpha)" 2>/dev/null | grep -q jump; }

EVIL=02:42:0a:0b:0c:0d
host_up injected || broken "host_up"
shim_start || broken "shim"
docker_h network create --ipv6 --subnet fd00:5ec::/64 second >/dev/null &&
	job_start bridge alpha && job_start second zeta && job_start host gamma && bystander_start delta &&
	bystander_start eta || broken "containers"
list_attacks

section "before jobfence: each arrives"
each_attack before

section "with jobfence: what the host says arrives"
jobfence_up || broken "jobfence"
host_wait 3000 host_exec nft list table netdev jobfence >/dev/null || broken "no egress hook in this kernel"
host_talks
host_brnf 0
host_talks
check "a host job to a veth that is nobody's port" works "$(tried other_veth)"
host_exec ip link del other
check "frames counted as injected" 0 "$(counter netdev injected)"

section "each frame is dropped and counted"
RULES=$(rules)
each_attack with_jobfence
check "a frame on docker0 to a bystander, as before" works \
	"$(attack_frame delta docker0 "$(mac_of docker0)" "$HOST_GW4" "$(container_ip4 delta)")"
host_brnf 1
each_attack with_jobfence

section "with the rule taken out: each arrives; the daemon puts it back"
each_attack without_rules

section "the stated limit: an XDP socket on the port itself"
check "by an XDP socket, on the port" works \
	"$(attack_frame alpha "$(port_of alpha)" "$(mac_of docker0)" "$HOST_GW4" "$(container_ip4 alpha)" --by xdp)"

section "a port that is new, while jobfence runs and after it was healed"
job_start bridge beta || broken "beta"
ATTACKS=()
attack "on a new port" "netdev injected" - \
	"attack_frame beta $(port_of beta) $EVIL 172.17.0.99 $(container_ip4 beta)"
each_attack with_jobfence
host_exec nft delete table netdev jobfence
host_wait 5000 healed_netdev || check "a table that was deleted comes back" yes no
each_attack with_jobfence
host_exec nft flush ruleset
host_wait 5000 healed_netdev || check "a ruleset that was flushed comes back" yes no
each_attack with_jobfence
container_rm beta
sleep 0.3
check "verify, after the port is gone" "equal: *" "$(jobfence_cli verify 2>&1)"
jobfence_stop
check "the chains stay when jobfence stops" yes "$(healed_netdev && echo yes)"
check "remove" "*removed table netdev jobfence*" "$(jobfence_cli remove 2>&1)"
check "nothing is left" "" "$(host_exec nft list tables 2>/dev/null | grep jobfence)"
finish
