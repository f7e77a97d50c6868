#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/soak as the checks of a change run it: a fixed seed and no more time than three minutes. Its longer
# forms are run by hand.
#
# Usage: soak.sh [--quick]
# shellcheck disable=SC2034 # tests/run reads it: other scripts would change the figures
ALONE=1
set -u

SECONDS_TO_GO=100
[ "${1-}" = --quick ] && SECONDS_TO_GO=40
exec "$(dirname "${BASH_SOURCE[0]}")/../soak" --seed 1 --seconds $SECONDS_TO_GO
