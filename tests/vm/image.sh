# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The disk of a virtual machine: Debian with its own kernel, systemd and Docker, and what jobfence is
# built and tested with. Part of run. For each release VM_DIR/RELEASE has
#
#   root/       the system as a folder, in which jobfence is built at the host's speed
#   disk.img    the same as a file system; nobody writes to it, a machine's writes are forgotten
#   vmlinuz, initrd.img
#
# and is made again when what makes it here or the list of packages changed; sid's after a month, too.
# shellcheck disable=SC2153 # run's variables

# What the machines have beyond contrib/install-dependencies. clang is not among it: it is as large as
# all the rest.
IMAGE_PACKAGES=linux-image-amd64,initramfs-tools,systemd-sysv,dbus,udev,kmod,openssh-server
IMAGE_PACKAGES+=,openssh-client,apparmor,ca-certificates,libcmocka-dev,valgrind,libc6-dbg,python3
IMAGE_PACKAGES+=,curl,socat,conntrack

# Debian's mirror, as this machine's own apt has it.
image_mirror() {
	local uri

	# shellcheck disable=SC2016 # apt's variable
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
		grep -m 1 '/debian/\?$') || {
		echo "tests/vm/run: apt has no mirror of Debian's that ends in /debian" >&2
		return 1
	}
	echo "$uri"
}

# What an image depends on.
image_key() {
	{
		echo "$IMAGE_PACKAGES"
		declare -f image_configure image_initrd image_make image_masked
		grep -E '^\s+(build|host) ' "$ROOT/contrib/install-dependencies"
	} | sha256sum
}

# Runs a command with mounts of its own, which end with it; when it is killed, so is all that it started.
image_apart() { run_child unshare -m -p -f --kill-child --mount-proc -- "$@"; }

# Runs a command in a release's folder, with /proc and /dev: image_chroot FOLDER CMD…
image_chroot() {
	local root=$1

	shift
	# shellcheck disable=SC2016 # for the inner shell
	image_apart bash -c 'root=$1 && shift
		mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" || exit 1
		cd "$root" && exec chroot "$root" "$@"' chroot "$root" \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
}

# The steps of a boot that the tests do without, each some seconds in an emulated machine.
image_masked() {
	printf '%s\n' apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer man-db.timer systemd-update-utmp.service \
		systemd-network-generator.service systemd-pstore.service
}

image_configure() { # FOLDER
	local root=$1 unit

	printf 'vm\n' >"$root/etc/hostname"
	printf '127.0.0.1 localhost vm\n::1 localhost ip6-localhost\n' >"$root/etc/hosts"
	rm -f "$root/etc/resolv.conf"
	printf 'nameserver 127.0.0.1\n' >"$root/etc/resolv.conf"
	for unit in $(image_masked); do ln -sf /dev/null "$root/etc/systemd/system/$unit"; done
	for unit in docker.service docker.socket containerd.service; do
		image_chroot "$root" systemctl disable -q $unit || return 1
	done
	# Whoever has the console is root: no password protects a machine without a network.
	mkdir -p "$root/etc/systemd/system/serial-getty@ttyS0.service.d"
	cat >"$root/etc/systemd/system/serial-getty@ttyS0.service.d/root.conf" <<-'END'
		[Service]
		ExecStart=
		ExecStart=-/sbin/agetty --autologin root --noclear %I linux
	END
	cat >"$root/etc/systemd/system/jobfence-vm.service" <<-'END'
		[Unit]
		Description=The tests of jobfence
		After=multi-user.target docker.service ssh.service
		[Service]
		Type=exec
		ExecStartPre=mkdir -p /share
		ExecStartPre=mount -t 9p -o trans=virtio,msize=262144 jobfence /share
		ExecStart=bash /share/guest.sh
		ExecStop=umount -l /share
		TimeoutStopSec=10
		[Install]
		WantedBy=graphical.target
	END
	image_chroot "$root" systemctl enable -q jobfence-vm.service
}

# The initial RAM disk with nothing but the way to the disk.
image_initrd() { # FOLDER
	local root=$1

	sed -i 's/^MODULES=.*/MODULES=list/' "$root/etc/initramfs-tools/initramfs.conf"
	printf '%s\n' virtio_pci virtio_blk ext4 >"$root/etc/initramfs-tools/modules"
	image_chroot "$root" update-initramfs -u -k all
}

image_make() { # RELEASE DIR
	local release=$1 dir=$2 mirror option options=()

	mirror=$(image_mirror) || return 1
	while read -r option; do
		options+=("--aptopt=$option")
	done < <(apt-config dump | grep -iE '^Acquire::(https?::(Proxy|Verify)|Check-)')
	rm -rf --one-file-system "$dir"
	mkdir -p "$dir"
	image_apart mmdebstrap --quiet --mode=root --variant=minbase --include=$IMAGE_PACKAGES \
		"${options[@]}" "$release" "$dir/root" "deb $mirror $release main" || return 1
	cp -L /etc/resolv.conf "$dir/root/etc/resolv.conf"
	mkdir -p "$dir/root/jobfence"
	cp "$ROOT/contrib/install-dependencies" "$dir/root/jobfence/"
	image_chroot "$dir/root" /jobfence/install-dependencies build host || return 1
	image_initrd "$dir/root" && image_configure "$dir/root" || return 1
	rm -rf "$dir/root/jobfence/install-dependencies" "$dir"/root/var/cache/apt/archives/*.deb \
		"$dir"/root/var/lib/apt/lists/*
	cp -L "$dir"/root/vmlinuz "$dir"/root/initrd.img "$dir" || return 1
	truncate -s 16G "$dir/disk.img"
	run_child mke2fs -q -F -t ext4 -E lazy_itable_init=1 -O ^has_journal -d "$dir/root" "$dir/disk.img"
}

# Unstable's kernel is the newest for some weeks only.
image_old() { [ "$1" = sid ] && [ -n "$(find "$VM_DIR/$1/key" -mtime +30)" ]; }

# image RELEASE: makes VM_DIR/RELEASE unless it is there as it should be.
image() {
	local release=$1 dir=$VM_DIR/$1 key log=$VM_DIR/$1.log since=$SECONDS

	key=$(image_key)
	[ "$(cat "$dir/key" 2>/dev/null)" != "$key" ] || image_old "$release" || return 0
	say "$release: making the image (once)"
	if ! image_make "$release" "$dir" >"$log" 2>&1; then
		tail -n 30 "$log" >&2
		rm -rf --one-file-system "$dir"
		return 1
	fi
	echo "$key" >"$dir/key"
	say "$release: image made in $((SECONDS - since)) s"
}
