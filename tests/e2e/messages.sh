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
check "what it said without a receiver's help" "" "$(grep -v '^jobfence: ' "$HOST_DIR/jobfence.log")"
finish
