#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# jobfence as systemd runs it, beside the host's own engine with the systemd driver, where containers
# and services are neighbours in system.slice: who starts there as a container never reaches the shim,
# a service does, from its first connection on. Needs a machine to itself: runs in tests/vm/run only,
# behind the step "package" or "install".
#
# Usage: systemd.sh [--quick]
# shellcheck disable=SC2317 # what host_wait calls
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/checks.sh"

STARTS=50 SCOPES=1000 ROUNDS=10
[ "${1-}" = --quick ] && STARTS=6 SCOPES=100 ROUNDS=3
SLICE=/sys/fs/cgroup/system.slice
SHIM=127.0.0.1:10998
TUNNEL=2998
WORK=$(mktemp -d)
trap 'systemctl stop vm-shim; rm -rf "$WORK"' EXIT

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# --- who starts ------------------------------------------------------------------------------------

# Starts of a job on the host's network, four at a time, each in a fresh scope; how many ended by themselves
# and how many reached the shim: real_starts N → "STARTED REACHED"
real_starts() {
	local n=$1 i

	for ((i = 0; i < 4; i++)); do
		starter $i $((n / 4 + (i < n % 4))) &
	done >"$WORK/starts"
	wait
	echo "$(grep -c '^[01]$' "$WORK/starts") $(grep -c '^1$' "$WORK/starts")"
}

api() { curl -sS --unix-socket /run/docker.sock -X "$1" "http://docker$2"; }

# The exit codes of N starts of one job: starter NUMBER N
starter() {
	local id n=$2

	[ "$n" -gt 0 ] || return
	id=$(docker create --network host --name "race-0-0-$(container_hex)" \
		--label ai.dstack.shim.is-task=true --label "ai.dstack.shim.task-id=$1" \
		"$HOST_IMAGE" /bin/startdial --for 1300 $SHIM)
	while [ $((n--)) -gt 0 ]; do
		api POST "/containers/$id/start"
		api POST "/containers/$id/wait" | sed -n 's/.*"StatusCode":\([0-9]*\).*/\1/p'
	done
	docker rm -f "$id" >/dev/null
}

starts() { # WHAT WANTED-OF-N N-STARTS N-SCOPES
	local what=$1 began

	began=$(now_ms)
	check "$what: real starts, how many of them reached the shim" "$3 $(($3 * $2))" "$(real_starts "$3")"
	say "in $((($(now_ms) - began) / 1000)) s"
	began=$(now_ms)
	check "$what: clone3 into fresh scopes" "started=$4 open=$(($4 * $2))" \
		"$(scopestart "$SLICE" "$4" $SHIM 2>&1)"
	say "in $((($(now_ms) - began) / 1000)) s"
}

# A service that was never there before, whose first instruction connects: 1, and after how long.
fresh_services() {
	local i out='' began slowest=0 took

	for ((i = 0; i < ROUNDS; i++)); do
		began=$(now_ms)
		systemd-run --quiet --wait --unit="fresh-$i" "$HOST_BIN/startdial" --for 4000 $SHIM
		[ $? -eq 1 ] || out+=" fresh-$i"
		took=$(($(now_ms) - began))
		[ $took -le $slowest ] || slowest=$took
		systemctl reset-failed "fresh-$i" 2>/dev/null
	done
	say "slowest: $slowest ms with systemd-run and all"
	check "fresh services of the host that did not reach the shim" '' "$out"
}

# --- the server's way to the shim --------------------------------------------------------------------

ssh_setup() {
	mkdir -p /root/.ssh && chmod 700 /root/.ssh
	ssh-keygen -q -t ed25519 -N '' -f "$WORK/key" &&
		cat "$WORK/key.pub" >>/root/.ssh/authorized_keys &&
		chmod 600 /root/.ssh/authorized_keys
}

tunnel_listens() { [ -n "$(ss -Hltn "sport = :$TUNNEL")" ]; }

# How many SYNs this machine sent a second time, as it does a second after one that was dropped.
syns_again() { nstat -asz TcpExtTCPSynRetrans | sed -n 's/^Tcp[^ ]* *\([0-9]*\).*/\1/p'; }

ssh_id() { stat -c %i $SLICE/ssh.service; }

ssh_restart() {
	systemctl reset-failed ssh
	systemctl restart ssh || broken "ssh does not start"
}

# The first connection through a new tunnel: its banner in BANNER, how long it took in DIAL_MS, and since
# the caller began in SINCE_MS.
tunnel() {
	local since began pid

	since=$(now_ms)
	ssh -N -F /dev/null -i "$WORK/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-L $TUNNEL:$SHIM root@127.0.0.1 </dev/null >>"$WORK/ssh" 2>&1 &
	pid=$!
	host_wait 20000 tunnel_listens
	began=$(now_ms)
	BANNER=$(dial --timeout 5000 127.0.0.1 $TUNNEL 2>&1)
	DIAL_MS=$(($(now_ms) - began)) SINCE_MS=$(($(now_ms) - since))
	kill $pid
	wait $pid 2>/dev/null
}

tunnels() {
	local i id before lost banners='' changed=0 dial=0 since=0 BANNER DIAL_MS SINCE_MS

	before=$(ssh_id) lost=$(syns_again)
	for ((i = 0; i < ROUNDS; i++)); do
		ssh_restart
		tunnel
		banners+="$BANNER "
		[ "$DIAL_MS" -le $dial ] || dial=$DIAL_MS
		[ "$SINCE_MS" -le $since ] || since=$SINCE_MS
		id=$(ssh_id)
		[ "$id" = "$before" ] || changed=$((changed + 1))
		before=$id
	done
	say "slowest: $dial ms to the banner through the tunnel, $since ms since the restart"
	check_that "restarts of ssh that gave it a new cgroup" $changed -eq $ROUNDS
	check "the first connection through ssh -L" "$(for ((i = 0; i < ROUNDS; i++)); do
		printf 'open:shim '; done)" "$banners"
	check_that "… and SYNs that had to be sent again" $(($(syns_again) - lost)) -eq 0
}

# --- all of it -------------------------------------------------------------------------------------

property() { systemctl show -P "$2" "$1"; }

booted() {
	local when

	section "the machine as it booted"
	check "driver, cgroup version" "systemd 2" "$(docker info -f '{{.CgroupDriver}} {{.CgroupVersion}}')"
	check "jobfence.service" "active success" \
		"$(property jobfence ActiveState) $(property jobfence Result)"
	when=$(property jobfence ActiveEnterTimestampMonotonic)
	check_that "jobfence ready before dockerd was started: microseconds since the boot" "$when" -lt \
		"$(property docker ExecMainStartTimestampMonotonic)"
	check "jobfence verify" 0 "$(jobfence verify >"$WORK/verify" 2>&1; echo $?)"
	cat "$WORK/verify"
	jobfence status
	journalctl -b -u jobfence -o cat --no-pager
}

shim_answers() { [ "$(dial 127.0.0.1 10998)" = open:shim ]; }

shim_service() {
	printf '[Service]\nExecStart=%s -k tcp:%s=shim\n' "$(command -v serve)" $SHIM \
		>/run/systemd/system/vm-shim.service
	systemctl daemon-reload && systemctl start vm-shim &&
		host_wait 5000 shim_answers
}

fence_stands() { jobfence verify >/dev/null 2>&1; }

# --- the unit --------------------------------------------------------------------------------------

main_pid() { property jobfence MainPID; }
restarted() { [ "$(main_pid)" -gt 1 ] && [ "$(main_pid)" != "$1" ] && [ "$(property jobfence ActiveState)" = active ]; }
status_of() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$(main_pid)/status"; }
docker_is() { [ "$(property docker ActiveState)/$(property docker SubState)" = "$1" ]; }
jobfence_is() { [ "$(property jobfence ActiveState)" = "$1" ]; }

confined() {
	section "what the unit and the daemon leave of it"
	systemd-analyze security --no-pager --threshold=20 jobfence.service >"$WORK/security"
	check "systemd-analyze security, at most 2.0" 0 $?
	say "$(tail -n 1 "$WORK/security")"
	check "the unit in the eyes of systemd" '' "$(systemd-analyze verify --man=no jobfence.service docker.service 2>&1 |
		grep -i jobfence)"
	check "capabilities (CAP_NET_ADMIN, CAP_DAC_OVERRIDE)" "0000000000001002 0000000000001002" \
		"$(status_of CapEff) $(status_of CapBnd)"
	check "no new privileges, filters" "1 [2-9]*" "$(status_of NoNewPrivs) $(status_of Seccomp_filters)"
	check "the sandbox is whole" '' "$(journalctl -b -u jobfence -o cat --no-pager | grep sandbox)"
}

# A daemon that does not move: systemd ends it after WatchdogSec, and meanwhile nothing opens.
watchdog() {
	local pid began

	section "jobfence stopped by SIGSTOP, then killed again and again"
	pid=$(main_pid) began=$(now_ms)
	kill -STOP "$pid"
	starts "without a daemon that moves" 0 2 50
	host_wait 30000 restarted "$pid" # × HOST_PATIENCE
	check "systemd started another one" 0 $?
	say "$((($(now_ms) - began) / 1000)) s after SIGSTOP"
	host_wait 10000 fence_stands
	check "jobfence verify" 0 $?
}

kills() {
	local i pid docker open=0 lost=0

	docker=$(property docker MainPID)
	for ((i = 0; i < ROUNDS; i++)); do
		pid=$(main_pid)
		kill -KILL "$pid"
		[[ $(scopestart "$SLICE" 20 $SHIM 2>&1) == *open=0 ]] || open=$((open + 1))
		host_wait 30000 restarted "$pid" || lost=$((lost + 1))
	done
	check_that "times that it was killed and did not come back, of $ROUNDS" $lost -eq 0
	check_that "times that somebody reached the shim meanwhile" $open -eq 0
	check "Docker ran through" "$docker active" "$(property docker MainPID) $(property docker ActiveState)"
	host_wait 10000 fence_stands
	check "jobfence verify" 0 $?
}

# A mode that is refused: what is in the kernel stays; where nothing is, Docker is held back until the fence
# stands, and comes up by itself then.
refused() {
	section "a mode that is refused, at a start"
	systemctl stop docker.socket docker
	echo DSTACK_SERVER_JOB_NETWORK_MODE=nonsense >/etc/default/jobfence
	systemctl restart jobfence
	host_wait 5000 jobfence_is failed
	check "exit code, and no further try" "78 failed" \
		"$(property jobfence ExecMainStatus) $(property jobfence ActiveState)"
	check "the ruleset of before" 0 "$(nft list table inet jobfence >/dev/null; echo $?)"
	systemctl start docker
	check "… with which Docker starts" active "$(property docker ActiveState)"
	systemctl stop docker.socket docker
	jobfence remove
	systemctl --no-block start docker
	host_wait 5000 docker_is activating/start-pre
	check "without a ruleset it waits" activating/start-pre \
		"$(property docker ActiveState)/$(property docker SubState)"
	sleep 5
	check "… and goes on waiting: processes of dockerd" 0 "$(pgrep -c -x dockerd)"
	journalctl -b -u docker -o cat --no-pager | grep 'Docker waits for jobfence' | tail -n 1
	echo DSTACK_SERVER_JOB_NETWORK_MODE=2 >/etc/default/jobfence
	systemctl start jobfence
	host_wait 20000 docker_is active/running
	check "it starts when the fence stands" active/running \
		"$(property docker ActiveState)/$(property docker SubState)"
	host_wait 10000 fence_stands
	check "jobfence verify" 0 $?
}

# Where jobfence was disabled somebody decided to go without.
disabled() {
	systemctl stop docker.socket docker
	systemctl stop jobfence
	jobfence remove
	systemctl --quiet disable jobfence
	systemctl start docker
	check "jobfence disabled: Docker starts without" "active inactive" \
		"$(property docker ActiveState) $(property jobfence ActiveState)"
	systemctl --quiet enable jobfence
	systemctl start jobfence
}

if [ ! -d /var/lib/jobfence-vm ] || [ "$(systemd-detect-virt)" = none ]; then
	echo "systemd.sh changes the machine it runs on: sudo tests/vm/run" >&2
	exit 1
fi
booted
shim_service || broken "no shim"
ssh_setup || broken "no ssh"
docker import "$HOST_CACHE/image.tar" "$HOST_IMAGE" >/dev/null || broken "no image"

section "jobfence runs"
starts "with jobfence" 0 $STARTS $SCOPES
fresh_services
tunnels
check "jobfence verify" 0 "$(jobfence verify >/dev/null 2>&1; echo $?)"

section "jobfence stopped, its ruleset stays"
systemctl stop jobfence
starts "with its ruleset alone" 0 5 $SCOPES
ssh_restart
tunnel
# A child of the slice that nobody named is taken for a container.
check "ssh -L through an ssh that was restarted meanwhile" "@(closed|timeout|mute|reset|refused)" "$BANNER"

section "control: jobfence removed, the same starts reach the shim"
jobfence remove
starts "without jobfence" 1 3 100
fresh_services

section "jobfence again, beside what runs"
systemctl start jobfence && host_wait 10000 fence_stands
check "it is up" 0 $?
tunnel
check "ssh -L through an ssh that was there before" open:shim "$BANNER"
starts "with jobfence again" 0 3 100
tunnels
confined
watchdog
kills
refused
disabled
finish
