//! What forwarded messages say, where each of them ends, and what comes through that other proxies take.

use super::wire;

/// An origin on this host: answers every request, and keeps the heads.
const ORIGIN: &str = r#"
import threading
listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
origin = f"[::1]:{listener.getsockname()[1]}"
heads = []
said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
def serve(made):
    read = made.makefile("rb")
    while True:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = read.readline()
            if not line:
                return
            head += line
        heads.append(head)
        if b"chunked" in head.lower():
            while size := int(read.readline(), 16):
                read.read(size + 2)
            while read.readline() != b"\r\n":
                pass
        made.sendall(said)
        if b"connection: close" in head.lower():
            return made.shutdown(socket.SHUT_RDWR)
def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
def get(path="/", fields="", version="1.1"):
    return f"GET http://{origin}{path} HTTP/{version}\r\nHost: {origin}\r\n{fields}\r\n".encode()
last = "Connection: close\r\n"
def field(head, name):
    return [line.split(b": ", 1)[1].decode() for line in head.split(b"\r\n\r\n")[0].split(b"\r\n")[1:] if line.lower().startswith(name + b":")]
"#;

fn with_origin(arguments: &str, python: &str) {
    let arguments = format!("--allow-destination ::1 {arguments}");
    wire(&arguments, "", &format!("{ORIGIN}\n{python}")).expect(0);
}

#[test]
fn nothing_hides_behind_trailers_with_a_bare_line_feed() {
    with_origin(
        "--threads 1",
        r#"
first = f"POST http://{origin}/first HTTP/1.1\r\nHost: {origin}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
# Alone it is refused; inside the content of another request it must not be seen.
hidden = f"POST http://{origin}/hidden HTTP/1.1\r\nHost: {origin}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
for end in ("\n", "X: y\n\r\n", "X: y\n\n", "X: y\r\n\n", "X: y\n\tz\r\n\r\n", "\r\r\n\r\n"):
    carrier = f"POST http://{origin}/second HTTP/1.1\r\nHost: {origin}\r\nContent-Length: {len(hidden)}\r\n\r\n{hidden}"
    _, answer = http((first + end + carrier).encode())
    check(f"{end!r}: the last answer is 400", answer.split(b"HTTP/1.1 ")[-1][:3], b"400")
check("nothing hidden was asked for", [head for head in heads if b"hidden" in head or b"second" in head], [])
# What is right passes, with a chunk extension and trailers, and the connection goes on.
good = first.replace("5\r\n", "005;x=y\r\n", 1) + "X: y\r\nZ:\r\n\r\n"
_, answer = http(good.encode() + get("/next", last))
check("two answers", answer.count(b"HTTP/1.1 200"), 2)
check("the next request", heads[-1].split(b" ")[1], b"/next")
"#,
    );
}

#[test]
fn messages_say_via_and_when() {
    let seen = r#"
date = __import__("re").compile(r"\w\w\w, \d\d \w\w\w \d{4} \d\d:\d\d:\d\d GMT")
_, answer = http(get("/", "Via: 1.1 first\r\n" + last))
check("Date is added", len(date.findall(answer.decode())), 1)
"#;
    with_origin(
        "",
        &format!(
            r#"{seen}
check("Via of the request", field(heads[-1], b"via"), ["1.1 first", "1.1 v6kit"])
check("Via of the response", field(answer, b"via"), ["1.1 v6kit"])
_, answer = http(get("/", version="1.0"))
check("Via of an old request", field(heads[-1], b"via"), ["1.0 v6kit"])
said = b"HTTP/1.0 200 OK\r\nVia: 1.0 second\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok"
_, answer = http(get("/", last))
check("Via of an old response", field(answer, b"via"), ["1.0 second", "1.0 v6kit"])
check("Date stays", field(answer, b"date"), ["Thu, 01 Jan 1970 00:00:00 GMT"])
# The proxy's own answers, by hand and through hyper.
for request in (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                b"TRACE http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                f"CONNECT {{origin}} HTTP/1.1\r\n\r\n".encode() + get("/", last)):
    status, answer = http(request)
    check(f"{{status}} has a Date", len(date.findall(answer.split(b"\r\n\r\n")[0].decode())), 1)
"#
        ),
    );
    with_origin(
        "--no-via",
        &format!(
            r#"{seen}
check("no Via of ours", (field(heads[-1], b"via"), field(answer, b"via")), (["1.1 first"], []))
"#
        ),
    );
}

#[test]
fn what_is_refused_is_refused_with_a_reason() {
    with_origin(
        "",
        r#"
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
"#,
    );
}

#[test]
fn empty_lines_before_a_request_are_ignored() {
    with_origin(
        "",
        r#"
for lines in (b"\r\n", b"\r\n\r\n", b"\n"):
    check(f"{lines} before a request", http(lines + get("/", last))[0], 200)
    check(f"{lines} before the second", http(get() + lines + get("/", last))[1].count(b"HTTP/1.1 200"), 2)
    tunnel = lines + f"CONNECT {origin} HTTP/1.1\r\n\r\n".encode() + get("/", last)
    check(f"{lines} before a CONNECT", http(tunnel)[0], 200)
# One byte at a time.
made = connect()
for byte in b"\r\n\r\n" + get("/", last):
    made.sendall(bytes([byte]))
check("in single bytes", rest(made)[:12], b"HTTP/1.1 200")
"#,
    );
}

#[test]
fn a_websocket_passes_through_a_forwarded_request() {
    with_origin(
        "--access-log \"$T/log\"",
        r#"
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
"#,
    );
}

#[test]
fn a_client_that_keeps_its_connection_has_the_idle_time_and_a_slow_head_its_own() {
    with_origin(
        "--idle-timeout 1s --handshake-timeout 10m",
        r#"
made = connect()
made.sendall(get())
check("an answer, and then the end", rest(made)[-2:], b"ok")
"#,
    );
    with_origin(
        "--idle-timeout 10m --handshake-timeout 1s",
        r#"
for begun in (get()[:20], get() + get()[:20]):
    answer = http(begun)[1]
    check("in words", (answer.split(b"HTTP/1.1 ")[-1][:3], b"took too long" in answer), (b"408", True))
"#,
    );
}
