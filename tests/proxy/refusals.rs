//! The truth about errors: the right status, the right reply code, and a reason.

use super::{lab, wire};

/// Networks behind the router that fail in each way, and a closed port of the target.
const FAILURES: &str = r#"
    in_router() { nsenter --net="$V6KIT_LAB_ROUTER_NS" "$@"; }
    in_router ip -6 route add blackhole 2001:db8:99::/64
    in_router ip -6 route add unreachable 2001:db8:98::/64
    in_router ip -6 route add prohibit 2001:db8:97::/64
"#;

#[test]
fn http_errors_have_the_right_status_and_kind() {
    lab(&format!(
        "{FAILURES}{}",
        include_str!("refusals/http_errors_have_the_right_status_and_kind.sh")
    ))
    .expect(0);
}

#[test]
fn socks_errors_have_the_right_reply() {
    wire(
        "--connect-timeout 2s",
        FAILURES,
        include_str!("refusals/socks_errors_have_the_right_reply.py"),
    )
    .expect(0);
}

#[test]
fn nothing_is_answered_before_the_connection_is_made() {
    wire(
        "--connect-timeout 2s",
        FAILURES,
        r#"
made = connect()
made.sendall(b"CONNECT [2001:db8:99::1]:80 HTTP/1.1\r\n\r\nearly")
answer = rest(made)
check("a dial that fails", answer.split(b"\r\n")[0], b"HTTP/1.1 504 Gateway Timeout")
# What is sent too soon is kept for the destination.
made = connect()
made.sendall(b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\n\r\nGET / HTTP/1.0\r\n\r\n")
check("a dial that works", rest(made).count(b"200 "), 2)
made = connect()
made.sendall(b"\x05\x01\x00\x05\x01\x00" + address("2001:db8:80::80", 80) + b"GET / HTTP/1.0\r\n\r\n")
assert b"200 OK" in rest(made)
"#,
    )
    .expect(0);
}

#[test]
fn ipv4_goes_direct_only_when_asked_for_and_with_a_warning() {
    lab(r#"
        echo "127.0.0.1 old.test" > "$T/hosts"
        mount --bind "$T/hosts" /etc/hosts
        "$V6KIT" echo --json --listen 127.0.0.1:0 > "$T/echo" & 
        eventually test -s "$T/echo"
        port=$(jq -r '.listening[0] | sub(".*:"; "")' "$T/echo")
        proxy --v4 direct --allow-destination 127.0.0.0/8
        for how in "" -p; do
            is "$(get $how -x "http://$at" "http://old.test:$port/")" "127.0.0.1"
            is "$(get $how -x "http://$at" "http://127.0.0.1:$port/")" "127.0.0.1"
        done
        get -D "$T/head" -o /dev/null -x "http://$at" "http://old.test:$port/"
        grep -qi '^x-v6kit-source: 127.0.0.1' "$T/head"
        grep -q "old.test has no IPv6 address: it is shown this host's own IPv4 address" "$T/proxy.err"
        rotates 1 "$(get -x "http://$at" "$V6KIT_LAB_TARGET")"
        kill %1
    "#)
    .expect(0);
}

#[test]
fn without_a_prefix_the_hosts_own_address_is_used_and_said() {
    crate::harness::in_lab(
        "routed",
        r#"
        mkfifo "$T/ready"
        "$V6KIT" proxy --json --listen 127.0.0.1:0 > "$T/ready" 2> "$T/err" &
        read -r ready < "$T/ready"
        at=$(jq -r '.listening[0]' <<<"$ready")
        [ "$(curl -sS -g -x "http://$at" "$V6KIT_LAB_TARGET")" = 2001:db8:1::2 ]
        [ "$(curl -sS -g -D "$T/head" -x "http://$at" "$V6KIT_LAB_TARGET")" = 2001:db8:1::2 ]
        grep -qi '^x-v6kit-source: 2001:db8:1::2' "$T/head"
        grep -q "destinations see this host's own address" "$T/err"
        "#,
    )
    .expect(0);
}
