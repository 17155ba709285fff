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
    lab(include_str!(
        "access/right_wrong_and_no_credentials_are_told_apart_in_every_form.sh"
    ))
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
        eventually grep -q '1 users from' "$T/proxy.err"
        is "$(code alice:secret) $(code bob:hunter2) $(code carol:x)" "407 407 200"
        # A broken file changes nothing.
        echo 'mallory:$apr1$x$y' > "$T/users"
        kill -HUP "$pid"
        eventually grep -q 'the users stay as they were' "$T/proxy.err"
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
        eventually test -s "$T/echo"
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
        include_str!("access/limits_hold_per_user.py"),
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
        include_str!("access/a_full_proxy_says_so.py"),
    )
    .expect(0);
}
