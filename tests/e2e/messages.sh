#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the daemon tells the journal of its life: each event is a record with its MESSAGE_ID (src/messages.c) and
# fields. A receiver of the journal's protocol stands in for journald. (What was stopped: records.sh.)
# shellcheck disable=SC2015,SC2119,SC2317 # a set-up that fails ends it; no arguments; called by name
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck disable=SC2034 # daemon.sh reads it
JOBFENCE_JOURNAL=1

# comes MESSAGE [FIELD=VALUE…]: such a record, within five seconds
comes() {
	host_wait 5000 has_record "$@"
	check_that "$*" "$(records_n "$@")" -ge 1
}

host_up messages || broken "host_up"
jobfence_config $'[nftables]\nowner = no\n[jobs]\nunconfinable = report'
jobfence_start DSTACK_SERVER_JOB_NETWORK_MODE=3 || broken "jobfence"

section "the daemon and the engine"
comes started PRIORITY=5 SYSLOG_IDENTIFIER=jobfence
comes engine-back
check "the sentence is in it" "jobfence: the fence stands;*" "$(grep 'fence stands' "$HOST_DIR/jobfence.log")"
engine_stop
comes engine-lost PRIORITY=4
engine_start || broken "engine"
more_than_one() { [ "$(records_n engine-back)" -gt 1 ]; }
host_wait 10000 more_than_one
check_that "engine-back again" "$(records_n engine-back)" -ge 2

section "jobs"
job_start bridge alpha && job_start host gamma && job_start bridge priv part -v /usr/share:/data || broken "jobs"
comes job "JOBFENCE_CONTAINER=$(container_name alpha)" "JOBFENCE_CONTAINER_ID=$(container_id alpha)" \
	'JOBFENCE_TASK=*' JOBFENCE_CLASS=isolated
comes violation "JOBFENCE_CONTAINER=$(container_name gamma)" JOBFENCE_CLASS=quarantined PRIORITY=4
comes unconfinable "JOBFENCE_CONTAINER=$(container_name priv)"
name=$(container_name alpha)
container_rm alpha
comes job-gone "JOBFENCE_CONTAINER=$name"

section "foreign hands"
host_exec nft delete table bridge jobfence
comes foreign-change PRIORITY=4
comes healed

section "reloads, and a second daemon"
cp "$HOST_DIR/jobfence.conf" "$HOST_DIR/good"
echo 'nonsense = 1' >>"$HOST_DIR/jobfence.conf"
jobfence_signal HUP
comes reload-refused PRIORITY=3
cp "$HOST_DIR/good" "$HOST_DIR/jobfence.conf"
printf '[enforce]\ndefault = audit\n' >>"$HOST_DIR/jobfence.conf"
jobfence_signal HUP
comes audit PRIORITY=4
stream=$(stat -c %d:%i "$HOST_DIR/jobfence.log")
host_exec env RUNTIME_DIRECTORY=/run/jobfence "JOURNAL_STREAM=$stream" \
	"$JOBFENCE" run --config "$HOST_DIR/jobfence.conf" 2>>"$HOST_DIR/jobfence.log"
check "a second daemon" 1 $?
comes cannot-start PRIORITY=3
jobfence_stop
check "jobfence stops" 0 $?
comes stopped

section "a first transaction that fails"
jobfence_cli remove >"$HOST_DIR/remove.log" 2>&1 || broken "remove"
mkfifo "$HOST_DIR/nft.in"
host_exec nft -i <"$HOST_DIR/nft.in" >"$HOST_DIR/nft.out" 2>&1 &
exec 7>"$HOST_DIR/nft.in" # open: the table has an owner
echo 'add table inet jobfence { flags owner; }' >&7
owned() { host_exec nft list table inet jobfence 2>/dev/null | grep -q 'flags owner'; }
host_wait 5000 owned || broken "a table that another process owns"
cannot=$(records_n cannot-start) failed=$(records_n update-failed)
one_more() { [ "$(records_n cannot-start)" -gt "$cannot" ]; }
host_exec env RUNTIME_DIRECTORY=/run/jobfence "JOURNAL_STREAM=$stream" \
	"$JOBFENCE" run --config "$HOST_DIR/jobfence.conf" 2>>"$HOST_DIR/jobfence.log"
check "the daemon" 1 $?
host_wait 5000 one_more
check "told once that it cannot start" $((cannot + 1)) "$(records_n cannot-start)"
check "and not that it tries again" "$failed" "$(records_n update-failed)"
check "its words" "jobfence: cannot start: table inet jobfence is owned by nft *; a fence that stood before still stands" \
	"$(grep 'is owned by' "$HOST_DIR/jobfence.log")"
exec 7>&-
check "what it said without a receiver's help" "" "$(grep -v '^jobfence: ' "$HOST_DIR/jobfence.log")"
finish
