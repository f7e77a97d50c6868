#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# No start race: containers whose first instruction connects to what is forbidden, again and again for as
# long as they live. With jobfence running; with jobfence stopped after its ruleset was installed; and
# towards jobs and published ports that were born after it stopped.
#
# Usage: start_race.sh [--quick|--long] [STARTS]     (60 starts of each kind; 20; 200)
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

STARTS=60
[ "${1-}" = --quick ] && STARTS=20 && shift
[ "${1-}" = --long ] && STARTS=200 && shift
STARTS=${1:-$STARTS}
WORKERS=3 # starting is mostly waiting for the engine

api() { curl -sS --unix-socket "$HOST_DIR/docker.sock" -X "$1" "http://docker$2"; }

# starter_make PLACEMENT ALIAS TARGETS…: a job that is started again and again. Without published ports: that
# is the shortest way from its network to its first instruction. Its id in STARTER.
starter_make() {
	local placement=$1 alias=$2 size=part i JOB_ARGS

	shift 2
	[ "$placement" != host ] || size=whole
	job_arguments "$placement" "$alias" "$size"
	for i in "${!JOB_ARGS[@]}"; do
		case ${JOB_ARGS[i]} in -p | 127.0.0.1::*) unset "JOB_ARGS[i]" ;; esac
	done
	STARTER=$(docker_h create "${JOB_ARGS[@]}" "$HOST_IMAGE" /bin/startdial --for 120 "$@")
}

# One line "EXIT-CODE" per start: how many targets accepted.
starter_loop() {
	local id=$1 n=$2

	while [ $((n--)) -gt 0 ]; do
		api POST "/containers/$id/start"
		api POST "/containers/$id/wait" | sed -n 's/.*"StatusCode":\([0-9]*\).*/\1/p'
	done
}

# race WHAT STARTS PLACEMENT WANTED TARGETS…: WANTED "none" or the number that each start must reach.
race() {
	local what=$1 starts=$2 placement=$3 want=$4 ids=() pids=() id i log began ended workers=$WORKERS

	shift 4
	[ "$starts" -ge "$workers" ] || workers=$starts
	for ((i = 0; i < workers; i++)); do
		starter_make "$placement" "starter$i" "$@" || broken "docker create"
		ids+=("$STARTER")
	done
	log=$HOST_DIR/race.log
	: >"$log"
	began=$(now_ms)
	for ((i = 0; i < workers; i++)); do
		starter_loop "${ids[i]}" $((starts / workers + (i < starts % workers))) >>"$log" 2>&1 &
		pids+=($!)
	done
	wait "${pids[@]}"
	ended=$(now_ms)
	say "$starts starts of a $placement job towards $# targets in $(((ended - began) / 1000)) s"
	check_that "$what: starts that ended by themselves" "$(grep -c '^[0-9]*$' "$log")" -eq "$starts"
	if [ "$want" = none ]; then
		check_that "$what: starts that reached anything" "$(grep -vc '^0$' "$log")" -eq 0
	else
		check_that "$what: starts that reached all $want" "$(grep -c "^$want\$" "$log")" -eq "$starts"
	fi
	if [ "$(grep -vc '^0$' "$log")" -gt 0 ]; then
		for id in "${ids[@]}"; do docker_h logs "$id" 2>&1; done | sort | uniq -c | sort -rn | head -8
	fi
	docker_h rm -f "${ids[@]}" >/dev/null
}

host_targets() { # what a bridge job must not reach of the host
	printf '%s ' "$HOST_GW4:22" "[$HOST_GW6]:22" "$HOST_GW4:9100" "[$HOST_GW6]:9100" "$HOST_LAN4:22" \
		"[$HOST_LAN6]:22" "$HOST_WAN4:22" "$HOST_GW4:10998" "$HOST_GW4:10022"
}

job_targets() { # of another bridge job, by its addresses and its published port
	printf '%s ' "$(container_ip4 "$1"):10999" "[$(container_ip6 "$1")]:10999" \
		"$(container_ip4 "$1"):10022" "$(container_ip4 "$1"):8000" \
		"$HOST_GW4:$(container_port "$1" 8000)" "$HOST_LAN4:$(container_port "$1" 8000)"
}

shim_targets() {
	printf '%s ' 127.0.0.1:10998 '[::1]:10998' 127.0.0.1:10997 "$HOST_LAN4:10998" "[$HOST_LAN6]:10998"
}

# What a host job must not reach of a bridge job.
bridge_job_targets() {
	printf '%s ' "127.0.0.1:$(container_port "$1" 10999)" "127.0.0.1:$(container_port "$1" 10022)" \
		"127.0.0.1:$(container_port "$1" 8000)" "$HOST_LAN4:$(container_port "$1" 8000)" \
		"$(container_ip4 "$1"):10999" "[$(container_ip6 "$1")]:10999" "[$(container_ip6 "$1")]:8000"
}

# Its port is open before it runs. A machine that is busy may be late; one that waits for Docker's "start" always is.
bystanders() {
	local id

	id=$(docker_h create "$HOST_IMAGE" /bin/dial --timeout 300 "$HOST_GW4" 22) || broken "docker create"
	starter_loop "$id" 12 >/dev/null
	check_that "first attempts that were served, of 12" "$(docker_h logs "$id" 2>&1 | grep -c '^open:')" -ge 7
	docker_h rm -f "$id" >/dev/null
}

count() { echo $#; }

# shellcheck disable=SC2046 # lists of targets
main() {
	host_up race || broken "host_up"
	shim_start 0.0.0.0 && host_exec serve -b 'tcp:[::]:10998=shim'
	job_start bridge beta -p 8000 && job_start host gamma || broken "jobs"

	section "control: without jobfence, the same start reaches everything"
	race "bridge job" 2 bridge "$(count $(host_targets) $(job_targets beta))" \
		$(host_targets) $(job_targets beta)
	race "host job" 2 host "$(count $(shim_targets) $(bridge_job_targets beta) 127.0.0.1:10999)" \
		$(shim_targets) $(bridge_job_targets beta) 127.0.0.1:10999

	section "jobfence runs"
	jobfence_up || broken "jobfence"
	race "bridge job" "$STARTS" bridge none $(host_targets) $(job_targets beta)
	race "host job" "$STARTS" host none $(shim_targets) $(bridge_job_targets beta) 127.0.0.1:10999

	section "a bystander that is started again and again, and connects with its first instruction"
	bystanders

	section "jobfence stopped; beta and gamma were known to it, late and later never were"
	jobfence_stop
	check "jobfence stops" 0 $?
	container_rm gamma
	job_start bridge late -p 8000 && job_start host later || broken "jobs"
	host_wait 5000 open_to host 127.0.0.1 10999
	check_flow "host → late's published runner" open:late:runner host 127.0.0.1 "$(container_port late 10999)"
	check_flow "host → later's runner" open:later:runner host 127.0.0.1 10999
	race "bridge job" "$STARTS" bridge none $(host_targets) $(job_targets beta) $(job_targets late)
	race "host job" "$STARTS" host none $(shim_targets) $(bridge_job_targets beta) \
		$(bridge_job_targets late) 127.0.0.1:10999

	section "a network that was made after jobfence stopped"
	docker_h network create --ipv6 --subnet fd00:5ec::/64 second >/dev/null
	job_start second zeta -p 8000 || broken "zeta"
	race "job on that bridge" $((STARTS / 4)) second none $(host_targets) $(job_targets zeta) \
		$(job_targets late)
	race "bridge job" $((STARTS / 4)) bridge none $(job_targets zeta)
	race "host job" $((STARTS / 4)) host none $(bridge_job_targets zeta)
	host_down

	section "published by DNAT alone (no userland proxy), jobfence stopped"
	HOST_USERLAND_PROXY=false host_up dnat || broken "host_up"
	shim_start
	jobfence_up && jobfence_stop || broken "jobfence"
	job_start bridge late -p 8000 || broken "late"
	check_flow "host → late's published runner" open:late:runner host 127.0.0.1 "$(container_port late 10999)"
	race "bridge job" $((STARTS / 4)) bridge none "$HOST_GW4:$(container_port late 8000)" \
		"$(container_ip4 late):10999" "[$(container_ip6 late)]:10999"
	race "host job" $((STARTS / 4)) host none $(bridge_job_targets late)
}

main
finish
