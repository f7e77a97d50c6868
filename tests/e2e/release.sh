#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Jobs that are released for a time: on the host's network, quarantined there, and on a bridge. What was closed
# is open for as long as was said and then closed again, also when the daemon is killed in between; what holds
# the job, and everybody else, stays as it was.
#
# Usage: release.sh [--quick]
# shellcheck disable=SC2119 # no arguments
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

release() { jobfence_cli release "$@" >"$HOST_DIR/said" 2>&1; }
said() { tr '\n' ' ' <"$HOST_DIR/said"; }
opens() { open_to "$@"; }
closes() { ! open_to "$@"; }
verifies() { jobfence_cli verify >"$HOST_DIR/verify" 2>&1; }
# The elements that end by themselves, in all sets.
timed() { host_exec nft list ruleset 2>/dev/null | grep -c 'expires'; }

host_up release || broken "host_up"
shim_start
job_start host gamma && job_start host delta part && job_start bridge alpha && job_start bridge beta &&
	bystander_start eps || broken "containers"
jobfence_up || broken "jobfence"
gamma=$(container_name gamma) delta=$(container_name delta) alpha=$(container_name alpha)

section "what is refused"
release "$gamma"
check "no time" "64 *say for how long*" "$? $(said)"
release "$gamma" --for 25h
check "more than 24 hours" "1 *25h*from 1s to 24h*" "$? $(said)"
release "$gamma" --for -5m
check "a time that is none" "1 *from 1s to 24h*" "$? $(said)"
release "${gamma%?}x" --for 5m
check "a name that is near" "1 *no container*$gamma*" "$? $(said)"
release "$(container_name eps)" --for 5m
check "no job" "1 *is no job*" "$? $(said)"
release --end "$gamma"
check "the end of what is not released" "1 *is not released*" "$? $(said)"
release --list
check "the list" "0 no job is released*" "$? $(said)"
check "nothing was opened" 0 "$(timed)"

section "before"
check_flow "host job → shim" "$CLOSED" gamma 127.0.0.1 10998
check_flow "quarantined host job → internet" "$CLOSED" delta "$INET4" 443
check_flow "bridge job → the host's sshd" "$CLOSED" alpha "$HOST_GW4" 22
check_flow "bridge job → LAN" "$CLOSED" alpha "$LAN4" 8080
check_flow "bridge job → LAN, IPv6" "$CLOSED" alpha "$LAN6" 8080

section "a host job, for 4 seconds"
release "$gamma" --for 4s --reason "to look at it"
since=$(now_ms)
check "released" "0 $gamma is RELEASED*" "$? $(said)"
check_flow "→ shim" open:shim gamma 127.0.0.1 10998
check_flow "→ another job's runner, IPv4" open:alpha:runner gamma "$(container_ip4 alpha)" 10999 || true
check "status says so, first" "! job $gamma is RELEASED from the fence: * left*RELEASED (fenced)*RELEASED until*to look at it*" \
	"$(jobfence_cli status | grep -F "$gamma" | tr '\n' ' ')"
check "explain too" "*RELEASED*released: * left*" "$(jobfence_cli explain "$gamma" | tr '\n' ' ')"
check "the metrics count it, and not as one that is not held" "jobfence_jobs_released 1 jobfence_jobs_not_held 0" \
	"$(jobfence_cli metrics | grep -E '^jobfence_jobs_(released|not_held)' | sort -r | tr '\n' ' ' | sed 's/ $//')"
check "the list has it" "*$gamma*left*to look at it*" "$(jobfence_cli release --list)"
check "the log has it" 1 "$(grep "$gamma" "$HOST_DIR/jobfence.log" | grep -c 'RELEASED until')"
check "verify: that is as it should be" 0 "$(verifies; echo $?)"
check_flow "others stay closed: the quarantined one → shim" "$CLOSED" delta 127.0.0.1 10998
check_flow "… the bridge job → the host's sshd" "$CLOSED" alpha "$HOST_GW4" 22
host_wait 6000 closes gamma 127.0.0.1 10998
check_that "closed again, by itself, after (ms)" $(($(now_ms) - since)) -le 5500
check_flow "→ shim" "$CLOSED" gamma 127.0.0.1 10998
host_wait 3000 verifies
check "verify" 0 $?
check "nothing is left" "0 no job is released" "$(timed) $(jobfence_cli release --list)"

section "a bridge job, and the daemon is killed meanwhile"
release "$alpha" --for 6s
since=$(now_ms)
check "released" "0 $alpha is RELEASED*" "$? $(said)"
check_flow "→ the host's sshd" open:sshd alpha "$HOST_GW4" 22
check_flow "→ LAN" open:lan alpha "$LAN4" 8080
check_flow "→ LAN, IPv6" open:lan alpha "$LAN6" 8080
check_flow "others stay closed: the other bridge job → the host's sshd" "$CLOSED" beta "$HOST_GW4" 22
check_flow "… another job → the released one's own service" "$CLOSED" beta "$(container_ip4 alpha)" "$(container_app alpha)"
flow_open life send lan 0.0.0.0:9000 alpha "$LAN4:9000" || broken "flow"
host_wait 2000 flow_reached life 3
check "a connection that it opens" 0 $?
jobfence_kill
check_flow "the daemon is dead: still open" open:sshd alpha "$HOST_GW4" 22
host_wait 8000 closes alpha "$HOST_GW4" 22
check_that "closed by the kernel after (ms)" $(($(now_ms) - since)) -le 7500
check_flow "→ the host's sshd" "$CLOSED" alpha "$HOST_GW4" 22
check_flow "→ LAN" "$CLOSED" alpha "$LAN4" 8080
check_flow "→ LAN, IPv6" "$CLOSED" alpha "$LAN6" 8080
sleep 0.3
n=$(flow_count life)
sleep 0.7
check_that "its connection says nothing more" "$(flow_count life)" -eq "$n"
check "nothing is left" 0 "$(timed)"
release "$alpha" --for 5m
check "without a daemon nobody is released" "1 *no daemon runs*" "$? $(said)"

section "a quarantined host job; the daemon stops, comes back, and it is ended by hand"
jobfence_up || broken "jobfence"
release "$delta" --for 10m
check "released" "0 $delta is RELEASED*" "$? $(said)"
check_flow "→ internet" open:inet delta "$INET4" 443
check_flow "→ shim" open:shim delta 127.0.0.1 10998
jobfence_stop
check_flow "the daemon has stopped: still open" open:inet delta "$INET4" 443
jobfence_up || broken "jobfence"
check_flow "another runs: still open" open:inet delta "$INET4" 443
check "verify" 0 "$(verifies; echo $?)"
check "as long as it was told at first" 1 "$(host_exec nft list set inet jobfence bystander_cgroups | grep -cE 'expires 9m[0-9]+s')"
release --end "$delta"
check "ended" "0 $delta is no longer released*" "$? $(said)"
host_wait 3000 closes delta "$INET4" 443
check_flow "→ internet" "$CLOSED" delta "$INET4" 443
check_flow "→ shim" "$CLOSED" delta 127.0.0.1 10998
host_wait 3000 verifies
check "verify" 0 $?

section "ended by hand while nobody can close it"
release "$delta" --for 10m
check "released" "0 $delta is RELEASED*" "$? $(said)"
jobfence_stop
release --end "$delta"
check "the daemon is stopped" "1 *stays RELEASED in the kernel for * min: no daemon runs that could close it*" "$? $(said)"
check_flow "and so it is: → internet" open:inet delta "$INET4" 443
release --end "$delta"
check "said once more" "1 *stays RELEASED in the kernel*" "$? $(said)"
check "status says so, first" "! job $delta is still RELEASED in the kernel, though no release says so: 10 min left*RELEASED (quarantined)*" \
	"$(jobfence_cli status | grep -F "$delta" | tr '\n' ' ')"
check "the list has it" "$delta *10 min left in the kernel*" "$(jobfence_cli release --list)"
jobfence_up || broken "jobfence"
host_wait 3000 closes delta "$INET4" 443
check_flow "another daemon closes it: → internet" "$CLOSED" delta "$INET4" 443
release --end "$delta"
check "the end of what is not released" "1 *is not released*" "$? $(said)"
release "$gamma" --for 10m
check "released" "0 $gamma is RELEASED*" "$? $(said)"
jobfence_signal STOP
release "$delta" --for 10m
check "a daemon that hangs: another's release proves nothing" "1 *$delta is to be released, but the daemon has not done so*" "$? $(said)"
release --end "$gamma"
check "and what is open stays so" "1 *$gamma stays RELEASED in the kernel for * min: the daemon has not done so: journalctl*" "$? $(said)"
check_flow "→ shim" open:shim gamma 127.0.0.1 10998
jobfence_signal CONT
host_wait 3000 closes gamma 127.0.0.1 10998
check_flow "it goes on: → shim" "$CLOSED" gamma 127.0.0.1 10998
release --end "$delta"
check "ended" "0 $delta is no longer released*" "$? $(said)"
check_flow "and closed when that is said: → internet" "$CLOSED" delta "$INET4" 443

section "files that count for nothing"
id=$(container_id gamma) folder=/proc/$HOST_PID/root/run/jobfence/releases
check "the folder is root's alone" "700 0" "$(stat -c '%a %u' "$folder")"
ends=$((($(cut -d. -f1 /proc/uptime) + 600) * 1000000))
text="jobfence-release 1
container $id
ends $ends
wall 0
who x
reason y"
echo "$text" >"$HOST_DIR/one"
cp "$HOST_DIR/one" "$folder/.new" && chmod 666 "$folder/.new" && mv "$folder/.new" "$folder/$id"
sleep 0.5
check_flow "one that anybody can write: → shim" "$CLOSED" gamma 127.0.0.1 10998
sed "s/^ends .*/ends $((ends * 1000))/" "$HOST_DIR/one" >"$folder/.new" && mv "$folder/.new" "$folder/$id"
sleep 0.5
check_flow "one for years: → shim" "$CLOSED" gamma 127.0.0.1 10998
cp "$HOST_DIR/one" "$folder/.new" && mv "$folder/.new" "$folder/$id"
host_wait 3000 opens gamma 127.0.0.1 10998
check_flow "the control, one as it should be: → shim" open:shim gamma 127.0.0.1 10998
container_rm gamma
host_wait 3000 test "$(timed)" -eq 0
check "the job is gone, and with it what was open" 0 "$(timed)"
finish
