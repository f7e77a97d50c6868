#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the fixture's static tools and the one image that every container of a private host runs:
# DIR/bin/* and DIR/image.tar. Does nothing when both are newer than their sources, so each host_up
# may call it. Usage: build-tools.sh DIR
set -eu

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${1:?usage: build-tools.sh DIR}
sources=("$here"/tools/*.[ch] "$here"/../attack/*.[ch] "$here"/../support/*.[ch] "$here/build-tools.sh")

mkdir -p "$dir/bin"
exec 9>"$dir/lock"
flock 9
if [ -e "$dir/image.tar" ] &&
	[ -z "$(find "${sources[@]}" -newer "$dir/image.tar" -print -quit)" ]; then
	exit 0
fi

for source in "$here"/tools/*.c "$here"/../attack/*.c; do
	tool=$dir/bin/$(basename "$source" .c)
	"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE -O2 -g0 -s -static -Wall -Wextra -Wshadow \
		-Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wno-unused-parameter \
		-o "$tool.new" "$source"
	mv "$tool.new" "$tool"
done

# The runner that dstack's shim mounts into every job goes by this name.
cp "$dir/bin/serve" "$dir/bin/dstack-runner"

busybox=$(command -v busybox) || {
	echo "build-tools.sh: busybox is missing: apt-get install busybox-static" >&2
	exit 1
}
root=$(mktemp -d "$dir/root.XXXXXX")
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,etc,proc,sys,dev,tmp,run,root}
cp "$busybox" "$root/bin/busybox"
# Debian's usual busybox is not the static one: what it is linked with comes along.
for library in $(ldd "$busybox" 2>/dev/null | grep -o '/[^ ]*'); do
	cp -L --parents "$library" "$root"
done
for applet in sh sleep cat ls ip ping nc wget ps kill id arp true false echo grep; do
	ln -s busybox "$root/bin/$applet"
done
cp "$dir"/bin/* "$root/bin/"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
tar -C "$root" --owner=0 --group=0 -cf "$dir/image.tar.new" .
mv "$dir/image.tar.new" "$dir/image.tar"
