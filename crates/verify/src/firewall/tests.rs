//! Which rules can have dropped packets of a connection.

use super::*;

const ADDRESSES: [&str; 2] = ["2001:db8:6::1", "2001:db8:6::2"];

/// The suspects among the rules of `after`, for connections by eth0 to port 80 of 2001:db8:80::80.
fn suspects(before: &Firewall, after: &Firewall, direction: Direction) -> Vec<(String, Option<u64>)> {
    let flow = Flow {
        direction,
        addresses: &ADDRESSES.map(|address| address.parse().unwrap()),
        endpoint: "[2001:db8:80::80]:80".parse().unwrap(),
        devices: vec!["eth0"],
    };
    let found = after.suspects(before, &flow);
    found
        .into_iter()
        .map(|(command, grown)| {
            let chain = command.rsplit("chain ").next().unwrap_or_default();
            (chain.to_owned(), grown)
        })
        .collect()
}

fn read(objects: &[String]) -> Firewall {
    let mut firewall = Firewall::default();
    let text = format!(r#"{{"nftables":[{{"metainfo":{{}}}},{}]}}"#, objects.join(","));
    firewall.take_nft(&text, "2001:db8:6::/64".parse().unwrap());
    assert_eq!(firewall.unseen, Vec::<String>::new());
    firewall
}

fn chain(name: &str, more: &str) -> String {
    format!(r#"{{"chain":{{"family":"inet","table":"t","name":"{name}"{more}}}}}"#)
}

fn rule(chain: &str, handle: u32, expressions: &str) -> String {
    format!(
        r#"{{"rule":{{"family":"inet","table":"t","chain":"{chain}","handle":{handle},"expr":[{expressions}]}}}}"#
    )
}

fn equals(left: &str, right: &str) -> String {
    format!(r#"{{"match":{{"op":"==","left":{left},"right":{right}}}}}"#)
}

fn meta(key: &str, value: &str) -> String {
    equals(&format!(r#"{{"meta":{{"key":"{key}"}}}}"#), value)
}

fn payload(protocol: &str, field: &str, value: &str) -> String {
    equals(
        &format!(r#"{{"payload":{{"protocol":"{protocol}","field":"{field}"}}}}"#),
        value,
    )
}

const OUT: &str = r#","hook":"output","policy":"accept""#;
const IN: &str = r#","hook":"input","policy":"accept""#;
const DROP: &str = r#"{"drop":null}"#;

/// Whether a rule of an output chain with these expressions and a drop is a suspect.
fn is_suspect_out(expressions: &str) -> bool {
    let firewall = read(&[chain("c", OUT), rule("c", 1, &format!("{expressions},{DROP}"))]);
    !suspects(&firewall, &firewall, Direction::Out).is_empty()
}

#[test]
fn a_rule_that_our_packets_cannot_meet_is_not_named() {
    for (expressions, expected) in [
        (meta("oifname", r#""eth0""#), true),
        (meta("oifname", r#""wg0""#), false),
        (meta("oifname", r#""eth*""#), true),
        (meta("oifname", r#"{"set":["wg0","tun0"]}"#), false),
        (meta("oifname", r#"{"set":["wg0","eth0"]}"#), true),
        (meta("iifname", r#""eth0""#), false),
        (meta("l4proto", r#""udp""#), false),
        (meta("l4proto", r#"{"set":["tcp","udp"]}"#), true),
        (meta("nfproto", r#""ipv4""#), false),
        (payload("udp", "dport", "53"), false),
        (payload("icmpv6", "type", r#""echo-request""#), false),
        (payload("ip", "saddr", r#""192.0.2.1""#), false),
        (payload("tcp", "dport", "80"), true),
        (payload("tcp", "dport", "25"), false),
        (payload("tcp", "dport", r#"{"set":[25,{"range":[79,81]}]}"#), true),
        (payload("th", "dport", r#"{"range":[1000,2000]}"#), false),
        (
            payload("ip6", "saddr", r#"{"prefix":{"addr":"2001:db8:6::","len":64}}"#),
            true,
        ),
        (
            payload("ip6", "saddr", r#"{"prefix":{"addr":"2001:db8:7::","len":64}}"#),
            false,
        ),
        (payload("ip6", "saddr", r#""2001:db8:6::2""#), true),
        (
            payload("ip6", "saddr", r#"{"range":["2001:db8:5::","2001:db8:6::1"]}"#),
            true,
        ),
        (payload("ip6", "daddr", r#""2001:db8:80::81""#), false),
        (payload("ip6", "daddr", r#""@somewhere""#), true),
        (r#"{"limit":{"rate":1,"per":"second"}}"#.to_owned(), true),
        (
            r#"{"match":{"op":"!=","left":{"meta":{"key":"oifname"}},"right":"eth0"}}"#.to_owned(),
            false,
        ),
        (
            r#"{"match":{"op":"!=","left":{"meta":{"key":"oifname"}},"right":"lo"}}"#.to_owned(),
            true,
        ),
        (
            r#"{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"new"}}"#.to_owned(),
            true,
        ),
    ] {
        assert_eq!(is_suspect_out(&expressions), expected, "{expressions}");
    }
}

#[test]
fn a_rule_against_new_callers_is_none_against_answers() {
    let flags = r#"{"payload":{"protocol":"tcp","field":"flags"}}"#;
    for (expression, expected) in [
        (
            equals(&format!(r#"{{"&":[{flags},["syn","ack"]]}}"#), r#""syn""#),
            false,
        ),
        (
            equals(
                &format!(r#"{{"&":[{flags},{{"|":["syn","ack"]}}]}}"#),
                r#"["syn","ack"]"#,
            ),
            true,
        ),
        (
            format!(r#"{{"match":{{"op":"in","left":{flags},"right":"syn"}}}}"#),
            true,
        ),
        (
            format!(r#"{{"match":{{"op":"in","left":{flags},"right":["rst","fin"]}}}}"#),
            false,
        ),
        (payload("tcp", "sport", "80"), true),
        (payload("tcp", "dport", "22"), true),
        (payload("tcp", "sport", "22"), false),
        (meta("iif", r#""eth1""#), false),
    ] {
        let firewall = read(&[chain("c", IN), rule("c", 1, &format!("{expression},{DROP}"))]);
        let found = suspects(&firewall, &firewall, Direction::In);
        assert_eq!(!found.is_empty(), expected, "{expression}");
        assert_eq!(suspects(&firewall, &firewall, Direction::Out), []);
    }
}

#[test]
fn who_counted_comes_first_and_who_counts_and_counted_nothing_is_left_out() {
    let counting = |packets: u32| {
        let counter = |packets: u32| format!(r#"{{"counter":{{"packets":{packets},"bytes":1}}}},{DROP}"#);
        read(&[
            chain("quiet", OUT),
            rule("quiet", 1, &counter(7)),
            chain("mute", OUT),
            rule("mute", 2, r#"{"reject":null}"#),
            chain("busy", OUT),
            rule("busy", 3, &counter(packets)),
        ])
    };
    assert_eq!(
        suspects(&counting(3), &counting(20), Direction::Out),
        [
            ("inet t busy".to_owned(), Some(17)),
            ("inet t mute".to_owned(), None)
        ]
    );
}

#[test]
fn chains_are_looked_at_where_a_rule_leads_to_them_that_can_be_met() {
    let jump = |to: &str| format!(r#"{{"jump":{{"target":"{to}"}}}}"#);
    let map = r#"{"vmap":{"key":{"meta":{"key":"oifname"}},"data":{"set":[["lo",{"accept":null}],["eth0",{"jump":{"target":"mapped"}}]]}}}"#;
    let firewall = read(&[
        chain("c", OUT),
        chain("other", ""),
        chain("ours", ""),
        chain("mapped", ""),
        chain("forgotten", ""),
        rule(
            "c",
            1,
            &format!("{},{}", meta("oifname", r#""wg0""#), jump("other")),
        ),
        rule(
            "c",
            2,
            &format!("{},{}", meta("oifname", r#""eth0""#), jump("ours")),
        ),
        rule("c", 3, map),
        rule("other", 4, DROP),
        rule("ours", 5, &format!("{},{DROP}", payload("tcp", "dport", "25"))),
        rule("mapped", 6, &format!("{},{DROP}", payload("tcp", "dport", "80"))),
        rule("forgotten", 7, DROP),
    ]);
    assert_eq!(
        suspects(&firewall, &firewall, Direction::Out),
        [("inet t mapped".to_owned(), None)]
    );
}

#[test]
fn what_stands_behind_a_verdict_on_every_packet_is_not_met() {
    let dropping = r#","hook":"output","policy":"drop""#;
    let inside = payload("ip6", "saddr", r#"{"prefix":{"addr":"2001:db8:6::","len":64}}"#);
    let accepted = read(&[
        chain("c", dropping),
        rule("c", 1, &format!(r#"{inside},{{"accept":null}}"#)),
        rule("c", 2, DROP),
    ]);
    assert_eq!(suspects(&accepted, &accepted, Direction::Out), []);
    let one = payload("ip6", "saddr", r#""2001:db8:6::1""#);
    let partly = read(&[
        chain("c", dropping),
        rule("c", 1, &format!(r#"{one},{{"accept":null}}"#)),
    ]);
    assert_eq!(
        suspects(&partly, &partly, Direction::Out),
        [("inet t c".to_owned(), None)]
    );
}

#[test]
fn rules_of_ip6tables_legacy_count_always() {
    let firewall = |packets: u64| Firewall {
        chains: legacy::chains(&format!(
            "# Generated\n*filter\n:INPUT ACCEPT [9:9]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [7:70]\n:mine - [0:0]\n\
             [5:5] -A INPUT -s 2001:db8:9::/48 -j DROP\n\
             [{packets}:99] -A INPUT -d 2001:db8:6::/64 -p tcp -m tcp --sport 80 -j mine\n\
             [{packets}:1] -A INPUT ! -i eth0 -j DROP\n\
             [{packets}:1] -A mine -m comment --comment hello -j DROP\nCOMMIT\n"
        )),
        ..Firewall::default()
    };
    let (before, after) = (firewall(1), firewall(5));
    let found = suspects(&before, &after, Direction::In);
    assert_eq!(
        found,
        [("sudo ip6tables-legacy -t filter -vS mine".to_owned(), Some(4))]
    );
    assert_eq!(suspects(&before, &after, Direction::Out), []);
}

#[test]
fn our_rule_against_tracking_is_known_by_its_comment() {
    let ours = r#"{"rule":{"family":"inet","table":"v6kit","chain":"untracked_in","handle":7,"comment":"2001:db8:6::/64: not tracked","expr":[{"notrack":null}]}}"#;
    assert!(read(&[ours.to_owned()]).our_notrack);
    assert!(!read(&[chain("c", OUT)]).our_notrack);
}
