#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Inside a machine of tests/vm/run: runs the steps that are in /share/steps, one after another, also
# across the reboot that "install" or "package" is. What each printed goes to /share/out, what it counted to
# /share/out/results, a line about it to the second serial port, which run shows.
set -u

STATE=/var/lib/jobfence-vm
OUT=/share/out
STEP_SECONDS=3000
export HOME=/root LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
export JOBFENCE=/jobfence/build/release/jobfence
# An emulated machine is slow: what is waited for may take longer, and fewer flows are tried at once.
export HOST_PATIENCE=3 DIAL_AT_ONCE=16

tell() { printf '   %s\r\n' "$*" >/dev/ttyS1; }

uptime_s() { local up; read -r up _ </proc/uptime; echo "${up%.*}"; }

facts() {
	tell "$(. /etc/os-release; echo "$PRETTY_NAME"), kernel $(uname -r)," \
		"$(dockerd --version | cut -d, -f1), $(systemctl --version | head -n 1 | cut -d' ' -f1,2)," \
		"/sys/fs/cgroup: $(stat -fc %T /sys/fs/cgroup); up after $(uptime_s) s"
}

# Counts of a log in PASSED and FAILED, by the last line "N passed, M failed" as tests/run does.
count() { # LOG EXIT-CODE
	PASSED='' FAILED=''
	read -r PASSED FAILED < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2/p' "$1" |
		tail -n 1)
	PASSED=${PASSED:-0} FAILED=${FAILED:-0}
	if [ "$2" -eq 0 ] && [ "$PASSED$FAILED" = 00 ]; then
		PASSED=1
	elif [ "$2" -ne 0 ] && [ "$FAILED" -eq 0 ]; then
		FAILED=1
	fi
}

kernel() {
	local log passed all

	log=$(ctest --test-dir build/release -L kernel -j 1 --no-tests=error --output-on-failure 2>&1)
	printf '%s\n' "$log"
	all=$(grep -cE '^ *[0-9]+/[0-9]+ Test ' <<<"$log")
	passed=$(grep -cE '^ *[0-9]+/[0-9]+ Test .* Passed ' <<<"$log")
	printf '%d passed, %d failed\n' "$passed" $((all - passed))
	[ "$all" -gt 0 ] && [ "$passed" -eq "$all" ]
}

# As README.md has it. The reboot shows the order in which systemd starts both.
install() {
	cmake --install build/release --prefix /usr &&
		echo DSTACK_SERVER_JOB_NETWORK_MODE=2 >/etc/default/jobfence &&
		systemctl daemon-reload &&
		systemctl enable jobfence docker
}

# The same with the Debian package. What the kernel has when docker.service begins is noted.
package() {
	local drop_in=/etc/systemd/system/docker.service.d/00-jobfence-vm.conf

	DEBIAN_FRONTEND=noninteractive apt-get -q install -y "$PWD"/build/deb/jobfence_*.deb &&
		[ "$(systemctl is-active jobfence) $(systemctl is-enabled jobfence)" = "active enabled" ] &&
		nft list table inet jobfence >/dev/null && mkdir -p "${drop_in%/*}" &&
		printf "[Service]\nExecStartPre=/bin/sh -c 'nft list tables >/run/jobfence-vm-tables'\n" >$drop_in &&
		systemctl daemon-reload && systemctl enable docker
}

run_step() { # NUMBER STEP
	local log code since

	log=$OUT/$1-$(tr -cs 'a-zA-Z0-9\n' - <<<"$2").log
	since=$(uptime_s)
	case $2 in
	kernel | install | package) "$2" ;;
	*) timeout -k 30 $STEP_SECONDS bash -c "exec env $2" ;;
	esac </dev/null >"$log" 2>&1
	code=$?
	count "$log" $code
	echo "$PASSED $FAILED $2" >>$OUT/results
	tell "$(printf '%-50s %4d passed, %d failed (%d s)' "$2" "$PASSED" "$FAILED" \
		$(($(uptime_s) - since)))"
	[ "$FAILED" -gt 0 ] || return 0
	[ $code -ne 124 ] || tell "| took more than $STEP_SECONDS s"
	{ grep -E '✗|FAILED' "$log" | head -n 40; tail -n 15 "$log"; } | while IFS= read -r line; do
		tell "| $line"
	done
}

# The kernel patches its text when the first hook of a family comes and the last one goes, which a flush does. An
# emulated processor that runs into it at that moment may take the old breakpoint for ever (qemu 7.2,
# thread=multi: an endless loop in ip_local_deliver). Hooks that do nothing, in a namespace of their own,
# keep the text as it is; a host with any firewall has them as well.
hold_hooks() {
	local family hook

	ip netns add hooks || return 1
	{
		for family in inet bridge; do
			echo "table $family hooks {"
			for hook in prerouting input forward output postrouting; do
				echo "chain $hook { type filter hook $hook priority 0; }"
			done
			echo "}"
		done
		echo 'table netdev hooks {'
		for hook in ingress egress; do
			echo "chain $hook { type filter hook $hook device \"lo\" priority 0; }"
		done
		echo "}"
	} | ip netns exec hooks nft -f -
}

hold_hooks || tell "no hooks that hold the kernel's text"
mkdir -p $STATE
if [ ! -e $STATE/next ]; then
	facts
	tar -C / -xf /share/jobfence.tar || exit 1
	echo 0 >$STATE/next
fi
cd /jobfence || exit 1
mapfile -t STEPS </share/steps
for ((i = $(<$STATE/next); i < ${#STEPS[@]}; i++)); do
	if [ "${STEPS[i]}" = keep ]; then
		touch $OUT/done
		tell "kept: a root shell is on the console"
		exit 0
	fi
	run_step "$i" "${STEPS[i]}"
	echo $((i + 1)) >$STATE/next
	case ${STEPS[i]} in
	install | package)
		sync
		systemctl reboot
		exit 0
		;;
	esac
done
touch $OUT/done
systemctl poweroff
