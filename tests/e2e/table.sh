# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # the C_* are a container's facts
#
# Reads flows.table, tries its rows and judges them. Part of flows.sh; the hosts and what happens to
# them are there, how it looks is in table_show.sh.
#
# A row is proven by three things: it is open before jobfence (so somebody listens and nothing else is
# in the way), it is as the table says afterwards, and the counter that the table names has counted
# it. Rows are tried all at once; the counters must have moved by at least as many packets as rows
# named them. Where one did not, its rows are tried again one by one, to find which.

DIAL_OPEN_MS=2500 # for what should be open: only a failure takes so long
DIAL_SHUT_MS=350  # for what should not: a drop takes all of it
DIAL_AT_ONCE=${DIAL_AT_ONCE:-64}

ROW_SCENE=() ROW_FLOW=() ROW_FROM=() ROW_IP=() ROW_HOW=() ROW_TO=() ROW_ANSWER=()
declare -A ROW_WANT    # [row mode]
declare -A SCENE_TITLE # [scene]
declare -A NAME_TEXT   # [who or place] for a person
declare -A NUMBER_TITLE NUMBER_REMARK
SCENES=() NUMBERS=()
FLOW_ROW=() FLOW_IP=() FLOW_WHO=() FLOW_ARGS=() FLOW_FLUSH=() # of the scene in use
declare -A GOT         # [flow] the word that dial said
declare -A COUNT_WAS COUNT_IS
declare -A CELL        # [row column] 1: as the table says, 0: not
declare -A COLUMN_MODE # [column] the mode in force, empty without jobfence
NOTES=()

# --- reading ---------------------------------------------------------------------------------------

table_line() { # FLOW FROM IP HOW TO ANSWER MODE1 MODE2 MODE3 FENCE
	local row=${#ROW_FLOW[@]} mode want left

	[ $# -eq 10 ] || { echo "flows.table: $# columns, not 10: $*" >&2; exit 1; }
	ROW_SCENE+=("${SCENES[-1]}") ROW_FLOW+=("$1") ROW_FROM+=("$2") ROW_IP+=("$3")
	ROW_HOW+=("$4") ROW_TO+=("$5") ROW_ANSWER+=("$6")
	left=$7
	shift 6
	for mode in 1 2 3 fence; do
		want=$1
		[ "$want" != = ] || want=$left
		[ "$want" != =2 ] || want=${ROW_WANT[$row 2]}
		ROW_WANT[$row $mode]=$want
		left=$want
		shift
	done
}

# table_words KIND KEY "TEXT": a line that is no row
table_words() {
	local text=${3#\"}

	text=${text%\"}
	case $1 in
	scene) SCENES+=("$2") SCENE_TITLE[$2]=$text ;;
	name) NAME_TEXT[$2]=$text ;;
	number) NUMBERS+=("$2") NUMBER_TITLE[$2]=$text ;;
	remark) NUMBER_REMARK[$2]=$text ;;
	esac
}

table_read() { # FILE
	local line kind key text

	while read -r line; do
		case $line in
		'' | '#'*) ;;
		'scene '* | 'name '* | 'number '* | 'remark '*)
			read -r kind key text <<<"$line"
			table_words "$kind" "$key" "$text"
			;;
		*)
			# shellcheck disable=SC2086 # columns
			table_line $line
			;;
		esac
	done <"$1"
}

# --- names to addresses: these answer in REPLY -----------------------------------------------------

place_address() { # PLACE 4|6
	local four six C_ID C_NAME C_PID C_SANDBOX C_IP4='' C_IP6='' C_MAC C_APP

	case $1 in
	lo) four=127.0.0.1 six=::1 ;;
	hostlo) four=$HOST_LO4 six='' ;;
	stub) four=127.0.0.53 six='' ;;
	gwll) four='' six=$HOST_GWLL ;;
	hostlanll) four='' six=$HOST_LANLL ;;
	gw) four=$HOST_GW4 six=$HOST_GW6 ;;
	gw2) four=$SECOND_GW4 six=$SECOND_GW6 ;;
	hostlan) four=$HOST_LAN4 six=$HOST_LAN6 ;;
	hostwan) four=$HOST_WAN4 six=$HOST_WAN6 ;;
	lan) four=$LAN4 six=$LAN6 ;;
	inet) four=$INET4 six=$INET6 ;;
	router) four=$ROUTER4 six=$ROUTER6 ;;
	narrow) four=$NARROW4 six=$NARROW6 ;;
	resolver) four=$RESOLVER4 six=$RESOLVER6 ;;
	private) four=$PRIVATE4 six=$PRIVATE6 ;;
	linklocal) four=$LINKLOCAL4 six='' ;;
	shared) four=$SHARED4 six='' ;;
	meta) four=$META4 six=$META6 ;;
	meta[2-6]) four=${METAS4[${1#meta} - 2]} six=${METAS6[0]} ;;
	embedded) four=127.0.0.11 six='' ;;
	*)
		container_facts "$1" || return 1
		four=$C_IP4 six=$C_IP6
		;;
	esac
	REPLY=$four
	[ "$2" = 4 ] || REPLY=$six
	[ -n "$REPLY" ] || host_fail "no IPv$2 address of '$1'"
}

port_number() { # PORT
	local C_APP='' name

	case $1 in
	*.app)
		container_facts "${1%.app}" || return 1
		REPLY=$C_APP
		;;
	*.*)
		container_facts "${1%.*}" || return 1
		name=C_PORT_${1#*.}_tcp
		REPLY=${!name-}
		;;
	*) REPLY=$1 ;;
	esac
	[ -n "$REPLY" ] || host_fail "no port '$1'"
}

# The address that a process writes as its own when it chooses its port.
source_address() { # WHO 4|6
	local C_IP4='' C_IP6=''

	container_facts "$1" || return 1
	if [ "$2" = 4 ]; then
		REPLY=${C_IP4:-$HOST_LAN4}
	else
		REPLY=[${C_IP6:-$HOST_LAN6}]
	fi
}

# A link-local address is one only with the interface of who dials.
link_scope() { # WHO PLACE
	case $2 in
	gwll | hostlanll)
		[ "$1" = lan ] || container_facts "$1" || return 1
		if [ "$1" = lan ] || [ -n "$C_IP6" ]; then
			REPLY+=%eth0
		elif [ "$2" = gwll ]; then
			REPLY+=%docker0
		else
			REPLY+=%lan0
		fi
		;;
	esac
}

# how_arguments ROW 4|6: what dial is told, but for where, in args; what is emptied first in flush
how_arguments() {
	local how=${ROW_HOW[$1]}

	flush='' args=()
	case $how in
	*+*) flush=${how%%+*} how=${how#*+} ;;
	esac
	case $how in
	tcp) ;;
	udp) args=(--udp) ;;
	dns) args=(--dns) ;;
	icmp) args=(--ping) ;;
	bulk) args=(--bulk 300000) ;;
	big) args=(--udp --size 1400) ;;
	ttl*) args=(--udp --ttl "${how#ttl}") ;;
	tcp:*)
		source_address "${ROW_FROM[$1]}" "$2" || return 1
		args=(--from "$REPLY:${how#tcp:}")
		;;
	*) host_fail "flows.table: no way '$how'" ;;
	esac
}

flow_add() { # ROW 4|6|-
	local row=$1 ip=$2 from=${ROW_FROM[$1]} to=${ROW_TO[$1]} args flush REPLY C_IP6=''

	case ${ROW_HOW[$row]} in
	unix) args=(--unix "$to") flush='' ;;
	status) args=(status "$to") flush='' ;;
	*)
		how_arguments "$row" "$ip" && place_address "${to%%:*}" "$ip" &&
			link_scope "$from" "${to%%:*}" || return 1
		args+=("$REPLY")
		if [ "${ROW_HOW[$row]%icmp}" = "${ROW_HOW[$row]}" ]; then
			port_number "${to#*:}" || return 1
			args+=("$REPLY")
		fi
		;;
	esac
	FLOW_ROW+=("$row") FLOW_IP+=("$ip") FLOW_WHO+=("$from")
	FLOW_ARGS+=("${args[*]}") FLOW_FLUSH+=("$flush")
}

# scene_flows SCENE: its rows as flows with addresses, one for each family
scene_flows() {
	local row ip

	FLOW_ROW=() FLOW_IP=() FLOW_WHO=() FLOW_ARGS=() FLOW_FLUSH=()
	for row in "${!ROW_FLOW[@]}"; do
		[ "${ROW_SCENE[$row]}" = "$1" ] || continue
		for ip in 4 6 -; do
			[[ ${ROW_IP[$row]} != *"$ip"* ]] || flow_add "$row" "$ip" || exit 1
		done
	done
}

# --- trying ----------------------------------------------------------------------------------------

# flow_flush nd|pmtu WHO: what is known of its neighbours, both ways, or of the ways' sizes, is forgotten.
flow_flush() {
	local C_PID family what='neigh flush all'

	[ "$1" = nd ] || what='route flush cache'
	for family in -4 -6; do
		# shellcheck disable=SC2086 # words
		host_exec ip $family $what
		# shellcheck disable=SC2086
		[ "$2" = host ] || { container_facts "$2" && nsenter -t "$C_PID" -n ip $family $what; }
	done >/dev/null 2>&1
}

# The status as lines of "NAME HAZARD", and "NAME nothing" where none of them voids the fence.
status_lines() {
	jobfence_cli status --json | python3 -c '
import json, sys
for c in json.load(sys.stdin)["containers"]:
    for hazard in c["hazards"] + ([] if c["unconfinable"] else ["nothing"]):
        print(c["name"], hazard.replace(" ", "_"))' >"$FLOW_DIR/status"
}

# status_says ALIAS HAZARD|nothing
status_says() {
	if grep -qx "$(container_name "$1") $2" "$FLOW_DIR/status"; then
		echo said
	else
		echo "not said"
	fi
}

flow_dial() { # FLOW MILLISECONDS
	local who=${FLOW_WHO[$1]}

	[ -z "${FLOW_FLUSH[$1]}" ] || flow_flush "${FLOW_FLUSH[$1]}" "$who"
	# shellcheck disable=SC2086 # arguments
	case ${FLOW_ARGS[$1]} in
	'status '*) status_says "$who" ${FLOW_ARGS[$1]#status } ;;
	*) dial_from "$who" --timeout "$2" ${FLOW_ARGS[$1]} ;;
	esac >"$FLOW_DIR/$1" 2>&1
}

# flow_want FLOW: "open" or the counter, in REPLY. MODE and BRNF say what is in force.
flow_want() {
	REPLY=open
	[ -n "$MODE" ] || return 0
	REPLY=${ROW_WANT[${FLOW_ROW[$1]} $MODE]}
	[ "$BRNF" = 1 ] || REPLY=${REPLY#*/}
	REPLY=${REPLY%%/*}
}

# dial_all FLOW…: all at once, the words in GOT. Those that empty neighbour tables one by one behind
# the others.
dial_all() {
	local flow n=0 REPLY ms last=()

	case ${FLOW_ARGS[*]} in
	*'status '*) status_lines ;;
	esac
	for flow; do
		flow_want "$flow"
		ms=$DIAL_OPEN_MS
		[ "$REPLY" = open ] || ms=$DIAL_SHUT_MS
		[ -z "${FLOW_FLUSH[$flow]}" ] || { last+=("$flow"); continue; }
		flow_dial "$flow" "$ms" &
		n=$((n + 1))
		[ "$n" -lt "$DIAL_AT_ONCE" ] || wait -n
	done
	wait
	for flow in "${last[@]}"; do
		flow_dial "$flow" $DIAL_OPEN_MS
	done
	for flow; do
		GOT[$flow]=$(<"$FLOW_DIR/$flow")
	done
}

# The named counters of both tables, in COUNT_IS.
counters_read() {
	local name packets

	while read -r name packets; do
		COUNT_IS[$name]=$packets
	done < <(host_exec sh -c 'nft list counters table inet jobfence
		nft list counters table bridge jobfence' |
		awk '$1 == "counter" { name = $2 } $1 == "packets" { print name, $2 }')
}

counters_note() {
	local name

	counters_read
	for name in "${!COUNT_IS[@]}"; do
		COUNT_WAS[$name]=${COUNT_IS[$name]}
	done
}

# counter_moved NAME LEAST
counter_moved() { [ $((${COUNT_IS[$1]:-0} - ${COUNT_WAS[$1]:-0})) -ge "$2" ]; }

# --- judging ---------------------------------------------------------------------------------------

# Was it open, and did the right one answer?
flow_is_open() {
	local answer=${ROW_ANSWER[${FLOW_ROW[$1]}]}

	[ "${GOT[$1]}" = "open:$answer" ] || [ "${GOT[$1]}" = "$answer" ]
}

flow_is_shut() {
	case ${GOT[$1]} in
	refused | timeout | unreach | reset) ! flow_is_open "$1" ;;
	*) return 1 ;;
	esac
}

flow_note() { # FLOW TEXT
	local row=${FLOW_ROW[$1]}

	CELL[$row $COLUMN]=0
	NOTES+=("$COLUMN, $STATE: ${ROW_FLOW[$row]} ${ROW_FROM[$row]} → ${ROW_TO[$row]} ($(
	)${ROW_HOW[$row]}, IPv${FLOW_IP[$1]}: dial ${FLOW_ARGS[$1]}): $2")
}

# Flows whose counter did not move by one each: which of them was it?
flows_recount() { # COUNTER FLOW…
	local counter=$1 flow

	shift
	for flow; do
		counters_note
		dial_all "$flow"
		counters_read
		counter_moved "$counter" 1 ||
			flow_note "$flow" "${GOT[$flow]}, but $counter did not count it"
	done
}

flows_check_counters() { # uses BY_COUNTER of its caller
	local counter flows

	for counter in "${!BY_COUNTER[@]}"; do
		read -ra flows <<<"${BY_COUNTER[$counter]}"
		counter_moved "$counter" ${#flows[@]} || flows_recount "$counter" "${flows[@]}"
	done
}

# try_scene COLUMN MODE|'' STATE: every row of the scene in use, as it should be in this column.
try_scene() {
	local COLUMN=$1 MODE=$2 STATE=$3 flow key REPLY
	declare -A BY_COUNTER=()

	COLUMN_MODE[$COLUMN]=$MODE
	[ -z "$MODE" ] || counters_note
	dial_all "${!FLOW_ROW[@]}"
	[ -z "$MODE" ] || counters_read
	for flow in "${!FLOW_ROW[@]}"; do
		key="${FLOW_ROW[$flow]} $COLUMN"
		: "${CELL[$key]:=1}"
		flow_want "$flow"
		if [ "$REPLY" = open ]; then
			flow_is_open "$flow" || flow_note "$flow" "wanted ${ROW_ANSWER[$(
			)${FLOW_ROW[$flow]}]}, got ${GOT[$flow]}"
		elif flow_is_shut "$flow"; then
			BY_COUNTER[$REPLY]+=" $flow"
		else
			flow_note "$flow" "wanted $REPLY to stop it, got ${GOT[$flow]}"
		fi
	done
	[ -z "$MODE" ] || flows_check_counters
}
