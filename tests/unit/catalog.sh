#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The catalog of messages as systemd reads it: each of them is there, and none is read as part of another.
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
command -v journalctl >/dev/null || exit 77
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{usr/lib,var/lib}/systemd/catalog
cp contrib/jobfence.catalog "$root/usr/lib/systemd/catalog"
said=$(journalctl --root="$root" --update-catalog 2>&1)
[ -z "$said" ] || {
	echo "journalctl says: $said"
	exit 1
}
wanted=$(grep -cE '"[0-9a-f]{32}"' src/messages.c)
got=$(journalctl --root="$root" --list-catalog | grep -cE '^[0-9a-f]{32} jobfence: .')
echo "$got of $wanted messages"
[ "$got" -eq "$wanted" ] && [ "$got" -gt 0 ]
