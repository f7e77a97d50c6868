# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# How flows.table looks to a person: a line for each flow, a line for each number. Part of flows.sh.

WIDE_FROM=20 WIDE_TO=46 WIDE_OVER=14

# pad WIDTH TEXT: printf counts bytes
pad() { printf '%s%*s' "$2" $(($1 > ${#2} ? $1 - ${#2} : 1)) ''; }

port_text() { # PORT, in REPLY: with what stands before it
	case $1 in
	*.app) REPLY=", ${1%.app}'s service" ;;
	*.*) REPLY=", ${1%.*}'s ${1#*.} published" ;;
	*) REPLY=:$1 ;;
	esac
}

# What answers there, where the place does not say it: answer_text ROW, in REPLY
answer_text() {
	local answer=${ROW_ANSWER[$1]#*:} to=${ROW_TO[$1]}

	REPLY=''
	case $answer in
	app | icmp | said) ;;
	refused) REPLY=' (port unreachable)' ;;
	toobig) REPLY=' (packet too big)' ;;
	exceeded) REPLY=' (time exceeded)' ;;
	*) [[ $to == "$answer" || $to == "$answer":* || $to == *:"$answer".* ]] || REPLY=" ($answer)" ;;
	esac
}

to_text() { # ROW, in REPLY
	local to=${ROW_TO[$1]} text

	case ${ROW_HOW[$1]} in
	status) REPLY="status: ${to//_/ }"; return ;;
	unix) REPLY=$to; return ;;
	esac
	text=${NAME_TEXT[${to%%:*}]-${to%%:*}}
	if [[ $to == *:* ]]; then
		port_text "${to#*:}"
		text+=$REPLY
	fi
	answer_text "$1"
	REPLY=$text$REPLY
}

over_text() { # ROW, in REPLY
	local ip=${ROW_IP[$1]} how=${ROW_HOW[$1]}

	case $how in
	status | unix) REPLY=$how; return ;;
	nd+*) how="${how#nd+}, new" ;;
	pmtu+*) how=${how#pmtu+} ;;
	tcp:*) how="tcp<${how#tcp:}" ;;
	ttl*) how="udp ttl ${how#ttl}" ;;
	esac
	REPLY="$how ${ip/46/4+6}"
}

# cell_show ROW COLUMN: what has to be, and whether it is
cell_show() {
	local mark='✗' want=open

	case ${CELL[$1 $2]-} in
	1) mark='✓' ;;
	'') printf -- '-       '; return ;;
	esac
	[ -z "${COLUMN_MODE[$2]}" ] || want=${ROW_WANT[$1 ${COLUMN_MODE[$2]}]}
	[ "$want" = open ] || want=shut
	printf '%s %s  ' "$want" "$mark"
}

# The same without having tried: want_show ROW COLUMN
want_show() {
	local want=open mode=${2#mode }

	case $2 in
	before | removed) [ "${ROW_WANT[$1 1]}" != - ] || want=- ;;
	*) want=${ROW_WANT[$1 $mode]} ;;
	esac
	case $want in
	open | -) ;;
	*) want=shut ;;
	esac
	printf '%-6s  ' "$want"
}

row_show() { # ROW CELL-FUNCTION COLUMN…
	local row=$1 cell=$2 column REPLY

	shift 2
	pad 7 "${ROW_FLOW[$row]}"
	pad $WIDE_FROM "${NAME_TEXT[${ROW_FROM[$row]}]-${ROW_FROM[$row]}}"
	to_text "$row"
	pad $WIDE_TO "→ $REPLY"
	over_text "$row"
	pad $WIDE_OVER "$REPLY"
	for column; do
		"$cell" "$row" "$column"
	done
	echo
}

scene_show() { # SCENE CELL-FUNCTION COLUMN…
	local scene=$1 cell=$2 row

	shift 2
	printf '\n%s: %s\n\n%-7s%-*s%-*s%-*s' "$scene" "${SCENE_TITLE[$scene]}" no. $WIDE_FROM from \
		$WIDE_TO '  to' $WIDE_OVER over
	printf '%-8s' "$@"
	echo
	for row in "${!ROW_FLOW[@]}"; do
		[ "${ROW_SCENE[$row]}" != "$scene" ] || row_show "$row" "$cell" "$@"
	done
}

legend_show() {
	cat <<-'END'
		Who reaches whom, with real packets. G: has to go on working, B: must not work, Q: quarantine,
		-: neither is dstack's. open: reached, and by the right one. shut: open without jobfence, stopped
		with it, and counted by the counter that is there for it. ✓ it is so, ✗ it is not, - not tried
		there. over: protocol (icmp: a ping; bulk: 300 kB there and back by TCP; big: a datagram of 1400
		bytes; tcp<PORT: from that port; new: the neighbour is not known yet) and IP versions.
	END
}

# --- the numbers -----------------------------------------------------------------------------------

# What became of a number's rows: number_count NUMBER sets ROWS, TRIED and WRONG (cells)
number_count() {
	local row key

	ROWS=0 TRIED=0 WRONG=0
	for row in "${!ROW_FLOW[@]}"; do
		[[ ,${ROW_FLOW[$row]}, == *,$1,* ]] || continue
		ROWS=$((ROWS + 1))
		for key in "${!COLUMN_MODE[@]}"; do
			case ${CELL[$row $key]-} in
			1) TRIED=$((TRIED + 1)) ;;
			0) TRIED=$((TRIED + 1)) WRONG=$((WRONG + 1)) ;;
			esac
		done
	done
}

number_show() { # NUMBER
	local mark='✓' ROWS TRIED WRONG many=rows

	number_count "$1"
	if [ "$WRONG" -gt 0 ]; then
		mark='✗'
	elif [ "$TRIED" -eq 0 ]; then
		mark='-'
	fi
	[ "$ROWS" -ne 1 ] || many=row
	pad 5 "$1"
	pad 3 "$mark"
	pad 9 "$ROWS $many"
	printf '%s\n' "${NUMBER_TITLE[$1]}"
	[ -z "${NUMBER_REMARK[$1]-}" ] || fold -s -w 100 <<<"${NUMBER_REMARK[$1]}" | sed 's/^/                   /'
}

# A line for each number, and what the table forgot.
numbers_show() {
	local number row

	printf '\nnumber by number\n\n'
	for number in "${NUMBERS[@]}"; do
		number_show "$number"
	done
}

# Every number has rows or says why not; every row's number has a title.
numbers_check() {
	local number row ROWS TRIED WRONG

	for number in G{1..22} B{1..16}; do
		[ -n "${NUMBER_TITLE[$number]-}" ] || NOTES+=("flows.table has no number $number")
		number_count "$number"
		[ "$ROWS" -gt 0 ] || [ -n "${NUMBER_REMARK[$number]-}" ] ||
			NOTES+=("flows.table: $number has neither a row nor a remark")
	done
	for row in "${!ROW_FLOW[@]}"; do
		for number in ${ROW_FLOW[$row]//,/ }; do
			case $number in
			- | Q) ;;
			*) [ -n "${NUMBER_TITLE[$number]-}" ] ||
				NOTES+=("flows.table: a row has the number $number, which has no title") ;;
			esac
		done
	done
}

# The notes and the last line; fails if a cell did.
table_verdict() {
	local key passed=0 failed=0

	for key in "${!CELL[@]}"; do
		if [ "${CELL[$key]}" = 1 ]; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
		fi
	done
	numbers_check
	[ ${#NOTES[@]} -eq 0 ] || printf '\n✗ %s' "${NOTES[@]}"
	[ "$failed" -gt 0 ] || failed=${#NOTES[@]}
	printf '\n\n%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
