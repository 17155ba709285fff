# shellcheck shell=bash
# A small OpenWrt in a directory, for use as root of fresh namespaces: busybox for userland, the real `uci`
# and `nft`, and stand-ins for ubus, jsonfilter, fw4, logger and logread.
#
# Needs $REPOSITORY, $T (a scratch directory), $UCI (where the uci of libuci-sys was built: bin/ and lib/).

R="$T/router"

make_router() {
	local applet library stub
	mkdir -p "$R"/{bin,sbin,dev,proc,sys,tmp,var,opt/uci,root/.ssh}
	mkdir -p "$R"/etc/{config,init.d,hotplug.d/iface,uci-defaults,sysctl.d,nftables.d,rc.d,stub/ubus}
	mkdir -p "$R"/usr/{bin,sbin,lib,share/nftables.d}
	ln -s ../tmp/run "$R/var/run"
	ln -s ../tmp/lock "$R/var/lock"
	mkdir -p "$R"/tmp/{run,lock}

	# Debian's libraries, and nothing else of its /usr/lib.
	for library in "/usr/lib/$(uname -m)-linux-gnu" /usr/lib/python3*; do
		mkdir -p "$R$library"
		mount --rbind "$library" "$R$library"
	done
	ln -s "usr/lib" "$R/lib"
	mkdir -p "$R/lib64" "$R/lib/upgrade/keep.d"
	mount --rbind /lib64/ "$R/lib64"

	install "$(command -v busybox)" "$R/bin/busybox"
	for applet in $("$R/bin/busybox" --list); do
		ln -sf /bin/busybox "$R/bin/$applet"
	done
	rm -f "$R"/bin/{logger,logread}
	install "$(command -v nft)" "$R/usr/sbin/nft"
	install "$(command -v flock)" "$R/usr/bin/flock"
	install /usr/bin/python3 "$R/usr/bin/python3"
	for stub in ubus jsonfilter logger logread fw4; do
		install "$REPOSITORY/tests/openwrt/stubs/$stub" "$R/sbin/$stub"
	done
	install "$REPOSITORY/tests/openwrt/stubs/rc.common" "$R/etc/rc.common"
	install "$UCI/bin/uci" "$R/opt/uci/uci"
	cp "$UCI"/lib/lib*.so "$R/opt/uci/"
	printf '#!/bin/sh\nLD_LIBRARY_PATH=/opt/uci exec /opt/uci/uci "$@"\n' >"$R/sbin/uci"
	chmod 755 "$R/sbin/uci"

	echo 'root:x:0:0:root:/root:/bin/ash' >"$R/etc/passwd"
	echo 'root:x:0:' >"$R/etc/group"
	echo "DISTRIB_RELEASE='24.10.0'" >"$R/etc/openwrt_release"
	printf 'config interface lan\n\toption device br-lan\n' >"$R/etc/config/network"
	echo br-lan >"$R/etc/stub/lan"
	echo wan >"$R/etc/stub/wan"

	mount --rbind /dev "$R/dev"
	mount -t proc proc "$R/proc"
	delegate 2001:db8:1:200:: 56 2001:db8:1:202::
}

# delegate PREFIX LENGTH LAN-PREFIX: what netifd says after such a delegation. `delegate none`: before any.
delegate() {
	local assignment='' delegated=''
	if [ "$1" != none ]; then
		delegated='{"address":"'$1'","mask":'$2',"preferred":600,"valid":1800,"class":"wan6"}'
		assignment='{"address":"'$3'","mask":64,"preferred":600,"valid":1800,"local-address":{"address":"'$3'1","mask":64}},'
	fi
	cat >"$R/etc/stub/ubus/network.interface.lan" <<-END
		{"up":true,"l3_device":"br-lan","proto":"static","route":[],"ipv6-prefix":[],
		"ipv6-prefix-assignment":[$assignment{"address":"fd12:3456:789a::","mask":64,
		"local-address":{"address":"fd12:3456:789a::1","mask":64}}]}
	END
	cat >"$R/etc/stub/ubus/network.interface.wan6" <<-END
		{"up":true,"l3_device":"wan","proto":"dhcpv6","route":[{"target":"::","mask":0,"nexthop":"fe80::1"}],
		"ipv6-prefix":[$delegated],"ipv6-prefix-assignment":[]}
	END
	cat >"$R/etc/stub/ubus/network.interface.loopback" <<-END
		{"up":true,"l3_device":"lo","proto":"static","route":[],"ipv6-prefix":[],"ipv6-prefix-assignment":[]}
	END
}

# stage_package: what the SDK would put into the package, under $T/package: data, scripts, conffiles.
stage_package() {
	mkdir -p "$T/package"
	make -s -C "$REPOSITORY/openwrt/v6kit-router" TOPDIR="$REPOSITORY/tests/openwrt/sdk" DEST="$T/package" stage
}

# install_package: what opkg and apk do with it, and the order in which OpenWrt's default_postinst goes on.
install_package() {
	stage_package
	cp -R "$T/package/data/." "$R/"
	cp "$T/package/postinst" "$R/tmp/postinst"
	router ash -e /tmp/postinst
	router ash -c 'cd /etc/uci-defaults && ash ./90-v6kit-router && rm 90-v6kit-router'
	router /etc/init.d/v6kit-router enable
	router /etc/init.d/v6kit-router start
}

# uninstall_package: the script before removal, service and files, the script after it.
uninstall_package() {
	cp "$T/package/prerm" "$T/package/postrm" "$R/tmp/"
	router ash /tmp/prerm
	router /etc/init.d/v6kit-router disable
	router /etc/init.d/v6kit-router stop
	(cd "$T/package/data" && find . -type f) | (cd "$R" && xargs rm -f)
	router ash /tmp/postrm
}

# router COMMAND...: runs it on the router.
router() {
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$R" "$@"
}

# settings LINE...: `uci batch` on the router, and a commit.
settings() {
	printf '%s\n' "$@" 'commit v6kit-router' | router uci batch
}

# hotplug NAME=VALUE...: an interface event, sourced as netifd's dispatcher does.
hotplug() {
	# shellcheck disable=SC2016 # for the router's shell
	router env "$@" ash -c 'for script in /etc/hotplug.d/iface/*; do . "$script"; done'
}

# Three namespaces: this one is the router between `host` (br-lan) and `outside` (wan).
make_topology() {
	mount -t tmpfs tmpfs /run
	ip netns add host
	ip netns add outside
	ip link add br-lan type veth peer name eth0 netns host
	ip link add wan type veth peer name eth0 netns outside
	sysctl -qw net.ipv6.conf.all.forwarding=1
	local device
	for device in br-lan wan; do
		sysctl -qw "net.ipv6.conf.$device.accept_dad=0"
		ip link set "$device" up
	done
	for name in host outside; do
		ip netns exec "$name" sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.ip_nonlocal_bind=1
		ip -n "$name" link set lo up
		ip -n "$name" link set eth0 up
	done
	ip addr add fe80::1/64 dev br-lan nodad
	ip addr add 2001:db8:1:202::1/64 dev br-lan nodad
	ip addr add 2001:db8:ffff::1/64 dev wan nodad
	ip -n host addr add fe80::9/64 dev eth0 nodad
	ip -n host addr add 2001:db8:1:202::9/64 dev eth0 nodad
	ip -n host route add default via fe80::1 dev eth0
	ip -n outside addr add 2001:db8:ffff::2/64 dev eth0 nodad
	ip -n outside route add default via 2001:db8:ffff::1
}

# host COMMAND..., outside COMMAND...: runs it there.
host() { ip netns exec host "$@"; }
outside() { ip netns exec outside "$@"; }

# serve NAMESPACE ADDRESS PORT: starts serve.py there and waits until it listens.
serve() {
	local ready
	exec {ready}< <(ip netns exec "$1" /usr/bin/python3 "$REPOSITORY/tests/openwrt/serve.py" "$2" "$3")
	read -r -u "$ready" _
}

# exchanges KIND COUNT [SECONDS]: how many of so many exchanges with the server outside come about.
exchanges() {
	host /usr/bin/python3 "$REPOSITORY/tests/openwrt/connect.py" "$1" "$2" "$PREFIX" 2001:db8:ffff::2 7000 "${3:-20}"
}

# entries: how many connections this router tracks.
entries() {
	cat /proc/sys/net/netfilter/nf_conntrack_count
}

# is ACTUAL EXPECTED WHAT: fails the script with a message unless they are equal.
is() {
	[ "$1" = "$2" ] || { echo "$3: expected [$2], found [$1]" >&2; exit 1; }
}

# says TEXT PART: fails the script unless the text has the part.
says() {
	[[ $1 == *"$2"* ]] || { echo "not said: [$2] in [$1]" >&2; exit 1; }
}

# not COMMAND...: fails the script when the command succeeds (`!` does not, in spite of `set -e`).
not() {
	if "$@"; then
		echo "unexpected success: $*" >&2
		exit 1
	fi
}

# The settings that the tests start from, a /80 in the LAN's prefix.
PREFIX=2001:db8:1:202:abcd::/80
configure_crawler() {
	settings 'set v6kit-router.main.enabled=1' 'set v6kit-router.main.conntrack=keep' \
		'set v6kit-router.crawler=prefix' 'set v6kit-router.crawler.base=lan' \
		'set v6kit-router.crawler.part=::abcd:0:0:0/80' 'set v6kit-router.crawler.host=fe80::9'
	host ip -6 route replace local "$PREFIX" dev lo
}

# interface NAME JSON: what netifd says of one more interface.
interface() { printf '%s\n' "$2" >"$R/etc/stub/ubus/network.interface.$1"; }

# uplink NAME DEVICE ROUTE PREFIX...: an interface with these entries of `ipv6-prefix`, and with ROUTE 1 an IPv6
# default route.
uplink() {
	local name="$1" device="$2" route='' delegated
	[ "$3" = 0 ] || route='{"target":"::","mask":0,"nexthop":"fe80::1"}'
	shift 3
	delegated="$(printf '%s,' "$@")"
	interface "$name" '{"up":true,"l3_device":"'"$device"'","proto":"static","route":['"$route"'],"ipv6-prefix":['"${delegated%,}"']}'
}

# delegated ADDRESS LENGTH [PREFERRED]: an entry of `ipv6-prefix`; without a time for ever.
delegated() { printf '{"address":"%s","mask":%s%s}' "$1" "$2" "${3:+,\"preferred\":$3,\"valid\":$((${3:-0} + 300))}"; }

# assign ENTRY...: these entries of `ipv6-prefix-assignment` are the LAN's.
assign() {
	local assigned
	assigned="$(printf '%s,' "$@")"
	interface lan '{"up":true,"l3_device":"br-lan","proto":"static","route":[],"ipv6-prefix-assignment":['"${assigned%,}"']}'
}

# forks COMMAND...: how many processes the command makes on the router, all told.
forks() {
	env -i PATH="$PATH" HOME=/root strace -f -qq -e trace=clone,clone3,fork,vfork -o "$T/strace" chroot "$R" \
		env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" >&2
	grep -cE ' (clone3?|v?fork)\(' "$T/strace"
}
