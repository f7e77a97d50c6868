#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a job with Docker's default capabilities can try with raw packets. Each attack works before jobfence,
# fails with it, is counted, and works again when the rules against it are taken out (the daemon is held
# meanwhile; let go, it puts them back).
set -u
# shellcheck source=tests/e2e/attack_table.sh
. "$(dirname "${BASH_SOURCE[0]}")/attack_table.sh"

# --- attacks: each prints "works" or what it met instead ---------------------------------------------

# The job's own connection is made a "reply" first: attack_rawsyn ADDR PORT BANNER
attack_rawsyn() {
	local port

	port=$(next_port)
	exec_from gamma rawsyn "$1:$2" "$1:$port"
	works_if "open:$3" "$(dial_from gamma --timeout 500 --from "$1:$port" "${1//[][]/}" "$2")"
}

# In the shim's place while it is away: attack_in_place TOOL ADDR. The host's SYN gets no answer else.
attack_in_place() {
	local got

	: >"$HOST_DIR/attack.log"
	spawn_from gamma "$HOST_DIR/attack.log" "$1" 10998 forged 2
	sleep 0.15
	got=$(dial_from host --timeout 1000 "$2" 10998)
	grep -q answered "$HOST_DIR/attack.log" || got="no SYN seen"
	works_if open:forged "$got"
}

# Past the output hook: attack_inject PORT
attack_inject() { works_if synack "$(exec_from gamma lo_inject "[::1]:$(next_port)" "[::1]:$1")"; }

spoof() { exec_from alpha l2spoof eth0 "$@"; }

docker0_mac() { host_exec cat /sys/class/net/docker0/address; }

# A datagram to beta as somebody else: attack_as SMAC SRC DST
attack_as() {
	local port

	port=$(next_port)
	sunk beta "$3:$port" spoof udp "$1" "$(container_mac beta)" "$2:5" "$3:$port"
}

# A datagram in beta's name to somebody on the internet, who answers: the answer is beta's.
attack_accomplice() { # BETA'S-ADDRESS INTERNET
	local port

	port=$(next_port)
	sunk beta "$1:$port" spoof udp "$(container_mac alpha)" "$(docker0_mac)" "$1:$port" "$2:53"
}

# Two of the host's neighbours become one: attack_neighbour arp|na ADDR GATEWAY
attack_neighbour() {
	dial_from host "$2" 8000 >/dev/null
	sleep 1.2 # a neighbour that was just confirmed is not changed within a second
	spoof "$1" "$(container_mac alpha)" "$(docker0_mac)" "$2" "$3"
	sleep 0.1
	works_if "*lladdr $(container_mac alpha)*" "$(host_exec ip neigh show "$2" dev docker0)"
	host_exec ip neigh flush dev docker0
}

# A datagram to the host in the name of somebody who is not behind docker0: attack_forged SRC ADDR
attack_forged() {
	local port

	port=$(next_port)
	sunk host "$2:$port" spoof udp "$(container_mac alpha)" "$(docker0_mac)" "$1:5" "$2:$port"
}

# A frame of no known protocol in delta's name.
attack_raw() {
	local pid

	: >"$HOST_DIR/frames.log"
	spawn_from beta "$HOST_DIR/frames.log" l2spoof eth0 listen 0x88b5 1
	pid=$HOST_SPAWNED
	sleep 0.3
	spoof raw "$(container_mac delta)" "$(container_mac beta)" 0x88b5
	host_wait 3000 grep -q frames "$HOST_DIR/frames.log"
	kill "$pid" 2>/dev/null
	works_if frames=1 "$(cat "$HOST_DIR/frames.log")"
}

# --- the table ---------------------------------------------------------------------------------------

list_attacks() {
	local b4 d4 b6 d6 am dm port

	b4=$(container_ip4 beta) d4=$(container_ip4 delta)
	b6=[$(container_ip6 beta)] d6=[$(container_ip6 delta)]
	am=$(container_mac alpha) dm=$(container_mac delta)
	port=$(container_port beta 10999)
	local any='inet from_container host_apis; inet to_host_api loopback_forged'
	local syn='inet from_container syn.*host_job_forged'
	local lo='inet loopback loopback_forged'
	local sport='inet from_container tcp sport @host_apis'
	# with br_netfilter: twice; and the last line of defence, at the port itself
	local stranger='bridge forward jump between_ports; inet forward jump to_bridge; ?netdev injected name .injected'

	attack "raw SYN, then the shim" "inet host_job_forged" "$any; $syn" \
		"attack_rawsyn 127.0.0.1 10998 shim"
	attack "raw SYN, then the shim, IPv6" "inet host_job_forged" "$any; $syn" \
		"attack_rawsyn [::1] 10998 shim6"
	attack "raw SYN, then a published port" "inet host_job_forged" "$syn; inet from_container th sport @published" \
		"attack_rawsyn 127.0.0.1 $port beta:runner"
	attack "raw SYN, then another's runner" "inet host_job_forged" "$syn; inet to_own_api syn.*loopback_forged" \
		"attack_rawsyn [::1] 10999 epsilon:runner"
	attack "raw answer in the shim's place" "inet host_job_forged" "$sport; $syn" \
		"attack_in_place rawreply 127.0.0.2"
	attack "raw answer in the shim's place, IPv6" "inet host_job_forged" "$sport; $syn" \
		"attack_in_place rawreply fd77::1"
	attack "simultaneous open in the shim's place" "inet host_job_forged" \
		"$sport; $syn; inet to_host_api shadow_listener" "attack_in_place simopen 127.0.0.3"
	attack "frame on lo to the shim" "inet loopback_forged" "$lo; inet to_host_api put on lo" \
		"attack_inject 10998"
	attack "frame on lo to another's runner" "inet loopback_forged" \
		"$lo; inet to_own_api put on lo" "attack_inject 10999"
	attack "a neighbour's MAC and IPv4" "bridge job_spoofed" "+bridge prerouting ether type ip accept; $stranger" \
		"attack_as $dm $d4 $b4"
	attack "a neighbour's IPv4" "bridge job_spoofed" "+bridge prerouting ether type ip accept; $stranger" \
		"attack_as $am $d4 $b4"
	attack "a neighbour's MAC and IPv6" "bridge job_spoofed" "+bridge prerouting ether type ip6 accept; $stranger" \
		"attack_as $dm $d6 $b6"
	attack "a neighbour's MAC, no known protocol" "bridge job_spoofed" \
		"+bridge prerouting ether type 0x88b5 accept; $stranger" "attack_raw"
	attack "answer to another job by an accomplice" "bridge job_spoofed" "+bridge prerouting ether type ip accept" \
		"attack_accomplice $b4 $INET4"
	attack "answer to another job by an accomplice, IPv6" "bridge job_spoofed" \
		"+bridge prerouting ether type ip6 accept" "attack_accomplice $b6 [$INET6]"
	attack "the host's ARP entry of a neighbour" "bridge job_spoofed" "+bridge prerouting ether type arp accept" \
		"attack_neighbour arp $d4 $HOST_GW4"
	attack "the host's ND entry of a neighbour" "bridge job_spoofed" "+bridge prerouting ether type ip6 accept" \
		"attack_neighbour na ${d6//[][]/} $HOST_GW6"
	attack "the LAN's address, to the host" "bridge job_spoofed" \
		"+bridge prerouting ether type ip accept; inet from_bridge spoofed; inet from_bridge_to_host job_to_host" \
		"attack_forged $LAN4 $HOST_GW4"
	attack "the LAN's address, to the host, IPv6" "bridge job_spoofed" \
		"+bridge prerouting ether type ip6 accept; inet from_bridge spoofed; inet from_bridge_to_host job_to_host" \
		"attack_forged [$LAN6] [$HOST_GW6]"
	attack "the host's own address, IPv6" "bridge job_spoofed" \
		"+bridge prerouting ether type ip6 accept; inet from_bridge spoofed; inet from_bridge_to_host job_to_host" \
		"attack_forged [$HOST_LAN6] [$HOST_GW6]"
}

host_up attacks || broken "host_up"
shim_start && host_exec serve -b 'tcp:[::1]:10998=shim6' || broken "shim"
job_start bridge alpha && job_start bridge beta && job_start host gamma && job_start host epsilon &&
	bystander_start delta || broken "containers"
spawn_from epsilon /dev/null serve 'tcp:[::1]:10999=epsilon:runner'
# Other addresses of the host on the shim's port: nobody listens, and the kernel gives no answer to the host's
# SYN; towards 127.0.0.3, where the attacker has a socket, to nothing but the SYN.
host_exec nft -f - <<-END
	table inet probe {
		chain input {
			type filter hook input priority -5
			iif lo ip daddr 127.0.0.2 tcp dport 10998 drop
			iif lo ip6 daddr $HOST_LAN6 tcp dport 10998 drop
			iif lo ip daddr 127.0.0.3 tcp dport 10998 tcp flags & (syn | ack) == syn drop
		}
	}
END
list_attacks

section "before jobfence: each works"
each_attack before
host_exec ip neigh flush dev docker0
host_exec conntrack -F 2>/dev/null

section "with jobfence: each fails and is counted"
jobfence_up || broken "jobfence"
RULES=$(rules)
each_attack with_jobfence

section "with the rules against it taken out: each works; the daemon puts them back"
each_attack without_rules
each_attack with_jobfence >"$HOST_DIR/again.log"
check "attacks that fail again" "${#ATTACKS[@]}" "$(grep -c '✓' "$HOST_DIR/again.log")"

section "a job that was born after jobfence stopped: its port is in no set"
jobfence_stop
container_rm alpha
job_start bridge alpha || broken "alpha"
ATTACKS=()
attack "the LAN's address, to the host" "inet spoofed" - "attack_forged $LAN4 $HOST_GW4"
attack "the LAN's address, to the host, IPv6" "inet spoofed" - "attack_forged [$LAN6] [$HOST_GW6]"
attack "the host's own address, IPv6" "inet spoofed" - "attack_forged [$HOST_LAN6] [$HOST_GW6]"
attack "a bystander's address, to another job" "bridge job_to_neighbour" - \
	"attack_as $(container_mac delta) $(container_ip4 delta) $(container_ip4 beta)"
attack "a bystander's MAC and address, to the host" "inet job_to_host" - \
	"attack_forged $(container_ip4 delta) $HOST_GW4"
each_attack with_jobfence
finish
