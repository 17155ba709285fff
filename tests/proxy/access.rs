//! Who may use the proxy, how much, and what is answered otherwise.

use super::{lab, wire};
use crate::harness::{in_namespace, v6kit};

#[test]
fn a_public_listener_without_users_is_refused() {
    for listen in ["[::]:0", "0.0.0.0:0"] {
        let run = v6kit(&["proxy", "--listen", listen]).expect(2);
        assert!(run.stderr.contains("would serve everybody"), "{run}");
        assert!(run.stderr.contains("--open"), "{run}");
    }
}

#[test]
fn a_public_listener_is_served_with_users_or_when_it_is_meant() {
    lab(r#"
        start --listen '[::]:0' --open
        rotates 1 "$(get -x "http://${at/\[::\]/127.0.0.1}" "$V6KIT_LAB_TARGET")"
        start --listen '[::]:0' --auth alice:secret
        rotates 1 "$(get -x "http://alice:secret@${at/\[::\]/127.0.0.1}" "$V6KIT_LAB_TARGET")"
    "#)
    .expect(0);
}

#[test]
fn right_wrong_and_no_credentials_are_told_apart_in_every_form() {
    lab(r#"
        proxy --auth alice:secret --auth bob:b:2
        seen=$(
            for who in alice:secret bob:b%3A2 alice-session-x:secret; do
                get -x "http://$who@$at" "$V6KIT_LAB_TARGET"
                get -p -x "http://$who@$at" "$V6KIT_LAB_TARGET"
                get -x "socks5h://$who@$at" "$V6KIT_LAB_TARGET"
            done
        )
        is "$(grep -c "^$net:" <<<"$seen")" 9
        for who in alice:wrong nobody:secret alice: alice:secre alice:secrets; do
            is "$(get -o /dev/null -w '%{http_code}' -x "http://$who@$at" "$V6KIT_LAB_TARGET")" 407
            is "$(get -o /dev/null -w '%{http_connect}' -p -x "http://$who@$at" "$V6KIT_LAB_TARGET" 2>/dev/null || true)" 407
            get -x "socks5h://$who@$at" "$V6KIT_LAB_TARGET" 2>"$T/err" && exit 1
            grep -qi 'rejected\|auth' "$T/err"
        done
        is "$(get -o /dev/null -w '%{http_code}' -x "http://$at" "$V6KIT_LAB_TARGET")" 407
        get -D "$T/head" -o /dev/null -x "http://$at" "$V6KIT_LAB_TARGET"
        grep -qi '^proxy-authenticate: Basic realm="v6kit"' "$T/head"
        get -x "socks5h://$at" "$V6KIT_LAB_TARGET" 2>"$T/err" && exit 1
        grep -qi 'auth' "$T/err"
        # A client that is asked answers on the same connection.
        is "$(get --proxy-anyauth -p -x "http://alice:secret@$at" -o /dev/null -w '%{http_code}' "$V6KIT_LAB_TARGET")" 200
    "#)
    .expect(0);
}

#[test]
fn password_files_hold_bcrypt_and_argon2_and_are_reloaded() {
    lab(r#"
        htpasswd -nbB -C 5 alice secret > "$T/users"
        printf 'bob:%s\n' "$(printf hunter2 | argon2 somesalt12345678 -id -e -t 2 -m 12 -p 1)" >> "$T/users"
        proxy --auth-file "$T/users"
        code() { get -o /dev/null -w '%{http_code}' -x "http://$1@$at" "$V6KIT_LAB_TARGET"; }
        is "$(code alice:secret) $(code bob:hunter2) $(code alice:hunter2) $(code carol:x)" "200 200 407 407"
        is "$(code alice-session-1:secret) $(code alice:secret)" "200 200"
        htpasswd -nbB -C 5 carol x > "$T/users"
        kill -HUP "$pid"
        until grep -q '1 users from' "$T/proxy.err"; do sleep 0.05; done
        is "$(code alice:secret) $(code bob:hunter2) $(code carol:x)" "407 407 200"
        # A broken file changes nothing.
        echo 'mallory:$apr1$x$y' > "$T/users"
        kill -HUP "$pid"
        until grep -q 'the users stay as they were' "$T/proxy.err"; do sleep 0.05; done
        is "$(code carol:x) $(code mallory:x)" "200 407"
    "#)
    .expect(0);
}

#[test]
fn a_weak_hash_is_refused_at_start_with_its_line() {
    let run = in_namespace(
        r#"
        echo 'alice:$apr1$abc$defghi' > "$T/users"
        "$V6KIT" proxy --auth-file "$T/users"
        "#,
    )
    .expect(2);
    assert!(
        run.stderr
            .contains("line 1, user `alice`: an MD5 hash is not taken"),
        "{run}"
    );
    assert!(run.stderr.contains("htpasswd -B"), "{run}");
}

#[test]
fn allowed_destinations_are_reached_and_only_they() {
    lab(r#"
        "$V6KIT" echo --json --listen '[::1]:0' > "$T/echo" &
        until [ -s "$T/echo" ]; do sleep 0.05; done
        port=$(jq -r '.listening[0] | sub(".*:"; "")' "$T/echo")
        proxy
        is "$(get -o /dev/null -w '%{http_code}' -x "http://$at" "http://[::1]:$port/")" 403
        stop
        proxy --allow-destination ::1/128
        rotates 1 "$(get -x "http://$at" "http://[::1]:$port/")"
        is "$(get -o /dev/null -w '%{http_code}' -x "http://$at" "http://[fe80::1]:$port/")" 403
        kill %1
    "#)
    .expect(0);
}

#[test]
fn limits_hold_per_user() {
    wire(
        "--auth a:p --auth b:p --user-connections 2 --access-log \"$T/log\"",
        "",
        r#"
import base64
def head(user):
    token = base64.b64encode(user.encode() + b":p").decode()
    return (f"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\nProxy-Authorization: Basic {token}\r\n\r\n").encode()
def tunnel(user):
    made = connect()
    made.sendall(head(user))
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += made.recv(4096)
    return int(answer.split(b" ")[1]), made
first, second = tunnel("a"), tunnel("a-session-1")
check("two tunnels", (first[0], second[0]), (200, 200))
check("the third", tunnel("a")[0], 429)
check("another user", tunnel("b")[0], 200)
check("by SOCKS5", socks("2001:db8:80::80", 80, credentials=(b"a", b"p"))[0], 2)
first[1].shutdown(socket.SHUT_RDWR)
while tunnel("a")[0] != 200:
    time.sleep(0.05)
"#,
    )
    .expect(0);
    lab(r#"
        proxy --auth a:p --auth b:p --user-rate 0.01/s
        code() { get -o /dev/null -w '%{http_code}' -x "http://$1:p@$at" "$V6KIT_LAB_TARGET"; }
        is "$(code a) $(code a) $(code b)" "200 429 200"
        stop
        proxy --auth a:p --auth b:p --user-bytes 2K/1d
        is "$(code a) $(code b)" "200 200"
        while [ "$(code a)" = 200 ]; do get -o /dev/null -x "http://a:p@$at" "$V6KIT_LAB_TARGET/items/1"; done
        is "$(code a) $(code b)" "429 200"
    "#)
    .expect(0);
}

#[test]
fn a_full_proxy_says_so() {
    wire(
        "--max-connections 3 --access-log \"$T/log\"",
        "export LOG=\"$T/log\"",
        r#"
import os
log = os.environ["LOG"]
held = [connect() for _ in range(3)]
for made in held:
    made.sendall(b"\x05\x01\x00")
    exactly(made, 2)
status, answer = http(b"CONNECT [2001:db8:80::80]:80 HTTP/1.1\r\n\r\n")
check("CONNECT", (status, b"x-v6kit-error: full" in answer), (503, True))
status, answer = http(b"GET http://[2001:db8:80::80]/ HTTP/1.1\r\nHost: x\r\n\r\n")
check("forward", (status, b"x-v6kit-error: full" in answer), (503, True))
check("SOCKS5", socks("2001:db8:80::80", 80)[0], 1)
# Far above the bound there is no answer any more, but a line of the log.
held += [connect() for _ in range(256)]
lines = lambda: [line for line in open(log) if '"protocol":"unknown"' in line and '"outcome":"full"' in line]
while not lines():
    check("far above", rest(connect()), b"")
while held:
    held.pop().close()
while socks("2001:db8:80::80", 80)[0] != 0:
    time.sleep(0.05)
"#,
    )
    .expect(0);
}
