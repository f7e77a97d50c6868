# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The test of flows.sh: with the daemon stopped, takes the rules of one counter out of one chain after
# another and shows that rows of the table open, and empties each set that opens something and shows
# that rows of the table close. Part of flows.sh --break.
#
# What no ordinary packet needs is named in NOT_ALONE: those are for attacks.sh, forged.sh, established.sh
# and converge.sh. A rule that nothing here depends on and that is not named is a hole in the table.
# shellcheck disable=SC2034 # what table.sh reads

declare -A NOT_ALONE=(
	['from_bridge spoofed']='forged sources'
	['from_bridge to_job']='answers to what to_bridge has let through already'
	['to_host_service job_to_denied']='a resolver or proxy of the host itself, denied: egress.sh'
	['fence host_job_to_internal']='broadcast and multicast'
	['from_container host_job_forged']='raw packets'
	['from_container_icmp host_job_forged']='errors by raw sockets: forged.sh'
	['to_host_api loopback_forged']='raw packets'
	['to_own_api loopback_forged']='raw packets'
	['to_quarantined loopback_forged']='raw packets'
	['loopback loopback_forged']='raw packets'
	['from_bridge bridge_job_quarantined']='unconfinable = quarantine: networks.sh'
	['to_foreign shadow_listener']='a job whose cgroup is elsewhere: cgroups.sh'
	['to_bridge bridge_job_quarantined']='unconfinable = quarantine: networks.sh'
	['input loopback_forged']='raw packets'
	['fence host_job_to_runner']='untracked packets'
	['prerouting past_bridge']='frames to groups that no bridge forwards'
	['spoofed job_spoofed']='forged sources'
	['borrowed unknown_spoofed']='forged sources'
	['control job_control']='queries, advertisements, offers'
	['output wrong_port']='bridges that were lied to'
	['job_ip6 unheard']='what containers say at their start'
	['without_address unheard']='what containers say at their start'
	['unknown_solicits unheard']='what containers say at their start'
	['injected injected']='packet sockets'
	['output stale_bystander']='addresses that were given to the next container'
	['answer_to_bridge job_to_host']='connections from before the fence'
	['bridge_to_host_job host_job_to_bridge']='connections from before the fence'
	['from_docker_proxy host_job_to_published']='connections from before the fence'
	['from_host_api host_job_to_host_api']='connections from before the fence'
	['from_own_api host_job_to_runner']='connections from before the fence'
	['from_fenced_port host_job_to_fenced']='connections from before the fence'
	['from_guarded_port guarded_listener']='raw packets'
)
# Lines of defence: the first shows only where those behind it are gone too ("CHAIN COUNTER …").
declare -A BEHIND=(
	['between_ports job_to_neighbour']='injected injected'
	['fence host_job_to_published']='to_docker_proxy host_job_to_published from_docker_proxy host_job_to_published'
	['to_docker_proxy host_job_to_published']='from_docker_proxy host_job_to_published'
	['from_container host_job_to_host_api']='to_host_api loopback_forged from_host_api host_job_to_host_api'
	['from_bridge job_to_bystander']='to_bridge to_job'
	['from_container host_job_to_fenced']='from_fenced_port host_job_to_fenced'
	['to_guarded_listener guarded_listener']='from_guarded_port guarded_listener'
	['from_bridge_to_internal job_to_metadata']='from_bridge_to_internal job_to_internal'
	['to_published shadow_listener']='from_container host_job_forged'
)
OPENING_SETS=(bystanders4 bystanders6 bystander_published bystander_cgroups own job_tags
	bystander_ports services4 services6)
declare -A OPENED TRIED # ["chain counter" or set]: how many flows

# The rules with a counter: lines of "FAMILY CHAIN COUNTER HANDLE RULE…"
counting_rules() {
	local family

	for family in inet bridge netdev; do # the last only where the kernel has egress hooks
		host_exec nft -a list table $family jobfence 2>/dev/null | awk -v family=$family '
			$1 == "chain" { chain = $2 }
			match($0, /counter name "[a-z_]+"/) {
				split(substr($0, RSTART, RLENGTH), quoted, "\"")
				handle = $NF
				sub(/ # handle [0-9]+$/, "")
				sub(/^[ \t]+/, "")
				print family, chain, quoted[2], handle, $0
			}'
	done
}

# Takes the verdict away and counts elsewhere: rules_break CHAIN COUNTER, rules_mend the same.
rules_break() {
	awk -v chain="$1" -v counter="$2" '$2 == chain && $3 == counter {
		print "replace rule", $1, "jobfence", chain, "handle", $4, "counter" }' \
		"$FLOW_DIR/rules" | host_exec nft -f -
}

rules_mend() {
	awk -v chain="$1" -v counter="$2" '$2 == chain && $3 == counter {
		text = $0
		for (i = 0; i < 4; i++) sub(/^[^ ]+ /, "", text)
		print "replace rule", $1, "jobfence", chain, "handle", $4, text }' \
		"$FLOW_DIR/rules" | host_exec nft -f -
}

# The flows of the scene in use that should be as the argument says, in PICKED.
flows_pick() { # open|COUNTER
	local flow REPLY

	PICKED=()
	for flow in "${!FLOW_ROW[@]}"; do
		flow_want "$flow"
		[ "$REPLY" != "$1" ] || PICKED+=("$flow")
	done
}

# flows_opened FLOW…: how many are open, in REPLY
flows_opened() {
	local flow opened=0

	dial_all "$@"
	for flow; do
		! flow_is_open "$flow" || opened=$((opened + 1))
	done
	REPLY=$opened
}

# each_behind FUNCTION CHAIN COUNTER …
each_behind() {
	local fn=$1

	shift
	while [ $# -gt 0 ]; do
		"$fn" "$1" "$2" || exit 1
		shift 2
	done
}

break_rule() { # CHAIN COUNTER
	local key="$1 $2" opened=0 REPLY PICKED behind=()

	read -ra behind <<<"${BEHIND[$key]-}"
	flows_pick "$2"
	[ ${#PICKED[@]} -gt 0 ] || { : "${OPENED[$key]:=0}" "${TRIED[$key]:=0}"; return; }
	if [ ${#behind[@]} -gt 0 ]; then
		each_behind rules_break "${behind[@]}"
		flows_opened "${PICKED[@]}"
		opened=-$REPLY
	fi
	rules_break "$1" "$2" || exit 1
	flows_opened "${PICKED[@]}"
	rules_mend "$1" "$2" || exit 1
	each_behind rules_mend "${behind[@]}"
	OPENED[$key]=$((${OPENED[$key]:-0} + opened + REPLY))
	TRIED[$key]=$((${TRIED[$key]:-0} + ${#PICKED[@]}))
}

# break_scene COLUMN MODE: each chain and counter against the scene in use
break_scene() {
	local MODE=$2 chain counter

	counting_rules >"$FLOW_DIR/rules"
	while read -r chain counter; do
		break_rule "$chain" "$counter" </dev/null
	done < <(awk '{ print $2, $3 }' "$FLOW_DIR/rules" | sort -u)
}

# break_sets MODE: the sets that open, each emptied, against the scene in use
break_sets() {
	local MODE=$1 DIAL_OPEN_MS=600 PICKED flow set family kind shut

	flows_pick open
	for set in "${OPENING_SETS[@]}"; do
		family=inet kind=set shut=0
		[ "$set" != bystander_ports ] || family=bridge
		[ "$set" != job_tags ] || kind=map
		host_exec nft list $kind $family jobfence "$set" >"$FLOW_DIR/set" || exit 1
		host_exec nft flush $kind $family jobfence "$set" || exit 1
		dial_all "${PICKED[@]}"
		host_exec nft -f - <"$FLOW_DIR/set" || exit 1
		for flow in "${PICKED[@]}"; do
			flow_is_open "$flow" || shut=$((shut + 1))
		done
		OPENED["set $set"]=$shut
		TRIED["set $set"]=${#PICKED[@]}
	done
}

break_main() {
	local mode

	host_main || exit 1
	host_brnf 0
	BRNF=0
	for mode in 2 3; do
		fence_start $mode && jobfence_stop || exit 1
		scene_flows main
		break_scene "mode $mode" $mode
		[ $mode = 3 ] || break_sets $mode
		try_scene "mode $mode" $mode "all mended" # green again
		shadow_start && scene_flows shadow && break_scene "mode $mode" $mode || exit 1
		shadow_end || exit 1
	done
	jobfence_cli remove >/dev/null && fence_start 2 && jobfence_stop || exit 1
	newborn_start newborn && scene_flows newborn && break_scene 'mode 2' 2 || exit 1
	fence_start 2 "$OPTIONS" && jobfence_stop && scene_flows options && break_scene 'mode 2' 2 || exit 1
	host_down
}

break_noproxy() {
	host_noproxy && fence_start 2 && jobfence_stop || exit 1
	newborn_start newdnat && scene_flows newdnat && break_scene 'mode 2' 2 || exit 1
	host_down
}

break_show() {
	local key passed=0 failed=0 mark

	printf '\n%-44s %s\n' 'taken out' 'flows of the table that change'
	while read -r key; do
		mark='✓'
		if [ "${OPENED[$key]}" -gt 0 ] && [ -z "${NOT_ALONE[$key]-}" ]; then
			passed=$((passed + 1))
			[ -z "${BEHIND[$key]-}" ] || mark+=" (with ${BEHIND[$key]} gone)"
		elif [ "${OPENED[$key]}" = 0 ] && [ -n "${NOT_ALONE[$key]-}" ]; then
			mark="- (${NOT_ALONE[$key]})"
		else
			failed=$((failed + 1)) mark='✗'
		fi
		printf '%-44s %3d of %3d %s\n' "$key" "${OPENED[$key]}" "${TRIED[$key]}" "$mark"
	done < <(printf '%s\n' "${!OPENED[@]}" | sort)
	for key in "${!NOT_ALONE[@]}" "${!BEHIND[@]}"; do
		[ -z "${OPENED[$key]-}" ] || continue
		NOTES+=("break.sh names '$key', and the ruleset has no such rule")
	done
	[ ${#NOTES[@]} -eq 0 ] || { printf '\n✗ %s' "${NOTES[@]}"; failed=$((failed + 1)); }
	printf '\n%d passed, %d failed\n' $passed $failed
	[ $failed -eq 0 ] && [ $passed -gt 0 ]
}

flows_break() {
	# nft -f says "no flags" of a table that it names, which a kernel with persist refuses
	local TABLES=$'[nftables]\nowner = no'

	break_main
	break_noproxy
	break_show
}
