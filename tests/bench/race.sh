# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# No leak under load: containers whose first instruction connects to what is forbidden, under jobfence and
# under a shell loop; and bystanders whose first attempt should already be served. One section of run.
# Counts, not times.

race_api() { curl -sS --unix-socket "$HOST_DIR/docker.sock" -X "$1" "http://docker$2"; }

# Starts a container again and again; one exit code per start on standard output.
race_loop() {
	local id=$1 n=$2

	while [ $((n--)) -gt 0 ]; do
		race_api POST "/containers/$id/start"
		race_api POST "/containers/$id/wait" | sed -n 's/.*"StatusCode":\([0-9]*\).*/\1/p'
	done
}

# race STARTS DOCKER-ARGUMENTS…: by three at a time; the exit codes go to $HOST_DIR/race.log
race() {
	local starts=$1 ids=() pids=() i

	shift
	: >"$HOST_DIR/race.log"
	for i in 0 1 2; do
		ids+=("$(docker_h create "$@")") || { fail "docker create"; return; }
	done
	for i in 0 1 2; do
		race_loop "${ids[i]}" $((starts / 3 + (i < starts % 3))) >>"$HOST_DIR/race.log" 2>&1 &
		pids+=($!)
	done
	wait "${pids[@]}"
	for i in 0 1 2; do docker_h logs "${ids[i]}"; done >"$HOST_DIR/race.said" 2>/dev/null
	docker_h rm -f "${ids[@]}" >/dev/null
}

# Exit codes are numbers of targets that accepted.
race_count() {
	local variant=$1 kind=$2

	sample "race.starts.$kind" "$variant" 0 '' "$(grep -c '^[0-9]*$' "$HOST_DIR/race.log")"
	sample "race.leaking.$kind" "$variant" 0 '' "$(grep -c '^[1-9]' "$HOST_DIR/race.log")"
	RACE_LEAKS=$((RACE_LEAKS + $(awk '/^[0-9]+$/ { n += $1 } END { print n + 0 }' "$HOST_DIR/race.log")))
}

# shellcheck disable=SC2046 # lists of words
race_jobs() {
	local variant=$1 starts=$2 host_starts=$3 JOB_ARGS RACE_LEAKS=0

	job_arguments bridge race part
	race "$starts" $(race_unnamed) "$HOST_IMAGE" /bin/startdial --for 120 "$HOST_GW4:22" \
		"$HOST_GW4:9100" "$HOST_LAN4:22" "$(container_ip4 beta):10999" "$(container_ip4 beta):8000"
	race_count "$variant" bridge
	if [ "$host_starts" -gt 0 ]; then
		job_arguments host race whole
		race "$host_starts" $(race_unnamed) "$HOST_IMAGE" /bin/startdial --for 120 127.0.0.1:10998 \
			127.0.0.1:10997 "127.0.0.1:$(container_port beta 10999)" "$(container_ip4 beta):10999"
		race_count "$variant" host
	fi
	sample race.leaks "$variant" 0 '' "$RACE_LEAKS"
}

# As dstack's shim makes them, but without published ports: the shortest way to the first instruction.
race_unnamed() {
	printf '%s\n' "${JOB_ARGS[@]}" | awk '
		skip { skip = 0; next }
		$0 == "--name" || $0 == "-p" { skip = 1; next }
		{ print }'
}

race_bystanders() {
	local us

	race "$1" -v "$HOST_DIR/traffic:/bin/traffic:ro" "$HOST_IMAGE" /bin/traffic first "$HOST_GW4:22"
	sample race.bystanders jobfence 0 '' "$(grep -c '^[0-9]*$' "$HOST_DIR/race.log")"
	sample race.served jobfence 0 '' "$(grep -c '^0$' "$HOST_DIR/race.log")"
	while read -r us; do
		sample race.late jobfence 0 us "$us"
	done < <(grep '^[0-9.]*$' "$HOST_DIR/race.said")
}

race_shell() {
	local pid

	host_exec nft -f - <<-'END' || return 1
		table inet shell {
			set jobs { type ipv4_addr; }
			chain prerouting {
				type filter hook prerouting priority -190;
				ip saddr @jobs fib daddr type local drop
				ip saddr @jobs ip daddr 172.17.0.0/16 drop
			}
		}
	END
	host_spawn host "$HOST_DIR/shell-loop.log" "$BENCH_HERE/shell-loop.sh"
	pid=$HOST_SPAWNED
	disown "$pid"
	sleep 1
	race_jobs 'shell loop' "$1" 0
	kill "$pid"
}

bench_race() {
	host_up race && shim_start 0.0.0.0 && job_start bridge beta -p 8000 || { fail "host_up"; return; }
	cp "$BUILD/tests/bench/bench_traffic" "$HOST_DIR/traffic"
	jobfence_start DSTACK_SERVER_JOB_NETWORK_MODE=2 || { fail "jobfence"; return; }
	race_jobs jobfence "$(quick 30 700)" "$(quick 15 300)"
	race_bystanders "$(quick 15 300)"
	jobfence_stop
	forget_ruleset
	race_shell "$(quick 30 1000)"
}
