made = tcp(listening[0])
def ask(method="GET"):
    made.sendall(b"%s http://[::1]:%d/ HTTP/1.1\r\nHost: a\r\n\r\n" % (method.encode(), port))
    far, _ = server.accept()
    far.settimeout(60)
    eventually(lambda: b"\r\n\r\n" in far.recv(65536, socket.MSG_PEEK))
    far.recv(65536)
    return far
def head(status=b"200"):
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += exactly(made, 1)
    check("status", got.split(b" ")[1], status)
    return got
def over(name, far):
    check(f"{name}: the connection to the origin", to_the_end(far), b"")
    far.close()
# Every piece is heard before the next one is sent, over one client connection.
chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
for name, answer, pieces in (
    ("a length", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", (b"hel", b"lo", b"world")),
    ("chunks", b"HTTP/1.1 103 Early Hints\r\n\r\n" + chunked, (b"5\r\nhello\r\n", b"5\r\nworld\r\n", b"0\r\n\r\n")),
):
    far = ask()
    far.sendall(answer)
    head()
    for piece in pieces:
        far.sendall(piece)
        check(f"{name}: a piece", exactly(made, len(piece)), piece)
    over(name, far)
# Answers without content, and with as many fields as a head may have.
for method, answer, status in (
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"200"),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b"204"),
    ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n", b"304"),
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"X: y\r\n" * 99 + b"\r\n", b"200"),
):
    far = ask(method)
    far.sendall(answer)
    fields = head(status)
    over(f"{method} {status}", far)
check("fields", fields.lower().count(b"x: y\r\n"), 99)
# More than the buffers take, while nobody reads.
much = bytes(range(256)) * (1 << 17)
far = ask()
sending = beside(lambda: far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(much) + much))
pause(0.3)
head()
check("much", exactly(made, len(much)) == much, True)
sending.join()
over("much", far)
# An origin that breaks off, and one that says no more than its end.
far = ask()
far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
far.close()
head()
check("half", rest(made), b"hello")
made = tcp(listening[0])
far = ask()
far.close()
head(b"502")
# A client that leaves in the middle ends the connection to the origin.
made = tcp(listening[0])
far = ask()
far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhello" % (1 << 30))
head()
made.close()
try:
    while True:
        far.sendall(much)
except (ConnectionResetError, BrokenPipeError):
    pass
