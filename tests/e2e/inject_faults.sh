#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The daemon while calls into the kernel and the C library fail, each at one place: at the start, over a
# fence that stands, and later, while containers come and go. Either it recovers and `verify` finds all in
# place, or it ends with a sentence and an exit code and the fence that stood is untouched; then a start
# without the fault converges. Never silence, never half a fence.
#
# Usage: inject_faults.sh [--quick] [--long]   --long: many more places, minutes
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

SHIM=$HOST_CACHE/failnth.so
LONG='' RUNS=0 HITS=0 ENDED=0 RECOVERED=0

while [ $# -gt 0 ]; do
	case $1 in
	--long) LONG=1 ;;
	--quick) ;;
	*) broken "usage: $0 [--quick] [--long]" ;;
	esac
	shift
done

# name of an errno as number
errno_of() {
	case $1 in
	EPERM) echo 1 ;; EINTR) echo 4 ;; EIO) echo 5 ;; EAGAIN) echo 11 ;; ENOMEM) echo 12 ;;
	EACCES) echo 13 ;; EMFILE) echo 24 ;; ENOSPC) echo 28 ;; ENOBUFS) echo 105 ;;
	ECONNREFUSED) echo 111 ;;
	*) broken "errno $1" ;;
	esac
}

# The rules and sets that stand, without counters, elements and the owner.
skeleton() {
	{
		host_exec nft --stateless --terse list table inet jobfence
		host_exec nft --stateless --terse list table bridge jobfence
	} 2>&1 | grep -vE $'^table |^\tflags|^[[:space:]]*counter ' | md5sum | cut -c1-8
}

verified() { jobfence_cli verify >"$HOST_DIR/verify.log" 2>&1; }

dead() { ! kill -0 "$(<"$HOST_DIR/jobfence.pid")" 2>/dev/null || [ -e "$HOST_DIR/jobfence.pid.code" ]; }

settled() { dead || verified; }

# launch ENV…: the daemon with the shim, not waited for
launch() {
	: >"$HOST_DIR/notify.log"
	: >"$HOST_DIR/hit"
	rm -f "$HOST_DIR/jobfence.pid" "$HOST_DIR/jobfence.pid.code"
	host_spawn jobfence "$HOST_DIR/run.log" reaper "$HOST_DIR/jobfence.pid" \
		env -u DSTACK_SERVER_JOB_NETWORK_MODE -u DOCKER_HOST RUNTIME_DIRECTORY=/run/jobfence \
		NOTIFY_SOCKET="$HOST_DIR/notify.sock" LD_PRELOAD="$SHIM" FAIL_HIT="$HOST_DIR/hit" "$@" \
		"$JOBFENCE" run --config "$HOST_DIR/jobfence.conf"
	disown "$HOST_SPAWNED"
	host_wait 5000 test -s "$HOST_DIR/jobfence.pid"
}

wrong() {
	say "$1: $2"
	sed 's/^/      | /' "$HOST_DIR/run.log" | tail -n 5
	[ ! -s "$HOST_DIR/verify.log" ] || sed 's/^/      v /' "$HOST_DIR/verify.log" | tail -n 3
	BAD=$((BAD + 1))
}

# judge WHAT: what became of it
judge() {
	RUNS=$((RUNS + 1))
	host_wait 15000 settled || { wrong "$1" "neither mended nor ended in 15 s"; return; }
	[ ! -s "$HOST_DIR/hit" ] || HITS=$((HITS + 1))
	if dead; then
		host_wait 2000 test -s "$HOST_DIR/jobfence.pid.code"
		ENDED=$((ENDED + 1))
		[ "$(cat "$HOST_DIR/jobfence.pid.code" 2>/dev/null)" -gt 0 ] || wrong "$1" "ended with code 0"
		[ "$(cat "$HOST_DIR/jobfence.pid.code")" -lt 128 ] ||
			wrong "$1" "ended by a signal: $(cat "$HOST_DIR/jobfence.pid.code")"
		grep -q 'error: .' "$HOST_DIR/run.log" || wrong "$1" "ended without a sentence"
	else
		RECOVERED=$((RECOVERED + 1))
	fi
	[ "$(skeleton)" = "$WHOLE" ] || wrong "$1" "the fence is not whole"
	dead || jobfence_kill
}

# at_start CALL ERRNO NTH…: a call fails once while it starts over a fence that stands
at_start() {
	local call=$1 errno=$2 nth

	shift 2
	for nth in "$@"; do
		launch FAIL_CALL="$call" FAIL_ERRNO="$(errno_of "$errno")" FAIL_NTH="$nth"
		host_wait 10000 ready_or_dead
		judge "start, $call $nth $errno"
	done
}

ready_or_dead() { dead || grep -qs ' READY=1$' "$HOST_DIR/notify.log"; }

# later CALL ERRNO NTH…: the same after the start, while a container comes and the ruleset is touched
later() {
	local call=$1 errno=$2 nth

	shift 2
	for nth in "$@"; do
		launch FAIL_WAIT=1 FAIL_CALL="$call" FAIL_ERRNO="$(errno_of "$errno")" FAIL_NTH="$nth"
		host_wait 10000 ready_or_dead
		host_wait 10000 settled || wrong "later, $call $nth $errno" "did not start"
		jobfence_signal USR2
		docker_h restart -t 0 "$(container_id delta)" >/dev/null
		host_exec nft "add table ip t; delete table ip t"
		host_exec ip link add jfx type veth peer name jfy
		host_exec ip link del jfx
		jobfence_signal HUP
		sleep 0.3
		judge "later, $call $nth $errno"
	done
}

# sum WHAT
sum() {
	say "$RUNS starts, in $HITS of them a call failed; $RECOVERED mended, $ENDED ended with a sentence"
	check "$1: wrong" 0 "$BAD"
	check_that "$1: calls that failed" "$HITS" -gt $((RUNS / 2))
	RUNS=0 HITS=0 ENDED=0 RECOVERED=0 BAD=0
}

BAD=0
host_up inject || broken "host_up"
"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O2 -shared -fPIC -o "$SHIM" \
	"$HOST_ROOT/tests/host/preload/failnth.c" || broken "the shim"
shim_start
job_start bridge alpha && job_start host gamma && bystander_start delta || broken "containers"
jobfence_start || broken "jobfence"
host_wait 10000 verified || broken "verify: $(cat "$HOST_DIR/verify.log")"
jobfence_kill
WHOLE=$(skeleton)

section "a call fails at the start, over a fence that stands"
if [ -n "$LONG" ]; then
	for errno in EINTR ENOBUFS ENOMEM EPERM; do
		at_start sendto $errno {1..24}
		at_start recvfrom $errno {1..40}
	done
	at_start recvmsg ENOBUFS {1..8}
	at_start sendmsg ENOBUFS {1..8}
	at_start socket EMFILE {1..10}
	at_start bind ENOMEM {1..5}
	at_start setsockopt ENOMEM {1..12}
	at_start open EMFILE {1..30}
	at_start read EIO {1..20}
	at_start inotify_add_watch ENOSPC {1..8}
	at_start epoll_ctl ENOMEM {1..16}
	at_start epoll_wait EINTR {1..4}
	at_start connect ECONNREFUSED {1..3}
	at_start malloc ENOMEM {1..60} {100..6000..97}
	at_start calloc ENOMEM {1..60} {100..6000..97}
	at_start realloc ENOMEM {1..60} {100..1000..41}
else
	at_start sendto EINTR 1
	at_start sendto ENOBUFS 2
	at_start recvfrom EINTR 2
	at_start recvfrom ENOBUFS 1 30
	at_start recvmsg ENOBUFS 1
	at_start socket EMFILE 1 3
	at_start open EMFILE 2 6
	at_start inotify_add_watch ENOSPC 1
	at_start epoll_ctl ENOMEM 3
	at_start connect ECONNREFUSED 1
	at_start malloc ENOMEM 3 200 1500
	at_start calloc ENOMEM 5 300
	at_start realloc ENOMEM 2 30
fi
sum "at the start"

section "a call fails later, while containers come and go"
if [ -n "$LONG" ]; then
	for errno in EINTR ENOBUFS ENOMEM; do
		later recvfrom $errno {1..12}
		later sendto $errno {1..8}
	done
	later recv EIO {1..12}
	later recvmsg ENOBUFS {1..12}
	later read EIO {1..6}
	later open EMFILE {1..8}
	later epoll_wait EINTR {1..4}
	later connect EAGAIN {1..3}
	later malloc ENOMEM {1..400..7}
	later calloc ENOMEM {1..400..13}
	later realloc ENOMEM {1..60..3}
else
	later recvfrom ENOBUFS 1
	later sendto ENOBUFS 1
	later recvmsg ENOBUFS 2
	later recv EIO 1
	later malloc ENOMEM 10 150
	later calloc ENOMEM 20
fi
sum "later"

section "the watchdog"
launch WATCHDOG_USEC=1500000 FAIL_WAIT=1 FAIL_CALL=recvfrom FAIL_ERRNO=5 FAIL_TIMES=0
host_wait 5000 grep -q ' WATCHDOG=1$' "$HOST_DIR/notify.log"
check "fed while all is well" 0 $?
jobfence_signal USR2
sleep 0.8
: >"$HOST_DIR/notify.log"
sleep 1.5
check "fed when the netlink sockets are dead" 0 "$(grep -c ' WATCHDOG=1$' "$HOST_DIR/notify.log")"
check_that "a line in the log that says why" "$(grep -c 'not feeding' "$HOST_DIR/run.log")" -gt 0
dead && check "the daemon lives" yes no
jobfence_kill
check "the fence is whole" "$WHOLE" "$(skeleton)"

section "little to live on"
# refused WHAT PATTERN COMMAND…: the daemon under COMMAND ends with such a sentence, and touches nothing
refused() {
	local what=$1 pattern=$2 out code

	shift 2
	out=$(host_exec env -u DSTACK_SERVER_JOB_NETWORK_MODE -u DOCKER_HOST \
		RUNTIME_DIRECTORY=/run/jobfence "$@" timeout 5 "$JOBFENCE" run \
		--config "$HOST_DIR/jobfence.conf" 2>&1)
	code=$?
	check "$what" "*error: $pattern" "$(tail -n 1 <<<"$out")"
	check "$what: exit code" 1 $code
	check "$what: the fence is whole" "$WHOLE" "$(skeleton)"
}
refused "six file descriptors" "*Too many open files" prlimit --nofile=6
refused "eight file descriptors" "*Too many open files" prlimit --nofile=8
refused "24 MB of address space" "*[Mm]emory*" prlimit --as=24000000
refused "a run directory that is read-only" "*/mnt/jobfence*Read-only file system" \
	unshare -m sh -c 'mount -t tmpfs -o ro none /mnt && RUNTIME_DIRECTORY=/mnt/jobfence exec "$@"' sh

section "the wall clock jumps"
for jump in 3600 -3600; do
	launch FAIL_WAIT=1 FAIL_CALL=none TIME_JUMP=$jump
	host_wait 10000 verified
	jobfence_signal USR2
	engine_kill && host_exec rm -f /run/docker.sock && engine_start || broken "engine"
	job_start bridge "beta$jump" && bystander_start "eps$jump" || broken "containers"
	host_wait 10000 verified
	check "$jump s, the engine restarted, containers came: verify" 0 $?
	jobfence_kill
done

section "without faults again"
jobfence_start || broken "jobfence"
host_wait 10000 verified
check "verify" 0 $?
check "the fence is whole" "$WHOLE" "$(skeleton)"
jobfence_stop
check "exit code" 0 $?
finish
