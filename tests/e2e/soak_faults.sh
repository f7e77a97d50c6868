# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # tests/soak uses them
#
# The faults that tests/soak plays, each a function fault_NAME that returns when it has been done to the
# host; what it explains by itself it says with `excuse`. Every choice is drawn from one generator, so that
# a seed tells the sequence. Part of tests/soak.

# As often as they are named here, in the long run.
FAULTS_ALL='kill kill term stop reload reload3 reload_bad containers containers engine_term engine_kill
engine_hang conntrack table element brnf attached network flush'
# The engine's own name for a container that comes and goes, by its alias.
declare -A CHURN_ID=()
CHURN=(c0 c1 c2 c3 c4 c5)
CHURN4=172.30.0.9 CHURN6=fd00:5ec::9
DETAIL=''

# draw N: 0 to N - 1, in REPLY. The same on every machine: no shell's own generator.
draw() {
	SEED=$(((SEED * 1103515245 + 12345) & 0x7fffffff))
	REPLY=$(((SEED >> 8) % $1))
}

pause_ms() { sleep "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }
# draw_pause LEAST MOST: for so many milliseconds
draw_pause() {
	local REPLY

	draw $(($2 - $1 + 1))
	pause_ms $(($1 + REPLY))
}

# --- containers that come and go -------------------------------------------------------------------

# What they try from their first instruction on, as arguments of a hammer.
churn_probes() { # bridge|host
	local port

	if [ "$1" = host ]; then
		port=$(container_port beta 10999)
		echo "churn>shim4=tcp,shut,127.0.0.1,10998 churn>shim6=tcp,shut,::1,10998" \
			"churn>dcgm=tcp,shut,127.0.0.1,10997 churn>published=tcp,shut,127.0.0.1,$port" \
			"churn>bridge4=tcp,shut,$(container_ip4 beta),10999" \
			"churn>bridge6=tcp,shut,$(container_ip6 beta),10999" \
			"churn>bridgeudp=udp,shut,$(container_ip4 zeta),8000"
	else
		echo "churn>host4=tcp,shut,$HOST_GW4,22 churn>host6=tcp,shut,$HOST_GW6,22" \
			"churn>hostudp=udp,shut,$HOST_LAN4,9100 churn>job4=tcp,shut,$(container_ip4 beta),10999" \
			"churn>job6=tcp,shut,$(container_ip6 beta),10999 churn>jobudp=udp,shut,$(container_ip6 beta),8000" \
			"churn>proxy=tcp,shut,$HOST_GW4,18000 churn>meta=tcp,shut,$META4,80" \
			"churn>private=tcp,shut,$PRIVATE6,22 churn>lan=udp,shut,$LAN4,8080"
	fi
}

# churn_create ALIAS: made anew, not started.
churn_create() {
	local alias=$1 placement=bridge JOB_ARGS SERVE_ARGS options=(--every 50)

	case $alias in
	c1) set -- --name c1 ;;
	c4) set -- --name c4 --network second --ip $CHURN4 --ip6 $CHURN6 ;;
	*)
		case $alias in
		c2) placement=host ;;
		c3) placement=second ;;
		esac
		job_arguments "$placement" "$alias" part
		set -- "${JOB_ARGS[@]}"
		[ "$alias" != c3 ] || set -- "$@" --ip $CHURN4 --ip6 $CHURN6
		[ "$alias" != c5 ] || set -- "$@" -p 18005:8000
		;;
	esac
	if [[ $alias == c[14] ]]; then
		SERVE_ARGS=("tcp:0.0.0.0:8000=$alias" "tcp:[::]:8000=$alias" "udp:0.0.0.0:8000=$alias")
		CHURN_ID[$alias]=$(docker_h create "$@" "$HOST_IMAGE" /bin/serve -k "${SERVE_ARGS[@]}")
	else
		job_listeners "$placement" "$alias" 8505
		# shellcheck disable=SC2046 # arguments
		CHURN_ID[$alias]=$(docker_h create "$@" "$HOST_IMAGE" /bin/hammer "${options[@]}" \
			--into "/tmp/runner/$PHASE" $(churn_probes $placement) -- /bin/serve "${SERVE_ARGS[@]}" \
			"tcp:0.0.0.0:8000=$alias:app" 'tcp:[::]:8000=app')
	fi
	[ -n "${CHURN_ID[$alias]}" ]
}

# From those who stay to those who come and go.
churn_targets() {
	local end

	for end in "$CHURN4,10999" "$CHURN6,10999" "$CHURN4,8000"; do
		probe_add alpha "alpha>c3:$end" "tcp,shut,$end" ,
		probe_add gamma "gamma>c3:$end" "tcp,shut,${end/8000/10022}" ,
		probe_add lan "lan>c3:$end" "tcp,shut,${end/8000/10022}" ,
		probe_add delta "delta>c3:$end" "tcp,shut,${end/8000/10022}" ,
		probe_add eta "eta>c3:$end" "tcp,shut,${end/8000/10022}" ,
	done
	probe_add gamma "gamma>c5:published" "tcp,shut,127.0.0.1,18005" ,
	probe_add lan "lan>c5:published" "tcp,shut,$HOST_LAN4,18005" ,
	probe_add alpha "alpha>c5:published" "tcp,shut,$HOST_GW4,18005" ,
}

api() { # METHOD PATH [JSON]
	curl -sS --max-time 20 --unix-socket "$HOST_DIR/docker.sock" -X "$1" "http://docker$2" \
		${3:+-H 'Content-Type: application/json' -d "$3"} 2>&1
}

churn_do() { # ALIAS ACTION
	local id=${CHURN_ID[$1]}

	case $2 in
	start) api POST "/containers/$id/start" ;;
	kill) api POST "/containers/$id/kill" ;;
	restart) api POST "/containers/$id/restart?t=0" ;;
	pause)
		api POST "/containers/$id/pause"
		sleep 0.2
		api POST "/containers/$id/unpause"
		;;
	rename) api POST "/containers/$id/rename?name=$1-0-0-$(container_hex)" ;;
	connect) api POST /networks/third/connect "{\"Container\":\"$id\"}" ;;
	disconnect) api POST /networks/third/disconnect "{\"Container\":\"$id\",\"Force\":true}" ;;
	esac >>"$FLOW_DIR/churn.log"
}

# draw_churn N: N of ALIAS:ACTION, in REPLY. A container that is made anew is drawn by the caller alone: its
# number has to be known to this shell.
draw_churn() {
	local n=$1 alias all=() actions=(start start start kill kill restart restart pause rename connect disconnect)

	while [ $((n--)) -gt 0 ]; do
		draw ${#CHURN[@]}
		alias=${CHURN[REPLY]}
		draw ${#actions[@]}
		all+=("$alias:${actions[REPLY]}")
	done
	REPLY=${all[*]}
}

churn_all() { # ALIAS:ACTION…
	local one

	for one; do churn_do "${one%:*}" "${one#*:}"; done
}

# The same in the background; churn_end waits for it.
churn_begin() {
	churn_all "$@" &
	CHURN_PID=$!
}
churn_end() { wait "$CHURN_PID"; }

fault_containers() {
	local REPLY alias

	draw ${#CHURN[@]}
	alias=${CHURN[REPLY]}
	docker_h rm -f "${CHURN_ID[$alias]}" >/dev/null 2>&1
	churn_create "$alias" 2>>"$FLOW_DIR/churn.log"
	churn_do "$alias" start
	draw_churn 5
	DETAIL="$alias anew, $REPLY"
	# shellcheck disable=SC2086
	churn_all $REPLY
}

# --- the daemon ------------------------------------------------------------------------------------

daemon_falls() { # kill|stop
	local REPLY

	draw_churn 4
	DETAIL=$REPLY
	# shellcheck disable=SC2086
	churn_begin $REPLY
	draw_pause 0 400
	jobfence_"$1" || return 1
	draw_pause 0 1200
	jobfence_start
	churn_end
}

fault_kill() { daemon_falls kill; }
fault_term() { daemon_falls stop; }

fault_stop() {
	local REPLY

	jobfence_signal STOP
	draw_churn 4
	DETAIL=$REPLY
	# shellcheck disable=SC2086
	churn_all $REPLY
	draw_pause 0 4000
	jobfence_signal CONT
}

soak_config() { # MODE [SECTIONS]
	echo "DSTACK_SERVER_JOB_NETWORK_MODE=$1" >"$HOST_DIR/mode.new"
	mv "$HOST_DIR/mode.new" "$HOST_DIR/mode"
	jobfence_config "[environment]
environment_file = $HOST_DIR/mode
${2-$EGRESS}"
}

notify_count() { grep -c " $1=" "$HOST_DIR/notify.log"; }
notify_more() { [ "$(notify_count "$1")" -gt "$2" ]; }

reload() { # MODE [SECTIONS]
	local before

	soak_config "$@"
	before=$(notify_count READY)
	jobfence_signal HUP
	host_wait 5000 notify_more READY "$before"
}

fault_reload() {
	reload 1 "$EGRESS
allow = 10.99.0.0/16, 10.99.1.0/24 udp 53
deny = 192.0.2.0/24, 2001:db8:ffff::/48" || return 1
	draw_pause 0 800
	reload 2
}

# Mode 3 quarantines host jobs: what they had is closed meanwhile, and shall be.
fault_reload3() {
	local since

	since=$(now_ms)
	reload 3 || return 1
	draw_pause 0 800
	reload 2
	jobfence_cli verify >/dev/null 2>&1
	excuse hostjob "$since" $(($(now_ms) + 5500)) reload3
}

fault_reload_bad() {
	soak_config 2 $'[egress]\nallow = no address'
	jobfence_signal HUP
	draw_pause 100 600
	reload 2
}

# --- the engine ------------------------------------------------------------------------------------

# docker-proxy goes and comes with it. Docker's own rules between bridges come first again, until they are
# put behind the host's.
docker_behind() {
	local tables

	# Docker keeps this one first, but has it for IPv4 only.
	host_exec iptables -D DOCKER-USER -j ACCEPT 2>/dev/null
	host_exec iptables -I DOCKER-USER -j ACCEPT || return 1
	for tables in iptables ip6tables; do
		host_exec $tables -D FORWARD -j ACCEPT 2>/dev/null
		host_exec $tables -I FORWARD -j ACCEPT || return 1
	done
}

engine_falls() { # stop|kill
	local since

	since=$(now_ms)
	engine_"$1" || return 1
	draw_pause 0 1500
	engine_start && docker_behind || return 1
	excuse published "$since" $(($(now_ms) + 500)) "engine_$1"
	excuse forward "$since" "$(now_ms)" "engine_$1"
}

fault_engine_term() { engine_falls stop; }
fault_engine_kill() { engine_falls kill; }

fault_engine_hang() {
	engine_signal STOP
	draw_pause 200 4000
	engine_signal CONT
}

# --- foreign hands ---------------------------------------------------------------------------------

# What conntrack knew of flows under way is gone. Docker's masquerading with it: a packet of the server that
# comes before the next of the client meets no connection, and the host itself resets it.
fault_conntrack() {
	local since

	since=$(now_ms)
	host_exec conntrack -F >/dev/null 2>&1
	host_exec conntrack -F -f ipv6 >/dev/null 2>&1
	excuse '*' "$since" "$(now_ms)" conntrack
	excuse nat "$since" $(($(now_ms) + 5500)) conntrack
}

fault_table() {
	host_exec nft -f - <<-'END' || return 1
		table inet foreign {
			set some { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 } }
			chain input { type filter hook input priority 5; ip saddr @some counter; }
		}
	END
	draw_pause 0 300
	host_exec nft delete table inet foreign
}

fence_is_owned() { host_exec nft list table inet jobfence 2>/dev/null | head -n 3 | grep -q 'flags.*owner'; }

# An element that opens something: refused where the tables are owned, healed where they are not.
fault_element() {
	local since port

	since=$(now_ms)
	port=$(host_exec nft -j list set bridge jobfence bystander_ports 2>/dev/null |
		grep -o '"veth[0-9a-z]*"' | head -n 1)
	DETAIL=$port
	[ -n "$port" ] || return 0
	if host_exec nft delete element bridge jobfence bystander_ports "{ $port }" 2>/dev/null; then
		! fence_is_owned || return 1
		heal
		excuse '*' "$since" "$(now_ms)" element
	fi
}

# Where the tables are owned a flush leaves them alone; Docker's own are put back by who flushed them.
fault_flush() {
	local since owned=''

	fence_is_owned && owned=yes
	DETAIL=${owned:+owned}
	since=$(now_ms)
	host_exec sh -c "iptables-save >$HOST_DIR/save4; ip6tables-save >$HOST_DIR/save6; nft flush ruleset
		iptables-restore <$HOST_DIR/save4; ip6tables-restore <$HOST_DIR/save6" 2>>"$FLOW_DIR/churn.log" || return 1
	excuse nat "$since" $(($(now_ms) + 5500)) flush
	excuse published "$since" "$(now_ms)" flush
	[ -z "$owned" ] || return 0
	heal
	excuse leak "$since" "$(now_ms)" flush
	excuse '*' "$since" $(($(now_ms) + 5500)) flush
}

fault_brnf() {
	local REPLY

	draw 2
	host_brnf "$REPLY"
	draw_pause 0 300
	host_brnf $((1 - REPLY))
}

# --- networks --------------------------------------------------------------------------------------

fault_attached() {
	host_exec ip link add soak0 type veth peer name soak1 && host_exec ip link set soak0 up &&
		host_exec ip addr add 192.0.2.129/25 dev soak0 &&
		host_exec ip addr add 2001:db8:5ab::1/64 dev soak0 nodad || return 1
	draw_pause 0 300
	host_exec ip route add 198.18.0.0/24 dev soak0
	draw_pause 0 300
	host_exec ip link del soak0
}

fault_network() {
	local since

	since=$(now_ms)
	docker_h network create --subnet 172.31.7.0/24 soak-net >/dev/null || return 1
	draw_pause 0 300
	docker_h network connect soak-net "${CHURN_ID[c0]}" 2>>"$FLOW_DIR/churn.log"
	draw_pause 0 200
	docker_h network disconnect -f soak-net "${CHURN_ID[c0]}" 2>>"$FLOW_DIR/churn.log"
	docker_h network rm soak-net >/dev/null
	# Docker takes its rules between bridges out and puts them first again.
	excuse forward "$since" "$(now_ms)" network
}
