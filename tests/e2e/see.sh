#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What an operator sees: status and explain on a real host, daemon running and stopped, with and without
# privileges; engines that cannot be fenced and are refused.
set -u
# shellcheck source=tests/e2e/checks.sh
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# --- a terminal -------------------------------------------------------------------------------------------

ENVIRONMENT=(TERM=xterm)
# on_terminal COLUMNS SECONDS SIGNAL COMMAND…: what a terminal gets; with a signal after so many seconds.
# Its last line is the exit code.
on_terminal() {
	host_exec python3 - "$@" <<-'END'
		import fcntl, os, pty, signal, struct, sys, termios, time
		columns, seconds, name = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
		pid, fd = pty.fork()
		if pid == 0:
		    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
		    os.environ.setdefault("TERM", "xterm")
		    os.execvp(sys.argv[4], sys.argv[4:])
		if seconds:
		    time.sleep(seconds)
		    os.kill(pid, getattr(signal, name))
		text = b""
		while True:
		    try:
		        some = os.read(fd, 65536)
		    except OSError:
		        break
		    if not some:
		        break
		    text += some
		print(text.decode().replace("\r\n", "\n"))
		print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
}
cli_on_terminal() { # COLUMNS SECONDS SIGNAL COMMAND…
	on_terminal "$1" "$2" "$3" env "${ENVIRONMENT[@]}" RUNTIME_DIRECTORY=/run/jobfence "$JOBFENCE" "${@:4}" \
		--config "$HOST_DIR/jobfence.conf"
}

# --- engines that cannot be fenced -------------------------------------------------------------------

fake_start() {
	mkfifo "$HOST_DIR/orders" || return 1
	# shellcheck disable=SC2016 # for the inner shell
	host_spawn engine "$HOST_DIR/fake.log" sh -c 'exec fakeengine /run/docker.sock <"$1"' sh "$HOST_DIR/orders"
	disown "$HOST_SPAWNED"
	exec {ORDERS}>"$HOST_DIR/orders"
	host_wait 2000 host_exec test -S /run/docker.sock
}
said() { grep -qx "said$1" "$HOST_DIR/fake.log"; }
fake() { # COMMAND: returns when it is done
	SAID=$((${SAID:-0} + 1))
	printf '%s\nsay said%s\n' "$*" "$SAID" >&"$ORDERS"
	host_wait 10000 said "$SAID" || broken "fakeengine: $*"
}
logged() { grep -q "$1" "$HOST_DIR/jobfence.log"; }

# code COMMAND…: its exit code, and the first line of what it says behind it
code() {
	local said

	said=$(jobfence_cli "$@" 2>&1 >/dev/null)
	echo "$? $(head -n 1 <<<"$said")"
}

refused() { # KIND WORD
	local command

	fake be "$1"
	for command in status "status --json" verify; do
		# shellcheck disable=SC2086 # words
		check "$1: $command" "78 *refused*$2*" "$(code $command)"
	done
	check "$1: render asks no engine" "0*" "$(code render)"
	jobfence_start >/dev/null 2>&1
	jobfence_reap 5000
	check "$1: run" 78 $?
	logged "refused: it is $2"
	check "$1: run says why" 0 $?
}

section "engines that cannot be fenced"
HOST_ENGINE=0 host_up refused || broken "host_up"
fake_start || broken "fakeengine"
refused podman Podman
refused rootless rootless
fake be docker
jobfence_up || broken "jobfence"
fake be rootless
fake cut
host_wait 5000 logged 'lost: it is rootless'
check "one that becomes rootless is lost" 0 $?
fake be docker
fake put job 1
fake hold 1
since=$(now_ms)
got=$(cli_on_terminal 80 1.5 SIGINT status --watch)
check "a signal ends --watch while the engine is slow to answer" 0 "${got##*$'\n'}"
check_that "ms until then" $(($(now_ms) - since)) -lt 4500
fake release 1
fake gone 1
fake be rootless
jobfence_runs
check "the daemon runs on" 0 $?
check "the fence stands" 0 "$(host_exec nft list table inet jobfence >/dev/null; echo $?)"
jobfence_stop
check "the daemon's exit code" 0 $?
host_exec sh -c 'mkdir -p /run/podman && mv /run/docker.sock /run/podman/podman.sock &&
	ln -s /run/podman/podman.sock /run/docker.sock' || broken "the link"
fake be docker
check "a link to podman.sock: status" "78 *refused*Podman*" "$(code status)"
host_down

# --- explain -------------------------------------------------------------------------------------------

# says WHAT PATTERN COMMAND…: a line of the output matches
says() {
	local what=$1 pattern=$2 found

	shift 2
	found=$("$@" 2>&1 | grep -m 1 -E -- "$pattern")
	check "$what" '?*' "$found"
}
# field FILTER COMMAND…: what of the JSON
field() {
	local filter=$1

	shift
	"$@" --json | python3 -c "import json, sys; v = json.load(sys.stdin); print($filter)"
}
nobody() { host_exec setpriv --reuid 65534 --regid 65534 --clear-groups "$JOBFENCE" "$@" --config /dev/null; }

explained() { # WHEN
	section "explain, $1"
	says "bridge job" '^alpha.*: a job, isolated$' jobfence_cli explain alpha
	says "its port" "on docker0, port veth.*, MAC $(container_mac alpha)" jobfence_cli explain alpha
	says "its element" "jobs4 +\"docker0\" . $(container_ip4 alpha), [1-9]" jobfence_cli explain alpha
	says "its rule, with the counter" '^  inet   job_to_host +[1-9][0-9]*  bridge job to an address' \
		jobfence_cli explain alpha
	says "host job, by its id" ': a job, fenced$' jobfence_cli explain "$(container_id gamma)"
	says "its rule" '^  inet   host_job_to_host_api +[1-9]' jobfence_cli explain gamma
	says "its cgroup" "cgroup .*$(container_id gamma) \(id [0-9]+\)" jobfence_cli explain gamma
	says "bystander" '^delta: a bystander, free$' jobfence_cli explain delta
	check "a bystander's JSON" "bystander free True" "$(field \
		"v['container']['role'], v['container']['confinement'], all(e['in_kernel'] for e in v['elements'] if not e['set'].startswith('bound'))" \
		jobfence_cli explain delta)"
	check "a job's JSON" "isolated [1-9]*" "$(field \
		"v['container']['confinement'], v['container']['stopped_packets']" jobfence_cli explain alpha)"
	says "what it reaches" '^  no +shim: host job to shim or DCGM exporter' jobfence_cli explain gamma
	jobfence_cli explain gamma --json >"$HOST_DIR/gamma.json"
	python3 "$HOST_ROOT/tests/schema.py" "$HOST_ROOT/contrib/schema/explain.schema.json" "$HOST_DIR/gamma.json"
	check "the JSON is as its schema says" 0 $?
	check "unknown" "1 *no container \"alfa\"; near to it are:*" "$(code explain alfa)"
	says "what is near to it" "$(container_name alpha)" jobfence_cli explain alfa
	check "ambiguous" "1 *2 containers*" "$(code explain twin)"
}

section "a host with jobs"
host_up see || broken "host_up"
shim_start || broken "shim"
job_start bridge alpha && job_start host gamma && bystander_start delta && bystander_start twin1 &&
	bystander_start twin2 || broken "containers"
jobfence_up || broken "jobfence"
check_flow "alpha → host" "$CLOSED" alpha "$HOST_GW4" 22
check_flow "gamma → shim" "$CLOSED" gamma 127.0.0.1 10998
check_flow "alpha → delta" "$CLOSED" alpha "$(container_ip4 delta)" 8000
explained "the daemon runs"
jobfence_stop
says "status takes what a daemon that ended took back for no difference" '^ruleset       present, as it should be$' \
	jobfence_cli status
explained "the daemon is stopped"
# --- what no ruleset can mend ------------------------------------------------------------------------------

findings() { field "[f['kind'] for f in v['posture']['findings'] if f['port'] == $1]" jobfence_cli status; }

section "posture"
check "before: nobody listens on 6379" "[[]]" "$(findings 6379)"
spawn_from host "$HOST_DIR/redis.log" serve tcp:127.0.0.1:6379=redis
host_wait 3000 host_exec sh -c 'ss -ltn | grep -q 127.0.0.1:6379'
says "a listener made on purpose, and whose it is" '^  tcp 127.0.0.1:6379 +serve \(pid [0-9]+\) +Redis' \
	jobfence_cli status
says "node exporter" '^  tcp .*:9100 ' jobfence_cli status
check "the shim is not told of" "[[]]" "$(findings 10998)"
check "nor sshd" "[[]]" "$(findings 22)"
shim_stop
bystander_start taker --network host || broken "containers"
spawn_from taker "$HOST_DIR/taker.log" serve tcp:127.0.0.1:10998=taker
host_wait 3000 host_exec sh -c 'ss -ltn | grep -q 127.0.0.1:10998'
says "who holds the shim's port" '^! port 10998 is held by bystander taker: the shim cannot start$' \
	jobfence_cli status
inner=$(container_cgroup taker)/inner
host_exec mkdir "$inner"
# shellcheck disable=SC2016 # for the inner shell
spawn_from host "$HOST_DIR/inner.log" sh -c 'echo $$ >"$1/cgroup.procs" && exec serve tcp:127.0.0.1:10997=inner' \
	sh "$inner"
host_wait 3000 host_exec sh -c 'ss -ltn | grep -q 127.0.0.1:10997'
says "also from a cgroup inside its own" '^! port 10997 is held by bystander taker: the DCGM exporter' \
	jobfence_cli status
check "the same for programs" "taker held_port" "$(field \
	"' '.join([(f['container'], f['kind']) for f in v['posture']['findings'] if f['port'] == 10998][0])" \
	jobfence_cli status)"
jobfence_cli status --json >"$HOST_DIR/status.json"
python3 "$HOST_ROOT/tests/schema.py" "$HOST_ROOT/contrib/schema/status.schema.json" "$HOST_DIR/status.json"
check "the JSON is as its schema says" 0 $?

# --- status on a terminal --------------------------------------------------------------------------------

longest() { python3 -c 'import re, sys; print(max(len(re.sub("\033\\[[0-9;?]*[A-Za-z]", "", line)) for line in sys.stdin.read().split("\n")))'; }

section "status on a terminal"
ENVIRONMENT=(TERM=xterm)
got=$(cli_on_terminal 70 0 "" status)
check "headings" 2 "$(grep -cE '^.\[1m(Jobs|Bystanders) \([0-9]+\)' <<<"$got")"
check "colours" 1 "$(grep -c $'^\033\\[3[23]mruleset' <<<"$got")"
check_that "the longest line on 70 columns" "$(longest <<<"$got")" -le 70
for ENVIRONMENT in NO_COLOR=1 TERM=dumb; do
	check "no colours with $ENVIRONMENT" 0 "$(cli_on_terminal 70 0 "" status | grep -c $'\033')"
done
ENVIRONMENT=(TERM=xterm)
for signal in SIGINT SIGTERM; do
	got=$(cli_on_terminal 100 2.5 $signal status --watch=1)
	check "--watch, $signal: exit code" 0 "${got##*$'\n'}"
	check_that "pictures" "$(grep -o $'\033\\[H' <<<"$got" | wc -l)" -ge 2
	check "the screen is cleared once" 1 "$(grep -o $'\033\\[2J' <<<"$got" | wc -l)"
	check "the cursor is given back, last" $'\033[?25h' "$(tail -n 3 <<<"$got" | grep -o $'\033\\[?25h')"
done
check "--watch takes seconds" "64 *" "$(code status --watch=0)"
check "not with --json" "64 *once*" "$(code status --watch --json)"

section "without privileges"
says "the ruleset" 'needs root' nobody status
says "the engine" '[Pp]ermission denied' nobody status
says "whose the listeners are" '^whose they are: \?' nobody status
check "explain" "1 *the engine has not told*" "$(nobody explain alpha >/dev/null 2>"$HOST_DIR/nobody"; echo "$? $(<"$HOST_DIR/nobody")")"
finish
