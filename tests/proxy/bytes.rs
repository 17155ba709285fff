//! Clients that send what no library would: smuggled requests, handshakes that never end, noise, datagrams.

use super::{lab, wire};

#[test]
fn requests_that_two_parsers_could_read_differently_are_refused() {
    wire(
        "--access-log \"$T/log\"",
        "",
        include_str!("bytes/requests_that_two_parsers_could_read_differently_are_refused.py"),
    )
    .expect(0);
}

#[test]
fn an_origin_sees_one_clean_request() {
    lab(include_str!("bytes/an_origin_sees_one_clean_request.sh")).expect(0);
}

#[test]
fn responses_with_two_possible_ends_are_refused_or_settled() {
    wire(
        "--allow-destination ::1 --threads 1",
        "",
        include_str!("bytes/responses_with_two_possible_ends_are_refused_or_settled.py"),
    )
    .expect(0);
}

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    wire(
        "--handshake-timeout 1s --access-log \"$T/log\"",
        "",
        include_str!("bytes/a_handshake_that_takes_too_long_is_ended.py"),
    )
    .expect(0);
}

#[test]
fn noise_neither_ends_the_proxy_nor_leaks_descriptors() {
    lab(include_str!(
        "bytes/noise_neither_ends_the_proxy_nor_leaks_descriptors.sh"
    ))
    .expect(0);
}

#[test]
fn datagrams_go_out_from_one_address_of_the_prefix_and_come_back() {
    wire(
        "--access-log \"$T/log\" --allow-destination ::1",
        r#"echo "::1 here.test" > "$T/hosts"; mount --bind "$T/hosts" /etc/hosts"#,
        include_str!("bytes/datagrams_go_out_from_one_address_of_the_prefix_and_come_back.py"),
    )
    .expect(0);
}
