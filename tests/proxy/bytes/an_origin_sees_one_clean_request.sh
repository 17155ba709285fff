# shellcheck shell=bash
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
