//! `setup --for server` alone, on hosts with and without IPv6.

use super::on_host;

/// `plain_server WORDS`: sets up, looks, and takes back; `WORDS` are said.
const PLAIN: &str = r#"
plain_server() {
    snapshot >"$T/log/before"
    $V6KIT setup --for server --dry-run --json | jq -c '[.steps[] | {id, state}]' >"$T/log/plan"
    $V6KIT setup --for server --json >"$T/log/report"
    diff "$T/log/plan" <(jq -c '[.steps[] | {id, state}]' "$T/log/report")
    same "$(jq -r '.steps[] | select(.id == "net.core.somaxconn") | .state + " " + .after' "$T/log/report")" 'changed 65535'
    same "$(jq -r '.steps[] | select(.id == "net.ipv4.ip_local_port_range").state' "$T/log/report")" changed
    jq -e --arg words "$1" '.remarks | any(contains($words))' "$T/log/report" >/dev/null || fail "$(cat "$T/log/report")"
    same "$(nft list tables)" ''
    same "$($V6KIT setup --for server --json | jq .changed)" 0
    $V6KIT status
    $V6KIT doctor >/dev/null || true
    sysctl -qw net.core.somaxconn=4096
    ends 1 $V6KIT status >/dev/null
    $V6KIT setup --for server
    $V6KIT status
    $V6KIT teardown
    snapshot >"$T/log/after"
    diff "$T/log/before" "$T/log/after"
}
NOTHING='nothing is done for IPv6'
"#;

#[test]
fn a_server_with_ipv4_only_gets_what_goes_for_it_and_is_told_the_rest() {
    on_host(&format!(
        r#"{PLAIN}
        ip -6 addr flush dev up0 scope global
        ip addr add 192.0.2.2/24 dev up0
        ip route add default via 192.0.2.1
        plain_server "$NOTHING"
        # Link-local addresses alone are none, and a device that is named changes nothing about it.
        $V6KIT setup --for server --dev up0 --json | jq -e '.remarks | any(contains("nothing is done for IPv6"))'
        $V6KIT teardown
        # What cannot be remembered for the next boot is said.
        ends 2 $V6KIT setup --for server --persist --state-dir /var/lib/v6kit 2>"$T/log/said"
        has '^why: .*no IPv6 address' "$T/log/said"
        # Nobody else takes it for a prefix.
        $V6KIT setup --for server >/dev/null
        ends 2 $V6KIT verify 2>"$T/log/said"
        has 'nothing is set up' "$T/log/said"
        $V6KIT teardown"#
    ));
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
