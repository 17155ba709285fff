"""UDP in every way that a program sends it. Each line is the address that was seen."""
import os, socket
to = (os.environ["udp"], int(os.environ["udp_port"]))

def heard(sock):
    sock.settimeout(20)
    address, port = sock.recv(200).decode().split()
    print(address)
    return int(port)

def plain():
    return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)

def at_any_port():
    sock = plain()
    sock.bind(("::", 0))
    return sock

for make in (plain, at_any_port):
    with make() as sock:
        before = sock.getsockname()[1]
        sock.sendto(b"x", to)
        port = heard(sock)
        assert before in (0, port), "a port that was told stays"
        # Another message of the same socket.
        sock.sendmsg([b"x"], [], 0, to)
        sock.settimeout(20)
        assert sock.recv(200).decode().split()[1] == str(port)
    with make() as sock:
        sock.sendmsg([b"x"], [], 0, to)
        heard(sock)
    with make() as sock:
        sock.connect(to)
        sock.send(b"x")
        heard(sock)
    with make() as sock:
        sock.connect(to)
        sock.sendmsg([b"x"])
        heard(sock)
    # First to a neighbour, which is left alone, then further away.
    with make() as sock:
        sock.sendto(b"x", ("::1", 9))
        sock.sendto(b"x", to)
        heard(sock)
    with make() as sock:
        sock.connect(("::1", 9))
        sock.connect(to)
        sock.send(b"x")
        heard(sock)

# Loopback in the spelling of Java, and a service of its own.
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as here, plain() as there:
    here.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    here.bind(("::", 0))
    here.settimeout(20)
    there.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    for near in ("::ffff:127.0.0.1", "::1"):
        there.sendto(b"near", (near, here.getsockname()[1]))
        assert here.recv(10) == b"near"
for v4 in ("192.0.2.1", "::ffff:192.0.2.1"):
    family = socket.AF_INET6 if ":" in v4 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(b"x", (v4, 9))
            raise SystemExit("IPv4 was sent to")
        except OSError as error:
            assert error.errno == 101, error
