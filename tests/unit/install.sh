#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "cmake --install" with DESTDIR and two prefixes: nothing is written elsewhere, the units name what was
# installed, what an operator changed stays. Needs no privileges.
#
# Usage: install.sh BUILD-FOLDER
# shellcheck disable=SC2015
set -u

BUILD=${1:?usage: install.sh BUILD-FOLDER}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
PASSED=0 FAILED=0

check() { # WHAT WANTED GOT
	[ "$2" = "$3" ] && { PASSED=$((PASSED + 1)); return; }
	printf '✗ %s: wanted\n%s\ngot\n%s\n' "$1" "$2" "$3"
	FAILED=$((FAILED + 1))
}

install_to() { # DESTDIR PREFIX
	DESTDIR=$1 cmake --install "$BUILD" --prefix "$2" >"$WORK/log" 2>&1 || { cat "$WORK/log"; exit 1; }
}

has() { # WHAT FILE…
	local file what=$1 lacks=''

	shift
	for file; do [ -s "$file" ] || lacks+=" $file"; done
	check "$what: lacks" '' "$lacks"
}

# A file that a unit starts: what it is behind DESTDIR, and whether it can be.
started() { # DESTDIR UNIT KEY
	local file

	file=$(sed -n "s/^$3=\([^ ]*\).*/\1/p" "$2")
	[ -x "$1$file" ] && echo "$file"
}

prefix_of_ones_own() {
	local to=$WORK/a lib=$WORK/a/opt/jobfence/lib/systemd/system share=$WORK/a/opt/jobfence/share

	install_to "$to" /opt/jobfence
	check "all is below the prefix" "$to/opt $to/opt/jobfence" "$(echo "$to"/* "$to"/opt/*)"
	has "/opt/jobfence" "$share"/jobfence/rulesets/mode{1,2,3}.nft "$share"/bash-completion/completions/jobfence \
		"$share"/zsh/site-functions/_jobfence "$share"/fish/vendor_completions.d/jobfence.fish \
		"$share"/man/man8/jobfence.8* "$share"/man/man5/jobfence.conf.5* "$share"/man/man7/jobfence-rulesets.7* \
		"$to"/opt/jobfence/etc/{jobfence/jobfence.conf,default/jobfence}
	check "the unit starts" /opt/jobfence/sbin/jobfence "$(started "$to" "$lib/jobfence.service" ExecStart)"
	check "the timer's unit starts" /opt/jobfence/sbin/jobfence "$(started "$to" "$lib/jobfence-metrics.service" ExecStart)"
	has "metrics" "$lib/jobfence-metrics.timer" "$share"/jobfence/{prometheus/alerts.yml,grafana/jobfence.json}
	check "Docker waits for" /opt/jobfence/libexec/jobfence/docker-gate \
		"$(started "$to" "$lib/docker.service.d/50-jobfence.conf" ExecStartPre)"
	check "metrics come from" /opt/jobfence/sbin/jobfence "$(started "$to" "$lib/jobfence-metrics.service" ExecStart)"
	check "what was installed runs" "$("$BUILD/jobfence" --version)" "$("$to/opt/jobfence/sbin/jobfence" --version)"
}

prefix_usr() {
	local to=$WORK/b lib=$WORK/b/usr/lib/systemd/system

	install_to "$to" /usr
	check "all is in /etc and /usr" "$to/etc $to/usr" "$(echo "$to"/*)"
	has "/usr" "$to"/etc/jobfence/jobfence.conf "$to"/etc/default/jobfence
	check "the unit starts" /usr/sbin/jobfence "$(started "$to" "$lib/jobfence.service" ExecStart)"
	check "Docker waits for" /usr/libexec/jobfence/docker-gate \
		"$(started "$to" "$lib/docker.service.d/50-jobfence.conf" ExecStartPre)"
	check "the configuration says nothing by itself" '' \
		"$(grep -vE '^(#|$|\[[a-z]+\]$)' "$to/etc/jobfence/jobfence.conf")"
	echo '[enforce]' >"$to/etc/jobfence/jobfence.conf"
	echo 'DSTACK_SERVER_JOB_NETWORK_MODE=3' >"$to/etc/default/jobfence"
	install_to "$to" /usr
	check "the operator's own stays" $'[enforce]\nDSTACK_SERVER_JOB_NETWORK_MODE=3' \
		"$(cat "$to/etc/jobfence/jobfence.conf" "$to/etc/default/jobfence")"
}

prefix_of_ones_own
prefix_usr
printf '%d passed, %d failed\n' $PASSED $FAILED
[ $FAILED -eq 0 ] && [ $PASSED -gt 0 ]
