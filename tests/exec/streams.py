"""TCP in every way that a program connects. Each line is the address that was seen."""
import errno, os, socket
to = (os.environ["at"], 80)
ask = b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"

def heard(sock):
    text = b""
    while piece := sock.recv(4096):
        text += piece
    print(text.decode().split("\r\n\r\n")[1].strip())

def refused(what, number):
    try:
        what()
    except OSError as error:
        assert error.errno == number, error
        return
    raise SystemExit(f"not refused with {errno.errorcode[number]}")

# Connected by its first bytes (RFC 7413), in both calls.
with socket.socket(socket.AF_INET6) as sock:
    sock.sendto(ask, socket.MSG_FASTOPEN, to)
    heard(sock)
with socket.socket(socket.AF_INET6) as sock:
    sock.sendmsg([ask], [], socket.MSG_FASTOPEN, to)
    heard(sock)
# Not waiting.
with socket.socket(socket.AF_INET6) as sock:
    sock.setblocking(False)
    assert sock.connect_ex(to) == errno.EINPROGRESS
    sock.setblocking(True)
    sock.send(ask)
    heard(sock)
# The same socket again, after it was refused.
with socket.socket(socket.AF_INET6) as sock:
    assert sock.connect_ex((to[0], 9)) == errno.ECONNREFUSED
    sock.connect(to)
    sock.send(ask)
    heard(sock)
# Several paths, each with an address of its own: programs do without.
refused(lambda: socket.socket(socket.AF_INET6, socket.SOCK_STREAM, 262), errno.EPROTONOSUPPORT)
refused(lambda: socket.socket(socket.AF_INET6, socket.SOCK_SEQPACKET, 132), errno.EPROTONOSUPPORT)
# A port of every address is taken already: it would leave from the host's own.
with socket.socket(socket.AF_INET6) as sock:
    sock.bind(("::", 0))
    refused(lambda: sock.connect(to), errno.EADDRNOTAVAIL)
with socket.socket(socket.AF_INET6) as sock:
    sock.bind(("::", 0))
    sock.listen()
    with socket.create_connection(("::1", sock.getsockname()[1])) as near:
        assert near.getpeername()[0] == "::1"
# What it chose itself is its own.
with socket.socket(socket.AF_INET6) as sock:
    sock.bind((os.environ["own"], 0))
    sock.connect(to)
    assert sock.getsockname()[0] == os.environ["own"]
for v4 in ("192.0.2.1", "::ffff:192.0.2.1"):
    with socket.socket(socket.AF_INET6 if ":" in v4 else socket.AF_INET) as sock:
        refused(lambda: sock.connect((v4, 80)), errno.ENETUNREACH)
