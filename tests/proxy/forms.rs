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
    lab(include_str!(
        "forms/socks4_serves_names_and_sessions_and_ipv4_as_far_as_that_is_allowed.sh"
    ))
    .expect(0);
}

#[test]
fn tls_unix_and_several_listeners_serve_side_by_side() {
    lab(include_str!(
        "forms/tls_unix_and_several_listeners_serve_side_by_side.sh"
    ))
    .expect(0);
}

#[test]
fn an_upload_with_100_continue_arrives_whole() {
    lab(include_str!("forms/an_upload_with_100_continue_arrives_whole.sh")).expect(0);
}
