//! Which address, how often, and what is said.

use super::lab;

#[test]
fn an_address_lasts_as_long_as_it_was_told_to() {
    lab(r#"
        three() { from "$@" -- sh -c 'for i in 1 2 3; do curl -sS -g "$V6KIT_LAB_TARGET"; done' 2>/dev/null; }
        distinct() { sort -u <<<"$1" | wc -l; }
        rotates 3 "$(three)"
        is "$(distinct "$(three --per host)")" 1
        is "$(distinct "$(three --per process)")" 3
        is "$(distinct "$(three --per 2)")" 2
        is "$(distinct "$(three --per 1h)")" 1
        # A process of several connections.
        one=$(from --per process -- curl -sS -g "$V6KIT_LAB_TARGET" "http://[2001:db8:80::80]:80/?2" -H 'Connection: close')
        is "$(distinct "$one")" 1
        # The same in another run, and another for another name.
        export HOME=$T XDG_STATE_HOME=$T/kept
        first=$(three --session a); second=$(three --session a); other=$(three --session b)
        is "$second" "$first"; is "$(distinct "$first")" 1
        [ "$other" != "$first" ]
        is "$(stat -c %a "$T/kept/v6kit/session-key")" 600
        host=$(three --session a --per host)
        is "$(three --session a --per host)" "$host"
        # Both prefixes, in turn.
        ip -6 route add local 2001:db8:7::/64 dev lo
        from --prefix 2001:db8:7::/64 --log "$T/log" -- sh -c 'for i in 1 2 3 4; do curl -sS -m 1 -g "$V6KIT_LAB_TARGET"; done' \
            >/dev/null 2>&1 || true
        is "$(jq -r .from "$T/log" | cut -d: -f1-3 | sort | uniq -c | tr -s ' ' | tr '\n' ',')" \
            " 2 2001:db8:6, 2 2001:db8:7,"
    "#)
    .expect(0);
}

#[test]
fn ipv4_and_what_is_excepted_leave_from_the_host_where_that_is_wanted() {
    lab(r#"
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
    "#)
    .expect(0);
}

#[test]
fn name_servers_are_reached_from_the_host_and_that_is_said_once() {
    lab(r#"
        own=$(ip -6 -o addr show dev "$V6KIT_LAB_DEV" scope global | grep -o '2001[^/ ]*' | head -n 1)
        coproc DNS { exec nsenter --net="$V6KIT_LAB_TARGET_NS" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv \
            --no-hosts --listen-address=2001:db8:80::80 --bind-interfaces --user=root --pid-file= \
            --address=/target.example/2001:db8:80::80 --log-queries=extra --log-facility=-; } 2>"$T/dns.log"
        eventually grep -q started "$T/dns.log"
        echo 'nameserver 2001:db8:80::80' > "$T/resolv"; mount --bind "$T/resolv" /etc/resolv.conf
        rotates 2 "$(from -- sh -c 'curl -sS http://target.example/; curl -sS http://target.example/' 2>"$T/err")"
        is "$(grep -c 'name server \[2001:db8:80::80\]:53 of /etc/resolv.conf is reached from this host' "$T/err")" 1
        is "$(grep 'query\[AAAA\]' "$T/dns.log" | grep -vc " $own/")" 0
    "#)
    .expect(0);
}

#[test]
fn blocking_connections_are_held_to_the_rate_and_of_others_the_end_says_how_many_were_not() {
    lab(r#"
        cat > "$T/loop.py" <<'PY'
import asyncio, time
async def one():
    _, writer = await asyncio.open_connection("2001:db8:80::80", 80)
    writer.close()
async def main():
    await asyncio.gather(*(one() for _ in range(20)))
asyncio.run(main())
PY
        from --connect-rate 1/1h -- python3 "$T/loop.py" 2>"$T/err"
        grep -q '19 began before their turn' "$T/err"
        begun=$(date +%s%N)
        from --connect-rate 4/s -- sh -c 'for i in 1 2 3 4 5; do python3 -c "
import socket
socket.create_connection((\"2001:db8:80::80\", 80))"; done' 2>/dev/null
        # Four of five wait a quarter of a second each.
        [ "$(($(date +%s%N) - begun))" -ge 1000000000 ]
    "#)
    .expect(0);
}

#[test]
fn what_cannot_work_is_said_before_the_program_starts() {
    lab(r#"
        from -- "$V6KIT" exec --prefix "$V6KIT_LAB_PREFIX" -- touch "$T/ran" 2>"$T/err" && exit 1 || is $? 125
        grep -q 'there can be one' "$T/err"; grep -q 'v6kit proxy' "$T/err"
        [ ! -e "$T/ran" ]
        https_proxy=http://[::1]:9 from -- true 2>"$T/err"
        grep -q 'https_proxy is set' "$T/err"
        grep -q 'it made none that was seen' "$T/err"
        ip -6 route del local "$V6KIT_LAB_PREFIX" dev lo
        from -- true 2>"$T/err"
        grep -q 'is not delivered to this host' "$T/err"
    "#)
    .expect(0);
}
