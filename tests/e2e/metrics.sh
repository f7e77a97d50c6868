#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Metrics of a real host: what is stopped of a job counts under its name, what others do to the tables and
# what the daemon does about it counts, a daemon that is gone has no numbers, and the file for the textfile
# collector is whole whenever it is looked at. Prometheus' own tool has nothing to say about any of it.
#
# Usage: metrics.sh [--quick]
# shellcheck disable=SC2119 # no arguments
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

WRITES=20
[ "${1-}" != --quick ] || WRITES=8

# metric SERIES: its number in the last look; nothing where it is not there.
metric() { awk -v s="$1" 'index($0, s " ") == 1 { print substr($0, length(s) + 2) }' "$HOST_DIR/metrics"; }
look() { jobfence_cli metrics >"$HOST_DIR/metrics"; }
looked() { look && [ "$(metric "$1")" = "$2" ]; }
more() { look && [ "$(metric "$1")" -gt "$2" ]; } # SERIES NUMBER
families() { sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' "$HOST_DIR/metrics"; }
lint() {
	"$HOST_ROOT/tests/promtool" check metrics <"$1" >"$HOST_DIR/lint" 2>&1
	echo "$?$(tr '\n' ' ' <"$HOST_DIR/lint")"
}

HOST_LIVE_RESTORE=true host_up metrics || broken "host_up"
"$HOST_ROOT/tests/promtool" --fetch || say "no promtool here: what it would say is skipped"
shim_start
job_start host gamma && job_start bridge alpha && bystander_start delta || broken "containers"
jobfence_config $'[nftables]\nowner = no'

section "no fence yet"
look
check "exit code" 0 $?
check "the ruleset" "0 1" "$(metric 'jobfence_ruleset_state{state="present"}') $(metric 'jobfence_ruleset_state{state="absent"}')"
check "its differences are not known" '' "$(metric jobfence_ruleset_differences)"
check "jobs that are not held" 2 "$(metric jobfence_jobs_not_held)"
check "what a rule stopped is not known" '' "$(grep '^jobfence_stopped' "$HOST_DIR/metrics")"

section "the daemon runs"
jobfence_up || broken "jobfence"
host_wait 5000 looked 'jobfence_ruleset_state{state="present"}' 1
check "the ruleset is present" 0 $?
gamma="{id=\"$(container_id gamma | cut -c -12)\",container=\"$(container_name gamma)\",task=\"$(
	docker_h inspect -f '{{index .Config.Labels "ai.dstack.shim.task-id"}}' "$(container_id gamma)")\"}"
check "differences, daemon, engine" "0 1 1" \
	"$(metric jobfence_ruleset_differences) $(metric jobfence_daemon_running) $(metric 'jobfence_engine_state{state="in_sync"}')"
check "jobs" "1 1" "$(
	metric 'jobfence_jobs{class="HOST_WHEN_POSSIBLE",placement="host",confinement="fenced"}') $(
	metric 'jobfence_jobs{class="HOST_WHEN_POSSIBLE",placement="bridge",confinement="isolated"}')"
check "bystanders" 1 "$(metric 'jobfence_bystanders{placement="bridge"}')"
check "jobs that are not held; the host job is" "0 1" "$(metric jobfence_jobs_not_held) $(metric "jobfence_job_held$gamma")"
check_that "the daemon has committed" "$(metric 'jobfence_transactions_total{result="committed"}')" -gt 0
check_that "its last success, seconds ago" $(($(date +%s) - $(metric jobfence_last_success_time_seconds | cut -d. -f1))) -lt 60
check_that "its start, seconds ago" $(($(date +%s) - $(metric jobfence_daemon_start_time_seconds | cut -d. -f1))) -lt 60
started=$(metric jobfence_daemon_start_time_seconds | tr -d .)
check "what promtool says" '@(0|77*)' "$(lint "$HOST_DIR/metrics")"

section "a job is stopped"
before=$(metric "jobfence_job_stopped_packets_total$gamma")
rule='jobfence_stopped_packets_total{family="inet",rule="host_job_to_host_api",group="host_apis"}'
before_rule=$(metric "$rule")
check "before it tried: by name, by rule" "0 0" "$before $before_rule"
check_flow "the job → the shim" "$CLOSED" gamma 127.0.0.1 10998
look
check_that "stopped of the job, by its name" "$(metric "jobfence_job_stopped_packets_total$gamma")" -gt "${before:-none}"
check_that "stopped by the rule" "$(metric "$rule")" -gt "${before_rule:-none}"

section "others change the tables"
heals=$(metric jobfence_heals_total) foreign=$(metric jobfence_foreign_changes_total)
handle=$(host_exec nft -a list chain inet jobfence refuse_known | sed -n 's/.*# handle \([0-9]*\)$/\1/p' | tail -1)
host_exec nft delete rule inet jobfence refuse_known handle "$handle" || broken "delete rule"
host_wait 5000 more jobfence_heals_total "$heals"
check "heals" $((heals + 1)) "$(metric jobfence_heals_total)"
check_that "changes by others" "$(metric jobfence_foreign_changes_total)" -gt "$foreign"

section "reloads"
cp "$HOST_DIR/jobfence.conf" "$HOST_DIR/good"
echo 'nonsense' >>"$HOST_DIR/jobfence.conf"
jobfence_signal HUP
cp "$HOST_DIR/good" "$HOST_DIR/jobfence.conf.later"
host_wait 5000 grep -q 'reload refused' "$HOST_DIR/jobfence.log"
mv "$HOST_DIR/jobfence.conf.later" "$HOST_DIR/jobfence.conf"
host_wait 5000 looked 'jobfence_reloads_total{result="refused"}' 1
check "one was refused, and is the last" "1 0" \
	"$(metric 'jobfence_reloads_total{result="refused"}') $(metric jobfence_last_reload_successful)"
jobfence_signal HUP
host_wait 5000 looked 'jobfence_reloads_total{result="applied"}' 1
check "one was applied" "1 1" \
	"$(metric 'jobfence_reloads_total{result="applied"}') $(metric jobfence_last_reload_successful)"

section "the engine's stream breaks"
engine_stop || broken "engine"
host_wait 5000 looked 'jobfence_engine_state{state="lost"}' 1
check "the engine is lost, jobs are not known" "1 " \
	"$(metric 'jobfence_engine_state{state="lost"}') $(families | grep '^jobfence_jobs')"
check "streams lost" 1 "$(metric jobfence_event_streams_lost_total)"
n=$(grep -c 'in sync' "$HOST_DIR/jobfence.log")
engine_start || broken "engine"
host_wait 15000 jobfence_in_sync "$n"
look
check "back" "1 1" "$(metric 'jobfence_engine_state{state="in_sync"}') $(metric jobfence_event_streams_lost_total)"

section "a file for node_exporter"
mkdir "$HOST_DIR/collector"
file=$HOST_DIR/collector/jobfence.prom
jobfence_cli metrics --output "$file"
check "exit code" 0 $?
check "mode and owner; what else is in the folder" "644 0 jobfence.prom" "$(stat -c '%a %u' "$file") $(ls -A "$HOST_DIR/collector")"
# shellcheck disable=SC2016 # for the inner shell
spawn_from host "$HOST_DIR/reads" bash -c '
	end="jobfence_last_success_time_seconds"
	while [ ! -e "$1.done" ]; do
		text=$(<"$1")
		[[ $text == "# HELP jobfence_build_info"*$end\ [0-9]* && ${text##*$end} == \ *.?????? ]] || echo half
		echo read
	done' reader "$file"
for ((i = 0; i < WRITES; i++)); do jobfence_cli metrics --output "$file" || broken "writing"; done
touch "$file.done"
host_wait 5000 grep -q read "$HOST_DIR/reads"
check_that "read while it was written $WRITES times" "$(grep -c read "$HOST_DIR/reads")" -gt $((WRITES * 3))
check "… half a file" 0 "$(grep -c half "$HOST_DIR/reads")"
# The control: a file that is written in place is seen half
rm "$file.done"
# shellcheck disable=SC2016
spawn_from host "$HOST_DIR/reads2" bash -c '
	while [ ! -e "$1.done" ]; do
		text=$(<"$1")
		[[ $text == "# HELP jobfence_build_info"* && ${text: -7:1} == . ]] || echo half
	done' reader "$file"
for ((i = 0; i < WRITES; i++)); do (sleep 0.02; cat) <"$HOST_DIR/metrics" >"$file"; done
touch "$file.done"
host_wait 5000 grep -q half "$HOST_DIR/reads2"
check_that "the control: half a file, written in place" "$(grep -c half "$HOST_DIR/reads2")" -gt 0
jobfence_cli metrics --output "$HOST_DIR/nowhere/jobfence.prom" 2>"$HOST_DIR/said"
check "no such folder: exit code" 1 $?
check "… and what is said" "*nowhere/jobfence.prom*stays as it was: No such file*" "$(<"$HOST_DIR/said")"

section "the daemon is killed"
pid=$(<"$HOST_DIR/jobfence.pid")
jobfence_kill
look
check "it does not run" 0 "$(metric jobfence_daemon_running)"
check "what it left is still there" yes "$([ -s "/proc/$HOST_PID/root/run/jobfence/$(
	stat -L -c %i "/proc/$HOST_PID/ns/net").counters" ] && echo yes)"
check "… and is none of anybody's numbers" '' "$(families | grep -E 'heals|reconciles|start_time|success')"
check "what the kernel counts is still told" "1 yes" "$(metric "jobfence_job_held$gamma") $(
	[ "$(metric "$rule")" -gt 0 ] && echo yes)"
check "what promtool says" '@(0|77*)' "$(lint "$HOST_DIR/metrics")"
host_exec nft delete table inet jobfence || broken "delete table"
look
check "half of it taken away by others: it differs; jobs that are not held; the host job is" "1 2 0" \
	"$(metric 'jobfence_ruleset_state{state="differs"}') $(metric jobfence_jobs_not_held) $(metric "jobfence_job_held$gamma")"
check "explain says so" '*no job is held*' "$(jobfence_cli explain gamma | grep -m 1 'the ruleset in the kernel')"
check "status too" 2 "$(jobfence_cli status | grep -c 'NOT HELD (')"
jobfence_up || broken "jobfence"
look
check "a new daemon begins at zero" 0 "$(metric jobfence_heals_total)"
check_that "… that started later" "$(metric jobfence_daemon_start_time_seconds | tr -d .)" -gt "${started:-none}"
finish
