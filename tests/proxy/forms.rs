//! Every form in which a client can ask, with curl: each answer tells the address that the target saw.

use super::lab;

#[test]
fn each_connect_tunnel_leaves_from_another_address() {
    lab(r#"
        proxy
        seen=$(for _ in {1..20}; do get -p -x "http://$at" "$V6KIT_LAB_TARGET"; done)
        rotates 20 "$seen"
    "#)
    .expect(0);
}

#[test]
fn each_forwarded_request_leaves_from_another_address_also_over_one_client_connection() {
    lab(r#"
        proxy
        seen=$(get -x "http://$at" "$V6KIT_LAB_TARGET" "$V6KIT_LAB_TARGET" "$V6KIT_LAB_TARGET" \
            -w '%{num_connects}\n' -o "$T/1" -o "$T/2" -o "$T/3")
        is "$seen" $'1\n0\n0'
        rotates 3 "$(cat "$T/1" "$T/2" "$T/3")"
    "#)
    .expect(0);
}

#[test]
fn tls_goes_through_untouched() {
    lab(r#"
        proxy
        seen=$(for scheme in http socks5 socks5h; do
            get -x "$scheme://$at" --cacert "$V6KIT_LAB_TARGET_CA" "$V6KIT_LAB_TARGET_TLS"
        done)
        rotates 3 "$seen"
    "#)
    .expect(0);
}

#[test]
fn socks5_reaches_literals_and_names() {
    lab(r#"
        echo "${target//[\[\]]/} target.test" > "$T/hosts"
        mount --bind "$T/hosts" /etc/hosts
        proxy
        seen=$(
            get -x "socks5://$at" "$V6KIT_LAB_TARGET"
            get -x "socks5h://$at" "$V6KIT_LAB_TARGET"
            get -x "socks5h://$at" "http://target.test"
            get -x "http://$at" "http://target.test"
            get -p -x "http://$at" "http://target.test"
        )
        rotates 5 "$seen"
    "#)
    .expect(0);
}

#[test]
fn socks4_serves_names_and_sessions_and_ipv4_as_far_as_that_is_allowed() {
    lab(r#"
        echo "2001:db8:80::80 new.test" > "$T/hosts"; mount --bind "$T/hosts" /etc/hosts
        proxy --access-log "$T/log"
        rotates 2 "$(for _ in 1 2; do get -x "socks4a://$at" http://new.test/; done)"
        same=$(for _ in 1 2; do get -x "socks4a://job-session-7@$at" http://new.test/; done)
        rotates 1 "$(sort -u <<<"$same")"
        for how in "socks4://$at http://192.0.2.1" "socks4a://$at http://nowhere.invalid"; do
            # shellcheck disable=SC2086
            get -x $how 2>"$T/err" && exit 1
            grep -q 'rejected' "$T/err" || { cat "$T/err"; exit 1; }
        done
        # BIND, and a command that does not exist.
        for command in 2 3; do
            exec 7<>"/dev/tcp/${at%:*}/${at##*:}"
            printf "\\4\\$command\\0\\0\\0\\0\\0\\0\\0" >&7
            is "$(od -An -tx1 -N8 <&7 | tr -d ' ')" "005b000000000000"
            exec 7>&-
        done
        stop
        is "$(jq -r '"\(.protocol) \(.outcome) \(.status)"' "$T/log" | sort | uniq -c | tr -s ' \n' ' ')" \
            " 1 socks4 ipv4_only 91 1 socks4 name_servers 91 4 socks4 ok 90 2 socks4 unsupported 91 "
        # There is no password in it.
        proxy --auth a:p
        get -x "socks4a://a@$at" http://new.test/ 2>"$T/err" && exit 1
        grep -q 'rejected' "$T/err"
    "#)
    .expect(0);
}

#[test]
fn tls_unix_and_several_listeners_serve_side_by_side() {
    lab(r#"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=proxy \
            -addext subjectAltName=IP:127.0.0.1 -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null
        start --listen tls://127.0.0.1:0 --listen 127.0.0.1:0 --listen '[::1]:0' --listen "unix:$T/proxy.sock" \
            --cert "$T/cert.pem" --key "$T/key.pem"
        mapfile -t listening <<<"$all"
        seen=$(
            get --proxy-cacert "$T/cert.pem" -x "https://$at" "$V6KIT_LAB_TARGET"
            get --proxy-cacert "$T/cert.pem" -p -x "https://$at" "$V6KIT_LAB_TARGET"
            get -x "http://${listening[1]}" "$V6KIT_LAB_TARGET"
            get -x "http://${listening[2]}" "$V6KIT_LAB_TARGET"
            get -x "socks5h://localhost$T/proxy.sock" "$V6KIT_LAB_TARGET"
            get --proxy-cacert "$T/cert.pem" -x "https://$at" --cacert "$V6KIT_LAB_TARGET_CA" "$V6KIT_LAB_TARGET_TLS"
        )
        rotates 6 "$seen"
        # Neither half answers the other's language with silence.
        is "$(get -x "http://$at" "$V6KIT_LAB_TARGET")" "error: this listener wants TLS"
        get -x "https://${listening[1]}" --proxy-insecure "$V6KIT_LAB_TARGET" 2>/dev/null && exit 1
        stop
        [ ! -e "$T/proxy.sock" ]
    "#)
    .expect(0);
}

#[test]
fn an_upload_with_100_continue_arrives_whole() {
    lab(r#"
        proxy
        # The target's own server reads no bodies: a second one, on an address of this host.
        python3 - "$T/port" <<'PY' &
import hashlib, http.server, socket, sys
class Server(http.server.HTTPServer):
    address_family = socket.AF_INET6
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def body(self):
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers["content-length"])
            while left:
                piece = self.rfile.read(min(left, 65536))
                left -= len(piece)
                yield piece
    def do_PUT(self):
        digest = hashlib.sha256()
        for piece in self.body():
            digest.update(piece)
        answer = (digest.hexdigest() + " " + self.client_address[0] + "\n").encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_):
        pass
server = Server(("::1", 0), Handler)
open(sys.argv[1] + ".new", "w").write(str(server.server_port))
import os; os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
PY
        server=$!
        until [ -s "$T/port" ]; do sleep 0.05; kill -0 $server; done
        stop
        proxy --allow-destination ::1
        head -c 50000000 /dev/urandom > "$T/upload"
        sum=$(sha256sum < "$T/upload" | cut -d' ' -f1)
        url="http://[::1]:$(cat "$T/port")/"
        for how in "" "-p"; do
            for body in "-H Transfer-Encoding:chunked" ""; do
                answer=$(get -v -x "http://$at" $how $body -H "Expect: 100-continue" -T "$T/upload" "$url" 2>"$T/err")
                is "${answer% *}" "$sum"
                [[ ${answer#* } == $net:* ]]
                grep -q '100 Continue' "$T/err"
            done
        done
        kill $server
    "#)
    .expect(0);
}
