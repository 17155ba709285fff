//! Endpoints that are down, refuse, or are trusted by their certificate.

use super::{assert_said, in_prepared_lab, in_words, reports};

#[test]
fn a_page_in_place_of_an_address_is_the_endpoints_and_not_the_uplinks() {
    let said = in_words(
        "routed",
        r#"
        set_up
        mkfifo "$T/started"
        in_target "$V6KIT" echo --json --listen [::]:9090 --limit 1/1h --limit-scope 48 --limit-answer captcha \
            > "$T/started" &
        read -r line < "$T/started"
        V6KIT_LAB_TARGET="${V6KIT_LAB_TARGET%/}:9090"
        curl -gsS "$V6KIT_LAB_TARGET" > "$T/spent"
        say
        kill %1
        "#,
    );
    assert_said(&said[0], "bad-endpoint", &["answered without an address"]);
}

#[test]
fn an_endpoint_that_is_down_or_unknown_is_told_from_a_missing_route() {
    let run = in_prepared_lab(
        "routed",
        r#"
        set_up
        V6KIT_LAB_TARGET="${V6KIT_LAB_TARGET%/}:81" as_user
        # Nobody answers questions about names here.
        echo "nameserver ::1" > "$T/resolv.conf"
        mount --bind "$T/resolv.conf" /etc/resolv.conf
        V6KIT_LAB_TARGET=http://endpoint.invalid as_root
        "#,
    )
    .expect(0);
    let verified = reports(&run);
    verified[0]
        .assert("bad-endpoint")
        .assert_check("uplink", "failed", "refused the connection");
    verified[1]
        .assert("no-name")
        .assert_check("uplink", "failed", "`endpoint.invalid`")
        .assert_hint("uplink", "name servers of /etc/resolv.conf are reached: ::1");
}

#[test]
fn endpoints_are_tried_in_turn() {
    let run = in_prepared_lab(
        "routed",
        r#"
        set_up
        "$V6KIT" verify --json --prefix "$V6KIT_LAB_PREFIX" \
            --endpoint "${V6KIT_LAB_TARGET%/}:81" --endpoint "$V6KIT_LAB_TARGET"
        "#,
    )
    .expect(0);
    assert_eq!(run.json()["diagnosis"], "ok");
}

#[test]
fn an_endpoint_with_tls_is_trusted_by_its_certificate() {
    let run = in_prepared_lab(
        "routed",
        r#"
        set_up
        SSL_CERT_FILE="$V6KIT_LAB_TARGET_CA" V6KIT_LAB_TARGET="$V6KIT_LAB_TARGET_TLS" as_user
        V6KIT_LAB_TARGET="$V6KIT_LAB_TARGET_TLS" as_user
        "#,
    )
    .expect(0);
    let verified = reports(&run);
    verified[0].assert("ok");
    verified[1]
        .assert("bad-endpoint")
        .assert_hint("uplink", "SSL_CERT_FILE");
}

#[test]
fn an_endpoint_that_refuses_most_callers_is_named_with_its_answer() {
    let run = in_prepared_lab(
        "routed",
        r#"
        set_up
        mkfifo "$T/started"
        in_target "$V6KIT" echo --json --listen [::]:9090 --limit 3/1h --limit-scope 64 > "$T/started" &
        read -r line < "$T/started"
        V6KIT_LAB_TARGET="${V6KIT_LAB_TARGET%/}:9090" as_user
        kill %1
        "#,
    )
    .expect(0);
    let verified = &reports(&run)[0];
    verified
        .assert("bad-endpoint")
        .assert_check("egress", "failed", "answered with status 429");
    assert_eq!(verified.report["egress"]["answered"], 3);
}

#[test]
fn what_speaks_no_http_or_no_tls_is_named_as_that() {
    let said = in_words(
        "routed",
        include_str!("endpoints/what_speaks_no_http_or_no_tls_is_named_as_that.sh"),
    );
    assert_said(
        &said[0],
        "bad-endpoint",
        &["answered with something that is no HTTP", "hint: ask a server"],
    );
    assert!(!said[0].contains("broke off"), "{}", said[0]);
    assert_said(
        &said[1],
        "bad-endpoint",
        &["whether the server speaks TLS on port 80"],
    );
    assert!(!said[1].contains("clock"), "{}", said[1]);
}
