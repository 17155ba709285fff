//! What forwarded messages say, where each of them ends, and what comes through that other proxies take.

use super::wire;

/// An origin on this host: answers every request, and keeps the heads.
const ORIGIN: &str = include_str!("messages/origin.py");

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
        include_str!("messages/what_is_refused_is_refused_with_a_reason.py"),
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
        include_str!("messages/a_websocket_passes_through_a_forwarded_request.py"),
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
