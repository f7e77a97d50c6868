# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of raw packets share: a table of attacks. Each works before jobfence, fails with it, is
# counted, and works again when the rules against it are taken out (the daemon is held meanwhile; let go, it
# puts them back).

# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# shellcheck disable=SC2034 # daemon.sh's: rules can be taken out beside the daemon, and it puts them back
JOBFENCE_SECTIONS=$'[nftables]\nowner = no'

works_if() { # WANTED-PATTERN GOT
	# shellcheck disable=SC2053 # a pattern
	if [[ $2 == $1 ]]; then echo works; else echo "fails ($2)"; fi
}

# A port of the job's for each try: what conntrack remembers of the last one must not count.
next_port() {
	local n=40000

	[ -e "$HOST_DIR/attack-port" ] && n=$(<"$HOST_DIR/attack-port")
	echo $((n + 1)) >"$HOST_DIR/attack-port"
	echo $((n + 1))
}

# What a sink of WHO on ADDR:PORT got while a command ran: sunk WHO ADDR:PORT CMD…
sunk() {
	local who=$1 end=$2 pid

	shift 2
	: >"$HOST_DIR/sunk.log"
	spawn_from "$who" "$HOST_DIR/sunk.log" sink "$end"
	pid=$HOST_SPAWNED
	host_wait 3000 grep -q ready "$HOST_DIR/sunk.log"
	"$@"
	sleep 0.2
	kill "$pid"
	host_wait 3000 grep -q received "$HOST_DIR/sunk.log"
	works_if 'received=[1-9]*' "$(tail -n 1 "$HOST_DIR/sunk.log")"
}

ATTACKS=() # WHAT | COUNTER (family name) | RULES (family chain pattern; …: taken out, +family: put in, ?family: if there) | COMMAND

attack() { ATTACKS+=("$1|$2|$3|$4"); }

each_attack() { # FUNCTION: gets WHAT COUNTER RULES COMMAND
	local row what counter rules command

	for row in "${ATTACKS[@]}"; do
		IFS='|' read -r what counter rules command <<<"$row"
		"$1" "$what" "$counter" "$rules" "$command"
	done
}

# An attacker has more than one try: one can be undone by what its victim says in the same instant.
tried() { # COMMAND
	local got tries=0

	while :; do
		got=$($1) # the last dial's exit code is nobody's
		[ "$got" != works ] && [ $((++tries)) -lt 3 ] || break
		sleep 0.3
	done
	echo "$got"
}

before() { check "$1" works "$(tried "$4")"; }

with_jobfence() {
	local old got new

	# shellcheck disable=SC2086 # family and name
	old=$(counter $2)
	got=$($4)
	# shellcheck disable=SC2086
	new=$(counter $2)
	check "$1" 'fails*' "$got"
	[ "$new" -gt "$old" ] || check "$1, counted in $2" "more than $old" "$new"
}

without_rules() {
	local family chain pattern

	jobfence_signal STOP
	while read -r family chain pattern; do
		if [[ $family == +* ]]; then # put in front instead
			# shellcheck disable=SC2086 # a rule's words
			host_exec nft insert rule "${family#+}" jobfence "$chain" $pattern
		elif [[ $family == \?* ]]; then # not on every kernel
			delete_rules "${family#\?}" "$chain" "$pattern" 2>/dev/null || true
		else
			delete_rules "$family" "$chain" "$pattern"
		fi || check "$1: rules '$pattern'" there missing
	done <<<"${3//; /$'\n'}"
	check "$1" works "$(tried "$4")"
	jobfence_signal CONT
	host_wait 5000 healed || check "$1: the rules come back" yes no
}

rules() {
	for family in inet bridge netdev; do host_exec nft list table "$family" jobfence; done 2>/dev/null |
		grep -cE '(jump|goto|accept|drop|reject|return|set )'
}
# shellcheck disable=SC2153 # of whoever sources this
healed() { [ "$(rules)" -eq "$RULES" ]; }
