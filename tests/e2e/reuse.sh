#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A port of the host that a job had before: conntrack may keep the job's entry for a while, mark and all,
# and take the host's connection for the same. It must be the host's all the same, and the job's again after.

# shellcheck source=tests/e2e/checks.sh
. "$(dirname "$0")/checks.sh"

main() {
	host_up reuse && shim_start || broken "host_up"
	job_start host gamma && job_start host eta && job_start bridge alpha || broken "jobs"
	jobfence_start || broken "jobfence"
	host_wait 5000 open_to gamma 127.0.0.1 10999

	section "the same source port, first a job's, then the host's"
	check_flow "another job → gamma's runner" refused eta --from 127.0.0.1:45000 127.0.0.1 10999
	check_flow "host → gamma's runner" open:gamma:runner host --from 127.0.0.1:45000 127.0.0.1 10999
	check_flow "another job → shim" refused eta --from 127.0.0.1:45001 127.0.0.1 10998
	check_flow "host → shim" open:shim host --from 127.0.0.1:45001 127.0.0.1 10998
	check_flow "gamma → its own runner" open:gamma:runner gamma --from 127.0.0.1:45002 127.0.0.1 10999
	check_flow "another job → gamma's runner, from there" refused eta --from 127.0.0.1:45002 127.0.0.1 10999

	section "a port that was published after jobfence stopped"
	jobfence_stop
	job_start bridge late || broken "late"
	port=$(container_port late 10999)
	host_wait 5000 open_to host 127.0.0.1 "$port"
	check_flow "job → late's published runner" refused eta --from 127.0.0.1:45003 127.0.0.1 "$port"
	check_flow "host → late's published runner" open:late:runner host --from 127.0.0.1:45003 127.0.0.1 "$port"
}

main
finish
