import threading
# An origin that says what it is told to, and to every further request that it was asked again.
listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
port = listener.getsockname()[1]
said, final = b"", False
def serve(made):
    while b"\r\n\r\n" not in made.recv(65536):
        pass
    made.sendall(said)
    if final:
        made.shutdown(socket.SHUT_WR)
    try:
        while made.recv(65536):
            made.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nagain\n")
    except OSError:
        pass
def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
count = 0
def ask(raw, times=1):
    """The answers to requests of one session that is new each time."""
    global said, count
    said = raw
    count += 1
    token = __import__("base64").b64encode(b"u-session-%d:x" % count).decode()
    request = f"GET http://[::1]:{port}/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic {token}\r\n"
    answers = []
    for _ in range(times):
        answers.append(http((request + "Connection: close\r\n\r\n").encode()))
        # Until the connection to the origin is kept or closed, which nobody is told.
        pause(0.05)
    return answers
ok = b"HTTP/1.1 200 OK\r\n"
for name, raw in {
    "two lengths": ok + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a signed length": ok + b"Content-Length: +5\r\n\r\nhello",
    "obs-fold": ok + b"X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
    "bare CR": ok + b"X: a\rb\r\nContent-Length: 5\r\n\r\nhello",
    "NUL": ok + b"X: a\0b\r\nContent-Length: 5\r\n\r\nhello",
    "a space before the colon": ok + b"Content-Length : 5\r\n\r\nhello",
    "a coding that nobody can read": ok + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "another coding that nobody can read": ok + b"Transfer-Encoding: gzip\r\n\r\nhello",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n",
    "a head without an end": ok + b"X: " + b"x" * 100000,
    "nothing": b"\r\n\r\n\r\n",
}.items():
    final = True
    [(status, answer)] = ask(raw)
    final = False
    check(name, (status, b"x-v6kit-error: bad_response" in answer), (502, True))
# The coding counts, the length is not passed on, and the connection is not used again (RFC 9112 section 6.3).
for fields in (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"):
    answers = ask(ok + fields + b"\r\n5\r\nhello\r\n0\r\n\r\n", 2)
    for status, answer in answers:
        head, content = answer.lower().split(b"\r\n\r\n", 1)
        check("both", (status, b"content-length" in head, b"hello" in content), (200, False, True))
[(status, answer), (_, second)] = ask(ok + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 2)
check("the same length twice", (status, answer.lower().count(b"content-length"), b"hello" in second), (200, 1, True))
# A response behind the response answers nobody's next request.
for status, answer in ask(ok + b"Content-Length: 5\r\n\r\nhello" + ok + b"Content-Length: 6\r\n\r\npoison", 3):
    check("poison", (status, b"poison" in answer), (200, False))
# A good origin is asked again on the same connection.
[_, (_, second)] = ask(ok + b"Content-Length: 5\r\n\r\nhello", 2)
check("again", b"again" in second, True)
# Content that breaks off looks broken off.
for raw in (ok + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", ok + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 20000 + b"\r\nhello"):
    [(_, answer)] = ask(raw)
    check("broken off", answer.endswith(b"0\r\n\r\n"), False)
