#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What jobs reach beyond the host, on a real engine, IPv4 and IPv6: the internet, and of all else only
# resolvers, proxies and what the operator opened; the cloud's metadata by a setting of its own. Each
# forbidden flow is open before jobfence, closed with it and counted; reloads change it.
#
# Usage: egress.sh
# shellcheck disable=SC2034,SC2086,SC2317 # facts of a container; addresses without blanks; rows by name
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# Behind the LAN: a resolver and a proxy on private networks, a service, the cloud. NET: on the internet.
DNS4=10.99.0.53 DNS6=fd99::53 PROXY4=10.99.0.9 PROXY6=fd99::9 FAR4=10.88.0.7 FAR6=fd88::7
SHARED4=100.64.3.3 META4=169.254.169.254 META6=fd00:ec2::254 WIRE4=168.63.129.16
BAD4=198.51.100.81 BAD6=2001:db8:80::81 NAMES4=10.99.0.54
ADDRS4="$DNS4 $PROXY4 $FAR4 $SHARED4 $META4 $WIRE4 $NAMES4" ADDRS6="$DNS6 $PROXY6 $FAR6 $META6"

# --- the world -------------------------------------------------------------------------------------

# listen WHO "4-ADDR 6-ADDR…" PORT BANNER: TCP and UDP
listen() {
	local addr list=()

	for addr in $2; do
		[[ $addr != *:* ]] || addr=[$addr]
		list+=("tcp:$addr:$3=$4" "udp:$addr:$3=$4")
	done
	spawn_from "$1" "$HOST_DIR/serve-$4-$3.log" serve "${list[@]}"
}

world() {
	local addr

	for addr in $ADDRS4; do
		lan_exec ip addr add "$addr/32" dev eth0 && host_exec ip route add "$addr/32" via $LAN4 || return 1
	done
	for addr in $ADDRS6; do
		lan_exec ip addr add "$addr/128" dev eth0 nodad && host_exec ip route add "$addr/128" via $LAN6 ||
			return 1
	done
	inet_exec ip addr add $BAD4/32 dev eth0 && inet_exec ip addr add $BAD6/128 dev eth0 nodad || return 1
	listen lan "$DNS4 $DNS6 $META4 $META6 $WIRE4" 53 dns && listen lan "$DNS4 $DNS6" 80 other &&
		listen lan "$PROXY4 $PROXY6" 3128 proxy && listen lan "$PROXY4 $PROXY6" 3129 other &&
		listen lan "$META4 $META6 $WIRE4" 80 meta && listen lan "$SHARED4" 80 shared &&
		listen lan "$FAR4 $FAR6" 443 far && listen lan "$FAR4 $FAR6" 444 far &&
		listen lan "$FAR4 $FAR6" 450 far && listen lan "$FAR4 $FAR6" 80 far &&
		listen inet "$BAD4 $BAD6" 4443 bad && listen inet "$BAD4 $BAD6" 80 bad &&
		listen inet "$ROUTER4 $ROUTER6" 8080 router &&
		listen host "$HOST_GW4 $HOST_GW6" 53 gwdns && listen host "$HOST_GW4 $HOST_GW6" 3128 gwproxy &&
		listen host "$HOST_GW4 $HOST_GW6" 3129 gwother && names_start
}

# A name server that knows one answer to everything; busybox's nslookup asks it.
names_start() {
	cat >"$HOST_DIR/names.py" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind((sys.argv[1], 53))
		while True:
		    q, who = s.recvfrom(2000)
		    end = 12
		    while q[end]:
		        end += q[end] + 1
		    a = q[end + 1:end + 3] == b"\0\1"
		    r = q[:2] + b"\x81\x80\0\1" + (b"\0\1" if a else b"\0\0") + b"\0\0\0\0" + q[12:end + 5]
		    s.sendto(r + (b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\xc0\0\2\x4d" if a else b""), who)
	END
	lan_exec python3 "$HOST_DIR/names.py" $NAMES4 >"$HOST_DIR/names.log" 2>&1 &
	sleep 0.3
}

# asks WHO: what its resolver says
asks() {
	if in_container "$1" busybox nslookup cloud.example 2>/dev/null | grep -q 192.0.2.77; then
		echo answered
	else
		echo silent
	fi
}

open_wide() {
	local C_ID C_PID C_IP4 C_IP6 C_MAC name

	host_exec iptables -I FORWARD -j ACCEPT && host_exec ip6tables -I FORWARD -j ACCEPT || return 1
	for name in alpha beta user; do
		container_facts $name || return 1
		nsenter -t "$C_PID" -n sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
			echo 0 >/proc/sys/net/ipv6/icmp/ratelimit'
	done
}

# --- rows ------------------------------------------------------------------------------------------

MODE=control OPENED=0 TRIED=0

# row WHO TO PORT PROTOCOLS WANTED: open, or the counter that stops it. Without jobfence: all open.
row() {
	local who=$1 to=$2 port=$3 want=$5 proto got was args

	for proto in $4; do
		args=("$to" "$port")
		[ "$proto" = tcp ] || args=(--udp "${args[@]}")
		[ "$proto" != icmp ] || args=(--ping "$to")
		if [ $MODE = control ]; then
			got=$(dial_from "$who" --timeout 2000 "${args[@]}" 2>&1) TRIED=$((TRIED + 1))
			if [[ $got == open:* ]]; then OPENED=$((OPENED + 1)); else say "$who → $to $proto $port: $got"; fi
		elif [ "$want" = open ]; then
			check "$who → $to $proto $port" 'open:*' \
				"$(dial_from "$who" --timeout 2000 "${args[@]}" 2>&1)"
		else
			was=$(counter inet "$want")
			got=$(dial_from "$who" --timeout 400 "${args[@]}" 2>&1)
			check "$who → $to $proto $port ($want)" "$CLOSED yes" \
				"$got $([ "$(counter inet "$want")" -gt "${was:-0}" ] && echo yes || echo uncounted)"
		fi
	done
}

# both WHO 4-ADDR 6-ADDR …: the same for IPv4 and IPv6
both() {
	local who=$1 four=$2 six=$3

	shift 3
	row "$who" "$four" "$@"
	row "$who" "$six" "$@"
}

defaults() { # of bridge jobs, and what stays as it was
	local who

	for who in alpha user; do
		both $who $INET4 $INET6 443 tcp open
		both $who $INET4 $INET6 53 udp open
		both $who $LAN4 $LAN6 8080 "tcp udp icmp" job_to_internal
		both $who $ROUTER4 $ROUTER6 8080 tcp job_to_internal
		both $who $FAR4 $FAR6 443 "tcp udp" job_to_internal
		row $who $SHARED4 80 "tcp udp" job_to_internal
		both $who $META4 $META6 80 "tcp udp icmp" job_to_metadata
		row $who $WIRE4 80 tcp job_to_metadata
		both $who $DNS4 $DNS6 53 "tcp udp" open
		both $who $DNS4 $DNS6 80 "tcp udp icmp" job_to_internal
		both $who $META4 $META6 53 "tcp udp" open
		both $who $PROXY4 $PROXY6 3128 tcp open
		both $who $PROXY4 $PROXY6 3128 udp job_to_internal
		both $who $PROXY4 $PROXY6 3129 tcp job_to_internal
		both $who $HOST_GW4 $HOST_GW6 53 "tcp udp" open
		both $who $HOST_GW4 $HOST_GW6 3128 tcp open
		both $who $HOST_GW4 $HOST_GW6 3128 udp job_to_host
		both $who $HOST_GW4 $HOST_GW6 3129 "tcp udp" job_to_host
		both $who $HOST_LAN4 $HOST_LAN6 22 tcp job_to_host
	done
	both alpha "$(container_ip4 user)" "$(container_ip6 user)" 8000 tcp to_job
	for who in gamma delta; do
		both $who $LAN4 $LAN6 8080 tcp open
		both $who $META4 $META6 80 tcp open
		both $who $FAR4 $FAR6 443 tcp open
		both $who $DNS4 $DNS6 80 tcp open
	done
}

configured() { # allow, deny
	both alpha $FAR4 $FAR6 443 tcp open
	both alpha $FAR4 $FAR6 444 tcp open
	both alpha $FAR4 $FAR6 450 tcp open
	both alpha $FAR4 $FAR6 450 udp job_to_internal
	both alpha $FAR4 $FAR6 80 "tcp icmp" job_to_internal
	row alpha $SHARED4 80 "tcp udp icmp" open
	both alpha $BAD4 $BAD6 4443 tcp job_to_denied
	both alpha $BAD4 $BAD6 4443 udp open
	both alpha $BAD4 $BAD6 80 tcp open
	both alpha $DNS4 $DNS6 53 "tcp udp" job_to_denied
	both alpha $LAN4 $LAN6 8080 tcp job_to_internal
	both alpha $META4 $META6 80 tcp job_to_metadata
	both delta $BAD4 $BAD6 4443 tcp open
	both gamma $BAD4 $BAD6 4443 tcp open
}

none() {
	both alpha $INET4 $INET6 443 "tcp icmp" job_to_denied
	both alpha $LAN4 $LAN6 8080 "tcp udp" job_to_denied
	both alpha $META4 $META6 80 tcp job_to_metadata
	both alpha $DNS4 $DNS6 53 "tcp udp" open
	both alpha $HOST_GW4 $HOST_GW6 53 udp open
	both alpha $FAR4 $FAR6 443 tcp open
	both alpha "$(container_ip4 user)" "$(container_ip6 user)" 8000 tcp to_job
	both delta $INET4 $INET6 443 tcp open
	both gamma $INET4 $INET6 443 tcp open
	both host "$(container_ip4 alpha)" "$(container_ip6 alpha)" 8000 tcp open
}

any() { # and metadata open to bridge jobs, closed to host jobs
	both alpha $LAN4 $LAN6 8080 "tcp udp icmp" open
	both alpha $ROUTER4 $ROUTER6 8080 tcp open
	both alpha $META4 $META6 80 tcp open
	both alpha $BAD4 $BAD6 4443 tcp job_to_denied
	both alpha $HOST_LAN4 $HOST_LAN6 22 tcp job_to_host
	both alpha "$(container_ip4 user)" "$(container_ip6 user)" 8000 tcp to_job
	both gamma $META4 $META6 80 "tcp udp icmp" host_job_to_metadata
	row gamma $WIRE4 80 tcp host_job_to_metadata
	both gamma $META4 $META6 53 "tcp udp" open
	both gamma $LAN4 $LAN6 8080 "tcp icmp" open
	both delta $META4 $META6 80 tcp open
	both host $META4 $META6 80 tcp open
}

any_without_metadata() {
	both alpha $LAN4 $LAN6 8080 tcp open
	both alpha $META4 $META6 80 tcp job_to_metadata
	both alpha $META4 $META6 53 "tcp udp" open
	both gamma $META4 $META6 80 tcp open
}

host_internet() {
	both gamma $INET4 $INET6 443 tcp open
	both gamma $INET4 $INET6 53 udp open
	both gamma $LAN4 $LAN6 8080 "tcp udp icmp" host_job_to_internal
	both gamma $ROUTER4 $ROUTER6 8080 tcp host_job_to_internal
	row gamma $SHARED4 80 tcp open
	both gamma $PROXY4 $PROXY6 3129 "tcp udp" host_job_to_internal
	both gamma $META4 $META6 80 tcp open
	both gamma $DNS4 $DNS6 53 "tcp udp" open
	both gamma $DNS4 $DNS6 80 tcp host_job_to_internal
	both gamma $PROXY4 $PROXY6 3128 tcp open
	both gamma $FAR4 $FAR6 443 tcp open
	both gamma $FAR4 $FAR6 80 tcp host_job_to_internal
	both gamma $BAD4 $BAD6 4443 tcp host_job_to_internal
	row gamma $NAMES4 8080 tcp open
	both gamma $HOST_LAN4 $HOST_LAN6 22 tcp open
	both gamma $HOST_GW4 $HOST_GW6 53 "tcp udp" open
	row gamma 127.0.0.1 "$(container_app gamma)" tcp open
	both lan $HOST_LAN4 $HOST_LAN6 "$(container_app gamma)" "tcp udp" open
	both host $LAN4 $LAN6 8080 tcp open
	both delta $LAN4 $LAN6 8080 tcp open
}

# --- configurations --------------------------------------------------------------------------------

BASE="resolvers = $DNS4, $DNS6, $META4, $META6, $HOST_GW4, $HOST_GW6, $NAMES4
proxies = $PROXY4:3128, [$PROXY6]:3128, $HOST_GW4:3128, [$HOST_GW6]:3128"
ENTRIES="allow = 10.88.0.0/16 tcp 443, 10.88.0.0/24 tcp 443-445, 10.88.0.7 tcp 444-450
allow = fd88::/32 tcp 443, fd88::/64 tcp 443-445, fd88::7 tcp 444-450
allow = 100.64.3.0/24, 100.64.0.0/16
deny = $BAD4 tcp 4443, $BAD6 tcp 4440-4450"

ready_count() { grep -c ' READY=1$' "$HOST_DIR/notify.log"; }
ready_more() { [ "$(ready_count)" -gt "$1" ]; }

# configure TEXT: and have the running daemon take it
configure() {
	local before

	jobfence_config "$1"
	[ -z "${UP-}" ] && return
	before=$(ready_count)
	jobfence_signal HUP
	host_wait 5000 ready_more "$before" || broken "reload: $(tail -n 3 "$HOST_DIR/jobfence.log")"
}

try() { # TITLE CONFIGURATION ROWS…
	local title=$1

	section "$title"
	configure "$2"
	shift 2
	check "as it should be" 'equal*' "$(jobfence_cli verify 2>&1 | tail -n 1)"
	for rows; do "$rows"; done
}

# --- around the rules ------------------------------------------------------------------------------

# A host job that takes the place of a proxy of the host's.
shadow() {
	local one

	for one in $HOST_GW4 "[$HOST_GW6]"; do
		spawn_from gamma "$HOST_DIR/shadow.log" serve "tcp:$one:3140=shadow" "udp:$one:3140=shadow"
	done
	sleep 0.2
	both alpha $HOST_GW4 $HOST_GW6 3140 tcp shadow_listener
	both lan $HOST_GW4 $HOST_GW6 3140 tcp shadow_listener
	both alpha $HOST_GW4 $HOST_GW6 3140 udp job_to_host
}

# says TO PORT: what answers a datagram of several fragments
says() {
	nsenter -t "$(container_pid alpha)" -n python3 - "$1" "$2" <<-'END' 2>/dev/null
		import socket, sys
		to = socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), type=socket.SOCK_DGRAM)[0]
		s = socket.socket(to[0], to[1])
		s.settimeout(1)
		s.sendto(b"x" * 4000, to[4])
		print(s.recv(100).decode().strip())
	END
}

# What denies by port sees a datagram whole.
fragments() {
	local to was

	for to in $LAN4 $LAN6; do
		was=$(counter inet job_to_internal)
		check "fragments to $to 8080" '' "$(says $to 8080)"
		check_that "  counted" "$(counter inet job_to_internal)" -gt "$was"
	done
	for to in $BAD4 $BAD6; do
		was=$(counter inet job_to_denied)
		check "fragments to $to 4443" '' "$(says $to 4443)"
		check_that "  counted" "$(counter inet job_to_denied)" -gt "$was"
		check "fragments to $to 80" bad "$(says $to 80)"
	done
}

untracked() {
	host_exec nft 'table inet untracked { chain prerouting {
		type filter hook prerouting priority -300; iifname "docker0" notrack
	}; }' || broken "notrack"
	both alpha $LAN4 $LAN6 8080 "tcp udp icmp" job_to_internal
	both alpha $META4 $META6 80 "tcp udp" job_to_metadata
	both alpha $BAD4 $BAD6 4443 "tcp udp" job_to_denied
	both alpha $DNS4 $DNS6 80 "tcp udp" job_to_internal
	both alpha $HOST_GW4 $HOST_GW6 3129 "tcp udp" job_to_host
	host_exec nft delete table inet untracked
}

# opens CHAIN COUNTER WHO TO PORT: closed, and open without the rules of one counter.
opens() {
	local chain=$1 counter=$2

	shift 2
	check "$1 → $2 $3" "$CLOSED" "$(dial_from "$1" --timeout 400 "${@:2}" 2>&1)"
	delete_rules inet "$chain" "counter name \"$counter\"" || broken "$chain $counter"
	check "  without $chain $counter" 'open:*' "$(dial_from "$1" --timeout 2000 "${@:2}" 2>&1)"
}

multicast_counts() {
	local was to

	for to in 224.0.0.77 ff05::77; do
		was=$(counter inet host_job_to_internal)
		dial_from gamma --udp --timeout 200 $to 9 >/dev/null 2>&1
		check_that "host job → $to: counted" "$(counter inet host_job_to_internal)" -gt "$was"
	done
}

host_up egress || broken "host_up"
shim_start
docker_h network create --ipv6 --subnet 172.30.0.0/24 --subnet fd00:5ec::/64 second >/dev/null || broken "network"
job_start bridge alpha && job_start bridge beta && job_start second user part --dns $NAMES4 &&
	job_start host gamma && bystander_start delta || broken "containers"
world || broken "listeners"
listen lan "$NAMES4" 8080 peer
open_wide || broken "open_wide"

section "without jobfence all of it is open"
for rows in defaults configured none any any_without_metadata host_internet; do $rows; done
check "control" "$TRIED" "$OPENED"
check "control: fragments" "bad bad lan lan" \
	"$(says $BAD4 4443) $(says $BAD6 4443) $(says $LAN4 8080) $(says $LAN6 8080)"
check "Docker's embedded resolver" answered "$(asks user)"
MODE=fenced

configure "[egress]
$BASE"
jobfence_up || broken "jobfence"
UP=1
try "default: the internet, resolvers, proxies" "[egress]
$BASE" defaults
check "Docker's embedded resolver, by a resolver of the configuration" answered "$(asks user)"

try "allow and deny, overlapping" "[egress]
$BASE
$ENTRIES
deny = $DNS4, $DNS6" configured
try "bridge = none" "[egress]
bridge = none
$BASE
$ENTRIES" none
try "bridge = any, metadata the other way round" "[egress]
bridge = any
$BASE
$ENTRIES
[metadata]
bridge = allow
host = deny" any
try "bridge = any" "[egress]
bridge = any
$BASE" any_without_metadata
try "host = internet" "[egress]
host = internet
peers = $NAMES4/32
$BASE
$ENTRIES" host_internet
try "and back" "[egress]
$BASE" defaults

try "nobody in a proxy's place, fragments, what is untracked" "[egress]
host = internet
$BASE, $HOST_GW4:3140, [$HOST_GW6]:3140
deny = $BAD4 tcp 4443, $BAD4 udp 4443, $BAD6 tcp 4443, $BAD6 udp 4443, $HOST_GW4 tcp 53, $HOST_GW6 tcp 53
[metadata]
host = deny" shadow fragments multicast_counts untracked

section "each rule matters: the daemon is gone, one after another is taken out"
jobfence_stop
UP=
opens from_bridge job_to_denied alpha $BAD4 4443
opens to_host_service job_to_denied alpha $HOST_GW4 53
opens from_bridge_to_internal job_to_internal alpha $LAN4 8080
opens from_bridge_to_internal job_to_metadata alpha $META6 80
opens fence_to_metadata host_job_to_metadata gamma $META4 80
opens fence_to_internet host_job_to_internal gamma $LAN6 8080
delete_rules inet from_outside 'services[46]' || broken "services"
check "without its rule a host job is in the proxy's place" 'open:shadow' \
	"$(dial_from lan --timeout 2000 $HOST_GW4 3140 2>&1)"
delete_rules inet answer_to_bridge 'services[46]' || broken "services"
check "without its rule the host's proxy has no answer" "$CLOSED" \
	"$(dial_from alpha --timeout 400 $HOST_GW4 3128 2>&1)"

jobfence_start || broken "jobfence"
UP=1
try "back to the defaults" "[egress]
$BASE"
section "a daemon that is gone leaves it as it is"
jobfence_stop
UP=
defaults
finish
