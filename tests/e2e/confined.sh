#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon in its own sandbox, through a life: containers, networks, a reload that names new files, a
# foreign flush, cgroups made again, an engine whose socket is replaced. Nothing that it has to do is refused
# by the sandbox, and everything that it asks of the engine, read between the two, is a GET of a path that is
# known here. Then what holds Docker back while no fence stands. (What the sandbox keeps a process from:
# tests/kernel/test_sandbox.c.)
#
# Usage: confined.sh [--long]    --long waits for the periodic look as well, a minute
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

command -v strace >/dev/null || broken "strace is missing: apt-get install strace"

hex='[0-9a-f]{64}'
KNOWN=(
	'/version' '/v1\.[0-9]+/info' '/v1\.[0-9]+/networks' "/v1\.[0-9]+/networks/$hex"
	'/v1\.[0-9]+/containers/json\?all=1' "/v1\.[0-9]+/containers/$hex/json"
	"/v1\.[0-9]+/containers/json\?all=1&filters=%7B%22id%22%3A%5B%22$hex%22%5D%7D"
	'/v1\.[0-9]+/events\?since=[0-9]+&filters=[A-Za-z0-9%]+'
)

tap_start() {
	spawn_from host "$HOST_DIR/tap.out" tap /run/tap.sock /run/docker.sock "$HOST_DIR/requests"
	TAP=$HOST_SPAWNED
	host_wait 3000 test -S "/proc/$HOST_PID/root/run/tap.sock"
}

# Every line but those of a GET of a known path.
unknown_requests() {
	local pattern

	pattern=$(IFS='|'; echo "/_ping|${KNOWN[*]}") # the ping comes with the periodic look
	grep -vE "^GET ($pattern) HTTP/1\.1\$" "$HOST_DIR/requests"
}

verifies() { jobfence_cli verify >"$HOST_DIR/verify" 2>&1; }
status_of() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$(<"$HOST_DIR/jobfence.pid")/status"; }
reached() { grep -q "$1" "$HOST_DIR/jobfence.log"; }
heals() { host_exec nft list chain inet jobfence forward >/dev/null 2>&1; }
in_set() { host_exec nft list set inet jobfence "$1" | grep -q "$2"; }
parent_id() { stat -c %i "$parent" 2>/dev/null; }
parent_goes() { rmdir "$parent/jobfence-keep" "$parent" 2>/dev/null || [ "$(parent_id)" != "$id" ]; }
parent_is_kept() { [ -d "$parent/jobfence-keep" ] && [ "$(parent_id)" != "$id" ]; }

host_up confined || broken "host_up"
parent=$HOST_UNIFIED$HOST_CGROUP_PARENT
shim_start
job_start bridge alpha && job_start host gamma && bystander_start delta || broken "containers"
jobfence_config
touch "$HOST_DIR/requests"
tap_start || broken "tap"

section "control: what else is asked is seen"
host_exec curl -s -X POST --unix-socket /run/tap.sock http://docker/v1.41/containers/nothing/kill -o /dev/null
host_exec curl -s -d '{}' --unix-socket /run/tap.sock http://docker/v1.41/auth -o /dev/null
host_exec curl -s --unix-socket /run/tap.sock http://docker/v1.41/images/json -o /dev/null
check "requests that are not known, one with a body" "POST*kill*POST*auth*BODY*Content-Length*GET*images*" \
	"$(unknown_requests | tr '\n' ' ')"
: >"$HOST_DIR/requests"

section "the daemon in its sandbox"
# shellcheck disable=SC2034 # daemon.sh reads it
JOBFENCE_WRAP=(strace -D -f -Z -o "$HOST_DIR/refused")
jobfence_up --docker unix:///run/tap.sock || broken "jobfence"
check "capabilities (CAP_NET_ADMIN, CAP_DAC_OVERRIDE)" "0000000000001002 0000000000001002 0000000000001002" \
	"$(status_of CapPrm) $(status_of CapEff) $(status_of CapBnd)"
check "no new privileges, system-call filter" "1 2" "$(status_of NoNewPrivs) $(status_of Seccomp)"
check "… with nothing to say about it" '' "$(grep sandbox "$HOST_DIR/jobfence.log")"

section "a life in it"
job_start bridge beta && bystander_start eps && container_rm alpha || broken "containers"
docker_h network create --ipv6 --subnet fd00:5ec::/64 second >/dev/null && job_start second zeta || broken "zeta"
docker_h network connect second "$(container_id eps)"
host_wait 5000 verifies
check "containers came and went, on a new network: verify" 0 $?

mkdir -p "$HOST_DIR/new"
echo DSTACK_SERVER_JOB_NETWORK_MODE=3 >"$HOST_DIR/new/mode"
jobfence_config "[environment]
environment_file = $HOST_DIR/new/mode
[egress]
allow = 10.99.0.0/16 tcp 443"
cp "$HOST_DIR/jobfence.conf" "$HOST_DIR/new/conf" && mv "$HOST_DIR/new/conf" "$HOST_DIR/jobfence.conf"
: >"$HOST_DIR/notify.log"
jobfence_signal HUP
jobfence_wait READY=1 5000
check "a reload that names a new file took mode 3" 0 "$(reached 'mode 3 (FORCED_BRIDGE), from .*new/mode'; echo $?)"
check "… and replaced a set of ranges: verify" 0 "$(verifies; echo $?)"

host_exec nft flush ruleset
host_wait 5000 heals && host_wait 5000 verifies
check "a foreign flush healed: verify" 0 $?

container_rm gamma beta zeta eps delta
id=$(parent_id)
host_wait 5000 parent_goes
check "the containers' cgroup removed by somebody" 0 $?
host_wait 5000 parent_is_kept
check "… and made again by the daemon" 0 $?

before=$(grep -c 'in sync' "$HOST_DIR/jobfence.log")
engine_stop || broken "engine"
kill "$TAP"
engine_start && tap_start || broken "engine"
host_wait 15000 jobfence_in_sync "$before"
check "the engine restarted, its socket replaced: in step" 0 $?
job_start host gamma && job_start bridge alpha && bystander_start delta || broken "containers"
host_wait 5000 verifies
check "new containers: verify" 0 $?
check_flow "a host job to the shim" "$CLOSED" gamma 127.0.0.1 10998
check_flow "a bystander to the host's sshd" open:sshd delta "$HOST_GW4" 22

if [ "${1-}" = --long ]; then
	asked=$(grep -c 'json?all=1 ' "$HOST_DIR/requests")
	sleep 66
	check_that "the periodic look asked again" "$(grep -c 'json?all=1 ' "$HOST_DIR/requests")" -gt "$asked"
fi
jobfence_stop
check "its end: exit code" 0 $?
check_that "system calls that failed, as they may" "$(grep -c ' = -1 ' "$HOST_DIR/refused")" -gt 0
check "system calls that the sandbox refused" '' "$(grep -E 'ENOSYS|EACCES|EPERM' "$HOST_DIR/refused")"

section "what it asked of the engine"
check "anything but a GET of a known path" '' "$(unknown_requests)"
for known in "${KNOWN[@]}"; do
	check_that "${known//\\/}" "$(grep -cE "^GET $known HTTP" "$HOST_DIR/requests")" -gt 0
done

section "what holds Docker back"
gate() { # ANSWER-OF-SYSTEMCTL SECONDS
	printf '#!/bin/sh\nexit %s\n' "$1" >"$HOST_DIR/new/systemctl" && chmod 755 "$HOST_DIR/new/systemctl"
	host_exec env "PATH=$HOST_DIR/new:$PATH" "$HOST_ROOT/contrib/docker-gate" "$2" 2>"$HOST_DIR/gate"
	echo $?
}
check "the fence stands, the daemon is gone: Docker starts" 0 "$(gate 0 0)"
host_exec nft delete table inet jobfence
check "no fence: Docker does not start" 1 "$(gate 0 1)"
check "… and says why" '*holds Docker back*disable jobfence*' "$(tr '\n' ' ' <"$HOST_DIR/gate")"
check "no fence, jobfence disabled: Docker starts" 0 "$(gate 1 0)"
finish
