#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "jobfence probe" on a real engine: in every mode it finds with real packets what "jobfence matrix" says,
# field by field; what is not so it names, what it cannot prove it does not call proven, and it leaves
# nothing behind, also when it is interrupted.
#
# Usage: probe.sh [--quick|--long]      (two modes instead of four; without the fence all flows, which takes
#                                       a minute, since what nobody stops is waited for)
# shellcheck disable=SC2015,SC2016,SC2034,SC2119,SC2154,SC2317 # a set-up that fails ends it; for an inner shell; facts; no arguments; called by name
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

MODES='1 2 3 fence' LONG=''
[ "${1-}" != --long ] || LONG=1
[ "${1-}" != --quick ] || MODES='2 3'
NAMED=(--lan "$LAN4:8080" --lan "[$LAN6]:8080" --internet "$INET4:443" --internet "[$INET6]:443")
OWNERLESS=$'[nftables]\nowner = no'

people() {
	docker_h network create --subnet 172.30.0.0/24 --gateway 172.30.0.1 --ipv6 --subnet fd00:5ec::/64 \
		--gateway fd00:5ec::1 second >/dev/null && shim_start || return 1
	job_start bridge alpha && job_start bridge beta && job_start second zeta && job_start host gamma &&
		job_start host kappa part && job_start bridge theta part -p 18000:8000 &&
		bystander_start delta -p 18001:8000 && bystander_start lambda &&
		bystander_start omega --network host
}

# fence_start MODE [SECTIONS]
fence_start() {
	local mode=$1 jobs=''

	[ "$mode" != fence ] || mode=3 jobs=$'[jobs]\non_violation = fence'
	echo "DSTACK_SERVER_JOB_NETWORK_MODE=$mode" >"$HOST_DIR/mode"
	jobfence_config "[environment]
environment_file = $HOST_DIR/mode
$jobs
${2-}"
	: >"$HOST_DIR/jobfence.log"
	jobfence_up
}

# probe NAME ARGUMENTS…: what it printed is in $HOST_DIR/NAME, its exit code in CODE
probe() {
	local name=$1

	shift
	jobfence_cli probe "$@" >"$HOST_DIR/$name" 2>&1
	CODE=$?
}

# json NAME PROGRAM: python, over what is in $HOST_DIR/NAME, as "j" ("flows" are those that were tried)
json() {
	python3 -c "import json,sys
j=json.load(open(sys.argv[1])); flows=[f for f in j.get('flows',[]) if f['finding']!='untried']
print($2)" "$HOST_DIR/$1"
}

valid() { # SCHEMA NAME
	"$HOST_ROOT/tests/schema.py" "$HOST_ROOT/contrib/schema/$1.schema.json" "$HOST_DIR/$2"
	case $? in 0 | 77) echo yes ;; *) echo no ;; esac
}

# Each flow that was tried is a flow of the matrix, with the same answer and the same counter.
same_as_matrix() {
	python3 - "$HOST_DIR/probe.json" "$HOST_DIR/matrix.json" <<-'END'
		import json, sys
		probe, matrix = (json.load(open(path)) for path in sys.argv[1:])
		said = {}
		for cell in matrix['cells']:
		    ends = tuple((p['kind'], p['id']) for p in (matrix['sources'][cell['from']], matrix['targets'][cell['to']]))
		    for flow in cell['flows']:
		        said[ends + (flow['to'],)] = (flow['state'], flow['counter'])
		seen = {'connected': {'allowed'}, 'refused': {'allowed', 'denied'}, 'no answer': {'denied'}, 'unreachable': {'denied'}}
		tried = different = 0
		for flow in probe['flows']:
		    if flow['finding'] == 'untried':
		        continue
		    tried += 1
		    key = ((flow['from']['kind'], flow['from']['id']), (flow['to']['kind'], flow['to']['id']), flow['address'])
		    state, counter = said.get(key, (None, None))
		    if flow['finding'] != 'as_intended' or state not in seen[flow['seen']] or \
		            (state == 'denied') != (flow['counted'] > 0) or counter != flow['counter']:
		        different += 1
		        print(key, state, counter, flow['finding'], flow['seen'], flow['counted'], file=sys.stderr)
		print(f'{tried} tried, {different} different')
	END
}

compare_modes() {
	local mode

	for mode in $MODES; do
		section "mode $mode: what is seen is what is said"
		fence_start "$mode" || broken "jobfence does not start"
		[ "$mode" != 3 ] || host_brnf 1
		probe probe.json --json "${NAMED[@]}"
		check "mode $mode: all as intended" 0 $CODE
		[ $CODE = 0 ] || json probe.json "[f for f in flows if f['finding']!='as_intended'][:4]"
		jobfence_cli matrix --json >"$HOST_DIR/matrix.json"
		# the matrix has no address of a LAN or of the internet: those are the probe's own
		python3 - "$HOST_DIR/probe.json" <<-'END'
			import json, sys
			j = json.load(open(sys.argv[1]))
			j['flows'] = [f for f in j['flows'] if f['to']['kind'] not in ('lan', 'internet')]
			json.dump(j, open(sys.argv[1], 'w'))
		END
		check "mode $mode: matrix and probe agree" '[23][0-9][0-9] tried, 0 different' "$(same_as_matrix)"
		check "mode $mode: both families" '1[0-9][0-9] 1[0-9][0-9]' \
			"$(json probe.json "sum(f['family']==4 for f in flows), sum(f['family']==6 for f in flows)" | tr -d '(),')"
		jobfence_stop || broken "jobfence stopped with $?"
		host_brnf 0
	done
	check "matrix --json is by its schema" yes "$(valid matrix matrix.json)"
	check "probe --json is by its schema" yes "$(valid probe probe.json)"
}

# --- without a daemon, and with something wrong ----------------------------------------------------------

different() {
	section "something is different"
	fence_start 2 "$OWNERLESS" && jobfence_stop || broken "jobfence does not start and stop"
	probe text "${NAMED[@]}"
	check "the daemon stopped: all as intended" 0 $CODE
	check "the sum" '*[23][0-9][0-9] connections tried: [23][0-9][0-9] as intended, 0 different, 0 unproven*' \
		"$(tail -n 1 "$HOST_DIR/text")"
	delete_rules inet from_container host_job_to_host_api || broken "no such rule"
	probe another --quick
	check "a rule taken out, and another stops it: not proven" 2 $CODE
	check "is said" "unproven  job gamma-* -> shim, 127.0.0.1:10998: *but another rule counted (no answer, loopback_forged)" \
		"$(grep -m 1 'unproven  job gamma' "$HOST_DIR/another")"
	delete_rules inet to_host_api loopback_forged && delete_rules inet from_host_api host_job_to_host_api ||
		broken "no such rule"
	probe quick --quick
	check "the others too: --quick sees it" 1 $CODE
	check "and names the flow" \
		"DIFFERENT  job gamma-* -> shim, 127.0.0.1:10998: should be stopped by host_job_to_host_api; it connected" \
		"$(grep -m 1 DIFFERENT "$HOST_DIR/quick")"
	probe text
	check "in the table" 1 "$(grep '^[0-9] job gamma' "$HOST_DIR/text" | grep -c 'no>YES')"
	delete_rules inet from_bridge_to_host 'job_to_host' || broken "no such rule"
	delete_rules inet answer_to_bridge 'job_to_host' || broken "no such rule"
	probe text.json --json
	check "a bridge job that reaches sshd" True \
		"$(json text.json "any(f['to']['kind']=='host' and f['from']['name'].startswith('alpha') and f['finding']=='different' for f in flows)")"
	jobfence_cli remove >/dev/null 2>&1
	probe removed --quick
	check "without the fence" 1 $CODE
	check "a job that reaches the shim" 1 "$(grep -c 'DIFFERENT  job gamma.*127.0.0.1:10998' "$HOST_DIR/removed")"
	[ -n "$LONG" ] || return 0
	probe removed "${NAMED[@]}"
	check "without the fence, all" 1 $CODE
	check_that "rows with what is open" "$(grep -c 'no>YES' "$HOST_DIR/removed")" -ge 5
}

# Somebody else stops it first: it does not connect, and that proves nothing of ours.
unproven() {
	section "what is not proven"
	fence_start 2 && jobfence_stop || broken "jobfence does not start and stop"
	somebody_drops 10998
	probe foreign --quick
	check "a counter that does not move" 2 $CODE
	check "is said" "unproven  job gamma-* -> shim, 127.0.0.1:10998: * no rule counted it (no answer)" \
		"$(grep -m 1 'unproven  job gamma' "$HOST_DIR/foreign")"
	host_exec nft delete table inet somebody
	shim_stop
	probe closed --quick
	check "a shim that does not run: its port is closed, and open to the host" 0 $CODE
	shim_restart
}

audited() {
	section "audit"
	fence_start 2 $'[enforce]\ndefault = audit' || broken "jobfence does not start"
	probe audit.json --json
	check "counted, and let through" 0 $CODE
	[ $CODE = 0 ] || json audit.json "[f for f in flows if f['finding']!='as_intended'][:6]"
	check "of each that would be stopped" "[1-9][0-9]* 0" \
		"$(json audit.json "sum(f['intended']=='audited' for f in flows), sum(f['intended']=='denied' for f in flows)" | tr -d '(),')"
	jobfence_stop
}

# --- what it leaves behind -------------------------------------------------------------------------------

# Of jobs: files, processes, neighbours, sockets.
traces() {
	local C_ID C_PID C_IP4 C_IP6 C_MAC one

	for one in alpha gamma zeta; do
		container_facts "$one"
		echo "== $one"
		docker_h diff "$C_ID" | sort
		docker_h top "$C_ID" -o pid,comm
		cat "$(container_cgroup "$one")/cgroup.procs"
		# but for the way out, which every connection keeps
		[ "$one" = gamma ] || nsenter -t "$C_PID" -n sh -c 'ip neigh | cut -d " " -f 1 | grep -v "::\?1$\|[.]1$" | sort
			ss -Htan state all | grep -v LISTEN'
	done
}

# Processes of a probe on this host: those whose parent has this host's configuration.
probers() {
	local pid parent

	for pid in $(pgrep -x jobfence-probe); do
		parent=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status" 2>/dev/null)
		grep -qs "$HOST_DIR" "/proc/${parent:-0}/cmdline" && echo "$pid $parent"
	done
}
a_prober() { [ -n "$(probers)" ]; }

somebody_drops() { # PORTS
	host_exec nft -f - <<-END
		table inet somebody {
			chain output {
				type filter hook output priority -400
				tcp dport { $1 } drop
			}
		}
	END
}

nothing_left() {
	local before

	section "what it leaves behind"
	before=$(traces)
	fence_start 2 || broken "jobfence does not start"
	probe left "${NAMED[@]}"
	check "all was tried" 0 $CODE
	if [ "$before" = "$(traces)" ]; then
		check "nothing in the containers" same same
	else
		check "nothing in the containers" same "$(diff <(echo "$before") <(traces))"
	fi
	check "no process" "" "$(probers)"
}

interrupted() {
	local prober

	section "interrupted"
	fence_start 2 || broken "jobfence does not start"
	somebody_drops "10022, 10997-10999"
	jobfence_cli probe >"$HOST_DIR/interrupted" 2>&1 &
	host_wait 3000 a_prober || broken "it does not try anything"
	prober=$(probers)
	kill -INT "${prober#* }"
	wait $!
	check "it could not tell" 2 $?
	check "and says so" "Interrupted*" "$(grep Interrupted "$HOST_DIR/interrupted")"
	check "no process is left" "" "$(probers)"
	jobfence_cli probe >/dev/null 2>&1 &
	host_wait 3000 a_prober || broken "it does not try anything"
	prober=$(probers)
	kill -KILL "${prober#* }"
	wait $! 2>/dev/null
	host_wait 1000 process_gone "${prober% *}"
	check "killed, and none is left either" "" "$(probers)"
	host_exec nft delete table inet somebody
	jobfence_stop
}

process_gone() { ! kill -0 "$1" 2>/dev/null; }

refused() {
	section "what it refuses"
	check "another user" "*probe has to be root*2" \
		"$(host_exec setpriv --reuid 65534 --clear-groups "$JOBFENCE" probe 2>&1; echo $?)"
	check "an address without a port" "*is not ADDRESS:PORT*" "$(jobfence_cli probe --lan 10.0.0.1 2>&1)"
	check "a port 0" "*is not ADDRESS:PORT*" "$(jobfence_cli probe --internet '[2001:db8::1]:0' 2>&1)"
}

# A container that ends meanwhile is no difference.
gone() {
	local codes='' i

	section "containers that end meanwhile"
	for i in 1 2 3; do
		job_start bridge nu && job_start host xi || broken "no job"
		jobfence_cli probe >"$HOST_DIR/gone.$i" 2>&1 &
		sleep "0.$((i + 2))"
		container_rm nu xi
		wait $!
		codes+="$? "
	done
	check "never a difference" '[02] [02] [02] ' "$codes"
	[ "$codes" = '0 0 0 ' ] || grep -h -m 3 'unproven' "$HOST_DIR"/gone.*
}

# bounded NAME ARGUMENTS…: as probe, and its exit code is 124 where it does not end.
bounded() {
	local name=$1

	shift
	jobfence_cli probe "$@" >"$HOST_DIR/$name" 2>&1 &
	if host_wait 20000 process_gone $!; then
		wait $!
		CODE=$?
	else
		CODE=124
	fi
}

# Whoever tries from a frozen cgroup is frozen. (Docker pauses in v1's freezer where there is one.)
paused() {
	local freeze procs

	freeze=$(container_cgroup gamma)/cgroup.freeze
	procs=$(cat "${freeze%.*}.procs")
	section "a job on the host's network that stands still"
	docker_h pause "$(container_name gamma)" >/dev/null || broken "it cannot be paused"
	bounded paused.json --quick --json
	docker_h unpause "$(container_name gamma)" >/dev/null || broken "it stays paused"
	check "paused: the others are as intended" 0 $CODE
	check "and it is not tried" "not tried: it is paused" \
		"$(json paused.json "*sorted({f['why'] for f in j['flows'] if (f['from']['name'] or '').startswith('gamma') and f['address']=='127.0.0.1:10998'})")"
	echo 1 >"$freeze" || broken "no freezer"
	bounded frozen --quick
	check "frozen by another: no process is left there" "$procs" "$(cat "${freeze%.*}.procs")"
	echo 0 >"$freeze"
	check "it could not tell" 2 $CODE
	check "and says why" "unproven  job gamma-* -> shim, 127.0.0.1:10998: *; it could not be tried: its process does not answer" \
		"$(grep -m 1 'unproven  job gamma' "$HOST_DIR/frozen")"
	check "the others were tried" "*[1-9]* connections tried: [1-9]* as intended, 0 different, [1-9] unproven, 0 gone; *" \
		"$(tail -n 1 "$HOST_DIR/frozen")"
	probe again --quick
	check "afterwards it is tried" 0 $CODE
}

quick_enough() {
	local start

	section "--quick"
	start=$(now_ms)
	probe quick --quick
	check "all as intended" 0 $CODE
	check_that "milliseconds" $(($(now_ms) - start)) -lt $((1000 * ${HOST_PATIENCE:-1}))
}

host_cleanup_stale
trap 'host_down_all' EXIT
host_up probe && people || broken "no host"
nothing_left
quick_enough
paused
gone
jobfence_stop
compare_modes
interrupted
unproven
audited
different
refused
finish
