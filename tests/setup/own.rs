//! The addresses of this host in a prefix that is shut to others: they come and go after setup.

use super::on_host;

/// A service on every address of the host, a bridge beside the uplink, and how the peer reaches them.
const SERVICE: &str = r#"
started "$V6KIT" echo --listen '[::]:8080'
reaches() { in_peer curl --silent --fail --connect-timeout 1 --output /dev/null "http://[$1]:8080/"; }
ip link add br0 type bridge
sysctl -qw net.ipv6.conf.br0.accept_dad=0
ip link set br0 up
"#;

#[test]
fn an_address_that_comes_later_is_open_on_its_device_at_once_and_elsewhere_when_renewed() {
    on_host(
        &[
            SERVICE,
            include_str!(
                "own/an_address_that_comes_later_is_open_on_its_device_at_once_and_elsewhere_when_renewed.sh"
            ),
        ]
        .join("\n"),
    );
}

#[test]
fn status_follows_the_addresses_where_it_is_told_to() {
    on_host(
        &[
            SERVICE,
            include_str!("own/status_follows_the_addresses_where_it_is_told_to.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn a_part_is_opened_inside_a_prefix_that_stays_shut_and_shut_again_with_its_teardown() {
    on_host(
        &[
            SERVICE,
            include_str!(
                "own/a_part_is_opened_inside_a_prefix_that_stays_shut_and_shut_again_with_its_teardown.sh"
            ),
        ]
        .join("\n"),
    );
}

#[test]
fn sets_of_others_are_not_listed_however_large() {
    on_host(include_str!("own/sets_of_others_are_not_listed_however_large.sh"));
}
