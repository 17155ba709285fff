ask = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
# Declined: the connection goes on, also with what was sent too soon.
_, answer = http(get("/declined", ask) + get("/next", last))
check("declined", (answer.count(b"HTTP/1.1 200"), heads[-1].split(b" ")[1]), (2, b"/next"))
check("what the origin was asked", (field(heads[-2], b"upgrade"), field(heads[-2], b"connection")), (["websocket"], ["Upgrade"]))
# Some programs name the scheme that they mean.
_, answer = http(get("/named", ask).replace(b"http://", b"ws://", 1) + get("/next", last))
check("a URL of ws://", (answer.count(b"HTTP/1.1 200"), heads[-2].split(b" ")[1], field(heads[-2], b"upgrade")), (2, b"/named", ["websocket"]))
# Other protocols are not passed on.
http(get("/", "Connection: Upgrade, close\r\nUpgrade: h2c\r\n"))
check("h2c", (field(heads[-1], b"upgrade"), field(heads[-1], b"connection")), ([], []))
# Agreed: both ways, with what either side says at once.
listener.close()
listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
origin = f"[::1]:{listener.getsockname()[1]}"
switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
made = connect()
made.sendall(get("/", ask) + b"early")
far, _ = listener.accept()
while not far.recv(65536).endswith(b"\r\n\r\n"):
    pass
far.sendall(switched + b"hello")
got = b""
while not got.endswith(b"hello"):
    got += exactly(made, 1)
check("the answer", (got[:12], field(got, b"upgrade"), field(got, b"sec-websocket-accept")), (b"HTTP/1.1 101", ["websocket"], ["x"]))
check("what was sent too soon", exactly(far, 5), b"early")
made.sendall(b"\x81\x00GET / HTTP/1.1\r\n\r\n\xff")
check("frames are not read", exactly(far, 21), b"\x81\x00GET / HTTP/1.1\r\n\r\n\xff")
far.sendall(b"bye")
far.close()
check("the end", rest(made), b"bye")
# Another protocol than was asked for, or none asked for at all.
for fields, name in ((ask, "h2c"), ("", "websocket")):
    made = connect()
    made.sendall(get("/", fields))
    far, _ = listener.accept()
    while not far.recv(65536).endswith(b"\r\n\r\n"):
        pass
    far.sendall(switched.replace(b"WebSocket", name.encode()))
    far.close()
    answer = b""
    while b"another protocol" not in answer:
        answer += exactly(made, 1)
    check(f"{name} unasked", answer[:12], b"HTTP/1.1 502")
    made.close()
