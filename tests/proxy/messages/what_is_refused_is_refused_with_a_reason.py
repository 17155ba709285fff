for name, raw, status, why in [
    ("105 fields", get("/", "X: y\r\n" * 105), 431, b"more than 100 header fields"),
    ("105 fields of a CONNECT", b"CONNECT a:1 HTTP/1.1\r\n" + b"X: y\r\n" * 105 + b"\r\n", 431, b"more than 100 header fields"),
    ("a large head", get("/", "X: " + "x" * 20000 + "\r\n"), 431, b"larger than 16384 bytes"),
    ("a tick", get("/a`b"), 400, b"percent-encoded"),
    ("less and greater", get("/a<b>c"), 400, b"percent-encoded"),
    ("a quote in the query", get('/?q="x"'), 400, b"percent-encoded"),
    ("a backslash and a pipe", get("/a\\b|<"), 400, b"percent-encoded"),
    ("brackets that stay open", b"GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n", 400, b"not a URL"),
]:
    found, answer = http(raw)
    check(name, found, status)
    head, body = answer.split(b"\r\n\r\n", 1)
    check(name + ": why", (b"x-v6kit-error: " in head, why in body), (True, True))
check("nothing of it was forwarded", heads, [])
for path in ("/a|b", "/a{b}", "/%3Ca", "/?x=[1]"):
    http(get(path, last))
    check(path, heads[-1].split(b" ")[1].decode(), path)
