#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the operator adds to the mirrored mode, on a real engine: a stricter class by name, guarded listeners,
# fenced ports, and containers that are confined like a job. Each forbidden flow is open without it.
# shellcheck disable=SC2015,SC2119,SC2317 # a set-up that fails ends it; no arguments; called by name
set -u
# shellcheck source=tests/e2e/attack_table.sh
. "$(dirname "${BASH_SOURCE[0]}")/attack_table.sh"

ready_count() { grep -c ' READY=1$' "$HOST_DIR/notify.log"; }
ready_more() { [ "$(ready_count)" -gt "$1" ]; }
converged() { jobfence_cli verify >/dev/null 2>&1; }

reload() { # SECTIONS
	local before

	jobfence_config "[environment]
environment_file = $HOST_DIR/mode
$1"
	before=$(ready_count)
	jobfence_signal HUP
	host_wait 5000 ready_more "$before" && host_wait 5000 converged
}

# closed WHAT COUNTER WHO DIAL-ARGUMENTS…: closed, and counted (family and name)
closed() {
	local what=$1 counter=$2 old new

	shift 2
	# shellcheck disable=SC2086
	old=$(counter $counter)
	check_flow "$what" "$CLOSED" "$@"
	# shellcheck disable=SC2086
	new=$(counter $counter)
	check_that "  counted by $counter" $((new - old)) -gt 0
}

says() { jobfence_cli status | grep -- "$1"; } # the row of a name

gone() { ! kill -0 "$1" 2>/dev/null; }
end() { kill "$1" && host_wait 2000 gone "$1"; }

host_up overrides || broken "host_up"
shim_start || broken "shim"
echo DSTACK_SERVER_JOB_NETWORK_MODE=2 >"$HOST_DIR/mode"
job_start host train-a && job_start host gamma && job_start bridge alpha && bystander_start delta &&
	bystander_start exporter-b && bystander_start tagged --label team=ml --label other=x &&
	bystander_start omega --network host && bystander_start exporter-h --network host || broken "containers"
lan_exec serve -b tcp:0.0.0.0:2375=lanapi

# --- guarded listeners -----------------------------------------------------------------------------------

sshd_pid() { host_exec ss -Hltnp 'sport = 22' | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -n 1; }

# The job in the place of sshd and, by UDP, of the exporter, which are one process here.
take_over() {
	end "$(sshd_pid)" || broken "sshd stays"
	spawn_from gamma "$HOST_DIR/fake.log" serve tcp:0.0.0.0:22=fake 'tcp:[::]:22=fake' \
		udp:0.0.0.0:9100=fake 'udp:[::]:9100=fake'
	FAKE=$HOST_SPAWNED
	host_wait 2000 open_to gamma 127.0.0.1 8100
	sleep 0.2
}

# each_way FUNCTION: WHAT WHO ARGUMENTS…, to port 22 and to the exporter's UDP port
each_way() {
	"$1" "LAN → port 22" lan "$HOST_LAN4" 22
	"$1" "LAN → port 22, IPv6" lan "$HOST_LAN6" 22
	"$1" "host → port 22 on lo" host 127.0.0.1 22
	"$1" "host → port 22 on lo, IPv6" host ::1 22
	"$1" "host → port 22 by its own address" host "$HOST_LAN4" 22
	"$1" "bystander → port 22" delta "$HOST_GW4" 22
	"$1" "LAN → udp 9100" lan --udp "$HOST_LAN4" 9100
	"$1" "LAN → udp 9100, IPv6" lan --udp "$HOST_LAN6" 9100
	"$1" "host → udp 9100 on lo" host --udp 127.0.0.1 9100
	"$1" "host → udp 9100 on lo, IPv6" host --udp ::1 9100
}

is_fake() { check_flow "$1" open:fake "${@:2}"; }
is_guarded() { closed "$1" "inet guarded_listener" "${@:2}"; }

# With raw packets while nobody listens and the kernel gives no answer: answer_raw TOOL ADDR
answer_raw() {
	local got

	: >"$HOST_DIR/attack.log"
	spawn_from gamma "$HOST_DIR/attack.log" "$1" 22 forged 2
	sleep 0.15
	got=$(dial_from host --timeout 1000 "$2" 22)
	grep -q answered "$HOST_DIR/attack.log" || got="no SYN seen"
	works_if open:forged "$got"
}

section "a job that takes the place of sshd while it is away: before jobfence"
take_over
each_way is_fake
flow_open held send gamma 0.0.0.0:2022 lan "$HOST_LAN4:2022" || broken "flow"
flow_moves held || broken "flow does not move"
end "$FAKE"
host_exec nft -f - <<-END
	table inet probe {
		chain input {
			type filter hook input priority -5
			iif lo ip daddr 127.0.0.2 tcp dport 22 drop
			iif lo ip6 daddr $HOST_LAN6 tcp dport 22 drop
			iif lo ip daddr 127.0.0.3 tcp dport 22 tcp flags & (syn | ack) == syn drop
		}
	}
END
check "raw answer in its place" works "$(tried "answer_raw rawreply 127.0.0.2")"
check "raw answer in its place, IPv6" works "$(tried "answer_raw rawreply $HOST_LAN6")"
check "simultaneous open in its place" works "$(tried "answer_raw simopen 127.0.0.3")"

section "with jobfence"
jobfence_config "[environment]
environment_file = $HOST_DIR/mode
[ports]
guarded = tcp 22, tcp 2022, udp 9100"
jobfence_up || broken "jobfence"
spawn_from gamma "$HOST_DIR/fake.log" serve tcp:0.0.0.0:22=fake 'tcp:[::]:22=fake' \
	udp:0.0.0.0:9100=fake 'udp:[::]:9100=fake'
FAKE=$HOST_SPAWNED
sleep 0.3
each_way is_guarded
seen=$(flow_count held)
sleep 1
check_that "one that was open before: what came within a second" $(($(flow_count held) - seen)) -le 1
check_flow "another port of the same job" open:gamma:app lan "$HOST_LAN4" "$(container_app gamma)"
end "$FAKE"
for attack in "rawreply 127.0.0.2" "rawreply $HOST_LAN6" "simopen 127.0.0.3"; do
	old=$(counter inet guarded_listener)
	# shellcheck disable=SC2086 # tool and address
	check "in its place by $attack" "fails*" "$(answer_raw $attack)"
	check_that "  counted by inet guarded_listener" $(($(counter inet guarded_listener) - old)) -gt 0
done
check_flow "the job's own connection from port 22" open:lan gamma --from "$HOST_LAN4:22" "$LAN4" 8080
check_flow "the same, IPv6" open:lan gamma --from "[$HOST_LAN6]:22" "$LAN6" 8080

section "sshd is back, on one address only; the job has the others"
host_exec serve -b "tcp:$HOST_GW4:22=sshd" "tcp:$HOST_LAN4:22=sshd"
spawn_from gamma "$HOST_DIR/fake.log" serve tcp:127.0.0.1:22=fake 'tcp:[::]:22=fake'
FAKE=$HOST_SPAWNED
sleep 0.3
check_flow "LAN → sshd" open:sshd lan "$HOST_LAN4" 22
check_flow "bystander → sshd" open:sshd delta "$HOST_GW4" 22
check_flow "host job → sshd" open:sshd gamma "$HOST_LAN4" 22
is_guarded "host → the job on lo" host 127.0.0.1 22
is_guarded "LAN → the job, IPv6" lan "$HOST_LAN6" 22
end "$FAKE"

section "a bystander keeps what it had; so does a job, where nothing is guarded"
spawn_from omega "$HOST_DIR/omega.log" serve 'tcp:[::]:22=omega' 'udp:[::]:9100=omega'
OMEGA=$HOST_SPAWNED
sleep 0.3
check_flow "LAN → bystander on port 22, IPv6" open:omega lan "$HOST_LAN6" 22
check_flow "host → bystander on udp 9100, IPv6" open:omega host --udp ::1 9100
end "$OMEGA"
reload $'[ports]\nguarded = none'
spawn_from gamma "$HOST_DIR/fake.log" serve 'tcp:[::]:22=fake'
FAKE=$HOST_SPAWNED
sleep 0.3
check_flow "guarded = none: LAN → the job on port 22, IPv6" open:fake lan "$HOST_LAN6" 22
reload ''
is_guarded "by default: LAN → the job on port 22, IPv6" lan "$HOST_LAN6" 22
end "$FAKE"

# --- fenced ports ----------------------------------------------------------------------------------------

section "fenced ports"
host_exec serve -b tcp:0.0.0.0:2375=api 'tcp:[::]:2375=api' udp:0.0.0.0:6001=api 'udp:[::]:6001=api'
check_flow "host job → Docker's TCP port, not fenced" open:api gamma 127.0.0.1 2375
check_flow "host job → udp 6001, not fenced" open:api gamma --udp "$HOST_LAN4" 6001
exec_from gamma rawsyn '[::1]:2375' '[::1]:41001'
flow_open early push host 127.0.0.1:2376 gamma 127.0.0.1:2376 || broken "flow"
flow_moves early || broken "flow does not move"
reload $'[ports]\nfenced = tcp 2375-2376, udp 6000-6010'
closed "host job → Docker's TCP port" "inet host_job_to_fenced" gamma 127.0.0.1 2375
closed "host job → Docker's TCP port, IPv6" "inet host_job_to_fenced" gamma ::1 2375
closed "host job → by the gateway" "inet host_job_to_fenced" gamma "$HOST_GW4" 2375
closed "host job → by the LAN's address, IPv6" "inet host_job_to_fenced" gamma "$HOST_LAN6" 2375
closed "host job → udp 6001" "inet host_job_to_fenced" gamma --udp 127.0.0.1 6001
closed "host job → udp 6001, IPv6" "inet host_job_to_fenced" gamma --udp ::1 6001
check_flow "host job → as a \"reply\" to its raw SYN" "$CLOSED" gamma --from '[::1]:41001' ::1 2375
seen=$(flow_count early)
sleep 1
check_that "one that was open before: what came within a second" $(($(flow_count early) - seen)) -le 1
check_flow "host job → the same port of another host" open:lanapi gamma "$LAN4" 2375
check_flow "host → Docker's TCP port" open:api host 127.0.0.1 2375
check_flow "LAN → Docker's TCP port, IPv6" open:api lan "$HOST_LAN6" 2375
check_flow "bystander on the host's network → Docker's TCP port" open:api omega 127.0.0.1 2375
jobfence_config $'[ports]\nfenced = tcp 10999'
jobfence_signal HUP
host_wait 3000 grep -q 'reload refused.*fenced has tcp 10999' "$HOST_DIR/jobfence.log"
check "a list with the runner's port is refused" 1 "$(grep -c 'reload refused' "$HOST_DIR/jobfence.log")"
host_wait 3000 grep -q 'STATUS=.*stays: .*fenced has tcp 10999' "$HOST_DIR/notify.log"
check_that "… and systemctl status says so" "$(grep -c 'STATUS=.*stays: .*fenced has tcp 10999' "$HOST_DIR/notify.log")" -eq 1
closed "and the one before stays" "inet host_job_to_fenced" gamma 127.0.0.1 2375

# --- classes by name -------------------------------------------------------------------------------------

section "a stricter class by name"
reload ''
check "a reload that is applied takes the word back" "The fence stands." \
	"$(grep -o 'STATUS=.*' "$HOST_DIR/notify.log" | tail -n 1 | cut -d= -f2-)"
check_flow "train-a → LAN, without" open:lan train-a "$LAN4" 8080
reload $'[job "train-*"]\nnetwork_mode = FORCED_BRIDGE\n[job "gam?a"]\nnetwork_mode = 1'
closed "train-a → LAN" "inet host_job_quarantined" train-a "$LAN4" 8080
closed "train-a → LAN, IPv6" "inet host_job_quarantined" train-a "$LAN6" 8080
closed "LAN → train-a" "inet to_quarantined" lan "$HOST_LAN4" "$(container_app train-a)"
check_flow "host → train-a" open:train-a:app host 127.0.0.1 "$(container_app train-a)"
check_flow "gamma → LAN" open:lan gamma "$LAN4" 8080
check "status says which pattern" '*mode 3 (FORCED_BRIDGE) by \[job "train-\*"\]: quarantined, *' "$(says ' train-a')"
check "and that an override forbids it" 1 "$(says '1 job where an override forbids it to be' | wc -l)"
job_start host train-b || broken "train-b"
host_wait 3000 converged
closed "train-b, started after it → LAN" "inet host_job_quarantined" train-b "$LAN4" 8080
reload $'[jobs]\non_violation = fence\n[job "train-*"]\nnetwork_mode = 3'
check_flow "on_violation = fence: train-a → LAN" open:lan train-a "$LAN4" 8080
closed "train-a → shim" "inet host_job_to_host_api" train-a 127.0.0.1 10998
echo DSTACK_SERVER_JOB_NETWORK_MODE=3 >"$HOST_DIR/mode"
reload $'[job "*"]\nnetwork_mode = 2'
closed "a looser one has no effect: gamma → LAN" "inet host_job_quarantined" gamma "$LAN4" 8080
check "and is noted once" 1 "$(grep -c 'is looser than the mirrored mode' "$HOST_DIR/jobfence.log")"
echo DSTACK_SERVER_JOB_NETWORK_MODE=2 >"$HOST_DIR/mode"
container_rm train-b

# --- containers that are no jobs -------------------------------------------------------------------------

section "containers confined like a job, by name and by label"
reload ''
for who in exporter-b tagged; do
	check_flow "$who → host, without" open:api $who "$HOST_GW4" 2375
	check_flow "delta → $who, without" "open:$who" delta "$(container_ip4 $who)" 8000
done
check_flow "exporter-h → shim, without" open:shim exporter-h 127.0.0.1 10998
reload $'[confine]\nnames = exporter-?\nlabels = team=ml, team=web'
for who in exporter-b tagged; do
	closed "$who → host" "inet job_to_host" $who "$HOST_GW4" 2375
	closed "$who → host, IPv6" "inet job_to_host" $who "$HOST_GW6" 2375
	closed "delta → $who" "bridge job_to_neighbour" delta "$(container_ip4 $who)" 8000
	closed "alpha → $who, IPv6" "bridge job_to_neighbour" alpha "$(container_ip6 $who)" 8000
	check_flow "$who → internet" open:inet $who "$INET4" 443
	check_flow "host → $who" "open:$who" host "$(container_ip4 $who)" 8000
done
closed "exporter-h → shim" "inet host_job_to_host_api" exporter-h 127.0.0.1 10998
check_flow "exporter-h → LAN" open:lan exporter-h "$LAN4" 8080
check_flow "delta → host" open:api delta "$HOST_GW4" 2375
check "status says which name" '*job *\[confine\] names "exporter-?" confines it*' "$(says ' exporter-b')"
check "status says which label" '*job *\[confine\] labels "team=ml" confines it*' "$(says ' tagged')"
check "and is no violation" "  exporter-h*fenced*" "$(says ' exporter-h')"
bystander_start exporter-n || broken "exporter-n"
host_wait 3000 converged
closed "exporter-n, started after it → host" "inet job_to_host" exporter-n "$HOST_GW4" 2375
reload ''
check_flow "taken out: tagged → host" open:api tagged "$HOST_GW4" 2375
jobfence_stop
check "jobfence stops" 0 $?
finish
