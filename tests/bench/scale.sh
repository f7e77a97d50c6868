# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Scale: the full reconcile and one container more, by size, without the engine's time; then the commands
# with the daemon's view of the stand-in. One section of run.

bench_scale() {
	bare_host scale || { fail "host_up"; return; }
	# shellcheck disable=SC2046 # sizes
	measure scale --rounds "$(quick 2 10)" $(quick '100 1000 10000' '100 1000 10000')
}
