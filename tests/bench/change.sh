# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Change path: one commit alone against the floor; the engine's event to the commit, for jobfence and for a
# shell loop; a link's announcement to the commit, for jobfence and for a bare reactor. One section of run.

# A port of docker0 whose other end is container 9's, a bystander, in a namespace of its own.
change_port() {
	host_exec ip link add vethbench type veth peer name port0 address 02:42:ac:11:10:0b \
		netns "$LAN_PID" || return 1
	host_exec sh -c ': >/run/docker/netns/9' &&
		host_exec mount --bind "/proc/$LAN_PID/ns/net" /run/docker/netns/9 &&
		host_exec ip link set vethbench up
}

# Rounds of both, in turns, so that what else runs falls on both.
change_events() {
	local n=$1 count=$2 rounds=$3 round

	for ((round = 0; round < rounds; round++)); do
		beside_standin "$n" start "$count"
		[ "$n" -eq 100 ] || continue
		shell_loop "$n" $((count / 4 + 1))
	done
}

shell_loop() {
	local n=$1 count=$2

	shift 2
	host_exec nft add table inet shell
	host_exec nft 'add set inet shell jobs { type ipv4_addr; }'
	measure changes --containers "$n" --variant 'shell loop' "$@" \
		start "$count" -- "$BENCH_HERE/shell-loop.sh"
	host_exec nft delete table inet shell
}

change_links() {
	local count=$1 rounds=$2 round DAEMON

	daemon_command
	for ((round = 0; round < rounds; round++)); do
		measure changes --containers 10 --sandbox /run/docker/netns/%zu --port vethbench \
			link "$count" -- "${DAEMON[@]}"
		forget_ruleset
		measure changes --containers 10 --variant reactor --no-sync --port vethbench \
			link "$count" -- "$BUILD/tests/bench/bench_reactor"
		host_exec nft delete table bridge reactor
	done
}

bench_change() {
	local n

	bare_host change && change_port || { fail "host_up"; return; }
	unshare -n "$BUILD/tests/bench/bench_commits" "$(quick 300 1000)" "$(quick 5 50)" \
		>>"$TO/samples.tsv" || fail "commits"
	change_events 100 "$(quick 20 200)" "$(quick 1 5)"
	for n in 1000 $(quick '' 10000); do
		change_events "$n" "$(quick 5 50)" 1
	done
	beside_standin 100 start "$(quick 10 200)" --churn 20
	shell_loop 100 "$(quick 3 50)" --churn 20
	change_links "$(quick 20 200)" "$(quick 1 5)"
}
