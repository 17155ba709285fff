//! What the host itself does to its packets, and what it lacks.

use super::{assert_said, in_prepared_lab, in_words, reports};

#[test]
fn answers_that_this_host_drops_are_no_fault_of_a_router() {
    let said = in_words(
        "routed",
        r#"
        set_up
        patience=5s
        # Connections only, before anything else looks at them: pings and errors of routers pass.
        nft add table ip6 guard
        nft "add chain ip6 guard early { type filter hook prerouting priority raw; }"
        nft add rule ip6 guard early ip6 daddr "$V6KIT_LAB_PREFIX" tcp sport 80 counter drop
        say
        as=$drop_all say
        nft delete table ip6 guard
        # What the device gives to the host is looked at before IPv6 is.
        nft add table netdev guard
        nft "add chain netdev guard early { type filter hook ingress device eth0 priority 0; }"
        nft add rule netdev guard early ip6 daddr "$V6KIT_LAB_PREFIX" tcp flags syn counter drop
        say
        "#,
    );
    let mine = "answers to 2001:db8:6::/64 arrive on eth0, and this host drops them";
    assert_said(
        &said[0],
        "dropped-here",
        &[
            mine,
            "`sudo nft -a list chain ip6 guard early` (its counter went up by ",
        ],
    );
    // Who cannot look does not know.
    assert_said(
        &said[1],
        "filtered",
        &["Not known: whether that is one of this host or on the way"],
    );
    assert_said(&said[2], "dropped-here", &[mine, "chain netdev guard early"]);
}

#[test]
fn connections_that_do_not_leave_this_host_are_no_fault_of_a_router() {
    let said = in_words(
        "routed",
        r#"
        set_up
        patience=5s
        nft add table inet guard
        nft "add chain inet guard late { type filter hook output priority 100; }"
        nft add rule inet guard late ip6 saddr "$V6KIT_LAB_PREFIX" tcp dport 80 drop
        say
        nft flush chain inet guard late
        nft add rule inet guard late ip6 saddr "$V6KIT_LAB_PREFIX" reject with icmpv6 type admin-prohibited
        say
        nft delete table inet guard
        ip -6 rule add from "$V6KIT_LAB_PREFIX" prohibit
        as=$drop_all say
        "#,
    );
    let held = "connections from 2001:db8:6::/64 do not leave by eth0, although there is a way";
    assert_said(
        &said[0],
        "dropped-here",
        &[held, "`sudo nft -a list chain inet guard late`"],
    );
    assert_said(
        &said[1],
        "dropped-here",
        &["this host itself refuses to send from 2001:db8:6::/64"],
    );
    assert_said(
        &said[2],
        "misrouted",
        &[
            "this host has no way out for packets from 2001:db8:6::/64",
            "from 2001:db8:6::/64 prohibit",
            "`ip -6 route get 2001:db8:80::80 from 2001:db8:6:",
        ],
    );
}

#[test]
fn who_replaces_source_addresses_is_named_where_it_is_seen() {
    let here = in_words(
        "routed",
        r#"
        set_up
        nft add table ip6 nat
        nft "add chain ip6 nat out { type nat hook postrouting priority srcnat; }"
        nft add rule ip6 nat out ip6 saddr "$V6KIT_LAB_PREFIX" masquerade
        say
        as=$drop_all say
        "#,
    );
    assert_said(
        &here[0],
        "rewritten",
        &["this host itself replaces source addresses", "as 2001:db8:1::2"],
    );
    assert_said(
        &here[1],
        "rewritten",
        &[
            "arrive as 2001:db8:1::2",
            "Not known: whether this host or something behind it",
        ],
    );
    let beyond = in_words("rewritten", "set_up\nsay");
    assert_said(
        &beyond[0],
        "rewritten",
        &["leave this host unchanged and arrive as 2001:db8:80::1"],
    );
}

#[test]
fn silence_is_told_with_both_causes_and_as_the_fact_of_neither() {
    let said = in_words("no-return", "set_up\npatience=5s\nsay\nas=$drop_all say");
    assert_said(
        &said[0],
        "no-return",
        &[
            "leave by eth0, and no answer arrives. Not known which of the two",
            "has no route for 2001:db8:6::/64 to this host, or a filter discards them",
        ],
    );
    assert_said(
        &said[1],
        "no-return",
        &["Not known: whether connections leave this host and answers arrive"],
    );
}

#[test]
fn a_prefix_that_leaves_by_another_device_or_was_given_up_gets_a_sentence_of_its_own() {
    let said = in_words(
        "no-return",
        r#"
        ip link add other0 type veth peer name other1
        ip link set other0 up
        "$V6KIT" setup --prefix "$V6KIT_LAB_PREFIX" --dev other0 > "$T/setup" 2>&1
        grep -q "packets from 2001:db8:6::/64 leave by eth0, not by other0" "$T/setup"
        patience=5s
        say
        "$V6KIT" teardown --quiet > "$T/teardown"
        set_up
        # As a network does that has changed its prefix: the old address lives on without being preferred.
        ip -6 address add 2001:db8:6::9/64 dev eth0 valid_lft 3000 preferred_lft 0 nodad noprefixroute
        ip -6 address add 2001:dba:0:7::9/64 dev eth0 valid_lft 3000 preferred_lft 2000 nodad noprefixroute
        say
        "#,
    );
    assert_said(
        &said[0],
        "misrouted",
        &["leave by eth0 (the router 2001:db8:1::1), not by other0, on which it is set up"],
    );
    assert_said(
        &said[1],
        "renumbered",
        &[
            "the address 2001:db8:6::9 of eth0, which the network has deprecated",
            "setup --prefix 2001:dba:0:7::/64 --dev eth0`",
        ],
    );
}

#[test]
fn a_host_without_ipv6_without_advertisements_and_without_names_is_told_so() {
    let said = in_words(
        "routed",
        r#"
        set_up
        # The name server lies where this host takes everything for its own.
        echo "nameserver ${V6KIT_LAB_PREFIX%/*}53" > "$T/resolv.conf"
        mount --bind "$T/resolv.conf" /etc/resolv.conf
        V6KIT_LAB_TARGET=http://endpoint.invalid say
        ip -6 route del default
        echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_ra
        echo 1 > /proc/sys/net/ipv6/conf/eth0/forwarding
        say
        echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6
        say
        "#,
    );
    assert_said(
        &said[0],
        "no-name",
        &["the name server 2001:db8:6::53 lies in 2001:db8:6::/64"],
    );
    assert_said(
        &said[1],
        "no-uplink",
        &[
            "no default route",
            "`sudo sysctl -w net.ipv6.conf.eth0.accept_ra=2`",
        ],
    );
    assert_said(
        &said[2],
        "no-ipv6",
        &["`sudo sysctl -w net.ipv6.conf.eth0.disable_ipv6=0`"],
    );
}

#[test]
fn a_host_without_a_default_route_has_no_uplink() {
    let run = in_prepared_lab("routed", "set_up\nip -6 route del default\nas_user").expect(0);
    reports(&run)[0]
        .assert("no-uplink")
        .assert_check("uplink", "failed", "there is no default IPv6 route")
        .assert_hint("uplink", "ip -6 route add default");
}

#[test]
fn a_host_with_no_address_but_those_of_the_prefix_is_ok() {
    let run = in_prepared_lab(
        "routed",
        r#"
        set_up
        # The router reaches the host by its link-local address, and the other way round.
        host=$(ip -6 -j address show dev eth0 scope link | sed -E 's/.*"local":"(fe80[^"]*)".*/\1/')
        router=$(in_router ip -6 -j address show dev lan scope link | sed -E 's/.*"local":"(fe80[^"]*)".*/\1/')
        in_router ip -6 route replace "$V6KIT_LAB_PREFIX" via "$host" dev lan
        ip -6 address del 2001:db8:1::2/64 dev eth0
        ip -6 route replace default via "$router" dev eth0
        as_user
        "#,
    )
    .expect(0);
    reports(&run)[0]
        .assert("ok")
        .assert_check("uplink", "warning", "");
}

#[test]
fn a_route_of_this_host_that_takes_packets_away_is_no_firewall_and_no_fault_of_a_router() {
    let said = in_words(
        "routed",
        r#"
        set_up
        patience=2s
        for kind in prohibit unreachable; do
            ip -6 route add $kind 2001:db8:80::/64
            say
            ip -6 route del $kind 2001:db8:80::/64
        done
        # A default route for packets of the host's own network only, and one that keeps those of the prefix.
        gateway=$(ip -6 route show default | sed -n 's/.* via \([^ ]*\) .*/\1/p')
        ip -6 route del default
        ip -6 route add default from 2001:db8:1::/64 via "$gateway" dev "$V6KIT_LAB_DEV"
        say
        ip -6 route add default via "$gateway" dev "$V6KIT_LAB_DEV"
        ip -6 route add unreachable default from "$V6KIT_LAB_PREFIX"
        say
        "#,
    );
    for (said, errno) in said.iter().zip(["Permission denied", "No route to host"]) {
        assert_said(
            said,
            "misrouted",
            &[
                "this host has no way to http://[2001:db8:80::80]",
                errno,
                "`ip -6 route`",
            ],
        );
    }
    for said in &said[2..] {
        assert_said(
            said,
            "misrouted",
            &["this host has no way out for packets from 2001:db8:6::/64"],
        );
    }
}

#[test]
fn a_router_that_answers_no_route_is_not_said_to_drop() {
    let said = in_words(
        "routed",
        r#"
        set_up
        patience=2s
        in_router nft add table ip6 guard
        in_router nft "add chain ip6 guard fw { type filter hook forward priority 0; }"
        in_router nft add rule ip6 guard fw ip6 saddr "$V6KIT_LAB_PREFIX" tcp dport 80 reject with icmpv6 type no-route
        say
        as=$drop_all say
        "#,
    );
    assert_said(&said[0], "filtered", &["answers that it has no route for them"]);
    assert_said(
        &said[1],
        "filtered",
        &["fail (no route to", "something refuses them"],
    );
}

#[test]
fn few_open_files_bound_how_many_are_asked_at_once_and_not_how_many_are_answered() {
    let said = in_words(
        "routed",
        r#"
        set_up
        count=150
        # Without the privilege to raise it again.
        as="setpriv --bounding-set -sys_resource --inh-caps -sys_resource --"
        ulimit -n 48
        say
        "#,
    );
    assert_said(&said[0], "ok", &["150 of 150 random addresses answered"]);
}
