# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# ufw, firewalld and fail2ban on a private host. Part of coexist.sh. They are not installed on this machine: their
# packages are unpacked, and the host's own /usr and /etc have their files. Their settings let through what a
# host with Docker and dstack has: what they deny themselves is their business, and would prove nothing.

OTHERS=$HOST_CACHE/beside

# others_mount: from now on the host in use has these programs.
others_mount() {
	"$HOST_ROOT/contrib/install-dependencies" --unpack "$OTHERS" ufw firewalld fail2ban || return 1
	host_exec sh -eu -s "$OTHERS/root" <<-'END'
		mount -t overlay -o "lowerdir=$1/usr:/usr" overlay /usr
		rm -rf /etc/ufw /etc/default/ufw /etc/firewalld /etc/fail2ban
		cp -a "$1/etc/." /etc/
		cp /usr/share/ufw/*.rules /usr/share/ufw/*.init /usr/share/ufw/ufw.conf /etc/ufw/
		chmod 750 /etc/ufw/*.init
		mkdir -p /run/dbus
	END
}

# --- ufw -------------------------------------------------------------------------------------------

# The defaults are for a host that forwards nothing.
ufw_settings() {
	host_exec sed -i -E 's/^(DEFAULT_(INPUT|FORWARD)_POLICY=).*/\1"ACCEPT"/' /etc/default/ufw
}

ufw_do() { host_exec env PATH="$PATH" ufw "$@" >>"$HOST_DIR/ufw.log" 2>&1; }
ufw_start() { ufw_settings && ufw_do --force enable; }
ufw_reload() { ufw_do reload; }
ufw_restart() { host_exec /lib/ufw/ufw-init restart >>"$HOST_DIR/ufw.log" 2>&1; }
ufw_stop() { ufw_do --force disable; }
ufw_is_up() { host_exec ufw status | grep -q '^Status: active' && host_exec iptables -S | grep -q ufw-before-forward; }

# --- firewalld -------------------------------------------------------------------------------------

# A bus of the host's own.
bus_start() {
	cat >"$HOST_DIR/bus.conf" <<-END
		<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
		 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
		<busconfig>
		  <type>system</type>
		  <listen>unix:path=/run/dbus/system_bus_socket</listen>
		  <auth>EXTERNAL</auth>
		  <policy context="default">
		    <allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
		    <allow send_type="method_return"/><allow send_type="error"/><allow receive_type="method_call"/>
		    <allow receive_type="signal"/><allow receive_type="method_return"/><allow receive_type="error"/>
		  </policy>
		</busconfig>
	END
	host_spawn host "$HOST_DIR/bus.log" dbus-daemon --nofork --nopidfile --config-file="$HOST_DIR/bus.conf"
	disown "$HOST_SPAWNED"
	host_wait 5000 host_exec test -S /run/dbus/system_bus_socket
}

firewalld_settings() {
	host_exec sed -i 's/^DefaultZone=.*/DefaultZone=trusted/' /etc/firewalld/firewalld.conf
}

firewalld_start() {
	[ -n "${BUS_RUNS-}" ] || { bus_start && BUS_RUNS=1 && firewalld_settings; } || return 1
	host_spawn host "$HOST_DIR/firewalld.log" firewalld --nofork --nopid
	FIREWALLD=$HOST_SPAWNED
	disown "$FIREWALLD"
	host_wait 20000 firewalld_is_up
}

firewalld_do() { host_exec firewall-cmd "$@" >>"$HOST_DIR/firewall-cmd.log" 2>&1; }
firewalld_reload() { firewalld_do --reload; }
firewalld_stop() { kill "$FIREWALLD" && host_wait 10000 test ! -e "/proc/$FIREWALLD"; }
firewalld_is_up() { firewalld_do --state && host_exec nft list tables | grep -q firewalld; }

# --- fail2ban --------------------------------------------------------------------------------------

fail2ban_do() { host_exec fail2ban-client -s /run/fail2ban.sock -p /run/fail2ban.pid "$@" >>"$HOST_DIR/fail2ban.log" 2>&1; }

fail2ban_start() {
	host_exec sh -eu <<-'END' || return 1
		: >/run/auth.log
		rm -f /etc/fail2ban/jail.d/*
		printf '[DEFAULT]\nbanaction = nftables-multiport\n' >/etc/fail2ban/jail.d/test.conf
		printf '[sshd]\nenabled = true\nbackend = polling\nport = 22\nlogpath = /run/auth.log\n' >>/etc/fail2ban/jail.d/test.conf
		printf '[Definition]\nlogtarget = /run/fail2ban.log\ndbfile = None\n' >/etc/fail2ban/fail2ban.local
	END
	fail2ban_do start && host_wait 10000 fail2ban_do ping
}

# As sshd writes it when somebody guesses.
fail2ban_offend() { # ADDRESS
	local n now

	now=$(host_exec date '+%b %e %H:%M:%S')
	for n in 1 2 3 4 5 6; do
		echo "$now vm sshd[$n]: Failed password for root from $1 port 4000$n ssh2"
	done | host_exec sh -c 'cat >>/run/auth.log'
}
