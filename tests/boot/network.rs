//! The units on a machine with a gateway behind its uplink, and with addresses that come and go.

use super::machine::{Install, Machine};

/// A router in a network namespace of its own, on the other end of `up0`, before the network counts as up.
const GATEWAY: &str = "[Unit]\nAfter=uplink.service\nRequires=uplink.service\nBefore=network-online.target v6kit-setup.service\n\
[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -ec '\
ip netns add gateway; ip link set down0 netns gateway; \
ip netns exec gateway ip link set lo up; ip netns exec gateway ip link set down0 up; \
ip netns exec gateway ip addr add 2001:db8:fffe::1/64 dev down0 nodad; \
ip netns exec gateway ip -6 route add 2001:db8:1::/64 via 2001:db8:fffe::2; \
ip addr add 2001:db8:fffe::2/64 dev up0 nodad; ip -6 route add default via 2001:db8:fffe::1'\n\
[Install]\nWantedBy=multi-user.target\n";

#[test]
fn the_unit_tries_its_gateway_and_the_rules_follow_the_addresses_of_the_machine() {
    let mut machine = Machine::boot(Install::Package);
    machine.write("etc/systemd/system/gateway.service", GATEWAY);
    machine.run(
        r#"
        systemctl enable -q gateway.service
        systemctl start gateway.service
        ping -6 -c 1 -W 5 2001:db8:fffe::1 >/dev/null
        v6kit setup --prefix $P --dev up0 --conntrack notrack --persist -q
        "#,
    );
    machine.reboot();
    machine.run(include_str!(
        "network/the_unit_tries_its_gateway_and_the_rules_follow_the_addresses_of_the_machine.sh"
    ));
}
