# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Where flows go beside the fixture's own places: what stands behind the router, and what else listens on
# the host. Part of flows.sh.

NARROW4=198.51.100.129 NARROW6=2001:db8:99::2
NARROW_PID=''
# Behind the router too, and no internet: a resolver as clouds have it, another private network (with a
# resolver and a proxy), shared and link-local addresses, metadata services.
RESOLVER4=169.254.169.253 RESOLVER6=fd88::53 PRIVATE4=10.88.0.80 PRIVATE6=fd88::80
SHARED4=100.64.0.80 LINKLOCAL4=169.254.7.80 META4=169.254.169.254 META6=fd00:ec2::254
METAS4=(168.63.129.16 100.100.100.200 192.0.0.192 169.254.170.2 169.254.170.23) METAS6=(fd20:ce::254)

# A server behind a narrow link: the router says "too big", and "time exceeded".
narrow_make() {
	local mtu=1280

	host_hold -n && NARROW_PID=$HOST_HELD || return 1
	inet_exec ip -batch - <<-END || return 1
		link add narrow0 mtu $mtu type veth peer name eth0 mtu 1500 netns $NARROW_PID
		link set narrow0 up
		addr add 198.51.100.130/30 dev narrow0
		addr add 2001:db8:99::1/64 dev narrow0 nodad
	END
	inet_exec sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	nsenter -t "$NARROW_PID" -n ip -batch - <<-END || return 1
		link set lo up
		addr add $NARROW4/30 dev eth0
		addr add $NARROW6/64 dev eth0 nodad
		link set eth0 up
		route add default via 198.51.100.130 mtu $mtu advmss 1460
		route add ::/0 via 2001:db8:99::1 mtu $mtu advmss 1440
	END
	host_background "$HOST_CG/peers" "$FLOW_DIR/narrow.log" nsenter -t "$NARROW_PID" -n -- \
		serve tcp:0.0.0.0:443=narrow 'tcp:[::]:443=narrow' udp:0.0.0.0:443=narrow 'udp:[::]:443=narrow'
	disown "$HOST_SPAWNED"
}

# Each address answers for what it is.
internal_make() {
	local one ends=()

	for one in $RESOLVER4 $PRIVATE4 $SHARED4 $LINKLOCAL4 $META4 "${METAS4[@]}"; do
		echo "addr add $one/32 dev lo"
	done | inet_exec ip -batch - || return 1
	for one in $RESOLVER6 $PRIVATE6 $META6 "${METAS6[@]}"; do
		echo "addr add $one/128 dev lo nodad"
	done | inet_exec ip -batch - || return 1
	for one in $META4 "[$META6]" "${METAS4[@]}" "[${METAS6[0]}]"; do
		ends+=("tcp:$one:80=meta" "tcp:$one:53=meta" "udp:$one:53=meta")
	done
	for one in $RESOLVER4 "[$RESOLVER6]"; do
		ends+=("udp:$one:53=resolver" "tcp:$one:53=resolver" "tcp:$one:8080=resolver")
	done
	for one in $PRIVATE4 "[$PRIVATE6]"; do
		ends+=("tcp:$one:22=private" "tcp:$one:5432=private" "udp:$one:5432=private"
			"udp:$one:53=private" "tcp:$one:53=private" "tcp:$one:3128=proxy")
	done
	inet_exec serve -b "${ends[@]}" "tcp:$SHARED4:22=shared" "udp:$SHARED4:41641=shared" \
		"tcp:$LINKLOCAL4:22=linklocal" "tcp:$ROUTER4:22=router" "tcp:[$ROUTER6]:22=router"
}

# What new containers ask, and jobfence takes for resolvers too: one beside a metadata service, as on GCP.
resolvers_write() {
	host_exec sh -c "printf 'nameserver %s\n' $INET4 $META4 $RESOLVER6 >/etc/resolv.conf"
}

places_make() {
	narrow_make && internal_make && resolvers_write || return 1
	inet_exec serve -b "tcp:$INET4:22=inet" "tcp:[$INET6]:22=inet" "tcp:$INET4:80=inet" \
		"tcp:[$INET6]:80=inet" "tcp:$INET4:53=inet" "tcp:[$INET6]:53=inet" \
		"udp:$INET4:443=inet" "udp:[$INET6]:443=inet" "udp:$INET4:123=inet" "udp:[$INET6]:123=inet" &&
		lan_exec serve -b tcp:0.0.0.0:10022=node2:sshd 'tcp:[::]:10022=node2:sshd' \
			tcp:0.0.0.0:2379=node2:etcd 'tcp:[::]:2379=node2:etcd' \
			tcp:0.0.0.0:29500=node2:nccl 'tcp:[::]:29500=node2:nccl' \
			udp:0.0.0.0:4791=node2:roce 'udp:[::]:4791=node2:roce'
}

# Listeners of the host that are none of dstack's: Docker's TCP port, nv-hostengine, a resolver.
more_services() {
	host_exec serve -b tcp:0.0.0.0:2375=docker 'tcp:[::]:2375=docker' tcp:127.0.0.1:5555=hostengine \
		udp:0.0.0.0:5353=mdns 'udp:[::]:5353=mdns' || return 1
	HOST_GWLL=$(host_exec ip -6 -o addr show dev docker0 scope link | awk '{ sub("/.*", "", $4); print $4; exit }')
	HOST_LANLL=$(host_exec ip -6 -o addr show dev lan0 scope link | awk '{ sub("/.*", "", $4); print $4; exit }')
	[ -n "$HOST_GWLL$HOST_LANLL" ]
}
