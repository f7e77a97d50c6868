#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Any network a job can be put on, by a real engine, IPv4 and IPv6: user-defined bridges, bridges with a
# name of their own, --internal ones, several at once, connected after the start; namespaces that are
# joined; macvlan, which no bridge holds; bridges of an engine inside a container.
# Each forbidden flow is open before jobfence, closed with it, and counted.
#
# Usage: networks.sh [bridges|joined|unheld|nested]…   all of them without
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

FLOWS=() # "what|who|dial arguments|open, or the counter that stops it: family name"

flow() { FLOWS+=("$1|$2|$3|$4"); } # WHAT WHO DIAL-ARGUMENTS OPEN-OR-COUNTER

# flows_open: without jobfence every one of them is.
flows_open() {
	local line what who args got open=0

	for line in "${FLOWS[@]}"; do
		IFS='|' read -r what who args _ <<<"$line"
		# shellcheck disable=SC2086 # arguments
		got=$(dial_from "$who" --timeout 2000 $args 2>&1)
		if [[ $got == open:* ]]; then open=$((open + 1)); else say "$what ($args): $got"; fi
	done
	check "control: open without jobfence" "${#FLOWS[@]}" "$open"
}

# flows_judge: each is as it should be, and what stopped it counted it.
flows_judge() {
	local line what who args want got was

	for line in "${FLOWS[@]}"; do
		IFS='|' read -r what who args want <<<"$line"
		if [ "$want" = open ]; then
			# shellcheck disable=SC2086 # arguments
			check "$what" 'open:*' "$(dial_from "$who" --timeout 2500 $args 2>&1)"
			continue
		fi
		# shellcheck disable=SC2086 # arguments
		was=$(counter $want)
		# shellcheck disable=SC2086 # arguments
		got=$(dial_from "$who" --timeout 400 $args 2>&1)
		# shellcheck disable=SC2086 # arguments
		check "$what (${want#* })" "$CLOSED yes" \
			"$got $([ "$(counter $want)" -gt "${was:-0}" ] && echo yes || echo uncounted)"
	done
}

# The address of a container on one network: addr ALIAS NETWORK 4|6
addr() {
	local field=IPAddress

	[ "$3" = 4 ] || field=GlobalIPv6Address
	docker_h inspect -f "{{(index .NetworkSettings.Networks \"$2\").$field}}" "$(container_id "$1")"
}

gateway() { # NETWORK 4|6
	docker_h network inspect -f "{{(index .IPAM.Config $(($2 == 6 ? GW6_AT : 0))).Gateway}}" "$1"
}
GW6_AT=1

# Nothing but jobfence shall stop a forbidden flow.
open_wide() { host_exec iptables -I FORWARD -j ACCEPT && host_exec ip6tables -I FORWARD -j ACCEPT; }

network() { # NAME NUMBER DOCKER-ARGUMENTS…
	local name=$1 number=$2

	shift 2
	docker_h network create --subnet "172.30.$number.0/24" --gateway "172.30.$number.1" --ipv6 \
		--subnet "fd00:30:$number::/64" --gateway "fd00:30:$number::1" "$@" "$name" >/dev/null
}

# What a fence holds, on one network: two jobs, two bystanders, the host, who is outside.
bridge_flows() { # NETWORK JOB JOB BYSTANDER BYSTANDER
	local v gw lan inet hostlan

	for v in 4 6; do
		lan=$LAN4 inet=$INET4 hostlan=$HOST_LAN4
		[ $v = 4 ] || lan=$LAN6 inet=$INET6 hostlan=$HOST_LAN6
		gw=$(gateway "$1" $v)
		flow "$1: job → neighbour's runner, IPv$v" "$2" "$(addr "$3" "$1" $v) 10999" \
			"bridge job_to_neighbour"
		flow "$1: job → bystander, IPv$v" "$2" "$(addr "$4" "$1" $v) 8000" \
			"bridge job_to_neighbour"
		flow "$1: bystander → job, IPv$v" "$4" "$(addr "$2" "$1" $v) 8000" \
			"bridge job_to_neighbour"
		flow "$1: job → host, by the gateway, IPv$v" "$2" "$gw 22" "inet job_to_host"
		flow "$1: LAN → job, IPv$v" lan "$(addr "$2" "$1" $v) 8000" "inet to_job"
		flow "$1: host → job, IPv$v" host "$(addr "$2" "$1" $v) 10999" open
		flow "$1: bystander → bystander, IPv$v" "$4" "$(addr "$5" "$1" $v) 8000" open
		flow "$1: bystander → host, IPv$v" "$4" "$gw 22" open
		[ "$1" != inner ] || continue
		flow "$1: job → host, by its LAN address, IPv$v" "$2" "$hostlan 22" "inet job_to_host"
		flow "$1: job → internet, IPv$v" "$2" "$inet 443" open
		flow "$1: job → LAN, IPv$v" "$2" "$lan 8080" "inet job_to_internal"
		flow "$1: bystander → LAN, IPv$v" "$4" "$lan 8080" open
	done
}

bridges() {
	local net

	HOST_BRNF=0 host_up bridges && shim_start || broken "host_up"
	network user 1 && network named 2 -o com.docker.network.bridge.name=tenant0 &&
		network inner 3 --internal || broken "networks"
	for net in user named inner; do
		job_start $net ${net}1 && job_start $net ${net}2 && bystander_start ${net}3 --network $net &&
			bystander_start ${net}4 --network $net || broken "containers"
	done
	job_start bridge base && job_start bridge moved || broken "containers"
	open_wide

	section "networks of their own"
	for net in user named inner; do
		bridge_flows $net ${net}1 ${net}2 ${net}3 ${net}4
	done
	flow "job → job across networks" user1 "$(addr named1 named 4) 10999" "inet to_job"
	flow "job → job across networks" named1 "$(addr base bridge 6) 10999" "inet to_job"
	flow "job → bystander across networks" named1 "$(addr user3 user 4) 8000" "inet job_to_bystander"
	flows_open
	jobfence_up || broken "jobfence"
	flows_judge
	check "guarded, by status" '*br-*docker0*tenant0*' "$(jobfence_cli status | grep ^bridges)"

	section "connected after the start"
	FLOWS=()
	docker_h network connect user "$(container_id moved)" &&
		docker_h network connect named "$(container_id moved)" || broken "network connect"
	host_wait 3000 jobfence_cli verify >/dev/null 2>&1
	moved_flows
	flows_judge
	check "its ports are all bound" 3 "$(host_exec nft list set bridge jobfence job_ports |
		grep -c "moved-.*isolated")"
	spoof_from_second

	section "and disconnected again"
	docker_h network disconnect user "$(container_id moved)"
	host_wait 3000 jobfence_cli verify >/dev/null 2>&1
	check "its ports are all bound" 2 "$(host_exec nft list set bridge jobfence job_ports |
		grep -c "moved-.*isolated")"
	check_flow "still closed on what it has" "$CLOSED" moved "$(addr named1 named 4)" 10999
	check_flow "and open to the internet" 'open:*' moved "$INET4" 443
	jobfence_stop
	host_down
}

moved_flows() {
	local v

	for v in 4 6; do
		flow "second network: job → neighbour, IPv$v" moved "$(addr user1 user $v) 10999" \
			"bridge job_to_neighbour"
		flow "second network: job → bystander, IPv$v" moved "$(addr user3 user $v) 8000" \
			"bridge job_to_neighbour"
		flow "second network: neighbour → job, IPv$v" user2 "$(addr moved user $v) 10999" \
			"bridge job_to_neighbour"
		flow "third network: job → neighbour, IPv$v" moved "$(addr named1 named $v) 10999" \
			"bridge job_to_neighbour"
		flow "second network: job → host, IPv$v" moved "$(gateway user $v) 22" "inet job_to_host"
		flow "third network: LAN → job, IPv$v" lan "$(addr moved named $v) 8000" "inet to_job"
		flow "second network: host → job, IPv$v" host "$(addr moved user $v) 10999" open
	done
	flow "job → internet" moved "$INET4 443" open
	flow "job → internet" moved "$INET6 443" open
	flow "bystander → bystander" user3 "$(addr user4 user 4) 8000" open
}

# The second port is as bound as the first: another's address goes nowhere.
spoof_from_second() {
	local was mac all=ff:ff:ff:ff:ff:ff

	mac=$(docker_h inspect -f '{{.NetworkSettings.Networks.user.MacAddress}}' "$(container_id moved)")
	was=$(counter bridge job_spoofed)
	job_exec moved l2spoof eth1 udp "$mac" $all "$(addr user1 user 4):4444" "$(addr user2 user 4):8000"
	job_exec moved l2spoof eth1 arp "$mac" $all "$(addr user1 user 4)" "$(addr user2 user 4)"
	check_that "forged frames of the second port, counted" "$(($(counter bridge job_spoofed) - was))" -ge 2
}

row_of() { jobfence_cli status | awk -v n="$1" 'index($0, n)'; }

joined() {
	local id

	host_up joined && shim_start || broken "host_up"
	bystander_start owner && bystander_start other && job_start bridge tenant || broken "containers"
	open_wide
	jobfence_up || broken "jobfence"
	section "a bystander, before a job is in its namespace"
	check_flow "→ another bystander" 'open:*' owner "$(container_ip4 other)" 8000
	check_flow "→ host" 'open:*' owner "$HOST_GW6" 22

	section "a job joins it"
	id=$(docker_h run -d --name joiner-0-0-0badcafe --label ai.dstack.shim.is-task=true \
		--network "container:$(container_id owner)" "$HOST_IMAGE" /bin/serve -k tcp:0.0.0.0:9000=joiner)
	host_wait 3000 joined_is_closed
	check_flow "bystander → another bystander" "$CLOSED" owner "$(container_ip4 other)" 8000
	check_flow "bystander → host" "$CLOSED" owner "$HOST_GW6" 22
	check_flow "bystander → internet" 'open:*' owner "$INET4" 443
	check_flow "host → the job" 'open:joiner' host "$(container_ip4 owner)" 9000
	check "status tells the truth" '*bystander*isolated*a job is in its network namespace*' \
		"$(row_of owner)"

	section "the owner restarts, then the job"
	docker_h restart -t 0 "$(container_id owner)" >/dev/null && container_refresh owner
	sleep 0.5
	check_flow "bystander → another bystander" "$CLOSED" owner "$(container_ip4 other)" 8000
	docker_h restart -t 0 "$id" >/dev/null
	sleep 0.5
	check_flow "host → the job, in the new namespace" 'open:joiner' host "$(container_ip4 owner)" 9000
	check_flow "bystander → another bystander" "$CLOSED" owner "$(container_ip4 other)" 8000

	section "the job goes"
	docker_h rm -f "$id" >/dev/null
	host_wait 3000 open_to owner "$(container_ip4 other)" 8000
	check_flow "bystander → another bystander" 'open:*' owner "$(container_ip4 other)" 8000
	check "status" '*bystander*free*' "$(row_of owner)"

	section "a bystander joins a job"
	container_run guest 9001 --name guest --network "container:$(container_id tenant)" "$HOST_IMAGE" \
		/bin/serve -k tcp:0.0.0.0:9001=guest || broken "guest"
	sleep 0.3
	check_flow "bystander → another bystander" "$CLOSED" guest "$(container_ip4 other)" 8000
	check_flow "host → bystander" 'open:guest' host "$(container_ip4 tenant)" 9001
	check "status tells the truth" '*bystander*isolated*a job is in its network namespace*' \
		"$(row_of guest)"
	jobfence_stop
	host_down
}

joined_is_closed() { ! open_to owner "$(container_ip4 other)" 8000; }


# What the fence cannot hold, and what it does about it where it is told to.
unheld() {
	host_up unheld && shim_start || broken "host_up"
	docker_h network create -d macvlan -o parent=lan0 --subnet 10.88.0.0/24 mac >/dev/null || broken "macvlan"
	job_start mac direct && job_start bridge both && job_start bridge good &&
		job_start bridge strong part --cap-add NET_ADMIN && job_start host router whole --cap-add NET_ADMIN &&
		job_start host tame || broken "containers"
	docker_h network connect mac "$(container_id both)" || broken "connect"
	container_refresh good
	open_wide
	jobfence_up || broken "jobfence"

	section "unconfinable = report"
	check "macvlan" '*NOT HELD (isolated)*network without a bridge*' "$(row_of direct-)"
	check "macvlan and a bridge" '*NOT HELD (isolated)*network without a bridge*' "$(row_of both-)"
	check "added capabilities" '*NOT HELD (isolated)*added capabilities*' "$(row_of strong-)"
	check "added capabilities on the host's network" '*NOT HELD (fenced)*added capabilities*' "$(row_of router-)"
	check_flow "unheld job → internet" 'open:*' strong "$INET4" 443
	check_flow "unheld host job → internet" 'open:*' router "$INET6" 443
	spawn_from strong "$HOST_DIR/hold.log" dial --hold "$INET4" 443
	host_wait 2000 grep -q open "$HOST_DIR/hold.log"

	section "unconfinable = quarantine"
	jobfence_stop
	jobfence_config $'[jobs]\nunconfinable = quarantine'
	jobfence_up || broken "jobfence"
	FLOWS=()
	unheld_flows
	flows_judge
	host_wait 3000 grep -q reset "$HOST_DIR/hold.log"
	check "status" '*NOT HELD (quarantined)*quarantined, as unconfinable says*' "$(row_of strong-)"
	check "status" '*NOT HELD (quarantined)*' "$(row_of direct-)"
	check "status, of others" '*isolated*' "$(row_of good-)"
	jobfence_stop
	host_down
}

unheld_flows() {
	local v inet

	for v in 4 6; do
		inet=$INET4
		[ $v = 4 ] || inet=$INET6
		flow "unheld bridge job → internet, IPv$v" strong "$inet 443" "inet bridge_job_quarantined"
		flow "host → its runner, IPv$v" host "$(addr strong bridge $v) 10999" open
		flow "unheld host job → internet, IPv$v" router "$inet 443" "inet host_job_quarantined"
		flow "other jobs → internet, IPv$v" good "$inet 443" open
		flow "other host jobs → internet, IPv$v" tame "$inet 443" open
	done
	flow "unheld bridge job → internet, UDP" strong "--udp $INET4 53" "inet bridge_job_quarantined"
	flow "macvlan job, by its bridge → internet" both "--from $(addr both bridge 4):0 $INET4 443" \
		"inet bridge_job_quarantined"
}

# --- Docker in Docker ------------------------------------------------------------------------------

# nest PID BRIDGE NET: what an engine inside makes, by hand: a bridge in the network namespace of PID, a
# "container" behind it at NET.2 (its pid in NESTED), masquerading, its port 80 published as 8088.
nest() {
	local pid=$1 bridge=$2 net=$3

	host_background "$HOST_CG/peers" "$HOST_DIR/nested.log" unshare -n sleep infinity
	NESTED=$HOST_SPAWNED
	disown "$NESTED"
	host_wait 3000 host_is_apart "$NESTED"
	nsenter -t "$pid" -n ip -batch - <<-END || return 1
		link add $bridge type bridge
		addr add $net.1/24 dev $bridge
		link set $bridge up
		link add veth-nest master $bridge type veth peer name eth0 netns $NESTED
		link set veth-nest up
	END
	nsenter -t "$NESTED" -n ip -batch - <<-END || return 1
		link set lo up
		addr add $net.2/24 dev eth0
		link set eth0 up
		route add default via $net.1
	END
	nsenter -t "$pid" -n nft -f - <<-END || return 1
		table ip nested {
			chain post {
				type nat hook postrouting priority 100
				ip saddr $net.0/24 oifname != "$bridge" masquerade
			}
			chain pre {
				type nat hook prerouting priority -100
				tcp dport 8088 dnat to $net.2:80
			}
		}
	END
	nsenter -t "$pid" -n sysctl -qw net.ipv4.ip_forward=1 2>/dev/null
	host_in peers "$NESTED" -n -- "$HOST_BIN/serve" -b tcp:0.0.0.0:80=nested
}

# nested_dial WHAT WANTED ARGUMENTS…: from the container inside
nested_dial() {
	local what=$1 want=$2

	shift 2
	check "$what" "$want" "$(nsenter -t "$NESTED" -n "$HOST_BIN/dial" --timeout 1500 "$@" 2>&1)"
}

nested() {
	host_up nested && shim_start && job_start host router whole --cap-add NET_ADMIN &&
		job_start bridge own part --cap-add NET_ADMIN && job_start bridge tenant || broken "containers"
	open_wide

	section "on the host's network (G16)"
	nest "$HOST_PID" br-0123456789ab 10.99.0 || broken "nest"
	check_flow "LAN → its published port, before" 'open:nested' lan "$HOST_LAN4" 8088
	nested_dial "→ a job's runner, before" 'open:tenant:runner' "$(container_ip4 tenant)" 10999
	jobfence_up || broken "jobfence"
	host_wait 3000 spared
	check_flow "LAN → its published port" 'open:nested' lan "$HOST_LAN4" 8088
	nested_dial "→ internet" 'open:inet' "$INET4" 443
	nested_dial "→ LAN" 'open:lan' "$LAN4" 8080
	nested_dial "→ host" 'open:sshd' 10.99.0.1 22
	nested_dial "→ a job's runner" "$CLOSED" "$(container_ip4 tenant)" 10999
	check_flow "job → it" "$CLOSED" tenant 10.99.0.2 80
	check "status calls its maker not held" '*NOT HELD*added capabilities*' "$(row_of router-)"
	container_rm router
	host_wait 3000 guarded_again
	nested_dial "→ host, when nobody is there who could have made it" "$CLOSED" 10.99.0.1 22

	section "in a job's own namespace"
	kill "$NESTED"
	nest "$(container_pid own)" docker0 10.98.0 || broken "nest"
	nested_dial "→ internet" 'open:inet' "$INET4" 443
	nested_dial "→ host" "$CLOSED" "$HOST_GW4" 22
	nested_dial "→ a neighbour" "$CLOSED" "$(container_ip4 tenant)" 10999
	check_flow "host → its published port" 'open:nested' host "$(container_ip4 own)" 8088
	check_flow "neighbour → its published port" "$CLOSED" tenant "$(container_ip4 own)" 8088
	jobfence_stop
	host_down
}

spared() { host_exec nft list set inet jobfence spared_bridges | grep -q br-0123456789ab; }
guarded_again() { ! spared; }

[ $# -gt 0 ] || set -- bridges joined unheld nested
for part; do
	case $part in
	bridges) bridges ;;
	joined) joined ;;
	unheld) unheld ;;
	nested) nested ;;
	*) broken "there is no part '$part'" ;;
	esac
done
finish
