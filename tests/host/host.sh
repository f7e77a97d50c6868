# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The private host: a machine of its own made of namespaces, with a real Docker engine, a peer on its
# LAN and an internet behind its router. The demo, the tests and the benchmarks share it; README.md
# here has the table of functions. Source it, call host_up.
#
# It must never touch the machine's own network, mounts or engine: whatever changes something runs
# behind nsenter. All its processes live in two cgroups (jfhost-ID, jfhost-ID-jobs), so that taking
# it down is killing those two, also for a host whose owner was killed. With the systemd driver they are
# in system.slice/jfhost-ID and, each container by itself, in a scope beside it.

HOST_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
HOST_ROOT=$(cd "$HOST_HERE/../.." && pwd)
HOST_CACHE=${HOST_CACHE:-$HOST_ROOT/build/host}
HOST_STATE=${HOST_STATE:-/tmp/jobfence-hosts}
HOST_BIN=$HOST_CACHE/bin
HOST_IMAGE=jobfence-test
HOST_CGROUP_DRIVER=${HOST_CGROUP_DRIVER:-cgroupfs}
PATH=$HOST_BIN:$PATH

# Who is where; the same in every private host.
# shellcheck disable=SC2034 # for those who source this
HOST_LAN4=10.77.0.1 HOST_LAN6=fd77::1 LAN4=10.77.0.2 LAN6=fd77::2
HOST_WAN4=203.0.113.2 HOST_WAN6=2001:db8:113::2 ROUTER4=203.0.113.1 ROUTER6=2001:db8:113::1
INET4=198.51.100.80 INET6=2001:db8:80::80
# docker0
# shellcheck disable=SC2034
HOST_GW4=172.17.0.1 HOST_GW6=fd00:d0c::1

# The host in use; host_use changes it.
# shellcheck disable=SC2034
HOST_NAME='' HOST_ID='' HOST_DIR='' HOST_CG='' HOST_CGROUP_PARENT='' HOST_ENGINE_CGROUP=''
HOST_PID='' LAN_PID='' INET_PID=''

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
	HOST_UNIFIED=/sys/fs/cgroup
else
	HOST_UNIFIED=/sys/fs/cgroup/unified
fi

host_fail() {
	echo "private host${HOST_NAME:+ $HOST_NAME}: $*" >&2
	return 1
}

# Waits until a command succeeds: host_wait MILLISECONDS CMD…; HOST_PATIENCE times as long where the
# machine is slow, as dial does.
host_wait() {
	local end=$((${EPOCHREALTIME/./} / 1000 + $1 * ${HOST_PATIENCE:-1}))

	shift
	until "$@"; do
		[ $((${EPOCHREALTIME/./} / 1000)) -lt "$end" ] || return 1
		sleep 0.02
	done
}

# --- processes -----------------------------------------------------------------------------------

# Runs a command in a cgroup of this host: host_in CGROUP HOLDER-PID NSENTER-OPTIONS -- CMD…
host_in() {
	local cgroup=$HOST_CG/$1 pid=$2

	shift 2
	(
		echo "$BASHPID" >"$cgroup/cgroup.procs" || exit 3
		exec nsenter -t "$pid" "$@"
	)
}

# As a process of the host: its network, mounts, /etc and /run. The working directory is /.
host_exec() { host_in host "$HOST_PID" -m -n -- "$@"; }
# As the peer on the LAN, and as a server on the internet. They share the machine's files.
lan_exec() { host_in peers "$LAN_PID" -n -- "$@"; }
inet_exec() { host_in peers "$INET_PID" -n -- "$@"; }

# In the background, output to a file: host_spawn CGROUP LOG CMD… (pid in HOST_SPAWNED)
host_spawn() {
	local cgroup=$HOST_CG/$1 log=$2

	shift 2
	host_background "$cgroup" "$log" nsenter -t "$HOST_PID" -m -n -- "$@"
}

# The pid is the command's own: nothing stands between it and a signal.
host_background() {
	local cgroup=$1 log=$2

	shift 2
	(
		trap - EXIT INT TERM HUP
		echo "$BASHPID" >"$cgroup/cgroup.procs" || exit 3
		exec "$@"
	) </dev/null >>"$log" 2>&1 &
	HOST_SPAWNED=$!
}

# C_CGROUP of a container: container_place ID
container_place() {
	C_CGROUP=$HOST_UNIFIED$HOST_CGROUP_PARENT/$1
	[ "$HOST_CGROUP_DRIVER" = cgroupfs ] || C_CGROUP=$HOST_UNIFIED$HOST_CGROUP_PARENT/docker-$1.scope
}

# Whoever it is: exec_from host|session|engine|lan|inet|CONTAINER CMD…; the tools are in everyone's PATH.
exec_from() {
	local who=$1

	shift
	case $who in
	host) host_exec "$@" ;;
	session) host_in host/session "$HOST_PID" -m -n -- "$@" ;;
	engine) host_in engine "$HOST_PID" -m -n -- "$@" ;;
	lan) lan_exec "$@" ;;
	inet) inet_exec "$@" ;;
	*) job_exec "$who" "$@" ;;
	esac
}

# spawn_from WHO LOG CMD…: the same in the background; the pid is in HOST_SPAWNED.
spawn_from() {
	local who=$1 log=$2 C_ID C_PID C_CGROUP

	shift 2
	case $who in
	host) host_spawn host "$log" "$@" ;;
	lan) host_background "$HOST_CG/peers" "$log" nsenter -t "$LAN_PID" -n -- "$@" ;;
	inet) host_background "$HOST_CG/peers" "$log" nsenter -t "$INET_PID" -n -- "$@" ;;
	*)
		container_facts "$who" || return 3
		container_place "$C_ID"
		host_background "$C_CGROUP" "$log" "$HOST_BIN/inside" "$C_CGROUP" "$C_PID" "$@"
		;;
	esac
	disown "$HOST_SPAWNED"
}

# Judges one flow: dial_from WHO DIAL-ARGUMENTS… prints one word (see tools/dial.c)
dial_from() {
	local who=$1

	shift
	exec_from "$who" dial "$@"
}

# The Docker client, speaking to the private engine.
docker_h() { DOCKER_HOST=unix://$HOST_DIR/docker.sock docker "$@"; }

# --- making one ----------------------------------------------------------------------------------

host_needs() {
	local tool missing=()

	[ "$(id -u)" -eq 0 ] || { host_fail "needs root"; return 1; }
	for tool in dockerd docker containerd runc docker-proxy ip nsenter unshare iptables busybox \
		"${CC:-gcc}"; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	[ ${#missing[@]} -eq 0 ] || {
		host_fail "missing: ${missing[*]} (Debian: apt-get install docker.io" \
			"busybox-static iproute2 iptables nftables util-linux gcc libc6-dev)"
		return 1
	}
	[ -e "$HOST_UNIFIED/cgroup.procs" ] || { host_fail "no cgroup v2 mounted"; return 1; }
	[ "$HOST_CGROUP_DRIVER" = cgroupfs ] ||
		{ [ -d /run/systemd/system ] && [ "$HOST_UNIFIED" = /sys/fs/cgroup ]; } || {
		host_fail "HOST_CGROUP_DRIVER=$HOST_CGROUP_DRIVER needs systemd and cgroup v2 alone"
		return 1
	}
}

# Where a host's processes and its containers are. With the systemd driver they are neighbours.
host_choose_cgroups() {
	HOST_CG=$HOST_UNIFIED/jfhost-$HOST_ID
	HOST_CGROUP_PARENT=/jfhost-$HOST_ID-jobs
	if [ "$HOST_CGROUP_DRIVER" = systemd ]; then
		HOST_CG=$HOST_UNIFIED/system.slice/jfhost-$HOST_ID
		HOST_CGROUP_PARENT=/system.slice
	fi
	# shellcheck disable=SC2034
	HOST_ENGINE_CGROUP=${HOST_CG#"$HOST_UNIFIED"}/engine
}

host_start_time() {
	local stat

	# No such process any more: no start time either.
	{ stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
	stat=${stat##*) }
	# shellcheck disable=SC2086 # fields
	set -- $stat
	echo "${20}"
}

# A process that only keeps namespaces alive: host_hold UNSHARE-OPTIONS… (pid in HOST_HELD)
host_hold() {
	(
		trap - EXIT INT TERM HUP
		echo "$BASHPID" >"$HOST_CG/holders/cgroup.procs" || exit 3
		exec unshare "$@" sleep infinity
	) </dev/null >/dev/null 2>&1 &
	HOST_HELD=$!
	disown "$HOST_HELD"
	host_wait 5000 host_is_apart "$HOST_HELD" || host_fail "unshare $* does not work here"
}

# unshare becomes sleep when it has the namespaces.
host_is_apart() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = sleep ]; }

host_make_cgroups() {
	local child

	mkdir "$HOST_CG" && mkdir -p "$HOST_UNIFIED$HOST_CGROUP_PARENT" || return 1
	for child in engine host host/session jobfence peers holders; do
		mkdir "$HOST_CG/$child" || return 1
	done
}

# Private /run (with the engine's data), /etc and /sys, on memory that goes with the namespace. runc
# finds systemd, which makes its scopes, by the links.
host_make_mounts() {
	nsenter -t "$HOST_PID" -m -n -- /bin/sh -eu -s -- "$HOST_ID" "$HOST_CGROUP_DRIVER" <<-'SCRIPT'
		mount -t tmpfs -o size=1g,mode=755 "jfhost-$1" /run
		mkdir -p /run/lock /run/jobfence /run/host/upper /run/host/work /run/host/cgroup
		mount -t overlay -o lowerdir=/etc,upperdir=/run/host/upper,workdir=/run/host/work \
			overlay /etc
		printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n' >/etc/hosts
		printf 'nameserver 198.51.100.80\n' >/etc/resolv.conf
		rm -rf /etc/docker /etc/jobfence /etc/default/jobfence
		mount --rbind /sys/fs/cgroup /run/host/cgroup
		mount -t sysfs sysfs /sys
		mount --rbind /run/host/cgroup /sys/fs/cgroup
		umount -l /run/host/cgroup
		if [ "$2" = systemd ]; then
			ln -s /proc/1/root/run/systemd /proc/1/root/run/dbus /run
		fi
		if [ -d /root/.dstack ]; then mount -t tmpfs tmpfs /root/.dstack; fi
	SCRIPT
}

host_make_network() {
	nsenter -t "$HOST_PID" -n -- ip -batch - <<-END || return 1
		link set lo up
		link add lan0 type veth peer name eth0 netns $LAN_PID
		link add wan0 type veth peer name eth0 netns $INET_PID
	END
	nsenter -t "$HOST_PID" -n -- /bin/sh -eu -s -- "${HOST_BRNF:-1}" <<-'END' || return 1
		cd /proc/sys/net
		echo 1 >ipv4/ip_forward
		echo 1 >ipv6/conf/all/forwarding
		for dev in all default lan0 wan0; do
			echo 0 >ipv6/conf/$dev/accept_dad
			echo 0 >ipv6/conf/$dev/accept_ra
			echo 0 >ipv6/conf/$dev/disable_ipv6
		done
		for family in ip ip6; do
			file=bridge/bridge-nf-call-${family}tables
			if [ -e $file ]; then echo "$1" >$file; fi
		done
	END
	nsenter -t "$HOST_PID" -n -- ip -batch - <<-END || return 1
		addr add $HOST_LAN4/24 dev lan0
		addr add $HOST_LAN6/64 dev lan0 nodad
		addr add $HOST_WAN4/24 dev wan0
		addr add $HOST_WAN6/64 dev wan0 nodad
		link set lan0 up
		link set wan0 up
		route add default via $ROUTER4
		route add ::/0 via $ROUTER6
	END
	# The LAN peer is no friend: it knows the way to the containers.
	nsenter -t "$LAN_PID" -n -- ip -batch - <<-END || return 1
		link set lo up
		addr add $LAN4/24 dev eth0
		addr add $LAN6/64 dev eth0 nodad
		link set eth0 up
		route add default via $HOST_LAN4
		route add ::/0 via $HOST_LAN6
	END
	nsenter -t "$INET_PID" -n -- ip -batch - <<-END
		link set lo up
		addr add $INET4/32 dev lo
		addr add $INET6/128 dev lo nodad
		addr add $ROUTER4/24 dev eth0
		addr add $ROUTER6/64 dev eth0 nodad
		link set eth0 up
	END
}

host_make_peers() {
	lan_exec "$HOST_BIN/serve" -b tcp:0.0.0.0:8080=lan 'tcp:[::]:8080=lan' \
		udp:0.0.0.0:8080=lan 'udp:[::]:8080=lan' &&
		inet_exec "$HOST_BIN/serve" -b tcp:0.0.0.0:443=inet 'tcp:[::]:443=inet' \
			udp:0.0.0.0:53=inet 'udp:[::]:53=inet'
}

host_remember() {
	local var

	for var in HOST_NAME HOST_ID HOST_DIR HOST_CG HOST_CGROUP_DRIVER HOST_CGROUP_PARENT \
		HOST_ENGINE_CGROUP HOST_PID LAN_PID INET_PID; do
		printf '%s=%q\n' "$var" "${!var}"
	done >"$HOST_DIR/env"
}

# host_up NAME: makes a private host and its engine, and uses it.
#   HOST_ENGINE=0              without an engine (engine_start makes one later)
#   HOST_USERLAND_PROXY=false  published ports by DNAT alone
#   HOST_LIVE_RESTORE=true     containers outlive their engine
#   HOST_BRNF=0                bridge-nf-call-{ip,ip6}tables off
#   HOST_CGROUP_DRIVER=systemd containers in systemd's scopes (needs systemd and cgroup v2 alone)
#   HOST_FORWARD=DROP          Docker's policy for what it does not know (ACCEPT)
host_up() {
	HOST_NAME=$1 HOST_ID=$$-$1 HOST_PID='' LAN_PID='' INET_PID=''
	HOST_DIR=$HOST_STATE/$HOST_ID
	host_choose_cgroups
	host_needs && "$HOST_HERE/build-tools.sh" "$HOST_CACHE" || return 1
	# Again, because another script's last host may just be taking the parent folder with it.
	(umask 077 && host_wait 1000 mkdir -p "$HOST_DIR/containers") || return 1
	echo "$$ $(host_start_time $$)" >"$HOST_DIR/owner"
	host_make_cgroups || return 1
	host_hold -m -n && HOST_PID=$HOST_HELD || return 1
	host_hold -n && LAN_PID=$HOST_HELD || return 1
	host_hold -n && INET_PID=$HOST_HELD || return 1
	host_make_mounts && host_make_network && host_make_peers && host_remember || return 1
	[ "${HOST_ENGINE:-1}" = 0 ] || engine_start
}

# host_use NAME: the functions act on this host from now on.
host_use() {
	[ -e "$HOST_STATE/$$-$1/env" ] || { host_fail "no host '$1' is up"; return 1; }
	# shellcheck source=/dev/null
	. "$HOST_STATE/$$-$1/env"
}

# host_brnf 0|1: br_netfilter's effect on this host.
host_brnf() {
	host_exec sh -c "for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do echo $1 >\$f; done"
}

# --- the engine ----------------------------------------------------------------------------------

engine_config() {
	local parent=$HOST_CGROUP_PARENT

	[ "$HOST_CGROUP_DRIVER" = cgroupfs ] || parent=${parent#/}
	cat <<-END
		{
		  "hosts": ["unix:///run/docker.sock", "unix://$HOST_DIR/docker.sock"],
		  "data-root": "/run/docker-data",
		  "exec-root": "/run/docker",
		  "pidfile": "/run/docker.pid",
		  "storage-driver": "overlay2",
		  "exec-opts": ["native.cgroupdriver=$HOST_CGROUP_DRIVER"],
		  "cgroup-parent": "$parent",
		  "bip": "$HOST_GW4/16",
		  "ipv6": true,
		  "fixed-cidr-v6": "fd00:d0c::/64",
		  "experimental": true,
		  "ip6tables": true,
		  "userland-proxy": ${HOST_USERLAND_PROXY:-true},
		  "live-restore": ${HOST_LIVE_RESTORE:-false},
		  "shutdown-timeout": 1
		}
	END
}

engine_answers() { docker_h version >/dev/null 2>&1 || ! engine_runs; }
engine_runs() { [ -s "$HOST_DIR/engine" ] && [ -d "/proc/$(<"$HOST_DIR/engine")" ]; }

# engine_start: starts (again) the engine of this host and waits until it answers.
engine_start() {
	[ -e "$HOST_DIR/daemon.json" ] || engine_config >"$HOST_DIR/daemon.json"
	rm -f "$HOST_DIR/docker.sock" "$HOST_DIR/engine"
	host_spawn engine "$HOST_DIR/dockerd.log" reaper "$HOST_DIR/engine" \
		"${HOST_DOCKERD:-dockerd}" --config-file "$HOST_DIR/daemon.json"
	disown "$HOST_SPAWNED"
	host_wait 5000 test -S "$HOST_DIR/docker.sock"
	if ! host_wait 30000 engine_answers || ! engine_runs; then
		tail -n 20 "$HOST_DIR/dockerd.log" >&2
		host_fail "the engine did not come up"
		return 1
	fi
	if ! docker_h image inspect "$HOST_IMAGE" >/dev/null 2>&1; then
		docker_h import "$HOST_CACHE/image.tar" "$HOST_IMAGE" >/dev/null || return 1
	fi
	engine_forward
}

# Docker closes FORWARD only where it was the first to switch forwarding on, and differently for IPv4 and
# IPv6. Tests want it open: what Docker stops already proves nothing about jobfence.
engine_forward() {
	local policy=${HOST_FORWARD:-ACCEPT}

	host_exec iptables -P FORWARD "$policy" && host_exec ip6tables -P FORWARD "$policy"
}

engine_gone() { ! engine_runs; }

# engine_signal SIGNAL: engine_signal KILL is a crash, engine_signal STOP a hang.
engine_signal() { kill -s "$1" "$(<"$HOST_DIR/engine")"; }

# engine_stop: in order; containers stop too unless HOST_LIVE_RESTORE.
engine_stop() { engine_signal TERM && host_wait 20000 engine_gone; }
# engine_kill: a crash.
engine_kill() { engine_signal KILL && host_wait 5000 engine_gone; }

# --- taking it down ------------------------------------------------------------------------------

# Kills what is in it, in every hierarchy removes what is empty; succeeds when nothing is left. May be
# asked again and again: a process that was just being born comes late.
host_remove_cgroup() {
	local hierarchy left=0

	if [ -e "$HOST_UNIFIED/$1/cgroup.kill" ]; then
		echo 1 >"$HOST_UNIFIED/$1/cgroup.kill"
	fi
	for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
		[ -d "$hierarchy/$1" ] || continue
		find "$hierarchy/$1" -depth -type d -exec rmdir {} + 2>/dev/null
		[ ! -d "$hierarchy/$1" ] || left=1
	done
	return $left
}

# The same with the systemd driver, first of all: host_remove_in_slice NAME. The scopes of a host's
# containers are known by the engine's data, which live as long as the holder of the host's mounts.
host_remove_in_slice() {
	local cgroup=system.slice/$1 pid id left=0

	[ -d "$HOST_UNIFIED/$cgroup" ] || return 0
	host_remove_cgroup "$cgroup/engine" || return 1
	for pid in $(cat "$HOST_UNIFIED/$cgroup/holders/cgroup.procs" 2>/dev/null); do
		# The peers' holders have the machine's own files.
		[ -d "/proc/$pid/root/run/host/upper" ] || continue
		for id in "/proc/$pid/root/run/docker-data/containers"/*/; do
			host_remove_cgroup "system.slice/docker-$(basename "$id").scope" || left=1
		done
	done
	[ $left = 0 ] && host_remove_cgroup "$cgroup"
}

# Removes whatever there is of a host, known by nothing but its id. The engine goes first, so that
# nobody makes containers any more.
host_destroy() {
	local id=$1

	if host_wait 10000 host_remove_in_slice "jfhost-$id" &&
		host_wait 10000 host_remove_cgroup "jfhost-$id" &&
		host_wait 10000 host_remove_cgroup "jfhost-$id-jobs"; then
		rm -rf "${HOST_STATE:?}/$id"
	else
		host_fail "could not remove all of $id"
	fi
}

# host_down [NAME]: takes a host down (the one in use), whole, in well under a second.
host_down() {
	local name=${1:-$HOST_NAME}

	[ -n "$name" ] || return 0
	host_destroy "$$-$name"
}

# All hosts of this script. Called at exit; a script with its own EXIT trap calls it there.
host_down_all() {
	local dir

	trap '' HUP INT TERM
	for dir in "$HOST_STATE/$$"-*/; do
		[ -d "$dir" ] && host_destroy "$(basename "$dir")"
	done
	rmdir "$HOST_STATE" 2>/dev/null
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	return 0
}

# A process of another pid namespace reads as 0: its host is somebody's whom nobody here can see.
host_owner_lives() {
	local pid start

	! grep -qsxr --include=cgroup.procs 0 "$HOST_UNIFIED/jfhost-$1" "$HOST_UNIFIED/jfhost-$1-jobs" \
		"$HOST_UNIFIED/system.slice/jfhost-$1" || return 0
	[ -e "$HOST_STATE/$1/owner" ] || { [ -d "/proc/${1%%-*}" ]; return; }
	read -r pid start <"$HOST_STATE/$1/owner"
	[ "$(host_start_time "$pid")" = "$start" ]
}

# host_cleanup_stale: removes hosts whose script was killed.
host_cleanup_stale() {
	local path id

	for path in "$HOST_STATE"/*/ "$HOST_UNIFIED"/jfhost-*/ \
		"$HOST_UNIFIED"/system.slice/jfhost-*/; do
		[ -d "$path" ] || continue
		id=$(basename "$path")
		id=${id#jfhost-}
		id=${id%-jobs}
		host_owner_lives "$id" || host_destroy "$id"
	done
	rmdir "$HOST_STATE" 2>/dev/null
	return 0
}

trap host_down_all EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck source=tests/host/containers.sh
. "$HOST_HERE/containers.sh"
# shellcheck source=tests/host/daemon.sh
. "$HOST_HERE/daemon.sh"
