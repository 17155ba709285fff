//! Settings of the kernel and limits of logins.

use super::*;

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
