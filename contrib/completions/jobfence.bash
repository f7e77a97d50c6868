# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of jobfence(8) for bash: what "jobfence --help" lists, so that nothing here has to be kept in step.

# What follows an option or a command in the help, in REPLY: "--config" → "FILE"
_jobfence_value() {
	local line=$'\n  '"$1 ([A-Z]+)"

	REPLY=''
	[[ ! $2 =~ $line ]] || REPLY=${BASH_REMATCH[1]}
}

# Whether an option is for a command: its text starts with "status: " or "status, verify: ", or it is for all.
_jobfence_takes() { # TEXT COMMAND
	local only='^([a-z]+(, [a-z]+)*( and [a-z]+)?): '

	[[ $1 =~ $only ]] || return 0
	[[ " ${BASH_REMATCH[1]//,/} " == *" $2 "* ]]
}

# The names of running containers, where the engine can be asked without a password.
_jobfence_containers() {
	[ -w "${DOCKER_SOCKET:-/var/run/docker.sock}" ] && timeout 1 docker ps --format '{{.Names}}' 2>/dev/null
}

# The values of what was typed before: in COMPREPLY
_jobfence_values() { # VALUE OPTION CURRENT
	case $1 in
	FILE) mapfile -t COMPREPLY < <(compgen -f -- "$3") ;;
	CONTAINER | NAME) mapfile -t COMPREPLY < <(compgen -W "$(_jobfence_containers)" -- "$3") ;;
	*) [ "$2" != --mode ] || mapfile -t COMPREPLY < <(compgen -W '1 2 3' -- "$3") ;;
	esac
}

_jobfence() {
	local help line option words='' command='' REPLY='' i
	local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	help=$("$1" --help 2>/dev/null) || return
	if [[ $before == --* ]]; then
		_jobfence_value "$before" "$help"
		if [ -n "$REPLY" ]; then
			_jobfence_values "$REPLY" "$before" "$current"
			return
		fi
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == [a-z]* && $help == *$'\n  '"${COMP_WORDS[i]} "* ]]; then
			command=${COMP_WORDS[i]}
			break
		fi
	done
	while IFS= read -r line; do
		if [[ $line =~ ^'  '(--[a-z-]+)(' '[A-Z]+)?' '+(.*) ]]; then
			option=${BASH_REMATCH[1]}
			[ -z "$command" ] || _jobfence_takes "${BASH_REMATCH[3]}" "$command" || continue
			[ -z "$command$current" ] || words+=" $option"
		elif [[ -z $command && $line =~ ^'  '([a-z]+)' ' ]]; then
			words+=" ${BASH_REMATCH[1]}"
		fi
	done <<<"$help"
	if [ -n "$command" ] && [[ $current != -* ]]; then
		_jobfence_value "$command" "$help"
		[ -z "$REPLY" ] || words+=" $(_jobfence_containers)"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _jobfence jobfence
