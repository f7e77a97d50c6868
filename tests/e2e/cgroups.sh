#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every place where the socket of a job on the host's network can live: the engine's cgroup parent
# wherever it is, a parent of a container's own, cgroups that a job makes inside its own, sockets that
# others made; a host without cgroup v2; an engine and services that restart, the latter as the systemd
# driver has them (on a real systemd host: tests/vm). Real packets; each closed flow is open before.
#
# Usage: cgroups.sh [parents|engine|inside|passed|restarts|systemd|without]…   all of them without
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# The cgroup of a container, wherever it is: below the root of the v2 hierarchy.
cgroup_of() { sed -n 's/^0:://p' "/proc/$(container_pid "$1")/cgroup"; }

# within ALIAS CMD…: a process of a container whose parent is not that of the others
within() {
	local alias=$1

	shift
	"$HOST_BIN/inside" "$HOST_UNIFIED$(cgroup_of "$alias")" "$(container_pid "$alias")" "$@"
}

# check_within WHAT WANTED ALIAS DIAL-ARGUMENTS…
check_within() {
	local what=$1 want=$2 alias=$3

	shift 3
	check "$what" "$want" "$(within "$alias" dial --timeout 700 "$@" 2>&1)"
}

row_of() { jobfence_cli status | awk -v n="$1" 'index($0, n)'; }

set_has() { host_exec nft list set inet jobfence "$1" | grep -q elements; }

# --- a cgroup parent of a container's own ----------------------------------------------------------

own_parents() { # CHECK: what is said of each flow of each such job
	local alias

	for alias in level2 level3 level6; do
		"$1" "$alias → shim" "$alias" 127.0.0.1 10998
		"$1" "$alias → shim, IPv6" "$alias" ::1 10998
		"$1" "$alias → internet" "$alias" "$INET4" 443
		"$1" "$alias → a bridge job" "$alias" "$(container_ip4 tenant)" 10999
		"$1" "$alias → another's runner" "$alias" 127.0.0.1 10999
	done
}

own_open() { check_within "$1, before" 'open:*' "$2" "$3" "$4"; }
own_shut() { check_within "$1" "$CLOSED" "$2" "$3" "$4"; }

parents() {
	local top=/jfhost-$$-parents was

	host_up parents && shim_start && shim6 || broken "host_up"
	job_start bridge tenant && job_start host tame &&
		job_start host level2 whole --cgroup-parent "$top" &&
		job_start host level3 whole --cgroup-parent "$top/own" &&
		job_start host level6 whole --cgroup-parent "$top/a/b/c/d" &&
		job_start host level7 whole --cgroup-parent "$top/a/b/c/d/e" &&
		bystander_start free --network host --cgroup-parent "$top/own" || broken "containers"
	section "a cgroup parent of its own: $(cgroup_of level3)"
	own_parents own_open
	jobfence_up || broken "jobfence"
	was=$(counter inet host_job_to_host_api)
	own_parents own_shut
	check_that "counted" "$(($(counter inet host_job_to_host_api) - was))" -ge 6
	check_flow "host → its own service" 'open:level3:app' host "$HOST_LAN4" "$(container_app level3)"
	check_flow "LAN → its own service" "$CLOSED" lan "$HOST_LAN4" "$(container_app level3)"
	check_flow "LAN → another host job's service" 'open:tame:app' lan "$HOST_LAN4" "$(container_app tame)"
	check_flow "another host job → internet" 'open:inet' tame "$INET4" 443
	check_within "bystander with such a parent → shim" 'open:shim' free 127.0.0.1 10998
	check_within "bystander with such a parent → LAN" 'open:lan' free "$LAN6" 8080
	check_flow "LAN → bystander" 'open:free' lan "$HOST_LAN4" "$(container_app free)"
	check_flow "host → shim" 'open:shim' host 127.0.0.1 10998
	check "status" '*quarantined*it has a cgroup parent of its own*' "$(row_of level3-)"
	check "deeper than any rule" '*NOT HELD*the fence does not see it*' "$(row_of level7-)"

	section "it listens in the shim's place"
	shim_stop
	host_background "$HOST_UNIFIED$(cgroup_of level3)" "$HOST_DIR/shadow.log" "$HOST_BIN/inside" \
		"$HOST_UNIFIED$(cgroup_of level3)" "$(container_pid level3)" serve tcp:127.0.0.1:10998=shadow
	disown "$HOST_SPAWNED"
	host_wait 2000 host_listens 127.0.0.1:10998
	was=$(counter inet shadow_listener)
	check_flow "host → the shim's port" "$CLOSED" host 127.0.0.1 10998
	check_that "counted" "$(($(counter inet shadow_listener) - was))" -ge 1
	kill "$HOST_SPAWNED" && shim_restart

	section "the daemon stops, starts again"
	jobfence_stop
	check_within "level3 → shim, stopped" "$CLOSED" level3 127.0.0.1 10998
	(while :; do within level3 dial --timeout 100 127.0.0.1 10998; done) >"$HOST_DIR/dials" 2>&1 &
	was=$!
	jobfence_up || broken "jobfence"
	sleep 0.3
	kill $was
	check_that "dials while it started" "$(wc -l <"$HOST_DIR/dials")" -ge 3
	check "open among them" 0 "$(grep -c open "$HOST_DIR/dials")"
	jobfence_stop
	host_down
}

shim6() { host_exec serve -b 'tcp:[::1]:10998=shim'; }
host_listens() { host_exec ss -Hltn | awk '{ print $4 }' | grep -qF "$1"; }

# --- where the engine puts all of them -------------------------------------------------------------

# The engine's file is not where anybody looks; jobfence starts with a wrong idea of the parent.
wrong_idea() {
	host_exec mkdir -p /etc/docker
	echo "{\"cgroup-parent\": \"/jfhost-$HOST_ID/wrong\", \"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]}" |
		host_exec tee /etc/docker/daemon.json >/dev/null
	printf '[docker]\nsocket = unix:///run/docker.sock\n[cgroup]\ndriver = cgroupfs\nengine = %s\n' \
		"${HOST_ENGINE_CGROUP#/}" >"$HOST_DIR/jobfence.conf"
}

follows() { grep -q "the engine's cgroup parent is .*following it" "$HOST_DIR/jobfence.log"; }

followed_flows() {
	check_flow "host job → shim" "$CLOSED" gamma 127.0.0.1 10998
	check_flow "host job → its own runner" 'open:gamma:runner' gamma 127.0.0.1 10999
	check_flow "host job → internet" 'open:inet' gamma "$INET4" 443
	check "status" '*fenced*' "$(row_of gamma-)"
}

engine() {
	host_up engine && shim_start && job_start host gamma || broken "host_up"
	wrong_idea
	section "the parent of the engine is learnt from its containers"
	check_flow "host job → shim, before" 'open:shim' gamma 127.0.0.1 10998
	jobfence_up || broken "jobfence"
	host_wait 3000 follows
	sleep 0.2
	followed_flows
	jobfence_stop
	host_down

	section "and from dockerd's arguments, before there is a container"
	HOST_ENGINE=0 host_up arguments && shim_start || broken "host_up"
	engine_config | grep -v cgroup-parent >"$HOST_DIR/daemon.json"
	printf '#!/bin/sh\nexec dockerd --cgroup-parent %s "$@"\n' "$HOST_CGROUP_PARENT" >"$HOST_DIR/dockerd"
	chmod +x "$HOST_DIR/dockerd"
	HOST_DOCKERD=$HOST_DIR/dockerd engine_start || broken "engine"
	wrong_idea
	jobfence_up || broken "jobfence"
	host_wait 3000 follows
	check "said so" 0 $?
	job_start host gamma || broken "job"
	sleep 0.2
	followed_flows
	jobfence_stop
	host_down
}

# --- inside a job ----------------------------------------------------------------------------------

inside_dial() { # ALIAS DIAL-ARGUMENTS…: from a cgroup two levels below the container's own
	local alias=$1 deep

	shift
	deep=$(container_cgroup "$alias")/own/deeper
	mkdir -p "$deep"
	"$HOST_BIN/inside" "$deep" "$(container_pid "$alias")" dial --timeout 700 "$@" 2>&1
}

inside() {
	local alias

	host_up inside && shim_start || broken "host_up"
	job_start host shared whole --cgroupns host && job_start bridge tenant || broken "containers"
	# not every machine lets a container have a namespace of its own
	job_start host private whole --cgroupns private 2>/dev/null || say "no private cgroup namespace here"
	section "cgroups that a job makes below its own"
	for alias in shared private; do
		[ -e "$HOST_DIR/containers/$alias" ] || continue
		check "$alias → shim, before" 'open:shim' "$(inside_dial $alias 127.0.0.1 10998)"
	done
	jobfence_up || broken "jobfence"
	for alias in shared private; do
		[ -e "$HOST_DIR/containers/$alias" ] || continue
		check "$alias → shim" "$CLOSED" "$(inside_dial $alias 127.0.0.1 10998)"
		check "$alias → bridge job" "$CLOSED" "$(inside_dial $alias "$(container_ip6 tenant)" 10999)"
		check "$alias → internet" 'open:inet' "$(inside_dial $alias "$INET6" 443)"
	done
	check "its own runner, from there" 'open:shared:runner' "$(inside_dial shared 127.0.0.1 10999)"
	check "by docker exec" "$CLOSED" "$(in_container shared dial --timeout 700 127.0.0.1 10998)"
	jobfence_stop
	host_down
}

# --- sockets that another made ---------------------------------------------------------------------

passed() {
	local dir

	host_up passed && shim_start && job_start host gamma || broken "host_up"
	dir=$HOST_DIR/runners/$(container_name gamma)
	ln -s "$dir" "/tmp/jf-$$" # a socket's path is short
	jobfence_up || broken "jobfence"
	section "a socket keeps the cgroup of who made it"
	spawn_from host "$HOST_DIR/make.log" passfd make "/tmp/jf-$$/host"
	host_wait 2000 test -S "$dir/host"
	check "made by the host, used by the job: the host's → shim" open \
		"$(job_exec gamma passfd use /tmp/runner/host 127.0.0.1:10998)"
	spawn_from gamma "$HOST_DIR/make.log" passfd make /tmp/runner/job
	host_wait 2000 test -S "$dir/job"
	check "made by the job, used by the host: the job's → shim" '@(refused|timeout)' \
		"$(host_exec passfd use "/tmp/jf-$$/job" 127.0.0.1:10998)"
	rm -f "/tmp/jf-$$"
	jobfence_stop
	host_down
}

# --- the engine restarts ---------------------------------------------------------------------------

engine_id() { printf '%d' "$(stat -c %i "$HOST_UNIFIED$HOST_ENGINE_CGROUP")"; }
engine_named() {
	host_exec nft -a list set inet jobfence engine_cgroups |
		grep -q "engine\"\|$(engine_id)"
}

restarts() {
	local start took=0

	host_up restarts && shim_start && jobfence_up || broken "host_up"
	section "the engine's cgroup is made anew, as a restart does"
	check "named" yes "$(engine_named && echo yes)"
	engine_kill
	# by then nothing else makes jobfence look again so soon
	sleep 3
	for _ in 1 2 3; do
		host_wait 5000 rmdir "$HOST_UNIFIED$HOST_ENGINE_CGROUP"
		start=$(now_ms)
		mkdir "$HOST_UNIFIED$HOST_ENGINE_CGROUP"
		host_wait 4000 engine_named
		took=$((took + $(now_ms) - start))
	done
	check_that "milliseconds until it is named, thrice, before the engine runs" $took -le 1500
	jobfence_stop
	host_down
}

# --- as systemd has it -----------------------------------------------------------------------------

# jobfence in a cgroup namespace whose root is this host's own folder: there it finds a unified
# hierarchy with a system.slice that it may believe to be systemd's.
systemd_host() {
	host_up "$1" && shim_start || broken "host_up"
	SLICE=$HOST_CG/system.slice
	mkdir "$SLICE" "$SLICE/docker.service" "$SLICE/ssh.service" "$SLICE/system-ssh.slice" \
		"$SLICE/system-ssh.slice/ssh@1.service" || broken "cgroups"
	printf '[docker]\nsocket = unix:///run/nobody.sock\n[cgroup]\ndriver = systemd\n' >"$HOST_DIR/jobfence.conf"
	# shellcheck disable=SC2016 # for the inner shell
	JOBFENCE_WRAP=(sh -c 'echo $$ >"$0/cgroup.procs" && exec unshare -C -m sh -c "
		mount -t tmpfs none /sys/fs/cgroup && umount /sys/fs/cgroup
		mount -t cgroup2 none /sys/fs/cgroup && exec \"\$0\" \"\$@\"" "$@"' "$HOST_CG")
}

# As a process of a service: service_exec SERVICE CMD…
service_exec() {
	local service=$1

	shift
	host_in "system.slice/$service" "$HOST_PID" -m -n -- "$@"
}

service_dial() { # WHAT WANTED SERVICE
	check "$1" "$2" "$(service_exec "$3" dial --timeout 2500 127.0.0.1 10998 2>&1)"
}

systemd() {
	local scope out

	systemd_host systemd
	scope=docker-$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n').scope
	mkdir "$SLICE/$scope"
	section "services and containers below one slice"
	service_dial "a container → shim, before" 'open:shim' "$scope"
	jobfence_start || broken "jobfence"
	sleep 0.2
	service_dial "a service → shim" 'open:shim' ssh.service
	service_dial "an instance of a socket's service → shim" 'open:shim' system-ssh.slice/ssh@1.service
	service_dial "a container → shim" "$CLOSED" "$scope"
	mkdir "$SLICE/$scope/init.scope"
	service_dial "systemd in a container → shim" "$CLOSED" "$scope/init.scope"
	mkdir "$SLICE/system-ssh.slice/ssh@2.service"
	service_dial "its next instance → shim" 'open:shim' system-ssh.slice/ssh@2.service

	section "a service restarts and dials with its first instruction"
	rmdir "$SLICE/ssh.service"
	out=$(host_exec freshservice "$SLICE/ssh.service" 60 127.0.0.1:10998)
	say "$out"
	check "reached the shim" 'open=60 of 60 *' "$out"
	check_that "slowest, ms (a second SYN comes after 1,000)" "${out##*slowest=}" -le 2000
	service_dial "another service → shim" 'open:shim' docker.service

	section "while the daemon hangs it waits, and is not refused"
	jobfence_signal STOP
	(sleep 0.6; jobfence_signal CONT) &
	out=$(host_exec freshservice "$SLICE/ssh.service" 1 127.0.0.1:10998)
	say "$out"
	check "reached the shim" 'open=1 of 1 first=0 *' "$out"
	wait $!
	jobfence_stop
	JOBFENCE_WRAP=()
	host_down
}

# --- no cgroup v2 ----------------------------------------------------------------------------------

without() {
	host_up without && shim_start && job_start host gamma && job_start bridge alpha &&
		bystander_start delta || broken "host_up"
	section "a host without cgroup v2"
	# shellcheck disable=SC2016 # for the inner shell
	JOBFENCE_WRAP=(unshare -m sh -c 'mount -t tmpfs none /sys/fs/cgroup && exec "$0" "$@"')
	jobfence_start 2>/dev/null
	jobfence_reap
	check "refuses to start, with code" 78 $?
	check "and says what to change" '*no cgroup v2 hierarchy*systemd.unified_cgroup_hierarchy=1*required = no*' \
		"$(tail -n 1 "$HOST_DIR/jobfence.log")"
	check "nothing was changed" '' "$(host_exec nft list tables | grep jobfence)"

	section "where the configuration accepts it"
	printf '[docker]\nsocket = unix:///run/docker.sock\n[cgroup]\nrequired = no\n' >"$HOST_DIR/jobfence.conf"
	jobfence_up || broken "jobfence"
	check "the log" '*host jobs are not fenced*going on without*' \
		"$(grep "no cgroup v2" "$HOST_DIR/jobfence.log" | tail -n 1)"
	check_flow "bridge job → host" "$CLOSED" alpha "$HOST_GW4" 22
	check_flow "bystander → host" 'open:sshd' delta "$HOST_GW4" 22
	check_flow "bridge job → internet" 'open:inet' alpha "$INET4" 443
	check_flow "host job → shim: not fenced" 'open:shim' gamma 127.0.0.1 10998
	# shellcheck disable=SC2016 # for the inner shell
	check "status" '*host'\''s network are NOT FENCED*NOT HELD*' "$(host_exec unshare -m sh -c \
		'mount -t tmpfs none /sys/fs/cgroup && exec "$0" "$@"' "$JOBFENCE" status \
		--config "$HOST_DIR/jobfence.conf")"
	jobfence_stop
	JOBFENCE_WRAP=()
	host_down
}

[ $# -gt 0 ] || set -- parents engine inside passed restarts systemd without
for part; do
	case $part in
	parents) parents ;;
	engine) engine ;;
	inside) inside ;;
	passed) passed ;;
	restarts) restarts ;;
	systemd) systemd ;;
	without) without ;;
	*) broken "there is no part '$part'" ;;
	esac
done
finish
