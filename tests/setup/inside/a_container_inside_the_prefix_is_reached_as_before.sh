# shellcheck shell=bash
unshare --net sleep infinity &
box=$!
is_apart() { [ "$(readlink /proc/$box/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
eventually is_apart
in_box() { nsenter --target $box --net -- "$@"; }
ip link add c0 type veth peer name eth0 netns $box
sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.c0.accept_dad=0
in_box sysctl -qw net.ipv6.conf.eth0.accept_dad=0
ip link set c0 up
ip addr add fe80::1/64 dev c0 nodad
in_box ip link set eth0 up
in_box ip addr add 2001:db8:1:0:5::2/80 dev eth0 nodad
in_box ip -6 route add default via fe80::1 dev eth0
ip -6 route add 2001:db8:1:0:5::/80 dev c0
works() {
    in_peer ping -q -c 1 -W 5 2001:db8:1:0:5::2
    ping -q -c 1 -W 5 2001:db8:1:0:5::2
    in_box curl --silent --fail --connect-timeout 5 "http://[$PEER]/" | has 2001:db8:1:0:5::2
}
works
snapshot >"$T/log/before"
$SETUP >"$T/log/out"
has 'goes on so: .*2001:db8:1:0:5::/80 dev c0' "$T/log/out"
works
same "$(fetch 2001:db8:1::77:88)" 2001:db8:1::77:88
$V6KIT status
$V6KIT teardown
works
snapshot >"$T/log/after"
diff "$T/log/before" "$T/log/after"
