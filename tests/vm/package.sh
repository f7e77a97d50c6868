#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The Debian package, on a machine that got it by the step "package" and has booted since. Needs a machine to
# itself: runs in tests/vm/run only.
#
# Usage: package.sh [boot|jobs|change]…     all of them without
#   boot     the fence was up before Docker; the timer of the metrics
#   jobs     a job's attempt at the shim is in the journal with its name, "jobfence probe", AppArmor
#   change   an upgrade opens nothing while jobs hammer, removing and purging leave what they say; jobfence is
#            gone then
# shellcheck disable=SC2317 # what host_wait calls
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/checks.sh"

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
NEXT=$(find "$ROOT/build/deb-next" -maxdepth 1 -name 'jobfence_*.deb' 2>/dev/null)
SHIM=127.0.0.1:10998
WORK=$(mktemp -d)
export DEBIAN_FRONTEND=noninteractive
trap 'systemctl stop vm-shim; rm -rf "$WORK"' EXIT

property() { systemctl show -P "$2" "$1"; }
verify() { jobfence verify >"$WORK/verify" 2>&1; }
verified() { check "jobfence verify" 0 "$(verify; echo $?)"; }
tables() { nft list tables | grep -c ' jobfence$'; }
apt_do() { apt-get -q "$@" >"$WORK/apt" 2>&1; }
said() { check "it says" "*$1*" "$(paste -sd' ' "$WORK/apt")"; }

# --- the boot --------------------------------------------------------------------------------------

booted() {
	local ready docker

	section "the machine as it booted, with the package"
	check "the package" "installed" "$(dpkg-query -W -f '${db:Status-Status}' jobfence)"
	check "jobfence.service" "active enabled success" \
		"$(property jobfence ActiveState) $(property jobfence UnitFileState) $(property jobfence Result)"
	ready=$(property jobfence ActiveEnterTimestampMonotonic) docker=$(property docker ActiveEnterTimestampMonotonic)
	say "microseconds after the kernel's start: jobfence active $ready, docker active $docker"
	check_that "jobfence active before docker.service began" "$ready" -lt "$(property docker InactiveExitTimestampMonotonic)"
	check "the tables in the kernel when docker.service began" 3 \
		"$(grep -c ' jobfence$' /run/jobfence-vm-tables)"
	verified
}

metrics_are_new() { [ -n "$(find /var/lib/prometheus/node-exporter/jobfence.prom -mmin -30)" ]; }

# As the unit's sandbox lets it: the timer's first figures, and newer ones behind them.
metrics() {
	local folder=/var/lib/prometheus/node-exporter

	section "metrics by the timer"
	mkdir -p $folder
	systemctl enable -q --now jobfence-metrics.timer
	host_wait 60000 test -s $folder/jobfence.prom
	check "it writes" 0 $?
	check "the ruleset is in the kernel as it should be, the engine in sync, jobs not held" "1 1 0" \
		"$(sed -n 's/^jobfence_engine_state{state="in_sync"} //p; s/^jobfence_ruleset_state{state="present"} //p
			s/^jobfence_jobs_not_held //p' $folder/jobfence.prom | paste -sd' ')"
	touch -d '1 hour ago' $folder/jobfence.prom
	host_wait 90000 metrics_are_new
	check "it writes again" 0 $?
	check "the unit" "success" "$(property jobfence-metrics.service Result)"
	systemctl disable -q --now jobfence-metrics.timer
}

# --- jobs ------------------------------------------------------------------------------------------

shim_answers() { [ "$(dial 127.0.0.1 10998)" = open:shim ]; }

shim_start_here() {
	printf '[Service]\nExecStart=%s -k tcp:%s=shim\n' "$(command -v serve)" $SHIM \
		>/run/systemd/system/vm-shim.service
	systemctl daemon-reload && systemctl start vm-shim &&
		host_wait 5000 shim_answers
}

job() { # NAME DOCKER-ARGUMENTS…
	local name

	name=$1-0-0-$(container_hex)
	shift
	docker run -d --name "$name" --label ai.dstack.shim.is-task=true \
		--label "ai.dstack.shim.task-id=$(</proc/sys/kernel/random/uuid)" "$@" >/dev/null && echo "$name"
}

known() { jobfence status --json | grep -q "\"$1\""; }

# Each knocks at what it may not reach, every 5 ms, and as long as it lives; the figures are files in it.
hammers_run() {
	GAMMA=$(job gamma --network host "$HOST_IMAGE" /bin/hammer --every 5 --into /tmp/h \
		shim=tcp,shut,127.0.0.1,10998) &&
		ALPHA=$(job alpha "$HOST_IMAGE" /bin/hammer --every 5 --into /tmp/h ssh=tcp,shut,172.17.0.1,22) &&
		host_wait 10000 known "$GAMMA" && host_wait 10000 known "$ALPHA"
}

# TRIES and LEAKS of a job so far: the last figures of "ID WANT KIND ATTEMPTS OPEN NOT-OPEN LATE", and its events.
figures() { # NAME
	local root

	root=/proc/$(docker inspect -f '{{.State.Pid}}' "$1")/root/tmp
	TRIES=$(cat "$root"/h.*.count | awk '{ n += $4 } END { print n + 0 }')
	LEAKS=$(cat "$root"/h.*.log | grep -c ' leak ')
}

knocks() { # NAME MORE-THAN
	figures "$1"
	[ "$TRIES" -gt "$2" ]
}

# hammered WHAT: since the last time it was asked, both jobs knocked and nothing opened
declare -A TRIED=()
hammered() {
	local name

	for name in "$GAMMA" "$ALPHA"; do
		host_wait 10000 knocks "$name" $((${TRIED[$name]:-0} + 10))
		check_that "$1: attempts of ${name%%-*}" $((TRIES - ${TRIED[$name]:-0})) -gt 10
		check "… that got through" 0 "$LEAKS"
		TRIED[$name]=$TRIES
	done
}

# One attempt of a job that did nothing before, and the first record of it: milliseconds between the two.
told() {
	local name began

	section "what the journal has of an attempt at the shim"
	name=$(job delta --network host "$HOST_IMAGE" /bin/sleep 100000) || broken "no job delta"
	host_wait 10000 known "$name" || broken "jobfence does not know $name"
	# The clock of the kernel, read by the job just before it dials.
	began=$(docker exec "$name" /bin/sh -c 'cat /proc/uptime; exec /bin/dial --timeout 700 127.0.0.1 10998' |
		awk 'NR == 1 { print int($1 * 1000) } NR == 2 { print > "/dev/stderr" }' 2>"$WORK/dialled")
	check "the attempt" "$CLOSED" "$(<"$WORK/dialled")"
	host_wait 5000 record_of "$name" "$began"
	check_that "… is in journalctl -t jobfence, with the job's name, after milliseconds" \
		"$(record_of "$name" "$began")" -le $((1000 * ${HOST_PATIENCE:-1}))
	journalctl -b -t jobfence -o cat --no-pager | grep -F "$name" | tail -n 2
	docker rm -f "$name" >/dev/null
}

record_of() { # NAME SINCE-MS
	journalctl -b -t jobfence -o json --no-pager | python3 -c '
import json, sys
name, since = sys.argv[1], int(sys.argv[2])
for line in sys.stdin:
    record = json.loads(line)
    after = int(record["__MONOTONIC_TIMESTAMP"]) // 1000 - since
    if name in str(record.get("JOBFENCE_CONTAINER")) and "10998" in line and after > -20:
        print(max(after, 0))
        sys.exit(0)
sys.exit(1)' "$@"
}

# --- upgrade, removal, purge -------------------------------------------------------------------------

upgrade() {
	local pid

	section "upgrade to $(basename "$NEXT"), under the hammer"
	pid=$(property jobfence MainPID)
	echo '# the operator was here' >>/etc/jobfence/jobfence.conf
	hammered "before"
	apt_do install -y "$NEXT"
	check "apt install" 0 $?
	hammered "during the upgrade"
	check "version" "$(dpkg-deb -f "$NEXT" Version)" "$(dpkg-query -W -f '${Version}' jobfence)"
	check "the daemon" "active another" \
		"$(property jobfence ActiveState) $([ "$(property jobfence MainPID)" != "$pid" ] && echo another)"
	check "the operator's line" 1 "$(grep -c 'the operator was here' /etc/jobfence/jobfence.conf)"
	host_wait 20000 verify
	verified
	hammered "after it"
}

removed() {
	section "apt remove"
	apt_do remove -y jobfence
	check "apt remove" 0 $?
	said "its ruleset stays in the kernel until the next boot"
	check "tables in the kernel, configuration, program" "3 yes no" \
		"$(tables) $([ -e /etc/jobfence/jobfence.conf ] && echo yes) $([ -e /usr/sbin/jobfence ] || echo no)"
	check "Docker is not held back without" active "$(systemctl restart docker; property docker ActiveState)"
	docker start "$GAMMA" "$ALPHA" >/dev/null
	hammered "with the ruleset alone"
	apt_do install -y "$NEXT"
	check "installed again" "0 active" "$? $(property jobfence ActiveState)"
	host_wait 20000 verify
	verified
	hammered "after that"
}

taken_down() {
	section "apt remove, with the choice to take the fence down"
	docker stop -t 0 "$GAMMA" "$ALPHA" >/dev/null
	JOBFENCE_TAKE_DOWN=yes apt_do remove -y jobfence
	said "the fence is down"
	check "tables in the kernel" 0 "$(tables)"
	apt_do install -y "$NEXT"
	check "installed again: tables" "0 3" "$? $(tables)"
	docker start "$GAMMA" "$ALPHA" >/dev/null
	hammered "after that"
}

purged() {
	local name

	section "apt purge"
	apt_do purge -y jobfence
	check "apt purge" 0 $?
	said "the fence is down"
	check "tables in the kernel" 0 "$(tables)"
	check "files" '' "$(find /etc /run /usr /var/lib/systemd -name '*jobfence*' ! -name '*jobfence-vm*' \
		! -path '/run/systemd/*' ! -path '/run/docker*' | head -n 5 | paste -sd' ')"
	check "folders for cgroups" '' "$(find /sys/fs/cgroup -name 'jobfence*' ! -name 'jobfence-vm*')"
	check "Docker runs" active "$(property docker ActiveState)"
	for name in "$GAMMA" "$ALPHA"; do
		host_wait 10000 leaks "$name"
		check_that "control: attempts of ${name%%-*} that get through now" "$LEAKS" -gt 10
	done
}

leaks() {
	figures "$1"
	[ "$LEAKS" -gt 10 ]
}

# The daemon under the profile of contrib/apparmor, where the machine has AppArmor.
apparmor() {
	section "under AppArmor"
	[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] && command -v apparmor_parser >/dev/null || {
		say "not on this machine"
		return
	}
	apparmor_parser -r "$ROOT/contrib/apparmor/usr.sbin.jobfence"
	check "the profile is loaded" 0 $?
	mkdir -p /run/systemd/system/jobfence.service.d
	printf '[Service]\nAppArmorProfile=jobfence\n' >/run/systemd/system/jobfence.service.d/apparmor.conf
	systemctl daemon-reload
	systemctl restart jobfence
	check "the daemon's label" "jobfence (enforce)" "$(tr -d '\0' <"/proc/$(property jobfence MainPID)/attr/current")"
	host_wait 20000 verify
	verified
	systemctl reload jobfence
	sleep 1
	check "what it was refused" '' "$(journalctl -b -k -o cat --no-pager | grep 'apparmor="DENIED".*jobfence' | head -n 3)"
	rm -r /run/systemd/system/jobfence.service.d
	systemctl daemon-reload
	systemctl restart jobfence
}

probed() { # WHEN EXIT-CODE
	section "jobfence probe, $1"
	jobfence probe >"$WORK/probe" 2>&1
	check "exit code" "$2" $?
	tail -n 40 "$WORK/probe"
}

jobs() {
	local quiet=()

	told
	mapfile -t quiet < <(job beta "$HOST_IMAGE" /bin/sleep 100000 && job epsilon --network host "$HOST_IMAGE" /bin/sleep 100000)
	host_wait 10000 known "${quiet[0]}" && host_wait 10000 known "${quiet[1]}" || broken "jobfence does not know ${quiet[*]}"
	probed "while nobody tries anything" 0
	docker rm -f "${quiet[@]}" >/dev/null
	apparmor
}

change() {
	hammers_run || broken "no jobs"
	# the counters move all the time: a closed port is not always told from the fence
	probed "while jobs knock all the time" "[02]"
	upgrade
	removed
	taken_down
	purged
}

if [ ! -d /var/lib/jobfence-vm ] || [ "$(systemd-detect-virt)" = none ]; then
	echo "package.sh changes the machine it runs on: sudo tests/vm/run" >&2
	exit 1
fi
[ -n "$NEXT" ] || broken "no package in build/deb-next"
[ $# -gt 0 ] || set -- boot jobs change
[ "$1" != boot ] || { booted; metrics; shift; }
[ $# -gt 0 ] || finish
shim_start_here || broken "no shim"
docker image inspect "$HOST_IMAGE" >/dev/null 2>&1 || docker import "$HOST_CACHE/image.tar" "$HOST_IMAGE" >/dev/null ||
	broken "no image"
for PART; do
	"$PART"
done
finish
