#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The manual: jobfence(8) has every command and option of src/main.c, and mandoc, where there is one, finds nothing
# to say about any page. What else the pages have to name is in test_man.c.
#
# Usage: man.sh
set -u

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PAGE=$ROOT/contrib/man/jobfence.8
PASSED=0 FAILED=0

check() { # WHAT STATUS
	[ "$2" -eq 0 ] && { PASSED=$((PASSED + 1)); return; }
	echo "✗ $1"
	FAILED=$((FAILED + 1))
}

commands() { grep -o '{ "[a-z]*", command_' "$ROOT/src/main.c" | cut -d'"' -f2 | sort; }
options() { grep -oE '\{ "[a-z-]+", (required|no|optional)_argument' "$ROOT/src/main.c" | cut -d'"' -f2 | sort; }

for WORD in $(commands); do
	grep -q "^\.Cm $WORD\$" "$PAGE"
	check "jobfence(8) lacks command $WORD in its synopsis" $?
	grep -q "^\.It Cm $WORD\b" "$PAGE"
	check "jobfence(8) lacks command $WORD" $?
done
for WORD in $(options); do
	grep -qE "^\.It .*Fl Fl $WORD( |\$)" "$PAGE"
	check "jobfence(8) lacks option --$WORD" $?
done
[ $PASSED -gt 15 ] || check "src/main.c does not look as it did" 1
if command -v mandoc >/dev/null; then
	for PAGE in "$ROOT"/contrib/man/*; do
		# Whether other pages are installed here is no matter of these.
		SAID=$(mandoc -Tlint "$PAGE" 2>&1 | grep -vE 'referenced manual not found|outdated mandoc.db')
		[ -z "$SAID" ]
		check "$SAID" $?
	done
else
	echo "no mandoc here"
fi
printf '%d passed, %d failed\n' $PASSED $FAILED
[ $FAILED -eq 0 ]
