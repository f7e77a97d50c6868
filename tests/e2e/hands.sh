#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Foreign hands in jobfence's tables while a job on the host's network knocks at the shim without pause.
# Where the kernel can, the tables are the daemon's: nothing of it has an effect. With owner = no, and on
# kernels without persist, what was changed is put back: how long a flush leaves the shim open is
# measured, what was changed and by whom is in the log, and the log stays short.
#
# Usage: hands.sh [--quick|--long]     (a flush every 100 ms for 3, 8 or 60 s)
# shellcheck disable=SC2154 # what knock says becomes variables
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

FOR=8 VERIFY_EVERY=3 # a look takes two seconds
[ "${1-}" = --quick ] && FOR=3
[ "${1-}" = --long ] && FOR=60 VERIFY_EVERY=1
LOG=''

listing() {
	host_exec nft -n list ruleset 2>/dev/null | awk '/^table/ { on = / jobfence / } on' |
		sed 's/packets [0-9]* bytes [0-9]*//; s/ # progname.*//; /^\tflags/d' | tr ',{}' '\n' |
		sed 's/^[[:space:]]*//; s/[[:space:]]*$//' | grep -v '^\(elements =\)\?$' | sort
}

lines_of() { grep -c "$1" "$LOG"; }

whole() { [ "$(listing)" = "$WHOLE" ]; }

# Changes that a process of the host tries: NAME|NFT-COMMAND|WHAT-THE-LOG-SAYS
CHANGES=(
	"an element deleted|delete element inet jobfence host_apis { 10998 }|deleted from set inet host_apis"
	"a set emptied|flush set inet jobfence host_apis|deleted from set inet host_apis"
	"a bystander too many|add element inet jobfence bystanders4 { 172.17.0.77 }|added to set inet bystanders4"
	"a rule too many|insert rule inet jobfence output accept|added to chain inet output"
	"a chain without its rules|flush chain inet jobfence from_container|deleted from chain inet from_container"
	"a chain too many|add chain inet jobfence stranger|changed chain inet stranger"
	"a set too many|add set inet jobfence stranger { type ipv4_addr; }|added set inet stranger"
	"a policy|chain inet jobfence input { policy drop; }|changed chain inet input"
	"table inet asleep|add table inet jobfence { flags dormant; }|changed table inet"
	"table inet deleted|delete table inet jobfence|deleted table inet"
	"table bridge deleted|delete table bridge jobfence|deleted table bridge"
)

# A look that is taken while the daemon cannot mend: it is stopped, not ended.
verify_sees() { # WHAT COMMAND
	jobfence_signal STOP
	host_exec nft "$2" 2>/dev/null || broken "nft $2"
	check "$1: verify sees it" 1 "$(jobfence_cli verify >"$HOST_DIR/verify" 2>&1; echo $?)"
	say "$(head -n 1 "$HOST_DIR/verify")"
	jobfence_signal CONT
}

each_refused() {
	local change what command REST

	for change in "${CHANGES[@]}"; do
		IFS='|' read -r what command REST <<<"$change"
		check "$what" "*Operation not permitted*" "$(host_exec nft "$command" 2>&1 | head -n 1)"
	done
	check "the ruleset is as it was" yes "$(whole && echo yes)"
	check "changes in the log" 0 "$(lines_of "changed jobfence's tables")"
}

each_healed() {
	local change what command said n=0

	for change in "${CHANGES[@]}"; do
		IFS='|' read -r what command said <<<"$change"
		if [ $((n++ % VERIFY_EVERY)) -eq 0 ]; then
			verify_sees "$what" "$command"
		else
			host_exec nft "$command" || broken "nft $command"
		fi
		host_wait 5000 whole
		check "$what: healed" 0 $?
		# ten lines a minute at most: what comes behind them is counted
		[ "$(lines_of "changed jobfence's tables")" -ge 10 ] ||
			check_that "$what: in the log, with what and who" \
				"$(grep -c "nft (pid [0-9]*) changed jobfence's tables (.*$said.*)" "$LOG")" -gt 0
	done
}

# flush_and_knock NAME: for $FOR seconds; what the job saw becomes variables
flush_and_knock() {
	local pid flushes=0 end

	spawn_from gamma "$HOST_DIR/knocks-$1" knock $((FOR + 1)) 127.0.0.1 10998
	pid=$HOST_SPAWNED
	sleep 0.3
	end=$(($(now_ms) + FOR * 1000))
	while [ "$(now_ms)" -lt $end ]; do
		host_exec nft flush ruleset || broken "flush"
		flushes=$((flushes + 1))
		sleep 0.1
	done
	host_wait $(((FOR + 10) * 1000)) grep -q attempts "$HOST_DIR/knocks-$1"
	say "$flushes times nft flush ruleset; the job: $(<"$HOST_DIR/knocks-$1")"
	eval "$(tr ' ' '\n' <"$HOST_DIR/knocks-$1" | grep -E '^[a-z0-9_]+=[0-9]+$')"
	wait "$pid" 2>/dev/null
}

owned() {
	section "the tables are the daemon's"
	check "status" "*the daemon's: no other process*" "$(jobfence_cli status | grep '^tables')"
	WHOLE=$(listing)
	each_refused
	flush_and_knock owned
	check_that "attempts" "$attempts" -gt 1000
	check "… of them got through" 0 "$open"
	check "changes and heals in the log" 0 "$(lines_of "changed jobfence's tables\|healed")"
	check "the ruleset is as it was" yes "$(whole && echo yes)"
	check "verify" 0 "$(jobfence_cli verify >/dev/null 2>&1; echo $?)"
}

unowned() {
	local before

	section "anybody can change the tables"
	WHOLE=$(listing)
	# what an owner left is persistent, and nft cannot put that to sleep: made anew it is as on any kernel
	host_exec nft flush ruleset
	host_wait 5000 whole
	check "flushed, healed" 0 $?
	check "status" "*nobody's*other processes can change them*" "$(jobfence_cli status | grep '^tables')"
	WHOLE=$(listing)
	each_healed
	before=$(wc -l <"$LOG")
	flush_and_knock unowned
	check_that "attempts" "$attempts" -gt 1000
	check_that "the control: … of them got through" "$open" -gt 0
	say "open for: median $median_us us, p99 $p99_us us, longest $longest_us us"
	check_that "the early warning" "$(lines_of "nft keeps removing jobfence's tables")" -gt 0
	check_that "lines in the log for that" "$(($(wc -l <"$LOG") - before))" -le $((FOR * 25 / 60 + 30))
	host_wait 5000 whole
	check "whole again" 0 $?
	host_wait 5000 jobfence_cli verify >/dev/null 2>&1
	check "verify" 0 $?
	check_flow "the job → the shim" "$CLOSED" gamma 127.0.0.1 10998
}

host_up hands || broken "host_up"
LOG=$HOST_DIR/jobfence.log
shim_start
job_start host gamma || broken "gamma"
check_flow "without jobfence: the job → the shim" open:shim gamma 127.0.0.1 10998
jobfence_up || broken "jobfence"
if grep -q 'no other process can change the tables' "$LOG"; then
	owned
	jobfence_config $'[nftables]\nowner = no'
	jobfence_signal HUP
	host_wait 5000 grep -q 'owner = no says' "$LOG"
	check "reload with owner = no" 0 $?
else
	check "the kernel has no persist, and the log says so" 1 "$(lines_of 'no table flag persist')"
fi
unowned
jobfence_stop
check "jobfence stops" 0 $?
finish
