//! Plans that give addresses to connections of others.

use super::*;
use crate::wanted::{Origin, Rotation};

fn everything(from: &[&str]) -> Wanted {
    Wanted {
        purpose: Purpose::Everything,
        rotation: Some(Rotation {
            from: from.iter().map(|from| from.parse().unwrap()).collect(),
            seed: 7,
        }),
        ..wanted()
    }
}

fn forwards(facts: &mut Facts, forwarding: &str, accept_ra: &str) {
    for (name, value) in [
        ("net.ipv6.conf.all.forwarding", forwarding),
        ("net.ipv6.conf.eth0.accept_ra", accept_ra),
    ] {
        let sysctl = Sysctl {
            value: Value::text(value),
            access: Access::Writable,
        };
        facts.sysctls.insert(name.to_owned(), sysctl);
    }
}

fn planned(facts: &Facts, wanted: &Wanted) -> Plan {
    plan(facts, &State::default(), &here(), wanted).unwrap()
}

fn step<'a>(plan: &'a Plan, id: &str) -> Option<&'a Step> {
    plan.steps.iter().find(|step| step.id == id)
}

fn rules(plan: &Plan) -> crate::nft::RotationRules {
    match &step(plan, "rotation").unwrap().action {
        Action::Change {
            want: Want::Rotation(rules),
            ..
        } => rules.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_addresses_lie_in_a_part_of_the_prefix_where_nobody_lives() {
    let mut facts = debian();
    forwards(&mut facts, "1", "2");
    let part = |facts: &Facts| rules(&planned(facts, &everything(&["eth1"]))).part.to_string();
    assert_eq!(part(&facts), "2001:db8:1:0:f000::/68");
    facts.addresses.push(address("2001:db8:1:0:f000::1/128"));
    assert_eq!(part(&facts), "2001:db8:1:0:e000::/68");
    facts.resolvers.push("2001:db8:1:0:efff::53".parse().unwrap());
    assert_eq!(part(&facts), "2001:db8:1:0:d000::/68");
}

#[test]
fn an_on_link_prefix_gets_few_addresses_and_the_word_about_neighbours() {
    let mut facts = debian();
    forwards(&mut facts, "1", "2");
    facts.addresses.push(address("2001:db8:1::2/64"));
    let plan = planned(&facts, &everything(&["eth1"]));
    assert_eq!(rules(&plan).addresses().len(), 400);
    assert!(
        plan.remarks
            .iter()
            .any(|remark| remark.contains("v6kit ndp --all"))
    );
}

#[test]
fn forwarding_is_looked_at_and_never_asked_for() {
    let mut facts = debian();
    for (forwarding, accept_ra, state) in [("0", "1", "conflict"), ("0", "2", "conflict"), ("1", "2", "keep")]
    {
        forwards(&mut facts, forwarding, accept_ra);
        let plan = planned(&facts, &everything(&["eth1"]));
        let step = step(&plan, "forwarding").unwrap();
        let found = match &step.action {
            Action::Conflict { hint, .. } => {
                assert_eq!(hint.contains("accept_ra=2"), accept_ra == "1", "{hint}");
                "conflict"
            }
            Action::Keep { .. } => "keep",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, state);
    }
    // This host's own packets pass nobody.
    forwards(&mut facts, "0", "1");
    let own = Wanted {
        cut_off: CutOff::Accept,
        ..everything(&["lo"])
    };
    assert!(step(&planned(&facts, &own), "forwarding").is_none());
}

#[test]
fn an_old_kernel_takes_networks_and_no_devices() {
    let mut facts = debian();
    forwards(&mut facts, "1", "2");
    facts.kernel = Some((5, 4));
    let action = |from: &str| {
        step(&planned(&facts, &everything(&[from])), "rotation")
            .unwrap()
            .action
            .clone()
    };
    assert!(matches!(action("eth1"), Action::Conflict { .. }));
    assert!(matches!(action("fd00::/64"), Action::Change { .. }));
}

#[test]
fn what_is_translated_is_tracked_and_gets_room() {
    let mut facts = debian();
    forwards(&mut facts, "1", "2");
    let plan = planned(&facts, &everything(&["eth1"]));
    assert!(step(&plan, CONNTRACK_MAX).is_some());
    let without = Wanted {
        conntrack: Conntrack::Notrack,
        ..everything(&["eth1"])
    };
    let plan = planned(&facts, &without);
    let Action::Change {
        want: Want::Notrack(notrack),
        ..
    } = &step(&plan, "notrack").unwrap().action
    else {
        panic!("{plan:?}")
    };
    assert_eq!(notrack.except, [rules(&plan).part]);
}

#[test]
fn the_subnets_of_the_uplink_are_left_out() {
    let mut facts = debian();
    forwards(&mut facts, "1", "2");
    facts.on_link = vec![
        route("2001:db8:ffff::/64", RouteType::Unicast, 254, 2),
        route("2001:db8:a::/64", RouteType::Unicast, 254, 3),
    ];
    let rules = rules(&planned(&facts, &everything(&["eth1"])));
    assert_eq!(rules.on_link, ["2001:db8:ffff::/64".parse().unwrap()]);
    assert_eq!(rules.from, [Origin::Device("eth1".to_owned())]);
}
