//! How tunnels end: by half, by reset, by silence.

use super::lab;

/// Opens tunnels in every form, over every kind of listener, to a server of the test.
const TUNNELS: &str = r#"
from wire import *
import os, ssl, threading, wire

listening = os.environ["LISTENING"].splitlines()
server = socket.create_server(("::1", 0), family=socket.AF_INET6)
server.settimeout(60)
port = server.getsockname()[1]

def tcp(listener):
    host, port = listener.removeprefix("tls://").rsplit(":", 1)
    made = socket.create_connection((host, int(port)), timeout=60)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made

class Tls:
    """TLS over a socket, which the ssl module's own sockets cannot close by half."""
    def __init__(self, made):
        self.made, self.taken, self.given = made, ssl.MemoryBIO(), ssl.MemoryBIO()
        trusted = ssl.create_default_context(cafile=os.environ["CERT"])
        self.tls = trusted.wrap_bio(self.taken, self.given, server_hostname="127.0.0.1")
        self.step(self.tls.do_handshake)
    def step(self, action, *arguments):
        while True:
            try:
                return action(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                piece = self.made.recv(65536)
                self.taken.write(piece) if piece else self.taken.write_eof()
            finally:
                self.flush()
    def flush(self):
        if waiting := self.given.read():
            self.made.sendall(waiting)
    def sendall(self, data):
        for at in range(0, len(data), 16384):
            self.step(self.tls.write, data[at:at + 16384])
    def recv(self, count):
        try:
            return self.step(self.tls.read, count)
        except ssl.SSLZeroReturnError:
            return b""
    def shutdown(self, how):
        # close_notify; what the other side still has to say is read afterwards.
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()
        self.made.shutdown(how)
    def close(self):
        self.made.close()

def unix(listener):
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(60)
    made.connect(listener.removeprefix("unix:"))
    return made

def reach(listener):
    if listener.startswith("tls:"): return Tls(tcp(listener))
    if listener.startswith("unix:"): return unix(listener)
    return tcp(listener)

def by_connect(listener, port):
    made = reach(listener)
    made.sendall(b"CONNECT [::1]:%d HTTP/1.1\r\n\r\n" % port)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(made, 1)
    check("CONNECT", head.split(b" ")[1], b"200")
    return made

def by_socks(listener, port):
    wire.connect = lambda: reach(listener)
    code, _, made = socks("::1", port)
    check("SOCKS5", code, 0)
    return made

def tunnels():
    for listener in listening:
        for form in (by_connect, by_socks):
            made = form(listener, port)
            far, _ = server.accept()
            far.settimeout(60)
            yield f"{form.__name__} over {listener}", made, far

def to_the_end(made):
    """Everything up to a clean end."""
    got = b""
    while piece := made.recv(65536):
        got += piece
    return got

def beside(action, *arguments):
    thread = threading.Thread(target=action, args=arguments)
    thread.start()
    return thread
"#;

/// Runs Python with [`TUNNELS`] against a proxy with a plain, a TLS and a Unix listener.
fn run(arguments: &str, python: &str, then: &str) {
    lab(&format!(
        r#"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=proxy \
            -addext subjectAltName=IP:127.0.0.1 -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null
        start --listen 127.0.0.1:0 --listen tls://127.0.0.1:0 --listen "unix:$T/proxy.sock" \
            --cert "$T/cert.pem" --key "$T/key.pem" --allow-destination ::1 --access-log "$T/log" {arguments}
        cat > "$T/client.py" <<'PY'
{TUNNELS}
{python}
PY
        LISTENING="$all" CERT="$T/cert.pem" PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$MODULES \
            timeout 300 python3 "$T/client.py" "$at"
        stop
        {then}
        "#
    ))
    .expect(0);
}

#[test]
fn a_half_close_is_passed_on_both_ways_in_every_form() {
    run(
        "",
        r#"
# More than the buffers of a socket, so that the end comes behind bytes that wait.
much = bytes(range(256)) * 16384
for name, made, far in tunnels():
    made.sendall(b"question")
    made.shutdown(socket.SHUT_WR)
    check(f"{name}: what the destination hears", to_the_end(far), b"question")
    answer = beside(lambda: (far.sendall(much), far.close()))
    check(f"{name}: the answer", to_the_end(made) == much, True)
    answer.join()
    made.close()
for name, made, far in tunnels():
    far.sendall(b"greeting")
    far.shutdown(socket.SHUT_WR)
    check(f"{name}: what the client hears", to_the_end(made), b"greeting")
    more = beside(lambda: (made.sendall(much), made.shutdown(socket.SHUT_WR)))
    check(f"{name}: what comes late", to_the_end(far) == much, True)
    more.join()
    far.close()
    made.close()
"#,
        r#"jq -e -s 'length == 12 and all(.[]; .outcome == "ok")
            and (map(select(.bytes_up == 8 and .bytes_down == 4194304)) | length == 6)
            and (map(select(.bytes_up == 4194304 and .bytes_down == 8)) | length == 6)' "$T/log" || { cat "$T/log" >&2; exit 1; }"#,
    );
}

#[test]
fn a_transfer_that_was_torn_off_never_looks_complete() {
    run(
        "",
        r#"
at_once = struct.pack("ii", 1, 0)
def torn(made):
    # For TLS the end without close_notify is one as well.
    try:
        to_the_end(made)
    except (ConnectionResetError, ssl.SSLError):
        return True
    return False
for _ in range(40):
    for name, made, far in tunnels():
        far.sendall(b"half of it")
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        far.close()
        # A Unix socket has no reset: its peer cannot be told.
        assert "unix:" in name or torn(made), f"{name}: a reset arrived as an end"
        made.close()
for name, made, far in tunnels():
    made.sendall(b"half of it")
    if "unix:" in name:
        exactly(far, 10)
        far.shutdown(socket.SHUT_WR)
        to_the_end(made)
    else:
        (made.made if isinstance(made, Tls) else made).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    made.close()
    assert "unix:" in name or torn(far), f"{name}: a reset arrived as an end"
    far.close()
"#,
        r#"is "$(jq -r .outcome "$T/log" | sort | uniq -c | awk '{print $2}' | tr '\n' ' ')" "client_gone destination_gone ok ""#,
    );
}

#[test]
fn who_sends_waits_for_who_reads() {
    run(
        "",
        r#"
piece = bytes(65536)
def stalls(name, sender, reader):
    """Sends until nothing more is taken for a while, then sees all of it arrive."""
    sent = 0
    raw = sender.made if isinstance(sender, Tls) else sender
    raw.settimeout(0.5)
    try:
        while sent < 1 << 28:
            sent += raw.send(piece) if raw is sender else (sender.sendall(piece), len(piece))[1]
    except TimeoutError:
        pass
    check(f"{name}: taken without end", sent < 1 << 26, True)
    raw.settimeout(60)
    got = 0
    while got < sent:
        got += len(reader.recv(65536))
for name, made, far in tunnels():
    # What TLS has taken for sending cannot be taken back: only its other way is tried.
    if not isinstance(made, Tls):
        stalls(f"{name}, up", made, far)
    stalls(f"{name}, down", far, made)
    made.close()
    far.close()
made = tcp(listening[0])
made.sendall(b"PUT http://[::1]:%d/ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (port, 1 << 30))
far, _ = server.accept()
far.settimeout(60)
stalls("a body, up", made, far)
far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
stalls("a body, down", far, made)
"#,
        "",
    );
}

#[test]
fn what_is_silent_for_the_idle_timeout_is_ended_and_what_speaks_is_not() {
    run(
        "--idle-timeout 3s --handshake-timeout 1s",
        r#"
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
        time.sleep(0.2)
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
    while b"\r\n\r\n" not in far.recv(65536, socket.MSG_PEEK):
        time.sleep(0.05)
    far.sendall(answer)
    return made, far
made, far = forward(b"")
check("no answer", exactly(made, 12), b"HTTP/1.1 504")
made, far = forward(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
got = rest(made)
check("half an answer", (got[:12], got[-5:]), (b"HTTP/1.1 200", b"hello"))
made, far = forward(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
check("a whole answer, then the end", rest(made)[-5:], b"hello")
"#,
        r#"is "$(jq -r '"\(.protocol) \(.outcome)"' "$T/log" | sort | uniq -c | awk '{print $1, $2, $3}')" \
"3 connect idle
3 connect ok
1 forward idle
1 forward ok
1 forward response_timeout
3 socks5 idle
3 socks5 ok
1 socks5-udp idle""#,
    );
}

#[test]
fn a_forwarded_answer_is_heard_as_it_comes_and_its_connection_ends_with_it() {
    run(
        "",
        r#"
made = tcp(listening[0])
def ask(method="GET"):
    made.sendall(b"%s http://[::1]:%d/ HTTP/1.1\r\nHost: a\r\n\r\n" % (method.encode(), port))
    far, _ = server.accept()
    far.settimeout(60)
    while b"\r\n\r\n" not in far.recv(65536, socket.MSG_PEEK):
        time.sleep(0.01)
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
time.sleep(0.3)
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
"#,
        "",
    );
}

#[test]
fn a_server_that_speaks_first_is_heard_also_where_the_client_mostly_does() {
    run(
        "",
        r#"
server = socket.create_server(("::1", 8080), family=socket.AF_INET6)
server.settimeout(60)
port = 8080
for name, made, far in tunnels():
    far.sendall(b"220 ready\r\n")
    check(f"{name}: the greeting", exactly(made, 11), b"220 ready\r\n")
    made.sendall(b"EHLO a\r\n")
    check(f"{name}: the answer", exactly(far, 8), b"EHLO a\r\n")
    made.close()
    far.close()
"#,
        "",
    );
}
