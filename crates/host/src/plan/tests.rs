//! Plans for made-up hosts.

mod barred;
mod delivery;
mod limits;
mod network;
mod rotation;

use std::collections::BTreeMap;

use netlink_packet_route::route::RouteType;

use super::*;
use crate::delivery::RouteTable;
use crate::facts::{CONNTRACK_BUCKETS, CONNTRACK_COUNT, CONNTRACK_MAX, Firewall, Lack};
use crate::limits::Pair;
use crate::listeners::{Listener, Protocol, Reach};
use crate::logins::{Domain, Line, Logins};
use crate::netlink::{Address, LOCAL_TABLE, Link, MAIN_TABLE, PROTOCOL, Route, Rule, RuleTarget};
use crate::nft::ruleset::{Chain, Direction};
use crate::nft::{InboundRules, Ruleset};
use crate::sysctl::Sysctl;
use crate::value::Value;
use crate::wanted::{Conntrack, Inbound, Purpose, Span};

fn here() -> Place {
    Place {
        boot_id: "boot".to_owned(),
        network_namespace: 1,
        cookie: None,
        pid_namespace: None,
        init: None,
    }
}

fn wanted() -> Wanted {
    Wanted {
        prefix: "2001:db8:1::/64".parse().unwrap(),
        device: "eth0".to_owned(),
        route_device: "lo".to_owned(),
        conntrack: Conntrack::Auto,
        inbound: Inbound::Drop,
        nofile: 65_536,
        purpose: Purpose::Crawl,
        session: None,
        cut_off: CutOff::Refuse,
        span: Span::Lasting,
        rotation: None,
    }
}

fn route(destination: &str, kind: RouteType, table: u32, link: u32) -> Route {
    Route {
        destination: destination.parse().unwrap(),
        source: None,
        kind,
        table,
        metric: 1024,
        protocol: 3,
        link: Some(link),
        gateways: Vec::new(),
    }
}

/// A policy rule that goes for everything.
fn rule_for(priority: u32, table: u32) -> Rule {
    Rule {
        priority,
        target: RuleTarget::Table(table),
        ..Rule::default()
    }
}

/// A fresh Debian host of two cores and 4 GiB.
fn debian() -> Facts {
    let mut sysctls = BTreeMap::new();
    for (name, value) in [
        ("net.ipv6.ip_nonlocal_bind", "0"),
        ("net.ipv4.ip_local_port_range", "32768 60999"),
        ("net.ipv4.ip_local_reserved_ports", ""),
        ("net.ipv4.tcp_timestamps", "1"),
        ("net.ipv4.tcp_tw_reuse", "2"),
        ("net.ipv4.tcp_max_tw_buckets", "16384"),
        ("net.core.somaxconn", "4096"),
        ("net.ipv4.tcp_max_syn_backlog", "256"),
        ("net.ipv4.tcp_syncookies", "1"),
        ("fs.nr_open", "1048576"),
        ("fs.file-max", "9223372036854775807"),
        (CONNTRACK_COUNT, "0"),
        (CONNTRACK_MAX, "65536"),
        (CONNTRACK_BUCKETS, "65536"),
    ] {
        let sysctl = Sysctl {
            value: Value::text(value),
            access: Access::Writable,
        };
        sysctls.insert(name.to_owned(), sysctl);
    }
    let gateway = Route {
        gateways: vec!["fe80::1".parse().unwrap()],
        ..route("::/0", RouteType::Unicast, 254, 2)
    };
    let limits = Pair {
        soft: Some(1024),
        hard: Some(524_288),
    };
    Facts {
        links: ["lo", "eth0", "eth1"]
            .iter()
            .zip(1..)
            .map(|(name, index)| Link {
                index,
                name: (*name).to_owned(),
                is_up: true,
                is_loopback: *name == "lo",
                mtu: Some(1500),
                port_of: None,
                is_in_vrf: false,
                kind: crate::netlink::LinkKind::Other,
            })
            .collect(),
        without_ipv6: Vec::new(),
        without_advertisements: Vec::new(),
        addresses: vec![address("2001:db8:ffff::2/64")],
        routes: vec![gateway],
        on_link: Vec::new(),
        rules: vec![rule_for(0, LOCAL_TABLE), rule_for(32766, MAIN_TABLE)],
        neighbours: Vec::new(),
        peers: Vec::new(),
        resolvers: Vec::new(),
        sysctls,
        listeners: Vec::new(),
        logins: Some(Logins {
            inherited: limits,
            hard_of_daemons: limits.hard,
            lines: Vec::new(),
        }),
        limits_file: Value::ABSENT,
        limits_refusal: None,
        firewall: Firewall::Rules(Ruleset::default()),
        has_legacy_rules: false,
        cores: 2,
        memory: 4 << 30,
        may_administer_network: true,
        kernel: Some((6, 1)),
    }
}

fn address(net: &str) -> Address {
    Address {
        net: net.parse().unwrap(),
        link: 2,
        is_temporary: false,
        is_deprecated: false,
    }
}

fn set(facts: &mut Facts, name: &str, value: &str, access: Access) {
    let value = Value::text(value);
    facts.sysctls.insert(name.to_owned(), Sysctl { value, access });
}

fn listener(port: u16, protocol: Protocol) -> Listener {
    Listener {
        port,
        protocol,
        reach: Reach::EveryAddress,
        process: Some("daemon".to_owned()),
    }
}

#[track_caller]
fn planned(facts: &Facts, wanted: &Wanted) -> Plan {
    plan(facts, &State::default(), &here(), wanted).unwrap()
}

#[track_caller]
fn action<'a>(plan: &'a Plan, id: &str) -> &'a Action {
    let step = plan.steps.iter().find(|step| step.id == id);
    &step.unwrap_or_else(|| panic!("no step {id} in {plan:#?}")).action
}

/// The plan as a few words a step.
fn outline(plan: &Plan) -> Vec<String> {
    plan.steps
        .iter()
        .map(|step| match &step.action {
            Action::Change { after, .. } => format!("{}: {}", step.id, after.as_deref().unwrap_or("-")),
            Action::Keep { .. } => format!("{}: kept", step.id),
            Action::Skip { .. } => format!("{}: skipped", step.id),
            Action::Partly { .. } => format!("{}: partly", step.id),
            Action::Conflict { .. } => format!("{}: conflict", step.id),
        })
        .collect()
}

#[test]
fn a_fresh_host_gets_what_helps_a_client_and_nothing_else() {
    let plan = planned(&debian(), &wanted());
    assert_eq!(
        outline(&plan),
        [
            "inbound: table inet v6kit",
            "route: local 2001:db8:1::/64 dev lo table main proto 86 metric 1",
            "conntrack: kept",
            "net.ipv6.ip_nonlocal_bind: 1",
            "net.ipv4.ip_local_reserved_ports: kept",
            "net.ipv4.ip_local_port_range: 10240 65535",
            "net.ipv4.tcp_tw_reuse: 1",
            "net.ipv4.tcp_max_tw_buckets: 450000",
            "fs.nr_open: kept",
            "fs.file-max: kept",
            "nofile: soft 65536 for all and root",
        ]
    );
    assert_eq!(plan.remarks, Vec::<String>::new());
    assert!(plan.steps.iter().all(|step| !step.reason.is_empty()));
}

#[test]
fn inbound_protection_comes_before_the_route_that_opens_the_prefix() {
    let plan = planned(&debian(), &wanted());
    let position = |id| plan.steps.iter().position(|step| step.id == id).unwrap();
    assert!(position("inbound") < position("route"));
}

#[test]
fn a_server_and_a_proxy_get_room_for_incoming_connections() {
    for purpose in [Purpose::Server, Purpose::Proxy] {
        let plan = planned(&debian(), &Wanted { purpose, ..wanted() });
        assert!(outline(&plan).contains(&"net.core.somaxconn: 65535".to_owned()));
        assert!(outline(&plan).contains(&"net.ipv4.tcp_max_syn_backlog: 65535".to_owned()));
    }
}

#[test]
fn the_rules_of_a_prefix_name_no_address_of_this_host() {
    let mut facts = debian();
    facts.addresses = vec![address("2001:db8:1::5/64")];
    let plan = planned(&facts, &wanted());
    let Action::Change {
        want: Want::Inbound(rules),
        ..
    } = action(&plan, "inbound")
    else {
        panic!("{plan:?}")
    };
    assert_eq!(*rules, InboundRules::new(wanted().prefix));
}

#[test]
fn ports_of_listeners_are_reserved_and_those_given_to_clients_are_not() {
    let mut facts = debian();
    facts.listeners = vec![
        listener(22, Protocol::Tcp),
        listener(11_211, Protocol::Tcp),
        listener(50_051, Protocol::Tcp),
        listener(27_015, Protocol::Udp),
        listener(40_000, Protocol::Udp),
    ];
    let plan = planned(&facts, &wanted());
    assert!(outline(&plan).contains(&"net.ipv4.ip_local_reserved_ports: 11211,27015,50051".to_owned()));
}

#[test]
fn the_plan_that_a_plain_user_asks_for_is_that_of_root() {
    let mut facts = debian();
    facts.may_administer_network = false;
    set(&mut facts, "net.ipv4.tcp_tw_reuse", "0", Access::NeedsRoot);
    set(&mut facts, "fs.nr_open", "1024", Access::Denied);
    facts.firewall = Firewall::Unusable {
        reason: "nft: Operation not permitted".to_owned(),
        hint: String::new(),
        lack: Lack::Denied,
    };
    let plan = planned(&facts.found_by_root(), &wanted());
    for id in ["inbound", "net.ipv4.tcp_tw_reuse"] {
        assert!(matches!(action(&plan, id), Action::Change { .. }), "{id}");
    }
    assert!(matches!(action(&plan, "fs.nr_open"), Action::Skip { .. }));
}

#[test]
fn without_nft_the_services_that_are_now_reached_are_listed() {
    let mut facts = debian();
    facts.listeners = vec![listener(22, Protocol::Tcp), listener(53, Protocol::Udp)];
    facts.firewall = Firewall::Unusable {
        reason: "nft is not installed".to_owned(),
        hint: "install it".to_owned(),
        lack: Lack::NotThere,
    };
    let plan = planned(&facts, &wanted());
    let Action::Skip { why, .. } = action(&plan, "inbound") else {
        panic!("{plan:?}")
    };
    assert!(why.ends_with("tcp 22 (daemon), udp 53 (daemon)"), "{why}");
}

#[test]
fn a_table_of_our_name_that_is_not_ours_is_a_conflict() {
    let mut facts = debian();
    facts.firewall = Firewall::Rules(Ruleset {
        table: Value::text("{}"),
        ..Ruleset::default()
    });
    let plan = planned(&facts, &wanted());
    assert!(matches!(action(&plan, "inbound"), Action::Conflict { .. }));
}

#[test]
fn a_server_behind_a_closed_prefix_and_a_forwarding_host_without_a_route_are_told() {
    let mut facts = debian();
    let remarks = |facts: &Facts, purpose| planned(facts, &Wanted { purpose, ..wanted() }).remarks;
    assert_eq!(remarks(&facts, Purpose::Proxy), Vec::<String>::new());
    assert!(remarks(&facts, Purpose::Server)[0].contains("--inbound allow"));
    facts.without_advertisements = vec!["eth0".to_owned()];
    assert_eq!(remarks(&facts, Purpose::Crawl), Vec::<String>::new());
    facts.routes.clear();
    let told = remarks(&facts, Purpose::Crawl);
    assert!(
        told.iter()
            .any(|remark| remark.contains("net/ipv6/conf/eth0/accept_ra=2")),
        "{told:?}"
    );
}
