//! Which firewall rules let the traffic of a prefix through, and what they keep out.

use super::on_router;
use crate::harness::steady_conntrack_max;

/// Installed and configured, a server outside, and the route there whatever the rules are.
const TRAFFIC: &str = "
    make_topology
    router fw4 start
    install_package
    configure_crawler
    serve outside :: 7000
    router v6kit-router apply
";

#[test]
fn a_stateful_firewall_holds_one_entry_per_connection() {
    on_router(&format!(
        "{TRAFFIC}
        settings 'set v6kit-router.main.notrack=0'
        router v6kit-router apply
        is $(exchanges tcp 300) 300 'exchanges'
        is $(entries) 300 'entries'
        "
    ))
    .expect(0);
}

#[test]
fn notrack_from_the_lan_alone_lets_nothing_through() {
    on_router(&format!(
        "{TRAFFIC}
        sed -i '/\"v6kit: in\"/d' $R/usr/share/nftables.d/chain-post/raw_prerouting/v6kit-router.nft
        rm $R/usr/share/nftables.d/chain-pre/forward/v6kit-router.nft
        router fw4 reload
        is $(exchanges tcp 20 2) 0 'exchanges'
        "
    ))
    .expect(0);
}

#[test]
fn notrack_both_ways_without_an_accept_lets_nothing_through() {
    on_router(&format!(
        "{TRAFFIC}
        rm $R/usr/share/nftables.d/chain-pre/forward/v6kit-router.nft
        router fw4 reload
        is $(exchanges tcp 20 2) 0 'exchanges'
        is $(entries) 0 'entries'
        "
    ))
    .expect(0);
}

#[test]
fn with_our_rules_everything_passes_and_the_table_stays_empty() {
    on_router(&format!(
        "{TRAFFIC}
        is $(exchanges tcp 3000) 3000 'exchanges'
        is $(entries) 0 'entries'
        # What is not TCP stays tracked, works, and costs its entries.
        is $(exchanges udp 30) 30 'UDP exchanges'
        is $(entries) 30 'entries of UDP'
        "
    ))
    .expect(0);
}

#[test]
fn fifty_thousand_connections_leave_no_entry() {
    on_router(&format!(
        "{TRAFFIC}
        is $(exchanges tcp 50000) 50000 'exchanges'
        is $(entries) 0 'entries'
        "
    ))
    .expect(0);
}

/// The size of the table is one setting for the whole machine; here it is filled instead, in the router's own
/// namespace, with connections that the kernel does not drop early because they are assured.
#[test]
fn with_a_full_table_new_connections_hang_unless_they_are_untracked() {
    let _steady = steady_conntrack_max();
    on_router(
        &[
            TRAFFIC,
            include_str!("rules/with_a_full_table_new_connections_hang_unless_they_are_untracked.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}

#[test]
fn an_unsolicited_connection_from_outside_is_refused() {
    on_router(&format!(
        "{TRAFFIC}
        # Somebody listens on every address of the prefix: what keeps them out is the router alone.
        serve host :: 7001
        code=0
        outside curl -gsS --max-time 10 --http0.9 'http://[2001:db8:1:202:abcd::7]:7001/' || code=$?
        is $code 7 'code of curl, refused'
        # The same from the LAN works, so that the refusal above says something.
        is \"$(host curl -gs --http0.9 'http://[2001:db8:1:202:abcd::7]:7001/')\" 2001:db8:1:202::9 'locally'
        is $(exchanges tcp 10) 10 'exchanges'
        "
    ))
    .expect(0);
}

/// A rule of /etc/config/firewall comes to stand in the chain of its zone.
#[test]
fn a_rule_of_the_users_that_drops_sees_packets_with_ack_only_in_front_of_ours() {
    on_router(&format!(
        "{TRAFFIC}
        drop='ip6 saddr 2001:db8:ffff::2 drop'
        sed -i \"s/chain forward_wan {{/&\\n $drop/\" $R/sbin/fw4
        router fw4 reload
        says \"$(nft list chain inet fw4 forward_wan)\" \"$drop\"
        is $(exchanges tcp 20) 20 'exchanges past the rule of a zone'
        serve host :: 7001
        code=0
        outside curl -gsS --max-time 2 'http://[2001:db8:1:202:abcd::7]:7001/' 2>/dev/null || code=$?
        is $code 28 'code of curl, dropped: a bare SYN meets the rule'
        echo \"$drop\" >$R/usr/share/nftables.d/chain-pre/forward/10-block.nft
        router fw4 reload
        is $(exchanges tcp 20 2) 0 'exchanges past the rule in front of ours'
        "
    ))
    .expect(0);
}

#[test]
fn a_connection_to_the_router_itself_stays_tracked() {
    on_router(&format!(
        "{TRAFFIC}
        # A firewall that drops what it holds invalid would drop the router's own answers otherwise.
        sed -i 's/oifname \"lo\" accept/&\\n ct state invalid drop/' $R/sbin/fw4
        router fw4 reload
        exec {{ready}}< <(/usr/bin/python3 $REPOSITORY/tests/openwrt/serve.py :: 7002)
        read -r -u $ready _
        is \"$(host curl -gs --http0.9 --interface 2001:db8:1:202:abcd::5 'http://[2001:db8:1:202::1]:7002/')\" \
            2001:db8:1:202:abcd::5 'answer of the router'
        is $(entries) 1 'entries'
        "
    ))
    .expect(0);
}

/// Its own address on the WAN lies in no delegation.
#[test]
fn the_routers_own_address_on_the_wan_is_reached_where_invalid_packets_are_dropped() {
    on_router(&format!(
        "{TRAFFIC}
        sed -i 's/oifname \"lo\" accept/&\\n ct state invalid drop/' $R/sbin/fw4
        router fw4 reload
        exec {{ready}}< <(/usr/bin/python3 $REPOSITORY/tests/openwrt/serve.py :: 7002)
        read -r -u $ready _
        is \"$(host curl -gs --max-time 20 --http0.9 --interface 2001:db8:1:202:abcd::5 'http://[2001:db8:ffff::1]:7002/')\" \
            2001:db8:1:202:abcd::5 'answer of the router'
        is $(entries) 1 'entries'
        is $(exchanges tcp 10) 10 'exchanges with the internet'
        is $(entries) 1 'entries afterwards'
        "
    ))
    .expect(0);
}

#[test]
fn chosen_udp_ports_go_untracked_and_others_stay_tracked() {
    on_router(&format!(
        "{TRAFFIC}
        settings 'add_list v6kit-router.main.udp_port=7000'
        router v6kit-router apply
        is $(exchanges udp 30) 30 'UDP exchanges'
        is $(entries) 0 'entries'
        "
    ))
    .expect(0);
}

#[test]
fn pings_from_outside_are_answered_until_told_otherwise() {
    on_router(
        &[
            TRAFFIC,
            include_str!("rules/pings_from_outside_are_answered_until_told_otherwise.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}

#[test]
fn path_mtu_discovery_works_without_tracking() {
    on_router(
        &[
            TRAFFIC,
            include_str!("rules/path_mtu_discovery_works_without_tracking.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}

#[test]
fn the_rules_load_inside_the_firewalls_own() {
    on_router(
        "
        make_topology
        cp -r $REPOSITORY/openwrt/v6kit-router/files/usr/share $R/usr/
        router fw4 check
        router fw4 start
        mkdir -p $R/var/run/v6kit-router
        # Half of the package is enough for a file that cannot load: the firewall says so.
        echo 'add element inet fw4 v6kit_nothing { 1 }' >$R/tmp/run/v6kit-router/elements.nft
        not router fw4 check 2>/dev/null
        ",
    )
    .expect(0);
}
