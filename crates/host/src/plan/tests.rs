//! Plans for made-up hosts.

mod network;

use std::collections::BTreeMap;

use netlink_packet_route::route::RouteType;

use super::*;
use crate::delivery::RouteTable;
use crate::facts::{CONNTRACK_BUCKETS, CONNTRACK_COUNT, CONNTRACK_MAX, Firewall};
use crate::limits::Pair;
use crate::listeners::{Listener, Protocol, Reach};
use crate::logins::{Domain, Line, Logins};
use crate::netlink::{Address, LOCAL_TABLE, Link, MAIN_TABLE, PROTOCOL, Route, Rule, RuleTarget};
use crate::nft::ruleset::{Chain, Direction};
use crate::nft::{InboundRules, Ruleset};
use crate::sysctl::Sysctl;
use crate::value::Value;
use crate::wanted::{Conntrack, Inbound, Purpose};

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
    }
}

fn route(destination: &str, kind: RouteType, table: u32, link: u32) -> Route {
    Route {
        destination: destination.parse().unwrap(),
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
                port_of: None,
                is_in_vrf: false,
            })
            .collect(),
        without_ipv6: Vec::new(),
        without_advertisements: Vec::new(),
        addresses: vec![address("2001:db8:ffff::2/64")],
        routes: vec![gateway],
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
        firewall: Firewall::Rules(Ruleset::default()),
        has_legacy_rules: false,
        cores: 2,
        memory: 4 << 30,
        may_administer_network: true,
    }
}

fn address(net: &str) -> Address {
    Address {
        net: net.parse().unwrap(),
        link: 2,
        is_temporary: false,
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
fn an_on_link_prefix_is_set_up_with_the_remark_that_it_needs_a_responder() {
    let mut facts = debian();
    facts.addresses = vec![address("2001:db8:1::5/64")];
    facts
        .routes
        .push(route("2001:db8:1::/64", RouteType::Unicast, 254, 2));
    let plan = planned(&facts, &wanted());
    assert!(matches!(action(&plan, "route"), Action::Change { .. }));
    assert!(
        plan.remarks.iter().any(|remark| remark.contains("v6kit ndp")),
        "{plan:?}"
    );
    assert!(
        plan.remarks
            .iter()
            .any(|remark| remark.contains("cannot be reached"))
    );
}

#[test]
fn an_existing_route_is_recognised_whatever_its_protocol() {
    let mut facts = debian();
    facts
        .routes
        .push(route("2001:db8:1::/64", RouteType::Local, 255, 1));
    let plan = planned(&facts, &wanted());
    assert!(matches!(action(&plan, "route"), Action::Keep { .. }));
}

#[test]
fn a_discard_route_of_a_dhcp_client_does_not_stand_in_the_way() {
    let mut facts = debian();
    facts
        .routes
        .push(route("2001:db8:1::/64", RouteType::Unreachable, 254, 1));
    let plan = planned(&facts, &wanted());
    assert!(matches!(action(&plan, "route"), Action::Change { .. }));
    assert!(plan.remarks.iter().any(|remark| remark.contains("left alone")));
}

#[test]
fn routes_that_lead_elsewhere_stand_in_the_way() {
    let via = Route {
        gateways: vec!["fe80::9".parse().unwrap()],
        ..route("2001:db8:1::/64", RouteType::Unicast, 254, 3)
    };
    for (in_the_way, advice) in [
        (via, "ip -6 route del 2001:db8:1::/64 via fe80::9 dev eth1"),
        // The subnet of another device.
        (route("2001:db8:1::/64", RouteType::Unicast, 254, 3), "--dev eth1"),
        (
            route("2001:db8:1::/64", RouteType::BlackHole, 255, 1),
            "ip -6 route del blackhole 2001:db8:1::/64 table local",
        ),
    ] {
        let mut facts = debian();
        facts.routes.push(in_the_way);
        let plan = planned(&facts, &wanted());
        let Action::Conflict { why, hint, .. } = action(&plan, "route") else {
            panic!("{plan:?}")
        };
        assert!(why.contains("route") && hint.contains(advice), "{why} {hint}");
    }
}

#[test]
fn devices_must_exist_and_the_route_device_must_be_up() {
    let facts = debian();
    let device = "wan9".to_owned();
    let error = plan(&facts, &State::default(), &here(), &Wanted { device, ..wanted() }).unwrap_err();
    assert!(matches!(error, HostError::NoDevice { .. }));
    let mut facts = debian();
    facts.links[0].is_up = false;
    let error = plan(&facts, &State::default(), &here(), &wanted()).unwrap_err();
    assert!(matches!(error, HostError::DeviceDown { .. }));
}

#[test]
fn a_device_without_ipv6_is_named() {
    for device in ["lo", "eth0"] {
        let mut facts = debian();
        facts.without_ipv6 = vec![device.to_owned()];
        let error = plan(&facts, &State::default(), &here(), &wanted()).unwrap_err();
        assert!(matches!(error, HostError::Ipv6Off { device: named } if named == device));
    }
}

#[test]
fn the_hosts_own_address_as_prefix_needs_no_route_and_no_responder() {
    let mut facts = debian();
    facts.addresses = vec![address("2001:db8:1::5/64")];
    facts.routes.push(Route {
        protocol: 2,
        ..route("2001:db8:1::5/128", RouteType::Local, 255, 2)
    });
    let prefix = "2001:db8:1::5/128".parse().unwrap();
    let plan = planned(&facts, &Wanted { prefix, ..wanted() });
    assert!(matches!(action(&plan, "route"), Action::Keep { .. }));
    assert_eq!(plan.remarks, Vec::<String>::new());
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
fn what_the_distribution_set_higher_is_never_lowered() {
    let mut facts = debian();
    set(
        &mut facts,
        "net.ipv4.tcp_max_tw_buckets",
        "2000000",
        Access::Writable,
    );
    set(
        &mut facts,
        "net.ipv4.ip_local_port_range",
        "1024 65535",
        Access::Writable,
    );
    set(&mut facts, "fs.nr_open", "2147483584", Access::Writable);
    let plan = planned(&facts, &wanted());
    for id in [
        "net.ipv4.tcp_max_tw_buckets",
        "net.ipv4.ip_local_port_range",
        "fs.nr_open",
    ] {
        assert!(matches!(action(&plan, id), Action::Keep { .. }), "{id}");
    }
}

#[test]
fn a_sysctl_that_may_not_be_set_here_is_skipped_with_advice() {
    let mut facts = debian();
    set(&mut facts, "fs.nr_open", "1024", Access::Denied);
    set(&mut facts, "net.ipv4.tcp_tw_reuse", "0", Access::ReadOnlyMount);
    let plan = planned(&facts, &wanted());
    for (id, word) in [
        ("fs.nr_open", "on the host itself"),
        ("net.ipv4.tcp_tw_reuse", "--sysctl"),
    ] {
        let Action::Skip { hint, .. } = action(&plan, id) else {
            panic!("{plan:?}")
        };
        assert!(hint.contains(word), "{hint}");
    }
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
        is_denied: true,
    };
    let plan = planned(&facts.found_by_root(), &wanted());
    for id in ["inbound", "net.ipv4.tcp_tw_reuse"] {
        assert!(matches!(action(&plan, id), Action::Change { .. }), "{id}");
    }
    assert!(matches!(action(&plan, "fs.nr_open"), Action::Skip { .. }));
}

#[test]
fn time_wait_is_not_reused_without_timestamps() {
    let mut facts = debian();
    set(&mut facts, "net.ipv4.tcp_timestamps", "0", Access::Writable);
    let plan = planned(&facts, &wanted());
    assert!(matches!(
        action(&plan, "net.ipv4.tcp_tw_reuse"),
        Action::Skip { .. }
    ));
}

#[test]
fn a_login_limit_above_what_the_kernel_starts_with_would_lock_everybody_out() {
    let nofile = 4_000_000;
    let plan = planned(&debian(), &Wanted { nofile, ..wanted() });
    assert!(outline(&plan).contains(&"fs.nr_open: 4000000".to_owned()));
    assert!(
        outline(&plan).contains(&"nofile: soft 1048576, hard 1048576 for all and root".to_owned()),
        "{plan:?}"
    );
    let mut facts = debian();
    set(&mut facts, "fs.nr_open", "50000", Access::Denied);
    let plan = planned(&facts, &wanted());
    assert!(outline(&plan).contains(&"nofile: soft 50000 for all and root".to_owned()));
}

#[test]
fn tracked_connections_get_room_and_as_many_buckets() {
    let mut facts = debian();
    set(&mut facts, CONNTRACK_COUNT, "100", Access::Writable);
    let plan = planned(&facts, &wanted());
    // 4 GiB / 16 / 320 bytes is less than 1.5 x (120 s x 5,000/s + 100).
    let affordable = (4u64 << 30) / 16 / 320;
    assert!(outline(&plan).contains(&format!("{CONNTRACK_MAX}: {affordable}")));
    facts.memory = 64 << 30;
    let plan = planned(&facts, &wanted());
    assert!(outline(&plan).contains(&format!("{CONNTRACK_MAX}: {}", 900_150)));
    assert!(outline(&plan).contains(&format!("{CONNTRACK_BUCKETS}: {}", 901_120)));
}

#[test]
fn connection_tracking_is_left_alone_where_it_is_asked_for_not_loaded_or_wide_enough() {
    let keep = Wanted {
        conntrack: Conntrack::Keep,
        ..wanted()
    };
    let mut tracking = debian();
    set(&mut tracking, CONNTRACK_COUNT, "100", Access::Writable);
    let mut wide = tracking.clone();
    set(&mut wide, CONNTRACK_MAX, "5000000", Access::Writable);
    let mut absent = debian();
    absent.sysctls.remove(CONNTRACK_MAX);
    for (facts, wanted) in [(tracking, keep), (wide, wanted()), (absent, wanted())] {
        let plan = planned(&facts, &wanted);
        assert!(matches!(
            action(&plan, "conntrack"),
            Action::Keep { want: None, .. }
        ));
    }
}

#[test]
fn untracked_connections_are_tried_with_the_default_gateway_and_suspects_are_only_named() {
    let mut facts = debian();
    facts.firewall = Firewall::Rules(Ruleset {
        tracks: true,
        suspects: vec![Chain {
            family: "inet".to_owned(),
            table: "filter".to_owned(),
            name: "input".to_owned(),
            direction: Direction::In,
        }],
        ..Ruleset::default()
    });
    let conntrack = Conntrack::Notrack;
    let plan = planned(
        &facts,
        &Wanted {
            conntrack,
            ..wanted()
        },
    );
    assert!(
        matches!(action(&plan, "notrack"), Action::Change { .. }),
        "{plan:?}"
    );
    assert_eq!(plan.trial.gateways, [("fe80::1".parse().unwrap(), 2)]);
    assert!(plan.trial.has_suspects());
    let position = |id| plan.steps.iter().position(|step| step.id == id).unwrap();
    assert!(
        position("route") < position("notrack"),
        "its answers have to be delivered"
    );
}

#[test]
fn without_nft_the_services_that_are_now_reached_are_listed() {
    let mut facts = debian();
    facts.listeners = vec![listener(22, Protocol::Tcp), listener(53, Protocol::Udp)];
    facts.firewall = Firewall::Unusable {
        reason: "nft is not installed".to_owned(),
        hint: "install it".to_owned(),
        is_denied: false,
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
fn a_limits_file_that_is_not_ours_is_a_conflict() {
    let mut facts = debian();
    facts.limits_file = Value::text("* soft nofile 5\n");
    let plan = planned(&facts, &wanted());
    assert!(matches!(action(&plan, "nofile"), Action::Conflict { .. }));
}

#[test]
fn a_line_that_wins_over_our_file_is_a_conflict_and_our_file_is_written_all_the_same() {
    let mut facts = debian();
    if let Some(logins) = &mut facts.logins {
        logins.lines.push(Line {
            path: "/etc/security/limits.conf".into(),
            number: 7,
            domain: Domain::Group("db".to_owned()),
            soft: false,
            hard: true,
            limit: Some(4096),
        });
    }
    let plan = planned(&facts, &wanted());
    let Action::Partly { action, why, .. } = action(&plan, "nofile") else {
        panic!("{plan:?}")
    };
    assert!(matches!(**action, Action::Change { .. }), "{plan:?}");
    assert!(
        why.contains("/etc/security/limits.conf:7 gives group db 4096"),
        "{why}"
    );
}

#[test]
fn a_prefix_arrives_neither_on_loopback_nor_on_the_port_of_a_bridge() {
    let mut facts = debian();
    let on = |facts: &Facts, device: &str| {
        let wanted = Wanted {
            device: device.to_owned(),
            ..wanted()
        };
        plan(facts, &State::default(), &here(), &wanted)
    };
    let Err(HostError::Loopback { devices, .. }) = on(&facts, "lo") else {
        panic!("lo was taken")
    };
    assert_eq!(devices, ["eth0", "eth1"]);
    facts.links[1].port_of = Some(3);
    let Err(HostError::BridgePort { above, .. }) = on(&facts, "eth0") else {
        panic!("a port was taken")
    };
    assert_eq!(above, "eth1");
    on(&facts, "eth1").unwrap();
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

#[test]
fn our_route_on_a_device_no_longer_asked_for_does_not_count() {
    let mut facts = debian();
    facts.routes.push(Route {
        protocol: PROTOCOL,
        ..route("2001:db8:1::/64", RouteType::Local, 255, 2)
    });
    let mut state = State::default();
    state.record(&crate::event::Line {
        place: here(),
        event: crate::event::Event::Begin {
            prefix: wanted().prefix,
            step: "route".to_owned(),
            resource: Resource::Route {
                prefix: wanted().prefix,
                device: "eth0".to_owned(),
                table: RouteTable::Local,
            },
            want: Want::Present,
            original: Value::ABSENT,
            expect: Value::text("local"),
        },
    });
    let plan = plan(&facts, &state, &here(), &wanted()).unwrap();
    assert!(matches!(action(&plan, "route"), Action::Change { .. }));
}
