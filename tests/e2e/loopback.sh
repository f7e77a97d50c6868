#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a host says to itself: whatever was routed goes by the rule against frames on lo, in all its forms, and
# moves none of its counter; a frame with the same header moves it.
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

selftalk_all() { # MTU
	local got

	host_exec ip link set lo mtu "$1"
	got=$(host_exec selftalk "$HOST_LAN4" "$HOST_LAN6" lan0 2>&1)
	check "19 ways of talking to oneself heard, lo with MTU $1" 19 "$(grep -c ' heard$' <<<"$got")"
	grep -v ' heard$' <<<"$got"
}

big_ping() { host_exec busybox ping -c 1 -W 2 -s 20000 "$1" >/dev/null 2>&1 && echo answered; }

# What is open and shut at once leaves a time-wait socket whose acknowledgements have no socket.
time_wait() {
	local n=0

	for _ in 1 2 3 4 5 6 7 8; do
		[ "$(dial_from host --timeout 700 "$1" 22)" != open:sshd ] || n=$((n + 1))
	done
	echo $n
}

host_talks() {
	local a

	selftalk_all 65536
	selftalk_all 1500
	for a in 127.0.0.1 "$HOST_LAN4" ::1 "$HOST_LAN6"; do
		check "ping in fragments to $a" answered "$(big_ping "$a")"
	done
	host_exec ip link set lo mtu 65536
	for a in 127.0.0.1 "$HOST_LAN4" "$HOST_GW4" ::1 "$HOST_LAN6" "$HOST_GW6"; do
		check "connections to $a" 8 "$(time_wait "$a")"
		check "the kernel's reset, $a" refused "$(dial_from host --timeout 700 "$a" 9)"
		check "the kernel's ICMP error, $a" refused "$(dial_from host --udp --timeout 700 "$a" 9)"
	done
	check "a published port, by docker-proxy" open:beta:runner \
		"$(dial_from host --timeout 700 127.0.0.1 "$(container_port beta 10999)")"
	check "a route of type local" open:sshd "$(dial_from host --timeout 700 198.51.100.99 22)"
	check "redirect" open:sshd "$(dial_from host --timeout 700 198.51.100.98 443)"
	check "destination NAT" open:sshd "$(dial_from host --timeout 700 198.51.100.97 443)"
	check "destination NAT, IPv6" open:sshd "$(dial_from host --timeout 700 2001:db8:80::97 443)"
	check "host job to its own service" open:gamma:app \
		"$(dial_from gamma --timeout 700 "$HOST_LAN4" "$(container_app gamma)")"
}

host_up loopback || broken "host_up"
shim_start || broken "shim"
job_start bridge beta && job_start host gamma || broken "containers"
host_exec ip route add local 198.51.100.99 dev lo
host_exec nft -f - <<-END
	table inet reroute {
		chain nat {
			type nat hook output priority -100
			ip daddr 198.51.100.98 tcp dport 443 redirect to :22
			ip daddr 198.51.100.97 tcp dport 443 dnat ip to $HOST_LAN4:22
			ip6 daddr 2001:db8:80::97 tcp dport 443 dnat ip6 to [$HOST_LAN6]:22
		}
	}
END

section "before jobfence"
host_talks

section "with jobfence"
jobfence_up || broken "jobfence"
host_talks
check "frames counted as forged" 0 "$(counter inet loopback_forged)"
check "a frame on lo is silent" silent "$(exec_from gamma lo_inject "[::1]:45999" "[::1]:22")"
check "frames counted as forged" 1 "$(counter inet loopback_forged)"
finish
