//! Clients that send what no library would: smuggled requests, handshakes that never end, noise, datagrams.

use super::{lab, wire};

#[test]
fn requests_that_two_parsers_could_read_differently_are_refused() {
    wire(
        "--access-log \"$T/log\"",
        "",
        r#"
line = b"POST http://[2001:db8:80::80]/ HTTP/1.1\r\nHost: [2001:db8:80::80]\r\n"
for name, raw in {
    "two lengths": line + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a list of lengths": line + b"Content-Length: 5, 5\r\n\r\nhello",
    "a signed length": line + b"Content-Length: +5\r\n\r\nhello",
    "two codings": line + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a coding in disguise": line + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a tab before the coding": line + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "obs-fold": line + b"X: a\r\n b\r\n\r\n",
    "a folded coding": line + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "bare CR in a value": line + b"X: a\rContent-Length: 5\r\n\r\n",
    "bare CR as the end": line + b"X: a\r\r\n\r\n",
    "NUL in a value": line + b"X: a\0b\r\n\r\n",
    "a space before the colon": line + b"Content-Length : 5\r\n\r\nhello",
    "two hosts": line + b"Host: elsewhere\r\n\r\n",
    "no host": b"GET http://[2001:db8:80::80]/ HTTP/1.1\r\n\r\n",
    "user information in the target": b"GET http://a@[2001:db8:80::80]/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT with a length": b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    "CONNECT with a coding": b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CONNECT with obs-fold": b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "CONNECT with bare CR": b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\nX: a\rb\r\n\r\n",
    "a version of the future": b"GET http://[2001:db8:80::80]/ HTTP/3.1\r\nHost: x\r\n\r\n",
}.items():
    status, answer = http(raw)
    check(name, status, 400)
    check(name + ": one answer only", answer.count(b"HTTP/1.1 "), 1)
# What is refused reaches nobody: no connection was made for any of them.
chunk = line + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 20000 + b"\r\nhello\r\n0\r\n\r\n"
status, _ = http(chunk)
assert status != 200 or status == 0, status
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
        cat > "$T/both.py" <<'PY'
from wire import *
import base64
# RFC 9112 section 6.3: the coding counts and the length is removed. What is behind is the next request.
raw = (b"POST http://[::1]:%s/p?q HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic " % sys.argv[2].encode()
    + base64.b64encode(b"a:p") + b"\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
    b"Connection: close\r\n\r\n4\r\ndata\r\n0\r\n\r\n")
status, answer = http(raw)
check("both", (status, answer.count(b"HTTP/1.1 ")), (200, 1))
PY
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
        grep -qiE '^(connection|proxy-|x-mine|te:|upgrade|keep-alive|via|forwarded|x-forwarded|x-v6kit)' "$T/clean" && { cat "$T/clean"; exit 1; }
        grep -qi '^x-end: 1' "$T/head"
        python3 "$T/origin.py" "$T/both" > "$T/port" &
        read -r port < "$T/port"
        PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$MODULES" python3 "$T/both.py" "$at" "$port"
        grep -qi '^content-length' "$T/both" && { cat "$T/both"; exit 1; }
        is "$(grep -ci '^transfer-encoding: chunked' "$T/both")" 1
        grep -qiE '^(x-hop|keep-alive|proxy-authenticate)' "$T/head" && { cat "$T/head"; exit 1; }
        true
    "#)
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
