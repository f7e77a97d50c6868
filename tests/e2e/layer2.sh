#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a job can say on its link (B14), with Docker's default capabilities and real frames: another's or the
# gateway's MAC and address in Ethernet, ARP and neighbour discovery; what rules a network (router
# advertisements, redirects, DHCP offers, multicast queries); tags and unknown protocols; frames that a bridge
# hands over past its hooks. Each works before jobfence, fails with it and is counted, and works again with the
# rule against it taken out. Then ports that nobody named, networks that come and go, and what an innocent
# container says.
set -u
# shellcheck source=tests/e2e/attack_table.sh
. "$(dirname "${BASH_SOURCE[0]}")/attack_table.sh"

GROUP=01:80:c2:00:00 # frames to it are not forwarded by any bridge
ALL=33:33:00:00:00:01

# --- what frames do ----------------------------------------------------------------------------------

docker0_mac() { host_exec cat /sys/class/net/docker0/address; }
say_as() { exec_from "$ATTACKER" l2say "${OPTIONS[@]}" eth0 "$@"; }
ATTACKER=alpha OPTIONS=()

link_local() { # MAC: what the kernel makes of it
	local a b c d e f

	IFS=: read -r a b c d e f <<<"$1"
	printf 'fe80::%x:%xff:fe%s:%x\n' $(((0x$a ^ 2) << 8 | 0x$b)) "0x$c" "$d" "0x$e$f"
}

meet() { # ADDR: the host and it know each other
	if [[ $1 == fe80:* ]]; then # beta's, who asks for the gateway
		exec_from beta l2say eth0 "$(container_mac beta)" "$(docker0_mac)" ip "$1" "$HOST_GW6" 58 255 \
			8700000000000000 "$HOST_GW6" 0101 "$(container_mac beta)"
	else
		dial_from host --timeout 300 "$1" 8000 >/dev/null
	fi
}

# The host's entry of ADDR is the attacker's MAC after a command: poisoned ADDR CMD…
poisoned() {
	local addr=$1

	shift
	meet "$addr"
	sleep 1.2 # a neighbour that was just confirmed is not changed within a second
	"$@"
	sleep 0.1
	works_if "*lladdr $(container_mac "$ATTACKER")*" "$(host_exec ip neigh show "$addr" dev docker0)"
	host_exec ip neigh flush dev docker0
}

# attack_na SOURCE TARGET MAC [BEFORE-THE-OPTION…]: TARGET is at MAC, says SOURCE
attack_na() {
	local source=$1 target=$2 mac=$3

	shift 3
	poisoned "$target" say_as "$(container_mac "$ATTACKER")" "$(docker0_mac)" ip "$source" "$HOST_GW6" 58 255 \
		8800000060000000 "$target" "$@" 0201 "$mac"
}

attack_na_own() { attack_na "$(container_ip6 "$ATTACKER")" "$1" "$(container_mac "$ATTACKER")"; }
attack_na_behind() { # OPTION TARGET
	local OPTIONS=("$1")

	attack_na_own "$2"
}
# An option that nobody knows first.
attack_na_late() { attack_na "$(container_ip6 "$ATTACKER")" "$1" "$(container_mac "$ATTACKER")" 0e01aabbccddeeff; }

# The host's entry of the attacker itself is another's MAC: attack_lladdr 87|88
attack_lladdr() {
	local own target option=0101 mac

	own=$(container_ip6 "$ATTACKER") mac=$(container_mac beta) target=$HOST_GW6
	[ "$1" = 87 ] || target=$own option=0201
	meet "$own"
	sleep 1.2
	say_as "$(container_mac "$ATTACKER")" "$(docker0_mac)" ip "$own" "$HOST_GW6" 58 255 \
		"${1}00000060000000" "$target" "$option" "$mac"
	sleep 0.1
	works_if "*lladdr $mac*" "$(host_exec ip neigh show "$own" dev docker0)"
	host_exec ip neigh flush dev docker0
}

arp_says() { # ETHERNET-SOURCE SENDER-MAC SENDER-IP
	say_as "$1" "$(docker0_mac)" raw 0x0806 0001080006040002 "$2" "$3" "$(docker0_mac)" "$HOST_GW4"
}
attack_arp() { poisoned "$1" arp_says "$(container_mac "$ATTACKER")" "$(container_mac "$ATTACKER")" "$1"; }

port_of() { host_exec bridge fdb show br docker0 | sed -n "s/^$1 dev \([^ ]*\) master.*/\1/p" | head -n 1; }

# The bridge takes beta's MAC for the attacker's, if only until beta speaks again: learnt CMD…
learnt() {
	local mac port moved='' looks=5

	mac=$(container_mac beta)
	dial_from beta "$HOST_GW4" 22 >/dev/null
	port=$(port_of "$mac")
	"$@"
	while [ -z "$moved" ] && [ $((looks--)) -gt 0 ]; do
		[ "$(port_of "$mac")" = "$port" ] || moved=moved
		sleep 0.01
	done
	works_if moved "$moved"
	dial_from beta "$HOST_GW4" 22 >/dev/null
}

# ARP in one's own name, in a frame with beta's MAC.
attack_learn_arp() {
	learnt arp_says "$(container_mac beta)" "$(container_mac "$ATTACKER")" "$(container_ip4 "$ATTACKER")"
}
# Frames that are too short for what their type promises; with a tag; to a group.
attack_learn() { learnt say_as "$(container_mac beta)" "${3:-$(docker0_mac)}" raw "$1" "$2"; }

# What the host sends beta comes to the attacker, who has told the bridge that it is beta.
attack_intercept() { # GROUP-MAC
	local pid

	: >"$HOST_DIR/frames.log"
	spawn_from "$ATTACKER" "$HOST_DIR/frames.log" l2spoof eth0 listen 0x0800 2
	pid=$HOST_SPAWNED
	dial_from beta "$HOST_GW4" 22 >/dev/null
	meet "$(container_ip4 beta)"
	sleep 0.3
	say_as "$(container_mac beta)" "$1" raw 0x0800 00
	dial_from host --timeout 200 "$(container_ip4 beta)" 8000 >/dev/null
	host_wait 3000 grep -q frames "$HOST_DIR/frames.log"
	kill "$pid" 2>/dev/null
	works_if 'frames=[1-9]*' "$(cat "$HOST_DIR/frames.log")"
	dial_from beta "$HOST_GW4" 22 >/dev/null
}

# A datagram to the host by a frame to a group: attack_group LAST-BYTE SRC ADDR
attack_group() {
	local port

	port=$(next_port)
	sunk host "$3:$port" exec_from "$ATTACKER" l2spoof eth0 udp "$(container_mac "$ATTACKER")" "$GROUP:$1" \
		"$2:5" "$3:$port"
}

# Its port becomes a multicast router's, where all groups go: a router_port CMD…
router_port() {
	local port

	"$@"
	sleep 0.1
	works_if '*veth*' "$(host_exec bridge -d mdb show dev docker0 | grep '^router ports')"
	# it is no router's for long, but too long for a test
	for port in $(host_exec ls /sys/class/net/docker0/brif); do
		host_exec bridge link set dev "$port" mcast_router 0
		host_exec bridge link set dev "$port" mcast_router 1
	done
}

to_group4() { say_as "$(container_mac "$ATTACKER")" "$1" ip "${SOURCE4:-$(container_ip4 "$ATTACKER")}" "${@:2}"; }
to_group6() {
	say_as "$(container_mac "$ATTACKER")" "$1" ip \
		"${SOURCE6:-$(link_local "$(container_mac "$ATTACKER")")}" "${@:2}"
}
attack_igmp_query() { router_port to_group4 01:00:5e:00:00:01 224.0.0.1 2 1 1164000000000000; }
attack_igmp_fragment() {
	local OPTIONS=(--offset 1)

	router_port to_group4 01:00:5e:00:00:01 224.0.0.1 2 1 1164000000000000
}
attack_mrd() { router_port to_group4 01:00:5e:00:00:6a 224.0.0.106 2 1 3014000000020002; }
attack_pim() { router_port to_group4 01:00:5e:00:00:0d 224.0.0.13 103 1 2000000000010002006900; }
attack_mld_query() {
	local OPTIONS=(--hbh)

	router_port to_group6 "$ALL" ff02::1 58 1 8200000003e80000 ::
}
attack_mrd6() {
	local OPTIONS=(--hbh)

	router_port to_group6 33:33:00:00:00:6a ff02::6a 58 1 9714000000020002
}

# What arrives at docker0 (and so at whatever listens there): heard ETHERTYPE CMD…
heard() {
	local type=$1 pid

	shift
	: >"$HOST_DIR/frames.log"
	spawn_from host "$HOST_DIR/frames.log" l2spoof docker0 listen "$type" 1
	pid=$HOST_SPAWNED
	sleep 0.3
	"$@"
	host_wait 3000 grep -q frames "$HOST_DIR/frames.log"
	kill "$pid" 2>/dev/null
	works_if 'frames=[1-9]*' "$(cat "$HOST_DIR/frames.log")"
}

attack_ra() { heard 0x86dd to_group6 "$ALL" ff02::1 58 255 86000000 4000 0708 0000000000000000 0101 "$(container_mac alpha)"; }
attack_redirect6() {
	heard 0x86dd to_group6 "$(docker0_mac)" "$HOST_GW6" 58 255 8900000000000000 \
		"$(link_local "$(container_mac alpha)")" "$INET6"
}
attack_redirect() {
	heard 0x0800 to_group4 "$(docker0_mac)" "$HOST_GW4" 1 64 05010000 "$(container_ip4 alpha)" \
		4500001c00000000401100000a4d0001 "$INET4" 0035003500080000
}
attack_router_advert() { heard 0x0800 to_group4 01:00:5e:00:00:01 224.0.0.1 1 1 0900000001020708 "$(container_ip4 alpha)" 00000001; }
attack_dhcp() { # SRC:PORT DST:PORT TYPE
	heard "$3" exec_from alpha l2spoof eth0 udp "$(container_mac alpha)" ff:ff:ff:ff:ff:ff "$1" "$2"
}
attack_type() { # ETHERTYPE [BODY]: own MAC
	heard "$1" say_as "$(container_mac alpha)" "${3:-$(docker0_mac)}" raw "$1" "${2:-00}"
}
# Whatever the host has for that VLAN, or behind the tag, would hear it.
attack_tag() { # TAG WHAT-THE-HOST-TAKES-IT-FOR
	heard "$2" say_as "$(container_mac alpha)" "$(docker0_mac)" raw "$1" 0007 88b5 0000000000000000
}

# --- the table ---------------------------------------------------------------------------------------

list_poison() { # of whom: beta's and delta's addresses
	local b6 d6 d4 spoofed='bridge job_spoofed' own='+bridge prerouting ether type'

	b6=$(container_ip6 beta) d6=$(container_ip6 delta) d4=$(container_ip4 delta)
	attack "a neighbour's target, said by itself" "$spoofed" "+bridge job_advertises accept" "attack_na_own $b6"
	attack "a bystander's target, said by itself" "$spoofed" "+bridge job_advertises accept" "attack_na_own $d6"
	attack "a neighbour's link-local target" "$spoofed" "+bridge job_advertises accept" \
		"attack_na_own $(link_local "$(container_mac beta)")"
	attack "… behind a hop-by-hop header" "$spoofed" "+bridge job_advertises accept" "attack_na_behind --hbh $b6"
	attack "… its MAC behind another option" "$spoofed" "+bridge job_advertises accept" "attack_na_late $b6"
	attack "its own address at a neighbour's MAC, advertised" "$spoofed" "+bridge job_advertises accept" \
		"attack_lladdr 88"
	attack "its own address at a neighbour's MAC, soliciting" "$spoofed" "+bridge job_solicits accept" \
		"attack_lladdr 87"
	attack "a bystander's address in ARP" "$spoofed" "$own arp accept" "attack_arp $d4"
	attack "ARP of its own in a frame with a neighbour's MAC" "$spoofed" "$own arp accept" attack_learn_arp
	attack "a neighbour's MAC, IPv4 too short to be" "$spoofed" "$own ip accept" "attack_learn 0x0800 45"
	attack "a neighbour's MAC, IPv6 too short to be" "$spoofed" "$own ip6 accept" "attack_learn 0x86dd 60"
	attack "a neighbour's MAC, ARP too short to be" "$spoofed" "$own arp accept" "attack_learn 0x0806 00"
	attack "a neighbour's MAC behind a tag" "$spoofed" "$own 0x8100 accept" "attack_learn 0x8100 000088b50000000000"
	attack "a neighbour's MAC, to a group" "bridge job_control" "bridge input veth.*goto control" \
		"attack_learn 0x0800 45 $GROUP:03"
	attack "the host's frames for a neighbour" "bridge wrong_port" "bridge output wrong_port" \
		"attack_intercept $GROUP:0e"
}

list_past() {
	local past='inet prerouting past_bridge' four six

	four=$(container_ip4 alpha) six=$(container_ip6 alpha)
	attack "to the host by a frame to a group" "inet past_bridge" "$past" "attack_group 0e $four $HOST_GW4"
	attack "to the host by a frame to a group, IPv6" "inet past_bridge" "$past" "attack_group 0e [$six] [$HOST_GW6]"
	attack "… from anywhere" "inet past_bridge" "$past" "attack_group 0e $INET4 $HOST_LAN4"
	attack "… from anywhere, IPv6" "inet past_bridge" "$past" "attack_group 0e [$INET6] [$HOST_LAN6]"
	attack "to the host by a frame to another group" "bridge job_control" \
		"bridge input veth.*goto control; $past" "attack_group 03 $four $HOST_GW4"
}

list_control() {
	local control='bridge job_control' own='+bridge prerouting ether type' spoofed='bridge job_spoofed'

	attack "IGMP query: a router's port" "$control" "bridge group_report goto control" attack_igmp_query
	attack "a fragment that the bridge reads as a query" "$control" "bridge group_report goto control" \
		attack_igmp_fragment
	attack "multicast router discovery" "$control" "bridge group_report goto control" attack_mrd
	attack "PIM hello" "$control" "bridge ip_content PIM" attack_pim
	attack "MLD query" "$control" "bridge icmp6_content mld-listener-query" attack_mld_query
	attack "multicast router discovery, IPv6" "$control" "bridge icmp6_content 151" attack_mrd6
	attack "router advertisement" "$control" "bridge icmp6_content nd-router-advert" attack_ra
	attack "redirect, IPv6" "$control" "bridge icmp6_content nd-redirect" attack_redirect6
	attack "redirect" "$control" "bridge ip_content redirect" attack_redirect
	attack "router advertisement, IPv4" "$control" "bridge ip_content router" attack_router_advert
	attack "DHCP offer" "$control" "bridge ip_content dport 68" \
		"attack_dhcp $(container_ip4 alpha):67 255.255.255.255:68 0x0800"
	attack "DHCPv6 advertisement" "$control" "bridge ip6_content dport 546" \
		"attack_dhcp [$(container_ip6 alpha)]:547 [ff02::1]:546 0x86dd"
	attack "no known protocol" "$spoofed" "$own 0x88b5 accept" "attack_type 0x88b5"
	attack "PPPoE" "$spoofed" "$own 0x8863 accept" "attack_type 0x8863"
	attack "MACsec" "$spoofed" "$own 0x88e5 accept" "attack_type 0x88e5"
	attack "LLC" "$spoofed" "$own 38 accept" "heard 4 say_as $(container_mac alpha) $(docker0_mac) raw 38 424203"
	attack "spanning tree" "$spoofed" "$own 38 accept; bridge input veth.*goto control" \
		"heard 4 say_as $(container_mac alpha) $GROUP:00 raw 38 4242030000000000"
	attack "behind a tag (802.1Q)" "$spoofed" "$own 0x8100 accept" "attack_tag 0x8100 0x88b5"
	attack "behind a tag (802.1ad)" "$spoofed" "$own 0x88a8 accept" "attack_tag 0x88a8 0x88b5"
	attack "behind a tag (Q-in-Q of old)" "$spoofed" "$own 0x9100 accept" "attack_tag 0x9100 0x9100"
}

# --- what should work --------------------------------------------------------------------------------

set_has() { # SET PATTERN
	host_exec nft list set bridge jobfence "$1" | grep -q "$2" && echo yes || echo no
}
bound_to() { [ "$(set_has job_bindings4 ". $1 ")" = "$2" ]; }

spoof_counts() { echo "$(counter bridge job_spoofed) $(counter bridge unknown_spoofed) $(counter bridge job_control)"; }

innocent() { # WHAT ALIAS
	host_wait 5000 open_to host "$(container_ip4 "$2")" 8000 # its service
	check_flow "$1: $2 → internet" open:inet "$2" "$INET4" 443
	check_flow "$1: $2 → internet, IPv6" open:inet "$2" "$INET6" 443
	check_flow "$1: host → $2, IPv6" 'open:*' host "$(container_ip6 "$2")" 8000
	check_flow "$1: host pings $2, IPv6" 'open:*' host --ping "$(container_ip6 "$2")"
}

# The host believed an unknown port about an address that nobody had; then a container got it. What newjob sees of
# the host's frames for that, until the host asks again.
claim() { # ADDR, of newjob
	say_as "$(container_mac newjob)" "$(docker0_mac)" raw 0x0806 0001080006040001 "$(container_mac newjob)" "$1" \
		000000000000 "$HOST_GW4"
	host_exec ip neigh show "$1" dev docker0 | grep -q "$(container_mac newjob)"
}
claimed() { # ADDR
	# as the claim left it: it lasts some seconds from the first frame on
	host_exec ip neigh replace "$1" lladdr "$(container_mac newjob)" dev docker0 nud stale
	: >"$HOST_DIR/claimed.log"
	spawn_from newjob "$HOST_DIR/claimed.log" l2spoof eth0 listen 0x0800 2
	sleep 0.3
	dial_from host --udp --timeout 300 "$1" 8000 >/dev/null
	host_wait 4000 grep -q frames "$HOST_DIR/claimed.log"
	works_if 'frames=[1-9]*' "$(<"$HOST_DIR/claimed.log")"
}

# --- unknown ports: the daemon is held while they come -------------------------------------------------

unknown_ports() {
	local b4 b6 next count='bridge unknown_spoofed'

	jobfence_signal STOP
	job_start bridge newjob && bystander_start newweb || broken "containers"
	b4=$(container_ip4 beta) b6=$(container_ip6 beta)
	check "the new job's port has a name" no "$(set_has bound4 " $(container_ip4 newjob)[ ,]")"
	ATTACKER=newjob ATTACKS=()
	attack "unknown: a neighbour's target, said by itself" "$count" - "attack_na_own $b6"
	attack "unknown: a neighbour's target, from its address" "$count" - \
		"attack_na $b6 $b6 $(container_mac newjob)"
	attack "unknown: a neighbour's address in ARP" "$count" - "attack_arp $b4"
	attack "unknown: ARP in a frame with a neighbour's MAC" "$count" - attack_learn_arp
	attack "unknown: a neighbour's MAC, no protocol at all" "$count" - "attack_learn 0x0800 45"
	attack "unknown: its own address at a neighbour's MAC" "$count" - "attack_lladdr 88"
	attack "unknown: IGMP query" "bridge job_control" - attack_igmp_query
	attack "unknown: MLD query" "bridge job_control" - attack_mld_query
	attack "unknown: a frame to a group" "inet past_bridge" - \
		"attack_group 0e $(container_ip4 newjob) $HOST_GW4"
	attack "unknown: no known protocol" "$count" - \
		"heard 0x88b5 say_as $(container_mac newjob) $(docker0_mac) raw 0x88b5 00"
	each_attack with_jobfence
	for frame in "ARP raw 0x0806 0001080006040002 $(docker0_mac) $HOST_GW4 $(docker0_mac) $HOST_GW4" \
		"IPv4 ip $HOST_GW4 $b4 17 64 00050005000800" \
		"target ip $(container_ip6 newjob) ff02::1 58 255 8800000020000000 $HOST_GW6 0201 $(container_mac newjob)" \
		"link-local-target ip $(container_ip6 newjob) ff02::1 58 255 8800000020000000 fe80::1 0201 $(container_mac newjob)"; do
		old=$(counter bridge unknown_spoofed)
		# shellcheck disable=SC2086 # words
		say_as "$(container_mac newjob)" ff:ff:ff:ff:ff:ff ${frame#* }
		check_that "unknown: the gateway's ${frame%% *}, dropped" $(($(counter bridge unknown_spoofed) - old)) -eq 1
	done
	old=$(counter bridge unknown_spoofed)
	say_as "$(docker0_mac)" ff:ff:ff:ff:ff:ff raw 0x0800 00
	check_that "unknown: the gateway's MAC, dropped" $(($(counter bridge unknown_spoofed) - old)) -eq 1
	old=$(spoof_counts)
	innocent "unknown" newjob
	check "unknown: none of it counted" "$old" "$(spoof_counts)"
	next=$(container_ip4 newweb)
	next=${next%.*}.$((${next##*.} + 1))
	claim "$next" || check "unknown: an address that nobody has, claimed" yes no
	check_flow "unknown: bystander → bystander" "$CLOSED" newweb "$(container_ip4 delta)" 8000
	jobfence_signal CONT
	host_wait 5000 open_to newweb "$(container_ip4 delta)" 8000
	check_flow "named: bystander → bystander" open:delta newweb "$(container_ip4 delta)" 8000
	check_flow "named: bystander → bystander, IPv6" open:delta newweb "$(container_ip6 delta)" 8000
	job_start bridge owner && host_wait 3000 bound_to "$next" yes || broken "owner of $next"
	ATTACKS=()
	attack "the host's frames for an address that was claimed before it had an owner" "bridge wrong_port" \
		"bridge output daddr @bound4" "claimed $next"
	each_attack with_jobfence
	RULES=$(rules)
	each_attack without_rules
	host_wait 9000 open_to host "$next" 10999
	check_flow "the host asks again: host → owner" open:owner:runner host "$next" 10999
	ATTACKER=alpha
}

# A dead one's address goes to the next container.
next_owner() { # WHAT WANTED-FROM-HOST
	local old

	old=$(container_ip4 beta)
	container_rm beta
	job_start bridge beta || broken "beta"
	check "$1: it has the dead one's address" "$old" "$(container_ip4 beta)"
	host_exec ip neigh flush dev docker0
	if [ "$2" = works ]; then
		host_wait 3000 open_to host "$old" 10999
		check_flow "$1: host → it" open:beta:runner host "$old" 10999
		check_flow "$1: it → internet" open:inet beta "$INET4" 443
	else
		check_flow "$1: host → it" "$CLOSED" host "$old" 10999
		check_flow "$1: it → internet" "$CLOSED" beta "$INET4" 443
	fi
}

networks() {
	local first second bridge port old

	docker_h network create --ipv6 --subnet 172.30.0.0/24 --subnet fd00:30::/64 second >/dev/null || broken "network"
	bridge=br-$(docker_h network inspect -f '{{slice .Id 0 12}}' second)
	first=$(container_ip4 alpha)
	docker_h network connect second "$(container_id alpha)" || broken "connect"
	second=$(docker_h inspect -f '{{.NetworkSettings.Networks.second.IPAddress}}' "$(container_id alpha)")
	host_wait 3000 bound_to "$second" yes
	check "connected: both are bound" "yes yes" "$(set_has job_bindings4 ". $first ") $(set_has job_bindings4 ". $second ")"
	check_flow "connected: host → alpha by the new network" open:alpha:runner host "$second" 10999
	check_flow "connected: host → alpha by the old one" open:alpha:runner host "$first" 10999
	check_flow "connected: alpha → internet" open:inet alpha "$INET4" 443
	docker_h network disconnect bridge "$(container_id alpha)" || broken "disconnect"
	host_wait 3000 bound_to "$first" no
	check "disconnected: the new one only is bound" "no yes" \
		"$(set_has job_bindings4 ". $first ") $(set_has job_bindings4 ". $second ")"
	check "disconnected: nobody claims the old one" no "$(set_has bound4 " ${first}[ ,]")"
	check_flow "disconnected: alpha → internet by the new network" open:inet alpha "$INET4" 443
	check_flow "disconnected: alpha → internet, IPv6" open:inet alpha "$INET6" 443
	check_flow "disconnected: host → alpha" open:alpha:runner host "$second" 10999
	old=$(counter bridge job_spoofed) port=$(next_port)
	check "the old address on the new network" 'fails*' "$(sunk host "$HOST_GW4:$port" exec_from alpha l2spoof \
		eth1 udp "$(exec_from alpha cat /sys/class/net/eth1/address)" \
		"$(host_exec cat "/sys/class/net/$bridge/address")" "$first:5" "$HOST_GW4:$port")"
	check_that "… counted" $(($(counter bridge job_spoofed) - old)) -ge 1
	job_start bridge heir || broken "heir"
	check "the old address has a new owner" "$first" "$(container_ip4 heir)"
	host_wait 3000 open_to host "$first" 10999
	check_flow "… who is reached by it" open:heir:runner host "$first" 10999
}

# --- all of it -----------------------------------------------------------------------------------------

HOST_BRNF=0 host_up layer2 || broken "host_up"
shim_start || broken "shim"
job_start bridge alpha && job_start bridge beta && bystander_start delta || broken "containers"
list_poison
list_past
list_control

section "before jobfence: each works"
each_attack before
host_exec ip neigh flush dev docker0
host_exec conntrack -F 2>/dev/null

section "with jobfence: each fails and is counted"
jobfence_up || broken "jobfence"
RULES=$(rules)
each_attack with_jobfence
check "the bridge can be made to forget (a stated limit)" works "$(tried "attack_learn 0x0800 45 $GROUP:0e")"

section "the same with br_netfilter"
host_brnf 1
each_attack with_jobfence
host_brnf 0

section "with the rules against it taken out: each works; the daemon puts them back"
each_attack without_rules

section "what an innocent job and bystander say"
old=$(spoof_counts)
job_start bridge calm && bystander_start web || broken "containers"
sleep 2 # its first words go on for a second
innocent "at its start" calm
innocent "at its start" web
check "not one counted as an attempt" "$old" "$(spoof_counts)"
check_that "first words, counted as such" "$(counter bridge unheard)" -gt 0
host_exec ip link set docker0 type bridge mcast_query_response_interval 50 mcast_querier 1
sleep 1.5 # they report when they are asked
host_exec ip neigh flush dev docker0
check "a job's groups are known to the bridge" yes "$(host_exec bridge mdb show dev docker0 |
	grep -q "port $(port_of "$(container_mac calm)") grp ff02::1:ff" && echo yes)"
check_flow "with a querier on the bridge: host → calm, IPv6" 'open:*' host "$(container_ip6 calm)" 8000
host_exec ip link set docker0 type bridge mcast_querier 0

section "ports that nobody named"
unknown_ports

section "a dead one's address"
next_owner "while jobfence runs" works
jobfence_signal STOP
next_owner "while jobfence hangs" fails
jobfence_signal CONT
host_wait 5000 open_to host "$(container_ip4 beta)" 10999
check_flow "when it goes on: host → it" open:beta:runner host "$(container_ip4 beta)" 10999
jobfence_stop
check "stopped: jobfence verify" 0 "$(jobfence_cli verify >/dev/null 2>&1; echo $?)"
next_owner "while jobfence is stopped" works
jobfence_up || broken "jobfence"

section "networks that come and go"
networks
finish
