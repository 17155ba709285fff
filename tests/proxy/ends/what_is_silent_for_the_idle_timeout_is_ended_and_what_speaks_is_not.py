def ended(made):
    try:
        return made.recv(65536) == b""
    except (ConnectionResetError, ssl.SSLError):
        return True
def speak(name, made, far):
    # For longer than the time-out, with pauses that are much shorter.
    began = time.monotonic()
    while time.monotonic() < began + 7:
        for one, other in ((made, far), (far, made)):
            one.sendall(b"word")
            check(name, exactly(other, 4), b"word")
        pause(0.2)
    made.shutdown(socket.SHUT_WR)
    check(name, to_the_end(far), b"")
    far.close()
speaking = [beside(speak, *tunnel) for tunnel in tunnels()]
silent = list(tunnels())
for name, made, far in silent:
    assert ended(made) and ended(far), name
for thread in speaking:
    thread.join()
# An association.
wire.connect = lambda: tcp(listening[0])
code, _, control = socks("0.0.0.0", 0, command=3)
check("ASSOCIATE", (code, ended(control)), (0, True))
# Forwarded: an origin that never answers, one that stops in the middle, a client that asks no more.
def forward(answer):
    made = tcp(listening[0])
    made.sendall(b"GET http://[::1]:%d/ HTTP/1.1\r\nHost: a\r\n\r\n" % port)
    far, _ = server.accept()
    eventually(lambda: b"\r\n\r\n" in far.recv(65536, socket.MSG_PEEK))
    far.sendall(answer)
    return made, far
made, far = forward(b"")
check("no answer", exactly(made, 12), b"HTTP/1.1 504")
made, far = forward(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
got = rest(made)
check("half an answer", (got[:12], got[-5:]), (b"HTTP/1.1 200", b"hello"))
made, far = forward(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
check("a whole answer, then the end", rest(made)[-5:], b"hello")
