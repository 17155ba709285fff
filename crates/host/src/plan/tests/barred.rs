//! What keeps a prefix or a host from having all of it.

use super::*;
use crate::netlink::Refusal;

#[test]
fn a_rule_that_keeps_packets_of_the_prefix_from_leaving_is_a_conflict_and_the_route_is_made() {
    let bars = |rule: Rule| {
        let mut facts = debian();
        facts.rules.insert(
            1,
            Rule {
                priority: 100,
                ..rule
            },
        );
        facts.routes.push(route("::/0", RouteType::Prohibit, 7, 1));
        facts.routes.push(route("::/0", RouteType::Unicast, 8, 3));
        let plan = planned(&facts, &wanted());
        match action(&plan, "route") {
            Action::Partly { action, why, hint } => {
                assert!(matches!(**action, Action::Change { .. }), "{why}");
                Some(hint.clone())
            }
            Action::Change { .. } => None,
            other => panic!("{other:?}"),
        }
    };
    let net = |text: &str| Some(text.parse().unwrap());
    let nowhere = RuleTarget::Nowhere(Refusal::Prohibit);
    let prefix = wanted().prefix.to_string();
    let from = |source: &str, target| Rule {
        source: net(source),
        target,
        ..Rule::default()
    };
    assert_eq!(
        bars(from(&prefix, nowhere)).unwrap(),
        format!("remove it if it is not meant: `sudo ip -6 rule del pref 100 from {prefix} prohibit`")
    );
    assert!(bars(from("::/0", nowhere)).is_some());
    assert!(bars(from(&prefix, RuleTarget::Table(7))).is_some());
    let marked = Rule {
        is_inverted: true,
        mark: Some((0xca6c, u32::MAX)),
        ..rule_for(0, 7)
    };
    assert!(bars(marked).is_some());
    // Another prefix, a way out, results that are passed over, packets that are marked or come from elsewhere.
    assert_eq!(bars(from("2001:db8:dead::/48", nowhere)), None);
    assert_eq!(bars(from(&prefix, RuleTarget::Table(8))), None);
    let passed_over = Rule {
        suppressed: Some(0),
        ..from(&prefix, RuleTarget::Table(7))
    };
    assert_eq!(bars(passed_over), None);
    let of_some = Rule {
        mark: Some((1, u32::MAX)),
        ..from(&prefix, nowhere)
    };
    assert_eq!(bars(of_some), None);
    let coming_in = Rule {
        incoming: Some("eth1".to_owned()),
        ..from(&prefix, nowhere)
    };
    assert_eq!(bars(coming_in), None);
}

#[test]
fn a_default_route_for_some_sources_bars_those_that_it_does_not_lead_out() {
    let barred = |routes: &[(&str, RouteType)]| {
        let mut facts = debian();
        facts.routes.retain(|route| route.destination.prefix_len() > 0);
        facts.routes.extend(routes.iter().map(|(source, kind)| Route {
            source: (*source != "::/0").then(|| source.parse().unwrap()),
            ..route("::/0", *kind, MAIN_TABLE, 2)
        }));
        match action(&planned(&facts, &wanted()), "route") {
            Action::Partly { why, hint, .. } => Some((why.clone(), hint.clone())),
            _ => None,
        }
    };
    let prefix = wanted().prefix.to_string();
    let everybody = ("::/0", RouteType::Unicast);
    let other = ("2001:db8:ffff::/48", RouteType::Unicast);
    assert_eq!(barred(&[everybody]), None);
    assert_eq!(barred(&[everybody, other]), None);
    assert_eq!(barred(&[other, (&prefix, RouteType::Unicast)]), None);
    assert_eq!(
        barred(&[everybody, ("2001:db8:ffff::/48", RouteType::Prohibit)]),
        None
    );
    let (why, hint) = barred(&[other]).unwrap();
    assert!(why.ends_with("for packets from 2001:db8:ffff::/48 only"), "{why}");
    assert!(
        hint.contains(&format!("`sudo ip -6 route add default from {prefix} dev ")),
        "{hint}"
    );
    for kind in [RouteType::Prohibit, RouteType::BlackHole, RouteType::Unreachable] {
        let (_, hint) = barred(&[everybody, (&prefix, kind)]).unwrap();
        let removal = format!(" default from {prefix} table 254 metric 1024`");
        assert!(hint.ends_with(&removal), "{hint}");
    }
}

#[test]
fn a_limits_file_that_cannot_be_written_is_skipped_in_the_plan() {
    let mut facts = debian();
    facts.limits_refusal = Some(nix::errno::Errno::EROFS);
    let plan = planned(&facts, &wanted());
    assert!(
        matches!(action(&plan, "nofile"), Action::Skip { why, .. } if why.ends_with("Read-only file system")),
        "{:?}",
        action(&plan, "nofile")
    );
}

#[test]
fn without_a_prefix_only_what_goes_for_any_address_is_planned() {
    let facts = debian();
    let plan = planned(
        &facts,
        &Wanted {
            prefix: v6kit_net::Prefix::THIS_HOST,
            purpose: Purpose::Server,
            conntrack: Conntrack::Notrack,
            ..wanted()
        },
    );
    let ids: Vec<&str> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert!(
        ids.contains(&"net.core.somaxconn") && ids.contains(&"nofile"),
        "{ids:?}"
    );
    for id in ["route", "inbound", "notrack", "net.ipv6.ip_nonlocal_bind"] {
        assert!(!ids.contains(&id), "{ids:?}");
    }
}
