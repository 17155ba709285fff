# shellcheck shell=bash
own=$(ip -6 -o addr show dev "$V6KIT_LAB_DEV" scope global | grep -o '2001[^/ ]*' | head -n 1)
is "$(from --except 2001:db8:80::/64 -- curl -sS -g "$V6KIT_LAB_TARGET")" "$own"
# IPv4 at all: by loopback, with an address that is not loopback's.
ip addr add 192.0.2.77/32 dev lo
python3 -c "
import http.server
server = http.server.HTTPServer(('192.0.2.77', 8077), http.server.SimpleHTTPRequestHandler)
open('$T/up', 'w').write('up')
server.serve_forever()" >/dev/null 2>&1 &
eventually test -s "$T/up"
ask() { curl -sS -o /dev/null -w '%{http_code}' -m 30 http://192.0.2.77:8077/; }
export -f ask
is "$(from --v4 direct -- bash -c ask)" 200
is "$(from --except 192.0.2.0/24 -- bash -c ask)" 200
is "$(from -- bash -c ask 2>"$T/err")" 000
grep -q '1 connection to IPv4 refused, such as 192.0.2.77:8077' "$T/err"
