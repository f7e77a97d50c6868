#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Forgeries that lie to conntrack or use what it does not see: invalid packets, holes made by raw packets,
# frames on lo, tagged frames, packets in other people's connections. As attacks.sh, on a host whose shim
# listens on every address and with a quarantined job; then what a job that was born after jobfence stopped
# is open to.
set -u
# shellcheck source=tests/e2e/attack_table.sh
. "$(dirname "${BASH_SOURCE[0]}")/attack_table.sh"

# A connection by frames on lo from an address that nobody has: attack_lo plain|hole|closed ADDR PORT WANTED
attack_lo() {
	local from=192.0.2.77

	[[ $2 != *:* ]] || from="[2001:db8:dead::77]"
	works_if "$4" "$(exec_from gamma lo_dial wan0 "$1" "$from:$(next_port)" "$2:$3")"
}

# The SYN of an ordinary connection is made invalid: its tuple was opened from the other side and reset.
attack_invalid() { # ADDR PORT BANNER
	local port pid

	port=$(next_port)
	spawn_from gamma /dev/null serve "tcp:$1:$port=accomplice"
	pid=$HOST_SPAWNED
	sleep 0.15
	exec_from gamma rawsyn --good "$1:$2" "$1:$port"
	sleep 0.05
	kill "$pid"
	sleep 0.05
	works_if "open:$3" "$(dial_from gamma --timeout 400 --from "$1:$port" "$1" "$2")"
}

attack_plain() { works_if "open:$3" "$(dial_from gamma --timeout 400 "$1" "$2")"; }

# A datagram in a bridge job's name to the internet, whose answer is then the bridge job's.
attack_accomplice() { # ADDRESS INTERNET
	local port

	port=$(next_port)
	sunk beta "$1:$port" exec_from gamma rawudp "$1:$port" "$2:53"
}

attack_tagged() { # --tag TYPE|--snap …: the same from a bridge job
	local port

	port=$(next_port)
	sunk beta "$B4:$port" exec_from alpha l2spoof "$@" eth0 udp "$(container_mac alpha)" "$(docker0_mac)" \
		"$B4:$port" "$INET4:53"
}

docker0_mac() { host_exec cat /sys/class/net/docker0/address; }

attack_tagged_arp() {
	dial_from host "$D4" 8000 >/dev/null
	sleep 1.2 # a neighbour that was just confirmed is not changed within a second
	exec_from alpha l2spoof --tag 0x8100 eth0 arp "$(container_mac alpha)" "$(docker0_mac)" "$D4" "$HOST_GW4"
	sleep 0.1
	works_if "*lladdr $(container_mac alpha)*" "$(host_exec ip neigh show "$D4" dev docker0)"
	host_exec ip neigh flush dev docker0
}

# The LAN dials a published port after the job's raw packet made that a reply.
attack_lan() {
	local port

	port=$(next_port)
	exec_from gamma rawsyn "$HOST_LAN4:7000" "$LAN4:$port"
	works_if open:zed:runner "$(dial_from lan --timeout 400 --from "$LAN4:$port" "$HOST_LAN4" 7000)"
}

attack_lan_udp() {
	local port

	port=$(next_port)
	exec_from gamma rawudp "$HOST_LAN4:7001" "$LAN4:$port"
	works_if open:zed:app "$(dial_from lan --udp --timeout 400 --from "$LAN4:$port" "$HOST_LAN4" 7001)"
}

# A datagram for HEADER that is routed to lo: whoever listens on every address takes it, and answers.
attack_routed() { # HEADER
	local port

	port=$(next_port)
	sunk gamma "$HOST_LAN4:$port" exec_from gamma rawudp --via 127.0.0.1 "$HOST_LAN4:$port" "$1:7001"
}

# To the quarantined job, which may not answer.
attack_routed_quarantined() { # HEADER
	local port

	port=$(next_port)
	sunk qq "0.0.0.0:$port" exec_from gamma rawudp --via 127.0.0.1 "$HOST_LAN4:5" "$1:$port"
}

attack_inject() { works_if synack "$(exec_from gamma lo_inject "[::1]:$(next_port)" "[::1]:$1")"; }

# The host dials [::1] of a port that is published on every IPv4 address.
attack_shadow() {
	local pid got

	spawn_from gamma /dev/null serve 'tcp:[::1]:7000=shadow'
	pid=$HOST_SPAWNED
	# a refusal by nobody would be no refusal; 1B58 is the port
	host_wait 3000 host_exec grep -q ' 0\{24\}01000000:1B58 .* 0A ' /proc/net/tcp6 || echo "no listener"
	got=$(dial_from host --timeout 400 ::1 7000)
	kill "$pid"
	works_if open:shadow "$got"
}

# In the shim's place, with a SYN-ACK that conntrack calls invalid.
attack_fin() {
	local got

	: >"$HOST_DIR/attack.log"
	spawn_from gamma "$HOST_DIR/attack.log" rawreply --fin 10998 forged 1
	sleep 0.15
	got=$(dial_from host --timeout 400 127.0.0.2 10998)
	grep -q answered "$HOST_DIR/attack.log" || got="no SYN seen"
	works_if open:forged "$got"
}

# The host's connection to ADDR PORT, and one packet of epsilon's in it. attack_cut works when it dies,
# attack_words when TEXT is believed.
in_connection() { # ADDR PORT HOW SIDE WHAT [SECONDS], of hijack: sets SAID and HELD
	local addr=$1 to=$2 port pid

	port=$(next_port)
	: >"$HOST_DIR/held.log"
	spawn_from host "$HOST_DIR/held.log" dial --hold --every 300 --timeout 350 --from "$addr:$port" "$addr" "$to"
	pid=$HOST_SPAWNED
	sleep 0.1
	SAID=$(exec_from epsilon hijack "$3" "$4" "$port" "$5")
	sleep "${6:-0}"
	kill "$pid" 2>/dev/null
	host_wait 1000 grep -qE 'held|reset|timeout|closed' "$HOST_DIR/held.log"
	HELD=$(tail -n 1 "$HOST_DIR/held.log")
}

attack_cut() { in_connection "$@" 0.6; works_if '@(reset|timeout|closed)' "$HELD"; } # ADDR PORT HOW SIDE ack|rst
attack_words() { in_connection "$@" faked; works_if believed "$SAID"; }           # ADDR PORT HOW SIDE

# An ICMP error about a datagram of WHO's that waits for its answer: attack_error BY WHO FROM TO PORT [--to ADDR]
attack_error() {
	local by=$1 who=$2 from=$3 to=$4 about=$3 port

	port=$(next_port)
	[ "$who" = host ] || about=$HOST_WAN4 # as NAT has it
	: >"$HOST_DIR/held.log"
	spawn_from "$who" "$HOST_DIR/held.log" dial --udp --timeout 500 --from "$from:$port" "${to//[][]/}" "$5"
	sleep 0.15
	exec_from "$by" icmperror "${@:6}" "$about:$port" "$to:$5"
	host_wait 2000 test -s "$HOST_DIR/held.log"
	works_if refused "$(tail -n 1 "$HOST_DIR/held.log")"
}

# A neighbour solicitation that leaves the link.
attack_solicit() {
	local seen

	lan_exec nft -f - <<-'END'
		table inet seen {
			chain prerouting {
				type filter hook prerouting priority raw
				icmpv6 type nd-neighbor-solicit ip6 hoplimit < 255 counter
			}
		}
	END
	exec_from alpha solicit "$LAN6"
	sleep 0.2
	seen=$(lan_exec nft list table inet seen | grep -o 'packets [0-9]*')
	lan_exec nft delete table inet seen
	works_if 'packets [1-9]*' "$seen"
}

# An answer of the stub resolver, which a process of the host asks.
attack_stub() { # STUB CLIENT
	local port

	port=$(next_port)
	sunk host "$2:$port" exec_from gamma rawudp "$1:53" "$2:$port"
}

# A listener beside docker-proxy's, behind a socket that has no cgroup.
attack_waiting() { # ADDR PORT
	local port got pid

	port=$(next_port)
	: >"$HOST_DIR/attack.log"
	spawn_from gamma "$HOST_DIR/attack.log" waitlisten "$1:$2" "$port" forged 3
	pid=$HOST_SPAWNED
	host_wait 2000 grep -q ready "$HOST_DIR/attack.log"
	got=$(dial_from host --timeout 400 --from "$1:$port" "${1//[][]/}" "$2")
	kill "$pid" 2>/dev/null
	works_if '@(open:forged|mute|reset)' "$got"
}

# Without conntrack on lo nobody can tell whose runner it is.
attack_untracked() {
	host_exec nft -f - <<-'END'
		table inet untracked {
			chain output {
				type filter hook output priority raw
				oif lo notrack
			}
		}
	END
	works_if open:epsilon:runner "$(dial_from gamma --timeout 400 ::1 10999)"
	host_exec nft delete table inet untracked
}

list_attacks() {
	local lie='inet from_container syn.*invalid.*host_job_forged'
	local mark='inet from_container on a connection of the host'
	local place='inet from_container th sport @published'
	local lo='inet loopback loopback_forged'
	local pieces='inet from_container frag-off'
	local icmp='inet from_container icmp jump'
	local error='inet from_bridge_to_host ct state related'
	local stub='inet from_container resolver'
	local listener='inet to_published shadow_listener'
	local type='+bridge prerouting ether type 0x8100 accept'
	local q

	q=$(container_app qq)
	attack "invalid SYN on lo, then the shim" "inet loopback_forged" "$lo; inet to_host_api put on lo" \
		"attack_lo closed $HOST_LAN4 10998 open:shim"
	attack "invalid SYN on lo, then the shim, IPv6" "inet loopback_forged" "$lo; inet to_host_api put on lo" \
		"attack_lo closed [$HOST_LAN6] 10998 open:shim6"
	attack "SYN on lo as a reply, then the shim" "inet loopback_forged" "$lo; inet to_host_api syn.*loopback_forged" \
		"attack_lo hole $HOST_LAN4 10998 open:shim"
	attack "invalid SYN, then the shim" "inet host_job_forged" \
		"$lie; inet from_container host_apis; inet to_host_api put on lo" \
		"attack_invalid 127.0.0.1 10998 shim"
	attack "invalid SYN-ACK in the shim's place" "inet host_job_forged" \
		"$lie; inet from_container tcp sport @host_apis" attack_fin
	attack "a bridge job's address, an accomplice answers" "inet host_job_forged" \
		"inet from_container fib saddr" "attack_accomplice $B4 $INET4"
	attack "a bridge job's address, an accomplice answers, IPv6" "inet host_job_forged" \
		"inet from_container fib saddr" "attack_accomplice [$B6] [$INET6]"
	attack "another job's address behind a tag" "bridge job_spoofed" "$type" "attack_tagged --tag 0x8100"
	attack "a neighbour's ARP entry behind a tag" "bridge job_spoofed" "$type" attack_tagged_arp
	attack "LAN to a published port, as a reply" "inet host_job_forged" \
		"$place; +inet from_outside ct direction reply return" attack_lan
	attack "LAN to a published port, as a reply, UDP" "inet host_job_forged" \
		"$place; +inet from_outside ct direction reply return" attack_lan_udp
	attack "another header, routed to lo, to a published port" "inet host_job_forged" \
		"inet from_container routed to lo" "attack_routed 8.8.8.8"
	attack "broadcast on lo to a published port" "inet host_job_to_published" \
		"+inet fence fib daddr type != local accept" "attack_routed 127.255.255.255"
	attack "broadcast on lo to a quarantined job" "inet to_quarantined" \
		"+inet fence fib daddr type != local accept" "attack_routed_quarantined 127.255.255.255"
	attack "another's port on the address next to it" "inet shadow_listener" \
		"inet input published_any jump; $place" attack_shadow
	attack "frame on lo to a quarantined job" "inet loopback_forged" \
		"$lo; inet to_quarantined ct status.*loopback_forged" "attack_inject $q"
	attack "frame on lo as a reply to a quarantined job" "inet loopback_forged" \
		"$lo; inet to_quarantined direction reply" "attack_lo hole $HOST_LAN4 $q @(open*|mute)"
	attack "invalid frame on lo to a quarantined job" "inet loopback_forged" \
		"$lo; inet to_quarantined syn.*invalid" "attack_lo closed $HOST_LAN4 $q @(open*|mute)"
	attack "on the host's connection to another's runner" "inet host_job_forged" "$mark" \
		"attack_cut 127.0.0.1 10999 raw client ack"
	attack "on the host's connection to a published port" "inet host_job_forged" "$mark" \
		"attack_cut 127.0.0.1 $PB raw client ack"
	attack "words in a published port's place" "inet host_job_forged" "$place" \
		"attack_words 127.0.0.1 $PB raw server"
	attack "words to the shim, frame on lo" "inet loopback_forged" "$lo" "attack_words 127.0.0.1 10998 lo client"
	attack "words to the shim, frame on lo, IPv6" "inet loopback_forged" "$lo" "attack_words ::1 10998 lo client"
	attack "words in the shim's place, frame on lo" "inet loopback_forged" "$lo" \
		"attack_words 127.0.0.1 10998 lo server"
	attack "words in another's runner's place, frame on lo" "inet loopback_forged" "$lo" \
		"attack_words 127.0.0.1 10999 lo server"
	attack "reset in the shim's place, frame on lo" "inet loopback_forged" "$lo" "attack_cut ::1 10998 lo server rst"
	attack "words to the shim, a fragment on lo and a routed one" "inet loopback_forged" "$lo; $pieces" \
		"attack_words 127.0.0.1 10998 mixed client"
	attack "words to the shim's client, a fragment on lo and a routed one" "inet host_job_forged" "$lo; $pieces" \
		"attack_words 127.0.0.1 10998 mixed server"
	attack "reset in the shim's place, in fragments" "inet host_job_forged" "$pieces" \
		"attack_cut 127.0.0.1 10998 pieces server rst"
	attack "reset in a runner's place, in fragments" "inet host_job_forged" "$pieces" \
		"attack_cut 127.0.0.1 10999 pieces server rst"
	attack "ICMP error to the host's question on lo" "inet host_job_forged" "$icmp" \
		"attack_error gamma host 127.0.0.1 127.0.0.1 5999"
	attack "ICMP error to the host's question on lo, IPv6" "inet host_job_forged" "$icmp" \
		"attack_error gamma host [::1] [::1] 5999"
	attack "ICMP error to the host's question on lo, by another address" "inet host_job_forged" "$icmp" \
		"attack_error gamma host 127.0.0.1 127.0.0.1 5999 --to 127.0.0.2"
	attack "ICMP error to the host's question to the internet" "inet host_job_forged" "$icmp" \
		"attack_error gamma host $HOST_WAN4 $INET4 5999"
	attack "ICMP error to the host's question to the internet, IPv6" "inet host_job_forged" "$icmp" \
		"attack_error gamma host [$HOST_WAN6] [$INET6] 5999"
	attack "bridge job's ICMP error to the host" "inet job_to_host" "$error" \
		"attack_error alpha host $HOST_WAN4 $INET4 5999"
	attack "bridge job's ICMP error to the host, IPv6" "inet job_to_host" "$error" \
		"attack_error alpha host [$HOST_WAN6] [$INET6] 5999"
	attack "bridge job's ICMP error to a bystander, by NAT" "inet job_to_host" "$error" \
		"attack_error alpha delta $D4 $INET4 5999"
	attack "neighbour solicitation to the LAN" "inet job_to_internal" \
		"+inet from_bridge icmpv6 type nd-neighbor-solicit accept" attack_solicit
	attack "answer in the stub resolver's place" "inet host_job_forged" "$stub" "attack_stub 127.0.0.53 127.0.0.1"
	attack "answer in the place of a resolver on the LAN address" "inet host_job_forged" "$stub" \
		"attack_stub $HOST_LAN4 $HOST_LAN4"
	attack "answer in the place of a resolver, IPv6" "inet host_job_forged" "$stub" "attack_stub [::1] [::1]"
	attack "a listener behind TIME_WAIT beside a published port" "inet host_job_forged" "$place; $listener" \
		"attack_waiting [::1] $PB"
	attack "another's runner without conntrack" "inet host_job_to_runner" \
		"inet fence untracked; inet to_own_api host_job_to_runner" attack_untracked
}

HOST_BRNF=0 host_up forged || broken "host_up"
shim_start 0.0.0.0 && host_exec serve -b 'tcp:[::]:10998=shim6' || broken "shim"
job_start bridge alpha && job_start bridge beta && job_start host gamma && job_start host epsilon &&
	job_start host qq part && job_start bridge zed part -p 0.0.0.0:7000:10999 -p 0.0.0.0:7001:8000/udp &&
	bystander_start delta || broken "containers"
for who in host inet; do
	spawn_from $who /dev/null sink 0.0.0.0:5999
	spawn_from $who /dev/null sink '[::]:5999'
done
spawn_from epsilon /dev/null serve 'tcp:[::1]:10999=epsilon:runner'
# Where nobody listens the kernel gives no answer to the host's SYN.
host_exec nft -f - <<-'END'
	table inet probe {
		chain input {
			type filter hook input priority -5
			iif lo ip daddr 127.0.0.2 tcp dport 10998 drop
		}
	}
END
B4=$(container_ip4 beta) B6=$(container_ip6 beta) D4=$(container_ip4 delta) PB=$(container_port beta 10999)
list_attacks

section "before jobfence: each works"
for row in "${ATTACKS[@]}"; do
	IFS='|' read -r what _ _ command <<<"$row"
	case $what in
	# the mark that is forged and the reset that kills are jobfence's own
	"on the host's connection"*) ;;
	*) before "$what" - - "$command" ;;
	esac
done
host_exec ip neigh flush dev docker0
host_exec conntrack -F 2>/dev/null

section "with jobfence: each fails and is counted"
jobfence_up || broken "jobfence"
RULES=$(rules)
each_attack with_jobfence
for tag in "--tag 0x88a8" "--tag 0x9100" --snap; do
	with_jobfence "another job's address behind $tag" "bridge job_spoofed" - "attack_tagged $tag"
done
check "a refused host job does not wait" refused "$(dial_from gamma --timeout 700 127.0.0.1 10998)"
check "a refused quarantined job does not wait" refused "$(dial_from qq --timeout 700 127.0.0.1 22)"

section "with the rules against it taken out: each works; the daemon puts them back"
each_attack without_rules

section "a job that was born after jobfence stopped: its port is in no set"
jobfence_stop
job_start bridge late || broken "late"
PL=$(container_port late 10999)
with_jobfence "plain" "inet host_job_to_published" - "attack_plain 127.0.0.1 $PL late:runner"
with_jobfence "invalid SYN" "inet host_job_forged" - "attack_invalid 127.0.0.1 $PL late:runner"
delete_rules inet from_container 'syn.*invalid' || broken "rule"
with_jobfence "invalid SYN, the next line" "inet loopback_forged" - "attack_invalid 127.0.0.1 $PL late:runner"
delete_rules inet input 'syn.*invalid.*loopback_forged' || broken "rule"
check "invalid SYN, both taken out" works "$(tried "attack_invalid 127.0.0.1 $PL late:runner")"
finish
