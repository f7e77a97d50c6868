# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Footprint: size of the binary, memory by number of containers, what it does while nothing happens, and
# how long from exec to the base ruleset. One section of run.


footprint_startup() {
	local DAEMON text=$HOST_DIR/base.nft

	jobfence_cli render >"$text" 2>/dev/null || { fail "render"; return; }
	daemon_command
	measure startup "$(quick 10 100)" "$text" -- "${DAEMON[@]}"
}

bench_footprint() {
	local n

	bare_host footprint || { fail "host_up"; return; }
	strip -o "$HOST_DIR/jobfence.stripped" "$JOBFENCE"
	sample binary jobfence 0 KiB $(($(stat -c %s "$HOST_DIR/jobfence.stripped") / 1024))
	footprint_startup
	for n in $(quick '0 100 1000' '0 100 1000 10000'); do
		beside_standin "$n" sync 1
	done
	# between two periodic looks: the first comes 45 s after the start at the earliest
	beside_standin 10 idle "$(quick 10 36)"
}
