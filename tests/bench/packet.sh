# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Packet path: what a packet and a connection cost with no firewall, with jobfence, and with one chain per
# container as per-container firewalls make them, in nft and in iptables-nft's DOCKER-USER, by the number
# of jobs. A few jobs are real, the others are known to the stand-in only; in the linear rulesets the real
# ones come last. Docker's own rules are there in all of them. One section of run.

PACKET_PORT=8200

packet_host() {
	host_up packet && job_start bridge alpha && job_start host gamma || return 1
	docker_h cp "$BUILD/tests/bench/bench_traffic" "$(container_id alpha)":/bin/traffic &&
		docker_h cp "$BUILD/tests/bench/bench_traffic" "$(container_id gamma)":/bin/traffic &&
		cp "$BUILD/tests/bench/bench_traffic" "$HOST_DIR/traffic" || return 1
	job_exec alpha /bin/traffic serve "0.0.0.0:$PACKET_PORT" &&
		job_exec gamma /bin/traffic serve "127.0.0.1:$PACKET_PORT" &&
		host_exec "$HOST_DIR/traffic" serve "$HOST_GW4:$PACKET_PORT" &&
		inet_exec "$HOST_DIR/traffic" serve "$INET4:$PACKET_PORT"
}

packet_ask() { curl -sS --unix-socket "$HOST_DIR/docker.sock" "http://docker/v1.41/$1"; }

# What the engine says of the real ones, for the stand-in: $HOST_DIR/captured
packet_capture() {
	local id

	mkdir -p "$HOST_DIR/captured"
	packet_ask 'containers/json?all=1' >"$HOST_DIR/captured/list.json" || return 1
	docker_h network inspect -f '{{.Id}}' bridge >"$HOST_DIR/captured/network-id" || return 1
	for id in "$(container_id alpha)" "$(container_id gamma)"; do
		packet_ask "containers/$id/json" >"$HOST_DIR/captured/$id.json" || return 1
	done
}

# packet_jobfence JOBS: the daemon commits it and stops; the ruleset stays.
packet_jobfence() {
	local DAEMON

	daemon_command
	host_exec "$BUILD/tests/bench/bench_changes" --socket /run/standin.sock --containers "$1" \
		--folder "$HOST_DIR/captured" --sandbox /run/docker/netns/all --log "$HOST_DIR/jobfence.log" \
		sync 1 -- "${DAEMON[@]}" --docker unix:///run/standin.sock >"$HOST_DIR/sync.log" 2>&1 ||
		{ tail -n 20 "$HOST_DIR/sync.log" "$HOST_DIR/jobfence.log" >&2; return 1; }
	host_exec nft list chain inet jobfence from_bridge >/dev/null
}

# Addresses of so many jobs, the real one last.
packet_addresses() {
	awk -v n="$1" -v last="$(container_ip4 alpha)" 'BEGIN {
		for (i = 0; i < n - 1; i++)
			printf "172.17.%d.%d\n", 16 + int(i / 250), 2 + i % 250
		print last
	}'
}

# The same verdicts for bridge jobs, one chain in each direction per container.
packet_nft() {
	packet_addresses "$1" | awk '
		{ ip[NR] = $1 }
		END {
			print "table inet linear {"
			for (i = 1; i <= NR; i++) {
				printf "chain out%d {\n fib daddr type != local ip daddr != 172.17.0.0/16 accept\n", i
				print " tcp flags & (syn|ack) == syn counter reject with tcp reset"
				print " fib daddr type local ct direction reply accept"
				print " meta l4proto tcp counter drop\n counter reject with icmpx admin-prohibited\n}"
				printf "chain in%d {\n iifname \"docker0\" counter drop\n ct direction reply accept\n", i
				print " counter drop\n}"
			}
			print "chain prerouting { type filter hook prerouting priority -190;"
			for (i = 1; i <= NR; i++) printf " ip saddr %s goto out%d\n", ip[i], i
			print "}\nchain forward { type filter hook forward priority -10;"
			for (i = 1; i <= NR; i++) printf " ip daddr %s goto in%d\n", ip[i], i
			print "}\n}"
		}' >"$HOST_DIR/linear.nft"
	host_exec nft -f "$HOST_DIR/linear.nft"
}

packet_iptables() {
	packet_addresses "$1" | awk '
		{ ip[NR] = $1 }
		END {
			print "*filter"
			# Docker ends its chain with RETURN
			print "-F DOCKER-USER"
			print ":LINEAR - [0:0]"
			for (i = 1; i <= NR; i++) printf ":OUT%d - [0:0]\n:IN%d - [0:0]\n:HOST%d - [0:0]\n", i, i, i
			for (i = 1; i <= NR; i++) {
				printf "-A DOCKER-USER -s %s -j OUT%d\n-A DOCKER-USER -d %s -j IN%d\n", ip[i], i, ip[i], i
				printf "-A LINEAR -s %s -j HOST%d\n", ip[i], i
				printf "-A OUT%d -d 172.17.0.0/16 -j DROP\n-A OUT%d -j ACCEPT\n", i, i
				printf "-A IN%d -m conntrack --ctdir REPLY -j ACCEPT\n-A IN%d -j DROP\n", i, i
				printf "-A HOST%d -p tcp --syn -j REJECT --reject-with tcp-reset\n", i
				printf "-A HOST%d -m conntrack --ctdir REPLY -j ACCEPT\n", i
				printf "-A HOST%d -p tcp -j DROP\n", i
				printf "-A HOST%d -j REJECT --reject-with icmp-admin-prohibited\n", i
			}
			print "-I INPUT -j LINEAR"
			print "COMMIT"
		}' >"$HOST_DIR/linear.ipt"
	host_exec iptables-save -t filter >"$HOST_DIR/before.ipt"
	host_exec iptables-restore --noflush <"$HOST_DIR/linear.ipt"
}

packet_none() { :; }

packet_clear() {
	forget_ruleset
	host_exec nft delete table inet linear 2>/dev/null
	if [ -e "$HOST_DIR/before.ipt" ]; then
		host_exec iptables-restore <"$HOST_DIR/before.ipt"
		rm -f "$HOST_DIR/before.ipt"
	fi
}

# flow METRIC WHO KIND ADDR:PORT: one figure of the variant and size at hand
flow() {
	local metric=$1 who=$2 kind=$3 value traffic=/bin/traffic

	[ "$who" != host ] || traffic=$HOST_DIR/traffic
	value=$(exec_from "$who" "$traffic" "$kind" "$PACKET_SECONDS" "$4") ||
		{ fail "$VARIANT $SIZE: $metric.$kind"; return 1; }
	sample "$PACKET_AS.$metric.$kind" "$VARIANT" "$SIZE" ns "$value"
}

flows() {
	local alpha

	alpha=$(container_ip4 alpha):$PACKET_PORT
	flow loopback gamma connections "127.0.0.1:$PACKET_PORT"
	flow loopback gamma trips "127.0.0.1:$PACKET_PORT"
	flow to_bridge host connections "$alpha"
	flow to_bridge host trips "$alpha"
	flow to_bridge host stream "$alpha"
	flow to_internet alpha connections "$INET4:$PACKET_PORT"
	flow to_internet alpha trips "$INET4:$PACKET_PORT"
	flow to_internet alpha packets "$INET4:$PACKET_PORT"
	# let through by "none": then it is what the same packet costs to be delivered
	flow denied alpha packets "$HOST_GW4:$PACKET_PORT"
	[ "$VARIANT" = none ] || flow denied alpha syns "$HOST_GW4:$PACKET_PORT"
}

# packet_case FUNCTION VARIANT JOBS
packet_case() {
	VARIANT=$2 SIZE=$3
	if timed "packet_$1" "$SIZE"; then
		flows
	else
		fail "$VARIANT with $SIZE jobs could not be set up"
	fi
	packet_clear
}

timed() {
	local begun=${EPOCHREALTIME/./}

	"$@" || return 1
	[ "$VARIANT" = jobfence ] || [ "$VARIANT" = none ] ||
		sample packet.set_up "$VARIANT" "$SIZE" ms $(((${EPOCHREALTIME/./} - begun) / 1000))
}

# Whether the number of jobs matters: 1, 10,000, 1, 10,000, … 1, so that each 10,000 lies between two 1 and
# a clock rate that wanders falls on both. Ends where one fails: the rest would have other neighbours.
packet_flatness() {
	local i PACKET_AS=flat VARIANT=jobfence SIZE

	for ((i = 0; i <= 2 * $(quick 1 8); i++)); do
		SIZE=$((i % 2 ? 10000 : 1))
		packet_jobfence "$SIZE" &&
			flow loopback gamma connections "127.0.0.1:$PACKET_PORT" &&
			flow loopback gamma trips "127.0.0.1:$PACKET_PORT" &&
			flow to_bridge host connections "$1" &&
			flow to_bridge host trips "$1" &&
			flow to_internet alpha connections "$INET4:$PACKET_PORT" &&
			flow to_internet alpha trips "$INET4:$PACKET_PORT" ||
			{ fail "$SIZE jobs, in turns"; packet_clear; return; }
		packet_clear
	done
}

bench_packet() {
	local round n VARIANT SIZE PACKET_SECONDS PACKET_AS=packet

	PACKET_SECONDS=$(quick 0.2 0.5)
	packet_host && packet_capture || { fail "private host"; return; }
	jobfence_config
	for ((round = 0; round < $(quick 1 5); round++)); do
		packet_case none none 1
		for n in $(quick '1 1000 10000' '1 10 100 1000 10000'); do
			packet_case jobfence jobfence "$n"
		done
		packet_case none none 1
		for n in $(quick '1 1000' '1 10 100 1000'); do
			packet_case nft 'per container, nft' "$n"
			packet_case iptables 'per container, iptables' "$n"
		done
	done
	[ -n "$QUICK" ] || packet_case nft 'per container, nft' 10000
	packet_flatness "$(container_ip4 alpha):$PACKET_PORT"
}
