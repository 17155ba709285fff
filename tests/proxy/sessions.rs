//! Which address a connection leaves from, when the client has a wish.

use super::lab;

#[test]
fn a_session_keeps_its_address_in_every_form_and_over_a_restart() {
    lab(r#"
        proxy --session-key "$T/key"
        ask() {
            for form in http socks5h; do get -x "$form://$1:x@$at" "$V6KIT_LAB_TARGET"; done
            get -p -x "http://$1:x@$at" "$V6KIT_LAB_TARGET"
        }
        one=$(ask alice-session-1 | sort -u)
        rotates 1 "$one"
        rotates 1 "$(ask alice-session-1-ttl-31536000 | sort -u)"
        rotates 4 "$(for who in alice-session-1 alice-session-2 bob-session-1 -session-1; do ask "$who" | sort -u; done)"
        stop
        is "$(stat -c %a "$T/key")" 600
        proxy --session-key "$T/key"
        is "$(ask alice-session-1 | sort -u)" "$one"
        stop
        proxy
        [ "$(ask alice-session-1 | sort -u)" != "$one" ]
    "#)
    .expect(0);
}

#[test]
fn a_ttl_moves_a_session() {
    lab(r#"
        proxy
        first=$(get -x "http://a-session-1-ttl-1:x@$at" "$V6KIT_LAB_TARGET")
        until [ "$(get -x "http://a-session-1-ttl-1:x@$at" "$V6KIT_LAB_TARGET")" != "$first" ]; do sleep 0.1; done
    "#)
    .expect(0);
}

#[test]
fn net64_changes_the_64_each_time() {
    // The lab routes one /64 to this host: the /60 around it is wide enough to see the networks that are chosen.
    lab(r#"
        V6KIT_LAB_PREFIX=2001:db8:60::/60
        ip -6 route add local "$V6KIT_LAB_PREFIX" dev lo
        nsenter --net="$V6KIT_LAB_ROUTER_NS" ip -6 route add "$V6KIT_LAB_PREFIX" via 2001:db8:1::2
        nsenter --net="$V6KIT_LAB_TARGET_NS" ip -6 route add "$V6KIT_LAB_PREFIX" via 2001:db8:80::1 2>/dev/null || true
        proxy --metrics 127.0.0.1:0
        last=
        for _ in {1..12}; do
            seen=$(get -x "http://a-net64:x@$at" "$V6KIT_LAB_TARGET")
            net64=$(cut -d: -f1-4 <<<"$seen")
            [ "$net64" != "$last" ]
            last=$net64
        done
        [ "$(curl -sS "http://$metrics/metrics" | grep -c '^v6kit_proxy_source_connections_total{net64="2001:db8:60')" -gt 2 ]
        is "$(get -o /dev/null -w '%{http_code}' -x "http://a-net64-session-1:x@$at" "$V6KIT_LAB_TARGET")" 400
    "#)
    .expect(0);
}

#[test]
fn the_chosen_address_is_told_and_can_be_pinned_where_that_is_allowed() {
    lab(r#"
        proxy
        get -D "$T/head" -o "$T/body" -x "http://$at" "$V6KIT_LAB_TARGET"
        is "$(tr -d '\r' < "$T/head" | sed -n 's/^x-v6kit-source: //pi')" "$(cat "$T/body")"
        get -p -D "$T/head" -o "$T/body" -x "http://$at" "$V6KIT_LAB_TARGET"
        is "$(tr -d '\r' < "$T/head" | sed -n 's/^x-v6kit-source: //pi')" "$(cat "$T/body")"
        pin() { get -w '%{http_code}' -H "X-V6kit-Source: $1" -x "http://$at" "$V6KIT_LAB_TARGET" | tail -n 1; }
        is "$(pin "$net::77")" 403
        stop
        proxy --allow-pin
        is "$(get -H "X-V6kit-Source: $net::77" -x "http://$at" "$V6KIT_LAB_TARGET")" "$net::77"
        is "$(get -p --proxy-header "X-V6kit-Source: $net::77" -x "http://$at" "$V6KIT_LAB_TARGET")" "$net::77"
        is "$(pin 2001:db8:1::2) $(pin "$net::") $(pin nonsense)" "403 403 400"
    "#)
    .expect(0);
}

#[test]
fn a_session_uses_its_connection_to_the_origin_again_and_others_never_share_one() {
    lab(r#"
        # Counts connections: the port that the origin sees.
        cat > "$T/origin.py" <<'PY'
import http.server, socket, os, sys
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"{self.client_address[0]} {self.client_address[1]}\n".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = Server(("::1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PY
        mkfifo "$T/origin"
        python3 "$T/origin.py" > "$T/origin" &
        read -r port < "$T/origin"
        proxy --allow-destination ::1 --threads 1
        url="http://[::1]:$port/"
        is "$(for _ in 1 2 3; do get -x "http://a-session-1:x@$at" "$url"; done | sort -u | wc -l)" 1
        is "$(for _ in 1 2 3; do get -x "http://a:x@$at" "$url" "$url"; done | sort -u | wc -l)" 6
        is "$(for id in 1 2 3; do get -x "http://b-session-$id:x@$at" "$url"; done | sort -u | wc -l)" 3
        kill %1
    "#)
    .expect(0);
}
