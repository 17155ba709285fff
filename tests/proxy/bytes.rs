//! Clients that send what no library would: smuggled requests, handshakes that never end, noise, datagrams.

use super::{lab, wire};

#[test]
fn requests_that_two_parsers_could_read_differently_are_refused() {
    wire(
        "--access-log \"$T/log\"",
        "",
        r#"
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
"#,
    )
    .expect(0);
}

#[test]
fn an_origin_sees_one_clean_request() {
    lab(r#"
        cat > "$T/origin.py" <<'PY'
# Answers the first request, and keeps what it was sent.
import socket, sys
listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
print(listener.getsockname()[1], flush=True)
made, _ = listener.accept()
got = b""
while not got.endswith(b"0\r\n\r\n"):
    got += made.recv(65536)
open(sys.argv[1], "wb").write(got)
made.sendall(b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
             b"Proxy-Authenticate: Basic\r\nX-End: 1\r\nContent-Length: 2\r\n\r\nok")
made.recv(1)
PY
        mkfifo "$T/port"
        python3 "$T/origin.py" "$T/request" > "$T/port" &
        read -r port < "$T/port"
        proxy --allow-destination ::1 --auth a:p
        get -x "http://a:p@$at" -D "$T/head" -o /dev/null -H 'Transfer-Encoding: chunked' -H 'Connection: X-Mine' -H 'X-Mine: 1' \
            -H 'Host: elsewhere' -H 'TE: trailers' -H 'Upgrade: h2c' -H 'X-KeptCase: 1' -d data "http://[::1]:$port/p?q"
        tr -d '\r' < "$T/request" > "$T/clean"
        is "$(head -1 "$T/clean")" "POST /p?q HTTP/1.1"
        is "$(grep -ci '^host:' "$T/clean")" 1
        grep -qx "Host: \[::1\]:$port" "$T/clean"
        grep -q '^X-KeptCase: 1' "$T/clean"
        grep -qiE '^(connection|proxy-|x-mine|te:|upgrade|keep-alive|forwarded|x-forwarded|x-v6kit)' "$T/clean" && { cat "$T/clean"; exit 1; }
        grep -qi '^x-end: 1' "$T/head"
        grep -qiE '^(x-hop|keep-alive|proxy-authenticate)' "$T/head" && { cat "$T/head"; exit 1; }
        true
    "#)
    .expect(0);
}

#[test]
fn responses_with_two_possible_ends_are_refused_or_settled() {
    wire(
        "--allow-destination ::1 --threads 1",
        "",
        r#"
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
        time.sleep(0.05)
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
"#,
    )
    .expect(0);
}

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    wire(
        "--handshake-timeout 1s --access-log \"$T/log\"",
        "",
        r#"
import threading
def drip(first):
    made = connect()
    try:
        made.sendall(first)
        while True:
            made.sendall(b"x")
            made.settimeout(0.2)
            try:
                if not made.recv(4096):
                    return
            except TimeoutError:
                pass
    except (ConnectionResetError, BrokenPipeError):
        return
drips = [threading.Thread(target=drip, args=(first,)) for first in
         (b"\x05\x05\x00", b"CONNECT a:1 HTTP/1.1\r\nX: ", b"\x05\x01\x00\x05\x01\x00\x03\xff")]
for thread in drips: thread.start()
for thread in drips: thread.join()
silent = connect()
check("silence", rest(silent), b"")
"#,
    )
    .expect(0);
}

#[test]
fn noise_neither_ends_the_proxy_nor_leaks_descriptors() {
    lab(r#"
        proxy --handshake-timeout 500ms
        cat > "$T/noise.py" <<'PY'
from wire import *
import random, os
seed = int.from_bytes(os.urandom(4), "big")
print("seed", seed, flush=True)
random.seed(seed)
starts = [b"\x05\x01\x00", b"\x05\x02\x00\x02\x01\x03abc\x02pw", b"\x05\x01\x00\x05\x01\x00\x03", b"\x04\x01\x00\x50",
          b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\n", b"GET http://[2001:db8:80::80]/ HTTP/1.1\r\nHost: a\r\n",
          b"POST http://[2001:db8:80::80]/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", b"\x16\x03\x01", b""]
for _ in range(1500):
    made = connect()
    raw = bytearray(random.choice(starts) + random.randbytes(random.randrange(64)))
    for _ in range(random.randrange(4)):
        if raw: raw[random.randrange(len(raw))] = random.randrange(256)
    try:
        made.sendall(raw)
        if random.random() < 0.5: made.shutdown(socket.SHUT_WR)
        if random.random() < 0.3: made.recv(100)
        if random.random() < 0.3: made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    made.close()
PY
        rotates 1 "$(get -x "http://$at" "$V6KIT_LAB_TARGET")"
        before=$(ls "/proc/$pid/fd" | wc -l)
        PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$MODULES" timeout 300 python3 "$T/noise.py" "$at" >&2
        rotates 1 "$(get -x "http://$at" "$V6KIT_LAB_TARGET")"
        for _ in {1..600}; do
            after=$(ls "/proc/$pid/fd" | wc -l)
            [ "$after" -gt "$before" ] || break
            sleep 0.1
        done
        [ "$after" -le "$before" ] || { echo "descriptors: $before before, $after after" >&2; exit 1; }
        grep -q panicked "$T/proxy.err" && exit 1
        stop
    "#)
    .expect(0);
}

#[test]
fn datagrams_go_out_from_one_address_of_the_prefix_and_come_back() {
    wire(
        "--access-log \"$T/log\" --allow-destination ::1",
        r#"echo "::1 here.test" > "$T/hosts"; mount --bind "$T/hosts" /etc/hosts"#,
        r#"
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
while True:
    try:
        probe.send(b"x")
        time.sleep(0.05)
        probe.send(b"x")
    except ConnectionRefusedError:
        break
"#,
    )
    .expect(0);
}
