//! `setup --for server` alone, on hosts with and without IPv6.

use super::on_host;

/// `plain_server WORDS`: sets up, looks, and takes back; `WORDS` are said.
const PLAIN: &str = include_str!("server/plain.sh");

#[test]
fn a_server_with_ipv4_only_gets_what_goes_for_it_and_is_told_the_rest() {
    on_host(
        &[
            PLAIN,
            include_str!("server/a_server_with_ipv4_only_gets_what_goes_for_it_and_is_told_the_rest.sh"),
        ]
        .join("\n"),
    );
}

#[test]
fn a_server_on_which_ipv6_is_switched_off_is_set_up_as_well() {
    on_host(&format!(
        r#"{PLAIN}
        sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
        plain_server "$NOTHING""#
    ));
}

#[test]
fn a_server_behind_no_default_route_is_set_up_for_the_address_that_it_has() {
    on_host(&format!(
        r#"{PLAIN}
        ip -6 route del default
        plain_server 'no IPv6 default route'
        same "$($V6KIT setup --for server --dry-run --json | jq -r '.prefix + " " + .device')" "$OWN/128 up0""#
    ));
}

#[test]
fn a_server_that_gets_its_address_later_is_completed_by_the_next_setup() {
    on_host(
        r#"
        snapshot >"$T/log/before"
        ip -6 addr flush dev up0 scope global
        $V6KIT setup --for server >/dev/null
        ip addr add $OWN/64 dev up0 nodad
        until is_usable $OWN up0; do :; done
        ip -6 route replace default via $PEER
        same "$($V6KIT setup --for server --json | jq -r .prefix)" "$OWN/128"
        $V6KIT status
        $V6KIT teardown
        snapshot >"$T/log/after"
        diff "$T/log/before" "$T/log/after""#,
    );
}
