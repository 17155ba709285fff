line = b"POST http://[2001:db8:80::80]/ HTTP/1.1\r\nHost: [2001:db8:80::80]\r\n"
connect_line = b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\n"
chunked = b"Transfer-Encoding: chunked\r\n"
bad = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "the same length twice": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": b"Content-Length: 5, 5\r\n\r\nhello",
    "a signed length": b"Content-Length: +5\r\n\r\nhello",
    "a length and a coding": b"Content-Length: 5\r\n" + chunked + b"\r\n0\r\n\r\n",
    "a coding and a length": chunked + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two codings": chunked + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a coding in disguise": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a tab before the coding": b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "obs-fold": b"X: a\r\n b\r\n\r\n",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "bare CR in a value": b"X: a\rContent-Length: 5\r\n\r\n",
    "bare CR as the end": b"X: a\r\r\n\r\n",
    "NUL in a value": b"X: a\0b\r\n\r\n",
    "NUL in a name": b"X\0: a\r\n\r\n",
    "a space before the colon": b"Content-Length : 5\r\n\r\nhello",
    "two hosts": b"Host: elsewhere\r\n\r\n",
    "a chunk extension of 20,000 bytes": chunked + b"\r\n5;" + b"x" * 20000 + b"\r\nhello\r\n0\r\n\r\n",
    "NUL in a chunk extension": chunked + b"\r\n5;a\0b\r\nhello\r\n0\r\n\r\n",
    "bare CR in a chunk extension": chunked + b"\r\n5;a\rb\r\nhello\r\n0\r\n\r\n",
    "a chunk size of 20 digits": chunked + b"\r\n00000000000000000005\r\nhello\r\n0\r\n\r\n",
    "a chunk size above 64 bits": chunked + b"\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
    "a chunk size with a sign": chunked + b"\r\n-5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with a prefix": chunked + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "no chunk size": chunked + b"\r\n\r\nhello\r\n0\r\n\r\n",
    "a chunk size that ends with LF": chunked + b"\r\n5\nhello\r\n0\r\n\r\n",
    "a chunk that is longer than its size": chunked + b"\r\n5\r\nhello!\r\n0\r\n\r\n",
    "a folded trailer": chunked + b"\r\n0\r\nX: a\r\n b\r\n\r\n",
}
other = {
    "no host": b"GET http://[2001:db8:80::80]/ HTTP/1.1\r\n\r\n",
    "a coding in HTTP/1.0": line.replace(b"1.1", b"1.0") + chunked + b"\r\n0\r\n\r\n",
    "user information in the target": b"GET http://a@[2001:db8:80::80]/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT with a length": connect_line + b"Content-Length: 5\r\n\r\nhello",
    "CONNECT with a coding": connect_line + chunked + b"\r\n0\r\n\r\n",
    "CONNECT with obs-fold": connect_line + b"X: a\r\n b\r\n\r\n",
    "CONNECT with bare CR": connect_line + b"X: a\rb\r\n\r\n",
    "a version of the future": b"GET http://[2001:db8:80::80]/ HTTP/3.1\r\nHost: x\r\n\r\n",
}
# Behind each waits what must never be taken for a request.
smuggled = b"GET http://[2001:db8:80::80]/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
for name, raw in {**{name: line + raw for name, raw in bad.items()}, **other}.items():
    status, answer = http(raw + smuggled)
    check(name, status, 400)
    check(name + ": one answer only", answer.count(b"HTTP/1.1 "), 1)
# The same as the second request of a connection, together with the first, and after its answer.
good = b"GET http://[2001:db8:80::80]/healthz HTTP/1.1\r\nHost: a\r\n\r\n"
for name, raw in bad.items():
    _, answer = http(good + line + raw + smuggled)
    check(name + ", behind another request", [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]], [200, 400])
made = connect()
made.sendall(good)
while not made.recv(65536).endswith(b"ok\n"):
    pass
made.sendall(line + bad["a length and a coding"] + smuggled)
answer = rest(made)
check("the second request", (answer.count(b"HTTP/1.1 "), answer[:12]), (1, b"HTTP/1.1 400"))
check("a head above 16 KiB", http(line + b"X: " + b"x" * 20000 + b"\r\n\r\n")[0], 431)
check("a CONNECT head above 16 KiB",
      http(b"CONNECT a:1 HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n")[0], 431)
check("200 fields", http(line + b"X: y\r\n" * 200 + b"\r\n")[0], 431)
check("200 fields of a CONNECT", http(b"CONNECT a:1 HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n")[0], 431)
