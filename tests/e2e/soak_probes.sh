# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # tests/soak uses them
#
# What tests/soak hammers with: the rows of flows.table that a probe can try over and over, one process
# of tools/hammer.c for each who dials, and how what they wrote down is judged. Part of tests/soak.
#
# An allowed flow may fail for a reason that is none of jobfence's: a fault names a class of flows and the
# time in which it explains that (excuse). What fails at another time, or is of no such class, is a false
# block. A forbidden flow has no excuse.

declare -A PROBES=()   # [who] the hammer's arguments
declare -A PROBE_SEEN=()
HAMMERS=()             # pids
HAMMER_EVERY=${HAMMER_EVERY:-100}
FORBIDDEN=0 ALLOWED=0 HELD=0

# probe_add WHO ID SPEC CLASSES: classes are words with commas around them.
probe_add() {
	[ -z "${PROBE_SEEN[$2]-}" ] || return 0
	PROBE_SEEN[$2]=1
	PROBES[$1]+=" $2=$3"
	echo "$2 $4" >>"$FLOW_DIR/classes"
	case $3 in
	*,shut,*) FORBIDDEN=$((FORBIDDEN + 1)) ;;
	hold,*) HELD=$((HELD + 1)) ;;
	*) ALLOWED=$((ALLOWED + 1)) ;;
	esac
}

# In modes 1, 2 and 3, or in 1 and 2 alone (a host job's, class "hostjob"): REPLY open or shut, else fails.
probe_want() { # ROW
	local mode want

	REPLY=''
	for mode in 1 2; do
		want=shut
		[ "${ROW_WANT[$1 $mode]}" != open ] || want=open
		[ "${REPLY:-$want}" = "$want" ] || return 1
		REPLY=$want
	done
	[ "${ROW_WANT[$1 1]}" != - ] || return 1
	want=${ROW_WANT[$1 3]}
	[ "$REPLY" = open ] || [ "$want" != open ]
}

# What of a private host beside jobfence a flow depends on, in REPLY: probe_classes ROW
probe_classes() {
	local from=${ROW_FROM[$1]} to=${ROW_TO[$1]} C_IP4='' C_ID C_PID C_IP6 C_APP C_NAME

	REPLY=,
	case $from,${to%%:*} in
	eta,delta | delta,eta) REPLY+=forward,nat, ;; # masqueraded between bridges too
	esac
	[ "${ROW_WANT[$1 3]}" = open ] || REPLY+=hostjob,
	case ${to#*:} in
	*.app) ;;
	*.*) REPLY+=published, ;;
	esac
	case $from in
	host | session | engine | lan | inet) return ;;
	iota) C_IP4=yes ;;
	*) container_facts "$from" ;;
	esac
	[ -n "$C_IP4" ] || return 0
	case ${to%%:*} in
	lan | inet | private | resolver | meta* | shared | narrow | router) REPLY+=nat, ;;
	esac
}

probe_row() { # FLOW
	local row=${FLOW_ROW[$1]} ip=${FLOW_IP[$1]} who=${FLOW_WHO[$1]} how args want classes id end REPLY

	how=${ROW_HOW[$row]}
	case $how,${ROW_ANSWER[$row]} in
	*,refused | *,unreach | *,exceeded | *,toobig) return 0 ;; # no server's answer
	tcp,* | udp,* | icmp,*) ;;
	*) return 0 ;;
	esac
	probe_want "$row" || return 0
	want=$REPLY
	probe_classes "$row"
	classes=$REPLY
	# "--udp ADDR PORT", "--ping ADDR", "ADDR PORT"
	read -ra args <<<"${FLOW_ARGS[$1]}"
	[[ ${args[0]} != --* ]] || args=("${args[@]:1}")
	end=${args[0]},${args[1]-},${ROW_ANSWER[$row]}
	id="$who>${ROW_TO[$row]}/$how$ip"
	probe_add "$who" "$id" "$how,$want,$end" "$classes"
	[ "$how $want" != "tcp open" ] || probe_add "$who" "$who>${ROW_TO[$row]}/held$ip" "hold,open,$end" "$classes"
}

probes_from_table() {
	local flow

	table_read "$HERE/e2e/flows.table"
	scene_flows main
	for flow in "${!FLOW_ROW[@]}"; do probe_row "$flow"; done
}

# --- running them ----------------------------------------------------------------------------------

hammer_spawn() { # WHO LOG COMMAND…
	local who=$1 log=$2

	shift 2
	case $who in
	session) host_spawn host/session "$log" "$@" && disown "$HOST_SPAWNED" ;;
	engine) host_spawn engine "$log" "$@" && disown "$HOST_SPAWNED" ;;
	*) spawn_from "$who" "$log" "$@" ;;
	esac
}

# hammers_start PHASE: figures and events in FLOW_DIR/PHASE.WHO.{count,log}
hammers_start() {
	local who port=36000 # and PORTS_MAX of hammer.c for each

	HAMMERS=()
	for who in "${!PROBES[@]}"; do
		# shellcheck disable=SC2086 # arguments
		hammer_spawn "$who" "$FLOW_DIR/$1.$who.log" hammer --every "$HAMMER_EVERY" --ports $port ${PROBES[$who]} \
			3>"$FLOW_DIR/$1.$who.count" || return 1
		HAMMERS+=("$HOST_SPAWNED")
		port=$((port + 1700))
	done
}

hammers_alive() {
	local pid n=0

	for pid in "${HAMMERS[@]}"; do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != hammer ] || n=$((n + 1))
	done
	echo "$n"
}

hammers_stop() {
	local pid

	for pid in "${HAMMERS[@]}"; do kill "$pid" 2>/dev/null; done
	for pid in "${HAMMERS[@]}"; do host_wait 3000 process_is_gone "$pid"; done
}

process_is_gone() { [ ! -e "/proc/$1" ]; }

# --- judging ---------------------------------------------------------------------------------------

# excuse CLASS FROM TO FAULT: for flows of that class ("*": any) that were under way in that time.
excuse() { echo "$*" >>"$FLOW_DIR/excuses"; }

phase_counts() { cat "$FLOW_DIR/$1".*.count "$HOST_DIR"/runners/*/"$1".*.count 2>/dev/null; }
phase_events() { cat "$FLOW_DIR/$1".*.log "$HOST_DIR"/runners/*/"$1".*.log 2>/dev/null | grep -E '^[0-9]+ [0-9]+ '; }

# Flows that were not open even once: control_missing PHASE
control_missing() {
	phase_counts "$1" | awk '{ n[$1] += $5 } END { for (id in n) if (!n[id]) print id }' | sort
}

# counted PHASE: ATTEMPTS-FORBIDDEN ATTEMPTS-ALLOWED MESSAGES LEAST-OF-A-FORBIDDEN-FLOW LEAST-OF-AN-ALLOWED
counted() {
	phase_counts "$1" | awk '
		{ n[$1] += $4; want[$1] = $3 == "hold" ? "hold" : $2 }
		END {
			for (id in n) {
				sum[want[id]] += n[id]
				if (!(want[id] in least) || n[id] < least[want[id]])
					least[want[id]] = n[id]
			}
			print sum["shut"] + 0, sum["open"] + 0, sum["hold"] + 0, least["shut"] + 0, least["open"] + 0
		}'
}

# judged PHASE: a line "KIND FAULT|- EVENT" for all that was not as wanted. KIND: leak; leak-apart, while
# foreign hands had taken the fence away; fail, cut or late; excused, by FAULT.
judged() {
	phase_events "$1" | awk -v classes="$FLOW_DIR/classes" -v excuses="$FLOW_DIR/excuses" '
		BEGIN {
			n = 0
			while ((getline line <classes) > 0) { split(line, f, " "); class[f[1]] = f[2] }
			while ((getline line <excuses) > 0) {
				split(line, f, " ")
				kind[n] = f[1]; from[n] = f[2]; to[n] = f[3]; fault[n++] = f[4]
			}
		}
		# A connection that began without NAT has an entry in conntrack that has none, and so have those
		# that use its ports again in the two minutes that the kernel keeps it.
		function explains(i) {
			if ($1 < from[i] || (kind[i] == "nat" || kind[i] == "published" ? since : $2) > to[i]) return 0
			if ($4 == "leak") return kind[i] == "leak"
			return kind[i] == "*" || index(class[$3], "," kind[i] ",")
		}
		# They were written down as the faults ended: those long before it began need no look.
		function explanation(  i) {
			for (i = n - 1; i >= 0 && to[i] + 10000 >= since; i--)
				if (explains(i)) return i
			return -1
		}
		{
			since = match($5, /since=[0-9]+/) ? substr($5, RSTART + 6, RLENGTH - 6) + 0 : $2
			i = explanation()
			if (i < 0) print $4, "-", $0
			else print ($4 == "leak" ? "leak-apart" : "excused"), fault[i], $0
		}'
}
