# A server of this host that answers with the address it saw.
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::1", 0))
server.settimeout(60)
port = server.getsockname()[1]
code, relay, control = socks("0.0.0.0", 0, command=3)
check("ASSOCIATE", code, 0)
mine = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mine.settimeout(60)
seen = set()
for size in (1, 1000, 9000):
    payload = bytes(size)
    mine.sendto(b"\0\0\0" + address("::1", port) + payload, relay)
    got, source = server.recvfrom(65536)
    check("the payload", got, payload)
    seen.add(source[:2])
    server.sendto(b"back" + got, source)
    answer, _ = mine.recvfrom(65536)
    check("the answer", answer, b"\0\0\0" + address("::1", port) + b"back" + payload)
check("one address for all", len(seen), 1)
assert seen.pop()[0].startswith("2001:db8:6:"), seen
# Another destination keeps the same source; a denied one, a fragment and a stranger get nothing through.
stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stranger.sendto(b"\0\0\0" + address("::1", port) + b"stranger", relay)
mine.sendto(b"\0\0\1" + address("::1", port) + b"fragment", relay)
mine.sendto(b"\0\0\0" + address("fe80::1", port) + b"denied", relay)
mine.sendto(b"\0\0", relay)
mine.sendto(b"\0\0\0" + address("here.test", port) + b"by name", relay)
check("only what is right", server.recvfrom(65536)[0], b"by name")
# The association ends with its connection.
control.close()
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect(relay)
def is_closed():
    try:
        probe.send(b"x")
    except ConnectionRefusedError:
        return True
eventually(is_closed)
