# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086,SC2153 # a container's facts; addresses of places.sh; host.sh names them
#
# The hosts that flows.table is about, with all who are on them. Part of flows.sh and of tests/soak; what
# they share writes its logs into FLOW_DIR.

SECOND_GW4=172.30.0.1 SECOND_GW6=fd00:5ec::1 HOST_LO4=192.0.2.127

more_networks() {
	docker_h network create --subnet 172.30.0.0/24 --gateway $SECOND_GW4 --ipv6 \
		--subnet fd00:5ec::/64 --gateway $SECOND_GW6 second >/dev/null &&
		docker_h network create third >/dev/null
}

# No kind of ICMP error is limited, neither by destination nor by all that a namespace sends.
ICMP_UNLIMITED='echo 0 >/proc/sys/net/ipv4/icmp_ratemask; echo "" >/proc/sys/net/ipv6/icmp/ratemask'

# Nothing but jobfence shall stop a forbidden flow: neither Docker's rules between bridges, nor a MAC
# address that nobody answers for, nor the kernel's limit of ICMP errors. The LAN also sends to the
# host's 127.0.0.1: what it dials as HOST_LO4 goes out with that address.
host_open_wide() {
	local C_ID C_PID C_IP4 C_IP6 C_MAC name

	host_exec iptables -I FORWARD -j ACCEPT && host_exec ip6tables -I FORWARD -j ACCEPT || return 1
	lan_exec nft -f - <<-END || return 1
		table ip hostlo {
			chain out {
				type filter hook postrouting priority 0
				ip daddr $HOST_LO4 ip daddr set 127.0.0.1
			}
			chain in {
				type filter hook prerouting priority -400
				iifname "eth0" ip saddr 127.0.0.1 ip saddr set $HOST_LO4
			}
		}
	END
	for name in "$@"; do
		container_facts "$name" && nsenter -t "$C_PID" -n sh -c "$ICMP_UNLIMITED" || return 1
	done
	host_exec sh -c "$ICMP_UNLIMITED" && inet_exec sh -c "$ICMP_UNLIMITED" || return 1
	neighbours_pin "$@"
}

# Each knows the others' MAC addresses: what is tried is the packet itself, not the question before it.
neighbours_pin() { # NAME…, all on docker0
	local C_ID C_PID C_IP4 C_IP6 C_MAC one other lines=''

	for one; do
		container_facts "$one" || return 1
		lines+="neigh replace $C_IP4 lladdr $C_MAC dev eth0 nud permanent"$'\n'
		lines+="neigh replace $C_IP6 lladdr $C_MAC dev eth0 nud permanent"$'\n'
	done
	for other; do
		container_facts "$other" || return 1
		nsenter -t "$C_PID" -n ip -batch - <<<"$lines" || return 1
	done
}

host_main() { host_up flows-main && main_fill; }

# Who is on the first host, once its engine runs.
main_fill() {
	local port

	more_networks && places_make || return 1
	shim_start 0.0.0.0 && shim6_start && more_services || return 1
	job_start bridge alpha && job_start bridge beta && job_start second zeta part --dns $PRIVATE4 &&
		job_start bridge theta part -p 18000:8000 --dns $RESOLVER4 && job_start third mu part -p 18002:8000 &&
		job_start host gamma && job_start host epsilon && job_start host kappa part || return 1
	bystander_start delta -p 18001:8000 && bystander_start lambda &&
		bystander_start eta --network second && bystander_start omega --network host &&
		container_run iota 7999 --name iota --network "container:$(container_id delta)" \
			"$HOST_IMAGE" /bin/serve tcp:127.0.0.1:7999=iota || return 1
	port=$(container_port beta 10999)
	spawn_from gamma "$FLOW_DIR/gamma.log" serve "tcp:$HOST_LAN4:10999=gamma:runner" \
		"tcp:[$HOST_LAN6]:10999=gamma:runner" "tcp:$HOST_LAN4:$port=gamma:own" \
		"tcp:$HOST_WAN4:10999=gamma:runner" "tcp:[$HOST_WAN6]:10999=gamma:runner" \
		tcp:0.0.0.0:2379=gamma:etcd 'tcp:[::]:2379=gamma:etcd' \
		tcp:0.0.0.0:4222=gamma:nats 'tcp:[::]:4222=gamma:nats' \
		tcp:0.0.0.0:2222=gamma:guarded 'tcp:[::]:2222=gamma:guarded' \
		unix:/run/dstack/server.sock=server
	spawn_from alpha "$FLOW_DIR/alpha.log" serve unix:/run/dstack/server.sock=server
	spawn_from kappa "$FLOW_DIR/kappa.log" serve unix:/run/dstack/server.sock=server
	host_open_wide alpha beta theta delta lambda
}

# An old shim's other half: a listener of this host takes one family.
shim6_start() {
	host_exec serve -b -p "$HOST_DIR/shim6.pid" 'tcp:[::]:10998=shim' 'tcp:[::]:10997=dcgm'
}

host_part() {
	host_up flows-part && shim_start || return 1
	job_start host kappa part && job_start host epsilon && job_start bridge alpha &&
		bystander_start delta
}

host_noproxy() {
	HOST_USERLAND_PROXY=false host_up flows-noproxy && shim_start || return 1
	job_start bridge alpha && job_start bridge beta &&
		job_start bridge theta part -p 18000:8000 && job_start host gamma &&
		bystander_start delta -p 18001:8000 && bystander_start lambda || return 1
	host_open_wide alpha beta theta delta lambda
}

# The internet that a job knows has its proxy in a private network.
EGRESS="[egress]
proxies = $PRIVATE4:3128, [$PRIVATE6]:3128"
