# shellcheck shell=bash
# A smaller MTU behind the far end of the WAN: its packet-too-big must reach the untracked sender.
sed -i 's/destination-unreachable, time-exceeded } limit/time-exceeded } limit/; /icmpv6 code/d' $R/sbin/fw4
router fw4 reload
ip netns add far
ip link add eth1 netns outside type veth peer name eth0 netns far
outside sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.eth1.accept_dad=0
ip netns exec far sysctl -qw net.ipv6.conf.eth0.accept_dad=0
ip -n outside link set eth1 mtu 1300 up
ip -n far link set eth0 up
ip -n far link set lo up
ip -n outside addr add 2001:db8:fffe::1/64 dev eth1 nodad
ip -n far addr add 2001:db8:fffe::2/64 dev eth0 nodad
ip -n far route add default via 2001:db8:fffe::1
ip route add 2001:db8:fffe::/64 via 2001:db8:ffff::2
exec {sink}< <(ip netns exec far /usr/bin/python3 -c '
import socket
s = socket.create_server(("::", 7003), family=socket.AF_INET6)
print("ready", flush=True)
c, _ = s.accept()
print(sum(len(d) for d in iter(lambda: c.recv(65536), b"")), flush=True)')
read -r -u $sink _
host /usr/bin/python3 -c '
import socket
s = socket.create_connection(("2001:db8:fffe::2", 7003), 20, ("2001:db8:1:202:abcd::5", 0))
s.sendall(bytes(200000))'
read -r -t 60 -u $sink received
is $received 200000 'bytes that came through'
is $(entries) 0 'entries'
