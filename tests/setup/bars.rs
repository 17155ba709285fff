//! Policy rules that keep packets of the prefix from leaving, made before or after setup.

use super::on_host;

#[test]
fn a_rule_that_bars_the_prefix_is_named_by_setup_status_and_doctor_and_its_hint_takes_it_away() {
    on_host(include_str!(
        "bars/a_rule_that_bars_the_prefix_is_named_by_setup_status_and_doctor_and_its_hint_takes_it_away.sh"
    ));
}

#[test]
fn status_says_as_setup_does_that_packets_leave_by_another_device() {
    on_host(
        r#"
        $SETUP
        ip link add vpn0 type veth peer name vpn1
        ip link set vpn0 up
        ip link set vpn1 up
        ip -6 route add default dev vpn0 table 100
        ip -6 rule add from $P lookup 100
        $SETUP --json | jq -e '.remarks | any(contains("leave by vpn0, not by up0"))'
        $V6KIT status --json | jq -e '.remarks | any(contains("leave by vpn0, not by up0"))'
        $V6KIT teardown"#,
    );
}

#[test]
fn a_route_for_some_sources_only_bars_the_prefix_as_a_rule_does() {
    on_host(include_str!(
        "bars/a_route_for_some_sources_only_bars_the_prefix_as_a_rule_does.sh"
    ));
}
