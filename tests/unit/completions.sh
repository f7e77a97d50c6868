#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The completions for bash, zsh and fish, each loaded by its shell where there is one: they offer every command
# and option that src/main.c has, and behind a command the options that it takes. Exit 77 without bash's help.
#
# Usage: completions.sh JOBFENCE
set -u

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HERE=$ROOT/contrib/completions
FOLDER=$(cd "$(dirname "${1:?usage: completions.sh JOBFENCE}")" && pwd)
JOBFENCE=$FOLDER/$(basename "$1")
PATH=$FOLDER:$PATH
export DOCKER_SOCKET=/nonexistent
FAILED=0 PASSED=0

fail() {
	printf '✗ %s\n' "$*"
	FAILED=$((FAILED + 1))
}

# --- what a shell offers behind words, the last of them unfinished ------------------------------------

# Those that start with it; fish and zsh sort that out themselves.
starting() { awk -v start="$1" 'index($0, start) == 1' | sort; }

offers_bash() {
	# shellcheck disable=SC2016 # for the inner shell
	bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _jobfence "$1"
		[ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"' "$HERE/jobfence.bash" "$@" 2>&1 | sort
}

# The functions of zsh's own completion are stand-ins: they need a terminal.
offers_zsh() {
	# shellcheck disable=SC2016 # for the inner shell
	zsh -fc 'fpath=($1); shift
		_describe() { print -rl -- ${${(P)4}%%:*} }
		_files() { print -rl -- ./* }
		autoload _jobfence; words=("$@") CURRENT=$#; _jobfence' zsh "$HERE" "$@" 2>&1 |
		starting "${!#}"
}

# A dash has fish look for options only.
offers_fish() {
	# shellcheck disable=SC2016
	HOME=/nonexistent fish --no-config -c 'source $argv[1]
		complete -C "$argv[2]"' "$HERE/jobfence.fish" "$*" 2>&1 | cut -f 1 | starting "${!#}"
}

# --- what there is, from the source ----------------------------------------------------------------------

commands() { grep -o '{ "[a-z]*", command_' "$ROOT/src/main.c" | cut -d'"' -f2 | sort; }
options() { grep -oE '\{ "[a-z-]+", (required|no|optional)_argument' "$ROOT/src/main.c" | cut -d'"' -f2 | sed 's/^/--/' | sort; }
takes_value() { grep -q "{ \"${1#--}\", required_argument" "$ROOT/src/main.c"; }

# The options that a command takes, as it says itself: with three operands too many it always refuses, and an
# option that it does not take first.
options_of() { # COMMAND
	local option said value

	for option in $(options); do
		case $option in
		--help | --version) said='' ;;
		*)
			value=()
			! takes_value "$option" || value=(1)
			said=$("$JOBFENCE" "$1" "$option" "${value[@]}" too many words 2>&1) &&
				fail "$1 $option too many words: was not refused"
			;;
		esac
		[[ $said == *"$option is for"* ]] || echo "$option"
	done
}

compare() { # WHAT WANTED GOT
	if [ "$2" = "$3" ]; then
		PASSED=$((PASSED + 1))
	else
		fail "$1: wanted $(tr '\n' ' ' <<<"$2"), got $(tr '\n' ' ' <<<"$3")"
	fi
}

try_shell() { # SHELL
	local command

	compare "$1, commands" "$(commands)" "$(offers_"$1" jobfence '')"
	compare "$1, options before a command" "$(options)" "$(offers_"$1" jobfence --)"
	for command in $(commands); do
		compare "$1, options of $command" "$(options_of "$command")" "$(offers_"$1" jobfence "$command" --)"
	done
	compare "$1, an option and a command" "$(options_of verify)" "$(offers_"$1" jobfence --config x verify --)"
	compare "$1, beginning" status "$(offers_"$1" jobfence stat)"
	compare "$1, modes" $'1\n2\n3' "$(offers_"$1" jobfence render --mode '')"
	compare "$1, a file" ./CMakeLists.txt "$(cd "$ROOT" && offers_"$1" jobfence status --config ./CMakeL)"
}

[ "$(commands | wc -l)" -ge 5 ] && [ "$(options | wc -l)" -ge 8 ] || fail "src/main.c does not look as it did"
for shell in bash zsh fish; do
	if command -v $shell >/dev/null; then
		try_shell $shell
	else
		echo "no $shell here"
	fi
done
printf '%d passed, %d failed\n' $PASSED $FAILED
[ $FAILED -eq 0 ] && [ $PASSED -gt 0 ]
