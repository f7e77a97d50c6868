#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The table of faults (../faults.table): is every check that it names still in the file that it names, and has
# every fault one, or a reason? With --list: the table, and what the last run of tests/run saw.
#
# Usage: faults.sh [--list]
set -u

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TABLE=${FAULTS_TABLE:-$ROOT/tests/faults.table}
LOGS=${FAULTS_LOGS:-$ROOT/build/tests}
PASSED=0 FAILED=0
NUMBER='' SHOWN=0

pass() { PASSED=$((PASSED + 1)); }
fail() {
	FAILED=$((FAILED + 1))
	printf '  ✗ %s\n' "$*"
}

is_there() { # FILE WORDS
	case $1 in
	*.c) grep -qw -- "${2:-main}" "$ROOT/$1" ;;
	# of a script, in a line that checks or names what is checked
	*) grep -F -- "$2" "$ROOT/$1" | grep -qE '^\s*(check|check_that|check_flow|section|[a-z_]+) ' ;;
	esac
}

# What the last run saw of a check: seen FILE WORDS prints ✓, ✗ or ?
seen() {
	local name=${1##*/} log lines

	case $1 in
	tests/unit/* | tests/kernel/*)
		log=$(basename "$(dirname "$1")")
		lines=$(grep -E " $log/${name%.c} " "$LOGS/$log.log" 2>/dev/null)
		case $lines in
		*' Passed '*) echo ✓ ;;
		'' | *Skipped*) echo '?' ;;
		*) echo ✗ ;;
		esac
		return
		;;
	esac
	log=$LOGS/${name%.sh}.log
	# a section counts with all that is below it
	lines=$(awk -v words="$2" '/^[^ ]/ { on = index($0, words) } / (✓|✗) / && (on || index($0, words))' \
		"$log" 2>/dev/null)
	if [ -z "$lines" ]; then
		echo '?'
	elif grep -q ✗ <<<"$lines"; then
		echo ✗
	else
		echo ✓
	fi
}

row_ends() {
	[ -z "$NUMBER" ] || [ "$SHOWN" -gt 0 ] || fail "fault $NUMBER: no check and no reason"
	SHOWN=0
}

take_row() { # LINE
	local number fault expected

	IFS='|' read -r number fault expected <<<"$1"
	row_ends
	NUMBER=${number%% }
	if [ -n "${expected// /}" ]; then pass; else fail "row '$1': not NUMBER | FAULT | EXPECTED"; fi
	[ -z "$LIST" ] || printf '\n%3s %s\n      expected: %s\n' "$NUMBER" "${fault# }" "${expected# }"
}

take_evidence() { # LINE
	local file=${1%%: *} words=${1#*: }

	SHOWN=$((SHOWN + 1))
	if [[ $1 == -\ * ]]; then
		pass
		[ -z "$LIST" ] || printf '      · %s\n' "${1#- }"
		return
	fi
	if [ ! -e "$ROOT/$file" ]; then
		fail "fault $NUMBER: no file $file"
	elif ! is_there "$file" "$words"; then
		fail "fault $NUMBER: no check '$words' in $file"
	else
		pass
	fi
	[ -z "$LIST" ] || printf '    %s %s: %s\n' "$(seen "$file" "$words")" "${file#tests/}" "$words"
}

# Can --list tell what it was shown?
try_seen() {
	local LOGS got

	LOGS=$(mktemp -d) || return 1
	printf '%s\n' 'good things' '  ✓ one: 0' '  ✓ two: 0' 'others' '  ✗ three: 1' >"$LOGS/x.log"
	got="$(seen x.sh one) $(seen x.sh 'good things') $(seen x.sh three) $(seen x.sh others) $(seen x.sh four)"
	rm -r "$LOGS"
	if [ "$got" = '✓ ✓ ✗ ✗ ?' ]; then pass; else fail "--list shows '$got', wanted ✓ ✓ ✗ ✗ ?"; fi
}

LIST=''
case ${1-} in
--list) LIST=1 ;;
'') ;;
*)
	sed -n 's/^# \{0,1\}//; /^Usage:/p' "$0" >&2
	exit 64
	;;
esac
while IFS= read -r line; do
	case $line in
	'' | '#'*) ;;
	$'\t'*) take_evidence "${line#$'\t'}" ;;
	*) take_row "$line" ;;
	esac
done <"$TABLE"
row_ends
try_seen
for ((n = 1; n <= 45; n++)); do
	if grep -q "^$n | " "$TABLE"; then pass; else fail "fault $n is not in the table"; fi
done
printf '\n%d passed, %d failed\n' $PASSED $FAILED
[ $FAILED -eq 0 ]
