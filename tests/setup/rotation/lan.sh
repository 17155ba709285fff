# shellcheck shell=bash
FAR=2001:db8:eeee::1
ULA=fd00:a::5
LAN=2001:db8:a::5
EVERYTHING="$SETUP --for everything --from vm0"
exec {CLIENT_IS_UP}< <(exec unshare --net bash -c 'echo $$; exec sleep infinity')
read -r CLIENT_PID <&$CLIENT_IS_UP
in_client() { nsenter --target $CLIENT_PID --net -- "$@"; }
ip link add vm0 type veth peer name eth0 netns $CLIENT_PID
sysctl -qw net.ipv6.conf.vm0.accept_dad=0
in_client sysctl -qw net.ipv6.conf.eth0.accept_dad=0
ip link set vm0 up
ip addr add fd00:a::1/64 dev vm0 nodad
ip addr add 2001:db8:a::1/64 dev vm0 nodad
in_client ip link set lo up
in_client ip link set eth0 up
in_client ip addr add $ULA/64 dev eth0 nodad
in_client ip addr add $LAN/64 dev eth0 nodad
in_client ip -6 route add default via fd00:a::1
in_peer ip addr add $FAR/128 dev lo nodad
in_peer ip -6 route add 2001:db8:a::/64 via $OWN
# The echo of the peer is bound to its address on the link.
started in_peer "$V6KIT" echo --listen "[$FAR]:80"
sysctl -qw net.ipv6.conf.all.forwarding=1
until is_usable fe80: vm0; do :; done
until in_client ping -6 -q -c 1 -W 1 2001:db8:a::1 >/dev/null && in_client ping -6 -q -c 1 -W 1 fd00:a::1 >/dev/null; do :; done
# The addresses that N connections of the client are seen from; further arguments are curl's.
seen() { local n=$1; shift; for _ in $(seq "$n"); do in_client curl --silent --show-error --fail --connect-timeout 5 "$@"; done; }
# Lines outside of a prefix, as the client of python sees it.
outside() { python3 -c 'import ipaddress, sys
net = ipaddress.ip_network(sys.argv[1])
print(sum(ipaddress.ip_address(line.strip()) not in net for line in sys.stdin if line.strip()))' "$1"; }
part() { jq -r '.steps[] | select(.id == "rotation").reason | capture("addresses of (?<part>[^;]*);").part' "$1"; }
