# shellcheck shell=bash
# The router behind a real sshd, in a network namespace of its own; this namespace is the host.
#
# With one user id to map, sshd as root cannot become anybody. So the router's namespace belongs to a second
# user namespace whose one user is not 0: sshd then stays who it is, and what it starts keeps the ambient
# capabilities. The router's /etc/passwd calls that user root.

start_router() {
	local lan=br-lan
	mount -t tmpfs tmpfs /run
	mkdir -p "$R/etc/ssh" "$T/ssh"
	install "$(command -v sshd)" "$R/usr/sbin/sshd"
	echo 'root:x:1000:1000:root:/root:/bin/ash' >"$R/etc/passwd"
	echo 'root:x:1000:' >"$R/etc/group"
	ssh-keygen -q -t ed25519 -N '' -f "$R/etc/ssh/key"
	ssh-keygen -q -t ed25519 -N '' -f "$T/ssh/id"
	cat >"$R/etc/ssh/sshd_config" <<-END
		ListenAddress 192.168.1.1
		HostKey /etc/ssh/key
		AuthorizedKeysFile /etc/ssh/authorized_keys
		PasswordAuthentication no
		KbdInteractiveAuthentication no
		UsePAM no
		StrictModes no
		PidFile none
		SetEnv PATH=/usr/sbin:/usr/bin:/sbin:/bin
	END
	cp "$T/ssh/id.pub" "$R/etc/ssh/authorized_keys"
	echo "192.168.1.1 $(cat "$R/etc/ssh/key.pub")" >"$T/ssh/known_hosts"
	cat >"$T/ssh/config" <<-END
		Host *
		IdentityFile $T/ssh/id
		IdentitiesOnly yes
		UserKnownHostsFile $T/ssh/known_hosts
		LogLevel ERROR
	END

	coproc ROUTER {
		exec 2>&1
		exec unshare --user --map-user=1000 --map-group=1000 --keep-caps --net bash -euc '
			echo started $$
			read -r _
			R="$1"
			for device in br-lan wan; do
				echo 0 >"/proc/sys/net/ipv6/conf/$device/accept_dad"
				ip link set "$device" up
			done
			ip link set lo up
			echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
			ip addr add 192.168.1.1/24 dev br-lan
			ip addr add fe80::1/64 dev br-lan nodad
			ip addr add 2001:db8:1:202::1/64 dev br-lan nodad
			ip addr add 2001:db8:ffff::1/64 dev wan nodad
			env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$R" fw4 start
			exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$R" /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config
		' router "$R"
	}
	local line pid
	read -r -u "${ROUTER[0]}" line
	pid="${line#started }"
	ip netns add outside
	ip link add eth0 type veth peer name "$lan" netns "$pid"
	ip -n outside link add eth0 type veth peer name wan netns "$pid"
	# No link-local address of the kernel's own: the host is known by the one below.
	sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.addr_gen_mode=1
	ip netns exec outside sysctl -qw net.ipv6.conf.eth0.accept_dad=0
	ip link set eth0 up
	ip addr add 192.168.1.2/24 dev eth0
	ip addr add fe80::9/64 dev eth0 nodad
	ip addr add 2001:db8:1:202::9/64 dev eth0 nodad
	ip route add default via fe80::1 dev eth0
	ip -n outside link set lo up
	ip -n outside link set eth0 up
	ip -n outside addr add 2001:db8:ffff::2/64 dev eth0 nodad
	ip -n outside route add default via 2001:db8:ffff::1
	ip -6 route add local "$PREFIX" dev lo
	echo go >&"${ROUTER[1]}"
	while read -r -u "${ROUTER[0]}" line; do
		case "$line" in *'Server listening'*) return 0 ;; esac
		echo "router: $line" >&2
	done
	echo 'the router did not start' >&2
	return 1
}

# there COMMAND: runs it on the router.
there() { ssh -F "$T/ssh/config" -o BatchMode=yes root@192.168.1.1 "$1"; }

# host COMMAND...: here.
host() { "$@"; }

# state: everything on the router that a push touches.
state() {
	there 'nft -s list ruleset; ip -6 route show; find /etc /usr/sbin /usr/share /lib/upgrade -type f | sort | xargs md5sum; ls /usr/lib'
}
