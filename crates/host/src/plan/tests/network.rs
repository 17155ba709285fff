//! Routes, policy rules and neighbours of made-up hosts.

use super::*;
use crate::netlink::Neighbour;

/// A host whose own address lies in the on-link /64 that is set up.
fn on_link() -> Facts {
    let mut facts = debian();
    facts.addresses = vec![address("2001:db8:1::5/64")];
    facts.routes.push(Route {
        metric: 256,
        protocol: 2,
        ..route("2001:db8:1::/64", RouteType::Unicast, MAIN_TABLE, 2)
    });
    facts
}

fn neighbour(address: &str, is_known: bool) -> Neighbour {
    Neighbour {
        address: address.parse().unwrap(),
        link: 2,
        is_known,
    }
}

/// The routes to neighbours that a plan adds.
fn neighbours(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().filter(|step| step.id == "neighbour");
    steps
        .map(|step| match &step.action {
            Action::Change {
                after: Some(after), ..
            } => after.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn accepted() -> Wanted {
    Wanted {
        cut_off: CutOff::Accept,
        ..wanted()
    }
}

#[test]
fn whoever_is_in_use_inside_the_prefix_gets_a_route() {
    let mut facts = on_link();
    facts.routes[0].gateways = vec!["2001:db8:1::1".parse().unwrap()];
    facts.resolvers = vec!["2001:db8:1::53".parse().unwrap()];
    facts.peers = vec!["2001:db8:1::80".parse().unwrap()];
    facts.neighbours = vec![
        neighbour("2001:db8:1::9", true),
        neighbour("2001:db8:1::a", false),
    ];
    let wanted = Wanted {
        session: Some("2001:db8:1::22".parse().unwrap()),
        ..wanted()
    };
    assert_eq!(
        neighbours(&planned(&facts, &wanted)),
        [
            "2001:db8:1::1 dev eth0 proto 86",
            "2001:db8:1::9 dev eth0 proto 86",
            "2001:db8:1::22 dev eth0 proto 86",
            "2001:db8:1::53 dev eth0 proto 86",
            "2001:db8:1::80 dev eth0 proto 86",
        ]
    );
}

#[test]
fn who_has_a_longer_route_already_needs_none_and_neither_does_this_host() {
    let mut facts = on_link();
    facts
        .routes
        .push(route("2001:db8:1:0:5::/80", RouteType::Unicast, MAIN_TABLE, 3));
    facts.resolvers = vec![
        "2001:db8:1:0:5::1".parse().unwrap(),
        "2001:db8:1::5".parse().unwrap(),
    ];
    let plan = planned(&facts, &wanted());
    assert_eq!(neighbours(&plan), Vec::<String>::new());
    assert!(
        plan.remarks
            .iter()
            .any(|remark| remark.contains("goes on so: 2001:db8:1:0:5::/80 dev eth1")),
        "{plan:?}"
    );
}

#[test]
fn the_ends_of_connections_in_a_prefix_that_is_delivered_here_are_no_neighbours() {
    let mut facts = debian();
    facts.peers = vec!["2001:db8:1::7".parse().unwrap()];
    facts.routes.push(Route {
        protocol: PROTOCOL,
        metric: 1,
        ..route("2001:db8:1::/64", RouteType::Local, MAIN_TABLE, 1)
    });
    assert_eq!(neighbours(&planned(&facts, &wanted())), Vec::<String>::new());
}

#[test]
fn whom_no_route_leads_to_is_named_before_anything_is_changed() {
    let mut facts = debian();
    facts.routes.clear();
    facts.resolvers = vec!["2001:db8:1::53".parse().unwrap()];
    let plan = planned(&facts, &wanted());
    let Action::Conflict { why, hint, .. } = action(&plan, "route") else {
        panic!("{plan:?}")
    };
    assert!(
        why.contains("2001:db8:1::53, a name server of this host"),
        "{why}"
    );
    assert!(hint.contains("--yes"), "{hint}");
    let plan = planned(&facts, &accepted());
    assert!(matches!(action(&plan, "route"), Action::Change { .. }));
    assert!(
        plan.remarks.iter().any(|remark| remark.starts_with("cut off: ")),
        "{plan:?}"
    );
}

fn after(plan: &Plan) -> &str {
    match action(plan, "route") {
        Action::Change {
            after: Some(after), ..
        } => after,
        other => panic!("{other:?}"),
    }
}

/// A host with a table 7 that leads to eth1, and a rule for it.
fn with_rule(rule: Rule) -> Facts {
    let mut facts = debian();
    facts.routes.push(route("::/0", RouteType::Unicast, 7, 3));
    facts.rules.push(Rule {
        target: RuleTarget::Table(7),
        ..rule
    });
    facts.rules.sort_by_key(|rule| rule.priority);
    facts
}

const LOCAL: &str = "local 2001:db8:1::/64 dev lo proto 86";
const MAIN: &str = "local 2001:db8:1::/64 dev lo table main proto 86 metric 1";

#[test]
fn a_rule_that_takes_packets_to_the_prefix_puts_the_route_into_the_local_table() {
    let rule = Rule {
        priority: 100,
        ..Rule::default()
    };
    let net = |text: &str| Some(text.parse().unwrap());
    let taking = [
        rule.clone(),
        // wg-quick(8)
        Rule {
            is_inverted: true,
            mark: Some((0xca6c, u32::MAX)),
            ..rule.clone()
        },
        // mwan3
        Rule {
            mark: Some((0x100, 0x3f00)),
            ..rule.clone()
        },
        Rule {
            incoming: Some("eth0".to_owned()),
            ..rule.clone()
        },
        Rule {
            destination: net("2001:db8::/32"),
            ..rule.clone()
        },
        Rule {
            source: net("2001:db8:9::/48"),
            ..rule.clone()
        },
    ];
    for rule in taking {
        let plan = planned(&with_rule(rule.clone()), &wanted());
        assert_eq!(after(&plan), LOCAL, "{rule}");
        let named = format!(
            "`{}`",
            Rule {
                target: RuleTarget::Table(7),
                ..rule
            }
        );
        assert!(
            plan.remarks.iter().any(|remark| remark.contains(&named)),
            "{named} {plan:?}"
        );
    }
    let leaving = [
        Rule {
            priority: 40_000,
            ..rule.clone()
        },
        Rule {
            incoming: Some("eth1".to_owned()),
            ..rule.clone()
        },
        Rule {
            incoming: Some("lo".to_owned()),
            ..rule.clone()
        },
        Rule {
            outgoing: Some("eth0".to_owned()),
            ..rule.clone()
        },
        Rule {
            users: Some((1000, 1000)),
            ..rule.clone()
        },
        Rule {
            destination: net("2001:db8:9::/48"),
            ..rule.clone()
        },
        // By source, as on hosts with two uplinks.
        Rule {
            source: net("2001:db8:1::/64"),
            ..rule.clone()
        },
        Rule {
            source: net("2001:db8:ffff::2/128"),
            ..rule.clone()
        },
        Rule {
            suppressed: Some(0),
            ..rule.clone()
        },
    ];
    for rule in leaving {
        assert_eq!(
            after(&planned(&with_rule(rule.clone()), &wanted())),
            MAIN,
            "{rule}"
        );
    }
}

#[test]
fn where_main_is_looked_up_without_its_default_route_first_the_route_lies_there() {
    let mut facts = with_rule(Rule {
        priority: 100,
        ..Rule::default()
    });
    facts.rules.insert(
        1,
        Rule {
            suppressed: Some(0),
            ..rule_for(99, MAIN_TABLE)
        },
    );
    assert_eq!(after(&planned(&facts, &wanted())), MAIN);
}

#[test]
fn what_the_local_table_would_hide_is_named_before_anything_is_changed() {
    let mut facts = with_rule(Rule {
        priority: 100,
        ..Rule::default()
    });
    facts
        .routes
        .push(route("2001:db8:1::10/128", RouteType::Unicast, MAIN_TABLE, 3));
    let plan = planned(&facts, &wanted());
    let Action::Conflict { why, .. } = action(&plan, "route") else {
        panic!("{plan:?}")
    };
    assert!(
        why.contains("2001:db8:1::10 dev eth1") && why.contains("lookup 7"),
        "{why}"
    );
    assert_eq!(after(&planned(&facts, &accepted())), LOCAL);
}

#[test]
fn a_rule_before_the_local_table_is_a_conflict() {
    let mut facts = with_rule(Rule {
        priority: 0,
        incoming: Some("eth0".to_owned()),
        ..Rule::default()
    });
    facts.rules.swap(0, 1);
    let plan = planned(&facts, &wanted());
    let Action::Conflict { why, .. } = action(&plan, "route") else {
        panic!("{plan:?}")
    };
    assert!(why.contains("iif eth0 lookup 7"), "{why}");
}

#[test]
fn a_route_of_equal_length_and_the_lowest_metric_puts_ours_into_the_local_table() {
    let mut facts = on_link();
    facts.routes[1].metric = 1;
    let plan = planned(&facts, &wanted());
    assert_eq!(after(&plan), LOCAL);
}

#[test]
fn a_route_of_others_that_delivers_is_left_alone_unless_another_is_faster() {
    let delivering = |metric| Route {
        metric,
        ..route("2001:db8:1::/64", RouteType::Local, MAIN_TABLE, 1)
    };
    for (metric, is_kept) in [(100, true), (1024, false)] {
        let mut facts = on_link();
        facts.routes.push(delivering(metric));
        let plan = planned(&facts, &wanted());
        assert_eq!(
            matches!(action(&plan, "route"), Action::Keep { .. }),
            is_kept,
            "{metric}"
        );
    }
}

#[test]
fn a_port_of_a_bridge_and_the_loopback_device_bring_no_prefix() {
    let mut facts = debian();
    facts.links[1].port_of = Some(3);
    let error = plan(&facts, &State::default(), &here(), &wanted()).unwrap_err();
    assert!(matches!(&error, HostError::BridgePort { above, .. } if above == "eth1"));
    let device = "lo".to_owned();
    let error = plan(
        &debian(),
        &State::default(),
        &here(),
        &Wanted { device, ..wanted() },
    )
    .unwrap_err();
    assert!(matches!(&error, HostError::Loopback { devices, .. } if *devices == ["eth0", "eth1"]));
}
