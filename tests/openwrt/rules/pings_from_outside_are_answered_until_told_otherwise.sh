# shellcheck shell=bash
# An echo request without raw sockets: the kernel's ping sockets, open to everybody here.
outside sysctl -qw net.ipv4.ping_group_range='0 0'
ping() { outside /usr/bin/python3 - <<'END'
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6)
s.settimeout(2)
s.sendto(bytes([128, 0, 0, 0, 0, 1, 0, 1]), ('2001:db8:1:202:abcd::7', 0))
try:
    print('answered' if s.recv(100)[0] == 129 else 'odd')
except TimeoutError:
    print('silent')
END
}
is $(ping) answered 'by default'
settings 'set v6kit-router.main.ping=drop'
router v6kit-router apply
is $(ping) silent 'when told so'
