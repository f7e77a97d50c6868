#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon under valgrind through a short life: containers come and go, the configuration is reloaded, a
# foreign hand flushes the ruleset, the engine restarts, SIGTERM. No errors, no leaks.
# Needs a build without sanitizers.
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

for tool in valgrind socat; do
	command -v $tool >/dev/null || broken "$tool is missing: apt-get install $tool"
done

mute=()
heals() { host_exec nft list chain inet jobfence forward >/dev/null 2>&1; }

HOST_LIVE_RESTORE=true host_up valgrind || broken "host_up"
shim_start
job_start bridge alpha && job_start host gamma && bystander_start delta || broken "containers"
jobfence_config "[nftables]
owner = no
[environment]
environment_file = $HOST_DIR/mode"
echo DSTACK_SERVER_JOB_NETWORK_MODE=2 >"$HOST_DIR/mode"

section "the daemon under valgrind"
# shellcheck disable=SC2034 # daemon.sh reads them
JOBFENCE_WRAP=(valgrind --quiet --error-exitcode=99 --leak-check=full
	"--show-leak-kinds=definite,indirect" "--errors-for-leak-kinds=definite,indirect"
	--log-file="$HOST_DIR/valgrind.log") JOBFENCE_READY_MS=60000
jobfence_start || broken "jobfence does not start under valgrind: $(tail -n 5 "$HOST_DIR/valgrind.log")"
host_wait 30000 jobfence_in_sync 0
check "in step with the engine" 0 $?
job_start bridge beta && bystander_start eps && container_rm alpha || broken "containers"
docker_h network create second >/dev/null && job_start second zeta || broken "zeta"
docker_h restart -t 0 "$(container_id eps)" >/dev/null
for mode in 1 3 nonsense 2; do
	echo "DSTACK_SERVER_JOB_NETWORK_MODE=$mode" >"$HOST_DIR/mode"
	: >"$HOST_DIR/notify.log"
	jobfence_signal HUP
	jobfence_wait READY=1 20000
	check "reload with mode $mode answered" 0 $?
done
host_exec nft flush ruleset
host_wait 20000 heals
check "a foreign flush healed" 0 $?
sed -i 's/^owner = no/owner = auto/' "$HOST_DIR/jobfence.conf"
: >"$HOST_DIR/notify.log"
jobfence_signal HUP
jobfence_wait READY=1 20000
check "reload with owner = auto answered" 0 $?
before=$(grep -c 'in sync' "$HOST_DIR/jobfence.log")
engine_kill || broken "engine"
# A socket that takes questions and answers none, and again, before the first question is given up.
for _ in 1 2 3; do
	host_exec rm -f /run/docker.sock
	spawn_from host /dev/null socat UNIX-LISTEN:/run/docker.sock,fork SYSTEM:'sleep 30'
	mute+=("$HOST_SPAWNED")
	sleep 1
done
kill "${mute[@]}"
host_exec rm -f /run/docker.sock
engine_start || broken "engine"
host_wait 30000 jobfence_in_sync "$before"
check "in step again after the engine's restart" 0 $?
container_rm beta zeta
sleep 1
jobfence_signal TERM
jobfence_reap 60000
check "exit code (99: valgrind found something)" 0 $?
check "valgrind's errors" "" "$(grep -v '^$' "$HOST_DIR/valgrind.log")"
finish
