#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The test of flows.sh: rules are taken out, and its table has to turn red. See break.sh.
exec "$(dirname "${BASH_SOURCE[0]}")/flows.sh" --break
