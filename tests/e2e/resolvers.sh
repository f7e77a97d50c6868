#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Which resolvers, proxies and networks jobfence finds on a host, and that it follows them while it runs: the
# host's resolv.conf, systemd-resolved's stub, daemon.json, --dns of a job. What a job writes into its own
# resolv.conf is nothing to it. The same with packets: a resolver on the LAN is open on port 53, by UDP and
# TCP, IPv4 and IPv6, while it is one, and no longer.
#
# Usage: resolvers.sh [--quick]
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# egress KEY: of status --json, on one line
egress() {
	jobfence_cli status --json 2>/dev/null | python3 -c '
import json, sys
value = json.load(sys.stdin)["egress"][sys.argv[1]]
print(" ".join(map(str, value)) if isinstance(value, list) else value)' "$1"
}

# Not in the text of the file that it reads first, and then replaces.
write_host_file() { printf 'nameserver %s\n' "$@" | host_exec sh -c 'cat >/etc/new && mv /etc/new /etc/resolv.conf'; }

# engine_dns [ADDRESS…]: in daemon.json, with a restart of the engine
engine_dns() {
	python3 - "$HOST_DIR/daemon.json" "$@" <<-'END'
		import json, sys
		config = json.load(open(sys.argv[1]))
		config.pop("dns", None)
		if sys.argv[2:]:
		    config["dns"] = sys.argv[2:]
		json.dump(config, open(sys.argv[1], "w"))
	END
	engine_stop && engine_start
}

# The resolver on the LAN, as alpha sees it: flows WHAT WANTED
flows() {
	check_flow "$1, udp 53" "$2" alpha --udp "$LAN4" 53
	check_flow "$1, tcp 53" "$2" alpha "$LAN4" 53
	check_flow "$1, IPv6 udp 53" "$2" alpha --udp "$LAN6" 53
	check_flow "$1, IPv6 tcp 53" "$2" alpha "$LAN6" 53
}

host_up resolvers || broken "the host"
shim_start 127.0.0.1 || broken "the shim"
SHIM_ENV=/etc/shim.env
host_exec sh -c "printf 'http_proxy=http://someone:hunter2@$LAN4:3128\nhttps_proxy=http://$HOST_GW4:3128\n\
HTTPS_PROXY=http://someone:hunter2@proxy.example:3128\n' >$SHIM_ENV"
jobfence_config "[environment]
shim_env = $SHIM_ENV"
lan_exec serve -b udp:0.0.0.0:53=dns 'udp:[::]:53=dns' tcp:0.0.0.0:53=dns 'tcp:[::]:53=dns' || broken "the LAN"
job_start bridge alpha || broken "alpha"

section "Before jobfence"
flows "alpha to the LAN" open:dns

jobfence_up DSTACK_SERVER_JOB_NETWORK_MODE=2 || broken "jobfence"

section "What the host says"
check "the host's file" "$INET4" "$(egress resolvers)"
check "is where it comes from" /etc/resolv.conf "$(egress resolvers_origin)"
check "attached networks" "*10.77.0.0/24*203.0.113.0/24*fd77::/64*" "$(egress attached)"
check "the guarded bridge is none of them" 0 "$(egress attached | grep -c 172.17)"
host_exec ip address add 10.99.0.1/24 dev lan0
check "an address more" "*10.99.0.0/24*" "$(egress attached)"
host_exec ip address del 10.99.0.1/24 dev lan0
check "and gone" 0 "$(egress attached | grep -c 10.99)"

section "The proxies of the shim"
check "by address" "*'$LAN4:3128'*False*'$HOST_GW4:3128'*True*" "$(egress proxies)"
check "the log warns of the one on this host" 1 \
	"$(grep -c "the proxy $HOST_GW4:3128 runs on this host" "$HOST_DIR/jobfence.log")"
check "and of the name" 1 "$(grep -c 'HTTPS_PROXY names proxy.example' "$HOST_DIR/jobfence.log")"
check "no password is told" 0 "$({
	jobfence_cli status
	jobfence_cli status --json
	cat "$HOST_DIR/jobfence.log"
} 2>&1 | grep -c 'hunter2\|someone')"

section "The host's file changes while jobfence runs"
write_host_file 10.77.0.2 169.254.169.254
check "replaced" "10.77.0.2 169.254.169.254" "$(egress resolvers)"
write_host_file 127.0.0.53
host_exec sh -c 'mkdir -p /run/systemd/resolve && echo nameserver 10.77.0.9 >/run/systemd/resolve/resolv.conf'
check "the stub" "10.77.0.9" "$(egress resolvers)"
check "means resolved's own file" /run/systemd/resolve/resolv.conf "$(egress resolvers_origin)"
write_host_file 127.0.0.1
check "loopback opens nothing" "" "$(egress resolvers)"
write_host_file "$INET4"

section "Packets"
flows "a LAN address that is no resolver" "$CLOSED"
check_flow "the internet's" open:inet alpha --udp "$INET4" 53
write_host_file "$LAN4" "$LAN6"
host_wait 2000 open_to alpha --udp "$LAN6" 53
flows "the host's file names it" open:dns
check_flow "another port of it" "$CLOSED" alpha "$LAN4" 8080
check_flow "another port of it, IPv6 udp" "$CLOSED" alpha --udp "$LAN6" 8080
write_host_file "$INET4"
sleep 0.5
flows "and no longer" "$CLOSED"

section "Jobs"
check "docker gave alpha the host's" "nameserver $INET4" "$(job_exec alpha grep nameserver /etc/resolv.conf)"
job_start bridge beta part --dns 10.77.0.7 || broken "beta"
check "--dns of a job" "$INET4 10.77.0.7" "$(egress resolvers)"
bystander_start delta --dns 10.77.0.3 || broken "delta"
check "--dns of a bystander is its own affair" "$INET4 10.77.0.7" "$(egress resolvers)"
cp "$HOST_DIR/jobfence.conf" "$HOST_DIR/before.conf"
printf '[confine]\nnames = delta\n' >>"$HOST_DIR/jobfence.conf"
check "unless it is confined like a job" "$INET4*10.77.0.3*" "$(egress resolvers)"
mv "$HOST_DIR/before.conf" "$HOST_DIR/jobfence.conf"
job_exec alpha sh -c "printf 'nameserver $LAN4\nnameserver $LAN6\n' >/etc/resolv.conf"
check "alpha wrote its own" "nameserver $LAN4 nameserver $LAN6" \
	"$(job_exec alpha cat /etc/resolv.conf | paste -sd' ')"
check "which opens nothing" "$INET4 10.77.0.7" "$(egress resolvers)"
flows "alpha's own file opens nothing" "$CLOSED"
job_start bridge gamma part --dns "$LAN4" --dns "$LAN6" || broken "gamma"
host_wait 2000 open_to alpha --udp "$LAN6" 53
flows "--dns of another job opens it" open:dns
jobfence_stop
flows "also while jobfence is stopped" open:dns
jobfence_up DSTACK_SERVER_JOB_NETWORK_MODE=2 || broken "jobfence"
container_rm gamma
sleep 0.5
flows "until that is gone" "$CLOSED"
container_rm beta
check "beta is gone" "$INET4" "$(egress resolvers)"

section "The engine's configuration"
engine_dns 10.77.0.5 fd77::5 || broken "the engine"
check "daemon.json by --config-file" "10.77.0.5 fd77::5" "$(egress resolvers)"
check "is where it comes from" "$HOST_DIR/daemon.json" "$(egress resolvers_origin)"
job_start bridge epsilon || broken "epsilon"
check "docker gave epsilon the same" "nameserver 10.77.0.5 nameserver fd77::5" \
	"$(job_exec epsilon grep nameserver /etc/resolv.conf | paste -sd' ')"
engine_dns || broken "the engine"
check "taken out again" "$INET4" "$(egress resolvers)"

section "The configuration of jobfence"
jobfence_config "[egress]
resolvers = 10.77.0.6
proxies = none"
check "a list is all there is" "10.77.0.6" "$(egress resolvers)"
check "none is none" "" "$(egress proxies)"
check "verify" 0 "$(
	jobfence_signal HUP && sleep 1 && jobfence_cli verify >/dev/null 2>&1
	echo $?
)"
finish
