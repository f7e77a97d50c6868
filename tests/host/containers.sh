# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Containers of a private host, as dstack's shim makes them (labels, names, mounts, bindings, limits,
# listeners), and bystanders. Part of host.sh. Each has a short alias; what Docker said of it is kept
# in a file, so that asking for an address costs no call to the engine.

container_hex() { od -An -N4 -tx4 /dev/urandom | tr -d ' '; }

# Reads a container's facts into C_*: container_facts ALIAS
container_facts() {
	local file=$HOST_DIR/containers/$1

	[ -e "$file" ] || { host_fail "no container '$1'"; return 1; }
	# shellcheck source=/dev/null
	. "$file"
}

# container_refresh ALIAS: asks the engine again, after a restart or a network change.
container_refresh() {
	local format

	# shellcheck disable=SC2016 # Go's variables
	format='C_ID={{.Id}}
C_NAME={{slice .Name 1}}
C_PID={{.State.Pid}}
C_SANDBOX={{.NetworkSettings.SandboxKey}}
{{range .NetworkSettings.Networks}}C_IP4={{.IPAddress}}
C_IP6={{.GlobalIPv6Address}}
C_MAC={{.MacAddress}}
{{end}}{{range $port, $to := .NetworkSettings.Ports}}{{if $to}}C_PORT_{{$port}}={{'
	# shellcheck disable=SC2016 # the same
	format+='(index $to 0).HostPort}}
{{end}}{{end}}'
	docker_h inspect -f "$format" "$(container_id "$1")" >"$HOST_DIR/containers/$1.new" || return 1
	sed -i 's|^\(C_PORT_[0-9]*\)/|\1_|' "$HOST_DIR/containers/$1.new"
	grep '^C_APP=' "$HOST_DIR/containers/$1" >>"$HOST_DIR/containers/$1.new"
	mv "$HOST_DIR/containers/$1.new" "$HOST_DIR/containers/$1"
}

container_id() { container_fact "$1" C_ID; }
container_name() { container_fact "$1" C_NAME; }
container_pid() { container_fact "$1" C_PID; }
container_ip4() { container_fact "$1" C_IP4; }
container_ip6() { container_fact "$1" C_IP6; }
container_mac() { container_fact "$1" C_MAC; }
container_app() { container_fact "$1" C_APP; } # the port of its own service
# container_port ALIAS PORT[_udp]: where the host publishes it
container_port() {
	case $2 in
	*_*) container_fact "$1" "C_PORT_$2" ;;
	*) container_fact "$1" "C_PORT_$2_tcp" ;;
	esac
}
container_cgroup() {
	local C_CGROUP

	container_place "$(container_id "$1")"
	echo "$C_CGROUP"
}

container_fact() {
	# shellcheck disable=SC2034 # the file sets them, $2 names one
	local C_ID='' C_NAME='' C_PID='' C_SANDBOX='' C_IP4='' C_IP6='' C_MAC='' C_APP=''

	container_facts "$1" && echo "${!2}"
}

# docker run, noted under an alias: container_run ALIAS APP-PORT DOCKER-ARGUMENTS…
container_run() {
	local alias=$1 app=$2 id

	shift 2
	id=$(docker_h run -d "$@") || return 1
	printf 'C_ID=%s\nC_APP=%s\n' "$id" "$app" >"$HOST_DIR/containers/$alias"
	container_refresh "$alias"
}

# The next free port for the service of a container on the host's network.
container_host_port() {
	local n=0

	[ -e "$HOST_DIR/next-port" ] && n=$(<"$HOST_DIR/next-port")
	echo $((n + 1)) >"$HOST_DIR/next-port"
	echo $((8100 + n))
}

# What dstack's shim asks Docker for, without image and command, in JOB_ARGS:
# job_arguments PLACEMENT ALIAS part|whole
job_arguments() {
	local placement=$1 alias=$2 size=$3 name dir

	name=$alias-${JOB_NUMBER:-0}-${JOB_REPLICA:-0}-$(container_hex)
	dir=$HOST_DIR/runners/$name
	mkdir -p "$dir"
	JOB_ARGS=(--name "$name" --network "$placement"
		--label ai.dstack.shim.is-task=true
		--label "ai.dstack.shim.task-id=$(</proc/sys/kernel/random/uuid)"
		--mount "type=bind,source=$dir,target=/tmp/runner"
		--mount "type=bind,source=$HOST_BIN/dstack-runner,target=/usr/local/bin/dstack-runner")
	case $placement in
	host | none | container:*) ;;
	*) JOB_ARGS+=(-p 127.0.0.1::10999 -p 127.0.0.1::10022) ;;
	esac
	case $size in
	part) JOB_ARGS+=(--cpus 1 --memory 64m) ;;
	whole) ;;
	*) host_fail "job '$alias': size '$size' is neither part nor whole" ;;
	esac
}

# Takes [part|whole] off the arguments into JOB_SIZE; JOB_SHIFT says how many were taken.
job_size() {
	JOB_SIZE=part JOB_SHIFT=0
	[ "$1" = host ] && JOB_SIZE=whole
	case ${2-} in
	part | whole) JOB_SIZE=$2 JOB_SHIFT=1 ;;
	esac
}

# The listeners of a job in SERVE_ARGS: job_listeners PLACEMENT ALIAS APP-PORT. As dstack's runner:
# every address in a container's own namespace, 127.0.0.1 on the host's.
job_listeners() {
	local alias=$2 app=$3 runner=(tcp:0.0.0.0:10999 'tcp:[::]:10999') end

	[ "$1" = host ] && runner=(tcp:127.0.0.1:10999)
	SERVE_ARGS=(-k)
	for end in "${runner[@]}"; do
		SERVE_ARGS+=("$end=$alias:runner")
	done
	for end in '0.0.0.0' '[::]'; do
		SERVE_ARGS+=("tcp:$end:10022=$alias:sshd" "tcp:$end:$app=$alias:app"
			"udp:$end:$app=$alias:app")
	done
}

# job_start PLACEMENT ALIAS [part|whole] [DOCKER-ARGUMENTS…]: a running job. PLACEMENT is bridge,
# host, none, container:ID or a network's name; part is the default, on the host's network whole.
# JOB_NUMBER and JOB_REPLICA (0) go into its name, JOB_APP is its service's port.
job_start() {
	local placement=$1 alias=$2 app=${JOB_APP:-8000} JOB_ARGS SERVE_ARGS JOB_SIZE JOB_SHIFT

	shift 2
	job_size "$placement" "${1-}"
	shift "$JOB_SHIFT"
	[ "$placement" = host ] && app=${JOB_APP:-$(container_host_port)}
	job_arguments "$placement" "$alias" "$JOB_SIZE" || return 1
	job_listeners "$placement" "$alias" "$app"
	container_run "$alias" "$app" "${JOB_ARGS[@]}" "$@" "$HOST_IMAGE" /bin/serve "${SERVE_ARGS[@]}"
}

# job_run PLACEMENT ALIAS [part|whole] [DOCKER-ARGUMENTS…] -- CMD…: a job whose first process is CMD;
# waits for its end, gives its output and exit code, and removes it.
job_run() {
	local placement=$1 alias=$2 docker=() JOB_ARGS JOB_SIZE JOB_SHIFT

	shift 2
	job_size "$placement" "${1-}"
	shift "$JOB_SHIFT"
	while [ "$1" != -- ]; do
		docker+=("$1")
		shift
	done
	shift
	job_arguments "$placement" "$alias" "$JOB_SIZE" || return 1
	docker_h run --rm "${JOB_ARGS[@]}" "${docker[@]}" "$HOST_IMAGE" "$@"
}

# bystander_start ALIAS [DOCKER-ARGUMENTS…]: a container that is no job, with a service on its port.
bystander_start() {
	local alias=$1 app=8000 end SERVE_ARGS=(-k)

	shift
	case " $* " in
	*' --network host '* | *' --net host '* | *'=host '*) app=$(container_host_port) ;;
	esac
	for end in '0.0.0.0' '[::]'; do
		SERVE_ARGS+=("tcp:$end:$app=$alias" "udp:$end:$app=$alias")
	done
	container_run "$alias" "$app" --name "$alias" "$@" "$HOST_IMAGE" /bin/serve "${SERVE_ARGS[@]}"
}

# job_exec ALIAS CMD…: a process of the container in 2 ms: its cgroup, namespaces and capabilities.
job_exec() {
	local C_ID C_PID C_CGROUP alias=$1

	shift
	container_facts "$alias" || return 3
	container_place "$C_ID"
	"$HOST_BIN/inside" "$C_CGROUP" "$C_PID" "$@"
}

# in_container ALIAS CMD…: the same by docker exec, with seccomp and all.
in_container() {
	local id

	id=$(container_id "$1") || return 3
	shift
	docker_h exec "$id" "$@"
}

# container_rm ALIAS…: kills and removes.
container_rm() {
	local alias ids=()

	for alias in "$@"; do
		ids+=("$(container_id "$alias")")
		rm -f "$HOST_DIR/containers/$alias"
	done
	docker_h rm -f "${ids[@]}" >/dev/null
}

# shim_start [ADDRESS]: dstack's shim and the DCGM exporter as host processes (127.0.0.1), and the
# host's own listeners: sshd (22), an exporter on every address (9100), a stub resolver.
shim_start() {
	shim_restart "${1-}" &&
		host_exec serve -b tcp:0.0.0.0:22=sshd 'tcp:[::]:22=sshd' \
			tcp:0.0.0.0:9100=exporter 'tcp:[::]:9100=exporter' \
			udp:0.0.0.0:9100=exporter 'udp:[::]:9100=exporter' \
			udp:127.0.0.53:53=stub tcp:127.0.0.53:53=stub
}

# shim_stop: as while the shim restarts. shim_restart [ADDRESS]: the shim and the exporter alone.
shim_stop() { kill "$(<"$HOST_DIR/shim.pid")" && host_wait 2000 shim_gone; }
shim_gone() { ! grep -qs serve "/proc/$(<"$HOST_DIR/shim.pid")/cmdline"; }
shim_restart() {
	local addr=${1:-127.0.0.1}

	host_exec serve -b -p "$HOST_DIR/shim.pid" "tcp:$addr:10998=shim" "tcp:$addr:10997=dcgm"
}
