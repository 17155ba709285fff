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
    machine.run(
        r#"
        same "$(state gateway.service)" active
        same "$(state v6kit-setup.service) $(result v6kit-setup.service)" 'active success'
        # In its sandbox the unit was answered by the gateway, and not kept from asking.
        journalctl -b -o cat -u v6kit-setup.service >/root/log
        has 'tried with the default gateway' /root/log || fail "$(cat /root/log)"
        nft list table inet v6kit | has notrack
        v6kit status
        # A service on every address: shut at those of the prefix, open at those of this machine.
        systemd-run -q --unit web v6kit echo --listen '[::]:8080'
        web() { ip netns exec gateway curl -sgf --max-time 2 -o /dev/null "http://[$1]:8080/healthz"; }
        eventually web 2001:db8:fffe::2
        if web 2001:db8:1::1234; then fail 'the prefix is open'; fi
        # An address event: on another device, so that the rule of the incoming one does not know it.
        same "$(state v6kit-addresses.service)" active
        ip link add inner type veth peer name inner-end
        ip link set inner up
        ip addr add 2001:db8:1::77/128 dev inner nodad
        eventually web 2001:db8:1::77
        v6kit status >/dev/null
        ip addr del 2001:db8:1::77/128 dev inner
        shut() { ! web 2001:db8:1::77; }
        eventually shut
        if web 2001:db8:1::1234; then fail 'the prefix is open'; fi
        same "$(state v6kit-addresses.service)" active
        v6kit status >/dev/null
        v6kit teardown --persist -q
        "#,
    );
}
