//! How the prefix arrives: routes and devices.

use super::*;

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
